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

use std::time::Instant;

use netlink_sys::protocols::NETLINK_NETFILTER;

pub(crate) use self::chain::BaseChain;
use super::error::Error;
use super::request::Connection;

/// Decodes the body of a message in each way in which an answer of nftables is decoded.
#[cfg(feature = "internals")]
pub(super) fn fuzz(body: &[u8]) {
    use crate::types::{NftKey, NftSet};
    let _ = (table::decode(body), table::generation(body));
    let _ = (chain::decode(body), chain::decode_base(body));
    let _ = (rule::decode(body), link_rule::decode(body));
    let _ = expr::decode(body);
    let mut sets: Vec<NftSet> = set::decode(body).into_iter().collect();
    let key = vec![NftKey::IfName, NftKey::EtherAddr, NftKey::Ipv4Addr];
    sets.push(NftSet { name: "s".to_owned(), key, counter: true, timeout: true, dynamic: false });
    for set in &sets {
        let _ = element::decode(body, set);
    }
}

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

    #[cfg(test)]
    pub(super) fn over(connection: Connection) -> Self {
        Self { connection, bridge_names: None }
    }

    /// As [`Kernel::set_limit`](super::Kernel::set_limit).
    pub(crate) fn set_limit(&mut self, limit: Option<Instant>) {
        self.connection.set_limit(limit);
    }
}
