//! What has got past such rules elsewhere, and frames that nobody thought of.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::fixture::*;
use crate::config::GuardLevel;
use crate::plan::guard::{Frame, Packet, Payload};

fn verdict(frame: &Frame) -> String {
    STRICT.verdict(frame)
}

const SOURCE: &str = "source is not its own";
const FRAGMENTS: &str = "neighbour discovery in fragments (RFC 6980)";
const RA: &str = "an IPv6 router advertisement";
const OPTION: &str = "an option that names an Ethernet address that is not its own";
const LENGTH: &str = "neighbour discovery with options that cannot be judged";
const AFAR: &str = "neighbour discovery from afar, or behind extension headers";
const SHORT: &str = "ICMPv6 without a whole header";
const MALFORMED: &str = "malformed IPv6, or cut off";

#[test]
fn ip4_headers_that_lie() {
    let good = mine(&ip4("10.0.0.5", udp(68, 67)));
    for (at, byte, why) in [
        (14, 0x44, "header length below 20"),
        (14, 0x4f, "header longer than the packet"),
        (14, 0x65, "version 6"),
        (16, 0xff, "longer than the frame"),
        (17, 19, "shorter than its header"),
    ] {
        let mut frame = good.clone();
        frame.bytes[at] = byte;
        assert_eq!(verdict(&frame), "malformed IPv4, or cut off", "{why}");
    }
}

#[test]
fn ip4_options_do_not_hide_ports() {
    let mut frame = mine(&ip4("10.0.0.5", udp(67, 68)));
    frame.bytes[14] = 0x46;
    frame.bytes[17] += 4;
    frame.bytes.splice(34..34, [1, 1, 1, 0]);
    assert_eq!(verdict(&frame), "an answer of a DHCP server");
}

#[test]
fn ip4_fragments() {
    let of = |source, payload| mine(&ip4(source, payload));
    // What looks like the ports of a DHCP server's answer is the middle of something.
    let later = fragment4(of("10.0.0.5", udp(67, 68)), 1, false);
    assert_eq!(verdict(&later), "passes");
    assert_eq!(verdict(&fragment4(of("10.0.0.7", udp(67, 68)), 1, true)), SOURCE);
    assert_eq!(verdict(&fragment4(of("0.0.0.0", udp(68, 67)), 1, true)), "no source");
    let first = fragment4(of("10.0.0.5", udp(67, 68)), 0, true);
    assert_eq!(verdict(&first), "an answer of a DHCP server");
    let tiny = |payload: &Payload, length| of("10.0.0.5", cut(payload, length));
    assert_eq!(verdict(&tiny(&udp(67, 68), 1)), "UDP without a whole header");
    assert_eq!(verdict(&tiny(&udp(1, 2), 4)), "UDP without a whole header");
    assert_eq!(verdict(&tiny(&Payload::Icmp(5), 0)), "ICMP without a whole header");
    assert_eq!(verdict(&tiny(&Payload::Igmp(0x11), 0)), "IGMP that is no report");
    let later = fragment4(of("10.0.0.5", Payload::Igmp(0x30)), 1, false);
    assert_eq!(verdict(&later), "IGMP in fragments");
}

#[test]
fn router_advertisements_hide_nowhere() {
    let ra = Payload::Icmp6(134);
    let verdict = |payload: &Payload| verdict(&mine(&ip6(LINK_LOCAL, payload.clone())));
    assert_eq!(verdict(&behind(0, &ra)), RA);
    assert_eq!(verdict(&behind(60, &ra)), RA);
    assert_eq!(verdict(&behind(43, &behind(60, &ra))), RA);
    assert_eq!(verdict(&behind(0, &fragment6(0, false, &ra))), RA);
    assert_eq!(verdict(&fragment6(0, true, &behind(60, &ra))), RA);
    assert_eq!(verdict(&fragment6(0, false, &fragment6(0, true, &ra))), RA);
    // In the second fragment, behind a header that fills the first.
    assert_eq!(verdict(&fragment6(0, true, &cut(&behind(60, &ra), 8))), SHORT);
    assert_eq!(verdict(&fragment6(0, true, &cut(&behind(60, &ra), 4))), SHORT);
    assert_eq!(verdict(&fragment6(1, false, &behind(60, &ra))), "passes");
    // 255 units of eight bytes that are not there.
    let mut long = behind(60, &ra);
    if let Payload::Other { bytes, .. } = &mut long {
        bytes[1] = 255;
    }
    assert_eq!(verdict(&long), SHORT);
}

