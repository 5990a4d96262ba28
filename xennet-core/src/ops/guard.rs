//! Restores and removes the guard.

use std::collections::BTreeSet;

use crate::Error;
use crate::engine::{Held, LockName, Operation, Step, Strictness};
use crate::observe::Facts;
use crate::ops::vif::guarded;
use crate::plan::guard::{
    GuardEntry, GuardLayout, GuardTable, PortFault, TableRepair, in_turn, reconcile,
};
use crate::plan::{Change, Plan, PlanError, Warning};
use crate::types::{Device, IfName, NftBatch, NftCommand, VifId};

/// What the guard of one port lacks, or has left of a vif that is gone.
#[derive(Debug)]
#[non_exhaustive]
pub struct GuardFault {
    /// The interface.
    pub port: IfName,
    /// What would repair it; an error when that cannot be planned.
    pub repair: Result<Plan, Error>,
}

/// What a check of the guard has found.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct GuardReport {
    /// What is wrong, and what would repair it; empty when the guard is complete.
    pub faults: Vec<GuardFault>,
    /// What xennet does not repair.
    pub warnings: Vec<Warning>,
}

/// Restores what connected vifs lack of their guard, and removes what is left of vifs that are gone: one look at all of
/// them, and one batch for each family of nftables.
#[derive(Debug, Default)]
pub(crate) struct RestoreGuard {
    pub(crate) report: GuardReport,
}

impl RestoreGuard {
    /// What each connected port is to be held to, and the vifs of which that is known.
    fn entries(
        &mut self,
        facts: &mut Facts<'_>,
        vifs: &[VifId],
    ) -> Result<(Vec<GuardEntry>, BTreeSet<VifId>), Error> {
        let (mut entries, mut known) = (Vec::new(), BTreeSet::new());
        for id in vifs {
            for device in [Device::Vif, Device::Tap] {
                let Some(port) = guarded(facts, *id, device)? else { continue };
                known.insert(*id);
                let invalid = port.invalid.into_iter();
                let invalid = invalid.map(|error| Warning::InvalidValue { vif: *id, error });
                self.report.warnings.extend(invalid);
                match port.entry {
                    Ok(entry) => entries.extend(entry),
                    Err(error) => {
                        known.remove(id);
                        self.report.faults.push(GuardFault { port: port.name, repair: Err(error) });
                    }
                }
            }
        }
        Ok((entries, known))
    }

    /// Notes the faults of one family, and returns what repairs them.
    fn add(&mut self, repair: TableRepair) -> Option<Change> {
        let TableRepair { change, structure, faults, warnings, .. } = repair;
        for PortFault { port, elements, .. } in faults {
            let part = if elements.commands.is_empty() { structure.clone() } else { elements };
            let undo = NftBatch { commands: Vec::new(), ..part.clone() };
            let repair = Ok(Plan::new(vec![Change::Nft { batch: part, undo }], Vec::new()));
            self.report.faults.push(GuardFault { port, repair });
        }
        self.report.warnings.extend(warnings);
        change
    }
}

impl Operation for RestoreGuard {
    fn locks(&self) -> Vec<LockName> {
        vec![LockName::GuardTable]
    }

    fn plan(&mut self, facts: &mut Facts<'_>, held: Held<'_>) -> Result<Step, Error> {
        if facts.connections.store.is_none() {
            let usage =
                "guard: only XenStore says which addresses a guest has; run it without --no-store";
            return Err(Error::Usage(usage.to_owned()));
        }
        self.report = GuardReport::default();
        // The tables before the vifs: the kernel refuses the batch if a vif was attached or detached in between.
        let tables = GuardLayout::FAMILIES.map(|family| (family, facts.guard_table(family)));
        let vifs = facts.vifs()?;
        let (entries, known) = self.entries(facts, &vifs)?;
        let mut changes = Vec::new();
        for (family, table) in tables {
            let wanted = entries.iter().any(|entry| entry.family() == family);
            let mut table = match table {
                // A kernel without this family has no table in it.
                Err(_) if !wanted => continue,
                table => table?,
            };
            let entries = entries.iter().filter(|entry| entry.family() == family);
            let entries: Vec<GuardEntry> = entries.cloned().collect();
            let has_entry = |owner: &VifId| entries.iter().any(|entry| entry.owner == *owner);
            table.gone = table.other_owners(None);
            // A vif that is guarded in another family, or not at all, has nothing in this one.
            table.gone.retain(|owner| {
                !vifs.contains(owner) || known.contains(owner) && !has_entry(owner)
            });
            let change = self.add(reconcile(family, &entries, &table)?);
            if let (Some(_), Some(wait), true) = (&change, table.ending, held.may_wait()) {
                return Ok(Step::Wait(wait));
            }
            changes.extend(change);
        }
        let changes = in_turn(changes.into_iter()).collect();
        Ok(Step::Plan(Plan::new(changes, self.report.warnings.clone())))
    }

    fn finish(&mut self, _: &mut Facts<'_>, outcome: Result<Plan, Error>) -> Result<Plan, Error> {
        let plan = outcome?;
        // The other ports are restored all the same.
        let mut faults = self.report.faults.drain(..);
        let failed = faults.find_map(|fault| fault.repair.err().map(|error| (fault.port, error)));
        match failed {
            Some((port, error)) => Err(Error::Unguarded { port, reason: Box::new(error) }),
            None => Ok(plan),
        }
    }
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
        let tables = facts.all_guard_tables()?;
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
