//! Detaches a vif: `offline`, and `remove` for a tap.

use super::VifRequest;
use super::remains::observe;
use super::resolve::{Resolved, Tolerance};
use crate::Error;
use crate::engine::{Held, LockName, Operation, Step, Strictness};
use crate::observe::Facts;

/// Removes everything that is left of a vif, however little. That its interface, its bridge, its backend or XenStore
/// itself is gone is no error.
#[derive(Debug)]
pub(crate) struct Detach<'r> {
    request: &'r VifRequest,
    /// Whether the vif was a port when it was observed first.
    was_port: bool,
}

/// How often the vif is observed: a look that fails may succeed the next time.
const ATTEMPTS: u32 = 3;

impl<'r> Detach<'r> {
    pub(crate) fn new(request: &'r VifRequest) -> Self {
        Self { request, was_port: false }
    }
}

impl Operation for Detach<'_> {
    fn locks(&self) -> Vec<LockName> {
        vec![LockName::Vif(self.request.target.name.clone())]
    }

    fn plan(&mut self, facts: &mut Facts<'_>, held: Held<'_>) -> Result<Step, Error> {
        let mut attempts = 1..ATTEMPTS;
        let (resolved, mut vif) = loop {
            let resolved = Resolved::new(self.request, facts, Tolerance::Everything)?;
            let vif = observe(&resolved, facts, self.was_port);
            if vif.unobserved.is_empty() || attempts.next().is_none() {
                break (resolved, vif);
            }
            facts.start_over();
        };
        self.was_port |= vif.master.is_some();
        let (target, config) = (&resolved.target, &resolved.config);
        if let Ok(bridge) = target.choose_bridge(config, &vif).cloned()
            && let Some(uplink) = facts.managed_uplink(&bridge)
        {
            let lock = LockName::Uplink(bridge.name.clone());
            if held.lacks(&lock) {
                return Ok(Step::Lock(lock));
            }
            let index = vif.link.as_ref().map(|link| link.index);
            // An uplink that is gone has no VLANs to remove.
            vif.uplink = facts.uplink_vlans(&bridge, &uplink, index).ok();
        }
        Ok(Step::Plan(target.offline(config, &vif)))
    }

    fn strictness(&self) -> Strictness {
        Strictness::BestEffort
    }

    fn guards(&self) -> bool {
        true
    }
}
