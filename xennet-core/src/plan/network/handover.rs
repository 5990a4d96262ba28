//! The host's addresses and routes, from one interface to another, such that it has them at every moment.

use ipnet::IpNet;

use super::NetworkSnapshot;
use crate::plan::{Change, HostRoute, Plan, PlanError};
use crate::types::{
    AddrGenMode, Address, AddressFlags, Family, Link, LinkRef, LinkSet, Neighbour, Route,
    RouteKind, Scope, Sysctl,
};

/// The settings of an uplink that decide whether the host is reached through it, and how: its bridge has them too.
pub(super) const FOLLOWING: [(Family, &str); 13] = [
    (Family::V4, "arp_announce"),
    (Family::V4, "arp_ignore"),
    (Family::V4, "rp_filter"),
    (Family::V6, "accept_ra"),
    (Family::V6, "accept_ra_defrtr"),
    (Family::V6, "accept_ra_pinfo"),
    (Family::V6, "accept_ra_rt_info_max_plen"),
    (Family::V6, "accept_ra_rtr_pref"),
    (Family::V6, "accept_redirects"),
    (Family::V6, "autoconf"),
    (Family::V6, DISABLE_IPV6),
    (Family::V6, "ra_defrtr_metric"),
    (Family::V6, "use_tempaddr"),
];

pub(super) const DISABLE_IPV6: &str = "disable_ipv6";

/// From where the host's addresses and routes go, to where, and which.
#[derive(Debug)]
pub(super) struct Handover<'a> {
    pub(super) seen: &'a NetworkSnapshot,
    pub(super) from: LinkRef,
    pub(super) to: LinkRef,
    /// What the new interface shall have, in the order in which to add them.
    pub(super) addresses: Vec<Address>,
    /// What the old one shall lose.
    pub(super) gone: Vec<Address>,
    /// The routes as they are, and as they shall be.
    pub(super) routes: Vec<Reroute>,
    pub(super) neighbours: Vec<Neighbour>,
}

/// What becomes of one route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reroute {
    /// Another way to the same destination.
    Replace { was: HostRoute, route: HostRoute },
    /// One that only the kernel can make, from a router's advertisement, goes; where it is needed, `stand_in` serves on
    /// the new interface until the next one.
    Learn { was: HostRoute, stand_in: HostRoute, needed: bool },
    /// A new one.
    Add(HostRoute),
    /// One that goes.
    Delete(HostRoute),
}

