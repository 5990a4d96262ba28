//! Runs an operation: lock, observe, resolve, diff, apply, verify, publish; and undo when a step fails.
//!
//! Every operation is one call of [`run`]. Its dry run is [`plan`], which stops after diff, and its status is a dry run
//! whose plan is shown as pending changes: so they cannot differ.

mod announce;
mod apply;
mod command;
pub(crate) mod dhcp;
mod lock;
mod make;
mod publish;
mod record;

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

pub(crate) use apply::Strictness;
use apply::{Apply, is_transient, is_uncertain};
use lock::Locks;
pub(crate) use lock::{Lock, LockName};
pub(crate) use publish::{Remaining, report};
pub(crate) use record::Record;

use crate::Error;
use crate::observe::Facts;
use crate::plan::{Change, HostWarning, Plan, Warning};
use crate::types::{IfName, LinkSet};

/// How long locks, the interface and hooks may take together. libxl kills a hotplug script after 40 seconds; the rest is
/// for undoing, and for reporting why.
pub(crate) const TIME_LIMIT: Duration = Duration::from_secs(30);

/// How long undoing may take after that, and what follows it.
const UNDO_TIME: Duration = Duration::from_secs(5);

/// One operation: what it locks, what it wants to know, and what it wants changed.
pub(crate) trait Operation {
    /// The locks that it holds from the start.
    fn locks(&self) -> Vec<LockName>;

    /// Observes, resolves and diffs: what is to be changed now. Changes nothing, locks nothing and waits for nothing.
    fn plan(&mut self, facts: &mut Facts<'_>, held: Held<'_>) -> Result<Step, Error>;

    /// Whether a failed change undoes the other changes.
    fn strictness(&self) -> Strictness {
        Strictness::AllOrNothing
    }

    /// Whether a change that cannot be made is a warning, when all attempts of a best-effort operation have failed.
    fn warns_of_failures(&self) -> bool {
        false
    }

    /// The interface that has to appear before the operation can be planned, and how long to wait for it.
    fn awaited_link(&self, _missing: &Error) -> Option<(IfName, Duration)> {
        None
    }

    /// The backend's directory in XenStore, without which nothing is published.
    fn backend(&self) -> Option<&str> {
        None
    }

    /// Whether to plan again without the refused change. If false, the engine plans once more as before.
    fn does_without(&mut self, _refused: &Change, _error: &Error) -> bool {
        false
    }

    /// Whether a failed announcement is only worth a warning.
    fn announces_in_passing(&self) -> bool {
        true
    }

    /// Whether it removes the guard of a port, which must be down by then.
    fn guards(&self) -> bool {
        false
    }

    /// Whether it moves addresses of the host, which are announced then.
    fn moves_addresses(&self) -> bool {
        false
    }

    /// Runs before the changes of each attempt: records what is needed to undo them after a crash.
    fn prepare(&mut self, _facts: &mut Facts<'_>, _plan: &Plan) -> Result<(), Error> {
        Ok(())
    }

    /// Runs once the changes, if any, are verified, and before publish. A failure undoes them.
    fn approve(&mut self, _facts: &mut Facts<'_>) -> Result<(), Error> {
        Ok(())
    }

    /// Runs at the end, under the operation's locks, with the changes made or the failure.
    fn finish(
        &mut self,
        _facts: &mut Facts<'_>,
        outcome: Result<Plan, Error>,
    ) -> Result<Plan, Error> {
        outcome
    }

    /// Whether the vif's lock file stays after success, because the next operation on the vif needs it again.
    fn keeps_vif_lock(&self) -> bool {
        false
    }
}

/// What an operation wants next, by the facts of one moment.
#[derive(Debug)]
pub(crate) enum Step {
    /// These changes.
    Plan(Plan),
    /// A lock without which another process could make the plan wrong; then it observes again.
    Lock(LockName),
    /// Time until elements of the guard that are about to end have ended; then it observes again.
    Wait(Duration),
}

/// The locks that an operation holds while it plans.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held<'l>(Option<&'l Locks<'l>>);

impl Held<'_> {
    /// Of an operation that changes nothing.
    pub(crate) fn dry_run() -> Self {
        Self(None)
    }

    /// Whether the operation may wait. A dry run does not.
    pub(crate) fn may_wait(self) -> bool {
        self.0.is_some()
    }

    /// Whether the operation has to take this lock first. A dry run takes none.
    pub(crate) fn lacks(self, name: &LockName) -> bool {
        self.0.is_some_and(|locks| !locks.holds(name))
    }
}

