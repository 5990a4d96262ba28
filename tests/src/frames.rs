//! Frames in short, for tests that send them: by default from the guest of `vif1.0` to everybody.
#![expect(
    clippy::missing_panics_doc,
    clippy::indexing_slicing,
    reason = "what tests share fails as tests do: by a panic"
)]

use xennet_core::plan::guard::{Ethernet, Frame, Packet, Payload};

use crate::guests::mac;

/// To everybody.
pub const EVERYBODY: [u8; 6] = [0xff; 6];
/// The link-local address of the guest of `vif1.0`.
pub const LINK_LOCAL: &str = "fe80::216:3eff:fe00:1";

/// A frame that comes in by a port, with that source and those VLAN tags.
pub fn frame(port: &str, source: [u8; 6], tags: &[u16], packet: &Packet) -> Frame {
    let header = Ethernet { source, destination: EVERYBODY, tags: tags.to_vec() };
    Frame::new(name(port), Some(name("xenbr0")), &header, packet)
}

/// A frame from `vif1.0`.
pub fn mine(packet: &Packet) -> Frame {
    of(1, packet)
}

/// A frame of that domain's, by its own port and with its own Ethernet address.
pub fn of(domid: u16, packet: &Packet) -> Frame {
    frame(&format!("vif{domid}.0"), mac(domid), &[], packet)
}

/// A frame from the world.
pub fn uplink(packet: &Packet) -> Frame {
    frame("eth0", [2, 0, 0, 0, 0, 9], &[], packet)
}

/// The same frame to another Ethernet address.
pub fn to(destination: [u8; 6], mut frame: Frame) -> Frame {
    frame.bytes[..6].copy_from_slice(&destination);
    frame
}

/// The same frame with another Ethertype, or length, in its tag or without one.
pub fn ethertype(number: u16, mut frame: Frame) -> Frame {
    frame.bytes[12..14].copy_from_slice(&number.to_be_bytes());
    frame
}

/// An IPv4 packet.
pub fn ip4(source: &str, payload: Payload) -> Packet {
    let destination = "10.0.0.1".parse().expect("an address");
    Packet::Ipv4 { source: source.parse().expect("an address"), destination, payload }
}

/// An IPv6 packet.
pub fn ip6(source: &str, payload: Payload) -> Packet {
    let destination = "ff02::1".parse().expect("an address");
    Packet::Ipv6 { source: source.parse().expect("an address"), destination, payload }
}

/// ARP of the guest of `vif1.0`.
pub fn arp(operation: u16, sender: &str, target: &str) -> Packet {
    arp_of(mac(1), operation, sender, target)
}

/// ARP of anybody's.
pub fn arp_of(sender_mac: [u8; 6], operation: u16, sender: &str, target: &str) -> Packet {
    let [sender, target] = [sender, target].map(|address| address.parse().expect("an address"));
    Packet::Arp { operation, sender_mac, sender, target }
}

/// UDP between two ports.
pub fn udp(source: u16, destination: u16) -> Payload {
    Payload::Udp { source, destination }
}

/// TCP between any two ports.
pub fn tcp() -> Payload {
    Payload::Tcp { source: 1024, destination: 80 }
}

/// A neighbour solicitation.
pub fn solicitation(target: &str, source_mac: Option<[u8; 6]>) -> Payload {
    Payload::NeighbourSolicitation { target: target.parse().expect("an address"), source_mac }
}

/// A neighbour advertisement.
pub fn advertisement(target: &str, target_mac: Option<[u8; 6]>) -> Payload {
    Payload::NeighbourAdvertisement { target: target.parse().expect("an address"), target_mac }
}

/// Behind an IPv6 extension header of that number, eight bytes long.
pub fn behind(header: u8, inner: &Payload) -> Payload {
    let (next, inner) = inner.bytes();
    let bytes = [vec![next, 0, 0, 0, 0, 0, 0, 0], inner].concat();
    Payload::Other { protocol: header, bytes }
}

/// As an IPv6 fragment: `offset` in units of eight bytes.
pub fn fragment6(offset: u16, more: bool, inner: &Payload) -> Payload {
    let (next, inner) = inner.bytes();
    let [high, low] = (offset << 3 | u16::from(more)).to_be_bytes();
    let bytes = [vec![next, 0, high, low, 0, 0, 0, 1], inner].concat();
    Payload::Other { protocol: 44, bytes }
}

/// An untagged IPv4 packet as a fragment.
pub fn fragment4(mut frame: Frame, offset: u16, more: bool) -> Frame {
    let field = offset | u16::from(more) << 13;
    frame.bytes[20..22].copy_from_slice(&field.to_be_bytes());
    frame
}

/// The first bytes of a payload, with lengths that say so.
pub fn cut(payload: &Payload, length: usize) -> Payload {
    let (protocol, mut bytes) = payload.bytes();
    bytes.truncate(length);
    Payload::Other { protocol, bytes }
}

fn name(text: &str) -> xennet_core::types::IfName {
    text.parse().expect("a name")
}
