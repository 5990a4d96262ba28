use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use ipnet::IpNet;

use super::ForeignFilter;
use crate::config::Transport;
use crate::types::{IfName, Mtu};

/// Where administrators come in.
const SSH: u16 = 22;

/// Something that a plan does not change, and that may undo or outlive it. Prints as one line that says what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// Somebody else's filter may drop what a guest sends or is sent.
    Filtered {
        /// The guest's interface.
        link: IfName,
        /// Which filter.
        filter: ForeignFilter,
    },
    /// The host has not the address that packets to other hosts are to come from.
    NoVxlanLocal {
        /// The bridge.
        bridge: IfName,
        /// The address, as configured.
        local: IpAddr,
    },
    /// Nobody can know how long a packet may be between hosts.
    UnderlayUnknown {
        /// The bridge.
        bridge: IfName,
        /// The address that packets to other hosts come from.
        local: IpAddr,
        /// The bridge's MTU.
        mtu: Mtu,
    },
    /// A guest has addresses that nothing holds it to.
    Unguarded {
        /// The guest's interface.
        link: IfName,
        /// The bridge of Open vSwitch.
        bridge: IfName,
    },
    /// The host forwards no packets of a protocol that a guest speaks.
    ForwardingOff {
        /// The guest's interface.
        link: IfName,
        /// The setting that would make it.
        sysctl: String,
    },
    /// The host drops what comes by one of two interfaces of the same guest.
    ReversePath {
        /// The guest's interface.
        link: IfName,
        /// The setting that drops it.
        sysctl: String,
    },
    /// The host answers for single addresses only, not for a whole prefix.
    NotProxied {
        /// The prefix.
        prefix: IpNet,
        /// The interface on which nobody answers for it.
        uplink: IfName,
    },
    /// The host has no IPv6 on a guest's interface.
    NoIpv6 {
        /// The guest's interface.
        link: IfName,
        /// The guest's address that is not routed.
        prefix: IpNet,
    },
    /// Another program configures an interface that the plan is about.
    Managed(Managed),
    /// An address that moves will expire, and whoever renews it does so on the old interface.
    Expires {
        /// The address, with its prefix.
        address: String,
        /// Where it is now.
        from: IfName,
        /// Where it goes.
        to: IfName,
        /// Seconds.
        seconds: u32,
    },
    /// The way out of guests behind the host's address is not there yet.
    NoWayOut {
        /// The `[[nat]]`.
        nat: String,
        /// Its uplink.
        uplink: IfName,
    },
    /// A port of the host that leads to a guest is one that a program of the host listens on.
    PortInUse {
        /// The `[[nat]]`.
        nat: String,
        /// The protocol.
        protocol: Transport,
        /// The port.
        port: u16,
    },
    /// The network was not told where the guest is.
    NotAnnounced {
        /// What failed.
        why: String,
    },
    /// A guest on a bridge does not reach itself by a port of the host.
    NoHairpin {
        /// The bridge.
        bridge: IfName,
        /// The setting by which a frame to the host is one to the guest while the bridge still has it: and a bridge sends
        /// nothing back by the port that it came from.
        sysctl: &'static str,
    },
    /// A bridge that `start` once took is not in the configuration any more.
    Forgotten {
        /// The bridge.
        bridge: IfName,
    },
    /// A bridge stays, because nothing says whether xennet made it.
    LeftBehind {
        /// The bridge.
        bridge: IfName,
    },
}

/// An interface that another program configures.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Managed {
    /// The interface.
    pub link: IfName,
    /// Who it is.
    pub by: Manager,
    /// The file that says so.
    pub file: PathBuf,
}

/// A program that configures interfaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Manager {
    /// systemd-networkd
    Networkd,
    /// NetworkManager
    NetworkManager,
    /// ifupdown
    Ifupdown,
}

