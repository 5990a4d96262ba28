//! The guard of many ports, planned and made in one batch.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use xennet_core::config::{GuardLevel, GuardPolicy};
use xennet_core::kernel::Nftables;
use xennet_core::plan::Change;
use xennet_core::plan::guard::{GuardEntry, GuardLayout, GuardSnapshot, TableRepair, reconcile};
use xennet_core::types::{MacAddr, NftFamily, VifId};
use xennet_tests::guests::{guarded_at_ingress, mac};
use xennet_tests::netns::Netns;

const TABLE: &str = GuardLayout::TABLE;

fn guest(domid: u16, family: NftFamily) -> GuardEntry {
    let [high, low] = domid.to_be_bytes();
    let owner = VifId { domid, devid: 0 };
    GuardEntry {
        port: format!("vif{owner}").parse().unwrap(),
        owner,
        claims: true,
        bridge: (family == NftFamily::Bridge).then(|| "xenbr0".parse().unwrap()),
        switch: false,
        mac: MacAddr::from_octets(mac(domid)).unwrap(),
        ip: format!("10.0.{high}.{low} 10.1.{high}.{low} 10.{}.{low}.0/24 fd00::{domid:x} fd00:{domid:x}::/64", high + 2)
            .parse()
            .unwrap(),
        policy: GuardPolicy { level: GuardLevel::Strict, ..GuardPolicy::default() },
    }
}

/// All of the table.
fn complete(nft: &mut Nftables, family: NftFamily) -> GuardSnapshot {
    let mut snapshot = GuardSnapshot {
        generation: nft.generation().unwrap(),
        table: nft.table(family, TABLE).unwrap(),
        sets: nft.sets(family, TABLE).unwrap(),
        chains: nft.chains(family, TABLE).unwrap(),
        rules: nft.rules(family, TABLE).unwrap(),
        complete: true,
        ..GuardSnapshot::default()
    };
    for set in snapshot.sets.iter().filter(|set| set.name != "whole") {
        let elements = nft.elements(family, TABLE, set).unwrap();
        snapshot.present.extend(elements.into_iter().map(|element| (set.clone(), element)));
    }
    let device = |chain: &xennet_core::types::NftChain| chain.hook.as_ref()?.device.clone();
    snapshot.entrances = snapshot.chains.iter().filter_map(device).collect();
    snapshot
}

/// How many elements each set has.
fn counts(nft: &mut Nftables, family: NftFamily) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for (set, _) in complete(nft, family).present {
        *counts.entry(set.name).or_default() += 1;
    }
    counts
}

fn repair(nft: &mut Nftables, entries: &[GuardEntry], gone: BTreeSet<VifId>) -> TableRepair {
    let family = entries.first().unwrap().family();
    let began = Instant::now();
    let snapshot = GuardSnapshot { gone, ..complete(nft, family) };
    let observed = began.elapsed();
    let planned = reconcile(family, entries, &snapshot).unwrap();
    let planned_after = began.elapsed();
    if let Some(Change::Nft { batch, .. }) = &planned.change {
        nft.apply(batch).unwrap();
    }
    println!(
        "{family}, {} entries: observed in {observed:?}, planned after {planned_after:?}, all in {:?}",
        entries.len(),
        began.elapsed()
    );
    planned
}

fn assert_nothing_to_do(nft: &mut Nftables, entries: &[GuardEntry]) {
    let planned = repair(nft, entries, BTreeSet::new());
    assert_eq!((planned.change, planned.faults), (None, Vec::new()));
}

