use std::path::PathBuf;

use super::routed::overlap;
use super::table::Table;
use super::{
    BondPolicy, BridgePolicy, ConfigError, GuestName, GuestPolicy, HostAddresses, NatPolicy,
    RoutedPolicy, SwitchPolicy, VifConfig, VlanPolicy,
};
use crate::types::IfName;

/// What an administrator decides for the whole host: `/etc/xen/xennet.toml`.
///
/// ```toml
/// [[bridge]]
/// name = "xenbr0"
/// uplink = "eth0"
/// addresses = "inherit"
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct NetworkConfig {
    /// Bonds, below bridges and VLAN interfaces.
    pub(crate) bonds: Vec<BondPolicy>,
    /// VLAN interfaces, below bridges.
    pub(crate) vlans: Vec<VlanPolicy>,
    /// What holds for each bridge; nothing for one that is not named.
    pub bridges: Vec<BridgePolicy>,
    /// What holds for each bridge of Open vSwitch; nothing for one that is not named.
    pub switches: Vec<SwitchPolicy>,
    /// The socket of Open vSwitch's database; none means the usual one.
    pub ovs_socket: Option<PathBuf>,
    /// What holds for guests that are reached by routes.
    pub routed: Vec<RoutedPolicy>,
    /// What holds for guests that share the host's address.
    pub nat: Vec<NatPolicy>,
    /// What holds for single guests, whatever their bridges have.
    pub guests: Vec<GuestPolicy>,
    /// Whether the host forwards packets.
    pub forwarding: Forwarding,
    /// What holds for every vif about which nobody says otherwise.
    pub vif: VifConfig,
}

/// Whether the host forwards packets: `[forwarding]`. None leaves it as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Forwarding {
    /// `net.ipv4.ip_forward`
    pub ipv4: Option<bool>,
    /// `net.ipv6.conf.all.forwarding`
    pub ipv6: Option<bool>,
}

