//! From changes of elements, sets, chains and rules to one batch and its undo.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::GuardSnapshot;
use super::layout::{GuardLayout, is_owned};
use super::snapshot::port_name;
use super::structure::{added_entrance, delete_entrance};
use crate::plan::Change;
use crate::types::{IfName, NftBatch, NftCommand, NftElement, NftSet, NftValue, VifId};

/// The timeout of an element that shall end at once. The kernel rounds it up to the next tick of its clock, of 1 to 10 ms.
const SOON: Duration = Duration::from_millis(1);

/// What an element has left, at the most, that was given a short timeout.
pub(crate) const ENDING: Duration = Duration::from_millis(10);

/// The name of an element's set, and its key.
pub(super) type Key<'a> = (&'a str, &'a [NftValue]);

pub(super) fn key((set, element): &(NftSet, NftElement)) -> Key<'_> {
    (&set.name, &element.key)
}

/// What happens to an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// It is deleted. The kernel makes whoever deletes an element wait for some milliseconds, at the latest when the socket
    /// is closed, and everybody with him who changes the ruleset.
    Delete,
    /// It gets a [short timeout](SOON), which nobody waits for.
    Expire,
    /// It is added; one that exists stays as it is.
    Add,
    /// It is added, and must not exist: of an element that exists the kernel would keep the comment, and with it the owners.
    Create,
    /// It loses its timeout.
    Keep,
}

/// A change of one element.
#[derive(Debug, Clone)]
pub(super) struct ElementChange {
    pub(super) action: Action,
    pub(super) set: NftSet,
    pub(super) element: NftElement,
    /// The owners that it concerns; none for an element that is filed under a port.
    pub(super) owners: Vec<VifId>,
}

/// All that a table needs.
#[derive(Debug, Default)]
pub(super) struct TableChange {
    /// Whether it is right only while the ruleset has the generation that was observed.
    pub(super) needs_generation: bool,
    /// The ports whose own chains are deleted.
    pub(super) closed_ports: Vec<IfName>,
    /// Commands for sets, chains and rules.
    pub(super) structure: Vec<NftCommand>,
    /// Changes of elements.
    pub(super) elements: Vec<ElementChange>,
    /// The ports of an older table that the batch replaces, and their vifs: the undo leaves their elements.
    pub(super) upgraded: (BTreeSet<IfName>, BTreeSet<VifId>),
    /// The cached verification of the table as it will be.
    pub(super) verification: Option<(NftSet, NftElement)>,
}

impl TableChange {
    /// Whether there is nothing to do.
    pub(super) fn is_empty(&self) -> bool {
        self.structure.is_empty() && self.closed_ports.is_empty() && self.elements.is_empty()
    }

    /// Those of the elements that were observed which it does not remove.
    pub(super) fn left<'s>(
        &'s self,
        snapshot: &'s GuardSnapshot,
    ) -> impl Iterator<Item = &'s (NftSet, NftElement)> {
        let removed = self.elements.iter().filter(|change| change.removes());
        let removed: BTreeSet<Key<'_>> =
            removed.map(|it| (it.set.name.as_str(), it.element.key.as_slice())).collect();
        snapshot.present.iter().filter(move |one| !removed.contains(&key(one)))
    }

    /// One batch and its undo; none if there is nothing to do.
    pub(super) fn into_change(self, layout: &GuardLayout, generation: u32) -> Option<Change> {
        // Elements are deleted by their key, and may be another vif's in the next generation.
        let needs_generation = self.needs_generation
            || !self.structure.is_empty()
            || self.elements.iter().any(ElementChange::removes);
        let mut commands = self.structure;
        let mut undo: Vec<_> =
            commands.iter().filter_map(added_entrance).flat_map(delete_entrance).collect();
        for port in &self.closed_ports {
            commands.extend(delete_entrance(&GuardLayout::entrance_name(port)));
        }
        for (chain, rule) in self.closed_ports.iter().filter_map(|port| layout.entrance(port)) {
            undo.extend([NftCommand::ChainAdd(chain), NftCommand::RuleAdd(rule)]);
        }
        commands.extend(element_commands(self.elements.iter()));
        if commands.is_empty() {
            return None;
        }
        if let Some((set, element)) = self.verification {
            commands.push(NftCommand::ElementsAdd { set, elements: vec![element] });
        }
        let (ports, owners) = &self.upgraded;
        let stays = |change: &ElementChange| match port_name(&change.element) {
            Some(port) if !is_owned(&change.set) => ports.contains(port),
            _ => change.owners.iter().all(|owner| owners.contains(owner)),
        };
        let elements =
            self.elements.into_iter().filter(|change| ports.is_empty() || !stays(change));
        let undone: Vec<_> = elements.filter_map(ElementChange::undo).collect();
        undo.extend(element_commands(undone.iter()));
        let batch = |generation, commands| NftBatch {
            family: layout.family,
            table: GuardLayout::TABLE.to_owned(),
            generation,
            commands,
        };
        // The undo leaves sets, chains and rules as they are: they are right for all ports.
        Some(Change::Nft {
            batch: batch(needs_generation.then_some(generation), commands),
            undo: batch(None, undo),
        })
    }
}

