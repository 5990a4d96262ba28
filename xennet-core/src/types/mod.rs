//! Values, each parsed on construction: having one means that it is valid.
//!
//! Everything here is pure: no socket, no file, no clock, no environment.

mod address;
mod fdb;
mod if_name;
mod link;
mod mac_addr;
mod mtu;
mod neighbour;
mod parse_error;
mod port;
mod route;
mod vif_id;

pub use address::{Address, AddressFlags, Scope};
pub use fdb::{FdbEntry, FdbFlags, FdbKind};
pub use if_name::IfName;
pub use link::{AddrGenMode, BridgeInfo, Link, LinkKind, LinkRef, LinkSet};
pub use mac_addr::MacAddr;
pub use mtu::Mtu;
pub use neighbour::Neighbour;
pub use parse_error::ParseError;
pub use port::{Port, PortFlags, PortSet, PortState};
pub use route::{NextHop, Route, RouteKind};
pub use vif_id::{Device, VifId};
