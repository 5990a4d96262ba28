use std::time::{Duration, Instant};

use crate::apply::{self, Apply};
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
        if self.net.store.is_none() {
            let words = "ovs gc: only XenStore says which vifs there are; do without --no-store";
            return Err(Error::Usage(words.to_owned()));
        }
        let socket = self.net.ovs_socket().to_owned();
        let ovs = apply::ovs(&mut self.net.ovs, &socket)?;
        let marked = ovs.interfaces_with(MARK)?;
        let vifs = self.net.vifs()?;
        let mut plan = Vec::new();
        for (name, mark) in marked {
            // One that says something else is nobody's that we know.
            let Some((id, device)) = owner(&mark) else { continue };
            if vifs.contains(&id) || self.has_interface(&name, id, device)? {
                continue;
            }
            plan.push(Change::OvsPortDelete { name, was: None });
        }
        Ok(plan.into_iter().collect())
    }

    /// Deletes the ports of vifs that neither the kernel nor XenStore knows any more, and says which. Ports that xennet did
    /// not make are left alone. `ovs-vsctl del-port NAME`
    pub fn gc(&mut self) -> Result<Plan, Error> {
        let plan = self.plan_gc()?;
        Apply::new(self.net, Instant::now() + PATIENCE).run_all(plan.changes())?;
        Ok(plan)
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
