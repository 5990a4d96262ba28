//! A host, the commands that damage its network, and what is left of it.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use serde_json::Value;
use xennet_tests::hotplug::Outcome;
use xennet_tests::lan::{Lan, timeless, until};
use xennet_tests::world::sysctl;

pub(crate) const INHERIT: &str =
    "[[bridge]]\nname = \"xenbr0\"\nuplink = \"eth0\"\naddresses = \"inherit\"\n";
/// A start that stays on trial for as long as a test needs.
pub(crate) const ON_TRIAL: &str = "network start --confirm-timeout 3600 --probe-timeout 60";

/// Addresses behind the router, which the host reaches by its default routes.
const FAR: [&str; 2] = ["198.51.100.1", "2001:db8:f::1"];
/// The settings of an interface that an administrator may have changed.
const SETTINGS: [&str; 12] = [
    "ipv4/conf/LINK/accept_redirects",
    "ipv4/conf/LINK/arp_ignore",
    "ipv4/conf/LINK/forwarding",
    "ipv4/conf/LINK/proxy_arp",
    "ipv4/conf/LINK/route_localnet",
    "ipv4/conf/LINK/rp_filter",
    "ipv4/conf/LINK/send_redirects",
    "ipv6/conf/LINK/accept_ra",
    "ipv6/conf/LINK/accept_redirects",
    "ipv6/conf/LINK/disable_ipv6",
    "ipv6/conf/LINK/proxy_ndp",
    "ipv6/conf/LINK/use_tempaddr",
];
/// The `eth0` of every host.
const MAC: &str = "02:00:00:00:00:02";

/// What the host has on one interface, a line per address, route, neighbour and setting, in the words of
/// `ip -json`, with `LINK` in place of the interface's name. Two routes alike are two lines.
pub(crate) type Facts = Vec<String>;

/// A host whose `eth0` leads to a router, with addresses, default routes and some other routes.
pub(crate) struct Host {
    pub(crate) lan: Lan,
    baseline: Facts,
}

impl Host {
    /// Makes it, in a namespace that the calling thread enters.
    pub(crate) fn new() -> Self {
        let lan = Lan::new();
        // Other hosts have none of these addresses: to probe for duplicates would take most of the time of these tests.
        sysctl("ipv6/conf/default/dad_transmits", "0");
        for address in FAR {
            lan.router_ip(&format!("address add {address} dev lo"));
        }
        let mut host = Self { lan, baseline: Facts::new() };
        host.reset();
        host.baseline = host.facts("eth0");
        host
    }

    /// The host before any start, with a new `eth0`, whatever happened to it.
    pub(crate) fn reset(&self) {
        if let Some(watchdog) = self.lan.pending() {
            let _ = kill(watchdog, Signal::SIGKILL);
            self.lan.watchdog_ended();
        }
        let _ = fs::remove_dir_all(self.lan.run_dir());
        self.lan.configure(INHERIT);
        let links = self.lan.netns.ip_json("link show");
        let names =
            links.as_array().into_iter().flatten().filter_map(|link| link["ifname"].as_str());
        // With one end of a pair the other one goes, too.
        for name in names.filter(|name| *name != "lo") {
            self.lan.netns.try_ip(&format!("link delete {name}"));
        }
        self.lan.netns.ip("route flush table main");
        for family in ["-4", "-6"] {
            while self.lan.netns.try_ip(&format!("{family} rule delete table 77")) {}
        }
        for setting in ["ipv6/conf/all/disable_ipv6", "ipv6/conf/all/forwarding", "ipv4/ip_forward"]
        {
            sysctl(setting, "0");
        }
        self.make_nic(MAC);
        self.lan.netns.ip("link set eth0 up");
        self.wait_for_link_local_of("eth0");
        let batch = [
            "address add 192.0.2.2/24 brd + dev eth0",
            "address add 192.0.2.3/24 dev eth0",
            "address add 2001:db8::2/64 dev eth0",
            "address add 2001:db8::3/64 dev eth0",
            "route add default via 192.0.2.1 dev eth0",
            "route add default via 2001:db8::1 dev eth0",
            "route add 10.0.0.0/8 via 192.0.2.1 dev eth0 metric 50",
            "route add 10.7.0.0/16 via 192.0.2.1 dev eth0 table 77",
            "route add 2001:db8:a::/48 via 2001:db8::1 dev eth0",
            "rule add from 192.0.2.3 table 77",
            "neighbour add 192.0.2.77 lladdr 02:00:00:00:00:77 dev eth0 nud permanent",
        ];
        self.lan.netns.ip_batch(&batch.map(str::to_owned));
        if !self.baseline.is_empty() {
            assert_eq!(self.facts("eth0"), self.baseline, "the host before the start");
        }
    }

