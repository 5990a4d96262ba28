//! A start on trial: taken back unless somebody confirms it, by a watchdog that is another process.
//!
//! A file says that a start is on trial and how to take it back. Whoever holds the network's lock and removes that file
//! decides: the one who confirms, who stops, or the watchdog at the deadline. That the watchdog lives shows in a lock
//! that it holds: the kernel releases it when it dies.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::record::Record;
use super::{Host, PATIENCE, gateway, look};
use crate::Error;
use crate::apply::Apply;
use crate::lock::Lock;
use crate::plan::{NetworkBefore, Plan};
use crate::trial::{RolledBack, Unconfirmed, since_boot};

/// How a start is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trial {
    /// The process that takes it back: it holds a [`Watch`].
    pub watchdog: u32,
    /// How long it may be confirmed, once it is done.
    pub confirm: Duration,
    /// How long the gateways may take to answer.
    pub probe: Duration,
}

/// Held by the process that takes a start back, for as long as it lives.
#[derive(Debug)]
pub struct Watch {
    lock: Lock,
}

/// `network.pending`
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Pending {
    watchdog: u32,
    /// On the clock of [`RolledBack::at`].
    deadline: Option<Duration>,
    /// What there was just before this start.
    undo: NetworkBefore,
    /// What was recorded then, of earlier ones.
    record: Option<NetworkBefore>,
}

impl Host<'_> {
    /// Makes the host's side as the configuration says, until the watchdog takes it back, unless it is
    /// [confirmed](Self::confirm) in time.
    ///
    /// It is taken back at once when a gateway that answered before does not answer any more, and when `done` fails: that
    /// tells the watchdog that all is made and the time begins. Where there is nothing to do, there is nothing to confirm
    /// either.
    pub fn start_on_trial(
        &mut self,
        trial: Trial,
        done: impl FnOnce() -> Result<(), Error>,
    ) -> Result<Plan, Error> {
        let _lock = self.lock()?;
        self.none_unconfirmed()?;
        let seen = self.look()?;
        let plan = seen.start(&self.net.config)?;
        if plan.is_empty() {
            self.make(&seen, &plan, |_| Ok(()))?;
            return Ok(plan);
        }
        let answered = gateway::answering(self.net, trial.probe)?;
        let mut pending = Pending {
            watchdog: trial.watchdog,
            deadline: None,
            undo: seen.record_of(&self.net.config, &plan),
            record: seen.before.clone(),
        };
        let file = self.pending();
        file.write(&pending)?;
        let made = self.make(&seen, &plan, |net| {
            gateway::still_answer(net, &answered, trial.probe)?;
            pending.deadline = Some(since_boot() + trial.confirm);
            file.write(&pending)?;
            let watchdog = trial.watchdog;
            if !Lock::is_held(&net.run_dir, &watch(watchdog))? {
                return Err(Error::Unwatched { watchdog });
            }
            done()
        });
        match made {
            // What is not undone, the watchdog tries again.
            Err(error) if !matches!(error, Error::HalfUndone { .. }) => {
                self.last().write(&RolledBack { at: since_boot(), why: error.to_string() })?;
                file.restore(None)?;
                Err(error)
            }
            made => made.map(|()| plan),
        }
    }

    /// Keeps what an unconfirmed start has made, and waits until its watchdog has ended.
    ///
    /// An error (`ENOENT`) when there is none, (`EBUSY`) when it died before it was done.
    pub fn confirm(&mut self) -> Result<Unconfirmed, Error> {
        let lock = self.lock()?;
        let Some(unconfirmed) = self.unconfirmed()? else {
            return Err(Error::NothingToConfirm { rolled_back: self.rolled_back()? });
        };
        if unconfirmed.left.is_none() {
            return Err(Error::Unfinished);
        }
        self.last().restore(None)?;
        self.end_trial(lock)?;
        Ok(unconfirmed)
    }

    /// A start that is yet to be confirmed. Touches nothing.
    ///
    /// An error when the run directory's record cannot be read.
    pub fn unconfirmed(&self) -> Result<Option<Unconfirmed>, Error> {
        let Some(pending) = self.pending().read()? else { return Ok(None) };
        let now = since_boot();
        Ok(Some(Unconfirmed {
            watchdog: pending.watchdog,
            watched: Lock::is_held(&self.net.run_dir, &watch(pending.watchdog))?,
            left: pending.deadline.map(|deadline| deadline.saturating_sub(now)),
        }))
    }

    /// The last start, when it was taken back. Touches nothing.
    ///
    /// An error when the run directory's record cannot be read.
    pub fn rolled_back(&self) -> Result<Option<RolledBack>, Error> {
        self.last().read()
    }

    /// Makes the calling process a watchdog, which [`Trial::watchdog`] names by its number.
    ///
    /// An error when the lock cannot be made.
    pub fn watch(&self) -> Result<Watch, Error> {
        let deadline = Instant::now() + PATIENCE;
        let lock = Lock::take(&self.net.run_dir, &watch(std::process::id()), deadline)?;
        Ok(Watch { lock })
    }

    /// Takes the unconfirmed start of this watchdog back, as far as it was done, and notes why; none when there is no
    /// such start any more.
    ///
    /// What cannot be taken back does not keep it from the rest; then call it again.
    ///
    /// An error is the first that there was.
    pub fn roll_back(&mut self, watchdog: u32, why: &str) -> Result<Option<Plan>, Error> {
        let _lock = self.lock()?;
        let pending = self.pending().read()?.filter(|pending| pending.watchdog == watchdog);
        let Some(pending) = pending else { return Ok(None) };
        let plan = look::look(self.net, Some(pending.undo))?.roll_back()?;
        Apply::new(self.net, Instant::now() + PATIENCE).run_all(plan.changes())?;
        self.record().restore(pending.record.as_ref())?;
        self.last().write(&RolledBack { at: since_boot(), why: why.to_owned() })?;
        self.pending().restore(None)?;
        Ok(Some(plan))
    }

    /// An error when a start is yet to be confirmed.
    pub(super) fn none_unconfirmed(&self) -> Result<(), Error> {
        self.unconfirmed()?.map_or(Ok(()), |unconfirmed| Err(Error::Unconfirmed(unconfirmed)))
    }

    /// Removes what the watchdog waits for, if there is anything, and waits for its end.
    pub(super) fn end_trial(&self, network: Lock) -> Result<(), Error> {
        let Some(pending) = self.pending().read()? else { return Ok(()) };
        self.pending().restore(None)?;
        // Its deadline may be now: then it waits for this one.
        drop(network);
        let deadline = Instant::now() + PATIENCE;
        Lock::take(&self.net.run_dir, &watch(pending.watchdog), deadline)?.remove();
        Ok(())
    }

    fn pending(&self) -> Record<Pending> {
        Record::new(&self.net.run_dir, "network.pending")
    }

    pub(super) fn last(&self) -> Record<RolledBack> {
        Record::new(&self.net.run_dir, "network.last")
    }
}

impl Watch {
    /// Ends it, and leaves no file.
    pub fn end(self) {
        self.lock.remove();
    }
}

impl Trial {
    /// A start that this process takes back unless it is confirmed within a minute, and at once when the gateways do not
    /// answer within ten seconds.
    pub fn new(watchdog: u32) -> Self {
        Self { watchdog, confirm: Duration::from_mins(1), probe: Duration::from_secs(10) }
    }
}

/// The name of a watchdog's lock.
fn watch(watchdog: u32) -> String {
    format!("network-watchdog-{watchdog}")
}
