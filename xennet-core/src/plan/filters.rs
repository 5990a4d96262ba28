use super::{ForeignFilter, Warning};
use crate::types::{Family, IfName, NftExpr, NftFamily, NftPolicy, NftRule, NftVerdict};

/// Other people's filters that a bridged guest's frames may have to pass.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct FilterSnapshot {
    /// What `br_netfilter` makes of bridged IPv4: `net.bridge.bridge-nf-call-iptables`.
    pub ipv4: BridgeNetfilter,
    /// What it makes of bridged IPv6: `net.bridge.bridge-nf-call-ip6tables`.
    pub ipv6: BridgeNetfilter,
    /// The base chains at nftables' forward hooks; of a bridged guest only the bridge's own where there is no `br_netfilter`.
    pub forward: Vec<ForwardChain>,
}

/// Whether IP's own filters see what crosses a bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_structs, reason = "whoever looks at the kernel makes one")]
pub struct BridgeNetfilter {
    /// They do; not looked at where there is no filter that could drop anything.
    pub on: bool,
    /// The legacy iptables' FORWARD policy is DROP; not looked at where nothing comes by.
    pub legacy_drops: bool,
}

/// A base chain at the forward hook.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "whoever looks at the kernel makes one")]
pub struct ForwardChain {
    /// Its table's family.
    pub family: NftFamily,
    /// Its table.
    pub table: String,
    /// Its name.
    pub chain: String,
    /// What becomes of what no rule decides on.
    pub policy: NftPolicy,
    /// Its last rule.
    pub last: Option<NftRule>,
}

impl FilterSnapshot {
    /// A warning for each filter that may drop a vif's frames.
    pub(super) fn warnings(&self, link: &IfName, bridge: &IfName) -> Vec<Warning> {
        self.dropping(link, bridge)
            .into_iter()
            .map(|filter| Warning::Filtered { link: link.clone(), filter })
            .collect()
    }

    /// A warning for each filter that may drop a routed vif's packets: those cross IP's own filters in any case.
    pub(super) fn routed_warnings(&self, link: &IfName) -> Vec<Warning> {
        let legacy = [(self.ipv4, "iptables-legacy"), (self.ipv6, "ip6tables-legacy")];
        let legacy = legacy.into_iter().filter(|(seen, _)| seen.legacy_drops).map(|(_, program)| {
            ForeignFilter {
                chain: format!("table filter, chain FORWARD of {program}"),
                drops: POLICY,
                sysctl: None,
                exception: format!("{program} -I FORWARD -i {link} -j ACCEPT`, `{program} -I FORWARD -o {link} -j ACCEPT"),
            }
        });
        let forward = self.forward.iter().filter_map(|forward| {
            let ForwardChain { family, table, chain, .. } = forward;
            let ip = matches!(family, NftFamily::Ip | NftFamily::Ip6 | NftFamily::Inet);
            let drops = forward.drops().filter(|_| ip)?;
            let at = format!("nft insert rule {family} {table} {chain}");
            Some(ForeignFilter {
                chain: format!("table {family} {table}, chain {chain} of nftables"),
                drops,
                sysctl: None,
                exception: format!("{at} iifname {link} accept`, `{at} oifname {link} accept"),
            })
        });
        let filters = forward.chain(legacy);
        filters.map(|filter| Warning::Filtered { link: link.clone(), filter }).collect()
    }

    fn dropping(&self, link: &IfName, bridge: &IfName) -> Vec<ForeignFilter> {
        let legacy = [(self.ipv4, "iptables", IPV4), (self.ipv6, "ip6tables", IPV6)];
        let drops = |(seen, ..): &(BridgeNetfilter, _, _)| seen.on && seen.legacy_drops;
        let legacy = legacy.into_iter().filter(drops).map(|(_, program, sysctl)| {
            let program = format!("{program}-legacy");
            ForeignFilter {
                exception: format!("{program} -I FORWARD -i {bridge} -o {bridge} -j ACCEPT"),
                chain: format!("table filter, chain FORWARD of {program}"),
                drops: POLICY,
                sysctl: Some(sysctl),
            }
        });
        self.forward
            .iter()
            .filter_map(|chain| self.nft(chain, link, bridge))
            .chain(legacy)
            .collect()
    }

    fn nft(&self, forward: &ForwardChain, link: &IfName, bridge: &IfName) -> Option<ForeignFilter> {
        let ipv4 = self.ipv4.on.then_some(IPV4);
        let ipv6 = self.ipv6.on.then_some(IPV6);
        let sysctl = match forward.family {
            NftFamily::Bridge => None,
            NftFamily::Ip => Some(ipv4?),
            NftFamily::Ip6 => Some(ipv6?),
            NftFamily::Inet => Some(ipv4.or(ipv6)?),
            _ => return None,
        };
        let drops = forward.drops()?;
        let ForwardChain { family, table, chain, .. } = forward;
        let at = format!("{family} {table} {chain}");
        let exception = match family {
            NftFamily::Bridge => format!("nft insert rule {at} iifname {link} accept"),
            // A bridged frame comes by as if it came in and went out by the bridge.
            _ => format!("nft insert rule {at} iifname {bridge} oifname {bridge} accept"),
        };
        let chain = format!("table {family} {table}, chain {chain} of nftables");
        Some(ForeignFilter { chain, drops, sysctl, exception })
    }
}

