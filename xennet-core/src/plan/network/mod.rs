//! The host's side: bridges with the host's addresses, forwarding, and all of it given back.

mod adopted;
mod bond;
mod bridge;
mod following;
mod forwarding;
mod handover;
mod host_record;
mod hosts;
mod nat;
mod neighbours;
mod now;
mod on_link;
mod order;
mod policy;
mod predict;
mod record;
mod renamed;
mod rollback;
mod routes;
mod settings;
mod slaac;
mod stack;
mod stale;
mod static_route;
mod stop;
mod sysctls;
mod tunnel;
mod uplink;
mod vlan_link;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use host_record::HostRecord;
use nat::NatRules;
pub use nat::NatSnapshot;
pub use record::NetworkRecord;
use record::{BondRecord, BridgeRecord};
use renamed::Renamed;
pub use rollback::Gateway;

use super::filters::BRIDGE_NF;
use super::{Change, FilterSnapshot, HostRoute, HostWarning, Managed, Plan, PlanError, Warning};
use crate::config::{BridgePolicy, NetworkConfig, PortForward, Transport};
use crate::types::{
    Address, Family, IfName, Link, LinkRef, LinkRule, LinkSet, MacAddr, Neighbour, PolicyRule,
    Port, Route, Sysctl,
};

/// What there is of a host's network, as far as a plan for it depends on it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct NetworkSnapshot {
    /// Every interface.
    pub links: Vec<Link>,
    /// The addresses of the interfaces that are concerned, by index.
    pub addresses: BTreeMap<u32, Vec<Address>>,
    /// Their permanent neighbours and proxy entries, by index.
    pub neighbours: BTreeMap<u32, Vec<Neighbour>>,
    /// Every route that leaves by an interface.
    pub routes: Vec<HostRoute>,
    /// The settings of [`NetworkSnapshot::sysctls`], as far as this kernel has them.
    pub sysctls: BTreeMap<Sysctl, String>,
    /// An address of this machine's own for each bridge that is yet to be made.
    pub macs: BTreeMap<IfName, MacAddr>,
    /// The table that translates addresses.
    pub nat: NatSnapshot,
    /// The ports that programs of this host listen on; only looked at where there is a `[[nat]]`.
    pub listening: BTreeSet<(Transport, u16)>,
    /// Other people's filters that guests' packets may have to pass; only looked at where there is a `[[nat]]`.
    pub filters: FilterSnapshot,
    /// What the VXLAN ports that are in a bridge already are set to, by index.
    pub ports: BTreeMap<u32, Port>,
    /// Which interface has the address that a VXLAN port sends from.
    pub homes: BTreeMap<IpAddr, IfName>,
    /// The rules of the routing policy, in their order; only looked at where a plan may warn of them.
    pub policy_rules: Vec<PolicyRule>,
    /// The routes that drop packets, and those that end the look-up in their table.
    pub dead_ends: Vec<Route>,
    /// Rules of packet filters with a condition on an interface; only looked at where the host's addresses move.
    pub link_rules: Vec<LinkRule>,
    /// Interfaces that are concerned, and that others configure.
    pub managed: Vec<Managed>,
    /// What the host had before xennet changed it, under the names that interfaces have now; none if it has not.
    pub record: Option<NetworkRecord>,
    /// The interfaces on record that were renamed since.
    pub(crate) renamed: Renamed,
    /// The time since boot, by which the recorded leases expire.
    pub now: Duration,
}

