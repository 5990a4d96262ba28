//! The host's addresses and routes move to a bridge and back, and nobody who talks to the host notices.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by a panic")]

use serde_json::json;
use xennet_tests::lan::{Lan, assert_same, timeless};
use xennet_tests::netns::within;
use xennet_tests::strace;
use xennet_tests::talk::Talk;

const INHERIT: &str = "[[bridge]]\nname = \"xenbr0\"\nuplink = \"eth0\"\naddresses = \"inherit\"\n";

/// Starts, sees that a second start has nothing to do, stops, and sees that all is as before.
fn there_and_back(lan: &Lan) {
    let before = lan.state();
    lan.xennet("network start").succeeded();
    let moved = lan.state();
    let again = lan.xennet("network start -v").stderr;
    let done: Vec<&str> = again.lines().filter(|it| !it.contains("inherits nothing")).collect();
    assert_eq!(done, [""; 0], "the second start did something");
    lan.xennet("network status").succeeded();
    lan.xennet("network check").succeeded();
    assert_same(&moved, &lan.state(), "after the second start");
    assert!(lan.recorded());
    lan.xennet("network stop").succeeded();
    assert_same(&before, &lan.state(), "after the stop");
    assert!(!lan.recorded());
    assert_eq!(lan.xennet("network stop -v").stderr, "", "the second stop did something");
}

fn addresses(lan: &Lan, link: &str) -> Vec<String> {
    let link = &lan.netns.ip_json(&format!("address show dev {link}"))[0];
    let all = link["addr_info"].as_array().unwrap().iter();
    let mut all: Vec<String> =
        all.map(|a| format!("{}/{}", a["local"].as_str().unwrap(), a["prefixlen"])).collect();
    all.sort();
    all
}

#[test]
fn all_addresses_and_default_routes() {
    let lan = Lan::with_addresses();
    lan.configure(INHERIT);
    let before = addresses(&lan, "eth0");
    assert_eq!(before.len(), 5, "with the link-local one");
    lan.xennet("network start").succeeded();
    assert_eq!(addresses(&lan, "xenbr0"), before);
    assert_eq!(addresses(&lan, "eth0"), [""; 0]);
    let bridge = lan.netns.link("xenbr0");
    assert_eq!(bridge["address"], "02:00:00:00:00:02");
    assert_eq!(lan.netns.link("eth0")["master"], "xenbr0");
    for family in ["-4", "-6"] {
        let routes = lan.netns.ip_json(&format!("{family} route show default"));
        assert_eq!(routes[0]["dev"], "xenbr0");
        assert_eq!(routes.as_array().unwrap().len(), 1);
    }
    lan.xennet("network stop").succeeded();
    there_and_back(&lan);
}

