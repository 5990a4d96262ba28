//! nftables over netlink, without `nft`: a batch is one `sendmsg`, carried out together or not at all.

mod batch;
mod chain;
mod element;
mod explain;
mod expr;
mod find;
mod message;
mod query;
mod rule;
mod set;
mod table;
mod userdata;

use netlink_sys::protocols::NETLINK_NETFILTER;

use super::error::Error;
use super::request::Connection;

/// A connection to the kernel's nftables, in the network namespace that the thread was in when it was opened.
///
/// Who has deleted something by it waits about 10 ms when it is closed, for the kernel frees what packets may still be
/// looking at; who plugs more than one vif keeps it open.
#[derive(Debug)]
pub struct Nftables {
    connection: Connection,
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
        Ok(Self { connection })
    }
}
