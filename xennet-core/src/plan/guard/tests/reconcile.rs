//! One plan for all ports of a family.

use super::fixture::*;
use super::plan::{Kernel, batches, owned, small};
use crate::config::{GuardLevel, GuardPolicy};
use crate::plan::guard::{
    GuardEntry, GuardLayout, GuardSnapshot, PortFault, TableRepair, reconcile, remove,
};
use crate::types::{
    NftCommand, NftCounter, NftElement, NftExpr, NftFamily, NftSet, NftValue, VifId,
};

const BRIDGE: NftFamily = NftFamily::Bridge;

fn vif(domid: u16) -> VifId {
    VifId { domid, devid: 0 }
}

fn entries() -> [GuardEntry; 2] {
    [entry(GuardLevel::Strict), GuardEntry { ip: "10.0.0.5".parse().unwrap(), ..neighbour() }]
}

fn complete(kernel: &Kernel) -> GuardSnapshot {
    GuardSnapshot { complete: true, ..kernel.seen.clone() }
}

fn plan(kernel: &Kernel, entries: &[GuardEntry]) -> TableRepair {
    reconcile(BRIDGE, entries, &complete(kernel)).unwrap()
}

/// Makes what is planned; after that, nothing is wrong.
fn repair(kernel: &mut Kernel, entries: &[GuardEntry]) -> TableRepair {
    let repair = plan(kernel, entries);
    kernel.apply(&batches(repair.change.clone().unwrap()).0);
    let again = plan(kernel, entries);
    assert_eq!((again.change, again.faults), (None, Vec::new()));
    assert!(again.structure.commands.is_empty());
    assert_eq!(again.warnings, repair.warnings);
    repair
}

fn ports(repair: &TableRepair) -> Vec<(&str, bool)> {
    let only_structure = |fault: &PortFault| fault.elements.commands.is_empty();
    repair.faults.iter().map(|fault| (fault.port.as_str(), only_structure(fault))).collect()
}

#[test]
fn flushed_table_comes_back_in_one_batch_and_its_undo_takes_it_back() {
    let mut one_by_one = Kernel::new();
    for entry in entries() {
        one_by_one.install(&entry);
    }
    let mut kernel = Kernel::new();
    let repaired = repair(&mut kernel, &entries());
    assert_eq!(kernel.shown(), one_by_one.shown());
    assert_eq!(ports(&repaired), [("vif1.0", false), ("vif2.0", false)]);
    assert!(!repaired.structure.commands.is_empty());
    assert_eq!(repaired.warnings.len(), 2, "each of the two is told of the other");
    let (_, undo) = batches(repaired.change.unwrap());
    kernel.apply(&undo);
    assert_eq!(kernel.shown(), [""; 0]);
}

#[test]
fn faults_name_the_ports_whose_elements_are_wrong() {
    let mut kernel = Kernel::new();
    repair(&mut kernel, &entries());
    let mut damaged = kernel.clone();
    damaged
        .seen
        .present
        .retain(|(set, element)| set.name != "macs" || !element.to_string().contains("vif2.0"));
    let repaired = repair(&mut damaged, &entries());
    assert_eq!(ports(&repaired), [("vif2.0", false)]);
    assert_eq!(
        repaired.faults[0].elements.to_string(),
        "add element bridge xennet macs { \"vif2.0\" . 00:16:3e:00:00:02 }"
    );
    // One owner is missing in a comment.
    let mut damaged = kernel.clone();
    for (set, element) in &mut damaged.seen.present {
        if set.name == "owned4_32" && element.comment.as_deref() == Some("vif1.0 vif2.0") {
            element.comment = Some("vif1.0".to_owned());
        }
    }
    assert_eq!(ports(&repair(&mut damaged, &entries())), [("vif2.0", false)]);
    // The rules are everybody's.
    let mut damaged = kernel.clone();
    damaged.seen.rules.remove(9);
    assert_eq!(ports(&repair(&mut damaged, &entries())), [("vif1.0", true), ("vif2.0", true)]);
    // A foreign element that allows a port more.
    let mut damaged = kernel.clone();
    let (set, _) = damaged.seen.present.iter().find(|(set, _)| set.name == "macs").unwrap().clone();
    let key = [NftValue::IfName("vif1.0".parse().unwrap()), NftValue::EtherAddr(THEIRS)];
    damaged.seen.present.push((set, NftElement::new(key)));
    assert_eq!(ports(&repair(&mut damaged, &entries())), [("vif1.0", false)]);
    assert_eq!(damaged.shown(), kernel.shown());
}

