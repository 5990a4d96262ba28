//! The guard's rules in the real kernel: it takes them, gives them back unchanged, and does to frames what
//! `guard::explain` says.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by a panic")]

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use xennet_core::config::{GuardLevel, GuardPolicy};
use xennet_core::kernel::Nftables;
use xennet_core::plan::Change;
use xennet_core::plan::guard::{
    Ethernet, Explanation, Frame, GuardEntry, GuardLayout, GuardSnapshot, Packet, Payload, explain,
};
use xennet_core::types::{
    MacAddr, NftChain, NftCounter, NftElement, NftExpr, NftFamily, NftRule, NftSet, VifId,
};
use xennet_tests::netns::Netns;
use xennet_tests::tap::Tap;

const MINE: [u8; 6] = [0x00, 0x16, 0x3e, 0, 0, 1];
const THEIRS: [u8; 6] = [0x00, 0x16, 0x3e, 0, 0, 2];
const LINK_LOCAL: &str = "fe80::216:3eff:fe00:1";

fn entry(level: GuardLevel) -> GuardEntry {
    GuardEntry {
        port: "vif1.0".parse().unwrap(),
        owner: VifId { domid: 1, devid: 0 },
        claims: true,
        bridge: Some("xenbr0".parse().unwrap()),
        switch: false,
        mac: MacAddr::from_octets(MINE).unwrap(),
        ip: "10.0.0.5 10.0.1.0/24 2001:db8::5 2001:db8:1::/64".parse().unwrap(),
        policy: GuardPolicy { level, ..GuardPolicy::default() },
    }
}

/// Within prefixes of the first one's.
fn neighbour() -> GuardEntry {
    GuardEntry {
        port: "vif2.0".parse().unwrap(),
        owner: VifId { domid: 2, devid: 0 },
        mac: MacAddr::from_octets(THEIRS).unwrap(),
        ip: "10.0.1.6 2001:db8:1::6 2001:db8:2::/48".parse().unwrap(),
        ..entry(GuardLevel::Strict)
    }
}

/// What there is of a port, read from the kernel. The kernel is not asked whether it knows `meta ibrname`.
fn look(nft: &mut Nftables, entry: &GuardEntry) -> GuardSnapshot {
    let (family, name) = (entry.family(), GuardLayout::TABLE);
    let mut seen = GuardSnapshot {
        generation: nft.generation().unwrap(),
        table: nft.table(family, name).unwrap(),
        sets: nft.sets(family, name).unwrap(),
        chains: nft.chains(family, name).unwrap(),
        rules: nft.rules(family, name).unwrap(),
        ..GuardSnapshot::default()
    };
    let layout = seen.layout(family).unwrap();
    let mut asked = entry.elements(&layout);
    let (records, record) = GuardLayout::record(&entry.port);
    if let Some(record) = nft.find(family, name, &[(&records, &record)]).unwrap().remove(0) {
        let old = GuardEntry::from_record(entry.port.clone(), &record.comment.unwrap()).unwrap();
        let known = asked.clone();
        asked.extend(old.elements(&layout).into_iter().filter(|(set, element)| {
            !known.iter().any(|(other, same)| set == other && element.key == same.key)
        }));
    }
    let questions: Vec<(&NftSet, &NftElement)> = asked.iter().map(|(s, e)| (s, e)).collect();
    let found = nft.find(family, name, &questions).unwrap();
    seen.present = asked
        .iter()
        .zip(found)
        .filter_map(|((set, _), found)| Some((set.clone(), found?)))
        .collect();
    seen
}

fn install(nft: &mut Nftables, entry: &GuardEntry) {
    let seen = look(nft, entry);
    let Some(Change::Nft { batch, .. }) = entry.install(&seen).unwrap() else {
        panic!("there is something to do")
    };
    nft.apply(&batch).unwrap();
    let seen = look(nft, entry);
    assert_eq!(entry.install(&seen), Ok(None), "all is as it should be");
}

