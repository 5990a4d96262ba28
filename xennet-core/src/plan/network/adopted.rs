//! A bridge that existed before xennet: what the host had on it belongs there, whatever happens to it.

use std::time::Duration;

use super::handover::{Handover, link_local, movable, same, with_recorded};
use super::neighbours::entered;
use super::record::{AdoptedBridge, BridgeRecord, NetworkRecord};
use super::routes::Routes;
use super::sysctls::{DISABLE_IPV6, FOLLOWING};
use super::{HostRecord, NetworkSnapshot};
use crate::plan::{BridgeConfig, Change, Plan};
use crate::types::{Address, IfName, Link, LinkRef, LinkSet, Sysctl};

impl AdoptedBridge {
    /// What creates it again.
    pub(super) fn config(&self, name: &IfName) -> BridgeConfig {
        let mut config = BridgeConfig::new(name.clone());
        config.settings = self.settings.clone();
        (config.mac, config.mtu) = (self.mac, self.mtu);
        config
    }
}

impl BridgeRecord {
    /// What the host had on a bridge that another program created, as far as it has not expired.
    pub(super) fn bridge_at(&self, now: Duration) -> HostRecord {
        if self.made {
            return HostRecord::default();
        }
        self.of_bridge.after(now.saturating_sub(self.at))
    }

    /// Whether the host used the bridge before the first start.
    pub(super) fn was_used(&self) -> bool {
        self.had(|_| true)
    }

    /// The same of IPv6.
    pub(super) fn used_ipv6(&self) -> bool {
        self.had(|address| address.address.addr().is_ipv6())
    }

    fn had(&self, which: impl Fn(&Address) -> bool) -> bool {
        let is_one = |address: &Address| !link_local(address) && which(address);
        !self.made && self.of_bridge.addresses.iter().any(is_one)
    }
}

impl NetworkRecord {
    /// Whether the uplink was a port of the bridge before the first start.
    pub(super) fn was_port(&self, bridge: &BridgeRecord) -> bool {
        let joined = |uplink: &IfName| {
            let is_master = |set: &LinkSet| matches!(set, LinkSet::Master(_));
            self.links.iter().any(|(name, was)| name == uplink && is_master(was))
        };
        !bridge.made && bridge.uplink.as_ref().is_some_and(|uplink| !joined(uplink))
    }
}

impl NetworkSnapshot {
    /// Whether a bridge that another program created, and that the host used, was deleted since: the host has no address
    /// on it that is not on record.
    pub(super) fn has_lost(&self, bridge: &BridgeRecord) -> bool {
        let identities = self.record.as_ref().map(|record| &record.identities);
        let identity = identities.and_then(|identities| identities.get(&bridge.name));
        let is_known = |one: &Address| {
            link_local(one) || bridge.of_bridge.addresses.iter().any(|other| same(one, other))
        };
        bridge.was_used()
            && self.link(&bridge.name).is_none_or(|link| {
                let is_new = identity.is_some_and(|identity| identity.index != link.index);
                is_new && link.bridge.is_some() && self.addresses(link).iter().all(is_known)
            })
    }
}

/// Creates a bridge again that another program created, as it was.
fn create(plan: &mut Plan, bridge: &BridgeRecord) {
    let config = bridge.adopted.as_ref().map(|adopted| adopted.config(&bridge.name));
    let config = config.unwrap_or_else(|| BridgeConfig::new(bridge.name.clone()));
    plan.changes.extend(config.make());
}

/// The kernel's settings of the bridge, as they were.
pub(super) fn settings(
    plan: &mut Plan,
    bridge: &BridgeRecord,
    seen: &NetworkSnapshot,
    which: impl Fn(&str) -> bool,
) {
    let name = &bridge.name;
    for (family, key) in FOLLOWING.into_iter().filter(|(_, key)| which(key)) {
        let was = bridge.of_bridge.setting(family, name, key);
        let (Some(value), Ok(sysctl)) = (was, Sysctl::link(family, name, key)) else { continue };
        match seen.link(name) {
            Some(_) => plan.sysctl(sysctl, value, seen.setting(family, name, key)),
            None if seen.of_new(family, key).is_some_and(|new| new != value) => {
                plan.push(Change::Sysctl { sysctl, value: value.to_owned(), was: None });
            }
            None => {}
        }
    }
}

/// Restores what the host had on a bridge that it used before the first start, and the bridge itself.
pub(super) fn restore(
    plan: &mut Plan,
    bridge: &BridgeRecord,
    record: &NetworkRecord,
    seen: &NetworkSnapshot,
) {
    let link = seen.link(&bridge.name);
    if !bridge.was_used() || link.is_some_and(|link| link.bridge.is_none()) {
        return;
    }
    let to = link.map_or(LinkRef { index: None, name: bridge.name.clone() }, Link::reference);
    let set_up = |plan: &mut Plan, link: &LinkRef, is_up: bool| {
        let was_down = (link.name.clone(), LinkSet::Up(false));
        plan.set(
            !is_up && !record.links.contains(&was_down),
            link,
            LinkSet::Up(true),
            LinkSet::Up(false),
        );
    };
    let port = bridge.uplink.as_ref().and_then(|uplink| seen.link(uplink));
    let port = port.filter(|_| record.was_port(bridge));
    if link.is_none() {
        create(plan, bridge);
    }
    // Without its port it is another bridge; the addresses on record need IPv6.
    let is_new = link.is_none_or(|link| port.is_some_and(|port| port.master != Some(link.index)));
    settings(plan, bridge, seen, |key| is_new || key == DISABLE_IPV6);
    if let Some(port) = port {
        set_up(plan, &port.reference(), port.up);
        let master = LinkSet::Master(Some(to.clone()));
        plan.set(port.master.is_none(), &port.reference(), master, LinkSet::Master(None));
    }
    set_up(plan, &to, link.is_some_and(|link| link.up));
    let hosts = to_bridge(plan, bridge, &to, port, seen);
    hosts.arrive(plan);
    hosts.reroute(plan);
    hosts.settle(plan);
    hosts.leave(plan);
}

/// What is on record, and what others gave the port since.
pub(super) fn to_bridge<'a>(
    plan: &Plan,
    bridge: &BridgeRecord,
    to: &LinkRef,
    port: Option<&Link>,
    seen: &'a NetworkSnapshot,
) -> Handover<'a> {
    let (record, kept) = (bridge.bridge_at(seen.now), &bridge.of_uplink);
    let is_new =
        |one: &&Address| !link_local(one) && !kept.addresses.iter().any(|other| same(one, other));
    let on_port = port.map_or(&[][..], |port| seen.addresses(port));
    let gone: Vec<Address> = on_port.iter().filter(is_new).cloned().collect();
    let there = seen.link(&to.name).map_or(&[][..], |link| seen.addresses(link));
    let addresses = with_recorded(movable(&gone), &record.addresses, there);
    let mut routes = Routes::new(seen, plan);
    let mut reroutes =
        port.map(|port| routes.moved(port, to, &kept.routes)).unwrap_or_default().reroutes;
    let from = port.map(Link::reference);
    let missing = routes.recorded(&record, &bridge.name, from.as_ref(), to);
    reroutes.extend(missing.into_iter().map(|route| routes.add(route)));
    Handover {
        seen,
        from: from.unwrap_or_else(|| to.clone()),
        to: to.clone(),
        addresses,
        gone,
        neighbours: entered(&[], &record.neighbours),
        recorded: record.addresses,
        routes: reroutes,
    }
}
