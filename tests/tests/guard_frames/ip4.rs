//! IPv4 of a guarded port.

use xennet_core::plan::guard::{Frame, Payload};
use xennet_tests::frames::*;
use xennet_tests::guests::mac;

use crate::{Case, PASSES, SOURCE, case};

const SERVER: &str = "an answer of a DHCP server";
const MALFORMED: &str = "malformed IPv4, or cut off";
const NOWHERE: &str = "no source";
const CLIENT: &str = "DHCP for another's Ethernet address";
const GROUPS: &str = "IGMP that is no report";
const PIECES: &str = "IGMP in fragments";
const PIM: &str = "PIM";

pub(crate) fn cases() -> Vec<Case> {
    [sources(), protocols(), allowed(), fragments(), headers()].into_iter().flatten().collect()
}

fn own(payload: Payload) -> Frame {
    mine(&ip4("10.0.0.5", payload))
}

fn none(payload: Payload) -> Frame {
    mine(&ip4("0.0.0.0", payload))
}

/// A DHCP client's message about that Ethernet address.
fn dhcp(port: u16, client: [u8; 6]) -> Payload {
    let mut bytes = udp(port, 67).bytes().1;
    bytes.resize(8 + 236, 0);
    bytes[8..12].copy_from_slice(&[1, 1, 6, 0]);
    bytes[36..42].copy_from_slice(&client);
    Payload::Other { protocol: 17, bytes }
}

/// A DHCP message that a relay passes on.
fn relayed() -> Payload {
    let Payload::Other { protocol, mut bytes } = dhcp(67, mac(9)) else { unreachable!() };
    bytes[32..36].copy_from_slice(&[10, 0, 0, 50]);
    Payload::Other { protocol, bytes }
}

/// Hello of PIM version 2.
fn pim() -> Payload {
    Payload::Other { protocol: 103, bytes: vec![0x20, 0, 0, 0, 0, 1, 0, 2, 0, 105] }
}

/// The first of several fragments.
fn fragmented(frame: Frame) -> Frame {
    fragment4(frame, 0, true)
}

fn sources() -> Vec<Case> {
    let from = |source| mine(&ip4(source, tcp()));
    vec![
        case("its own", from("10.0.0.5"), PASSES),
        case("of its prefix", from("10.0.1.77"), PASSES),
        case("the first of its prefix", from("10.0.1.0"), PASSES),
        case("the last of its prefix", from("10.0.1.255"), PASSES),
        case("behind its prefix", from("10.0.2.0"), SOURCE),
        case("before its prefix", from("10.0.0.255"), SOURCE),
        case("with host bits", from("10.0.2.9"), PASSES),
        case("next to that", from("10.0.2.10"), SOURCE),
        case("of nobody", from("10.0.0.7"), SOURCE),
        case("another's", from("10.0.0.6"), "source is another vif's (/32)"),
        case("another's, within its prefix", from("10.0.1.6"), "source is another vif's (/32)"),
        case(
            "that of another's prefix",
            of(2, &ip4("10.0.1.7", tcp())),
            "source is another vif's (/24)",
        ),
        case("its own, within another's prefix", of(2, &ip4("10.0.1.6", tcp())), PASSES),
        case("of one at level mac", from("10.0.0.40"), SOURCE),
        case("none", from("0.0.0.0"), NOWHERE),
        case("a group", from("224.0.0.1"), SOURCE),
        case("all", from("255.255.255.255"), SOURCE),
        case("loopback", from("127.0.0.1"), SOURCE),
    ]
}

