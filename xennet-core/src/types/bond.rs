use std::fmt;

use super::LinkRef;

/// How a bond uses its ports. `mode`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Deserialize, serde::Serialize)]
#[non_exhaustive]
pub enum BondMode {
    /// One packet on each port, in turn.
    #[serde(rename = "balance-rr")]
    BalanceRr,
    /// One port at a time.
    #[serde(rename = "active-backup")]
    ActiveBackup,
    /// The port that a hash of the packet selects.
    #[serde(rename = "balance-xor")]
    BalanceXor,
    /// Each packet on all ports.
    #[serde(rename = "broadcast")]
    Broadcast,
    /// As agreed with the switch by LACP.
    #[serde(rename = "802.3ad")]
    Lacp,
    /// The port with the least load for outgoing packets.
    #[serde(rename = "balance-tlb")]
    BalanceTlb,
    /// The same, and for incoming IPv4 packets by ARP.
    #[serde(rename = "balance-alb")]
    BalanceAlb,
}

/// How often the other end of LACP sends. `lacp_rate`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum LacpRate {
    /// Every 30 seconds.
    Slow,
    /// Every second.
    Fast,
}

/// What of a packet selects its port. `xmit_hash_policy`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Deserialize, serde::Serialize)]
#[non_exhaustive]
pub enum XmitHashPolicy {
    /// Hardware addresses.
    #[serde(rename = "layer2")]
    Layer2,
    /// IP addresses and ports.
    #[serde(rename = "layer3+4")]
    Layer34,
    /// Hardware and IP addresses.
    #[serde(rename = "layer2+3")]
    Layer23,
    /// As layer2+3, of the inner packet of a tunnel.
    #[serde(rename = "encap2+3")]
    Encap23,
    /// As layer3+4, of the inner packet of a tunnel.
    #[serde(rename = "encap3+4")]
    Encap34,
    /// VLAN and source hardware address.
    #[serde(rename = "vlan+srcmac")]
    VlanSrcMac,
}

/// A bond to create. `ip link add NAME type bond mode MODE ...`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BondSpec {
    /// How it uses its ports.
    pub mode: BondMode,
    /// Milliseconds between two looks at the carrier of each port.
    pub miimon: u32,
    /// How often the other end of LACP sends; none is the kernel's default.
    pub lacp_rate: Option<LacpRate>,
    /// What of a packet selects its port; none is the kernel's default.
    pub xmit_hash_policy: Option<XmitHashPolicy>,
}

/// The settings of a bond. `ip -d link show type bond`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct BondInfo {
    /// How it uses its ports; none for a mode that this library does not know.
    pub mode: Option<BondMode>,
    /// Milliseconds between two looks at the carrier of each port.
    pub miimon: u32,
    /// How often the other end of LACP sends.
    pub lacp_rate: Option<LacpRate>,
    /// What of a packet selects its port.
    pub xmit_hash_policy: Option<XmitHashPolicy>,
    /// The index of the port that is used while it has a carrier.
    pub primary: Option<u32>,
}

/// One setting of a bond: what follows `ip link set dev NAME type bond`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[non_exhaustive]
pub enum BondSet {
    /// `miimon MILLISECONDS`
    Miimon(u32),
    /// `xmit_hash_policy POLICY`
    XmitHashPolicy(XmitHashPolicy),
    /// `primary PORT`, or none
    Primary(Option<LinkRef>),
}

impl BondMode {
    /// Every mode, by the kernel's number.
    pub(crate) const ALL: [Self; 7] = [
        Self::BalanceRr,
        Self::ActiveBackup,
        Self::BalanceXor,
        Self::Broadcast,
        Self::Lacp,
        Self::BalanceTlb,
        Self::BalanceAlb,
    ];

    /// Whether one port is preferred: `primary`.
    pub(crate) fn has_primary(self) -> bool {
        matches!(self, Self::ActiveBackup | Self::BalanceTlb | Self::BalanceAlb)
    }

    /// Whether a hash of the packet selects its port: `xmit_hash_policy`.
    pub(crate) fn hashes(self) -> bool {
        matches!(self, Self::BalanceXor | Self::Lacp | Self::BalanceTlb)
    }
}

impl LacpRate {
    /// Every rate, by the kernel's number.
    pub(crate) const ALL: [Self; 2] = [Self::Slow, Self::Fast];
}

impl XmitHashPolicy {
    /// Every policy, by the kernel's number.
    pub(crate) const ALL: [Self; 6] = [
        Self::Layer2,
        Self::Layer34,
        Self::Layer23,
        Self::Encap23,
        Self::Encap34,
        Self::VlanSrcMac,
    ];
}

impl fmt::Display for BondMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::BalanceRr => "balance-rr",
            Self::ActiveBackup => "active-backup",
            Self::BalanceXor => "balance-xor",
            Self::Broadcast => "broadcast",
            Self::Lacp => "802.3ad",
            Self::BalanceTlb => "balance-tlb",
            Self::BalanceAlb => "balance-alb",
        })
    }
}

impl fmt::Display for LacpRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Slow => "slow",
            Self::Fast => "fast",
        })
    }
}

impl fmt::Display for XmitHashPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Layer2 => "layer2",
            Self::Layer34 => "layer3+4",
            Self::Layer23 => "layer2+3",
            Self::Encap23 => "encap2+3",
            Self::Encap34 => "encap3+4",
            Self::VlanSrcMac => "vlan+srcmac",
        })
    }
}

impl fmt::Display for BondSpec {
    /// What follows `ip link add NAME type`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bond mode {} miimon {}", self.mode, self.miimon)?;
        if let Some(rate) = self.lacp_rate {
            write!(f, " lacp_rate {rate}")?;
        }
        if let Some(policy) = self.xmit_hash_policy {
            write!(f, " xmit_hash_policy {policy}")?;
        }
        Ok(())
    }
}

impl fmt::Display for BondSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Miimon(milliseconds) => write!(f, "miimon {milliseconds}"),
            Self::XmitHashPolicy(policy) => write!(f, "xmit_hash_policy {policy}"),
            Self::Primary(Some(port)) => write!(f, "primary {}", port.name),
            // What `ip` takes for none.
            Self::Primary(None) => f.write_str("primary \"\""),
        }
    }
}
