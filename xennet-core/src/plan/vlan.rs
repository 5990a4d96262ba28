//! The VLANs of a port: from those that it is in to those that it shall be in.

use std::collections::BTreeMap;

use super::Change;
use crate::types::{LinkRef, VlanId, VlanRange};

/// What takes a port from the VLANs `now` to exactly those `wanted`, new ones first.
pub(super) fn difference(link: &LinkRef, now: &[VlanRange], wanted: &[VlanRange]) -> Vec<Change> {
    let (now, wanted) = (singly(now), singly(wanted));
    let added = joined(wanted.values().filter_map(|vlan| {
        let was = now.get(&vlan.first).copied();
        (was != Some(*vlan)).then_some((*vlan, was))
    }));
    let removed = joined(
        now.values().filter(|vlan| !wanted.contains_key(&vlan.first)).map(|vlan| (*vlan, None)),
    );
    let add =
        added.into_iter().map(|(vlans, was)| Change::VlanAdd { link: link.clone(), vlans, was });
    let delete =
        removed.into_iter().map(|(vlans, _)| Change::VlanDelete { link: link.clone(), vlans });
    add.chain(delete).collect()
}

/// Each VLAN as a range of its own.
pub(super) fn singly(ranges: &[VlanRange]) -> BTreeMap<VlanId, VlanRange> {
    let single = |range: &VlanRange, id| (id, VlanRange::new(id, range.pvid, range.untagged));
    ranges.iter().flat_map(|range| range.ids().map(move |id| single(range, id))).collect()
}

/// Single VLANs in ascending order, and what each was, as few ranges.
fn joined(
    vlans: impl Iterator<Item = (VlanRange, Option<VlanRange>)>,
) -> Vec<(VlanRange, Option<VlanRange>)> {
    let mut ranges: Vec<(VlanRange, Option<VlanRange>)> = Vec::new();
    for (vlan, was) in vlans {
        match ranges.last_mut() {
            Some((range, before)) if range.continues_with(vlan) && follows(*before, was) => {
                range.last = vlan.last;
                if let (Some(before), Some(was)) = (before, was) {
                    before.last = was.last;
                }
            }
            _ => ranges.push((vlan, was)),
        }
    }
    ranges
}

fn follows(before: Option<VlanRange>, was: Option<VlanRange>) -> bool {
    match (before, was) {
        (None, None) => true,
        (Some(before), Some(was)) => before.continues_with(was),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::types::VlanSpec;

    fn port() -> LinkRef {
        LinkRef { index: Some(7), name: "vif3.0".parse().unwrap() }
    }

    fn ranges(spec: &str) -> Vec<VlanRange> {
        spec.parse::<VlanSpec>().unwrap().ranges().to_vec()
    }

    fn lines(now: &[VlanRange], wanted: &[VlanRange]) -> Vec<String> {
        difference(&port(), now, wanted).iter().map(ToString::to_string).collect()
    }

    /// A kernel's port: there is one PVID, and whoever gets it takes it from the one that had it.
    fn carry_out(vlans: &mut BTreeMap<VlanId, VlanRange>, change: &Change) {
        match change {
            Change::VlanAdd { vlans: range, .. } => {
                for id in range.ids() {
                    if range.pvid {
                        for vlan in vlans.values_mut() {
                            vlan.pvid = false;
                        }
                    }
                    vlans.insert(id, VlanRange::new(id, range.pvid, range.untagged));
                }
            }
            Change::VlanDelete { vlans: range, .. } => {
                for id in range.ids() {
                    vlans.remove(&id);
                }
            }
            other => panic!("{other} is none of the VLANs'"),
        }
    }

    #[test]
    fn an_access_port_a_trunk_and_a_hybrid() {
        let fresh = ranges("1");
        assert_eq!(
            lines(&fresh, &ranges("10")),
            ["vlan add dev vif3.0 vid 10 pvid untagged", "vlan del dev vif3.0 vid 1"]
        );
        assert_eq!(
            lines(&fresh, &ranges("10p/20-30/40u")),
            [
                "vlan add dev vif3.0 vid 10 pvid untagged",
                "vlan add dev vif3.0 vid 20-30",
                "vlan add dev vif3.0 vid 40 untagged",
                "vlan del dev vif3.0 vid 1",
            ]
        );
        assert!(lines(&ranges("10p/20-30"), &ranges("10p/20-30")).is_empty());
    }

    #[test]
    fn a_live_port_is_only_told_what_changes() {
        assert_eq!(
            lines(&ranges("10p/20-30"), &ranges("10p/20-24/26-31")),
            ["vlan add dev vif3.0 vid 31", "vlan del dev vif3.0 vid 25"]
        );
        // The new PVID first: the port is never without one.
        assert_eq!(
            lines(&ranges("10p/20"), &ranges("10/20p")),
            ["vlan add dev vif3.0 vid 10", "vlan add dev vif3.0 vid 20 pvid untagged"]
        );
    }

    fn any_spec() -> impl Strategy<Value = Vec<VlanRange>> {
        (1u16..12, proptest::collection::btree_map(1u16..12, any::<bool>(), 0..8)).prop_map(
            |(pvid, others)| {
                let others = others.iter().filter(|(id, _)| **id != pvid);
                let terms = others
                    .map(|(id, untagged)| format!("/{id}{}", if *untagged { "u" } else { "" }));
                ranges(&format!("{pvid}p{}", terms.collect::<String>()))
            },
        )
    }

    proptest! {
        #[test]
        fn from_any_vlans_to_any_others_and_back(now in any_spec(), wanted in any_spec()) {
            let mut vlans = singly(&now);
            let changes = difference(&port(), &now, &wanted);
            for change in &changes {
                carry_out(&mut vlans, change);
            }
            prop_assert_eq!(&vlans, &singly(&wanted));
            for change in changes.iter().rev() {
                carry_out(&mut vlans, &change.undo().unwrap());
            }
            prop_assert_eq!(&vlans, &singly(&now));
        }
    }
}
