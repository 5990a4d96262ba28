//! What is wanted, parsed on construction.

mod bond;
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
mod route;
mod routed;
mod script;
mod stack;
mod switch;
mod table;
mod uplink_id;
mod vif;
mod vlan_link;
mod vxlan;
mod write;

pub(crate) use bond::BondPolicy;
pub use bridge::{BridgePolicy, HostAddresses};
pub use error::ConfigError;
pub(crate) use export::Setting;
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
pub(crate) use route::{GatewayPolicy, RoutePolicy};
pub use routed::RoutedPolicy;
pub(crate) use routed::overlap;
pub use script::{NetworkScript, ScriptBridge, ScriptKind};
pub use switch::SwitchPolicy;
pub(crate) use uplink_id::UplinkId;
pub use vif::VifConfig;
pub(crate) use vlan_link::VlanPolicy;
pub use vxlan::VxlanPolicy;
