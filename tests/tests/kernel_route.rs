//! Routes: listed, moved without loss, replaced.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use xennet_core::kernel::{Kernel, RouteFilter};
use xennet_core::types::{NextHop, Route};
use xennet_tests::netns::Netns;

fn host() -> Netns {
    let netns = Netns::new();
    for (name, peer, net) in [("eth7", "far7", 1), ("eth8", "far8", 2)] {
        netns.veth(name, peer);
        netns.ip(&format!("link set {name} addrgenmode none"));
        netns.ip(&format!("link set {name} up"));
        netns.ip(&format!("link set {peer} up"));
        netns.ip(&format!("address add 192.0.{net}.1/24 dev {name}"));
        netns.ip(&format!("address add 2001:db8:{net}::1/64 dev {name} nodad"));
    }
    netns
}

fn index(kernel: &mut Kernel, text: &str) -> u32 {
    kernel.link(&text.parse().unwrap()).unwrap().unwrap().index
}

/// What `ip` says of all routes that nobody but an administrator makes.
fn told(netns: &Netns) -> Vec<String> {
    let mut all = Vec::new();
    for family in ["-4", "-6"] {
        for route in
            netns.ip_json(&format!("{family} route show table all")).as_array_mut().unwrap()
        {
            let fields = route.as_object_mut().unwrap();
            if fields["protocol"] != "kernel" {
                // Whole seconds: one may pass.
                if let Some(left) = fields.get_mut("expires") {
                    assert!((990..=1000).contains(&left.as_u64().unwrap()));
                    *left = 1000.into();
                }
                all.push(format!("{family} {route}"));
            }
        }
    }
    all.sort();
    all
}

#[test]
fn a_route_moves_without_loss() {
    let netns = host();
    for words in [
        "default via 192.0.1.254 dev eth7 metric 100 proto dhcp src 192.0.1.1",
        "default via 192.0.2.254 dev eth8 metric 200",
        "198.51.100.0/24 via 10.9.9.9 dev eth7 onlink mtu 1400 advmss lock 1300 congctl reno initcwnd 20",
        "198.51.101.0/24 dev eth7 scope link table 1234 tos 0x10",
        "198.51.102.0/24 nexthop via 192.0.1.254 dev eth7 weight 3 nexthop via 192.0.2.254 dev eth8 weight 250 onlink",
        "198.51.103.0/24 via inet6 2001:db8:1::9 dev eth7",
        "198.51.104.7/32 dev eth7 metric 2 proto static",
        "blackhole 198.51.105.0/24",
        "unreachable 198.51.106.0/24 metric 9",
        "prohibit 198.51.107.0/24 table 5",
        "throw 198.51.108.0/24 table 5",
        "local 198.51.109.1 dev eth7 table local proto static",
    ] {
        netns.ip(&format!("route add {words}"));
    }
    for words in [
        "default via 2001:db8:1::fe dev eth7 pref high",
        "2001:db8:9::/48 via fe80::1 dev eth8 metric 7 mtu 1280 proto static",
        "2001:db8:a::/48 from 2001:db8:1::/64 via 2001:db8:1::fe dev eth7",
        "2001:db8:b::/48 nexthop via 2001:db8:1::fe dev eth7 weight 2 nexthop via 2001:db8:2::fe dev eth8",
        "2001:db8:c::/48 dev eth7 expires 1000",
        "2001:db8:d::/48 dev eth7 table 100000 src 2001:db8:1::1",
        "blackhole 2001:db8:e::/48",
    ] {
        netns.ip(&format!("-6 route add {words}"));
    }
    let before = told(&netns);
    assert_eq!(before.len(), 19, "{before:#?}");
    let mut kernel = Kernel::open().unwrap();
    let all = kernel.routes(RouteFilter::default()).unwrap();
    let ours: Vec<_> = all.into_iter().filter(|route| route.protocol != 2).collect();
    assert_eq!(ours.len(), 19);
    for route in &ours {
        assert!(route.unknown.is_empty(), "{route:?}");
        kernel.route_delete(route).unwrap();
    }
    assert_eq!(told(&netns), [""; 0]);
    for route in &ours {
        kernel.route_add(route).unwrap();
    }
    assert_eq!(told(&netns), before);
    for route in &ours {
        kernel.route_replace(route).unwrap();
    }
    assert_eq!(told(&netns), before);
    let again = kernel.routes(RouteFilter::default()).unwrap();
    let again: Vec<_> = again.into_iter().filter(|route| route.protocol != 2).collect();
    let lasting = |mut routes: Vec<Route>| {
        for route in &mut routes {
            route.expires = None;
        }
        routes.sort_by_key(|route| format!("{route:?}"));
        routes
    };
    assert_eq!(lasting(again), lasting(ours));
}

#[test]
fn a_route_through_a_next_hop_object_keeps_it() {
    let netns = host();
    netns.ip("nexthop add id 7 via 192.0.1.254 dev eth7");
    netns.ip("route add 198.51.100.0/24 nhid 7");
    let mut kernel = Kernel::open().unwrap();
    let find = |kernel: &mut Kernel| {
        let all = kernel.routes(RouteFilter::default()).unwrap();
        all.into_iter().find(|route| route.destination.to_string() == "198.51.100.0/24").unwrap()
    };
    let route = find(&mut kernel);
    assert_eq!(route.nexthop, Some(7));
    let before = told(&netns);
    kernel.route_delete(&route).unwrap();
    kernel.route_add(&route).unwrap();
    assert_eq!(told(&netns), before);
}

