//! One bond of the configuration: created or adopted with its ports, and restored by `stop`.

use super::HostRecord;
use super::NetworkSnapshot;
use super::following;
use super::handover::{Handover, all_movable, link_local, movable, same, with_recorded};
use super::neighbours::entered;
use super::record::BondRecord;
use super::routes::{Moves, Reroute, Routes, made_by_kernel};
use super::settings::{Settings, restore};
use super::sysctls::{DISABLE_IPV6, FOLLOWING};
use crate::config::{BondPolicy, NetworkConfig};
use crate::plan::{BondError, Change, HostRoute, HostWarning, Plan, PlanError};
use crate::types::{
    AddrGenMode, Address, BondInfo, BondSet, BondSpec, Family, IfName, Link, LinkKind, LinkRef,
    LinkSet, Mtu, Sysctl,
};

/// Milliseconds between two looks at the carrier of each port, unless the configuration says otherwise. The kernel's
/// own default, 0, notices no failure.
const MIIMON: u32 = 100;

/// What makes a bond as the configuration says. The addresses and routes of a port move to it before the port joins.
pub(super) fn start(
    plan: &mut Plan,
    policy: &BondPolicy,
    config: &NetworkConfig,
    seen: &NetworkSnapshot,
) -> Result<(), PlanError> {
    let link = seen.link(&policy.name);
    let ports = ports(plan, policy, link, seen)?;
    let home = home(policy, &ports, seen)?;
    let bond = if let Some(link) = link {
        adopt(plan, policy, link, config, seen)?;
        link.reference()
    } else {
        create(plan, policy, &ports, home, config, seen)
    };
    let is_in = |port: &Link| link.is_some_and(|link| port.master == Some(link.index));
    let is_home = |port: &Link| home.is_some_and(|home| home.index == port.index);
    // The bond has a carrier before the port that the host is reached by leaves the network.
    for port in ports.iter().filter(|port| !is_in(port) && !is_home(port)) {
        join(plan, port, &bond);
    }
    plan.set(!link.is_some_and(|link| link.up), &bond, LinkSet::Up(true), LinkSet::Up(false));
    let hosts = to_bond(plan, home, &bond, recorded(policy, config, seen), seen)?;
    hosts.arrive(plan);
    hosts.reroute(plan);
    hosts.settle(plan);
    hosts.leave(plan);
    if let Some(home) = home.filter(|home| !is_in(home)) {
        join(plan, home, &bond);
    }
    for port in ports.iter().filter(|port| is_in(port)) {
        plan.set(!port.up, &port.reference(), LinkSet::Up(true), LinkSet::Up(false));
    }
    // The kernel accepts only a port of the bond.
    if let Some(primary) = policy.primary.as_ref().and_then(|name| seen.link(name)) {
        let info = link.and_then(|link| link.bond.as_ref());
        let now = info.and_then(|info| info.primary);
        let was = seen.links.iter().find(|link| Some(link.index) == now).map(Link::reference);
        let set = |port| LinkSet::Bond(BondSet::Primary(port));
        let wanted = set(Some(primary.reference()));
        plan.set(now != Some(primary.index), &bond, wanted, set(was));
    }
    Ok(())
}

/// A new bond has the address of the port that the host is reached by, and the settings of that port.
fn create(
    plan: &mut Plan,
    policy: &BondPolicy,
    ports: &[&Link],
    home: Option<&Link>,
    config: &NetworkConfig,
    seen: &NetworkSnapshot,
) -> LinkRef {
    let mtu = config.needed_mtu(&policy.name);
    let smallest = || ports.iter().map(|port| port.mtu).min();
    plan.push(Change::LinkAdd {
        name: policy.name.clone(),
        kind: LinkKind::Bond(BondSpec {
            mode: policy.mode,
            miimon: policy.miimon.unwrap_or(MIIMON),
            lacp_rate: policy.lacp_rate,
            xmit_hash_policy: policy.xmit_hash_policy,
        }),
        mac: home.or(ports.first().copied()).and_then(|port| port.mac),
        mtu: mtu.or_else(|| Mtu::new(smallest()?).ok()),
    });
    let bond = LinkRef { index: None, name: policy.name.clone() };
    if let Some(home) = home {
        follow(plan, &bond, home, config, seen);
    }
    bond
}

