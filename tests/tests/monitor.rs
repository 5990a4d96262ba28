//! What a poll loop is told, by the real kernel and the real xenstored.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::collections::BTreeSet;
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use xennet_core::types::VifId;
use xennet_core::xenstore::XenStore;
use xennet_core::{Dom0Network, Event, Monitor};
use xennet_tests::hotplug::{Dom0, VIF};

#[test]
fn the_first_event_is_everything_and_then_there_is_peace() {
    let (_dom0, _net, mut monitor) = listening();
    assert!(readable(&monitor));
    assert_eq!(monitor.events().unwrap(), [Event::Everything]);
    assert!(!readable(&monitor));
    assert_eq!(monitor.events().unwrap(), []);
}

#[test]
fn an_interface_comes_changes_and_goes() {
    let (dom0, _net, mut monitor) = listening();
    rest(&mut monitor);
    dom0.netns.ip("link add d0 type veth peer name d1");
    let told = rest(&mut monitor);
    assert!(told.contains("link d0") && told.contains("link d1"), "{told:?}");
    for words in ["link set d0 mtu 1400", "link set d0 master xenbr0", "link set d0 nomaster"] {
        dom0.netns.ip(words);
        let told = rest(&mut monitor);
        assert!(told.contains("link d0"), "{words}: {told:?}");
        // A bridge says of a port that leaves it that it is deleted.
        assert!(!told.iter().any(|event| event.starts_with("gone")), "{words}: {told:?}");
    }
    dom0.netns.ip("link delete d0");
    let told = rest(&mut monitor);
    assert!(told.contains("gone d0") && told.contains("gone d1"), "{told:?}");
}

#[test]
fn an_interface_of_a_vif_is_told_as_the_vif_under_whatever_name() {
    let (dom0, mut net, mut monitor) = listening();
    dom0.boot(VIF, &[("vifname", "web")]);
    net.vif(VIF).unwrap().online().unwrap();
    settle(&dom0, &mut monitor);
    dom0.netns.ip("link set web mtu 1400");
    let told = rest(&mut monitor);
    assert!(told.contains("link web") && told.contains("vif 1.0"), "{told:?}");
    dom0.netns.ip("link delete web");
    let told = rest(&mut monitor);
    assert!(told.contains("gone web") && told.contains("vif 1.0"), "{told:?}");
}

#[test]
fn xenstore_tells_of_vifs_and_of_nothing_else() {
    let (dom0, _net, mut monitor) = listening();
    dom0.fill_store(VIF, &[]);
    settle(&dom0, &mut monitor);
    let write = |path: &str| drop(dom0.store.tool("xenstore-write", &[path, "x"]));
    // The kernel may report late that the dom0's own links have a carrier.
    let mut of_store = || {
        let events = settle(&dom0, &mut monitor).into_iter();
        events.filter(|event| !event.starts_with("link ")).collect::<BTreeSet<_>>()
    };
    write("/local/domain/0/backend/vif/1/0/state");
    assert_eq!(of_store(), ["vif 1.0".to_owned()].into());
    // What a guest may write wakes nobody.
    write("/local/domain/1/device/vif/0/state");
    write("/local/domain/0/backend/vbd/1/0/state");
    assert_eq!(of_store(), BTreeSet::new());
    // The directory of all of a guest's.
    dom0.store.tool("xenstore-rm", &["/local/domain/0/backend/vif/1"]);
    assert!(settle(&dom0, &mut monitor).contains("everything"));
}

#[test]
fn more_than_the_socket_holds_is_told_as_everything() {
    let (dom0, _net, mut monitor) = listening();
    rest(&mut monitor);
    dom0.netns.make_bridge("storm");
    dom0.netns.fill_bridge("storm", 400);
    assert!(rest(&mut monitor).contains("everything"));
    dom0.netns.ip("link set uplink mtu 1400");
    assert!(rest(&mut monitor).contains("link uplink"));
}

#[test]
fn more_than_one_call_tells_is_told_by_the_next() {
    let (dom0, _net, mut monitor) = listening();
    rest(&mut monitor);
    let paths: Vec<_> =
        (1..=600).map(|domid| (VifId { domid, devid: 0 }.xenbus_path() + "/state", "1")).collect();
    XenStore::connect(&dom0.store.socket()).unwrap().write_many(&paths).unwrap();
    let mut told = BTreeSet::new();
    while told.len() < 600 {
        wait(&monitor);
        let events = monitor.events().unwrap();
        assert!(events.len() <= 256, "{}", events.len());
        told.extend(events.iter().map(text));
    }
}

#[test]
fn without_xenstore_interfaces_are_heard_of() {
    let dom0 = Dom0::new();
    let net = Dom0Network::without_store().unwrap();
    let mut monitor = net.monitor().unwrap();
    assert_eq!(rest(&mut monitor), ["everything".to_owned()].into());
    dom0.make_vif(VIF);
    let told = rest(&mut monitor);
    assert!(told.contains("link vif1.0") && told.contains("vif 1.0"), "{told:?}");
}

fn listening() -> (Dom0, Dom0Network, Monitor) {
    let dom0 = Dom0::new();
    let store = XenStore::connect(&dom0.store.socket()).unwrap();
    let mut net = Dom0Network::with_store(Some(store)).unwrap();
    net.set_run_dir(dom0.run_dir());
    net.set_hook_dir(dom0.hook_dir());
    let monitor = net.monitor().unwrap();
    (dom0, net, monitor)
}

/// All that has been told of interfaces: the kernel tells whoever listens before it answers who asked for the change.
fn rest(monitor: &mut Monitor) -> BTreeSet<String> {
    let mut told = BTreeSet::new();
    while readable(monitor) {
        told.extend(monitor.events().unwrap().iter().map(text));
    }
    told
}

/// All that has been told, by XenStore too: it tells in its own time, but one thing after the other.
fn settle(dom0: &Dom0, monitor: &mut Monitor) -> BTreeSet<String> {
    let last = || drop(dom0.store.tool("xenstore-write", &["backend/vif/999/999/last", "x"]));
    let mut told = BTreeSet::new();
    last();
    while !told.remove("vif 999.999") {
        wait(monitor);
        let events = monitor.events().unwrap();
        told.extend(events.iter().map(text));
        if events.contains(&Event::Everything) {
            // It may have been among all that this stands for.
            last();
        }
    }
    told
}

fn text(event: &Event) -> String {
    match event {
        Event::Everything => "everything".to_owned(),
        Event::Vif(id) => format!("vif {id}"),
        Event::Link(link) => format!("link {}", link.name),
        Event::LinkGone(link) => format!("gone {}", link.name),
        other => panic!("{other:?}"),
    }
}

fn wait(monitor: &Monitor) {
    assert!(polled(monitor, PollTimeout::from(60_000_u16)), "nothing came");
}

fn readable(monitor: &Monitor) -> bool {
    polled(monitor, PollTimeout::ZERO)
}

fn polled(monitor: &Monitor, timeout: PollTimeout) -> bool {
    poll(&mut [PollFd::new(monitor.as_fd(), PollFlags::POLLIN)], timeout).unwrap() == 1
}
