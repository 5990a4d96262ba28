//! A vif that is a port of a bridge.

use super::link::{LinkShape, Setter};
use super::mtu::BridgeMtu;
use super::target::describe;
use super::{Desired, VifSnapshot, VifTarget, forwarding};
use crate::config::VifConfig;
use crate::plan::{Change, IptablesRule, Plan, PlanError, Warning, vlan};
use crate::types::{
    BridgeSpec, IfName, IpList, Link, LinkSet, ParseError, PortFlags, PortSet, VlanRange,
};

/// What the configuration comes to for a port of a bridge.
pub(super) struct BridgePort<'a> {
    pub(super) bridge: &'a Link,
    /// Its VLANs; none on a bridge that does not filter VLANs.
    vlans: Option<Vec<VlanRange>>,
    /// The `mtu` key sets the MTU of the vif, not the bridge.
    explicit_mtu: bool,
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
        facts: &'a VifSnapshot,
    ) -> Result<BridgePort<'a>, PlanError> {
        let bridge = self.choose_bridge(config, facts)?;
        let vlans = match (config.vlans_on(&bridge.name)?, filters_vlans(bridge)) {
            (vlans, true) => Some(vlans.unwrap_or_else(|| default_vlan(bridge))),
            (None, false) => None,
            (Some(vlans), false) => {
                let vlans: Vec<String> = vlans.iter().map(ToString::to_string).collect();
                return Err(PlanError::NotVlanAware {
                    vlan: config.vlan.as_ref().map_or(vlans.join("/"), ToString::to_string),
                    bridge: bridge.name.clone(),
                    vif: self.name.clone(),
                });
            }
        };
        let iptables = facts.policy.iptables.unwrap_or(false);
        Ok(BridgePort {
            bridge,
            vlans,
            explicit_mtu: config.mtu.is_some(),
            iptables,
            ip: &config.ip,
        })
    }

    /// The bridge that is meant; an error that says what to do when there is none, or more than one.
    pub(crate) fn choose_bridge<'a>(
        &self,
        config: &VifConfig,
        facts: &'a VifSnapshot,
    ) -> Result<&'a Link, PlanError> {
        let mut bridges = facts.bridges.iter().filter(|link| link.bridge.is_some());
        let names = self.bridge_names(config)?;
        let Some(wanted) = names.first() else {
            return match (bridges.next(), bridges.next()) {
                (Some(only), None) => Ok(only),
                (None, _) => Err(PlanError::NoBridges),
                _ => Err(PlanError::ManyBridges {
                    names: facts.bridges.iter().map(|link| link.name.clone()).collect(),
                }),
            };
        };
        let said = |link: &&Link| {
            config.bridge.iter().flat_map(BridgeSpec::names).any(|name| name == link.name)
        };
        match facts.bridges.iter().find(said) {
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
        desired: &Desired<'_>,
        link: &Link,
        facts: &VifSnapshot,
    ) -> Result<(), PlanError> {
        let shape = LinkShape {
            name: &desired.name,
            mtu: desired.mtu,
            master: Some(self.bridge),
            addresses: &[],
        };
        let joins = shape.moves(link);
        let mut to = Setter { plan, link: link.reference() };
        // Before the vif joins: it may lower the bridge.
        if joins || link.mtu != desired.mtu.bytes() {
            to.plan.changes.extend(self.record_mtu(facts)?);
        }
        // Before the vif joins: with nothing in between, joining and coming up are one request.
        to.plan.changes.extend(desired.guarded(target, facts)?);
        let up = shape.make(&mut to, target, link, facts);
        if let Some(vlans) = &self.vlans {
            let joined = default_vlan(self.bridge);
            let current = if joins { &joined } else { &facts.vlans };
            to.plan.changes.extend(vlan::difference(&to.link, current, vlans));
        }
        if let Some(uplink) = &facts.uplink {
            let joined = default_vlan(self.bridge);
            let current = if joins { &joined } else { &uplink.vif };
            to.plan.changes.extend(uplink.reconcile(self.vlans.as_deref().unwrap_or(current)));
        }
        let (known, on) = self.flags(facts, desired);
        // A port that joins begins with none of these.
        let port = facts.port.as_ref().filter(|_| !joins);
        let current = port.map_or(PortFlags::empty(), |port| port.flags);
        let wrong = (current ^ on) & known;
        if !wrong.is_empty() {
            let set = PortSet::default().on(on & wrong).off(wrong - on);
            let was = PortSet::default().on(current & wrong).off(wrong - current);
            to.plan.push(Change::PortSet { link: to.link.clone(), set, was });
        }
        if self.iptables {
            let missing = IptablesRule::of(&desired.name, self.ip)
                .into_iter()
                .filter(|rule| !facts.iptables.contains(rule));
            to.plan.changes.extend(missing.map(Change::IptablesInsert));
        }
        to.set(up, LinkSet::Up(true), LinkSet::Up(false));
        if !self.iptables {
            plan.warnings.extend(facts.filters.warnings(&desired.name, &self.bridge.name));
        }
        plan.warnings.extend(
            forwarding::warning(&desired.name, self.bridge, link, up).map(Warning::NotForwarding),
        );
        Ok(())
    }

    /// The switches of the port about which somebody says something, and those of them that shall be on.
    pub(super) fn flags(
        &self,
        facts: &VifSnapshot,
        desired: &Desired<'_>,
    ) -> (PortFlags, PortFlags) {
        let (mut known, mut on) = (PortFlags::empty(), PortFlags::empty());
        if let Some(isolated) = facts.policy.isolated {
            known |= PortFlags::ISOLATED;
            on.set(PortFlags::ISOLATED, isolated);
        }
        // A bridge that speaks the spanning tree protocol hears it before any table of nftables does.
        let stp = self.bridge.bridge.as_ref().is_some_and(|bridge| bridge.stp);
        if stp && desired.guard.is_some() {
            known |= PortFlags::GUARD;
            on |= PortFlags::GUARD;
        }
        (known, on)
    }

    /// What records the wanted MTU of the bridge, where that is missing.
    fn record_mtu(&self, facts: &VifSnapshot) -> Result<Option<Change>, ParseError> {
        let wanted = facts.bridge_mtu.wanted(self.bridge)?;
        Ok(BridgeMtu::record(self.bridge, wanted, self.explicit_mtu))
    }
}

/// Whether a bridge keeps frames to their VLAN.
pub(super) fn filters_vlans(bridge: &Link) -> bool {
    bridge.bridge.as_ref().is_some_and(|bridge| bridge.vlan_filtering)
}

/// The VLANs that a bridge puts a port into when it joins.
fn default_vlan(bridge: &Link) -> Vec<VlanRange> {
    let pvid = bridge.bridge.as_ref().and_then(|bridge| bridge.vlan_default_pvid);
    pvid.map(|pvid| VlanRange::new(pvid, true, true)).into_iter().collect()
}
