use std::time::{Duration, Instant};

use crate::apply::{self, Apply};
use crate::lock::Lock;
use crate::plan::vif::MARK;
use crate::plan::{Change, Plan};
use crate::types::{Device, IfName, VifId};
use crate::{Dom0Network, Error};

/// What Open vSwitch has of guests: ports that outlive their vifs, as after a crash of the host, whose database stays.
#[derive(Debug)]
pub struct Ovs<'n> {
    net: &'n mut Dom0Network,
}

/// How long the ports may take to go, all together.
const PATIENCE: Duration = Duration::from_secs(30);

impl<'n> Ovs<'n> {
    pub(crate) fn new(net: &'n mut Dom0Network) -> Self {
        Self { net }
    }

    /// What [`gc`](Self::gc) would do. Touches nothing.
    pub fn plan_gc(&mut self) -> Result<Plan, Error> {
        self.only_with_store()?;
        let stale = self.stale()?.into_iter();
        Ok(stale.map(|(name, _)| Change::OvsPortDelete { name, was: None }).collect())
    }

    /// Deletes the ports of vifs that neither the kernel nor XenStore knows any more, and says which. Ports that xennet did
    /// not make are left alone. `ovs-vsctl del-port NAME`
    pub fn gc(&mut self) -> Result<Plan, Error> {
        self.only_with_store()?;
        let deadline = Instant::now() + PATIENCE;
        let mut done = Vec::new();
        for (name, vif) in self.stale()? {
            // Whoever plugs such a vif in meanwhile has this lock, and once he has given it back the port is not stale.
            let lock = Lock::take(&self.net.run_dir, vif.as_str(), deadline)?;
            let stale = (name, vif);
            if self.stale()?.contains(&stale) {
                let delete = Change::OvsPortDelete { name: stale.0, was: None };
                Apply::new(self.net, deadline).run_all([&delete])?;
                done.push(delete);
                lock.remove();
            }
        }
        Ok(done.into_iter().collect())
    }

    fn only_with_store(&self) -> Result<(), Error> {
        match self.net.store {
            Some(_) => Ok(()),
            None => Err(Error::Usage(
                "ovs gc: only XenStore says which vifs there are; do without --no-store".to_owned(),
            )),
        }
    }

    /// Each port whose vif is gone, and the name that the vif's interface had at first.
    fn stale(&mut self) -> Result<Vec<(IfName, IfName)>, Error> {
        let socket = self.net.ovs_socket().to_owned();
        let ovs = apply::ovs(&mut self.net.ovs, &socket)?;
        let marked = ovs.interfaces_with(MARK)?;
        let vifs = self.net.vifs()?;
        let mut stale = Vec::new();
        for (name, mark) in marked {
            // One that says something else is nobody's that we know.
            let Some((id, device)) = owner(&mark) else { continue };
            if !vifs.contains(&id) && !self.has_interface(&name, id, device)? {
                stale.push((name, id.if_name(device)?));
            }
        }
        Ok(stale)
    }

    /// Whether there is an interface that the port could be for, under its own name or as it was made.
    fn has_interface(&mut self, name: &IfName, id: VifId, device: Device) -> Result<bool, Error> {
        let kernel = &mut self.net.kernel;
        Ok(kernel.link(name)?.is_some() || kernel.link(&id.if_name(device)?)?.is_some())
    }
}

/// Whose port it is: `vif3.0 index 7`.
fn owner(mark: &str) -> Option<(VifId, Device)> {
    VifId::from_if_name(mark.split(' ').next()?).ok()
}