impl NetworkConfig {
    /// Reads the text of `xennet.toml`. An unknown key, a bad value or two that contradict each other are an error that
    /// names its line and column.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        let mut root = Table::parse(text)?;
        let mut config = Self::default();
        for mut table in root.tables("bond")? {
            let bond = BondPolicy::read(&mut table)?;
            config.check_bond(&bond).map_err(|(key, words)| table.wrong(key, words))?;
            config.bonds.push(bond);
        }
        for mut table in root.tables("vlan")? {
            let vlan = VlanPolicy::read(&mut table)?;
            config.check_vlan(&vlan).map_err(|(key, words)| table.wrong(key, words))?;
            config.vlans.push(vlan);
        }
        for mut table in root.tables("bridge")? {
            if let Some(switch) = SwitchPolicy::read(&mut table)? {
                let words = config.described_twice(&switch.name);
                words.map_err(|(key, words)| table.wrong(key, words))?;
                config.switches.push(switch);
                continue;
            }
            let bridge = BridgePolicy::read(&mut table)?;
            config.check_bridge(&bridge).map_err(|(key, words)| table.wrong(key, words))?;
            config.bridges.push(bridge);
        }
        for mut table in root.tables("routed")? {
            let routed = RoutedPolicy::read(&mut table)?;
            config.check_routed(&routed).map_err(|words| table.wrong("uplink", words))?;
            config.routed.push(routed);
        }
        for mut table in root.tables("nat")? {
            let nat = NatPolicy::read(&mut table)?;
            config.check_nat(&nat).map_err(|(key, words)| table.wrong(key, words))?;
            config.nat.push(nat);
        }
        for mut table in root.tables("guest")? {
            let guest = GuestPolicy::read(&mut table)?;
            if config.guest(&guest.guest).is_some() {
                let key = if matches!(guest.guest, GuestName::Name(_)) { "name" } else { "uuid" };
                let words = format!("guest {}: described twice", guest.guest);
                return Err(table.wrong(key, words));
            }
            config.guests.push(guest);
        }
        if let Some(mut table) = root.table("forwarding")? {
            config.forwarding =
                Forwarding { ipv4: table.optional("ipv4")?, ipv6: table.optional("ipv6")? };
            table.finish()?;
            config.check_forwarding().map_err(|(key, words)| table.wrong(key, words))?;
        }
        if let Some(mut table) = root.table("ovs")? {
            let socket: Option<String> = table.optional("socket")?;
            table.finish()?;
            let socket = socket.map(|socket| unix_socket(&socket)).transpose();
            config.ovs_socket = socket.map_err(|words| table.wrong("socket", words))?;
        }
        if let Some(mut table) = root.table("vif")? {
            config.vif = defaults(&mut table)?;
        }
        root.finish()?;
        Ok(config)
    }

    /// Every bridge that the configuration describes, the bridges of `[[nat]]` included.
    pub(crate) fn all_bridges(&self) -> Vec<BridgePolicy> {
        let nat = self.nat.iter().filter_map(|nat| {
            let mut policy = BridgePolicy::new(nat.bridge.clone()?);
            policy.addresses = Some(HostAddresses::Static(nat.subnets.clone()));
            Some(policy)
        });
        self.bridges.iter().cloned().chain(nat).collect()
    }

    /// What holds for a bridge.
    pub(crate) fn bridge(&self, name: &IfName) -> Option<&BridgePolicy> {
        self.bridges.iter().find(|bridge| bridge.name == *name)
    }

    /// What holds for a bridge of Open vSwitch.
    pub(crate) fn switch(&self, name: &IfName) -> Option<&SwitchPolicy> {
        self.switches.iter().find(|switch| switch.name == *name)
    }

    /// What holds for a guest of that name or UUID.
    pub(crate) fn guest(&self, guest: &GuestName) -> Option<&GuestPolicy> {
        self.guests.iter().find(|policy| policy.guest == *guest)
    }

    /// Whether it says anything of the host's side: bridges, guests that are routed or behind its address, forwarding.
    pub fn describes_host(&self) -> bool {
        let guests = self.bridges.is_empty() && self.routed.is_empty() && self.nat.is_empty();
        let stack = self.bonds.is_empty() && self.vlans.is_empty();
        !guests || !stack || self.forwarding != Forwarding::default()
    }

    /// Whether guests need the host to forward packets: IPv4, and IPv6.
    pub(crate) fn forwards(&self) -> (bool, bool) {
        let routed = self.routed.iter().flat_map(|routed| &routed.prefixes);
        let nets: Vec<_> = self.nat.iter().flat_map(|nat| &nat.subnets).chain(routed).collect();
        let any = self.routed.iter().any(|routed| routed.prefixes.is_empty());
        (
            any || nets.iter().any(|net| net.addr().is_ipv4()),
            any || nets.iter().any(|net| net.addr().is_ipv6()),
        )
    }

    pub(super) fn check_bridge(&self, bridge: &BridgePolicy) -> Result<(), (&'static str, String)> {
        let name = &bridge.name;
        self.described_twice(name)?;
        self.check_stack(bridge)?;
        for other in &self.bridges {
            let uplink = |policy: &BridgePolicy| (policy.uplink.clone(), policy.uplink_id.clone());
            if other.has_uplink() && uplink(other) == uplink(bridge) {
                let words = format!("bridge {name}: {} has this uplink already", other.name);
                return Err(("uplink", words));
            }
            if bridge.uplink.as_ref() == Some(&other.name) || other.uplink.as_ref() == Some(name) {
                return Err(("uplink", format!("bridge {name}: a bridge is no port of another")));
            }
            let vni = |policy: &BridgePolicy| policy.vxlan.as_ref().map(|vxlan| vxlan.vni);
            if let Some(vni) = vni(bridge).filter(|own| vni(other) == Some(*own)) {
                let words = format!("bridge {name}: {} has vni {vni} already", other.name);
                return Err(("vxlan", words));
            }
            let taken = statics(bridge).find(|net| statics(other).any(|o| o.addr() == net.addr()));
            if let Some(net) = taken {
                let words = format!("bridge {name}: {} has {} already", other.name, net.addr());
                return Err(("addresses", words));
            }
        }
        Ok(())
    }

    fn described_twice(&self, name: &IfName) -> Result<(), (&'static str, String)> {
        if self.bridge(name).is_some() || self.switch(name).is_some() {
            return Err(("name", format!("bridge {name}: described twice")));
        }
        Ok(())
    }

    pub(super) fn check_routed(&self, routed: &RoutedPolicy) -> Result<(), String> {
        let uplink = &routed.uplink;
        if self.routed.iter().any(|other| other.uplink == *uplink) {
            return Err(format!("routed {uplink}: described twice"));
        }
        self.check_not_port(uplink).map_err(|words| format!("routed {uplink}: {words}"))?;
        match self.port_of(uplink) {
            Some(bridge) => Err(format!(
                "routed {uplink}: it is a port of {bridge}, so the way out is {bridge}"
            )),
            None => Ok(()),
        }
    }

    pub(super) fn check_nat(&self, nat: &NatPolicy) -> Result<(), (&'static str, String)> {
        let name = &nat.name;
        if self.nat.iter().any(|other| other.name == *name) {
            return Err(("name", format!("nat {name}: described twice")));
        }
        let taken = |bridge: &IfName| {
            self.bridge(bridge).is_some()
                || self.nat.iter().any(|other| other.bridge.as_ref() == Some(bridge))
        };
        if let Some(bridge) = nat.bridge.as_ref().filter(|bridge| taken(bridge)) {
            return Err(("bridge", format!("nat {name}: {bridge} is described already")));
        }
        let others = self.nat.iter().flat_map(|other| &other.subnets);
        for other in others.chain(self.bridges.iter().flat_map(statics)) {
            if let Some(subnet) = nat.subnets.iter().find(|subnet| overlap(other, subnet)) {
                return Err(("subnets", format!("nat {name}: {subnet} overlaps {other}")));
            }
        }
        if let Some((uplink, bridge)) =
            nat.uplink.as_ref().and_then(|uplink| Some((uplink, self.port_of(uplink)?)))
        {
            let words = format!("nat {name}: {uplink} is a port of {bridge}: name {bridge}");
            return Err(("uplink", words));
        }
        for other in &self.nat {
            if let Some(port) =
                nat.forward.iter().find(|one| other.forward.iter().any(|o| o.clashes(one)))
            {
                let words =
                    format!("nat {name}: port {} leads to {} already", port.port, other.name);
                return Err(("forward", words));
            }
        }
        Ok(())
    }

    fn check_forwarding(&self) -> Result<(), (&'static str, String)> {
        let needed = self.forwards();
        for (key, set, needed) in
            [("ipv4", self.forwarding.ipv4, needed.0), ("ipv6", self.forwarding.ipv6, needed.1)]
        {
            if set == Some(false) && needed {
                return Err((key, format!("{key}: [[routed]] and [[nat]] cannot do without it")));
            }
        }
        Ok(())
    }

    fn port_of(&self, uplink: &IfName) -> Option<&IfName> {
        let holds = |bridge: &&BridgePolicy| bridge.uplink.as_ref() == Some(uplink);
        self.bridges.iter().find(holds).map(|bridge| &bridge.name)
    }
}

