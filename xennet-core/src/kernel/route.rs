use std::net::IpAddr;

use ipnet::IpNet;
use netlink_packet_core::{DefaultNla, NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
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
            let message = filter_message(family, filter);
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

    /// The route that a packet to this address takes, from the host's own point of view; none when there is none.
    /// `ip route get ADDRESS fibmatch`
    ///
    /// One look-up, however many routes there are. An address of the host's own has a route of kind `Local`.
    pub fn route_to(&mut self, address: IpAddr) -> Result<Option<Route>, Error> {
        let mut message = RouteMessage::default();
        message.header.address_family = family(address);
        message.header.destination_prefix_length = IpNet::from(address).prefix_len();
        message.header.flags = RouteFlags::FibMatch;
        // IPv6 says which table in any case, and refuses to be asked.
        message.header.flags.set(RouteFlags::LookupTable, address.is_ipv4());
        message.attributes.push(RouteAttribute::Destination(address.into()));
        let wanted = message.header.address_family.into();
        let found = self
            .ask(RouteNetlinkMessage::GetRoute(message), |body| route_decode::route(body, wanted));
        match found {
            Ok(route) => Ok(Some(route)),
            // Nothing, or a route that says so: unreachable, prohibit, blackhole. Without IPv6 there is none either.
            Err(error)
                if [
                    libc::ENETUNREACH,
                    libc::EHOSTUNREACH,
                    libc::EACCES,
                    libc::EINVAL,
                    libc::EOPNOTSUPP,
                ]
                .contains(&error.errno()) =>
            {
                Ok(None)
            }
            Err(error) => Err(error.doing(format!("route get {address} fibmatch"))),
        }
    }

    /// Makes a route. `ip route add ...`
    ///
    /// An error (`EEXIST`) when there is one to the same destination with the same metric.
    pub fn route_add(&mut self, route: &Route) -> Result<(), Error> {
        let message = RouteNetlinkMessage::NewRoute(message(route));
        self.change(message, NLM_F_CREATE | NLM_F_EXCL).map_err(|error| {
            error
                .explain(libc::EEXIST, "there is another one to there with the same metric")
                .doing(format!("route add {route}"))
        })
    }

    /// Makes a route before or after others with the same key. `ip route prepend ...`, `ip route append ...`
    ///
    /// An error (`EEXIST`) when there is this very route.
    pub fn route_insert(&mut self, route: &Route, first: bool) -> Result<(), Error> {
        let message = RouteNetlinkMessage::NewRoute(message(route));
        let (flags, verb) =
            if first { (NLM_F_CREATE, "prepend") } else { (NLM_F_CREATE | NLM_F_APPEND, "append") };
        self.change(message, flags).map_err(|error| error.doing(format!("route {verb} {route}")))
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

fn filter_message(family: AddressFamily, filter: RouteFilter) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = family;
    message.attributes.extend(filter.table.map(RouteAttribute::Table));
    message.attributes.extend(filter.index.map(RouteAttribute::Oif));
    message
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

#[cfg(test)]
#[cfg(target_endian = "little")]
mod tests {
    use RouteNetlinkMessage::{GetRoute, NewRoute};
    use netlink_packet_core::NLM_F_DUMP;

    use super::*;
    use crate::kernel::request::sent;
    use crate::types::Scope;

    #[test]
    fn lists_with_and_without_a_filter() {
        let filter = RouteFilter { table: Some(Route::MAIN), index: Some(9) };
        let v4 = filter_message(AddressFamily::Inet, filter);
        assert_eq!(
            sent(GetRoute(v4), NLM_F_DUMP),
            "2c000000 1a000103 00000000 00000000 \
             02000000 00000000 00000000 08000f00 fe000000 08000400 09000000"
        );
        let v6 = filter_message(AddressFamily::Inet6, RouteFilter::default());
        assert_eq!(
            sent(GetRoute(v6), NLM_F_DUMP),
            "1c000000 1a000103 00000000 00000000 0a000000 00000000 00000000"
        );
    }

    #[test]
    fn to_a_guest() {
        let mut guest = Route::new("203.0.113.5/32".parse().unwrap(), NextHop::link(9));
        guest.src = Some([192, 0, 2, 1].into());
        guest.metric = Some(2);
        assert_eq!(
            sent(NewRoute(message(&guest)), NLM_F_CREATE | NLM_F_EXCL),
            "3c000000 18000106 00000000 00000000 \
             02200000 fe03fd01 00000000 08000100 cb007105 08000600 02000000 08000700 \
             c0000201 08000400 09000000"
        );
    }

    #[test]
    fn with_all_that_one_can_have() {
        let router = |text: &str| NextHop::via(text.parse().unwrap(), 9);
        let mut full = Route::new("2001:db8:a::/48".parse().unwrap(), router("fe80::1"));
        full.source = Some("2001:db8:1::/64".parse().unwrap());
        full.table = 100_000;
        full.metrics = vec![(2, 1400)];
        full.congctl = Some("reno".to_owned());
        full.preference = 1;
        full.expires = Some(1000);
        assert_eq!(
            sent(NewRoute(message(&full)), NLM_F_CREATE | NLM_F_REPLACE),
            "90000000 18000105 00000000 00000000 \
             0a304000 00030001 00000000 08000f00 a0860100 14000100 20010db8 000a0000 \
             00000000 00000000 14000200 20010db8 00010000 00000000 00000000 18000800 \
             08000200 78050000 09001000 72656e6f 00000000 05001400 01000000 08001700 \
             e8030000 08000400 09000000 14000500 fe800000 00000000 00000000 00000001"
        );
    }

    #[test]
    fn multipath() {
        let mut on_link = NextHop::via([10, 9, 9, 9].into(), 8);
        on_link.onlink = true;
        on_link.weight = 3;
        let other_family = NextHop::via("2001:db8::9".parse().unwrap(), 9);
        let mut route = Route::new("198.51.100.0/24".parse().unwrap(), on_link);
        route.hops.push(other_family);
        assert_eq!(
            sent(NewRoute(message(&route)), NLM_F_CREATE | NLM_F_EXCL),
            "58000000 18000106 00000000 00000000 \
             02180000 fe030001 00000000 08000100 c6336400 34000900 10000402 08000000 \
             08000500 0a090909 20000000 09000000 16001200 0a002001 0db80000 00000000 \
             00000000 00090000"
        );
    }

    #[test]
    fn nowhere_and_by_object() {
        let mut none = Route::new("198.51.100.0/24".parse().unwrap(), NextHop::link(9));
        none.hops.clear();
        none.kind = RouteKind::Blackhole;
        none.scope = Scope::GLOBAL;
        assert_eq!(
            sent(NewRoute(message(&none)), NLM_F_CREATE | NLM_F_EXCL),
            "24000000 18000106 00000000 00000000 \
             02180000 fe030006 00000000 08000100 c6336400"
        );
        none.kind = RouteKind::Unicast;
        none.nexthop = Some(7);
        assert_eq!(
            sent(NewRoute(message(&none)), NLM_F_CREATE | NLM_F_EXCL),
            "2c000000 18000106 00000000 00000000 \
             02180000 fe030001 00000000 08000100 c6336400 08001e00 07000000"
        );
    }
}
