use super::constants::{ICMP6, IP6_UNSPECIFIED, OTHERS};
use super::{Field, Rule, arp, ip4, ip6, nd};
use crate::plan::guard::GuardLayout;
use crate::types::{NftCmp, NftFamily, NftRule};

/// What nobody but its owner may say, on ports without a guard (the uplink among them) and on those that may use any
/// other address. Everything else passes, at the end of the chain.
pub(super) fn rules(layout: &GuardLayout) -> Vec<NftRule> {
    let rule = |chain| Rule::new(layout.family, chain);
    let bridged = layout.family != NftFamily::Inet;
    let mut rules = vec![
        rule(OTHERS).ip4().goto("others_ip4", "IPv4"),
        rule(OTHERS).ip6().goto("others_ip6", "IPv6"),
    ];
    if bridged {
        let tags = |protocol| rule(OTHERS).protocol(protocol).goto(TAGS, "two VLAN tags");
        rules.extend([
            rule(OTHERS).arp().goto("others_arp", "ARP"),
            tags(0x8100),
            tags(0x88a8),
            rule("others_arp").arp().is(Field::ARP_SENDER, &[0; 4]).goto(PROBE, "an ARP probe"),
        ]);
        rules.extend(arp::ADDRESS.not_owned(layout, || rule("others_arp").arp()));
        rules.extend(arp::TARGET.not_owned(layout, || rule(PROBE).arp()));
        rules.extend(tags_without_vlan(layout.family));
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

/// Linux strips a priority tag in front of another tag, and one behind the tag of a VLAN that it is in. So it would read a
/// packet that was not judged. A packet behind two VLANs is left to those who use these VLANs.
fn tags_without_vlan(family: NftFamily) -> [NftRule; 2] {
    const VLAN: &[u8] = &[0x0f, 0xff];
    let no_vlan = |field| Rule::new(family, TAGS).masked(field, VLAN, NftCmp::Eq, &[0, 0]);
    [
        no_vlan(Field::network(0, 2)).refuse("a priority tag behind a VLAN tag"),
        no_vlan(Field::OUTER_TAG).refuse("a VLAN tag behind a priority tag"),
    ]
}

const PROBE: &str = "others_probe";
const TAGS: &str = "others_tags";
