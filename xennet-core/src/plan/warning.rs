use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::{ForeignFilter, Managed, NotForwarding};
use crate::config::Transport;
use crate::types::{IfName, Mtu, ParseError, VifId};

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
    /// A bridge does not forward a guest's frames, or not at once.
    NotForwarding(NotForwarding),
    /// Several guests have the same address.
    AddressShared {
        /// The address, or the prefix.
        address: IpNet,
        /// The guest's interface.
        link: IfName,
        /// The other vifs that have it, in the order of their numbers.
        owners: Vec<VifId>,
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
    /// A device refused the MTU of its bridge, and keeps its own.
    MtuRefused {
        /// The guest's interface.
        link: IfName,
        /// Its MTU in bytes.
        mtu: u32,
        /// What the kernel answered.
        why: String,
    },
    /// Keys were written to XenStore.
    KeysStored {
        /// The backend's directory.
        backend: String,
        /// The keys.
        keys: Vec<String>,
    },
    /// Keys of the caller are not written to XenStore.
    KeysForOnce {
        /// The keys.
        keys: Vec<String>,
    },
    /// A key in XenStore has an invalid value.
    InvalidValue {
        /// The vif.
        vif: VifId,
        /// The key, its value, and what is valid.
        error: ParseError,
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

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Filtered { link, filter } => write!(f, "{link}: {filter}"),
            Self::Unguarded { link, bridge } => write!(
                f,
                "{link}: nothing holds it to its ip= on {bridge}, a bridge of Open vSwitch: let OVN (port security) or \
                 OpenFlow rules do it; guard = \"off\" for {bridge} in xennet.toml says that you know"
            ),
            Self::NotForwarding(warning) => warning.fmt(f),
            Self::AddressShared { address, link, owners } => {
                address_shared(f, address, link, owners)
            }
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
            Self::Managed(managed) => managed.fmt(f),
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
            Self::MtuRefused { link, mtu, why } => write!(
                f,
                "{link}: attached with its own MTU {mtu}, because the device refused its bridge's ({why}); set `mtu` of \
                 this vif, or lower the bridge's"
            ),
            Self::KeysStored { backend, keys } => {
                let paths: Vec<_> = keys.iter().map(|key| format!("{backend}/{key}")).collect();
                write!(
                    f,
                    "{}: written to XenStore, so that the next online uses it; `--once` does not",
                    paths.join(", ")
                )
            }
            Self::KeysForOnce { keys } => write!(
                f,
                "{}: not written to XenStore, so the next online does not use it (`--once`)",
                keys.join(", ")
            ),
            Self::InvalidValue { vif, error } => {
                write!(
                    f,
                    "vif{vif}: {error}; correct it by `xenstore-write backend/vif/{}/{}/{} VALUE`",
                    vif.domid,
                    vif.devid,
                    error.key()
                )
            }
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

fn address_shared(
    f: &mut fmt::Formatter<'_>,
    address: &IpNet,
    link: &IfName,
    owners: &[VifId],
) -> fmt::Result {
    // An address as people write it.
    let is_single = address.prefix_len() == address.max_prefix_len();
    let length = format!("/{}", address.prefix_len());
    let length = if is_single { "" } else { &length };
    write!(f, "{link}: {}{length} is also an address of ", address.addr())?;
    match owners {
        [] => write!(f, "another vif")?,
        [first] => write!(f, "vif{first}")?,
        [first, others @ ..] => write!(f, "vif{first} and {} more", others.len())?,
    }
    write!(
        f,
        ", and the guard lets both send from it: unless a guest is migrating within this host, correct ip= of \
         one of them"
    )
}
