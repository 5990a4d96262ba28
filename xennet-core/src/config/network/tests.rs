mod example;
mod stack;

use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::config::{GatewayPolicy, GuardLevel, VxlanPolicy};
use crate::types::{MacAddr, Policing};

/// Every key that there is.
const FULL: &str = r#"
[[bridge]]
name = "xenbr0"
uplink = "eth0"
addresses = "inherit"
manage_uplink_vlans = true

[[bridge]]
name = "xenbr1"
uplink = "eth1"
addresses = ["192.0.2.2/24", "2001:db8::2/64"]
gateways = ["192.0.2.1", "fe80::1"]
vlan_filtering = true
stp = false
forward_delay = 0
ageing = 300
multicast_snooping = true
group_fwd_mask = 8
mtu = 9000
mac = "00:16:3e:00:00:01"

[[bridge]]
name = "guests"
ipv6 = false
mtu = 1430
vxlan = { vni = 100, local = "2001:db8::11", dev = "eth3", remote = "ff05::100", port = 8472 }
guard = "ip"
isolated = true
reserve = true
dhcp_server = "allow"
router = "deny"
announce = true
firewall = "iptables"

[[bridge]]
name = "br-int"
mode = "openvswitch"
wait_ovn = 10
policing_rate = 8000
policing_burst = 800
isolated = true

[[guest]]
name = "router1"
guard = "off"
router = "allow"
iface_id = "router {devid}"
policing_rate = 9000

[ovs]
socket = "unix:/run/ovs/db.sock"

[[guest]]
uuid = "6A5B8E1C-0f3d-4c55-9d3e-2b1f0a9c8d7e"
isolated = false

[[routed]]
uplink = "eth2"
proxy_arp = true
proxy_ndp = true
prefixes = ["198.51.100.0/28", "2001:db8:1::/64"]

[[nat]]
name = "nat0"
bridge = "xennat0"
subnets = ["10.0.0.1/24", "fd00:1::1/64"]
uplink = "xenbr0"
dhcp = true
forward = [
    { protocol = "tcp", port = 8080, to = "10.0.0.5", to_port = 80 },
    { protocol = "udp", port = 53, to = "fd00:1::5" },
]

[forwarding]
ipv4 = true

[vif]
bridge = "xenbr0"
mtu = 1500
vlan = 10
rate = "25000,20000"
"#;

