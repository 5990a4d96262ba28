//! Others change the guard's own table: the next plug, or `xennet guard restore`, puts it right, or says what is wrong.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by a panic")]

use xennet_tests::frames::*;
use xennet_tests::guests::{Guests, as_planned};
use xennet_tests::hotplug::{Outcome, Script};

/// What is done to the table, and what of the guard is then no longer so.
const DAMAGE: [&str; 13] = [
    "flush ruleset",
    "flush table bridge xennet",
    "delete table bridge xennet",
    "flush chain bridge xennet bound",
    "flush table bridge xennet; delete set bridge xennet own4",
    "flush chain bridge xennet prerouting; delete chain bridge xennet prerouting",
    "insert rule bridge xennet guarded accept",
    "add rule bridge xennet bound accept",
    "add chain bridge xennet mine { type filter hook forward priority 0; policy drop; }",
    "flush set bridge xennet macs; flush set bridge xennet own4",
    "add table bridge xennet { flags dormant; }",
    "delete set bridge xennet whole; add set bridge xennet whole { type ipv6_addr; }",
    "delete set bridge xennet whole; add set bridge xennet whole { type mark; flags interval; }",
];

fn stolen() -> xennet_core::plan::guard::Frame {
    mine(&ip4("10.0.0.7", tcp()))
}

fn own() -> xennet_core::plan::guard::Frame {
    mine(&ip4("10.0.0.5", tcp()))
}

fn assert_guarded(guests: &Guests, damage: &str) {
    assert!(guests.passes(&own()), "{damage}");
    assert!(!guests.passes(&stolen()), "{damage}");
    assert!(!guests.passes(&uplink(&ip4("10.0.0.5", tcp()))), "{damage}");
    assert!(!guests.passes(&frame("vif1.0", [2; 6], &[], &ip4("10.0.0.5", tcp()))), "{damage}");
}

fn ruleset(guests: &Guests) -> String {
    as_planned(&guests.dom0.netns.nft_text("-s list table bridge xennet"))
}

#[test]
fn the_next_plug_of_the_same_vif_puts_it_right() {
    let mut guests = Guests::new("");
    let id = guests.guest(1, &[("ip", "10.0.0.5")]);
    let before = ruleset(&guests);
    for damage in DAMAGE {
        guests.dom0.netns.nft(damage);
        guests.dom0.online(Script::Ours, id).succeeded();
        assert_guarded(&guests, damage);
        assert_eq!(sorted(&ruleset(&guests)), sorted(&before), "{damage}");
    }
}

#[test]
fn restore_puts_it_right_and_check_says_what_is_wrong() {
    let mut guests = Guests::new("");
    guests.guest(1, &[("ip", "10.0.0.5")]);
    guests.guest(2, &[("ip", "10.0.0.6")]);
    let (before, links) = (ruleset(&guests), guests.dom0.links());
    guests.dom0.xennet("guard check").succeeded();
    for damage in DAMAGE {
        guests.dom0.netns.nft(damage);
        let checked = guests.dom0.xennet("guard check");
        assert_eq!(checked.code, Some(1), "{damage}: {checked:?}");
        assert!(checked.stdout.contains("vif1.0: nft "), "{damage}: {checked:?}");
        guests.dom0.xennet("guard restore").succeeded();
        assert_guarded(&guests, damage);
        assert_eq!(sorted(&ruleset(&guests)), sorted(&before), "{damage}");
        guests.dom0.xennet("guard check").succeeded();
    }
    assert_eq!(guests.dom0.links(), links, "nothing else was touched");
}

#[test]
fn the_next_plug_of_another_vif_puts_the_rules_right() {
    let mut guests = Guests::new("");
    let first = guests.guest(1, &[("ip", "10.0.0.5")]);
    for damage in DAMAGE {
        guests.dom0.netns.nft(damage);
        let second = guests.guest(2, &[("ip", "10.0.0.6")]);
        assert!(guests.passes(&of(2, &ip4("10.0.0.6", tcp()))), "{damage}");
        assert!(!guests.passes(&of(2, &ip4("10.0.0.7", tcp()))), "{damage}");
        // What the first one's elements said may be gone with the table; it then is a port without a guard.
        assert!(!guests.passes(&mine(&ip4("10.0.0.6", tcp()))), "{damage}");
        guests.dom0.offline(Script::Ours, second).succeeded();
        guests.unplug("vif2.0");
        guests.dom0.online(Script::Ours, first).succeeded();
    }
}