#[test]
fn whatever_kind_of_route_and_address() {
    let lan = Lan::with_addresses();
    lan.netns.ip("link add eth1 type veth peer name far1");
    lan.netns.ip("link set eth1 up");
    lan.netns.ip("link set far1 up");
    lan.netns.ip("address add 10.1.0.2/24 dev eth1");
    lan.netns.ip("address add 2001:db8:1::2/64 dev eth1 nodad");
    for words in [
        "address add 198.51.100.7/32 dev eth0 noprefixroute valid_lft 3600 preferred_lft 1800",
        "address add 10.9.0.1 peer 10.9.0.2/32 dev eth0 scope link",
        "address add 10.8.0.1/24 dev eth0 label eth0:web metric 77",
        "address add 2001:db8:5::1/64 dev eth0 noprefixroute",
        "address add 2001:db8:6::1/128 dev eth0 preferred_lft 0",
        "address add 2001:db8:7::1/64 dev eth0 valid_lft 3600 preferred_lft 600",
        "route add 10.0.0.0/8 via 192.0.2.1 dev eth0 metric 50 src 192.0.2.3 mtu 1400 advmss lock 1300",
        "route add 10.7.0.0/16 dev eth0 table 77 proto static tos 0x10",
        "route add 198.51.100.0/24 dev eth0 proto kernel scope link src 198.51.100.7 metric 100",
        "route add 10.6.0.0/16 via 198.51.100.1 dev eth0",
        "route add 10.5.0.0/16 via 10.55.0.1 dev eth0 onlink",
        "route add 10.4.0.0/16 nexthop via 192.0.2.1 dev eth0 weight 3 nexthop via 10.1.0.1 dev eth1 weight 2",
        "route add 10.3.0.0/16 via inet6 fe80::1 dev eth0",
        "route add default via 10.1.0.1 dev eth1 metric 900",
        "route add local 10.2.0.0/16 dev eth0 table local proto static",
        "route add blackhole 10.66.0.0/16",
        "-6 route add 2001:db8:a::/48 via 2001:db8::1 dev eth0 metric 7 mtu 1400",
        "-6 route add 2001:db8:b::/48 dev eth0 table 77 expires 1000",
        "-6 route add 2001:db8:c::/48 nexthop via fe80::1 dev eth0 nexthop via 2001:db8:1::1 dev eth1",
        "-6 route add 2001:db8:d::/48 from 2001:db8::/64 via fe80::1 dev eth0",
        "-6 route add default via 2001:db8:1::1 dev eth1 metric 9000 pref low",
        "rule add from 192.0.2.3 table 77",
        "neighbour add 192.0.2.77 lladdr 02:00:00:00:00:77 dev eth0 nud permanent",
        "neighbour add 2001:db8::77 lladdr 02:00:00:00:00:77 dev eth0 nud permanent",
    ] {
        lan.netns.ip(words);
    }
    lan.configure(INHERIT);
    // Every route by one interface, as it would be by the other.
    let by = |link: &str| {
        let mut all = Vec::new();
        for family in ["-4", "-6"] {
            let mut routes = lan.netns.ip_json(&format!("{family} route show table all"));
            timeless(&mut routes);
            let texts = routes.as_array().unwrap().iter().map(ToString::to_string);
            let by = texts.filter(|text| text.contains(&format!("\"{link}\"")));
            all.extend(by.map(|text| text.replace(link, "LINK")));
        }
        all.sort();
        all
    };
    lan.settled();
    let before = by("eth0");
    lan.xennet("network start").succeeded();
    assert_eq!(by("eth0"), [""; 0]);
    lan.settled();
    let lost: Vec<_> = before.iter().filter(|route| !by("xenbr0").contains(route)).collect();
    assert!(lost.is_empty(), "{lost:#?}\n{:#?}", by("xenbr0"));
    let more: Vec<_> = by("xenbr0").into_iter().filter(|route| !before.contains(route)).collect();
    assert!(more.is_empty(), "{more:#?}");
    lan.xennet("network stop").succeeded();
    there_and_back(&lan);
}

#[test]
fn a_host_without_ipv6_or_without_anything() {
    let lan = Lan::new();
    lan.configure(INHERIT);
    there_and_back(&lan);
    std::fs::write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1").unwrap();
    std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1").unwrap();
    lan.netns.ip("address add 192.0.2.2/24 dev eth0");
    lan.netns.ip("route add default via 192.0.2.1");
    there_and_back(&lan);
    lan.xennet("network start").succeeded();
    assert_eq!(addresses(&lan, "xenbr0"), ["192.0.2.2/24"]);
    lan.xennet("network stop").succeeded();
    std::fs::write("/proc/sys/net/ipv6/conf/eth0/disable_ipv6", "0").unwrap();
    there_and_back(&lan);
}

#[test]
fn an_uplink_that_is_down() {
    let lan = Lan::new();
    lan.netns.ip("link set eth0 down");
    lan.netns.ip("address add 192.0.2.2/24 dev eth0");
    lan.configure(INHERIT);
    there_and_back(&lan);
}

