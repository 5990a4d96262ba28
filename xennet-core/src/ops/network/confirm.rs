//! Confirms a start.

use super::records::{pending, rolled_back};
use super::trial::unconfirmed;
use crate::Error;
use crate::engine::{Held, LockName, Operation, Step};
use crate::observe::Facts;
use crate::plan::Plan;
use crate::trial::Unconfirmed;

/// Keeps what a start on trial has made. Changes nothing but the records.
#[derive(Debug, Default)]
pub(crate) struct Confirm {
    /// The start that is confirmed.
    pub(crate) confirmed: Option<Unconfirmed>,
}

impl Operation for Confirm {
    fn locks(&self) -> Vec<LockName> {
        vec![LockName::Network]
    }

    fn plan(&mut self, facts: &mut Facts<'_>, _: Held<'_>) -> Result<Step, Error> {
        let run_dir = &facts.paths.run;
        let Some(unconfirmed) = unconfirmed(run_dir)? else {
            let rolled_back = rolled_back(run_dir).read()?;
            return Err(Error::NothingToConfirm { rolled_back });
        };
        if unconfirmed.left.is_none() {
            return Err(Error::Unfinished);
        }
        self.confirmed = Some(unconfirmed);
        Ok(Step::Plan(Plan::default()))
    }

    fn finish(
        &mut self,
        facts: &mut Facts<'_>,
        outcome: Result<Plan, Error>,
    ) -> Result<Plan, Error> {
        let plan = outcome?;
        rolled_back(&facts.paths.run).restore(None)?;
        pending(&facts.paths.run).restore(None)?;
        Ok(plan)
    }
}
