//! A vif that is a port of a bridge.

use super::link::{LinkShape, Setter};
use super::target::describe;
use super::{VifSnapshot, VifTarget, Wanted};
use crate::config::VifConfig;
use crate::plan::{Change, IptablesRule, Plan, PlanError, vlan};
use crate::types::{
    BridgeSpec, IfName, IpList, Link, LinkSet, ParseError, PortFlags, PortSet, VlanRange,
};

/// What the configuration comes to for a port of a bridge.
pub(super) struct BridgePort<'a> {
    pub(super) bridge: &'a Link,
    /// None leaves the port in the VLANs that it is in, or that the bridge puts it into.
    vlans: Option<Vec<VlanRange>>,
    /// Whether to have rules as Xen's own scripts make them.
    iptables: bool,
    ip: &'a IpList,
}

impl VifTarget {
    /// The interfaces that `bridge` can mean, best first; none when it is not set.
    ///
    /// Configurations of long ago ask for `xenbrN` where the bridge is called `ethN`.
    pub fn bridge_names(&self, config: &VifConfig) -> Result<Vec<IfName>, ParseError> {
        let Some(bridge) = &config.bridge else { return Ok(Vec::new()) };
        let short = bridge.short_name().as_str();
        let legacy = short.strip_prefix("xenbr").and_then(|n| format!("eth{n}").parse().ok());
        Ok(bridge.names().chain(legacy).collect())
    }

    pub(super) fn port<'a>(
        &self,
        config: &'a VifConfig,
        seen: &'a VifSnapshot,
    ) -> Result<BridgePort<'a>, PlanError> {
        let bridge = self.choose_bridge(config, seen)?;
        let aware = bridge.bridge.as_ref().is_some_and(|bridge| bridge.vlan_filtering);
        let vlans = config.vlans_on(&bridge.name)?;
        if let (Some(vlans), false) = (&vlans, aware) {
            let vlans: Vec<String> = vlans.iter().map(ToString::to_string).collect();
            return Err(PlanError::NotVlanAware {
                vlan: config.vlan.as_ref().map_or(vlans.join("/"), ToString::to_string),
                bridge: bridge.name.clone(),
                vif: self.name.clone(),
            });
        }
        let iptables = seen.policy.iptables.unwrap_or(false);
        Ok(BridgePort { bridge, vlans, iptables, ip: &config.ip })
    }

    /// The bridge that is meant; an error that says what to do when there is none, or more than one.
    pub(crate) fn choose_bridge<'a>(
        &self,
        config: &VifConfig,
        seen: &'a VifSnapshot,
    ) -> Result<&'a Link, PlanError> {
        let mut bridges = seen.bridges.iter().filter(|link| link.bridge.is_some());
        let names = self.bridge_names(config)?;
        let Some(wanted) = names.first() else {
            return match (bridges.next(), bridges.next()) {
                (Some(only), None) => Ok(only),
                (None, _) => Err(PlanError::NoBridges),
                _ => Err(PlanError::ManyBridges {
                    names: seen.bridges.iter().map(|link| link.name.clone()).collect(),
                }),
            };
        };
        let said = |link: &&Link| {
            config.bridge.iter().flat_map(BridgeSpec::names).any(|name| name == link.name)
        };
        match seen.bridges.iter().find(said) {
            Some(link) if link.bridge.is_some() => Ok(link),
            Some(other) => {
                Err(PlanError::NotABridge { name: other.name.clone(), kind: describe(other) })
            }
            // The name is taken by no interface: the legacy one, if it is a bridge.
            None => bridges.next().ok_or_else(|| PlanError::NoBridge { name: wanted.clone() }),
        }
    }
}

impl BridgePort<'_> {
    /// The kernel's part of a plug, in the order that fails closed.
    pub(super) fn plan(
        &self,
        plan: &mut Plan,
        target: &VifTarget,
        wanted: &Wanted<'_>,
        link: &Link,
        seen: &VifSnapshot,
    ) -> Result<(), PlanError> {
        let shape = LinkShape {
            name: &wanted.name,
            mtu: wanted.mtu,
            master: Some(self.bridge),
            addresses: &[],
        };
        let master = shape.moves(link);
        let mut to = Setter { plan, link: link.reference() };
        let up = shape.make(&mut to, target, link, seen);
        if let Some(vlans) = &self.vlans {
            let joined: Vec<VlanRange> = self.default_vlan().into_iter().collect();
            let now = if master { &joined } else { &seen.vlans };
            to.plan.changes.extend(vlan::difference(&to.link, now, vlans));
        }
        if let Some(uplink) = &seen.uplink {
            let joined: Vec<VlanRange> = self.default_vlan().into_iter().collect();
            let stays = if master { &joined } else { &uplink.vif };
            to.plan.changes.extend(uplink.reconcile(self.vlans.as_deref().unwrap_or(stays)));
        }
        let (known, on) = self.flags(seen, wanted);
        // A port that joins begins with none of these.
        let is = seen.port.as_ref().filter(|_| !master).map_or(PortFlags::empty(), |p| p.flags);
        let wrong = (is ^ on) & known;
        if !wrong.is_empty() {
            let set = PortSet::default().on(on & wrong).off(wrong - on);
            let was = PortSet::default().on(is & wrong).off(wrong - is);
            to.plan.push(Change::PortSet { link: to.link.clone(), set, was });
        }
        to.plan.changes.extend(wanted.guarded(target, seen)?);
        if self.iptables {
            let missing = IptablesRule::of(&wanted.name, self.ip)
                .into_iter()
                .filter(|rule| !seen.iptables.contains(rule));
            to.plan.changes.extend(missing.map(Change::IptablesInsert));
        }
        to.set(up, LinkSet::Up(true), LinkSet::Up(false));
        if !self.iptables {
            plan.warnings = seen.filters.warnings(&wanted.name, &self.bridge.name);
        }
        Ok(())
    }

    /// The switches of the port about which somebody says something, and those of them that shall be on.
    pub(super) fn flags(&self, seen: &VifSnapshot, wanted: &Wanted<'_>) -> (PortFlags, PortFlags) {
        let (mut known, mut on) = (PortFlags::empty(), PortFlags::empty());
        if let Some(isolated) = seen.policy.isolated {
            known |= PortFlags::ISOLATED;
            on.set(PortFlags::ISOLATED, isolated);
        }
        // A bridge that speaks the spanning tree protocol hears it before any table of nftables does.
        let stp = self.bridge.bridge.as_ref().is_some_and(|bridge| bridge.stp);
        if stp && wanted.guard.is_some() {
            known |= PortFlags::GUARD;
            on |= PortFlags::GUARD;
        }
        (known, on)
    }

    /// The VLAN that the bridge puts a port into when it joins.
    fn default_vlan(&self) -> Option<VlanRange> {
        let pvid = self.bridge.bridge.as_ref()?.vlan_default_pvid?;
        Some(VlanRange::new(pvid, true, true))
    }
}
