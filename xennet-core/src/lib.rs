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
//! Everything is one flow: a [`config`] says what is wanted, a snapshot what there is, a [`Plan`] is the difference as
//! plain data, and applying it is the only step with effects. What is already so plans no change; when a change fails,
//! those before it are taken back.

// Internal modules use `pub` for what they offer to each other. The feature `internals` makes them public, and then this lint applies.
#![cfg_attr(
    not(feature = "internals"),
    expect(unreachable_pub, reason = "reachable with the feature `internals`")
)]

mod apply;
mod bridge;
pub mod config;
#[cfg(feature = "demo")]
pub mod demo;
mod dhcp;
mod errno;
mod error;
mod filters;
mod guard;
mod host;
pub mod hotplug;
#[cfg(not(feature = "internals"))]
mod kernel;
#[cfg(feature = "internals")]
pub mod kernel;
mod lock;
mod monitor;
mod network;
mod ovs;
#[cfg(not(feature = "internals"))]
mod ovsdb;
#[cfg(feature = "internals")]
pub mod ovsdb;
#[cfg(not(feature = "internals"))]
mod plan;
#[cfg(feature = "internals")]
pub mod plan;
pub mod types;
mod uplink;
mod vif;
pub mod xenstore;

pub use bridge::Bridge;
pub use error::Error;
pub use guard::{Guard, GuardFault, GuardTable, GuardedPort};
pub use host::{Host, HostStatus, RolledBack, Trial, Unconfirmed, Watch};
pub use monitor::{Event, Monitor};
pub use network::Dom0Network;
pub use ovs::Ovs;
pub use plan::guard::{Ethernet, Explanation, Packet, Payload};
pub use plan::{BridgeConfig, BridgeStatus, ForeignFilter, Managed, Manager, Plan, Warning};
pub use vif::{Vif, VifStatus};