const IPV4: &str = "net.bridge.bridge-nf-call-iptables";
const IPV6: &str = "net.bridge.bridge-nf-call-ip6tables";

/// What lets IP's own filters see bridged IPv4, and bridged IPv6.
pub(super) const BRIDGE_NF: [&str; 2] = [IPV4, IPV6];

const POLICY: &str = "its policy is DROP";

impl ForwardChain {
    /// Whether packets of this family come by, bridged ones only where `br_netfilter` has them do so.
    pub(crate) fn sees(&self, family: Family) -> bool {
        match self.family {
            NftFamily::Inet => true,
            NftFamily::Ip => family == Family::V4,
            NftFamily::Ip6 => family == Family::V6,
            _ => false,
        }
    }

    /// How it drops what it does not know, if it does.
    pub(crate) fn drops(&self) -> Option<&'static str> {
        if self.policy == NftPolicy::Drop {
            Some("its policy is drop")
        } else if self.last.as_ref().is_some_and(closes) {
            Some("its last rule lets nothing through")
        } else {
            None
        }
    }
}

/// Whether a rule lets nothing past it: it drops or rejects, and looks at nothing first.
fn closes(rule: &NftRule) -> bool {
    let deciding = rule.expressions.iter().find(|step| !matches!(step, NftExpr::Counter(_)));
    match deciding {
        Some(NftExpr::Verdict(NftVerdict::Drop)) => true,
        Some(NftExpr::Other { name }) => name == "reject",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forward(family: NftFamily, table: &str, chain: &str, policy: NftPolicy) -> ForwardChain {
        ForwardChain { family, table: table.into(), chain: chain.into(), policy, last: None }
    }

    fn texts(seen: &FilterSnapshot) -> Vec<String> {
        let (link, bridge) = ("vif1.0".parse().unwrap(), "xenbr0".parse().unwrap());
        seen.warnings(&link, &bridge).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_policy_matters_only_where_bridged_frames_come_by() {
        let docker = forward(NftFamily::Ip, "filter", "FORWARD", NftPolicy::Drop);
        let mut seen = FilterSnapshot { forward: vec![docker], ..FilterSnapshot::default() };
        seen.ipv4.legacy_drops = true;
        assert_eq!(texts(&seen), [""; 0]);
        seen.ipv6.on = true;
        assert_eq!(texts(&seen), [""; 0]);
        seen.ipv4.on = true;
        assert_eq!(
            texts(&seen),
            [
                "vif1.0: table ip filter, chain FORWARD of nftables may drop its frames (its policy is drop), because \
                 net.bridge.bridge-nf-call-iptables is 1; `sysctl -w net.bridge.bridge-nf-call-iptables=0`, or make an \
                 exception with `nft insert rule ip filter FORWARD iifname xenbr0 oifname xenbr0 accept`",
                "vif1.0: table filter, chain FORWARD of iptables-legacy may drop its frames (its policy is DROP), because \
                 net.bridge.bridge-nf-call-iptables is 1; `sysctl -w net.bridge.bridge-nf-call-iptables=0`, or make an \
                 exception with `iptables-legacy -I FORWARD -i xenbr0 -o xenbr0 -j ACCEPT`",
            ]
        );
    }

    #[test]
    fn a_chain_may_also_end_in_a_rule_that_lets_nothing_through() {
        let mut firewalld =
            forward(NftFamily::Inet, "firewalld", "filter_FORWARD", NftPolicy::Accept);
        let mut last = |expressions: Vec<NftExpr>| {
            let rule = NftRule { chain: "filter_FORWARD".into(), expressions, comment: None };
            firewalld.last = Some(rule);
            let forward = vec![firewalld.clone()];
            let ipv6 = BridgeNetfilter { on: true, legacy_drops: false };
            let seen = FilterSnapshot { ipv6, forward, ..FilterSnapshot::default() };
            texts(&seen).len()
        };
        let other = |name: &str| NftExpr::Other { name: name.into() };
        assert_eq!(last(vec![other("reject")]), 1);
        assert_eq!(
            last(vec![NftExpr::Counter(crate::types::NftCounter::default()), other("reject")]),
            1
        );
        assert_eq!(last(vec![NftExpr::Verdict(NftVerdict::Drop)]), 1);
        assert_eq!(last(vec![other("match"), NftExpr::Verdict(NftVerdict::Drop)]), 0);
        assert_eq!(last(vec![NftExpr::Verdict(NftVerdict::Accept)]), 0);
        assert_eq!(last(vec![]), 0);
    }

    #[test]
    fn the_bridges_own_filters_always_see_it() {
        let strict = forward(NftFamily::Bridge, "filter", "fwd", NftPolicy::Drop);
        let seen = FilterSnapshot { forward: vec![strict], ..FilterSnapshot::default() };
        let texts = texts(&seen);
        assert!(
            texts[0].ends_with("`nft insert rule bridge filter fwd iifname vif1.0 accept`"),
            "{texts:?}"
        );
    }
}
