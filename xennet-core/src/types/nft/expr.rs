use super::NftFamily;

/// A step of a rule: loads something into a register, compares a register, or acts.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub enum NftExpr {
    /// Loads what the kernel knows of the packet. `meta`
    Meta {
        /// What.
        key: NftMeta,
        /// Where to.
        register: NftRegister,
    },
    /// Loads bytes of the packet; the rule ends where it has none there.
    Payload {
        /// From where `offset` counts.
        base: NftBase,
        /// In bytes.
        offset: u32,
        /// In bytes.
        length: u32,
        /// Where to.
        register: NftRegister,
    },
    /// Loads whether an IPv6 packet has an extension header (one byte, 1 or 0), or bytes of it. `exthdr`
    ExtHdr {
        /// The header's protocol number, 44 for a fragment header.
        header: u8,
        /// From its beginning, in bytes.
        offset: u32,
        /// In bytes.
        length: u32,
        /// Whether to load only that it is there.
        present: bool,
        /// Where to.
        register: NftRegister,
    },
    /// Masks a register in place. `&` and `^`; both have the same length.
    Bitwise {
        /// Which.
        register: NftRegister,
        /// Kept bits.
        mask: Vec<u8>,
        /// Flipped bits.
        xor: Vec<u8>,
    },
    /// Ends the rule unless the comparison holds.
    Cmp {
        /// The left side.
        register: NftRegister,
        /// The comparison.
        op: NftCmp,
        /// The right side, in the order of bytes that the register has.
        data: Vec<u8>,
    },
    /// Ends the rule unless the key that begins in the register is in the set.
    Lookup {
        /// The set.
        set: String,
        /// Where the key begins.
        register: NftRegister,
        /// Unless it is *not* in the set.
        inverted: bool,
    },
    /// Gives the packet a mark: the register's four bytes, in the machine's order. `meta mark set`
    SetMark {
        /// Where the mark is.
        register: NftRegister,
    },
    /// Counts the packet; in a rule that is added, beginning with these numbers.
    Counter(NftCounter),
    /// Counts the packet at the set's element with the key that begins in the register, which is added if it is missing.
    /// `add @SET { ... counter }`
    CountIn {
        /// The set.
        set: String,
        /// Where the key begins.
        register: NftRegister,
    },
    /// Decides.
    Verdict(NftVerdict),
    /// Loads a value.
    Immediate {
        /// Where to.
        register: NftRegister,
        /// The value, in the order of bytes that the register shall have.
        data: Vec<u8>,
    },
    /// Loads what connection tracking knows of the packet. `ct`
    Ct {
        /// What.
        key: NftCt,
        /// Where to.
        register: NftRegister,
    },
    /// Loads what kind of address the packet goes to, by the host's routes (`RTN_*`): four bytes in the machine's order.
    /// `fib daddr type`
    DestinationType {
        /// Where to.
        register: NftRegister,
    },
    /// Gives the connection the address of the interface that it goes out by. `masquerade`
    Masquerade,
    /// Gives the connection another address. `snat`, `dnat`
    Nat {
        /// Which end of it.
        kind: NftNat,
        /// The address's family: `ip` or `ip6`.
        family: NftFamily,
        /// Where the address is.
        address: NftRegister,
        /// Where its new port is, if it gets one: two bytes in network order.
        port: Option<NftRegister>,
    },
    /// Something that xennet's own rules do not have. It is only ever read.
    Other {
        /// The kernel's name for the expression.
        name: String,
    },
}

/// One of the sixteen registers of four bytes, by its number: 0 is nft's `reg 1`, and 4 its `reg 2`.
///
/// What is longer takes the following ones too.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[expect(clippy::exhaustive_structs, reason = "it is its number")]
pub struct NftRegister(pub u8);

/// What the kernel knows of a packet beside its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub enum NftMeta {
    /// The protocol inside the frame, and inside its VLAN tag: an Ethertype of two bytes, in network order.
    Protocol,
    /// The mark that it has on this host: four bytes, in the machine's order.
    Mark,
    /// The interface that it came in by: a name of 16 bytes.
    IifName,
    /// The interface that it goes out by: a name of 16 bytes.
    OifName,
    /// The type of the one that it came in by (`ARPHRD_*`): two bytes, in the machine's order.
    IifType,
    /// The bridge that it came in by: a name of 16 bytes. In the bridge family, and not in every kernel.
    BridgeName,
    /// The protocol behind IPv4's or IPv6's headers: one byte.
    L4Proto,
    /// 2 for IPv4, 10 for IPv6: one byte.
    NfProto,
    /// Whom the frame is for (`PACKET_*`): one byte.
    PacketType,
}

/// What connection tracking knows of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub enum NftCt {
    /// Bits in the machine's order, four bytes: 2 established, 4 related, 8 new. `ct state`
    State,
    /// Bits in the machine's order, four bytes: 16 snat, 32 dnat. `ct status`
    Status,
}

/// An end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[expect(clippy::exhaustive_enums, reason = "a connection has two ends")]
pub enum NftNat {
    /// From where it comes. `snat`
    Source,
    /// Where it goes. `dnat`
    Destination,
}

/// From where a payload's offset counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[expect(clippy::exhaustive_enums, reason = "there is no other header that xennet looks into")]
pub enum NftBase {
    /// The Ethernet header.
    Link,
    /// The header of IPv4, IPv6 or ARP.
    Network,
    /// The header behind it; a later fragment has none.
    Transport,
}

/// A comparison, of bytes from first to last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[expect(clippy::exhaustive_enums, reason = "there are no other comparisons")]
pub enum NftCmp {
    /// `==`
    Eq,
    /// `!=`
    Neq,
    /// `<`
    Lt,
    /// `<=`
    Lte,
    /// `>`
    Gt,
    /// `>=`
    Gte,
}

/// Packets and their bytes.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Hash, serde::Serialize, serde::Deserialize,
)]
#[expect(clippy::exhaustive_structs, reason = "a counter counts these two")]
pub struct NftCounter {
    /// How many.
    pub packets: u64,
    /// How many bytes they had.
    pub bytes: u64,
}

/// What a rule decides.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub enum NftVerdict {
    /// Let it pass this table.
    Accept,
    /// Drop it.
    Drop,
    /// Go on behind the rule that jumped here.
    Return,
    /// Go on in that chain, and come back.
    Jump(String),
    /// Go on in that chain, and do not come back.
    Goto(String),
}

impl NftCounter {
    pub(crate) fn add(&mut self, other: Self) {
        self.packets = self.packets.saturating_add(other.packets);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}
