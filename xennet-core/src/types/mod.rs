//! Values, each parsed on construction: having one means that it is valid.
//!
//! Everything here is pure: no socket, no file, no clock, no environment.

mod address;
mod announcement;
mod bond;
mod bridge_spec;
mod decimal;
mod if_name;
mod interface;
mod ip_list;
mod link;
mod link_ref;
mod link_rule;
mod mac_addr;
mod mode;
mod mtu;
mod neighbour;
mod nft;
mod ovs_port;
mod parse_bytes;
mod parse_error;
mod policy_rule;
mod port;
mod rate;
mod route;
mod sysctl;
mod vif_id;
mod vlan_id;
mod vlan_link;
mod vlan_spec;
mod vxlan;

pub(crate) use announcement::{address_announcement, announcement};

pub use bridge_spec::BridgeSpec;
pub use if_name::IfName;
pub use interface::Interface;
pub use ip_list::IpList;
pub use link_ref::LinkRef;
pub use mac_addr::MacAddr;
pub use mode::Mode;
pub use mtu::Mtu;
pub use nft::NftCounter;
pub use ovs_port::Policing;
pub use parse_error::ParseError;
pub use port::PortState;
pub use rate::Rate;
pub use vif_id::{Device, VifId};
pub use vlan_id::VlanId;
pub use vlan_spec::VlanSpec;
pub use vxlan::Vni;

#[cfg(not(feature = "internals"))]
pub(crate) use internals::*;
#[cfg(feature = "internals")]
pub use internals::*;

/// Values of internal modules.
mod internals {
    pub use super::address::{Address, AddressFlags, Scope};
    pub use super::bond::{BondInfo, BondMode, BondSet, BondSpec, LacpRate, XmitHashPolicy};
    pub use super::link::{AddrGenMode, BridgeInfo, BridgeSet, Link, LinkKind, LinkSet};
    pub use super::link_rule::{LinkMatch, LinkNames, LinkRule};
    pub use super::neighbour::{Neighbour, Reachability};
    pub use super::nft::{
        NftBase, NftBatch, NftChain, NftCmp, NftCommand, NftCt, NftElement, NftExpr, NftFamily,
        NftHook, NftHookPoint, NftKey, NftMeta, NftNat, NftPolicy, NftRegister, NftRule, NftSet,
        NftTable, NftValue, NftVerdict,
    };
    pub use super::ovs_port::{OvsBridge, OvsPort, OvsPortNow, OvsVlanMode, OvsVlans};
    pub use super::parse_bytes::parse_bytes;
    pub use super::policy_rule::{PolicyAction, PolicyRule};
    pub use super::port::{Port, PortFlags, PortSet};
    pub use super::route::{NextHop, Route, RouteKind};
    pub use super::sysctl::{Family, Sysctl};
    pub use super::vlan_link::{VlanLinkInfo, VlanLinkSpec, VlanProtocol};
    pub use super::vlan_spec::VlanRange;
    pub use super::vxlan::{VxlanInfo, VxlanSpec};
}