impl ElementChange {
    fn removes(&self) -> bool {
        matches!(self.action, Action::Delete | Action::Expire)
    }

    fn undo(self) -> Option<Self> {
        let action = match self.action {
            Action::Delete | Action::Expire => Action::Add,
            Action::Add | Action::Create => Action::Delete,
            Action::Keep => return None,
        };
        let element = NftElement { timeout: None, ..self.element };
        Some(Self { action, element, ..self })
    }
}

/// The commands for some changes of elements. Deletions come first: an element whose comment changes is deleted and added.
pub(super) fn element_commands<'c>(
    changes: impl Iterator<Item = &'c ElementChange>,
) -> Vec<NftCommand> {
    let mut deleted = Vec::new();
    let mut added = Vec::new();
    let mut places = BTreeMap::new();
    for ElementChange { action, set, element, .. } in changes {
        let commands = if *action == Action::Delete { &mut deleted } else { &mut added };
        let element = match action {
            Action::Expire => {
                NftElement { timeout: Some(SOON), ..NftElement::new(element.key.iter().cloned()) }
            }
            Action::Delete => NftElement::new(element.key.iter().cloned()),
            Action::Keep => NftElement { timeout: None, counter: None, ..element.clone() },
            Action::Add | Action::Create => element.clone(),
        };
        // One command for each kind of command and set, in the order in which the sets come first.
        let kind = match action {
            Action::Delete => 0,
            Action::Create => 1,
            Action::Expire | Action::Add | Action::Keep => 2,
        };
        let place = *places.entry((kind, set.name.as_str())).or_insert_with(|| {
            let (set, elements) = (set.clone(), Vec::new());
            commands.push(match action {
                Action::Delete => NftCommand::ElementsDelete { set, elements },
                Action::Create => NftCommand::ElementsCreate { set, elements },
                _ => NftCommand::ElementsAdd { set, elements },
            });
            commands.len() - 1
        });
        if let Some(
            NftCommand::ElementsDelete { elements, .. }
            | NftCommand::ElementsCreate { elements, .. }
            | NftCommand::ElementsAdd { elements, .. },
        ) = commands.get_mut(place)
        {
            elements.push(element);
        }
    }
    deleted.into_iter().chain(added).collect()
}

/// Changes of tables of several families, to be made one right after the other. Each begins a generation of the ruleset, and
/// the next one must be for that generation.
pub(crate) fn in_turn(changes: impl Iterator<Item = Change>) -> impl Iterator<Item = Change> {
    changes.zip(0..).map(|(mut change, earlier)| {
        if let Change::Nft { batch, .. } = &mut change {
            batch.generation = batch.generation.map(|first| first.wrapping_add(earlier));
        }
        change
    })
}
