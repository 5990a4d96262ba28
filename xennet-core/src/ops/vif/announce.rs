//! Announces where a guest is.

use super::VifRequest;
use super::resolve::{Resolved, Tolerance};
use super::snapshot::{Observed, observe};
use crate::Error;
use crate::engine::{Held, LockName, Operation, Step};
use crate::observe::Facts;
use crate::plan::Plan;
use crate::types::Mode;

/// Announces the guest to the bridge and to the switches behind it.
#[derive(Debug)]
pub(crate) struct Announce<'r> {
    request: &'r VifRequest,
}

impl<'r> Announce<'r> {
    pub(crate) fn new(request: &'r VifRequest) -> Self {
        Self { request }
    }
}

impl Operation for Announce<'_> {
    fn locks(&self) -> Vec<LockName> {
        vec![LockName::Vif(self.request.target.name.clone())]
    }

    fn plan(&mut self, facts: &mut Facts<'_>, held: Held<'_>) -> Result<Step, Error> {
        let resolved = Resolved::new(self.request, facts, Tolerance::Nothing)?;
        let (target, config, links) = (&resolved.target, &resolved.config, &resolved.links);
        resolved.check_name()?;
        if links.own.is_none() {
            return Err(target.no_link().into());
        }
        let mut vif = match observe(&resolved, facts, held)? {
            Observed::Facts(vif) => vif,
            Observed::First(step) => return Ok(step),
        };
        let attached = match target.mode {
            Mode::OpenVswitch => resolved.switch_bridge.is_some(),
            Mode::Bridge => match target.choose_bridge(config, &vif).cloned() {
                Ok(bridge)
                    if links.own.as_ref().and_then(|own| own.master) == Some(bridge.index) =>
                {
                    vif.outlets = facts.outlets(&bridge, links.own.as_ref())?;
                    true
                }
                _ => false,
            },
            _ => false,
        };
        let changes = if attached { target.arrival(config, &vif) } else { Vec::new() };
        Ok(Step::Plan(Plan::new(changes, Vec::new())))
    }

    fn announces_in_passing(&self) -> bool {
        false
    }

    fn keeps_vif_lock(&self) -> bool {
        true
    }
}
