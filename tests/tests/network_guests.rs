//! Guests that lost their bridge: `network start` attaches them again.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by a panic")]

use std::fs;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use xennet_core::types::VifId;
use xennet_tests::hotplug::{Dom0, Outcome, Script};
use xennet_tests::netns::within;
use xennet_tests::world::{World, ip, never_reaches, reaches};

const ONE: VifId = VifId { domid: 1, devid: 0 };
const OTHER: VifId = VifId { domid: 2, devid: 0 };
const START: &str = "network start --confirm-timeout 0 -v";

/// A host with an uplink whose addresses are on xenbr0, and guests on it.
fn host(guests: &[(VifId, &[(&str, &str)])]) -> Dom0 {
    let dom0 = Dom0::without_bridge();
    dom0.netns.ip("link add eth0 type veth peer name lan0");
    dom0.netns.ip("link set lan0 up");
    dom0.netns.ip("link set eth0 addrgenmode none up");
    dom0.netns.ip("address add 192.0.2.2/24 dev eth0");
    configure(&dom0, "[[bridge]]\nname = \"xenbr0\"\nuplink = \"eth0\"\naddresses = \"inherit\"\n");
    dom0.xennet(START).succeeded();
    for (id, keys) in guests {
        dom0.boot(*id, keys);
        dom0.online(Script::Ours, *id).succeeded();
    }
    dom0
}

fn configure(dom0: &Dom0, text: &str) {
    fs::write(dom0.dir().join("xennet.toml"), text).unwrap();
}

fn master(dom0: &Dom0, link: &str) -> String {
    dom0.netns.link(link)["master"].as_str().unwrap_or_default().to_owned()
}

/// Its row of `vif list`, from the column STATUS on.
fn row(dom0: &Dom0, id: VifId) -> String {
    let list = dom0.xennet("vif list");
    list.succeeded();
    let row =
        list.stdout.lines().find(|line| line.starts_with(&id.to_string())).unwrap().to_owned();
    row.split_whitespace().skip(4).collect::<Vec<_>>().join(" ")
}

fn warnings(outcome: &Outcome) -> Vec<&str> {
    outcome.stderr.lines().filter_map(|line| line.strip_prefix("xennet: warning: ")).collect()
}

#[test]
fn start_attaches_guests_of_a_deleted_bridge_again() {
    let dom0 = host(&[(ONE, &[("ip", "192.0.2.5")]), (OTHER, &[])]);
    dom0.make_tap(ONE);
    dom0.add(Script::Ours, ONE).succeeded();
    let before = dom0.state();
    dom0.xennet("network stop --force").succeeded();
    assert_eq!(master(&dom0, "vif1.0"), "");
    let hint = "connected bridge xenbr0: no such interface; xennet.toml describes it, and `xennet network start` makes it";
    assert_eq!(row(&dom0, ONE), hint);
    let planned = dom0.xennet("network plan");
    planned.succeeded();
    let missing = "bridge xenbr0: no such interface; xennet.toml describes it, and `xennet network start` makes it";
    let waits = |id| format!("vif{id}: not attached again: {missing}");
    assert_eq!(warnings(&planned), [waits(ONE), waits(ONE), waits(OTHER)]);

    let without = dom0.xennet(&format!("{START} --no-guests"));
    without.succeeded();
    assert_eq!(master(&dom0, "vif1.0"), "");
    assert_eq!(row(&dom0, ONE), "connected not in a bridge");
    let planned = dom0.xennet("network start --dry-run");
    planned.succeeded();
    let started = dom0.xennet(START);
    started.succeeded();
    assert_eq!(started.stderr, planned.stdout, "the dry run and the start");
    assert!(started.stderr.contains("link set dev vif2.0 master xenbr0\n"), "{started:?}");
    assert_eq!(dom0.state(), before);
    assert_eq!(
        (row(&dom0, ONE), row(&dom0, OTHER)),
        ("connected ok".into(), "connected ok".into())
    );
    let again = dom0.xennet(START);
    assert_eq!(
        (again.code, again.stderr.as_str()),
        (Some(0), ""),
        "the second start did something"
    );
    // The guard holds the guest to its address again.
    dom0.xennet("guard check").succeeded();
}

