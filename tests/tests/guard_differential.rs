//! Frames that nobody thought of, from ports of every kind: who gets them is what `plan::guard::explain` says.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by a panic")]

use std::cell::Cell;
use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use xennet_core::kernel::Nftables;
use xennet_core::plan::guard::{Ethernet, Frame, Packet, Payload};
use xennet_core::types::{NftExpr, NftFamily};
use xennet_tests::frames::*;
use xennet_tests::guests::{Guests, mac};

const FRAMES: u32 = 3000;

#[test]
fn who_gets_a_frame_is_what_explain_says() {
    let guests = Guests::of_each_kind();
    let table = guests.table();
    // Right behind the guard.
    guests.dom0.netns.nft(
        "table bridge judge { chain c { type filter hook prerouting priority -299; counter; }; }",
    );
    let [passed, dropped] = [Cell::new(0), Cell::new(0)];
    let config = Config {
        cases: FRAMES,
        failure_persistence: None,
        max_shrink_iters: 500,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(&frame(), |frame| {
            let explained = table.explain(&frame);
            let before = past_the_guard();
            let arrived = guests.passes(&frame);
            prop_assert_eq!(
                past_the_guard() - before,
                u64::from(explained.passes),
                "{:?}",
                explained
            );
            // The kernel does not send everything on that it let in: not half a tag behind a tag.
            let whole = frame.bytes.len() >= 14 + 4 * 4;
            prop_assert!(arrived == explained.passes || !arrived && !whole, "{:?}", explained);
            let count = if arrived { &passed } else { &dropped };
            count.set(count.get() + 1);
            Ok(())
        })
        .unwrap();
    // Else it would have tried little.
    let (passed, dropped) = (passed.get(), dropped.get());
    assert!(passed > FRAMES / 10 && dropped > FRAMES / 10, "{passed} passed, {dropped} did not");
}

/// The first rules accept only what the rules behind them would accept as well.
#[test]
fn rules_of_the_common_case_change_no_verdict() {
    // XENNET_FRAMES=100000 takes some minutes.
    let frames = std::env::var("XENNET_FRAMES").map_or(FRAMES, |text| text.parse().unwrap());
    let guests = Guests::of_each_kind();
    let without = Guests::of_each_kind();
    let mut removed = 0;
    for line in without.dom0.netns.nft_text("-a list chain bridge xennet prerouting").lines() {
        if line.contains("TCP or UDP from its own address") {
            let handle = line.rsplit(' ').next().unwrap();
            without
                .dom0
                .netns
                .nft(&format!("delete rule bridge xennet prerouting handle {handle}"));
            removed += 1;
        }
    }
    assert_eq!(removed, 4);
    let [passed, dropped] = [Cell::new(0), Cell::new(0)];
    let config = Config {
        cases: frames,
        failure_persistence: None,
        max_shrink_iters: 500,
        ..Config::default()
    };
    let seed = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    TestRunner::new_with_rng(config, seed)
        .run(&frame(), |frame| {
            let verdict = guests.passes(&frame);
            prop_assert_eq!(verdict, without.passes(&frame), "{:?}", frame);
            let count = if verdict { &passed } else { &dropped };
            count.set(count.get() + 1);
            Ok(())
        })
        .unwrap();
    let (passed, dropped) = (passed.get(), dropped.get());
    assert!(passed > frames / 10 && dropped > frames / 10, "{passed} passed, {dropped} did not");
}

fn past_the_guard() -> u64 {
    let rules = Nftables::open().unwrap().rules(NftFamily::Bridge, "judge").unwrap();
    match rules[0].expressions[..] {
        [NftExpr::Counter(counter)] => counter.packets,
        _ => panic!("{rules:?}"),
    }
}

/// A frame that makes sense but for a few bytes, or but for its end.
fn frame() -> impl Strategy<Value = Frame> {
    let port = select(vec![
        ("eth0", 9),
        ("vif1.0", 1),
        ("vif2.0", 2),
        ("vif3.0", 3),
        ("vif4.0", 4),
        ("vif5.0", 5),
        ("vif6.0", 6),
    ]);
    let destination = select(vec![
        EVERYBODY,
        [0x33, 0x33, 0, 0, 0, 1],
        [2, 0, 0, 0, 0xff, 0xff],
        [1, 0x80, 0xc2, 0, 0, 0],
    ]);
    let tags = prop_oneof![4 => Just(vec![]), 2 => Just(vec![0]), 1 => Just(vec![7]), 1 => Just(vec![7, 0])];
    let flips = prop_oneof![
        2 => Just(vec![]),
        1 => proptest::collection::vec((any::<Index>(), any::<u8>()), 1..4),
    ];
    let end = prop_oneof![6 => Just(0), 1 => 1..60_usize];
    let parts = (port, destination, own_or(mac(2)), tags, any::<bool>(), flips, end);
    parts
        .prop_flat_map(|parts| {
            let domid = parts.0.1;
            (Just(parts), packet(domid))
        })
        .prop_map(|((port, destination, source, tags, service, flips, end), packet)| {
            let source = source.unwrap_or(mac(port.1));
            let (name, bridge) = (port.0.parse().unwrap(), "xenbr0".parse().unwrap());
            let header = Ethernet { source, destination, tags };
            let mut frame = Frame::new(name, Some(bridge), &header, &packet);
            if service && !header.tags.is_empty() {
                frame = ethertype(0x88a8, frame);
            }
            // Where it goes to decides which ports get it, and so is left alone.
            for (at, byte) in flips {
                let at = 6 + at.index(frame.bytes.len() - 6);
                frame.bytes[at] = byte;
            }
            // Less is no frame for a tap.
            frame.bytes.truncate((frame.bytes.len() - end.min(frame.bytes.len())).max(14));
            frame
        })
}

/// None for the sender's own, which is most likely.
fn own_or<T: Clone + std::fmt::Debug + 'static>(other: T) -> impl Strategy<Value = Option<T>> {
    prop_oneof![7 => Just(None), 1 => Just(Some(other))]
}

