//! Attaches a vif: `online`, and `add` for a tap.

use std::time::Duration;

use super::VifRequest;
use super::resolve::{Resolved, Tolerance};
use super::snapshot::{Observed, observe};
use crate::Error;
use crate::engine::{Held, LockName, Operation, Remaining, Step, report};
use crate::observe::Facts;
use crate::plan::{Change, Plan, PlanError, VifSnapshot, Warning};
use crate::types::{Device, IfName, LinkSet, Mode, Mtu};

/// Waits for the vif's interface, configures it, and writes `connected` to XenStore.
#[derive(Debug)]
pub(crate) struct Attach<'r> {
    request: &'r VifRequest,
    link_wait: Duration,
    index: Option<u32>,
    /// Whether, at the first observation, the vif was up and attached, and XenStore said `connected`.
    was_connected: Option<bool>,
    /// Whether an `mtu` is set for this vif, rather than inherited from its bridge.
    sets_mtu: bool,
    /// What restores the frontend's `mtu`, where the answer to its write may be lost.
    unwritten: Vec<Change>,
    /// The error with which the device refused the inherited MTU.
    refused_mtu: Option<String>,
}

impl<'r> Attach<'r> {
    pub(crate) fn new(request: &'r VifRequest, link_wait: Duration) -> Self {
        Self {
            request,
            link_wait,
            index: None,
            was_connected: None,
            sets_mtu: false,
            unwritten: Vec::new(),
            refused_mtu: None,
        }
    }

    fn vanished(&self) -> Error {
        Error::Vanished { link: self.request.target.name.clone() }
    }

    /// Keeps the MTU that the device has, where it refused the bridge's.
    fn keep_mtu(&self, resolved: &mut Resolved) -> Option<Warning> {
        let why = self.refused_mtu.clone()?;
        let link = resolved.links.own.as_ref()?;
        resolved.config.mtu = Mtu::new(link.mtu).ok();
        Some(Warning::MtuRefused { link: link.name.clone(), mtu: link.mtu, why })
    }
}

impl Operation for Attach<'_> {
    fn locks(&self) -> Vec<LockName> {
        vec![LockName::Vif(self.request.target.name.clone())]
    }

    fn plan(&mut self, facts: &mut Facts<'_>, held: Held<'_>) -> Result<Step, Error> {
        let before = facts.last_vif(&self.request.target).and_then(|link| link.index);
        let mut resolved = Resolved::new(self.request, facts, Tolerance::Nothing)?;
        resolved.check_name()?;
        match (&resolved.links.own, before) {
            (None, None) => return Err(resolved.target.no_link().into()),
            (Some(link), before) if before.is_none_or(|before| before == link.index) => {
                self.index = Some(link.index);
                let is_port = link.master.is_some() || resolved.target.mode != Mode::Bridge;
                let status =
                    resolved.store.as_ref().and_then(|store| store.hotplug_status.as_deref());
                let connected = status == Some(b"connected");
                self.was_connected.get_or_insert(link.up && is_port && connected);
            }
            _ => return Err(self.vanished()),
        }
        if resolved.shares_addresses() && held.lacks(&LockName::Addresses) {
            return Ok(Step::Lock(LockName::Addresses));
        }
        self.sets_mtu = resolved.config.mtu.is_some();
        let warning = self.keep_mtu(&mut resolved);
        let vif = match observe(&resolved, facts, held)? {
            Observed::Facts(vif) => vif,
            Observed::First(step) => return Ok(step),
        };
        let mut plan = resolved.online(self.request, &vif)?;
        plan.warnings.extend(warning);
        let frontends = |change: &&Change| matches!(change, Change::StoreWrite { path, was: Some(_), .. } if path.ends_with("/mtu") && path.starts_with('/'));
        let written = plan.changes().iter().filter(frontends);
        self.unwritten.extend(written.filter_map(Change::undo));
        self.unwritten.truncate(1);
        Ok(Step::Plan(plan))
    }

    fn awaited_link(&self, missing: &Error) -> Option<(IfName, Duration)> {
        matches!(missing, Error::Plan(PlanError::NoLink { .. }))
            .then(|| (self.request.target.name.clone(), self.link_wait))
    }

    fn backend(&self) -> Option<&str> {
        Some(&self.request.target.backend)
    }

    /// A device that refuses its bridge's MTU is attached with its own, as by Xen's scripts.
    fn does_without(&mut self, refused: &Change, error: &Error) -> bool {
        let Change::LinkSet { link, set: LinkSet::Mtu(_), .. } = refused else { return false };
        // Once, and the vif's MTU only.
        if link.index != self.index || self.refused_mtu.is_some() || self.sets_mtu {
            return false;
        }
        self.refused_mtu = Some(error.to_string());
        true
    }

    /// Under the vif's lock, or the error could come after another process's `connected`.
    fn finish(
        &mut self,
        facts: &mut Facts<'_>,
        outcome: Result<Plan, Error>,
    ) -> Result<Plan, Error> {
        outcome
            .map_err(|error| {
                let index = facts.last_vif(&self.request.target).and_then(|link| link.index);
                let kernel = facts.connections.kernel();
                let link = index.map(|index| kernel.and_then(|kernel| kernel.link_at(index)));
                // Whatever was refused, this is why.
                if matches!(link, Some(Ok(None))) { self.vanished() } else { error }
            })
            .inspect_err(|error| {
                let backend = &self.request.target.backend;
                // What failed before the vif was observed has changed nothing, unless there is no vif.
                let no_link = matches!(error, Error::Plan(PlanError::NoLink { .. }));
                let remaining = match self.was_connected.unwrap_or(!no_link) {
                    _ if self.request.target.device == Device::Tap => Remaining::Tap,
                    true => Remaining::Connected,
                    false => Remaining::Nothing,
                };
                let store = facts.connections.store.as_mut();
                report(store, backend, error, remaining, &self.unwritten);
            })
    }

    fn keeps_vif_lock(&self) -> bool {
        true
    }
}

