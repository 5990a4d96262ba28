//! Tables of other versions, older or newer, which have other sets.
//!
//! The first plug of this version replaces such a table, for all ports in one batch: a batch for one port would cut off the
//! others, whose addresses the new rules look up in other sets. What each port may do is in its record.

use std::collections::BTreeSet;

use super::layout::{OWN4, OWN6};
use super::owners::CUT;
use super::snapshot::{port_name, records};
use super::structure::fits;
use super::{GuardEntry, GuardLayout, GuardSnapshot};
use crate::types::{IfName, NftElement, NftFamily, NftSet, VifId};

/// Whether these are the sets of another version's table: one that ports need is missing, or has another type. The plan then
/// needs the [complete](GuardSnapshot::complete) table.
pub(crate) fn is_of_another_version(layout: &GuardLayout, sets: &[NftSet]) -> bool {
    let needed = GuardLayout::new(layout.family, layout.bridge_names).sets();
    !needed.iter().all(|needed| sets.iter().any(|real| fits(real, needed)))
}

/// The ports of a replaced table.
#[derive(Debug, Default)]
pub(super) struct Upgrade {
    /// What the table guards, but for the ports whose entries are known.
    pub(super) entries: Vec<GuardEntry>,
    /// All ports of the table, and their vifs. The undo of the batch leaves their elements: the older ones are gone.
    pub(super) ports: BTreeSet<IfName>,
    pub(super) owners: BTreeSet<VifId>,
}

impl Upgrade {
    /// Empty if there is no table, or one of this version.
    pub(super) fn new(
        family: NftFamily,
        known: &BTreeSet<&IfName>,
        snapshot: &GuardSnapshot,
    ) -> Self {
        let mut upgrade = Self::default();
        let layout = snapshot.table.as_ref().and_then(|it| GuardLayout::of(it, &snapshot.sets));
        let of_another_version = |layout| is_of_another_version(layout, &snapshot.sets);
        if snapshot.verified.is_some() || !layout.as_ref().is_some_and(of_another_version) {
            return upgrade;
        }
        for (port, record) in records(&snapshot.present) {
            let Some((owner, _)) = GuardEntry::owner_of(record) else { continue };
            // A port's own chain needs its device.
            let exists = family != NftFamily::Netdev || snapshot.entrances.contains(port);
            if snapshot.gone.contains(&owner) || !exists {
                continue;
            }
            upgrade.ports.insert(port.clone());
            upgrade.owners.insert(owner);
            if !known.contains(port) {
                upgrade.entries.extend(entry(port, record, &snapshot.present));
            }
        }
        upgrade
    }
}

/// The entry of a port by its record; if that was cut, with the addresses of its elements behind those of the record.
fn entry(port: &IfName, record: &str, present: &[(NftSet, NftElement)]) -> Option<GuardEntry> {
    GuardEntry::from_record(port.clone(), record).ok().or_else(|| {
        let (entry, words) = GuardEntry::without_addresses(port.clone(), record)?;
        let link_local = format!("{}/128", entry.mac.link_local());
        let address = |(set, element): &(NftSet, NftElement)| {
            let length = match set.name.as_str() {
                OWN4 => "32",
                OWN6 => "128",
                name => name.strip_prefix("ip4_").or(name.strip_prefix("ip6_"))?,
            };
            let is_of_port = port_name(element) == Some(port);
            Some(format!("{}/{length}", element.key.last().filter(|_| is_of_port)?))
        };
        let recorded = words.into_iter().filter(|word| *word != CUT).map(str::to_owned);
        let others = present.iter().filter_map(address).filter(|address| *address != link_local);
        let addresses: Vec<String> = recorded.chain(others).collect();
        Some(GuardEntry { ip: addresses.join(" ").parse().ok()?, ..entry })
    })
}
