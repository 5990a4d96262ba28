//! Other people's filters, which xennet leaves alone and warns of.

use crate::apply;
use crate::kernel::{self, Nftables, bridge_nf, legacy_forward_drops};
use crate::plan::{BridgeNetfilter, FilterSnapshot, ForwardChain};
use crate::types::{Family, NftHookPoint, NftPolicy};

/// The filters that packets pass which cross a bridge, or which the host routes. A kernel that cannot say has none.
pub(crate) fn filters(nft: &mut Option<Nftables>, routed: bool) -> FilterSnapshot {
    let look = |family| {
        let on = bridge_nf(family).unwrap_or(false);
        let legacy_drops = (on || routed) && legacy_forward_drops(family).unwrap_or(false);
        BridgeNetfilter { on, legacy_drops }
    };
    let (ipv4, ipv6) = (look(Family::V4), look(Family::V6));
    let mut seen = FilterSnapshot { ipv4, ipv6, ..FilterSnapshot::default() };
    if let Ok(nft) = apply::nft(nft) {
        seen.forward = forward_chains(nft).unwrap_or_default();
    }
    seen
}

/// Everybody's base chains at the forward hook, and where a policy lets all pass, their last rules.
fn forward_chains(nft: &mut Nftables) -> Result<Vec<ForwardChain>, kernel::Error> {
    let mut forward = Vec::new();
    for (family, table, chain) in nft.base_chains()? {
        let Some(hook) = chain.hook.filter(|hook| hook.point == NftHookPoint::Forward) else {
            continue;
        };
        let last = match hook.policy {
            NftPolicy::Drop => None,
            NftPolicy::Accept => {
                let rules = nft.rules(family, &table)?;
                rules.into_iter().rfind(|rule| rule.chain == chain.name)
            }
        };
        forward.push(ForwardChain { family, table, chain: chain.name, policy: hook.policy, last });
    }
    Ok(forward)
}
