//! The host's addresses and routes, from one interface to another, such that it has them at every moment.

use std::collections::HashMap;

use super::on_link::OnLink;
use super::routes::Reroute;
use super::sysctls::DISABLE_IPV6;
use super::{NetworkSnapshot, neighbours, order};
use crate::plan::{Change, Plan, PlanError};
use crate::types::{
    AddrGenMode, Address, AddressFlags, Family, Link, LinkRef, LinkSet, Neighbour, Scope, Sysctl,
};

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
    /// What the host had on the uplink by the record.
    pub(super) recorded: Vec<Address>,
    /// The routes as they are, and as they shall be.
    pub(super) routes: Vec<Reroute>,
    pub(super) neighbours: Vec<Neighbour>,
}

impl Handover<'_> {
    /// The addresses, on the new interface as well.
    pub(super) fn arrive(&self, plan: &mut Plan) {
        order::warn(plan, self.seen, (&self.from, &self.to), self.missing());
        for address in self.missing() {
            let (link, address) = (self.to.clone(), self.at_once(address));
            plan.push(Change::AddressAdd { link, address });
        }
    }

    /// The routes and neighbours, to the new interface: first what makes the host reachable.
    pub(super) fn reroute(&self, plan: &mut Plan) {
        let mut on_link = OnLink {
            seen: self.seen,
            from: &self.from,
            to: &self.to,
            addresses: &self.addresses,
            routes: &self.routes,
            known: HashMap::new(),
        };
        let mut routes: Vec<Change> =
            self.routes.iter().filter_map(|reroute| self.route(reroute, &mut on_link)).collect();
        // A router must be on a link that the host knows before a route can lead through it.
        routes.sort_by_key(|change| match change {
            Change::RouteReplace { route, .. }
            | Change::RouteAdd { route }
            | Change::RouteInsert { route, .. } => {
                let is_routed = route.route.hops.iter().any(|hop| hop.via.is_some());
                (is_routed, is_routed && route.route.destination.prefix_len() != 0)
            }
            _ => (true, true),
        });
        plan.changes.extend(routes);
        neighbours::arrive(plan, self.seen, &self.to, &self.neighbours);
    }

    /// The change that makes a route on the new interface.
    fn route(&self, reroute: &Reroute, on_link: &mut OnLink<'_>) -> Option<Change> {
        Some(match reroute {
            Reroute::Replace { was, route } => {
                Change::RouteReplace { route: on_link.of(route), was: on_link.of(was) }
            }
            Reroute::Add(route) => Change::RouteAdd { route: on_link.of(route) },
            Reroute::Insert { route, first } => {
                Change::RouteInsert { route: on_link.of(route), first: *first }
            }
            Reroute::Learn { stand_in, needed: true, .. } => {
                Change::RouteAdd { route: on_link.of(&stand_in.moved(&self.from, &self.to)) }
            }
            Reroute::Learn { .. } | Reroute::Delete(_) => return None,
        })
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
        if self.from != self.to {
            neighbours::leave(plan, self.seen, &self.from, &self.neighbours);
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
            if was != *address && self.had(address).next().is_some() {
                let (link, address) = (self.to.clone(), address.clone());
                plan.push(Change::AddressChange { link, address, was });
            }
        }
    }

    /// Whether something is on record that no interface has.
    pub(super) fn restores(&self) -> bool {
        self.missing().any(|address| !self.gone.iter().any(|other| same(address, other)))
            || self.routes.iter().any(|one| matches!(one, Reroute::Add(_) | Reroute::Insert { .. }))
            || neighbours::are_lost(self.seen, [&self.from, &self.to], &self.neighbours)
    }

    /// Whether the host has an address by which others reach it.
    pub(super) fn has_address(&self) -> bool {
        self.addresses.iter().chain(self.there()).any(|address| !link_local(address))
    }

    fn missing(&self) -> impl Iterator<Item = &Address> {
        let there = self.there();
        self.addresses.iter().filter(|address| !there.iter().any(|other| same(address, other)))
    }

    /// What the new interface has already.
    fn there(&self) -> &[Address] {
        self.seen.link(&self.to.name).map_or(&[], |link| self.seen.addresses(link))
    }

    /// An address that the host has already needs no probing for duplicates, during which it could not be used. But with
    /// other flags later, the kernel could make the route to a peer twice.
    fn at_once(&self, address: &Address) -> Address {
        let mut address = address.clone();
        let unused = AddressFlags::TENTATIVE | AddressFlags::DADFAILED;
        let is_used = self.had(&address).any(|other| !other.flags.intersects(unused));
        if address.address.addr().is_ipv6() && address.peer.is_none() && is_used {
            address.flags |= AddressFlags::NODAD;
        }
        address
    }

    /// An address as the host had it before.
    fn had(&self, address: &Address) -> impl Iterator<Item = &Address> {
        self.gone.iter().chain(&self.recorded).filter(move |other| same(address, other))
    }
}

/// The addresses of an interface that another one can have, in the order in which to add them there.
pub(super) fn movable(addresses: &[Address]) -> Vec<Address> {
    let (v4, v6): (Vec<_>, Vec<_>) = addresses
        .iter()
        .filter(|address| address.unknown.is_empty())
        .partition(|address| address.address.addr().is_ipv4());
    // The newest of IPv6's is listed first.
    let all = v4.into_iter().chain(v6.into_iter().rev()).cloned();
    all.map(|mut address| {
        address.flags &= AddressFlags::SETTABLE;
        address
    })
    .collect()
}

/// The same; an error if another interface cannot have one of them.
pub(super) fn all_movable(addresses: &[Address]) -> Result<Vec<Address>, PlanError> {
    match addresses.iter().find(|address| !address.unknown.is_empty()) {
        None => Ok(movable(addresses)),
        Some(address) => {
            let what = format!("address {address}");
            Err(PlanError::NotMovable { what, why: "has unknown properties" })
        }
    }
}

/// The addresses on record and the `current` ones, in the order in which to add them where some are `there` already.
///
/// A lease that was not renewed may belong to another host by now, if this one has another address.
pub(super) fn with_recorded(
    current: Vec<Address>,
    recorded: &[Address],
    there: &[Address],
) -> Vec<Address> {
    let has = |address: &Address| there.iter().chain(&current).any(|other| same(address, other));
    let is_replaced = |address: &Address| {
        let v4 = address.address.addr().is_ipv4();
        there
            .iter()
            .chain(&current)
            .any(|other| other.address.addr().is_ipv4() == v4 && other.scope == Scope::GLOBAL)
    };
    let mut all = movable(recorded);
    all.retain(|address| has(address) || address.valid.is_none() || !is_replaced(address));
    for address in current {
        match all.iter_mut().find(|other| same(&address, other)) {
            Some(recorded) => *recorded = address,
            None => all.push(address),
        }
    }
    all
}

/// The same address of the same network, whatever its flags.
pub(super) fn same(one: &Address, other: &Address) -> bool {
    one.address == other.address && one.peer == other.peer
}

/// An IPv6 address that the host uses on one link only.
pub(super) fn link_local(address: &Address) -> bool {
    address.address.addr().is_ipv6() && address.scope == Scope::LINK
}

/// Whether an interface makes itself no IPv6 address, as `silence` has it.
pub(super) fn is_silent(seen: &NetworkSnapshot, link: &Link) -> bool {
    let disabled = seen.setting(Family::V6, &link.name, DISABLE_IPV6);
    link.addr_gen_mode.is_none_or(|mode| mode == AddrGenMode::None)
        && disabled.is_none_or(|disabled| disabled != "0")
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
