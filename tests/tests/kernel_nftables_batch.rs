//! Batches and elements over netlink.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::net::UdpSocket;
use std::thread;
use std::time::{Duration, Instant};

use xennet_core::kernel::Nftables;
use xennet_core::types::{
    NftBatch, NftCommand, NftCounter, NftElement, NftExpr, NftFamily, NftHookPoint, NftKey,
    NftMeta, NftPolicy, NftSet, NftValue,
};
use xennet_tests::netns::Netns;
use xennet_tests::nft::{add, base_chain, batch, counting, load, lookup, name, rule, set};

const BRIDGE: NftFamily = NftFamily::Bridge;
const INET: NftFamily = NftFamily::Inet;

#[test]
fn a_batch_is_done_together_or_not_at_all() {
    let netns = Netns::new();
    let ports = set("ports", &[NftKey::IfName]);
    let bad = set("nowhere", &[NftKey::IfName]);
    let commands = vec![
        NftCommand::TableAdd { comment: None },
        NftCommand::SetAdd(ports.clone()),
        add(&ports, NftElement::new([name("vif1.0")])),
        add(&bad, NftElement::new([name("vif1.0")])),
        add(&ports, NftElement::new([name("vif2.0")])),
    ];
    let mut nft = Nftables::open().unwrap();
    let batch = batch(BRIDGE, "xennet", commands);
    assert_eq!(nft.apply(&batch).unwrap_err().errno(), libc::ENOENT);
    assert_eq!(netns.nft_text("list ruleset"), "");
    // The next request is in step.
    assert_eq!(nft.table(BRIDGE, "xennet").unwrap(), None);
    let good = NftBatch { commands: batch.commands[..3].to_vec(), ..batch };
    nft.apply(&good).unwrap();
    assert_eq!(nft.elements(BRIDGE, "xennet", &ports).unwrap().len(), 1);
    let nothing = NftCommand::ElementsDelete { set: ports.clone(), elements: vec![] };
    nft.apply(&NftBatch { commands: vec![nothing], ..good }).unwrap();
    assert_eq!(nft.elements(BRIDGE, "xennet", &ports).unwrap().len(), 1, "not all of them");
}

#[test]
fn an_element_that_is_there_is_told_to_end() {
    let _netns = Netns::new();
    let ports = NftSet { timeout: true, ..counting("ports", &[NftKey::IfName]) };
    let of = |n: u32| NftElement::new([name(&format!("vif{n}.0"))]).comment(format!("guest {n}"));
    let commands = vec![
        NftCommand::TableAdd { comment: None },
        NftCommand::SetAdd(ports.clone()),
        NftCommand::ElementsAdd { set: ports.clone(), elements: (1..=3).map(of).collect() },
    ];
    let mut nft = Nftables::open().unwrap();
    nft.apply(&batch(INET, "xennet", commands)).unwrap();
    assert_eq!(nft.sets(INET, "xennet").unwrap(), std::slice::from_ref(&ports));
    let end = |n, ms| {
        let timeout = Some(Duration::from_millis(ms));
        add(&ports, NftElement { timeout, comment: None, ..of(n) })
    };
    nft.apply(&batch(INET, "xennet", vec![end(1, 10), end(2, 3_600_000)])).unwrap();
    let there = |nft: &mut Nftables| {
        let asked: Vec<_> = (1..=3).map(of).collect();
        let questions: Vec<_> = asked.iter().map(|element| (&ports, element)).collect();
        nft.find(INET, "xennet", &questions).unwrap()
    };
    if !Nftables::supports_element_expiry() {
        let left = there(&mut nft);
        assert!(left.iter().flatten().all(|element| element.timeout.is_none()), "{left:?}");
        assert_eq!(left.iter().flatten().count(), 3, "an older kernel lets them be");
        return;
    }
    let began = Instant::now();
    while there(&mut nft)[0].is_some() {
        assert!(began.elapsed() < Duration::from_secs(5), "it does not end");
        thread::sleep(Duration::from_millis(1));
    }
    let left = there(&mut nft);
    let hour = left[1].as_ref().unwrap();
    assert!(hour.timeout.unwrap() > Duration::from_mins(50), "{hour:?}");
    assert_eq!(hour.comment.as_deref(), Some("guest 2"), "its first one stays");
    assert_eq!(left[2].as_ref().unwrap().timeout, None);
    // Though the kernel may not have looked for it yet, its place is free.
    nft.apply(&batch(INET, "xennet", vec![add(&ports, of(1).comment("another"))])).unwrap();
    assert_eq!(there(&mut nft)[0].as_ref().unwrap().comment.as_deref(), Some("another"));
    // And what was to end is taken back.
    nft.apply(&batch(INET, "xennet", vec![add(&ports, of(2))])).unwrap();
    assert_eq!(there(&mut nft)[1].as_ref().unwrap().timeout, None);
}

