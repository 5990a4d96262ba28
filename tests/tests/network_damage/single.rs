//! Hosts and damages that take more than a row.

use xennet_core::types::VifId;
use xennet_tests::hotplug::Script;
use xennet_tests::lan::until;
use xennet_tests::netns::within;
use xennet_tests::world::{World, reaches, sysctl};

use crate::cells::{Before, ROW, Row};
use crate::host::{Host, INHERIT, ON_TRIAL, reaches_the_world};

/// One bridge without `addresses`, whose uplink is `eth0`.
const SILENT: &str = "[[bridge]]\nname = \"xenbr0\"\nuplink = \"eth0\"\n";

#[test]
fn start_without_addresses_offers_both_values() {
    let host = Host::new();
    host.lan.configure(SILENT);
    for undo in
        ["ip route flush table main", "ip -6 route flush table main", "ip address flush dev eth0"]
    {
        let before = Before::of(&host, &ROW);
        let start = host.xennet("network start");
        assert_eq!(start.code, Some(1), "{start:?}");
        for value in ["addresses = \"inherit\"", "\"none\""] {
            assert!(start.stderr.contains(value), "{}", start.stderr);
        }
        before.assert_unmoved();
        // Addresses without a default route are enough, and so is the contrary.
        host.run(undo);
    }
    host.run("ip route add default dev eth0 scope link");
    assert_eq!(host.xennet("network start").code, Some(1));
    host.run("ip route delete default");
    host.xennet("network start").succeeded();
}

#[test]
fn start_with_addresses_none_leaves_the_addresses_out() {
    let host = Host::new();
    host.lan.configure(&format!("{SILENT}addresses = \"none\"\n"));
    let before = Before::of(&host, &ROW);
    host.xennet("network start").succeeded();
    assert_eq!(host.link("eth0")["master"], "xenbr0");
    host.xennet("network stop").succeeded();
    before.assert_on_uplink("after stop");
}

/// The rows of a trial whose end comes by itself.
#[test]
fn a_trial_ends_in_time_whatever_routes_others_add() {
    let host = Host::new();
    let damages: [(&[&str], &[&str], &'static [&'static str]); 3] = [
        (
            &["nic eth1", "ip address add 203.0.113.2/24 dev eth1"],
            &["ip route append default via 203.0.113.1 dev eth1"],
            &[],
        ),
        (&[], &["ip route add 10.9.0.0/16 via 192.0.2.1 dev xenbr0 realms 5"], &["10.9.0.0/16"]),
        (&[], &["advertise 1800", "wait 2001:db8:9:"], &["2001:db8:9:", "fe80::1"]),
    ];
    for (setup, damage, ignored) in damages {
        host.reset();
        for line in setup {
            host.run(line);
        }
        let row = Row { ignored, ..ROW };
        let before = Before::of(&host, &row);
        host.xennet("network start --confirm-timeout 1 --probe-timeout 60").succeeded();
        for line in damage {
            host.run(line);
        }
        host.lan.watchdog_ended();
        before.assert_on_uplink(&format!("{damage:?}"));
        assert!(!host.lan.recorded(), "{damage:?}");
    }
}

#[test]
fn a_static_default_beside_a_routers_with_the_same_metric_moves() {
    let host = Host::new();
    host.run("advertise 1800");
    host.run("wait 2001:db8:9:");
    assert_eq!(default_routers(&host, "eth0"), ["2001:db8::1", "fe80::1"]);
    let row = Row { ignored: &["2001:db8:9:", "fe80::1"], ..ROW };
    let before = Before::of(&host, &row);
    for words in ["network start", ON_TRIAL] {
        host.xennet(words).succeeded();
        before.assert_on_bridge(words);
        assert_eq!(default_routers(&host, "xenbr0"), ["2001:db8::1", "fe80::1"], "{words}");
        if !host.roll_back() {
            host.xennet("network stop").succeeded();
        }
        before.assert_on_uplink(words);
        assert_eq!(default_routers(&host, "eth0"), ["2001:db8::1", "fe80::1"], "after {words}");
    }
}

