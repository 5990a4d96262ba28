//! The difference between what is wanted and what there is: an ordered list of changes, as plain data.
//!
//! Planning is pure: no socket, no file, no clock, no environment. What is already true plans no change, so running
//! anything twice is a no-op.

mod address_error;
mod bond_error;
mod bridge;
mod change;
mod diversion;
mod error;
mod filters;
mod foreign_filter;
pub mod guard;
mod host_warning;
mod iptables;
mod managed;
mod network;
mod pipeline;
mod route;
mod stale_rules;
mod undo;
mod uplink;
mod uplink_error;
pub(crate) mod vif;
mod vlan;
mod vxlan_error;
mod warning;

pub use address_error::AddressError;
pub use bond_error::{BondError, VlanLinkError};
pub use bridge::{BridgeConfig, BridgeSnapshot, BridgeStatus};
pub use change::{Change, Hook};
pub use error::PlanError;
pub use filters::{BridgeNetfilter, FilterSnapshot, ForwardChain};
pub use foreign_filter::ForeignFilter;
pub use host_warning::HostWarning;
pub use iptables::IptablesRule;
pub use managed::{Managed, Manager};
pub use network::{Gateway, NatSnapshot, NetworkRecord, NetworkSnapshot};
pub(crate) use pipeline::pipeline;
pub use route::HostRoute;
pub use uplink::UplinkSnapshot;
pub use uplink_error::UplinkError;
pub use vif::{
    BridgeMtu, DhcpSnapshot, ForwardingStop, NotForwarding, Outlet, PortMtus, RoutedSnapshot,
    SwitchSnapshot, VifFault, VifSnapshot, VifStore, VifTarget,
};
pub use vxlan_error::VxlanError;
pub use warning::Warning;

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::json;

/// Changes in the order in which they are to be made. Prints as one line each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    changes: Vec<Change>,
    pub(crate) warnings: Vec<Warning>,
}

impl Plan {
    /// Each change in order, as one line in the words of `ip`, `nft` and `xenstore-write`.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.changes.iter().map(ToString::to_string)
    }

    /// The number of changes.
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    pub(crate) fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// What the administrator should know, and the plan cannot help.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Whether something of the host could not be restored: [`HostWarning::NotRestored`] says what.
    pub fn is_partial(&self) -> bool {
        self.warnings
            .iter()
            .any(|warning| matches!(warning, Warning::Host(HostWarning::NotRestored { .. })))
    }

    /// Whether everything is already as wanted.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    pub(crate) fn new(changes: Vec<Change>, warnings: Vec<Warning>) -> Self {
        Self { changes, warnings }
    }

    /// Adds the changes and warnings of a later operation.
    pub fn append(&mut self, later: Self) {
        self.changes.extend(later.changes);
        self.warnings.extend(later.warnings);
    }

    /// The part that the kernel or Open vSwitch carries out, and that can be observed again to verify it.
    pub(crate) fn observable(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(|change| change.is_kernel())
    }

    /// The part that informs others, once the observable part is verified.
    pub(crate) fn announcements(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(|change| !change.is_kernel())
    }

    /// Inserts a write to XenStore before all others: `hotplug-status` comes last.
    pub(crate) fn insert_store_write(&mut self, write: Change) {
        let is_store = |change: &Change| {
            matches!(change, Change::StoreWrite { .. } | Change::StoreRemove { .. })
        };
        let at = self.changes.iter().position(is_store).unwrap_or(self.changes.len());
        self.changes.insert(at, write);
    }

    fn warn(&mut self, warning: impl Into<Warning>) {
        self.warnings.push(warning.into());
    }

    fn push(&mut self, change: Change) {
        self.changes.push(change);
    }
}

impl FromIterator<Change> for Plan {
    fn from_iter<I: IntoIterator<Item = Change>>(changes: I) -> Self {
        Self { changes: changes.into_iter().collect(), warnings: Vec::new() }
    }
}

impl Serialize for Plan {
    /// `{"changes":["link set dev vif3.0 master xenbr0"],"warnings":[]}`
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let changes: Vec<_> = self.lines().collect();
        let warnings: Vec<_> = self.warnings.iter().map(ToString::to_string).collect();
        json!({ "changes": changes, "warnings": warnings }).serialize(serializer)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.changes.iter().try_for_each(|change| writeln!(f, "{change}"))
    }
}
