//! Sets, chains and rules, which are the same for all ports: what differs from the layout, and what puts it right.

use std::collections::{BTreeMap, BTreeSet};

use super::{GuardEntry, GuardLayout, GuardSnapshot};
use crate::types::{IfName, NftChain, NftCommand, NftExpr, NftHook, NftRule, NftSet};

/// The commands that give the table the layout's sets, chains and rules, and these ports their chains. Empty if it has them.
///
/// Elements stay, but for those of a set that is made again because its type differs. A chain that is as it should be is
/// left alone, and rules that are added again keep their counters.
pub(super) fn structure(
    layout: &GuardLayout,
    snapshot: &GuardSnapshot,
    ports: &BTreeSet<&IfName>,
) -> Vec<NftCommand> {
    if snapshot.verified.as_ref() == Some(layout) {
        return Vec::new();
    }
    let sets = layout.sets();
    let real_sets: BTreeMap<_, _> = by_name(&snapshot.sets, |set| &set.name);
    // Sets of a length that no port uses, or of another version.
    let obsolete = real_sets.keys().filter(|name| !sets.iter().any(|set| set.name == **name));
    let obsolete: Vec<String> = obsolete.map(|name| (*name).to_owned()).collect();
    let (missing, remade): (Vec<_>, Vec<_>) = sets
        .into_iter()
        .filter(|set| !real_sets.get(set.name.as_str()).is_some_and(|real| fits(real, set)))
        .partition(|set| !real_sets.contains_key(set.name.as_str()));

    let mut rules = layout.rules();
    let mut chains = layout.chains_of(&rules);
    let common: BTreeSet<String> = chains.iter().map(|chain| chain.name.clone()).collect();
    for (chain, rule) in ports.iter().filter_map(|port| layout.entrance(port)) {
        chains.push(chain);
        rules.push(rule);
    }
    let wanted = by_name(&chains, |chain| &chain.name);
    let real_rules = by_chain(&snapshot.rules);
    let wanted_rules = by_chain(&rules);
    let real_chains: Vec<_> =
        snapshot.chains.iter().filter(|chain| !is_of_another_port(chain, ports)).collect();
    let (kept, deleted): (Vec<&NftChain>, Vec<&NftChain>) = real_chains
        .iter()
        .copied()
        .partition(|chain| wanted.get(chain.name.as_str()) == Some(chain));
    let kept: BTreeSet<&str> = kept.into_iter().map(|chain| chain.name.as_str()).collect();
    // The kernel deletes no set that a rule uses, and no chain that a rule jumps to.
    let rewrites_all =
        !remade.is_empty() || deleted.iter().any(|chain| common.contains(&chain.name));
    let is_right = |chain: &str| {
        !rewrites_all
            && kept.contains(chain)
            && same_rules(rules_of(&wanted_rules, chain), rules_of(&real_rules, chain))
    };
    let differing: Vec<&NftChain> = chains.iter().filter(|chain| !is_right(&chain.name)).collect();

    let awake = snapshot.table.as_ref().is_some_and(|table| !table.dormant);
    let right = missing.is_empty() && remade.is_empty() && obsolete.is_empty();
    if awake && right && deleted.is_empty() && differing.is_empty() {
        return Vec::new();
    }
    let mut commands = vec![NftCommand::TableAdd { comment: Some(layout.comment()) }];
    let flushed = real_chains.iter().filter(|chain| !is_right(&chain.name));
    commands.extend(flushed.map(|chain| NftCommand::ChainFlush { chain: chain.name.clone() }));
    commands
        .extend(deleted.iter().map(|chain| NftCommand::ChainDelete { chain: chain.name.clone() }));
    commands.extend(obsolete.into_iter().map(|set| NftCommand::SetDelete { set }));
    commands.extend(remade.iter().map(|set| NftCommand::SetDelete { set: set.name.clone() }));
    commands.extend(missing.into_iter().chain(remade).map(NftCommand::SetAdd));
    let new = differing.iter().filter(|chain| !kept.contains(chain.name.as_str()));
    commands.extend(new.map(|chain| NftCommand::ChainAdd((*chain).clone())));
    for chain in differing {
        let real = rules_of(&real_rules, &chain.name);
        for rule in rules_of(&wanted_rules, &chain.name) {
            let counted = real.iter().find(|real| same_rule(real, rule)).unwrap_or(rule);
            commands.push(NftCommand::RuleAdd((*counted).clone()));
        }
    }
    commands
}