#[test]
fn reads_every_key_and_nothing() {
    let config = NetworkConfig::from_toml(FULL).unwrap();
    let bridge = |name: &str| config.bridge(&name.parse().unwrap()).unwrap().clone();
    let inherits = bridge("xenbr0");
    assert!(inherits.manage_uplink_vlans);
    assert_eq!(inherits.uplink.unwrap().as_str(), "eth0");
    assert_eq!(inherits.addresses, Some(HostAddresses::Inherit));

    let mut full = BridgePolicy::new("xenbr1".parse().unwrap());
    full.uplink = Some("eth1".parse().unwrap());
    let addresses = ["192.0.2.2/24", "2001:db8::2/64"].map(|net| net.parse().unwrap());
    full.addresses = Some(HostAddresses::Static(addresses.to_vec()));
    full.gateways =
        ["192.0.2.1", "fe80::1"].map(|via| GatewayPolicy::new(via.parse().unwrap())).into();
    (full.vlan_filtering, full.stp, full.multicast_snooping) =
        (Some(true), Some(false), Some(true));
    (full.forward_delay, full.ageing, full.group_fwd_mask) = (Some(0), Some(300), Some(8));
    full.mtu = "9000".parse().ok();
    full.mac = Some("00:16:3e:00:00:01".parse::<MacAddr>().unwrap());
    assert_eq!(bridge("xenbr1"), full);
    let guests = bridge("guests");
    assert_eq!(guests.ipv6, Some(false));
    let mut vxlan = VxlanPolicy::new("100".parse().unwrap(), "2001:db8::11".parse().unwrap());
    (vxlan.dev, vxlan.remote) = ("eth3".parse().ok(), "ff05::100".parse().ok());
    vxlan.port = 8472.try_into().unwrap();
    assert_eq!(guests.vxlan, Some(vxlan));

    assert!(config.routed[0].proxy_arp && config.routed[0].proxy_ndp);
    assert_eq!(config.routed[0].prefixes.len(), 2);
    let nat = &config.nat[0];
    assert_eq!((nat.forward[0].to_port.get(), nat.forward[1].to_port.get()), (80, 53));
    assert!(nat.dhcp);
    let port = &config.bridges[2].port;
    assert_eq!(port.guard, Some(GuardLevel::Ip));
    let switches = (port.isolated, port.reserve, port.dhcp_server, port.router, port.iptables);
    assert_eq!(port.announce, Some(true));
    assert_eq!(switches, (Some(true), Some(true), Some(true), Some(false), Some(true)));
    let switch = config.switch(&"br-int".parse().unwrap()).unwrap();
    assert_eq!((switch.wait_ovn, switch.port.isolated), (Some(10), Some(true)));
    assert_eq!(switch.policing, Some(Policing { rate: 8000, burst: 800 }));
    assert_eq!(config.bridge(&switch.name), None);
    assert_eq!(config.ovs_socket.as_deref(), Some(Path::new("/run/ovs/db.sock")));
    let router = config.guest(&GuestName::Name("router1".to_owned())).unwrap();
    assert_eq!(router.iface_id.as_deref(), Some("router {devid}"));
    assert_eq!(router.policing, Some(Policing { rate: 9000, burst: 0 }));
    assert_eq!((router.port.guard, router.port.router), (Some(GuardLevel::Off), Some(true)));
    let uuid = GuestName::Uuid("6a5b8e1c-0f3d-4c55-9d3e-2b1f0a9c8d7e".to_owned());
    assert_eq!(config.guest(&uuid).unwrap().port.isolated, Some(false));
    assert_eq!(config.forwarding.ipv4, Some(true));
    assert_eq!(config.forwarding.ipv6, None);
    assert_eq!(config.forwards(), (true, true));
    let mut vif = VifConfig::default();
    for (key, value) in
        [("bridge", "xenbr0"), ("mtu", "1500"), ("vlan", "10"), ("rate", "25000,20000")]
    {
        vif.set(key, value.as_bytes()).unwrap();
    }
    assert_eq!(config.vif, vif);
    assert_eq!(NetworkConfig::from_toml("# nothing yet\n"), Ok(NetworkConfig::default()));
}