impl Resolved {
    /// What attaches the vif, with what the caller said written to XenStore.
    pub(super) fn online(&self, request: &VifRequest, vif: &VifSnapshot) -> Result<Plan, Error> {
        if self.target.device == Device::Vif && self.config.rate.is_some() && self.backend.is_none()
        {
            return Err(PlanError::RateWithoutStore { vif: self.target.name.clone() }.into());
        }
        let mut plan =
            self.target.online(&self.config, vif).map_err(|error| self.not_started(error))?;
        if let Some(guard) = &vif.guard
            && !guard.other_owners(Some(self.target.id)).is_empty()
            && let Some(entry) = self.target.guard(&self.config, vif)
        {
            plan.warnings.extend(entry.shared_addresses(guard));
        }
        Ok(self.store_keys(request, plan))
    }

    /// Says so if the missing bridge is one that a start of the host's network makes.
    fn not_started(&self, error: PlanError) -> PlanError {
        let described = |name: &IfName| self.described.contains(name);
        match (error, self.described.first()) {
            (PlanError::NoBridge { name }, _) if described(&name) => PlanError::NotStarted { name },
            (PlanError::NoBridges, Some(name)) => PlanError::NotStarted { name: name.clone() },
            (error, _) => error,
        }
    }

    /// Adds the keys that the backend lacks: what the caller sets is kept, and netback reads `rate` there.
    fn store_keys(&self, request: &VifRequest, mut plan: Plan) -> Plan {
        let (Some(backend), Device::Vif) = (&self.backend, self.target.device) else { return plan };
        let kept = |key: &str| {
            key == "rate" || !request.once && request.overrides.iter().any(|(set, _)| set == key)
        };
        let mut keys = Vec::new();
        for key in VIF_KEYS.into_iter().filter(|key| kept(key)) {
            let value = self.config.get(key).unwrap_or_default();
            let was = backend.value(key);
            if was.map_or("".as_bytes(), Vec::as_slice) != value.as_bytes() {
                let path = format!("{}/{key}", self.target.backend);
                plan.insert_store_write(Change::StoreWrite { path, value, was: was.cloned() });
                keys.push(key.to_owned());
            }
        }
        if request.once && !request.overrides.is_empty() {
            let keys = request.overrides.iter().map(|(key, _)| key.clone());
            let keys: Vec<String> = keys.filter(|key| key != "rate").collect();
            plan.warnings.extend((!keys.is_empty()).then_some(Warning::KeysForOnce { keys }));
        }
        if !keys.is_empty() {
            let backend = self.target.backend.clone();
            plan.warnings.push(Warning::KeysStored { backend, keys });
        }
        plan
    }

    /// Whether another vif could choose, or be given, the same address at the same time.
    fn shares_addresses(&self) -> bool {
        let dhcp = self.nat.as_ref().is_some_and(|nat| nat.dhcp);
        self.chooses_address || dhcp
    }
}

/// The keys that a caller may set for the next `online` as well; `frontend` belongs to the toolstack.
const VIF_KEYS: [&str; 8] = ["bridge", "vifname", "mtu", "mac", "ip", "rate", "vlan", "gatewaydev"];
