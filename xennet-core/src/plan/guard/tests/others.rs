//! Who owns which address, and what that means for everybody else.

use super::fixture::*;
use crate::config::GuardLevel;
use crate::plan::guard::{Frame, GuardEntry, GuardLayout, Packet, Payload, explain};
use crate::types::NftFamily;

const SOURCE: &str = "source is not its own";

#[test]
fn ports_without_a_guard() {
    check(
        &strict(),
        &[
            ("the world", uplink(&ip4("192.0.2.1", tcp())), "passes"),
            ("a guest's", uplink(&ip4("10.0.0.5", tcp())), "source is another vif's (/32)"),
            (
                "of a guest's prefix",
                uplink(&ip4("10.0.1.9", tcp())),
                "source is another vif's (/24)",
            ),
            ("no address", uplink(&ip4("0.0.0.0", udp(68, 67))), "passes"),
            ("a DHCP server", uplink(&ip4("10.0.0.1", udp(67, 68))), "passes"),
            ("ARP", uplink(&arp(1, "10.0.0.1", "10.0.0.5")), "passes"),
            (
                "a guest's ARP",
                uplink(&arp(2, "10.0.0.5", "10.0.0.1")),
                "ARP sender is another vif's (/32)",
            ),
            (
                "ARP of a guest's prefix",
                uplink(&arp(2, "10.0.1.9", "10.0.0.1")),
                "ARP sender is another vif's (/24)",
            ),
            ("the world, IPv6", uplink(&ip6("2001:db8::1", tcp())), "passes"),
            (
                "a guest's, IPv6",
                uplink(&ip6("2001:db8::5", tcp())),
                "source is another vif's (/128)",
            ),
            ("a link-local of nobody's", uplink(&ip6("fe80::9", tcp())), "passes"),
            (
                "a guest's link-local",
                uplink(&ip6(LINK_LOCAL, tcp())),
                "source is another vif's (/128)",
            ),
            ("a router", uplink(&ip6("fe80::1", Payload::Icmp6(134))), "passes"),
            (
                "who has a guest's",
                uplink(&ip6("fe80::1", solicitation("2001:db8::5", None))),
                "passes",
            ),
            (
                "DAD of a guest's",
                uplink(&ip6("::", solicitation("2001:db8::5", None))),
                "ND target is another vif's (/128)",
            ),
            ("DAD", uplink(&ip6("::", solicitation("2001:db8::1", None))), "passes"),
            (
                "claims a guest's",
                uplink(&ip6("fe80::1", advertisement("2001:db8:1::9", None))),
                "ND target is another vif's (/64)",
            ),
            ("claims its own", uplink(&ip6("fe80::1", advertisement("fe80::1", None))), "passes"),
            ("anything else", uplink(&Packet::Other { protocol: 0x8864, bytes: vec![] }), "passes"),
        ],
    );
}

#[test]
fn owners_are_of_one_bridge_or_of_the_host() {
    let stolen = uplink(&ip4("10.0.0.5", tcp()));
    let elsewhere = Frame { bridge: Some("xenbr1".parse().unwrap()), ..stolen.clone() };
    let entry = entry(GuardLevel::Strict);
    let own = Table::with_layout(&entry, GuardLayout::new(NftFamily::Bridge, true));
    let host = Table::with_layout(&entry, GuardLayout::new(NftFamily::Bridge, false));
    assert_eq!([&stolen, &elsewhere].map(|f| own.explain(f).passes), [false, true]);
    assert_eq!([&stolen, &elsewhere].map(|f| host.explain(f).passes), [false, false]);
}

#[test]
fn a_tap_shares_the_addresses_of_its_vif() {
    let vif = entry(GuardLevel::Strict);
    let tap = GuardEntry { port: "vif1.0-emu".parse().unwrap(), claims: false, ..vif.clone() };
    let layout = neighbour().layout(tap.layout(GuardLayout::new(NftFamily::Bridge, true)));
    let elements = [vif.elements(&layout), tap.elements(&layout)].concat();
    for port in [vif.port, tap.port] {
        let frame = Frame { port, ..mine(&ip4("10.0.0.5", tcp())) };
        let explanation = explain(&layout.chains(), &layout.rules(), &elements, &frame);
        assert!(explanation.passes, "{explanation:?}");
    }
}

#[test]
fn an_explanation_tells_the_way() {
    let explanation = strict().explain(&mine(&ip4("10.0.0.7", udp(1, 2))));
    assert_eq!(
        explanation.path,
        ["a guarded port", "its own Ethernet address", "IPv4", "UDP", "any other UDP", SOURCE]
    );
    assert_eq!(explanation.deciding.as_deref(), Some(SOURCE));
    let explanation = strict().explain(&uplink(&ip4("192.0.2.1", tcp())));
    assert_eq!(explanation.path, ["a port without a guard", "IPv4"]);
    assert_eq!(explanation.deciding, None);
}

#[test]
fn routed_vifs() {
    let entry = GuardEntry { bridge: None, ..entry(GuardLevel::Strict) };
    let table = Table::with_layout(&entry, GuardLayout::new(NftFamily::Inet, true));
    let routed = |frame: Frame| Frame { bridge: None, ..frame };
    for (frame, passes) in [
        (mine(&ip4("10.0.0.5", tcp())), true),
        (mine(&ip4("10.0.0.7", tcp())), false),
        (from(THEIRS, &[], &ip4("10.0.0.5", tcp())), false),
        (mine(&ip6("2001:db8::5", tcp())), true),
        (mine(&ip6("2001:db8::5", advertisement("2001:db8::6", None))), false),
        (uplink(&ip4("10.0.0.5", tcp())), false),
        (uplink(&ip4("192.0.2.1", tcp())), true),
    ] {
        assert_eq!(table.explain(&routed(frame.clone())).passes, passes, "{frame:?}");
    }
}
