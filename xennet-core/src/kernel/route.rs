use netlink_packet_core::{DefaultNla, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::route::{
    RouteAttribute, RouteFlags, RouteMessage, RouteMetric, RouteNextHop, RouteNextHopFlags,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::Kernel;
use super::address::family;
use super::error::Error;
use super::route_decode;
use crate::types::{NextHop, Route, RouteKind};

/// Which routes to list; the default is all of them, in all tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_structs, reason = "what the kernel filters by and is of use here")]
pub struct RouteFilter {
    /// Those in this table: `table NUMBER`.
    pub table: Option<u32>,
    /// Those with a next hop behind the interface with this index: `dev NAME`.
    pub index: Option<u32>,
}

impl Kernel {
    /// The routes that the filter lets through, IPv4 first. `ip route show table all`, `ip -6 route show table all`
    ///
    /// An error (`ENODEV`) when there is no interface with the filter's index; no table is no error.
    pub fn routes(&mut self, filter: RouteFilter) -> Result<Vec<Route>, Error> {
        let mut all = Vec::new();
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            let mut message = RouteMessage::default();
            message.header.address_family = family;
            message.attributes.extend(filter.table.map(RouteAttribute::Table));
            message.attributes.extend(filter.index.map(RouteAttribute::Oif));
            let wanted = |route: &Route| {
                filter.table.is_none_or(|table| route.table == table)
                    && filter
                        .index
                        .is_none_or(|index| route.hops.iter().any(|hop| hop.index == Some(index)))
            };
            let found = self.dump(RouteNetlinkMessage::GetRoute(message), |body| {
                route_decode::route(body, family.into()).filter(wanted)
            });
            match found {
                Err(error) if error.errno() == libc::ENOENT => {}
                found => all.extend(found.map_err(|error| error.doing("route show"))?),
            }
        }
        Ok(all)
    }

    /// The index of the interface that the default route leads to: IPv4's with the lowest metric, else IPv6's; none when
    /// the host has no default route. `ip route show default`
    ///
    /// Reads the whole main table.
    pub fn default_route(&mut self) -> Result<Option<u32>, Error> {
        let main = RouteFilter { table: Some(Route::MAIN), index: None };
        let routes = self.routes(main)?.into_iter().filter(|route| {
            route.destination.prefix_len() == 0 && route.kind == RouteKind::Unicast
        });
        let best = routes.min_by_key(|route| {
            (route.destination.addr().is_ipv6(), route.metric.unwrap_or_default())
        });
        Ok(best.and_then(|route| route.hops.first()?.index))
    }

    /// Makes a route. `ip route add ...`
    ///
    /// An error (`EEXIST`) when there is one to the same destination with the same metric.
    pub fn route_add(&mut self, route: &Route) -> Result<(), Error> {
        let message = RouteNetlinkMessage::NewRoute(message(route));
        self.change(message, NLM_F_CREATE | NLM_F_EXCL)
            .map_err(|error| error.doing(format!("route add {route}")))
    }

    /// Makes a route, in place of one to the same destination with the same metric. `ip route replace ...`
    pub fn route_replace(&mut self, route: &Route) -> Result<(), Error> {
        let message = RouteNetlinkMessage::NewRoute(message(route));
        self.change(message, NLM_F_CREATE | NLM_F_REPLACE)
            .map_err(|error| error.doing(format!("route replace {route}")))
    }

    /// Removes a route. `ip route del ...`
    ///
    /// An error (`ESRCH`) when there is none.
    pub fn route_delete(&mut self, route: &Route) -> Result<(), Error> {
        self.change(RouteNetlinkMessage::DelRoute(message(route)), 0)
            .map_err(|error| error.doing(format!("route del {route}")))
    }
}

fn message(route: &Route) -> RouteMessage {
    let mut message = RouteMessage::default();
    let header = &mut message.header;
    header.address_family = family(route.destination.addr());
    header.destination_prefix_length = route.destination.prefix_len();
    header.tos = route.tos;
    header.protocol = route.protocol.into();
    header.scope = route.scope.0.into();
    header.kind = route_decode::number(route.kind).into();
    let mut attributes = Vec::new();
    match u8::try_from(route.table) {
        Ok(table) => header.table = table,
        Err(_) => attributes.push(RouteAttribute::Table(route.table)),
    }
    if route.destination.prefix_len() != 0 {
        attributes.push(RouteAttribute::Destination(route.destination.addr().into()));
    }
    if let Some(source) = route.source {
        header.source_prefix_length = source.prefix_len();
        attributes.push(RouteAttribute::Source(source.addr().into()));
    }
    attributes.extend(route.metric.map(RouteAttribute::Priority));
    attributes.extend(route.src.map(|src| RouteAttribute::PrefSource(src.into())));
    let metrics = metrics(route);
    if !metrics.is_empty() {
        attributes.push(RouteAttribute::Metrics(metrics));
    }
    if route.preference != 0 {
        attributes.push(RouteAttribute::Preference(route.preference.into()));
    }
    attributes.extend(route.expires.map(RouteAttribute::Expires));
    match (route.nexthop, route.hops.as_slice()) {
        // The object says it all; the kernel refuses to hear it twice.
        (Some(object), _) => attributes.push(RouteAttribute::NhId(object)),
        (None, []) => {}
        (None, [hop]) => {
            attributes.extend(hop.index.map(RouteAttribute::Oif));
            attributes.extend(gateway(route, hop));
            header.flags.set(RouteFlags::Onlink, hop.onlink);
        }
        (None, hops) => {
            let members = hops.iter().map(|hop| member(route, hop)).collect();
            attributes.push(RouteAttribute::MultiPath(members));
        }
    }
    message.attributes = attributes;
    message
}

fn metrics(route: &Route) -> Vec<RouteMetric> {
    let other = |kind, bytes| RouteMetric::Other(DefaultNla::new(kind, bytes));
    let numbers = route.metrics.iter();
    let numbers = numbers.map(|(kind, value)| other(*kind, value.to_ne_bytes().into()));
    numbers.chain(route.congctl.clone().map(RouteMetric::CcAlgo)).collect()
}

fn gateway(route: &Route, hop: &NextHop) -> Option<RouteAttribute> {
    let router = hop.via?;
    Some(if router.is_ipv4() == route.destination.addr().is_ipv4() {
        RouteAttribute::Gateway(router.into())
    } else {
        RouteAttribute::Via(router.into())
    })
}

fn member(route: &Route, hop: &NextHop) -> RouteNextHop {
    let mut member = RouteNextHop::default();
    member.flags.set(RouteNextHopFlags::Onlink, hop.onlink);
    // Weights above 256 (Linux 6.13) have no room in this byte.
    member.hops = u8::try_from(hop.weight.saturating_sub(1)).unwrap_or(u8::MAX);
    member.interface_index = hop.index.unwrap_or_default();
    member.attributes.extend(gateway(route, hop));
    member
}
