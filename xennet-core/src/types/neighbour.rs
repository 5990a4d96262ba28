use std::fmt;
use std::net::IpAddr;

use super::MacAddr;

/// Which Ethernet address an IP address on a link has, or that the host answers for it. `ip neighbour show`
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Deserialize, serde::Serialize)]
#[non_exhaustive]
pub struct Neighbour {
    /// The IP address.
    pub address: IpAddr,
    /// Its Ethernet address, as far as it is known.
    pub mac: Option<MacAddr>,
    /// An administrator or a program added it, and it stays: `nud permanent`.
    pub permanent: bool,
    /// It says of itself that it is a router (IPv6): `router`. The host says so in the name of one with `proxy`.
    pub router: bool,
    /// The host answers for the address on this link: `proxy`.
    #[serde(default)]
    pub proxy: bool,
    /// The program that added it (`NDA_PROTOCOL`): `protocol`.
    #[serde(default)]
    pub protocol: Option<u8>,
}

impl Neighbour {
    /// An address that stays bound to an Ethernet address.
    pub fn permanent(address: IpAddr, mac: MacAddr) -> Self {
        let (mac, permanent) = (Some(mac), true);
        Self { address, mac, permanent, router: false, proxy: false, protocol: None }
    }

    /// An address that the host answers for.
    pub fn proxy(address: IpAddr) -> Self {
        let (mac, permanent) = (None, true);
        Self { address, mac, permanent, router: false, proxy: true, protocol: None }
    }
}

impl fmt::Display for Neighbour {
    /// What follows `ip neighbour add`, but for the link.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.proxy { "proxy " } else { "" })?;
        write!(f, "{}", self.address)?;
        if let Some(mac) = self.mac {
            write!(f, " lladdr {mac}")?;
        }
        f.write_str(if self.router { " router" } else { "" })?;
        self.protocol.map_or(Ok(()), |protocol| write!(f, " protocol {protocol}"))
    }
}

/// What the kernel knows of whether a neighbour is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reachability {
    /// It answered, less than about half a minute ago.
    Reachable,
    /// It was asked several times and did not answer.
    Failed,
    /// Somebody entered it, or its link knows no asking: the kernel does not ask.
    Entered,
    /// It was not asked, or not yet found silent.
    Unknown,
}
