use crate::types::IfName;

/// Why a bridge cannot have its uplink.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UplinkError {
    /// The uplink of a bridge is not there.
    #[error(
        "bridge {bridge}: its uplink {uplink} is no interface here; correct uplink in xennet.toml"
    )]
    Missing {
        /// The bridge.
        bridge: IfName,
        /// Its uplink, as configured.
        uplink: IfName,
    },

    /// The uplink of a bridge belongs to another one.
    #[error(
        "bridge {bridge}: its uplink {uplink} is a port of {master}, and was left there; take it out with \
             `ip link set dev {uplink} nomaster`, or correct xennet.toml"
    )]
    Taken {
        /// The bridge.
        bridge: IfName,
        /// Its uplink, as configured.
        uplink: IfName,
        /// What the uplink is a port of.
        master: IfName,
    },

    /// No interface, or more than one, has the hardware address or the alternative name of an uplink.
    #[error("bridge {bridge}: its uplink {uplink} is {}; correct uplink in xennet.toml", several(.links))]
    Unclear {
        /// The bridge.
        bridge: IfName,
        /// Its uplink, as configured.
        uplink: String,
        /// The interfaces that have it.
        links: Vec<IfName>,
    },

    /// The uplink of a bridge is in a VRF, or is one.
    #[error(
        "bridge {bridge}: its uplink {uplink} belongs to the VRF {vrf}, and no port of a bridge can; take it out with `ip \
         link set dev {uplink} nomaster`, or correct uplink in xennet.toml"
    )]
    InVrf {
        /// The bridge.
        bridge: IfName,
        /// Its uplink, as configured.
        uplink: IfName,
        /// The VRF.
        vrf: IfName,
    },

    /// The configuration names another uplink than the one that the bridge has.
    #[error(
        "bridge {bridge}: has the uplink {was}, and {uplink} in xennet.toml; `xennet network stop` first"
    )]
    Changed {
        /// The bridge.
        bridge: IfName,
        /// Its uplink, as configured.
        uplink: IfName,
        /// The uplink that it was started with.
        was: IfName,
    },

    /// The configuration no longer says what an earlier start made, and that is damaged.
    #[error(
        "bridge {bridge}: an earlier start moved the host's addresses and routes to it; it is damaged, and xennet.toml no \
         longer moves them; `xennet network stop` restores them on {uplink}"
    )]
    Abandoned {
        /// The bridge.
        bridge: IfName,
        /// The uplink that it was started with.
        uplink: IfName,
    },

    /// An interface has another name than when the network was started.
    #[error(
        "{was}: is called {now} since the network was started; `ip link set dev {now} name {was}`, or `xennet network stop` \
         and correct xennet.toml"
    )]
    Renamed {
        /// Its name then.
        was: IfName,
        /// Its name now.
        now: IfName,
    },

    /// As a port the uplink would lose the host's connections.
    #[error(
        "bridge {bridge}: the host uses its uplink {uplink} itself, and would be cut off; say `addresses = \"inherit\"` to \
         move its addresses and routes to {bridge}, or `addresses = \"none\"` if nobody needs them"
    )]
    InUse {
        /// The bridge.
        bridge: IfName,
        /// Its uplink.
        uplink: IfName,
    },
}

impl UplinkError {
    /// The errno that says the same with less words.
    pub fn errno(&self) -> i32 {
        match self {
            Self::Missing { .. } | Self::Unclear { .. } | Self::Renamed { .. } => libc::ENODEV,
            Self::Taken { .. }
            | Self::InVrf { .. }
            | Self::Changed { .. }
            | Self::Abandoned { .. }
            | Self::InUse { .. } => libc::EBUSY,
        }
    }
}

/// How many interfaces have the name or the address of one.
fn several(names: &[IfName]) -> String {
    match names {
        [] => "the name or the address of no interface here".to_owned(),
        names => format!("the name or the address of several ({})", IfName::list(names)),
    }
}
