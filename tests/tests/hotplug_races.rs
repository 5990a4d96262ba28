//! Many at once, and others who meddle.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::cell::Cell;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::thread;

use xennet_core::types::VifId;
use xennet_tests::hotplug::{Dom0, Script, VIF};
use xennet_tests::strace::Purpose::Send;
use xennet_tests::strace::{self, for_each_call};

const ONLINE: [&str; 2] = ["online", "type_if=vif"];
const OFFLINE: [&str; 2] = ["offline", "type_if=vif"];

fn start(dom0: &Dom0, id: VifId, args: &[&str]) -> Child {
    let mut command = dom0.command(Script::Ours, id, args, &[]);
    command.stderr(Stdio::piped()).spawn().unwrap()
}

fn assert_all_succeed(children: Vec<Child>) {
    for child in children {
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{said}");
    }
}

#[test]
fn one_vif_plugged_many_times_at_once_is_plugged_once() {
    let dom0 = Dom0::new();
    dom0.hook("10-count.hook", "echo $command $dev >>count");
    for keys in [&[][..], &[("vifname", "web")]] {
        dom0.boot(VIF, keys);
        dom0.online(Script::Ours, VIF).succeeded();
        let undisturbed = dom0.state();
        let line = dom0.written("count").unwrap();
        for many in [2, 8] {
            dom0.forget(VIF);
            dom0.boot(VIF, keys);
            dom0.hook("10-count.hook", "echo $command $dev >>count");
            dom0.clear("count");
            assert_all_succeed((0..many).map(|_| start(&dom0, VIF, &ONLINE)).collect());
            assert_eq!(dom0.state(), undisturbed);
            assert_eq!(dom0.written("count").unwrap(), line, "{many} at once");
        }
        dom0.clear("count");
        dom0.forget(VIF);
    }
}

#[test]
fn plugging_and_unplugging_at_once_ends_in_one_of_the_two() {
    let dom0 = Dom0::new();
    for keys in [&[][..], &[("vifname", "web")]] {
        let name = if keys.is_empty() { "vif1.0" } else { "web" };
        for _ in 0..10 {
            dom0.forget(VIF);
            dom0.boot(VIF, keys);
            let both = [&ONLINE, &OFFLINE, &ONLINE, &OFFLINE];
            assert_all_succeed(both.iter().map(|args| start(&dom0, VIF, *args)).collect());
            let links = dom0.links();
            let fact = |key: &str| {
                let of = |name: &str| links.get(&format!("link {name} {key}")).cloned();
                of(name).or_else(|| of("vif1.0"))
            };
            let plugged = fact("master").is_some();
            assert_eq!(fact("up").as_deref(), Some(if plugged { "true" } else { "false" }));
            // Whoever was last, the next call finds what it needs.
            dom0.online(Script::Ours, VIF).succeeded();
            dom0.offline(Script::Ours, VIF).succeeded();
            assert_eq!(dom0.links().get(&format!("link {name} master")), None);
            assert_eq!(fs::read_dir(dom0.run_dir()).unwrap().count(), 0);
        }
    }
}

#[test]
fn sixty_four_vifs_at_once_on_one_bridge() {
    let dom0 = Dom0::new();
    let ids: Vec<VifId> = (1..=64).map(|domid| VifId { domid, devid: 0 }).collect();
    for id in &ids {
        dom0.boot(*id, &[]);
    }
    assert_all_succeed(ids.iter().map(|id| start(&dom0, *id, &ONLINE)).collect());
    let state = dom0.state();
    for id in &ids {
        assert_eq!(state[&format!("link vif{id} master")], "xenbr0");
        assert_eq!(state[&format!("link vif{id} up")], "true");
        assert_eq!(state[&format!("store {}/hotplug-status", dom0.backend(*id))], "connected");
    }
    assert_all_succeed(ids.iter().map(|id| start(&dom0, *id, &OFFLINE)).collect());
    let ports = dom0.links().into_iter().filter(|(_, value)| value == "xenbr0").count();
    assert_eq!(ports, 1, "the uplink");
    assert_eq!(fs::read_dir(dom0.run_dir()).unwrap().count(), 0);
}

#[test]
fn two_vifs_that_want_the_same_name() {
    let dom0 = Dom0::new();
    let ids = [VIF, VifId { domid: 2, devid: 0 }];
    for id in ids {
        dom0.boot(id, &[("vifname", "web")]);
    }
    let children = ids.map(|id| start(&dom0, id, &ONLINE));
    let outputs = children.map(|child| child.wait_with_output().unwrap());
    let codes: Vec<_> = outputs.iter().map(|output| output.status.code().unwrap()).collect();
    assert_eq!(codes.iter().sum::<i32>(), 1, "{outputs:?}");
    let lost = ids[codes.iter().position(|code| *code == 1).unwrap()];
    let state = dom0.state();
    assert_eq!(state["link web master"], "xenbr0");
    assert_eq!(state.get(&format!("link vif{lost} master")), None, "it is as netback left it");
    assert_eq!(state[&format!("link vif{lost} up")], "false");
    assert_eq!(state[&format!("store {}/hotplug-status", dom0.backend(lost))], "error");
}

