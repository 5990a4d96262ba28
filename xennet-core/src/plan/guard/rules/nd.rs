use super::constants::{ICMP6, IP6_SOURCE, IP6_UNSPECIFIED};
use super::{Address, Field, Rule};
use crate::plan::guard::GuardLayout;
use crate::plan::guard::layout::Version;
use crate::types::{NftCmp, NftRule, NftVerdict};

/// Neighbour discovery of a guarded port: whom it claims to be, and with which Ethernet address.
///
/// Options are found by counting, for rules cannot loop: at most two, of eight bytes each. Linux itself sends no more
/// (an Ethernet address and a nonce).
pub(super) fn rules(layout: &GuardLayout) -> Vec<NftRule> {
    let rule = |chain| Rule::new(layout.family, chain);
    let mut rules = Vec::new();
    rules.extend(whole(
        layout,
        &[NEIGHBOUR, "nd_length", "nd_claim", "nd_option", "nd_options"],
        24,
    ));
    rules.extend(whole(layout, &[ROUTER, "rs_length", "rs_source", "rs_option", "rs_options"], 8));

    let claim = || rule("nd_claim").icmp6();
    rules.extend([
        claim().kind(ADVERTISEMENT).jump(TARGET, "an advertised address"),
        claim().kind(ADVERTISEMENT).goto(IP6_SOURCE, "who advertises it"),
        claim()
            .kind(SOLICITATION)
            .compare(Field::IP6_SOURCE, NftCmp::Neq, IP6_UNSPECIFIED)
            .goto(IP6_SOURCE, "who solicits"),
        claim().chain_end().jump(TARGET, "duplicate address detection"),
        claim().chain_end().accept("duplicate address detection of its own address"),
    ]);
    rules.extend(ADDRESS.own(layout, || rule(TARGET).icmp6(), &NftVerdict::Return));
    rules.extend([
        rule("rs_source")
            .ip6()
            .is(Field::IP6_SOURCE, IP6_UNSPECIFIED)
            .accept("a router solicitation without a source"),
        rule("rs_source").goto(IP6_SOURCE, "who solicits"),
    ]);
    rules
}

pub(super) const ADDRESS: Address =
    Address { version: Version::V6, field: Field::ND_TARGET, name: "ND target" };

pub(super) const NEIGHBOUR: &str = "nd_neighbour";
pub(super) const ROUTER: &str = "nd_router";
const TARGET: &str = "nd_target";

pub(super) const ROUTER_SOLICITATION: u8 = 133;
pub(super) const SOLICITATION: u8 = 135;
pub(super) const ADVERTISEMENT: u8 = 136;

/// A message of `length` bytes before its options, from this very link, whose options name no Ethernet address but its
/// own: goes from the first of `chains` to the third, by way of the others.
fn whole(layout: &GuardLayout, chains: &[&'static str; 5], length: u8) -> Vec<NftRule> {
    let [enter, sized, done, one, two] = *chains;
    let rule = |chain| Rule::new(layout.family, chain).ip6();
    let of_length = |options: u8| rule(sized).is(Field::network(4, 2), &[0, length + 8 * options]);
    let mut rules = vec![
        rule(enter)
            .is(Field::network(6, 2), &[ICMP6, 255])
            .goto(sized, "of this link, without extension headers"),
        rule(enter)
            .chain_end()
            .refuse("neighbour discovery from afar, or behind extension headers"),
        of_length(0).goto(done, "without options"),
        of_length(1).goto(one, "with one option"),
        of_length(2).goto(two, "with two options"),
        rule(sized).chain_end().refuse("neighbour discovery with options that cannot be judged"),
    ];
    let at = u32::from(length);
    rules.extend(option(layout, two, at + 8, one));
    rules.extend(option(layout, one, at, done));
    rules
}

/// Looks at the option that begins `at` so many bytes behind the IPv6 header.
fn option(layout: &GuardLayout, chain: &'static str, at: u32, next: &str) -> [NftRule; 3] {
    let rule = || Rule::new(layout.family, chain).icmp6();
    [
        // 1 and 2 are the source's and the target's Ethernet address.
        rule()
            .compare(Field::transport(at, 1), NftCmp::Gt, &[2])
            .goto(next, "an option that names no Ethernet address"),
        rule()
            .is(Field::transport(at + 1, 1), &[1])
            .port_with(Field::transport(at + 2, 6), None, "macs")
            .goto(next, "an option that names its own Ethernet address"),
        rule().chain_end().refuse("an option that names an Ethernet address that is not its own"),
    ]
}