/// The ports that exist; an error if none does, or if one cannot be a port.
fn ports<'a>(
    plan: &mut Plan,
    policy: &BondPolicy,
    bond: Option<&Link>,
    seen: &'a NetworkSnapshot,
) -> Result<Vec<&'a Link>, PlanError> {
    let name = || policy.name.clone();
    let mut ports = Vec::new();
    for port in &policy.ports {
        let Some(link) = seen.link(port) else {
            plan.warn(HostWarning::BondPortMissing { bond: name(), port: port.clone() });
            continue;
        };
        ports.push(link);
        if bond.is_some_and(|bond| link.master == Some(bond.index)) {
            continue;
        }
        let (bond, port) = (name(), port.clone());
        if let Some(master) = seen.links.iter().find(|one| link.master == Some(one.index)) {
            let master = master.name.clone();
            return Err(BondError::PortTaken { bond, port, master }.into());
        }
        let above = |one: &&Link| one.vlan.is_some() && one.lower == Some(link.index);
        if let Some(vlan) = seen.links.iter().find(above) {
            let vlan = vlan.name.clone();
            return Err(BondError::PortHasVlan { bond, port, vlan }.into());
        }
    }
    if ports.is_empty() {
        return Err(BondError::NoPorts { bond: name(), ports: policy.ports.clone() }.into());
    }
    Ok(ports)
}

/// The port that has addresses or routes of the host, if one has.
fn home<'a>(
    policy: &BondPolicy,
    ports: &[&'a Link],
    seen: &NetworkSnapshot,
) -> Result<Option<&'a Link>, PlanError> {
    let mut homes = ports.iter().copied().filter(|port| seen.is_used(port));
    let (first, second) = (homes.next(), homes.next());
    if let (Some(first), Some(second)) = (first, second) {
        let ports = vec![first.name.clone(), second.name.clone()];
        return Err(BondError::SeveralHomes { bond: policy.name.clone(), ports }.into());
    }
    Ok(first)
}

/// What the configuration says of a bond that exists: nothing else is changed.
fn adopt(
    plan: &mut Plan,
    policy: &BondPolicy,
    link: &Link,
    config: &NetworkConfig,
    seen: &NetworkSnapshot,
) -> Result<(), PlanError> {
    let name = policy.name.clone();
    let Some(now) = &link.bond else {
        let kind = crate::plan::vif::describe(link);
        return Err(BondError::NotABond { name, kind }.into());
    };
    if let Some(setting) = fixed_difference(policy, now) {
        let made = seen.known_bonds().any(|known| known.made && known.name == name);
        return Err(BondError::Differs { name, setting, made }.into());
    }
    let reference = link.reference();
    let mut set = |wanted: Option<BondSet>, was: Option<BondSet>| {
        if let (Some(wanted), Some(was)) = (wanted, was) {
            plan.set(wanted != was, &reference, LinkSet::Bond(wanted), LinkSet::Bond(was));
        }
    };
    set(policy.miimon.map(BondSet::Miimon), Some(BondSet::Miimon(now.miimon)));
    let hash = |policy: Option<_>| policy.map(BondSet::XmitHashPolicy);
    set(hash(policy.xmit_hash_policy), hash(now.xmit_hash_policy));
    let differs = |mtu: &Mtu| match policy.mtu {
        Some(_) => mtu.bytes() != link.mtu,
        None => mtu.bytes() > link.mtu,
    };
    if let Some(mtu) = config.needed_mtu(&name).filter(differs) {
        plan.set(true, &reference, LinkSet::Mtu(mtu), LinkSet::Mtu(Mtu::new(link.mtu)?));
    }
    Ok(())
}

/// What the kernel does not change while the bond is up or has ports, in the words of `ip link`.
fn fixed_difference(policy: &BondPolicy, now: &BondInfo) -> Option<String> {
    if now.mode != Some(policy.mode) {
        return Some(now.mode.map_or("another mode".to_owned(), |mode| format!("mode {mode}")));
    }
    let rate = now.lacp_rate.filter(|rate| policy.lacp_rate.is_some_and(|wanted| wanted != *rate));
    rate.map(|rate| format!("lacp_rate {rate}"))
}

fn follow(
    plan: &mut Plan,
    bond: &LinkRef,
    home: &Link,
    config: &NetworkConfig,
    seen: &NetworkSnapshot,
) {
    for setting @ (family, key) in FOLLOWING {
        let value = seen.setting(family, &home.name, key).and_then(|value| {
            following::value(config, seen, (&home.name, &bond.name), setting, value)
        });
        let (Some(value), Some(default)) = (value, seen.of_new(family, key)) else { continue };
        if let (Ok(sysctl), true) = (Sysctl::link(family, &bond.name, key), value != default) {
            plan.push(Change::Sysctl { sysctl, value: value.to_owned(), was: None });
        }
    }
    let mode = LinkSet::AddrGenMode;
    let other = home.addr_gen_mode.is_some_and(|mode| mode != AddrGenMode::Eui64);
    plan.set(other, bond, mode(AddrGenMode::None), mode(AddrGenMode::Eui64));
}

