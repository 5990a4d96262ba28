use std::fmt;

use ipnet::IpNet;

use super::{ForeignFilter, HostWarning, NotForwarding};
use crate::types::{IfName, ParseError, VifId};

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
    /// A connected vif on a bridge of the configuration is not as wanted, and could not be attached again.
    NotAttached {
        /// The vif.
        vif: VifId,
        /// What failed.
        why: String,
    },
    /// Something of a vif that is detached could not be observed, and may be left.
    ///
    /// The text names the vif, what may be left, what failed, and the command that tries again.
    NotRemoved(String),
    /// The network was not told where the guest is.
    NotAnnounced {
        /// What failed.
        why: String,
    },
    /// About the host's own network.
    Host(HostWarning),
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
            Self::NoIpv6 { link, prefix } => {
                write!(f, "{link}: the host has no IPv6 on it, so {prefix} is not routed")
            }
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
            Self::NotAttached { vif, why } => write!(f, "vif{vif}: not attached again: {why}"),
            Self::NotRemoved(text) => f.write_str(text),
            Self::NotAnnounced { why } => {
                write!(f, "done, but the network was not told of it: {why}")
            }
            Self::Host(warning) => warning.fmt(f),
        }
    }
}

impl From<HostWarning> for Warning {
    fn from(warning: HostWarning) -> Self {
        Self::Host(warning)
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
