use crate::types::{IfName, NftFamily, ParseError};

/// Why no plan leads from what there is to what is wanted. Says what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// A value contradicts another one.
    #[error(transparent)]
    Value(#[from] ParseError),

    /// netback (or the device model) has not made the interface.
    #[error(
        "{link}: no such interface: the {maker} has not made it, or it is gone again; see its log and `xl dmesg`"
    )]
    NoLink {
        /// The interface that was looked for.
        link: IfName,
        /// Who should have made it.
        maker: &'static str,
    },

    /// `bridge` names no interface.
    #[error(
        "bridge {name}: no such interface; create it with `xennet bridge create {name}`, or correct bridge="
    )]
    NoBridge {
        /// The bridge that was asked for.
        name: IfName,
    },

    /// `bridge` names something else.
    #[error("bridge {name}: is {kind}, not a Linux bridge; correct bridge=")]
    NotABridge {
        /// The interface.
        name: IfName,
        /// What it is.
        kind: String,
    },

    /// No `bridge` is set, and there is none to take.
    #[error(
        "bridge: none is set and there is none here; create one with `xennet bridge create xenbr0`, or set bridge="
    )]
    NoBridges,

    /// No `bridge` is set, and any of several could be meant.
    #[error("bridge: none is set and there are several ({}); set bridge= to one of them", list(.names))]
    ManyBridges {
        /// All bridges.
        names: Vec<IfName>,
    },

    /// `vifname` is the name of an interface that is not this vif; it is left alone.
    #[error(
        "vifname {name}: {kind} of that name exists and is not {vif}; it was left alone, choose another vifname="
    )]
    NameTaken {
        /// The name.
        name: IfName,
        /// This vif's own name.
        vif: IfName,
        /// What bears the name.
        kind: String,
    },

    /// `vlan` was asked for on a bridge that does not separate VLANs.
    #[error(
        "vlan {vlan}: {bridge} is not VLAN-aware, so {vif} would be untagged; make it so with \
         `ip link set dev {bridge} type bridge vlan_filtering 1`, or drop vlan="
    )]
    NotVlanAware {
        /// The VLANs that were asked for.
        vlan: String,
        /// The bridge.
        bridge: IfName,
        /// The vif.
        vif: IfName,
    },

    /// The uplink whose VLANs are to be managed is not in its bridge.
    #[error(
        "uplink {uplink}: is no port of {bridge}; put it in with `ip link set dev {uplink} master {bridge}`, or \
         correct uplink in xennet.toml"
    )]
    NoUplink {
        /// The bridge.
        bridge: IfName,
        /// Its uplink, as configured.
        uplink: IfName,
    },

    /// A guest cannot be held to an address that nobody knows.
    #[error(
        "{vif}: no mac is set, and the guard holds a guest to it; set mac=, or guard = \"off\" in xennet.toml"
    )]
    NoMac {
        /// The vif.
        vif: IfName,
    },

    /// A bridge of that name exists and is set otherwise.
    #[error("bridge {name}: exists with {setting}, and was left alone; change it with `{command}`")]
    BridgeDiffers {
        /// The bridge.
        name: IfName,
        /// What it is set to.
        setting: String,
        /// What would change that.
        command: String,
    },

    /// A table has the name of the guard's, and is not the guard's.
    #[error(
        "nft table {family} {table}: says \"{comment}\" of itself, so it is not this xennet's guard; it was left \
         alone, delete it with `nft delete table {family} {table}`"
    )]
    ForeignTable {
        /// The table's family.
        family: NftFamily,
        /// Its name.
        table: String,
        /// Its comment.
        comment: String,
    },

    /// A bridge still has ports.
    #[error("bridge {name}: still has ports ({}); take them out first, or use --force", list(.ports))]
    HasPorts {
        /// The bridge.
        name: IfName,
        /// Its ports.
        ports: Vec<IfName>,
    },
}

impl PlanError {
    /// The errno that says the same with less words.
    pub fn errno(&self) -> i32 {
        match self {
            Self::Value(error) => error.errno(),
            Self::NoLink { .. }
            | Self::NoBridge { .. }
            | Self::NoBridges
            | Self::NoUplink { .. } => libc::ENODEV,
            Self::NotABridge { .. } | Self::ManyBridges { .. } | Self::NoMac { .. } => libc::EINVAL,
            Self::NameTaken { .. } | Self::BridgeDiffers { .. } | Self::ForeignTable { .. } => {
                libc::EEXIST
            }
            Self::NotVlanAware { .. } => libc::EOPNOTSUPP,
            Self::HasPorts { .. } => libc::EBUSY,
        }
    }
}

fn list(names: &[IfName]) -> String {
    names.iter().map(IfName::as_str).collect::<Vec<_>>().join(", ")
}
