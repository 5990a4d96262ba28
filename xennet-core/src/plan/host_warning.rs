use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::Managed;
use crate::config::Transport;
use crate::types::{IfName, Mtu};

/// The port of SSH, by which administrators log in.
const SSH: u16 = 22;

/// A warning about the host's own network.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostWarning {
    /// The host has not the address that packets to other hosts are to come from.
    NoVxlanLocal {
        /// The bridge.
        bridge: IfName,
        /// The address, as configured.
        local: IpAddr,
    },
    /// The MTU between the hosts is unknown.
    UnderlayUnknown {
        /// The bridge.
        bridge: IfName,
        /// The address that packets to other hosts come from.
        local: IpAddr,
        /// The bridge's MTU.
        mtu: Mtu,
    },
    /// Another program configures an interface that the plan is about.
    Managed(Managed),
    /// An address that moves expires, because its DHCP client renews it on the old interface.
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
    /// The bridge makes another address in the place of one that a router gave the uplink.
    NotRenewed {
        /// The address, with its prefix.
        address: String,
        /// The bridge.
        bridge: IfName,
    },
    /// Another interface has an address in the same network, and the kernel prefers it from now on.
    SameNetwork {
        /// The network.
        network: IpNet,
        /// The interface that the host's addresses move to.
        link: IfName,
        /// The other interface.
        other: IfName,
    },
    /// The way out of guests behind the host's address is not there yet.
    NoWayOut {
        /// The `[[nat]]`.
        nat: String,
        /// Its uplink.
        uplink: IfName,
    },
    /// Packets of guests behind the host's address do not go where they should: which, and why.
    Diverted(String),
    /// Rules of another program name an uplink whose addresses are on its bridge: which, and where.
    StaleRules(String),
    /// A port of the host that leads to a guest is one that a program of the host listens on.
    PortInUse {
        /// The `[[nat]]`.
        nat: String,
        /// The protocol.
        protocol: Transport,
        /// The port.
        port: u16,
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
    Forgotten(IfName),
    /// Something of the host could not be restored.
    NotRestored {
        /// The address, route or setting, and what prevents it.
        why: String,
    },
    /// The uplink has addresses again after they moved to the bridge.
    UplinkConfigured {
        /// The uplink.
        uplink: IfName,
        /// The bridge.
        bridge: IfName,
    },
    /// A port of a bond does not exist.
    BondPortMissing {
        /// The bond.
        bond: IfName,
        /// Its port, as configured.
        port: IfName,
    },
    /// A bridge stays, because nothing says whether xennet made it.
    LeftBehind(IfName),
    /// A bridge inherits nothing, because neither it nor its uplink has an address.
    NothingInherited(IfName),
}

impl fmt::Display for HostWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
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
            Self::Managed(managed) => managed.fmt(f),
            Self::Diverted(text) | Self::StaleRules(text) => f.write_str(text),
            Self::Expires { address, from, to, seconds } => write!(
                f,
                "{address}: expires in {seconds} s, and its DHCP client renews it on {from}, not on {to}: \
                 run the client on {to}, or make the address static"
            ),
            Self::NotRenewed { address, bridge } => write!(
                f,
                "{address}: expires when its lifetime ends, because {bridge} makes other addresses of the router's \
                 prefixes; make it static"
            ),
            Self::SameNetwork { network, link, other } => write!(
                f,
                "{network}: {link} and {other} both have addresses in it, and the host sends by {other} from now on; to send by \
                 {link}, give the addresses of {other} a higher metric (`ip address change ... metric`)"
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
            Self::NoHairpin { bridge, sysctl } => write!(
                f,
                "{bridge}: a guest does not reach itself by a port of the host's, because {sysctl} is 1; \
                 `sysctl -w {sysctl}=0`"
            ),
            Self::Forgotten(bridge) => write!(
                f,
                "{bridge}: is not in xennet.toml any more and stays as it is; `xennet network stop` gives it back"
            ),
            Self::NotRestored { why } => write!(f, "not restored: {why}"),
            Self::UplinkConfigured { uplink, bridge } => write!(
                f,
                "{uplink}: has addresses of its own again, which move to {bridge}: another program configures it, or an \
                 earlier start was interrupted"
            ),
            Self::BondPortMissing { bond, port } => write!(
                f,
                "{bond}: its port {port} is no interface here; `xennet network start` puts it in once it is"
            ),
            Self::LeftBehind(bridge) => write!(
                f,
                "{bridge}: stays, because nothing says that xennet made it; `xennet bridge delete {bridge}` removes it"
            ),
            Self::NothingInherited(bridge) => write!(
                f,
                "{bridge}: inherits nothing, because neither its uplink nor it has an address: the host is not reachable \
                 by it until you configure {bridge}"
            ),
        }
    }
}
