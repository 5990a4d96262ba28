//! A fault at each system call of each command: an error, an error from there on, two errors, or SIGKILL.
//!
//! Each run is judged by invariants, not by expected texts. `make test` runs a sample, `make test-faults` all. The table
//! that is printed stands in docs/verification.md.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by a panic")]

mod host;
mod inject;
mod known;
mod vif;

use inject::{Class, Report, Scenario, run};

/// Each scenario, made in the thread that runs it: it enters a network namespace of its own.
type Make = fn() -> Box<dyn Scenario>;

/// Runs scenarios in two threads, and fails with what they found.
fn all(class: Class, scenarios: &[(&str, Make)]) {
    let only = std::env::var("XENNET_ROW").unwrap_or_default();
    let next = std::sync::atomic::AtomicUsize::new(0);
    let report = std::sync::Mutex::new(Report::default());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((name, make)) =
                    scenarios.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
                {
                    if name.contains(&only) {
                        let one = run(class, name, make().as_ref());
                        report.lock().unwrap().add(one);
                    }
                }
            });
        }
    });
    report.into_inner().unwrap().finish();
}

#[test]
fn vif_with_an_error_at_any_call_keeps_the_invariants() {
    all(Class::Errors, &vif::SCENARIOS);
}

#[test]
fn vif_killed_at_any_call_is_repaired_by_the_next() {
    all(Class::Kills, &vif::SCENARIOS);
}

#[test]
fn vif_with_several_errors_keeps_the_invariants() {
    all(Class::Several, &vif::SCENARIOS);
}

#[test]
fn host_with_an_error_at_any_call_keeps_the_invariants() {
    all(Class::Errors, &host::SCENARIOS);
}

#[test]
fn host_killed_at_any_call_is_repaired_by_the_next() {
    all(Class::Kills, &host::SCENARIOS);
}

#[test]
fn host_changes_are_complete_when_a_signal_asks_to_end() {
    all(Class::Signals, &host::SCENARIOS[..2]);
}
