use std::collections::BTreeSet;

use super::Host;
use crate::config::VifConfig;
use crate::kernel::LinkFilter;
use crate::ops::vif::VifStatus;
use crate::plan::{Change, Plan, VifTarget, Warning};
use crate::types::{BridgeSpec, Device, IfName, LinkSet, VifId};
use crate::{Error, Vif};

impl Host<'_> {
    /// What [`attach_guests`](Self::attach_guests) would do now. Changes nothing.
    ///
    /// An error as [`attach_guests`](Self::attach_guests)'s.
    pub fn plan_attach_guests(&mut self) -> Result<Plan, Error> {
        self.repair_guests(|_, status| status.drift.unwrap_or_else(|| Ok(Plan::default())))
    }

    /// Attaches guests again whose bridges were deleted: [`Vif::online`] for each vif that is `connected` in XenStore, is
    /// wanted on a bridge of the configuration, and is not as wanted. Call it after [`start`](Self::start).
    ///
    /// That one vif fails is a warning, and does not stop the others. Without XenStore there is nothing to do.
    ///
    /// An error when the kernel or XenStore does not answer.
    pub fn attach_guests(&mut self) -> Result<Plan, Error> {
        self.repair_guests(|vif, status| match status.drift {
            Some(Ok(_)) => vif.online(),
            drift => drift.unwrap_or_else(|| Ok(Plan::default())),
        })
    }

    fn repair_guests(
        &mut self,
        repair: impl Fn(&mut Vif<'_>, VifStatus) -> Result<Plan, Error>,
    ) -> Result<Plan, Error> {
        let mut all = Plan::default();
        let bridges: BTreeSet<IfName> =
            self.context.config.all_bridges().into_iter().map(|policy| policy.name).collect();
        for (id, device) in self.guests()? {
            let mut vif = Vif::new(self.context, id, device)?;
            // One that goes meanwhile needs nothing.
            let Ok(status) = vif.status() else { continue };
            if !is_left_behind(&status, &bridges) {
                continue;
            }
            match repair(&mut vif, status) {
                Ok(plan) => all.append(without(&plan, &all)),
                Err(error) => {
                    let warning = Warning::NotAttached { vif: id, why: error.to_string() };
                    all.warnings.push(warning);
                }
            }
        }
        Ok(all)
    }

    /// The vifs that XenStore knows, and their taps, as far as they have an interface. A host without such interfaces
    /// does not ask XenStore: at boot it may not run yet.
    fn guests(&mut self) -> Result<Vec<(VifId, Device)>, Error> {
        let mut facts = self.context.facts();
        let mut guests: Vec<_> =
            facts.links(LinkFilter::All)?.iter().filter_map(VifTarget::of).collect();
        if guests.is_empty() || facts.connections.store.is_none() {
            return Ok(Vec::new());
        }
        let known: BTreeSet<VifId> = facts.vifs()?.into_iter().collect();
        guests.retain(|(id, _)| known.contains(id));
        guests.sort_unstable_by_key(|(id, device)| (*id, *device == Device::Tap));
        Ok(guests)
    }
}

/// A plan without what an earlier one changes: each vif that joins a new bridge plans to record the bridge's MTU.
fn without(plan: &Plan, earlier: &Plan) -> Plan {
    let changes = plan.changes().iter().filter(|change| !earlier.changes().contains(change));
    Plan::new(changes.cloned().collect(), plan.warnings().to_vec())
}

/// Whether a connected vif lacks something on one of these bridges.
fn is_left_behind(status: &VifStatus, bridges: &BTreeSet<IfName>) -> bool {
    let connected = status.hotplug_status.as_deref() == Some(b"connected");
    let Some(drift) = status.drift.as_ref().filter(|_| connected && status.link.is_some()) else {
        return false;
    };
    let joins = drift.iter().flat_map(Plan::changes).filter_map(|change| match change {
        Change::LinkSet { set: LinkSet::Master(Some(bridge)), .. } => Some(&bridge.name),
        _ => None,
    });
    let named: Vec<IfName> = match &status.config {
        Ok(VifConfig { bridge: Some(bridge), .. }) => BridgeSpec::names(bridge).collect(),
        _ => joins.chain(&status.master).cloned().collect(),
    };
    let as_wanted = drift.as_ref().is_ok_and(Plan::is_empty);
    !as_wanted && named.iter().any(|name| bridges.contains(name))
}
