//! nftables over netlink, without `nft`: a batch is one `sendmsg`, carried out together or not at all.

mod batch;
mod batch_request;
mod chain;
mod element;
mod explain;
mod expr;
mod find;
mod link_rule;
mod message;
mod probe;
mod query;
mod rule;
mod set;
mod table;
#[cfg(test)]
#[cfg(target_endian = "little")]
mod tests;
mod userdata;

use netlink_sys::protocols::NETLINK_NETFILTER;

pub(crate) use self::chain::BaseChain;
use super::error::Error;
use super::request::Connection;

/// A connection to the kernel's nftables, in the network namespace that the thread was in when it was opened.
///
/// Closing it soon after something was deleted by it may take some milliseconds, for the kernel then waits until no
/// packet can be looking at that any more; who plugs more than one vif keeps it open.
///
/// Every function fails with an [`Error`] as [`Kernel`](super::Kernel)'s do; looking for what is not there is no error
/// unless it says so.
#[derive(Debug)]
pub struct Nftables {
    connection: Connection,
    /// Whether this kernel knows `meta ibrname`, once that was tried.
    bridge_names: Option<bool>,
}

impl Nftables {
    /// Connects to the kernel; an error only when the process may not have another socket, or when the kernel has no
    /// netfilter at all.
    pub fn open() -> Result<Self, Error> {
        let connection = Connection::open(NETLINK_NETFILTER).map_err(|error| {
            error
                .explain(libc::EPROTONOSUPPORT, "this kernel has no netfilter (CONFIG_NETFILTER)")
                .doing("open nftables")
        })?;
        Ok(Self { connection, bridge_names: None })
    }
}
