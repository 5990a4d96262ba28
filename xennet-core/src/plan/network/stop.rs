//! Everything given back.

use super::before::{BridgeBefore, HostBefore, Moved, NetworkBefore};
use super::handover::{
    DISABLE_IPV6, Handover, Reroute, entered, has_stand_in, is_learnt, made_by_kernel, movable,
    reroutes, same, stand_in,
};
use super::{NetworkSnapshot, forwarding, nat};
use crate::config::NetworkConfig;
use crate::plan::{Change, HostRoute, Plan, PlanError, Warning};
use crate::types::{
    AddrGenMode, Address, BridgeSet, Family, IfName, Link, LinkRef, LinkSet, Mtu, Sysctl,
};

pub(super) fn plan(
    config: &NetworkConfig,
    seen: &NetworkSnapshot,
    force: bool,
) -> Result<Plan, PlanError> {
    let assumed;
    let before = if let Some(before) = &seen.before {
        before
    } else {
        assumed = assume(config, seen);
        let wanted = config.all_bridges();
        let there = wanted.iter().map(|policy| &policy.name).find(|name| seen.link(name).is_some());
        if let (Some(bridge), false) = (there, force) {
            return Err(PlanError::NotRecorded { bridge: bridge.clone() });
        }
        &assumed
    };
    let mut plan = Plan::default();
    // The last one taken first.
    for bridge in before.bridges.iter().rev() {
        Return { bridge, before, seen }.plan(&mut plan, force)?;
        if seen.before.is_none() {
            plan.warnings.push(Warning::LeftBehind { bridge: bridge.name.clone() });
        }
    }
    nat::stop(&mut plan, before.nat.as_ref(), seen);
    forwarding::stop(&mut plan, before, seen);
    for (sysctl, was) in &before.sysctls {
        if !planned(&plan, sysctl) {
            plan.sysctl(sysctl.clone(), was, seen.sysctls.get(sysctl).map(String::as_str));
        }
    }
    Ok(plan)
}

/// Whether a plan sets this already.
pub(super) fn planned(plan: &Plan, sysctl: &Sysctl) -> bool {
    let sets =
        |change: &Change| matches!(change, Change::Sysctl { sysctl: other, .. } if other == sysctl);
    plan.changes().iter().any(sets)
}

/// What there must have been when nobody wrote it down: the uplinks had what the bridges have now.
fn assume(config: &NetworkConfig, seen: &NetworkSnapshot) -> NetworkBefore {
    let mut before = NetworkBefore::default();
    for policy in config.all_bridges().iter().filter(|policy| policy.addresses.is_some()) {
        let bridge = seen.link(&policy.name);
        let uplink = policy.uplink.as_ref().and_then(|name| seen.link(name));
        let (Some(bridge), Some(uplink)) = (bridge, uplink) else { continue };
        if uplink.master != Some(bridge.index) {
            continue;
        }
        before.links.push((uplink.name.clone(), LinkSet::Master(None)));
        if uplink.addr_gen_mode.is_some() {
            let mode = LinkSet::AddrGenMode(AddrGenMode::Eui64);
            before.links.push((uplink.name.clone(), mode));
        }
        let disabled = Sysctl::link(Family::V6, &uplink.name, DISABLE_IPV6);
        if let (Ok(sysctl), Some(new)) = (disabled, seen.of_new(Family::V6, DISABLE_IPV6)) {
            before.sysctls.insert(sysctl, new.to_owned());
        }
        before.bridges.push(BridgeBefore {
            name: policy.name.clone(),
            made: false,
            uplink: policy.uplink.clone(),
            vxlan: None,
            moved: Moved::Inherited,
            of_bridge: HostBefore::default(),
            of_uplink: HostBefore::default(),
        });
    }
    before
}

/// One bridge, and how it and its uplink were.
struct Return<'a> {
    bridge: &'a BridgeBefore,
    before: &'a NetworkBefore,
    seen: &'a NetworkSnapshot,
}

