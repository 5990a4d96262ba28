//! What each element of a table shall become.

use std::collections::{BTreeMap, BTreeSet};

use super::change::{Action, ElementChange, Key, TableChange, key};
use super::layout::is_owned;
use super::owners::Owners;
use super::snapshot::{port_name, records};
use super::structure::{fits, structure, supports_timeouts};
use super::upgrade::Upgrade;
use super::{GuardEntry, GuardLayout, GuardSnapshot};
use crate::plan::{Change, PlanError};
use crate::types::{IfName, NftCounter, NftElement, NftFamily, NftSet, VifId};

type ByKey<'a, T> = BTreeMap<Key<'a>, T>;

/// An element that an entry wants, with its set.
pub(super) type WantedElement<'a> = (&'a GuardEntry, (NftSet, NftElement));

/// What shall become of a table.
pub(super) struct Goal<'a> {
    pub(super) entries: Vec<&'a GuardEntry>,
    /// The vif that is unplugged, and whether its addresses stay reserved.
    pub(super) leaving: Option<(VifId, bool)>,
    /// The ports of an older table, and their vifs.
    pub(super) upgraded: (BTreeSet<IfName>, BTreeSet<VifId>),
}

/// What the plan for one element depends on, of all others.
pub(super) struct Facts<'a> {
    /// The ports that shall be guarded.
    ports: BTreeSet<&'a IfName>,
    /// What the table says of each port.
    records: BTreeMap<&'a IfName, &'a str>,
    /// The vifs whose addresses are known: they own what they claim, and nothing else.
    planned: BTreeSet<VifId>,
    /// The owners that are gone, but whose addresses stay reserved.
    reserving: BTreeSet<VifId>,
    /// Who claims which address.
    claims: BTreeMap<Key<'a>, BTreeSet<VifId>>,
}

impl<'a> Goal<'a> {
    /// These entries, and those of an older table's other ports.
    pub(super) fn of(entries: Vec<&'a GuardEntry>, upgrade: &'a Upgrade) -> Self {
        let upgraded = (upgrade.ports.clone(), upgrade.owners.clone());
        Self {
            entries: entries.into_iter().chain(&upgrade.entries).collect(),
            leaving: None,
            upgraded,
        }
    }

    pub(super) fn layout(
        &self,
        family: NftFamily,
        snapshot: &GuardSnapshot,
    ) -> Result<GuardLayout, PlanError> {
        let layout = snapshot.layout(family)?;
        Ok(self.entries.iter().fold(layout, |layout, entry| entry.layout(layout)))
    }

