use crate::types::IfName;

/// Why a bond cannot be as configured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BondError {
    /// An interface that is no bond has its name.
    #[error("bond {name}: is {kind}, not a bond; it was left alone, correct name in xennet.toml")]
    NotABond {
        /// The interface.
        name: IfName,
        /// What it is.
        kind: String,
    },

    /// A bond of that name exists with a setting that cannot change.
    #[error(
        "bond {name}: exists with {setting}, which cannot change while it has ports; {}",
        if *.made { "`xennet network stop` first" } else { "correct xennet.toml, or delete the bond first" }
    )]
    Differs {
        /// The bond.
        name: IfName,
        /// The setting.
        setting: String,
        /// Whether xennet created it.
        made: bool,
    },

    /// None of its ports exists.
    #[error("bond {bond}: none of its ports ({}) is an interface here; correct ports in xennet.toml", IfName::list(.ports))]
    NoPorts {
        /// The bond.
        bond: IfName,
        /// Its ports, as configured.
        ports: Vec<IfName>,
    },

    /// A port has another master.
    #[error(
        "bond {bond}: its port {port} is a port of {master}, and was left there; take it out with `ip link set dev {port} \
         nomaster`, or with `xennet network stop` if xennet put it there"
    )]
    PortTaken {
        /// The bond.
        bond: IfName,
        /// Its port.
        port: IfName,
        /// The port's master.
        master: IfName,
    },

    /// A port has a VLAN interface above it, which would lose its addresses and routes.
    #[error(
        "bond {bond}: its port {port} has the VLAN interface {vlan}, which would be cut off; delete it, and configure the \
         VLAN on {bond} instead"
    )]
    PortHasVlan {
        /// The bond.
        bond: IfName,
        /// Its port.
        port: IfName,
        /// The VLAN interface.
        vlan: IfName,
    },

    /// Several ports have addresses or routes of the host.
    #[error(
        "bond {bond}: {} have addresses or routes of the host, and those of one port can move; remove them from the others",
        IfName::list(.ports)
    )]
    SeveralHomes {
        /// The bond.
        bond: IfName,
        /// The ports.
        ports: Vec<IfName>,
    },
}

/// Why a VLAN interface cannot be as configured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VlanLinkError {
    /// An interface of that name exists and is set otherwise.
    #[error(
        "vlan {name}: exists with {setting}, and was left alone; delete it with `ip link delete dev {name}`, or correct \
         xennet.toml"
    )]
    Differs {
        /// The interface.
        name: IfName,
        /// What it is set to.
        setting: String,
    },

    /// The interface that carries its frames does not exist.
    #[error(
        "vlan {vlan}: {link}, which carries its frames, is no interface here; correct xennet.toml"
    )]
    NoLink {
        /// The VLAN interface.
        vlan: IfName,
        /// The interface below.
        link: IfName,
    },
}

impl BondError {
    /// The errno that comes nearest.
    pub(super) fn errno(&self) -> i32 {
        match self {
            Self::NotABond { .. } | Self::Differs { .. } => libc::EEXIST,
            Self::NoPorts { .. } => libc::ENODEV,
            Self::PortTaken { .. } | Self::PortHasVlan { .. } | Self::SeveralHomes { .. } => {
                libc::EBUSY
            }
        }
    }
}

impl VlanLinkError {
    /// The errno that comes nearest.
    pub(super) fn errno(&self) -> i32 {
        match self {
            Self::Differs { .. } => libc::EEXIST,
            Self::NoLink { .. } => libc::ENODEV,
        }
    }
}
