//! Restores and removes the guard.

use crate::Error;
use crate::engine::{Held, LockName, Operation, Step, Strictness};
use crate::guard::{GuardFault, GuardTable, Tables, look};
use crate::observe::Facts;
use crate::ops::vif::guarded;
use crate::plan::guard::{GuardEntry, GuardLayout, remove};
use crate::plan::{Change, Plan, PlanError, Warning};
use crate::types::{Device, IfName, NftBatch, NftCommand, VifId};

/// Restores what connected vifs lack of their guard, and removes what is left of vifs that are gone.
#[derive(Debug, Default)]
pub(crate) struct RestoreGuard {
    /// What was missing, port by port.
    pub(crate) faults: Vec<GuardFault>,
    pub(crate) warnings: Vec<Warning>,
}

impl RestoreGuard {
    fn add(&mut self, port: IfName, changes: Option<Change>) {
        if let Some(change) = changes {
            let repair = Ok(Plan::new(vec![change], Vec::new()));
            self.faults.push(GuardFault { port, repair });
        }
    }

    /// What one port lacks by its addresses and by where it is.
    fn port(&mut self, facts: &mut Facts<'_>, id: VifId, device: Device) -> Result<(), Error> {
        let Some(port) = guarded(facts, id, device)? else { return Ok(()) };
        let invalid = port.invalid.into_iter();
        self.warnings.extend(invalid.map(|error| Warning::InvalidValue { vif: id, error }));
        let change = port.entry.and_then(|entry| install(facts, entry.as_ref(), &port.name, id));
        match change {
            Ok(change) => self.add(port.name, change),
            Err(error) => self.faults.push(GuardFault { port: port.name, repair: Err(error) }),
        }
        Ok(())
    }
}

fn install(
    facts: &mut Facts<'_>,
    entry: Option<&GuardEntry>,
    port: &IfName,
    owner: VifId,
) -> Result<Option<Change>, Error> {
    let Some(entry) = entry else { return Ok(None) };
    let nft = facts.connections.nft()?;
    let mut tables = Tables::read(nft, &[entry.family()])?;
    let ports = std::slice::from_ref(port);
    let guard = look(nft, &mut tables, entry.family(), Some(entry), ports, Some(owner))?;
    Ok(entry.install(&guard)?)
}

impl Operation for RestoreGuard {
    fn locks(&self) -> Vec<LockName> {
        vec![LockName::GuardTable]
    }

    fn plan(&mut self, facts: &mut Facts<'_>, _: Held<'_>) -> Result<Step, Error> {
        if facts.connections.store.is_none() {
            let usage =
                "guard: only XenStore says which addresses a guest has; run it without --no-store";
            return Err(Error::Usage(usage.to_owned()));
        }
        *self = Self::default();
        for id in facts.vifs()? {
            for device in [Device::Vif, Device::Tap] {
                self.port(facts, id, device)?;
            }
        }
        for (port, plan) in leftovers(facts)? {
            self.add(port, plan);
        }
        let repairs = self.faults.iter().filter_map(|fault| fault.repair.as_ref().ok());
        let changes = repairs.flat_map(|plan| plan.changes().iter().cloned()).collect();
        Ok(Step::Plan(Plan::new(changes, self.warnings.clone())))
    }

    fn finish(&mut self, _: &mut Facts<'_>, outcome: Result<Plan, Error>) -> Result<Plan, Error> {
        let plan = outcome?;
        // The other ports are restored all the same.
        match self.faults.drain(..).find_map(|fault| fault.repair.err()) {
            Some(error) => Err(error),
            None => Ok(plan),
        }
    }
}

/// What is left of ports whose vif XenStore no longer knows.
fn leftovers(facts: &mut Facts<'_>) -> Result<Vec<(IfName, Option<Change>)>, Error> {
    // First the tables and then the vifs: a vif that is attached in between is known by then.
    let tables = facts.guard_tables_in_full()?;
    let vifs = facts.vifs()?;
    let mut changes = Vec::new();
    for table in tables {
        for port in table.ports() {
            // A record of another program says nothing about who is gone.
            let Some((owner, reserve)) = GuardEntry::owner_of(&port.record) else { continue };
            if vifs.contains(&owner) {
                continue;
            }
            let ports = std::slice::from_ref(&port.port);
            let nft = facts.connections.nft()?;
            let mut tables = Tables::read(nft, &[table.family])?;
            let guard = look(nft, &mut tables, table.family, None, ports, Some(owner))?;
            changes.push((port.port, remove(table.family, owner, reserve, &guard)));
        }
    }
    Ok(changes)
}

/// Removes the guard, tables and all.
#[derive(Debug)]
pub(crate) struct RemoveGuard {
    /// Whether to remove it although it guards vifs.
    pub(crate) force: bool,
}

impl Operation for RemoveGuard {
    fn locks(&self) -> Vec<LockName> {
        vec![LockName::GuardTable]
    }

    fn plan(&mut self, facts: &mut Facts<'_>, _: Held<'_>) -> Result<Step, Error> {
        let tables = facts.guard_tables_in_full()?;
        let ports: Vec<IfName> =
            tables.iter().flat_map(GuardTable::ports).map(|port| port.port).collect();
        if !ports.is_empty() && !self.force {
            return Err(PlanError::StillGuarded { ports }.into());
        }
        let delete = |table: &GuardTable| {
            let batch = |commands| NftBatch {
                family: table.family,
                table: GuardLayout::TABLE.to_owned(),
                generation: None,
                commands,
            };
            Change::Nft { batch: batch(vec![NftCommand::TableDelete]), undo: batch(Vec::new()) }
        };
        Ok(Step::Plan(Plan::new(tables.iter().map(delete).collect(), Vec::new())))
    }

    fn strictness(&self) -> Strictness {
        Strictness::BestEffort
    }
}

impl Facts<'_> {
    /// The guard's tables with all that is in them.
    pub(crate) fn guard_tables_in_full(&mut self) -> Result<Vec<GuardTable>, Error> {
        let nft = self.connections.nft()?;
        let mut tables = Vec::new();
        for family in GuardLayout::FAMILIES {
            if let Some(table) = nft.table(family, GuardLayout::TABLE)? {
                tables.push(GuardTable {
                    family,
                    comment: table.comment.unwrap_or_default(),
                    chains: nft.chains(family, GuardLayout::TABLE)?,
                    rules: nft.rules(family, GuardLayout::TABLE)?,
                    elements: crate::guard::elements(nft, family)?,
                });
            }
        }
        Ok(tables)
    }
}
