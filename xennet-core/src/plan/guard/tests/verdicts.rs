//! What each rule is for: what it lets through, and what it does not.

use super::fixture::*;
use crate::config::{GuardLevel, GuardPolicy};
use crate::plan::guard::{GuardEntry, Packet, Payload};

const SOURCE: &str = "source is not its own";
const TARGET: &str = "ND target is not its own";
const BRIDGES: &str = "a frame for bridges themselves, such as spanning tree";
const TWICE: &str = "a VLAN tag behind a VLAN tag";
const NEITHER: &str = "neither IPv4, IPv6 nor ARP";
const SNAP: &str = "a protocol behind a SNAP header";
const OTHERS: &str = "source is another vif's (/32)";
const OWNED: &str = "Ethernet address is another vif's";
const ETHERNET: &str = "an Ethernet address that is not its own";
const OPTION: &str = "an option that names an Ethernet address that is not its own";

#[test]
fn ethernet() {
    let packet = ip4("10.0.0.5", tcp());
    let mut group = from(MINE, &[], &packet);
    group.bytes[6] |= 1;
    let other = Packet::Other { protocol: 38, bytes: vec![0x42, 0x42, 3, 0, 0, 0] };
    let mut bpdu = mine(&other);
    bpdu.bytes[..6].copy_from_slice(&[0x01, 0x80, 0xc2, 0, 0, 0]);
    let mut world = uplink(&other);
    world.bytes[..6].copy_from_slice(&bpdu.bytes[..6]);
    let mut lacp = bpdu.clone();
    lacp.bytes[5] = 2;
    let mut not_reserved = bpdu.clone();
    not_reserved.bytes[5] = 0x10;
    check(
        &strict(),
        &[
            ("its own", mine(&packet), "passes"),
            ("another's", from(THEIRS, &[], &packet), ETHERNET),
            ("a group's", group, "no frame that a bridge would take"),
            ("spanning tree", bpdu.clone(), BRIDGES),
            ("LACP", lacp, BRIDGES),
            ("another group", not_reserved, "neither IPv4, IPv6 nor ARP"),
            ("spanning tree from the uplink", world, "passes"),
        ],
    );
}

#[test]
fn vlan_tags() {
    let (good, bad) = (ip4("10.0.0.5", tcp()), ip4("10.0.0.9", tcp()));
    let service =
        |tags: &[u16], bytes: Vec<u8>| from(MINE, tags, &Packet::Other { protocol: 0x88a8, bytes });
    let (_, inner) = good.bytes();
    let tagged = [&[0, 7, 8, 0][..], &inner].concat();
    check(
        &strict(),
        &[
            ("one tag", from(MINE, &[7], &good), "passes"),
            ("a priority tag", from(MINE, &[0], &good), "passes"),
            ("the source behind a tag", from(MINE, &[7], &bad), SOURCE),
            ("the source behind a priority tag", from(MINE, &[0], &bad), SOURCE),
            ("a service tag", service(&[], tagged.clone()), "passes"),
            ("two tags", from(MINE, &[7, 8], &good), TWICE),
            ("two priority tags", from(MINE, &[0, 0], &good), TWICE),
            ("a service tag in a tag", service(&[7], tagged), TWICE),
        ],
    );
    let ip = Table::new(&entry(GuardLevel::Ip));
    assert_eq!(ip.verdict(&from(MINE, &[0, 0], &bad)), TWICE);
}

#[test]
fn levels() {
    let other = mine(&Packet::Other { protocol: 0x8864, bytes: vec![0; 46] });
    let llc = mine(&Packet::Other { protocol: 46, bytes: vec![0xe0; 46] });
    let ipx = mine(&Packet::Other { protocol: 46, bytes: vec![0xff; 46] });
    let snap =
        mine(&Packet::Other { protocol: 46, bytes: [0xaa, 0xaa, 3, 0, 0, 0, 8, 0].to_vec() });
    let spoofed = mine(&ip4("10.0.0.9", tcp()));
    let stolen = mine(&ip4("10.0.0.6", tcp()));
    let wrong_mac = from(THEIRS, &[], &ip4("10.0.0.5", tcp()));
    for (level, verdicts) in [
        (GuardLevel::Off, ["passes", "passes", "passes", "passes", "passes", OTHERS, OWNED]),
        (GuardLevel::Mac, ["passes", "passes", "passes", "passes", "passes", OTHERS, ETHERNET]),
        (GuardLevel::Ip, ["passes", "passes", "passes", SNAP, SOURCE, OTHERS, ETHERNET]),
        (GuardLevel::Strict, [NEITHER, NEITHER, NEITHER, SNAP, SOURCE, OTHERS, ETHERNET]),
    ] {
        let table = Table::new(&entry(level));
        let frames = [&other, &llc, &ipx, &snap, &spoofed, &stolen, &wrong_mac];
        for (frame, verdict) in frames.into_iter().zip(verdicts) {
            assert_eq!(table.verdict(frame), verdict, "{level}: {frame:?}");
        }
    }
}

