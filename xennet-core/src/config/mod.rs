//! What is wanted, parsed on construction.

mod bridge;
pub(crate) mod dnsmasq;
mod error;
mod export;
mod guard;
mod import;
mod nat;
mod network;
mod policing;
mod port;
mod routed;
mod script;
mod switch;
mod table;
mod vif;
mod vxlan;
mod write;

pub use bridge::{BridgePolicy, HostAddresses};
pub use error::ConfigError;
pub use export::{Export, ExportFile, ExportTarget, HostNow};
pub use guard::GuardLevel;
#[cfg(not(feature = "internals"))]
pub(crate) use guard::GuardPolicy;
#[cfg(feature = "internals")]
pub use guard::GuardPolicy;
pub use import::{Import, Remark};
pub use nat::{NatPolicy, PortForward, Transport};
pub use network::{Forwarding, NetworkConfig};
pub use port::{GuestName, GuestPolicy, PortPolicy};
pub use routed::RoutedPolicy;
pub(crate) use routed::overlap;
pub use script::{NetworkScript, ScriptBridge, ScriptKind};
pub use switch::SwitchPolicy;
pub use vif::VifConfig;
pub use vxlan::VxlanPolicy;
