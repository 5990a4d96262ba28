use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::Deserialize;
use serde::de::{Error, SeqAccess, Visitor};

use super::table::Table;
use super::{ConfigError, PortPolicy, VxlanPolicy};
use crate::types::{IfName, MacAddr, Mtu};

/// What an administrator decides for one bridge: `[[bridge]]`.
///
/// A setting that is none is left as it is, or as a new bridge for guests has it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BridgePolicy {
    /// The bridge.
    pub name: IfName,
    /// The port through which it reaches the world.
    pub uplink: Option<IfName>,
    /// The network between hosts that it is a part of.
    pub vxlan: Option<VxlanPolicy>,
    /// The host's own addresses on it. None leaves all addresses where they are; an error if the uplink has some.
    pub addresses: Option<HostAddresses>,
    /// The routers behind it, with static addresses: the host's default routes.
    pub gateways: Vec<IpAddr>,
    /// Keeps frames to their VLAN: `vlan_filtering`.
    pub vlan_filtering: Option<bool>,
    /// Speaks the spanning tree protocol: `stp_state`.
    pub stp: Option<bool>,
    /// Seconds that a port listens and learns before it forwards: `forward_delay`.
    pub forward_delay: Option<u32>,
    /// Seconds until a learnt address is forgotten: `ageing_time`.
    pub ageing: Option<u32>,
    /// Sends multicast only where it was asked for: `mcast_snooping`.
    pub multicast_snooping: Option<bool>,
    /// Which link-local group addresses it forwards: `group_fwd_mask`.
    pub group_fwd_mask: Option<u16>,
    /// Its MTU, kept whatever its ports have; a smaller one of the uplink is raised to it.
    pub mtu: Option<Mtu>,
    /// Its hardware address, kept whatever its ports have.
    pub mac: Option<MacAddr>,
    /// Whether the host speaks IPv6 on it; a bridge for guests alone needs none: `disable_ipv6`.
    pub ipv6: Option<bool>,
    /// Whether the uplink carries exactly the VLANs that the bridge's other ports are in: a VLAN comes with its first
    /// user and goes with its last. The uplink's untagged VLANs stay the administrator's.
    pub manage_uplink_vlans: bool,
    /// What holds for its guests.
    pub port: PortPolicy,
}

/// The host's own addresses on a bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "they come from elsewhere or are given")]
pub enum HostAddresses {
    /// None, whatever the uplink has: `"none"`.
    None,
    /// Those of the uplink, with its routes: `"inherit"`.
    Inherit,
    /// These, and the uplink keeps none: `["192.0.2.2/24", "2001:db8::2/64"]`.
    Static(Vec<IpNet>),
}

impl BridgePolicy {
    /// A bridge about which nothing is decided.
    pub fn new(name: IfName) -> Self {
        Self {
            name,
            uplink: None,
            vxlan: None,
            addresses: None,
            gateways: Vec::new(),
            vlan_filtering: None,
            stp: None,
            forward_delay: None,
            ageing: None,
            multicast_snooping: None,
            group_fwd_mask: None,
            mtu: None,
            mac: None,
            ipv6: None,
            manage_uplink_vlans: false,
            port: PortPolicy::default(),
        }
    }

    pub(super) fn read(table: &mut Table<'_>) -> Result<Self, ConfigError> {
        let name = table.required("name")?;
        let vxlan = table.table("vxlan")?;
        let policy = Self {
            uplink: table.optional("uplink")?,
            vxlan: vxlan.map(|mut table| VxlanPolicy::read(&mut table, &name)).transpose()?,
            addresses: table.optional("addresses")?,
            gateways: table.or_default("gateways")?,
            vlan_filtering: table.optional("vlan_filtering")?,
            stp: table.optional("stp")?,
            forward_delay: table.optional("forward_delay")?,
            ageing: table.optional("ageing")?,
            multicast_snooping: table.optional("multicast_snooping")?,
            group_fwd_mask: table.optional("group_fwd_mask")?,
            mtu: table.optional("mtu")?,
            mac: table.optional("mac")?,
            ipv6: table.optional("ipv6")?,
            manage_uplink_vlans: table.or_default("manage_uplink_vlans")?,
            port: PortPolicy::read(table)?,
            name,
        };
        table.finish()?;
        match policy.contradiction() {
            Some((key, words)) => Err(table.wrong(key, format!("bridge {}: {words}", policy.name))),
            None => Ok(policy),
        }
    }

    /// Whether the host's addresses are on the bridge, and not on its uplink.
    pub(crate) fn moves_addresses(&self) -> bool {
        matches!(self.addresses, Some(HostAddresses::Inherit | HostAddresses::Static(_)))
    }

