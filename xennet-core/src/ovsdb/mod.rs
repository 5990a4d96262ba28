//! Open vSwitch's database (OVSDB, RFC 7047) over its Unix socket, as `ovs-vsctl` uses it: the ports of a bridge.
//!
//! One blocking connection, and a deadline for each request. A change is done when `ovs-vswitchd` has carried it out, not
//! when the database has it.

mod bridge;
mod client;
mod error;
mod framing;
mod openflow;
mod port;
mod value;

pub use client::Ovsdb;
pub use error::{Error, ErrorKind};
#[cfg(feature = "internals")]
pub use port::fuzz;
