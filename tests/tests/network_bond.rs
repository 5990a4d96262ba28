//! Bonds below bridges: created, adopted, verified and removed, while the host keeps its addresses and routes.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by a panic")]

use std::process::Command;

use serde_json::json;
use xennet_tests::lan::{Lan, assert_same, until};
use xennet_tests::uml::with_kinds;

const BOND: &str = "[[bond]]\nname = \"bond0\"\nports = [\"eth0\", \"eth1\"]\n";
const BRIDGE: &str = "[[bridge]]\nname = \"xenbr0\"\nuplink = \"bond0\"\naddresses = \"inherit\"\n";

/// A host with a second NIC, `eth1`, in the same network; both end in a switch, as does the router's address.
fn two_nics() -> Lan {
    let lan = Lan::with_addresses();
    lan.netns.ip("link add eth1 address 02:00:00:00:00:03 type veth peer name lan1");
    let pid = std::process::id();
    let router = std::os::fd::AsRawFd::as_raw_fd(&lan.router);
    lan.netns.ip(&format!("link set lan1 netns /proc/{pid}/fd/{router}"));
    // The router's addresses move to its switch, whose ports are lan0 and lan1.
    lan.router_ip("address flush dev lan0");
    lan.router_ip("link add sw address 02:00:00:00:00:01 type bridge");
    lan.router_ip("link set lan0 address 02:00:00:00:00:11 master sw");
    lan.router_ip("link set lan1 address 02:00:00:00:00:12 addrgenmode none master sw");
    for link in ["lan1", "sw"] {
        lan.router_ip(&format!("link set {link} up"));
    }
    for address in ["192.0.2.1/24", "2001:db8::1/64 nodad", "fe80::1/64 nodad"] {
        lan.router_ip(&format!("address add {address} dev sw"));
    }
    lan.netns.ip("link set eth1 addrgenmode none up");
    lan.settled();
    lan
}

fn reaches_router() -> bool {
    let ping = |words: &str| Command::new("ping").args(words.split(' ')).output().unwrap();
    ["-c1 -W5 192.0.2.1", "-c1 -W5 2001:db8::1"].iter().all(|words| ping(words).status.success())
}

fn master(lan: &Lan, link: &str) -> serde_json::Value {
    lan.netns.link(link)["master"].clone()
}

fn addresses(lan: &Lan, link: &str) -> Vec<String> {
    let link = &lan.netns.ip_json(&format!("address show dev {link}"))[0];
    let all = link["addr_info"].as_array().unwrap().iter();
    let all = all.map(|a| format!("{}/{}", a["local"].as_str().unwrap(), a["prefixlen"]));
    let mut all: Vec<String> = all.filter(|address| !address.starts_with("fe80")).collect();
    all.sort();
    all
}

#[test]
fn running_nic_becomes_port_of_a_bond_in_a_bridge() {
    with_kinds(&["bond"], || {
        let lan = two_nics();
        lan.configure(&format!("{BOND}primary = \"eth1\"\n{BRIDGE}"));
        let (before, own) = (lan.state(), addresses(&lan, "eth0"));
        assert!(reaches_router());
        lan.xennet("network start").succeeded();
        assert_eq!(addresses(&lan, "xenbr0"), own);
        for link in ["eth0", "eth1", "bond0"] {
            assert_eq!(addresses(&lan, link), [""; 0], "{link}");
        }
        assert_eq!(master(&lan, "eth0"), "bond0");
        assert_eq!(master(&lan, "eth1"), "bond0");
        let bond = lan.netns.link("bond0");
        assert_eq!((&bond["master"], &bond["mtu"]), (&json!("xenbr0"), &json!(1500)));
        let data = &bond["linkinfo"]["info_data"];
        assert_eq!((&data["mode"], &data["miimon"]), (&json!("active-backup"), &json!(100)));
        assert_eq!(data["primary"], "eth1");
        assert_eq!(lan.netns.link("xenbr0")["address"], "02:00:00:00:00:02");
        assert!(reaches_router());
        let started = lan.state();
        assert_eq!(lan.xennet("network start -v").stderr, "", "the second start did something");
        lan.xennet("network check").succeeded();
        assert_same(&started, &lan.state(), "after the second start");
        let status = lan.xennet("network status").stdout;
        assert!(status.contains("bond0: up, carrier, mtu 1500, bond of eth0, eth1"), "{status}");
        lan.xennet("network stop").succeeded();
        assert!(!lan.recorded());
        assert!(!lan.netns.try_ip("link show dev bond0"));
        assert_same(&before, &lan.state(), "after the stop");
        assert!(reaches_router());
        assert_eq!(lan.xennet("network stop -v").stderr, "", "the second stop did something");
    });
}

