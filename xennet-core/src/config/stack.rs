//! What bridges stand on: bonds and VLAN interfaces, and how they fit together.

use super::{BondPolicy, BridgePolicy, NetworkConfig, VlanPolicy};
use crate::types::{IfName, Mtu};

/// The key of a table that is wrong, and why.
type Fault = (&'static str, String);

impl NetworkConfig {
    /// The VLAN interfaces of `[[vlan]]`, and those that the names of uplinks say; each after the one below it.
    pub(crate) fn all_vlans(&self) -> Vec<VlanPolicy> {
        let mut all = Vec::new();
        let uplinks = self.bridges.iter().filter_map(|bridge| bridge.uplink.as_ref());
        for name in self.vlans.iter().map(|vlan| &vlan.name).chain(uplinks) {
            self.add_vlan(&mut all, name);
        }
        all
    }

    /// Whether a start makes an interface of this name, if there is none.
    pub(crate) fn makes(&self, name: &IfName) -> bool {
        self.all_bridges().iter().any(|bridge| bridge.name == *name)
            || self.bonds.iter().any(|bond| bond.name == *name)
            || self.all_vlans().iter().any(|vlan| vlan.name == *name)
    }

    /// Whether `[[vlan]]` describes this interface.
    pub(crate) fn vlan(&self, name: &IfName) -> Option<&VlanPolicy> {
        self.vlans.iter().find(|vlan| vlan.name == *name)
    }

    /// What holds for a bond.
    pub(crate) fn bond(&self, name: &IfName) -> Option<&BondPolicy> {
        self.bonds.iter().find(|bond| bond.name == *name)
    }

    /// The MTU that an interface needs: its own of the configuration, or a larger one of an interface above it; none
    /// where the configuration says nothing.
    pub(crate) fn needed_mtu(&self, name: &IfName) -> Option<Mtu> {
        let own = self.bond(name).and_then(|bond| bond.mtu);
        let own = own.or_else(|| self.vlan(name).and_then(|vlan| vlan.mtu));
        let bridges = self.bridges.iter().filter(|bridge| bridge.uplink.as_ref() == Some(name));
        let bridges = bridges.filter_map(|bridge| bridge.mtu);
        let vlans = self.all_vlans();
        let vlans = vlans.iter().filter(|vlan| vlan.link == *name);
        let vlans = vlans.filter_map(|vlan| self.needed_mtu(&vlan.name));
        own.into_iter().chain(bridges).chain(vlans).max()
    }

    fn add_vlan(&self, all: &mut Vec<VlanPolicy>, name: &IfName) {
        if all.iter().any(|vlan| vlan.name == *name) || self.bond(name).is_some() {
            return;
        }
        let policy = self.vlan(name).cloned().or_else(|| VlanPolicy::of_name(name));
        let Some(policy) = policy else { return };
        self.add_vlan(all, &policy.link);
        all.push(policy);
    }

    pub(super) fn check_bond(&self, bond: &BondPolicy) -> Result<(), Fault> {
        let name = &bond.name;
        if self.bond(name).is_some() {
            return Err(("name", format!("bond {name}: described twice")));
        }
        for other in &self.bonds {
            if let Some(port) = bond.ports.iter().find(|port| other.ports.contains(port)) {
                let words = format!("bond {name}: {port} is a port of {} already", other.name);
                return Err(("ports", words));
            }
            if bond.ports.contains(&other.name) || other.ports.contains(name) {
                return Err(("ports", format!("bond {name}: a bond is no port of another")));
            }
        }
        Ok(())
    }

    pub(super) fn check_vlan(&self, vlan: &VlanPolicy) -> Result<(), Fault> {
        let VlanPolicy { name, link, id, protocol, .. } = vlan;
        if self.vlan(name).is_some() || self.bond(name).is_some() {
            return Err(("name", format!("vlan {name}: described twice")));
        }
        let same =
            |other: &&VlanPolicy| (&other.link, other.id, other.protocol) == (link, *id, *protocol);
        if let Some(other) = self.vlans.iter().find(same) {
            let words = format!("vlan {name}: {} is VLAN {id} of {link} already", other.name);
            return Err(("id", words));
        }
        let mut below = Some(link);
        while let Some(link) = below {
            if link == name {
                return Err(("link", format!("vlan {name}: it is below itself")));
            }
            below = self.vlan(link).map(|vlan| &vlan.link);
        }
        self.check_not_port(link).map_err(|words| ("link", format!("vlan {name}: {words}")))?;
        if let Some(bond) = self.bonds.iter().find(|bond| bond.ports.contains(name)) {
            let words = format!("vlan {name}: a VLAN interface is no port of {}", bond.name);
            return Err(("name", words));
        }
        Ok(())
    }

    /// What a bridge and its uplink may not be.
    pub(super) fn check_stack(&self, bridge: &BridgePolicy) -> Result<(), Fault> {
        let name = &bridge.name;
        if self.bond(name).is_some() || self.vlan(name).is_some() {
            return Err(("name", format!("bridge {name}: described twice")));
        }
        self.check_not_port(name).map_err(|words| ("name", format!("bridge {name}: {words}")))?;
        if let Some(vlan) = self.vlans.iter().find(|vlan| vlan.link == *name) {
            let words = format!(
                "bridge {name}: vlan {} is above it; put the VLAN on its uplink instead",
                vlan.name
            );
            return Err(("name", words));
        }
        let Some(uplink) = &bridge.uplink else { return Ok(()) };
        self.check_not_port(uplink).map_err(|words| ("uplink", format!("bridge {name}: {words}")))
    }

    /// Why an interface cannot be used by itself: a bond has it.
    pub(super) fn check_not_port(&self, name: &IfName) -> Result<(), String> {
        match self.bonds.iter().find(|bond| bond.ports.contains(name)) {
            Some(bond) => {
                Err(format!("{name} is a port of {}: name {} instead", bond.name, bond.name))
            }
            None => Ok(()),
        }
    }
}
