//! What the guard's chains say.
//!
//! Never may a rule that lets a packet through be the last word on bytes that it did not see: an expression that
//! cannot read ends its rule only. And of a packet in fragments, only the first has a transport header. In a later one,
//! the kernel reads other bytes in its place when one, two or four are asked for (`nft_payload_fast_eval`, as of Linux
//! 6.18); so later fragments are told apart first, and what cannot be (a fragment in a fragment) fails at the question
//! for a whole header.

mod address;
mod arp;
mod common;
mod constants;
mod ip4;
mod ip6;
mod nd;
mod others;
mod rule;

use address::Address;
pub(super) use constants::reason_mark;
use constants::{OTHERS, REFUSED};
use rule::{Field, Rule};

use super::GuardLayout;
use super::layout::{DROPS, RECORDS};
use crate::types::{NftCmp, NftExpr, NftFamily, NftRule, NftVerdict};

/// All rules, in the order of their chains.
///
/// No chain is called by a word of nft's own, such as `ip6`: it would list such a ruleset, and then not read it back.
pub(super) fn rules(layout: &GuardLayout) -> Vec<NftRule> {
    let bridged = layout.family != NftFamily::Inet;
    let mut rules = entry(layout);
    rules.extend(bound(layout.family));
    rules.extend(ip4::rules(layout));
    rules.extend(ip6::rules(layout));
    rules.extend(nd::rules(layout));
    if bridged {
        rules.extend(arp::rules(layout));
    }
    rules.extend(others::rules(layout));
    rules.extend(refused(layout.family));
    rules
}

/// What a port's own chain says: it leads to those of all ports.
pub(super) fn entrance(chain: &str) -> NftRule {
    let verdict = NftExpr::Verdict(NftVerdict::Goto(INGRESS.to_owned()));
    NftRule { chain: chain.to_owned(), expressions: vec![verdict], comment: None }
}

/// Where the chains of the ports lead, in the family in which each has one.
const INGRESS: &str = "ingress";
/// Who is guarded, and with which Ethernet address.
fn entry(layout: &GuardLayout) -> Vec<NftRule> {
    const LINK_GROUP: &str = "a frame for bridges themselves, such as spanning tree";
    let family = layout.family;
    let rule = |chain| Rule::new(family, chain);
    // 01:80:c2:00:00:00 to 0f: never forwarded by a bridge, but understood by it (STP, LACP, 802.1X, LLDP, ...). With
    // STP off, the first one is forwarded like any other frame; the rest is only seen at the input hook.
    let link_group = |rule: Rule| {
        rule.masked(
            Field::ETHER_DESTINATION,
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xf0],
            NftCmp::Eq,
            &[0x01, 0x80, 0xc2, 0, 0, 0],
        )
    };
    let first = if family == NftFamily::Netdev { INGRESS } else { "prerouting" };
    let mut rules = common::rules(layout, first);
    rules.push(rule(first).port_in("ports").goto("guarded", "a guarded port"));
    rules.extend(layout.owned_macs().map(|set| {
        let mac = Field::ETHER_SOURCE;
        if layout.bridge_names {
            rule(first).bridge_with(mac, None, &set.name)
        } else {
            rule(first).field_in(mac, None, &set.name)
        }
        .refuse("Ethernet address is another vif's")
    }));
    rules.push(rule(first).goto(OTHERS, "a port without a guard"));
    if family == NftFamily::Bridge {
        rules.push(link_group(rule("input")).port_in("ports").refuse(LINK_GROUP));
    }
    if family != NftFamily::Inet {
        rules.push(link_group(rule("guarded")).refuse(LINK_GROUP));
    }
    rules.extend([
        rule("guarded")
            .port_with(Field::ETHER_SOURCE, None, "macs")
            .goto("bound", "its own Ethernet address"),
        rule("guarded").refuse("an Ethernet address that is not its own"),
    ]);
    rules
}

/// Which protocol it speaks. One VLAN tag is off the packet by now; what is behind another one cannot be judged.
fn bound(family: NftFamily) -> Vec<NftRule> {
    let rule = || Rule::new(family, "bound");
    let mut rules = vec![
        rule().port_in("any_address").goto(OTHERS, "any address but those of others"),
        rule().ip4().goto("ipv4", "IPv4"),
        rule().ip6().goto("ipv6", "IPv6"),
    ];
    if family != NftFamily::Inet {
        const TAG: &str = "a VLAN tag behind a VLAN tag";
        rules.extend([
            rule().arp().goto("arp_header", "ARP"),
            rule().protocol(0x8100).refuse(TAG),
            rule().protocol(0x88a8).refuse(TAG),
        ]);
        // 4 is the kernel's own number for a frame that has a length in the place of its Ethertype. Not all hosts ignore IP
        // behind a SNAP header (CVE-2021-27854, CVE-2021-27862). The lowest bit of each address says "group" and "response".
        rules.extend([[0xaa, 0xaa], [0xaa, 0xab], [0xab, 0xaa], [0xab, 0xab]].map(|snap| {
            rule()
                .protocol(4)
                .is(Field::network(0, 2), &snap)
                .refuse("a protocol behind a SNAP header")
        }));
    }
    rules.extend([
        rule().port_in("any_protocol").accept("neither IPv4, IPv6 nor ARP"),
        rule().refuse("neither IPv4, IPv6 nor ARP"),
    ]);
    rules
}

fn refused(family: NftFamily) -> [NftRule; 2] {
    let rule = || Rule::new(family, REFUSED);
    let mut drop = rule().verdict(NftVerdict::Drop, "");
    // What the rule says that sent the packet here is the reason.
    drop.comment = None;
    // Of a guarded port only. The elements of `ports` count, those of `records` do not.
    [rule().port_in(RECORDS).count_port_and_mark(DROPS), drop]
}
