//! From the table as it is to the table as it should be: for one port, or for all ports of a family.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use super::change::{Action, ElementChange, TableChange, element_commands};
use super::layout::is_owned;
use super::owners::Owners;
use super::snapshot::{port_name, records};
use super::structure::{fits, structure, supports_timeouts};
use super::{GuardEntry, GuardLayout, GuardSnapshot};
use crate::config::GuardLevel;
use crate::plan::{Change, PlanError, Warning};
use crate::types::{
    Device, IfName, NftBatch, NftCommand, NftCounter, NftElement, NftFamily, NftSet, NftValue,
    VifId,
};

/// What a family's table needs to guard a list of ports, and what is wrong for which port.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableRepair {
    /// One batch for all; none if the table is as it should be.
    pub change: Option<Change>,
    /// The part of the batch that all ports need: table, sets, chains and rules. Without commands if these are right.
    pub structure: NftBatch,
    /// The ports for which something is wrong: all that shall be guarded if the structure is not right, and those with
    /// elements to add or to remove.
    pub faults: Vec<PortFault>,
    /// Addresses that several vifs have.
    pub warnings: Vec<Warning>,
}

/// What is wrong for one port.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PortFault {
    /// The port; of an owner that is gone, the port that it had.
    pub port: IfName,
    /// The part of the batch that concerns this port's elements. Without commands if only the structure is not right.
    pub elements: NftBatch,
}

/// What makes a family's table guard these ports in this way; with a [complete](GuardSnapshot::complete) snapshot, also what
/// removes the elements of ports and owners that are gone. It takes time proportional to the number of elements.
///
/// Entries of other families and of level `off` are ignored. A vif that is plugged, but whose entry is not known, keeps what
/// it has, as long as it is not among the [gone](GuardSnapshot::gone).
///
/// An error if there is a table of this name that is not the guard's, and a port shall be guarded.
pub fn reconcile(
    family: NftFamily,
    entries: &[GuardEntry],
    snapshot: &GuardSnapshot,
) -> Result<TableRepair, PlanError> {
    let entries = entries.iter().filter(|entry| entry.family() == family && entry.is_guarded());
    let goal = Goal { entries: entries.collect(), leaving: None };
    let layout = match goal.layout(family, snapshot) {
        Err(_) if goal.entries.is_empty() => GuardLayout::new(family, false),
        layout => layout?,
    };
    let plan = goal.plan(&layout, snapshot);
    let batch = |commands| NftBatch {
        family,
        table: GuardLayout::TABLE.to_owned(),
        generation: None,
        commands,
    };
    Ok(TableRepair {
        faults: goal.faults(&plan, snapshot, batch),
        structure: batch(plan.structure.clone()),
        change: plan.into_change(&layout, snapshot.generation),
        warnings: goal.shared_addresses(&layout, snapshot),
    })
}

impl GuardEntry {
    /// What makes the port guarded in this way, and in no other; none if it is.
    ///
    /// The table, and what is not right of its sets, chains and rules, come in the same batch.
    pub fn install(&self, snapshot: &GuardSnapshot) -> Result<Option<Change>, PlanError> {
        if !self.is_guarded() {
            return Ok(remove(self.family(), self.owner, false, snapshot));
        }
        let goal = Goal { entries: vec![self], leaving: None };
        let layout = goal.layout(self.family(), snapshot)?;
        Ok(goal.plan(&layout, snapshot).into_change(&layout, snapshot.generation))
    }

    /// A [`Warning::AddressShared`] for each address of the port's that another vif owns as well.
    pub fn shared_addresses(&self, snapshot: &GuardSnapshot) -> Vec<Warning> {
        let goal = Goal { entries: vec![self], leaving: None };
        match goal.layout(self.family(), snapshot) {
            Ok(layout) if self.is_guarded() => goal.shared_addresses(&layout, snapshot),
            _ => Vec::new(),
        }
    }

    fn is_guarded(&self) -> bool {
        self.policy.level != GuardLevel::Off
    }
}

/// What takes the guard of a vif's ports away, and the vif from the owners of its addresses; with `reserve`, these stay
/// reserved for it. None if there is nothing to do.
pub fn remove(
    family: NftFamily,
    owner: VifId,
    reserve: bool,
    snapshot: &GuardSnapshot,
) -> Option<Change> {
    let goal = Goal { entries: Vec::new(), leaving: Some((owner, reserve)) };
    let layout = snapshot.layout(family).unwrap_or_else(|_| GuardLayout::new(family, false));
    goal.plan(&layout, snapshot).into_change(&layout, snapshot.generation)
}

