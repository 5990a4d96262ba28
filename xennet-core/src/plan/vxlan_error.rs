use crate::types::{IfName, Mtu};

/// Why a bridge cannot have its VXLAN port.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VxlanError {
    /// A VXLAN port of that name exists and is set otherwise.
    #[error(
        "{name}: exists with {setting}, and was left alone; delete it with `ip link delete dev {name}`, or correct \
             vxlan in xennet.toml"
    )]
    Differs {
        /// The port.
        name: IfName,
        /// What it is set to.
        setting: String,
    },

    /// The configuration names another VXLAN network than the one that the bridge is in.
    #[error(
        "bridge {bridge}: has the VXLAN port {was}, and {vxlan} in xennet.toml; `xennet network stop` first"
    )]
    Changed {
        /// The bridge.
        bridge: IfName,
        /// Its port, as configured.
        vxlan: IfName,
        /// The port that it was started with.
        was: IfName,
    },

    /// A bridge is part of a VXLAN network, and the configuration does not say so any more.
    #[error(
        "bridge {bridge}: has the VXLAN port {was}, and none in xennet.toml any more; `xennet network stop` first"
    )]
    Forgotten {
        /// The bridge.
        bridge: IfName,
        /// The port that it was started with.
        was: IfName,
    },

    /// The frames of a bridge do not fit between hosts.
    #[error(
        "bridge {bridge}: frames of mtu {mtu} do not fit through VXLAN over {underlay}, whose mtu {of_underlay} leaves \
             {room}; set mtu = {room} in xennet.toml, or the mtu of {underlay} and of all between the hosts to {needed}"
    )]
    TooLong {
        /// The bridge.
        bridge: IfName,
        /// Its MTU.
        mtu: Mtu,
        /// The interface that the packets leave by.
        underlay: IfName,
        /// Its MTU.
        of_underlay: u32,
        /// What is left of it for the bridge.
        room: u32,
        /// What it would have to be.
        needed: u32,
    },
}

impl VxlanError {
    /// The errno that comes nearest.
    pub(super) fn errno(&self) -> i32 {
        match self {
            Self::Differs { .. } => libc::EEXIST,
            Self::Changed { .. } | Self::Forgotten { .. } => libc::EBUSY,
            Self::TooLong { .. } => libc::EMSGSIZE,
        }
    }
}
