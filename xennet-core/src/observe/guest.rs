//! Which guest a vif belongs to, and what the host's configuration says about it.

use super::Facts;
use crate::Error;
use crate::config::{GuestName, GuestPolicy, PortPolicy};
use crate::plan::SwitchSnapshot;
use crate::types::{IfName, VifId};

impl Facts<'_> {
    /// The configuration of a port of this bridge: first for its guest, then for the bridge.
    pub(crate) fn bridge_port_policy(
        &mut self,
        vif: VifId,
        bridge: &IfName,
    ) -> Result<PortPolicy, Error> {
        let guest = self.guest_policy(vif)?;
        let bridge = self.config.bridge(bridge).map(|bridge| bridge.port.clone());
        Ok(guest.or(&bridge.unwrap_or_default()))
    }

    /// The same for a port of Open vSwitch.
    pub(crate) fn switch_port_policy(
        &mut self,
        vif: VifId,
        bridge: Option<&IfName>,
    ) -> Result<PortPolicy, Error> {
        let guest = self.guest_policy(vif)?;
        let config = self.config;
        let bridge = bridge.and_then(|bridge| {
            let switch = config.switch(bridge).map(|bridge| &bridge.port);
            // A [[bridge]] without its mode describes the ports of an Open vSwitch bridge as well.
            switch.or_else(|| config.bridge(bridge).map(|bridge| &bridge.port))
        });
        Ok(bridge.map_or(guest.clone(), |port| guest.or(port)))
    }

    /// The configuration of this guest's ports, by its name and by its UUID together.
    pub(crate) fn guest_policy(&mut self, vif: VifId) -> Result<PortPolicy, Error> {
        let policies = self.guest_policies(vif)?.into_iter().map(|policy| policy.port);
        Ok(policies.reduce(|one, other| one.or(&other)).unwrap_or_default())
    }

    /// Every `[[guest]]` that names this guest. XenStore is asked only where there are any.
    pub(crate) fn guest_policies(&mut self, vif: VifId) -> Result<Vec<GuestPolicy>, Error> {
        let config = self.config;
        let Some(store) = self.connections.store.as_mut().filter(|_| !config.guests.is_empty())
        else {
            return Ok(Vec::new());
        };
        let home = format!("/local/domain/{}", vif.domid);
        let values = store.read_many(&[format!("{home}/name"), format!("{home}/vm")])?;
        let mut values = values.into_iter().map(|value| String::from_utf8(value?).ok());
        let name = values.next().flatten().map(|name| GuestName::Name(lasting(&name).to_owned()));
        let uuid = values.next().flatten().and_then(|path| {
            path.strip_prefix("/vm/").map(|uuid| GuestName::Uuid(uuid.to_ascii_lowercase()))
        });
        let names = [name, uuid].into_iter().flatten();
        Ok(names.filter_map(|name| config.guest(&name).cloned()).collect())
    }

    /// The guest's name and UUID, where Xen's own script reads them.
    pub(super) fn read_guest(
        &mut self,
        vif: VifId,
        switch: &mut SwitchSnapshot,
    ) -> Result<(), Error> {
        let Some(store) = &mut self.connections.store else { return Ok(()) };
        let text = |value: Option<Vec<u8>>| {
            value.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        };
        let home = format!("/local/domain/{}", vif.domid);
        let Some(vm) = text(store.read(&format!("{home}/vm"))?) else { return Ok(()) };
        let values = store.read_many(&[format!("{vm}/name"), format!("{vm}/uuid")])?;
        let mut values = values.into_iter().map(text);
        switch.guest_name = values.next().flatten().map(|name| lasting(&name).to_owned());
        let from_path = || vm.strip_prefix("/vm/").map(str::to_owned);
        switch.guest_uuid = values.next().flatten().or_else(from_path);
        Ok(())
    }
}

/// The name that a guest has, or will have once its migration to this host has ended and xl removes the suffix.
fn lasting(name: &str) -> &str {
    name.strip_suffix("--incoming").unwrap_or(name)
}
