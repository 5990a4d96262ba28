//! What becomes of the host's routes when its addresses move from one interface to another.

use std::collections::{HashMap, HashSet};

use ipnet::IpNet;

use super::{HostRecord, NetworkSnapshot};
use crate::plan::route::RouteKey;
use crate::plan::{Change, HostRoute, Plan, PlanError};
use crate::types::{
    Address, AddressFlags, Family, IfName, Link, LinkRef, NextHop, Route, RouteKind,
};

/// What becomes of one route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reroute {
    /// Another way to the same destination.
    Replace { was: HostRoute, route: HostRoute },
    /// A route that only the kernel can make, from a router advertisement, goes. Where it is needed, `stand_in` serves on
    /// the new interface until the next advertisement.
    Learn { was: HostRoute, stand_in: HostRoute, needed: bool },
    /// A new route.
    Add(HostRoute),
    /// A new route beside others with the same key: before them, or after them.
    Insert { route: HostRoute, first: bool },
    /// A route that goes.
    Delete(HostRoute),
}

/// The routes of the host by what the kernel tells them apart, and those of the plan so far.
pub(super) struct Routes<'a> {
    seen: &'a NetworkSnapshot,
    by_key: HashMap<RouteKey, Vec<&'a HostRoute>>,
    planned: HashSet<RouteKey>,
}

/// Routes of one interface that go to another one.
#[derive(Debug, Default)]
pub(super) struct Moves {
    pub(super) reroutes: Vec<Reroute>,
    /// Routes that cannot be made again as they are.
    pub(super) unmovable: Vec<HostRoute>,
}

impl Moves {
    /// What becomes of the routes; an error if one of them cannot move.
    pub(super) fn all(self) -> Result<Vec<Reroute>, PlanError> {
        let Some(route) = self.unmovable.first() else { return Ok(self.reroutes) };
        let why = match route.route.nexthop {
            Some(_) => "uses a nexthop object",
            None => "has unknown properties",
        };
        Err(PlanError::NotMovable { what: format!("route {route}"), why })
    }
}

impl<'a> Routes<'a> {
    pub(super) fn new(seen: &'a NetworkSnapshot, plan: &Plan) -> Self {
        let mut by_key: HashMap<RouteKey, Vec<&HostRoute>> = HashMap::new();
        for route in &seen.routes {
            by_key.entry(route.key()).or_default().push(route);
        }
        let planned = plan.changes().iter().filter_map(|change| match change {
            Change::RouteAdd { route } | Change::RouteInsert { route, .. } => Some(route.key()),
            _ => None,
        });
        Self { seen, by_key, planned: planned.collect() }
    }

    /// The routes by `from`, but for the `kept` ones, when all goes to `to`.
    pub(super) fn moved(&mut self, from: &Link, to: &LinkRef, kept: &[HostRoute]) -> Moves {
        let (seen, reference) = (self.seen, from.reference());
        let mut moves = Moves::default();
        let mut by_key: HashMap<RouteKey, Vec<&HostRoute>> = HashMap::new();
        for route in kept {
            by_key.entry(route.key()).or_default().push(route);
        }
        let is_kept = |route: &HostRoute| {
            by_key.get(&route.key()).is_some_and(|kept| kept.iter().any(|one| one.leads_as(route)))
        };
        let own = seen
            .routes(&reference)
            .filter(|route| !made_by_kernel(&route.route, seen.addresses(from)) && !is_kept(route));
        for was in own {
            // A nexthop object belongs to its interface, and other routes may use it.
            if !was.route.unknown.is_empty() || was.route.nexthop.is_some() {
                moves.unmovable.push(was.clone());
            } else if is_learnt(seen, from, &was.route) {
                // One from the last time moves along.
                let needed =
                    !has_stand_in(seen, &reference, was) && !has_learnt(seen, to, &was.route);
                let stand_in = self.stand_in(was, to);
                moves.reroutes.push(Reroute::Learn { was: was.clone(), stand_in, needed });
            } else if is_stand_in(&was.route) && has_learnt(seen, to, &was.route) {
                moves.reroutes.push(Reroute::Delete(was.clone()));
            } else {
                let mut route = was.moved(&reference, to);
                if is_stand_in(&was.route) && is_routers(seen, &reference, &was.route) {
                    shorten(seen, &mut route.route, to);
                }
                self.reroute(was, route, &mut moves.reroutes);
            }
        }
        moves
    }

