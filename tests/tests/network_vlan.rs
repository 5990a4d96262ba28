//! VLAN interfaces below bridges, and uplinks that are given by other names.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::process::Command;

use serde_json::json;
use xennet_tests::lan::{Lan, assert_same};
use xennet_tests::uml::with_kinds;

fn reaches(address: &str) -> bool {
    Command::new("ping").args(["-c1", "-W5", address]).output().unwrap().status.success()
}

fn failed(lan: &Lan, words: &str) {
    let outcome = lan.xennet("network start");
    assert_ne!(outcome.code, Some(0), "{words}");
    assert!(outcome.stderr.contains(words), "{}\n{words}", outcome.stderr);
}

#[test]
fn bridges_on_vlans_of_the_uplink_of_another_bridge() {
    with_kinds(&["vlan"], || {
        let lan = Lan::with_addresses();
        lan.router_ip("link add link lan0 name lan0.100 type vlan id 100");
        lan.router_ip("address add 10.1.0.1/24 dev lan0.100");
        lan.router_ip("link set lan0.100 up");
        lan.configure(
            "[[bridge]]\nname = \"xenbr0\"\nuplink = \"eth0\"\naddresses = \"inherit\"\n\
             [[bridge]]\nname = \"xenbr100\"\nuplink = \"eth0.100\"\naddresses = [\"10.1.0.2/24\"]\n\
             [[bridge]]\nname = \"xenbr200\"\nuplink = \"eth0.200\"\n",
        );
        let before = lan.state();
        lan.xennet("network start").succeeded();
        for (vlan, id) in [("eth0.100", 100), ("eth0.200", 200)] {
            let link = lan.netns.link(vlan);
            assert_eq!(link["master"], format!("xenbr{id}"));
            let data = &link["linkinfo"]["info_data"];
            assert_eq!((&data["id"], &data["protocol"]), (&json!(id), &json!("802.1Q")));
        }
        assert!(reaches("192.0.2.1") && reaches("10.1.0.1"));
        let started = lan.state();
        assert_eq!(lan.xennet("network start -v").stderr, "", "the second start did something");
        lan.xennet("network check").succeeded();
        assert_same(&started, &lan.state(), "after the second start");
        let status = lan.xennet("network status").stdout;
        assert!(
            status.contains("eth0.100: up, carrier, mtu 1500, VLAN interface on eth0"),
            "{status}"
        );
        lan.netns.ip("link delete dev eth0.100");
        assert_eq!(lan.xennet("network check").code, Some(1));
        lan.xennet("network start").succeeded();
        assert!(reaches("10.1.0.1"));
        lan.xennet("network stop").succeeded();
        for vlan in ["eth0.100", "eth0.200"] {
            assert!(!lan.netns.try_ip(&format!("link show dev {vlan}")), "{vlan} stayed");
        }
        assert_same(&before, &lan.state(), "after the stop");
        assert!(reaches("192.0.2.1"));
    });
}

#[test]
fn described_vlans_are_created_adopted_and_given_back() {
    with_kinds(&["vlan"], || {
        let lan = Lan::with_addresses();
        let text = |protocol: &str, mtu: &str| {
            format!(
                "[[vlan]]\nname = \"outer\"\nlink = \"eth0\"\nid = 7\nprotocol = \"{protocol}\"\n{mtu}\n\
                 [[vlan]]\nname = \"inner\"\nlink = \"outer\"\nid = 8\n\
                 [[bridge]]\nname = \"xenbr0\"\nuplink = \"inner\"\nmtu = 1508\n"
            )
        };
        lan.configure(&text("802.1ad", ""));
        let before = lan.state();
        lan.xennet("network start").succeeded();
        let outer = lan.netns.link("outer");
        assert_eq!(outer["linkinfo"]["info_data"]["protocol"], "802.1ad");
        for link in ["eth0", "outer", "inner", "xenbr0"] {
            assert_eq!(lan.netns.link(link)["mtu"], 1508, "{link}");
        }
        assert_eq!(lan.netns.link("inner")["master"], "xenbr0");
        lan.xennet("network check").succeeded();
        lan.xennet("network stop").succeeded();
        assert_same(&before, &lan.state(), "after the stop");

        lan.netns.ip("link add link eth0 name outer type vlan id 7 protocol 802.1ad");
        lan.netns.ip("link set outer addrgenmode none up");
        let before = lan.state();
        lan.configure(&text("802.1Q", ""));
        failed(&lan, "vlan outer: exists with protocol 802.1ad, and was left alone");
        lan.configure(&text("802.1ad", "mtu = 1510"));
        lan.xennet("network start").succeeded();
        assert_eq!(lan.netns.link("outer")["mtu"], 1510);
        lan.xennet("network check").succeeded();
        lan.xennet("network stop").succeeded();
        assert!(!lan.netns.try_ip("link show dev inner"));
        assert_same(&before, &lan.state(), "after the stop of an adopted one");
        lan.configure("[[bridge]]\nname = \"xenbr0\"\nuplink = \"eth9.5\"\n");
        failed(&lan, "vlan eth9.5: eth9, which carries its frames, is no interface here");
    });
}

