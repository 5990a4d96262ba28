//! What a vif is, and what it lacks.

use super::VifRequest;
use super::resolve::{Resolved, Tolerance};
use super::snapshot::{Observed, observe};
use crate::Error;
use crate::config::VifConfig;
use crate::engine::Held;
use crate::observe::Facts;
use crate::plan::{Plan, VifFault, VifSnapshot, VifStore, VifTarget};
use crate::types::{Link, OvsPortNow};

/// What a vif is, and how far it is from what it is to be.
#[derive(Debug)]
#[non_exhaustive]
pub struct VifStatus {
    /// Which vif, and where its backend is.
    pub target: VifTarget,
    /// What it is to become; an error when XenStore has no backend for it, or an invalid value.
    pub config: Result<VifConfig, Error>,
    /// Its interface, if it exists.
    pub link: Option<Link>,
    /// What the interface is a port of.
    pub master: Option<Link>,
    /// Its port of an Open vSwitch bridge.
    pub switch: Option<OvsPortNow>,
    /// The state that XenStore has of it; none without XenStore or without a backend.
    pub store: Option<VifStore>,
    /// What an `online` would change now: nothing when all is well. None when its configuration is invalid.
    pub drift: Option<Result<Plan, Error>>,
}

impl VifStatus {
    /// Why a vif that is to work does not; none for one that is as wanted, and for one whose configuration is invalid.
    pub fn fault(&self) -> Option<VifFault> {
        self.config.as_ref().ok()?;
        let (link, switch_port) = (self.link.as_ref(), self.switch.is_some());
        VifFault::find(self.target.mode, link, switch_port, self.drift.as_ref())
    }
}

/// The status: a dry run whose plan is shown as pending changes.
///
/// An error when the kernel or XenStore does not answer.
pub(crate) fn status(request: &VifRequest, facts: &mut Facts<'_>) -> Result<VifStatus, Error> {
    let (mut resolved, missing) = match Resolved::new(request, facts, Tolerance::InvalidValues) {
        Err(error @ Error::NoBackend { .. }) => {
            (Resolved::new(request, facts, Tolerance::Everything)?, Some(error))
        }
        resolved => (resolved?, None),
    };
    let invalid = resolved.invalid.drain(..).next();
    let error = missing.or(invalid.map(Error::from));
    let failure = resolved.misplaced.take().map_or_else(|| resolved.check_name(), Err);
    let observed = failure.and_then(|()| observe(&resolved, facts, Held::dry_run()));
    let (vif, failure) = match observed {
        Ok(Observed::Facts(vif)) => (vif, None),
        // A dry run lacks nothing.
        Ok(Observed::First(_)) => (links(&resolved, facts), None),
        Err(error) => (links(&resolved, facts), Some(error)),
    };
    let drift = match (&error, failure) {
        (Some(_), _) => None,
        (None, Some(failure)) => Some(Err(failure)),
        (None, None) => Some(resolved.online(request, &vif)),
    };
    let VifSnapshot { link, master, switch, .. } = *vif;
    let Resolved { target, config, store, .. } = resolved;
    let name = link.as_ref().map_or(&target.name, |link| &link.name);
    let switch =
        switch.and_then(|switch| switch.ports.into_iter().find(|now| now.port.name == *name));
    Ok(VifStatus {
        target,
        config: error.map_or(Ok(config), Err),
        link,
        master,
        switch,
        store,
        drift,
    })
}

/// What is known of a vif whose other facts cannot be had.
fn links(resolved: &Resolved, facts: &mut Facts<'_>) -> Box<VifSnapshot> {
    let mut vif = Box::<VifSnapshot>::default();
    let master = resolved.links.own.as_ref().and_then(|own| own.master);
    vif.master = master.and_then(|index| facts.link_at(index).ok().flatten());
    vif.link.clone_from(&resolved.links.own);
    vif
}
