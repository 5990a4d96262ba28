//! ARP of a guarded port.

use xennet_tests::frames::*;
use xennet_tests::guests::mac;

use crate::{Case, PASSES, case};

const KIND: &str = "ARP of another kind than IPv4 on Ethernet";
const SENDER: &str = "ARP sender is not its own";
const TARGET: &str = "ARP target is not its own";

pub(crate) fn cases() -> Vec<Case> {
    let request = |sender, target| mine(&arp(1, sender, target));
    let reply = |sender, target| mine(&arp(2, sender, target));
    let mut cases = vec![
        case("a request", request("10.0.0.5", "10.0.0.1"), PASSES),
        case("a reply", reply("10.0.0.5", "10.0.0.1"), PASSES),
        case("a reply to one", to(mac(2), reply("10.0.0.5", "10.0.0.1")), PASSES),
        case("a gratuitous request", request("10.0.0.5", "10.0.0.5"), PASSES),
        case("a gratuitous reply", reply("10.0.0.5", "10.0.0.5"), PASSES),
        case("of its prefix", request("10.0.1.200", "10.0.0.1"), PASSES),
        case("its address with host bits", request("10.0.2.9", "10.0.0.1"), PASSES),
        case("next to that", request("10.0.2.8", "10.0.0.1"), SENDER),
        case("another's", request("10.0.0.6", "10.0.0.1"), "ARP sender is another vif's (/32)"),
        case(
            "another's, gratuitous",
            reply("10.0.0.6", "10.0.0.6"),
            "ARP sender is another vif's (/32)",
        ),
        case(
            "another's, within its prefix",
            reply("10.0.1.6", "10.0.0.1"),
            "ARP sender is another vif's (/32)",
        ),
        case(
            "of another's prefix",
            of(2, &arp_of(mac(2), 2, "10.0.1.7", "10.0.0.1")),
            "ARP sender is another vif's (/24)",
        ),
        case("nobody's", reply("10.0.0.7", "10.0.0.1"), SENDER),
        case(
            "another's Ethernet address",
            mine(&arp_of(mac(2), 2, "10.0.0.5", "10.0.0.1")),
            "ARP sender's Ethernet address is not its own",
        ),
        case("a probe for its own", request("0.0.0.0", "10.0.0.5"), PASSES),
        case("a probe in its prefix", request("0.0.0.0", "10.0.1.5"), PASSES),
        case(
            "a probe for another's",
            request("0.0.0.0", "10.0.0.6"),
            "ARP target is another vif's (/32)",
        ),
        case(
            "a probe for another's in its prefix",
            request("0.0.0.0", "10.0.1.6"),
            "ARP target is another vif's (/32)",
        ),
        case(
            "a probe in another's prefix",
            of(2, &arp_of(mac(2), 1, "0.0.0.0", "10.0.1.7")),
            "ARP target is another vif's (/24)",
        ),
        case("a probe for nobody's", request("0.0.0.0", "10.0.0.7"), TARGET),
        case("a reply without a sender", reply("0.0.0.0", "10.0.0.5"), "ARP without a sender"),
        case(
            "reverse ARP",
            mine(&arp(3, "10.0.0.5", "10.0.0.1")),
            "ARP that is neither request nor reply",
        ),
        case("level mac", of(4, &arp_of(mac(4), 2, "10.0.0.7", "10.0.0.1")), PASSES),
        case(
            "another's, level mac",
            of(4, &arp_of(mac(4), 2, "10.0.0.6", "10.0.0.1")),
            "ARP sender is another vif's (/32)",
        ),
    ];
    // Each of its lengths and types, told wrong.
    for at in 14..20 {
        let mut frame = reply("10.0.0.5", "10.0.0.1");
        frame.bytes[at] ^= 1;
        cases.push(case("of another kind", frame, KIND));
    }
    for (length, verdict) in [
        (14 + 4, KIND),
        (14 + 13, "ARP sender's Ethernet address is not its own"),
        (14 + 17, SENDER),
    ] {
        let mut frame = reply("10.0.0.5", "10.0.0.1");
        frame.bytes.truncate(length);
        cases.push(case("cut off", frame, verdict));
    }
    cases
}
