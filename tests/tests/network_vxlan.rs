//! What `xennet network` makes of `vxlan`: a port between hosts, taken up, found wrong, and given back.
#![expect(clippy::indexing_slicing, reason = "a test fails by a panic")]

use serde_json::{Value, json};
use xennet_tests::hosts::eventually;
use xennet_tests::hotplug::Outcome;
use xennet_tests::lan::{Lan, assert_same};

const CONFIG: &str = "[[bridge]]\nname = \"xenbr0\"\nipv6 = false\n\
                      vxlan = { vni = 100, local = \"192.0.2.2\" }\n";

fn failed(outcome: &Outcome, why: &str) {
    assert_eq!(outcome.code, Some(1), "{why}: {outcome:?}");
    assert!(outcome.stderr.contains(why), "{why:?} is not in {:?}", outcome.stderr);
    assert_eq!(outcome.stderr.lines().count(), 1, "{:?}", outcome.stderr);
}

/// What `ip` says of the port: its own settings, and those in the bridge.
fn port(lan: &Lan) -> (Value, Value) {
    let mut link = lan.netns.link("vx100");
    (link["linkinfo"]["info_data"].take(), link["linkinfo"]["info_slave_data"].take())
}

#[test]
fn the_port_is_made_kept_and_removed() {
    let lan = Lan::with_addresses();
    let before = lan.state();
    lan.configure(CONFIG);
    let plan = lan.xennet("network plan");
    let made = "link add vx100 mtu 1450 type vxlan id 100 local 192.0.2.2 dstport 4789 nolearning\n\
                link set dev vx100 addrgenmode none\n\
                link set dev vx100 master xenbr0\n\
                link set dev vx100 type bridge_slave learning off neigh_suppress on\n\
                link set dev vx100 up\n";
    assert!(plan.stdout.contains(made), "{}", plan.stdout);
    lan.xennet("network start").succeeded();
    let (own, slave) = port(&lan);
    assert_eq!((&own["id"], &own["local"]), (&json!(100), &json!("192.0.2.2")));
    assert_eq!((&own["port"], &own["learning"]), (&json!(4789), &json!(false)));
    for (key, on) in [("learning", false), ("neigh_suppress", true), ("isolated", false)] {
        assert_eq!(slave[key], on, "{key}");
    }
    for name in ["vx100", "xenbr0"] {
        assert_eq!(lan.netns.link(name)["mtu"], 1450, "{name}");
    }
    assert_eq!(lan.netns.link("vx100")["inet6_addr_gen_mode"], "none");
    assert_eq!(lan.xennet("network start -v").stderr, "");
    let status = lan.xennet("network status");
    status.succeeded();
    assert!(status.stdout.contains("uplink none, VXLAN port vx100 from 192.0.2.2"), "{status:?}");

    // Nobody says any more that it is part of a network of other hosts; but it is.
    lan.configure("[[bridge]]\nname = \"xenbr0\"\nipv6 = false\n");
    let forgotten = lan.xennet("network check");
    assert_eq!(forgotten.code, Some(1), "{forgotten:?}");
    let start = lan.xennet("network start");
    assert!(
        start.stderr.contains("bridge xenbr0: has the VXLAN port vx100, and none in xennet.toml"),
        "{start:?}"
    );
    lan.configure(CONFIG);

    // Whatever somebody does to a port of xennet's own.
    for (words, drift) in [
        ("vx100 type bridge_slave learning on", "type bridge_slave learning off"),
        ("vx100 nomaster", "master xenbr0"),
        ("vx100 mtu 1400", "mtu 1450"),
        ("vx100 down", "up"),
    ] {
        lan.netns.ip(&format!("link set dev {words}"));
        let check = lan.xennet("network check");
        assert!(
            check.stdout.contains(&format!("link set dev vx100 {drift}")),
            "{words}: {check:?}"
        );
        lan.xennet("network start").succeeded();
        lan.xennet("network check").succeeded();
    }
    lan.netns.ip("link delete vx100");
    lan.xennet("network start").succeeded();
    lan.configure(&CONFIG.replace("100", "101"));
    failed(&lan.xennet("network start"), "has the VXLAN port vx100, and vx101 in xennet.toml");
    lan.xennet("network stop").succeeded();
    assert_same(&before, &lan.state(), "after the stop");
}

