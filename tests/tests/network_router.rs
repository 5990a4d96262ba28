//! A host that has its IPv6 addresses and its default route from a router's advertisements.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by a panic")]

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use xennet_tests::lan::Lan;

const INHERIT: &str = "[[bridge]]\nname = \"xenbr0\"\nuplink = \"eth0\"\naddresses = \"inherit\"\n";

fn advertise(lan: &Lan, seconds: u16) {
    lan.advertise(seconds, "2001:db8:9::");
}

fn defaults(lan: &Lan, link: &str) -> Vec<Value> {
    let routes = lan.netns.ip_json(&format!("-6 route show default dev {link}"));
    routes.as_array().unwrap().clone()
}

fn metrics(lan: &Lan, link: &str) -> Vec<u64> {
    let mut all: Vec<u64> =
        defaults(lan, link).iter().map(|route| route["metric"].as_u64().unwrap()).collect();
    all.sort_unstable();
    all
}

/// How long the address that the router's prefix gave is valid, in seconds.
fn valid(lan: &Lan, link: &str) -> Option<u64> {
    let all = lan.netns.ip_json(&format!("-6 address show dev {link}"));
    let addresses = all[0]["addr_info"].as_array()?.iter();
    let made = |one: &&Value| one["local"].as_str().is_some_and(|ip| ip.starts_with("2001:db8:9:"));
    addresses.clone().find(made)?["valid_life_time"].as_u64()
}

fn eventually(what: &str, is: impl Fn() -> bool) {
    let began = Instant::now();
    while !is() {
        assert!(began.elapsed() < Duration::from_mins(1), "never: {what}");
        sleep(Duration::from_millis(10));
    }
}

fn sysctl(path: &str) -> String {
    fs::read_to_string(format!("/proc/sys/net/ipv6/conf/{path}")).unwrap().trim().to_owned()
}

#[test]
fn the_bridge_takes_over_what_the_router_told_and_listens_to_it() {
    let lan = Lan::new();
    lan.configure(INHERIT);
    advertise(&lan, 1800);
    eventually("an address", || valid(&lan, "eth0").is_some());
    lan.settled();
    assert_eq!(metrics(&lan, "eth0"), [1024]);

    lan.xennet("network start").succeeded();
    assert!(
        valid(&lan, "eth0").is_none() && valid(&lan, "xenbr0").is_some_and(|left| left <= 1800)
    );
    assert_eq!(
        (metrics(&lan, "eth0"), metrics(&lan, "xenbr0")),
        (vec![], vec![1025]),
        "a stand-in"
    );
    lan.xennet("network check").succeeded();

    // All of the next advertisement is heard: the route, and the prefix after it.
    advertise(&lan, 4000);
    eventually("the bridge learns", || metrics(&lan, "xenbr0") == [1024, 1025]);
    eventually("the address is renewed", || valid(&lan, "xenbr0").is_some_and(|left| left > 1800));
    assert!(valid(&lan, "eth0").is_none());
    lan.xennet("network check").succeeded();

    lan.xennet("network stop").succeeded();
    assert!(valid(&lan, "eth0").is_some_and(|left| (1801..=4000).contains(&left)));
    assert_eq!(metrics(&lan, "eth0"), [1025], "a stand-in");
    advertise(&lan, 5000);
    eventually("the uplink learns", || metrics(&lan, "eth0") == [1024, 1025]);
    eventually("the address is renewed", || valid(&lan, "eth0").is_some_and(|left| left > 4000));
}

#[test]
fn a_host_that_begins_to_forward_goes_on_learning() {
    let lan = Lan::new();
    lan.configure("[forwarding]\nipv6 = true\n");
    advertise(&lan, 1800);
    eventually("a default route", || !defaults(&lan, "eth0").is_empty());
    lan.xennet("network start").succeeded();
    assert_eq!((sysctl("all/forwarding"), sysctl("eth0/accept_ra")), ("1".into(), "2".into()));
    assert_eq!(metrics(&lan, "eth0"), [1024], "the kernel drops it when accept_ra is 1");
    lan.xennet("network stop").succeeded();
    assert_eq!((sysctl("all/forwarding"), sysctl("eth0/accept_ra")), ("0".into(), "1".into()));

    // A forwarding host whose uplink is no router's: neither is the bridge.
    lan.configure(INHERIT);
    for (path, value) in [("all/forwarding", "1"), ("eth0/forwarding", "0")] {
        fs::write(format!("/proc/sys/net/ipv6/conf/{path}"), value).unwrap();
    }
    advertise(&lan, 1800);
    eventually("a default route", || !defaults(&lan, "eth0").is_empty());
    lan.xennet("network start").succeeded();
    advertise(&lan, 1800);
    eventually("the bridge learns", || metrics(&lan, "xenbr0") == [1024, 1025]);
    lan.xennet("network stop").succeeded();
    fs::write("/proc/sys/net/ipv6/conf/all/forwarding", "0").unwrap();
    lan.netns.ip("-6 route flush default");

    lan.configure(&format!("{INHERIT}[forwarding]\nipv6 = true\n"));
    advertise(&lan, 1800);
    eventually("a default route", || !defaults(&lan, "eth0").is_empty());
    lan.xennet("network start").succeeded();
    assert_eq!((sysctl("all/forwarding"), sysctl("xenbr0/accept_ra")), ("1".into(), "2".into()));
    advertise(&lan, 1800);
    eventually("the bridge learns", || metrics(&lan, "xenbr0") == [1024, 1025]);
    lan.xennet("network stop").succeeded();
}

