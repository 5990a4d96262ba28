//! Every decoder of what the kernel sends, for tests that feed it with bytes of any kind.

use super::answer::{Answer, Expect, extended_ack, kernel_words, messages};
use super::{address, link_decode, neighbour, nftables, policy_rule, port, route_decode, vlan};
use super::{several, xtables_rule};
use crate::types::{Family, LinkRef};

/// Decodes a datagram in each way in which an answer of rtnetlink or nftables is decoded.
#[expect(clippy::missing_panics_doc, reason = "a panic is what the test looks for")]
pub fn netlink(datagram: &[u8]) {
    for expect in [Expect::Ack, Expect::One(16), Expect::Many(16)] {
        let _ = Answer::new(datagram, expect, 1).take(datagram, &mut |_| {});
    }
    several::number(&mut datagram.to_vec(), 7);
    for message in messages(datagram).flatten() {
        let _ = extended_ack(&message).and_then(kernel_words);
        let body = message.body;
        // What an answer names is what was asked for.
        let index = body.get(4..8).and_then(|index| index.try_into().ok());
        let index = index.map_or(0, u32::from_ne_bytes);
        let link = LinkRef { index: Some(index), name: "vif1.0".parse().expect("a valid name") };
        let _ = link_decode::link(body);
        let _ = link_decode::name(body);
        let _ = address::decode(body, &link, index);
        let _ = neighbour::decode(body, index);
        let _ = port::decode(body);
        let _ = vlan::decode(body);
        for family in [Family::V4, Family::V6] {
            let _ = policy_rule::decode(body, family);
        }
        let _ = route_decode::route(body, body.first().copied().unwrap_or_default());
        nftables::fuzz(body);
    }
    for family in [Family::V4, Family::V6] {
        let _ = xtables_rule::link_rules(family, "filter", datagram, |_| Some(0));
    }
}
