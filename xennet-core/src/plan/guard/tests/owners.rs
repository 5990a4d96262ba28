//! Addresses that several vifs own, and owners that are gone.

use std::collections::BTreeSet;

use super::fixture::*;
use super::plan::{Kernel, batches, owned, small};
use crate::config::{GuardLevel, GuardPolicy};
use crate::plan::Warning;
use crate::plan::guard::{GuardEntry, GuardSnapshot, remove};
use crate::types::{NftFamily, VifId};

fn vif(domid: u16) -> VifId {
    VifId { domid, devid: 0 }
}

/// `vif1.0` has it, too.
fn shares() -> GuardEntry {
    GuardEntry { ip: "10.0.0.5".parse().unwrap(), ..neighbour() }
}

fn guest(domid: u16) -> GuardEntry {
    let port = format!("vif{domid}.0").parse().unwrap();
    GuardEntry { port, owner: vif(domid), ..small(GuardLevel::Strict) }
}

fn unplug(kernel: &mut Kernel, entry: &GuardEntry, reserve: bool) {
    let snapshot = kernel.seen_by(entry);
    let (batch, _) = batches(remove(NftFamily::Bridge, entry.owner, reserve, &snapshot).unwrap());
    kernel.apply(&batch);
}

fn owner_of_10_0_0_5(comment: &str) -> [String; 1] {
    [format!("owned4_32 \"xenbr0\" . 10.0.0.5 comment \"{comment}\"")]
}

#[test]
fn address_of_two_vifs_is_owned_until_the_last_one_leaves() {
    for first_leaves_first in [false, true] {
        let mut kernel = Kernel::new();
        kernel.install(&small(GuardLevel::Strict));
        let batch = kernel.install(&shares());
        assert!(batch.generation.is_some(), "the other owner may leave meanwhile");
        assert_eq!(owned(&kernel), owner_of_10_0_0_5("vif1.0 vif2.0"));
        assert_eq!(small(GuardLevel::Strict).install(&kernel.seen), Ok(None));
        let mut order = [(small(GuardLevel::Strict), "vif2.0"), (shares(), "vif1.0")];
        if !first_leaves_first {
            order.reverse();
        }
        let [(first, left), (last, _)] = order;
        unplug(&mut kernel, &first, false);
        assert_eq!(owned(&kernel), owner_of_10_0_0_5(left));
        unplug(&mut kernel, &last, false);
        assert_eq!(kernel.shown(), [""; 0]);
    }
}

#[test]
fn failed_plug_of_a_second_owner_leaves_the_first() {
    let mut kernel = Kernel::new();
    kernel.install(&small(GuardLevel::Strict));
    let before = kernel.shown();
    let (batch, undo) = batches(shares().install(&kernel.seen_by(&shares())).unwrap().unwrap());
    kernel.apply(&batch);
    kernel.apply(&undo);
    assert_eq!(kernel.shown(), before);
}

#[test]
fn vif_that_gets_other_addresses_leaves_the_old_ones_to_their_other_owner() {
    let mut kernel = Kernel::new();
    kernel.install(&small(GuardLevel::Strict));
    kernel.install(&shares());
    kernel.install(&GuardEntry { ip: "10.0.0.7".parse().unwrap(), ..small(GuardLevel::Strict) });
    let [old] = owner_of_10_0_0_5("vif2.0");
    assert_eq!(
        owned(&kernel),
        [old, "owned4_32 \"xenbr0\" . 10.0.0.7 comment \"vif1.0\"".to_owned()]
    );
}

#[test]
fn shared_address_is_reported_to_each_owner_before_and_after_the_plug() {
    let mut kernel = Kernel::new();
    kernel.install(&small(GuardLevel::Strict));
    assert_eq!(small(GuardLevel::Strict).shared_addresses(&kernel.seen), []);
    let warning = |link: &str, owner| Warning::AddressShared {
        address: "10.0.0.5/32".parse().unwrap(),
        link: link.parse().unwrap(),
        owners: vec![vif(owner)],
    };
    assert_eq!(shares().shared_addresses(&kernel.seen_by(&shares())), [warning("vif2.0", 1)]);
    kernel.install(&shares());
    assert_eq!(shares().shared_addresses(&kernel.seen_by(&shares())), [warning("vif2.0", 1)]);
    assert_eq!(small(GuardLevel::Strict).shared_addresses(&kernel.seen), [warning("vif1.0", 2)]);
    assert_eq!(
        warning("vif2.0", 1).to_string(),
        "vif2.0: 10.0.0.5 is also an address of vif1.0, and the guard lets both send from it: unless a guest is migrating \
         within this host, correct ip= of one of them"
    );
    let off = GuardEntry { policy: GuardPolicy::default(), ..shares() };
    assert_eq!(off.shared_addresses(&kernel.seen), []);
}

