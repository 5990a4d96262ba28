//! Where the routing policy sends the packets of guests behind the host's address.

use ipnet::IpNet;

use super::nat::is_default;
use super::{NetworkSnapshot, stale};
use crate::config::{NatPolicy, NetworkConfig, overlap};
use crate::plan::diversion::Diversion;
use crate::plan::{HostWarning, Plan, VifTarget};
use crate::types::{Family, IfName, PolicyAction, PolicyRule, Route, RouteKind};

/// Warns of packets of guests that do not go where their `[[nat]]` has them.
pub(super) fn warn(plan: &mut Plan, config: &NetworkConfig, seen: &NetworkSnapshot) {
    for nat in &config.nat {
        for subnet in &nat.subnets {
            let policy = Policy { nat, subnet: *subnet, config, seen };
            let diversions = policy.to_guests().into_iter().chain(policy.to_world());
            for diversion in diversions {
                plan.warn(HostWarning::Diverted(diversion.to_string()));
            }
        }
    }
}

/// What decides where packets of the guests of a subnet go.
struct Policy<'p> {
    nat: &'p NatPolicy,
    subnet: IpNet,
    config: &'p NetworkConfig,
    seen: &'p NetworkSnapshot,
}

/// Packets between networks; none is the world.
struct Packets<'p> {
    from: Option<IpNet>,
    to: Option<IpNet>,
    /// The interface that they come in by.
    iif: Option<&'p str>,
}

/// Where packets go.
struct Way<'p> {
    rule: &'p PolicyRule,
    /// The interfaces; none where they are dropped.
    links: Vec<&'p IfName>,
}

impl<'p> Policy<'p> {
    /// Packets from the host itself, and from the world.
    fn to_guests(&self) -> Option<Diversion> {
        let uplink = self.nat.uplink.as_ref().map(IfName::as_str);
        let packets = [(Some(self.subnet), Some("lo")), (None, uplink)];
        packets.into_iter().find_map(|(from, iif)| {
            let way = self.way(&Packets { from, to: Some(self.subnet), iif })?;
            let arrives = !way.links.is_empty() && way.links.iter().all(|name| self.is_guest(name));
            // The main table has the route to the guests once xennet has made their bridge.
            let is_main = way.rule.action == PolicyAction::Lookup(Route::MAIN);
            (!arrives && !is_main).then(|| self.diversion(true, &way))
        })
    }

    /// Packets to the world.
    fn to_world(&self) -> Option<Diversion> {
        let exists =
            |uplink: &IfName| self.config.makes(uplink) || self.seen.link(uplink).is_some();
        // A missing uplink has a warning of its own.
        if self.nat.uplink.as_ref().is_some_and(|uplink| !exists(uplink)) {
            return None;
        }
        let iif = self.nat.bridge.as_ref().map(IfName::as_str);
        let way = self.way(&Packets { from: Some(self.subnet), to: None, iif })?;
        let goes_out = match &self.nat.uplink {
            // Each interface translates.
            None => !way.links.is_empty(),
            Some(uplink) => {
                way.links.iter().any(|name| stale::replacement(self.config, name) == uplink)
            }
        };
        (!goes_out).then(|| self.diversion(false, &way))
    }

    fn diversion(&self, to_guests: bool, way: &Way<'_>) -> Diversion {
        let is_main = way.rule.action == PolicyAction::Lookup(Route::MAIN);
        Diversion {
            nat: self.nat.name.clone(),
            subnet: self.subnet,
            to_guests,
            rule: (!is_main).then(|| (way.rule.priority, way.rule.to_string())),
            links: way.links.iter().map(|name| (*name).clone()).collect(),
            uplink: self.nat.uplink.clone(),
        }
    }

    fn is_guest(&self, name: &IfName) -> bool {
        self.nat.bridge.as_ref() == Some(name)
            || self.seen.link(name).is_some_and(|link| VifTarget::of(link).is_some())
    }

    /// The first rule that decides, and where it sends the packets.
    fn way(&self, packets: &Packets<'_>) -> Option<Way<'p>> {
        let family = if self.subnet.addr().is_ipv4() { Family::V4 } else { Family::V6 };
        let mut first = 0;
        for rule in self.seen.policy_rules.iter().filter(|rule| rule.family == family) {
            if rule.priority < first || !packets.meet(rule) {
                continue;
            }
            let links = match rule.action {
                PolicyAction::Goto(priority) => {
                    first = priority;
                    None
                }
                PolicyAction::Nop => None,
                PolicyAction::Drop => Some(Vec::new()),
                PolicyAction::Lookup(table) => {
                    self.lookup(table, packets, rule.suppress_prefixlength)
                }
            };
            if let Some(links) = links {
                return Some(Way { rule, links });
            }
        }
        None
    }

    /// The interfaces of the most specific route for the packets; none where the table has no route for them.
    fn lookup(
        &self,
        table: u32,
        packets: &Packets<'_>,
        suppress: Option<u8>,
    ) -> Option<Vec<&'p IfName>> {
        if let (Route::MAIN, Some(subnet)) = (table, packets.to) {
            return suppress.is_none_or(|length| subnet.prefix_len() > length).then(Vec::new);
        }
        let seen = self.seen;
        let with_links = seen.routes.iter().map(|route| (&route.route, route.links.as_slice()));
        let without = seen.dead_ends.iter().map(|route| (route, &[][..]));
        let fits = |(route, _): &(&Route, _)| {
            let destination = &route.destination;
            let covers = match packets.to {
                None => is_default(destination),
                Some(subnet) => overlap(destination, &subnet),
            };
            let is_family = destination.addr().is_ipv4() == self.subnet.addr().is_ipv4();
            let suppressed = suppress.is_some_and(|length| destination.prefix_len() <= length);
            route.table == table && is_family && covers && !suppressed
        };
        let (route, links) = with_links.chain(without).filter(fits).min_by_key(|(route, _)| {
            (u8::MAX - route.destination.prefix_len(), route.metric.unwrap_or_default())
        })?;
        match route.kind {
            RouteKind::Unicast => Some(links.iter().map(|link| &link.name).collect()),
            RouteKind::Blackhole | RouteKind::Unreachable | RouteKind::Prohibit => Some(Vec::new()),
            _ => None,
        }
    }
}

impl Packets<'_> {
    /// Whether a rule matches some of these packets, or, of those from or to the world, all.
    fn meet(&self, rule: &PolicyRule) -> bool {
        let end = |of_rule: Option<IpNet>, end: Option<IpNet>| match (of_rule, end) {
            (None, _) => true,
            (Some(net), None) => is_default(&net),
            (Some(net), Some(end)) => overlap(&net, &end),
        };
        let iif = rule.iif.is_none() || rule.iif.as_deref() == self.iif;
        // Packets of guests have no mark, and no socket that is bound to an interface.
        let has_all = end(rule.from, self.from)
            && end(rule.to, self.to)
            && iif
            && rule.oif.is_none()
            && rule.fwmark.is_none()
            && !rule.is_partial;
        has_all != rule.is_inverted
    }
}

#[cfg(test)]
mod tests;
