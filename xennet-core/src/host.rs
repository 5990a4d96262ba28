mod gateway;
mod json;
mod look;
mod managers;
mod record;
mod trial;
mod watchdog;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::apply::Apply;
use crate::config::HostNow;
use crate::lock::Lock;
use crate::plan::{NetworkBefore, NetworkSnapshot, Plan};
use crate::types::{IfName, Interface};
use crate::{Dom0Network, Error, dhcp};
use record::Record;

pub use trial::{RolledBack, Trial, Unconfirmed, Watch};

/// How long another start or stop is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// The host's side of the network: bridges, the host's own addresses, forwarding, as the configuration says.
#[derive(Debug)]
pub struct Host<'n> {
    net: &'n mut Dom0Network,
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
    /// A start that was taken back, when it was the last one.
    pub rolled_back: Option<RolledBack>,
}

impl<'n> Host<'n> {
    pub(crate) fn new(net: &'n mut Dom0Network) -> Self {
        Self { net }
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
        Ok(self.look()?.hosts_now(&self.net.config))
    }

    /// Whether xennet has a record of a start that no stop gave back.
    ///
    /// An error when the record cannot be read.
    pub fn is_started(&self) -> Result<bool, Error> {
        Ok(self.record().read()?.is_some())
    }

    pub(crate) fn look(&mut self) -> Result<NetworkSnapshot, Error> {
        let before = self.record().read()?;
        look::look(self.net, before)
    }

    /// What [`start`](Self::start) would do now. Touches nothing.
    ///
    /// An error when what is wanted cannot be: an uplink that is not there (`ENODEV`), an address or route that could
    /// not be made again (`EOPNOTSUPP`), a bridge that is something else (`EINVAL`).
    pub fn plan_start(&mut self) -> Result<Plan, Error> {
        Ok(self.look()?.start(&self.net.config)?)
    }

    /// What [`stop`](Self::stop) would do now. Touches nothing.
    ///
    /// An error (`EBUSY`) when guests are on a bridge that would go, (`ENOENT`) when nothing says what there was before; not with `force`.
    pub fn plan_stop(&mut self, force: bool) -> Result<Plan, Error> {
        Ok(self.look()?.stop(&self.net.config, force)?)
    }

    /// How far the host's side is from what the configuration says. Touches nothing.
    ///
    /// What would keep a start from beginning is told in [`HostStatus::drift`]; an error when the kernel or the records
    /// in the run directory cannot be read.
    pub fn status(&mut self) -> Result<HostStatus, Error> {
        let seen = self.look()?;
        let drift = seen.start(&self.net.config).map_err(Error::from);
        let (unconfirmed, rolled_back) = (self.unconfirmed()?, self.rolled_back()?);
        Ok(HostStatus { seen, drift, unconfirmed, rolled_back })
    }

    /// Makes the host's side as the configuration says, and reads back that it is so.
    ///
    /// What there was is written down before the first change, for [`stop`](Self::stop). When anything fails, all that
    /// was done is taken back; when this process dies, the next `start` or `stop` puts it right.
    pub fn start(&mut self) -> Result<Plan, Error> {
        self.start_if(|_| Ok(()))
    }

    /// The same, and takes everything back unless `works` says that the network works: for whoever could lock himself
    /// out.
    ///
    /// An error is the first that there was; (`EBUSY`) when an earlier start is yet to be confirmed.
    /// [`Error::HalfUndone`] when taking back failed as well.
    pub fn start_if(
        &mut self,
        works: impl FnOnce(&mut Dom0Network) -> Result<(), Error>,
    ) -> Result<Plan, Error> {
        let _lock = self.lock()?;
        self.none_unconfirmed()?;
        let seen = self.look()?;
        let plan = seen.start(&self.net.config)?;
        self.make(&seen, &plan, works)?;
        self.last().restore(None)?;
        Ok(plan)
    }

    /// Makes the changes of a start, and takes them back when one fails, or when it does not work.
    fn make(
        &mut self,
        seen: &NetworkSnapshot,
        plan: &Plan,
        works: impl FnOnce(&mut Dom0Network) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.record().write(&seen.record(&self.net.config, plan))?;
        if self.net.config.nat.iter().any(|nat| nat.dhcp) {
            dhcp::make_dir(&self.net.run_dir)?;
        }
        let done = self.carry_out(plan, |host| {
            let rest = host.plan_start()?;
            match rest.changes().first() {
                Some(change) => Err(Error::Ignored { change: change.to_string() }),
                None => works(host.net),
            }
        });
        done.map_err(|first| match self.forget(seen) {
            Ok(()) => first,
            Err(undo) => Error::HalfUndone { first: Box::new(first), undo: Box::new(undo) },
        })
    }

    /// The record as it was before a start that failed, once nothing is left of that.
    fn forget(&mut self, before: &NetworkSnapshot) -> Result<(), Error> {
        if before.before.is_none() {
            // Of a request whose answer was lost, nobody knew whether there was something to take back.
            let rest = self.look()?.stop(&self.net.config, false)?;
            self.carry_out(&rest, |_| Ok(()))?;
        }
        self.record().restore(before.before.as_ref())
    }

    /// Gives back what [`start`](Self::start) took. That it took nothing is no error.
    ///
    /// A bridge of xennet's own that has other ports than its uplink stops it, unless `force`. A start that is yet to be
    /// confirmed is given back as well, and its watchdog ends.
    pub fn stop(&mut self, force: bool) -> Result<Plan, Error> {
        let lock = self.lock()?;
        let seen = self.look()?;
        let plan = seen.stop(&self.net.config, force)?;
        self.carry_out(&plan, |_| Ok(()))?;
        self.record().restore(None)?;
        self.last().restore(None)?;
        self.end_trial(lock)?;
        Ok(plan)
    }

    /// Makes the changes, and takes them back when one fails, or when all together do not pass.
    fn carry_out(
        &mut self,
        plan: &Plan,
        passes: impl FnOnce(&mut Host<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let deadline = Instant::now() + PATIENCE;
        let mut apply = Apply::new(self.net, deadline);
        let done = apply.run(plan.changes());
        let made = apply.into_done();
        let done = done.and_then(|()| passes(&mut Host::new(self.net)));
        done.map_err(|error| Apply::resume(self.net, made, deadline).undo(error))
    }

    fn lock(&self) -> Result<Lock, Error> {
        Lock::take(&self.net.run_dir, "network", Instant::now() + PATIENCE)
    }

    fn record(&self) -> Record<NetworkBefore> {
        Record::new(&self.net.run_dir, "network.json")
    }
}

impl HostStatus {
    /// Whether xennet has a record of a start that no stop gave back.
    pub fn is_started(&self) -> bool {
        self.seen.before.is_some()
    }

    /// An interface of the host.
    pub fn link(&self, name: &IfName) -> Option<Interface> {
        self.seen.link(name).map(Interface::from)
    }

    /// The addresses of a bridge or uplink of the configuration, each in the words of `ip address show`.
    pub fn addresses(&self, name: &IfName) -> Vec<String> {
        let link = self.seen.link(name);
        let addresses = link.and_then(|link| self.seen.addresses.get(&link.index));
        addresses.into_iter().flatten().map(ToString::to_string).collect()
    }
}
