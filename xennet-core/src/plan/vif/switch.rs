//! A vif that is a port of an Open vSwitch bridge.

use std::collections::BTreeMap;

use super::link::{LinkShape, Setter, is_datapath};
use super::{Desired, VifSnapshot, VifTarget};
use crate::config::{GuardLevel, VifConfig};
use crate::plan::{Change, Plan, PlanError, Warning};
use crate::types::{
    Device, IfName, Link, LinkSet, OvsBridge, OvsPort, OvsPortNow, OvsVlans, Policing, VlanRange,
};

/// What there is of Open vSwitch, as far as it concerns one vif.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SwitchSnapshot {
    /// The bridge that is meant; none when Open vSwitch has none of that name.
    pub bridge: Option<OvsBridge>,
    /// The ports of the names that the vif has, shall have, or came with.
    pub ports: Vec<OvsPortNow>,
    /// The guest's name.
    pub guest_name: Option<String>,
    /// The guest's UUID.
    pub guest_uuid: Option<String>,
    /// By what the host's configuration says that controllers know the guest's vifs.
    pub iface_id: Option<String>,
    /// What the guest may send.
    pub policing: Policing,
    /// How many seconds to wait for OVN to install the port; none does not wait.
    pub wait_ovn: Option<u32>,
    /// Whether all that the bridge takes from an interface passes the interface's ingress hook: not with the datapath in
    /// user space, nor where flows are offloaded.
    pub passes_ingress: bool,
}

/// The key of an interface's `external_ids` that says which vif's port it is, and of which network device: one that went
/// and came back under the same name is dead in Open vSwitch, which does not notice.
pub(crate) const MARK: &str = "xennet-vif";

/// What the configuration comes to for a port of Open vSwitch.
pub(super) struct SwitchPort<'a> {
    pub(super) port: OvsPort,
    switch: &'a SwitchSnapshot,
    /// Whether it has addresses, and nobody has decided that it need not be held to them.
    unguarded: bool,
}

