//! What is wanted, parsed on construction.

mod bridge;
mod error;
mod guard;
mod nat;
mod network;
mod port;
mod routed;
mod table;
mod vif;
mod write;

pub use bridge::{BridgePolicy, HostAddresses};
pub use error::ConfigError;
pub use guard::{GuardLevel, GuardPolicy};
pub use nat::{NatPolicy, PortForward, Transport};
pub use network::{Forwarding, NetworkConfig};
pub use port::{GuestName, GuestPolicy, PortPolicy};
pub use routed::RoutedPolicy;
pub use vif::VifConfig;