impl Managed {
    /// That this program configures this interface, as this file says.
    pub(crate) fn new(link: IfName, by: Manager, file: PathBuf) -> Self {
        Self { link, by, file }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Filtered { link, filter } => write!(f, "{link}: {filter}"),
            Self::Unguarded { link, bridge } => write!(
                f,
                "{link}: nothing holds it to its ip= on {bridge}, a bridge of Open vSwitch: let OVN (port security) or \
                 OpenFlow rules do it; guard = \"off\" for {bridge} in xennet.toml says that you know"
            ),
            Self::ForwardingOff { link, sysctl } => write!(
                f,
                "{link}: the host does not forward its packets: `xennet network start` with [forwarding] or [[routed]] \
                 in xennet.toml, or `sysctl -w {sysctl}=1`"
            ),
            Self::ReversePath { link, sysctl } => write!(
                f,
                "{link}: shares its addresses with another interface of its guest, and the host drops what comes by \
                 the one that it would not answer by; `sysctl -w {sysctl}=2`"
            ),
            Self::NotProxied { prefix, uplink } => write!(
                f,
                "{prefix}: the host answers on {uplink} for single addresses only; have the network route it here"
            ),
            Self::NoVxlanLocal { bridge, local } => write!(
                f,
                "{bridge}: no interface has {local}, local of its vxlan, so no frame leaves for another host: add it (`ip address \
                 add {local} dev lo`), or correct local in xennet.toml"
            ),
            Self::UnderlayUnknown { bridge, local, mtu } => write!(
                f,
                "{bridge}: no interface with an mtu of its own has {local}, so nobody sees whether frames of mtu {mtu} fit \
                 between hosts: set mtu, or dev in vxlan"
            ),
            Self::NoIpv6 { link, prefix } => {
                write!(f, "{link}: the host has no IPv6 on it, so {prefix} is not routed")
            }
            Self::Managed(Managed { link, by, file }) => {
                write!(f, "{link}: {by} configures it as well ({}): ", file.display())?;
                match by {
                    Manager::Networkd => write!(
                        f,
                        "give it `[Link] Unmanaged=yes` in a .network file, or make the bridge there"
                    ),
                    Manager::NetworkManager => write!(
                        f,
                        "`nmcli device set {link} managed no`, and in conf.d `unmanaged-devices=interface-name:{link}`"
                    ),
                    Manager::Ifupdown => {
                        write!(f, "make it `iface {link} inet manual`, or make the bridge there")
                    }
                }
            }
            Self::Expires { address, from, to, seconds } => write!(
                f,
                "{address}: expires in {seconds} s, and its DHCP client renews it on {from}, not on {to}: \
                 run the client on {to}, or make the address static"
            ),
            Self::NoWayOut { nat, uplink } => write!(
                f,
                "nat {}: its uplink {uplink} is no interface here, so its guests reach nobody until there is one",
                nat.escape_debug()
            ),
            Self::PortInUse { nat, protocol, port } => write!(
                f,
                "nat {}: a program of this host listens on port {port} ({protocol}), and nobody reaches it any more when the \
                 port leads to a guest{}",
                nat.escape_debug(),
                if *port == SSH { ": you may not get in again by ssh" } else { "" }
            ),
            Self::NotAnnounced { why } => {
                write!(f, "the vif is connected, but the network was not told of it: {why}")
            }
            Self::NoHairpin { bridge, sysctl } => write!(
                f,
                "{bridge}: a guest does not reach itself by a port of the host's, because {sysctl} is 1; \
                 `sysctl -w {sysctl}=0`"
            ),
            Self::Forgotten { bridge } => write!(
                f,
                "{bridge}: is not in xennet.toml any more and stays as it is; `xennet network stop` gives it back"
            ),
            Self::LeftBehind { bridge } => write!(
                f,
                "{bridge}: stays, because nothing says that xennet made it; `xennet bridge delete {bridge}` removes it"
            ),
        }
    }
}

impl fmt::Display for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Networkd => "systemd-networkd",
            Self::NetworkManager => "NetworkManager",
            Self::Ifupdown => "ifupdown",
        })
    }
}
