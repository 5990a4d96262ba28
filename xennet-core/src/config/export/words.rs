//! What `ip` and networkd say alike of addresses and routes.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::types::{Address, AddressFlags, IfName, Route, RouteKind, Scope};

/// Whether an address is no more than an address and the length of its prefix.
pub(super) fn is_plain(address: &Address) -> bool {
    let usual = match address.address {
        IpNet::V4(net) => Some(net.broadcast()),
        IpNet::V6(_) => None,
    };
    let mut rest = address.clone();
    rest.broadcast = rest.broadcast.filter(|broadcast| Some(*broadcast) != usual);
    (rest.protocol, rest.flags) = (None, AddressFlags::empty());
    rest == Address::new(address.address) && kept_flags(address).is_empty()
}

/// The flags of an address that an administrator sets, in the words of `ip` and of networkd.
pub(super) fn kept_flags(address: &Address) -> Vec<(&'static str, &'static str)> {
    let all = [
        (AddressFlags::HOMEADDRESS, ("home", "HomeAddress=yes")),
        (AddressFlags::MANAGETEMPADDR, ("mngtmpaddr", "ManageTemporaryAddress=yes")),
        (AddressFlags::NOPREFIXROUTE, ("noprefixroute", "AddPrefixRoute=no")),
        (AddressFlags::MCAUTOJOIN, ("autojoin", "AutoJoin=yes")),
    ];
    all.into_iter()
        .filter(|(flag, _)| address.flags.contains(*flag))
        .map(|(_, words)| words)
        .collect()
}

/// The label of an address on the bridge: `ip` takes none that does not begin with the interface's name.
pub(super) fn label(address: &Address, bridge: &IfName) -> Option<String> {
    let (_, suffix) = address.label.as_ref()?.split_once(':')?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
    let label = format!("{bridge}:{suffix}");
    (label.len() <= IfName::MAX && suffix.bytes().all(plain)).then_some(label)
}

/// The router of a default route without any other attribute: `gateway` of ifupdown, `Gateway=` of networkd.
pub(super) fn plain_gateway(route: &Route) -> Option<IpAddr> {
    let [hop] = route.hops.as_slice() else { return None };
    let mut default = Route::new(route.destination, hop.clone());
    default.protocol = route.protocol;
    default.metric = route.metric.filter(|_| !has_metric(route));
    let entered = [BOOT, STATIC].contains(&route.protocol) && !hop.onlink;
    let via = hop.via.filter(|via| via.is_ipv4() == route.destination.addr().is_ipv4())?;
    (route.destination.prefix_len() == 0 && entered && *route == default).then_some(via)
}

/// Whether its metric is not the one of a route that was entered without.
pub(super) fn has_metric(route: &Route) -> bool {
    let usual = if route.destination.addr().is_ipv6() { 1024 } else { 0 };
    route.metric.is_some_and(|metric| metric != usual)
}

/// The scope that a route is entered with, where nothing is said of it.
pub(super) fn usual_scope(route: &Route) -> Scope {
    match (route.kind, route.hops.as_slice()) {
        _ if route.destination.addr().is_ipv6() => Scope::GLOBAL,
        (RouteKind::Local, _) => Scope::HOST,
        (RouteKind::Broadcast | RouteKind::Multicast | RouteKind::Anycast, _) => Scope::LINK,
        (RouteKind::Unicast, [hop]) if hop.via.is_none() => Scope::LINK,
        _ => Scope::GLOBAL,
    }
}

/// The congestion control of a route: a name of a kernel module.
pub(super) fn congestion_control(route: &Route) -> Option<&str> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-".contains(&b);
    route.congctl.as_deref().filter(|name| name.bytes().all(plain))
}

/// How an IPv6 router ranks itself.
pub(super) fn preference(route: &Route) -> Option<&'static str> {
    match route.preference {
        1 => Some("high"),
        3 => Some("low"),
        _ => None,
    }
}

/// `RTPROT_BOOT`, `RTPROT_STATIC`: an administrator entered it.
pub(super) const BOOT: u8 = 3;
pub(super) const STATIC: u8 = 4;

/// `RTAX_LOCK`: the metrics that do not adapt, as bits by their number.
pub(super) const LOCK: u16 = 1;

/// What is known of a route's path (`RTAX_*`), in the words of `ip` and of networkd.
pub(super) const METRICS: [(u16, &str, Option<&str>); 11] = [
    (2, "mtu", Some("MTUBytes")),
    (3, "window", None),
    (6, "ssthresh", None),
    (7, "cwnd", None),
    (8, "advmss", Some("TCPAdvertisedMaximumSegmentSize")),
    (9, "reordering", None),
    (10, "hoplimit", None),
    (11, "initcwnd", Some("InitialCongestionWindow")),
    (14, "initrwnd", Some("InitialAdvertisedReceiveWindow")),
    (15, "quickack", Some("QuickAck")),
    (17, "fastopen_no_cookie", Some("FastOpenNoCookie")),
];
