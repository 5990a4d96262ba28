use std::time::Duration;

use super::entry::{owned_by, reserved_for};
use super::{GuardEntry, GuardLayout};
use crate::config::GuardLevel;
use crate::plan::{Change, PlanError};
use crate::types::{
    IfName, NftBatch, NftChain, NftCommand, NftElement, NftExpr, NftFamily, NftHook, NftRule,
    NftSet, NftTable, NftValue, VifId,
};

/// What there is of the guard's table in one family, and of one port in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_structs, reason = "whoever plans a change makes one")]
pub struct GuardSnapshot {
    /// The ruleset's generation when all this was read.
    pub generation: u32,
    /// The table; none when there is none.
    pub table: Option<NftTable>,
    /// Its sets.
    pub sets: Vec<NftSet>,
    /// Its chains.
    pub chains: Vec<NftChain>,
    /// Its rules, chain by chain in their order.
    pub rules: Vec<NftRule>,
    /// What sets, chains and rules are, by a seal or because they were [compared](GuardEntry::compare); none when they are
    /// something else, or were not compared yet. Where a seal says it, they need not have been read.
    pub whole: Option<GuardLayout>,
    /// Whether the kernel knows `meta ibrname`; only a new table asks.
    pub bridge_names: bool,
    /// Whether what shall go may be told to end by itself, some milliseconds later, rather than be deleted: the kernel
    /// does that to an element that is there ([`Nftables::ends`]), and nobody is about to put anything in its place.
    ///
    /// [`Nftables::ends`]: crate::kernel::Nftables::ends
    pub ends: bool,
    /// Those of the ports in question that have a chain of their own there.
    pub entrances: Vec<IfName>,
    /// The elements that there are of those that are wanted, and of those that the port's old record (or that of its
    /// old name) speaks of.
    pub present: Vec<(NftSet, NftElement)>,
    /// Whether what was planned from this has been carried out, so that there is nothing left to do. An acknowledged batch
    /// needs no looking: all of it was done.
    pub settled: bool,
}

impl GuardSnapshot {
    /// How the table is laid out, or would be if it were made now; an error when it is not the guard's.
    pub fn layout(&self, family: NftFamily) -> Result<GuardLayout, PlanError> {
        if let Some(whole) = &self.whole {
            return Ok(whole.clone());
        }
        let Some(table) = &self.table else {
            return Ok(GuardLayout::new(family, self.bridge_names));
        };
        GuardLayout::of(table, &self.sets).ok_or_else(|| PlanError::ForeignTable {
            family,
            table: table.name.clone(),
            comment: table.comment.clone().unwrap_or_default(),
        })
    }
}

impl GuardEntry {
    /// What makes the port guarded in this way, and in no other; none when it is already.
    ///
    /// The table, and chains that are not as they should be, come in the same batch: there is no moment in between.
    pub fn install(&self, seen: &GuardSnapshot) -> Result<Option<Change>, PlanError> {
        if seen.settled {
            return Ok(None);
        }
        if self.policy.level == GuardLevel::Off {
            return Ok(remove(self.family(), self.owner, false, seen));
        }
        let layout = self.layout(seen.layout(self.family())?);
        let commands = structure(&layout, seen, &self.port);
        // A set of another shape is made anew, and what was in it is gone.
        let kept = |set: &NftSet| {
            let among = |sets: &[NftSet]| sets.iter().any(|other| fits(other, set));
            seen.whole.is_some() || among(&seen.sets) && among(&layout.sets())
        };
        let present: Vec<_> = seen.present.iter().filter(|(set, _)| kept(set)).collect();
        let wanted = self.elements(&layout);
        let same = |a: &(NftSet, NftElement), b: &(NftSet, NftElement)| {
            a.0.name == b.0.name && a.1.key == b.1.key
        };
        let old = seen.entrances.iter().filter(|port| **port != self.port);
        // Where all of it is added, it does not matter what others have changed since it was looked at.
        let (relies, closed) = (!present.is_empty(), old.cloned().collect());
        let mut edit = Edit { relies, closed, ..Edit::default() };
        // Whoever had this name before and has lost it has nothing that leads to his addresses any more.
        let before = record(seen, &self.port).and_then(GuardEntry::owner_of).map(|(of, _)| of);
        let is_mine =
            |old| is_of(old, self.owner) || before.is_some_and(|before| is_of(old, before));
        for old in &present {
            match wanted.iter().find(|new| same(old, new)) {
                Some(new) if new.1.comment == old.1.comment => {}
                // The kernel keeps an element's first comment, so that another one needs another element.
                Some(_) => edit.delete.push((*old).clone()),
                None if !is_owned(&old.0) || is_mine(&old.1) => {
                    edit.delete.push((*old).clone());
                }
                None => {}
            }
        }
        for new in wanted {
            let is_there = |old: &&(NftSet, NftElement)| {
                same(old, &new) && old.1.comment == new.1.comment && old.1.timeout.is_none()
            };
            if !present.iter().any(is_there) {
                edit.add.push(new);
            }
        }
        // Those that have become untrue are left to their end. What elements cannot end in is not sealed.
        let whole = seen.whole.is_some() || all_end(&layout, seen);
        let seal = layout.seal(next(seen.generation)).filter(|_| whole);
        let seal = seal.into_iter().map(add).collect();
        Ok(edit.change(&layout, seen.generation, commands, seal))
    }