#[test]
fn ip6_fragments() {
    let verdict = |source, payload| verdict(&mine(&ip6(source, payload)));
    let na = advertisement("2001:db8::5", Some(MINE));
    assert_eq!(verdict("2001:db8::5", fragment6(0, true, &na)), FRAGMENTS);
    assert_eq!(verdict("2001:db8::5", fragment6(0, false, &na)), FRAGMENTS);
    assert_eq!(verdict("2001:db8::5", fragment6(3, false, &na)), "passes");
    assert_eq!(verdict("2001:db8::7", fragment6(3, false, &na)), SOURCE);
    assert_eq!(verdict("::", fragment6(3, false, &na)), "no source");
    assert_eq!(verdict("2001:db8::5", fragment6(0, true, &tcp())), "passes");
    let tiny = fragment6(0, true, &cut(&tcp(), 16));
    assert_eq!(
        verdict("2001:db8::5", tiny),
        "a first fragment without a whole TCP header (RFC 7112)"
    );
    let tiny = fragment6(0, true, &cut(&udp(547, 546), 0));
    assert_eq!(verdict("2001:db8::5", tiny), "UDP without a whole header");
    let tiny = fragment6(0, true, &Payload::Other { protocol: 132, bytes: vec![0; 7] });
    assert_eq!(verdict("2001:db8::5", tiny), MALFORMED);
    // A fragment within a fragment.
    assert_eq!(
        verdict("2001:db8::5", fragment6(0, false, &fragment6(3, false, &na))),
        "ICMPv6 without a whole header"
    );
}

#[test]
fn neighbour_discovery_that_cannot_be_judged() {
    let na = advertisement("2001:db8::5", Some(MINE));
    let own = |payload: &Payload| mine(&ip6("2001:db8::5", payload.clone()));
    for header in [0, 43, 60] {
        assert_eq!(verdict(&own(&behind(header, &na))), AFAR);
        assert_eq!(verdict(&own(&behind(header, &solicitation("2001:db8::6", None)))), AFAR);
        assert_eq!(
            verdict(&own(&behind(header, &Payload::RouterSolicitation { source_mac: None }))),
            AFAR
        );
    }
    let mut afar = own(&na);
    afar.bytes[21] = 254;
    assert_eq!(verdict(&afar), AFAR);

    // The options of a router solicitation are judged like those of an advertisement.
    let rs = Payload::RouterSolicitation { source_mac: None };
    let with = |message: &Payload, fixed, options: &[u8]| {
        let bytes = [&message.bytes().1[..fixed], options].concat();
        verdict(&own(&Payload::Other { protocol: 58, bytes }))
    };
    let [mine, theirs] = [MINE, THEIRS].map(|mac| [&[2, 1][..], &mac].concat());
    let nonce = [14, 1, 1, 2, 3, 4, 5, 6];
    for (options, expected) in [
        (nonce.to_vec(), "passes"),
        ([mine.as_slice(), &nonce].concat(), "passes"),
        ([&nonce, mine.as_slice()].concat(), "passes"),
        ([mine.as_slice(), &theirs].concat(), OPTION),
        ([theirs.as_slice(), &mine].concat(), OPTION),
        ([&nonce, theirs.as_slice()].concat(), OPTION),
        // One option of sixteen bytes, and one of no length.
        ([&[2, 2][..], &MINE, &[0; 8]].concat(), OPTION),
        ([&[2, 0][..], &MINE].concat(), OPTION),
        ([nonce.as_slice(), &nonce, &mine].concat(), LENGTH),
        (vec![2, 1, 0, 0], LENGTH),
        (vec![2], LENGTH),
    ] {
        assert_eq!(with(&na, 24, &options), expected, "{options:?}");
        assert_eq!(with(&rs, 8, &options), expected, "{options:?}");
    }
    // An option behind the packet's end is no option, whatever the frame's padding says.
    let mut padded = own(&advertisement("2001:db8::5", None));
    padded.bytes.extend(&theirs);
    assert_eq!(verdict(&padded), "passes");
    let mut short = own(&na);
    short.bytes[19] -= 9;
    assert_eq!(verdict(&short), LENGTH);
}

#[test]
fn cut_off_anywhere_nothing_passes() {
    for packet in [
        ip4("10.0.0.5", udp(68, 53)),
        ip6("2001:db8::5", solicitation("2001:db8::9", Some(MINE))),
        ip6("2001:db8::5", fragment6(0, false, &tcp())),
        arp(1, "10.0.0.5", "10.0.0.1"),
    ] {
        let whole = mine(&packet);
        // ARP's last field is nobody's business, but in a probe.
        let end = if matches!(packet, Packet::Arp { .. }) { 14 + 18 } else { whole.bytes.len() };
        for length in 0..end {
            let frame = Frame { bytes: whole.bytes[..length].to_vec(), ..whole.clone() };
            assert!(!STRICT.explain(&frame).passes, "{length} bytes of {packet:?}");
        }
    }
}