impl VifTarget {
    pub(super) fn switch_port<'a>(
        &self,
        config: &VifConfig,
        facts: &VifSnapshot,
        switch: &'a SwitchSnapshot,
        name: &IfName,
    ) -> Result<SwitchPort<'a>, PlanError> {
        let bridge = Self::switch_bridge(config, switch)?;
        let refused = |setting: String, advice| PlanError::NotOnSwitch {
            vif: self.name.clone(),
            bridge: bridge.name.clone(),
            setting,
            advice,
        };
        match facts.policy.guard {
            None | Some(GuardLevel::Off) => {}
            Some(_) if switch.passes_ingress => {}
            Some(level) => {
                let advice = "its frames pass nftables only with the datapath in the kernel and without hw-offload; \
                     let OVN (port security) or OpenFlow rules do it, and set guard = \"off\"";
                return Err(refused(format!("guard = \"{level}\""), advice));
            }
        }
        if facts.policy.iptables == Some(true) {
            let advice = "its frames do not pass iptables; leave it out";
            return Err(refused("firewall = \"iptables\"".to_owned(), advice));
        }
        let vlans = switch_vlans(config, bridge)?;
        let real = bridge.fake.as_ref().map_or(&bridge.name, |(parent, _)| parent);
        Ok(SwitchPort {
            switch,
            unguarded: !switch.passes_ingress
                && facts.policy.guard.is_none()
                && !config.ip.is_empty(),
            port: OvsPort {
                bridge: real.clone(),
                name: name.clone(),
                vlans: OvsVlans::of(&vlans)?,
                protected: facts.policy.isolated.unwrap_or(false),
                mtu: config.mtu,
                policing: switch.policing,
                external_ids: self.external_ids(config, facts.link.as_ref(), switch),
            },
        })
    }

    /// The bridge that is meant.
    fn switch_bridge<'a>(
        config: &VifConfig,
        switch: &'a SwitchSnapshot,
    ) -> Result<&'a OvsBridge, PlanError> {
        let Some(spec) = &config.bridge else { return Err(PlanError::NoSwitches) };
        switch
            .bridge
            .as_ref()
            .ok_or_else(|| PlanError::NoSwitch { name: spec.short_name().clone() })
    }

    /// What an interface is, in the words that Open vSwitch's integration guide, OVN and Xen's own script have for it.
    fn external_ids(
        &self,
        config: &VifConfig,
        link: Option<&Link>,
        switch: &SwitchSnapshot,
    ) -> BTreeMap<String, String> {
        let mut ids = BTreeMap::new();
        let mut set = |key: &str, value: Option<String>| {
            ids.extend(value.map(|value| (key.to_owned(), value)));
        };
        let uuid = switch.guest_uuid.as_ref();
        let devid = self.id.devid;
        let given = switch.iface_id.as_ref();
        let given = given.map(|id| id.replace("{devid}", &devid.to_string()));
        set("iface-id", given.or_else(|| Some(format!("{}-{devid}", uuid?))));
        // The emulated NIC and the vif are one NIC. Who knows of both uses the vif.
        let status = if self.device == Device::Vif { "active" } else { "inactive" };
        set("iface-status", Some(status.to_owned()));
        set("attached-mac", config.mac.map(|mac| mac.to_string()));
        set("xen-vm-name", switch.guest_name.clone());
        for key in ["xen-vm-uuid", "xs-vm-uuid", "vm-id"] {
            set(key, uuid.cloned());
        }
        set(MARK, link.map(|link| self.mark(link.index)));
        ids
    }

    fn mark(&self, index: u32) -> String {
        format!("{} index {index}", self.name)
    }

    /// Whether a port is this vif's: by its name, or by what it says of itself.
    fn owns_port(&self, port: &OvsPort, link: Option<&Link>) -> bool {
        let marked = port.external_ids.get(MARK).and_then(|mark| mark.split(' ').next());
        port.name == self.name
            || link.is_some_and(|link| link.name == port.name)
            || marked == Some(self.name.as_str())
    }

    /// What makes a vif leave Open vSwitch for something else. The port that works comes back when that fails.
    pub(super) fn leave_switch(
        &self,
        plan: &mut Plan,
        facts: &VifSnapshot,
    ) -> Result<(), PlanError> {
        let ports = facts.switch.iter().flat_map(|switch| &switch.ports);
        // A name that the vif has, or that is its own, can be another kind of port all the same.
        let own =
            |now: &&OvsPortNow| self.owns_port(&now.port, facts.link.as_ref()) && now.is_device();
        let before = plan.changes().len();
        for now in ports.filter(own) {
            let was = now.works().then(|| now.port.clone());
            plan.push(Change::OvsPortDelete { name: now.port.name.clone(), was });
        }
        match (&facts.link, &facts.master) {
            (Some(link), Some(master)) if is_datapath(master) && plan.changes().len() == before => {
                let (link, datapath) = (link.name.clone(), master.name.clone());
                Err(PlanError::InDatapath { link, datapath })
            }
            _ => Ok(()),
        }
    }

    /// What takes the vif's ports out of Open vSwitch.
    pub(super) fn unswitch(&self, plan: &mut Plan, facts: &VifSnapshot) {
        let ports = facts.switch.iter().flat_map(|switch| &switch.ports);
        for now in ports.filter(|now| self.owns_port(&now.port, facts.link.as_ref())) {
            plan.push(Change::OvsPortDelete { name: now.port.name.clone(), was: None });
        }
    }
}

/// The VLANs that the port shall be in: on a fake bridge the one that the bridge is.
fn switch_vlans(config: &VifConfig, bridge: &OvsBridge) -> Result<Vec<VlanRange>, PlanError> {
    let asked = config.vlans_on(&bridge.name)?;
    let Some((parent, vlan)) = &bridge.fake else { return Ok(asked.unwrap_or_default()) };
    let own = vec![VlanRange::new(*vlan, true, true)];
    match asked.filter(|asked| *asked != own) {
        None => Ok(own),
        Some(asked) => Err(PlanError::FakeBridge {
            bridge: bridge.name.clone(),
            parent: parent.clone(),
            vlan: *vlan,
            asked: asked.iter().map(ToString::to_string).collect::<Vec<_>>().join("/"),
        }),
    }
}

