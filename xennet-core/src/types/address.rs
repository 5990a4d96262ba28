use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

/// An address of an interface, with all that is needed to give it to another one unchanged. `ip address show`
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[non_exhaustive]
pub struct Address {
    /// The address, and the prefix length of its network; the bits of the host are kept.
    pub address: IpNet,
    /// The other end of a point-to-point link; the prefix length is then the peer's.
    pub peer: Option<IpAddr>,
    /// The broadcast address (IPv4).
    pub broadcast: Option<Ipv4Addr>,
    /// How far the address is valid.
    pub scope: Scope,
    /// What the kernel was told of it, and what it found out.
    pub flags: AddressFlags,
    /// A name of its own (IPv4); none when that is the interface's own name.
    pub label: Option<String>,
    /// Seconds until it disappears; none means never.
    pub valid: Option<u32>,
    /// Seconds until new connections avoid it; none means never.
    pub preferred: Option<u32>,
    /// The metric of the route to its network; none for the default.
    pub metric: Option<u32>,
    /// Who made it (`IFA_PROTO`), Linux 5.18 and later.
    pub protocol: Option<u8>,
    /// The numbers of attributes that the kernel gave and that this does not hold: with any of them, a copy of this
    /// address would not be the same.
    pub unknown: Vec<u16>,
}

impl Address {
    /// An address as `ip address add ADDRESS/LENGTH dev NAME` makes it: global, for ever.
    pub fn new(address: IpNet) -> Self {
        Self {
            address,
            peer: None,
            broadcast: None,
            scope: Scope::GLOBAL,
            flags: AddressFlags::empty(),
            label: None,
            valid: None,
            preferred: None,
            metric: None,
            protocol: None,
            unknown: Vec::new(),
        }
    }
}

/// How far an address or a route is valid: a distance that narrows as the number grows.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize, serde::Serialize,
)]
#[expect(clippy::exhaustive_structs, reason = "the kernel takes any number of a byte")]
pub struct Scope(pub u8);

impl Scope {
    /// Everywhere.
    pub const GLOBAL: Self = Self(0);
    /// On this link only.
    pub const LINK: Self = Self(253);
    /// On this host only.
    pub const HOST: Self = Self(254);
}

bitflags::bitflags! {
    /// What holds of an address (`IFA_F_*`). The kernel takes [`SETTABLE`](Self::SETTABLE) ones; the rest it tells.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Deserialize, serde::Serialize)]
    #[serde(transparent)]
    pub struct AddressFlags: u32 {
        /// IPv4: not the first of its network; IPv6: a temporary address (RFC 4941).
        const SECONDARY = 0x01;
        /// No duplicate address detection (IPv6).
        const NODAD = 0x02;
        /// Usable before duplicate address detection ends (IPv6).
        const OPTIMISTIC = 0x04;
        /// Somebody else has it.
        const DADFAILED = 0x08;
        /// The home address of a mobile node (IPv6).
        const HOMEADDRESS = 0x10;
        /// Its preferred lifetime is over.
        const DEPRECATED = 0x20;
        /// Duplicate address detection is under way.
        const TENTATIVE = 0x40;
        /// It has no lifetime.
        const PERMANENT = 0x80;
        /// The kernel derives temporary addresses from it (IPv6).
        const MANAGETEMPADDR = 0x100;
        /// It makes no route to its network.
        const NOPREFIXROUTE = 0x200;
        /// Its multicast group is joined.
        const MCAUTOJOIN = 0x400;
        /// It was made from a secret (RFC 7217).
        const STABLE_PRIVACY = 0x800;

        /// Those that one may ask for.
        const SETTABLE = Self::NODAD.bits() | Self::OPTIMISTIC.bits() | Self::HOMEADDRESS.bits()
            | Self::MANAGETEMPADDR.bits() | Self::NOPREFIXROUTE.bits() | Self::MCAUTOJOIN.bits();
    }
}

impl fmt::Display for Address {
    /// `192.0.2.1/24`, or `192.0.2.1 peer 192.0.2.2/32`: what follows `ip address add`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.peer {
            Some(peer) => {
                write!(f, "{} peer {peer}/{}", self.address.addr(), self.address.prefix_len())
            }
            None => write!(f, "{}", self.address),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.pad("global"),
            200 => f.pad("site"),
            253 => f.pad("link"),
            254 => f.pad("host"),
            255 => f.pad("nowhere"),
            other => write!(f, "{other}"),
        }
    }
}
