use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::NftCounter;
use crate::types::IfName;

/// A set, whose elements a rule looks its key up in. `nft list sets`
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "whoever plans a change makes one")]
pub struct NftSet {
    /// Its name, unique in its table.
    pub name: String,
    /// What its elements consist of: one part, or several in concatenation.
    pub key: Vec<NftKey>,
    /// Whether each element counts the packets that hit it (Linux 5.7).
    pub counter: bool,
    /// Whether an element may have an end: `flags timeout`.
    pub timeout: bool,
    /// Whether rules add elements: `flags dynamic`. At most [`DYNAMIC_SIZE`](Self::DYNAMIC_SIZE) of them.
    pub dynamic: bool,
}

impl NftSet {
    /// The most elements of a set that rules add to. It is what `nft` gives such a set when it loads a ruleset.
    pub const DYNAMIC_SIZE: u32 = 65_535;
}

/// A part of an element's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NftKey {
    /// An interface's or a bridge's name.
    IfName,
    /// An Ethernet address.
    EtherAddr,
    /// An IPv4 address.
    Ipv4Addr,
    /// An IPv6 address.
    Ipv6Addr,
    /// A packet's mark, or another number of 32 bits.
    Mark,
    /// Something that xennet's own sets do not have; or the whole key of a set that is more than a set: a map, one of
    /// intervals, one whose elements all have an end.
    Other {
        /// nft's number of the type, or types.
        kind: u32,
        /// How many bytes it has.
        length: u32,
    },
}

/// An element of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "whoever plans a change makes one")]
pub struct NftElement {
    /// A value for each part of the set's key; none at all is what stands for all that is not in the set (`*`).
    pub key: Vec<NftValue>,
    /// What it says of itself, in at most 127 bytes.
    pub comment: Option<String>,
    /// What xennet keeps with it, in at most 120 bytes: `nft` neither shows nor saves it, so that a ruleset that was
    /// saved and loaded again has lost it.
    pub note: Vec<u8>,
    /// What it has counted; of an element that is added, what its counter begins with.
    pub counter: Option<NftCounter>,
    /// How long it stays, or has still to stay, in whole milliseconds; none for ever. Only in a set that may end them.
    pub timeout: Option<Duration>,
}

/// One part of an element.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum NftValue {
    /// An interface's or a bridge's name.
    IfName(IfName),
    /// An Ethernet address: any, for a key need not be a unicast one.
    EtherAddr([u8; 6]),
    /// An IPv4 address.
    Ipv4Addr(Ipv4Addr),
    /// An IPv6 address.
    Ipv6Addr(Ipv6Addr),
    /// A packet's mark, or another number.
    Mark(u32),
    /// Bytes that are none of these; a name that no interface can have, too.
    Other(Vec<u8>),
}

impl NftElement {
    /// An element without a comment.
    pub fn new(key: impl IntoIterator<Item = NftValue>) -> Self {
        let key = key.into_iter().collect();
        Self { key, comment: None, note: Vec::new(), counter: None, timeout: None }
    }

    /// The same element with a comment.
    #[must_use]
    pub fn comment(mut self, comment: impl Into<String>) -> Self {
        self.comment = Some(comment.into());
        self
    }
}

impl NftKey {
    /// How many bytes a value of it has, without the padding to four that it gets in a concatenation.
    pub fn length(self) -> u32 {
        match self {
            Self::IfName | Self::Ipv6Addr => 16,
            Self::EtherAddr => 6,
            Self::Ipv4Addr | Self::Mark => 4,
            Self::Other { length, .. } => length,
        }
    }
}

impl fmt::Display for NftElement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() {
            write!(f, "*")?;
        }
        for (n, value) in self.key.iter().enumerate() {
            write!(f, "{}{value}", if n == 0 { "" } else { " . " })?;
        }
        if let Some(timeout) = self.timeout {
            write!(f, " timeout {}ms", timeout.as_millis())?;
        }
        match &self.comment {
            Some(comment) => write!(f, " comment \"{comment}\""),
            None => Ok(()),
        }
    }
}

impl fmt::Display for NftValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IfName(name) => write!(f, "\"{name}\""),
            Self::EtherAddr(octets) => {
                let octets = octets.map(|octet| format!("{octet:02x}"));
                f.write_str(&octets.join(":"))
            }
            Self::Ipv4Addr(addr) => addr.fmt(f),
            Self::Ipv6Addr(addr) => addr.fmt(f),
            Self::Mark(mark) => write!(f, "{mark:#010x}"),
            Self::Other(bytes) => {
                write!(f, "0x")?;
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    }
}