#[test]
fn two_bridges_each_with_a_routers_default_route_move() {
    let host = Host::new();
    second_nic(&host);
    host.run("ip -6 route delete default");
    host.run("advertise 1800");
    host.run("wait 2001:db8:9:");
    host.lan.advertise_by("lan1", 1800, "2001:db8:19::");
    until("eth1 has a default route", || !default_routers(&host, "eth1").is_empty());
    host.lan.configure(&format!(
        "{INHERIT}{}",
        INHERIT.replace("xenbr0", "xenbr1").replace("eth0", "eth1")
    ));
    for words in ["network start", ON_TRIAL] {
        host.xennet(words).succeeded();
        for bridge in ["xenbr0", "xenbr1"] {
            assert_eq!(default_routers(&host, bridge), ["fe80::1"], "{bridge}, {words}");
        }
        if !host.roll_back() {
            host.xennet("network stop").succeeded();
        }
        for uplink in ["eth0", "eth1"] {
            assert_eq!(default_routers(&host, uplink), ["fe80::1"], "{uplink}, after {words}");
        }
    }
}

#[test]
fn nexthop_objects_move_or_start_refuses() {
    let host = Host::new();
    host.run("ip nexthop add id 5 via 192.0.2.1 dev eth0");
    host.run("ip route add 10.5.0.0/16 nhid 5");
    let before = Before::of(&host, &ROW);
    let start = host.xennet("network start");
    if start.code == Some(0) {
        before.assert_on_bridge("after start");
        host.xennet("network stop").succeeded();
        before.assert_on_uplink("after stop");
    } else {
        assert!(start.stderr.contains("nhid 5"), "{}", start.stderr);
        before.assert_unmoved();
    }
}

#[test]
fn each_move_to_another_mac_is_announced() {
    let host = Host::new();
    host.lan.configure(&format!("{INHERIT}mac = \"02:00:00:00:00:99\"\n"));
    within(&host.lan.router, || {
        // The router believes an announcement at once, and asks nobody by itself.
        sysctl("ipv4/neigh/lan0/locktime", "0");
        for family in ["ipv4", "ipv6"] {
            sysctl(&format!("{family}/neigh/lan0/base_reachable_time_ms"), "3600000");
        }
    });
    for words in ["192.0.2.2", "2001:db8::2"] {
        assert!(reaches(&host.lan.router, words), "{words}");
    }
    let known = |mac: &str, when: &str| {
        for address in ["192.0.2.2", "2001:db8::2"] {
            until(&format!("{when}: the router knows {mac} of {address}"), || {
                within(&host.lan.router, || {
                    let output = std::process::Command::new("ip")
                        .args(["neighbour", "show", "dev", "lan0", "to", address])
                        .output();
                    String::from_utf8(output.unwrap().stdout).unwrap().contains(mac)
                })
            });
        }
    };
    known("02:00:00:00:00:02", "before");
    host.xennet("network start").succeeded();
    known("02:00:00:00:00:99", "after start");
    host.xennet("network stop").succeeded();
    known("02:00:00:00:00:02", "after stop");
    host.xennet(ON_TRIAL).succeeded();
    known("02:00:00:00:00:99", "on trial");
    assert!(host.roll_back());
    known("02:00:00:00:00:02", "after the roll back");
}

#[test]
fn start_attaches_the_connected_guests_again() {
    let guest = VifId { domid: 1, devid: 0 };
    for damage in ["network stop --force", "bridge"] {
        let world = World::new();
        world.configure(INHERIT);
        world.start().succeeded();
        world.dom0.boot(guest, &[]);
        world.dom0.online(Script::Ours, guest).succeeded();
        if damage == "bridge" {
            world.dom0.netns.ip("link delete xenbr0");
        } else {
            world.dom0.xennet(damage).succeeded();
        }
        world.start().succeeded();
        assert_eq!(world.dom0.netns.link("vif1.0")["master"], "xenbr0", "{damage}");
        let list = world.dom0.xennet("vif list");
        list.succeeded();
        assert!(!list.stdout.contains("pending"), "{}", list.stdout);
    }
}

#[test]
fn reserved_names_and_broadcast_addresses_are_refused() {
    let host = Host::new();
    for name in ["all", "default"] {
        let create = host.xennet(&format!("bridge create {name}"));
        assert_ne!(create.code, Some(0));
        assert!(create.stderr.contains("another name"), "{}", create.stderr);
        host.lan.configure(&INHERIT.replace("xenbr0", name));
        let start = host.xennet("network start");
        assert_ne!(start.code, Some(0));
        assert!(start.stderr.contains("another name"), "{}", start.stderr);
    }
    for to in ["10.0.0.255", "10.0.0.0"] {
        host.lan.configure(&format!(
            "[[nat]]\nname = \"guests\"\nbridge = \"xennat0\"\nsubnets = [\"10.0.0.1/24\"]\nuplink = \"eth0\"\n\
             forward = [{{ protocol = \"tcp\", port = 8080, to = \"{to}\", to_port = 80 }}]\n"
        ));
        let start = host.xennet("network start");
        assert_ne!(start.code, Some(0), "{to}");
        assert!(start.stderr.contains(to), "{}", start.stderr);
    }
}