    /// A key that does not go with the others, and why.
    fn contradiction(&self) -> Option<(&'static str, String)> {
        let wrong = |key, words: &str| Some((key, words.to_owned()));
        let inherits = self.addresses == Some(HostAddresses::Inherit);
        if self.uplink.as_ref() == Some(&self.name) {
            return wrong("uplink", "a bridge is no uplink of its own");
        }
        let dev = self.vxlan.as_ref().and_then(|vxlan| vxlan.dev.as_ref());
        if dev.is_some() && self.uplink.as_ref() == dev {
            return wrong("vxlan", "its dev is the uplink, a port of the bridge itself");
        }
        if self.manage_uplink_vlans && self.uplink.is_none() {
            return wrong("manage_uplink_vlans", "manage_uplink_vlans needs an uplink as well");
        }
        if inherits && self.uplink.is_none() {
            return wrong("addresses", "there is nothing to inherit without an uplink");
        }
        if inherits && self.ipv6 == Some(false) {
            return wrong(
                "ipv6",
                "it would inherit the uplink's IPv6 addresses: give it static ones",
            );
        }
        match self.forward_delay {
            Some(0 | 1) if self.stp == Some(true) => {
                return wrong("forward_delay", "spanning tree takes 2 to 30 seconds");
            }
            // Longer, the kernel refuses when spanning tree is on, and nobody wants when it is off.
            Some(31..) => return wrong("forward_delay", "expected 0 to 30 seconds"),
            _ => {}
        }
        if self.ageing.is_some_and(|seconds| seconds > 1_000_000) {
            return wrong("ageing", "expected 0 to 1000000 seconds, as 802.1Q has it");
        }
        if self.group_fwd_mask.is_some_and(|mask| mask & 7 != 0) {
            return wrong(
                "group_fwd_mask",
                "STP, pause and LACP frames (1, 2, 4) are never forwarded",
            );
        }
        self.contradicting_address()
    }

    fn contradicting_address(&self) -> Option<(&'static str, String)> {
        let addresses = match &self.addresses {
            Some(HostAddresses::Static(addresses)) => addresses.as_slice(),
            _ => &[],
        };
        for (n, address) in addresses.iter().enumerate() {
            if let Some(words) = not_a_hosts(address) {
                return Some(("addresses", words));
            }
            if addresses.iter().take(n).any(|other| other.addr() == address.addr()) {
                return Some(("addresses", format!("{} is there twice", address.addr())));
            }
            if self.ipv6 == Some(false) && address.addr().is_ipv6() {
                return Some(("ipv6", format!("without IPv6 it cannot have {address}")));
            }
        }
        for (n, gateway) in self.gateways.iter().enumerate() {
            if addresses.is_empty() {
                return Some(("gateways", "gateways need static addresses".to_owned()));
            }
            let local = matches!(gateway, IpAddr::V6(gateway) if gateway.is_unicast_link_local());
            if !local && !addresses.iter().any(|net| net.contains(gateway)) {
                return Some(("gateways", format!("{gateway} is in the network of no address")));
            }
            if gateway.is_ipv4() && addresses.iter().any(|net| is_of_no_host(net, *gateway)) {
                return Some(("gateways", format!("{gateway} is no router's address")));
            }
            if addresses.iter().any(|net| net.addr() == *gateway) {
                return Some(("gateways", format!("{gateway} is the host itself")));
            }
            if self.gateways.iter().take(n).any(|other| other.is_ipv4() == gateway.is_ipv4()) {
                return Some(("gateways", "expected one per protocol".to_owned()));
            }
        }
        None
    }
}

/// Why a host cannot have this address.
pub(super) fn not_a_hosts(net: &IpNet) -> Option<String> {
    let ip = net.addr();
    if ip.is_loopback() || ip.is_multicast() || ip.is_unspecified() {
        return Some(format!("{ip} is no address of a host"));
    }
    is_of_no_host(net, ip).then(|| format!("{net} is a network: give the host's own address in it"))
}

/// Whether an address stands for all of the network that it is in: the first one, and the last one of IPv4.
pub(super) fn is_of_no_host(net: &IpNet, ip: IpAddr) -> bool {
    let room = net.max_prefix_len().saturating_sub(net.prefix_len()) > 1;
    room && (ip == net.network() || ip.is_ipv4() && ip == net.broadcast())
}

impl<'de> Deserialize<'de> for HostAddresses {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(HostAddressesVisitor)
    }
}

struct HostAddressesVisitor;

impl<'de> Visitor<'de> for HostAddressesVisitor {
    type Value = HostAddresses;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(r#""inherit", "none", or addresses as ["192.0.2.2/24"]"#)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<HostAddresses, E> {
        match text {
            "inherit" => Ok(HostAddresses::Inherit),
            "none" => Ok(HostAddresses::None),
            other => Err(E::invalid_value(serde::de::Unexpected::Str(other), &self)),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<HostAddresses, A::Error> {
        let mut all = Vec::new();
        while let Some(text) = seq.next_element::<String>()? {
            let expected =
                || A::Error::custom(format!("{text:?}: expected an address as 192.0.2.2/24"));
            all.push(text.parse().map_err(|_| expected())?);
        }
        Ok(HostAddresses::Static(all))
    }
}