impl<'a> Return<'a> {
    fn plan(&self, plan: &mut Plan, force: bool) -> Result<(), PlanError> {
        let bridge = self.seen.link(&self.bridge.name);
        let uplink = self.bridge.uplink.as_ref().and_then(|uplink| self.seen.link(uplink));
        let made = bridge.filter(|_| self.bridge.made);
        let vxlan = self.bridge.vxlan.as_ref();
        let tunnel = vxlan.and_then(|vxlan| self.seen.link(&vxlan.name));
        if let Some(bridge) = made.filter(|_| !force) {
            let others = self.seen.ports(bridge);
            let own =
                |port: &Link| [uplink, tunnel].iter().flatten().any(|own| own.index == port.index);
            let others = others.filter(|port| !own(port));
            let ports: Vec<IfName> = others.map(|port| port.name.clone()).collect();
            if !ports.is_empty() {
                return Err(PlanError::HasPorts { name: bridge.name.clone(), ports });
            }
        }
        let hosts = match uplink {
            _ if self.bridge.moved == Moved::No => None,
            Some(uplink) => Some(self.to_uplink(uplink, bridge)?),
            None => bridge.map(|bridge| self.to_nowhere(bridge)),
        };
        if let (Some(uplink), Some(_)) = (uplink, &hosts) {
            self.allow_ipv6(plan, uplink);
        }
        if let Some(hosts) = &hosts {
            hosts.arrive(plan);
        }
        // Before the routes: while it is a port, its neighbours' answers go to the bridge.
        if let Some(uplink) = uplink {
            self.settings(plan, uplink, |set| matches!(set, LinkSet::Master(_)));
        }
        if let Some(hosts) = &hosts {
            hosts.reroute(plan);
            hosts.settle(plan);
            // A bridge that goes takes along what is on it.
            if made.is_none() {
                hosts.leave(plan);
            }
        }
        if let Some(uplink) = uplink {
            self.settings(plan, uplink, |set| !matches!(set, LinkSet::Master(_)));
        }
        match tunnel {
            Some(link) if vxlan.is_some_and(|vxlan| vxlan.made) => {
                plan.push(Change::LinkDelete { link: link.reference() });
            }
            Some(link) => self.settings(plan, link, |_| true),
            None => {}
        }
        match (bridge, made) {
            (_, Some(made)) => plan.push(Change::LinkDelete { link: made.reference() }),
            (Some(bridge), None) => self.settings(plan, bridge, |_| true),
            (None, None) => {}
        }
        Ok(())
    }

