//! What `xennet network` makes of a bridge that is there, of other programs, and of what it cannot do.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::fs;

use serde_json::{Value, json};
use xennet_tests::hotplug::Outcome;
use xennet_tests::lan::{Lan, assert_same};

const INHERIT: &str = "[[bridge]]\nname = \"xenbr0\"\nuplink = \"eth0\"\naddresses = \"inherit\"\n";

fn failed(outcome: &Outcome, why: &str) {
    assert_eq!(outcome.code, Some(1), "{why}: {outcome:?}");
    assert!(outcome.stderr.contains(why), "{why:?} is not in {:?}", outcome.stderr);
    assert!(outcome.stderr.starts_with("xennet: "), "{:?}", outcome.stderr);
    assert_eq!(outcome.stderr.lines().count(), 1, "{:?}", outcome.stderr);
}

fn sysctl(path: &str) -> String {
    fs::read_to_string(format!("/proc/sys/net/{path}")).unwrap().trim().to_owned()
}

#[test]
fn a_bridge_that_is_there_is_taken_up_and_never_taken_apart() {
    let lan = Lan::with_addresses();
    lan.netns.ip("link add xenbr0 type bridge forward_delay 1500 ageing_time 10000");
    lan.netns.ip("link set xenbr0 mtu 1400 up");
    lan.netns.ip("address add 10.77.0.1/24 dev xenbr0");
    lan.netns.veth("other", "peer");
    lan.netns.ip("link set other master xenbr0 up");
    lan.configure(&format!(
        "{INHERIT}forward_delay = 0\nageing = 300\nstp = false\nmulticast_snooping = false\n\
         group_fwd_mask = 8\nmtu = 1500\nmac = \"02:00:00:00:00:99\"\n"
    ));
    let before = lan.state();
    let plan = lan.xennet("network plan");
    plan.succeeded();
    assert!(!plan.stdout.contains("link add"), "{}", plan.stdout);
    assert!(plan.stdout.contains("link set dev xenbr0 type bridge forward_delay 0\n"));
    lan.xennet("network start").succeeded();
    let bridge = lan.netns.link("xenbr0");
    let info = &bridge["linkinfo"]["info_data"];
    assert_eq!((&bridge["mtu"], &info["forward_delay"]), (&json!(1500), &json!(0)));
    assert_eq!((&info["mcast_snooping"], &info["ageing_time"]), (&json!(0), &json!(30_000)));
    assert_eq!(info["group_fwd_mask"], "0x8");
    assert_eq!(bridge["address"], "02:00:00:00:00:99");
    assert_eq!(lan.xennet("network start -v").stderr, "");
    lan.xennet("network stop").succeeded();
    assert_same(&before, &lan.state(), "after the stop");
    assert_eq!(lan.netns.link("other")["master"], "xenbr0");
}

#[test]
fn a_bridge_of_the_administrators_that_is_as_it_shall_be() {
    let lan = Lan::new();
    lan.netns.ip("link add xenbr0 type bridge");
    lan.netns.ip("link set eth0 master xenbr0");
    lan.netns.ip("link set xenbr0 up");
    lan.netns.ip("address add 192.0.2.2/24 dev xenbr0");
    lan.configure("[[bridge]]\nname = \"xenbr0\"\nuplink = \"eth0\"\n");
    let before = lan.state();
    assert_eq!(lan.xennet("network plan").stdout, "");
    lan.xennet("network start").succeeded();
    lan.xennet("network stop").succeeded();
    assert_same(&before, &lan.state(), "never touched");
    lan.xennet("network stop --force").succeeded();
    assert_same(&before, &lan.state(), "never touched");
}

