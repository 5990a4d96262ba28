//! The VLANs of a bridge's uplink: those that its other ports are in.
//!
//! They are derived from what is, each time: there is no count that could be wrong after a crash.

use std::collections::BTreeMap;

use super::{Change, vlan};
use crate::types::{LinkRef, VlanId, VlanRange};

/// What there is of an uplink whose VLANs are managed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UplinkSnapshot {
    /// The uplink.
    pub link: LinkRef,
    /// The VLANs that it carries.
    pub vlans: Vec<VlanRange>,
    /// The VLANs that the bridge itself and its other ports are in, without the vif that is planned for.
    pub others: Vec<VlanRange>,
    /// The VLANs that this vif is in, where it is a port of the bridge already.
    pub vif: Vec<VlanRange>,
}

impl UplinkSnapshot {
    /// What makes the uplink carry the VLANs of `vif` and of all others, tagged, and no more.
    ///
    /// What it carries untagged stays: that is how the network behind it was set up.
    pub(super) fn reconcile(&self, vif: &[VlanRange]) -> Vec<Change> {
        let now = vlan::singly(&self.vlans);
        let users = vlan::singly(vif).into_keys().chain(vlan::singly(&self.others).into_keys());
        let used =
            users.map(|id| now.get(&id).copied().unwrap_or(VlanRange::new(id, false, false)));
        let kept = now.values().filter(|vlan| vlan.untagged).copied();
        let wanted: BTreeMap<VlanId, VlanRange> =
            used.chain(kept).map(|vlan| (vlan.first, vlan)).collect();
        let wanted: Vec<VlanRange> = wanted.into_values().collect();
        vlan::difference(&self.link, &self.vlans, &wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::VlanSpec;

    fn ranges(spec: &str) -> Vec<VlanRange> {
        spec.parse::<VlanSpec>().unwrap().ranges().to_vec()
    }

    fn lines(uplink: &str, others: &[&str], vif: &[VlanRange]) -> Vec<String> {
        let link = LinkRef { index: Some(2), name: "eth0".parse().unwrap() };
        let others = others.iter().flat_map(|spec| ranges(spec)).collect();
        let seen = UplinkSnapshot { link, vlans: ranges(uplink), others, vif: Vec::new() };
        seen.reconcile(vif).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_vlan_comes_with_its_first_user_and_goes_with_its_last() {
        assert_eq!(
            lines("1", &["1"], &ranges("10p/20-22")),
            ["vlan add dev eth0 vid 10", "vlan add dev eth0 vid 20-22",]
        );
        assert!(lines("1p/10", &["1", "10"], &ranges("10")).is_empty(), "10 has another user");
        assert!(lines("1p/10", &["1", "10"], &[]).is_empty(), "10 still has a user");
        assert_eq!(lines("1p/10/20-22", &["1", "10"], &[]), ["vlan del dev eth0 vid 20-22"]);
    }

    #[test]
    fn what_the_uplink_carries_untagged_stays() {
        assert!(lines("1", &[], &[]).is_empty());
        assert!(lines("7p/8u", &[], &ranges("7")).is_empty());
    }
}