fn protocols() -> Vec<Case> {
    let nobody = |payload| mine(&ip4("10.0.0.7", payload));
    vec![
        case("UDP", own(udp(1024, 53)), PASSES),
        case("UDP from nowhere", none(udp(1024, 53)), NOWHERE),
        case("UDP of another", nobody(udp(1, 2)), SOURCE),
        case("a DHCP client without an address", none(dhcp(68, mac(1))), PASSES),
        case("a DHCP client that renews", own(dhcp(68, mac(1))), PASSES),
        case("a DHCP client that renews, another port", own(dhcp(1024, mac(1))), PASSES),
        case("a DHCP client with another's address", nobody(dhcp(68, mac(1))), SOURCE),
        case("a DHCP client for another", own(dhcp(68, mac(2))), CLIENT),
        case("a DHCP client for another, another port", own(dhcp(1024, mac(2))), CLIENT),
        case("a DHCP client for another without an address", none(dhcp(68, mac(2))), CLIENT),
        case("a DHCP client that says nothing", own(udp(68, 67)), CLIENT),
        case("a DHCP client for another, in fragments", fragmented(own(dhcp(68, mac(2)))), CLIENT),
        case("a DHCP client in fragments", fragmented(own(dhcp(68, mac(1)))), PASSES),
        case("a DHCP server's port", own(udp(67, 1024)), SERVER),
        case("a DHCP relay's ports", own(udp(67, 67)), SERVER),
        case("to a DHCP client", own(udp(1024, 68)), SERVER),
        case("a DHCP server without an address", none(udp(67, 68)), SERVER),
        case("the ports of a DHCP client for both", own(udp(68, 68)), SERVER),
        case("ping", own(Payload::Icmp(8)), PASSES),
        case("ping of another", nobody(Payload::Icmp(8)), SOURCE),
        case("ping from nowhere", none(Payload::Icmp(8)), NOWHERE),
        case("a redirect", own(Payload::Icmp(5)), "an ICMP redirect"),
        case("a router advertisement", own(Payload::Icmp(9)), "an ICMP router advertisement"),
        case("a router solicitation", own(Payload::Icmp(10)), PASSES),
        case("an IGMP query", own(Payload::Igmp(0x11)), GROUPS),
        case("an IGMP query without a source", none(Payload::Igmp(0x11)), GROUPS),
        case("DVMRP", own(Payload::Igmp(0x13)), GROUPS),
        case("PIMv1", own(Payload::Igmp(0x14)), GROUPS),
        case("a multicast router's advertisement", own(Payload::Igmp(0x30)), GROUPS),
        case("a multicast router's termination", own(Payload::Igmp(0x32)), GROUPS),
        case("PIM", own(pim()), PIM),
        case("PIM without a source", none(pim()), PIM),
        case("an IGMPv1 report", own(Payload::Igmp(0x12)), PASSES),
        case("an IGMPv2 leave", own(Payload::Igmp(0x17)), PASSES),
        case("an IGMPv3 report", own(Payload::Igmp(0x22)), PASSES),
        case("an IGMPv1 report without a source", none(Payload::Igmp(0x12)), PASSES),
        case("an IGMPv2 report", own(Payload::Igmp(0x16)), PASSES),
        case("an IGMPv2 report without a source", none(Payload::Igmp(0x16)), PASSES),
        case("an IGMPv2 leave without a source", none(Payload::Igmp(0x17)), PASSES),
        case("an IGMPv3 report without a source", none(Payload::Igmp(0x22)), PASSES),
        case("an IGMP report of another", nobody(Payload::Igmp(0x16)), SOURCE),
        case("an IGMP report cut off", own(cut(&Payload::Igmp(0x16), 7)), GROUPS),
        case("SCTP", own(Payload::Other { protocol: 132, bytes: vec![0; 12] }), PASSES),
        case(
            "SCTP of another",
            nobody(Payload::Other { protocol: 132, bytes: vec![0; 12] }),
            SOURCE,
        ),
        case("protocol 0", own(Payload::Other { protocol: 0, bytes: vec![0; 8] }), PASSES),
        case(
            "protocol 0 with little in it",
            own(Payload::Other { protocol: 0, bytes: vec![0; 7] }),
            MALFORMED,
        ),
    ]
}

