//! Ports without a guard, the uplink among them, and one that is only held to its Ethernet address: they may use any
//! address but those that are somebody's.

use xennet_core::plan::guard::{Frame, Packet, Payload};
use xennet_tests::frames::*;
use xennet_tests::guests::mac;

use crate::{Case, PASSES, case};

pub(crate) fn cases() -> Vec<Case> {
    let ports: [fn(&Packet) -> Frame; 3] = [uplink, |packet| of(6, packet), |packet| of(4, packet)];
    [anything(), ports.into_iter().flat_map(addresses).collect()].into_iter().flatten().collect()
}

fn anything() -> Vec<Case> {
    let pppoe = Packet::Other { protocol: 0x8864, bytes: vec![0; 46] };
    let world = ip4("192.0.2.1", tcp());
    vec![
        case("PPPoE of the world", uplink(&pppoe), PASSES),
        case("any Ethernet address", frame("vif6.0", mac(1), &[], &world), PASSES),
        // What is behind two tags cannot be judged.
        case("two tags", frame("eth0", mac(9), &[1, 2], &ip4("10.0.0.5", tcp())), PASSES),
    ]
}

fn addresses(port: fn(&Packet) -> Frame) -> Vec<Case> {
    let tagged = |packet: &Packet| {
        let mut tagged = port(packet);
        tagged.bytes.splice(12..12, [0x81, 0, 0, 7]);
        tagged
    };
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
        case("a probe", port(&arp(1, "0.0.0.0", "10.0.0.5")), PASSES),
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
        case("the world, IPv6", port(&ip6("2001:db8:ffff::1", tcp())), PASSES),
        case("a guest's, IPv6", port(&ip6("2001:db8::5", tcp())), "source is another vif's (/128)"),
        case(
            "of a guest's prefix, IPv6",
            port(&ip6("2001:db8:1::9", tcp())),
            "source is another vif's (/64)",
        ),
        case("anybody's link-local", port(&ip6(LINK_LOCAL, tcp())), PASSES),
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
            "a guest's, behind a tag",
            tagged(&ip4("10.0.0.5", tcp())),
            "source is another vif's (/32)",
        ),
        case(
            "a guest's, IPv6, behind a tag",
            tagged(&ip6("2001:db8::5", tcp())),
            "source is another vif's (/128)",
        ),
    ]
}
