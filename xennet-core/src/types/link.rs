use std::fmt;
use std::net::Ipv6Addr;

use super::{
    BondInfo, BondSet, BondSpec, IfName, LinkRef, MacAddr, Mtu, PortState, VlanId, VlanLinkInfo,
    VlanLinkSpec, VxlanInfo, VxlanSpec,
};

/// A network interface as the kernel describes it. `ip -d link show`
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Link {
    /// The interface's index: its identity for as long as it lives, whatever its name.
    pub index: u32,
    /// Its present name.
    pub name: IfName,
    /// Its hardware address; none where it has none, or one that no station may have.
    pub mac: Option<MacAddr>,
    /// Its hardware address before a bond, or an administrator, gave it another one; none where the driver has none.
    pub permanent_mac: Option<MacAddr>,
    /// Its alternative names. `ip link property add dev NAME altname NAME`
    pub altnames: Vec<String>,
    /// Its MTU in bytes, as the kernel says: a loopback or tunnel device may have one that [`Mtu`] would refuse.
    pub mtu: u32,
    /// Administratively up (`IFF_UP`).
    pub up: bool,
    /// Has a carrier (`IFF_LOWER_UP`): for a vif, its guest is connected.
    pub carrier: bool,
    /// The index of the bridge (or bond, or other master) that it is a port of.
    pub master: Option<u32>,
    /// What a running port of a bridge does with frames. None for an interface that is no port of a bridge, and for one that
    /// is not running (down, or without a carrier): the kernel disables its port.
    pub port_state: Option<PortState>,
    /// What the kernel calls its kind (`bridge`, `veth`, `vif`, ...); none for plain hardware.
    pub kind: Option<String>,
    /// The index of the interface below: of a VLAN interface, the one that carries its frames; of a veth, its peer.
    pub lower: Option<u32>,
    /// The settings of a bond, when it is one.
    pub bond: Option<BondInfo>,
    /// The settings of a VLAN interface, when it is one.
    pub vlan: Option<VlanLinkInfo>,
    /// The settings of a bridge, when it is one.
    pub bridge: Option<BridgeInfo>,
    /// The settings of a VXLAN port, when it is one.
    pub vxlan: Option<VxlanInfo>,
    /// The text that an administrator, or we, gave it. `ip link set dev NAME alias TEXT`
    pub alias: Option<String>,
    /// The name of the device behind it: `vif-3-0` for netback's vif of domain 3. Linux 5.14 and later.
    pub parent: Option<String>,
    /// How it makes its IPv6 link-local address; none when the kernel has no IPv6 on it.
    pub addr_gen_mode: Option<AddrGenMode>,
    /// The interface identifier that it makes its IPv6 addresses with; `::` when it has none, and none when the kernel has
    /// no IPv6 on it. `ip token list`
    pub token: Option<Ipv6Addr>,
}

/// What a bridge is set to. `ip -d link show type bridge`
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Deserialize, serde::Serialize)]
#[non_exhaustive]
pub struct BridgeInfo {
    /// Spanning tree protocol: `stp_state`.
    pub stp: bool,
    /// Seconds times 100 (`USER_HZ`) that a port listens and learns before it forwards: `forward_delay`.
    pub forward_delay: u32,
    /// Seconds times 100 (`USER_HZ`) until a learnt address is forgotten: `ageing_time`.
    pub ageing_time: u32,
    /// Whether frames are kept to their VLAN: `vlan_filtering`.
    pub vlan_filtering: bool,
    /// The PVID that a port gets when it joins: `vlan_default_pvid`; none when it gets none, or the
    /// kernel knows no VLANs. A new bridge without one gets the kernel's, 1.
    #[serde(skip)]
    pub vlan_default_pvid: Option<VlanId>,
    /// Whether multicast goes only where it was asked for: `mcast_snooping`; none when the kernel cannot.
    pub mcast_snooping: Option<bool>,
    /// Which link-local group addresses are forwarded: `group_fwd_mask`.
    pub group_fwd_mask: u16,
}

/// How an interface makes its IPv6 link-local address. `ip link set dev NAME addrgenmode MODE`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Deserialize, serde::Serialize)]
#[non_exhaustive]
pub enum AddrGenMode {
    /// From its hardware address (RFC 4291).
    Eui64,
    /// It makes none.
    None,
    /// From a secret that is set (RFC 7217).
    StableSecret,
    /// From a random secret (RFC 7217).
    Random,
}

/// A kind of interface to create, with its settings.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkKind {
    /// A bridge. `ip link add NAME type bridge stp_state 0 forward_delay 0`
    ///
    /// Every setting is sent, but those of VLANs only with `vlan_filtering`: a kernel without them refuses even a 0.
    Bridge(BridgeInfo),
    /// A pair of Ethernet interfaces joined back to back. `ip link add NAME type veth peer name PEER`
    Veth {
        /// The other end's name.
        peer: IfName,
    },
    /// A VXLAN port. `ip link add NAME type vxlan id VNI local ADDRESS ...`
    Vxlan(VxlanSpec),
    /// A bond. `ip link add NAME type bond mode MODE ...`
    Bond(BondSpec),
    /// A VLAN interface. `ip link add link LINK name NAME type vlan id ID`
    Vlan(VlanLinkSpec),
}