#[test]
fn a_bridge_for_guests_alone_and_one_behind_the_hosts_address() {
    let lan = Lan::with_addresses();
    let before = lan.state();
    lan.configure(
        "[[bridge]]\nname = \"guests\"\nipv6 = false\n\
         [[nat]]\nname = \"nat0\"\nbridge = \"xennat0\"\nsubnets = [\"10.0.0.1/24\", \"fd00:1::1/64\"]\n",
    );
    lan.xennet("network start").succeeded();
    assert_eq!(sysctl("ipv6/conf/guests/disable_ipv6"), "1");
    assert_eq!(
        (sysctl("ipv4/ip_forward"), sysctl("ipv6/conf/all/forwarding")),
        ("1".into(), "1".into())
    );
    let nat = lan.netns.ip_json("address show dev xennat0").to_string();
    assert!(nat.contains("\"10.0.0.1\"") && nat.contains("\"fd00:1::1\""), "{nat}");
    lan.xennet("network check").succeeded();
    lan.netns.ip("address delete 10.0.0.1/24 dev xennat0");
    let check = lan.xennet("network check");
    assert_eq!(
        (check.code, check.stdout.as_str()),
        (Some(1), "address add 10.0.0.1/24 dev xennat0\n")
    );
    lan.xennet("network start").succeeded();
    lan.xennet("network stop").succeeded();
    assert_same(&before, &lan.state(), "after the stop");
}

#[test]
fn a_bridge_with_guests_on_it_does_not_go_under_them() {
    let lan = Lan::with_addresses();
    let before = lan.state();
    lan.configure(INHERIT);
    lan.xennet("network start").succeeded();
    lan.netns.veth("vif1.0", "guest");
    lan.netns.ip("link set vif1.0 master xenbr0");
    let started = lan.state();
    failed(&lan.xennet("network stop"), "still has ports (vif1.0)");
    assert_same(&started, &lan.state(), "nothing was touched");
    lan.xennet("network stop --force").succeeded();
    lan.netns.ip("link delete vif1.0");
    assert_same(&before, &lan.state(), "after the stop");
}

#[test]
fn forwarding_and_proxies_and_the_switches_that_they_switch() {
    let lan = Lan::with_addresses();
    let routed = "[[routed]]\nuplink = \"eth0\"\nproxy_arp = true\nproxy_ndp = true\n";
    for redirects in ["0", "1"] {
        fs::write("/proc/sys/net/ipv4/conf/all/accept_redirects", redirects).unwrap();
        let before = lan.state();
        lan.configure(routed);
        lan.xennet("network start").succeeded();
        for (path, value) in [
            ("ipv4/ip_forward", "1"),
            ("ipv4/conf/all/accept_redirects", "0"),
            ("ipv6/conf/all/forwarding", "1"),
            ("ipv4/conf/eth0/proxy_arp", "1"),
            ("ipv6/conf/eth0/proxy_ndp", "1"),
        ] {
            assert_eq!(sysctl(path), value, "{path}");
        }
        assert_eq!(lan.xennet("network start -v").stderr, "");
        lan.xennet("network stop").succeeded();
        assert_same(&before, &lan.state(), "after the stop");
    }
    lan.configure("[forwarding]\nipv4 = false\n");
    fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
    lan.xennet("network start").succeeded();
    assert_eq!(sysctl("ipv4/ip_forward"), "0");
    lan.xennet("network stop").succeeded();
    assert_eq!(sysctl("ipv4/ip_forward"), "1");
    lan.configure("[[routed]]\nuplink = \"eth9\"\n");
    failed(&lan.xennet("network start"), "routed eth9: no such interface; correct uplink");
}

