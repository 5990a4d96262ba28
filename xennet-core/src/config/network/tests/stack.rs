//! `[[bond]]`, `[[vlan]]`, `uplink`, `gateways` and `routes`.

use super::*;
use crate::config::UplinkId;
use crate::types::{BondMode, LacpRate, Mtu, VlanProtocol, XmitHashPolicy};

const FULL: &str = r#"
[[bond]]
name = "bond0"
ports = ["eth0", "eth1"]
mode = "802.3ad"
miimon = 50
lacp_rate = "fast"
xmit_hash_policy = "layer3+4"
mtu = 9000

[[bond]]
name = "bond1"
ports = ["eth2", "eth3"]
primary = "eth3"

[[vlan]]
name = "storage"
link = "bond0.7"
id = 200
protocol = "802.1ad"
mtu = 1504

[[bridge]]
name = "xenbr0"
uplink = "bond0.100"
addresses = ["192.0.2.2/32", "2001:db8::2/64"]
gateways = ["fe80::1", { via = "198.51.100.1", onlink = true, metric = 100 }]
routes = [
    { destination = "10.0.0.0/8", via = "198.51.100.9", onlink = true, table = 100 },
    { destination = "2001:db8:1::/48", via = "2001:db8::9", metric = 7 },
    { destination = "203.0.113.0/24" },
]

[[bridge]]
name = "xenbr1"
uplink = "00:16:3e:00:00:02"

[[bridge]]
name = "xenbr2"
uplink = "enp129s0f0np0-the-second-of-two"
"#;

#[test]
fn bonds_vlans_and_routes_are_read() {
    let config = NetworkConfig::from_toml(FULL).unwrap();
    let [first, second] = config.bonds.as_slice() else { panic!("{:?}", config.bonds) };
    assert_eq!(first.mode, BondMode::Lacp);
    assert_eq!((first.lacp_rate, first.miimon), (Some(LacpRate::Fast), Some(50)));
    assert_eq!(first.xmit_hash_policy, Some(XmitHashPolicy::Layer34));
    assert_eq!(second.mode, BondMode::ActiveBackup);
    assert_eq!(second.primary.as_ref().unwrap().as_str(), "eth3");
    let vlans = config.all_vlans();
    let names: Vec<_> = vlans
        .iter()
        .map(|vlan| (vlan.name.as_str(), vlan.link.as_str(), vlan.id.number()))
        .collect();
    assert_eq!(
        names,
        [("bond0.7", "bond0", 7), ("storage", "bond0.7", 200), ("bond0.100", "bond0", 100)]
    );
    assert_eq!(vlans[1].protocol, VlanProtocol::Dot1ad);
    let [lan, mac, alt] = config.bridges.as_slice() else { panic!("{:?}", config.bridges) };
    let gateways: Vec<String> =
        lan.gateways.iter().map(|gateway| gateway.route().to_string()).collect();
    assert_eq!(gateways, ["::/0 via fe80::1", "0.0.0.0/0 via 198.51.100.1 metric 100 onlink"]);
    let routes: Vec<String> = lan.routes.iter().map(ToString::to_string).collect();
    assert_eq!(
        routes,
        [
            "10.0.0.0/8 via 198.51.100.9 table 100 onlink",
            "2001:db8:1::/48 via 2001:db8::9 metric 7",
            "203.0.113.0/24"
        ]
    );
    assert_eq!(mac.uplink_id, Some(UplinkId::Mac("00:16:3e:00:00:02".parse().unwrap())));
    assert_eq!(
        alt.uplink_id,
        Some(UplinkId::AltName("enp129s0f0np0-the-second-of-two".to_owned()))
    );
    assert_eq!(NetworkConfig::from_toml(&config.to_toml()), Ok(config.clone()));
    // bond0 carries frames of the VLAN interface above its VLAN interface.
    let needed = |name: &str| config.needed_mtu(&name.parse().unwrap()).map(Mtu::bytes);
    assert_eq!(
        (needed("bond0"), needed("bond0.7"), needed("bond0.100")),
        (Some(9000), Some(1504), None)
    );
}

fn refused(cases: &[(String, &str)]) {
    for (text, words) in cases {
        let error = NetworkConfig::from_toml(text).unwrap_err().to_string();
        assert!(error.contains(words), "{text}\n{error}\n{words}");
    }
}