    /// Notes whether the table is there for it, with all sets, chains and rules: then [`install`](Self::install) only
    /// changes elements.
    #[must_use]
    pub fn compare(&self, mut seen: GuardSnapshot) -> GuardSnapshot {
        if let Ok(layout) = seen.layout(self.family()) {
            let layout = self.layout(layout);
            let whole = structure(&layout, &seen, &self.port).is_empty() && all_end(&layout, &seen);
            seen.whole = whole.then_some(layout);
        }
        seen
    }
}

/// What takes a port's guard away, and its vif's addresses with it; with `reserve`, these stay reserved for it. None
/// when there is nothing.
pub fn remove(
    family: NftFamily,
    owner: VifId,
    reserve: bool,
    seen: &GuardSnapshot,
) -> Option<Change> {
    if seen.settled {
        return None;
    }
    // A name may be another vif's by now, and then so is all that is filed under it.
    let is_others = |port: &IfName| {
        let record = record(seen, port).and_then(GuardEntry::owner_of);
        record.is_some_and(|(of, _)| of != owner)
    };
    let closed = seen.entrances.iter().filter(|port| !is_others(port)).cloned().collect();
    let mut edit = Edit { closed, ..Edit::default() };
    // Elements end where the set was made for that.
    let ends = |set: &NftSet| {
        let real = || seen.sets.iter().any(|real| real.name == set.name && real.timeout);
        seen.ends && (seen.whole.is_some() || real())
    };
    for (set, element) in &seen.present {
        let delete = (set.clone(), element.clone());
        if !is_owned(set) {
            if !matches!(element.key.first(), Some(NftValue::IfName(port)) if is_others(port)) {
                edit.take_away(delete, ends(set));
            }
            continue;
        }
        let reserved = element.comment == Some(reserved_for(owner));
        if is_of(element, owner) && !(reserve && reserved) {
            // The kernel keeps an element's first comment, so that another one needs another element.
            edit.take_away(delete, ends(set) && !reserve);
            if reserve {
                let key = element.key.iter().cloned();
                edit.add.push((set.clone(), NftElement::new(key).comment(reserved_for(owner))));
            }
        }
    }
    let seal = seen.whole.as_ref().and_then(|whole| whole.seal(next(seen.generation)));
    let seals = seal.map(add).into_iter().collect();
    edit.change(&GuardLayout::new(family, false), seen.generation, Vec::new(), seals)
}

/// What the table says of a port, if it is in it.
fn record<'s>(seen: &'s GuardSnapshot, port: &IfName) -> Option<&'s str> {
    let (ports, question) = GuardLayout::port(port);
    let is_it = |(set, element): &&(NftSet, NftElement)| {
        set.name == ports.name && element.key == question.key
    };
    seen.present.iter().find(is_it)?.1.comment.as_deref()
}

/// Changes of tables of several families, one right after the other: each begins a generation of the ruleset, and the
/// next one is for that.
pub(in crate::plan) fn in_turn(
    changes: impl Iterator<Item = Change>,
) -> impl Iterator<Item = Change> {
    changes.zip(0..).map(|(mut change, before)| {
        if let Change::Nft { batch, .. } = &mut change {
            batch.generation = batch.generation.map(|seen| seen.wrapping_add(before));
        }
        change
    })
}

/// The generation that the ruleset has after the next batch: only in a batch that is the next one does a seal of it
/// become true, and in any other it was never.
fn next(generation: u32) -> u32 {
    generation.wrapping_add(1).max(1)
}