#[test]
fn a_second_call_waits_for_the_first() {
    let dom0 = Dom0::new();
    dom0.boot(VIF, &[]);
    dom0.online(Script::Ours, VIF).succeeded();
    let path = dom0.run_dir().join("vif1.0.lock");
    let lock = File::open(&path).unwrap();
    lock.lock().unwrap();
    let mut waiting = start(&dom0, VIF, &OFFLINE);
    thread::sleep(std::time::Duration::from_millis(100));
    assert_eq!(waiting.try_wait().unwrap(), None);
    // Removed while it is held, as by an unplug: whoever waits must not go on with the lock of nothing.
    fs::remove_file(&path).unwrap();
    drop(lock);
    assert_all_succeed(vec![waiting]);
    assert_eq!(fs::read_dir(dom0.run_dir()).unwrap().count(), 0);
}

#[test]
fn nobody_else_can_hold_the_lock() {
    let dom0 = Dom0::new();
    dom0.boot(VIF, &[]);
    dom0.online(Script::Ours, VIF).succeeded();
    let mode = fs::metadata(dom0.run_dir().join("vif1.0.lock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "{mode:o}");
}

#[test]
fn an_error_told_late_does_not_hide_a_later_success() {
    let dom0 = Dom0::without_bridge();
    dom0.boot(VIF, &[]);
    // It fails for want of the bridge, and stands still when it has given back its lock.
    let command = dom0.command(Script::Ours, VIF, &ONLINE, &[]);
    let traced = strace::stopped_after(&command, "unlink", 1, || {
        dom0.netns.make_bridge("xenbr0");
        dom0.online(Script::Ours, VIF).succeeded();
    });
    assert!(traced.struck);
    assert_eq!(traced.outcome.code, Some(1));
    assert_eq!(dom0.key(VIF, "hotplug-status").as_deref(), Some("connected"));
    assert_eq!(dom0.key(VIF, "hotplug-error"), None);
}

#[test]
fn port_taken_out_by_another_program_joins_again() {
    let dom0 = Dom0::new();
    // Between joining and coming up, the port is isolated.
    let config = "[[bridge]]\nname = \"xenbr0\"\nisolated = true\n";
    fs::write(dom0.dir().join("xennet.toml"), config).unwrap();
    let joined = || dom0.links().contains_key("link vif1.0 master");
    let (was_port, noticed) = (Cell::new(false), Cell::new(0));
    let prepare = || {
        dom0.forget(VIF);
        dom0.boot(VIF, &[]);
        dom0.command(Script::Ours, VIF, &ONLINE, &[])
    };
    let take_out = |command: &Command, call: &str, n| {
        strace::stopped_after(command, call, n, || {
            was_port.set(joined());
            dom0.netns.ip("link set vif1.0 nomaster");
        })
    };
    for_each_call(Send, prepare, take_out, |point, traced| {
        assert_eq!(traced.outcome.code, Some(0), "{point}: {}", traced.outcome.stderr);
        // A change after verification is not noticed.
        noticed.set(noticed.get() + u32::from(was_port.get() && joined()));
    });
    assert!(noticed.get() > 0, "verification did not notice it");
}

#[test]
fn guard_flushed_by_another_program_is_installed_again() {
    let dom0 = Dom0::new();
    let guarded = || dom0.netns.nft_text("list ruleset").contains("10.0.0.5");
    let (flushed, noticed) = (Cell::new(false), Cell::new(0));
    let prepare = || {
        dom0.offline(Script::Ours, VIF).succeeded();
        dom0.forget(VIF);
        dom0.boot(VIF, &[("ip", "10.0.0.5")]);
        dom0.command(Script::Ours, VIF, &ONLINE, &[])
    };
    let flush = |command: &Command, call: &str, n| {
        strace::stopped_after(command, call, n, || {
            flushed.set(guarded());
            dom0.netns.nft("flush ruleset");
        })
    };
    for_each_call(Send, prepare, flush, |point, traced| {
        assert_eq!(traced.outcome.code, Some(0), "{point}: {}", traced.outcome.stderr);
        noticed.set(noticed.get() + u32::from(flushed.get() && guarded()));
    });
    assert!(noticed.get() > 0, "verification did not notice it");
}

#[test]
fn of_vifs_that_are_plugged_at_once_one_makes_the_guards_table() {
    let dom0 = Dom0::new();
    let ids: Vec<VifId> = (1..=8).map(|domid| VifId { domid, devid: 0 }).collect();
    for id in &ids {
        dom0.boot(*id, &[("ip", &format!("10.0.0.{}", id.domid))]);
    }
    let calls: Vec<_> =
        ids.iter().map(|id| dom0.command(Script::Ours, *id, &ONLINE, &[])).collect();
    let made: usize = thread::scope(|scope| {
        let plug = |call| {
            move || {
                let traced = strace::traced(call);
                traced.outcome.succeeded();
                let batches =
                    traced.named("sendto").filter(|call| call.contains("NFT_MSG_NEWTABLE"));
                batches.count()
            }
        };
        let all: Vec<_> = calls.iter().map(|call| scope.spawn(plug(call))).collect();
        all.into_iter().map(|one| one.join().unwrap()).sum()
    });
    // What it can be made of is found out by one that is refused.
    assert_eq!(made, 2);
    let table = dom0.netns.nft_text("list table bridge xennet");
    for id in ids {
        assert!(table.contains(&format!("\"vif{}.0\"", id.domid)), "{id}: {table}");
    }
    // Of the locks, that of the table is of no use any more.
    assert!(!dom0.run_dir().join("guard.lock").exists());
}