    /// An `eth0` without any configuration, which leads to the router: one that is there is replaced, as when a driver is
    /// loaded again.
    fn make_nic(&self, mac: &str) {
        use std::os::fd::AsRawFd;
        let router = format!("/proc/{}/fd/{}", std::process::id(), self.lan.router.as_raw_fd());
        self.lan.netns.try_ip("link delete eth0");
        self.lan.netns.ip(&format!(
            "link add eth0 address {mac} type veth peer name lan0 address 02:00:00:00:00:01 netns {router}"
        ));
        for words in [
            "link set lan0 addrgenmode none up",
            "address add 192.0.2.1/24 dev lan0",
            "address add 2001:db8::1/64 dev lan0 nodad",
            "address add fe80::1/64 dev lan0 nodad",
            // What it advertises.
            "route add 2001:db8:9::/64 dev lan0",
        ] {
            self.lan.router_ip(words);
        }
    }

    pub(crate) fn wait_for_link_local_of(&self, link: &str) {
        until(&format!("{link} has a link-local address"), || {
            let addresses = self.lan.netns.ip_json(&format!("-6 address show dev {link}"));
            addresses.to_string().contains("fe80::")
        });
    }

    /// Runs one line of a row, which must succeed; see [`Host::attempt`].
    pub(crate) fn run(&self, line: &str) {
        assert!(self.attempt(line), "{line} failed");
    }

