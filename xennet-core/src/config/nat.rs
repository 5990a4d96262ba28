use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU16;

use ipnet::IpNet;
use serde::Deserialize;

use super::ConfigError;
use super::bridge::{is_of_no_host, not_a_hosts};
use super::routed::overlap;
use super::table::Table;
use crate::types::IfName;

/// What an administrator decides for guests that share the host's address: `[[nat]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NatPolicy {
    /// What it is called.
    pub name: String,
    /// The bridge that the guests are on; none for a link of each guest's own.
    pub bridge: Option<IfName>,
    /// The host's own addresses in the guests' networks.
    pub subnets: Vec<IpNet>,
    /// The interface through which the guests reach the world; none for any.
    pub uplink: Option<IfName>,
    /// Whether guests are told their addresses by DHCP.
    pub dhcp: bool,
    /// The host's ports that lead to a guest.
    pub forward: Vec<PortForward>,
}

/// A port of the host that leads to a guest: `{ protocol = "tcp", port = 8080, to = "10.0.0.5", to_port = 80 }`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PortForward {
    /// The protocol.
    pub protocol: Transport,
    /// The host's port.
    pub port: NonZeroU16,
    /// The guest's address.
    pub to: IpAddr,
    /// The guest's port.
    pub to_port: NonZeroU16,
}

/// A protocol that has ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Transport {
    /// TCP
    Tcp,
    /// UDP
    Udp,
}

impl NatPolicy {
    /// Guests behind the host's address.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            bridge: None,
            subnets: Vec::new(),
            uplink: None,
            dhcp: false,
            forward: Vec::new(),
        }
    }

    pub(super) fn read(table: &mut Table<'_>) -> Result<Self, ConfigError> {
        let mut forward = table.tables("forward")?;
        let policy = Self {
            name: table.required("name")?,
            bridge: table.optional("bridge")?,
            subnets: table.required("subnets")?,
            uplink: table.optional("uplink")?,
            dhcp: table.or_default("dhcp")?,
            forward: forward.iter_mut().map(PortForward::read).collect::<Result<_, _>>()?,
        };
        table.finish()?;
        if let Some((key, words)) = policy.contradiction() {
            return Err(table.wrong(key, format!("nat {}: {words}", policy.name)));
        }
        for (n, (one, table)) in policy.forward.iter().zip(&forward).enumerate() {
            let Some(subnet) = policy.subnets.iter().find(|net| net.contains(&one.to)) else {
                return Err(table.wrong("to", format!("{} is in none of the subnets", one.to)));
            };
            if is_of_no_host(subnet, one.to) {
                let words = format!(
                    "{} is no guest's address: it stands for all of {}",
                    one.to,
                    subnet.trunc()
                );
                return Err(table.wrong("to", words));
            }
            if policy.forward.iter().take(n).any(|other| other.clashes(one)) {
                return Err(
                    table.wrong("port", format!("port {} leads somewhere already", one.port))
                );
            }
        }
        Ok(policy)
    }

    fn contradiction(&self) -> Option<(&'static str, String)> {
        if self.subnets.is_empty() {
            return Some(("subnets", "expected the host's addresses, as 10.0.0.1/24".to_owned()));
        }
        if self.bridge.is_some() && self.bridge == self.uplink {
            return Some(("uplink", "the guests' bridge is not the way out".to_owned()));
        }
        for (n, net) in self.subnets.iter().enumerate() {
            if let Some(words) = not_a_hosts(net) {
                return Some(("subnets", words));
            }
            if net.prefix_len() == 0 {
                return Some(("subnets", format!("{net} is the whole world")));
            }
            if let Some(other) = self.subnets.iter().take(n).find(|other| overlap(other, net)) {
                return Some(("subnets", format!("{net} overlaps {other}")));
            }
        }
        None
    }
}

impl PortForward {
    /// The host's port leads to the same port of the guest.
    pub fn new(protocol: Transport, port: NonZeroU16, to: IpAddr) -> Self {
        Self { protocol, port, to, to_port: port }
    }

    fn read(table: &mut Table<'_>) -> Result<Self, ConfigError> {
        let (protocol, port) = (table.required("protocol")?, table.required("port")?);
        let mut forward = Self::new(protocol, port, table.required("to")?);
        forward.to_port = table.optional("to_port")?.unwrap_or(port);
        table.finish()?;
        Ok(forward)
    }

    pub(super) fn clashes(&self, other: &Self) -> bool {
        let to = |forward: &Self| (forward.protocol, forward.port, forward.to.is_ipv4());
        to(self) == to(other)
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}