fn packet(domid: u16) -> impl Strategy<Value = Packet> {
    let arp = (0..4_u16, own_or(mac(2)), address4(domid), address4(domid)).prop_map(
        move |(operation, sender_mac, sender, target)| {
            let sender_mac = sender_mac.unwrap_or(mac(domid));
            Packet::Arp { operation, sender_mac, sender, target }
        },
    );
    let ip4 = (address4(domid), payload4(), select(vec![0_u16, 0, 0, 0x2000, 0x2001, 1, 0x1fff]))
        .prop_map(|(source, payload, fragment)| {
            let destination = Ipv4Addr::new(10, 0, 0, 1);
            let (protocol, mut bytes) = Packet::Ipv4 { source, destination, payload }.bytes();
            bytes[6..8].copy_from_slice(&fragment.to_be_bytes());
            Packet::Other { protocol, bytes }
        });
    let ip6 = (address6(domid), payload6(domid)).prop_map(|(source, payload)| Packet::Ipv6 {
        source,
        destination: "ff02::1".parse().unwrap(),
        payload,
    });
    let other = (
        select(vec![46_u16, 0x8864, 0x8035, 0x8100, 0x88a8, 4, 1, 0]),
        proptest::collection::vec(any::<u8>(), 0..50),
    )
        .prop_map(|(protocol, bytes)| Packet::Other { protocol, bytes });
    let llc = select(vec![vec![0xaa, 0xaa, 3, 0, 0, 0, 8, 0], vec![0xff; 8], vec![0x42; 8]])
        .prop_map(|bytes| Packet::Other { protocol: 46, bytes });
    prop_oneof![3 => arp, 4 => ip4, 8 => ip6, 1 => other, 1 => llc]
}

/// Its own, another's, nobody's.
fn address4(domid: u16) -> impl Strategy<Value = Ipv4Addr> {
    let own = ["10.0.0.5", "10.0.0.6", "10.0.0.30", "10.0.0.40", "10.0.0.50"];
    let own = own.get(usize::from(domid) - 1).copied().unwrap_or("192.0.2.1");
    let any = [
        "10.0.0.5",
        "10.0.1.6",
        "10.0.1.77",
        "10.0.2.9",
        "10.0.2.8",
        "10.0.0.30",
        "0.0.0.0",
        "224.0.0.1",
        "192.0.2.7",
    ];
    prop_oneof![Just(own), select(any.to_vec())].prop_map(|text| text.parse().unwrap())
}