/// A port joins a bond only while it is down, and the bond sets it up.
fn join(plan: &mut Plan, port: &Link, bond: &LinkRef) {
    let reference = port.reference();
    plan.set(port.up, &reference, LinkSet::Up(false), LinkSet::Up(true));
    plan.set(true, &reference, LinkSet::Master(Some(bond.clone())), LinkSet::Master(None));
}

/// What the record says of a bond that keeps what it got: no bridge takes it.
fn recorded<'a>(
    policy: &BondPolicy,
    config: &NetworkConfig,
    seen: &'a NetworkSnapshot,
) -> Option<&'a BondRecord> {
    let takes = |uplink: Option<&IfName>| uplink == Some(&policy.name);
    let mut bridges = config.bridges.iter().filter(|bridge| bridge.moves_addresses());
    if bridges.any(|bridge| takes(bridge.uplink.as_ref())) {
        return None;
    }
    seen.known_bonds().find(|known| known.name == policy.name && known.home.is_some())
}

/// The addresses and routes of a port, and those on record, to the bond.
fn to_bond<'a>(
    plan: &Plan,
    home: Option<&Link>,
    bond: &LinkRef,
    known: Option<&BondRecord>,
    seen: &'a NetworkSnapshot,
) -> Result<Handover<'a>, PlanError> {
    let record = known.map(|known| known.home_at(seen.now)).unwrap_or_default();
    let gone = home.map_or(&[][..], |home| seen.addresses(home)).to_vec();
    let there = seen.link(&bond.name).map_or(&[][..], |link| seen.addresses(link));
    let mut addresses = with_recorded(all_movable(&gone)?, &record.addresses, there);
    let mut routes = Routes::new(seen, plan);
    let moves = home.map(|home| routes.moved(home, bond, &[])).unwrap_or_default();
    let mut reroutes = moves.all()?;
    let from = home.map(Link::reference);
    if let Some(name) = known.and_then(|known| known.home.as_ref()) {
        let missing = routes.recorded(&record, name, from.as_ref(), bond);
        reroutes.extend(missing.into_iter().map(|route| routes.add(route)));
    }
    if seen.setting(Family::V6, &bond.name, DISABLE_IPV6).is_some_and(|set| set != "0") {
        addresses.retain(|address| address.address.addr().is_ipv4());
        reroutes = reroutes.into_iter().filter_map(only_ipv4).collect();
    }
    let neighbours = home.map_or(&[][..], |home| seen.neighbours(home));
    let neighbours = entered(neighbours, &record.neighbours);
    let from = from.unwrap_or_else(|| bond.clone());
    let (to, recorded) = (bond.clone(), record.addresses);
    Ok(Handover { seen, from, to, addresses, gone, recorded, routes: reroutes, neighbours })
}

/// A route of IPv6 goes where its new interface has no IPv6.
fn only_ipv4(reroute: Reroute) -> Option<Reroute> {
    let is_v6 = |route: &HostRoute| route.route.destination.addr().is_ipv6();
    match reroute {
        Reroute::Replace { was, .. } if is_v6(&was) => Some(Reroute::Delete(was)),
        Reroute::Add(route) | Reroute::Insert { route, .. } if is_v6(&route) => None,
        Reroute::Learn { was, stand_in, .. } => {
            Some(Reroute::Learn { was, stand_in, needed: false })
        }
        other => Some(other),
    }
}

/// What gives a bond's ports back, with the addresses and routes of the host.
pub(super) fn stop(
    plan: &mut Plan,
    bond: &BondRecord,
    settings: &Settings,
    seen: &NetworkSnapshot,
) {
    let link = seen.link(&bond.name);
    let exists = |name| seen.link(name);
    let home = bond.home.as_ref().and_then(exists).or_else(|| bond.ports.iter().find_map(exists));
    if let Some(home) = home {
        release(plan, home, link, settings);
        let hosts = to_home(plan, home, link, bond, seen);
        hosts.arrive(plan);
        hosts.reroute(plan);
        hosts.settle(plan);
        // A bond that goes takes along what is on it.
        if !bond.made {
            hosts.leave(plan);
        }
    }
    let is_home = |port: &Link| home.is_some_and(|home| home.index == port.index);
    for port in bond.ports.iter().filter_map(exists).filter(|port| !is_home(port)) {
        release(plan, port, link, settings);
    }
    match link {
        Some(link) if bond.made => plan.push(Change::LinkDelete { link: link.reference() }),
        Some(link) => {
            keep(plan, link, &bond.of_bond, seen);
            restore(plan, settings, seen, link);
        }
        None => {}
    }
}

