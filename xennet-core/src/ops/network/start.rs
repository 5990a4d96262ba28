//! Makes the host's network as the configuration says, for good or on trial.

use std::fmt;
use std::time::Duration;

use super::gateway;
use super::records::{Pending, pending, record, rolled_back};
use super::trial::{Trial, is_watched, unconfirmed};
use crate::Error;
use crate::engine::{Held, LockName, Operation, Step, dhcp};
use crate::observe::Facts;
use crate::plan::{Gateway, NetworkRecord, NetworkSnapshot, Plan};
use crate::trial::{RolledBack, since_boot};
use crate::types::Link;

/// A start.
#[derive(Debug, Default)]
pub(crate) struct Start<'t> {
    trial: Option<TrialRun<'t>>,
    /// The network before the first change.
    first: Option<Box<NetworkSnapshot>>,
    /// The interfaces as they were observed last.
    links: Vec<Link>,
}

/// How a start is tried.
pub(crate) struct TrialRun<'t> {
    trial: Trial,
    /// Tells the watchdog that the changes are made.
    done: Option<Box<dyn FnOnce() -> Result<(), Error> + 't>>,
    /// The gateways that answered before.
    answering: Vec<Gateway>,
    pending: Option<Pending>,
}

impl<'t> TrialRun<'t> {
    pub(crate) fn new(trial: Trial, done: impl FnOnce() -> Result<(), Error> + 't) -> Self {
        Self { trial, done: Some(Box::new(done)), answering: Vec::new(), pending: None }
    }
}

impl fmt::Debug for TrialRun<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrialRun").field("trial", &self.trial).finish_non_exhaustive()
    }
}

impl<'t> Start<'t> {
    /// A start that is rolled back unless it is confirmed.
    pub(crate) fn on_trial(trial: TrialRun<'t>) -> Self {
        Self { trial: Some(trial), ..Self::default() }
    }

    /// What was recorded before this start.
    fn recorded(&self) -> Option<&NetworkRecord> {
        self.first.as_ref()?.record.as_ref()
    }

    /// Writes down how to roll this start back, before its first change.
    fn begin_trial(&mut self, facts: &mut Facts<'_>, plan: &Plan) -> Result<(), Error> {
        let Self { trial: Some(run), first: Some(first), .. } = self else { return Ok(()) };
        // Where there is nothing to do, there is nothing to confirm.
        if plan.is_empty() || run.pending.is_some() {
            return Ok(());
        }
        run.answering = gateway::answering(facts, run.trial.probe)?;
        let new = Pending {
            watchdog: run.trial.watchdog,
            deadline: None,
            undo: first.record_of(facts.config, plan),
            record: first.record.clone(),
        };
        pending(&facts.paths.run).write(&new)?;
        run.pending = Some(new);
        Ok(())
    }
}

impl Operation for Start<'_> {
    fn locks(&self) -> Vec<LockName> {
        vec![LockName::Network]
    }

    fn moves_addresses(&self) -> bool {
        true
    }

    fn plan(&mut self, facts: &mut Facts<'_>, _: Held<'_>) -> Result<Step, Error> {
        let before = record(&facts.paths.run).read()?;
        let network = facts.network(before)?;
        let plan = network.start(facts.config)?;
        self.links.clone_from(&network.links);
        self.first.get_or_insert_with(|| Box::new(network));
        Ok(Step::Plan(plan))
    }

    fn prepare(&mut self, facts: &mut Facts<'_>, plan: &Plan) -> Result<(), Error> {
        let started = self.trial.as_ref().is_some_and(|run| run.pending.is_some());
        if let Some(unconfirmed) = unconfirmed(&facts.paths.run)?.filter(|_| !started) {
            return Err(Error::Unconfirmed(unconfirmed));
        }
        self.begin_trial(facts, plan)?;
        let before = record(&facts.paths.run).read()?;
        let network = facts.network(before)?;
        record(&facts.paths.run).write(&network.record_with(facts.config, plan))?;
        if facts.config.nat.iter().any(|nat| nat.dhcp) {
            dhcp::make_dir(&facts.paths.run)?;
        }
        Ok(())
    }

    fn approve(&mut self, facts: &mut Facts<'_>) -> Result<(), Error> {
        let record = record(&facts.paths.run);
        if let Some(mut made) = record.read()?
            && made.identify(&self.links)
        {
            record.write(&made)?;
        }
        let Some(TrialRun { trial, done, answering, pending: Some(new) }) = &mut self.trial else {
            return Ok(());
        };
        gateway::still_answer(facts, answering, trial.probe)?;
        new.deadline = Some(since_boot() + trial.confirm);
        new.undo.identify(&self.links);
        pending(&facts.paths.run).write(new)?;
        let watchdog = trial.watchdog;
        if !is_watched(&facts.paths.run, watchdog)? {
            return Err(Error::Unwatched { watchdog });
        }
        done.take().map_or(Ok(()), |done| done())
    }

    fn finish(
        &mut self,
        facts: &mut Facts<'_>,
        outcome: Result<Plan, Error>,
    ) -> Result<Plan, Error> {
        let run_dir = &facts.paths.run;
        let on_trial = self.trial.as_ref().is_some_and(|run| run.pending.is_some());
        match outcome {
            Ok(plan) => {
                // The last start is this one, which is not rolled back.
                if !on_trial {
                    // Only `network status` reads it: the network is as wanted without that.
                    let _ = rolled_back(run_dir).restore(None);
                }
                Ok(plan)
            }
            // What could not be undone stays on record: for `stop`, or for the watchdog.
            Err(error @ (Error::HalfUndone { .. } | Error::Unconfirmed(_))) => Err(error),
            Err(error) => {
                let restore = || {
                    if self.first.is_some() {
                        record(run_dir).restore(self.recorded())?;
                    }
                    if on_trial {
                        let last = RolledBack { at: since_boot(), why: error.to_string() };
                        rolled_back(run_dir).write(&last)?;
                        pending(run_dir).restore(None)?;
                    }
                    Ok(())
                };
                match restore() {
                    Ok(()) => Err(error),
                    Err(undo) => {
                        Err(Error::HalfUndone { first: Box::new(error), undo: Box::new(undo) })
                    }
                }
            }
        }
    }
}

impl Trial {
    /// A start that this process rolls back unless it is confirmed within a minute, and at once when the gateways do not
    /// answer within ten seconds.
    pub fn new(watchdog: u32) -> Self {
        Self { watchdog, confirm: Duration::from_mins(1), probe: Duration::from_secs(10) }
    }
}