fn address6(domid: u16) -> impl Strategy<Value = Ipv6Addr> {
    let own = [
        format!("fe80::216:3eff:fe00:{domid}"),
        format!("2001:db8::{}", [5, 6, 30, 40, 50, 60][usize::from(domid).min(6) - 1]),
    ];
    let any = [
        "2001:db8::5",
        "2001:db8:1::6",
        "2001:db8:1::77",
        "2001:db8:2::1",
        "2001:db8:9::9",
        "fe80::1",
        "::",
        "::1",
        "ff02::1",
    ];
    prop_oneof![
        2 => select(own.to_vec()),
        1 => select(any.map(str::to_owned).to_vec()),
    ]
    .prop_map(|text| text.parse().unwrap())
}

fn payload4() -> impl Strategy<Value = Payload> {
    let whole = prop_oneof![
        (select(vec![67_u16, 68, 1024]), select(vec![67_u16, 68, 53]))
            .prop_map(|(source, destination)| udp(source, destination)),
        Just(tcp()),
        select(vec![0_u8, 5, 8, 9, 10]).prop_map(Payload::Icmp),
        select(vec![0x11_u8, 0x12, 0x13, 0x16, 0x17, 0x22]).prop_map(Payload::Igmp),
        (any::<u8>(), proptest::collection::vec(any::<u8>(), 0..16))
            .prop_map(|(protocol, bytes)| Payload::Other { protocol, bytes }),
    ];
    (whole, prop_oneof![4 => Just(64), 1 => 0..12_usize])
        .prop_map(|(payload, length)| cut(&payload, length))
}

fn payload6(domid: u16) -> impl Strategy<Value = Payload> {
    let option = || {
        (any::<bool>(), own_or(mac(2)))
            .prop_map(move |(with, mac_)| with.then(|| mac_.unwrap_or(mac(domid))))
    };
    let more = proptest::collection::vec(
        select(vec![
            [14, 1, 1, 2, 3, 4, 5, 6],
            [2, 1, 0, 0x16, 0x3e, 0, 0, 1],
            [1, 0, 0, 0, 0, 0, 0, 0],
        ]),
        0..3,
    );
    let nd = prop_oneof![
        (address6(domid), option())
            .prop_map(|(target, source_mac)| Payload::NeighbourSolicitation { target, source_mac }),
        (address6(domid), option()).prop_map(|(target, target_mac)| {
            Payload::NeighbourAdvertisement { target, target_mac }
        }),
        option().prop_map(|source_mac| Payload::RouterSolicitation { source_mac }),
    ];
    let nd = (nd, more).prop_map(|(payload, more)| {
        let (protocol, bytes) = payload.bytes();
        Payload::Other { protocol, bytes: [bytes, more.concat()].concat() }
    });
    let whole = prop_oneof![
        3 => nd,
        1 => (select(vec![546_u16, 547, 1024]), select(vec![546_u16, 547, 53])).prop_map(|(source, destination)| udp(source, destination)),
        1 => Just(tcp()),
        2 => select(vec![128_u8, 130, 131, 132, 134, 137, 143]).prop_map(Payload::Icmp6),
        1 => (any::<u8>(), proptest::collection::vec(any::<u8>(), 0..16)).prop_map(|(protocol, bytes)| Payload::Other { protocol, bytes }),
    ];
    let wrap = proptest::collection::vec(
        prop_oneof![
            select(vec![0_u8, 43, 51, 60]).prop_map(|header| (header, 0, false)),
            (select(vec![0_u16, 0, 0, 1, 3]), any::<bool>())
                .prop_map(|(offset, more)| (44, offset, more)),
        ],
        0..3,
    );
    let length = prop_oneof![5 => Just(200), 1 => 0..40_usize];
    (whole, prop_oneof![3 => Just(vec![]), 2 => wrap], length).prop_map(
        |(payload, wrap, length)| {
            let wrapped =
                wrap.iter().fold(payload, |inner, &(header, offset, more)| match header {
                    44 => fragment6(offset, more, &inner),
                    header => behind(header, &inner),
                });
            cut(&wrapped, length)
        },
    )
}
