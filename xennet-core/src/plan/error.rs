use super::address_error::AddressError;
use super::bond_error::{BondError, VlanLinkError};
use super::uplink_error::UplinkError;
use super::vxlan_error::VxlanError;
use crate::types::{IfName, NftFamily, ParseError, VlanId};

/// Why no plan leads from what there is to what is wanted. Says what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// A rate limit without XenStore, where netback reads it.
    #[error(
        "{vif}: rate: netback reads it from the vif's backend in XenStore; run it without --no-store, or limit the \
         interface by `tc qdisc add dev {vif} root tbf`"
    )]
    RateWithoutStore {
        /// The vif.
        vif: IfName,
    },
    /// A value contradicts another one.
    #[error(transparent)]
    Value(#[from] ParseError),

    /// An address cannot be a guest's, or not this guest's.
    #[error(transparent)]
    Address(#[from] AddressError),

    /// A bridge cannot have its uplink.
    #[error(transparent)]
    Uplink(#[from] UplinkError),

    /// The VXLAN port of a bridge cannot be as configured.
    #[error(transparent)]
    Vxlan(#[from] VxlanError),

    /// A bond cannot be as configured.
    #[error(transparent)]
    Bond(#[from] BondError),

    /// A VLAN interface cannot be as configured.
    #[error(transparent)]
    VlanLink(#[from] VlanLinkError),

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

    /// The bridge is one of `xennet.toml`, and does not exist.
    #[error(
        "bridge {name}: no such interface; xennet.toml describes it, and `xennet network start` makes it"
    )]
    NotStarted {
        /// The bridge.
        name: IfName,
    },

    /// `bridge` names no bridge of Open vSwitch.
    #[error(
        "bridge {name}: Open vSwitch has no such bridge; make it with `ovs-vsctl add-br {name}`, or correct bridge="
    )]
    NoSwitch {
        /// The bridge that was asked for.
        name: IfName,
    },

    /// A bridge of Open vSwitch must be named.
    #[error("bridge: none is set; set bridge= to a bridge of Open vSwitch")]
    NoSwitches,

    /// A fake bridge of Open vSwitch is one VLAN, and another one is asked for.
    #[error(
        "vlan {asked}: {bridge} is VLAN {vlan} of {parent} and no other (a fake bridge); set bridge={parent}, or drop vlan="
    )]
    FakeBridge {
        /// The bridge.
        bridge: IfName,
        /// The bridge that has its ports.
        parent: IfName,
        /// Its VLAN.
        vlan: VlanId,
        /// The VLANs that were asked for.
        asked: String,
    },

    /// Something is asked for that there is not on Open vSwitch.
    #[error("{vif}: {setting} cannot be kept on {bridge}, a bridge of Open vSwitch: {advice}")]
    NotOnSwitch {
        /// The vif.
        vif: IfName,
        /// The bridge.
        bridge: IfName,
        /// What was asked for.
        setting: String,
        /// Why, and what to do instead.
        advice: &'static str,
    },

    /// The vif is a port of the kernel's datapath, and Open vSwitch has no port for it that is the vif's.
    #[error(
        "{link}: is a port of the datapath {datapath}, and of no port of its own in Open vSwitch; take it out with `ovs-vsctl \
         del-port {link}`, or `ovs-dpctl del-if {datapath} {link}`"
    )]
    InDatapath {
        /// The vif's interface.
        link: IfName,
        /// The datapath.
        datapath: IfName,
    },

    /// Open vSwitch has a port of the vif's name that is no vif's.
    #[error(
        "{name}: bridge {bridge} of Open vSwitch has a port of that name that is no vif's (its type is {kind:?}); it was left \
         alone, choose another vifname="
    )]
    PortTaken {
        /// The port.
        name: IfName,
        /// Its bridge.
        bridge: IfName,
        /// Its interface's type.
        kind: String,
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
    #[error("bridge: none is set and there are several ({}); set bridge= to one of them", IfName::list(.names))]
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
        uplink: String,
    },

    /// A guest cannot be held to an address that nobody knows.
    #[error(
        "{vif}: no mac is set, and the guard holds a guest to it; set mac=, or guard = \"off\" in xennet.toml"
    )]
    NoMac {
        /// The vif.
        vif: IfName,
    },

    /// The guard still guards vifs.
    #[error("guard: it still guards {}; unplug them first, or use --force", IfName::list(.ports))]
    StillGuarded {
        /// Their interfaces.
        ports: Vec<IfName>,
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

    /// A table has the name of one of xennet's, and is not xennet's.
    #[error(
        "nft table {family} {table}: says \"{comment}\" of itself, so it is not this xennet's; it was left \
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

    /// An uplink of routed guests is not there.
    #[error("routed {uplink}: no such interface; correct uplink in xennet.toml")]
    NoWayOut {
        /// The uplink, as configured.
        uplink: IfName,
    },

    /// `gatewaydev` names no interface.
    #[error("gatewaydev {name}: no such interface; correct gatewaydev=, or leave it out")]
    NoGateway {
        /// The interface that was asked for.
        name: IfName,
    },

    /// Something of the host's cannot be made on another interface just as it is.
    #[error(
        "{what}: {why}, and cannot be moved without changing it, so nothing was moved; remove it first, or give the \
         bridge static addresses"
    )]
    NotMovable {
        /// The address or route.
        what: String,
        /// What prevents it.
        why: &'static str,
    },

    /// Nothing says what there was before.
    #[error(
        "bridge {bridge}: nothing is recorded of how it was started; to move its addresses to its uplink and keep \
             the bridge: `xennet network stop --force`"
    )]
    NotRecorded {
        /// The bridge.
        bridge: IfName,
    },

    /// A bridge still has ports.
    #[error("bridge {name}: still has ports ({}); take them out first, or use --force", IfName::list(.ports))]
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
            Self::Address(error) => error.errno(),
            Self::Vxlan(error) => error.errno(),
            Self::Bond(error) => error.errno(),
            Self::VlanLink(error) => error.errno(),
            Self::Uplink(error) => error.errno(),
            Self::NoLink { .. }
            | Self::NoBridge { .. }
            | Self::NoBridges
            | Self::NotStarted { .. }
            | Self::NoSwitch { .. }
            | Self::NoSwitches
            | Self::NoUplink { .. }
            | Self::NoWayOut { .. }
            | Self::NoGateway { .. } => libc::ENODEV,
            Self::NotABridge { .. }
            | Self::ManyBridges { .. }
            | Self::FakeBridge { .. }
            | Self::NoMac { .. }
            | Self::RateWithoutStore { .. } => libc::EINVAL,
            Self::NameTaken { .. }
            | Self::PortTaken { .. }
            | Self::BridgeDiffers { .. }
            | Self::ForeignTable { .. } => libc::EEXIST,
            Self::NotVlanAware { .. } | Self::NotOnSwitch { .. } | Self::NotMovable { .. } => {
                libc::EOPNOTSUPP
            }
            Self::NotRecorded { .. } => libc::ENOENT,
            Self::HasPorts { .. } | Self::InDatapath { .. } | Self::StillGuarded { .. } => {
                libc::EBUSY
            }
        }
    }
}
