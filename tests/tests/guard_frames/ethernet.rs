//! Ethernet, VLAN tags, and protocols that are none of IP's.

use xennet_core::plan::guard::{Frame, Packet, Payload};
use xennet_tests::frames::*;
use xennet_tests::guests::{Guests, mac};
use xennet_tests::listener::Listener;

use crate::{Case, PASSES, SOURCE, case};

const ETHERNET: &str = "an Ethernet address that is not its own";
const NEITHER: &str = "neither IPv4, IPv6 nor ARP";
const TWICE: &str = "a VLAN tag behind a VLAN tag";
const SNAP: &str = "a protocol behind a SNAP header";
const BRIDGES: &str = "a frame for bridges themselves, such as spanning tree";
const OTHERS: &str = "source is another vif's (/32)";

pub(crate) fn cases() -> Vec<Case> {
    [addresses(), tags(), levels()].into_iter().flatten().collect()
}

fn addresses() -> Vec<Case> {
    let good = ip4("10.0.0.5", tcp());
    let stolen = |source| frame("vif1.0", source, &[], &good);
    vec![
        case("its own", mine(&good), PASSES),
        case("to one", to(mac(9), mine(&good)), PASSES),
        case("another guest's", stolen(mac(2)), ETHERNET),
        case("nobody's", stolen([2, 0, 0, 0, 0, 1]), ETHERNET),
        case("dom0's own of a vif", stolen([0xfe, 0xff, 0xff, 0xff, 0xff, 0xff]), ETHERNET),
        case("of all levels", of_level(4, mac(7)), ETHERNET),
        case("of all levels but off", of_level(6, mac(7)), PASSES),
        case("spanning tree", bpdu(1), BRIDGES),
        case("spanning tree, level ip", bpdu(3), BRIDGES),
        case("spanning tree, level mac", bpdu(4), BRIDGES),
        case("spanning tree, level off", bpdu(6), PASSES),
        case(
            "spanning tree from the world",
            Frame { port: "eth0".parse().expect("a name"), ..bpdu(9) },
            PASSES,
        ),
        case("a group that is not the bridges'", to([1, 0x80, 0xc2, 0, 0, 0x10], bpdu(3)), PASSES),
    ]
}

fn of_level(domid: u16, source: [u8; 6]) -> Frame {
    frame(&format!("vif{domid}.0"), source, &[], &ip4("192.0.2.7", tcp()))
}

/// A BPDU of spanning tree. With STP off, a bridge forwards it like any other frame.
fn bpdu(domid: u16) -> Frame {
    let bytes = vec![0x42, 0x42, 3, 0, 0, 0, 0, 0];
    to([1, 0x80, 0xc2, 0, 0, 0], of(domid, &Packet::Other { protocol: 38, bytes }))
}

fn tags() -> Vec<Case> {
    let (good, bad) = (ip4("10.0.0.5", tcp()), ip4("10.0.0.9", tcp()));
    let tagged = |tags: &[u16], packet: &Packet| frame("vif1.0", mac(1), tags, packet);
    let of_level_ip = |tags: &[u16]| frame("vif3.0", mac(3), tags, &ip4("10.0.0.30", tcp()));
    let service = |frame| ethertype(0x88a8, frame);
    vec![
        case("one tag", tagged(&[7], &good), PASSES),
        case("a priority tag", tagged(&[0], &good), PASSES),
        case("a priority", tagged(&[0xe000], &good), PASSES),
        case("a service tag", service(tagged(&[7], &good)), PASSES),
        case("another's, behind a tag", tagged(&[7], &bad), SOURCE),
        case("another's, behind a priority tag", tagged(&[0], &bad), SOURCE),
        case("another's, behind a service tag", service(tagged(&[7], &bad)), SOURCE),
        case(
            "ARP of another, behind a tag",
            tagged(&[0], &arp(2, "10.0.0.6", "10.0.0.1")),
            "ARP sender is another vif's (/32)",
        ),
        case(
            "RA behind a tag",
            tagged(&[0], &ip6(LINK_LOCAL, Payload::Icmp6(134))),
            "an IPv6 router advertisement",
        ),
        case("two tags", tagged(&[7, 8], &good), TWICE),
        case("two priority tags", tagged(&[0, 0], &bad), TWICE),
        case("a tag in a service tag", service(tagged(&[7, 8], &good)), TWICE),
        case("three tags", tagged(&[1, 2, 3], &good), TWICE),
        case(
            "a service tag in a tag",
            tagged(&[7], &Packet::Other { protocol: 0x88a8, bytes: vec![0; 46] }),
            TWICE,
        ),
        case("level ip, one tag", of_level_ip(&[7]), PASSES),
        case("level ip, two tags", of_level_ip(&[7, 8]), TWICE),
        case("another's Ethernet address, tagged", frame("vif1.0", mac(2), &[0], &good), ETHERNET),
    ]
}