    /// Runs one line: `ip ...`, `router ip ...`, `sysctl KEY VALUE`, or one of the words below; whether it succeeded.
    pub(crate) fn attempt(&self, line: &str) -> bool {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "ip" => return self.lan.netns.try_ip(rest),
            "router" => self.lan.router_ip(rest.trim_start_matches("ip ")),
            "sysctl" => {
                let (key, value) = rest.split_once(' ').expect("a key and a value");
                return fs::write(format!("/proc/sys/net/{key}"), value).is_ok();
            }
            // A driver is loaded again: a new eth0, which has this address.
            "reload" => self.make_nic(rest),
            // A second NIC, which leads nowhere.
            "nic" => {
                self.lan.netns.ip(&format!("link add {rest} type veth peer name far-{rest}"));
                self.lan.netns.ip(&format!("link set {rest} up"));
                self.lan.netns.ip(&format!("link set far-{rest} up"));
            }
            // A router's advertisement, valid for so many seconds.
            "advertise" => self.lan.advertise(rest.parse().expect("seconds"), "2001:db8:9::"),
            // The kernel makes an IPv6 address, and sets its flags, in its own time.
            "wait" => until(&format!("an address has {rest}"), || {
                self.lan.netns.ip_json("-6 address show").to_string().contains(rest)
            }),
            _ => panic!("unknown word in {line}"),
        }
        true
    }

    /// Has the watchdog roll back the start on trial; whether there was one.
    pub(crate) fn roll_back(&self) -> bool {
        let watchdog = self.lan.pending();
        if let Some(watchdog) = watchdog {
            let _ = kill(watchdog, Signal::SIGTERM);
            self.lan.watchdog_ended();
        }
        watchdog.is_some()
    }

    /// An interface as `ip -json` prints it; null if it does not exist.
    pub(crate) fn link(&self, name: &str) -> Value {
        let mut links = self.lan.netns.ip_json("link show");
        let links = links.as_array_mut().into_iter().flatten();
        links.map(Value::take).find(|link| link["ifname"] == name).unwrap_or_default()
    }

    /// What the host has on an interface; nothing on one that does not exist.
    pub(crate) fn facts(&self, link: &str) -> Facts {
        let mut facts = Facts::new();
        if self.link(link).is_null() {
            return facts;
        }
        let netns = &self.lan.netns;
        let mut add = |kind: &str, entry: &Value| {
            facts.push(format!("{kind}{}", brief(entry)).replace(link, "LINK"));
        };
        let addresses = netns.ip_json(&format!("address show dev {link}"));
        addresses[0]["addr_info"]
            .as_array()
            .into_iter()
            .flatten()
            .for_each(|entry| add("address", entry));
        for family in ["-4", "-6"] {
            let routes = netns.ip_json(&format!("{family} route show table all"));
            let quoted = format!("\"{link}\"");
            for route in routes.as_array().into_iter().flatten() {
                // Those of the kernel for the host's own addresses come and go with the addresses.
                let of_kernel = route["table"] == "local" && route["protocol"] == "kernel"
                    || route["type"] == "multicast";
                if !of_kernel && route.to_string().contains(&quoted) {
                    add("route", route);
                }
            }
            for (kind, words) in [("neighbour", "nud permanent"), ("proxy", "proxy")] {
                let all = netns.ip_json(&format!("{family} neighbour show {words} dev {link}"));
                all.as_array().into_iter().flatten().for_each(|entry| add(kind, entry));
            }
        }
        facts.sort();
        facts
    }

    /// Runs `xennet`.
    pub(crate) fn xennet(&self, words: &str) -> Outcome {
        self.lan.xennet(words)
    }
}

/// The settings of an interface.
pub(crate) fn settings(link: &str) -> BTreeMap<&'static str, String> {
    let read = |key: &&'static str| {
        let path = format!("/proc/sys/net/{}", key.replace("LINK", link));
        Some((*key, fs::read_to_string(path).ok()?.trim().to_owned()))
    };
    SETTINGS.iter().filter_map(read).collect()
}

/// Whether the host reaches addresses that are behind the router, IPv4 and IPv6; the first question may be lost.
pub(crate) fn reaches_the_world(tries: usize) -> bool {
    let ping = |address: &str| {
        let mut ping = Command::new("ping");
        ping.args(["-n", "-q", "-c", "1", "-W", "1", address]);
        ping.output().expect("ping (iputils)").status.success()
    };
    FAR.iter().all(|address| (0..tries).any(|_| ping(address)))
}

/// The fields of an address, route or neighbour that are not as usual, each with its name.
fn brief(entry: &Value) -> String {
    const USUAL: [(&str, &str); 7] = [
        ("type", "\"unicast\""),
        ("table", "\"main\""),
        ("scope", "\"global\""),
        ("protocol", "\"boot\""),
        ("pref", "\"medium\""),
        ("valid_life_time", "4294967295"),
        ("preferred_life_time", "4294967295"),
    ];
    // Whether an address is probed for duplicates says nothing of one that is in use; nor does a carrier.
    const PASSING: [&str; 5] = ["family", "nodad", "tentative", "dadfailed", "state"];
    let mut entry = entry.clone();
    timeless(&mut entry);
    if let Some(flags) = entry.get_mut("flags").and_then(Value::as_array_mut) {
        flags.retain(|flag| *flag != "linkdown");
    }
    let mut text = String::new();
    for (name, value) in entry.as_object().into_iter().flatten() {
        let value = value.to_string();
        if value != "[]" && !PASSING.contains(&name.as_str()) && !USUAL.contains(&(name, &value)) {
            text.extend([" ", name, " ", &value.replace('"', "")]);
        }
    }
    text
}
