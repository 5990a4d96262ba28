//! Tables of older versions, whose sets of whole addresses do not know the port's Ethernet address.
//!
//! The first plug of this version replaces such a table, for all ports in one batch: a batch for one port would cut off the
//! others, whose addresses the new rules look up in other sets.

use std::collections::BTreeSet;

use super::owners::CUT;
use super::snapshot::{port_name, records};
use super::{GuardEntry, GuardSnapshot};
use crate::types::{IfName, NftElement, NftFamily, NftSet, VifId};

/// The sets that [`own4`](super::layout::OWN4) and [`own6`](super::layout::OWN6) replace.
const OLDER: [&str; 2] = ["ip4_32", "ip6_128"];

/// Whether these are the sets of an older table. The plan then needs the [complete](GuardSnapshot::complete) table.
pub(crate) fn is_older(sets: &[NftSet]) -> bool {
    sets.iter().any(|set| OLDER.contains(&set.name.as_str()))
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
    /// Empty if the table is of this version.
    pub(super) fn new(
        family: NftFamily,
        known: &BTreeSet<&IfName>,
        snapshot: &GuardSnapshot,
    ) -> Self {
        let mut upgrade = Self::default();
        if !is_older(&snapshot.sets) {
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
            let length = set.name.strip_prefix("ip4_").or(set.name.strip_prefix("ip6_"))?;
            let is_of_port = port_name(element) == Some(port);
            Some(format!("{}/{length}", element.key.last().filter(|_| is_of_port)?))
        };
        let recorded = words.into_iter().filter(|word| *word != CUT).map(str::to_owned);
        let others = present.iter().filter_map(address).filter(|address| *address != link_local);
        let addresses: Vec<String> = recorded.chain(others).collect();
        Some(GuardEntry { ip: addresses.join(" ").parse().ok()?, ..entry })
    })
}