/// Takes one lock outside of an operation.
pub(crate) fn lock(run_dir: &Path, name: &LockName, time: Duration) -> Result<Lock, Error> {
    Lock::take(run_dir, name, Instant::now() + time)
}

/// What [`run`] would change now. Changes nothing.
pub(crate) fn plan(facts: &mut Facts<'_>, operation: &mut dyn Operation) -> Result<Plan, Error> {
    match operation.plan(facts, Held::dry_run())? {
        Step::Plan(plan) => Ok(plan),
        // A dry run lacks no lock and waits for nothing.
        Step::Lock(_) | Step::Wait(_) => Ok(Plan::default()),
    }
}

/// Runs an operation, and returns the changes that were made.
pub(crate) fn run(facts: &mut Facts<'_>, operation: &mut dyn Operation) -> Result<Plan, Error> {
    let deadline = Instant::now() + TIME_LIMIT;
    let run_dir = facts.paths.run.clone();
    let best_effort = operation.strictness() == Strictness::BestEffort;
    let mut locks = Locks::new(&run_dir, deadline, best_effort);
    facts.publishes = operation.backend().is_some();
    facts.connections.set_limit(Some(deadline));
    let outcome = locks.take(&operation.locks()).and_then(|()| {
        let mut apply = Apply::new(operation.strictness(), deadline, operation.guards());
        match converge(facts, operation, &mut locks, &mut apply, deadline) {
            Err(error) if !best_effort => {
                facts.connections.set_limit(Some(Instant::now() + UNDO_TIME));
                let moved = apply.done(operation.moves_addresses());
                let error = apply.undo(facts.connections, error);
                // Best effort: the error says what the administrator needs to know.
                let _ = announce::announce(facts.connections, &moved, true);
                Err(error)
            }
            outcome => outcome,
        }
    });
    facts.connections.set_limit(Some(Instant::now() + UNDO_TIME));
    let outcome = operation.finish(facts, outcome);
    facts.connections.set_limit(None);
    locks.release(outcome.is_ok() && operation.keeps_vif_lock());
    outcome
}

/// Applies and verifies until the facts are as wanted, and then publishes.
fn converge(
    facts: &mut Facts<'_>,
    operation: &mut dyn Operation,
    locks: &mut Locks<'_>,
    apply: &mut Apply,
    deadline: Instant,
) -> Result<Plan, Error> {
    let mut attempts = Attempts::new(deadline);
    let mut awaited = false;
    let mut refused: Option<Change> = None;
    loop {
        facts.start_over();
        let plan = match operation.plan(facts, Held(Some(locks))) {
            Err(error) if !awaited && operation.awaited_link(&error).is_some() => {
                if let Some((name, wait)) = operation.awaited_link(&error) {
                    let until = Instant::now().checked_add(wait).unwrap_or(deadline).min(deadline);
                    facts.connections.kernel()?.wait_link(&name, until)?;
                }
                awaited = true;
                continue;
            }
            // An answer was lost.
            Err(error) if is_uncertain(&error) && attempts.may_retry(&error) => continue,
            step => match step? {
                Step::Plan(plan) => plan,
                Step::Lock(name) => {
                    locks.take(&[name])?;
                    continue;
                }
                Step::Wait(time) => {
                    attempts.wait(time)?;
                    continue;
                }
            },
        };
        operation.prepare(facts, &plan)?;
        apply.failures.clear();
        let observable: Vec<Change> = plan.observable().cloned().collect();
        let ahead = facts.links_ahead();
        match apply.run(facts.connections, &observable, ahead.as_ref()) {
            Ok(()) => {}
            Err(error) if is_transient(&error) && attempts.may_retry(&error) => continue,
            Err(error) => {
                let again = match apply.refused.take() {
                    Some(change) if operation.does_without(&change, &error) => true,
                    // The state may have changed since observe. A change that is refused twice in succession is an error.
                    Some(change)
                        if matches!(error, Error::Kernel(_))
                            && refused.as_ref() != Some(&change) =>
                    {
                        refused = Some(change);
                        true
                    }
                    _ => false,
                };
                if again && attempts.may_retry(&error) {
                    continue;
                }
                return Err(error);
            }
        }
        let rest = if plan.observable().next().is_none() {
            // Without observable changes there is nothing to verify.
            Plan::default()
        } else {
            facts.observe_again(&plan);
            if let Some(answers) = apply.answers.take() {
                facts.keep_links(answers);
            }
            match operation.plan(facts, Held(Some(locks))) {
                Ok(Step::Plan(rest)) => rest,
                Ok(Step::Lock(_) | Step::Wait(_)) => continue,
                Err(error) if is_uncertain(&error) && attempts.may_retry(&error) => continue,
                Err(error) => return Err(error),
            }
        };
        if let Some(change) = pending(&rest) {
            let ignored = Error::Ignored { change: change.to_string() };
            if attempts.may_retry(&ignored) {
                continue;
            }
            if !operation.warns_of_failures() {
                return Err(first_failure(apply).unwrap_or(ignored));
            }
        }
        let mut warnings = plan.warnings().to_vec();
        warnings.extend(rest.observable().map(|change| not_restored(change, &apply.failures)));
        // What verification found as wanted did not fail.
        apply.failures.clear();
        operation.approve(facts)?;
        let mut made = std::mem::take(&mut apply.made);
        let new = rest.warnings().iter().filter(|one| !plan.warnings().contains(one));
        warnings.extend(new.cloned());
        publish(facts, operation, apply, &plan, &mut warnings)?;
        if operation.moves_addresses()
            && let Err(error) = announce::announce(facts.connections, &made, false)
        {
            warnings.push(Warning::NotAnnounced { why: error.to_string() });
        }
        made.extend(plan.announcements().cloned());
        return first_failure(apply).map_or_else(|| Ok(Plan::new(made, warnings)), Err);
    }
}

