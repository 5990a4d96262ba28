use std::net::{Ipv4Addr, Ipv6Addr};

use crate::types::IfName;

/// An Ethernet frame that comes in by a port.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "whoever asks about a frame makes one")]
pub struct Frame {
    /// The interface that it comes in by.
    pub port: IfName,
    /// The bridge that this is a port of; none when it is routed.
    pub bridge: Option<IfName>,
    /// All its bytes, from the Ethernet header on, without a checksum.
    pub bytes: Vec<u8>,
}

/// The Ethernet header of a frame to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "whoever asks about a frame makes one")]
pub struct Ethernet {
    /// Who sends it.
    pub source: [u8; 6],
    /// To whom.
    pub destination: [u8; 6],
    /// The VLANs of its tags (802.1Q), outer one first; 0 is a tag that only has a priority.
    pub tags: Vec<u16>,
}

/// What a frame carries.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Packet {
    /// ARP for IPv4 on Ethernet.
    Arp {
        /// 1 for a request, 2 for a reply.
        operation: u16,
        /// The sender's Ethernet address.
        sender_mac: [u8; 6],
        /// The sender's address.
        sender: Ipv4Addr,
        /// Whom it asks for, or answers.
        target: Ipv4Addr,
    },
    /// IPv4, without options.
    Ipv4 {
        /// From whom.
        source: Ipv4Addr,
        /// To whom.
        destination: Ipv4Addr,
        /// What it carries.
        payload: Payload,
    },
    /// IPv6.
    Ipv6 {
        /// From whom.
        source: Ipv6Addr,
        /// To whom.
        destination: Ipv6Addr,
        /// What it carries.
        payload: Payload,
    },
    /// Anything else.
    Other {
        /// Its Ethertype.
        protocol: u16,
        /// What is behind it.
        bytes: Vec<u8>,
    },
}

/// What an IP packet carries. Checksums are left zero: no rule looks at them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Payload {
    /// A UDP datagram.
    Udp {
        /// The port that it comes from.
        source: u16,
        /// The port that it goes to.
        destination: u16,
    },
    /// A TCP segment.
    Tcp {
        /// The port that it comes from.
        source: u16,
        /// The port that it goes to.
        destination: u16,
    },
    /// An ICMP message (of IPv4) of that type.
    Icmp(u8),
    /// An IGMP message of that type.
    Igmp(u8),
    /// An ICMPv6 message of that type.
    Icmp6(u8),
    /// Who has that address?
    NeighbourSolicitation {
        /// The address.
        target: Ipv6Addr,
        /// The Ethernet address of who asks.
        source_mac: Option<[u8; 6]>,
    },
    /// That address is mine.
    NeighbourAdvertisement {
        /// The address.
        target: Ipv6Addr,
        /// Its Ethernet address.
        target_mac: Option<[u8; 6]>,
    },
    /// Is there a router?
    RouterSolicitation {
        /// The Ethernet address of who asks.
        source_mac: Option<[u8; 6]>,
    },
    /// Anything else, extension headers of IPv6 among it.
    Other {
        /// Its protocol number.
        protocol: u8,
        /// What is behind the IP header.
        bytes: Vec<u8>,
    },
}

#[cfg(any(test, feature = "internals"))]
impl Frame {
    /// The frame that comes in by `port` of `bridge` with that in it, all lengths being as they should.
    pub fn new(port: IfName, bridge: Option<IfName>, header: &Ethernet, packet: &Packet) -> Self {
        Self { port, bridge, bytes: header.frame(packet) }
    }
}

impl Ethernet {
    /// The bytes of a frame with this header and this packet. All lengths are correct.
    pub fn frame(&self, packet: &Packet) -> Vec<u8> {
        let mut bytes = [self.destination, self.source].concat();
        for tag in &self.tags {
            bytes.extend(0x8100_u16.to_be_bytes());
            bytes.extend(tag.to_be_bytes());
        }
        let (protocol, packet) = packet.bytes();
        bytes.extend(protocol.to_be_bytes());
        bytes.extend(packet);
        bytes
    }
}

