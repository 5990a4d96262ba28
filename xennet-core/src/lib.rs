//! Connects Xen guests to the network of dom0, or of a driver domain.
//!
//! When netback presents a `vifX.Y`, somebody must put it on a bridge, give it its MTU, and tell
//! XenStore that it is `connected`. This library does so over raw netlink, in one process.

pub mod kernel;
pub mod types;
pub mod xenstore;