#[test]
fn what_is_left_of_a_guest_that_went_unseen_is_found() {
    let mut guests = Guests::new("");
    guests.guest(1, &[("ip", "10.0.0.5 10.1.0.0/24")]);
    guests.guest(2, &[("ip", "10.0.0.6")]);
    // Nobody called the script.
    guests.unplug("vif1.0");
    guests.dom0.store.tool("xenstore-rm", &["/local/domain/0/backend/vif/1"]);
    assert!(!guests.passes(&uplink(&ip4("10.0.0.5", tcp()))));
    let checked = guests.dom0.xennet("guard check");
    assert_eq!(checked.code, Some(1), "{checked:?}");
    assert!(checked.stdout.contains("vif1.0: nft delete element"), "{checked:?}");
    guests.dom0.xennet("guard restore").succeeded();
    guests.dom0.xennet("guard check").succeeded();
    assert!(guests.passes(&uplink(&ip4("10.0.0.5", tcp()))));
    assert!(!guests.passes(&uplink(&ip4("10.0.0.6", tcp()))));
}

#[test]
fn a_table_of_that_name_of_somebody_elses_is_left_alone() {
    for (table, words) in [
        ("table bridge xennet { chain mine { type filter hook forward priority 0; }; }", ""),
        ("table bridge xennet { comment \"my own\"; }", "my own"),
        ("table bridge xennet { comment \"xennet guard 99\"; }", "xennet guard 99"),
    ] {
        let mut guests = Guests::new("");
        guests.dom0.netns.nft(table);
        let before = ruleset(&guests);
        let id = guests.boot(1, &[("ip", "10.0.0.5")]);
        let outcome = guests.dom0.online(Script::Ours, id);
        assert_refused(&guests, &outcome, &["table bridge xennet", words]);
        assert_eq!(ruleset(&guests), before);
        // One that needs no guard does without.
        guests.guest(2, &[]);
        assert_eq!(ruleset(&guests), before);
        guests.dom0.offline(Script::Ours, id).succeeded();
    }
}

fn assert_refused(guests: &Guests, outcome: &Outcome, words: &[&str]) {
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    for words in words {
        assert!(outcome.stderr.contains(words), "no {words:?} in {}", outcome.stderr);
    }
    let id = "1.0".parse().unwrap();
    let told = guests.dom0.key(id, "hotplug-error").unwrap();
    assert_eq!(format!("vif-bridge: {told}\n"), outcome.stderr);
    assert_eq!(guests.dom0.key(id, "hotplug-status").as_deref(), Some("error"));
    let link = guests.dom0.netns.link("vif1.0");
    let up = link["flags"].as_array().unwrap().contains(&"UP".into());
    assert!(link["master"].is_null() && !up, "{link}");
}

#[test]
fn remove_takes_all_away_but_only_by_force_while_it_guards() {
    let mut guests = Guests::new("");
    let id = guests.guest(1, &[("ip", "10.0.0.5")]);
    guests.dom0.netns.nft("table inet other { chain c { counter; }; }");
    let refused = guests.dom0.xennet("guard remove");
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("still guards vif1.0"), "{refused:?}");
    assert!(!guests.passes(&stolen()));
    guests.dom0.xennet("guard remove --force").succeeded();
    assert!(guests.passes(&stolen()));
    assert_eq!(guests.dom0.netns.nft_text("list tables"), "table inet other\n");
    guests.dom0.xennet("guard restore").succeeded();
    assert_guarded(&guests, "guard remove");
    guests.dom0.offline(Script::Ours, id).succeeded();
    guests.dom0.xennet("guard remove").succeeded();
    guests.dom0.xennet("guard remove").succeeded();
    assert_eq!(guests.dom0.netns.nft_text("list tables"), "table inet other\n");
}

/// A chain that was deleted comes back at the end, and elements are in no order.
fn sorted(ruleset: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = ruleset.lines().map(str::trim).collect();
    lines.sort_unstable();
    lines
}
