//! What the host has on a bridge, instead of its uplink.

use ipnet::IpNet;

use super::handover::{Handover, all_movable, link_local, same, with_recorded};
use super::neighbours::entered;
use super::record::Moved;
use super::routes::{Reroute, Routes, replaced};
use super::static_route::static_routes;
use super::{NetworkSnapshot, adopted, slaac};
use crate::config::{BridgePolicy, HostAddresses, NetworkConfig};
use crate::plan::{HostRoute, HostWarning, Plan, PlanError, UplinkError};
use crate::types::{Address, Link, LinkRef, Scope};

/// What the host shall have on the bridge, and the uplink no more.
pub(super) fn wanted<'a>(
    plan: &Plan,
    policy: &BridgePolicy,
    bridge: &LinkRef,
    uplink: Option<&Link>,
    seen: &'a NetworkSnapshot,
) -> Result<Option<Handover<'a>>, PlanError> {
    let known = seen.known(&policy.name);
    let hosts = match &policy.addresses {
        None | Some(HostAddresses::None) => {
            let lost = known.filter(|known| seen.has_lost(known));
            return Ok(lost.map(|known| adopted::to_bridge(plan, known, bridge, None, seen)));
        }
        Some(hosts) => hosts,
    };
    let inherits = *hosts == HostAddresses::Inherit;
    let own = known.filter(|known| inherits && known.moved != Moved::No || seen.has_lost(known));
    let of_bridge = own.map(|known| known.bridge_at(seen.now)).unwrap_or_default();
    let known = known.filter(|known| known.moved != Moved::No);
    let record = known.map(|known| known.uplink_at(seen.now)).unwrap_or_default();
    let recorded = [&*of_bridge.addresses, &*record.addresses].concat();
    let gone = uplink.map_or(&[][..], |uplink| seen.addresses(uplink));
    let mut current = all_movable(gone)?;
    // The bridge has a link-local address already, and the uplink makes another one when it is made anew.
    let is_recorded = |one: &Address| recorded.iter().any(|other| same(one, other));
    current.retain(|one| known.is_none() || !link_local(one) || is_recorded(one));
    let there = seen.link(&bridge.name).map_or(&[][..], |link| seen.addresses(link));
    let mut addresses = with_recorded(current, &recorded, there);
    let mut routes = Routes::new(seen, plan);
    let moves = uplink.map(|uplink| routes.moved(uplink, bridge, &[])).unwrap_or_default();
    let mut reroutes = moves.all()?;
    let mut neighbours = Vec::new();
    match (hosts, uplink) {
        (HostAddresses::Static(given), _) => {
            let is_own = |one: &Address| of_bridge.addresses.iter().any(|other| same(one, other));
            // A host without its link-local address would be deaf to its neighbours.
            addresses.retain(|one| link_local(one) || is_own(one));
            let given = given.iter().copied().map(fixed).filter(|one| !is_own(one));
            addresses.extend(given);
            reroutes = fixed_routes(policy, bridge, &mut routes, reroutes);
            neighbours = entered(&[], &of_bridge.neighbours);
            let mut missing = routes.recorded(&of_bridge, &bridge.name, None, bridge);
            missing.retain(|route| !routes.is_planned(route));
            reroutes.extend(missing.into_iter().map(|route| routes.add(route)));
        }
        (_, Some(uplink)) => {
            let entries = [&*of_bridge.neighbours, &*record.neighbours].concat();
            neighbours = entered(seen.neighbours(uplink), &entries);
            let from = Some(uplink.reference());
            for (record, name) in [(&of_bridge, &bridge.name), (&record, &uplink.name)] {
                let missing = routes.recorded(record, name, from.as_ref(), bridge);
                reroutes.extend(missing.into_iter().map(|route| routes.add(route)));
            }
        }
        (_, None) => {}
    }
    let from = uplink.map_or(bridge.clone(), Link::reference);
    Ok(Some(Handover {
        seen,
        from,
        to: bridge.clone(),
        addresses,
        gone: gone.to_vec(),
        recorded,
        routes: reroutes,
        neighbours,
    }))
}

/// An address as the configuration gives it.
fn fixed(net: IpNet) -> Address {
    let mut address = Address::new(net);
    if let IpNet::V4(net) = net {
        address.broadcast = (net.prefix_len() < 31).then(|| net.broadcast());
    }
    address
}

