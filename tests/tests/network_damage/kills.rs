//! A repair that is killed at each of its steps: one plain call completes it.

use xennet_tests::strace::Purpose::{self, Rename, Send, Unlink, Write};
use xennet_tests::strace::{self, for_each_call};

use crate::cells::{Before, ROW};
use crate::host::Host;

const DELETED: &[&str] = &["ip link delete xenbr0"];
const FLUSHED: &[&str] = &["ip address flush dev xenbr0", "ip -6 route delete default"];
const RELOADED: &[&str] = &["reload 02:00:00:00:00:02"];
const TAKEN: &[&str] = &["ip link set eth0 nomaster"];

/// The calls by which a start changes something; a stop removes the record, too.
const OF_START: [Purpose; 3] = [Send, Write, Rename];
const OF_STOP: [Purpose; 3] = [Send, Write, Unlink];

fn killed(damage: &[&str], words: &str, purposes: &[Purpose], next: &[&str]) {
    let host = Host::new();
    let before = Before::of(&host, &ROW);
    let prepare = || {
        host.reset();
        host.xennet("network start").succeeded();
        for line in damage {
            host.run(line);
        }
        host.lan.command(words)
    };
    for purpose in purposes {
        for_each_call(*purpose, prepare, strace::killed_before, |point, _| {
            for next in next {
                let when = format!("{words} after {damage:?}, killed at {point}, then {next}");
                let outcome = host.xennet(next);
                assert_eq!(outcome.code, Some(0), "{when}: {}", outcome.stderr);
                if *next == "network start" {
                    before.assert_on_bridge(&when);
                } else {
                    before.assert_on_uplink(&when);
                    assert!(!host.lan.recorded(), "{when}");
                }
            }
        });
    }
}

#[test]
fn start_killed_after_a_deleted_bridge_is_completed() {
    killed(DELETED, "network start", &OF_START, &["network start", "network stop"]);
}

#[test]
fn start_killed_after_lost_addresses_is_completed() {
    killed(FLUSHED, "network start", &OF_START, &["network start", "network stop"]);
}

#[test]
fn start_killed_after_a_reloaded_driver_is_undone_by_stop() {
    killed(RELOADED, "network start", &OF_START, &["network stop"]);
}

#[test]
fn stop_killed_after_lost_addresses_is_completed() {
    killed(FLUSHED, "network stop", &OF_STOP, &["network stop"]);
}

#[test]
fn stop_killed_after_the_uplink_left_is_completed_by_start() {
    killed(TAKEN, "network stop", &OF_STOP, &["network start", "network stop"]);
}

#[test]
fn forced_stop_killed_after_a_reloaded_driver_is_completed() {
    // The new NIC has no setting to restore.
    killed(RELOADED, "network stop --force", &[Send, Unlink], &["network stop"]);
}