#[test]
fn the_kernel_gives_back_what_it_was_given() {
    let netns = Netns::new();
    let mut nft = Nftables::open().unwrap();
    let routed = GuardEntry { bridge: None, ..entry(GuardLevel::Ip) };
    install(&mut nft, &entry(GuardLevel::Strict));
    install(&mut nft, &routed);
    // Another prefix length, a level less, and back again.
    install(&mut nft, &neighbour());
    install(&mut nft, &entry(GuardLevel::Mac));
    install(&mut nft, &entry(GuardLevel::Strict));

    let text = netns.nft_text("list table bridge xennet");
    for words in [
        "iifname . ether saddr @macs goto bound comment \"its own Ethernet address\"",
        "iifname . ip saddr & 255.255.255.0 @ip4_24 accept comment \"source is its own (/24)\"",
        "ip saddr 0.0.0.0 udp sport 68 udp dport 67 accept comment",
        "arp htype 1 arp ptype ip arp hlen 6 arp plen 4 goto arp_ip4 comment",
        "icmpv6 type 133-137 exthdr frag exists counter packets 0 bytes 0 meta mark set",
        "goto refused comment \"neighbour discovery in fragments (RFC 6980)\"",
        "iifname @records add @drops { iifname . meta mark counter }",
        "ip6 nexthdr ipv6-icmp ip6 hoplimit 255 goto nd_length comment",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(!text.contains("unknown"), "{text}");
}

#[test]
fn what_a_guest_sends_is_dropped_as_explained() {
    for level in [GuardLevel::Mac, GuardLevel::Ip, GuardLevel::Strict] {
        let dom0 = Dom0::new(level);
        let mut frames = samples();
        let mut random = TestRunner::deterministic();
        let strategy = changed(samples());
        frames.extend((0..FRAMES).map(|_| strategy.new_tree(&mut random).unwrap().current()));
        let (mut passed, mut refused, mut common) = (0, 0, 0);
        for frame in frames.iter().filter(|frame| !is_for_bridges(frame)) {
            let explained = dom0.explain(frame);
            let got_through = dom0.send(frame);
            assert_eq!(got_through, explained.passes, "{level}: {frame:02x?}: {explained:?}");
            *(if got_through { &mut passed } else { &mut refused }) += 1;
            // The first rules accept these before the port's counter.
            let is_common =
                explained.deciding.as_deref() == Some("TCP or UDP from its own address");
            common += u64::from(is_common);
        }
        assert!(passed > 100 && refused > 100, "{level}: {passed} passed, {refused} did not");
        let [seen, dropped] = Dom0::counted();
        assert_eq!(seen - dropped, passed - common, "{level}: every drop is counted for its port");
    }
}

#[test]
fn bridges_hear_nothing_of_a_guests_spanning_tree() {
    let dom0 = Dom0::new(GuardLevel::Mac);
    let frame = |last| {
        let destination = [0x01, 0x80, 0xc2, 0, 0, last];
        let header = Ethernet { source: MINE, destination, tags: Vec::new() };
        let bytes = vec![0x42, 0x42, 3, 0, 0, 0, 0, 0];
        let packet = Packet::Other { protocol: 38, bytes };
        Frame::new(entry(GuardLevel::Mac).port, None, &header, &packet).bytes
    };
    // 0 is forwarded by a bridge without STP; 2 (LACP) and 3 (802.1X) are for the bridge itself.
    for last in [0, 2, 3] {
        let [_, before] = Dom0::counted();
        dom0.tap.send(&frame(last));
        let [_, after] = Dom0::counted();
        assert_eq!(after, before + 1, "01:80:c2:00:00:{last:02x}");
        assert!(!dom0.explain(&frame(last)).passes);
    }
}

/// How many frames are tried at each level, beside the samples.
const FRAMES: usize = 4000;

/// A bridge with two guarded ports, of which the first is ours.
struct Dom0 {
    tap: Tap,
    ruleset: (Vec<NftChain>, Vec<NftRule>, Vec<(NftSet, NftElement)>),
    _other: Tap,
    _netns: Netns,
}

impl Dom0 {
    fn new(level: GuardLevel) -> Self {
        let netns = Netns::new();
        netns.make_bridge("xenbr0");
        netns.ip("link set xenbr0 type bridge mcast_snooping 0");
        let [tap, other] = ["vif1.0", "vif2.0"].map(|name| {
            let tap = Tap::new(&netns, name);
            netns.ip(&format!("link set {name} addrgenmode none"));
            netns.ip(&format!("link set {name} master xenbr0 up"));
            tap
        });
        let mut nft = Nftables::open().unwrap();
        install(&mut nft, &neighbour());
        install(&mut nft, &entry(level));
        // Behind the guard, another table counts what it has let through.
        netns.nft(
            "table bridge judge { chain prerouting { type filter hook prerouting priority -200; \
             iifname vif1.0 counter; }; }",
        );
        let (family, name) = (NftFamily::Bridge, GuardLayout::TABLE);
        let elements = nft.sets(family, name).unwrap().into_iter().flat_map(|set| {
            let elements = nft.elements(family, name, &set).unwrap();
            elements.into_iter().map(move |element| (set.clone(), element))
        });
        let elements = elements.collect();
        let ruleset =
            (nft.chains(family, name).unwrap(), nft.rules(family, name).unwrap(), elements);
        Self { tap, ruleset, _other: other, _netns: netns }
    }

    fn explain(&self, bytes: &[u8]) -> Explanation {
        let bridge = Some("xenbr0".parse().unwrap());
        let frame = Frame { port: entry(GuardLevel::Mac).port, bridge, bytes: bytes.to_vec() };
        let (chains, rules, elements) = &self.ruleset;
        explain(chains, rules, elements, &frame)
    }

    /// Sends it as the guest; whether it has come past the guard.
    fn send(&self, frame: &[u8]) -> bool {
        let before = passed();
        self.tap.send(frame);
        match passed() - before {
            0 => false,
            1 => true,
            more => panic!("one frame was sent, {more} have come"),
        }
    }

    /// How many frames of our port the guard has seen, and how many it has dropped.
    fn counted() -> [u64; 2] {
        let sets = GuardLayout::new(NftFamily::Bridge, true).sets();
        ["ports", "drops"].map(|name| {
            let set = sets.iter().find(|set| set.name == name).unwrap();
            let mut nft = Nftables::open().unwrap();
            let elements = nft.elements(NftFamily::Bridge, GuardLayout::TABLE, set).unwrap();
            let of_port = elements.iter().filter(|element| element.to_string().contains("vif1.0"));
            of_port.map(|element| element.counter.unwrap().packets).sum()
        })
    }
}

/// How many frames have come past the guard.
fn passed() -> u64 {
    let rules = Nftables::open().unwrap().rules(NftFamily::Bridge, "judge").unwrap();
    let counter = rules[0].expressions.iter().find_map(|expression| match expression {
        NftExpr::Counter(NftCounter { packets, .. }) => Some(*packets),
        _ => None,
    });
    counter.unwrap()
}

/// Which hook such a frame meets depends on the bridge: another test sends them.
fn is_for_bridges(frame: &[u8]) -> bool {
    frame.starts_with(&[0x01, 0x80, 0xc2, 0, 0]) && frame[5] < 16
}

/// Frames for each of the rules.
fn samples() -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let payloads4 = [
        Payload::Tcp { source: 1, destination: 2 },
        udp(1, 2),
        udp(68, 67),
        udp(67, 68),
        Payload::Icmp(8),
        Payload::Icmp(5),
        Payload::Igmp(0x11),
        Payload::Igmp(0x16),
        Payload::Other { protocol: 47, bytes: vec![0; 3] },
    ];
    for source in ["10.0.0.5", "10.0.1.9", "10.0.1.6", "10.0.0.7", "0.0.0.0"] {
        for payload in payloads4.clone() {
            let source = source.parse().unwrap();
            let destination = "10.0.0.1".parse().unwrap();
            let packet = Packet::Ipv4 { source, destination, payload };
            frames.push(frame(MINE, &[], &packet));
            frames.push(frame(MINE, &[7], &packet));
            let mut fragment = frame(MINE, &[], &packet);
            fragment[21] = 1;
            frames.push(fragment);
        }
        for (operation, target) in
            [(1, "10.0.0.1"), (1, "10.0.0.5"), (2, "10.0.1.6"), (3, "10.0.0.5")]
        {
            let [sender, target] = [source, target].map(|address| address.parse().unwrap());
            let packet = Packet::Arp { operation, sender_mac: MINE, sender, target };
            frames.push(frame(MINE, &[], &packet));
        }
    }
    for source in ["2001:db8::5", LINK_LOCAL, "2001:db8:1::6", "2001:db8:2::1", "fe80::7", "::"] {
        for payload in payloads6() {
            let source = source.parse().unwrap();
            let destination = "ff02::1".parse().unwrap();
            frames.push(frame(MINE, &[], &Packet::Ipv6 { source, destination, payload }));
        }
    }
    for protocol in [0x8864, 0x8100, 0x88a8, 38, 0x05ff, 0x0600] {
        for first in [0xaa, 0xff, 0x42, 0x08] {
            let bytes = vec![first; 40];
            frames.push(frame(MINE, &[0], &Packet::Other { protocol, bytes: bytes.clone() }));
            frames.push(frame(THEIRS, &[], &Packet::Other { protocol, bytes: bytes.clone() }));
            frames.push(frame(MINE, &[], &Packet::Other { protocol, bytes }));
        }
    }
    frames
}

