//! Ports without a guard, the uplink among them, and one that is only held to its Ethernet address: they may use any
//! address but those that are somebody's.

use xennet_core::plan::guard::{Frame, Packet, Payload};
use xennet_tests::frames::*;
use xennet_tests::guests::mac;

use crate::{Case, PASSES, case};

const MAC: &str = "Ethernet address is another vif's";
const INNER: &str = "a priority tag behind a VLAN tag";
const OUTER: &str = "a VLAN tag behind a priority tag";

pub(crate) fn cases() -> Vec<Case> {
    let ports: [fn(&Packet) -> Frame; 3] = [uplink, |packet| of(6, packet), |packet| of(4, packet)];
    let by_port = |port| [tags(port), addresses4(port), addresses6(port)].into_iter().flatten();
    anything().into_iter().chain(ports.into_iter().flat_map(by_port)).collect()
}

fn anything() -> Vec<Case> {
    let pppoe = Packet::Other { protocol: 0x8864, bytes: vec![0; 46] };
    let world = ip4("192.0.2.1", tcp());
    vec![
        case("PPPoE of the world", uplink(&pppoe), PASSES),
        case("a MAC without an owner", frame("vif6.0", mac(9), &[], &world), PASSES),
        case("the MAC of a strict guest", frame("vif6.0", mac(1), &[], &world), MAC),
        case("the MAC of a guest at level ip", frame("vif6.0", mac(3), &[], &world), MAC),
        case("the MAC of a guest at level mac", frame("vif6.0", mac(4), &[], &world), MAC),
        case("the MAC of a guest without a guard", frame("eth0", mac(6), &[], &world), PASSES),
        case("the MAC of a guest, from the uplink", frame("eth0", mac(1), &[], &world), MAC),
        case("the MAC of a guest, behind a tag", frame("eth0", mac(1), &[7], &world), MAC),
        case("the MAC of a guest, PPPoE", frame("eth0", mac(1), &[], &pppoe), MAC),
    ]
}

/// Linux strips a priority tag in front of another tag, and one behind the tag of its VLAN. A packet behind any other
/// two tags cannot be judged.
fn tags(port: fn(&Packet) -> Frame) -> Vec<Case> {
    let owned = [
        ip4("10.0.0.5", tcp()),
        ip6("2001:db8::5", tcp()),
        arp(2, "10.0.0.5", "10.0.0.1"),
        ip6("fe80::1", advertisement("2001:db8::5", None)),
    ];
    let mut cases = Vec::new();
    for packet in &owned {
        for (outer, inner) in
            [(0x8100, 0x8100), (0x8100, 0x88a8), (0x88a8, 0x8100), (0x88a8, 0x88a8)]
        {
            let tagged = |vlans: &[(u16, u16)]| {
                let mut frame = port(packet);
                let tags: Vec<u8> = vlans
                    .iter()
                    .flat_map(|(protocol, vlan)| [protocol.to_be_bytes(), vlan.to_be_bytes()])
                    .flatten()
                    .collect();
                frame.bytes.splice(12..12, tags);
                frame
            };
            let two = |one, other| tagged(&[(outer, one), (inner, other)]);
            cases.extend([
                case("two priority tags", two(0, 0), INNER),
                case("two priority tags with priorities", two(0xe000, 0x2000), INNER),
                case("a tag behind a priority tag", two(0, 7), OUTER),
                case("a tag behind a priority tag with drop eligibility", two(0x1000, 7), OUTER),
                case("a priority tag behind a tag", two(7, 0), INNER),
                case("two VLANs", two(7, 8), PASSES),
                case("two VLANs with priorities", two(0xe007, 0x2008), PASSES),
                case("three priority tags", tagged(&[(outer, 0), (inner, 0), (outer, 0)]), INNER),
            ]);
        }
    }
    cases
}

fn tagged(mut frame: Frame) -> Frame {
    frame.bytes.splice(12..12, [0x81, 0, 0, 7]);
    frame
}

