//! Rolls back a start that was not confirmed.

use super::records::{Pending, pending, record, rolled_back};
use crate::Error;
use crate::engine::{Held, LockName, Operation, Step, Strictness};
use crate::observe::Facts;
use crate::plan::Plan;
use crate::trial::{RolledBack, since_boot};

/// A roll back by the watchdog of the start.
#[derive(Debug)]
pub(crate) struct RollBack<'w> {
    pub(crate) watchdog: u32,
    pub(crate) why: &'w str,
    /// Whether this is the last attempt: what fails now is a warning.
    pub(crate) last: bool,
    /// Whether the start still waited to be confirmed.
    pub(crate) pending: bool,
}

impl RollBack<'_> {
    fn read(&self, facts: &Facts<'_>) -> Result<Option<Pending>, Error> {
        let pending = pending(&facts.paths.run).read()?;
        Ok(pending.filter(|pending| pending.watchdog == self.watchdog))
    }
}

impl Operation for RollBack<'_> {
    fn locks(&self) -> Vec<LockName> {
        vec![LockName::Network]
    }

    fn moves_addresses(&self) -> bool {
        true
    }

    fn plan(&mut self, facts: &mut Facts<'_>, _: Held<'_>) -> Result<Step, Error> {
        let pending = self.read(facts)?;
        self.pending = pending.is_some();
        let Some(pending) = pending else { return Ok(Step::Plan(Plan::default())) };
        Ok(Step::Plan(facts.network(Some(pending.undo))?.roll_back()?))
    }

    fn strictness(&self) -> Strictness {
        Strictness::BestEffort
    }

    fn warns_of_failures(&self) -> bool {
        self.last
    }

    fn finish(
        &mut self,
        facts: &mut Facts<'_>,
        outcome: Result<Plan, Error>,
    ) -> Result<Plan, Error> {
        let plan = outcome?;
        if let Some(start) = self.read(facts)? {
            let run_dir = &facts.paths.run;
            record(run_dir).restore(start.record.as_ref())?;
            let why = self.why.to_owned();
            rolled_back(run_dir).write(&RolledBack { at: since_boot(), why })?;
            pending(run_dir).restore(None)?;
        }
        Ok(plan)
    }
}
