//! A fault at each system call of a plug or an unplug: the host is never left half changed, and the next call succeeds.

use std::fs;
use std::process::Command;

use xennet_tests::hotplug::{Dom0, Script, State, VIF};
use xennet_tests::strace::Purpose::{Connect, Lock, Open, Receive, Send, Unlink};
use xennet_tests::strace::{self, Traced, for_each_call};

/// The keys of a vif with few changes, of one with many, and of one with a guard; and the interface's name when plugged.
const VIFS: [(&str, &[(&str, &str)]); 3] = [
    ("vif1.0", &[]),
    ("web", &[("vifname", "web"), ("mtu", "1400")]),
    ("web", &[("vifname", "web"), ("mtu", "1400"), ("ip", "10.0.0.5 2001:db8::5")]),
];

/// Makes the vif anew. One with keys is a port of another bridge, up, and has addresses.
fn boot(dom0: &Dom0, keys: &[(&str, &str)]) {
    dom0.forget(VIF);
    dom0.boot(VIF, keys);
    if !keys.is_empty() {
        dom0.netns.ip("link set vif1.0 master xenbr1 mtu 1450 up");
        for address in ["192.0.2.7/24", "192.0.2.8/24", "2001:db8::7/64", "2001:db8::8/64"] {
            let dad = if address.contains("::") { " nodad" } else { "" };
            dom0.netns.ip(&format!("address add {address} dev vif1.0{dad}"));
        }
    }
}

/// The same, with nothing left of earlier plugs: no table of the guard, and no lock.
fn boot_first(dom0: &Dom0, keys: &[(&str, &str)]) {
    boot(dom0, keys);
    dom0.netns.nft("flush ruleset");
    let _ = fs::remove_dir_all(dom0.run_dir());
}

fn dom0() -> Dom0 {
    let dom0 = Dom0::new();
    dom0.netns.make_bridge("xenbr1");
    dom0
}

fn command(dom0: &Dom0, action: &str) -> Command {
    dom0.command(Script::Ours, VIF, &[action, "type_if=vif"], &[])
}

/// The lock files. A killed process may leave that of the guard's table; it locks nothing.
fn locks(dom0: &Dom0) -> Vec<String> {
    let files = fs::read_dir(dom0.run_dir()).into_iter().flatten().flatten();
    files.map(|file| file.file_name().to_string_lossy().into_owned()).collect()
}

/// The lines of the ruleset that name the vif or one of its addresses.
fn guard_elements(dom0: &Dom0) -> Vec<String> {
    let texts = ["\"vif1.0", "\"web\"", "10.0.0.5", "2001:db8::5"];
    let ruleset = dom0.netns.nft_text("-s list ruleset");
    let lines = ruleset.lines().filter(|line| texts.iter().any(|text| line.contains(text)));
    lines.map(|line| line.trim().to_owned()).collect()
}

/// The links and XenStore, and what the guard's table has of the vif.
fn state(dom0: &Dom0) -> (State, Vec<String>) {
    (dom0.state(), guard_elements(dom0))
}

/// No bridge, address, guard's element or lock is left of the vif.
fn assert_unplugged(dom0: &Dom0, what: &str) {
    let links = dom0.links();
    for name in ["vif1.0", "web"] {
        assert_eq!(links.get(&format!("link {name} master")), None, "{what}");
        assert_ne!(
            links.get(&format!("link {name} up")).map(String::as_str),
            Some("true"),
            "{what}"
        );
    }
    assert_eq!(guard_elements(dom0), [""; 0], "{what}");
    assert!(locks(dom0).iter().all(|name| name == "guard.lock"), "{what}: {:?}", locks(dom0));
}

/// A plug ends as an undisturbed one, and an unplug after it leaves nothing.
fn assert_recovers(dom0: &Dom0, plugged: &(State, Vec<String>), what: &str) {
    dom0.online(Script::Ours, VIF).succeeded();
    assert_eq!(&state(dom0), plugged, "{what}: online");
    dom0.offline(Script::Ours, VIF).succeeded();
    assert_unplugged(dom0, &format!("{what}: offline"));
}