impl NetworkSnapshot {
    /// The interfaces that a plan may change: those that the configuration names, and those that were changed before.
    pub fn concerned(config: &NetworkConfig, before: Option<&NetworkRecord>) -> Vec<IfName> {
        let bridges = config.all_bridges();
        let bridges =
            bridges.iter().flat_map(|bridge| [Some(&bridge.name), bridge.uplink.as_ref()]);
        let routed = config.routed.iter().map(|routed| Some(&routed.uplink));
        let stack = stack::concerned(config, before);
        let before = before.iter().flat_map(|before| &before.bridges);
        let before = before.flat_map(|bridge| [Some(&bridge.name), bridge.uplink.as_ref()]);
        let mut names: Vec<IfName> =
            bridges.chain(routed).chain(before).flatten().cloned().chain(stack).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The settings that a plan depends on. `learning` are the interfaces with routes that a router told.
    pub fn sysctls(concerned: &[IfName], learning: &[IfName]) -> Vec<Sysctl> {
        let keys = Self::keys;
        let of_link = |name: &IfName| {
            keys()
                .filter_map(|(family, key)| Sysctl::link(family, name, key).ok())
                .collect::<Vec<_>>()
        };
        let learning =
            learning.iter().filter_map(|name| Sysctl::link(Family::V6, name, "accept_ra").ok());
        let new = keys().filter_map(|(family, key)| Sysctl::default(family, key).ok());
        let mut all: Vec<Sysctl> = concerned.iter().flat_map(of_link).collect();
        all.extend(learning.chain(new).chain(forwarding::host()));
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The settings of an interface that a plan depends on.
    fn keys() -> impl Iterator<Item = (Family, &'static str)> {
        sysctls::FOLLOWING.into_iter().chain(forwarding::PROXY)
    }

    /// What makes the network as the configuration says. Nothing where it is so already.
    ///
    /// In this order, bridge by bridge: the bridge and its settings; the host's addresses on it as well; the uplink
    /// into it; routes, one replaced after the other; and only then the addresses off the uplink. So at every moment the
    /// host has its addresses and its routes, and connections stay.
    ///
    /// An error says what is wanted and cannot be.
    pub fn start(&self, config: &NetworkConfig) -> Result<Plan, PlanError> {
        let config = &*self.resolve(config);
        self.check_names(config)?;
        self.check_uplinks(config)?;
        hosts::check_kept(config, self)?;
        let mut plan = Plan::default();
        forwarding::accept_learning(&mut plan, config, self);
        let network = &*stack::start(&mut plan, config, self)?;
        for policy in &config.all_bridges() {
            bridge::start(&mut plan, policy, config, network)?;
        }
        forwarding::start(&mut plan, config, self)?;
        nat::start(&mut plan, config, self)?;
        policy::warn(&mut plan, config, self);
        stale::warn(&mut plan, config, self);
        self.warn(&mut plan, config);
        Ok(plan)
    }

    /// What gives back what [`start`](Self::start) took, and nothing else: whatever happened since, the host keeps the
    /// addresses and routes that it has, where they came from.
    ///
    /// A bridge that xennet made goes; with other ports than its uplink only by `force`. Without a record of what was
    /// before, `force` moves the host's addresses to the uplinks that the configuration names, and leaves the bridges.
    ///
    /// An error when guests are on a bridge that would go, and not `force`.
    pub fn stop(&self, config: &NetworkConfig, force: bool) -> Result<Plan, PlanError> {
        stop::plan(&self.resolve(config), self, force, false)
    }

    /// The record for [`stop`](Self::stop), with what a plan is about to change added to it.
    pub fn record_with(&self, config: &NetworkConfig, plan: &Plan) -> NetworkRecord {
        let mut record = self.record.clone().unwrap_or_default();
        let config = &*self.resolve(config);
        // A bridge takes what its uplink has once that is made.
        let stacked = stack::start(&mut Plan::default(), config, self);
        let stacked = stacked.as_deref().unwrap_or(self);
        record.add(config, plan, self, stacked);
        // What a start creates again is known by its new index when that start is done.
        let known = record.identities.clone();
        record.identify(&self.links);
        record.identities.extend(known);
        record
    }

    /// The bridges on record.
    pub(crate) fn known_bridges(&self) -> impl Iterator<Item = &BridgeRecord> {
        self.record.iter().flat_map(|record| &record.bridges)
    }

    /// The bonds on record.
    fn known_bonds(&self) -> impl Iterator<Item = &BondRecord> {
        self.record.iter().flat_map(|record| &record.bonds)
    }

    /// The record of a bridge.
    fn known(&self, bridge: &IfName) -> Option<&BridgeRecord> {
        self.known_bridges().find(|known| known.name == *bridge)
    }

    /// Whether the uplink of a bridge was a port of it before the first start.
    fn was_port(&self, bridge: &BridgeRecord) -> bool {
        self.record.as_ref().is_some_and(|record| record.was_port(bridge))
    }

    /// A recorded setting of an interface, of the kind that `which` chooses.
    fn recorded_setting(
        &self,
        link: &IfName,
        which: impl Fn(&LinkSet) -> bool,
    ) -> Option<&LinkSet> {
        let links = self.record.iter().flat_map(|record| &record.links);
        links.filter(|(name, _)| name == link).map(|(_, was)| was).find(|was| which(was))
    }

    /// Whether the host's addresses move to a bridge.
    pub(crate) fn has_moves(config: &NetworkConfig) -> bool {
        let moves = |policy: &BridgePolicy| policy.moves_addresses() && policy.has_uplink();
        config.bridges.iter().any(moves) || !config.bonds.is_empty()
    }

    /// The interface of this name.
    pub fn link(&self, name: &IfName) -> Option<&Link> {
        self.links.iter().find(|link| link.name == *name)
    }

    fn addresses(&self, link: &Link) -> &[Address] {
        self.addresses.get(&link.index).map_or(&[], Vec::as_slice)
    }

    fn neighbours(&self, link: &Link) -> &[Neighbour] {
        self.neighbours.get(&link.index).map_or(&[], Vec::as_slice)
    }

    fn routes<'a>(&'a self, link: &LinkRef) -> impl Iterator<Item = &'a HostRoute> {
        let link = link.clone();
        self.routes.iter().filter(move |route| route.leaves_by(&link))
    }

