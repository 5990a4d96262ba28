//! Rules of other programs that decide where packets go, or by which interface: a plan only warns of them.

use super::Facts;
use crate::types::{Family, LinkRule, NftFamily, PolicyRule};

impl Facts<'_> {
    /// The rules of the routing policy. A kernel that does not answer has none.
    pub(crate) fn policy_rules(&mut self) -> Vec<PolicyRule> {
        let Ok(kernel) = self.connections.kernel() else { return Vec::new() };
        let families = [Family::V4, Family::V6].into_iter();
        families.flat_map(|family| kernel.policy_rules(family).unwrap_or_default()).collect()
    }

    /// The rules of IP's own filters that have a condition on an interface. A kernel that does not answer has none.
    pub(crate) fn link_rules(&mut self) -> Vec<LinkRule> {
        // To the bridge's own filters, and at ingress, an uplink is still the interface that it was.
        const FAMILIES: [NftFamily; 4] =
            [NftFamily::Inet, NftFamily::Ip, NftFamily::Ip6, NftFamily::Arp];
        if let Some(rules) = &self.wanted.link_rules {
            return rules.clone();
        }
        let nft = self.connections.nft().ok();
        let mut rules = nft.and_then(|nft| nft.link_rules(&FAMILIES).ok()).unwrap_or_default();
        for family in [Family::V4, Family::V6] {
            rules.extend(self.connections.legacy.link_rules(family).unwrap_or_default());
        }
        self.wanted.link_rules.insert(rules).clone()
    }
}