impl Packet {
    /// Its Ethertype, and what is behind it.
    pub fn bytes(&self) -> (u16, Vec<u8>) {
        match self {
            Self::Arp { operation, sender_mac, sender, target } => {
                let mut bytes = vec![0, 1, 8, 0, 6, 4];
                bytes.extend(operation.to_be_bytes());
                bytes.extend(sender_mac);
                bytes.extend(sender.octets());
                bytes.extend([0; 6]);
                bytes.extend(target.octets());
                (0x0806, bytes)
            }
            Self::Ipv4 { source, destination, payload } => {
                let (protocol, payload) = payload.bytes();
                let mut bytes = vec![0x45, 0];
                bytes.extend(length(20 + payload.len()));
                bytes.extend([0, 0, 0, 0, 64, protocol, 0, 0]);
                bytes.extend(source.octets());
                bytes.extend(destination.octets());
                let sum = checksum(&bytes).to_be_bytes();
                bytes.splice(10..12, sum);
                bytes.extend(payload);
                (0x0800, bytes)
            }
            Self::Ipv6 { source, destination, payload } => {
                let (protocol, payload) = payload.bytes();
                let mut bytes = vec![0x60, 0, 0, 0];
                bytes.extend(length(payload.len()));
                bytes.extend([protocol, 255]);
                bytes.extend(source.octets());
                bytes.extend(destination.octets());
                bytes.extend(payload);
                (0x86dd, bytes)
            }
            Self::Other { protocol, bytes } => (*protocol, bytes.clone()),
        }
    }
}

impl Payload {
    /// Its protocol number, and what is behind the IP header.
    pub fn bytes(&self) -> (u8, Vec<u8>) {
        let ports = |source: u16, destination: u16| {
            [source.to_be_bytes(), destination.to_be_bytes()].concat()
        };
        let icmp6 = |kind, target: &[u8], option: Option<(u8, [u8; 6])>| {
            let mut bytes = vec![kind, 0, 0, 0, 0, 0, 0, 0];
            bytes.extend(target);
            if let Some((kind, mac)) = option {
                bytes.extend([kind, 1]);
                bytes.extend(mac);
            }
            (58, bytes)
        };
        match self {
            Self::Udp { source, destination } => {
                (17, [ports(*source, *destination), vec![0, 8, 0, 0]].concat())
            }
            Self::Tcp { source, destination } => {
                let rest = [0, 0, 0, 0, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0, 0, 0, 0];
                (6, [ports(*source, *destination), rest.to_vec()].concat())
            }
            Self::Icmp(kind) => (1, vec![*kind, 0, 0, 0, 0, 0, 0, 0]),
            Self::Igmp(kind) => (2, vec![*kind, 0, 0, 0, 0, 0, 0, 0]),
            Self::Icmp6(kind) => icmp6(*kind, &[], None),
            Self::NeighbourSolicitation { target, source_mac } => {
                icmp6(135, &target.octets(), source_mac.map(|mac| (1, mac)))
            }
            Self::NeighbourAdvertisement { target, target_mac } => {
                icmp6(136, &target.octets(), target_mac.map(|mac| (2, mac)))
            }
            Self::RouterSolicitation { source_mac } => {
                icmp6(133, &[], source_mac.map(|mac| (1, mac)))
            }
            Self::Other { protocol, bytes } => (*protocol, bytes.clone()),
        }
    }
}

/// A length field: what does not fit says that it is the longest.
fn length(bytes: usize) -> [u8; 2] {
    u16::try_from(bytes).unwrap_or(u16::MAX).to_be_bytes()
}

/// Of an IPv4 header whose own checksum is zero (RFC 1071).
fn checksum(header: &[u8]) -> u16 {
    let mut sum: u32 =
        header.as_chunks().0.iter().map(|pair| u32::from(u16::from_be_bytes(*pair))).sum();
    while let Ok(carry @ 1..) = u16::try_from(sum >> 16) {
        sum = (sum & 0xffff) + u32::from(carry);
    }
    !u16::try_from(sum).unwrap_or_default()
}
