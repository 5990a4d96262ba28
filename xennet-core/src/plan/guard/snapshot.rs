use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::layout::{PORTS, RECORDS, is_owned};
use super::owners::Owners;
use super::{GuardEntry, GuardLayout};
use crate::plan::PlanError;
use crate::types::{
    IfName, NftChain, NftElement, NftFamily, NftRule, NftSet, NftTable, NftValue, VifId,
};

/// The guard's table in one family as the kernel has it: all of it, or what concerns one port.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_structs, reason = "whoever plans a change makes one")]
pub struct GuardSnapshot {
    /// The ruleset's generation when all this was read.
    pub generation: u32,
    /// The table; none if it does not exist.
    pub table: Option<NftTable>,
    /// Its sets.
    pub sets: Vec<NftSet>,
    /// Its chains.
    pub chains: Vec<NftChain>,
    /// Its rules, chain by chain in their order.
    pub rules: Vec<NftRule>,
    /// The layout that sets, chains and rules were verified against: by a cached verification, or by
    /// [`GuardEntry::verify`]. None if they differ from it, or were not compared. With a cached verification, sets, chains
    /// and rules need not be read.
    pub verified: Option<GuardLayout>,
    /// Whether the kernel knows `meta ibrname`. Only needed where there is no table.
    pub bridge_names: bool,
    /// Whether an element may be removed by giving it a short timeout instead of deleting it. The kernel must support that
    /// ([`Nftables::supports_element_expiry`]), and nothing may be about to take the element's place.
    ///
    /// [`Nftables::supports_element_expiry`]: crate::kernel::Nftables::supports_element_expiry
    pub supports_element_expiry: bool,
    /// The ports that have a chain of their own: all of them, or those in question.
    pub entrances: Vec<IfName>,
    /// Elements: all of them if the snapshot is [complete](Self::complete). Else those that are wanted, and those that the
    /// records of the ports in question name. Elements that are about to end are left out.
    pub present: Vec<(NftSet, NftElement)>,
    /// Of a vif that is unplugged and has a prefix: the elements of the others in sets of prefixes. With them, sets, chains
    /// and rules were read, so that the plan removes the lengths of prefixes that nobody uses any more.
    pub others: Option<Vec<(NftSet, NftElement)>>,
    /// Whether sets, chains, rules and elements are all that the table has.
    pub complete: bool,
    /// The longest time that any element in question needs to end, if one is about to. The caller then observes again
    /// after that time: the kernel may be freeing the element, so that it must not be added before.
    pub ending: Option<Duration>,
    /// Owners that have neither an interface nor a backend any more. The plan removes what they own.
    pub gone: BTreeSet<VifId>,
}

impl GuardSnapshot {
    /// The layout of the table, or of a new one if there is none. An error if the table is not the guard's.
    pub fn layout(&self, family: NftFamily) -> Result<GuardLayout, PlanError> {
        if let Some(layout) = &self.verified {
            return Ok(layout.clone());
        }
        let Some(table) = &self.table else {
            return Ok(GuardLayout::new(family, self.bridge_names));
        };
        GuardLayout::of(table, &self.sets).ok_or_else(|| PlanError::ForeignTable {
            family,
            table: table.name.clone(),
            comment: table.comment.clone().unwrap_or_default(),
        })
    }

    /// The vifs other than `own` that the elements name as active owners or in records. The caller finds out which of them
    /// are [gone](Self::gone).
    pub fn other_owners(&self, own: Option<VifId>) -> BTreeSet<VifId> {
        let listed = self.present.iter().filter(|(set, _)| is_owned(set));
        let listed = listed.flat_map(|(_, element)| Owners::from_element(element).active);
        let records = records(&self.present);
        let recorded = records.values().filter_map(|record| GuardEntry::owner_of(record));
        let mut owners: BTreeSet<VifId> = listed.chain(recorded.map(|(owner, _)| owner)).collect();
        if let Some(own) = own {
            owners.remove(&own);
        }
        owners
    }
}

/// The record of each port that these elements have one for. In tables of older versions it is the comment of the port's
/// element in set `ports`.
pub fn records(elements: &[(NftSet, NftElement)]) -> BTreeMap<&IfName, &str> {
    let mut records = BTreeMap::new();
    for name in [PORTS, RECORDS] {
        for (_, element) in elements.iter().filter(|(set, _)| set.name == name) {
            if let (Some(port), Some(record)) = (port_name(element), &element.comment) {
                records.insert(port, record.as_str());
            }
        }
    }
    records
}

/// Whether an element belongs to one of these ports, or is an address of that vif's.
pub fn belongs_to(
    set: &NftSet,
    element: &NftElement,
    ports: &[IfName],
    owner: Option<VifId>,
) -> bool {
    if is_owned(set) {
        let owners = Owners::from_element(element);
        return owner.is_some_and(|owner| {
            [&owners.active, &owners.reserved].iter().any(|list| list.contains(&owner))
        });
    }
    port_name(element).is_some_and(|port| ports.contains(port))
}

/// The port that an element is filed under, in a set of ports.
pub(super) fn port_name(element: &NftElement) -> Option<&IfName> {
    match element.key.first() {
        Some(NftValue::IfName(port)) => Some(port),
        _ => None,
    }
}