#[test]
fn reservation_outlasts_another_owner_but_no_new_one() {
    let mut kernel = Kernel::new();
    kernel.install(&small(GuardLevel::Strict));
    kernel.install(&shares());
    unplug(&mut kernel, &small(GuardLevel::Strict), true);
    assert_eq!(owned(&kernel), owner_of_10_0_0_5("vif2.0 reserved vif1.0"));
    assert_eq!(shares().install(&kernel.seen_by(&shares())), Ok(None), "it stays as it is");
    let mut left = kernel.clone();
    unplug(&mut left, &shares(), false);
    assert_eq!(owned(&left), owner_of_10_0_0_5("reserved vif1.0"));
    kernel.install(&guest(3));
    assert_eq!(owned(&kernel), owner_of_10_0_0_5("vif2.0 vif3.0"));
}

#[test]
fn comment_with_too_many_owners_is_never_removed_by_one_of_them() {
    let mut kernel = Kernel::new();
    let guests: Vec<GuardEntry> = (100..120).map(guest).collect();
    for entry in &guests {
        kernel.install(entry);
    }
    let [owners] = owned(&kernel).try_into().unwrap();
    assert!(owners.contains("\"vif100.0 ") && owners.ends_with(" …\""), "{owners}");
    for entry in &guests {
        unplug(&mut kernel, entry, false);
    }
    assert_eq!(owned(&kernel), [owners]);
    assert!(kernel.shown().iter().all(|line| line.starts_with("owned")));
}

#[test]
fn plug_removes_owners_that_are_gone() {
    let mut kernel = Kernel::new();
    let gone = GuardEntry { ip: "10.0.0.5 10.0.0.9".parse().unwrap(), ..small(GuardLevel::Strict) };
    kernel.install(&gone);
    kernel.install(&GuardEntry { ip: "10.0.0.9".parse().unwrap(), ..guest(3) });
    let snapshot = kernel.seen_by(&shares());
    assert_eq!(snapshot.other_owners(Some(vif(2))), BTreeSet::from([vif(1)]));
    let snapshot = GuardSnapshot { gone: [vif(1)].into(), ..snapshot };
    assert_eq!(shares().shared_addresses(&snapshot), []);
    let mut wanted_only = kernel.clone();
    wanted_only.apply(&batches(shares().install(&snapshot).unwrap().unwrap()).0);
    assert_eq!(owned(&wanted_only)[..1], owner_of_10_0_0_5("vif2.0"));
    // With all that the gone vif had in the snapshot, all of it goes.
    let snapshot = GuardSnapshot { gone: [vif(1)].into(), ..kernel.seen.clone() };
    kernel.apply(&batches(shares().install(&snapshot).unwrap().unwrap()).0);
    let left = kernel.shown();
    assert!(left.iter().all(|line| !line.contains("vif1.0")), "{left:?}");
    assert!(left.contains(&"owned4_32 \"xenbr0\" . 10.0.0.9 comment \"vif3.0\"".to_owned()));
    assert!(left.iter().any(|line| line.contains("macs \"vif3.0\"")), "{left:?}");
}

#[test]
fn addresses_of_a_gone_vif_that_reserves_them_stay_reserved_for_it() {
    let policy = GuardPolicy { level: GuardLevel::Strict, reserve: true, ..Default::default() };
    let reserving = GuardEntry { policy, ..small(GuardLevel::Strict) };
    let mut kernel = Kernel::new();
    kernel.install(&reserving);
    let other = GuardEntry { ip: "10.0.0.6".parse().unwrap(), ..neighbour() };
    let gone = |kernel: &Kernel| GuardSnapshot { gone: [vif(1)].into(), ..kernel.seen.clone() };
    kernel.apply(&batches(other.install(&gone(&kernel)).unwrap().unwrap()).0);
    assert_eq!(owned(&kernel)[..1], owner_of_10_0_0_5("reserved vif1.0"));
    assert_eq!(other.install(&gone(&kernel)), Ok(None));
}
