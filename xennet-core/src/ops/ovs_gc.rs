//! Deletes ports of Open vSwitch whose vifs are gone.

use crate::Error;
use crate::engine::{Held, LockName, Operation, Step, Strictness};
use crate::observe::Facts;
use crate::plan::vif::MARK;
use crate::plan::{Change, Plan};
use crate::types::{Device, IfName, VifId};

/// Deletes the ports of vifs that neither the kernel nor XenStore knows any more.
#[derive(Debug)]
pub(crate) struct OvsGc;

impl Operation for OvsGc {
    fn locks(&self) -> Vec<LockName> {
        Vec::new()
    }

    fn plan(&mut self, facts: &mut Facts<'_>, held: Held<'_>) -> Result<Step, Error> {
        if facts.connections.store.is_none() {
            let usage = "ovs gc: only XenStore says which vifs exist; run it without --no-store";
            return Err(Error::Usage(usage.to_owned()));
        }
        let mut changes = Vec::new();
        for (port, vif) in stale(facts)? {
            // A process that attaches such a vif holds its lock, and the port is not stale afterwards.
            let lock = LockName::Vif(vif);
            if held.lacks(&lock) {
                return Ok(Step::Lock(lock));
            }
            changes.push(Change::OvsPortDelete { name: port, was: None });
        }
        Ok(Step::Plan(Plan::new(changes, Vec::new())))
    }

    fn strictness(&self) -> Strictness {
        Strictness::BestEffort
    }
}

/// Each port whose vif is gone, and the name that the vif's interface had at first.
fn stale(facts: &mut Facts<'_>) -> Result<Vec<(IfName, IfName)>, Error> {
    let marked = facts.connections.ovs()?.interfaces_with(MARK)?;
    let vifs = facts.vifs()?;
    let mut stale = Vec::new();
    for (port, mark) in marked {
        // Other marks are not xennet's.
        let Some((id, device)) = owner(&mark) else { continue };
        let original = id.if_name(device)?;
        if !vifs.contains(&id) && facts.link(&port)?.is_none() && facts.link(&original)?.is_none() {
            stale.push((port, original));
        }
    }
    Ok(stale)
}

/// Which vif a port belongs to: `vif3.0 index 7`.
fn owner(mark: &str) -> Option<(VifId, Device)> {
    VifId::from_if_name(mark.split(' ').next()?).ok()
}
