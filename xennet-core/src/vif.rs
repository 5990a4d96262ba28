use std::time::Duration;

use crate::Error;
use crate::config::VifConfig;
use crate::context::Context;
use crate::engine::{self, Remaining, report};
use crate::observe::Facts;
use crate::ops::vif::{Announce, Attach, Detach, VifRequest, VifStatus, status};
use crate::plan::{Plan, VifTarget};
use crate::types::{Device, Mode, ParseError, VifId};

/// One vif of a guest, or the tap of its emulated NIC.
#[derive(Debug)]
pub struct Vif<'n> {
    context: &'n mut Context,
    request: VifRequest,
}

impl<'n> Vif<'n> {
    pub(crate) fn new(
        context: &'n mut Context,
        id: VifId,
        device: Device,
    ) -> Result<Self, ParseError> {
        let request = VifRequest {
            target: VifTarget::new(id, device)?,
            mode: None,
            defaults: context.config.vif.clone(),
            overrides: Vec::new(),
            once: false,
        };
        Ok(Self { context, request })
    }

    /// Sets the backend's directory, where it is not `backend/vif/DOMID/DEVID` of this domain.
    pub fn set_backend(&mut self, path: impl Into<String>) {
        self.request.target.backend = path.into();
    }

    /// Sets what the vif is attached to, whatever the `script` in XenStore says. The default is a bridge.
    pub fn set_mode(&mut self, mode: Mode) {
        self.request.mode = Some(mode);
    }

    /// Sets a key that XenStore overrides, as a hotplug script's environment and arguments.
    ///
    /// An error names the key when there is no such key or the value is invalid; then nothing is changed.
    pub fn set_default(&mut self, key: &str, value: &[u8]) -> Result<(), ParseError> {
        self.request.defaults.set(key, value)
    }

    /// Sets a key that overrides XenStore. [`online`](Self::online) writes it to the backend's directory, so that the
    /// next `online` uses it too, unless it is [for once](Self::set_once).
    ///
    /// An error as [`set_default`](Self::set_default)'s.
    pub fn set(&mut self, key: &str, value: &[u8]) -> Result<(), ParseError> {
        VifConfig::default().set(key, value)?;
        self.request.overrides.push((key.to_owned(), value.to_owned()));
        Ok(())
    }

    /// Sets whether the keys of [`set`](Self::set) hold for one `online` only: they are not written to XenStore.
    pub fn set_once(&mut self, once: bool) {
        self.request.once = once;
    }

    /// What [`online`](Self::online) would do now. Changes nothing and waits for nothing.
    ///
    /// An error says why [`online`](Self::online) would fail at once: no interface or no bridge (`ENODEV`), an invalid
    /// value (`EINVAL`), no backend (`ENOENT`), a name that another interface has (`EEXIST`).
    pub fn plan_online(&mut self) -> Result<Plan, Error> {
        let (mut facts, request) = self.split();
        engine::plan(&mut facts, &mut Attach::new(request, Duration::ZERO))
    }

    /// What [`offline`](Self::offline) would do now. Changes nothing.
    ///
    /// An error only when the kernel does not answer.
    pub fn plan_offline(&mut self) -> Result<Plan, Error> {
        let (mut facts, request) = self.split();
        engine::plan(&mut facts, &mut Detach::new(request))
    }

    /// Attaches the vif: waits for its interface, makes it a port of its bridge, verifies that in the kernel, and writes
    /// `connected` to XenStore. What is already as wanted stays as it is.
    ///
    /// When a step fails, everything is undone, and the reason is written to XenStore (`hotplug-error`, and
    /// `hotplug-status` = `error` unless the vif was, and still is, `connected`).
    pub fn online(&mut self) -> Result<Plan, Error> {
        let link_wait = self.context.link_wait;
        let (mut facts, request) = self.split();
        engine::run(&mut facts, &mut Attach::new(request, link_wait))
    }

    /// Detaches the vif. That its interface, its bridge, its backend or XenStore itself is gone is no error.
    pub fn offline(&mut self) -> Result<Plan, Error> {
        let (mut facts, request) = self.split();
        engine::run(&mut facts, &mut Detach::new(request))
    }

    /// What [`announce`](Self::announce) would do now. Changes nothing.
    pub fn plan_announce(&mut self) -> Result<Plan, Error> {
        let (mut facts, request) = self.split();
        engine::plan(&mut facts, &mut Announce::new(request))
    }

    /// Announces the guest to the bridge and to the switches behind it: after a migration of a guest that does not do so
    /// itself, as Linux does.
    ///
    /// Nothing for a tap, and for a vif that is in no bridge.
    pub fn announce(&mut self) -> Result<Plan, Error> {
        let (mut facts, request) = self.split();
        engine::run(&mut facts, &mut Announce::new(request))
    }

    /// What the vif is now, and what it lacks. Changes nothing.
    ///
    /// An invalid value, or a missing backend, is in [`VifStatus::config`]; an error when the kernel or XenStore does
    /// not answer.
    pub fn status(&mut self) -> Result<VifStatus, Error> {
        let (mut facts, request) = self.split();
        status(request, &mut facts)
    }

    /// Writes to XenStore that the vif could not be attached, and why. xl prints `hotplug-error`.
    ///
    /// Does nothing without XenStore, or without a backend.
    pub fn report(&mut self, error: &Error) {
        let (facts, request) = self.split();
        let remaining = match request.target.device {
            Device::Vif => Remaining::Connected,
            Device::Tap => Remaining::Tap,
        };
        report(facts.connections.store.as_mut(), &request.target.backend, error, remaining, &[]);
    }

    fn split(&mut self) -> (Facts<'_>, &VifRequest) {
        (self.context.facts(), &self.request)
    }
}
