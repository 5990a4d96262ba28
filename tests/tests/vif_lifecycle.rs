//! A vif whose backend goes away during a plug, and keys that are given on the command line.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use xennet_tests::hotplug::{Dom0, Script, State, VIF};
use xennet_tests::strace::Purpose::{Receive, Send};
use xennet_tests::strace::{self, for_each_call};

const ONLINE: [&str; 2] = ["online", "type_if=vif"];

/// All keys below the two directories of the vif.
fn keys(dom0: &Dom0) -> Vec<String> {
    let dirs = [dom0.backend(VIF), dom0.frontend(VIF)].map(|dir| format!("store {dir}"));
    let state = dom0.state();
    state.into_keys().filter(|key| dirs.iter().any(|dir| key.starts_with(dir))).collect()
}

fn write(dom0: &Dom0, key: &str, value: &str) {
    dom0.store.tool("xenstore-write", &[&format!("{}/{key}", dom0.backend(VIF)), value]);
}

fn remove(dom0: &Dom0, path: &str) {
    dom0.store.tool("xenstore-rm", &[path]);
}

/// What of a vif goes when its guest is destroyed.
#[derive(Debug, Clone, Copy)]
enum Removed {
    Backend,
    BothDirectories,
    Everything,
}

fn remove_vif(dom0: &Dom0, removed: Removed) {
    remove(dom0, &dom0.backend(VIF));
    if !matches!(removed, Removed::Backend) {
        remove(dom0, &dom0.frontend(VIF));
    }
    if matches!(removed, Removed::Everything) {
        dom0.netns.ip("link delete guest1.0");
    }
}

fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_mins(1), "never: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn backend_removed_during_a_hook_is_not_created_again() {
    for removed in [Removed::Backend, Removed::BothDirectories, Removed::Everything] {
        let dom0 = Dom0::new();
        dom0.boot(VIF, &[("mtu", "1400"), ("ip", "10.0.0.5")]);
        let before = dom0.links();
        dom0.hook("slow.hook", "touch running; until test -e go; do sleep 0.01; done");
        let mut command = dom0.command(Script::Ours, VIF, &ONLINE, &[]);
        let child = command.stderr(Stdio::piped()).spawn().unwrap();
        wait_until("the hook runs", || dom0.written("running").is_some());
        remove_vif(&dom0, removed);
        let left = keys(&dom0);
        fs::write(dom0.dir().join("go"), "").unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();

        assert_eq!(keys(&dom0), left, "{removed:?}: {said}");
        assert_eq!(output.status.code(), Some(1), "{removed:?}: {said}");
        let gone = ["went away", "was removed", "no longer", "is gone"];
        assert!(gone.iter().any(|words| said.contains(words)), "{removed:?}: {said}");
        assert_eq!(said.lines().count(), 1, "{removed:?}: {said}");
        if !matches!(removed, Removed::Everything) {
            assert!(said.contains("backend/vif/1/0"), "{removed:?}: {said}");
            assert_eq!(dom0.links(), before, "{removed:?}: it was not rolled back");
        }
        assert!(!dom0.netns.nft_text("list ruleset").contains("10.0.0.5"), "{removed:?}");
    }
}

#[test]
fn backend_removed_while_a_plug_waits_for_the_link_is_not_created_again() {
    let dom0 = Dom0::new();
    dom0.fill_store(VIF, &[("mtu", "1400")]);
    let mut command = dom0.command(Script::Ours, VIF, &ONLINE, &[]);
    let child = command.stderr(Stdio::piped()).spawn().unwrap();
    let syscall = format!("/proc/{}/syscall", child.id());
    // It sleeps in a system call that waits, with no other process: it waits for the link.
    wait_until("it waits", || {
        let call = fs::read_to_string(&syscall).unwrap_or_default();
        let number = call.split(' ').next().and_then(|number| number.parse::<i64>().ok());
        let waits = [libc::SYS_poll, libc::SYS_ppoll];
        number.is_some_and(|number| waits.contains(&number)) && {
            thread::sleep(Duration::from_millis(50));
            fs::read_to_string(&syscall).unwrap_or_default() == call
        }
    });
    remove(&dom0, &dom0.backend(VIF));
    remove(&dom0, &dom0.frontend(VIF));
    dom0.make_vif(VIF);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(keys(&dom0), [""; 0], "{said}");
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("backend/vif/1/0"), "{said}");
    assert_eq!(dom0.links().get("link vif1.0 master"), None);
}