#[test]
fn start_leaves_other_vifs_alone() {
    let dom0 = host(&[(ONE, &[])]);
    dom0.netns.ip("link add other0 type bridge");
    for (id, keys) in
        [(OTHER, [("bridge", "other0")]), (VifId { domid: 3, devid: 0 }, [("bridge", "xenbr0")])]
    {
        dom0.boot(id, &keys);
    }
    // Connected on a bridge that xennet.toml does not describe.
    dom0.online(Script::Ours, OTHER).succeeded();
    dom0.netns.ip("link set vif2.0 nomaster");
    // The backend of a guest whose interface is gone.
    dom0.fill_store(VifId { domid: 4, devid: 0 }, &[("hotplug-status", "connected")]);
    let before = dom0.state();
    let started = dom0.xennet(START);
    assert_eq!((started.code, started.stderr.as_str()), (Some(0), ""), "{started:?}");
    assert_eq!(dom0.state(), before);
}

#[test]
fn one_guest_that_fails_stops_neither_the_start_nor_the_others() {
    let dom0 = host(&[(ONE, &[]), (OTHER, &[])]);
    dom0.xennet("network stop --force").succeeded();
    dom0.hook("fail.hook", "[ $dev != vif1.0 ]");
    let started = dom0.xennet(START);
    started.succeeded();
    assert_eq!(master(&dom0, "eth0"), "xenbr0");
    assert_eq!(master(&dom0, "vif2.0"), "xenbr0");
    let warnings = warnings(&started);
    assert!(
        matches!(warnings[..], [said] if said.starts_with("vif1.0: not attached again: hook ")),
        "{started:?}"
    );
}

#[test]
fn host_without_xenstore_starts_without_a_word() {
    let dom0 = host(&[(ONE, &[])]);
    dom0.xennet("network stop --force").succeeded();
    let nowhere = dom0.dir().join("nowhere");
    let started = dom0.xennet_with(START, &[("XENSTORED_PATH", nowhere.to_str().unwrap())]);
    started.succeeded();
    assert_eq!(warnings(&started), [""; 0]);
    assert_eq!(master(&dom0, "vif1.0"), "");
}

#[test]
fn start_on_trial_attaches_guests_again() {
    let dom0 = host(&[(ONE, &[])]);
    dom0.netns.ip("link delete xenbr0");
    dom0.xennet("network stop").succeeded();
    dom0.xennet("network start --confirm-timeout 60").succeeded();
    assert_eq!(master(&dom0, "vif1.0"), "xenbr0");
    dom0.xennet("network confirm").succeeded();
    assert_eq!(row(&dom0, ONE), "connected ok");
}

/// The words of a command of the unit.
fn unit(key: &str) -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../dist/xennet-network.service.in");
    let unit = fs::read_to_string(path).unwrap();
    let line = unit.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    line.split_once("/xennet ").unwrap().1.to_owned()
}

#[test]
fn restart_of_the_unit_loses_no_packet_of_a_guest() {
    let world = World::new();
    let inherit = "[[bridge]]\nname = \"xenbr0\"\nuplink = \"eth0\"\naddresses = \"inherit\"\n";
    world.configure(inherit);
    world.start().succeeded();
    world.dom0.boot(ONE, &[("mac", "00:16:3e:00:00:01")]);
    world.dom0.online(Script::Ours, ONE).succeeded();
    let guest = world.move_in(ONE);
    ip(&guest, "address add 192.0.2.50/24 dev guest1.0");
    assert!(reaches(&guest, "192.0.2.1"));
    let ping = within(&guest, || {
        let words = "-n -q -i 0.005 -w 30 192.0.2.1";
        Command::new("ping").args(words.split(' ')).stdout(Stdio::piped()).spawn().unwrap()
    });

    // The administrator changed the file.
    world.configure(&format!("{inherit}[[bridge]]\nname = \"more0\"\n"));
    let stopped = world.dom0.xennet(&unit("ExecStop="));
    assert_eq!(stopped.code, Some(1), "{stopped:?}");
    assert!(stopped.stderr.contains("vif1.0"), "{stopped:?}");
    let started = world.dom0.xennet(&unit("ExecStart="));
    started.succeeded();
    assert!(world.dom0.netns.try_ip("link show dev more0"));
    let reloaded = world.dom0.xennet(&unit("ExecReload="));
    assert_eq!((reloaded.code, reloaded.stderr.as_str()), (Some(0), ""));

    kill(Pid::from_raw(ping.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    let output = ping.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains(" 0% packet loss"), "{said}");

    // What the guest cannot avoid: its bridge is deleted.
    world.dom0.xennet("network stop --force").succeeded();
    assert!(never_reaches(&guest, "192.0.2.1"));
    world.dom0.xennet(&unit("ExecStart=")).succeeded();
    assert!(reaches(&guest, "192.0.2.1"));
}