/// A plug with a fault either succeeded, or failed and left everything as it was.
fn assert_plugged_or_unchanged(
    dom0: &Dom0,
    plugged: &(State, Vec<String>),
    before: &State,
    traced: &Traced,
    what: &str,
) {
    // A lock that could not be taken is not ours to remove.
    let lock_failed = what.starts_with("flock");
    let stderr = &traced.outcome.stderr;
    let what = format!("{what}: {stderr}");
    match traced.outcome.code {
        // The call was repeated, or was not necessary.
        Some(0) => assert_eq!(&state(dom0), plugged, "{what}"),
        Some(1) => {
            assert_eq!(stderr.lines().count(), 1, "{what}");
            assert_eq!(&dom0.links(), before, "{what}");
            assert_eq!(guard_elements(dom0), [""; 0], "{what}");
            assert!(lock_failed || locks(dom0).is_empty(), "{what}: {:?}", locks(dom0));
            assert_ne!(dom0.key(VIF, "hotplug-status").as_deref(), Some("connected"), "{what}");
            if !traced.struck_on("AF_UNIX") {
                let error = dom0.key(VIF, "hotplug-error").unwrap_or_default();
                assert_eq!(format!("vif-bridge: {error}\n"), *stderr, "{what}");
                assert_eq!(dom0.key(VIF, "hotplug-status").as_deref(), Some("error"), "{what}");
            }
        }
        other => panic!("{what}: {other:?}"),
    }
}

fn plugged(dom0: &Dom0, keys: &[(&str, &str)]) -> (State, Vec<String>) {
    boot_first(dom0, keys);
    dom0.online(Script::Ours, VIF).succeeded();
    state(dom0)
}

#[test]
fn plug_killed_at_any_call_converges() {
    let dom0 = dom0();
    for (_, keys) in VIFS {
        let plugged = plugged(&dom0, keys);
        for purpose in [Send, Receive, Lock] {
            let prepare = || {
                boot_first(&dom0, keys);
                command(&dom0, "online")
            };
            for_each_call(purpose, prepare, strace::killed_before, |point, traced| {
                assert_eq!(traced.outcome.code, None);
                assert_recovers(&dom0, &plugged, &format!("killed before {point}"));
            });
        }
    }
}

#[test]
fn unplug_killed_at_any_call_converges() {
    let dom0 = dom0();
    for (_, keys) in VIFS {
        let plug = || {
            boot(&dom0, keys);
            dom0.online(Script::Ours, VIF).succeeded();
            command(&dom0, "offline")
        };
        plug();
        dom0.offline(Script::Ours, VIF).succeeded();
        let unplugged = state(&dom0);
        for purpose in [Send, Receive, Unlink] {
            for_each_call(purpose, plug, strace::killed_before, |point, traced| {
                assert_eq!(traced.outcome.code, None);
                dom0.offline(Script::Ours, VIF).succeeded();
                assert_eq!(state(&dom0), unplugged, "killed before {point}");
                assert_unplugged(&dom0, &format!("killed before {point}"));
            });
        }
    }
}

#[test]
fn unplug_after_a_plug_killed_at_any_call_leaves_nothing() {
    let dom0 = dom0();
    for (_, keys) in VIFS {
        for purpose in [Send, Receive] {
            let prepare = || {
                boot_first(&dom0, keys);
                command(&dom0, "online")
            };
            for_each_call(purpose, prepare, strace::killed_before, |point, _| {
                dom0.offline(Script::Ours, VIF).succeeded();
                assert_unplugged(&dom0, &format!("killed before {point}"));
            });
        }
    }
}

/// Injects each error into each call of a plug that makes the guard's table as well.
fn assert_plug_survives_errors(keys: &[(&str, &str)], faults: &[(strace::Purpose, &str)]) {
    let dom0 = dom0();
    let plugged = plugged(&dom0, keys);
    let before = {
        boot(&dom0, keys);
        dom0.links()
    };
    for (purpose, errno) in faults {
        let prepare = || {
            boot_first(&dom0, keys);
            command(&dom0, "online")
        };
        let fail = |command: &Command, call: &str, n| strace::failing(command, call, n, errno);
        for_each_call(*purpose, prepare, fail, |point, traced| {
            let what = format!("{point} {errno}");
            assert_plugged_or_unchanged(&dom0, &plugged, &before, traced, &what);
            assert_recovers(&dom0, &plugged, &what);
        });
    }
}