#[test]
fn given_addresses_instead_of_the_uplinks() {
    let lan = Lan::with_addresses();
    lan.netns.ip("route add 10.0.0.0/8 via 192.0.2.1");
    lan.netns.ip("neighbour add 192.0.2.77 lladdr 02:00:00:00:00:77 dev eth0 nud permanent");
    lan.configure(
        "[[bridge]]\nname = \"xenbr0\"\nuplink = \"eth0\"\nmtu = 1600\n\
         addresses = [\"192.0.2.2/24\", \"2001:db8::9/64\"]\ngateways = [\"192.0.2.1\", \"fe80::1\"]\n",
    );
    lan.xennet("network start").succeeded();
    lan.settled();
    let fe80 = "fe80::ff:fe00:2/64".to_owned();
    assert_eq!(
        addresses(&lan, "xenbr0"),
        ["192.0.2.2/24".to_owned(), "2001:db8::9/64".to_owned(), fe80]
    );
    assert_eq!(addresses(&lan, "eth0"), [""; 0]);
    let routes = lan.netns.ip_json("route show");
    assert_eq!(routes.as_array().unwrap().len(), 2, "{routes}");
    assert_eq!(routes[0]["dev"], json!("xenbr0"));
    assert_eq!(lan.netns.link("eth0")["mtu"], 1600, "the uplink's was smaller");
    lan.xennet("network stop").succeeded();
    there_and_back(&lan);
}

#[test]
fn connections_stay() {
    let lan = Lan::with_addresses();
    lan.configure(INHERIT);
    let talks: Vec<Talk> = ["192.0.2.1:0", "[2001:db8::1]:0"]
        .map(|address| Talk::begin(&lan, address.parse().unwrap()))
        .into();
    for words in ["network start", "network stop", "network start", "network stop"] {
        lan.xennet(words).succeeded();
        // Each goes on after each move, over the connection that it had.
        talks.iter().for_each(Talk::go_on);
    }
    for talk in talks {
        let longest = talk.end();
        println!("longest silence: {longest:?}");
    }
}

/// Settings of an interface that its bridge has too, each with a value that no new interface has.
const FOLLOWING: [(&str, &str, &str); 48] = [
    ("ipv4", "accept_local", "1"),
    ("ipv4", "accept_redirects", "0"),
    ("ipv4", "accept_source_route", "0"),
    ("ipv4", "arp_accept", "1"),
    ("ipv4", "arp_announce", "2"),
    ("ipv4", "arp_filter", "1"),
    ("ipv4", "arp_ignore", "1"),
    ("ipv4", "arp_notify", "1"),
    ("ipv4", "drop_gratuitous_arp", "1"),
    ("ipv4", "forwarding", "1"),
    ("ipv4", "log_martians", "1"),
    ("ipv4", "promote_secondaries", "1"),
    ("ipv4", "proxy_arp", "1"),
    ("ipv4", "proxy_arp_pvlan", "1"),
    ("ipv4", "route_localnet", "1"),
    ("ipv4", "rp_filter", "2"),
    ("ipv4", "secure_redirects", "0"),
    ("ipv4", "send_redirects", "0"),
    ("ipv4", "shared_media", "0"),
    ("ipv4", "src_valid_mark", "1"),
    ("ipv6", "accept_dad", "2"),
    ("ipv6", "accept_ra", "2"),
    ("ipv6", "accept_ra_defrtr", "0"),
    ("ipv6", "accept_ra_from_local", "1"),
    ("ipv6", "accept_ra_min_hop_limit", "2"),
    ("ipv6", "accept_ra_min_lft", "30"),
    ("ipv6", "accept_ra_mtu", "0"),
    ("ipv6", "accept_ra_pinfo", "0"),
    ("ipv6", "accept_ra_rt_info_max_plen", "64"),
    ("ipv6", "accept_ra_rt_info_min_plen", "1"),
    ("ipv6", "accept_ra_rtr_pref", "0"),
    ("ipv6", "accept_redirects", "0"),
    ("ipv6", "accept_source_route", "1"),
    ("ipv6", "autoconf", "0"),
    ("ipv6", "dad_transmits", "2"),
    ("ipv6", "drop_unsolicited_na", "1"),
    ("ipv6", "forwarding", "1"),
    ("ipv6", "hop_limit", "33"),
    ("ipv6", "keep_addr_on_down", "1"),
    ("ipv6", "ndisc_notify", "1"),
    ("ipv6", "optimistic_dad", "1"),
    ("ipv6", "proxy_ndp", "1"),
    ("ipv6", "ra_defrtr_metric", "500"),
    ("ipv6", "temp_prefered_lft", "1000"),
    ("ipv6", "temp_valid_lft", "2000"),
    ("ipv6", "use_oif_addrs_only", "1"),
    ("ipv6", "use_optimistic", "1"),
    ("ipv6", "use_tempaddr", "2"),
];

