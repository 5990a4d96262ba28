//! Filters of other programs, which xennet leaves alone and warns of.

use super::Facts;
use crate::kernel::{self, BaseChain, Nftables, bridge_nf, has_bridge_nf};
use crate::plan::{BridgeNetfilter, FilterSnapshot, ForwardChain};
use crate::types::{Family, NftFamily, NftHookPoint, NftPolicy};

impl Facts<'_> {
    /// The filters that packets pass which cross a bridge or, where `routed`, which the host routes. A kernel that cannot
    /// say has none.
    pub(crate) fn filters(&mut self, routed: bool) -> FilterSnapshot {
        if let Some(filters) = &self.wanted.filters {
            return filters.clone();
        }
        // Without br_netfilter, IP's own filters do not see what crosses a bridge.
        let ip = routed || has_bridge_nf();
        let chains = self.wanted.base_chains.take();
        let nft = self.connections.nft().ok();
        let forward = nft.and_then(|nft| forward_chains(nft, chains, ip).ok()).unwrap_or_default();
        let legacy = &mut self.connections.legacy;
        let mut bridge_netfilter = |family| {
            let legacy_drops = ip && legacy.forward_drops(family).unwrap_or(false);
            // Whether bridged frames are filtered matters only where a filter could drop them.
            let drops = |chain: &ForwardChain| chain.sees(family) && chain.drops().is_some();
            let matters = routed || legacy_drops || forward.iter().any(drops);
            let on = matters && bridge_nf(family).unwrap_or(false);
            BridgeNetfilter { on, legacy_drops }
        };
        let (ipv4, ipv6) = (bridge_netfilter(Family::V4), bridge_netfilter(Family::V6));
        self.wanted.filters.insert(FilterSnapshot { ipv4, ipv6, forward }).clone()
    }
}

/// All base chains at the forward hook, IP's own or the bridge's alone, and the last rules of those whose policy accepts.
fn forward_chains(
    nft: &mut Nftables,
    chains: Option<Vec<BaseChain>>,
    ip: bool,
) -> Result<Vec<ForwardChain>, kernel::Error> {
    let mut forward = Vec::new();
    for (family, table, chain) in chains.map_or_else(|| nft.base_chains(), Ok)? {
        let Some(hook) = chain.hook.filter(|hook| hook.point == NftHookPoint::Forward) else {
            continue;
        };
        if !ip && family != NftFamily::Bridge {
            continue;
        }
        let last = match hook.policy {
            NftPolicy::Drop => None,
            NftPolicy::Accept => nft.rules_of_chain(family, &table, &chain.name)?.pop(),
        };
        forward.push(ForwardChain { family, table, chain: chain.name, policy: hook.policy, last });
    }
    Ok(forward)
}
