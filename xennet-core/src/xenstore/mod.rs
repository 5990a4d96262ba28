//! XenStore: what the toolstack and the guests' drivers tell each other.
//!
//! [`XenStore`] is a blocking client of the running xenstored, or of any other that speaks its protocol.

mod answer;
mod channel;
mod client;
mod connection;
mod error;
#[cfg(all(any(test, feature = "embedded-xenstore"), not(feature = "internals")))]
mod memory;
#[cfg(feature = "internals")]
pub mod memory;
mod permission;
#[cfg(any(test, feature = "embedded-xenstore"))]
mod server;
mod transaction;
#[cfg(not(feature = "internals"))]
mod wire;
#[cfg(feature = "internals")]
pub mod wire;

pub use channel::Event;
pub(crate) use client::Values;
pub use client::XenStore;
pub use error::{Error, ErrorKind};
pub use permission::{Access, Permission};
#[cfg(any(test, feature = "embedded-xenstore"))]
pub use server::Server;