/// The default routes of the configuration, in place of whatever the uplink had.
fn fixed_routes(
    policy: &BridgePolicy,
    bridge: &LinkRef,
    routes: &mut Routes<'_>,
    of_uplink: Vec<Reroute>,
) -> Vec<Reroute> {
    let mut wanted: Vec<HostRoute> = static_routes(policy, bridge);
    let mut all = replaced(of_uplink, &mut wanted);
    // One of the bridge's own that leads elsewhere makes way; another interface's is in the way, and the kernel says so.
    for route in wanted {
        let twins = routes.twins(&route);
        match twins.iter().find(|other| other.leaves_by(bridge)) {
            None if twins.is_empty() => all.push(routes.add(route)),
            None => all.push(Reroute::Add(route)),
            Some(same) if same.leads_as(&route) => {}
            Some(was) => all.push(Reroute::Replace { was: (*was).clone(), route }),
        }
    }
    all
}

/// Whether the uplink has addresses that belong on its bridge.
pub(super) fn uplink_is_configured(uplink: &Link, seen: &NetworkSnapshot) -> bool {
    seen.addresses(uplink).iter().any(|address| !link_local(address))
}

/// An error if the host uses the uplink itself, and the configuration does not say what becomes of its addresses.
pub(super) fn not_cut_off(
    policy: &BridgePolicy,
    uplink: &Link,
    seen: &NetworkSnapshot,
) -> Result<(), PlanError> {
    let reference = uplink.reference();
    let has_address = seen.addresses(uplink).iter().any(|address| address.scope == Scope::GLOBAL);
    let is_way_out =
        || seen.routes(&reference).any(|route| route.route.destination.prefix_len() == 0);
    if has_address || is_way_out() {
        let (bridge, uplink) = (policy.name.clone(), uplink.name.clone());
        return Err(UplinkError::InUse { bridge, uplink }.into());
    }
    Ok(())
}

/// An error if the host has lost something on a bridge that took over its addresses, and the configuration does not
/// say so any more: it would not restore them.
pub(super) fn check_kept(config: &NetworkConfig, seen: &NetworkSnapshot) -> Result<(), PlanError> {
    let wanted = config.all_bridges();
    for known in seen.known_bridges().filter(|known| known.moved != Moved::No) {
        let is_kept = |policy: &BridgePolicy| policy.name == known.name && policy.moves_addresses();
        let Some(uplink) = known.uplink.as_ref().filter(|uplink| seen.link(uplink).is_some())
        else {
            continue;
        };
        let mut policy = BridgePolicy::new(known.name.clone());
        policy.addresses = Some(HostAddresses::Inherit).filter(|_| known.moved == Moved::Inherited);
        if !wanted.iter().any(is_kept) && is_damaged(&policy, seen) {
            let (bridge, uplink) = (known.name.clone(), uplink.clone());
            return Err(UplinkError::Abandoned { bridge, uplink }.into());
        }
    }
    Ok(())
}

/// Whether the host has lost something on a bridge that took over its addresses: then only the record says what it had.
pub(super) fn is_damaged(policy: &BridgePolicy, seen: &NetworkSnapshot) -> bool {
    let Some(known) = seen.known(&policy.name) else { return false };
    let Some(uplink) = known.uplink.as_ref().filter(|_| known.moved != Moved::No) else {
        return seen.has_lost(known);
    };
    let (Some(bridge), Some(uplink)) = (seen.link(&known.name), seen.link(uplink)) else {
        return true;
    };
    let missing = || {
        let plan = Plan::default();
        let hosts = wanted(&plan, policy, &bridge.reference(), Some(uplink), seen);
        hosts.is_ok_and(|hosts| hosts.is_some_and(|hosts| hosts.restores()))
    };
    let is_out = uplink.master != Some(bridge.index) || !uplink.up || !bridge.up;
    let inherits = policy.addresses == Some(HostAddresses::Inherit);
    let has_lost = || inherits && (uplink_is_configured(uplink, seen) || missing());
    is_out || has_lost() || seen.has_lost(known)
}

/// A DHCP client renews a lease on the interface where it obtained it.
pub(super) fn warn_of_leases(
    plan: &mut Plan,
    policy: &BridgePolicy,
    uplink: &Link,
    seen: &NetworkSnapshot,
) {
    if policy.addresses != Some(HostAddresses::Inherit) {
        return;
    }
    for address in seen.addresses(uplink) {
        if let (Some(seconds), false) = (address.valid, slaac::advertised(address)) {
            plan.warn(HostWarning::Expires {
                address: address.to_string(),
                from: uplink.name.clone(),
                to: policy.name.clone(),
                seconds,
            });
        }
    }
}
