//! IPv6 of a guarded port, but for neighbour discovery.

use xennet_core::plan::guard::{Frame, Payload};
use xennet_tests::frames::*;

use crate::{Case, PASSES, SOURCE, case};

const SERVER: &str = "an answer of a DHCPv6 server";
const RA: &str = "an IPv6 router advertisement";
const REDIRECT: &str = "an IPv6 redirect";
const QUERY: &str = "an MLD query";
const MALFORMED: &str = "malformed IPv6, or cut off";
const SHORT: &str = "ICMPv6 without a whole header";
const NOWHERE: &str = "no source";
const MULTICAST: &str = "multicast router discovery";
const PIM: &str = "PIM";
const FRAGMENTS: &str = "neighbour discovery in fragments (RFC 6980)";

pub(crate) fn cases() -> Vec<Case> {
    [sources(), protocols(), routers(), allowed(), fragments()].into_iter().flatten().collect()
}

fn own(payload: Payload) -> Frame {
    mine(&ip6("2001:db8::5", payload))
}

fn local(payload: Payload) -> Frame {
    mine(&ip6(LINK_LOCAL, payload))
}

fn none(payload: Payload) -> Frame {
    mine(&ip6("::", payload))
}

fn pim() -> Payload {
    Payload::Other { protocol: 103, bytes: vec![0x20, 0, 0, 0, 0, 1, 0, 2, 0, 105] }
}

fn sources() -> Vec<Case> {
    let from = |source| mine(&ip6(source, tcp()));
    vec![
        case("its own", from("2001:db8::5"), PASSES),
        case("of its prefix", from("2001:db8:1::77"), PASSES),
        case("the last of its prefix", from("2001:db8:1:0:ffff:ffff:ffff:ffff"), PASSES),
        case("behind its prefix", from("2001:db8:1:1::"), SOURCE),
        case("with host bits", from("2001:db8:9::9"), PASSES),
        case("next to that", from("2001:db8:9::8"), SOURCE),
        case("link-local", from(LINK_LOCAL), PASSES),
        case(
            "link-local of another",
            from("fe80::216:3eff:fe00:2"),
            "source is another vif's (/128)",
        ),
        case("link-local of anybody", from("fe80::1"), SOURCE),
        case("another's", from("2001:db8::6"), "source is another vif's (/128)"),
        case(
            "another's, within its prefix",
            from("2001:db8:1::6"),
            "source is another vif's (/128)",
        ),
        case("of another's prefix", from("2001:db8:2::1"), "source is another vif's (/64)"),
        case("its own, within another's prefix", of(2, &ip6("2001:db8:1::6", tcp())), PASSES),
        case("none", from("::"), NOWHERE),
        case("loopback", from("::1"), SOURCE),
        case("a group", from("ff02::1"), SOURCE),
        case("an IPv4 one", from("::ffff:10.0.0.5"), SOURCE),
    ]
}

fn protocols() -> Vec<Case> {
    vec![
        case("UDP", own(udp(1024, 53)), PASSES),
        case("UDP of another", mine(&ip6("2001:db8::7", udp(1024, 53))), SOURCE),
        case("a DHCPv6 client", local(udp(546, 547)), PASSES),
        case("a DHCPv6 server's port", local(udp(547, 1024)), SERVER),
        case("to a DHCPv6 client", local(udp(1024, 546)), SERVER),
        case(
            "a DHCPv6 server behind an extension header",
            local(behind(60, &udp(547, 546))),
            SERVER,
        ),
        case("a DHCPv6 client without a source", none(udp(546, 547)), NOWHERE),
        case("one byte of UDP", own(cut(&udp(547, 546), 1)), "UDP without a whole header"),
        case("ping", own(Payload::Icmp6(128)), PASSES),
        case("ping of another", mine(&ip6("2001:db8::7", Payload::Icmp6(128))), SOURCE),
        case("ping without a source", none(Payload::Icmp6(128)), NOWHERE),
        case("three bytes of ICMPv6", own(cut(&Payload::Icmp6(128), 3)), SHORT),
        case("an MLD report", local(behind(0, &Payload::Icmp6(131))), PASSES),
        case("an MLD report without a source", none(behind(0, &Payload::Icmp6(131))), PASSES),
        case("an MLD done without a source", none(behind(0, &Payload::Icmp6(132))), PASSES),
        case("an MLDv2 report without a source", none(behind(0, &Payload::Icmp6(143))), PASSES),
        case("an MLD report of another", mine(&ip6("fe80::2", Payload::Icmp6(143))), SOURCE),
        case(
            "no next header, and nothing behind",
            own(Payload::Other { protocol: 59, bytes: vec![] }),
            MALFORMED,
        ),
        case("SCTP", own(Payload::Other { protocol: 132, bytes: vec![0; 12] }), PASSES),
        case(
            "a header of authentication",
            own(Payload::Other { protocol: 51, bytes: vec![6, 4, 0, 0, 0, 0, 0, 0] }),
            PASSES,
        ),
        case(
            "the first byte of a header",
            own(Payload::Other { protocol: 0, bytes: vec![6] }),
            MALFORMED,
        ),
        case(
            "another version",
            {
                let mut frame = own(tcp());
                frame.bytes[14] = 0x40;
                frame
            },
            MALFORMED,
        ),
        case(
            "longer than the frame",
            {
                let mut frame = own(tcp());
                frame.bytes[18] = 1;
                frame
            },
            MALFORMED,
        ),
    ]
}