/// `vif5.0` may be a server and a router, but only with its own address.
fn allowed() -> Vec<Case> {
    let own = |payload| of(5, &ip4("10.0.0.50", payload));
    let nobody = |payload| of(5, &ip4("10.0.0.7", payload));
    vec![
        case("a DHCP server", own(udp(67, 68)), PASSES),
        case("a redirect of a router", own(Payload::Icmp(5)), PASSES),
        case("an advertisement of a router", own(Payload::Icmp(9)), PASSES),
        case("an IGMP query of a router", own(Payload::Igmp(0x11)), PASSES),
        case("a router's advertisement", own(Payload::Igmp(0x30)), PASSES),
        case("a router's advertisement for another", nobody(Payload::Igmp(0x30)), SOURCE),
        case("IGMP of a router in fragments", fragment4(own(Payload::Igmp(0x30)), 1, true), PASSES),
        case("PIM of a router", own(pim()), PASSES),
        case("PIM of a router in fragments", fragment4(own(pim()), 1, true), PASSES),
        case("PIM of a router for another", nobody(pim()), SOURCE),
        case("a DHCP relay", own(relayed()), PASSES),
        case("a DHCP server with another's address", nobody(udp(67, 68)), SOURCE),
        case("a router with another's address", nobody(Payload::Icmp(5)), SOURCE),
    ]
}

fn fragments() -> Vec<Case> {
    let tiny = |payload: &Payload, length| own(cut(payload, length));
    vec![
        case("a first fragment", fragment4(own(udp(1, 2)), 0, true), PASSES),
        case("a server's first fragment", fragment4(own(udp(67, 68)), 0, true), SERVER),
        case(
            "a redirect's first fragment",
            fragment4(own(Payload::Icmp(5)), 0, true),
            "an ICMP redirect",
        ),
        // What looks like ports is the middle of something.
        case("a later fragment", fragment4(own(udp(67, 68)), 1, false), PASSES),
        case("a later one of ICMP", fragment4(own(Payload::Icmp(5)), 1, true), PASSES),
        // A bridge that watches IGMP and PIM takes a later fragment for a whole message.
        case("a later one of IGMP", fragment4(own(Payload::Igmp(0x11)), 1, true), PIECES),
        case("a first one of IGMP", fragment4(own(Payload::Igmp(0x16)), 0, true), PIECES),
        case("a later one of PIM", fragment4(own(pim()), 1, false), PIM),
        case("the last that there can be", fragment4(own(udp(67, 68)), 0x1fff, false), PASSES),
        case(
            "another's later fragment",
            fragment4(mine(&ip4("10.0.0.7", udp(1, 2))), 1, true),
            SOURCE,
        ),
        case("a later fragment from nowhere", fragment4(none(udp(68, 67)), 1, true), NOWHERE),
        case("a later report from nowhere", fragment4(none(Payload::Igmp(0x16)), 1, true), PIECES),
        case("one byte of UDP", tiny(&udp(67, 68), 1), "UDP without a whole header"),
        case("ports alone", tiny(&udp(1, 2), 4), "UDP without a whole header"),
        case("no ICMP", tiny(&Payload::Icmp(5), 0), "ICMP without a whole header"),
        case("little ICMP", tiny(&Payload::Icmp(8), 3), "ICMP without a whole header"),
        case("no IGMP", tiny(&Payload::Igmp(0x11), 0), GROUPS),
    ]
}

/// Headers that lie about themselves.
fn headers() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, at, byte) in [
        ("a header below 20 bytes", 14, 0x44),
        ("a header longer than the packet", 14, 0x4f),
        ("another version", 14, 0x65),
        ("longer than the frame", 16, 0xff),
        ("shorter than its header", 17, 19),
    ] {
        let mut frame = own(udp(68, 67));
        frame.bytes[at] = byte;
        cases.push(case(name, frame, MALFORMED));
    }
    let with_options = |payload| {
        let mut frame = own(payload);
        frame.bytes[14] = 0x46;
        frame.bytes[17] += 4;
        frame.bytes.splice(34..34, [1, 1, 1, 0]);
        frame
    };
    cases.push(case("with options", with_options(udp(1, 2)), PASSES));
    cases.push(case("a server behind options", with_options(udp(67, 68)), SERVER));
    let mut padded = own(udp(1, 2));
    padded.bytes.extend([0; 18]);
    cases.push(case("with Ethernet's padding", padded, PASSES));
    cases
}