/// A second NIC of the host, `eth1`, which leads to the router's `lan1`.
fn second_nic(host: &Host) {
    use std::os::fd::AsRawFd;
    let router = format!("/proc/{}/fd/{}", std::process::id(), host.lan.router.as_raw_fd());
    host.run(&format!("ip link add eth1 type veth peer name lan1 netns {router}"));
    host.run("ip link set eth1 up");
    host.run("router ip link set lan1 addrgenmode none up");
    host.run("router ip address add fe80::1/64 dev lan1 nodad");
    until("eth1 has a link-local address", || {
        host.lan.netns.ip_json("-6 address show dev eth1").to_string().contains("fe80::")
    });
}

/// The routers that the IPv6 default routes by an interface lead to.
fn default_routers(host: &Host, link: &str) -> Vec<String> {
    let all = host.lan.netns.ip_json(&format!("-6 route show default dev {link}"));
    let all = all.as_array().into_iter().flatten();
    let mut gateways: Vec<String> =
        all.filter_map(|route| Some(route["gateway"].as_str()?.to_owned())).collect();
    gateways.sort();
    gateways.dedup();
    gateways
}

/// The addresses of the host on `link`, global ones of IPv4 and IPv6.
fn global_addresses(host: &Host, link: &str) -> usize {
    let shown = host.lan.netns.ip_json("address show scope global");
    let links = shown.as_array().into_iter().flatten();
    let of_link = links.filter(|one| one["ifname"] == link);
    of_link.filter_map(|one| one["addr_info"].as_array()).map(Vec::len).sum()
}

#[test]
fn renamed_bridge_and_uplink_are_restored_by_stop_and_the_roll_back() {
    let host = Host::new();
    let renames: [(&[&str], &str, &str); 5] = [
        (&["ip link set xenbr0 name brx"], "xenbr0: is called brx", "eth0"),
        (&["ip link set eth0 name ethx"], "ip link set dev ethx name eth0", "ethx"),
        (
            &["ip link set eth0 name ethx", "ip link set xenbr0 name brx"],
            "since the network was started",
            "ethx",
        ),
        (
            &[
                "ip link set eth0 name ethx",
                "ip link set xenbr0 name eth0",
                "ip link set ethx name xenbr0",
            ],
            "eth0: is called xenbr0",
            "xenbr0",
        ),
        // Another NIC has the name of the uplink now.
        (&["ip link set eth0 name ethx", "nic eth0"], "eth0: is called ethx", "ethx"),
    ];
    for (damage, said, uplink) in renames {
        for words in ["network stop", "network stop --force", ON_TRIAL] {
            host.reset();
            let had = global_addresses(&host, "eth0");
            let on_trial = words == ON_TRIAL;
            host.xennet(if on_trial { ON_TRIAL } else { "network start" }).succeeded();
            for line in damage {
                host.run(line);
            }
            if on_trial {
                assert!(host.roll_back());
            } else {
                for words in ["network check", "network start"] {
                    let outcome = host.xennet(words);
                    assert_eq!(outcome.code, Some(1), "{outcome:?}");
                    assert!(outcome.stderr.contains(said), "{outcome:?}");
                }
                host.xennet(words).succeeded();
            }
            let when = format!("{damage:?}, {words}");
            assert_eq!(global_addresses(&host, uplink), had, "{when}");
            let bridges = host.lan.netns.ip_json("link show type bridge");
            assert!(!bridges.to_string().contains("ifname"), "{when}: {bridges}");
            assert!(reaches_the_world(10), "{when}");
            assert!(!host.lan.recorded(), "{when}");
        }
    }
}

#[test]
fn stop_restores_two_uplinks_whose_names_or_bridges_are_swapped() {
    let host = Host::new();
    for (one, other, after) in
        [("eth0", "eth1", ["eth1", "eth0"]), ("xenbr0", "xenbr1", ["eth0", "eth1"])]
    {
        host.reset();
        second_nic(&host);
        host.run("ip address add 203.0.113.2/24 dev eth1");
        let second = INHERIT.replace("xenbr0", "xenbr1").replace("eth0", "eth1");
        host.lan.configure(&format!("{INHERIT}{second}"));
        let had = ["eth0", "eth1"].map(|link| global_addresses(&host, link));
        host.xennet("network start").succeeded();
        for (name, new) in [(one, "x"), (other, one), ("x", other)] {
            host.run(&format!("ip link set dev {name} name {new}"));
        }
        assert_eq!(host.xennet("network check").code, Some(1));
        host.xennet("network stop").succeeded();
        assert_eq!(after.map(|link| global_addresses(&host, link)), had, "{one} and {other}");
        assert!(reaches_the_world(10), "{one} and {other}");
    }
}

