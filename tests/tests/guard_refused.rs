//! The guard cannot be set up: then the vif is not plugged at all, and it says why.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by a panic")]

use std::process::Command;

use xennet_core::types::VifId;
use xennet_tests::frames::*;
use xennet_tests::guests::Guests;
use xennet_tests::hotplug::{Outcome, Script};
use xennet_tests::strace::Purpose::{Receive, Send};
use xennet_tests::strace::{self, for_each_call};

const ONLINE: [&str; 2] = ["online", "type_if=vif"];
const ID: VifId = VifId { domid: 1, devid: 0 };

/// It is down, in no bridge, and XenStore knows why.
fn assert_refused(guests: &Guests, outcome: &Outcome) {
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let told = guests.dom0.key(ID, "hotplug-error").unwrap();
    assert_eq!(format!("vif-bridge: {told}\n"), outcome.stderr);
    assert_eq!(guests.dom0.key(ID, "hotplug-status").as_deref(), Some("error"));
    assert_out(guests);
}

fn assert_out(guests: &Guests) {
    let link = guests.dom0.netns.link("vif1.0");
    let up = link["flags"].as_array().unwrap().contains(&"UP".into());
    assert!(link["master"].is_null() && !up, "{link}");
}

fn named_by_the_ruleset(guests: &Guests) -> bool {
    let ruleset = guests.dom0.netns.nft_text("list ruleset");
    ["\"vif1.0", "10.0.0.5"].iter().any(|text| ruleset.contains(text))
}

/// Each request of a plug is refused once, and each answer lost once: of the first plug ever and of a later one.
#[test]
fn plug_refused_at_any_call_is_guarded_or_out() {
    let mut guests = Guests::new("");
    guests.boot(1, &[("ip", "10.0.0.5")]);
    for (purpose, errno, first) in [
        (Send, "EOPNOTSUPP", true),
        (Send, "EPERM", false),
        (Receive, "ENOMEM", true),
        (Receive, "EPERM", false),
    ] {
        guests.dom0.xennet("guard remove").succeeded();
        if !first {
            guests.guest(2, &[("ip", "10.0.0.6")]);
        }
        let mut refused = 0;
        let prepare = || {
            guests.dom0.offline(Script::Ours, ID).succeeded();
            if first {
                guests.dom0.xennet("guard remove").succeeded();
            }
            guests.dom0.command(Script::Ours, ID, &ONLINE, &[])
        };
        let fail = |command: &Command, call: &str, n| strace::failing(command, call, n, errno);
        for_each_call(purpose, prepare, fail, |point, traced| {
            let what = format!("{point} {errno}: {}", traced.outcome.stderr);
            if traced.outcome.code == Some(0) {
                // It was about something that a plug can do without.
                assert!(!guests.passes(&mine(&ip4("10.0.0.7", tcp()))), "{what}: not guarded");
            } else {
                assert_out(&guests);
                assert!(!named_by_the_ruleset(&guests), "{what}: an element is left");
                refused += 1;
            }
            // The next attempt finds nothing in its way.
            guests.dom0.online(Script::Ours, ID).succeeded();
            assert!(!guests.passes(&mine(&ip4("10.0.0.7", tcp()))), "{what}");
        });
        // After most lost answers the plug observes again, and goes on.
        assert!(refused > 0, "{refused} for {errno}");
        if !first {
            let other = VifId { domid: 2, devid: 0 };
            guests.dom0.offline(Script::Ours, other).succeeded();
            guests.unplug("vif2.0");
        }
        guests.dom0.offline(Script::Ours, ID).succeeded();
    }
}

#[test]
fn plug_killed_at_any_call_is_never_up_without_a_guard() {
    let mut guests = Guests::new("");
    guests.boot(1, &[("ip", "10.0.0.5")]);
    let prepare = || {
        guests.dom0.offline(Script::Ours, ID).succeeded();
        guests.dom0.xennet("guard remove").succeeded();
        guests.dom0.command(Script::Ours, ID, &ONLINE, &[])
    };
    for purpose in [Send, Receive] {
        for_each_call(purpose, prepare, strace::killed_before, |point, _| {
            let link = guests.dom0.netns.link("vif1.0");
            if link["flags"].as_array().unwrap().contains(&"UP".into()) {
                assert!(guests.passes(&mine(&ip4("10.0.0.5", tcp()))));
                assert!(!guests.passes(&mine(&ip4("10.0.0.7", tcp()))), "killed before {point}");
            }
            guests.dom0.online(Script::Ours, ID).succeeded();
            assert!(!guests.passes(&mine(&ip4("10.0.0.7", tcp()))));
        });
    }
}

#[test]
fn a_guest_whose_ethernet_address_nobody_knows_is_not_plugged() {
    let mut guests = Guests::new("");
    guests.boot(1, &[("ip", "10.0.0.5")]);
    guests.dom0.store.tool("xenstore-rm", &[&format!("{}/mac", guests.dom0.backend(ID))]);
    let outcome = guests.dom0.online(Script::Ours, ID);
    assert_refused(&guests, &outcome);
    assert!(outcome.stderr.contains("mac"), "{outcome:?}");
}

#[test]
fn a_user_without_rights_on_nftables() {
    let mut guests = Guests::new("");
    guests.boot(1, &[("ip", "10.0.0.5")]);
    let mut command = guests.dom0.command(Script::Ours, ID, &ONLINE, &[]);
    // Everything but the rights to change the network.
    let mut capsh = Command::new("setpriv");
    capsh.args(["--bounding-set=-net_admin", "--inh-caps=-net_admin"]);
    capsh.arg(command.get_program()).args(command.get_args()).env_clear();
    for (name, value) in command.get_envs() {
        capsh.env(name, value.unwrap());
    }
    let output = capsh.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_out(&guests);
    let told = guests.dom0.key(ID, "hotplug-error").unwrap();
    assert!(told.contains("Operation not permitted"), "{told}");
    command = guests.dom0.command(Script::Ours, ID, &ONLINE, &[]);
    assert!(command.status().unwrap().success());
}
