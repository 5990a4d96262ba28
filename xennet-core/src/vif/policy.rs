//! What the host's configuration says of one vif.

use super::Vif;
use crate::Error;
use crate::config::{GuestName, GuestPolicy, PortPolicy};
use crate::plan::SwitchSnapshot;
use crate::types::IfName;

impl Vif<'_> {
    /// What the host's configuration says of the port: first for this guest, then for this bridge.
    pub(super) fn policy(&mut self, bridge: &IfName) -> Result<PortPolicy, Error> {
        let guest = self.guest()?.unwrap_or_default();
        let bridge = self.net.config.bridge(bridge).map(|bridge| bridge.port.clone());
        Ok(guest.or(&bridge.unwrap_or_default()))
    }

    /// The same for a port of Open vSwitch.
    pub(super) fn switch_policy(&mut self, switch: &SwitchSnapshot) -> Result<PortPolicy, Error> {
        let guest = self.guest()?.unwrap_or_default();
        let config = &self.net.config;
        let bridge = switch.bridge.as_ref().map(|bridge| &bridge.name).and_then(|bridge| {
            let switch = config.switch(bridge).map(|bridge| &bridge.port);
            // Described without its mode: what is said of its ports is meant all the same.
            switch.or_else(|| config.bridge(bridge).map(|bridge| &bridge.port))
        });
        Ok(bridge.map_or(guest.clone(), |port| guest.or(port)))
    }

    /// What the host's configuration says of this guest. XenStore is only asked who it is where that matters.
    pub(super) fn guest(&mut self) -> Result<Option<PortPolicy>, Error> {
        let policies = self.guests()?;
        // Whoever is named in both ways is meant by both.
        Ok(policies.into_iter().map(|policy| policy.port).reduce(|one, other| one.or(&other)))
    }

    /// All that the host's configuration says of this guest, by its name and by its UUID.
    pub(super) fn guests(&mut self) -> Result<Vec<GuestPolicy>, Error> {
        if self.net.config.guests.is_empty() {
            return Ok(Vec::new());
        }
        let Some(store) = &mut self.net.store else { return Ok(Vec::new()) };
        let home = format!("/local/domain/{}", self.target.id.domid);
        let told = store.read_many(&[format!("{home}/name"), format!("{home}/vm")])?;
        let mut told = told.into_iter().map(|value| String::from_utf8(value?).ok());
        let name = told.next().flatten().map(|name| GuestName::Name(settled(&name).to_owned()));
        let uuid = told.next().flatten().and_then(|path| {
            path.strip_prefix("/vm/").map(|uuid| GuestName::Uuid(uuid.to_ascii_lowercase()))
        });
        let names = [name, uuid].into_iter().flatten();
        Ok(names.filter_map(|name| self.net.config.guest(&name).cloned()).collect())
    }
}

/// The name that a guest has or, while it comes from another host, will have: xl takes the rest away when it may start.
pub(super) fn settled(name: &str) -> &str {
    name.strip_suffix("--incoming").unwrap_or(name)
}