#[test]
fn start_warns_if_there_is_nothing_to_inherit() {
    let host = Host::new();
    let warns = |words: &str| {
        let outcome = host.xennet(words);
        outcome.succeeded();
        outcome.stderr.contains("xenbr0: inherits nothing")
    };
    host.run("ip address flush dev eth0 scope global");
    for words in ["network start", "network check", "network start"] {
        assert!(warns(words), "{words}");
    }
    host.run("ip address add 192.0.2.2/24 dev xenbr0");
    assert!(!warns("network start"));
}

#[test]
fn renamed_and_renamed_back_is_as_started() {
    let host = Host::new();
    let before = Before::of(&host, &ROW);
    host.xennet("network start").succeeded();
    for line in ["ip link set eth0 name ethx", "ip link set ethx name eth0"] {
        host.run(line);
    }
    host.xennet("network check").succeeded();
    host.xennet("network stop").succeeded();
    before.assert_on_uplink("after stop");
}

#[test]
fn stop_keeps_a_bridge_whose_uplink_is_unknown() {
    let host = Host::new();
    let before = Before::of(&host, &ROW);
    host.xennet("network start").succeeded();
    // As an earlier xennet wrote it.
    let path = host.lan.run_dir().join("network.json");
    let mut record: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    record.as_object_mut().unwrap().remove("identities").unwrap();
    std::fs::write(&path, record.to_string()).unwrap();
    host.run("ip link set eth0 name ethx");
    for words in ["network stop", "network stop --force"] {
        let stop = host.xennet(words);
        assert_eq!(stop.code, Some(3), "{stop:?}");
        assert!(stop.stderr.contains("ip link set dev PORT name eth0"), "{stop:?}");
        assert!(reaches_the_world(10), "{words}");
    }
    host.run("ip link set ethx name eth0");
    host.xennet("network stop").succeeded();
    before.assert_on_uplink("after stop");
}

#[test]
fn default_route_whose_network_is_gone_moves() {
    let host = Host::new();
    for words in ["network start", ON_TRIAL] {
        host.reset();
        // The kernel keeps the route through a router, without the address that it was reached by.
        host.run("ip address delete 2001:db8::2/64 dev eth0");
        host.run("ip address delete 2001:db8::3/64 dev eth0");
        assert_eq!(default_routers(&host, "eth0"), ["2001:db8::1"]);
        host.xennet(words).succeeded();
        assert_eq!(default_routers(&host, "xenbr0"), ["2001:db8::1"], "{words}");
        host.xennet("network check").succeeded();
        if !host.roll_back() {
            host.run("ip link delete xenbr0");
            host.xennet("network start").succeeded();
            assert_eq!(default_routers(&host, "xenbr0"), ["2001:db8::1"], "after the repair");
            host.xennet("network stop").succeeded();
        }
        assert_eq!(default_routers(&host, "eth0"), ["2001:db8::1"], "after {words}");
        assert!(!host.lan.recorded());
    }
}

#[test]
fn each_command_warns_of_another_nic_that_comes_first() {
    let host = Host::new();
    for damage in ["", "ip link delete xenbr0"] {
        host.reset();
        second_nic(&host);
        host.run("ip address add 192.0.2.7/24 dev eth1");
        let warns = |words: &str, link: &str| {
            let outcome = host.xennet(words);
            outcome.succeeded();
            let said = format!("192.0.2.0/24: {link} and eth1 both have addresses in it");
            assert!(outcome.stderr.contains(&said), "{words} after {damage:?}: {outcome:?}");
        };
        warns("network start", "xenbr0");
        if !damage.is_empty() {
            host.run(damage);
        }
        warns("network stop", "eth0");
    }
}

#[test]
fn default_route_in_place_of_a_routers_ends_soon_after_stop() {
    let host = Host::new();
    for words in ["network start", ON_TRIAL] {
        host.reset();
        host.run("ip -6 route delete default");
        host.run("advertise 1800");
        host.run("wait 2001:db8:9:");
        host.xennet(words).succeeded();
        if !host.roll_back() {
            host.xennet("network stop").succeeded();
        }
        let routes = host.lan.netns.ip_json("-6 route show default dev eth0 proto static");
        let [route] = routes.as_array().unwrap().as_slice() else { panic!("{routes}") };
        let seconds = route["expires"].as_u64().unwrap();
        assert!(seconds <= 60, "after {words}: {route}");
    }
}