#[test]
fn gone_vifs_leave_nothing_and_unknown_ones_keep_all() {
    let mut kernel = Kernel::new();
    repair(&mut kernel, &entries());
    let before = kernel.shown();
    // The configuration of vif2.0 cannot be read.
    let [first, _] = entries();
    let known = [first];
    assert_eq!(plan(&kernel, &known).change, None);
    assert_eq!(plan(&kernel, &[]).change, None);
    assert_eq!(complete(&kernel).other_owners(None), [vif(1), vif(2)].into());
    kernel.seen.gone.insert(vif(2));
    let repaired = repair(&mut kernel, &known);
    assert_eq!(ports(&repaired), [("vif2.0", false)]);
    let mut alone = Kernel::new();
    alone.install(&known[0]);
    assert_eq!(kernel.shown(), alone.shown());
    assert_ne!(kernel.shown(), before);
    kernel.seen.gone.insert(vif(1));
    repair(&mut kernel, &[]);
    assert_eq!(kernel.shown(), [""; 0]);
}

#[test]
fn cut_list_of_owners_is_computed_again() {
    let mut kernel = Kernel::new();
    let guest = |domid: u16| GuardEntry {
        port: format!("vif{domid}.0").parse().unwrap(),
        owner: vif(domid),
        ..small(GuardLevel::Strict)
    };
    let mut guests: Vec<GuardEntry> = (100..120).map(guest).collect();
    repair(&mut kernel, &guests);
    assert!(owned(&kernel)[0].ends_with(" …\""), "{:?}", owned(&kernel));
    for entry in guests.split_off(2) {
        let snapshot = kernel.seen_by(&entry);
        kernel.apply(&batches(remove(BRIDGE, entry.owner, false, &snapshot).unwrap()).0);
        kernel.seen.gone.insert(entry.owner);
    }
    repair(&mut kernel, &guests);
    assert_eq!(owned(&kernel), ["owned4_32 \"xenbr0\" . 10.0.0.5 comment \"vif100.0 vif101.0\""]);
}

#[test]
fn entries_of_other_families_and_of_level_off_are_ignored() {
    let routed = GuardEntry { bridge: None, ..entry(GuardLevel::Strict) };
    let off = GuardEntry { policy: GuardPolicy::default(), ..entry(GuardLevel::Strict) };
    let repaired = plan(&Kernel::new(), &[routed, off]);
    assert_eq!((repaired.change, repaired.faults), (None, Vec::new()));
}

const COUNTED: NftCounter = NftCounter { packets: 3, bytes: 300 };

fn count(kernel: &mut Kernel) {
    for (_, element) in &mut kernel.seen.present {
        element.counter = element.counter.map(|_| COUNTED);
    }
    for rule in &mut kernel.seen.rules {
        for expression in &mut rule.expressions {
            if let NftExpr::Counter(counter) = expression {
                *counter = COUNTED;
            }
        }
    }
}

fn counters(kernel: &Kernel) -> Vec<NftCounter> {
    kernel.seen.present.iter().filter_map(|(_, element)| element.counter).collect()
}

#[test]
fn record_that_changes_resets_no_counter() {
    let mut kernel = Kernel::new();
    kernel.install(&small(GuardLevel::Strict));
    count(&mut kernel);
    let batch = kernel.install(&small(GuardLevel::Ip));
    assert_eq!(counters(&kernel), [COUNTED; 1]);
    assert!(!batch.to_string().contains("element bridge xennet ports "), "{batch}");
}