fn payloads6() -> Vec<Payload> {
    let mut payloads = vec![
        Payload::Tcp { source: 1, destination: 2 },
        udp(1, 2),
        udp(547, 546),
        Payload::RouterSolicitation { source_mac: Some(MINE) },
        Payload::RouterSolicitation { source_mac: Some(THEIRS) },
    ];
    payloads.extend([128, 130, 134, 137, 143].map(Payload::Icmp6));
    for target in ["2001:db8::5", "2001:db8:1::6", "2001:db8::7", LINK_LOCAL] {
        for mac in [None, Some(MINE), Some(THEIRS)] {
            let target = target.parse().unwrap();
            payloads.push(Payload::NeighbourSolicitation { target, source_mac: mac });
            payloads.push(Payload::NeighbourAdvertisement { target, target_mac: mac });
        }
    }
    let plain = payloads.clone();
    for header in [0, 43, 44, 51, 60, 135] {
        // Of a fragment header, the third and fourth byte are the offset: none, and more than none.
        for third in [0, 1] {
            payloads.extend(plain.iter().map(|inner| behind(header, third, inner)));
        }
        payloads.extend(plain.iter().map(|inner| behind(44, 0, &behind(header, 1, inner))));
    }
    payloads
}

fn behind(header: u8, third: u8, inner: &Payload) -> Payload {
    let (next, inner) = inner.bytes();
    Payload::Other {
        protocol: header,
        bytes: [&[next, 0, third, 0, 0, 0, 0, 0], &inner[..]].concat(),
    }
}

fn udp(source: u16, destination: u16) -> Payload {
    Payload::Udp { source, destination }
}

fn frame(source: [u8; 6], tags: &[u16], packet: &Packet) -> Vec<u8> {
    let header = Ethernet { source, destination: [0xff; 6], tags: tags.to_vec() };
    Frame::new(entry(GuardLevel::Mac).port, None, &header, packet).bytes
}

/// One of the frames with a few bytes changed, mostly among the headers, and perhaps cut off; never shorter than an
/// Ethernet header, which no interface would send.
fn changed(frames: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        any::<u8>(),
        prop::sample::select(vec![0, 1, 2, 6, 17, 44, 58, 60, 67, 135, 136])
    ];
    let edits = prop::collection::vec((6..100_usize, byte), 0..4);
    (prop::sample::select(frames), edits, 0..30_usize).prop_map(|(mut frame, edits, cut)| {
        for (at, byte) in edits {
            if let Some(old) = frame.get_mut(at) {
                *old = byte;
            }
        }
        // One in three is cut.
        let length = frame.len().saturating_sub(cut.saturating_sub(20) * 4);
        frame.truncate(length.max(14));
        frame
    })
}