#[test]
fn backend_removed_after_any_request_is_not_created_again() {
    let dom0 = Dom0::new();
    let prepare = || {
        dom0.forget(VIF);
        dom0.boot(VIF, &[("mtu", "1400")]);
        dom0.command(Script::Ours, VIF, &ONLINE, &[])
    };
    let mut failed = 0;
    for removed in [Removed::BothDirectories, Removed::Everything] {
        let inject = |command: &Command, call: &str, n| {
            strace::stopped_after(command, call, n, || remove_vif(&dom0, removed))
        };
        for_each_call(Send, prepare, inject, |point, traced| {
            let said = &traced.outcome.stderr;
            assert_eq!(keys(&dom0), [""; 0], "{removed:?} after {point}: {said}");
            // After the request that writes `connected`, the removal is not noticed.
            failed += usize::from(traced.outcome.code == Some(1));
        });
    }
    assert!(failed > 0, "no plug noticed it");
}

/// Keys on the command line, and what is then true of the vif: a fact and its value.
const KEYS: [(&str, &str, &str, &str); 4] = [
    ("mtu", "1400", "link vif1.0 mtu", "1400"),
    ("bridge", "xenbr1", "link vif1.0 master", "xenbr1"),
    ("vifname", "web", "link web master", "xenbr0"),
    ("rate", "25000,20000", "store /local/domain/0/backend/vif/1/0/rate", "25000,20000"),
];

fn plugged() -> (Dom0, State) {
    let dom0 = Dom0::new();
    dom0.netns.make_bridge("xenbr1");
    dom0.boot(VIF, &[]);
    dom0.online(Script::Ours, VIF).succeeded();
    let state = dom0.state();
    (dom0, state)
}

#[test]
fn key_of_the_command_line_is_written_to_the_backend() {
    for (key, value, fact, wanted) in KEYS {
        let (dom0, _) = plugged();
        let outcome = dom0.xennet(&format!("vif online 1.0 {key}={value}"));
        outcome.succeeded();
        let said = outcome.stdout + &outcome.stderr;
        assert!(said.contains(&format!("backend/vif/1/0/{key}")), "{key}: {said}");
        let changed = dom0.state();
        assert_eq!(changed.get(fact).map(String::as_str), Some(wanted), "{key}");
        assert_eq!(dom0.key(VIF, key).as_deref(), Some(value), "{key}");
        assert_eq!(dom0.xennet("--dry-run vif online 1.0").stdout, "", "{key}");
        dom0.online(Script::Ours, VIF).succeeded();
        assert_eq!(dom0.state(), changed, "{key}: the next plain online");
    }
}

#[test]
fn key_of_the_command_line_with_once_lasts_until_the_next_online() {
    for (key, value, fact, wanted) in KEYS {
        // netback takes its rate from the backend's directory only.
        if key == "rate" {
            continue;
        }
        let (dom0, before) = plugged();
        let bare = dom0.key(VIF, key);
        let outcome = dom0.xennet(&format!("vif online 1.0 --once {key}={value}"));
        outcome.succeeded();
        let said = outcome.stdout + &outcome.stderr;
        assert!(said.contains(key), "{key}: {said}");
        assert_eq!(dom0.state().get(fact).map(String::as_str), Some(wanted), "{key}");
        assert_eq!(dom0.key(VIF, key), bare, "{key}");
        // A name that nothing asks for any more stays.
        if key != "vifname" {
            dom0.online(Script::Ours, VIF).succeeded();
            // The bridge that the port left keeps its alias, and has lost the address that it took from the port.
            let ours = |mut state: State| {
                state.retain(|fact, _| !fact.starts_with("link xenbr1 "));
                state
            };
            assert_eq!(ours(dom0.state()), ours(before), "{key}: the next plain online");
        }
    }
}

