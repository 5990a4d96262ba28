mod guests;
mod json;
mod watchdog;

use std::collections::BTreeMap;

use crate::Error;
use crate::config::{BridgePolicy, HostNow};
use crate::context::Context;
use crate::engine::{self, LockName, TIME_LIMIT};
use crate::ops::network::{
    Confirm, RollBack, Start, Stop, TrialRun, record, rolled_back, unconfirmed, watch,
};
pub use crate::ops::network::{Trial, Watch};
use crate::plan::{NetworkSnapshot, Plan};
use crate::trial::{RolledBack, Unconfirmed};
use crate::types::{IfName, Interface};

/// The host's side of the network: bridges, the host's own addresses, forwarding, as the configuration says.
#[derive(Debug)]
pub struct Host<'n> {
    context: &'n mut Context,
}

/// How far the host's side is from what the configuration says.
#[derive(Debug)]
#[non_exhaustive]
pub struct HostStatus {
    pub(crate) seen: NetworkSnapshot,
    /// What a `start` would do now: nothing when all is well.
    pub drift: Result<Plan, Error>,
    /// A start that is yet to be confirmed.
    pub unconfirmed: Option<Unconfirmed>,
    /// The last start, where it was rolled back.
    pub rolled_back: Option<RolledBack>,
}

impl<'n> Host<'n> {
    pub(crate) fn new(context: &'n mut Context) -> Self {
        Self { context }
    }

    /// The interface of the default route; for a bridge that xennet made, its uplink.
    ///
    /// An error when the kernel does not answer, or the record of an earlier start cannot be read.
    pub fn gateway(&mut self) -> Result<Option<IfName>, Error> {
        Ok(self.look()?.gateway().cloned())
    }

    /// The addresses and gateways that the host has on each bridge of the configuration, for
    /// [`NetworkConfig::export`](crate::config::NetworkConfig::export).
    ///
    /// An error as [`gateway`](Self::gateway)'s.
    pub fn hosts_now(&mut self) -> Result<BTreeMap<IfName, HostNow>, Error> {
        Ok(self.look()?.hosts_now(&self.context.config))
    }

    /// Whether xennet has a record of a start that no stop gave back.
    ///
    /// An error when the record cannot be read.
    pub fn is_started(&self) -> Result<bool, Error> {
        Ok(record(&self.context.paths.run).read()?.is_some())
    }

    /// The host's network, as far as it concerns the configuration.
    pub(crate) fn look(&mut self) -> Result<NetworkSnapshot, Error> {
        let before = record(&self.context.paths.run).read()?;
        self.context.facts().network(before)
    }

    /// What [`start`](Self::start) would do now. Changes nothing.
    ///
    /// An error when what is wanted cannot be: an uplink that does not exist (`ENODEV`), an address or route that could
    /// not be made again (`EOPNOTSUPP`), a bridge that is something else (`EINVAL`).
    pub fn plan_start(&mut self) -> Result<Plan, Error> {
        engine::plan(&mut self.context.facts(), &mut Start::default())
    }

    /// What [`stop`](Self::stop) would do now. Changes nothing.
    ///
    /// An error (`EBUSY`) when guests are on a bridge that would go, (`ENOENT`) when there is no record of what was
    /// before; not with `force`.
    pub fn plan_stop(&mut self, force: bool) -> Result<Plan, Error> {
        engine::plan(&mut self.context.facts(), &mut Stop { force, watchdog: None })
    }

    /// How far the host's side is from what the configuration says. Changes nothing.
    ///
    /// Why a start could not begin is in [`HostStatus::drift`]; an error when the kernel or the records in the run
    /// directory cannot be read.
    pub fn status(&mut self) -> Result<HostStatus, Error> {
        let (seen, drift) = (self.look()?, self.plan_start());
        let (unconfirmed, rolled_back) = (self.unconfirmed()?, self.rolled_back()?);
        Ok(HostStatus { seen, drift, unconfirmed, rolled_back })
    }

    /// Makes the host's side as the configuration says, and verifies it.
    ///
    /// What was before is recorded before the first change, for [`stop`](Self::stop). When a step fails, everything is
    /// undone; when this process dies, the next `start` or `stop` repairs it.
    ///
    /// An error is the first that there was; (`EBUSY`) when an earlier start is yet to be confirmed.
    /// [`Error::HalfUndone`] when undoing failed as well.
    pub fn start(&mut self) -> Result<Plan, Error> {
        engine::run(&mut self.context.facts(), &mut Start::default())
    }

    /// Makes the host's side as the configuration says, until the watchdog rolls it back, unless it is
    /// [confirmed](Self::confirm) in time.
    ///
    /// It is undone at once when a gateway that answered before does not answer any more, and when `done` fails: that
    /// tells the watchdog that all changes are made and the time begins. Where there is nothing to do, there is nothing
    /// to confirm either.
    pub fn start_on_trial(
        &mut self,
        trial: Trial,
        done: impl FnOnce() -> Result<(), Error>,
    ) -> Result<Plan, Error> {
        let mut start = Start::on_trial(TrialRun::new(trial, done));
        engine::run(&mut self.context.facts(), &mut start)
    }

