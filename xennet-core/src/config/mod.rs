//! What is wanted, parsed on construction.

mod bridge;
mod error;
mod nat;
mod network;
mod routed;
mod table;
mod vif;

pub use bridge::{BridgePolicy, HostAddresses};
pub use error::ConfigError;
pub use nat::{NatPolicy, PortForward, Transport};
pub use network::{Forwarding, NetworkConfig};
pub use routed::RoutedPolicy;
pub use vif::VifConfig;