impl Handover<'_> {
    /// The addresses, on the new interface as well.
    pub(super) fn arrive(&self, plan: &mut Plan) {
        for address in self.missing() {
            let (link, address) = (self.to.clone(), self.at_once(address));
            plan.push(Change::AddressAdd { link, address });
        }
    }

    /// The routes and neighbours, to the new interface.
    pub(super) fn reroute(&self, plan: &mut Plan) {
        // A router must be on a link that the host knows before a route can lead through it.
        let through = |reroute: &&Reroute| match reroute {
            Reroute::Replace { route, .. } | Reroute::Add(route) => route.via().is_some(),
            _ => true,
        };
        let direct = self.routes.iter().filter(|reroute| !through(reroute));
        for reroute in direct.chain(self.routes.iter().filter(through)) {
            match reroute {
                Reroute::Replace { was, route } => {
                    plan.push(Change::RouteReplace { route: route.clone(), was: was.clone() });
                }
                Reroute::Add(route) => plan.push(Change::RouteAdd { route: route.clone() }),
                Reroute::Learn { stand_in, needed: true, .. } => {
                    plan.push(Change::RouteAdd { route: stand_in.moved(&self.from, &self.to) });
                }
                Reroute::Learn { .. } | Reroute::Delete(_) => {}
            }
        }
        for Neighbour { address, mac, .. } in &self.neighbours {
            let known = self.seen.link(&self.to.name).map(|link| self.seen.neighbours(link));
            let known = known.is_some_and(|all| all.iter().any(|other| other.address == *address));
            if let (Some(mac), false) = (*mac, known) {
                let link = self.to.clone();
                plan.push(Change::NeighbourAdd { link, address: *address, mac });
            }
        }
    }

    /// Everything off the old interface.
    pub(super) fn leave(&self, plan: &mut Plan) {
        for reroute in &self.routes {
            match reroute {
                Reroute::Learn { was, stand_in, .. } => {
                    plan.push(Change::RouteDelete { route: was.clone(), again: stand_in.clone() });
                }
                Reroute::Delete(route) => {
                    plan.push(Change::RouteDelete { route: route.clone(), again: route.clone() });
                }
                _ => {}
            }
        }
        // If the bridge is deleted, the neighbours come from the record, and there is no other interface to delete them from.
        let moved = self.neighbours.iter().filter(|_| self.from != self.to);
        for Neighbour { address, mac, .. } in moved {
            if let Some(mac) = *mac {
                let link = self.from.clone();
                plan.push(Change::NeighbourDelete { link, address: *address, mac });
            }
        }
        // The last of a network first: with the first, IPv4 takes all others of it along. Undone, they come back in
        // their order; of IPv6's the newest is listed first.
        let (v4, v6): (Vec<_>, Vec<_>) =
            self.gone.iter().partition(|address| address.address.addr().is_ipv4());
        for address in v4.into_iter().rev().chain(v6) {
            let link = self.from.clone();
            plan.push(Change::AddressDelete { link, address: address.clone() });
        }
    }

    /// The addresses as they were in every respect: while the old ones still tell how that was.
    pub(super) fn settle(&self, plan: &mut Plan) {
        for address in &self.addresses {
            let there = self.there().iter().find(|other| same(address, other));
            let mut was = self.at_once(address);
            // From a time when this was as far as it came.
            if let Some(there) = there {
                was.flags = address.flags | there.flags & AddressFlags::NODAD;
            }
            if was != *address && self.gone.iter().any(|other| same(address, other)) {
                let (link, address) = (self.to.clone(), address.clone());
                plan.push(Change::AddressChange { link, address, was });
            }
        }
    }

    fn missing(&self) -> impl Iterator<Item = &Address> {
        let there = self.there();
        self.addresses.iter().filter(|address| !there.iter().any(|other| same(address, other)))
    }

    /// What the new interface has already.
    fn there(&self) -> &[Address] {
        self.seen.link(&self.to.name).map_or(&[], |link| self.seen.addresses(link))
    }

    /// An address that the host has already needs no probing for duplicates, during which it could not be used.
    fn at_once(&self, address: &Address) -> Address {
        let mut address = address.clone();
        let used = |other: &Address| {
            same(&address, other) && !other.flags.contains(AddressFlags::TENTATIVE)
        };
        if address.address.addr().is_ipv6() && self.gone.iter().any(used) {
            address.flags |= AddressFlags::NODAD;
        }
        address
    }
}

/// The addresses of an interface that another one can have, in the order in which to add them there.
pub(super) fn movable(addresses: &[Address]) -> Result<Vec<Address>, PlanError> {
    let usable = |address: &&Address| !address.flags.contains(AddressFlags::DADFAILED);
    let (v4, v6): (Vec<_>, Vec<_>) =
        addresses.iter().filter(usable).partition(|address| address.address.addr().is_ipv4());
    let mut all = Vec::new();
    // The newest of IPv6's is listed first.
    for address in v4.into_iter().chain(v6.into_iter().rev()) {
        if !address.unknown.is_empty() {
            return Err(PlanError::NotMovable { what: format!("address {address}") });
        }
        let mut address = address.clone();
        address.flags &= AddressFlags::SETTABLE;
        all.push(address);
    }
    Ok(all)
}

/// The same address of the same network, whatever its flags.
pub(super) fn same(one: &Address, other: &Address) -> bool {
    one.address == other.address && one.peer == other.peer
}

/// An IPv6 address that the host uses on one link only.
pub(super) fn link_local(address: &Address) -> bool {
    address.address.addr().is_ipv6() && address.scope == Scope::LINK
}

/// What becomes of the routes by `from` when all goes to `to`.
pub(super) fn reroutes(
    seen: &NetworkSnapshot,
    from: &Link,
    to: &LinkRef,
    kept: &[HostRoute],
) -> Result<Vec<Reroute>, PlanError> {
    let mut all = Vec::new();
    let reference = from.reference();
    let mine = seen.routes(&reference).filter(|route| {
        !made_by_kernel(&route.route, seen.addresses(from)) && !kept.contains(route)
    });
    for was in mine {
        if !was.route.unknown.is_empty() {
            return Err(PlanError::NotMovable { what: format!("route {was}") });
        }
        if is_learnt(seen, from, &was.route) {
            all.push(learn(seen, &all, &reference, was));
            continue;
        }
        // Replacing one of two that are alike could replace the other.
        if seen.routes.iter().filter(|other| other.key() == was.key()).count() > 1 {
            return Err(PlanError::NotMovable { what: format!("route {was} (one of several)") });
        }
        all.push(Reroute::Replace { was: was.clone(), route: was.moved(&reference, to) });
    }
    Ok(all)
}

