use ipnet::IpNet;
use netlink_packet_route::rule::RuleMessage;
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::Kernel;
use super::attributes::{attributes, ip, text, u32};
use super::error::Error;
use crate::types::{Family, PolicyAction, PolicyRule};

impl Kernel {
    /// The rules of the routing policy, in the order in which the kernel tries them. `ip rule show`, `ip -6 rule show`
    ///
    /// A kernel without policy routing has none.
    pub fn policy_rules(&mut self, family: Family) -> Result<Vec<PolicyRule>, Error> {
        let mut message = RuleMessage::default();
        message.header.family = match family {
            Family::V4 => AddressFamily::Inet,
            Family::V6 => AddressFamily::Inet6,
        };
        match self.dump(RouteNetlinkMessage::GetRule(message), |body| decode(body, family)) {
            Err(error) if [libc::EAFNOSUPPORT, libc::EOPNOTSUPP].contains(&error.errno()) => {
                Ok(Vec::new())
            }
            rules => rules.map_err(|error| error.doing("rule show")),
        }
    }
}

/// A rule from the body of `RTM_NEWRULE` (`struct fib_rule_hdr`); none when it is of another family.
pub(super) fn decode(body: &[u8], wanted: Family) -> Option<PolicyRule> {
    let (header, rest) = body.split_first_chunk::<12>()?;
    let [family, to_length, from_length, tos, table, _, _, action, flags @ ..] = *header;
    let number = match wanted {
        Family::V4 => libc::AF_INET,
        Family::V6 => libc::AF_INET6,
    };
    if i32::from(family) != number {
        return None;
    }
    let net = |value, length| IpNet::new(ip(value)?, length).ok();
    let any = |net: &IpNet| net.prefix_len() == 0;
    let mut rule = PolicyRule::new(wanted, 0, PolicyAction::Nop);
    rule.is_inverted = u32::from_ne_bytes(flags) & FIB_RULE_INVERT != 0;
    rule.is_partial = tos != 0;
    let (mut table, mut target) = (u32::from(table), None);
    for (kind, value) in attributes(rest) {
        match kind {
            FRA_DST => rule.to = net(value, to_length).filter(|net| !any(net)),
            FRA_SRC => rule.from = net(value, from_length).filter(|net| !any(net)),
            FRA_IIFNAME => rule.iif = Some(text(value)),
            FRA_OIFNAME => rule.oif = Some(text(value)),
            FRA_GOTO => target = u32(value),
            FRA_PRIORITY => rule.priority = u32(value)?,
            FRA_FWMARK => rule.fwmark = u32(value),
            FRA_SUPPRESS_PREFIXLEN => {
                // The kernel sends -1 for a rule without it.
                rule.suppress_prefixlength = u32(value).and_then(|length| length.try_into().ok());
            }
            FRA_TABLE => table = u32(value)?,
            // What it says of the routes, or of itself.
            FRA_FLOW | FRA_FWMASK | FRA_SUPPRESS_IFGROUP | FRA_PAD | FRA_PROTOCOL => {}
            _ => rule.is_partial = true,
        }
    }
    rule.action = match action {
        FR_ACT_TO_TBL => PolicyAction::Lookup(table),
        FR_ACT_GOTO => target.map_or(PolicyAction::Nop, PolicyAction::Goto),
        FR_ACT_BLACKHOLE | FR_ACT_UNREACHABLE | FR_ACT_PROHIBIT => PolicyAction::Drop,
        _ => PolicyAction::Nop,
    };
    Some(rule)
}

// include/uapi/linux/fib_rules.h
const FIB_RULE_INVERT: u32 = 2;
const FRA_DST: u16 = 1;
const FRA_SRC: u16 = 2;
const FRA_IIFNAME: u16 = 3;
const FRA_GOTO: u16 = 4;
const FRA_PRIORITY: u16 = 6;
const FRA_FWMARK: u16 = 10;
const FRA_FLOW: u16 = 11;
const FRA_SUPPRESS_IFGROUP: u16 = 13;
const FRA_SUPPRESS_PREFIXLEN: u16 = 14;
const FRA_TABLE: u16 = 15;
const FRA_FWMASK: u16 = 16;
const FRA_OIFNAME: u16 = 17;
const FRA_PAD: u16 = 18;
const FRA_PROTOCOL: u16 = 21;
const FR_ACT_TO_TBL: u8 = 1;
const FR_ACT_GOTO: u8 = 2;
const FR_ACT_BLACKHOLE: u8 = 6;
const FR_ACT_UNREACHABLE: u8 = 7;
const FR_ACT_PROHIBIT: u8 = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::attributes::strange;
    use proptest::prelude::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn request_asks_for_one_family() {
        use crate::kernel::request::sent;
        use netlink_packet_core::NLM_F_DUMP;

        let mut message = RuleMessage::default();
        message.header.family = AddressFamily::Inet6;
        assert_eq!(
            sent(RouteNetlinkMessage::GetRule(message), NLM_F_DUMP),
            "1c000000 22000103 00000000 00000000 0a000000 00000000 00000000"
        );
    }

    proptest! {
        #[test]
        fn any_body_is_a_rule_or_none(body in strange::body(12)) {
            for (family, number) in [(Family::V4, libc::AF_INET), (Family::V6, libc::AF_INET6)] {
                let mut body = body.clone();
                body[0] = u8::try_from(number).unwrap();
                if let Some(rule) = decode(&body, family) {
                    prop_assert!(!rule.to_string().contains('\n'));
                }
            }
        }
    }
}