/// The name of an element's set, and its key.
type Key<'a> = (&'a str, &'a [NftValue]);

fn key<'a>((set, element): &'a (NftSet, NftElement)) -> Key<'a> {
    (&set.name, &element.key)
}

/// What shall become of a table.
struct Goal<'a> {
    entries: Vec<&'a GuardEntry>,
    /// The vif that is unplugged, and whether its addresses stay reserved.
    leaving: Option<(VifId, bool)>,
}

/// What the plan for one element depends on, of all others.
struct Facts<'a> {
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
    fn layout(
        &self,
        family: NftFamily,
        snapshot: &GuardSnapshot,
    ) -> Result<GuardLayout, PlanError> {
        let layout = snapshot.layout(family)?;
        Ok(self.entries.iter().fold(layout, |layout, entry| entry.layout(layout)))
    }

    /// The elements of each entry.
    fn wanted(&self, layout: &GuardLayout) -> Vec<(VifId, (NftSet, NftElement))> {
        let of_entry = |entry: &&GuardEntry| {
            let owner = entry.owner;
            entry.elements(layout).into_iter().map(move |element| (owner, element))
        };
        self.entries.iter().flat_map(of_entry).collect()
    }

    fn facts(
        &'a self,
        wanted: &'a [(VifId, (NftSet, NftElement))],
        snapshot: &'a GuardSnapshot,
    ) -> Facts<'a> {
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
        for (owner, element) in wanted.iter().filter(|(_, (set, _))| is_owned(set)) {
            claims.entry(key(element)).or_default().insert(*owner);
        }
        Facts {
            ports: self.entries.iter().map(|entry| &entry.port).collect(),
            planned,
            reserving: reserving.map(|(owner, _)| owner).collect(),
            claims,
            records,
        }
    }

    fn plan(&self, layout: &GuardLayout, snapshot: &GuardSnapshot) -> TableChange {
        let wanted = self.wanted(layout);
        let facts = self.facts(&wanted, snapshot);
        let structure = if self.entries.is_empty() {
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
                self.plan_owned(old, &facts, snapshot, &mut changes);
            } else {
                let new = wanted_of_ports.get(&key(old)).copied();
                self.plan_of_port(old, new, &facts, snapshot, &mut changes);
            }
        }
        let mut added = BTreeSet::new();
        for (_, new) in &wanted {
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
        let closed = closed.filter(|port| {
            !facts.ports.contains(port) && self.removes_port(port, &facts, snapshot)
        });
        let verification = match (&snapshot.verified, self.entries.is_empty()) {
            (Some(verified), true) => verified.verification(next(snapshot.generation)),
            _ => layout.verification(next(snapshot.generation)),
        };
        TableChange {
            needs_generation: !self.entries.is_empty() && !present.is_empty(),
            closed_ports: closed.cloned().collect(),
            structure,
            elements: changes,
            verification: verification.filter(|_| verifiable),
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
            Some(_) => {}
            None if facts.ports.contains(port) => push(Action::Delete, old),
            None if self.removes_port(port, facts, snapshot) => {
                push(self.removal(&old.0, snapshot), old);
            }
            None => {}
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
    fn owners(
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
        let reserves = |owner: &VifId| match self.leaving {
            Some((leaving, reserve)) if leaving == *owner => reserve,
            _ => facts.reserving.contains(owner),
        };
        let leaving =
            listed.active.iter().filter(|owner| !active.contains(owner) && reserves(owner));
        let reserved = listed.reserved.iter().filter(stays);
        let reserved = reserved.filter(|owner| !leaves(owner) || reserves(owner));
        Owners { reserved: reserved.chain(leaving).copied().collect(), active, cut: false }
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
        let supported = snapshot.supports_element_expiry && self.entries.is_empty();
        let has_timeouts = |real: &NftSet| real.name == set.name && real.timeout;
        let in_set = || snapshot.verified.is_some() || snapshot.sets.iter().any(has_timeouts);
        if supported && in_set() { Action::Expire } else { Action::Delete }
    }

    /// What is wrong, port by port.
    fn faults(
        &self,
        plan: &TableChange,
        snapshot: &GuardSnapshot,
        batch: impl Fn(Vec<NftCommand>) -> NftBatch,
    ) -> Vec<PortFault> {
        let mut names: BTreeMap<VifId, IfName> = BTreeMap::new();
        for (port, record) in records(&snapshot.present) {
            names.extend(GuardEntry::owner_of(record).map(|(owner, _)| (owner, port.clone())));
        }
        // A tap shares its vif's addresses, and claims none.
        for entry in self.entries.iter().filter(|entry| entry.claims) {
            names.insert(entry.owner, entry.port.clone());
        }
        let name =
            |owner: &VifId| names.get(owner).cloned().or_else(|| owner.if_name(Device::Vif).ok());
        let mut changes: BTreeMap<IfName, Vec<&ElementChange>> = BTreeMap::new();
        if !plan.structure.is_empty() {
            changes.extend(self.entries.iter().map(|entry| (entry.port.clone(), Vec::new())));
        }
        for port in &plan.closed_ports {
            changes.entry(port.clone()).or_default();
        }
        for change in &plan.elements {
            let ports = match port_name(&change.element) {
                Some(port) if !is_owned(&change.set) => vec![port.clone()],
                _ => change.owners.iter().filter_map(name).collect(),
            };
            for port in ports {
                changes.entry(port).or_default().push(change);
            }
        }
        let fault = |(port, changes): (_, Vec<&ElementChange>)| PortFault {
            port,
            elements: batch(element_commands(changes.into_iter())),
        };
        changes.into_iter().map(fault).collect()
    }

    /// The addresses that more than one vif owns, each with the entries that claim it.
    fn shared_addresses(&self, layout: &GuardLayout, snapshot: &GuardSnapshot) -> Vec<Warning> {
        let wanted = self.wanted(layout);
        let facts = self.facts(&wanted, snapshot);
        let listed = snapshot.present.iter().filter(|(set, _)| is_owned(set));
        let listed: BTreeMap<_, _> =
            listed.map(|one| (key(one), Owners::from_element(&one.1))).collect();
        let nobody = Owners::default();
        let mut warnings = Vec::new();
        for entry in &self.entries {
            for one in entry.elements(layout).iter().filter(|(set, _)| is_owned(set)) {
                let listed = listed.get(&key(one)).unwrap_or(&nobody);
                let mut owners = self.owners(key(one), listed, &facts, snapshot).active;
                owners.remove(&entry.owner);
                if let (false, Some(address)) = (owners.is_empty(), prefix(one)) {
                    let owners = owners.into_iter().collect();
                    let link = entry.port.clone();
                    warnings.push(Warning::AddressShared { address, link, owners });
                }
            }
        }
        warnings
    }
}

/// The elements of sets that stay, and what those of other sets have counted.
fn split_by_set<'s>(
    layout: &GuardLayout,
    snapshot: &'s GuardSnapshot,
) -> (BTreeMap<Key<'s>, &'s (NftSet, NftElement)>, BTreeMap<Key<'s>, NftCounter>) {
    let wanted = layout.sets();
    let wanted: BTreeMap<_, _> = wanted.iter().map(|set| (set.name.as_str(), set)).collect();
    let real: BTreeMap<_, _> = snapshot.sets.iter().map(|set| (set.name.as_str(), set)).collect();
    let stays = |name: &str| {
        let pair = real.get(name).zip(wanted.get(name));
        snapshot.verified.is_some() || pair.is_some_and(|(real, wanted)| fits(real, wanted))
    };
    let (present, lost): (Vec<_>, Vec<_>) =
        snapshot.present.iter().partition(|(set, _)| stays(&set.name));
    let counted = lost.into_iter().filter_map(|one| Some((key(one), one.1.counter?)));
    (present.into_iter().map(|one| (key(one), one)).collect(), counted.collect())
}

/// The prefix that an element of a set of owned addresses stands for.
fn prefix((set, element): &(NftSet, NftElement)) -> Option<IpNet> {
    let length = set.name.rsplit_once('_')?.1.parse().ok()?;
    let address = match element.key.last()? {
        NftValue::Ipv4Addr(address) => (*address).into(),
        NftValue::Ipv6Addr(address) => (*address).into(),
        _ => return None,
    };
    IpNet::new(address, length).ok()
}

/// The generation that the ruleset has after the next batch. A batch that is not the next one leaves a verification of a
/// generation that has passed, which never comes back.
fn next(generation: u32) -> u32 {
    generation.wrapping_add(1).max(1)
}