impl GuardEntry {
    /// Compares sets, chains and rules with what the port needs, and notes it in [`GuardSnapshot::verified`] if they match.
    #[must_use]
    pub fn verify(&self, mut snapshot: GuardSnapshot) -> GuardSnapshot {
        if let Ok(layout) = snapshot.layout(self.family()) {
            let layout = self.layout(layout);
            let matches = structure(&layout, &snapshot, &[&self.port].into()).is_empty()
                && supports_timeouts(&layout, &snapshot);
            snapshot.verified = matches.then_some(layout);
        }
        snapshot
    }
}

/// Whether a set is of the wanted type. A set without `flags timeout` is: it only makes unplugging slower, and is not made
/// again for that, with all its elements.
pub(super) fn fits(real: &NftSet, wanted: &NftSet) -> bool {
    real == wanted || NftSet { timeout: wanted.timeout, ..real.clone() } == *wanted
}

/// Whether all sets of the layout that exist have `flags timeout`, as those that are made now have.
pub(super) fn supports_timeouts(layout: &GuardLayout, snapshot: &GuardSnapshot) -> bool {
    let sets = layout.sets();
    let wanted = by_name(&sets, |set| &set.name);
    snapshot.sets.iter().all(|real| wanted.get(real.name.as_str()).is_none_or(|set| *set == real))
}

/// Whether a chain is the own one of a port that is not among these. A chain that lost its device is no port's.
fn is_of_another_port(chain: &NftChain, ports: &BTreeSet<&IfName>) -> bool {
    GuardLayout::entrance_port(chain).is_some_and(|port| !ports.contains(port))
}

/// The chain that a command makes, if it is a port's own.
pub(super) fn added_entrance(command: &NftCommand) -> Option<&str> {
    match command {
        NftCommand::ChainAdd(NftChain { name, hook: Some(NftHook { device: Some(_), .. }) }) => {
            Some(name)
        }
        _ => None,
    }
}

/// The commands that delete a port's own chain, which the kernel may have deleted with its device.
pub(super) fn delete_entrance(chain: &str) -> [NftCommand; 2] {
    let chain = chain.to_owned();
    let add = NftChain { name: chain.clone(), hook: None };
    [NftCommand::ChainAdd(add), NftCommand::ChainDelete { chain }]
}

fn by_name<T>(all: &[T], name: impl Fn(&T) -> &str) -> BTreeMap<&str, &T> {
    all.iter().map(|one| (name(one), one)).collect()
}

fn by_chain(rules: &[NftRule]) -> BTreeMap<&str, Vec<&NftRule>> {
    let mut chains: BTreeMap<&str, Vec<&NftRule>> = BTreeMap::new();
    for rule in rules {
        chains.entry(&rule.chain).or_default().push(rule);
    }
    chains
}

fn rules_of<'r>(chains: &'r BTreeMap<&str, Vec<&'r NftRule>>, chain: &str) -> &'r [&'r NftRule] {
    chains.get(chain).map(Vec::as_slice).unwrap_or_default()
}

/// Whether two lists have the same rules, whatever these have counted.
fn same_rules(one: &[&NftRule], other: &[&NftRule]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same_rule(one, other))
}

fn same_rule(one: &NftRule, other: &NftRule) -> bool {
    let counters = |pair| matches!(pair, (&NftExpr::Counter(_), &NftExpr::Counter(_)));
    one.comment == other.comment
        && one.expressions.len() == other.expressions.len()
        && one
            .expressions
            .iter()
            .zip(&other.expressions)
            .all(|pair| counters(pair) || pair.0 == pair.1)
}