    /// From one route to another one with the same key.
    fn reroute(&self, was: &HostRoute, route: HostRoute, reroutes: &mut Vec<Reroute>) {
        let twins = self.twins(&route);
        match twins.as_slice() {
            [] | [_] => reroutes.push(Reroute::Replace { was: was.clone(), route }),
            twins if twins.iter().any(|other| other.leads_as(&route)) => {
                reroutes.push(Reroute::Delete(was.clone()));
            }
            // To replace one of several could replace another one.
            twins => {
                let first = twins.first() == Some(&was);
                reroutes.push(Reroute::Insert { route, first });
                reroutes.push(Reroute::Delete(was.clone()));
            }
        }
    }

    /// The routes with the same key: among them the kernel chooses by their order. Routes that it learnt from a router have
    /// an order of their own.
    pub(super) fn twins(&self, route: &HostRoute) -> Vec<&'a HostRoute> {
        let all = self.by_key.get(&route.key()).into_iter().flatten();
        all.filter(|other| other.route.protocol != ADVERTISED).copied().collect()
    }

    /// The recorded routes of `uplink`, on `to`, as far as they are missing there and do not come from `from`.
    pub(super) fn recorded(
        &mut self,
        record: &HostRecord,
        uplink: &IfName,
        from: Option<&LinkRef>,
        to: &LinkRef,
    ) -> Vec<HostRoute> {
        // With an address that is added, the kernel makes the route to its network. If only the route is missing, it does
        // not; but it makes the route to a peer later.
        let there = self.seen.link(&to.name).map_or(&[][..], |link| self.seen.addresses(link));
        let is_new = |address: &&Address| {
            address.peer.is_some() || !there.iter().any(|other| other.address == address.address)
        };
        let new: Vec<Address> = record.addresses.iter().filter(is_new).cloned().collect();
        let own = record.routes.iter().filter(|route| {
            !made_by_kernel(&route.route, &new)
                && route.route.unknown.is_empty()
                && route.route.nexthop.is_none()
        });
        let own: Vec<HostRoute> = own.filter_map(|route| self.on(route, uplink, to)).collect();
        let mut by_key: HashMap<RouteKey, Vec<&HostRoute>> = HashMap::new();
        for route in &own {
            by_key.entry(route.key()).or_default().push(route);
        }
        let mut wanted = Vec::new();
        for route in &own {
            let mut route = route.clone();
            if route.route.protocol == ADVERTISED && route.route.destination.addr().is_ipv6() {
                let there = |one: &HostRoute| {
                    let (one, route) = (&one.route, &route.route);
                    (one.protocol, one.destination) == (route.protocol, route.destination)
                };
                let mut links = from.into_iter().chain([to]);
                if links.any(|link| {
                    has_stand_in(self.seen, link, &route) || self.seen.routes(link).any(there)
                }) {
                    continue;
                }
                route = self.stand_in(&route, to);
            }
            let by_from = |other: &HostRoute| from.filter(|from| other.leaves_by(from));
            let mut there = self.twins(&route);
            there.retain(|other| other.leaves_by(to) || by_from(other).is_some());
            let is = |other: &HostRoute, one: &HostRoute| match by_from(other) {
                Some(from) => other.moved(from, to).leads_as(one),
                None => other.leads_as(one),
            };
            let has = |one: &HostRoute| there.iter().any(|other| is(other, one));
            // Another route in its place is an administrator's, unless it is another one on record.
            let twins = by_key.get(&route.key()).map_or(&[][..], Vec::as_slice);
            let is_known = |other: &&HostRoute| twins.iter().any(|one| is(other, one));
            if has(&route) || !there.iter().all(is_known) {
                continue;
            }
            if twins.iter().take_while(|one| !one.leads_as(&route)).any(|one| has(one)) {
                // Behind those that are before it on record.
                self.planned.insert(route.key());
            }
            wanted.push(route);
        }
        wanted
    }

    /// Whether the plan adds a route with the same key.
    pub(super) fn is_planned(&self, route: &HostRoute) -> bool {
        self.planned.contains(&route.key())
    }

    /// A new route, whatever other interfaces have.
    pub(super) fn add(&mut self, route: HostRoute) -> Reroute {
        // Several of the host's own keep their order.
        let is_first = self.planned.insert(route.key());
        // The kernel refuses to add one even beside a route that it learnt from a router.
        if is_first && !self.by_key.contains_key(&route.key()) {
            return Reroute::Add(route);
        }
        Reroute::Insert { route, first: is_first }
    }

    /// A recorded route on `to` instead of the uplink, with the indices that its interfaces have now.
    fn on(&self, route: &HostRoute, uplink: &IfName, to: &LinkRef) -> Option<HostRoute> {
        let links = route.links.iter().map(|link| {
            if link.name == *uplink {
                return Some(to.clone());
            }
            self.seen.link(&link.name).map(Link::reference)
        });
        Some(HostRoute { route: route.route.clone(), links: links.collect::<Option<_>>()? })
    }

    /// A route that serves until the kernel hears from the router again.
    ///
    /// Only the kernel can make a route that it will refresh. With one like it in its way, it stops reading the
    /// advertisement at the default route, before the addresses. So the stand-in has a metric that no other route has, and
    /// expires as the learnt one would have.
    fn stand_in(&mut self, learnt: &HostRoute, to: &LinkRef) -> HostRoute {
        let mut route = learnt.clone();
        route.route.protocol = STATIC;
        route.route.expires = learnt.route.expires.or(Some(LONGEST));
        shorten(self.seen, &mut route.route, to);
        let mut metric = learnt.route.metric.unwrap_or(1024);
        loop {
            metric = metric.saturating_add(1);
            route.route.metric = Some(metric);
            let key = route.key();
            let is_free = !self.by_key.contains_key(&key) && !self.planned.contains(&key);
            if is_free || metric == u32::MAX {
                self.planned.insert(key);
                return route;
            }
        }
    }
}