#[test]
fn existing_bond_is_adopted_and_given_back() {
    with_kinds(&["bond"], || {
        let lan = two_nics();
        lan.netns.ip("link add bond0 type bond mode active-backup miimon 200");
        lan.netns.ip("link set eth1 down");
        lan.netns.ip("link set eth1 master bond0");
        lan.netns.ip("link set bond0 addrgenmode none up");
        // IPv6 as after it was switched on: with the multicast route, which needs the carrier.
        until("carrier of bond0", || {
            let flags = lan.netns.link("bond0")["flags"].clone();
            flags.as_array().is_some_and(|flags| flags.contains(&"LOWER_UP".into()))
        });
        for disabled in ["1", "0"] {
            std::fs::write("/proc/sys/net/ipv6/conf/bond0/disable_ipv6", disabled).unwrap();
        }
        until("multicast route of bond0", || {
            let routes = lan.netns.ip_json("-6 route show table all dev bond0");
            routes.as_array().is_some_and(|routes| routes.iter().any(|it| it["dst"] == "ff00::/8"))
        });
        lan.configure(&format!("{BOND}miimon = 50\n{BRIDGE}"));
        let before = lan.state();
        lan.xennet("network start").succeeded();
        let data = &lan.netns.link("bond0")["linkinfo"]["info_data"];
        assert_eq!(data["miimon"], 50);
        assert_eq!(master(&lan, "eth0"), "bond0");
        assert!(reaches_router());
        lan.xennet("network check").succeeded();
        lan.xennet("network stop").succeeded();
        assert_eq!(lan.netns.link("bond0")["linkinfo"]["info_data"]["miimon"], 200);
        assert_eq!(master(&lan, "eth1"), "bond0", "it was a port before");
        assert_same(&before, &lan.state(), "after the stop");
        assert!(reaches_router());

        for (key, words) in [
            ("mode = \"balance-rr\"", "bond0: exists with mode active-backup, which cannot change"),
            ("mtu = 9001", ""),
        ] {
            lan.configure(&format!("{BOND}{key}\n{BRIDGE}"));
            let outcome = lan.xennet("network start");
            assert_eq!(outcome.code == Some(0), words.is_empty(), "{}", outcome.stderr);
            assert!(outcome.stderr.contains(words), "{}", outcome.stderr);
        }
        assert_eq!(lan.netns.link("eth0")["mtu"], 9001);
        lan.xennet("network stop").succeeded();
        assert_same(&before, &lan.state(), "after another MTU");
    });
}

#[test]
fn deleted_bond_is_created_again_or_its_port_restored() {
    with_kinds(&["bond"], || {
        let lan = two_nics();
        lan.configure(&format!("{BOND}{BRIDGE}"));
        let (before, own) = (lan.state(), addresses(&lan, "eth0"));
        lan.xennet("network start").succeeded();
        lan.netns.ip("link delete dev bond0");
        assert_eq!(lan.xennet("network check").code, Some(1));
        lan.xennet("network start").succeeded();
        assert_eq!(addresses(&lan, "xenbr0"), own);
        assert_eq!(
            (master(&lan, "eth0"), master(&lan, "bond0")),
            (json!("bond0"), json!("xenbr0"))
        );
        assert!(reaches_router());
        lan.netns.ip("link delete dev bond0");
        lan.xennet("network stop").succeeded();
        assert_eq!(addresses(&lan, "eth0"), own);
        assert_same(&before, &lan.state(), "after the stop");
        assert!(reaches_router());
    });
}

#[test]
fn unconfirmed_start_with_a_bond_is_rolled_back() {
    with_kinds(&["bond"], || {
        let lan = two_nics();
        lan.configure(&format!("{BOND}{BRIDGE}"));
        let before = lan.state();
        lan.xennet("network start --confirm-timeout 1").succeeded();
        assert_eq!(master(&lan, "eth0"), "bond0");
        let began = std::time::Instant::now();
        while lan.netns.try_ip("link show dev bond0") || lan.recorded() {
            assert!(began.elapsed().as_secs() < 60, "it was not rolled back");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        assert_same(&before, &lan.state(), "after the roll back");
        assert!(reaches_router());
    });
}

#[test]
fn bond_without_a_bridge_has_the_addresses_of_its_port() {
    with_kinds(&["bond"], || {
        let lan = two_nics();
        lan.configure(
            "[[bond]]\nname = \"bond0\"\nports = [\"eth0\", \"eth9\"]\nmode = \"balance-xor\"\n",
        );
        let (before, own) = (lan.state(), addresses(&lan, "eth0"));
        let outcome = lan.xennet("network start");
        assert!(
            outcome.stderr.contains("bond0: its port eth9 is no interface here"),
            "{}",
            outcome.stderr
        );
        outcome.succeeded();
        assert_eq!(addresses(&lan, "bond0"), own);
        assert!(reaches_router());
        lan.xennet("network check").succeeded();
        lan.xennet("network stop").succeeded();
        assert_same(&before, &lan.state(), "after the stop");
    });
}

#[test]
fn impossible_bonds_change_nothing() {
    with_kinds(&["bond", "vlan"], || {
        let lan = two_nics();
        lan.netns.make_bridge("other");
        lan.netns.veth("eth2", "far2");
        lan.netns.ip("link set eth2 master other");
        lan.netns.veth("eth3", "far3");
        lan.netns.ip("link add link eth3 name eth3.5 type vlan id 5");
        lan.netns.veth("eth4", "far4");
        lan.netns.ip("link set eth4 up");
        lan.netns.ip("link set far4 up");
        lan.netns.ip("address add 10.4.0.1/24 dev eth4");
        let before = lan.state();
        for (name, ports, words) in [
            ("bond0", "\"eth9\"", "bond0: none of its ports (eth9) is an interface here"),
            ("other", "\"eth0\"", "bond other: is a bridge interface, not a bond"),
            ("bond0", "\"eth2\"", "bond0: its port eth2 is a port of other"),
            ("bond0", "\"eth3\"", "bond0: its port eth3 has the VLAN interface eth3.5"),
            (
                "bond0",
                "\"eth0\", \"eth4\"",
                "bond0: eth0, eth4 have addresses or routes of the host",
            ),
        ] {
            lan.configure(&format!("[[bond]]\nname = \"{name}\"\nports = [{ports}]\n"));
            let outcome = lan.xennet("network start");
            assert_ne!(outcome.code, Some(0), "{words}");
            assert!(outcome.stderr.contains(words), "{}\n{words}", outcome.stderr);
            assert_same(&before, &lan.state(), words);
        }
    });
}