    /// The elements of each entry, each with its entry.
    pub(super) fn wanted(&self, layout: &GuardLayout) -> Vec<WantedElement<'a>> {
        let of_entry = |entry: &&'a GuardEntry| {
            let entry = *entry;
            entry.elements(layout).into_iter().map(move |element| (entry, element))
        };
        self.entries.iter().flat_map(of_entry).collect()
    }

    pub(super) fn change(&self, layout: &GuardLayout, snapshot: &GuardSnapshot) -> Option<Change> {
        let wanted = self.wanted(layout);
        let facts = self.facts(&wanted, snapshot);
        self.plan(layout, &wanted, &facts, snapshot).into_change(layout, snapshot.generation)
    }

    pub(super) fn facts<'f>(
        &'f self,
        wanted: &'f [WantedElement<'_>],
        snapshot: &'f GuardSnapshot,
    ) -> Facts<'f> {
        let records = records(&snapshot.present);
        let owner = |port| records.get(port).copied().and_then(GuardEntry::owner_of);
        let mut planned = BTreeSet::new();
        for entry in &self.entries {
            let record = records.get(&entry.port).copied();
            if entry.claims || record.is_some_and(|it| GuardEntry::record_claims(&entry.port, it)) {
                planned.insert(entry.owner);
            }
            // A vif that had this port's name and lost it has no port that leads to its addresses.
            planned
                .extend(owner(&entry.port).map(|(owner, _)| owner).filter(|o| *o != entry.owner));
        }
        let reserving = records.values().filter_map(|record| GuardEntry::owner_of(record));
        let reserving =
            reserving.filter(|(owner, reserve)| *reserve && snapshot.gone.contains(owner));
        let mut claims: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for (entry, element) in wanted.iter().filter(|(_, (set, _))| is_owned(set)) {
            claims.entry(key(element)).or_default().insert(entry.owner);
        }
        Facts {
            ports: self.entries.iter().map(|entry| &entry.port).collect(),
            planned,
            reserving: reserving.map(|(owner, _)| owner).collect(),
            claims,
            records,
        }
    }

    pub(super) fn plan(
        &self,
        layout: &GuardLayout,
        wanted: &[WantedElement<'_>],
        facts: &Facts<'_>,
        snapshot: &GuardSnapshot,
    ) -> TableChange {
        // Where nothing is to be guarded, only the lengths of prefixes matter.
        let drops_lengths = || snapshot.layout(layout.family).is_ok_and(|real| real != *layout);
        let structure = if self.entries.is_empty() && !drops_lengths() {
            Vec::new()
        } else {
            structure(layout, snapshot, &facts.ports)
        };
        // The elements of a set that is made again are gone, but not what they have counted.
        let (present, lost) = split_by_set(layout, snapshot);
        let mut changes = Vec::new();
        let wanted_of_ports: BTreeMap<_, _> = wanted.iter().map(|(_, e)| (key(e), e)).collect();
        for old in present.values() {
            if is_owned(&old.0) {
                self.plan_owned(old, facts, snapshot, &mut changes);
            } else {
                let new = wanted_of_ports.get(&key(old)).copied();
                self.plan_of_port(old, new, facts, snapshot, &mut changes);
            }
        }
        let mut added = BTreeSet::new();
        for (_, new) in wanted {
            if present.contains_key(&key(new)) || !added.insert(key(new)) {
                continue;
            }
            let (set, element) = new.clone();
            if let Some(owners) = facts.claims.get(&key(new)) {
                let all = Owners { active: owners.clone(), ..Owners::default() };
                let element = element.comment(all.comment());
                let owners = owners.iter().copied().collect();
                changes.push(ElementChange { action: Action::Create, set, element, owners });
            } else {
                let counter = lost.get(&key(new)).copied();
                let element = NftElement { counter, ..element };
                changes.push(ElementChange {
                    action: Action::Add,
                    set,
                    element,
                    owners: Vec::new(),
                });
            }
        }
        let verifiable = snapshot.verified.is_some()
            || !self.entries.is_empty() && supports_timeouts(layout, snapshot);
        let closed = snapshot.entrances.iter();
        let closed = closed
            .filter(|port| !facts.ports.contains(port) && self.removes_port(port, facts, snapshot));
        let verification = verifiable.then(|| layout.verification(next(snapshot.generation)));
        TableChange {
            needs_generation: !self.entries.is_empty() && !present.is_empty(),
            closed_ports: closed.cloned().collect(),
            structure,
            elements: changes,
            upgraded: self.upgraded.clone(),
            verification: verification.flatten(),
        }
    }

    /// An element of a port: it goes with its port, or if the port does not need it.
    fn plan_of_port(
        &self,
        old: &(NftSet, NftElement),
        new: Option<&(NftSet, NftElement)>,
        facts: &Facts<'_>,
        snapshot: &GuardSnapshot,
        changes: &mut Vec<ElementChange>,
    ) {
        let Some(port) = port_name(&old.1) else { return };
        let mut push = |action, (set, element): &(NftSet, NftElement)| {
            let (set, element) = (set.clone(), element.clone());
            changes.push(ElementChange { action, set, element, owners: Vec::new() });
        };
        match new {
            // A counter is never reset for a comment; the kernel keeps an element's first one.
            Some(new) if old.1.comment != new.1.comment && !new.0.counter => {
                push(Action::Delete, old);
                push(Action::Add, new);
            }
            Some(new) if old.1.timeout.is_some() => push(Action::Keep, new),
            // What the rules counted of a port stays as long as the port.
            None if facts.ports.contains(port) && old.0.dynamic => {}
            None if facts.ports.contains(port) => push(Action::Delete, old),
            None if self.removes_port(port, facts, snapshot) => {
                push(self.removal(&old.0, snapshot), old);
            }
            Some(_) | None => {}
        }
    }

    /// An address: each owner joins and leaves on its own, and the address is free when the last one has left.
    fn plan_owned(
        &self,
        old: &(NftSet, NftElement),
        facts: &Facts<'_>,
        snapshot: &GuardSnapshot,
        changes: &mut Vec<ElementChange>,
    ) {
        let (set, element) = old;
        let listed = Owners::from_element(element);
        let owners = self.owners(key(old), &listed, facts, snapshot);
        let mut push = |action, element| {
            let moved = listed.active.symmetric_difference(&owners.active);
            let moved = moved.chain(listed.reserved.symmetric_difference(&owners.reserved));
            let moved: Vec<VifId> = moved.copied().collect();
            let owners =
                if moved.is_empty() { owners.active.iter().copied().collect() } else { moved };
            changes.push(ElementChange { action, set: set.clone(), element, owners });
        };
        if owners.as_listed() != listed {
            if owners.is_empty() {
                return push(self.removal(set, snapshot), element.clone());
            }
            push(Action::Delete, element.clone());
            let new = NftElement::new(element.key.iter().cloned());
            push(Action::Create, new.comment(owners.comment()));
        } else if element.timeout.is_some() && facts.claims.contains_key(&key(old)) {
            push(Action::Keep, element.clone());
        }
    }

    /// The owners that an address shall have.
    pub(super) fn owners(
        &self,
        address: Key<'_>,
        listed: &Owners,
        facts: &Facts<'_>,
        snapshot: &GuardSnapshot,
    ) -> Owners {
        // Any vif may be among the owners that a comment had no room for. Only who knows all vifs can tell.
        if listed.cut && !snapshot.complete {
            return listed.clone();
        }
        let nobody = BTreeSet::new();
        let claimants = facts.claims.get(&address).unwrap_or(&nobody);
        let leaves = |owner: &VifId| self.leaving.is_some_and(|(leaving, _)| leaving == *owner);
        let stays = |owner: &&VifId| !facts.planned.contains(owner) || claimants.contains(owner);
        let active = listed.active.iter().filter(stays);
        let active = active.filter(|owner| !snapshot.gone.contains(owner) && !leaves(owner));
        let active: BTreeSet<VifId> = active.copied().chain(claimants.iter().copied()).collect();
        // A guest that boots again has another number: whoever gets the address next is taken for that guest.
        if !claimants.is_subset(&listed.active) {
            return Owners { active, ..Owners::default() };
        }
        let keeps_address = |owner: &VifId| match self.leaving {
            Some((leaving, reserve)) if leaving == *owner => reserve,
            _ => facts.reserving.contains(owner),
        };
        let left = listed.active.difference(&active).filter(|owner| keeps_address(owner));
        let waiting = listed.reserved.iter().filter(stays);
        let waiting = waiting.filter(|owner| !leaves(owner) || keeps_address(owner));
        Owners { reserved: waiting.chain(left).copied().collect(), active, cut: false }
    }

    /// Whether all elements of a port that shall not be guarded go.
    fn removes_port(&self, port: &IfName, facts: &Facts<'_>, snapshot: &GuardSnapshot) -> bool {
        let Some(record) = facts.records.get(port) else { return true };
        match GuardEntry::owner_of(record) {
            Some((owner, _)) if snapshot.gone.contains(&owner) => true,
            // A port that had another name leaves its elements there. Its name may be another vif's by now.
            Some((owner, _)) if !snapshot.complete => {
                self.leaving.is_some_and(|(leaving, _)| leaving == owner)
                    || self.entries.iter().any(|entry| entry.owner == owner)
            }
            Some(_) => false,
            // Of a record of somebody else's nobody knows whether its port is plugged.
            None => !snapshot.complete,
        }
    }

    /// How an element is removed that nothing replaces.
    fn removal(&self, set: &NftSet, snapshot: &GuardSnapshot) -> Action {
        // The kernel gives no timeout to an element that a rule has added.
        let supported = snapshot.supports_element_expiry && self.entries.is_empty() && !set.dynamic;
        let has_timeouts = |real: &NftSet| real.name == set.name && real.timeout;
        let in_set = || snapshot.verified.is_some() || snapshot.sets.iter().any(has_timeouts);
        if supported && in_set() { Action::Expire } else { Action::Delete }
    }
}