/// Puts wanted routes in the place of routes with the same key that go. The rest of `wanted` has no such route.
pub(super) fn replaced(going: Vec<Reroute>, wanted: &mut Vec<HostRoute>) -> Vec<Reroute> {
    let replace = |reroute| {
        let was = match reroute {
            Reroute::Replace { was, .. } => was,
            Reroute::Learn { was, stand_in, .. } => {
                return Some(Reroute::Learn { was, stand_in, needed: false });
            }
            deleted @ Reroute::Delete(_) => return Some(deleted),
            Reroute::Add(_) | Reroute::Insert { .. } => return None,
        };
        let key = was.key();
        Some(match wanted.iter().position(|route| route.key() == key) {
            Some(n) => Reroute::Replace { was, route: wanted.remove(n) },
            None => Reroute::Delete(was),
        })
    };
    going.into_iter().filter_map(replace).collect()
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
        let own = address.address;
        let peer = address.peer.and_then(|peer| IpNet::new(peer, own.prefix_len()).ok());
        // To IPv4's peer instead of the address itself, to both of IPv6.
        let to_own = (peer.is_none() || own.addr().is_ipv6()).then_some(own);
        let mut nets = to_own.into_iter().chain(peer);
        let default = own.addr().is_ipv6().then_some(256);
        !address.flags.contains(AddressFlags::NOPREFIXROUTE)
            && nets.any(|net| net.trunc() == route.destination.trunc())
            && address.metric.or(default) == route.metric
            && route.hops.iter().all(|hop| hop.via.is_none())
    })
}

/// The route that the kernel makes to the network of an address.
pub(super) fn connected(address: &Address, link: &LinkRef) -> Option<HostRoute> {
    let mut hop = NextHop::link(0);
    hop.index = None;
    let mut route = Route::new(address.address.trunc(), hop);
    route.protocol = KERNEL;
    route.metric = address.metric.or(address.address.addr().is_ipv6().then_some(256));
    let makes = address.peer.is_none() && !address.flags.contains(AddressFlags::NOPREFIXROUTE);
    makes.then(|| HostRoute { route, links: vec![link.clone()] })
}