    /// The host's addresses and routes, back to the uplink.
    fn to_uplink(&self, uplink: &Link, bridge: Option<&Link>) -> Result<Handover<'a>, PlanError> {
        let (seen, to) = (self.seen, uplink.reference());
        let (kept, former) = (&self.bridge.of_bridge, &self.bridge.of_uplink);
        let gone = bridge.map_or(Vec::new(), |bridge| self.added(bridge));
        let mut addresses = movable(&gone)?;
        let mut routes = match bridge {
            Some(bridge) => reroutes(seen, bridge, &to, &kept.routes)?,
            None => Vec::new(),
        };
        let mut neighbours = entered(bridge.map_or(&[], |bridge| seen.neighbours(bridge)));
        neighbours.retain(|neighbour| !kept.neighbours.contains(neighbour));
        // Somebody deleted the bridge, or it had other addresses than the uplink: then as it is written down.
        if self.bridge.moved == Moved::Replaced || bridge.is_none() {
            addresses = movable(&former.addresses)?;
            routes = self.former_routes(uplink, routes);
            neighbours = entered(&former.neighbours);
            neighbours.retain(|one| !seen.neighbours(uplink).contains(one));
        }
        if self.had_no_ipv6(uplink) {
            addresses.retain(|address| address.address.addr().is_ipv4());
        }
        let from = bridge.map_or_else(|| to.clone(), Link::reference);
        Ok(Handover { seen, from, to, addresses, gone, routes, neighbours })
    }

    /// The given addresses of a bridge without uplink, which are nobody else's.
    fn to_nowhere(&self, bridge: &Link) -> Handover<'a> {
        let reference = bridge.reference();
        let mine = self.seen.routes(&reference).filter(|route| {
            !made_by_kernel(&route.route, self.seen.addresses(bridge))
                && !self.bridge.of_bridge.routes.iter().any(|other| other.leads_as(route))
        });
        Handover {
            seen: self.seen,
            from: reference.clone(),
            to: reference.clone(),
            addresses: Vec::new(),
            gone: self.added(bridge),
            routes: mine.cloned().map(Reroute::Delete).collect(),
            neighbours: Vec::new(),
        }
    }

    /// The addresses that the bridge has now and did not have before.
    fn added(&self, bridge: &Link) -> Vec<Address> {
        let kept = &self.bridge.of_bridge.addresses;
        let added = |address: &&Address| !kept.iter().any(|other| same(address, other));
        self.seen.addresses(bridge).iter().filter(added).cloned().collect()
    }

    /// The uplink's own routes, in place of those that lead through the bridge now.
    fn former_routes(&self, uplink: &Link, of_bridge: Vec<Reroute>) -> Vec<Reroute> {
        let former = &self.bridge.of_uplink;
        let own = former.routes.iter().filter(|one| !made_by_kernel(&one.route, &former.addresses));
        let there = |one: &HostRoute| self.seen.routes.iter().any(|other| other.leads_as(one));
        let mut wanted: Vec<HostRoute> = Vec::new();
        for route in own.filter_map(|route| self.known(route)) {
            let learnt = is_learnt(self.seen, uplink, &route.route);
            if there(&route) || learnt && has_stand_in(self.seen, &uplink.reference(), &route) {
                continue;
            }
            wanted.push(if learnt { stand_in(self.seen, &wanted, &route) } else { route });
        }
        let mut all = Vec::new();
        for reroute in of_bridge {
            let (Reroute::Replace { was, .. } | Reroute::Learn { was, .. }) = reroute else {
                continue;
            };
            match wanted.iter().position(|route| route.key() == was.key()) {
                Some(n) => all.push(Reroute::Replace { was, route: wanted.remove(n) }),
                None => all.push(Reroute::Delete(was)),
            }
        }
        all.extend(wanted.into_iter().map(Reroute::Add));
        all
    }

    /// A route that was written down, with the indices that its interfaces have now.
    fn known(&self, route: &HostRoute) -> Option<HostRoute> {
        let now = |link: &LinkRef| self.seen.link(&link.name).map(Link::reference);
        let links = route.links.iter().map(now).collect::<Option<_>>()?;
        Some(HostRoute { route: route.route.clone(), links })
    }

    fn had_no_ipv6(&self, uplink: &Link) -> bool {
        let sysctl = Sysctl::link(Family::V6, &uplink.name, DISABLE_IPV6).ok();
        let was = sysctl.and_then(|sysctl| self.before.sysctls.get(&sysctl)).map(String::as_str);
        let now = self.seen.setting(Family::V6, &uplink.name, DISABLE_IPV6);
        was.or(now).is_none_or(|was| was != "0")
    }

    /// Before the uplink gets its addresses back, and while it makes none by itself.
    fn allow_ipv6(&self, plan: &mut Plan, uplink: &Link) {
        let sysctl = Sysctl::link(Family::V6, &uplink.name, DISABLE_IPV6).ok();
        if let Some(sysctl) = sysctl.filter(|_| !self.had_no_ipv6(uplink)) {
            plan.sysctl(sysctl, "0", self.seen.setting(Family::V6, &uplink.name, DISABLE_IPV6));
        }
    }

    /// Those settings of an interface as they were, the last one changed first.
    fn settings(&self, plan: &mut Plan, link: &Link, which: impl Fn(&LinkSet) -> bool) {
        for (name, was) in self.before.links.iter().rev() {
            if *name != link.name || !which(was) {
                continue;
            }
            if let Some(now) = self.now(link, was).filter(|now| now != was) {
                plan.set(true, &link.reference(), was.clone(), now);
            }
        }
    }

    /// What a setting of an interface is now.
    fn now(&self, link: &Link, which: &LinkSet) -> Option<LinkSet> {
        Some(match which {
            LinkSet::Up(_) => LinkSet::Up(link.up),
            LinkSet::Address(_) => LinkSet::Address(link.mac?),
            LinkSet::Mtu(_) => LinkSet::Mtu(Mtu::new(link.mtu).ok()?),
            LinkSet::Master(_) => {
                let master = self.seen.links.iter().find(|other| link.master == Some(other.index));
                LinkSet::Master(master.map(Link::reference))
            }
            LinkSet::AddrGenMode(_) => LinkSet::AddrGenMode(link.addr_gen_mode?),
            LinkSet::Bridge(set) => {
                let now = link.bridge.as_ref()?;
                LinkSet::Bridge(match set {
                    BridgeSet::Stp(_) => BridgeSet::Stp(now.stp),
                    BridgeSet::ForwardDelay(_) => BridgeSet::ForwardDelay(now.forward_delay),
                    BridgeSet::AgeingTime(_) => BridgeSet::AgeingTime(now.ageing_time),
                    BridgeSet::VlanFiltering(_) => BridgeSet::VlanFiltering(now.vlan_filtering),
                    BridgeSet::McastSnooping(_) => BridgeSet::McastSnooping(now.mcast_snooping?),
                    BridgeSet::GroupFwdMask(_) => BridgeSet::GroupFwdMask(now.group_fwd_mask),
                })
            }
            LinkSet::Name { .. } | LinkSet::Alias(_) => return None,
        })
    }
}
