//! Rules of other programs that name an uplink whose addresses are, or will be, on its bridge.

use super::{NatSnapshot, NetworkSnapshot};
use crate::config::NetworkConfig;
use crate::plan::guard::GuardLayout;
use crate::plan::stale_rules::StaleRules;
use crate::plan::{HostWarning, Plan};
use crate::types::{IfName, LinkRule, PolicyRule};

/// Warns of rules that no longer mean the same packets once the host's addresses are on a bridge.
pub(super) fn warn(plan: &mut Plan, config: &NetworkConfig, seen: &NetworkSnapshot) {
    for (uplink, bridge) in moves(config) {
        let index = |name| seen.link(name).map(|link| link.index);
        let (from, to) = ((uplink, index(uplink)), (bridge, index(bridge)));
        let stale = |rule: &&LinkRule| {
            let is_done = || seen.link_rules.iter().any(|other| rule.has_twin(other, from, to));
            !is_own(rule) && rule.names_only(from, to) && !is_done()
        };
        let stale: Vec<&LinkRule> = seen.link_rules.iter().filter(stale).collect();
        for chain in stale.chunk_by(|one, other| place(one) == place(other)) {
            if let Some(rules) = of_chain(chain, uplink, bridge) {
                plan.warn(HostWarning::StaleRules(rules.to_string()));
            }
        }
        let named = |rule: &&PolicyRule| {
            let names = |name: &Option<String>| name.as_deref() == Some(uplink.as_str());
            let twin = || {
                let moved = |name: &Option<String>| {
                    if names(name) { Some(bridge.to_string()) } else { name.clone() }
                };
                let moved =
                    PolicyRule { iif: moved(&rule.iif), oif: moved(&rule.oif), ..(*rule).clone() };
                let same = |other: &PolicyRule| {
                    PolicyRule { priority: rule.priority, ..other.clone() } == moved
                };
                seen.policy_rules.iter().any(same)
            };
            (names(&rule.iif) || names(&rule.oif)) && !twin()
        };
        let mut policy: Vec<String> =
            seen.policy_rules.iter().filter(named).map(ToString::to_string).collect();
        policy.dedup();
        if !policy.is_empty() {
            let rules = format!("policy rule {}", policy.join(" and "));
            let show = "ip rule show".to_owned();
            let (uplink, bridge) = (uplink.clone(), bridge.clone());
            let rules = StaleRules { uplink, bridge, rules, show };
            plan.warn(HostWarning::StaleRules(rules.to_string()));
        }
    }
}

/// The interfaces whose addresses are, or will be, on a bridge or a bond, each with that one: uplinks, and ports of bonds.
fn moves(config: &NetworkConfig) -> Vec<(&IfName, &IfName)> {
    let bridges = config.bridges.iter().filter(|policy| policy.moves_addresses());
    let mut moves: Vec<_> =
        bridges.filter_map(|policy| Some((policy.uplink.as_ref()?, &policy.name))).collect();
    for bond in &config.bonds {
        let bridge = moves.iter().find(|(uplink, _)| **uplink == bond.name);
        let top = bridge.map_or(&bond.name, |(_, bridge)| *bridge);
        moves.extend(bond.ports.iter().map(|port| (port, top)));
    }
    moves
}

/// The interface that the host's packets leave by in the end, instead of this one.
pub(super) fn replacement<'c>(config: &'c NetworkConfig, name: &'c IfName) -> &'c IfName {
    moves(config).into_iter().find(|(uplink, _)| *uplink == name).map_or(name, |(_, bridge)| bridge)
}

fn is_own(rule: &LinkRule) -> bool {
    !rule.is_legacy && [NatSnapshot::TABLE, GuardLayout::TABLE].contains(&rule.table.as_str())
}

fn place(rule: &LinkRule) -> (u8, bool, &str, &str) {
    (rule.family.number(), rule.is_legacy, &rule.table, &rule.chain)
}

/// The rules of one chain, in one warning.
fn of_chain(rules: &[&LinkRule], uplink: &IfName, bridge: &IfName) -> Option<StaleRules> {
    let LinkRule { family, is_legacy, table, chain, .. } = *rules.first()?;
    let mut numbers: Vec<String> = rules.iter().map(|rule| rule.number.to_string()).collect();
    let more = numbers.len().saturating_sub(SHOWN);
    numbers.truncate(SHOWN);
    let mut text =
        if rules.len() == 1 { "rule " } else { "rules " }.to_owned() + &numbers.join(", ");
    if more > 0 {
        text = format!("{text} and {more} more");
    }
    let (table, chain) = (table.escape_debug(), chain.escape_debug());
    let (place, show) = if *is_legacy {
        let program = if family.number() == 2 { "iptables-legacy" } else { "ip6tables-legacy" };
        (
            format!("table {table}, chain {chain} of {program}"),
            format!("{program} -t {table} -nvL {chain} --line-numbers"),
        )
    } else {
        (
            format!("table {family} {table}, chain {chain} of nftables"),
            format!("nft -a list chain {family} {table} {chain}"),
        )
    };
    let rules = format!("{text} of {place}");
    Some(StaleRules { uplink: uplink.clone(), bridge: bridge.clone(), rules, show })
}

/// How many rules of a chain a warning lists.
const SHOWN: usize = 10;

#[cfg(test)]
mod tests;
