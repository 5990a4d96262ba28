use super::{Address, Field, Rule};
use crate::plan::guard::GuardLayout;
use crate::plan::guard::layout::Version;
use crate::types::{NftRule, NftVerdict};

/// ARP of a guarded port.
pub(super) fn rules(layout: &GuardLayout) -> Vec<NftRule> {
    let rule = |chain| Rule::new(layout.family, chain).arp();
    let operation = |number| rule(MAC).is(Field::network(6, 2), &[0, number]);
    let mut rules = vec![
        rule("arp_header")
            .is(Field::network(0, 4), &[0, 1, 8, 0])
            .is(Field::network(4, 2), &[6, 4])
            .goto("arp_ip4", "for IPv4 on Ethernet"),
        rule("arp_header").chain_end().refuse("ARP of another kind than IPv4 on Ethernet"),
        rule("arp_ip4")
            .port_with(Field::ARP_SENDER_MAC, None, "macs")
            .goto(MAC, "ARP sender's Ethernet address is its own"),
        rule("arp_ip4").chain_end().refuse("ARP sender's Ethernet address is not its own"),
        operation(1).is(Field::ARP_SENDER, &[0; 4]).goto(PROBE, "an ARP probe"),
        operation(1).goto(SENDER, "an ARP request"),
        operation(2).goto(SENDER, "an ARP reply"),
        rule(MAC).chain_end().refuse("ARP that is neither request nor reply"),
        rule(SENDER).is(Field::ARP_SENDER, &[0; 4]).refuse("ARP without a sender"),
    ];
    rules.extend(ADDRESS.own(layout, || rule(SENDER), &NftVerdict::Accept));
    rules.extend(TARGET.own(layout, || rule(PROBE), &NftVerdict::Accept));
    rules
}

pub(super) const ADDRESS: Address =
    Address { version: Version::V4, field: Field::ARP_SENDER, name: "ARP sender" };

/// The address that a probe asks for. If it is another vif's, the probe would only stop its owner from using it.
pub(super) const TARGET: Address =
    Address { version: Version::V4, field: Field::ARP_TARGET, name: "ARP target" };

const MAC: &str = "arp_operation";
const SENDER: &str = "arp_sender";
const PROBE: &str = "arp_probe";
