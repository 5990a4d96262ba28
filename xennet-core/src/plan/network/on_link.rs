//! Routers that are in no network of the host's: the kernel takes a route through such a router only if it is `onlink`.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::NetworkSnapshot;
use super::routes::Reroute;
use crate::plan::HostRoute;
use crate::types::{Address, AddressFlags, LinkRef, RouteKind};

/// Which routers the host reaches without another router, when the addresses have moved.
///
/// The address by which it did may be gone since the kernel took the route, which stays, and works.
#[derive(Debug)]
pub(super) struct OnLink<'a> {
    pub(super) seen: &'a NetworkSnapshot,
    pub(super) from: &'a LinkRef,
    pub(super) to: &'a LinkRef,
    /// The addresses and routes that the new interface shall have.
    pub(super) addresses: &'a [Address],
    pub(super) routes: &'a [Reroute],
    pub(super) known: HashMap<IpAddr, bool>,
}

impl OnLink<'_> {
    /// The route as the kernel takes it.
    pub(super) fn of(&mut self, route: &HostRoute) -> HostRoute {
        let mut route = route.clone();
        for (hop, link) in route.route.hops.iter_mut().zip(&route.links) {
            let moves = [&self.from.name, &self.to.name].contains(&&link.name);
            if let Some(router) = hop.via.filter(|_| moves) {
                let is_near = self.known.get(&router).copied();
                let is_near = is_near.unwrap_or_else(|| self.is_near(router));
                self.known.insert(router, is_near);
                hop.onlink |= !is_near;
            }
        }
        route
    }

    /// Whether a router is in a network that the host is connected to by one of these interfaces.
    fn is_near(&self, router: IpAddr) -> bool {
        let is_link_local = matches!(router, IpAddr::V6(ip) if ip.is_unicast_link_local());
        let there = self.seen.link(&self.to.name).map_or(&[][..], |link| self.seen.addresses(link));
        let mut addresses = self.addresses.iter().chain(there);
        let connects = |address: &Address| {
            let peer =
                address.peer.and_then(|peer| IpNet::new(peer, address.address.prefix_len()).ok());
            !address.flags.contains(AddressFlags::NOPREFIXROUTE)
                && peer.unwrap_or(address.address).contains(&router)
        };
        let leads = |route: &HostRoute| {
            route.route.kind == RouteKind::Unicast
                && route.route.destination.contains(&router)
                && route.route.hops.iter().any(|hop| hop.via.is_none())
        };
        let moved = self.routes.iter().filter_map(|reroute| match reroute {
            Reroute::Replace { route, .. }
            | Reroute::Add(route)
            | Reroute::Insert { route, .. } => Some(route),
            Reroute::Learn { .. } | Reroute::Delete(_) => None,
        });
        is_link_local
            || addresses.any(connects)
            || self.seen.routes(self.to).chain(moved).any(leads)
    }
}