#[test]
fn key_of_the_command_line_is_not_written_when_the_plug_fails_or_is_dry() {
    let (dom0, before) = plugged();
    let dry = dom0.xennet("--dry-run vif online 1.0 mtu=1400");
    dry.succeeded();
    assert!(dry.stdout.contains("backend/vif/1/0/mtu"), "{dry:?}");
    assert_eq!(dom0.state(), before);
    dom0.hook("fail.hook", "exit 1");
    let failed = dom0.xennet("vif online 1.0 mtu=1400");
    assert_eq!(failed.code, Some(1), "{failed:?}");
    assert_eq!(dom0.key(VIF, "mtu"), None);
    assert_eq!(dom0.links()["link vif1.0 mtu"], "1500");
}

fn configure(dom0: &Dom0, text: &str) {
    fs::write(dom0.dir().join("xennet.toml"), text).unwrap();
}

const RATE: &str = "62500,50000";

#[test]
fn rate_is_in_the_backend_before_connected() {
    for (arguments, config) in
        [(vec!["rate=62500,50000"], ""), (vec![], "[vif]\nrate = \"62500,50000\"\n")]
    {
        let dom0 = Dom0::new();
        configure(&dom0, config);
        let prepare = || {
            dom0.forget(VIF);
            dom0.boot(VIF, &[]);
            dom0.xennet_command(&[&["vif", "online", "1.0"], &arguments[..]].concat().join(" "))
        };
        for purpose in [Send, Receive] {
            for_each_call(purpose, prepare, strace::killed_before, |point, _| {
                if dom0.key(VIF, "hotplug-status").as_deref() == Some("connected") {
                    assert_eq!(dom0.key(VIF, "rate").as_deref(), Some(RATE), "{point}");
                }
            });
        }
        // The last run was undisturbed.
        assert_eq!(dom0.key(VIF, "hotplug-status").as_deref(), Some("connected"));
        assert_eq!(dom0.key(VIF, "rate").as_deref(), Some(RATE), "{config}");
        assert_eq!(dom0.xennet("--dry-run vif online 1.0").stdout, "", "{config}");
    }
}

#[test]
fn rate_of_the_configuration_is_written_by_the_hotplug_script() {
    let dom0 = Dom0::new();
    configure(&dom0, "[vif]\nrate = \"62500,50000\"\n");
    dom0.boot(VIF, &[]);
    dom0.online(Script::Ours, VIF).succeeded();
    assert_eq!(dom0.key(VIF, "rate").as_deref(), Some(RATE));
    // What xl wrote has precedence.
    dom0.forget(VIF);
    dom0.boot(VIF, &[("rate", "25000,20000")]);
    dom0.online(Script::Ours, VIF).succeeded();
    assert_eq!(dom0.key(VIF, "rate").as_deref(), Some("25000,20000"));
}

#[test]
fn rate_of_a_running_vif_is_changed_for_netback() {
    let dom0 = Dom0::new();
    dom0.boot(VIF, &[("rate", "25000,20000")]);
    dom0.online(Script::Ours, VIF).succeeded();
    dom0.xennet("vif online 1.0 rate=62500,50000").succeeded();
    assert_eq!(dom0.key(VIF, "rate").as_deref(), Some(RATE));
    write(&dom0, "rate", "25000,20000");
    dom0.online(Script::Ours, VIF).succeeded();
    assert_eq!(dom0.key(VIF, "rate").as_deref(), Some("25000,20000"));
}

#[test]
fn rate_without_xenstore_is_refused_and_nothing_is_changed() {
    for (arguments, config) in [("rate=62500,50000", ""), ("", "[vif]\nrate = \"62500,50000\"\n")] {
        let dom0 = Dom0::new();
        configure(&dom0, config);
        dom0.make_vif(VIF);
        let before = dom0.state();
        let outcome = dom0.xennet(&format!("vif online 1.0 --no-store bridge=xenbr0 {arguments}"));
        assert!(matches!(outcome.code, Some(1 | 2)), "{outcome:?}");
        assert!(outcome.stderr.contains("rate"), "{outcome:?}");
        assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
        // What to do: use XenStore, or do without the key.
        assert!(outcome.stderr.contains(';'), "{outcome:?}");
        assert_eq!(dom0.state(), before, "{config}");
    }
}
