use std::fmt;

/// An entry of a bridge's forwarding table: behind which port an Ethernet address is. `bridge fdb show`
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct FdbEntry {
    /// The port's index.
    pub port: u32,
    /// The Ethernet address; a group address where the port itself listens to one.
    pub mac: [u8; 6],
    /// The VLAN that it holds for; none for all.
    pub vlan: Option<u16>,
    /// Where it comes from.
    pub kind: FdbKind,
    /// What else holds of it.
    pub flags: FdbFlags,
}

bitflags::bitflags! {
    /// What else holds of an entry of a forwarding table, by the names that `bridge fdb` has for it.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct FdbFlags: u8 {
        /// It may not move to another port.
        const STICKY = 1 << 0;
        /// A locked port turned this address away (`mab`).
        const LOCKED = 1 << 1;
        /// A control plane such as EVPN entered it.
        const EXTERN_LEARN = 1 << 2;
        /// It is in the device's own table, not in the bridge's.
        const SELF = 1 << 3;
    }
}

/// Where an entry of a forwarding table comes from, and how long it stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FdbKind {
    /// Learnt from a frame, and forgotten in time: `dynamic`.
    Dynamic,
    /// Entered, and stays: `static`.
    Static,
    /// The host's own address: frames to it go no further: `permanent`.
    Permanent,
}

impl fmt::Display for FdbKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Dynamic => "dynamic",
            Self::Static => "static",
            Self::Permanent => "permanent",
        })
    }
}