/// The elements of sets that stay, and what those of other sets have counted.
fn split_by_set<'s>(
    layout: &GuardLayout,
    snapshot: &'s GuardSnapshot,
) -> (ByKey<'s, &'s (NftSet, NftElement)>, ByKey<'s, NftCounter>) {
    // To list the layout's sets takes longer than all else here.
    if snapshot.verified.is_some() || snapshot.present.is_empty() {
        return (snapshot.present.iter().map(|one| (key(one), one)).collect(), ByKey::new());
    }
    let wanted = layout.sets();
    let wanted: BTreeMap<_, _> = wanted.iter().map(|set| (set.name.as_str(), set)).collect();
    let real: BTreeMap<_, _> = snapshot.sets.iter().map(|set| (set.name.as_str(), set)).collect();
    let stays = |name: &str| {
        let pair = real.get(name).zip(wanted.get(name));
        pair.is_some_and(|(real, wanted)| fits(real, wanted))
    };
    let (present, lost): (Vec<_>, Vec<_>) =
        snapshot.present.iter().partition(|(set, _)| stays(&set.name));
    let counted = lost.into_iter().filter_map(|one| Some((key(one), one.1.counter?)));
    (present.into_iter().map(|one| (key(one), one)).collect(), counted.collect())
}

/// The generation that the ruleset has after the next batch. A batch that is not the next one leaves a verification of a
/// generation that has passed, which never comes back.
fn next(generation: u32) -> u32 {
    generation.wrapping_add(1).max(1)
}