#[test]
fn bridges_on_vlans_of_a_bond() {
    with_kinds(&["bond", "vlan"], || {
        let lan = Lan::with_addresses();
        lan.netns.veth("eth1", "far1");
        lan.netns.ip("link set eth1 addrgenmode none up");
        lan.netns.ip("link set far1 addrgenmode none up");
        lan.router_ip("link add link lan0 name lan0.100 type vlan id 100");
        lan.router_ip("address add 10.1.0.1/24 dev lan0.100");
        lan.router_ip("link set lan0.100 up");
        lan.configure(
            "[[bond]]\nname = \"bond0\"\nports = [\"eth0\", \"eth1\"]\nprimary = \"eth0\"\n\
             [[bridge]]\nname = \"xenbr0\"\nuplink = \"bond0\"\naddresses = \"inherit\"\n\
             [[bridge]]\nname = \"xenbr100\"\nuplink = \"bond0.100\"\naddresses = [\"10.1.0.2/24\"]\n",
        );
        let before = lan.state();
        lan.xennet("network start").succeeded();
        assert!(reaches("192.0.2.1") && reaches("10.1.0.1") && reaches("2001:db8::1"));
        lan.xennet("network check").succeeded();
        lan.xennet("network stop").succeeded();
        assert_same(&before, &lan.state(), "after the stop");
        assert!(reaches("192.0.2.1"));
    });
}

#[test]
fn uplinks_in_a_vrf_are_refused() {
    with_kinds(&["vrf"], || {
        let lan = Lan::with_addresses();
        lan.netns.ip("link add blue type vrf table 10");
        lan.netns.ip("link set eth0 master blue");
        lan.configure(
            "[[bridge]]\nname = \"xenbr0\"\nuplink = \"eth0\"\naddresses = \"inherit\"\n",
        );
        failed(&lan, "bridge xenbr0: its uplink eth0 belongs to the VRF blue");
        lan.configure("[[bridge]]\nname = \"xenbr0\"\nuplink = \"blue\"\n");
        failed(&lan, "bridge xenbr0: its uplink blue belongs to the VRF blue");
    });
}

#[test]
fn uplink_by_hardware_address_or_alternative_name() {
    let lan = Lan::with_addresses();
    let long = "enp129s0f0np0-the-first-of-two";
    lan.netns.ip(&format!("link property add dev eth0 altname {long}"));
    lan.netns.ip("link property add dev eth0 altname wan");
    let before = lan.state();
    for uplink in ["02:00:00:00:00:02", long, "wan"] {
        lan.configure(&format!(
            "[[bridge]]\nname = \"xenbr0\"\nuplink = \"{uplink}\"\naddresses = \"inherit\"\n"
        ));
        lan.xennet("network start").succeeded();
        assert_eq!(lan.netns.link("eth0")["master"], "xenbr0", "{uplink}");
        assert!(reaches("192.0.2.1"));
        assert_eq!(lan.xennet("network start -v").stderr, "", "the second start did something");
        lan.xennet("network check").succeeded();
        assert!(lan.xennet("network status").stdout.contains("uplink eth0"), "{uplink}");
        lan.xennet("network stop").succeeded();
        assert_same(&before, &lan.state(), uplink);
    }
    let by = |uplink: &str| {
        lan.configure(&format!("[[bridge]]\nname = \"xenbr0\"\nuplink = \"{uplink}\"\n"));
    };
    by("02:00:00:00:00:99");
    failed(&lan, "its uplink 02:00:00:00:00:99 is the name or the address of no interface here");
    lan.netns.ip("link add eth1 address 02:00:00:00:00:02 type veth peer name far1");
    by("02:00:00:00:00:02");
    failed(&lan, "is the name or the address of several (");
}

#[test]
fn static_routes_and_gateways_on_the_link() {
    let lan = Lan::new();
    lan.router_ip("route add 198.51.100.2/32 dev lan0");
    lan.configure(
        "[[bridge]]\nname = \"xenbr0\"\nuplink = \"eth0\"\naddresses = [\"198.51.100.2/32\", \"2001:db8::2/64\"]\n\
         gateways = [{ via = \"192.0.2.1\", onlink = true, metric = 50 }, \"fe80::1\"]\n\
         routes = [\n    { destination = \"10.0.0.0/8\", via = \"192.0.2.1\", onlink = true, table = 100 },\n    \
         { destination = \"203.0.113.0/24\", metric = 7 },\n]\n",
    );
    let before = lan.state();
    lan.xennet("network start").succeeded();
    let default = &lan.netns.ip_json("-4 route show default")[0];
    assert_eq!((&default["gateway"], &default["metric"]), (&json!("192.0.2.1"), &json!(50)));
    assert_eq!(default["flags"], json!(["onlink"]));
    let table = &lan.netns.ip_json("-4 route show table 100")[0];
    assert_eq!((&table["dst"], &table["gateway"]), (&json!("10.0.0.0/8"), &json!("192.0.2.1")));
    assert_eq!(lan.netns.ip_json("-4 route show 203.0.113.0/24")[0]["metric"], 7);
    lan.settled();
    assert!(reaches("192.0.2.1") && reaches("2001:db8::1"));
    assert_eq!(lan.xennet("network start -v").stderr, "", "the second start did something");
    lan.xennet("network check").succeeded();
    lan.netns.ip("route del 10.0.0.0/8 table 100");
    assert_eq!(lan.xennet("network check").code, Some(1));
    lan.xennet("network start").succeeded();
    lan.xennet("network stop").succeeded();
    assert_same(&before, &lan.state(), "after the stop");
}
