//! From the table as it is to the table as it should be: for one port, or for all ports of a family.

use std::collections::BTreeMap;

use ipnet::IpNet;

use super::change::{ElementChange, TableChange, element_commands, key};
use super::goal::{Facts, Goal, WantedElement};
use super::layout::is_owned;
use super::owners::Owners;
use super::snapshot::{port_name, records};
use super::upgrade::Upgrade;
use super::{GuardEntry, GuardLayout, GuardSnapshot};
use crate::config::GuardLevel;
use crate::plan::{Change, PlanError, Warning};
use crate::types::{
    Device, IfName, NftBatch, NftCommand, NftElement, NftFamily, NftSet, NftValue, VifId,
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
    let entries: Vec<&GuardEntry> = entries.collect();
    let known = entries.iter().map(|entry| &entry.port).collect();
    let upgrade = Upgrade::new(family, &known, snapshot);
    let goal = Goal::of(entries, &upgrade);
    let layout = match goal.layout(family, snapshot) {
        Err(_) if goal.entries.is_empty() => GuardLayout::new(family, false),
        layout => layout?,
    };
    let wanted = goal.wanted(&layout);
    let facts = goal.facts(&wanted, snapshot);
    let plan = goal.plan(&layout, &wanted, &facts, snapshot);
    let batch = |commands| NftBatch {
        family,
        table: GuardLayout::TABLE.to_owned(),
        generation: None,
        commands,
    };
    let faults = goal.faults(&plan, snapshot, batch);
    let structure = batch(plan.structure.clone());
    // Lengths of prefixes that nobody uses are no fault, but they go when anything else changes.
    let needed = layout.for_elements(plan.left(snapshot).chain(wanted.iter().map(|(_, one)| one)));
    let smaller = !plan.is_empty() && needed != layout;
    let (layout, plan) = if smaller {
        (&needed, goal.plan(&needed, &wanted, &facts, snapshot))
    } else {
        (&layout, plan)
    };
    Ok(TableRepair {
        faults,
        structure,
        change: plan.into_change(layout, snapshot.generation),
        warnings: goal.shared_addresses(&wanted, &facts, snapshot),
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
        let upgrade = Upgrade::new(self.family(), &[&self.port].into(), snapshot);
        let goal = Goal::of(vec![self], &upgrade);
        let layout = goal.layout(self.family(), snapshot)?;
        Ok(goal.change(&layout, snapshot))
    }

    /// A [`Warning::AddressShared`] for each address of the port's that another vif owns as well.
    pub fn shared_addresses(&self, snapshot: &GuardSnapshot) -> Vec<Warning> {
        let upgrade = Upgrade::default();
        let goal = Goal::of(vec![self], &upgrade);
        match goal.layout(self.family(), snapshot) {
            Ok(layout) if self.is_guarded() => {
                let wanted = goal.wanted(&layout);
                let facts = goal.facts(&wanted, snapshot);
                goal.shared_addresses(&wanted, &facts, snapshot)
            }
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
    let leaving = Some((owner, reserve));
    let goal = Goal { entries: Vec::new(), leaving, upgraded: Default::default() };
    let mut layout = snapshot.layout(family).unwrap_or_else(|_| GuardLayout::new(family, false));
    if let Some(others) = &snapshot.others {
        let reserved = snapshot.present.iter().filter(|(set, _)| reserve && is_owned(set));
        layout = layout.for_elements(others.iter().chain(reserved));
    }
    goal.change(&layout, snapshot)
}

impl Goal<'_> {
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

    /// The addresses that more than one vif owns, once for each entry that claims it.
    fn shared_addresses(
        &self,
        wanted: &[WantedElement<'_>],
        facts: &Facts<'_>,
        snapshot: &GuardSnapshot,
    ) -> Vec<Warning> {
        let listed = snapshot.present.iter().filter(|(set, _)| is_owned(set));
        let listed: BTreeMap<_, _> =
            listed.map(|one| (key(one), Owners::from_element(&one.1))).collect();
        let nobody = Owners::default();
        let mut warnings = Vec::new();
        for (entry, element) in wanted.iter().filter(|(_, (set, _))| is_owned(set)) {
            let listed = listed.get(&key(element)).unwrap_or(&nobody);
            let mut owners = self.owners(key(element), listed, facts, snapshot).active;
            owners.remove(&entry.owner);
            if let (false, Some(address)) = (owners.is_empty(), prefix(element)) {
                let (link, owners) = (entry.port.clone(), owners.into_iter().collect());
                warnings.push(Warning::AddressShared { address, link, owners });
            }
        }
        warnings
    }
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