/// The addresses that were made from routers' advertisements, and for how long they are valid.
fn made(lan: &Lan, link: &str) -> Vec<(String, u64)> {
    let all = lan.netns.ip_json(&format!("-6 address show dev {link}"));
    let all = all[0]["addr_info"].as_array().into_iter().flatten();
    let mut all: Vec<_> = all
        .filter(|one| one["scope"] == "global")
        .map(|one| {
            let address = one["local"].as_str().unwrap().to_owned();
            (address, one["valid_life_time"].as_u64().unwrap())
        })
        .collect();
    all.sort();
    all
}

/// Has `eth0` make its addresses from a secret that the kernel makes when the interface comes up.
fn random(lan: &Lan) {
    for words in ["down", "addrgenmode random", "up"] {
        lan.netns.ip(&format!("link set dev eth0 {words}"));
    }
    eventually("a link-local address", || {
        lan.netns.ip_json("-6 address show dev eth0").to_string().contains("fe80::")
    });
    lan.settled();
}

/// Starts and stops; the router renews the addresses that the host has, after each.
fn renewed_on_both(lan: &Lan, is_eui64: bool) {
    advertise(lan, 1800);
    eventually("an address", || !made(lan, "eth0").is_empty());
    lan.settled();
    let [(address, _)] = made(lan, "eth0").try_into().unwrap();
    assert_eq!(address == "2001:db8:9::ff:fe00:2", is_eui64);
    let renewed = |link, seconds| {
        advertise(lan, seconds);
        let only = |all: &[(String, u64)]| matches!(all, [(one, _)] if *one == address);
        eventually("the address is renewed", || {
            let all = made(lan, link);
            assert!(only(&all), "{link}: {all:?}, and not {address} alone");
            all[0].1 > u64::from(seconds) - 100
        });
    };
    let started = lan.xennet("network start");
    started.succeeded();
    assert_eq!(started.stderr, "");
    renewed("xenbr0", 4000);
    assert_eq!(lan.xennet("network start -v").stderr, "", "the second start did something");
    lan.xennet("network check").succeeded();
    lan.xennet("network stop").succeeded();
    renewed("eth0", 6000);
}

#[test]
fn an_address_of_another_identifier_is_renewed_on_the_bridge() {
    let own_mac = INHERIT.replace("uplink", "mac = \"02:00:00:00:00:99\"\nuplink");
    for (config, prepare) in [
        (INHERIT, "token"),
        (INHERIT, "random"),
        (INHERIT, "stable_secret"),
        (&own_mac, "another MAC address"),
    ] {
        for bridge in ["", "link add xenbr0 address 02:00:00:00:00:98 type bridge"] {
            let lan = Lan::new();
            lan.configure(config);
            match prepare {
                "token" => lan.netns.ip("token set ::77 dev eth0"),
                "random" => random(&lan),
                "stable_secret" => {
                    let path = "/proc/sys/net/ipv6/conf/eth0/stable_secret";
                    fs::write(path, "2001:db8:1:2:3:4:5:6").unwrap();
                }
                _ => {}
            }
            if !bridge.is_empty() {
                lan.netns.ip(bridge);
            }
            renewed_on_both(&lan, config == own_mac);
            let left = lan.netns.ip_json("token list").to_string();
            assert!(!left.contains("xenbr0") || left.contains("\"::\""), "{left}");
        }
    }
}

#[test]
fn addresses_of_several_identifiers_are_warned_of() {
    let lan = Lan::new();
    lan.configure(INHERIT);
    random(&lan);
    advertise(&lan, 1800);
    lan.advertise(1800, "2001:db8:8::");
    eventually("two addresses", || made(&lan, "eth0").len() == 2);
    lan.settled();
    let addresses = made(&lan, "eth0");
    let started = lan.xennet("network start");
    started.succeeded();
    for (address, _) in addresses {
        let warned = |line: &&str| line.contains(&address) && line.contains("make it static");
        assert!(started.stderr.lines().any(|line| warned(&line)), "{}", started.stderr);
    }
    lan.xennet("network stop").succeeded();
}