/// Whether the kernel made this route from a router's advertisement.
pub(super) fn is_learnt(seen: &NetworkSnapshot, link: &Link, route: &Route) -> bool {
    let listens = seen.setting(Family::V6, &link.name, "accept_ra").is_some_and(|set| set != "0");
    route.protocol == ADVERTISED && route.destination.addr().is_ipv6() && listens
}

/// Whether the kernel makes addresses and routes from what routers advertise on an interface.
pub(super) fn listens(seen: &NetworkSnapshot, link: &Link) -> bool {
    let setting = |key| seen.setting(Family::V6, &link.name, key);
    match setting("accept_ra") {
        None | Some("0") => false,
        Some("1") => setting("forwarding") == Some("0"),
        Some(_) => true,
    }
}

/// Whether an interface has a route that serves in place of a learnt one.
fn has_stand_in(seen: &NetworkSnapshot, link: &LinkRef, learnt: &HostRoute) -> bool {
    seen.routes(link).any(|other| {
        other.route.destination == learnt.route.destination
            && is_stand_in(&other.route)
            && other.via() == learnt.via()
    })
}

/// Whether a route may serve in place of a learnt one.
fn is_stand_in(route: &Route) -> bool {
    route.protocol == STATIC && route.expires.is_some() && route.destination.addr().is_ipv6()
}

/// Whether the kernel learnt a route to the same destination on an interface, by the same router.
fn has_learnt(seen: &NetworkSnapshot, link: &LinkRef, route: &Route) -> bool {
    seen.routes(link).any(|other| is_learnt_twin(&other.route, route))
}

/// Whether the kernel learnt `other`, to the same destination as a route, by the same router.
fn is_learnt_twin(other: &Route, route: &Route) -> bool {
    let Route { destination, protocol, hops, .. } = other;
    *protocol == ADVERTISED
        && *destination == route.destination
        && hops.iter().map(|hop| hop.via).eq(route.hops.iter().map(|hop| hop.via))
}

/// Whether a router told the kernel this route, on an interface or before the first start.
fn is_routers(seen: &NetworkSnapshot, link: &LinkRef, route: &Route) -> bool {
    let recorded = seen.known_bridges().flat_map(|one| [&one.of_bridge, &one.of_uplink]);
    has_learnt(seen, link, route)
        || recorded.flat_map(|host| &host.routes).any(|other| is_learnt_twin(&other.route, route))
}

/// Where the kernel asks for routers itself, it soon has a route of its own, and a stand-in beside it would outlive the
/// router's.
fn shorten(seen: &NetworkSnapshot, stand_in: &mut Route, to: &LinkRef) {
    if seen.link(&to.name).is_some_and(|link| listens(seen, link)) {
        stand_in.expires = stand_in.expires.map(|seconds| seconds.min(ASKED));
    }
}

const LOCAL: u32 = 255;
const KERNEL: u8 = 2;
pub(super) const STATIC: u8 = 4;
const ADVERTISED: u8 = 9;
/// Seconds after which a stand-in goes in any case: how long a router is usually believed.
const LONGEST: u32 = 1800;
/// Seconds in which a router answers a solicitation: the kernel repeats it every four.
const ASKED: u32 = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_routes_of_an_ipv6_address_with_a_peer_are_the_kernels() {
        let mut address = Address::new("2001:db8:7::2/128".parse().unwrap());
        address.peer = "2001:db8:7::1".parse().ok();
        for (destination, is_its) in
            [("2001:db8:7::1/128", true), ("2001:db8:7::2/128", true), ("2001:db8:7::3/128", false)]
        {
            let mut route = Route::new(destination.parse().unwrap(), NextHop::link(2));
            (route.protocol, route.metric) = (KERNEL, Some(256));
            assert_eq!(made_by_kernel(&route, &[address.clone()]), is_its, "{destination}");
        }
        let mut v4 = Address::new("192.0.2.2/32".parse().unwrap());
        v4.peer = "192.0.2.1".parse().ok();
        let mut route = Route::new("192.0.2.1/32".parse().unwrap(), NextHop::link(2));
        route.protocol = KERNEL;
        assert!(made_by_kernel(&route, &[v4.clone()]));
        route.destination = "192.0.2.2/32".parse().unwrap();
        assert!(!made_by_kernel(&route, &[v4]));
    }
}