static STRICT: LazyLock<Table> = LazyLock::new(|| Table::new(&entry(GuardLevel::Strict)));
static IP: LazyLock<Table> = LazyLock::new(|| Table::new(&entry(GuardLevel::Ip)));

/// Bytes that come a good way through the rules: a valid packet with a few of them changed, or cut off.
fn nearly_valid() -> impl Strategy<Value = Vec<u8>> {
    let packets: Vec<Vec<u8>> = [
        mine(&ip4("10.0.0.5", udp(68, 53))),
        mine(&ip4("10.0.0.5", dhcp(MINE))),
        mine(&ip4("0.0.0.0", dhcp(MINE))),
        mine(&ip4("0.0.0.0", Payload::Igmp(0x16))),
        from(MINE, &[7], &ip4("10.0.0.5", Payload::Icmp(8))),
        mine(&ip6("2001:db8::5", tcp())),
        mine(&ip6("::", behind(0, &Payload::Icmp6(143)))),
        mine(&ip6("::", solicitation(LINK_LOCAL, None))),
        mine(&ip6(LINK_LOCAL, advertisement(LINK_LOCAL, Some(MINE)))),
        mine(&ip6(LINK_LOCAL, fragment6(0, true, &behind(60, &udp(546, 547))))),
        mine(&arp(1, "0.0.0.0", "10.0.0.5")),
        mine(&arp(2, "10.0.0.5", "10.0.0.1")),
    ]
    .map(|frame| frame.bytes)
    .to_vec();
    let edits = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    (prop::sample::select(packets), edits, 0..40_usize).prop_map(|(mut bytes, edits, cut)| {
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(bytes.len() - cut.saturating_sub(20));
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_frame_panics(bytes: Vec<u8>, near in nearly_valid()) {
        for bytes in [bytes, near] {
            let frame = Frame { bytes, ..mine(&arp(1, "10.0.0.5", "10.0.0.1")) };
            let _ = STRICT.explain(&frame);
        }
    }

    #[test]
    fn what_passes_speaks_with_its_own_addresses(
        strict: bool, random: Vec<u8>, near in nearly_valid(), which: bool,
    ) {
        let bytes = if which {
            near
        } else {
            [&[0xff; 6][..], &MINE, &random].concat()
        };
        let frame = Frame { bytes, ..mine(&arp(1, "10.0.0.5", "10.0.0.1")) };
        let explanation = if strict { STRICT.explain(&frame) } else { IP.explain(&frame) };
        if explanation.passes {
            prop_assert_eq!(frame.bytes.get(6..12), Some(&MINE[..]), "{:?}", explanation);
            prop_assert!(speaks_for_itself(&frame.bytes[12..], strict), "{:?} {:?}", frame, explanation);
        }
    }
}

/// Another reading of the same rules, by hand, from the Ethertype on.
fn speaks_for_itself(bytes: &[u8], strict: bool) -> bool {
    let bytes = if bytes.starts_with(&[0x81, 0]) || bytes.starts_with(&[0x88, 0xa8]) {
        &bytes[4..]
    } else {
        bytes
    };
    let (ethertype, packet) = bytes.split_at(2);
    match *ethertype {
        [8, 0] => {
            let (source, protocol) = (&packet[12..16], packet[9]);
            let own = source == [10, 0, 0, 5] || source[..3] == [10, 0, 1];
            let without = source == [0; 4] && (protocol == 17 || protocol == 2);
            own || without
        }
        [8, 6] => {
            let own =
                |at: usize| packet[at..at + 4] == [10, 0, 0, 5] || packet[at..at + 3] == [10, 0, 1];
            packet[8..14] == MINE && (own(14) || packet[14..18] == [0; 4] && own(24))
        }
        [0x86, 0xdd] => {
            let own = |address: &[u8]| {
                let address: [u8; 16] = address.try_into().unwrap();
                let address = std::net::Ipv6Addr::from(address);
                let prefix: ipnet::Ipv6Net = "2001:db8:1::/64".parse().unwrap();
                let single = ["2001:db8::5", LINK_LOCAL]
                    .map(|own| own.parse::<std::net::Ipv6Addr>().unwrap());
                single.contains(&address) || prefix.contains(&address)
            };
            let source = &packet[8..24];
            let plain = packet[6] == 58;
            let claims = plain && (packet[40] == 136 || packet[40] == 135 && source == [0; 16]);
            (own(source) || source == [0; 16]) && (!claims || own(&packet[48..64]))
        }
        [0x81, 0] | [0x88, 0xa8] => false,
        _ => !strict,
    }
}
