//! The guard when many plug at once.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::process::{Child, Stdio};

use xennet_core::kernel::Nftables;
use xennet_core::plan::guard::GuardLayout;
use xennet_core::types::{NftCounter, NftExpr, NftFamily, NftRule, VifId};
use xennet_tests::frames::*;
use xennet_tests::guests::{Guests, Table};
use xennet_tests::hotplug::Script;

const ONLINE: [&str; 2] = ["online", "type_if=vif"];
const OFFLINE: [&str; 2] = ["offline", "type_if=vif"];

fn start(guests: &Guests, id: VifId, args: &[&str]) -> Child {
    guests.dom0.command(Script::Ours, id, args, &[]).stderr(Stdio::piped()).spawn().unwrap()
}

fn assert_all_succeed(children: Vec<Child>) {
    for child in children {
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{said}");
    }
}

/// The table is there once, and is what it should be: no rule twice, none missing.
fn assert_whole(guests: &Guests) {
    let (family, name) = (NftFamily::Bridge, GuardLayout::TABLE);
    let mut nft = Nftables::open().unwrap();
    assert_eq!(guests.dom0.netns.nft_text("list tables"), "table bridge xennet\n");
    let table = nft.table(family, name).unwrap().unwrap();
    let layout = GuardLayout::of(&table, &nft.sets(family, name).unwrap()).unwrap();
    let mut rules = guests.table().rules;
    rules.iter_mut().for_each(forget_counters);
    // The kernel lists chains in the order in which they were made, and so do we.
    assert_eq!(rules, layout.rules());
    assert_eq!(guests.table().chains, layout.chains());
}

fn forget_counters(rule: &mut NftRule) {
    for expression in &mut rule.expressions {
        if let NftExpr::Counter(counter) = expression {
            *counter = NftCounter::default();
        }
    }
}

#[test]
fn twenty_first_plugs_at_once_make_one_table() {
    let mut guests = Guests::new("");
    let ids: Vec<VifId> = (1..=20)
        .map(|n| {
            // Prefixes of many lengths: each brings sets and rules of its own.
            let (ip4, ip6) =
                (format!("10.{n}.0.0/{}", 16 + n % 6), format!("fd{n:02}::/{}", 64 + n % 4));
            guests.boot(n, &[("ip", &format!("10.0.0.{n} {ip4} {ip6}"))])
        })
        .collect();
    assert_all_succeed(ids.iter().map(|id| start(&guests, *id, &ONLINE)).collect());
    assert_whole(&guests);
    for domid in 1..=20 {
        let from = |source: &str| of(domid, &ip4(source, tcp()));
        assert!(guests.passes(&from(&format!("10.0.0.{domid}"))));
        assert!(guests.passes(&from(&format!("10.{domid}.0.9"))));
        assert!(!guests.passes(&from(&format!("10.0.0.{}", domid % 20 + 1))));
    }
    assert_all_succeed(ids.iter().map(|id| start(&guests, *id, &OFFLINE)).collect());
    assert_whole(&guests);
    assert!(Table::read().elements.is_empty(), "{:?}", Table::read().elements);
}

#[test]
fn a_guest_that_migrates_within_the_host_is_never_refused() {
    let mut guests = Guests::new("");
    let ip = [("ip", "10.0.0.5 fd00::5 10.1.0.0/24")];
    let mut old = guests.guest(1, &ip);
    for domid in 2..=12 {
        let new = guests.boot(domid, &ip);
        let both = [(new, &ONLINE), (old, &OFFLINE)];
        assert_all_succeed(both.map(|(id, args)| start(&guests, id, args)).into());
        let owner = format!("vif{new}");
        let owners: Vec<String> = guests.table().owners().into_values().collect();
        assert_eq!(owners, [owner.as_str(); 5]);
        assert!(guests.passes(&of(domid, &ip4("10.0.0.5", tcp()))));
        assert!(!guests.passes(&uplink(&ip4("10.0.0.5", tcp()))));
        guests.unplug(&format!("vif{old}"));
        old = new;
    }
    assert_whole(&guests);
}

#[test]
fn two_vifs_that_are_given_the_same_address_at_once() {
    for round in 0..4 {
        let mut guests = Guests::new("");
        // In every other round there is no table yet.
        if round % 2 == 0 {
            guests.guest(9, &[("ip", "10.0.0.9")]);
        }
        let ids: Vec<VifId> = (1..=4).map(|n| guests.boot(n, &[("ip", "10.0.0.5")])).collect();
        assert_all_succeed(ids.iter().map(|id| start(&guests, *id, &ONLINE)).collect());
        assert_whole(&guests);
        assert_all_succeed(ids.iter().map(|id| start(&guests, *id, &OFFLINE)).collect());
        let table = guests.table();
        let left = table.owners();
        assert!(left.values().all(|owner| owner == "vif9.0"), "{left:?}");
    }
}

#[test]
fn somebody_changes_the_ruleset_all_the_time() {
    let mut guests = Guests::new("");
    for domid in 1..=10 {
        let id =
            guests.boot(domid, &[("ip", &format!("10.0.0.{domid} 10.{domid}.0.0/{}", 14 + domid))]);
        let plug = start(&guests, id, &ONLINE);
        for _ in 0..5 {
            guests.dom0.netns.nft("table ip other { chain c { counter; }; }");
            guests.dom0.netns.nft("delete table ip other");
        }
        assert_all_succeed(vec![plug]);
    }
    assert_whole(&guests);
}
