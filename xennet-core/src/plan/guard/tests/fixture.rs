//! One bridge with a guest of each level on it, and frames to try.

use crate::config::{GuardLevel, GuardPolicy};
use crate::plan::guard::{
    Ethernet, Explanation, Frame, GuardEntry, GuardLayout, Packet, Payload, explain,
};
use crate::types::{NftChain, NftElement, NftFamily, NftRule, NftSet, VifId};

pub(super) const MINE: [u8; 6] = [0x00, 0x16, 0x3e, 0, 0, 1];
pub(super) const THEIRS: [u8; 6] = [0x00, 0x16, 0x3e, 0, 0, 2];
pub(super) const EVERYBODY: [u8; 6] = [0xff; 6];
/// What the guest of `vif1.0` may use; its link-local address comes with its Ethernet address.
pub(super) const IP: &str = "10.0.0.5 10.0.1.0/24 2001:db8::5 2001:db8:1::/64";
pub(super) const LINK_LOCAL: &str = "fe80::216:3eff:fe00:1";

/// `vif1.0` under test; `vif2.0` is another guest, with addresses of its own; `eth0` is the uplink.
pub(super) fn entry(level: GuardLevel) -> GuardEntry {
    GuardEntry {
        port: "vif1.0".parse().unwrap(),
        owner: VifId { domid: 1, devid: 0 },
        claims: true,
        bridge: Some("xenbr0".parse().unwrap()),
        switch: false,
        mac: mac(MINE),
        ip: IP.parse().unwrap(),
        policy: GuardPolicy { level, ..GuardPolicy::default() },
    }
}

pub(super) fn neighbour() -> GuardEntry {
    GuardEntry {
        port: "vif2.0".parse().unwrap(),
        owner: VifId { domid: 2, devid: 0 },
        mac: mac(THEIRS),
        // The second is within a prefix of vif1.0's, and closer.
        ip: "10.0.0.6 10.0.1.6 10.0.2.0/24 2001:db8::6 2001:db8:1::6 2001:db8:2::/64"
            .parse()
            .unwrap(),
        ..entry(GuardLevel::Strict)
    }
}

fn mac(octets: [u8; 6]) -> crate::types::MacAddr {
    crate::types::MacAddr::from_octets(octets).unwrap()
}

/// The table with both guests in it.
pub(super) struct Table {
    chains: Vec<NftChain>,
    rules: Vec<NftRule>,
    elements: Vec<(NftSet, NftElement)>,
}

impl Table {
    pub(super) fn new(entry: &GuardEntry) -> Self {
        Self::with_layout(entry, GuardLayout::new(NftFamily::Bridge, true))
    }

    pub(super) fn with_layout(entry: &GuardEntry, layout: GuardLayout) -> Self {
        let layout = neighbour().layout(entry.layout(layout));
        let mut elements = entry.elements(&layout);
        elements.extend(neighbour().elements(&layout));
        Self { chains: layout.chains(), rules: layout.rules(), elements }
    }

    pub(super) fn explain(&self, frame: &Frame) -> Explanation {
        explain(&self.chains, &self.rules, &self.elements, frame)
    }

    /// `passes`, or what the rule says that dropped it.
    pub(super) fn verdict(&self, frame: &Frame) -> String {
        let explanation = self.explain(frame);
        if explanation.passes {
            return "passes".to_owned();
        }
        explanation.deciding.unwrap()
    }
}

/// A frame from `vif1.0`.
pub(super) fn mine(packet: &Packet) -> Frame {
    from(MINE, &[], packet)
}

pub(super) fn from(source: [u8; 6], tags: &[u16], packet: &Packet) -> Frame {
    let header = Ethernet { source, destination: EVERYBODY, tags: tags.to_vec() };
    let bridge = Some("xenbr0".parse().unwrap());
    Frame::new("vif1.0".parse().unwrap(), bridge, &header, packet)
}

/// The same from the uplink.
pub(super) fn uplink(packet: &Packet) -> Frame {
    let frame = from([0x02, 0, 0, 0, 0, 9], &[], packet);
    Frame { port: "eth0".parse().unwrap(), ..frame }
}

pub(super) fn ip4(source: &str, payload: Payload) -> Packet {
    let destination = "10.0.0.1".parse().unwrap();
    Packet::Ipv4 { source: source.parse().unwrap(), destination, payload }
}

pub(super) fn ip6(source: &str, payload: Payload) -> Packet {
    let destination = "ff02::1".parse().unwrap();
    Packet::Ipv6 { source: source.parse().unwrap(), destination, payload }
}

pub(super) fn arp(operation: u16, sender: &str, target: &str) -> Packet {
    Packet::Arp {
        operation,
        sender_mac: MINE,
        sender: sender.parse().unwrap(),
        target: target.parse().unwrap(),
    }
}

pub(super) fn udp(source: u16, destination: u16) -> Payload {
    Payload::Udp { source, destination }
}

/// A DHCP client's message about that Ethernet address.
pub(super) fn dhcp(client: [u8; 6]) -> Payload {
    let (protocol, mut bytes) = udp(68, 67).bytes();
    bytes.resize(8 + 236, 0);
    bytes[36..42].copy_from_slice(&client);
    Payload::Other { protocol, bytes }
}

pub(super) fn tcp() -> Payload {
    Payload::Tcp { source: 1024, destination: 80 }
}

pub(super) fn solicitation(target: &str, source_mac: Option<[u8; 6]>) -> Payload {
    Payload::NeighbourSolicitation { target: target.parse().unwrap(), source_mac }
}

pub(super) fn advertisement(target: &str, target_mac: Option<[u8; 6]>) -> Payload {
    Payload::NeighbourAdvertisement { target: target.parse().unwrap(), target_mac }
}

/// `inner` behind an IPv6 extension header of that number, eight bytes long.
pub(super) fn behind(header: u8, inner: &Payload) -> Payload {
    let (next, inner) = inner.bytes();
    let bytes = [vec![next, 0, 0, 0, 0, 0, 0, 0], inner].concat();
    Payload::Other { protocol: header, bytes }
}

/// `inner` as an IPv6 fragment: `offset` in units of eight bytes.
pub(super) fn fragment6(offset: u16, more: bool, inner: &Payload) -> Payload {
    let (next, inner) = inner.bytes();
    let [high, low] = (offset << 3 | u16::from(more)).to_be_bytes();
    let bytes = [vec![next, 0, high, low, 0, 0, 0, 1], inner].concat();
    Payload::Other { protocol: 44, bytes }
}

/// The same IPv4 packet as a fragment.
pub(super) fn fragment4(mut frame: Frame, offset: u16, more: bool) -> Frame {
    let field = offset | u16::from(more) << 13;
    frame.bytes[20..22].copy_from_slice(&field.to_be_bytes());
    frame
}

/// The first bytes of a payload, with lengths that say so.
pub(super) fn cut(payload: &Payload, length: usize) -> Payload {
    let (protocol, mut bytes) = payload.bytes();
    bytes.truncate(length);
    Payload::Other { protocol, bytes }
}

/// Frames by name, and what becomes of each.
pub(super) fn check(table: &Table, cases: &[(&str, Frame, &str)]) {
    for (name, frame, verdict) in cases {
        assert_eq!(table.verdict(frame), *verdict, "{name}: {:?}", table.explain(frame));
    }
}

pub(super) fn strict() -> Table {
    Table::new(&entry(GuardLevel::Strict))
}
