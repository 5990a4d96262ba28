//! Neighbour discovery of a guarded port.

use xennet_core::plan::guard::{Frame, Payload};
use xennet_tests::frames::*;
use xennet_tests::guests::mac;

use crate::{Case, PASSES, SOURCE, case};

const TARGET: &str = "ND target is not its own";
const OPTION: &str = "an option that names an Ethernet address that is not its own";
const OPTIONS: &str = "neighbour discovery with options that cannot be judged";
const AFAR: &str = "neighbour discovery from afar, or behind extension headers";
const NOWHERE: &str = "no source";

pub(crate) fn cases() -> Vec<Case> {
    [solicitations(), advertisements(), routers(), afar(), options()]
        .into_iter()
        .flatten()
        .collect()
}

fn own(payload: Payload) -> Frame {
    mine(&ip6("2001:db8::5", payload))
}

fn none(payload: Payload) -> Frame {
    mine(&ip6("::", payload))
}

fn solicitations() -> Vec<Case> {
    let asks = |source_mac| own(solicitation("2001:db8::9", source_mac));
    let dad = |target| none(solicitation(target, None));
    vec![
        case("who has", asks(Some(mac(1))), PASSES),
        case("who has, without an option", asks(None), PASSES),
        case("who has another's", own(solicitation("2001:db8::6", Some(mac(1)))), PASSES),
        case("who has, with another's MAC", asks(Some(mac(2))), OPTION),
        case(
            "another asks",
            mine(&ip6("2001:db8::6", solicitation("2001:db8::9", None))),
            "source is another vif's (/128)",
        ),
        case("nobody asks", mine(&ip6("2001:db8::7", solicitation("2001:db8::9", None))), SOURCE),
        case("DAD", dad("2001:db8::5"), PASSES),
        case("DAD in its prefix", dad("2001:db8:1::42"), PASSES),
        case("DAD of its link-local address", dad(LINK_LOCAL), PASSES),
        case("DAD of another's", dad("2001:db8::6"), "ND target is another vif's (/128)"),
        case(
            "DAD of another's in its prefix",
            dad("2001:db8:1::6"),
            "ND target is another vif's (/128)",
        ),
        case("DAD in another's prefix", dad("2001:db8:2::7"), "ND target is another vif's (/64)"),
        case("DAD of nobody's", dad("2001:db8::7"), TARGET),
        case(
            "DAD of another's link-local address",
            dad("fe80::216:3eff:fe00:2"),
            "ND target is another vif's (/128)",
        ),
        case("DAD of nobody's link-local address", dad("fe80::216:3eff:fe00:99"), TARGET),
    ]
}

fn advertisements() -> Vec<Case> {
    let has = |target, mac| own(advertisement(target, mac));
    vec![
        case("I have", has("2001:db8::5", Some(mac(1))), PASSES),
        case("I have, in its prefix", has("2001:db8:1::1", Some(mac(1))), PASSES),
        case("I have, with host bits", has("2001:db8:9::9", Some(mac(1))), PASSES),
        case("I have, without an option", has(LINK_LOCAL, None), PASSES),
        case(
            "I have another's",
            has("2001:db8::6", Some(mac(1))),
            "ND target is another vif's (/128)",
        ),
        case(
            "I have another's in its prefix",
            has("2001:db8:1::6", None),
            "ND target is another vif's (/128)",
        ),
        case(
            "I have of another's prefix",
            has("2001:db8:2::7", None),
            "ND target is another vif's (/64)",
        ),
        case("I have nobody's", has("2001:db8::7", Some(mac(1))), TARGET),
        case("I have, at another's MAC", has("2001:db8::5", Some(mac(2))), OPTION),
        case("another has", mine(&ip6("2001:db8::7", advertisement("2001:db8::5", None))), SOURCE),
        case("it has, from nowhere", none(advertisement("2001:db8::5", Some(mac(1)))), NOWHERE),
    ]
}

fn routers() -> Vec<Case> {
    let rs = |source_mac| Payload::RouterSolicitation { source_mac };
    vec![
        case("RS", own(rs(Some(mac(1)))), PASSES),
        case("RS without an option", own(rs(None)), PASSES),
        case("RS without a source", none(rs(None)), PASSES),
        case("RS with another's MAC", own(rs(Some(mac(2)))), OPTION),
        case("RS of another", mine(&ip6("2001:db8::7", rs(None))), SOURCE),
        case("RS with two options", own(with(133, 8, &[&NONCE, &of_mac(1, 1)])), PASSES),
        case("RS with two options, one wrong", own(with(133, 8, &[&NONCE, &of_mac(1, 2)])), OPTION),
        case("RS with three options", own(with(133, 8, &[&NONCE, &NONCE, &NONCE])), OPTIONS),
    ]
}

fn afar() -> Vec<Case> {
    let ns = solicitation("2001:db8::9", None);
    let na = advertisement("2001:db8::5", None);
    let rs = Payload::RouterSolicitation { source_mac: None };
    let mut cases = Vec::new();
    for header in [0, 43, 60] {
        for message in [&ns, &na, &rs] {
            cases.push(case("behind an extension header", own(behind(header, message)), AFAR));
        }
    }
    for message in [ns, na, rs] {
        let mut frame = own(message);
        frame.bytes[21] = 254;
        cases.push(case("from behind a router", frame, AFAR));
    }
    cases
}

const NONCE: [u8; 8] = [14, 1, 1, 2, 3, 4, 5, 6];

/// An option of that kind, with that domain's Ethernet address.
fn of_mac(kind: u8, domid: u16) -> Vec<u8> {
    [&[kind, 1][..], &mac(domid)].concat()
}

/// A message of that kind and length, about the guest's own address if it has room for one, with these options.
fn with(kind: u8, length: usize, options: &[&[u8]]) -> Payload {
    let (_, mut bytes) = advertisement("2001:db8::5", None).bytes();
    bytes.truncate(length);
    bytes[0] = kind;
    Payload::Other { protocol: 58, bytes: [bytes, options.concat()].concat() }
}

fn options() -> Vec<Case> {
    let na = |options: &[&[u8]]| own(with(136, 24, options));
    let (own_mac, another) = (of_mac(2, 1), of_mac(2, 2));
    // An option behind the packet's end is none, whatever the frame's padding says.
    let mut padded = na(&[]);
    padded.bytes.extend(&another);
    let mut short = na(&[&own_mac]);
    short.bytes[19] -= 9;
    vec![
        case("and a nonce", na(&[&own_mac, &NONCE]), PASSES),
        case("behind a nonce", na(&[&NONCE, &own_mac]), PASSES),
        case("another's behind its own", na(&[&own_mac, &another]), OPTION),
        case("another's before its own", na(&[&another, &own_mac]), OPTION),
        case("another's behind a nonce", na(&[&NONCE, &another]), OPTION),
        case("of the other kind", na(&[&of_mac(1, 2)]), OPTION),
        case("of sixteen bytes", na(&[&[2, 2], &mac(1), &[0; 8]]), OPTION),
        case("of no length", na(&[&[2, 0], &mac(1)]), OPTION),
        case("three", na(&[&NONCE, &NONCE, &own_mac]), OPTIONS),
        case("half of one", na(&[&[2, 1, 0, 0]]), OPTIONS),
        case("a byte of one", na(&[&[2]]), OPTIONS),
        case("in the padding", padded, PASSES),
        case("half behind the packet's end", short, OPTIONS),
    ]
}