#[test]
fn an_error_names_its_line_and_column() {
    let bridge = "[[bridge]]\nname = \"b\"\n";
    for (text, words) in [
        (
            "[[bridge]]\nnam = \"b\"\n",
            "line 2, column 1: unknown key nam in [[bridge]]: did you mean name?",
        ),
        (
            "[[bridge]]\nname = \"b\"\nvxlan = { vni = 0, local = \"192.0.2.1\" }\n",
            "line 3, column 17: vni \"0\": expected a VXLAN network from 1 to 16777215",
        ),
        (
            "[[bridge]]\nname = \"b\"\nvxlan = { vni = 1, local = \"192.0.2.1\", remote = \"239.0.0.1\" }\n",
            "bridge b: the group 239.0.0.1 is joined on an interface: give dev",
        ),
        (
            "[[bridge]]\nname = \"b\"\nvxlan = { vni = 1, local = \"192.0.2.1\", remote = \"fd00::1\" }\n",
            "bridge b: fd00::1 and 192.0.2.1 are not of the same protocol",
        ),
        (
            "[[bridge]]\nname = \"b\"\nvxlan = { vni = 1, local = \"fe80::1\" }\n",
            "bridge b: fe80::1 is on every interface: give dev as well",
        ),
        (
            "[[bridge]]\nname = \"b\"\nvxlan = { vni = 1, local = \"127.0.0.1\" }\n",
            "bridge b: 127.0.0.1 is no address that other hosts can send to",
        ),
        (
            "[[bridge]]\nname = \"b\"\nvxlan = { vni = 1, local = \"192.0.2.1\" }\n\
             [[bridge]]\nname = \"c\"\nvxlan = { vni = 1, local = \"192.0.2.1\" }\n",
            "bridge c: b has vni 1 already",
        ),
        ("[[bridge]]\nuplink = \"e\"\n", "line 1, column 1: [[bridge]] has no name"),
        ("[[bridge]]\nname = \"a/b\"\n", "line 2, column 8: interface name \"a/b\": expected no"),
        (
            "[[bridge]]\nname = \"all\"\n",
            "line 2, column 8: interface name \"all\": expected another",
        ),
        (
            "[[bridge]]\nname = \"b\"\nuplink = \"default\"\n",
            "line 3, column 10: interface name \"default\": expected another",
        ),
        ("[[bridge]]\nname = 7\n", "line 2, column 8: invalid type"),
        ("\n\n[[bridge]\n", "line 3, column"),
        (
            "[bridge]\nname = \"b\"\n",
            "line 1, column 1: bridge: there can be several: write [[bridge]]",
        ),
        (
            "[[brigde]]\n",
            "line 1, column 3: unknown key brigde in xennet.toml: did you mean bridge?",
        ),
        (
            "quite = \"else\"\n",
            "expected one of bond, bridge, forwarding, guest, nat, ovs, routed, vif, vlan",
        ),
        (
            "[vif]\nmtu = 1500\nbrigde = \"b\"\n",
            "line 3, column 1: unknown key brigde in [vif]: did you mean bridge?",
        ),
        ("[vif]\nmtu = 12\n", "line 2, column 7: mtu \"12\": expected a number of bytes"),
        ("[vif]\nmac = \"00:16:3e:00:00:01\"\n", "line 2, column 1: unknown key mac in [vif]"),
        ("[vif]\nvlan = [10]\n", "line 2, column 8: vlan: expected a string, a number"),
        ("[forwarding]\nipv4 = 1\n", "line 2, column 8: invalid type"),
        (&format!("{bridge}{bridge}"), "line 4, column 8: bridge b: described twice"),
    ] {
        wrong(text, words);
    }
}

