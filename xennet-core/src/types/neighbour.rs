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
