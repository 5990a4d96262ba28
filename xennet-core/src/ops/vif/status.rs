//! What a vif is, and what it lacks.

use super::VifRequest;
use super::resolve::{Resolved, Tolerance};
use super::snapshot::{Observed, observe};
use crate::Error;
use crate::config::VifConfig;
use crate::engine::Held;
use crate::observe::Facts;
use crate::plan::{Plan, VifFault, VifSnapshot, VifStore, VifTarget};
use crate::types::{Device, IfName, Interface, Mode, VifId};

/// What a vif is, and how far it is from what it is to be.
#[derive(Debug)]
#[non_exhaustive]
pub struct VifStatus {
    /// Which vif.
    pub id: VifId,
    /// Whether it is the vif or its tap.
    pub device: Device,
    /// What it is attached to.
    pub mode: Mode,
    /// The backend's directory in XenStore.
    pub backend: String,
    /// The name that netback or the device model gives its interface.
    pub name: IfName,
    /// Its configuration; an error when XenStore has no backend for it, or an invalid value.
    pub config: Result<VifConfig, Error>,
    /// Its interface, if it exists.
    pub link: Option<Interface>,
    /// The bridge, Open vSwitch bridge or other master that the interface is a port of.
    pub master: Option<IfName>,
    /// Its port number in Open vSwitch.
    pub ofport: Option<i64>,
    /// The backend's `hotplug-status`.
    pub hotplug_status: Option<Vec<u8>>,
    /// The backend's `hotplug-error`.
    pub hotplug_error: Option<Vec<u8>>,
    /// What [`Vif::online`](crate::Vif::online) would change now: nothing when the vif is as wanted. None when its
    /// configuration is invalid.
    pub drift: Option<Result<Plan, Error>>,
    fault: Option<VifFault>,
}

impl VifStatus {
    /// Why a vif that is to work does not; none for one that is as wanted, and for one whose configuration is invalid.
    pub fn fault(&self) -> Option<VifFault> {
        self.fault
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
    let VifTarget { id, device, mode, backend, name } = target;
    let fault = match error {
        Some(_) => None,
        None => VifFault::find(mode, link.as_ref(), switch.is_some(), drift.as_ref()),
    };
    let port = switch.as_ref().map(|now| now.port.bridge.clone());
    let VifStore { hotplug_status, hotplug_error, .. } = store.unwrap_or_default();
    Ok(VifStatus {
        id,
        device,
        mode,
        backend,
        name,
        config: error.map_or(Ok(config), Err),
        link: link.as_ref().map(Interface::from),
        master: port.or_else(|| Some(master?.name)),
        ofport: switch.and_then(|now| now.ofport),
        hotplug_status,
        hotplug_error,
        drift,
        fault,
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