/// Errors of requests and of their answers.
const OF_SOCKETS: [(strace::Purpose, &str); 6] = [
    (Send, "EPERM"),
    (Send, "ENOBUFS"),
    (Send, "ENOMEM"),
    (Receive, "EPERM"),
    (Receive, "ENOBUFS"),
    (Receive, "ENOMEM"),
];

#[test]
fn plug_refused_at_any_call_changes_nothing() {
    assert_plug_survives_errors(VIFS[1].1, &OF_SOCKETS);
}

#[test]
fn guarded_plug_refused_at_any_call_changes_nothing() {
    assert_plug_survives_errors(VIFS[2].1, &OF_SOCKETS);
}

#[test]
fn plug_without_a_file_or_a_connection_changes_nothing() {
    assert_plug_survives_errors(
        VIFS[2].1,
        &[(Connect, "EACCES"), (Open, "EMFILE"), (Open, "EACCES"), (Lock, "ENOLCK")],
    );
}

#[test]
fn unplug_refused_at_any_call_says_so_or_succeeds() {
    let dom0 = dom0();
    for (_, keys) in &VIFS[1..] {
        for (purpose, errno) in OF_SOCKETS {
            let prepare = || {
                boot(&dom0, keys);
                dom0.online(Script::Ours, VIF).succeeded();
                command(&dom0, "offline")
            };
            let fail = |command: &Command, call: &str, n| strace::failing(command, call, n, errno);
            for_each_call(purpose, prepare, fail, |point, traced| {
                let what = format!("{point} {errno}: {}", traced.outcome.stderr);
                match traced.outcome.code {
                    Some(0) if traced.outcome.stderr.is_empty() => assert_unplugged(&dom0, &what),
                    // What is left is named.
                    Some(0) => assert_eq!(dom0.links().get("link web master"), None, "{what}"),
                    Some(1) => assert_eq!(traced.outcome.stderr.lines().count(), 1, "{what}"),
                    other => panic!("{what}: {other:?}"),
                }
                dom0.offline(Script::Ours, VIF).succeeded();
                assert_unplugged(&dom0, &what);
            });
        }
    }
}

#[test]
fn call_interrupted_at_any_step_is_repeated() {
    let dom0 = dom0();
    let (_, keys) = VIFS[2];
    for action in ["online", "offline"] {
        let prepare = || {
            boot_first(&dom0, keys);
            if action == "offline" {
                dom0.online(Script::Ours, VIF).succeeded();
            }
            command(&dom0, action)
        };
        strace::traced(&prepare()).outcome.succeeded();
        let undisturbed = state(&dom0);
        for purpose in [Send, Receive, Connect] {
            let fail =
                |command: &Command, call: &str, n| strace::failing(command, call, n, "EINTR");
            for_each_call(purpose, prepare, fail, |point, traced| {
                let what = format!("{action} {point}: {}", traced.outcome.stderr);
                assert_eq!(traced.outcome.code, Some(0), "{what}");
                assert_eq!(state(&dom0), undisturbed, "{what}");
            });
        }
    }
}

#[test]
fn plug_that_can_not_roll_back_is_repaired_by_the_next() {
    let dom0 = dom0();
    for (_, keys) in &VIFS[1..] {
        let plugged = plugged(&dom0, keys);
        for (purpose, errno) in [(Send, "EPERM"), (Receive, "ENOMEM")] {
            let prepare = || {
                boot_first(&dom0, keys);
                command(&dom0, "online")
            };
            let fail =
                |command: &Command, call: &str, n| strace::failing_from(command, call, n, errno);
            for_each_call(purpose, prepare, fail, |point, traced| {
                let what = format!("{point} {errno}: {}", traced.outcome.stderr);
                match traced.outcome.code {
                    // The last ones tell the log, or what a plug can do without.
                    Some(0) => assert_eq!(state(&dom0), plugged, "{what}"),
                    Some(1) => assert_eq!(traced.outcome.stderr.lines().count(), 1, "{what}"),
                    other => panic!("{what}: {other:?}"),
                }
                assert_recovers(&dom0, &plugged, &what);
            });
        }
    }
}
