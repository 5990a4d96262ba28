use super::{Change, Plan, PlanError};
use crate::types::{BridgeInfo, IfName, Link, LinkKind, LinkRef, LinkSet, MacAddr, Mtu};

/// A bridge to make.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BridgeConfig {
    /// Its name.
    pub name: IfName,
    /// Its settings; by default no spanning tree and no forward delay, so that a guest speaks at once.
    pub settings: BridgeInfo,
    /// Its hardware address, pinned so that it does not change with its ports; none lets the kernel follow them.
    pub mac: Option<MacAddr>,
    /// Its MTU; none means the kernel's default, the smallest of its ports'.
    pub mtu: Option<Mtu>,
}

/// What there is of a bridge.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct BridgeSnapshot {
    /// The interface of that name.
    pub link: Option<Link>,
    /// Its ports.
    pub ports: Vec<Link>,
}

impl BridgeConfig {
    /// A bridge with the defaults that suit guests.
    pub fn new(name: IfName) -> Self {
        let settings =
            BridgeInfo { mcast_snooping: Some(true), ageing_time: 30_000, ..BridgeInfo::default() };
        Self { name, settings, mac: None, mtu: None }
    }

    /// What makes the bridge, or takes up the one that is there: an administrator's bridge keeps its settings.
    pub fn create(&self, seen: &BridgeSnapshot) -> Result<Plan, PlanError> {
        let up =
            |link, was| Change::LinkSet { link, set: LinkSet::Up(true), was: LinkSet::Up(was) };
        match &seen.link {
            None => Ok([
                Change::LinkAdd {
                    name: self.name.clone(),
                    kind: LinkKind::Bridge(self.settings.clone()),
                    mac: self.mac,
                    mtu: self.mtu,
                },
                up(self.reference(), false),
            ]
            .into_iter()
            .collect()),
            Some(link) if link.bridge.is_none() => Err(not_a_bridge(link)),
            Some(link) if !link.up => Ok([up(link.reference(), false)].into_iter().collect()),
            Some(_) => Ok(Plan::default()),
        }
    }

    fn reference(&self) -> LinkRef {
        LinkRef { index: None, name: self.name.clone() }
    }
}

impl BridgeSnapshot {
    /// What removes the bridge; nothing when it is not there. `force` removes it from under its ports.
    pub fn delete(&self, force: bool) -> Result<Plan, PlanError> {
        let Some(link) = &self.link else { return Ok(Plan::default()) };
        if link.bridge.is_none() {
            return Err(not_a_bridge(link));
        }
        if !force && !self.ports.is_empty() {
            let ports = self.ports.iter().map(|port| port.name.clone()).collect();
            return Err(PlanError::HasPorts { name: link.name.clone(), ports });
        }
        Ok([Change::LinkDelete { link: link.reference() }].into_iter().collect())
    }
}

fn not_a_bridge(link: &Link) -> PlanError {
    PlanError::NotABridge { name: link.name.clone(), kind: super::vif::describe(link) }
}
