//! The guard: no guest speaks with another's address.
//!
//! An nftables table of its own, `xennet`, whose rules are the same for all vifs: family bridge for those on a bridge,
//! family inet for those that are routed, and family netdev for those on a bridge of Open vSwitch. A vif is a handful
//! of elements of its sets, keyed by its interface, so that adding one costs the same at any number of them, and a
//! packet a few look-ups.
//!
//! A rule that cannot read what it looks for ends without an effect; so the rules are laid out such that whatever
//! cannot be read ends in a drop.

mod chains;
mod change;
mod entry;
mod explain;
mod frame;
mod goal;
mod layout;
mod owners;
mod packet;
mod reconcile;
mod rules;
mod show;
mod snapshot;
mod structure;
mod table;
mod upgrade;

pub(crate) use change::ENDING;
pub(crate) use change::in_turn;
pub use entry::GuardEntry;
pub use explain::{Explanation, explain};
pub use frame::{Ethernet, Frame, Packet, Payload};
pub use layout::GuardLayout;
pub use reconcile::{PortFault, TableRepair, reconcile, remove};
pub use snapshot::{GuardSnapshot, belongs_to, records};
pub use table::{GuardTable, GuardedPort};
pub(crate) use upgrade::is_of_another_version;

#[cfg(test)]
mod tests;
