//! What there is of a vif in Open vSwitch. A vif that is in a Linux bridge costs no look at it.

use super::Vif;
use super::look::port_names;
use super::policy::settled;
use crate::config::VifConfig;
use crate::ovsdb::{self, Ovsdb};
use crate::plan::vif::is_datapath;
use crate::plan::{SwitchSnapshot, VifSnapshot};
use crate::types::{BridgeSpec, IfName, Link, Mode, Policing};
use crate::{Error, apply};

impl Vif<'_> {
    /// What Open vSwitch has of the vif, and its bridge's own interface; for one that is not for it, the ports that the vif
    /// has there still, and what was found of Linux bridges.
    ///
    /// A vif that is for a Linux bridge turns out here to be one for Open vSwitch: when that has a bridge of the name, and
    /// the kernel has not.
    pub(super) fn look_at_switch(
        &mut self,
        config: &VifConfig,
        link: Option<&Link>,
        bridges: Vec<Link>,
    ) -> Result<(Option<SwitchSnapshot>, Vec<Link>), Error> {
        let names: Vec<IfName> = config.bridge.iter().flat_map(BridgeSpec::names).collect();
        let linux = bridges.iter().any(|link| link.bridge.is_some()) || names.is_empty();
        let bridge = match self.target.mode {
            Mode::OpenVswitch => self.ovs()?.bridge(&names)?,
            Mode::Bridge if !linux => match self.ovs() {
                Ok(ovs) => match ovs.bridge(&names)? {
                    Some(bridge) => Some(bridge),
                    None => return Ok((None, bridges)),
                },
                // Without Open vSwitch it is as it is.
                Err(error) if is_absent(&error) => return Ok((None, bridges)),
                Err(error) => return Err(error.into()),
            },
            _ => return Ok((self.look_at_left(config, link, &bridges)?, bridges)),
        };
        self.target.mode = Mode::OpenVswitch;
        let ports = port_names(&self.target, config, link);
        let mut switch = SwitchSnapshot { ports: self.ovs()?.ports(&ports)?, ..Default::default() };
        self.look_at_guest(&mut switch)?;
        let mut device = Vec::new();
        if let Some(bridge) = &bridge {
            device.extend(self.net.kernel.link(&bridge.name)?);
            let real = bridge.fake.as_ref().map_or(&bridge.name, |(parent, _)| parent);
            switch.passes_ingress = self.ovs()?.passes_ingress(real)?;
            let policy = self.net.config.switch(&bridge.name);
            switch.wait_ovn = policy.and_then(|policy| policy.wait_ovn);
            let policing = policy.and_then(|policy| policy.policing);
            let guests = self.guests()?;
            let own = guests.iter().find_map(|guest| guest.policing);
            switch.policing = own.or(policing).unwrap_or(Policing::default());
            switch.iface_id = guests.into_iter().find_map(|guest| guest.iface_id);
        }
        switch.bridge = bridge;
        Ok((Some(switch), device))
    }

    /// The ports of a vif that is for something else than Open vSwitch; none for one that is new, or a port of a Linux bridge
    /// already, and where there is no Open vSwitch.
    fn look_at_left(
        &mut self,
        config: &VifConfig,
        link: Option<&Link>,
        bridges: &[Link],
    ) -> Result<Option<SwitchSnapshot>, Error> {
        let Some(link) = link else { return Ok(None) };
        let datapath = match link.master {
            // The usual case costs nothing.
            Some(master) if bridges.iter().any(|bridge| bridge.index == master) => false,
            Some(master) => self.net.kernel.link_at(master)?.is_some_and(|link| is_datapath(&link)),
            None => false,
        };
        // A datapath in user space is nobody's master. But who is plugged in anywhere is up.
        let may_be = link.master.is_none() && link.up && self.net.ovs_socket().exists();
        if !datapath && !may_be {
            return Ok(None);
        }
        let names = port_names(&self.target, config, Some(link));
        match self.ovs().and_then(|ovs| ovs.ports(&names)) {
            Ok(ports) => Ok(Some(SwitchSnapshot { ports, ..SwitchSnapshot::default() })),
            // Its own datapath it has to leave. Else what is wrong with Open vSwitch is nothing to this vif.
            Err(error) if datapath => Err(error.into()),
            Err(_) => Ok(None),
        }
    }

    /// The vif's ports, as far as there are any to be seen, for a vif that goes: whatever it was plugged into by
    /// whoever.
    ///
    /// A vif that is in a Linux bridge is in no other one. Without Open vSwitch this costs a look for its socket.
    pub(super) fn look_for_ports(
        &mut self,
        config: &VifConfig,
        seen: &VifSnapshot,
    ) -> Option<SwitchSnapshot> {
        let linux = seen.master.as_ref().is_some_and(|master| master.bridge.is_some());
        let may_be = self.target.mode == Mode::OpenVswitch
            || self.target.mode == Mode::Bridge && !linux && self.net.ovs_socket().exists();
        if !may_be {
            return None;
        }
        let names = port_names(&self.target, config, seen.link.as_ref());
        let ports = self.ovs().and_then(|ovs| ovs.ports(&names)).ok()?;
        Some(SwitchSnapshot { ports, ..SwitchSnapshot::default() })
    }

    /// Who the guest is, by what Xen's own script goes by.
    fn look_at_guest(&mut self, switch: &mut SwitchSnapshot) -> Result<(), Error> {
        let Some(store) = &mut self.net.store else { return Ok(()) };
        let text = |value: Option<Vec<u8>>| {
            value.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        };
        let home = format!("/local/domain/{}", self.target.id.domid);
        let Some(vm) = text(store.read(&format!("{home}/vm"))?) else { return Ok(()) };
        let told = store.read_many(&[format!("{vm}/name"), format!("{vm}/uuid")])?;
        let mut told = told.into_iter().map(text);
        switch.guest_name = told.next().flatten().map(|name| settled(&name).to_owned());
        let named = || vm.strip_prefix("/vm/").map(str::to_owned);
        switch.guest_uuid = told.next().flatten().or_else(named);
        Ok(())
    }

    fn ovs(&mut self) -> Result<&mut Ovsdb, ovsdb::Error> {
        let socket = self.net.ovs_socket().to_owned();
        apply::ovs(&mut self.net.ovs, &socket)
    }
}

fn is_absent(error: &ovsdb::Error) -> bool {
    matches!(error.kind(), ovsdb::ErrorKind::Absent { .. })
}
