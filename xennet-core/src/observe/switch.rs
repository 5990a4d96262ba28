//! What Open vSwitch has of a vif. A vif that is in a Linux bridge costs no question to it.

use super::Facts;
use super::link::port_names;
use crate::Error;
use crate::config::VifConfig;
use crate::ovsdb;
use crate::plan::vif::is_datapath;
use crate::plan::{SwitchSnapshot, VifTarget};
use crate::types::{IfName, Link, Mode, OvsBridge, Policing};

impl Facts<'_> {
    /// The Open vSwitch bridge of one of these names; none where there is no such bridge, and where there is no Open
    /// vSwitch unless it is `required`.
    pub(crate) fn switch_bridge(
        &mut self,
        names: &[IfName],
        required: bool,
    ) -> Result<Option<OvsBridge>, Error> {
        match self.connections.ovs().and_then(|ovs| ovs.bridge(names)) {
            Err(error) if !required && is_absent(&error) => Ok(None),
            bridge => Ok(bridge?),
        }
    }

    /// Everything that a plan for a port of Open vSwitch depends on.
    pub(crate) fn switch(
        &mut self,
        target: &VifTarget,
        config: &VifConfig,
        link: Option<&Link>,
        bridge: Option<OvsBridge>,
    ) -> Result<SwitchSnapshot, Error> {
        let names = port_names(target, config, link);
        let ports = self.connections.ovs()?.ports(&names)?;
        let mut switch = SwitchSnapshot { ports, ..SwitchSnapshot::default() };
        self.read_guest(target.id, &mut switch)?;
        if let Some(bridge) = &bridge {
            let real = bridge.fake.as_ref().map_or(&bridge.name, |(parent, _)| parent);
            switch.passes_ingress = self.connections.ovs()?.passes_ingress(real)?;
            let policy = self.config.switch(&bridge.name);
            switch.wait_ovn = policy.and_then(|policy| policy.wait_ovn);
            let policing = policy.and_then(|policy| policy.policing);
            let guests = self.guest_policies(target.id)?;
            let own = guests.iter().find_map(|guest| guest.policing);
            switch.policing = own.or(policing).unwrap_or(Policing::default());
            switch.iface_id = guests.into_iter().find_map(|guest| guest.iface_id);
        }
        switch.bridge = bridge;
        Ok(switch)
    }

    /// The ports that a vif still has in Open vSwitch, for one that is attached to something else; none for a vif that is
    /// new or in one of these Linux bridges, and where there is no Open vSwitch.
    pub(crate) fn former_switch(
        &mut self,
        target: &VifTarget,
        config: &VifConfig,
        link: &Link,
        bridges: &[Link],
    ) -> Result<Option<SwitchSnapshot>, Error> {
        let in_datapath = match link.master {
            Some(master) if bridges.iter().any(|bridge| bridge.index == master) => false,
            Some(master) => self.link_at(master)?.is_some_and(|master| is_datapath(&master)),
            None => false,
        };
        // A datapath in user space is no master that the kernel knows; its ports are up.
        let possible = link.master.is_none() && link.up && self.connections.ovs_socket().exists();
        if !in_datapath && !possible {
            return Ok(None);
        }
        let names = port_names(target, config, Some(link));
        match self.connections.ovs().and_then(|ovs| ovs.ports(&names)) {
            Ok(ports) => Ok(Some(SwitchSnapshot { ports, ..SwitchSnapshot::default() })),
            // A failure of Open vSwitch does not concern a vif that is not in its datapath.
            Err(_) if !in_datapath => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The ports of a vif that is detached, as far as Open vSwitch answers. A vif in a Linux bridge has none.
    pub(crate) fn remaining_switch(
        &mut self,
        target: &VifTarget,
        config: &VifConfig,
        link: Option<&Link>,
        master: Option<&Link>,
    ) -> Result<Option<SwitchSnapshot>, Error> {
        let in_linux_bridge = master.is_some_and(|master| master.bridge.is_some());
        let possible = target.mode == Mode::OpenVswitch
            || target.mode == Mode::Bridge
                && !in_linux_bridge
                && self.connections.ovs_socket().exists();
        if !possible {
            return Ok(None);
        }
        let names = port_names(target, config, link);
        match self.connections.ovs().and_then(|ovs| ovs.ports(&names)) {
            Ok(ports) => Ok(Some(SwitchSnapshot { ports, ..SwitchSnapshot::default() })),
            // A failure of Open vSwitch does not concern a vif that is not in its datapath.
            Err(_) if target.mode != Mode::OpenVswitch => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

fn is_absent(error: &ovsdb::Error) -> bool {
    matches!(error.kind(), ovsdb::ErrorKind::Absent { .. })
}
