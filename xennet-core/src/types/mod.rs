//! Values, each parsed on construction: having one means that it is valid.
//!
//! Everything here is pure: no socket, no file, no clock, no environment.

mod address;
mod announcement;
mod bridge_spec;
mod decimal;
mod if_name;
mod ip_list;
mod link;
mod mac_addr;
mod mode;
mod mtu;
mod neighbour;
mod nft;
mod ovs_port;
mod parse_bytes;
mod parse_error;
mod port;
mod rate;
mod route;
mod sysctl;
mod vif_id;
mod vlan_id;
mod vlan_spec;
mod vxlan;

pub(crate) use announcement::announcement;

pub use address::{Address, AddressFlags, Scope};
pub use bridge_spec::BridgeSpec;
pub use if_name::IfName;
pub use ip_list::IpList;
pub use link::{AddrGenMode, BridgeInfo, BridgeSet, Link, LinkKind, LinkRef, LinkSet};
pub use mac_addr::MacAddr;
pub use mode::Mode;
pub use mtu::Mtu;
pub use neighbour::{Neighbour, Reachability};
pub use nft::{
    NftBase, NftBatch, NftChain, NftCmp, NftCommand, NftCounter, NftCt, NftElement, NftExpr,
    NftFamily, NftHook, NftHookPoint, NftKey, NftMeta, NftNat, NftPolicy, NftRegister, NftRule,
    NftSet, NftTable, NftValue, NftVerdict,
};
pub use ovs_port::{OvsBridge, OvsPort, OvsPortNow, OvsVlanMode, OvsVlans, Policing};
pub use parse_bytes::parse_bytes;
pub use parse_error::ParseError;
pub use port::{Port, PortFlags, PortSet, PortState};
pub use rate::Rate;
pub use route::{NextHop, Route, RouteKind};
pub use sysctl::{Family, Sysctl};
pub use vif_id::{Device, VifId};
pub use vlan_id::VlanId;
pub use vlan_spec::{VlanRange, VlanSpec};
pub use vxlan::{Vni, VxlanInfo, VxlanSpec};
