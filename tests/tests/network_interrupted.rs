//! A start or stop that is killed or refused at any of its steps, or called twice at once.

use std::fs;
use std::process::{Command, Stdio};

use xennet_tests::lan::{Lan, assert_same};
use xennet_tests::strace::Purpose::{self, Open, Receive, Rename, Send, Unlink, Write};
use xennet_tests::strace::{self, for_each_call};

const INHERIT: &str = "[[bridge]]\nname = \"xenbr0\"\nuplink = \"eth0\"\naddresses = \"inherit\"\n";
const GIVEN: &str = "[[bridge]]\nname = \"xenbr0\"\nuplink = \"eth0\"\n\
                     addresses = [\"192.0.2.2/24\", \"2001:db8::9/64\"]\ngateways = [\"192.0.2.1\"]\n";

/// The calls of a start by which something changes: requests to the kernel, the kernel's settings, and the record.
///
/// A process that is killed before it receives an answer leaves the same as one that is killed before its next request.
const OF_START: [Purpose; 3] = [Send, Write, Rename];
/// The same of a stop.
const OF_STOP: [Purpose; 3] = [Send, Write, Unlink];

fn lan(config: &str) -> Lan {
    let lan = Lan::with_addresses();
    lan.netns.ip("neighbour add 192.0.2.77 lladdr 02:00:00:00:00:77 dev eth0 nud permanent");
    lan.netns.ip("route add 10.0.0.0/8 via 192.0.2.1 dev eth0");
    lan.configure(config);
    lan
}

#[test]
fn start_killed_at_any_call_is_completed_by_the_next() {
    let lan = lan(INHERIT);
    let before = lan.state();
    lan.xennet("network start").succeeded();
    let started = lan.state();
    let prepare = || {
        lan.xennet("network stop").succeeded();
        lan.command("network start")
    };
    for purpose in OF_START {
        for_each_call(purpose, prepare, strace::killed_before, |point, _| {
            lan.xennet("network start").succeeded();
            // The bridge may have been made anew.
            assert_same(&numberless(&started), &numberless(&lan.state()), &point.to_string());
        });
    }
    lan.xennet("network stop").succeeded();
    assert_same(&before, &lan.state(), "after the stop");
}

#[test]
fn stop_after_a_start_killed_at_any_call_restores_everything() {
    for config in [INHERIT, GIVEN] {
        let lan = lan(config);
        let before = lan.state();
        let prepare = || {
            lan.xennet("network stop").succeeded();
            lan.command("network start")
        };
        for purpose in OF_START {
            for_each_call(purpose, prepare, strace::killed_before, |point, _| {
                lan.xennet("network stop").succeeded();
                assert_same(&before, &lan.state(), &point.to_string());
                assert!(!lan.recorded());
            });
        }
    }
}

#[test]
fn stop_killed_at_any_call_is_completed_by_the_next() {
    for config in [INHERIT, GIVEN] {
        let lan = lan(config);
        let before = lan.state();
        let prepare = || {
            lan.xennet("network start").succeeded();
            lan.command("network stop")
        };
        for purpose in OF_STOP {
            for_each_call(purpose, prepare, strace::killed_before, |point, _| {
                lan.xennet("network stop").succeeded();
                assert_same(&before, &lan.state(), &point.to_string());
                assert!(!lan.recorded());
            });
        }
    }
}

#[test]
fn start_refused_at_any_call_changes_nothing() {
    let lan = lan(INHERIT);
    let before = lan.state();
    let prepare = || {
        lan.xennet("network stop").succeeded();
        lan.command("network start")
    };
    for purpose in OF_START.into_iter().chain([Receive, Open]) {
        let fail = |command: &Command, call: &str, n| strace::failing(command, call, n, "EPERM");
        for_each_call(purpose, prepare, fail, |point, refused| {
            let what = format!("{point}: {}", refused.outcome.stderr);
            match refused.outcome.code {
                // The answer to a request that had been carried out was lost, or the call was not necessary.
                Some(0) => lan.xennet("network stop").succeeded(),
                Some(1) => assert_eq!(refused.outcome.stderr.lines().count(), 1, "{what}"),
                other => panic!("{what}: {other:?}"),
            }
            assert_same(&before, &lan.state(), &what);
            assert!(!lan.recorded(), "{what}");
        });
    }
}

