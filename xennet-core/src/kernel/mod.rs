//! The kernel of the calling thread's network namespace, over netlink: the only place that names `netlink_*`.
//!
//! Each verb that changes something is one request and one acknowledgement; each that asks is one request and its
//! answer, filtered by the kernel, so that its cost does not grow with interfaces that it does not concern.

mod address;
mod answer;
mod attributes;
mod bond;
mod error;
mod fdb;
mod file;
#[cfg(feature = "internals")]
mod fuzz;
#[cfg(test)]
mod hostile;
mod link;
mod link_decode;
mod link_encode;
mod link_filter;
mod monitor;
mod neighbour;
mod nftables;
mod packet;
mod policy_rule;
mod port;
mod request;
mod route;
mod route_decode;
mod several;
mod socket;
mod syscall;
mod sysctl;
mod vlan;
mod vlan_link;
mod xtables;
mod xtables_rule;

pub use error::{Error, ErrorKind};
pub(crate) use file::open;
#[cfg(feature = "internals")]
pub use fuzz::netlink as fuzz_netlink;
pub use link_filter::LinkFilter;
pub use monitor::{LinkEvent, LinkMonitor};
pub(crate) use nftables::BaseChain;
pub use nftables::Nftables;
pub use route::RouteFilter;
pub(crate) use sysctl::has_bridge_nf;
pub use sysctl::{bridge_nf, sysctl, sysctl_set};
pub use xtables::LegacyTables;

use std::time::Instant;

use netlink_sys::protocols::NETLINK_ROUTE;
use request::Connection;

/// A connection to the kernel's rtnetlink, in the network namespace that the thread was in when it was opened.
///
/// It stays in that namespace if the thread leaves it; [`sysctl()`] follows the thread.
///
/// Every function that asks the kernel fails with an [`Error`] that says what was asked, the kernel's errno and, where
/// it gave any, its own words. What the kernel refused is not done, except where one request sets several things: then
/// those before the one that it refused are.
#[derive(Debug)]
pub struct Kernel {
    connection: Connection,
}

impl Kernel {
    /// Connects to the kernel; an error only when the process may not have another socket, or the kernel has no
    /// strict checking of requests (Linux 4.20).
    pub fn open() -> Result<Self, Error> {
        let connection =
            Connection::open(NETLINK_ROUTE).map_err(|error| error.doing("open rtnetlink"))?;
        Ok(Self { connection })
    }

    /// Sets when the operation that asks must have ended: from then on each request fails (`ETIMEDOUT`).
    pub(crate) fn set_limit(&mut self, limit: Option<Instant>) {
        self.connection.set_limit(limit);
    }
}