/// Whether the kernel makes this route by itself for the interface's addresses.
pub(super) fn made_by_kernel(route: &Route, addresses: &[Address]) -> bool {
    if route.protocol != KERNEL {
        return false;
    }
    // Host's own and broadcast addresses, and multicast.
    if route.table == LOCAL || route.kind != RouteKind::Unicast {
        return true;
    }
    addresses.iter().any(|address| {
        let net = match address.peer {
            Some(peer) => IpNet::new(peer, address.address.prefix_len()).unwrap_or(address.address),
            None => address.address,
        };
        let default = if net.addr().is_ipv6() { Some(256) } else { None };
        !address.flags.contains(AddressFlags::NOPREFIXROUTE)
            && net.trunc() == route.destination.trunc()
            && address.metric.or(default) == route.metric
            && route.hops.iter().all(|hop| hop.via.is_none())
    })
}

/// Whether the kernel made this route from a router's advertisement.
pub(super) fn is_learnt(seen: &NetworkSnapshot, link: &Link, route: &Route) -> bool {
    let listens = seen.setting(Family::V6, &link.name, "accept_ra").is_some_and(|set| set != "0");
    route.protocol == ADVERTISED && route.destination.addr().is_ipv6() && listens
}

/// Only the kernel can make a route that it will take back and refresh itself: with one like it in its way, it stops
/// reading the router's advertisements at the default route, before the addresses. So the stand-in has a metric of its
/// own, next to it, and expires as it would have.
fn learn(seen: &NetworkSnapshot, before: &[Reroute], from: &LinkRef, was: &HostRoute) -> Reroute {
    let planned = before.iter().filter_map(|reroute| match reroute {
        Reroute::Learn { stand_in, .. } => Some(stand_in.clone()),
        _ => None,
    });
    let stand_in = stand_in(seen, &planned.collect::<Vec<_>>(), was);
    // One from the last time moves along.
    let needed = !has_stand_in(seen, from, was);
    Reroute::Learn { was: was.clone(), stand_in, needed }
}

/// Whether an interface has a route that serves in place of a learnt one.
pub(super) fn has_stand_in(seen: &NetworkSnapshot, link: &LinkRef, learnt: &HostRoute) -> bool {
    seen.routes(link).any(|other| {
        let Route { destination, protocol, expires, .. } = &other.route;
        *destination == learnt.route.destination
            && *protocol == STATIC
            && expires.is_some()
            && other.via() == learnt.via()
    })
}

/// A route that serves until the kernel hears from the router again, with a metric that no other has.
pub(super) fn stand_in(
    seen: &NetworkSnapshot,
    planned: &[HostRoute],
    learnt: &HostRoute,
) -> HostRoute {
    let mut route = learnt.clone();
    route.route.protocol = STATIC;
    route.route.expires = learnt.route.expires.or(Some(LONGEST));
    let mut metric = learnt.route.metric.unwrap_or(1024);
    loop {
        metric = metric.saturating_add(1);
        route.route.metric = Some(metric);
        let taken = seen.routes.iter().chain(planned).any(|other| other.key() == route.key());
        if !taken || metric == u32::MAX {
            return route;
        }
    }
}

const LOCAL: u32 = 255;
const KERNEL: u8 = 2;
pub(super) const STATIC: u8 = 4;
const ADVERTISED: u8 = 9;
/// Seconds after which a stand-in goes in any case: how long a router is usually believed.
const LONGEST: u32 = 1800;

/// Neighbours that somebody entered.
pub(super) fn entered(neighbours: &[Neighbour]) -> Vec<Neighbour> {
    neighbours
        .iter()
        .filter(|neighbour| neighbour.permanent && neighbour.mac.is_some())
        .cloned()
        .collect()
}

/// That the uplink makes itself no IPv6 address again, and what gives that back.
pub(super) fn silence(plan: &mut Plan, seen: &NetworkSnapshot, link: &Link) {
    let (reference, none) = (link.reference(), AddrGenMode::None);
    if let Some(was) = link.addr_gen_mode.filter(|mode| *mode != none) {
        plan.set(true, &reference, LinkSet::AddrGenMode(none), LinkSet::AddrGenMode(was));
    }
    if let Ok(sysctl) = Sysctl::link(Family::V6, &link.name, DISABLE_IPV6) {
        plan.sysctl(sysctl, "1", seen.setting(Family::V6, &link.name, DISABLE_IPV6));
    }
}
