//! Whatever happened to the host's network, one command brings it back: each damage, followed by each command.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by a panic")]

mod adopted;
mod cells;
mod changed;
mod host;
mod kills;
mod random;
mod rows;
mod single;

use cells::Action;
use host::Host;
use rows::ROWS;

/// Each row, followed by this command.
fn each_damage(action: Action) {
    let host = Host::new();
    let only = std::env::var("XENNET_ROW").unwrap_or_default();
    let mut wrong = Vec::new();
    for row in ROWS.iter().filter(|row| row.name.contains(&only)) {
        let findings = cells::run(&host, row, action);
        if !findings.is_empty() {
            wrong.push(format!("{}, {action:?}:\n  {}", row.name, findings.join("\n  ")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn start_after_damage_repairs() {
    each_damage(Action::Start);
}

#[test]
fn stop_after_damage_restores_the_uplink() {
    each_damage(Action::Stop);
}

#[test]
fn forced_stop_after_damage_restores_the_uplink() {
    each_damage(Action::ForcedStop);
}

#[test]
fn trial_after_damage_repairs_and_rolls_back() {
    each_damage(Action::Trial);
}

#[test]
fn damage_during_a_trial_is_rolled_back() {
    each_damage(Action::DamagedTrial);
}
