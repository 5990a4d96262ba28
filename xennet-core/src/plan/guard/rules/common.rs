//! The common case: whole TCP and UDP packets of IPv4 and IPv6 from a port's own addresses, in one lookup.

use super::constants::{TCP, UDP};
use super::{Field, Rule};
use crate::plan::guard::GuardLayout;
use crate::plan::guard::layout::{OWN4, OWN6};
use crate::types::{NftCmp, NftFamily, NftMeta, NftRule};

/// The first rules of the table. They accept only what the rules behind them accept as well, and leave everything else to
/// these: frames to groups, fragments, IPv6 with extension headers, half a header, and what DHCP servers and their clients
/// say.
///
/// Each condition is one load that the kernel does without a call (`nft_payload_fast_eval`): for that, a load is aligned,
/// and of one, two or four bytes.
pub(super) fn rules(layout: &GuardLayout, chain: &'static str) -> Vec<NftRule> {
    const OWN: &str = "TCP or UDP from its own address";
    let begin = || Rule::new(layout.family, chain);
    let ip4 = |protocol| {
        let whole = begin().ip4().is(Field::network(9, 1), &[protocol]);
        whole.masked(Field::network(6, 2), &[0x3f, 0xff], NftCmp::Eq, &[0, 0])
    };
    let ip6 = |protocol| begin().ip6().is(Field::network(6, 1), &[protocol]);
    // The last two bytes of a TCP header, and of a UDP header: any checksum will do.
    let tcp = |rule: Rule| rule.is(Field::transport(18, 2), &[0, 0]);
    let udp = |rule: Rule| rule.compare(Field::transport(6, 2), NftCmp::Gte, &[0, 0]);
    // Of two adjacent fields that are compared by `!=`, nft 1.0.6 makes one comparison when it loads a saved ruleset, and that
    // holds if one field differs. It does not for a masked field. The mask also leaves port + 0x8000 to the rules behind.
    let not_from = |rule: Rule, port: u16| {
        rule.masked(Field::transport(0, 2), &[0x7f, 0xff], NftCmp::Neq, &port.to_be_bytes())
    };
    let not_to = |rule: Rule, port: u16| {
        rule.compare(Field::transport(2, 2), NftCmp::Neq, &port.to_be_bytes())
    };
    let dhcp4 = |rule| not_from(not_to(not_to(rule, 67), 68), 67);
    let dhcp6 = |rule| not_from(not_to(rule, 546), 547);
    let own = |rule: Rule, source, set: &str| {
        let rule = match layout.family {
            NftFamily::Inet => rule,
            // No frame for bridges themselves: their addresses are those of groups.
            _ => rule.meta_not(NftMeta::PacketType, &[MULTICAST]),
        };
        rule.port_and_mac_with(source, set).accept(OWN)
    };
    vec![
        own(tcp(ip4(TCP)), Field::IP4_SOURCE, OWN4),
        own(dhcp4(udp(ip4(UDP))), Field::IP4_SOURCE, OWN4),
        own(tcp(ip6(TCP)), Field::IP6_SOURCE, OWN6),
        own(dhcp6(udp(ip6(UDP))), Field::IP6_SOURCE, OWN6),
    ]
}

/// `PACKET_MULTICAST`
const MULTICAST: u8 = 2;
