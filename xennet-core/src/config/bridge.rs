use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::Deserialize;
use serde::de::{Error, SeqAccess, Visitor};

use super::table::Table;
use super::uplink_id::Uplink;
use super::{ConfigError, GatewayPolicy, PortPolicy, RoutePolicy, UplinkId, VxlanPolicy};
use crate::types::{IfName, Link, MacAddr, Mtu};

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
    /// Its uplink, where that is not given by the name of the interface.
    pub(crate) uplink_id: Option<UplinkId>,
    /// The network between hosts that it is a part of.
    pub vxlan: Option<VxlanPolicy>,
    /// The host's own addresses on it. None leaves all addresses where they are; an error if the uplink has some.
    pub addresses: Option<HostAddresses>,
    /// The routers behind it, with static addresses: the host's default routes.
    pub(crate) gateways: Vec<GatewayPolicy>,
    /// The host's other routes by it, with static addresses.
    pub(crate) routes: Vec<RoutePolicy>,
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
            uplink_id: None,
            vxlan: None,
            addresses: None,
            gateways: Vec::new(),
            routes: Vec::new(),
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
        let mut routes = table.tables("routes")?;
        let (uplink, uplink_id) = match table.optional("uplink")? {
            Some(Uplink::Name(name)) => (Some(name), None),
            Some(Uplink::Id(id)) => (None, Some(id)),
            None => (None, None),
        };
        let policy = Self {
            uplink,
            uplink_id,
            vxlan: vxlan.map(|mut table| VxlanPolicy::read(&mut table, &name)).transpose()?,
            addresses: table.optional("addresses")?,
            gateways: GatewayPolicy::read_all(table)?,
            routes: routes.iter_mut().map(RoutePolicy::read).collect::<Result<_, _>>()?,
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

    /// The uplink among some interfaces.
    pub(crate) fn uplink_of<'l>(&self, links: &'l [Link]) -> Option<&'l Link> {
        let named = |name: &IfName| {
            let is = |link: &&Link| link.name == *name;
            let also = |link: &&Link| link.altnames.iter().any(|other| *other == name.as_str());
            links.iter().find(is).or_else(|| links.iter().find(also))
        };
        match (&self.uplink, &self.uplink_id) {
            (Some(name), _) => named(name),
            (None, Some(id)) => links.iter().find(|link| id.is(link)),
            (None, None) => None,
        }
    }

    /// Its uplink as the configuration gives it.
    pub(crate) fn uplink_text(&self) -> Option<String> {
        let id = self.uplink_id.as_ref().map(ToString::to_string);
        self.uplink.as_ref().map(ToString::to_string).or(id)
    }

    /// Whether it has an uplink.
    pub(crate) fn has_uplink(&self) -> bool {
        self.uplink.is_some() || self.uplink_id.is_some()
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
        if self.manage_uplink_vlans && !self.has_uplink() {
            return wrong("manage_uplink_vlans", "manage_uplink_vlans needs an uplink as well");
        }
        if inherits && !self.has_uplink() {
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
        let gateways = self.gateways.iter().map(|gateway| ("gateways", gateway.route()));
        let routes = self.routes.iter().map(|route| ("routes", *route));
        let mut all: Vec<RoutePolicy> = Vec::new();
        for (key, route) in gateways.chain(routes) {
            if let Some(words) = self.wrong_route(key, &route, addresses) {
                return Some((key, words));
            }
            if all.iter().any(|other| other.clashes(&route)) {
                let default = key == "gateways";
                let twice = || format!("{} is there twice with the same metric", route.destination);
                let words = "expected one per protocol and metric";
                return Some((key, if default { words.to_owned() } else { twice() }));
            }
            all.push(route);
        }
        None
    }

    fn wrong_route(&self, key: &str, route: &RoutePolicy, addresses: &[IpNet]) -> Option<String> {
        if addresses.is_empty() {
            return Some(format!("{key} need static addresses"));
        }
        if self.ipv6 == Some(false) && route.destination.addr().is_ipv6() {
            return Some(format!("without IPv6 it cannot have a route to {}", route.destination));
        }
        let via = route.via?;
        let local = matches!(via, IpAddr::V6(via) if via.is_unicast_link_local());
        if !local && !route.onlink && !addresses.iter().any(|net| net.contains(&via)) {
            let words = "set onlink = true if it is on the link all the same";
            return Some(format!("{via} is in the network of no address; {words}"));
        }
        if via.is_unspecified() || via.is_multicast() || via.is_loopback() {
            return Some(format!("{via} is no router"));
        }
        if via.is_ipv4() && addresses.iter().any(|net| is_of_no_host(net, via)) {
            return Some(format!("{via} is no router's address"));
        }
        let own = addresses.iter().any(|net| net.addr() == via);
        own.then(|| format!("{via} is the host itself"))
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