#[test]
fn ip4_sources() {
    let from = |source| mine(&ip4(source, tcp()));
    check(
        &strict(),
        &[
            ("its own", from("10.0.0.5"), "passes"),
            ("of its prefix", from("10.0.1.77"), "passes"),
            ("of nobody", from("10.0.0.7"), SOURCE),
            ("another's", from("10.0.0.6"), "source is another vif's (/32)"),
            ("another's, within its prefix", from("10.0.1.6"), "source is another vif's (/32)"),
            ("of another's prefix", from("10.0.2.9"), "source is another vif's (/24)"),
            ("none", from("0.0.0.0"), "no source"),
            ("a group", from("224.0.0.1"), SOURCE),
            ("all", from("255.255.255.255"), SOURCE),
            ("loopback", from("127.0.0.1"), SOURCE),
        ],
    );
}

#[test]
fn ip4_protocols() {
    const SERVER: &str = "an answer of a DHCP server";
    const CLIENT: &str = "DHCP for another's Ethernet address";
    const IGMP: &str = "IGMP that is no report";
    let own = |payload| mine(&ip4("10.0.0.5", payload));
    let none = |payload| mine(&ip4("0.0.0.0", payload));
    check(
        &strict(),
        &[
            ("UDP", own(udp(1024, 53)), "passes"),
            ("UDP from nowhere", none(udp(1024, 53)), "no source"),
            ("UDP of another", mine(&ip4("10.0.0.7", udp(1, 2))), SOURCE),
            ("a DHCP client without an address", none(dhcp(MINE)), "passes"),
            ("a DHCP client that renews", own(dhcp(MINE)), "passes"),
            ("a DHCP client for another", own(dhcp(THEIRS)), CLIENT),
            ("a DHCP client that says nothing", own(udp(68, 67)), CLIENT),
            ("a DHCP client with another's address", mine(&ip4("10.0.0.7", dhcp(MINE))), SOURCE),
            ("a DHCP server's port", own(udp(67, 1024)), SERVER),
            ("to a DHCP client", own(udp(1024, 68)), SERVER),
            ("a DHCP server without an address", none(udp(67, 68)), SERVER),
            ("ping", own(Payload::Icmp(8)), "passes"),
            ("ping of another", mine(&ip4("10.0.0.7", Payload::Icmp(8))), SOURCE),
            ("a redirect", own(Payload::Icmp(5)), "an ICMP redirect"),
            ("a router advertisement", own(Payload::Icmp(9)), "an ICMP router advertisement"),
            ("an IGMP query", own(Payload::Igmp(0x11)), IGMP),
            ("a multicast router's advertisement", own(Payload::Igmp(0x30)), IGMP),
            ("an IGMP report", own(Payload::Igmp(0x16)), "passes"),
            ("an IGMP report without a source", none(Payload::Igmp(0x22)), "passes"),
            ("a report of version 1 without a source", none(Payload::Igmp(0x12)), "passes"),
            ("a report of version 2 without a source", none(Payload::Igmp(0x16)), "passes"),
            ("a leave without a source", none(Payload::Igmp(0x17)), "passes"),
            ("an IGMP report of another", mine(&ip4("10.0.0.7", Payload::Igmp(0x16))), SOURCE),
            ("other IGMP without a source", none(Payload::Igmp(0x13)), IGMP),
            (
                "any other protocol",
                own(Payload::Other { protocol: 132, bytes: vec![0; 8] }),
                "passes",
            ),
        ],
    );
}