/// One setting of an interface: what follows `ip link set dev NAME`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[non_exhaustive]
pub enum LinkSet {
    /// `up` or `down`
    Up(bool),
    /// `address MAC`
    Address(MacAddr),
    /// `mtu BYTES`
    Mtu(Mtu),
    /// `name NAME alias TEXT`: both in one request, so that a renamed interface always says what it was.
    Name {
        /// The new name.
        name: IfName,
        /// The new alias; an empty one removes it.
        alias: String,
    },
    /// `alias TEXT`; an empty text removes the alias
    Alias(String),
    /// `master BRIDGE`, or `nomaster`
    Master(Option<LinkRef>),
    /// `addrgenmode MODE`
    AddrGenMode(AddrGenMode),
    /// `ip token set TOKEN dev NAME`; `::` removes it
    Token(Ipv6Addr),
    /// `type bridge SETTING VALUE`
    Bridge(BridgeSet),
    /// `type bond SETTING VALUE`
    Bond(BondSet),
}

/// One setting of a bridge: what follows `ip link set dev NAME type bridge`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[non_exhaustive]
pub enum BridgeSet {
    /// `stp_state 0|1`
    Stp(bool),
    /// `forward_delay HUNDREDTHS`
    ForwardDelay(u32),
    /// `ageing_time HUNDREDTHS`
    AgeingTime(u32),
    /// `vlan_filtering 0|1`
    VlanFiltering(bool),
    /// `mcast_snooping 0|1`
    McastSnooping(bool),
    /// `group_fwd_mask MASK`
    GroupFwdMask(u16),
}

impl Link {
    /// The lowest index of an interface that an earlier change of the same plan creates: the kernel has no such index.
    pub(crate) const PLANNED: u32 = i32::MAX.cast_unsigned() + 1;

    /// How a change names it.
    pub fn reference(&self) -> LinkRef {
        let index = Some(self.index).filter(|index| *index < Self::PLANNED);
        LinkRef { index, name: self.name.clone() }
    }
}

impl fmt::Display for AddrGenMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Eui64 => "eui64",
            Self::None => "none",
            Self::StableSecret => "stable_secret",
            Self::Random => "random",
        })
    }
}

impl fmt::Display for LinkKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bridge(info) => {
                let BridgeInfo { forward_delay, ageing_time, group_fwd_mask, .. } = info;
                write!(f, "bridge stp_state {} forward_delay {forward_delay}", u8::from(info.stp))?;
                write!(f, " ageing_time {ageing_time} group_fwd_mask {group_fwd_mask}")?;
                if let Some(snooping) = info.mcast_snooping {
                    write!(f, " mcast_snooping {}", u8::from(snooping))?;
                }
                if info.vlan_filtering {
                    write!(f, " vlan_filtering 1")?;
                }
                Ok(())
            }
            Self::Veth { peer } => write!(f, "veth peer name {peer}"),
            Self::Vxlan(spec) => spec.fmt(f),
            Self::Bond(spec) => spec.fmt(f),
            Self::Vlan(spec) => spec.fmt(f),
        }
    }
}

impl fmt::Display for LinkSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Up(true) => f.write_str("up"),
            Self::Up(false) => f.write_str("down"),
            Self::Address(mac) => write!(f, "address {mac}"),
            Self::Mtu(mtu) => write!(f, "mtu {mtu}"),
            Self::Name { name, alias } => {
                write!(f, "name {name} alias \"{}\"", alias.escape_debug())
            }
            Self::Alias(alias) => write!(f, "alias \"{}\"", alias.escape_debug()),
            Self::Master(Some(master)) => write!(f, "master {}", master.name),
            Self::Master(None) => f.write_str("nomaster"),
            Self::AddrGenMode(mode) => write!(f, "addrgenmode {mode}"),
            Self::Token(token) => write!(f, "token {token}"),
            Self::Bridge(set) => write!(f, "type bridge {set}"),
            Self::Bond(set) => write!(f, "type bond {set}"),
        }
    }
}

impl fmt::Display for BridgeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stp(on) => write!(f, "stp_state {}", u8::from(*on)),
            Self::ForwardDelay(time) => write!(f, "forward_delay {time}"),
            Self::AgeingTime(time) => write!(f, "ageing_time {time}"),
            Self::VlanFiltering(on) => write!(f, "vlan_filtering {}", u8::from(*on)),
            Self::McastSnooping(on) => write!(f, "mcast_snooping {}", u8::from(*on)),
            Self::GroupFwdMask(mask) => write!(f, "group_fwd_mask {mask:#x}"),
        }
    }
}