fn add((set, element): (NftSet, NftElement)) -> NftCommand {
    NftCommand::ElementsAdd { set, elements: vec![element] }
}

/// Whether an element is one of these ports', or an address of that vif's: for who has to look through whole sets,
/// because a record was cut.
pub fn belongs(set: &NftSet, element: &NftElement, ports: &[IfName], owner: Option<VifId>) -> bool {
    if is_owned(set) {
        return owner.is_some_and(|owner| is_of(element, owner));
    }
    matches!(element.key.first(), Some(NftValue::IfName(name)) if ports.contains(name))
}

/// Whether it is a set of addresses that have an owner, rather than one of ports and what is theirs.
fn is_owned(set: &NftSet) -> bool {
    set.name.starts_with("owned")
}

/// Whether an owned address is that vif's.
fn is_of(element: &NftElement, owner: VifId) -> bool {
    element.comment == Some(owned_by(owner)) || element.comment == Some(reserved_for(owner))
}

/// Elements to take away, and elements to put in; and ports that lose the chain that is theirs.
#[derive(Default)]
struct Edit {
    /// Whether it is right only as long as what was seen is still there.
    relies: bool,
    closed: Vec<IfName>,
    delete: Vec<(NftSet, NftElement)>,
    /// What is to end by itself, soon.
    end: Vec<(NftSet, NftElement)>,
    add: Vec<(NftSet, NftElement)>,
}

/// When an element ends that is to end: at once, but a tick of no kernel's clock is longer (`CONFIG_HZ` is 100 at least).
pub(crate) const SOON: Duration = Duration::from_millis(10);

impl Edit {
    /// Deletes an element, or lets it end.
    ///
    /// Who deletes one waits for it when he closes his socket, until no packet can be looking at it any more: some
    /// milliseconds, and everybody who is about to change the ruleset waits with him. Of one that ends the kernel takes
    /// care by itself.
    fn take_away(&mut self, element: (NftSet, NftElement), end: bool) {
        if end { &mut self.end } else { &mut self.delete }.push(element);
    }

    fn change(
        self,
        layout: &GuardLayout,
        generation: u32,
        mut commands: Vec<NftCommand>,
        seals: Vec<NftCommand>,
    ) -> Option<Change> {
        // An address or a name that was ours may be another's by then; and elements are deleted by their key, whoever's they
        // are.
        let gone = || self.delete.iter().chain(&self.end);
        let for_this_ruleset = self.relies || !commands.is_empty() || gone().next().is_some();
        let generation = for_this_ruleset.then_some(generation);
        // A port's own chain goes with it, as far as it is there.
        let mut back: Vec<_> = commands.iter().filter_map(entrance).flat_map(close).collect();
        for port in &self.closed {
            commands.extend(close(&GuardLayout::entrance_name(port)));
        }
        for (chain, rule) in self.closed.iter().filter_map(|port| layout.entrance(port)) {
            back.extend([NftCommand::ChainAdd(chain), NftCommand::RuleAdd(rule)]);
        }
        let gone = gone().cloned().collect();
        let undo = Self { delete: self.add.clone(), add: gone, ..Self::default() };
        commands.extend(self.commands());
        if commands.is_empty() {
            return None;
        }
        commands.extend(seals);
        back.extend(undo.commands());
        let batch = |generation, commands| NftBatch {
            family: layout.family,
            table: GuardLayout::TABLE.to_owned(),
            generation,
            commands,
        };
        // All other sets, chains and rules stay: they hold for all ports alike.
        Some(Change::Nft { batch: batch(generation, commands), undo: batch(None, back) })
    }

    /// First what goes: an element whose comment changes is in both.
    fn commands(self) -> Vec<NftCommand> {
        let delete = by_set(self.delete)
            .into_iter()
            .map(|(set, elements)| NftCommand::ElementsDelete { set, elements });
        let end = self.end.into_iter().map(|(set, element)| {
            (set, NftElement { comment: None, note: Vec::new(), timeout: Some(SOON), ..element })
        });
        let add = by_set(end.chain(self.add).collect())
            .into_iter()
            .map(|(set, elements)| NftCommand::ElementsAdd { set, elements });
        delete.chain(add).collect()
    }
}

fn by_set(elements: Vec<(NftSet, NftElement)>) -> Vec<(NftSet, Vec<NftElement>)> {
    let mut sets: Vec<(NftSet, Vec<NftElement>)> = Vec::new();
    for (set, element) in elements {
        let element = NftElement { counter: None, ..element };
        match sets.iter_mut().find(|(other, _)| other.name == set.name) {
            Some((_, elements)) => elements.push(element),
            None => sets.push((set, vec![element])),
        }
    }
    sets
}