fn addresses4(port: fn(&Packet) -> Frame) -> Vec<Case> {
    vec![
        case("the world", port(&ip4("192.0.2.1", tcp())), PASSES),
        case("a guest's", port(&ip4("10.0.0.5", tcp())), "source is another vif's (/32)"),
        case(
            "a guest's with host bits",
            port(&ip4("10.0.2.9", tcp())),
            "source is another vif's (/32)",
        ),
        case("next to that", port(&ip4("10.0.2.8", tcp())), PASSES),
        case("of a guest's prefix", port(&ip4("10.0.1.9", tcp())), "source is another vif's (/24)"),
        case(
            "of a guest at level ip",
            port(&ip4("10.0.0.30", tcp())),
            "source is another vif's (/32)",
        ),
        case("of a guest at level mac", port(&ip4("10.0.0.40", tcp())), PASSES),
        case("no address", port(&ip4("0.0.0.0", udp(68, 67))), PASSES),
        case("a DHCP server", port(&ip4("10.0.0.1", udp(67, 68))), PASSES),
        case("ARP", port(&arp(1, "10.0.0.1", "10.0.0.5")), PASSES),
        case("a probe", port(&arp(1, "0.0.0.0", "10.0.0.7")), PASSES),
        case(
            "a probe for a guest's",
            port(&arp(1, "0.0.0.0", "10.0.0.5")),
            "ARP target is another vif's (/32)",
        ),
        case(
            "a probe in a guest's prefix",
            port(&arp(1, "0.0.0.0", "10.0.1.9")),
            "ARP target is another vif's (/24)",
        ),
        case(
            "a reply without a sender for a guest's",
            port(&arp(2, "0.0.0.0", "10.0.0.5")),
            "ARP target is another vif's (/32)",
        ),
        case(
            "a guest's ARP",
            port(&arp(2, "10.0.0.5", "10.0.0.1")),
            "ARP sender is another vif's (/32)",
        ),
        case(
            "ARP of a guest's prefix",
            port(&arp(2, "10.0.1.9", "10.0.0.1")),
            "ARP sender is another vif's (/24)",
        ),
        case(
            "a guest's, behind a tag",
            tagged(port(&ip4("10.0.0.5", tcp()))),
            "source is another vif's (/32)",
        ),
    ]
}

fn addresses6(port: fn(&Packet) -> Frame) -> Vec<Case> {
    vec![
        case("the world, IPv6", port(&ip6("2001:db8:ffff::1", tcp())), PASSES),
        case("a guest's, IPv6", port(&ip6("2001:db8::5", tcp())), "source is another vif's (/128)"),
        case(
            "of a guest's prefix, IPv6",
            port(&ip6("2001:db8:1::9", tcp())),
            "source is another vif's (/64)",
        ),
        case("a link-local without an owner", port(&ip6("fe80::9", tcp())), PASSES),
        case(
            "a guest's link-local",
            port(&ip6(LINK_LOCAL, tcp())),
            "source is another vif's (/128)",
        ),
        case(
            "the router with a guest's link-local",
            port(&ip6("fe80::216:3eff:fe00:5", Payload::Icmp6(134))),
            "source is another vif's (/128)",
        ),
        case(
            "claims a guest's link-local",
            port(&ip6("fe80::9", advertisement(LINK_LOCAL, None))),
            "ND target is another vif's (/128)",
        ),
        case(
            "DAD of a guest's link-local",
            port(&ip6("::", solicitation(LINK_LOCAL, None))),
            "ND target is another vif's (/128)",
        ),
        case(
            "asks with a guest's link-local",
            port(&ip6(LINK_LOCAL, solicitation("2001:db8::5", Some(mac(9))))),
            "source is another vif's (/128)",
        ),
        case("a router", port(&ip6("fe80::1", Payload::Icmp6(134))), PASSES),
        case("who has a guest's", port(&ip6("fe80::1", solicitation("2001:db8::5", None))), PASSES),
        case("DAD", port(&ip6("::", solicitation("2001:db8:ffff::1", None))), PASSES),
        case(
            "DAD of a guest's",
            port(&ip6("::", solicitation("2001:db8::5", None))),
            "ND target is another vif's (/128)",
        ),
        case(
            "DAD in a guest's prefix",
            port(&ip6("::", solicitation("2001:db8:1::9", None))),
            "ND target is another vif's (/64)",
        ),
        case(
            "claims a guest's",
            port(&ip6("fe80::1", advertisement("2001:db8::5", None))),
            "ND target is another vif's (/128)",
        ),
        case(
            "claims one of a guest's prefix",
            port(&ip6("fe80::1", advertisement("2001:db8:1::9", None))),
            "ND target is another vif's (/64)",
        ),
        case("claims its own", port(&ip6("fe80::1", advertisement("fe80::1", None))), PASSES),
        case(
            "a guest's, IPv6, behind a tag",
            tagged(port(&ip6("2001:db8::5", tcp()))),
            "source is another vif's (/128)",
        ),
    ]
}