    /// Keeps what an unconfirmed start has made, and waits until its watchdog has ended.
    ///
    /// An error (`ENOENT`) when there is none, (`EBUSY`) when it died before it was done.
    pub fn confirm(&mut self) -> Result<Unconfirmed, Error> {
        let mut confirm = Confirm::default();
        engine::run(&mut self.context.facts(), &mut confirm)?;
        let Some(confirmed) = confirm.confirmed else { return Err(Error::Unfinished) };
        self.await_end(confirmed.watchdog)?;
        Ok(confirmed)
    }

    /// Gives back what [`start`](Self::start) took. That it took nothing is no error.
    ///
    /// A bridge of xennet's own that has other ports than its uplink stops it, unless `force`. A start that is yet to be
    /// confirmed is given back as well, and its watchdog ends.
    ///
    /// Best effort: what cannot be restored is a [warning](Plan::is_partial). Then the record stays, and another call
    /// tries the rest.
    pub fn stop(&mut self, force: bool) -> Result<Plan, Error> {
        let mut stop = Stop { force, watchdog: None };
        let plan = engine::run(&mut self.context.facts(), &mut stop)?;
        stop.watchdog.map_or(Ok(()), |watchdog| self.await_end(watchdog))?;
        Ok(plan)
    }

    /// A start that is yet to be confirmed. Changes nothing.
    ///
    /// An error when the run directory's record cannot be read.
    pub fn unconfirmed(&self) -> Result<Option<Unconfirmed>, Error> {
        unconfirmed(&self.context.paths.run)
    }

    /// The last start, when it was rolled back. Changes nothing.
    ///
    /// An error when the run directory's record cannot be read.
    pub fn rolled_back(&self) -> Result<Option<RolledBack>, Error> {
        rolled_back(&self.context.paths.run).read()
    }

    /// Makes the calling process a watchdog, which [`Trial::watchdog`] names by its number.
    ///
    /// An error when the lock cannot be taken.
    pub fn watch(&self) -> Result<Watch, Error> {
        watch(&self.context.paths.run)
    }

    /// Rolls the unconfirmed start of this watchdog back, as far as it was made, and records why; none when there is no
    /// such start any more.
    ///
    /// Best effort: a change that fails does not prevent the others. Then it is an error, and to be called again; with
    /// `last` it is a [warning](Plan::is_partial), and the start is no longer on trial.
    pub fn roll_back(
        &mut self,
        watchdog: u32,
        why: &str,
        last: bool,
    ) -> Result<Option<Plan>, Error> {
        let mut roll_back = RollBack { watchdog, why, last, pending: false };
        let plan = engine::run(&mut self.context.facts(), &mut roll_back)?;
        Ok(Some(plan).filter(|_| roll_back.pending))
    }

    /// Waits until a watchdog that has nothing left to do has ended.
    fn await_end(&self, watchdog: u32) -> Result<(), Error> {
        // At its deadline it waits for the network's lock, which is released by now.
        let lock =
            engine::lock(&self.context.paths.run, &LockName::Watchdog(watchdog), TIME_LIMIT)?;
        lock.remove();
        Ok(())
    }
}

impl HostStatus {
    /// Whether xennet has a record of a start that no stop gave back.
    pub fn is_started(&self) -> bool {
        self.seen.record.is_some()
    }

    /// An interface of the host.
    pub fn link(&self, name: &IfName) -> Option<Interface> {
        self.seen.link(name).map(Interface::from)
    }

    /// The bonds and VLAN interfaces of the last start, each with what it stands on.
    pub fn below(&self) -> Vec<(IfName, String)> {
        let record = self.seen.record.iter();
        let bonds = record.clone().flat_map(|record| &record.bonds);
        let bonds =
            bonds.map(|bond| (&bond.name, format!("bond of {}", IfName::list(&bond.ports))));
        let vlans = record.flat_map(|record| &record.vlans);
        let vlans = vlans.map(|vlan| (&vlan.name, format!("VLAN interface on {}", vlan.link)));
        bonds.chain(vlans).map(|(name, stands_on)| (name.clone(), stands_on)).collect()
    }

    /// The name of a bridge's uplink, or what the configuration says of one that no interface is.
    pub fn uplink(&self, policy: &BridgePolicy) -> Option<String> {
        let link = policy.uplink_of(&self.seen.links).map(|link| link.name.to_string());
        link.or_else(|| policy.uplink_text())
    }

    /// The addresses of a bridge or uplink of the configuration, each in the words of `ip address show`.
    pub fn addresses(&self, name: &IfName) -> Vec<String> {
        let link = self.seen.link(name);
        let addresses = link.and_then(|link| self.seen.addresses.get(&link.index));
        addresses.into_iter().flatten().map(ToString::to_string).collect()
    }
}