#[test]
fn thousand_guests_are_installed_and_restored_in_one_batch() {
    for family in [NftFamily::Bridge, NftFamily::Inet] {
        let netns = Netns::new();
        let mut nft = Nftables::open().unwrap();
        let entries: Vec<GuardEntry> = (1..=1000).map(|domid| guest(domid, family)).collect();
        let installed = repair(&mut nft, &entries, BTreeSet::new());
        assert_eq!(installed.faults.len(), 1000);
        let before = counts(&mut nft, family);
        for (set, count) in [
            ("ports", 1000),
            ("records", 1000),
            ("own4", 2000),
            ("own6", 2000),
            ("owned4_24", 1000),
            ("owned6_64", 1000),
        ] {
            assert_eq!(before.get(set), Some(&count), "{set}");
        }
        assert_nothing_to_do(&mut nft, &entries);

        let generation = nft.generation().unwrap();
        netns.nft("flush ruleset");
        let flushed = nft.generation().unwrap();
        let restored = repair(&mut nft, &entries, BTreeSet::new());
        assert_eq!(nft.generation().unwrap(), flushed.wrapping_add(1), "one batch");
        assert_ne!(generation, flushed);
        assert_eq!(restored.faults.len(), 1000);
        assert_eq!(counts(&mut nft, family), before);
        assert_nothing_to_do(&mut nft, &entries);

        // Half of the elements of one set are lost.
        let some = entries.iter().step_by(2).map(|entry| format!("\"{}\"", entry.port));
        let some = some.collect::<Vec<_>>().join(", ");
        netns.nft(&format!("delete element {family} xennet ports {{ {some} }}"));
        assert_eq!(repair(&mut nft, &entries, BTreeSet::new()).faults.len(), 500);
        assert_eq!(counts(&mut nft, family), before);

        // The undo takes it all back.
        netns.nft("flush ruleset");
        let planned = repair(&mut nft, &entries, BTreeSet::new());
        let Some(Change::Nft { undo, .. }) = planned.change else { panic!("it was flushed") };
        nft.apply(&undo).unwrap();
        assert_eq!(counts(&mut nft, family), BTreeMap::new());
        // Of all guests but one nothing is left.
        repair(&mut nft, &entries, BTreeSet::new());
        let gone = entries.iter().skip(1).map(|entry| entry.owner).collect();
        let removed = repair(&mut nft, entries.get(..1).unwrap(), gone);
        assert_eq!(removed.faults.len(), 999);
        assert!(counts(&mut nft, family).values().all(|count| *count <= 3));
        assert_nothing_to_do(&mut nft, entries.get(..1).unwrap());
    }
}

#[test]
fn ports_with_chains_of_their_own_are_restored_in_one_batch() {
    let netns = Netns::new();
    let mut nft = Nftables::open().unwrap();
    let entries: Vec<GuardEntry> =
        (1..=20).map(|domid| guarded_at_ingress(domid, &format!("10.0.0.{domid}"))).collect();
    for entry in &entries {
        netns.ip(&format!("link add {0} type veth peer name of-{0}", entry.port));
    }
    let entrances = |nft: &mut Nftables| complete(nft, NftFamily::Netdev).entrances.len();
    repair(&mut nft, &entries, BTreeSet::new());
    assert_eq!(entrances(&mut nft), 20);
    assert_nothing_to_do(&mut nft, &entries);
    netns.nft("flush ruleset");
    assert_eq!(repair(&mut nft, &entries, BTreeSet::new()).faults.len(), 20);
    assert_eq!(entrances(&mut nft), 20);
    // A device goes and takes its hook along; its vif is gone, or it comes back.
    netns.ip("link delete vif1.0");
    netns.ip("link delete vif2.0");
    netns.ip("link add vif2.0 type veth peer name of-vif2.0");
    let kept = entries.get(1..).unwrap();
    repair(&mut nft, kept, [VifId { domid: 1, devid: 0 }].into());
    assert_eq!(entrances(&mut nft), 19);
    assert_eq!(counts(&mut nft, NftFamily::Netdev).get("ports"), Some(&19));
    assert_nothing_to_do(&mut nft, kept);
    repair(
        &mut nft,
        kept.get(..1).unwrap(),
        kept.iter().skip(1).map(|entry| entry.owner).collect(),
    );
    assert_eq!(entrances(&mut nft), 1);
}
