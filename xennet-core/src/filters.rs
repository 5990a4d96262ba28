//! Other people's filters, which xennet leaves alone and warns of.

use crate::apply;
use crate::kernel::{self, BaseChain, LegacyTables, Nftables, bridge_nf, has_bridge_nf};
use crate::plan::{BridgeNetfilter, FilterSnapshot, ForwardChain};
use crate::types::{Family, NftFamily, NftHookPoint, NftPolicy};

/// The filters that packets pass which cross a bridge, or which the host routes. A kernel that cannot say has none. What
/// base chains there are may be known already.
pub(crate) fn filters(
    nft: &mut Option<Nftables>,
    legacy: &mut LegacyTables,
    chains: Option<Vec<BaseChain>>,
    routed: bool,
) -> FilterSnapshot {
    // Without br_netfilter, IP's own see nothing of what crosses a bridge.
    let ip = routed || has_bridge_nf();
    let nft = apply::nft(nft).ok();
    let forward = nft.and_then(|nft| forward_chains(nft, chains, ip).ok()).unwrap_or_default();
    let mut look = |family| {
        let legacy_drops = ip && legacy.forward_drops(family).unwrap_or(false);
        // Where there is nobody who might drop bridged frames, a plug need not know whether they would come by.
        let drops = |chain: &ForwardChain| chain.sees(family) && chain.drops().is_some();
        let matters = routed || legacy_drops || forward.iter().any(drops);
        let on = matters && bridge_nf(family).unwrap_or(false);
        BridgeNetfilter { on, legacy_drops }
    };
    FilterSnapshot { ipv4: look(Family::V4), ipv6: look(Family::V6), forward }
}

/// Everybody's base chains at the forward hook, IP's own or the bridge's alone, and where a policy lets all pass, their
/// last rules.
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