fn levels() -> Vec<Case> {
    let other = |protocol, bytes: &[u8]| Packet::Other { protocol, bytes: bytes.to_vec() };
    let pppoe = other(0x8864, &[0; 46]);
    let llc = other(46, &[0xe0; 46]);
    let ipx = other(46, &[0xff; 46]);
    let snap = other(46, &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0, 0x45]);
    // The lowest bit of each address says "group" and "response".
    let snaps = [[0xab, 0xaa], [0xaa, 0xab], [0xab, 0xab]]
        .map(|[to, from]| other(46, &[to, from, 3, 0, 0, 0, 8, 0, 0x45]));
    let (spoofed, stolen) = (ip4("192.0.2.7", tcp()), ip4("10.0.0.6", tcp()));
    let verdicts: [(u16, [&'static str; 6]); 4] = [
        (1, [NEITHER, NEITHER, NEITHER, SNAP, SOURCE, OTHERS]),
        (3, [PASSES, PASSES, PASSES, SNAP, SOURCE, OTHERS]),
        (4, [PASSES, PASSES, PASSES, PASSES, PASSES, OTHERS]),
        (6, [PASSES, PASSES, PASSES, PASSES, PASSES, OTHERS]),
    ];
    let names = ["PPPoE", "LLC", "IPX", "SNAP", "an address of nobody's", "one of another's"];
    let packets = [pppoe, llc, ipx, snap, spoofed, stolen];
    let mut cases = Vec::new();
    for (domid, verdicts) in verdicts {
        for ((name, packet), verdict) in names.into_iter().zip(&packets).zip(verdicts) {
            cases.push(case(name, of(domid, packet), verdict));
        }
    }
    for packet in &snaps {
        cases.push(case("SNAP of a group or a response", of(1, packet), SNAP));
        cases.push(case("SNAP of a group or a response", of(3, packet), SNAP));
    }
    cases
}

/// What a bridge takes for itself, and forwards to nobody: who listens behind it hears nothing of a guarded guest.
pub(crate) fn link_group(guests: &Guests, chain: &str) {
    // 802.1X: a guest that asks to be let in.
    let eapol = |port: &str, source| {
        let packet = Packet::Other { protocol: 0x888e, bytes: vec![0; 46] };
        to([1, 0x80, 0xc2, 0, 0, 3], frame(port, source, &[], &packet))
    };
    let listener = Listener::new(0x888e);
    let rule = (chain.to_owned(), BRIDGES.to_owned());
    for (port, domid, heard) in
        [("vif1.0", 1, 0), ("vif3.0", 3, 0), ("vif4.0", 4, 0), ("vif6.0", 6, 1), ("eth0", 9, 1)]
    {
        let before = guests.counted();
        assert!(!guests.passes(&eapol(port, mac(domid))), "no bridge forwards it");
        assert_eq!(listener.heard(), heard, "{port}");
        let after = guests.counted();
        assert_eq!(after.rules[&rule] - before.rules[&rule], 1 - heard, "{port}");
        if heard == 0 {
            assert_eq!(after.dropped[port] - before.dropped[port], 1, "{port}");
        }
    }
}
