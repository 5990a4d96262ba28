//! Everything given back.

use super::handover::{Handover, is_silent, link_local, movable, same, with_recorded};
use super::neighbours::entered;
use super::record::{BridgeRecord, Moved, NetworkRecord};
use super::routes::{Moves, Reroute, Routes, made_by_kernel, replaced};
use super::settings::of_bond;
use super::sysctls::DISABLE_IPV6;
use super::{HostRecord, NetworkSnapshot, adopted, forwarding, nat, stack};
use crate::config::{BridgePolicy, NetworkConfig};
use crate::plan::{Change, HostWarning, Plan, PlanError, VifTarget};
use crate::types::{AddrGenMode, Address, BridgeSet, Family, IfName, Link, LinkSet, Mtu, Sysctl};

pub(super) fn plan(
    config: &NetworkConfig,
    seen: &NetworkSnapshot,
    force: bool,
    is_rolled_back: bool,
) -> Result<Plan, PlanError> {
    let assumed;
    let record = if let Some(record) = &seen.record {
        record
    } else {
        // A bridge whose uplink makes itself addresses is none that a start left.
        let left = |policy: &&BridgePolicy| {
            let uplink = policy.uplink_of(&seen.links);
            let is_left = |bridge: &Link| {
                uplink.is_none_or(|uplink| {
                    let has_ipv6 = uplink.addr_gen_mode.is_some();
                    is_silent(seen, uplink) && (has_ipv6 || uplink.master == Some(bridge.index))
                })
            };
            let moves = policy.moves_addresses() && policy.uplink_text().is_some();
            moves && seen.link(&policy.name).is_some_and(is_left)
        };
        let wanted = config.all_bridges();
        match wanted.iter().find(left) {
            Some(policy) if !force => {
                return Err(PlanError::NotRecorded { bridge: policy.name.clone() });
            }
            None if !force => return Ok(Plan::default()),
            _ => assumed = assume(config, seen),
        }
        &assumed
    };
    let mut plan = Plan::default();
    // The last one taken first.
    for bridge in record.bridges.iter().rev() {
        if is_rolled_back || bridge.moved != Moved::No || seen.has_lost(bridge) {
            adopted::restore(&mut plan, bridge, record, seen);
        }
        Return { bridge, record, seen }.plan(&mut plan, force)?;
        if seen.record.is_none() {
            plan.warn(HostWarning::LeftBehind(bridge.name.clone()));
        }
    }
    nat::stop(&mut plan, record.nat.as_ref(), seen);
    forwarding::stop(&mut plan, record, seen);
    for (sysctl, was) in &record.sysctls {
        if !planned(&plan, sysctl) {
            plan.sysctl(sysctl.clone(), was, seen.sysctls.get(sysctl).map(String::as_str));
        }
    }
    stack::stop(&mut plan, record, seen);
    Ok(plan)
}

/// Whether a plan sets this already.
pub(super) fn planned(plan: &Plan, sysctl: &Sysctl) -> bool {
    let sets =
        |change: &Change| matches!(change, Change::Sysctl { sysctl: other, .. } if other == sysctl);
    plan.changes().iter().any(sets)
}

/// What there must have been when nobody wrote it down: the uplinks had what the bridges have now.
fn assume(config: &NetworkConfig, seen: &NetworkSnapshot) -> NetworkRecord {
    let mut before = NetworkRecord::default();
    for policy in config.all_bridges().iter().filter(|policy| policy.moves_addresses()) {
        let uplink = policy.uplink.as_ref().and_then(|name| seen.link(name));
        let (Some(_), Some(uplink)) = (seen.link(&policy.name), uplink) else { continue };
        before.links.push((uplink.name.clone(), LinkSet::Master(None)));
        if uplink.addr_gen_mode.is_some() {
            let mode = LinkSet::AddrGenMode(AddrGenMode::Eui64);
            before.links.push((uplink.name.clone(), mode));
        }
        let disabled = Sysctl::link(Family::V6, &uplink.name, DISABLE_IPV6);
        if let (Ok(sysctl), Some(new)) = (disabled, seen.of_new(Family::V6, DISABLE_IPV6)) {
            before.sysctls.insert(sysctl, new.to_owned());
        }
        before.bridges.push(BridgeRecord {
            name: policy.name.clone(),
            made: false,
            uplink: policy.uplink.clone(),
            vxlan: None,
            moved: Moved::Inherited,
            at: seen.now,
            adopted: None,
            of_bridge: HostRecord::default(),
            of_uplink: HostRecord::default(),
        });
    }
    before
}