fn setting(family: &str, link: &str, key: &str) -> String {
    format!("/proc/sys/net/{family}/conf/{link}/{key}")
}

fn read(path: &str) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    text.trim().to_owned()
}

#[test]
fn settings_of_the_uplink_follow() {
    let lan = Lan::with_addresses();
    for (family, key, value) in FOLLOWING {
        let path = setting(family, "eth0", key);
        let default = setting(family, "default", key);
        assert_ne!(read(&default), value, "{default}");
        std::fs::write(&path, value).unwrap_or_else(|error| panic!("{path}: {error}"));
    }
    lan.configure(INHERIT);
    there_and_back(&lan);
    lan.xennet("network start").succeeded();
    for (family, key, value) in FOLLOWING {
        assert_eq!(read(&setting(family, "xenbr0", key)), value, "{family} {key}");
    }
    lan.xennet("network stop").succeeded();
    // An existing bridge gets its own settings back.
    lan.netns.ip("link add xenbr0 type bridge");
    let of_bridge = || FOLLOWING.map(|(family, key, _)| read(&setting(family, "xenbr0", key)));
    let before = of_bridge();
    lan.xennet("network start").succeeded();
    assert_ne!(of_bridge(), before);
    lan.xennet("network stop").succeeded();
    assert_eq!(of_bridge(), before);
}

#[test]
fn forwarding_of_single_interfaces_comes_back() {
    let lan = Lan::with_addresses();
    lan.netns.ip("link add eth1 type veth peer name far1");
    lan.configure(&format!("{INHERIT}[forwarding]\nipv4 = true\nipv6 = true\n"));
    let paths = ["ipv4", "ipv6"].map(|family| setting(family, "eth1", "forwarding"));
    for path in &paths {
        std::fs::write(path, "1").unwrap();
    }
    std::fs::write(setting("ipv4", "eth0", "forwarding"), "1").unwrap();
    there_and_back(&lan);
    assert_eq!(paths.each_ref().map(|path| read(path)), ["1", "1"]);
    // And the other way round: guests need the bridge to forward, whatever the uplink does.
    for path in [setting("ipv4", "all", "forwarding"), setting("ipv6", "all", "forwarding")] {
        std::fs::write(path, "1").unwrap();
    }
    for family in ["ipv4", "ipv6"] {
        std::fs::write(setting(family, "eth0", "forwarding"), "0").unwrap();
    }
    there_and_back(&lan);
    lan.xennet("network start").succeeded();
    for family in ["ipv4", "ipv6"] {
        assert_eq!(read(&setting(family, "xenbr0", "forwarding")), "1", "{family}");
    }
    lan.xennet("network stop").succeeded();
}

#[test]
fn addresses_that_the_host_answers_for() {
    let lan = Lan::with_addresses();
    for words in [
        "neighbour add proxy 192.0.2.50 dev eth0",
        "neighbour add proxy 2001:db8::50 dev eth0 router protocol static",
        "neighbour add 2001:db8::77 lladdr 02:00:00:00:00:77 dev eth0 nud permanent router",
    ] {
        lan.netns.ip(words);
    }
    let proxies = |link: &str| {
        let mut all = lan.netns.ip_json(&format!("neighbour show proxy dev {link}"));
        let all = all.as_array_mut().unwrap();
        for one in all.iter_mut() {
            one.as_object_mut().unwrap().remove("dev");
        }
        all.clone()
    };
    let before = proxies("eth0");
    assert_eq!(before.len(), 2);
    lan.configure(INHERIT);
    there_and_back(&lan);
    lan.xennet("network start").succeeded();
    assert_eq!((proxies("eth0"), proxies("xenbr0")), (vec![], before.clone()));
    lan.netns.ip("link delete xenbr0");
    lan.xennet("network stop").succeeded();
    assert_eq!(proxies("eth0"), before);
    // The uplink loses them with its last addresses, and gets them back.
    let given = "addresses = [\"198.51.100.2/24\"]\n";
    lan.configure(&INHERIT.replace("addresses = \"inherit\"\n", given));
    there_and_back(&lan);
}