#[test]
fn wrong_bonds_and_vlans_are_refused() {
    let bond =
        |rest: &str| format!("[[bond]]\nname = \"bond0\"\nports = [\"eth0\", \"eth1\"]\n{rest}");
    let vlan = |rest: &str| format!("[[vlan]]\nname = \"v\"\n{rest}");
    let bridge = |rest: &str| format!("[[bridge]]\nname = \"b\"\n{rest}");
    refused(&[
        ("[[bond]]\nname = \"bond0\"".to_owned(), "line 1, column 1: [[bond]] has no ports"),
        (
            "[[bond]]\nname = \"bond0\"\nports = []".to_owned(),
            "line 3, column 9: bond bond0: expected one interface at least",
        ),
        ("[[bond]]\nname = \"bond0\"\nports = [\"bond0\"]".to_owned(), "is not its own port"),
        ("[[bond]]\nname = \"bond0\"\nports = [\"a\", \"a\"]".to_owned(), "a is listed twice"),
        (
            bond("mode = \"lacp\""),
            "line 4, column 8: unknown variant `lacp`, expected one of `balance-rr`, `active-backup`",
        ),
        (bond("miimon = 0"), "expected 1 to 60000 milliseconds"),
        (
            bond("lacp_rate = \"fast\""),
            "lacp_rate has an effect with mode 802.3ad only, not with mode active-backup",
        ),
        (bond("xmit_hash_policy = \"layer2\""), "xmit_hash_policy has an effect with"),
        (
            bond("mode = \"802.3ad\"\nprimary = \"eth0\""),
            "line 5, column 11: bond bond0: primary has an effect",
        ),
        (bond("primary = \"eth2\""), "eth2 is none of the ports"),
        (bond(&bond("")), "bond bond0: described twice"),
        (bond("[[bond]]\nname = \"bond1\"\nports = [\"eth1\"]"), "eth1 is a port of bond0 already"),
        (bond("[[bond]]\nname = \"bond1\"\nports = [\"bond0\"]"), "a bond is no port of another"),
        (
            bond(&bridge("uplink = \"eth1\"")),
            "line 6, column 10: bridge b: eth1 is a port of bond0: name bond0 instead",
        ),
        (bond("[[bridge]]\nname = \"bond0\""), "bridge bond0: described twice"),
        (bond("[[bridge]]\nname = \"eth0\""), "bridge eth0: eth0 is a port of bond0"),
        (bond("[[routed]]\nuplink = \"eth0\""), "routed eth0: eth0 is a port of bond0"),
        (vlan("id = 5"), "line 2, column 8: vlan v: expected link and id"),
        (
            vlan("link = \"eth0\"\nid = 4095"),
            "line 4, column 6: vlan v: vlan \"4095\": expected a VLAN from 1 to 4094",
        ),
        (vlan("link = \"v\"\nid = 5"), "it is not below itself"),
        (
            vlan("link = \"eth0\"\nid = 5\nprotocol = \"802.1x\""),
            "unknown variant `802.1x`, expected `802.1Q` or `802.1ad`",
        ),
        (
            vlan("link = \"w\"\nid = 5\n[[vlan]]\nname = \"w\"\nlink = \"v\"\nid = 6"),
            "vlan w: it is below itself",
        ),
        (
            vlan("link = \"eth0\"\nid = 5\n[[vlan]]\nname = \"w\"\nlink = \"eth0\"\nid = 5"),
            "vlan w: v is VLAN 5 of eth0 already",
        ),
        (
            bond("[[vlan]]\nname = \"eth0.5\""),
            "vlan eth0.5: eth0 is a port of bond0: name bond0 instead",
        ),
        (vlan("link = \"b\"\nid = 5\n[[bridge]]\nname = \"b\""), "bridge b: vlan v is above it"),
    ]);
}

#[test]
fn wrong_uplinks_and_routes_are_refused() {
    let bridge = |rest: &str| format!("[[bridge]]\nname = \"b\"\n{rest}");
    let routed = |rest: &str| bridge(&format!("addresses = [\"192.0.2.2/24\"]\n{rest}"));
    refused(&[
        (bridge("uplink = \"00:16:3e:00:00\""), "six pairs of hex digits"),
        (bridge("uplink = \"a/b\""), "no \"/\""),
        (
            bridge(
                "uplink = \"00:16:3e:00:00:02\"\n[[bridge]]\nname = \"c\"\nuplink = \"00:16:3e:00:00:02\"",
            ),
            "b has this uplink already",
        ),
        (
            routed("gateways = [\"192.0.2.1\", \"x\"]"),
            "line 4, column 26: \"x\": expected a router's address",
        ),
        (routed("gateways = [{ onlink = true }]"), "[[gateways]] has no via"),
        (routed("gateways = [{ via = \"192.0.2.1\", metric = 0 }]"), "metric: expected 1 or more"),
        (
            routed("gateways = [{ via = \"198.51.100.1\" }]"),
            "198.51.100.1 is in the network of no address; set onlink = true",
        ),
        (
            routed("gateways = [\"192.0.2.1\", \"192.0.2.9\"]"),
            "expected one per protocol and metric",
        ),
        (
            bridge("routes = [{ destination = \"10.0.0.0/8\" }]"),
            "bridge b: routes need static addresses",
        ),
        (routed("routes = [{ destination = \"10.0.0.1/8\" }]"), "did you mean 10.0.0.0/8?"),
        (routed("routes = [{ destination = \"224.0.0.0/8\" }]"), "is a multicast group"),
        (routed("routes = [{ destination = \"10.0.0.0/8\", onlink = true }]"), "onlink needs via"),
        (
            routed("routes = [{ destination = \"10.0.0.0/8\", table = 255 }]"),
            "expected a table of routes",
        ),
        (
            routed("routes = [{ destination = \"2001:db8::/32\", via = \"192.0.2.1\" }]"),
            "an IPv4 router is no way to 2001:db8::/32",
        ),
        (
            routed(
                "routes = [{ destination = \"10.0.0.0/8\" }, { destination = \"10.0.0.0/8\", via = \"192.0.2.1\" }]",
            ),
            "10.0.0.0/8 is there twice with the same metric",
        ),
        (
            routed(
                "gateways = [\"192.0.2.1\"]\nroutes = [{ destination = \"0.0.0.0/0\", via = \"192.0.2.9\" }]",
            ),
            "0.0.0.0/0 is there twice",
        ),
    ]);
}

#[test]
fn gateways_of_different_metrics_are_accepted() {
    let text = "[[bridge]]\nname = \"b\"\naddresses = [\"192.0.2.2/24\"]\n\
                gateways = [\"192.0.2.1\", { via = \"192.0.2.9\", metric = 200 }]\n";
    assert_eq!(NetworkConfig::from_toml(text).unwrap().bridges[0].gateways.len(), 2);
}
