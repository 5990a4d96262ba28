//! The operations: what each one locks, asks and wants.

pub(crate) mod bridge;
pub(crate) mod guard;
pub(crate) mod network;
pub(crate) mod ovs_gc;
pub(crate) mod vif;