#[test]
fn created_element_must_not_exist_and_keeps_the_counter_that_it_is_given() {
    let _netns = Netns::new();
    let ports = counting("ports", &[NftKey::IfName]);
    let counter = Some(NftCounter { packets: 7, bytes: 700 });
    let element = |n: u32| NftElement { counter, ..NftElement::new([name(&format!("vif{n}.0"))]) };
    let create = |n| NftCommand::ElementsCreate { set: ports.clone(), elements: vec![element(n)] };
    let mut nft = Nftables::open().unwrap();
    let table = vec![NftCommand::TableAdd { comment: None }, NftCommand::SetAdd(ports.clone())];
    nft.apply(&batch(BRIDGE, "xennet", [table, vec![create(1)]].concat())).unwrap();
    let error = nft.apply(&batch(BRIDGE, "xennet", vec![create(2), create(1)])).unwrap_err();
    assert_eq!(error.errno(), libc::EEXIST);
    assert!(
        error.to_string().contains("create element bridge xennet ports { \"vif1.0\" }"),
        "{error}"
    );
    let delete = NftCommand::ElementsDelete { set: ports.clone(), elements: vec![element(1)] };
    nft.apply(&batch(BRIDGE, "xennet", vec![delete, create(1), add(&ports, element(3))])).unwrap();
    // To an element that exists, the counter that it is given means nothing.
    let other = NftElement { counter: Some(NftCounter::default()), ..element(1) };
    nft.apply(&batch(BRIDGE, "xennet", vec![add(&ports, other)])).unwrap();
    let mut found = nft.elements(BRIDGE, "xennet", &ports).unwrap();
    found.sort_by(|one, other| one.key.cmp(&other.key));
    assert_eq!(found, [element(1), element(3)]);
}

#[test]
fn a_batch_for_another_generation_is_not_done() {
    let netns = Netns::new();
    let mut nft = Nftables::open().unwrap();
    let before = nft.generation().unwrap();
    let mut batch = batch(BRIDGE, "xennet", vec![NftCommand::TableAdd { comment: None }]);
    batch.generation = Some(before);
    netns.nft("table inet other { }");
    let error = nft.apply(&batch).unwrap_err();
    assert_eq!(error.errno(), libc::EAGAIN, "{error}");
    assert_eq!(nft.table(BRIDGE, "xennet").unwrap(), None);
    let after = nft.generation().unwrap();
    assert_ne!(before, after);
    batch.generation = Some(after);
    nft.apply(&batch).unwrap();
    assert!(nft.table(BRIDGE, "xennet").unwrap().is_some());
}

#[test]
fn single_elements_are_found_among_many() {
    let _netns = Netns::new();
    let ports = counting("ports", &[NftKey::IfName]);
    let macs = set("macs", &[NftKey::IfName, NftKey::EtherAddr]);
    let missing = set("missing", &[NftKey::IfName]);
    let port = |n: u32| NftElement::new([name(&format!("vif{n}.0"))]);
    let mac = |n: u8| {
        let name = name(&format!("vif{n}.0"));
        NftElement::new([name, NftValue::EtherAddr([0, 0, 0, 0, 0, n])])
    };
    // Every second port, each with the longest record that there may be.
    let record =
        |n: u32| format!("{n:03} {}", "é".repeat(61) + "…").chars().take(65).collect::<String>();
    let elements = (0..50).map(|n| port(2 * n).comment(record(n))).collect();
    apply(
        BRIDGE,
        "xennet",
        vec![
            NftCommand::TableAdd { comment: None },
            NftCommand::SetAdd(ports.clone()),
            NftCommand::SetAdd(macs.clone()),
            NftCommand::ElementsAdd { set: ports.clone(), elements },
            NftCommand::ElementsAdd { set: macs.clone(), elements: (0..50).map(mac).collect() },
        ],
    );
    let mut nft = Nftables::open().unwrap();
    let asked: Vec<NftElement> = (0..100).map(port).collect();
    let of_macs = mac(7);
    let mut questions: Vec<_> = asked.iter().map(|element| (&ports, element)).collect();
    questions.insert(3, (&macs, &of_macs));
    questions.push((&missing, &asked[0]));
    let mut found = nft.find(BRIDGE, "xennet", &questions).unwrap();
    assert_eq!(found.len(), 102);
    assert_eq!(found.pop().unwrap(), None, "of a set that there is not");
    assert_eq!(found.remove(3), Some(mac(7)));
    for (n, found) in (0..100).zip(found) {
        let wanted = port(n).comment(record(n / 2));
        let wanted = NftElement { counter: Some(NftCounter::default()), ..wanted };
        assert_eq!(found, (n % 2 == 0).then_some(wanted), "{n}");
    }
    assert_eq!(nft.find(BRIDGE, "nowhere", &questions[..2]).unwrap(), [None, None]);
    assert_eq!(nft.find(BRIDGE, "xennet", &[]).unwrap(), []);
}

