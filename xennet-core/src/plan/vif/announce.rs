//! What is told, and to whom: hooks, and XenStore last of all.

use super::{Desired, VifSnapshot, VifStore, VifTarget};
use crate::config::VifConfig;
use crate::plan::{Change, Hook, Plan, PlanError};
use crate::types::{Device, IfName, ParseError};

impl VifTarget {
    pub(super) fn announce(
        &self,
        plan: &mut Plan,
        config: &VifConfig,
        desired: &Desired<'_>,
        facts: &VifSnapshot,
    ) -> Result<(), PlanError> {
        let mut writes = Plan::default();
        // A tap is the other half of a vif that says all this itself. An error of a connected vif is that of an earlier tap.
        if let (Some(store), Device::Tap) = (&facts.store, self.device) {
            let connected = store.hotplug_status.as_deref() == Some(b"connected");
            writes.changes.extend(self.forget_error(store).filter(|_| connected));
        }
        if let (Some(store), Device::Vif) = (&facts.store, self.device) {
            if let Some(frontend) = self.frontend(config)? {
                write(
                    &mut writes,
                    format!("{frontend}/mtu"),
                    &desired.mtu.to_string(),
                    store.frontend_mtu.as_ref(),
                );
            }
            writes.changes.extend(self.forget_error(store));
            let path = format!("{}/hotplug-status", self.backend);
            write(&mut writes, path, "connected", store.hotplug_status.as_ref());
        }
        // Hooks run when something happens, after the port is ready and before anybody hears of it.
        if !plan.is_empty() || !writes.is_empty() {
            self.hooks(plan, ("online", "add"), config, (&desired.name, desired.main_ip()), facts);
        }
        let connects = !writes.is_empty() || !plan.is_empty();
        plan.changes.extend(writes.changes);
        if connects && facts.policy.announce == Some(true) {
            plan.changes.extend(self.arrival(config, facts));
        }
        Ok(())
    }

    fn forget_error(&self, store: &VifStore) -> Option<Change> {
        let was = store.hotplug_error.clone()?;
        Some(Change::StoreRemove { path: format!("{}/hotplug-error", self.backend), was })
    }

    pub(super) fn hooks(
        &self,
        plan: &mut Plan,
        (vif, tap): (&str, &str),
        config: &VifConfig,
        (name, main_ip): (&IfName, String),
        facts: &VifSnapshot,
    ) {
        let command = if self.device == Device::Vif { vif } else { tap };
        for path in &facts.hooks {
            let variables = vec![
                ("command", command.to_owned()),
                ("dev", name.to_string()),
                ("main_ip", main_ip.clone()),
                ("ip", config.ip.to_string()),
                ("XENBUS_PATH", self.backend.clone()),
            ];
            plan.push(Change::Hook(Hook { path: path.clone(), variables }));
        }
    }

    /// The frontend's directory, when it is this guest's: the only place outside the backend that is written to.
    fn frontend<'a>(&self, config: &'a VifConfig) -> Result<Option<&'a str>, PlanError> {
        let Some(path) = config.frontend.as_deref() else { return Ok(None) };
        let home = format!("/local/domain/{}/", self.id.domid);
        if !path.starts_with(&home) {
            return Err(ParseError::new("frontend", path, format!("a path below {home}")).into());
        }
        Ok(Some(path))
    }
}

fn write(plan: &mut Plan, path: String, value: &str, was: Option<&Vec<u8>>) {
    if was.map(Vec::as_slice) != Some(value.as_bytes()) {
        plan.push(Change::StoreWrite { path, value: value.to_owned(), was: was.cloned() });
    }
}
