//! What the library asks of the kernel, counted by `strace`: it must not grow with interfaces that it is not about.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::collections::BTreeMap;
use std::process::Command;

use xennet_core::kernel::{Kernel, LinkFilter, Nftables};
use xennet_core::types::{
    LinkRef, LinkSet, MacAddr, NftCommand, NftElement, NftFamily, NftKey, PortFlags, PortSet,
};
use xennet_tests::netns::Netns;
use xennet_tests::nft::{batch, counting, name};

const OPEN: [(&str, u32); 2] = [("socket", 1), ("setsockopt", 2)];

#[test]
fn opening_is_three_calls() {
    let _netns = Netns::new();
    assert_eq!(calls("open"), BTreeMap::from(OPEN.map(|(name, count)| (name.to_owned(), count))));
}

#[test]
fn a_plug_is_one_send_and_one_receive_for_each_request() {
    let netns = Netns::new();
    netns.make_bridge("xenbr0");
    netns.veth("vif1.0", "guest");
    let alone = calls("plug");
    // Two links looked up, eight changes, one of which is read back.
    assert_eq!((alone["sendto"], alone["recvmmsg"]), (11, 11));
    for (name, count) in OPEN {
        assert_eq!(alone[name], count, "{name}");
    }
    assert_eq!(alone.len(), OPEN.len() + 2, "nothing else: {alone:?}");

    crowd(&netns);
    assert_eq!(calls("plug"), alone, "900 other interfaces cost no call more");
}

#[test]
fn a_filtered_list_does_not_grow_with_others() {
    let netns = Netns::new();
    netns.make_bridge("xenbr0");
    netns.veth("vif1.0", "guest");
    netns.ip("link set vif1.0 master xenbr0");
    let alone = calls("lists");
    crowd(&netns);
    let crowded = calls("lists");
    assert_eq!(crowded, alone);
    assert!(calls("all")["recvmmsg"] > 10, "the crowd is there, and is more than one datagram");
}

#[test]
fn a_batch_is_one_send_and_one_receive_and_64_questions_are_few_more() {
    let _netns = Netns::new();
    let calls = calls("nftables");
    // The batch; then 64 questions, of which each has an answer of its own, and sixteen are taken at a time.
    assert_eq!((calls["sendto"], calls["recvmmsg"]), (2, 1 + 4));
    assert_eq!(calls.len(), OPEN.len() + 2, "nothing else: {calls:?}");
}

/// The network calls that one of the jobs below makes.
fn calls(job: &str) -> BTreeMap<String, u32> {
    let trace = tempfile::NamedTempFile::new().unwrap();
    let output = Command::new("strace")
        .args(["-f", "-qq", "-e", "trace=%network", "-e", "signal=none", "-o"])
        .arg(trace.path())
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "job", "--ignored", "--test-threads=1"])
        .env("XENNET_TEST_JOB", job)
        .output()
        .expect("strace is installed: run tests/setup");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let mut counts = BTreeMap::new();
    for line in std::fs::read_to_string(trace.path()).unwrap().lines() {
        // "1234  sendto(3, ...": the number of the thread comes first.
        let call = line.split_whitespace().nth(1).unwrap_or_default();
        let name = call.split('(').next().unwrap_or_default();
        *counts.entry(name.to_owned()).or_default() += 1;
    }
    counts
}

#[test]
#[ignore = "run under strace by the other tests"]
fn job() {
    let job = std::env::var("XENNET_TEST_JOB").expect("the other tests say which");
    if job == "nftables" {
        return nftables();
    }
    let mut kernel = Kernel::open().unwrap();
    match job.as_str() {
        "open" => {}
        "plug" => plug(&mut kernel),
        "lists" => lists(&mut kernel),
        "all" => drop(kernel.links(LinkFilter::All).unwrap()),
        other => panic!("{other}"),
    }
}

fn plug(kernel: &mut Kernel) {
    let find = |kernel: &mut Kernel, name: &str| -> LinkRef {
        kernel.link(&name.parse().unwrap()).unwrap().unwrap().reference()
    };
    let bridge = find(kernel, "xenbr0");
    let vif = find(kernel, "vif1.0");
    for set in [
        LinkSet::Up(false),
        LinkSet::Name { name: "vif1.0".parse().unwrap(), alias: "x".to_owned() },
        LinkSet::Address(MacAddr::VIF),
        LinkSet::Mtu(xennet_core::types::Mtu::new(1400).unwrap()),
        LinkSet::Master(Some(bridge)),
        LinkSet::Up(true),
    ] {
        kernel.link_set(&vif, &set).unwrap();
    }
    kernel.port_set(&vif, &PortSet::default().on(PortFlags::ISOLATED)).unwrap();
    kernel.link_set(&vif, &LinkSet::Master(None)).unwrap();
}

fn nftables() {
    let set = counting("ports", &[NftKey::IfName]);
    let port = |n: u32| NftElement::new([name(&format!("vif{n}.0"))]);
    let elements: Vec<_> = (0..64).map(port).collect();
    let commands = vec![
        NftCommand::TableAdd { comment: None },
        NftCommand::SetAdd(set.clone()),
        NftCommand::ElementsAdd { set: set.clone(), elements: elements.clone() },
    ];
    let mut nft = Nftables::open().unwrap();
    nft.apply(&batch(NftFamily::Bridge, "xennet", commands)).unwrap();
    let questions: Vec<_> = elements.iter().map(|element| (&set, element)).collect();
    let found = nft.find(NftFamily::Bridge, "xennet", &questions).unwrap();
    assert!(found.iter().all(Option::is_some));
}

fn lists(kernel: &mut Kernel) {
    let bridges = kernel.links(LinkFilter::Kind("bridge")).unwrap();
    let [bridge] = bridges.as_slice() else { panic!("{bridges:?}") };
    let ports = kernel.links(LinkFilter::Master(bridge.index)).unwrap();
    let [port] = ports.as_slice() else { panic!("{ports:?}") };
    kernel.addresses(&port.reference()).unwrap();
    kernel.neighbours(&port.reference()).unwrap();
    kernel.port(port.index).unwrap();
}

/// 900 interfaces that nothing here is about.
fn crowd(netns: &Netns) {
    let pair = |i| format!("link add name c{i} type veth peer name d{i}");
    netns.ip_batch(&(0..450).map(pair).collect::<Vec<_>>());
}