#[test]
fn elements_and_rules_count_packets() {
    let _netns = Netns::new();
    let ports = counting("ports", &[NftKey::IfName]);
    apply(
        INET,
        "xennet",
        vec![
            NftCommand::TableAdd { comment: None },
            NftCommand::SetAdd(ports.clone()),
            add(&ports, NftElement::new([name("lo")])),
            base_chain("in", "filter", NftHookPoint::Input, 0, NftPolicy::Accept),
            rule(
                "in",
                vec![
                    load(NftMeta::IifName),
                    lookup("ports"),
                    NftExpr::Counter(NftCounter { packets: 9, bytes: 9 }),
                ],
            ),
        ],
    );
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for _ in 0..3 {
        socket.send_to(b"abcd", socket.local_addr().unwrap()).unwrap();
    }
    // Each is there once it has passed the chain.
    for _ in 0..3 {
        socket.recv(&mut [0; 16]).unwrap();
    }
    let counted = NftCounter { packets: 3, bytes: 3 * (20 + 8 + 4) };
    let mut nft = Nftables::open().unwrap();
    let rules = nft.rules(INET, "xennet").unwrap();
    // It began with what it was given.
    let rule_counted = NftCounter { packets: 9 + counted.packets, bytes: 9 + counted.bytes };
    assert_eq!(rules[0].expressions[2], NftExpr::Counter(rule_counted));
    let elements = nft.elements(INET, "xennet", &ports).unwrap();
    assert_eq!(elements[0].counter, Some(counted));
    let found = nft.find(INET, "xennet", &[(&ports, &elements[0])]).unwrap();
    assert_eq!(found, [Some(elements[0].clone())]);
    // One that is there already is left as it is.
    apply(INET, "xennet", vec![add(&ports, NftElement::new([name("lo")]).comment("other"))]);
    assert_eq!(nft.elements(INET, "xennet", &ports).unwrap(), elements);
}

#[test]
fn a_dormant_table_is_waked_and_says_what_it_said() {
    let netns = Netns::new();
    netns.nft("table bridge xennet { flags dormant; comment \"one\"; }");
    let mut nft = Nftables::open().unwrap();
    assert!(nft.table(BRIDGE, "xennet").unwrap().unwrap().dormant);
    let add = NftCommand::TableAdd { comment: Some("two".to_owned()) };
    nft.apply(&batch(BRIDGE, "xennet", vec![add])).unwrap();
    let table = nft.table(BRIDGE, "xennet").unwrap().unwrap();
    assert!(!table.dormant);
    assert_eq!(table.comment.as_deref(), Some("one"), "the kernel keeps the first");
}

#[test]
fn ten_thousand_elements() {
    let _netns = Netns::new();
    let set = counting("ports", &[NftKey::IfName, NftKey::Ipv4Addr]);
    let element = |n: u32| {
        let key = [NftValue::IfName("vif1.0".parse().unwrap()), NftValue::Ipv4Addr(n.into())];
        NftElement::new(key).comment(format!("the {n}th"))
    };
    let all: Vec<_> = (0..10_000).map(element).collect();
    let mut nft = Nftables::open().unwrap();
    let mut run = |commands| nft.apply(&batch(BRIDGE, "xennet", commands));
    let add = NftCommand::ElementsAdd { set: set.clone(), elements: all.clone() };
    run(vec![NftCommand::TableAdd { comment: None }, NftCommand::SetAdd(set.clone()), add])
        .unwrap();
    let read = || {
        let mut nft = Nftables::open().unwrap();
        let mut read = nft.elements(BRIDGE, "xennet", &set).unwrap();
        for element in &mut read {
            element.counter = None;
        }
        read.sort_by_key(|element| element.key.clone());
        read
    };
    assert_eq!(read(), all);

    // The one that fails is named, however far behind; and the error is the first of many.
    let mut elements = all.clone();
    elements.insert(9_990, element(77_777));
    elements.insert(9_991, element(88_888));
    let delete = NftCommand::ElementsDelete { set: set.clone(), elements };
    let error = run(vec![delete]).unwrap_err();
    let words = r#"nft delete element bridge xennet ports { "vif1.0" . 0.1.47.209 "#;
    assert!(error.to_string().starts_with(words), "{error}");
    let twice: Vec<_> = (0..2000)
        .map(|n| NftCommand::ElementsDelete {
            set: set.clone(),
            elements: vec![element(n + 20_000)],
        })
        .collect();
    let error = run(twice).unwrap_err();
    assert!(error.to_string().contains(r#""vif1.0" . 0.0.78.32 "#), "{error}");
    assert_eq!(read(), all, "nothing was done");

    run(vec![NftCommand::ElementsDelete { set: set.clone(), elements: all }]).unwrap();
    assert_eq!(read(), []);
}

fn apply(family: NftFamily, table: &str, commands: Vec<NftCommand>) {
    Nftables::open().unwrap().apply(&batch(family, table, commands)).unwrap();
}
