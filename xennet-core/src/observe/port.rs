//! The port that a vif is of its bridge, and what else belongs to it.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::Facts;
use crate::Error;
use crate::command;
use crate::config::{PortPolicy, VifConfig};
use crate::errno::uninterrupted;
use crate::kernel::LinkFilter;
use crate::plan::vif::{is_datapath, recorded_mtu};
use crate::plan::{BridgeMtu, IptablesRule, Outlet, PortMtus, VifTarget};
use crate::types::{IfName, IpList, Link, Mtu, Port, PortFlags, VlanRange};

impl Facts<'_> {
    /// What decides the MTU of a bridge. No request while the bridge has the MTU on record.
    pub(crate) fn bridge_mtu(
        &mut self,
        config: &VifConfig,
        bridge: &Link,
    ) -> Result<BridgeMtu, Error> {
        let policy = self.config.bridge(&bridge.name);
        let mut mtu = BridgeMtu::new(policy.and_then(|policy| policy.mtu));
        // A vif with an `mtu` key of its own only makes a first record.
        if config.mtu.is_some() && recorded_mtu(bridge).is_some() {
            return Ok(mtu);
        }
        let policy = policy.filter(|_| mtu.needs_uplink(bridge));
        if let Some(policy) = policy.filter(|policy| policy.has_uplink()) {
            let link = match &policy.uplink {
                Some(name) => self.link(name)?.filter(|link| link.master == Some(bridge.index)),
                None => policy.uplink_of(&self.links(LinkFilter::Master(bridge.index))?).cloned(),
            };
            mtu.uplink = link.and_then(|link| Mtu::new(link.mtu).ok());
        }
        if mtu.needs_ports(bridge) {
            mtu.ports = Some(PortMtus::of(&self.links(LinkFilter::Master(bridge.index))?));
        }
        Ok(mtu)
    }

    /// The VLANs of a port. No request on a bridge that does not filter VLANs.
    pub(crate) fn port_vlans(
        &mut self,
        port: &Link,
        bridge: &Link,
    ) -> Result<Vec<VlanRange>, Error> {
        let filters = bridge.bridge.as_ref().is_some_and(|settings| settings.vlan_filtering);
        if filters { self.vlans(port) } else { Ok(Vec::new()) }
    }

    fn vlans(&mut self, port: &Link) -> Result<Vec<VlanRange>, Error> {
        Ok(self.connections.kernel()?.vlans(&port.reference())?)
    }

    /// The settings of a bridge's port; none when it is no port of a bridge.
    pub(crate) fn bridge_port(&mut self, port: &Link) -> Result<Option<Port>, Error> {
        Ok(self.connections.kernel()?.port(port.index)?)
    }

    /// Whether a port that leaves this bridge and comes back has lost settings.
    pub(crate) fn leaves_settings(&mut self, link: &Link, master: &Link) -> Result<bool, Error> {
        let as_joined = PortFlags::LEARNING
            | PortFlags::FLOOD
            | PortFlags::MCAST_FLOOD
            | PortFlags::BCAST_FLOOD;
        // Open vSwitch's database has the settings of its ports, and applies them again.
        if is_datapath(master) {
            return Ok(false);
        }
        let plain = master.bridge.as_ref().is_some_and(|bridge| !bridge.vlan_filtering);
        Ok(!plain || self.bridge_port(link)?.is_some_and(|port| port.flags != as_joined))
    }

    /// The ports of a bridge that are up and lead to others than guests, with their VLANs where the bridge filters them.
    pub(crate) fn outlets(
        &mut self,
        bridge: &Link,
        own: Option<&Link>,
    ) -> Result<Vec<Outlet>, Error> {
        let filters = bridge.bridge.as_ref().is_some_and(|bridge| bridge.vlan_filtering);
        let mut outlets = Vec::new();
        for link in self.links(LinkFilter::Master(bridge.index))? {
            let is_own = own.is_some_and(|own| own.index == link.index);
            if !is_own && link.up && VifTarget::of(&link).is_none() {
                let vlans = if filters { self.vlans(&link)? } else { Vec::new() };
                outlets.push(Outlet::new(link.reference(), vlans));
            }
        }
        Ok(outlets)
    }

    /// The administrator's hooks: executables `*.hook`, by name.
    pub(crate) fn hooks(&mut self) -> Result<Vec<PathBuf>, Error> {
        if self.wanted.hooks.is_none() {
            let dir = &self.paths.hooks;
            let failed =
                |source| Error::File { doing: "read the hooks in", path: dir.clone(), source };
            self.wanted.hooks = Some(uninterrupted(|| hooks(dir)).map_err(failed)?);
        }
        Ok(self.wanted.hooks.clone().unwrap_or_default())
    }
}

/// Those of a vif's rules for `iptables` that exist, where the configuration asks for them. `iptables -C`
pub(crate) fn iptables(
    port: &IfName,
    ip: &IpList,
    policy: &PortPolicy,
) -> Result<Vec<IptablesRule>, Error> {
    let mut existing = Vec::new();
    if policy.iptables == Some(true) {
        for rule in IptablesRule::of(port, ip) {
            if command::run(&rule.command("-C"))?.status.success() {
                existing.push(rule);
            }
        }
    }
    Ok(existing)
}

fn hooks(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut hooks = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let executable = || {
            uninterrupted(|| fs::metadata(&path))
                .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
        };
        if path.extension().is_some_and(|extension| extension == "hook") && executable() {
            hooks.push(path);
        }
    }
    hooks.sort_unstable();
    Ok(hooks)
}