/// What only routers say, wherever it hides.
fn routers() -> Vec<Case> {
    let ra = Payload::Icmp6(134);
    let mut long = behind(60, &ra);
    if let Payload::Other { bytes, .. } = &mut long {
        bytes[1] = 255;
    }
    vec![
        case("RA", local(ra.clone()), RA),
        case("RA behind hop-by-hop options", local(behind(0, &ra)), RA),
        case("RA behind destination options", local(behind(60, &ra)), RA),
        case("RA behind a routing header", local(behind(43, &ra)), RA),
        case("RA behind three headers", local(behind(0, &behind(43, &behind(60, &ra)))), RA),
        case("RA in an atomic fragment", local(fragment6(0, false, &ra)), RA),
        case("RA in a first fragment", local(fragment6(0, true, &behind(60, &ra))), RA),
        case("RA in a fragment behind options", local(behind(0, &fragment6(0, false, &ra))), RA),
        case(
            "RA in a fragment in a fragment",
            local(fragment6(0, false, &fragment6(0, true, &ra))),
            RA,
        ),
        case(
            "RA in the second fragment",
            local(fragment6(0, true, &cut(&behind(60, &ra), 8))),
            SHORT,
        ),
        case(
            "options in two fragments",
            local(fragment6(0, true, &cut(&behind(60, &ra), 4))),
            SHORT,
        ),
        case("options that are not there", local(long), SHORT),
        case("RA without a source", none(ra), RA),
        case("a redirect", local(Payload::Icmp6(137)), REDIRECT),
        case("a redirect behind options", local(behind(60, &Payload::Icmp6(137))), REDIRECT),
        case("an MLD query", local(Payload::Icmp6(130)), QUERY),
        case("an MLD query behind options", local(behind(0, &Payload::Icmp6(130))), QUERY),
        case("an MLD query without a source", none(behind(0, &Payload::Icmp6(130))), QUERY),
        case("a multicast router's advertisement", local(Payload::Icmp6(151)), MULTICAST),
        case("one behind options", local(behind(0, &Payload::Icmp6(151))), MULTICAST),
        case("a multicast router's solicitation", local(Payload::Icmp6(152)), MULTICAST),
        case("a multicast router's termination", local(Payload::Icmp6(153)), MULTICAST),
        case("PIM", local(pim()), PIM),
        case("PIM behind options", local(behind(60, &pim())), PIM),
        case("PIM in a first fragment", local(fragment6(0, true, &pim())), PIM),
        case("PIM in a later fragment", local(fragment6(2, true, &pim())), PIM),
    ]
}

/// `vif5.0` may be a server and a router, but only with its own addresses.
fn allowed() -> Vec<Case> {
    let own = |payload| of(5, &ip6("fe80::216:3eff:fe00:5", payload));
    vec![
        case("a DHCPv6 server", own(udp(547, 546)), PASSES),
        case("RA of a router", own(Payload::Icmp6(134)), PASSES),
        case("a redirect of a router", own(Payload::Icmp6(137)), PASSES),
        case("an MLD query of a router", own(behind(0, &Payload::Icmp6(130))), PASSES),
        case("an advertisement of a multicast router", own(Payload::Icmp6(151)), PASSES),
        case("PIM of a router", own(pim()), PASSES),
        case(
            "RA of a router in fragments",
            own(fragment6(0, true, &Payload::Icmp6(134))),
            FRAGMENTS,
        ),
        case(
            "RA of a router, with another's address",
            of(5, &ip6("fe80::1", Payload::Icmp6(134))),
            SOURCE,
        ),
        case(
            "a DHCPv6 server with another's address",
            of(5, &ip6("fe80::1", udp(547, 546))),
            SOURCE,
        ),
    ]
}

fn fragments() -> Vec<Case> {
    let na = advertisement("2001:db8::5", Some(xennet_tests::guests::mac(1)));
    vec![
        case("NA in a first fragment", own(fragment6(0, true, &na)), FRAGMENTS),
        case("NA in an atomic fragment", own(fragment6(0, false, &na)), FRAGMENTS),
        // What looks like NA is the middle of something.
        case("a later fragment", own(fragment6(3, false, &na)), PASSES),
        case(
            "a later fragment of another",
            mine(&ip6("2001:db8::7", fragment6(3, false, &na))),
            SOURCE,
        ),
        case("a later fragment from nowhere", none(fragment6(3, false, &na)), NOWHERE),
        case(
            "a later fragment with a header in it",
            own(fragment6(1, true, &behind(60, &na))),
            PASSES,
        ),
        case("a first fragment of TCP", own(fragment6(0, true, &tcp())), PASSES),
        case("one of another", mine(&ip6("2001:db8::7", fragment6(0, true, &tcp()))), SOURCE),
        case(
            "a tiny one of TCP",
            own(fragment6(0, true, &cut(&tcp(), 16))),
            "a first fragment without a whole TCP header (RFC 7112)",
        ),
        case(
            "a tiny one of UDP",
            own(fragment6(0, true, &cut(&udp(547, 546), 0))),
            "UDP without a whole header",
        ),
        case("a first fragment of UDP", own(fragment6(0, true, &udp(1, 2))), PASSES),
        case(
            "a first fragment of a DHCPv6 server",
            local(fragment6(0, true, &udp(547, 546))),
            SERVER,
        ),
        case(
            "a later fragment in a fragment",
            own(fragment6(0, false, &fragment6(3, false, &na))),
            SHORT,
        ),
    ]
}