#[test]
fn what_contradicts_itself_in_a_bridge() {
    let bridge = "[[bridge]]\nname = \"b\"\n";
    for (key, words) in [
        (
            "manage_uplink_vlans = true",
            "line 3, column 23: bridge b: manage_uplink_vlans needs an uplink",
        ),
        (
            "mulitcast_snooping = true",
            "line 3, column 1: unknown key mulitcast_snooping in [[bridge]]: did you mean multicast_snooping?",
        ),
        ("uplink = \"b\"", "line 3, column 10: bridge b: a bridge is no uplink of its own"),
        (
            "addresses = \"inherit\"",
            "line 3, column 13: bridge b: there is nothing to inherit without an uplink",
        ),
        (
            "uplink = \"e\"\naddresses = \"inherit\"\nipv6 = false",
            "line 5, column 8: bridge b: it would inherit",
        ),
        (
            "addresses = \"inherited\"",
            "line 3, column 13: invalid value: string \"inherited\", expected \"inherit\"",
        ),
        (
            "addresses = [\"192.0.2.2\"]",
            "line 3, column 13: \"192.0.2.2\": expected an address as 192.0.2.2/24",
        ),
        ("addresses = [\"192.0.2.0/24\"]", "is a network: give the host's own address in it"),
        ("addresses = [\"192.0.2.255/24\"]", "is a network"),
        ("addresses = [\"2001:db8::/64\"]", "is a network"),
        ("addresses = [\"127.0.0.1/8\"]", "is no address of a host"),
        ("addresses = [\"192.0.2.2/24\", \"192.0.2.2/25\"]", "192.0.2.2 is there twice"),
        (
            "addresses = [\"2001:db8::1/64\"]\nipv6 = false",
            "line 4, column 8: bridge b: without IPv6",
        ),
        (
            "gateways = [\"192.0.2.1\"]",
            "line 3, column 12: bridge b: gateways need static addresses",
        ),
        (
            "addresses = [\"192.0.2.2/24\"]\ngateways = [\"192.0.3.1\"]",
            "line 4, column 12: bridge b: 192.0.3.1 is in the network of no address",
        ),
        (
            "addresses = [\"192.0.2.2/24\"]\ngateways = [\"192.0.2.255\"]",
            "line 4, column 12: bridge b: 192.0.2.255 is no router's address",
        ),
        ("addresses = [\"192.0.2.2/24\"]\ngateways = [\"192.0.2.2\"]", "is the host itself"),
        (
            "addresses = [\"192.0.2.2/24\"]\ngateways = [\"192.0.2.1\", \"192.0.2.3\"]",
            "expected one per protocol",
        ),
        (
            "stp = true\nforward_delay = 1",
            "line 4, column 17: bridge b: spanning tree takes 2 to 30 seconds",
        ),
        ("forward_delay = 31", "expected 0 to 30 seconds"),
        ("forward_delay = -1", "line 3, column 17: "),
        ("ageing = 1000001", "expected 0 to 1000000"),
        ("group_fwd_mask = 1", "are never forwarded"),
        ("mtu = 67", "line 3, column 7: mtu \"67\": expected a number of bytes"),
        ("mac = \"ff:ff:ff:ff:ff:ff\"", "line 3, column 7: mac"),
        (
            "uplink = \"e\"\n[[bridge]]\nname = \"c\"\nuplink = \"e\"",
            "line 6, column 10: bridge c: b has this uplink already",
        ),
        ("uplink = \"c\"\n[[bridge]]\nname = \"c\"", "a bridge is no port of another"),
        (
            "addresses = [\"10.0.0.1/8\"]\n[[bridge]]\nname = \"c\"\naddresses = [\"10.0.0.1/24\"]",
            "bridge c: b has 10.0.0.1 already",
        ),
        (
            "uplink = \"e\"\n[[routed]]\nuplink = \"e\"",
            "line 5, column 10: routed e: it is a port of b, so the way out is b",
        ),
    ] {
        wrong(&format!("{bridge}{key}\n"), words);
    }
}

#[test]
fn what_contradicts_itself_in_a_bridge_of_open_vswitch() {
    let bridge = |more: &str| format!("[[bridge]]\nname = \"b\"\nmode = \"openvswitch\"\n{more}");
    for (text, words) in [
        (bridge("uplink = \"eth0\""), "unknown key uplink in [[bridge]]"),
        (bridge("wait_ovn = 30"), "bridge b: expected 1 to 20 seconds"),
        (bridge("policing_burst = 3"), "policing_burst needs a policing_rate as well"),
        (bridge("[[bridge]]\nname = \"b\""), "bridge b: described twice"),
        (bridge("").replace("openvswitch", "ovs"), "unknown variant `ovs`"),
        ("[[bridge]]\nname = \"b\"\nwait_ovn = 3".to_owned(), "unknown key wait_ovn in [[bridge]]"),
        (
            "[ovs]\nsocket = \"tcp:127.0.0.1:6640\"".to_owned(),
            "of this host is asked, over no network",
        ),
        ("[ovs]\nsocket = \"db.sock\"".to_owned(), "expected the path of a Unix socket"),
    ] {
        let error = NetworkConfig::from_toml(&text).unwrap_err().to_string();
        assert!(error.contains(words), "{text}: {error}");
    }
}

