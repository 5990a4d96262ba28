use std::fmt;

/// The protocols whose packets a table sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub enum NftFamily {
    /// IPv4 and IPv6.
    Inet,
    /// IPv4.
    Ip,
    /// ARP.
    Arp,
    /// All frames of one device.
    Netdev,
    /// All frames that cross a bridge.
    Bridge,
    /// IPv6.
    Ip6,
}

/// A table. `nft list tables`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NftTable {
    /// Its family.
    pub family: NftFamily,
    /// Its name, unique in its family.
    pub name: String,
    /// What it says of itself (Linux 5.10).
    pub comment: Option<String>,
    /// Whether it is switched off: its chains then see no packet.
    pub dormant: bool,
}

impl NftFamily {
    /// The kernel's `NFPROTO_*`.
    pub fn number(self) -> u8 {
        match self {
            Self::Inet => 1,
            Self::Ip => 2,
            Self::Arp => 3,
            Self::Netdev => 5,
            Self::Bridge => 7,
            Self::Ip6 => 10,
        }
    }

    /// The family of that number.
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Inet, Self::Ip, Self::Arp, Self::Netdev, Self::Bridge, Self::Ip6]
            .into_iter()
            .find(|family| family.number() == number)
    }
}

impl fmt::Display for NftFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Inet => "inet",
            Self::Ip => "ip",
            Self::Arp => "arp",
            Self::Netdev => "netdev",
            Self::Bridge => "bridge",
            Self::Ip6 => "ip6",
        })
    }
}
