//! `xennet bridge create`, called twice at once or killed midway: the bridge is as wanted in the end.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::process::{Child, Stdio};

use xennet_tests::hotplug::Dom0;
use xennet_tests::strace::Purpose::{Receive, Send};
use xennet_tests::strace::{self, for_each_call};

/// The bridge is up and has this MTU.
fn assert_created(dom0: &Dom0, name: &str, what: &str) {
    let link = dom0.netns.link(name);
    let flags = link.get("flags").unwrap().as_array().unwrap();
    assert!(flags.contains(&"UP".into()), "{what}: {link}");
    assert_eq!(link.get("mtu"), Some(&9000.into()), "{what}");
}

#[test]
fn two_creations_at_once_both_succeed() {
    let dom0 = Dom0::without_bridge();
    for n in 0..20 {
        let name = format!("b{n}");
        let start = || -> Child {
            let mut command = dom0.xennet_command(&format!("bridge create {name} --mtu 9000"));
            command.stderr(Stdio::piped()).spawn().unwrap()
        };
        let pair = [start(), start()];
        for output in pair.map(|child| child.wait_with_output().unwrap()) {
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(0), "{name}: {said}");
        }
        assert_created(&dom0, &name, &name);
    }
}

#[test]
fn creation_killed_at_any_call_is_completed_by_the_next() {
    let dom0 = Dom0::without_bridge();
    let prepare = || {
        dom0.netns.try_ip("link delete b0");
        dom0.xennet_command("bridge create b0 --mtu 9000")
    };
    for purpose in [Send, Receive] {
        for_each_call(purpose, prepare, strace::killed_before, |point, _| {
            dom0.xennet("bridge create b0 --mtu 9000").succeeded();
            assert_created(&dom0, "b0", &format!("killed before {point}"));
        });
    }
}

#[test]
fn creation_refused_at_any_call_leaves_no_bridge() {
    let dom0 = Dom0::without_bridge();
    let prepare = || {
        dom0.netns.try_ip("link delete b0");
        dom0.xennet_command("bridge create b0 --mtu 9000")
    };
    for (purpose, errno) in [(Send, "EPERM"), (Receive, "ENOMEM")] {
        let fail = |command: &std::process::Command, call: &str, n| {
            strace::failing(command, call, n, errno)
        };
        for_each_call(purpose, prepare, fail, |point, traced| {
            let what = format!("{point} {errno}: {}", traced.outcome.stderr);
            match traced.outcome.code {
                Some(0) => assert_created(&dom0, "b0", &what),
                Some(1) => assert!(!dom0.netns.try_ip("link show dev b0"), "{what}"),
                other => panic!("{what}: {other:?}"),
            }
            dom0.xennet("bridge create b0 --mtu 9000").succeeded();
            assert_created(&dom0, "b0", &what);
        });
    }
}
