//! Restores the network that was recorded before a start.

use super::records::{pending, record, rolled_back};
use crate::Error;
use crate::engine::{Held, LockName, Operation, Step, Strictness};
use crate::observe::Facts;
use crate::plan::Plan;

/// A stop.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    /// Whether guests on a bridge that goes, and a missing record, are no obstacle.
    pub(crate) force: bool,
    /// The watchdog of a start that waited to be confirmed: it has nothing left to do.
    pub(crate) watchdog: Option<u32>,
}

impl Operation for Stop {
    fn locks(&self) -> Vec<LockName> {
        vec![LockName::Network]
    }

    fn moves_addresses(&self) -> bool {
        true
    }

    fn plan(&mut self, facts: &mut Facts<'_>, _: Held<'_>) -> Result<Step, Error> {
        let record = match record(&facts.paths.run).read() {
            // Without the record, the configuration says what belongs to the uplinks.
            Err(_) if self.force => None,
            record => record?,
        };
        Ok(Step::Plan(facts.network(record)?.stop(facts.config, self.force)?))
    }

    fn strictness(&self) -> Strictness {
        Strictness::BestEffort
    }

    fn warns_of_failures(&self) -> bool {
        true
    }

    fn finish(
        &mut self,
        facts: &mut Facts<'_>,
        outcome: Result<Plan, Error>,
    ) -> Result<Plan, Error> {
        let plan = outcome?;
        let run_dir = &facts.paths.run;
        // With its record, another stop can restore the rest.
        if !plan.is_partial() {
            record(run_dir).restore(None)?;
        }
        // Only `network status` reads it.
        let _ = rolled_back(run_dir).restore(None);
        self.watchdog = match pending(run_dir).read() {
            Err(_) if self.force => None,
            pending => pending?.map(|pending| pending.watchdog),
        };
        pending(run_dir).restore(None)?;
        Ok(plan)
    }
}