#[test]
fn arps() {
    let of = |mac| Packet::Arp {
        operation: 1,
        sender_mac: mac,
        sender: "10.0.0.5".parse().unwrap(),
        target: "10.0.0.1".parse().unwrap(),
    };
    let gratuitous = arp(1, "10.0.0.5", "10.0.0.5");
    check(
        &strict(),
        &[
            ("a request", mine(&arp(1, "10.0.0.5", "10.0.0.1")), "passes"),
            ("a reply", mine(&arp(2, "10.0.0.5", "10.0.0.1")), "passes"),
            ("a gratuitous one", mine(&gratuitous), "passes"),
            ("of its prefix", mine(&arp(1, "10.0.1.5", "10.0.0.1")), "passes"),
            (
                "another's",
                mine(&arp(1, "10.0.0.6", "10.0.0.1")),
                "ARP sender is another vif's (/32)",
            ),
            ("nobody's", mine(&arp(2, "10.0.0.7", "10.0.0.1")), "ARP sender is not its own"),
            (
                "another's Ethernet",
                mine(&of(THEIRS)),
                "ARP sender's Ethernet address is not its own",
            ),
            (
                "of another's prefix",
                mine(&arp(1, "10.0.2.7", "10.0.0.1")),
                "ARP sender is another vif's (/24)",
            ),
            ("a probe in its prefix", mine(&arp(1, "0.0.0.0", "10.0.1.5")), "passes"),
            ("a probe for its own", mine(&arp(1, "0.0.0.0", "10.0.0.5")), "passes"),
            (
                "a probe for another's",
                mine(&arp(1, "0.0.0.0", "10.0.0.6")),
                "ARP target is another vif's (/32)",
            ),
            (
                "a probe for nobody's",
                mine(&arp(1, "0.0.0.0", "10.0.0.7")),
                "ARP target is not its own",
            ),
            (
                "a reply without a sender",
                mine(&arp(2, "0.0.0.0", "10.0.0.5")),
                "ARP without a sender",
            ),
            (
                "reverse ARP",
                mine(&arp(3, "10.0.0.5", "10.0.0.1")),
                "ARP that is neither request nor reply",
            ),
        ],
    );
    for at in 0..6 {
        let mut frame = mine(&gratuitous);
        frame.bytes[14 + at] ^= 1;
        assert_eq!(strict().verdict(&frame), "ARP of another kind than IPv4 on Ethernet");
    }
}

#[test]
fn ip6_sources_and_protocols() {
    const SERVER: &str = "an answer of a DHCPv6 server";
    let own = |payload| mine(&ip6("2001:db8::5", payload));
    let local = |payload| mine(&ip6(LINK_LOCAL, payload));
    let none = |payload| mine(&ip6("::", payload));
    check(
        &strict(),
        &[
            ("its own", own(tcp()), "passes"),
            ("of its prefix", mine(&ip6("2001:db8:1::77", tcp())), "passes"),
            ("link-local", local(tcp()), "passes"),
            (
                "link-local of another",
                mine(&ip6("fe80::216:3eff:fe00:2", tcp())),
                "source is another vif's (/128)",
            ),
            ("another's", mine(&ip6("2001:db8::6", tcp())), "source is another vif's (/128)"),
            (
                "another's, within its prefix",
                mine(&ip6("2001:db8:1::6", tcp())),
                "source is another vif's (/128)",
            ),
            (
                "of another's prefix",
                mine(&ip6("2001:db8:2::1", tcp())),
                "source is another vif's (/64)",
            ),
            ("none", none(tcp()), "no source"),
            ("loopback", mine(&ip6("::1", tcp())), SOURCE),
            ("UDP", own(udp(1024, 53)), "passes"),
            ("a DHCPv6 client", local(udp(546, 547)), "passes"),
            ("a DHCPv6 server's port", local(udp(547, 1024)), SERVER),
            ("to a DHCPv6 client", local(udp(1024, 546)), SERVER),
            ("a DHCPv6 client without a source", none(udp(546, 547)), "no source"),
            ("ping", own(Payload::Icmp6(128)), "passes"),
            ("ping without a source", none(Payload::Icmp6(128)), "no source"),
            ("a router advertisement", local(Payload::Icmp6(134)), "an IPv6 router advertisement"),
            ("a redirect", local(Payload::Icmp6(137)), "an IPv6 redirect"),
            ("an MLD query", local(Payload::Icmp6(130)), "an MLD query"),
            ("an MLD report", local(behind(0, &Payload::Icmp6(143))), "passes"),
            ("an MLD report without a source", none(behind(0, &Payload::Icmp6(143))), "passes"),
            ("a report of version 1", none(behind(0, &Payload::Icmp6(131))), "passes"),
            ("a leave", none(behind(0, &Payload::Icmp6(132))), "passes"),
            ("an MLD report of another", mine(&ip6("fe80::2", Payload::Icmp6(131))), SOURCE),
        ],
    );
}