/// What makes table, sets, chains and rules as they should be; nothing when they are. Elements stay, but for those of a
/// set that has another shape.
fn structure(layout: &GuardLayout, seen: &GuardSnapshot, port: &IfName) -> Vec<NftCommand> {
    if seen.whole.as_ref() == Some(layout) {
        return Vec::new();
    }
    let (sets, mut rules) = (layout.sets(), layout.rules());
    let mut chains = layout.chains_of(&rules);
    if let Some((chain, rule)) = layout.entrance(port) {
        chains.push(chain);
        rules.push(rule);
    }
    let there: Vec<_> = seen.chains.iter().filter(|chain| !is_of_another(chain, port)).collect();
    let awake = seen.table.as_ref().is_some_and(|table| !table.dormant);
    if awake
        && sets.iter().all(|set| seen.sets.iter().any(|real| fits(real, set)))
        && chains.len() == there.len()
        && chains
            .iter()
            .all(|chain| there.contains(&chain) && same_rules(chain, &rules, &seen.rules))
    {
        return Vec::new();
    }
    let mut commands = vec![NftCommand::TableAdd { comment: Some(layout.comment()) }];
    let flush = |chain: &&NftChain| NftCommand::ChainFlush { chain: chain.name.clone() };
    commands.extend(there.iter().map(flush));
    let gone = there.iter().filter(|chain| !chains.contains(chain));
    commands.extend(gone.map(|chain| NftCommand::ChainDelete { chain: chain.name.clone() }));
    let differs = |real: &&NftSet| sets.iter().any(|new| new.name == real.name && !fits(real, new));
    let gone = seen.sets.iter().filter(differs);
    commands.extend(gone.map(|set| NftCommand::SetDelete { set: set.name.clone() }));
    let new = sets.into_iter().filter(|set| !seen.sets.iter().any(|real| fits(real, set)));
    commands.extend(new.map(NftCommand::SetAdd));
    let new = chains.into_iter().filter(|chain| !there.contains(&chain));
    commands.extend(new.map(NftCommand::ChainAdd));
    commands.extend(rules.into_iter().map(NftCommand::RuleAdd));
    commands
}

/// Whether a set does what another one shall do. That elements can end in it only makes an unplug faster: it is not made
/// anew for that, with all that is in it.
fn fits(real: &NftSet, wanted: &NftSet) -> bool {
    real == wanted || NftSet { timeout: wanted.timeout, ..real.clone() } == *wanted
}

/// Whether elements can end in all sets that there are or will be.
fn all_end(layout: &GuardLayout, seen: &GuardSnapshot) -> bool {
    let sets = layout.sets();
    !seen.sets.iter().any(|real| sets.iter().any(|set| set.name == real.name && real != set))
}

/// Whether a chain is another port's own: one of a device that is gone may be left without it, and is nobody's.
fn is_of_another(chain: &NftChain, port: &IfName) -> bool {
    let device = chain.hook.as_ref().and_then(|hook| hook.device.as_ref());
    device.is_some_and(|of| of != port && chain.name == GuardLayout::entrance_name(of))
}

/// The chain that a command makes, if it is a port's own.
fn entrance(command: &NftCommand) -> Option<&str> {
    match command {
        NftCommand::ChainAdd(NftChain { name, hook: Some(NftHook { device: Some(_), .. }) }) => {
            Some(name)
        }
        _ => None,
    }
}

/// What deletes a port's own chain, which may have gone with its device by then.
fn close(chain: &str) -> [NftCommand; 2] {
    let chain = chain.to_owned();
    let add = NftChain { name: chain.clone(), hook: None };
    [NftCommand::ChainAdd(add), NftCommand::ChainDelete { chain }]
}

/// Whether a chain has the same rules in both lists, whatever they have counted.
fn same_rules(chain: &NftChain, one: &[NftRule], other: &[NftRule]) -> bool {
    let of_chain = |rule: &&NftRule| rule.chain == chain.name;
    let (mut one, mut other) = (one.iter().filter(of_chain), other.iter().filter(of_chain));
    loop {
        match (one.next(), other.next()) {
            (None, None) => return true,
            (Some(one), Some(other)) if same_rule(one, other) => {}
            _ => return false,
        }
    }
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