#[test]
fn what_it_does_not_hold_it_says() {
    let netns = host();
    netns.ip("route add 198.51.100.0/24 via 192.0.1.254 dev eth7 realms 5");
    let mut kernel = Kernel::open().unwrap();
    let all = kernel.routes(RouteFilter::default()).unwrap();
    let route =
        all.iter().find(|route| route.destination.to_string() == "198.51.100.0/24").unwrap();
    assert_eq!(route.unknown, [libc::RTA_FLOW]);
}

#[test]
fn lists_only_what_the_filter_lets_through() {
    let netns = host();
    netns.ip("route add 198.51.100.0/24 via 192.0.1.254 dev eth7 table 77");
    netns.ip("route add 198.51.101.0/24 nexthop via 192.0.1.254 nexthop via 192.0.2.254");
    let mut kernel = Kernel::open().unwrap();
    let (seven, eight) = (index(&mut kernel, "eth7"), index(&mut kernel, "eth8"));
    let mut list = |table, index| {
        let all = kernel.routes(RouteFilter { table, index }).unwrap();
        all.into_iter().map(|route| route.to_string()).collect::<Vec<_>>()
    };
    let only = format!("198.51.100.0/24 via 192.0.1.254 dev if{seven} table 77");
    assert_eq!(list(Some(77), None), std::slice::from_ref(&only));
    assert_eq!(list(Some(77), Some(eight)), [""; 0]);
    assert_eq!(list(Some(78), None), [""; 0]);
    let main = list(Some(Route::MAIN), Some(eight));
    let expected = [
        format!("192.0.2.0/24 dev if{eight} src 192.0.2.1"),
        format!(
            "198.51.101.0/24 nexthop via 192.0.1.254 dev if{seven} weight 1 nexthop via 192.0.2.254 dev if{eight} weight 1"
        ),
        format!("2001:db8:2::/64 dev if{eight} metric 256"),
    ];
    assert_eq!(main, expected);
    assert!(list(None, Some(seven)).contains(&only));
    let none = RouteFilter { table: None, index: Some(9999) };
    assert_eq!(kernel.routes(none).unwrap_err().errno(), libc::ENODEV);
}

#[test]
fn the_default_routes_device() {
    let netns = host();
    let mut kernel = Kernel::open().unwrap();
    let (seven, eight) = (index(&mut kernel, "eth7"), index(&mut kernel, "eth8"));
    assert_eq!(kernel.default_route().unwrap(), None);
    netns.ip("-6 route add default via 2001:db8:1::fe dev eth7");
    assert_eq!(kernel.default_route().unwrap(), Some(seven), "IPv6 alone counts");
    netns.ip("route add default via 192.0.2.254 metric 100");
    assert_eq!(kernel.default_route().unwrap(), Some(eight), "IPv4 first");
    netns.ip("route add default via 192.0.1.254 metric 50");
    assert_eq!(kernel.default_route().unwrap(), Some(seven), "the lowest metric");
    netns.ip("route add unreachable default metric 10");
    assert_eq!(kernel.default_route().unwrap(), Some(seven), "that one leads nowhere");
}

#[test]
fn routes_to_guests() {
    let netns = host();
    let mut kernel = Kernel::open().unwrap();
    let vif = index(&mut kernel, "eth8");
    let mut v4 = Route::new("203.0.113.5/32".parse().unwrap(), NextHop::link(vif));
    v4.src = Some("192.0.1.1".parse().unwrap());
    v4.metric = Some(2);
    let mut v6 = Route::new("2001:db8:77::5/128".parse().unwrap(), NextHop::link(vif));
    v6.metric = Some(2);
    let mut via = Route::new(
        "0.0.0.0/0".parse().unwrap(),
        NextHop::via("192.0.1.254".parse().unwrap(), index(&mut kernel, "eth7")),
    );
    via.metric = Some(5);
    for route in [&v4, &v6, &via] {
        kernel.route_add(route).unwrap();
        assert_eq!(kernel.route_add(route).unwrap_err().errno(), libc::EEXIST);
        kernel.route_replace(route).unwrap();
    }
    let one = netns.ip_json("route show 203.0.113.5");
    assert_eq!(
        (&one[0]["dev"], &one[0]["prefsrc"], &one[0]["metric"]),
        (&"eth8".into(), &"192.0.1.1".into(), &2.into())
    );
    assert_eq!(one[0]["scope"], "link");
    assert_eq!(netns.ip_json("-6 route show 2001:db8:77::5")[0]["metric"], 2);
    assert_eq!(netns.ip_json("route show default")[0]["gateway"], "192.0.1.254");
    for route in [&v4, &v6, &via] {
        kernel.route_delete(route).unwrap();
        let error = kernel.route_delete(route).unwrap_err();
        assert_eq!(error.errno(), libc::ESRCH);
        assert!(error.to_string().starts_with(&format!("route del {route}: ")), "{error}");
    }
    let nowhere =
        Route::new("0.0.0.0/0".parse().unwrap(), NextHop::via("10.1.1.1".parse().unwrap(), vif));
    let error = kernel.route_add(&nowhere).unwrap_err();
    assert_eq!(error.errno(), libc::ENETUNREACH);
    assert!(error.detail().is_some(), "{error}");
}