#[test]
fn neighbour_discovery() {
    let own = |payload| mine(&ip6("2001:db8::5", payload));
    let none = |payload| mine(&ip6("::", payload));
    let theirs = || mine(&ip6("2001:db8::6", solicitation("2001:db8::9", Some(MINE))));
    let rs = |source_mac| Payload::RouterSolicitation { source_mac };
    check(
        &strict(),
        &[
            ("who has", own(solicitation("2001:db8::9", Some(MINE))), "passes"),
            ("who has, without an option", own(solicitation("2001:db8::9", None)), "passes"),
            ("who has, with another's MAC", own(solicitation("2001:db8::9", Some(THEIRS))), OPTION),
            ("who has, asks another", theirs(), "source is another vif's (/128)"),
            ("DAD", none(solicitation("2001:db8::5", None)), "passes"),
            ("DAD of its link-local address", none(solicitation(LINK_LOCAL, None)), "passes"),
            (
                "DAD of another's",
                none(solicitation("2001:db8::6", None)),
                "ND target is another vif's (/128)",
            ),
            ("DAD of nobody's", none(solicitation("2001:db8::7", None)), TARGET),
            ("I have", own(advertisement("2001:db8::5", Some(MINE))), "passes"),
            ("I have, in its prefix", own(advertisement("2001:db8:1::1", Some(MINE))), "passes"),
            ("I have, without an option", own(advertisement(LINK_LOCAL, None)), "passes"),
            (
                "I have another's",
                own(advertisement("2001:db8::6", Some(MINE))),
                "ND target is another vif's (/128)",
            ),
            (
                "I have, in another's prefix",
                own(advertisement("2001:db8:2::1", Some(MINE))),
                "ND target is another vif's (/64)",
            ),
            ("I have nobody's", own(advertisement("2001:db8::7", Some(MINE))), TARGET),
            ("I have, at another's MAC", own(advertisement("2001:db8::5", Some(THEIRS))), OPTION),
            (
                "I have, from another",
                mine(&ip6("2001:db8::7", advertisement("2001:db8::5", Some(MINE)))),
                SOURCE,
            ),
            ("I have, from nowhere", none(advertisement("2001:db8::5", Some(MINE))), "no source"),
            ("RS", own(rs(Some(MINE))), "passes"),
            ("RS without a source", none(rs(None)), "passes"),
            ("RS with another's MAC", own(rs(Some(THEIRS))), OPTION),
            ("RS of another", mine(&ip6("2001:db8::7", rs(None))), SOURCE),
        ],
    );
}

#[test]
fn servers_and_routers() {
    let table = |dhcp_server, router| {
        let policy = GuardPolicy { level: GuardLevel::Strict, dhcp_server, router, reserve: false };
        Table::new(&GuardEntry { policy, ..entry(GuardLevel::Strict) })
    };
    let of_server = [mine(&ip4("10.0.0.5", udp(67, 68))), mine(&ip6(LINK_LOCAL, udp(547, 546)))];
    let of_router = [
        mine(&ip4("10.0.0.5", Payload::Icmp(5))),
        mine(&ip4("10.0.0.5", Payload::Icmp(9))),
        mine(&ip4("10.0.0.5", Payload::Igmp(0x11))),
        mine(&ip6(LINK_LOCAL, Payload::Icmp6(134))),
        mine(&ip6(LINK_LOCAL, Payload::Icmp6(137))),
        mine(&ip6(LINK_LOCAL, behind(0, &Payload::Icmp6(130)))),
    ];
    for (dhcp_server, router) in [(false, false), (false, true), (true, false), (true, true)] {
        let table = table(dhcp_server, router);
        assert!(of_server.iter().all(|frame| table.explain(frame).passes == dhcp_server));
        assert!(of_router.iter().all(|frame| table.explain(frame).passes == router));
    }
    // Even these speak with their own addresses only.
    assert_eq!(table(true, true).verdict(&mine(&ip4("10.0.0.7", udp(67, 68)))), SOURCE);
    assert_eq!(table(true, true).verdict(&mine(&ip6("fe80::1", Payload::Icmp6(134)))), SOURCE);
}
