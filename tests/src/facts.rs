//! A host's network as facts that do not depend on who made it so.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "what tests share fails as tests do: by a panic"
)]

use std::collections::BTreeSet;
use std::thread::{self, JoinHandle};

use serde_json::Value;

use crate::lan::Lan;

/// Every link, address, route and permanent neighbour, a line for each fact.
///
/// Not `onlink`, which ifupdown gives to every gateway, nor whether a route is static or was entered at boot.
pub fn network(lan: &Lan) -> BTreeSet<String> {
    lan.settled();
    let mut facts = BTreeSet::new();
    for link in lan.netns.ip_json("address show").as_array().unwrap() {
        let name = link["ifname"].as_str().unwrap();
        let bridge = &link["linkinfo"]["info_data"];
        for (of, keys) in [
            (link, &["mtu", "address", "master"][..]),
            (
                bridge,
                &["stp_state", "forward_delay", "ageing_time", "mcast_snooping", "group_fwd_mask"],
            ),
        ] {
            facts.extend(keys.iter().map(|key| format!("{name} {key} {}", of[*key])));
        }
        let up = link["flags"].as_array().unwrap().contains(&Value::from("UP"));
        facts.insert(format!("{name} up {up}"));
        for address in link["addr_info"].as_array().unwrap() {
            // Not the broadcast address: others give one to an address that had none.
            let keys = [
                "local",
                "prefixlen",
                "address",
                "scope",
                "metric",
                "secondary",
                "deprecated",
                "noprefixroute",
                "preferred_life_time",
            ];
            facts.insert(format!("{name} has {}", said(address, &keys)));
        }
    }
    for family in ["-4", "-6"] {
        let words = format!("{family} route show table all");
        for route in lan.netns.ip_json(&words).as_array().unwrap() {
            // The kernel's own.
            if route["table"] == "local" || route["type"] == "multicast" {
                continue;
            }
            let keys = [
                "type", "dst", "from", "tos", "gateway", "via", "dev", "table", "metric",
                "prefsrc", "scope", "pref", "metrics",
            ];
            let hops = route["nexthops"].as_array().into_iter().flatten();
            let hops = hops.map(|hop| said(hop, &["gateway", "via", "dev", "weight"]));
            let hops = hops.collect::<Vec<_>>().join(", ");
            facts.insert(format!("{family} route {} {hops}", said(route, &keys)));
        }
        let proxies = lan.netns.ip_json(&format!("{family} neighbour show proxy"));
        for proxy in proxies.as_array().unwrap() {
            facts.insert(format!("proxy {}", said(proxy, &["dst", "dev"])));
        }
        let words = format!("{family} neighbour show nud permanent");
        for neighbour in lan.netns.ip_json(&words).as_array().unwrap() {
            // The kernel's own, of multicast addresses and loopback.
            if neighbour["lladdr"].as_str().is_some_and(|mac| mac.starts_with("02:")) {
                facts.insert(format!("neighbour {}", said(neighbour, &["dst", "dev", "lladdr"])));
            }
        }
    }
    facts
}

/// Those of the keys that there are, with their values.
fn said(value: &Value, keys: &[&str]) -> String {
    let of_key = |key: &&str| Some(format!("{key} {}", value.get(*key)?));
    keys.iter().filter_map(of_key).collect::<Vec<_>>().join(" ")
}

/// What the configuration comes to by xennet itself, on a host of its own.
pub fn by_xennet(config: &'static str, host: fn() -> Lan) -> JoinHandle<BTreeSet<String>> {
    thread::spawn(move || {
        let lan = host();
        lan.configure(config);
        lan.xennet("network start").succeeded();
        network(&lan)
    })
}

/// Each case on a host of its own, all at once: most of the time they wait for the kernel to probe addresses.
pub fn at_once<T: Send + 'static>(cases: impl IntoIterator<Item = T>, test: fn(T)) {
    let cases = cases.into_iter().map(|case| thread::spawn(move || test(case)));
    let cases: Vec<_> = cases.collect();
    // All of them end, and with them the programs that they started, before one fails.
    let results: Vec<_> = cases.into_iter().map(JoinHandle::join).collect();
    for result in results {
        result.unwrap();
    }
}

/// What is missing, and what is there and should not be.
pub fn differs(expected: &BTreeSet<String>, found: &BTreeSet<String>) -> String {
    let only = |one: &BTreeSet<String>, other| one.difference(other).cloned().collect::<Vec<_>>();
    format!("missing {:#?}\nunexpected {:#?}", only(expected, found), only(found, expected))
}