#[test]
fn another_interface_in_the_same_network_is_named() {
    let lan = Lan::new();
    lan.netns.ip("link add eth1 type veth peer name far1");
    lan.netns.ip("link set eth1 up");
    lan.netns.ip("link set far1 up");
    lan.settled();
    lan.netns.ip("address add 192.0.2.2/24 dev eth0");
    lan.netns.ip("address add 2001:db8::2/64 dev eth0 nodad");
    lan.netns.ip("address add 198.51.100.2/24 dev eth0");
    lan.configure(INHERIT);
    let by = |to: &str| lan.netns.ip_json(&format!("route get {to}"))[0]["dev"].clone();
    let networks = |said: &str| {
        let all = said.lines().filter(|line| line.contains("both have addresses in it"));
        all.map(|line| line.split_whitespace().nth(2).unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(networks(&lan.xennet("network plan").stderr), [""; 0]);
    lan.netns.ip("address add 192.0.2.9/24 dev eth1");
    lan.netns.ip("address add 2001:db8::9/64 dev eth1 nodad");
    lan.netns.ip("address add 198.51.100.9/24 dev eth1 metric 100");
    assert_eq!((by("192.0.2.77"), by("2001:db8::77")), (json!("eth0"), json!("eth0")));
    let started = lan.xennet("network start");
    started.succeeded();
    assert_eq!(
        networks(&started.stderr),
        ["192.0.2.0/24:", "2001:db8::/64:"],
        "{}",
        started.stderr
    );
    assert!(started.stderr.contains("xenbr0 and eth1"), "{}", started.stderr);
    assert_eq!((by("192.0.2.77"), by("2001:db8::77")), (json!("eth1"), json!("eth1")));
    // A stop does not restore the order; then it is no news to the next start.
    let stopped = lan.xennet("network stop");
    assert_eq!(networks(&stopped.stderr), ["192.0.2.0/24:", "2001:db8::/64:"], "{stopped:?}");
    assert_eq!(networks(&lan.xennet("network start").stderr), [""; 0]);
    lan.xennet("network stop").succeeded();
}

/// The hardware address that the router knows of an address of the host.
fn known_to_router(lan: &Lan, address: &str) -> String {
    within(&lan.router, || {
        let output = std::process::Command::new("ip")
            .args(["-j", "neighbour", "show", "to", address, "dev", "lan0"])
            .output();
        let known: serde_json::Value = serde_json::from_slice(&output.unwrap().stdout).unwrap();
        known[0]["lladdr"].as_str().unwrap_or_default().to_owned()
    })
}

#[test]
fn the_network_hears_of_another_hardware_address_at_once() {
    let lan = Lan::with_addresses();
    let (eth0, bridge) = ("02:00:00:00:00:02", "02:00:00:00:00:99");
    lan.configure(&INHERIT.replace("uplink", &format!("mac = \"{bridge}\"\nuplink")));
    let all = ["192.0.2.2", "192.0.2.3", "2001:db8::2", "2001:db8::3"];
    let enter = |mac: &str| {
        for address in all {
            lan.router_ip(&format!("neighbour replace {address} lladdr {mac} dev lan0 nud stale"));
        }
    };
    enter(eth0);
    let known = || all.map(|address| known_to_router(&lan, address));
    lan.xennet("network start").succeeded();
    assert_eq!(known(), [bridge; 4]);
    lan.xennet("network stop").succeeded();
    assert_eq!(known(), [eth0; 4]);
    // A start that is not confirmed.
    lan.xennet("network start --confirm-timeout 1").succeeded();
    assert_eq!(known(), [bridge; 4]);
    let began = std::time::Instant::now();
    while known() != [eth0; 4] {
        assert!(began.elapsed().as_secs() < 60, "not announced: {:?}", known());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    // A start that fails at its last change, and is undone.
    let traced = strace::traced(&lan.command("network start"));
    let writes = traced.calls.iter().filter(|call| call.starts_with("write(")).count();
    lan.xennet("network stop").succeeded();
    enter(bridge);
    let failed = strace::failing(&lan.command("network start"), "write", writes, "EPERM");
    assert!(failed.struck && failed.outcome.code == Some(1), "{:?}", failed.outcome);
    assert_eq!(known(), [eth0; 4]);
}