#[test]
fn what_contradicts_itself_among_guests() {
    let nat = "[[nat]]\nname = \"n\"\nsubnets = [\"10.0.0.1/24\"]\n";
    for (key, words) in [
        (
            "bridge = \"x\"\nuplink = \"x\"",
            "line 5, column 10: nat n: the guests' bridge is not the way out",
        ),
        ("forward = [{ protocol = \"tcp\", port = 0, to = \"10.0.0.5\" }]", "line 4, column 39: "),
        (
            "forward = [{ protocol = \"icmp\", port = 1, to = \"10.0.0.5\" }]",
            "unknown variant `icmp`",
        ),
        (
            "forward = [{ protocol = \"tcp\", port = 1, to = \"10.0.1.5\" }]",
            "line 4, column 47: 10.0.1.5 is in none of the subnets",
        ),
        (
            "forward = [{ protocol = \"tcp\", port = 1, to = \"10.0.0.255\" }]",
            "line 4, column 47: 10.0.0.255 is no guest's address: it stands for all of 10.0.0.0/24",
        ),
        (
            "forward = [{ protocol = \"tcp\", port = 1, to = \"10.0.0.0\" }]",
            "line 4, column 47: 10.0.0.0 is no guest's address",
        ),
        (
            "forward = [{ protocol = \"tcp\", port = 1, to = \"10.0.0.5\", prot = 2 }]",
            "unknown key prot in [[forward]]: did you mean port?",
        ),
        (
            "forward = [{ protocol = \"tcp\", port = 1, to = \"10.0.0.5\" }, { protocol = \"tcp\", port = 1, to = \"10.0.0.6\" }]",
            "port 1 leads somewhere already",
        ),
        ("[[nat]]\nname = \"n\"\nsubnets = [\"10.1.0.1/24\"]", "nat n: described twice"),
        (
            "[forwarding]\nipv4 = false",
            "line 5, column 8: ipv4: [[routed]] and [[nat]] cannot do without it",
        ),
        ("[[routed]]\nuplink = \"e\"\nprefixes = [\"10.0.0.1/24\"]", "did you mean 10.0.0.0/24?"),
        (
            "[[routed]]\nuplink = \"e\"\nprefixes = [\"10.0.0.0/24\", \"10.0.0.0/8\"]",
            "10.0.0.0/8 overlaps 10.0.0.0/24",
        ),
    ] {
        wrong(&format!("{nat}{key}\n"), words);
    }
    for (text, words) in [
        ("[[bridge]]\nname = \"b\"\nguard = \"on\"\n", "line 3, column 9: unknown variant `on`"),
        ("[[bridge]]\nname = \"b\"\nrouter = true\n", "line 3, column 10: "),
        ("[[bridge]]\nname = \"b\"\nfirewall = \"nft\"\n", "line 3, column 12: unknown variant"),
        ("[[guest]]\nguard = \"off\"\n", "line 1, column 1: [[guest]] needs a name or a uuid"),
        (
            "[[guest]]\nname = \"a\"\nuuid = \"b\"\n",
            "line 3, column 8: guest \"a\": a name or a uuid",
        ),
        ("[[guest]]\nuuid = \"7\"\n", "line 2, column 8: guest \"7\": expected a UUID"),
        (
            "[[guest]]\nname = \"a\"\n[[guest]]\nname = \"a\"\n",
            "line 4, column 8: guest a: described twice",
        ),
        (
            "[[guest]]\nname = \"a\"\nisolate = true\n",
            "unknown key isolate in [[guest]]: did you mean isolated?",
        ),
    ] {
        wrong(text, words);
    }
    wrong("[[nat]]\nname = \"n\"\nsubnets = []\n", "expected the host's addresses");
}

fn wrong(text: &str, words: &str) {
    let error = NetworkConfig::from_toml(text).expect_err(text).to_string();
    assert!(error.contains(words), "{text:?}:\n{error}\n{words}");
    assert!(!error.contains('\n'), "{error:?}");
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC*|(\\[\\[(bridge|nat|routed)\\]\\]\n(name = \"[a-z/]{0,9}\"\n|[a-z_]+ = .*\n)*)") {
        let _ = NetworkConfig::from_toml(&text);
    }

    #[test]
    fn no_key_is_missing_its_place(n in 0..FULL.len(), junk in "[ -~]{1,3}") {
        if let Some((before, after)) = FULL.split_at_checked(n)
            && let Err(error) = NetworkConfig::from_toml(&format!("{before}{junk}{after}"))
        {
            prop_assert!(error.line >= 1 && error.line <= FULL.lines().count() + 1);
        }
    }
}
