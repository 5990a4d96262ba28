//! Repairs that are killed before each of their changes, and after the last one: the next command completes them.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use xennet_tests::strace::{Traced, killed_before, traced};

use crate::adopted::Adopted;
use crate::cells::{Before, ROW, Row};
use crate::host::Host;
use crate::rows::ROWS;

const START: &str = "network start";
const STOP: &str = "network stop";
const FORCED: &str = "network stop --force";
const BOTH: &[&str] = &[START, STOP];

/// A damage of `ROWS`, the command that is killed, and the commands that follow.
const CASES: [(&str, &str, &[&str]); 17] = [
    ("bridge deleted", START, BOTH),
    ("addresses flushed", START, BOTH),
    ("addresses flushed", STOP, &[STOP]),
    ("IPv6 disabled on the bridge", START, &[START]),
    ("bridge down", START, &[START]),
    ("uplink down", START, &[START]),
    ("uplink taken out of the bridge", STOP, BOTH),
    ("IPv4 routes flushed", START, &[START]),
    ("NIC made anew", START, &[STOP]),
    ("NIC made anew", FORCED, &[STOP]),
    ("NIC made anew with another MAC", START, &[START]),
    ("bridge deleted and made by another program", START, &[START]),
    ("NIC configured by another program", START, &[START]),
    ("port configured by a DHCP client", STOP, &[STOP]),
    ("proxy neighbours, bridge deleted", START, &[START]),
    ("settings of the uplink, bridge deleted", START, &[START]),
    ("two default routes, bridge deleted", START, BOTH),
];
/// The same of a bridge that had the host's addresses before; see `adopted`.
const ADOPTED: [(&[&str], &str); 4] = [
    (&["ip link delete xenbr0"], START),
    (&["ip link delete xenbr0"], STOP),
    (&["ip address flush dev xenbr0"], STOP),
    (&["ip link set eth0 nomaster", "ip address add 192.0.2.2/24 brd + dev eth0"], STOP),
];

#[test]
fn killed_repairs_are_completed_by_the_next_command() {
    in_two_threads(CASES.len() + ADOPTED.len(), |host, n| match CASES.get(n) {
        Some((row, words, next)) => killed(host, row, words, next),
        None => killed_on_adopted_bridge(host, &ADOPTED[n - CASES.len()]),
    });
}

/// Runs all of so many cases, each on a host of its thread.
fn in_two_threads(count: usize, case: impl Fn(&Host, usize) + Sync) {
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let host = Host::new();
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= count {
                        break;
                    }
                    if catch_unwind(AssertUnwindSafe(|| case(&host, n))).is_err() {
                        wrong.lock().unwrap().push(n);
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "wrong, as said above: {wrong:?}");
}

fn killed(host: &Host, name: &str, words: &str, next: &[&str]) {
    let row: &Row = ROWS.iter().find(|row| row.name == name).unwrap_or(&ROW);
    assert_eq!(row.name, name);
    let prepare = || {
        host.reset();
        row.setup.iter().for_each(|line| host.run(line));
        let before = Before::of(host, row);
        host.xennet(START).succeeded();
        row.damage.iter().for_each(|line| host.run(line));
        before
    };
    for (call, n) in changes(host, words, || drop(prepare())) {
        let mut before = prepare();
        let kill = || killed_before(&host.lan.command(words), &call, n);
        let mut run = kill();
        for _ in 0..ATTEMPTS {
            if run.struck {
                break;
            }
            before = prepare();
            run = kill();
        }
        let when = format!("{words} after {name}, killed at {call} {n}, then {next:?}");
        assert!(run.struck, "{when}: not killed");
        for next in next {
            let outcome = host.xennet(next);
            assert_eq!(outcome.code, Some(0), "{when}: {}", outcome.stderr);
            if *next == START {
                before.assert_on_bridge(&when);
            } else {
                before.assert_on_uplink(&when);
                assert!(!host.lan.recorded(), "{when}");
            }
        }
    }
}

fn killed_on_adopted_bridge(host: &Host, (damage, words): &(&[&str], &str)) {
    let prepare = || {
        let adopted = Adopted::new(host, "nothing");
        host.xennet(START).succeeded();
        damage.iter().for_each(|line| host.run(line));
        adopted
    };
    for (call, n) in changes(host, words, || drop(prepare())) {
        let adopted = prepare();
        let run = killed_before(&host.lan.command(words), &call, n);
        let when = format!("{words} after {damage:?} of an adopted bridge, killed at {call} {n}");
        assert!(run.struck, "{when}: not killed");
        if *words == START || host.lan.recorded() {
            for next in BOTH {
                host.xennet(next).succeeded();
                let mut wrong = Vec::new();
                adopted.is_whole(&format!("{when}, then {next}"), *next == STOP, &mut wrong);
                assert!(wrong.is_empty(), "{}", wrong.join("\n"));
            }
        }
    }
}

/// How often a kill is tried again at a call that a run did not make: the kernel changes addresses in its own time.
const ATTEMPTS: u32 = 5;

/// The changes of the shorter one of two undisturbed runs.
fn changes(host: &Host, words: &str, prepare: impl Fn()) -> Vec<(String, usize)> {
    let runs = [(); 2].map(|()| {
        prepare();
        points(&traced(&host.lan.command(words)))
    });
    runs.into_iter().min_by_key(Vec::len).unwrap()
}

/// The system calls that change something, and the first one after them: each with its number among the calls of its name.
fn points(run: &Traced) -> Vec<(String, usize)> {
    run.outcome.succeeded();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut points, mut is_after) = (Vec::new(), false);
    for line in &run.calls {
        let call = line.split('(').next().unwrap_or_default();
        let count = counts.entry(call).or_default();
        *count += 1;
        let is_request = call.starts_with("send");
        let changes = match call {
            "write" => !line.starts_with("write(1,") && !line.starts_with("write(2,"),
            _ if is_request => {
                ["RTM_NEW", "RTM_DEL", "RTM_SET"].iter().any(|kind| line.contains(kind))
            }
            _ => call.starts_with("rename") || call.starts_with("unlink"),
        };
        if changes || is_after && is_request {
            points.push((call.to_owned(), *count));
        }
        is_after = changes || is_after && !is_request;
    }
    assert!(points.len() > 1, "no changes: {:#?}", run.calls);
    points
}