#[test]
fn a_frame_that_does_not_fit_is_an_error_that_says_what_does() {
    let lan = Lan::with_addresses();
    lan.configure(&format!("{CONFIG}mtu = 1500\n"));
    failed(
        &lan.xennet("network start"),
        "bridge xenbr0: frames of mtu 1500 do not fit through VXLAN over eth0, whose mtu 1500 leaves 1450; \
         set mtu = 1450 in xennet.toml, or the mtu of eth0 and of all between the hosts to 1550",
    );
    assert!(!lan.recorded());
    // IPv6 takes twenty bytes more.
    lan.configure(&CONFIG.replace("192.0.2.2", "2001:db8::2"));
    lan.xennet("network start").succeeded();
    assert_eq!(lan.netns.link("xenbr0")["mtu"], 1430);
    assert_eq!(port(&lan).0["local6"], "2001:db8::2");
    lan.xennet("network stop").succeeded();
    // The underlay is a bridge that the same start makes, and larger than it was.
    let jumbo = |mtu| {
        let under = "[[bridge]]\nname = \"xenbr1\"\nuplink = \"eth0\"\naddresses = \"inherit\"\nmtu = 9000\n";
        format!("{under}{CONFIG}mtu = {mtu}\n")
    };
    lan.configure(&jumbo(8951));
    failed(&lan.xennet("network start"), "over eth0, whose mtu 9000 leaves 8950");
    lan.configure(&jumbo(8950));
    lan.xennet("network start").succeeded();
    assert_eq!(lan.netns.link("vx100")["mtu"], 8950);
    lan.xennet("network check").succeeded();
    lan.xennet("network stop").succeeded();
    // An address of which nobody knows where its packets leave.
    lan.netns.ip("address add 198.51.100.1/32 dev lo");
    lan.configure(&CONFIG.replace("192.0.2.2", "198.51.100.1"));
    let start = lan.xennet("network start");
    start.succeeded();
    assert!(start.stderr.contains("nobody sees whether frames of mtu 1500 fit"), "{start:?}");
    assert_eq!(lan.xennet("network start -v").stderr, "");
    lan.xennet("network stop").succeeded();
    // Of an address that the host has not, the MTU is the least.
    let missing = "no interface has 192.0.2.22, local of its vxlan, so no frame leaves for another host: add it (`ip \
                   address add 192.0.2.22 dev lo`)";
    for dev in ["", ", dev = \"eth0\""] {
        lan.configure(&CONFIG.replace("\"192.0.2.2\"", &format!("\"192.0.2.22\"{dev}")));
        let start = lan.xennet("network start");
        assert!(start.code == Some(0) && start.stderr.contains(missing), "{start:?}");
        assert!(!start.stderr.contains("nobody sees"), "{start:?}");
        // For as long as it is so.
        assert!(lan.xennet("network start").stderr.contains(missing));
        lan.netns.ip("address add 192.0.2.22 dev lo");
        assert_eq!(lan.xennet("network start").stderr, "");
        lan.netns.ip("address delete 192.0.2.22 dev lo");
        lan.xennet("network stop").succeeded();
    }
}

#[test]
fn a_port_that_is_there_is_taken_up_if_it_is_the_same() {
    let lan = Lan::with_addresses();
    let make = "link add vx100 mtu 1400 type vxlan id 100 dstport 4789";
    lan.configure(CONFIG);
    let of_index = format!("exists with dev of index {}", lan.netns.link("eth0")["ifindex"]);
    for (words, why) in [
        (format!("{make} local 192.0.2.3 nolearning"), "exists with local 192.0.2.3"),
        (format!("{make} local 192.0.2.2"), "exists with learning"),
        (format!("{make} local 192.0.2.2 nolearning dev eth0"), of_index.as_str()),
        (make.replace("4789", "8472") + " local 192.0.2.2 nolearning", "exists with dstport 8472"),
        ("link add vx100 type bridge".into(), "exists with another kind, a bridge interface"),
    ] {
        lan.netns.ip(&words);
        failed(
            &lan.xennet("network start"),
            &format!("vx100: {why}, and was left alone; delete it"),
        );
        lan.netns.ip("link delete vx100");
    }
    lan.netns.ip(&format!("{make} local 192.0.2.2 nolearning"));
    lan.netns.make_bridge("other");
    lan.netns.ip("link set vx100 master other");
    failed(&lan.xennet("network start"), "vx100: exists with master other");
    lan.netns.ip("link set vx100 nomaster up");
    let before = lan.state();
    lan.xennet("network start").succeeded();
    assert_eq!(lan.netns.link("vx100")["mtu"], 1450);
    assert_eq!(port(&lan).1["neigh_suppress"], true);
    lan.xennet("network check").succeeded();
    lan.xennet("network stop").succeeded();
    assert_same(&before, &lan.state(), "an administrator's port is given back");

    lan.netns.make_bridge("xenbr0");
    lan.netns.ip("link set vx100 master xenbr0");
    failed(&lan.xennet("network start"), "vx100: exists with learning on neigh_suppress off");
}

#[test]
fn two_hosts_without_evpn_learn_from_frames() {
    let lan = Lan::with_addresses();
    lan.configure(
        "[[bridge]]\nname = \"xenbr0\"\naddresses = [\"10.9.0.2/24\"]\n\
         vxlan = { vni = 100, local = \"192.0.2.2\", dev = \"eth0\", remote = \"192.0.2.1\" }\n",
    );
    lan.xennet("network start").succeeded();
    let (own, slave) = port(&lan);
    assert_eq!((&own["remote"], &own["link"]), (&json!("192.0.2.1"), &json!("eth0")));
    assert_eq!((&own["learning"], &slave["learning"]), (&json!(true), &json!(true)));
    assert_eq!(slave["neigh_suppress"], false);
    lan.router_ip("link add vx type vxlan id 100 local 192.0.2.1 remote 192.0.2.2 dstport 4789");
    lan.router_ip("address add 10.9.0.1/24 dev vx");
    lan.router_ip("link set vx up");
    let ping = || {
        let status = std::process::Command::new("ping").args(["-c1", "-W1", "10.9.0.1"]).output();
        status.unwrap().status.success()
    };
    eventually("an answer through VXLAN", ping);
    lan.xennet("network stop").succeeded();
}