    fn ports<'a>(&'a self, bridge: &Link) -> impl Iterator<Item = &'a Link> {
        let index = bridge.index;
        self.links.iter().filter(move |link| link.master == Some(index))
    }

    /// What a setting of an interface is; none when it has no such setting.
    fn setting(&self, family: Family, link: &IfName, key: &str) -> Option<&str> {
        self.sysctls.get(&Sysctl::link(family, link, key).ok()?).map(String::as_str)
    }

    /// What a setting of the uplink was: as recorded with the bridge, or before xennet changed it.
    fn uplink_setting<'a>(
        &'a self,
        known: &'a BridgeRecord,
        family: Family,
        uplink: &IfName,
        key: &str,
    ) -> Option<&'a str> {
        let changed = || {
            let sysctl = Sysctl::link(family, uplink, key).ok()?;
            self.record.as_ref()?.sysctls.get(&sysctl).map(String::as_str)
        };
        known.of_uplink.setting(family, uplink, key).or_else(changed)
    }

    /// What a setting will be of an interface that is yet to be made.
    fn of_new(&self, family: Family, key: &str) -> Option<&str> {
        self.sysctls.get(&Sysctl::default(family, key).ok()?).map(String::as_str)
    }

    fn warn(&self, plan: &mut Plan, config: &NetworkConfig) {
        if plan.is_empty() {
            return;
        }
        let managed = self.managed.iter().cloned().map(HostWarning::Managed);
        plan.warnings.extend(managed.map(Warning::from));
        let wanted = config.all_bridges();
        for bond in self.known_bonds().filter(|bond| config.bond(&bond.name).is_none()) {
            plan.warn(HostWarning::Forgotten(bond.name.clone()));
        }
        for known in self.known_bridges() {
            if !wanted.iter().any(|policy| policy.name == known.name) {
                plan.warn(HostWarning::Forgotten(known.name.clone()));
            }
        }
        for nat in &config.nat {
            let missing = |name: &&IfName| self.link(name).is_none() && !config.makes(name);
            if let Some(uplink) = nat.uplink.as_ref().filter(missing) {
                plan.warn(HostWarning::NoWayOut { nat: nat.name.clone(), uplink: uplink.clone() });
            }
            for PortForward { protocol, port, .. } in &nat.forward {
                if self.listening.contains(&(*protocol, port.get())) {
                    plan.warn(HostWarning::PortInUse {
                        nat: nat.name.clone(),
                        protocol: *protocol,
                        port: port.get(),
                    });
                }
            }
            // Of a guest's own link, the plug of its vif tells.
            let filters = nat.bridge.iter().flat_map(|link| self.filters.routed_warnings(link));
            plan.warnings.extend(filters);
            if let Some(bridge) = &nat.bridge {
                let v4 = nat.forward.iter().any(|one| one.to.is_ipv4()) && self.filters.ipv4.on;
                let v6 = nat.forward.iter().any(|one| one.to.is_ipv6()) && self.filters.ipv6.on;
                for sysctl in [v4.then_some(BRIDGE_NF[0]), v6.then_some(BRIDGE_NF[1])] {
                    let warning =
                        |sysctl| HostWarning::NoHairpin { bridge: bridge.clone(), sysctl };
                    plan.warnings.extend(sysctl.map(warning).map(Warning::from));
                }
            }
        }
    }
}

impl Plan {
    /// Adds a setting, unless the interface has it.
    fn set(&mut self, needed: bool, link: &LinkRef, set: LinkSet, was: LinkSet) {
        if needed {
            self.push(Change::LinkSet { link: link.clone(), set, was });
        }
    }

    /// Adds a setting of the kernel's, unless it is so, or the kernel has none such.
    pub(super) fn sysctl(&mut self, sysctl: Sysctl, value: &str, now: Option<&str>) {
        if let Some(was) = now.filter(|now| *now != value) {
            self.push(Change::Sysctl {
                sysctl,
                value: value.to_owned(),
                was: Some(was.to_owned()),
            });
        }
    }
}

#[cfg(test)]
mod tests;