/// A bond that existed has what it had, as far as that has no end.
fn keep(plan: &mut Plan, link: &Link, had: &HostRecord, seen: &NetworkSnapshot) {
    let to = link.reference();
    for address in movable(&had.addresses).into_iter().filter(|one| one.valid.is_none()) {
        if !link_local(&address) && !seen.addresses(link).iter().any(|one| same(one, &address)) {
            plan.push(Change::AddressAdd { link: to.clone(), address });
        }
    }
    let own = had.routes.iter().filter(|route| {
        !made_by_kernel(&route.route, &had.addresses) && route.route.expires.is_none()
    });
    for route in own.filter(|route| !seen.routes.iter().any(|other| other.key() == route.key())) {
        plan.push(Change::RouteAdd { route: route.clone() });
    }
}

/// A port leaves its bond, and is up if it was. The kernel sets it down, and restores its address and MTU.
fn release(plan: &mut Plan, port: &Link, bond: Option<&Link>, settings: &Settings) {
    let reference = port.reference();
    let bond = bond.filter(|bond| port.master == Some(bond.index));
    if let Some(bond) = bond {
        let was = LinkSet::Master(Some(bond.reference()));
        plan.set(true, &reference, LinkSet::Master(None), was);
    }
    let up = (port.name.clone(), LinkSet::Up(true));
    let is_down = bond.is_some() || !port.up && port.master.is_none();
    plan.set(is_down && settings.contains(&up), &reference, up.1, LinkSet::Up(false));
}

/// What the host has on a bond, and had on its port, to that port.
fn to_home<'a>(
    plan: &mut Plan,
    home: &Link,
    link: Option<&Link>,
    bond: &BondRecord,
    seen: &'a NetworkSnapshot,
) -> Handover<'a> {
    let (kept, to, record) = (&bond.of_bond, home.reference(), bond.home_at(seen.now));
    let is_in = |all: &[Address], one: &Address| all.iter().any(|other| same(one, other));
    let mut gone: Vec<Address> = link.map_or(&[][..], |link| seen.addresses(link)).to_vec();
    // The bond made its own link-local address itself.
    gone.retain(|one| !is_in(&kept.addresses, one));
    gone.retain(|one| !link_local(one) || is_in(&record.addresses, one));
    let mut routes = Routes::new(seen, plan);
    let moves = link.map(|link| routes.moved(link, &to, &kept.routes)).unwrap_or_default();
    let Moves { mut reroutes, unmovable } = moves;
    for what in unmovable {
        let why = format!("route {what}: it has properties that xennet cannot copy");
        plan.warn(HostWarning::NotRestored { why });
    }
    let from = link.map(Link::reference);
    let missing = routes.recorded(&record, &home.name, from.as_ref(), &to);
    reroutes.extend(missing.into_iter().map(|route| routes.add(route)));
    let mut addresses = with_recorded(movable(&gone), &record.addresses, seen.addresses(home));
    if seen.setting(Family::V6, &home.name, DISABLE_IPV6).is_some_and(|set| set != "0") {
        addresses.retain(|address| address.address.addr().is_ipv4());
        reroutes = reroutes.into_iter().filter_map(only_ipv4).collect();
    }
    let mut neighbours = link.map_or(&[][..], |link| seen.neighbours(link)).to_vec();
    neighbours.retain(|neighbour| !kept.neighbours.contains(neighbour));
    let neighbours = entered(&neighbours, &record.neighbours);
    let (from, recorded) = (from.unwrap_or_else(|| to.clone()), record.addresses);
    Handover { seen, from, to, addresses, gone, recorded, routes: reroutes, neighbours }
}

impl NetworkSnapshot {
    /// Whether the host has an address on an interface, or a route by it, that the kernel does not create itself.
    pub(super) fn is_used(&self, link: &Link) -> bool {
        let addresses = self.addresses(link);
        let reference = link.reference();
        addresses.iter().any(|address| !link_local(address))
            || self.routes(&reference).any(|route| !made_by_kernel(&route.route, addresses))
    }
}