impl SwitchPort<'_> {
    /// The kernel's and the switch's part of a plug, in the order that fails closed: the port has its VLANs before it is
    /// up.
    pub(super) fn plan(
        &self,
        plan: &mut Plan,
        target: &VifTarget,
        desired: &Desired<'_>,
        link: &Link,
        facts: &VifSnapshot,
    ) -> Result<(), PlanError> {
        let mut there = None;
        for now in &self.switch.ports {
            if self.keeps(now) {
                there = Some(now);
                continue;
            }
            // A name that a guest's configuration chooses must not cost the host a port of its own.
            let vifs =
                target.owns_port(&now.port, Some(link)) || now.port.external_ids.contains_key(MARK);
            if !vifs || !now.is_device() {
                return Err(PlanError::PortTaken {
                    name: now.port.name.clone(),
                    bridge: now.port.bridge.clone(),
                    kind: now.kind.clone(),
                });
            }
            // In a change of its own: deleted and added in one, a dead port stays dead.
            let alive = now.works() && self.marked(now);
            let was = alive.then(|| now.port.clone());
            plan.push(Change::OvsPortDelete { name: now.port.name.clone(), was });
        }
        // The kernel's datapath is the master of its ports, and no master that one sets.
        let master = facts.master.as_ref().filter(|master| is_datapath(master));
        let shape = LinkShape { name: &desired.name, mtu: desired.mtu, master, addresses: &[] };
        let mut to = Setter { plan, link: link.reference() };
        let up = shape.make(&mut to, target, link, facts);
        // Before it is a port of anything.
        to.plan.changes.extend(desired.guarded(target, facts)?);
        match there {
            None => to.plan.push(Change::OvsPortAdd(self.port.clone())),
            Some(now) if self.differs(&now.port) => {
                let mut was = now.port.clone();
                was.external_ids.retain(|key, _| self.port.external_ids.contains_key(key));
                to.plan.push(Change::OvsPortSet { port: self.port.clone(), was });
            }
            Some(_) => {}
        }
        to.set(up, LinkSet::Up(true), LinkSet::Up(false));
        let installed = |now: &OvsPortNow| {
            now.port.external_ids.get("ovn-installed").is_some_and(|installed| installed == "true")
        };
        // The emulated NIC is the same logical port, which its vif has waited for.
        let waits = target.device == Device::Vif && !there.is_some_and(installed);
        if let Some(seconds) = self.switch.wait_ovn.filter(|_| waits) {
            plan.push(Change::OvnWait { name: desired.name.clone(), seconds });
        }
        if self.unguarded {
            let (link, bridge) = (desired.name.clone(), self.port.bridge.clone());
            plan.warnings.push(Warning::Unguarded { link, bridge });
        }
        Ok(())
    }

    /// Whether other ports of the bridge may rightly have the same addresses: in another VLAN, or in another network of
    /// OVN's.
    pub(super) fn separates(&self) -> bool {
        self.port.vlans != OvsVlans::default() || self.switch.wait_ovn.is_some()
    }

    /// Whether a port can stay, at most with other settings: it is in this bridge, and of this very device.
    fn keeps(&self, now: &OvsPortNow) -> bool {
        let same = now.port.name == self.port.name && now.port.bridge == self.port.bridge;
        same && now.works() && self.marked(now)
    }

    fn marked(&self, now: &OvsPortNow) -> bool {
        now.port.external_ids.get(MARK) == self.port.external_ids.get(MARK)
    }

    fn differs(&self, now: &OvsPort) -> bool {
        let OvsPort { bridge: _, name: _, vlans, protected, mtu, policing, external_ids } =
            &self.port;
        let same = (vlans, protected, mtu, policing)
            == (&now.vlans, &now.protected, &now.mtu, &now.policing);
        !same || external_ids.iter().any(|(key, value)| now.external_ids.get(key) != Some(value))
    }
}

#[cfg(test)]
mod tests;
