use super::constants::{ICMP, IGMP, UDP};
use super::{Address, Field, Rule};
use crate::plan::guard::GuardLayout;
use crate::plan::guard::layout::Version;
use crate::types::{NftRule, NftVerdict};

/// IPv4 of a guarded port.
pub(super) fn rules(layout: &GuardLayout) -> Vec<NftRule> {
    let rule = |chain| Rule::new(layout.family, chain);
    let ip4 = || rule("ipv4");
    let mut rules = vec![
        ip4().ip4().later_fragment4().goto(SOURCE, "a later fragment"),
        ip4().ip4().l4proto(UDP).goto("ip4_udp", "UDP"),
        ip4().ip4().l4proto(ICMP).goto("ip4_icmp", "ICMP"),
        ip4().ip4().l4proto(IGMP).goto("ip4_igmp", "IGMP"),
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
const UNSPECIFIED: &[u8] = &[0; 4];

fn udp(layout: &GuardLayout) -> Vec<NftRule> {
    const SERVER: &str = "an answer of a DHCP server";
    let udp = || Rule::new(layout.family, "ip4_udp").udp4();
    vec![
        udp().is(Field::transport(0, 2), &[0, 67]).port_not_in("dhcp_servers").refuse(SERVER),
        udp().is(Field::transport(2, 2), &[0, 68]).port_not_in("dhcp_servers").refuse(SERVER),
        Rule::new(layout.family, "ip4_udp")
            .ip4()
            .is(Field::IP4_SOURCE, UNSPECIFIED)
            .l4proto(UDP)
            .is(Field::transport(0, 4), &[0, 68, 0, 67])
            .accept("a DHCP client without an address"),
        udp().whole_header().goto(SOURCE, "any other UDP"),
        udp().chain_end().refuse("UDP without a whole header"),
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

fn igmp(layout: &GuardLayout) -> Vec<NftRule> {
    let igmp = || Rule::new(layout.family, "ip4_igmp").ip4().l4proto(IGMP);
    let mut rules = vec![igmp().kind(0x11).port_not_in("routers").refuse("an IGMP query")];
    for report in [0x12, 0x16, 0x17, 0x22] {
        rules.push(
            Rule::new(layout.family, "ip4_igmp")
                .ip4()
                .is(Field::IP4_SOURCE, UNSPECIFIED)
                .l4proto(IGMP)
                .kind(report)
                .accept("an IGMP report without a source"),
        );
    }
    rules.extend([
        igmp().whole_header().goto(SOURCE, "any other IGMP"),
        igmp().chain_end().refuse("IGMP without a whole header"),
    ]);
    rules
}
