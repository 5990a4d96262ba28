//! XenStore: what the toolstack and the guests' drivers tell each other.
//!
//! [`XenStore`] is a blocking client of the running xenstored, or of any other that speaks its protocol.

mod channel;
mod client;
mod connection;
mod error;
pub mod memory;
mod permission;
mod server;
mod transaction;
pub mod wire;

pub use channel::Event;
pub(crate) use client::Values;
pub use client::XenStore;
pub use error::{Error, ErrorKind};
pub use permission::{Access, Permission};
pub use server::Server;
