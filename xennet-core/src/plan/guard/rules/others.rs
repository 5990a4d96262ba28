use super::constants::{ICMP6, IP6_UNSPECIFIED, OTHERS};
use super::{Field, Rule, arp, ip4, ip6, nd};
use crate::plan::guard::GuardLayout;
use crate::types::{NftFamily, NftRule};

/// What nobody but its owner may say, on ports without a guard (the uplink among them) and on those that may use any
/// other address. Everything else passes, at the end of the chain.
pub(super) fn rules(layout: &GuardLayout) -> Vec<NftRule> {
    let rule = |chain| Rule::new(layout.family, chain);
    let mut rules = vec![
        rule(OTHERS).ip4().goto("others_ip4", "IPv4"),
        rule(OTHERS).ip6().goto("others_ip6", "IPv6"),
    ];
    if layout.family != NftFamily::Inet {
        rules.push(rule(OTHERS).arp().goto("others_arp", "ARP"));
        rules.extend(arp::ADDRESS.not_owned(layout, || rule("others_arp").arp()));
    }
    rules.extend(ip4::ADDRESS.not_owned(layout, || rule("others_ip4").ip4()));
    rules.extend(ip6::ADDRESS.not_owned(layout, || rule("others_ip6").ip6()));
    rules.extend([
        rule("others_ip6")
            .icmp6()
            .kind(nd::ADVERTISEMENT)
            .goto("others_nd", "a neighbour advertisement"),
        rule("others_ip6")
            .ip6()
            .is(Field::IP6_SOURCE, IP6_UNSPECIFIED)
            .l4proto(ICMP6)
            .kind(nd::SOLICITATION)
            .goto("others_nd", "duplicate address detection"),
    ]);
    rules.extend(nd::ADDRESS.not_owned(layout, || rule("others_nd").icmp6()));
    rules
}
