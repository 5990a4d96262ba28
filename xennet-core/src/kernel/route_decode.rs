use std::net::IpAddr;

use ipnet::IpNet;

use super::attributes::{attributes, ip, text, u8, u32};
use crate::types::{NextHop, Route, RouteKind, Scope};

/// A route from the body of `RTM_NEWROUTE`; none when it is of another family.
pub(super) fn route(body: &[u8], wanted: u8) -> Option<Route> {
    let (header, rest) = body.split_first_chunk::<12>()?;
    let [family, to_length, from_length, tos, table, protocol, scope, kind, flags @ ..] = *header;
    // A kernel without IPv6, asked for IPv6's routes, sends everybody's.
    if family != wanted {
        return None;
    }
    let any =
        if i32::from(family) == libc::AF_INET { IpAddr::from([0; 4]) } else { [0; 16].into() };
    let mut hop = NextHop {
        via: None,
        index: None,
        weight: 1,
        onlink: u32::from_ne_bytes(flags) & ONLINK != 0,
    };
    let mut route = Route::new(IpNet::new(any, to_length).ok()?, hop.clone());
    route.table = table.into();
    (route.tos, route.protocol, route.scope) = (tos, protocol, Scope(scope));
    route.kind = route_kind(kind);
    let mut members = None;
    for (kind, value) in attributes(rest) {
        match kind {
            libc::RTA_DST => route.destination = IpNet::new(ip(value)?, to_length).ok()?,
            libc::RTA_SRC => route.source = IpNet::new(ip(value)?, from_length).ok(),
            libc::RTA_OIF => hop.index = u32(value),
            libc::RTA_GATEWAY => hop.via = ip(value),
            RTA_VIA => hop.via = via(value),
            libc::RTA_PRIORITY => route.metric = u32(value).filter(|metric| *metric != 0),
            libc::RTA_PREFSRC => route.src = ip(value),
            libc::RTA_METRICS => metrics(value, &mut route),
            libc::RTA_MULTIPATH => members = Some(multipath(value, &mut route.unknown)),
            libc::RTA_TABLE => route.table = u32(value)?,
            RTA_PREF => route.preference = u8(value)?,
            RTA_NH_ID => route.nexthop = u32(value),
            libc::RTA_CACHEINFO => route.expires = expires(value),
            other => route.unknown.push(other),
        }
    }
    route.hops = members.unwrap_or_else(|| match hop {
        NextHop { via: None, index: None, .. } => Vec::new(),
        hop => vec![hop],
    });
    Some(route)
}

/// `struct rtnexthop` and its attributes, again and again.
fn multipath(bytes: &[u8], unknown: &mut Vec<u16>) -> Vec<NextHop> {
    let mut members = Vec::new();
    let mut rest = bytes;
    while let Some(([l0, l1, flags, hops, index @ ..], _)) = rest.split_first_chunk::<8>() {
        let length = usize::from(u16::from_ne_bytes([*l0, *l1]));
        let Some(inner) = rest.get(8..length) else { break };
        let mut hop = NextHop {
            via: None,
            index: Some(u32::from_ne_bytes(*index)).filter(|index| *index != 0),
            weight: u16::from(*hops) + 1,
            onlink: u32::from(*flags) & ONLINK != 0,
        };
        for (kind, value) in attributes(inner) {
            match kind {
                libc::RTA_GATEWAY => hop.via = ip(value),
                RTA_VIA => hop.via = via(value),
                other => unknown.push(other),
            }
        }
        members.push(hop);
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    members
}

/// `struct rtvia`: a family, and an address that need not be of the route's.
fn via(value: &[u8]) -> Option<IpAddr> {
    ip(value.get(2..)?)
}

fn metrics(bytes: &[u8], route: &mut Route) {
    for (kind, value) in attributes(bytes) {
        match kind {
            RTAX_CC_ALGO => route.congctl = Some(text(value)),
            kind => route.metrics.extend(u32(value).map(|value| (kind, value))),
        }
    }
}

/// `rta_expires` of `struct rta_cacheinfo`, in hundredths of a second (`USER_HZ`).
fn expires(value: &[u8]) -> Option<u32> {
    let ticks = value.get(8..).and_then(u32)?.cast_signed();
    u32::try_from(ticks).ok().map(|ticks| ticks.div_ceil(100)).filter(|seconds| *seconds != 0)
}

fn route_kind(number: u8) -> RouteKind {
    match number {
        libc::RTN_UNICAST => RouteKind::Unicast,
        libc::RTN_LOCAL => RouteKind::Local,
        libc::RTN_BROADCAST => RouteKind::Broadcast,
        libc::RTN_ANYCAST => RouteKind::Anycast,
        libc::RTN_MULTICAST => RouteKind::Multicast,
        libc::RTN_BLACKHOLE => RouteKind::Blackhole,
        libc::RTN_UNREACHABLE => RouteKind::Unreachable,
        libc::RTN_PROHIBIT => RouteKind::Prohibit,
        libc::RTN_THROW => RouteKind::Throw,
        other => RouteKind::Other(other),
    }
}

pub(super) fn number(kind: RouteKind) -> u8 {
    match kind {
        RouteKind::Unicast => libc::RTN_UNICAST,
        RouteKind::Local => libc::RTN_LOCAL,
        RouteKind::Broadcast => libc::RTN_BROADCAST,
        RouteKind::Anycast => libc::RTN_ANYCAST,
        RouteKind::Multicast => libc::RTN_MULTICAST,
        RouteKind::Blackhole => libc::RTN_BLACKHOLE,
        RouteKind::Unreachable => libc::RTN_UNREACHABLE,
        RouteKind::Prohibit => libc::RTN_PROHIBIT,
        RouteKind::Throw => libc::RTN_THROW,
        RouteKind::Other(number) => number,
    }
}

/// `RTNH_F_ONLINK`
const ONLINK: u32 = 4;
const RTA_NH_ID: u16 = 30;
const RTA_VIA: u16 = 18;
const RTA_PREF: u16 = 20;
const RTAX_CC_ALGO: u16 = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::attributes::strange;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_body_is_a_route_or_none(body in strange::body(12)) {
            for family in [libc::AF_INET, libc::AF_INET6] {
                let mut body = body.clone();
                body[0] = u8::try_from(family).unwrap();
                let _ = route(&body, body[0]);
            }
        }

        #[test]
        fn any_bytes_are_members(bytes: Vec<u8>) {
            prop_assert!(multipath(&bytes, &mut Vec::new()).len() <= bytes.len() / 8);
        }
    }
}
