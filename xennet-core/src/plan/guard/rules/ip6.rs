use super::constants::{ICMP6, IP6_SOURCE, IP6_UNSPECIFIED, PIM, TCP, UDP};
use super::{Address, Field, Rule, nd};
use crate::plan::guard::GuardLayout;
use crate::plan::guard::layout::Version;
use crate::types::{NftCmp, NftRule, NftVerdict};

/// IPv6 of a guarded port, but for neighbour discovery.
pub(super) fn rules(layout: &GuardLayout) -> Vec<NftRule> {
    let rule = |chain| Rule::new(layout.family, chain);
    let ip6 = || rule("ipv6").ip6();
    let tcp = || rule("ip6_tcp").tcp6();
    let mut rules = vec![
        ip6().l4proto(PIM).port_not_in("routers").refuse("PIM"),
        // The kernel knows no protocol of a later fragment whose first one has more extension headers behind.
        ip6().later_fragment6().goto(IP6_SOURCE, "a later fragment"),
        ip6().l4proto(ICMP6).goto("ip6_icmp", "ICMPv6"),
        ip6().l4proto(UDP).goto("ip6_udp", "UDP"),
        ip6().fragment().l4proto(TCP).goto("ip6_tcp", "a first fragment of TCP"),
        ip6().whole_header().goto(IP6_SOURCE, "any other protocol"),
        ip6().chain_end().refuse("malformed IPv6, or cut off"),
        tcp()
            .compare(Field::transport(4, 16), NftCmp::Gte, &[0; 16])
            .goto(IP6_SOURCE, "with a whole TCP header"),
        tcp().chain_end().refuse("a first fragment without a whole TCP header (RFC 7112)"),
    ];
    rules.extend(udp(layout));
    rules.extend(icmp(layout));
    rules.push(rule(IP6_SOURCE).ip6().is(Field::IP6_SOURCE, IP6_UNSPECIFIED).refuse("no source"));
    rules.extend(ADDRESS.own(layout, || rule(IP6_SOURCE).ip6(), &NftVerdict::Accept));
    rules
}

pub(super) const ADDRESS: Address =
    Address { version: Version::V6, field: Field::IP6_SOURCE, name: "source" };

fn udp(layout: &GuardLayout) -> Vec<NftRule> {
    const SERVER: &str = "an answer of a DHCPv6 server";
    let udp = || Rule::new(layout.family, "ip6_udp").udp6();
    let [server, client] = [547_u16, 546].map(u16::to_be_bytes);
    vec![
        udp().is(Field::transport(0, 2), &server).port_not_in("dhcp_servers").refuse(SERVER),
        udp().is(Field::transport(2, 2), &client).port_not_in("dhcp_servers").refuse(SERVER),
        udp().whole_header().goto(IP6_SOURCE, "any other UDP"),
        udp().chain_end().refuse("UDP without a whole header"),
    ]
}

fn icmp(layout: &GuardLayout) -> Vec<NftRule> {
    let icmp = || Rule::new(layout.family, "ip6_icmp").icmp6();
    let mut rules = vec![
        icmp().kind(134).port_not_in("routers").refuse("an IPv6 router advertisement"),
        icmp().kind(137).port_not_in("routers").refuse("an IPv6 redirect"),
        icmp().kind(130).port_not_in("routers").refuse("an MLD query"),
        icmp()
            .between(Field::transport(0, 1), 151, 153)
            .port_not_in("routers")
            .refuse("multicast router discovery"),
        icmp()
            .between(Field::transport(0, 1), 133, 137)
            .fragment()
            .refuse("neighbour discovery in fragments (RFC 6980)"),
        icmp().kind(nd::SOLICITATION).goto(nd::NEIGHBOUR, "a neighbour solicitation"),
        icmp().kind(nd::ADVERTISEMENT).goto(nd::NEIGHBOUR, "a neighbour advertisement"),
        icmp().kind(nd::ROUTER_SOLICITATION).goto(nd::ROUTER, "a router solicitation"),
    ];
    for report in [131, 132, 143] {
        rules.push(
            Rule::new(layout.family, "ip6_icmp")
                .ip6()
                .is(Field::IP6_SOURCE, IP6_UNSPECIFIED)
                .l4proto(ICMP6)
                .kind(report)
                .accept("an MLD report without a source"),
        );
    }
    rules.extend([
        icmp().whole_header().goto(IP6_SOURCE, "any other ICMPv6"),
        icmp().chain_end().refuse("ICMPv6 without a whole header"),
    ]);
    rules
}
