use super::constants::{ICMP, IGMP, PIM, UDP};
use super::{Address, Field, Rule};
use crate::plan::guard::GuardLayout;
use crate::plan::guard::layout::Version;
use crate::types::{NftRule, NftVerdict};

/// IPv4 of a guarded port.
pub(super) fn rules(layout: &GuardLayout) -> Vec<NftRule> {
    let rule = |chain| Rule::new(layout.family, chain);
    let ip4 = || rule("ipv4");
    let mut rules = vec![
        ip4().protocol4(IGMP).goto("ip4_igmp", "IGMP"),
        ip4().protocol4(PIM).port_not_in("routers").refuse("PIM"),
        ip4().ip4().later_fragment4().goto(SOURCE, "a later fragment"),
        ip4().ip4().l4proto(UDP).goto("ip4_udp", "UDP"),
        ip4().ip4().l4proto(ICMP).goto("ip4_icmp", "ICMP"),
        ip4().ip4().whole_header().goto(SOURCE, "any other protocol"),
        ip4().refuse("malformed IPv4, or cut off"),
    ];
    rules.extend(udp(layout));
    rules.extend(icmp(layout));
    rules.extend(igmp(layout));
    rules.push(rule(SOURCE).ip4().is(Field::IP4_SOURCE, UNSPECIFIED).refuse("no source"));
    rules.extend(ADDRESS.own(layout, || rule(SOURCE).ip4(), &NftVerdict::Accept));
    rules
}

pub(super) const ADDRESS: Address =
    Address { version: Version::V4, field: Field::IP4_SOURCE, name: "source" };

const SOURCE: &str = "ip4_source";
const CLIENT: &str = "ip4_dhcp";
/// `chaddr` of a DHCP message: by it, servers know whose lease the message is about.
const CLIENT_MAC: Field = Field::transport(8 + 28, 6);
const UNSPECIFIED: &[u8] = &[0; 4];

fn udp(layout: &GuardLayout) -> Vec<NftRule> {
    const SERVER: &str = "an answer of a DHCP server";
    let udp = || Rule::new(layout.family, "ip4_udp").udp4();
    vec![
        udp().is(Field::transport(0, 2), &[0, 67]).port_not_in("dhcp_servers").refuse(SERVER),
        udp().is(Field::transport(2, 2), &[0, 68]).port_not_in("dhcp_servers").refuse(SERVER),
        // A relay is a port of `dhcp_servers`.
        udp()
            .is(Field::transport(2, 2), &[0, 67])
            .port_not_in("dhcp_servers")
            .jump(CLIENT, "to a DHCP server"),
        Rule::new(layout.family, "ip4_udp")
            .ip4()
            .is(Field::IP4_SOURCE, UNSPECIFIED)
            .l4proto(UDP)
            .is(Field::transport(0, 4), &[0, 68, 0, 67])
            .accept("a DHCP client without an address"),
        udp().whole_header().goto(SOURCE, "any other UDP"),
        udp().chain_end().refuse("UDP without a whole header"),
        Rule::new(layout.family, CLIENT)
            .udp4()
            .port_with(CLIENT_MAC, None, "macs")
            .verdict(NftVerdict::Return, "DHCP for its own Ethernet address"),
        Rule::new(layout.family, CLIENT).refuse("DHCP for another's Ethernet address"),
    ]
}

fn icmp(layout: &GuardLayout) -> Vec<NftRule> {
    let icmp = || Rule::new(layout.family, "ip4_icmp").icmp();
    vec![
        icmp().kind(5).port_not_in("routers").refuse("an ICMP redirect"),
        icmp().kind(9).port_not_in("routers").refuse("an ICMP router advertisement"),
        icmp().whole_header().goto(SOURCE, "any other ICMP"),
        icmp().chain_end().refuse("ICMP without a whole header"),
    ]
}

/// Whoever queries, advertises or speaks PIM gets the groups of all others from a bridge that watches these protocols
/// (`br_multicast_mark_router`).
fn igmp(layout: &GuardLayout) -> Vec<NftRule> {
    const REPORTS: [u8; 4] = [0x12, 0x16, 0x17, 0x22];
    let rule = || Rule::new(layout.family, "ip4_igmp").ip4();
    let igmp = || rule().l4proto(IGMP);
    let mut rules = vec![
        // The bridge reads a later fragment as a whole message.
        rule().fragment4().port_not_in("routers").refuse("IGMP in fragments"),
        rule().later_fragment4().goto(SOURCE, "a router's later fragment"),
    ];
    rules.extend(REPORTS.map(|report| {
        rule()
            .is(Field::IP4_SOURCE, UNSPECIFIED)
            .l4proto(IGMP)
            .kind(report)
            .accept("an IGMP report without a source")
    }));
    rules.extend(
        REPORTS.map(|report| igmp().kind(report).whole_header().goto(SOURCE, "an IGMP report")),
    );
    rules.extend([
        igmp().port_in("routers").whole_header().goto(SOURCE, "a router's IGMP"),
        igmp().chain_end().refuse("IGMP that is no report"),
    ]);
    rules
}