#[test]
fn whoever_else_configures_the_uplink_is_named() {
    let lan = Lan::with_addresses();
    lan.configure(INHERIT);
    lan.netns.ip("address add 198.51.100.9/24 dev eth0 valid_lft 600 preferred_lft 600");
    let index = lan.netns.link("eth0")["ifindex"].to_string();
    let links = lan.dir().join("run/systemd/netif/links");
    fs::create_dir_all(&links).unwrap();
    fs::write(
        links.join(index),
        "ADMIN_STATE=configured\nNETWORK_FILE=/etc/systemd/network/e.network\n",
    )
    .unwrap();
    let plan = lan.xennet("network plan");
    plan.succeeded();
    let said: Vec<&str> = plan.stderr.lines().collect();
    assert_eq!(said.len(), 2, "{said:#?}");
    assert!(plan.stderr.contains(
        "xennet: warning: eth0: systemd-networkd configures it as well (/etc/systemd/network/e.network): "
    ));
    assert!(plan.stderr.contains("198.51.100.9/24: expires in "), "{}", plan.stderr);
    let json = lan.xennet("network plan --json");
    let value: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(value["warnings"].as_array().unwrap().len(), 2);
    assert_eq!(value["dry_run"], true);
}

#[test]
fn what_it_cannot_do_it_says_and_leaves_all_as_it_was() {
    let lan = Lan::with_addresses();
    failed(&lan.xennet("network start"), "there is no such file");
    let before = lan.state();
    lan.netns.make_bridge("other");
    for (config, why) in [
        (
            "[[bridge]]\nname = \"xenbr0\"\nuplink = \"eth9\"\n",
            "its uplink eth9 is no interface here",
        ),
        ("[[bridge]]\nname = \"eth0\"\n", "not a Linux bridge"),
        (
            "[[bridge]]\nname = \"xenbr0\"\nuplink = \"other\"\n",
            "Can not enslave a bridge to a bridge",
        ),
        (
            "[[bridge]]\nname = \"xenbr0\"\nvlan_filtering = true\n",
            "this kernel's bridges know no VLANs (CONFIG_BRIDGE_VLAN_FILTERING)",
        ),
        (
            "[[bridge]]\nnam = \"xenbr0\"\n",
            "xennet.toml: line 2, column 1: unknown key nam in [[bridge]]: did you mean name?",
        ),
    ] {
        lan.configure(config);
        failed(&lan.xennet("network start"), why);
        assert!(!lan.recorded(), "{why}");
    }
    lan.netns.ip("link set eth0 master other");
    lan.configure(INHERIT);
    failed(&lan.xennet("network start"), "its uplink eth0 is a port of other, and was left there");
    lan.netns.ip("link delete other");
    assert_same(&before, &lan.state(), "nothing was touched");

    lan.netns.ip("route add 10.0.0.0/8 via 192.0.2.1 dev eth0 realms 5");
    failed(
        &lan.xennet("network start"),
        "cannot be moved without changing it, so nothing was moved",
    );
}

#[test]
fn status_shows_what_drifted() {
    let lan = Lan::with_addresses();
    lan.configure(INHERIT);
    let status = lan.xennet("network status");
    assert_eq!(status.code, Some(1));
    assert!(
        status.stdout.starts_with("xenbr0: no such interface\ndrift: link add xenbr0 "),
        "{}",
        status.stdout
    );
    lan.xennet("network start").succeeded();
    let status = lan.xennet("network status");
    status.succeeded();
    assert!(
        status.stdout.starts_with("xenbr0: up, carrier, mtu 1500, uplink eth0\n  192.0.2.2/24\n")
    );
    let json: Value = serde_json::from_str(&lan.xennet("network status --json").stdout).unwrap();
    assert_eq!(
        json["bridges"],
        json!([{ "name": "xenbr0", "made": true, "uplink": "eth0", "vxlan": null }])
    );
    assert_eq!(json["drift"], json!([]));
    lan.netns.ip("address add 192.0.2.44/24 dev eth0");
    let drift = lan.xennet("network check");
    assert_eq!(drift.code, Some(1));
    assert_eq!(
        drift.stdout,
        "address add 192.0.2.44/24 dev xenbr0\naddress delete 192.0.2.44/24 dev eth0\n"
    );
    assert!(drift.stderr.contains("differs in 2 places"), "{}", drift.stderr);
    lan.xennet("network start").succeeded();
    lan.xennet("network check").succeeded();
}