/// The path of a database's socket, as Open vSwitch's tools take it, or without `unix:`.
fn unix_socket(text: &str) -> Result<PathBuf, String> {
    let path = text.strip_prefix("unix:").unwrap_or(text);
    if path.starts_with('/') {
        return Ok(path.into());
    }
    let expected = "expected the path of a Unix socket, as /run/openvswitch/db.sock";
    let remote = ["tcp:", "ssl:"].iter().any(|method| text.starts_with(method));
    let why = if remote { "; the database of this host is asked, over no network" } else { "" };
    Err(format!("socket {text:?}: {expected}{why}"))
}

fn statics(bridge: &BridgePolicy) -> impl Iterator<Item = &ipnet::IpNet> {
    match &bridge.addresses {
        Some(HostAddresses::Static(addresses)) => addresses.iter(),
        _ => [].iter(),
    }
}

/// `[vif]`: the keys that more than one vif can have.
fn defaults(table: &mut Table<'_>) -> Result<VifConfig, ConfigError> {
    const ITS_OWN: [&str; 4] = ["vifname", "mac", "ip", "frontend"];
    let mut config = VifConfig::default();
    for key in VifConfig::KEYS.into_iter().filter(|key| !ITS_OWN.contains(key)) {
        if let Some(value) = table.plain(key)? {
            let set = config.set(key, value.as_bytes());
            set.map_err(|error| table.wrong(key, error.to_string()))?;
        }
    }
    table.finish()?;
    Ok(config)
}

#[cfg(test)]
mod tests;
