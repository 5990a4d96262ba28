use std::net::IpAddr;

use super::MacAddr;

/// Which Ethernet address an IP address on a link has. `ip neighbour show`
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Deserialize, serde::Serialize)]
#[non_exhaustive]
pub struct Neighbour {
    /// The IP address.
    pub address: IpAddr,
    /// Its Ethernet address, as far as it is known.
    pub mac: Option<MacAddr>,
    /// Somebody entered it, and it stays: `nud permanent`.
    pub permanent: bool,
    /// It says of itself that it is a router (IPv6): `router`.
    pub router: bool,
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
