//! Connects Xen guests to the network of dom0, or of a driver domain.
//!
//! When netback presents a `vifX.Y`, somebody must put it on a bridge, give it its MTU, and tell XenStore that it is
//! `connected`. This library does so over raw netlink, in one process and about a millisecond.
//!
//! ```no_run
//! use xennet_core::Dom0Network;
//! use xennet_core::types::VifId;
//!
//! # fn main() -> Result<(), xennet_core::Error> {
//! let mut net = Dom0Network::open()?; // this namespace's kernel, this domain's XenStore
//! net.vif(VifId { domid: 3, devid: 0 })?.online()?;
//! # Ok(())
//! # }
//! ```
//!
//! Every operation is one run of one engine: it observes the host, plans the difference to what is wanted, applies the
//! plan, verifies it, and publishes the result. What is already as wanted plans no change; when a change fails, those
//! before it are undone. A dry run is the same run, stopped after planning.

// Internal modules use `pub` for what they offer to each other. The feature `internals` makes them public, and then this lint applies.
#![cfg_attr(
    not(feature = "internals"),
    expect(unreachable_pub, reason = "reachable with the feature `internals`")
)]

mod bridge;
mod command;
pub mod config;
mod connections;
mod context;
#[cfg(feature = "demo")]
pub mod demo;
mod engine;
mod errno;
mod error;
mod guard;
mod host;
pub mod hotplug;
#[cfg(not(feature = "internals"))]
mod kernel;
#[cfg(feature = "internals")]
pub mod kernel;
mod monitor;
mod network;
mod observe;
mod ops;
mod ovs;
#[cfg(not(feature = "internals"))]
mod ovsdb;
#[cfg(feature = "internals")]
pub mod ovsdb;
mod paths;
#[cfg(not(feature = "internals"))]
mod plan;
#[cfg(feature = "internals")]
pub mod plan;
mod trial;
pub mod types;
mod vif;
pub mod xenstore;

pub use bridge::Bridge;
pub use error::Error;
pub use guard::Guard;
pub use host::{Host, HostStatus, Trial, Watch};
pub use monitor::{Event, Monitor};
pub use network::Dom0Network;
pub use ops::guard::{GuardFault, GuardReport};
pub use ops::vif::VifStatus;
pub use ovs::Ovs;
pub use plan::guard::{Ethernet, Explanation, GuardTable, GuardedPort, Packet, Payload};
pub use plan::{
    BridgeConfig, BridgeStatus, ForeignFilter, ForwardingStop, HostWarning, Managed, Manager,
    NotForwarding, Plan, VifFault, Warning,
};
pub use trial::{RolledBack, Unconfirmed};
pub use vif::Vif;