#[test]
fn table_of_an_older_version_is_extended_and_keeps_elements_and_counters() {
    let [first, second] = entries();
    let mut old = Kernel::new();
    repair(&mut old, &entries());
    // Version 2 had no set of records: the ports' comments were the records.
    old.seen.sets.retain(|set| set.name != "records");
    old.seen.present.retain(|(set, _)| set.name != "records" && set.name != "whole");
    for (set, element) in &mut old.seen.present {
        let entry = [&first, &second].into_iter().find(|entry| {
            element.key == [NftValue::IfName(entry.port.clone())] && set.name == "ports"
        });
        element.comment = entry.map(GuardEntry::record).or(element.comment.take());
    }
    count(&mut old);
    let elements = |kernel: &Kernel| -> Vec<(NftSet, NftElement)> {
        let present = kernel.seen.present.iter();
        present
            .filter(|(set, _)| !["records", "whole"].contains(&set.name.as_str()))
            .cloned()
            .collect()
    };
    let mut by_plug = old.clone();
    by_plug.install(&first);
    let mut by_repair = old.clone();
    let repaired = repair(&mut by_repair, &entries());
    let touches = |command: &NftCommand| {
        !matches!(
            command,
            NftCommand::TableAdd { .. } | NftCommand::SetAdd(_) | NftCommand::ElementsAdd { .. }
        )
    };
    let (batch, _) = batches(repaired.change.unwrap());
    assert!(!batch.commands.iter().any(touches), "rules and other sets stay: {batch}");
    for kernel in [&by_plug, &by_repair] {
        assert_eq!(elements(kernel), elements(&old));
        assert_eq!(kernel.seen.rules, old.seen.rules);
    }
    // What only the old record names is removed all the same.
    by_plug.install(&GuardEntry { ip: "10.0.0.9".parse().unwrap(), ..second.clone() });
    let left = by_plug.shown();
    assert!(!left.contains(&"ip4_32 \"vif2.0\" . 10.0.0.5".to_owned()), "{left:?}");
    for (entry, others) in [(&first, &second), (&second, &first)] {
        let mut left = by_repair.clone();
        let snapshot = left.seen_by(entry);
        left.apply(&batches(remove(BRIDGE, entry.owner, false, &snapshot).unwrap()).0);
        assert_eq!(
            left.shown().iter().filter(|line| line.contains(entry.port.as_str())).count(),
            0
        );
        assert!(left.shown().iter().any(|line| line.contains(others.port.as_str())));
    }
}

#[test]
fn rules_and_elements_that_are_made_again_keep_their_counters() {
    let mut kernel = Kernel::new();
    repair(&mut kernel, &entries());
    count(&mut kernel);
    let counted = kernel.seen.rules.clone();
    // The set of the ports has another type, and all rules are written again.
    kernel.seen.sets.iter_mut().find(|set| set.name == "ports").unwrap().counter = false;
    repair(&mut kernel, &entries());
    assert_eq!(counters(&kernel), [COUNTED; 2]);
    let sorted = |mut rules: Vec<crate::types::NftRule>| {
        rules.sort_by(|one, other| one.chain.cmp(&other.chain));
        rules
    };
    assert_eq!(sorted(kernel.seen.rules.clone()), sorted(counted));
    // An unplugged vif that comes back by the undo has its counters.
    let snapshot = kernel.seen_by(&entries()[0]);
    let (batch, undo) = batches(remove(BRIDGE, vif(1), false, &snapshot).unwrap());
    kernel.apply(&batch);
    kernel.apply(&undo);
    assert_eq!(counters(&kernel), [COUNTED; 2]);
}

#[test]
fn fresh_look_after_an_install_plans_nothing_with_a_cached_verification() {
    let mut kernel = Kernel::new();
    for entry in entries() {
        kernel.install(&entry);
        let (_, key) = GuardLayout::verification_key(kernel.seen.generation);
        let mut present = kernel.seen.present.iter();
        let (_, element) = present.find(|(_, element)| element.key == key.key).unwrap();
        let verified = GuardLayout::from_verification(BRIDGE, element);
        let GuardSnapshot { generation, table, present, .. } = kernel.seen_by(&entry);
        let cached =
            GuardSnapshot { generation, table, verified, present, ..GuardSnapshot::default() };
        assert!(cached.verified.is_some());
        assert_eq!(entry.install(&cached), Ok(None));
    }
}