fn first_failure(apply: &mut Apply) -> Option<Error> {
    apply.failures.drain(..).next().map(|(_, error)| error)
}

/// That a change could not be made, and why.
fn not_restored(change: &Change, failures: &[(Change, Error)]) -> Warning {
    let failure = failures.iter().find(|(failed, _)| failed == change);
    let why = failure.map(|(_, error)| error.to_string());
    let why = why.unwrap_or_else(|| format!("{change}: the kernel accepted it without effect"));
    HostWarning::NotRestored { why }.into()
}

/// The first change that verification found missing; preferably not `link set down`, which only prepares for others.
fn pending(plan: &Plan) -> Option<&Change> {
    let makes_way =
        |change: &&Change| matches!(change, Change::LinkSet { set: LinkSet::Up(false), .. });
    plan.observable().find(|change| !makes_way(change)).or_else(|| plan.observable().next())
}

/// Runs hooks, writes to XenStore, and announces the guest to the network.
fn publish(
    facts: &mut Facts<'_>,
    operation: &dyn Operation,
    apply: &mut Apply,
    plan: &Plan,
    warnings: &mut Vec<Warning>,
) -> Result<(), Error> {
    let is_store =
        |change: &&Change| matches!(change, Change::StoreWrite { .. } | Change::StoreRemove { .. });
    let (store, others): (Vec<&Change>, Vec<&Change>) = plan.announcements().partition(is_store);
    let (announcements, hooks): (Vec<_>, Vec<_>) =
        others.into_iter().partition(|change| change.is_announcement());
    for hook in hooks {
        apply.run(facts.connections, std::slice::from_ref(hook), None)?;
    }
    let store: Vec<Change> = store.into_iter().cloned().collect();
    publish::write(facts.connections.store.as_mut(), operation.backend(), &store)?;
    for change in announcements {
        match apply.run(facts.connections, std::slice::from_ref(change), None) {
            // The network learns where the guest is from its first frame as well.
            Err(error) if operation.announces_in_passing() => {
                warnings.push(Warning::NotAnnounced { why: error.to_string() });
            }
            outcome => outcome?,
        }
    }
    Ok(())
}

/// How often an operation starts again from observe: bounded, and the same for all operations.
struct Attempts {
    deadline: Instant,
    overtaken: u32,
    others: u32,
}

impl Attempts {
    /// Under contention one writer commits per round, and a thousand may compete.
    const OVERTAKEN: u32 = 1000;
    /// All other failures of one operation together.
    const OTHERS: u32 = 3;

    fn new(deadline: Instant) -> Self {
        Self { deadline, overtaken: 0, others: 0 }
    }

    fn may_retry(&mut self, error: &Error) -> bool {
        let (count, limit) = match error {
            Error::Overtaken(_) => (&mut self.overtaken, Self::OVERTAKEN),
            _ => (&mut self.others, Self::OTHERS),
        };
        *count += 1;
        *count < limit && Instant::now() < self.deadline
    }

    fn wait(&mut self, time: Duration) -> Result<(), Error> {
        if Instant::now() >= self.deadline {
            return Err(Error::Unsettled { waited: TIME_LIMIT });
        }
        sleep(time);
        Ok(())
    }
}
