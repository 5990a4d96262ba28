//! Faults that were found once, each by its own test where no scenario has it.

use std::fs;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use xennet_core::xenstore::wire::{Op, Packet};
use xennet_core::xenstore::{ErrorKind, XenStore};
use xennet_tests::faulty_store::{FaultyStore, Reaction, bytes};
use xennet_tests::hotplug::{Dom0, Script, VIF};
use xennet_tests::lan::Lan;
use xennet_tests::ovs::OpenVswitch;
use xennet_tests::strace;

const INHERIT: &str = "[[bridge]]\nname = \"xenbr0\"\nuplink = \"eth0\"\naddresses = \"inherit\"\n";

#[test]
fn stop_during_which_the_bridge_is_deleted_restores_the_uplink() {
    let lan = Lan::with_addresses();
    lan.configure(INHERIT);
    let before = lan.state();
    lan.xennet("network start").succeeded();
    let count = {
        let run = strace::traced(&lan.command("network stop"));
        run.count_by_first_process("sendto")
    };
    for n in (1..=count).step_by(3) {
        lan.xennet("network start").succeeded();
        strace::stopped_after(&lan.command("network stop"), "sendto", n, || {
            lan.netns.try_ip("link delete xenbr0");
        });
        lan.xennet("network stop").succeeded();
        let began = Instant::now();
        while lan.state() != before {
            assert!(began.elapsed() < Duration::from_secs(20), "sendto {n}: not restored");
            sleep(Duration::from_millis(100));
        }
    }
}

#[test]
fn stop_without_a_start_succeeds_where_a_bridge_existed_before() {
    let lan = Lan::with_addresses();
    lan.configure(INHERIT);
    lan.netns.make_bridge("xenbr0");
    let stopped = lan.xennet("network stop");
    stopped.succeeded();
    assert_eq!(stopped.stderr, "");
}

#[test]
fn stop_leaves_no_link_local_address_of_the_bridge() {
    let lan = Lan::with_addresses();
    lan.configure(INHERIT);
    let count = |name: &str| {
        let addresses = lan.netns.ip_json(&format!("-6 address show dev {name}")).to_string();
        addresses.matches("fe80::").count()
    };
    let before = count("eth0");
    lan.xennet("network start").succeeded();
    lan.settled();
    lan.xennet("network stop").succeeded();
    lan.settled();
    assert_eq!(count("eth0"), before);
}

#[test]
fn start_succeeds_although_the_note_of_a_roll_back_stays() {
    let lan = Lan::with_addresses();
    lan.configure(INHERIT);
    let last = "{\"at\":{\"secs\":1,\"nanos\":0},\"why\":\"test\"}";
    fs::create_dir_all(lan.run_dir()).unwrap();
    fs::write(lan.run_dir().join("network.last"), last).unwrap();
    let command = lan.command("network start");
    let run = strace::disturbed(&command, "unlink", "error=EIO:when=1+");
    assert!(run.struck);
    run.outcome.succeeded();
    lan.xennet("network stop").succeeded();
}

#[test]
fn tap_that_is_attached_at_last_forgets_the_error() {
    let dom0 = Dom0::new();
    dom0.boot(VIF, &[("hotplug-status", "connected")]);
    dom0.make_tap(VIF);
    dom0.hook("fail.hook", "exit 1");
    assert_eq!(dom0.add(Script::Ours, VIF).code, Some(1));
    assert!(dom0.key(VIF, "hotplug-error").unwrap_or_default().contains("fail.hook"));
    assert_eq!(dom0.key(VIF, "hotplug-status").as_deref(), Some("connected"), "of the vif");
    fs::remove_file(dom0.hook_dir().join("fail.hook")).unwrap();
    dom0.add(Script::Ours, VIF).succeeded();
    assert_eq!(dom0.key(VIF, "hotplug-error"), None);
}

/// Open vSwitch writes the flags of a device once more when it releases it.
#[test]
fn vif_that_leaves_open_vswitch_stays_down() {
    let dom0 = Dom0::new();
    let _ovs = OpenVswitch::start(&dom0.ovs_dir(), &["br0"]);
    dom0.boot(VIF, &[("bridge", "br0")]);
    dom0.without_dry_run();
    for n in 0..30 {
        dom0.online(Script::OursOpenVswitch, VIF).succeeded();
        dom0.offline(Script::OursOpenVswitch, VIF).succeeded();
        let link = dom0.netns.link("vif1.0").to_string();
        assert!(!link.contains("\"UP\""), "cycle {n}: {link}");
    }
}

#[test]
fn endless_losses_end_within_the_limit() {
    let dom0 = Dom0::new();
    dom0.boot(VIF, &[("ip", "10.0.0.5")]);
    for action in ["online", "offline"] {
        let command = dom0.command(Script::Ours, VIF, &[action, "type_if=vif"], &[]);
        let run = strace::disturbed(&command, "recvmmsg", "error=ENOBUFS:when=2+");
        assert!(run.struck);
        assert!(run.outcome.took < Duration::from_secs(40), "{:?}", run.outcome.took);
        assert!(run.calls.len() < 20_000, "{} calls", run.calls.len());
    }
}

#[test]
fn no_descriptor_left_is_not_explained_as_no_xenstored() {
    let dom0 = Dom0::new();
    dom0.boot(VIF, &[]);
    let command = dom0.command(Script::Ours, VIF, &["online", "type_if=vif"], &[]);
    let run = strace::disturbed(&command, "socket", "error=EMFILE:when=1+");
    assert_eq!(run.outcome.code, Some(1));
    let said = &run.outcome.stderr;
    assert!(said.contains("ulimit -n") && !said.contains("start xenstored"), "{said}");
}

#[test]
fn events_without_end_end_the_connection() {
    let faulty = FaultyStore::start(|_, _, answer| {
        let event = |n| Packet {
            op: Op::WATCH_EVENT,
            req_id: 0,
            tx_id: 0,
            payload: format!("/x/{n}\0t\0").into_bytes(),
        };
        let events: Vec<Packet> = (0..20_000).map(event).collect();
        Reaction::Send([bytes(&events), bytes(&answer)].concat())
    });
    let error = XenStore::connect(&faulty.socket()).unwrap().read("/a").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Protocol { .. }), "{error}");
    assert!(error.to_string().contains("different events"), "{error}");
}

#[test]
fn long_error_word_is_cut() {
    let faulty = FaultyStore::start(|_, _, mut answer| {
        for packet in &mut answer {
            packet.op = Op::ERROR;
            packet.payload = [vec![b'E'; 4000], vec![0]].concat();
        }
        Reaction::Send(bytes(&answer))
    });
    let error = XenStore::connect(&faulty.socket()).unwrap().read("/a").unwrap_err();
    assert!(error.to_string().len() < 300, "{error}");
}

#[test]
fn long_value_in_a_file_is_cut() {
    let dir = tempfile::TempDir::new().unwrap();
    let file = dir.path().join("xennet.toml");
    let long = "x".repeat(20_000);
    for text in [
        format!("[[bridge]]\nname = \"{long}\"\n"),
        format!("[[bridge]]\nname = \"b\"\n{long} = 1\n"),
        format!("[[{long}]]\n"),
        long.clone(),
        format!("[vif]\nmac = \"{long}\"\n"),
    ] {
        fs::write(&file, text).unwrap();
        let output = Command::new(xennet_tests::hotplug::xennet())
            .args(["network", "plan"])
            .env("XENNET_CONFIG", &file)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.len() < 2000, "{} bytes", said.len());
    }
}