/// A stop gives the host its network even when one request or answer is lost; the next one does the rest.
#[test]
fn stop_refused_at_any_call_is_completed_by_the_next() {
    let lan = lan(INHERIT);
    let before = lan.state();
    let prepare = || {
        lan.xennet("network start").succeeded();
        lan.command("network stop")
    };
    for (purpose, errno) in [(Send, "EPERM"), (Receive, "ENOMEM"), (Write, "EPERM")] {
        let fail = |command: &Command, call: &str, n| strace::failing(command, call, n, errno);
        for_each_call(purpose, prepare, fail, |point, refused| {
            let what = format!("{point} {errno}: {}", refused.outcome.stderr);
            assert!(matches!(refused.outcome.code, Some(0 | 1)), "{what}");
            lan.xennet("network stop").succeeded();
            assert_same(&before, &lan.state(), &what);
            assert!(!lan.recorded(), "{what}");
        });
    }
}

#[test]
fn stop_after_somebody_deleted_the_bridge_restores_everything() {
    let lan = lan(INHERIT);
    let before = lan.state();
    lan.xennet("network start").succeeded();
    lan.netns.ip("link delete xenbr0");
    lan.xennet("network stop").succeeded();
    assert_same(&before, &lan.state(), "after the stop");
}

#[test]
fn start_after_the_uplink_went_down_does_not_record_that() {
    let lan = lan(INHERIT);
    let before = lan.state();
    lan.xennet("network start").succeeded();
    lan.netns.ip("link set eth0 down");
    lan.xennet("network start").succeeded();
    lan.xennet("network stop").succeeded();
    assert_same(&before, &lan.state(), "after the stop");
}

#[test]
fn two_at_once() {
    let lan = lan(INHERIT);
    let before = lan.state();
    for words in ["network start -v", "network stop -v"] {
        let both: Vec<_> =
            (0..4).map(|_| lan.command(words).stderr(Stdio::piped()).spawn().unwrap()).collect();
        let said: Vec<_> =
            both.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
        for output in &said {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        assert_eq!(said.iter().filter(|output| !output.stderr.is_empty()).count(), 1, "{words}");
    }
    assert_same(&before, &lan.state(), "after the stop");
}

#[test]
fn without_its_record_only_by_force() {
    let lan = lan(INHERIT);
    let before = lan.state();
    lan.xennet("network start").succeeded();
    let started = lan.state();
    fs::remove_file(lan.run_dir().join("network.json")).unwrap();
    let refused = lan.xennet("network stop");
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("nothing is recorded"), "{}", refused.stderr);
    assert_same(&started, &lan.state(), "nothing was touched");

    let forced = lan.xennet("network stop --force");
    forced.succeeded();
    assert!(forced.stderr.contains("`xennet bridge delete xenbr0`"), "{}", forced.stderr);
    assert_eq!(lan.netns.link("xenbr0")["ifname"], "xenbr0", "nobody knows whose it is");
    lan.xennet("bridge delete xenbr0").succeeded();
    assert_same(&before, &lan.state(), "after the stop");
}

#[test]
fn a_record_that_nobody_can_read() {
    let lan = lan(INHERIT);
    lan.xennet("network start").succeeded();
    let started = lan.state();
    fs::write(lan.run_dir().join("network.json"), "{ \"bridges\": 7 }").unwrap();
    for words in ["network start", "network stop", "network status"] {
        let refused = lan.xennet(words);
        assert_eq!(refused.code, Some(1));
        assert!(refused.stderr.contains("read the record"), "{}", refused.stderr);
    }
    assert_same(&started, &lan.state(), "nothing was touched");
}

/// Without what is given out anew to a new interface.
fn numberless(
    state: &std::collections::BTreeMap<String, serde_json::Value>,
) -> std::collections::BTreeMap<String, serde_json::Value> {
    state
        .iter()
        .filter(|(name, _)| !name.ends_with(" ifindex"))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}