/// One bridge, and how it and its uplink were.
struct Return<'a> {
    bridge: &'a BridgeRecord,
    record: &'a NetworkRecord,
    seen: &'a NetworkSnapshot,
}

impl<'a> Return<'a> {
    fn plan(&self, plan: &mut Plan, force: bool) -> Result<(), PlanError> {
        // Names may have changed since: nothing else goes in place of the bridge, nor is the bridge its own uplink.
        let bridge = self.seen.link(&self.bridge.name).filter(|link| link.bridge.is_some());
        let uplink = self.bridge.uplink.as_ref().and_then(|uplink| self.seen.link(uplink));
        let uplink = uplink.filter(|uplink| bridge.is_none_or(|one| one.index != uplink.index));
        let made = bridge.filter(|bridge| self.bridge.made && !self.has_only_copy(bridge, uplink));
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
        let hosts = match (uplink, &self.bridge.uplink) {
            _ if self.bridge.moved == Moved::No => None,
            // What the uplink had came from a port of it, which has a record of its own.
            _ if bridge.is_none() && self.is_on_bond() => None,
            (Some(uplink), _) => Some(self.to_uplink(plan, uplink, bridge)),
            (None, None) => bridge.map(|bridge| self.to_nowhere(bridge)),
            (None, Some(made)) if self.record.has_made(made) => {
                bridge.map(|bridge| self.to_nowhere(bridge))
            }
            (None, Some(uplink)) => {
                let mut why = format!(
                    "the host's addresses and routes on {uplink}: no such interface; run `xennet network stop` again \
                     once it exists"
                );
                if let Some(bridge) = bridge.filter(|_| self.bridge.made && made.is_none()) {
                    why = format!(
                        "{why}; {} keeps them: if a port of it is {uplink} under another name, `ip link set dev PORT \
                         name {uplink}`",
                        bridge.name
                    );
                }
                plan.warn(HostWarning::NotRestored { why });
                None
            }
        };
        if let (Some(uplink), Some(_)) = (uplink, &hosts) {
            self.allow_ipv6(plan, uplink);
            // A route needs an interface that is up.
            let was_down = |set: &LinkSet| *set == LinkSet::Up(false);
            if !uplink.up && !self.was(&uplink.name).any(was_down) {
                plan.set(true, &uplink.reference(), LinkSet::Up(true), LinkSet::Up(false));
            }
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

    /// Whether the host may be reachable by this bridge only: its uplink is missing, and another port may lead to the world.
    fn has_only_copy(&self, bridge: &Link, uplink: Option<&Link>) -> bool {
        let is_own = |port: &Link| {
            self.bridge.vxlan.as_ref().is_some_and(|vxlan| vxlan.name == port.name)
                || VifTarget::of(port).is_some()
        };
        let is_missing = uplink.is_none() && self.bridge.uplink.is_some();
        let moved = self.bridge.moved != Moved::No;
        is_missing && moved && self.seen.ports(bridge).any(|port| !is_own(port))
    }

    /// The host's addresses and routes, back to the uplink: what the bridge has now, and what is on record.
    fn to_uplink(&self, plan: &mut Plan, uplink: &Link, bridge: Option<&Link>) -> Handover<'a> {
        let (seen, to) = (self.seen, uplink.reference());
        let record = self.bridge.uplink_at(seen.now);
        let is_recorded = |one: &Address| record.addresses.iter().any(|other| same(one, other));
        let mut gone = bridge.map_or(Vec::new(), |bridge| self.added(bridge));
        // The bridge made its own link-local address itself.
        let is_known = self.seen.record.is_some();
        gone.retain(|address| !is_known || !link_local(address) || is_recorded(address));
        let (mut routes, mut moves) = (Routes::new(seen, plan), Moves::default());
        // What others added on a bridge that had its uplink before stays there. Configured addresses go.
        let is_inherited = self.bridge.moved == Moved::Inherited;
        let was_port = is_inherited && self.record.was_port(self.bridge);
        if was_port {
            gone.retain(is_recorded);
        }
        if let Some(bridge) = bridge.filter(|_| !was_port || !gone.iter().all(link_local)) {
            moves = routes.moved(bridge, &to, &self.bridge.of_bridge.routes);
        }
        let unmovable = gone.iter().filter(|address| !address.unknown.is_empty());
        let unmovable = unmovable.map(|address| format!("address {address}"));
        let unmovable = unmovable.chain(moves.unmovable.iter().map(|one| format!("route {one}")));
        for what in unmovable {
            let why = format!("{what}: it has properties that xennet cannot copy");
            plan.warn(HostWarning::NotRestored { why });
        }
        let from = bridge.map(Link::reference);
        let (mut addresses, mut neighbours) = (Vec::new(), Vec::new());
        let reroutes = if is_inherited {
            addresses = movable(&gone);
            neighbours = bridge.map_or(Vec::new(), |bridge| seen.neighbours(bridge).to_vec());
            neighbours.retain(|one| !was_port && !self.bridge.of_bridge.neighbours.contains(one));
            let missing = routes.recorded(&record, &uplink.name, from.as_ref(), &to);
            moves.reroutes.extend(missing.into_iter().map(|route| routes.add(route)));
            moves.reroutes
        } else {
            let mut wanted = routes.recorded(&record, &uplink.name, None, &to);
            let mut reroutes = replaced(moves.reroutes, &mut wanted);
            reroutes.extend(wanted.into_iter().map(|route| routes.add(route)));
            reroutes
        };
        addresses = with_recorded(addresses, &record.addresses, seen.addresses(uplink));
        if self.had_no_ipv6(uplink) {
            addresses.retain(|address| address.address.addr().is_ipv4());
        }
        let neighbours = entered(&neighbours, &record.neighbours);
        let from = from.unwrap_or_else(|| to.clone());
        let recorded = record.addresses;
        Handover { seen, from, to, addresses, gone, recorded, routes: reroutes, neighbours }
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
            recorded: Vec::new(),
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

    /// The recorded settings of an interface.
    fn was(&self, link: &IfName) -> impl DoubleEndedIterator<Item = &'a LinkSet> {
        let link = link.clone();
        let own = self.record.links.iter().filter(move |(name, _)| *name == link);
        own.map(|(_, was)| was)
    }

    /// Whether its uplink is a bond of the configuration.
    fn is_on_bond(&self) -> bool {
        self.record.bonds.iter().any(|bond| self.bridge.uplink.as_ref() == Some(&bond.name))
    }

    fn had_no_ipv6(&self, uplink: &Link) -> bool {
        let sysctl = Sysctl::link(Family::V6, &uplink.name, DISABLE_IPV6).ok();
        let was = sysctl.and_then(|sysctl| self.record.sysctls.get(&sysctl)).map(String::as_str);
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
        for was in self.was(&link.name).rev().filter(|was| which(was)) {
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
            LinkSet::Token(_) => LinkSet::Token(link.token?),
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
            LinkSet::Bond(set) => LinkSet::Bond(of_bond(self.seen, link, set)?),
            LinkSet::Name { .. } | LinkSet::Alias(_) => return None,
        })
    }
}
