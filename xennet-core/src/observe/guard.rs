//! Observes the guard's tables: what the plan for one port depends on, or all of a family's table.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Facts;
use crate::Error;
use crate::kernel::{self, BaseChain, ErrorKind, Nftables};
use crate::plan::guard::{
    ENDING, GuardEntry, GuardLayout, GuardSnapshot, GuardTable, belongs_to, is_of_another_version,
    records,
};
use crate::types::{IfName, NftChain, NftElement, NftFamily, NftSet, NftTable, VifId};

/// Elements, each with its set.
type Elements = Vec<(NftSet, NftElement)>;

/// The ruleset's generation, and the guard's tables in it. Read first: later answers may be newer, never older.
#[derive(Debug)]
pub(crate) struct Tables {
    families: Vec<NftFamily>,
    generation: u32,
    found: Vec<NftTable>,
}

impl Tables {
    /// Those of these families that there are.
    pub(crate) fn read(nft: &mut Nftables, families: &[NftFamily]) -> Result<Self, Error> {
        let (generation, found) = nft.generation_and_tables(families, GuardLayout::TABLE)?;
        Ok(Self { families: families.to_vec(), generation, found })
    }

    /// The same, and everybody's base chains.
    pub(crate) fn read_with_base_chains(
        nft: &mut Nftables,
        families: &[NftFamily],
    ) -> Result<(Self, Vec<BaseChain>), Error> {
        let (generation, found, chains) =
            nft.generation_tables_and_base_chains(families, GuardLayout::TABLE)?;
        Ok((Self { families: families.to_vec(), generation, found }, chains))
    }

    /// The same tables after this many batches of our own. If other programs changed the ruleset in between, what is read
    /// next does not fit the generation, and the tables are read again.
    pub(crate) fn after(mut self, batches: u32) -> Self {
        self.generation = self.generation.wrapping_add(batches);
        self
    }

    pub(crate) fn read_again(&mut self, nft: &mut Nftables) -> Result<(), Error> {
        (self.generation, self.found) =
            nft.generation_and_tables(&self.families, GuardLayout::TABLE)?;
        Ok(())
    }

    /// Whether these families were asked for.
    pub(crate) fn are_of(&self, families: &[NftFamily]) -> bool {
        self.families == families
    }

    /// Whether there is one in this family.
    pub(crate) fn have(&self, family: NftFamily) -> bool {
        self.found.iter().any(|table| table.family == family)
    }

    fn begin(&self, family: NftFamily) -> GuardSnapshot {
        let table = self.found.iter().find(|table| table.family == family).cloned();
        GuardSnapshot { generation: self.generation, table, ..GuardSnapshot::default() }
    }
}

/// How often a table is read again that others change meanwhile.
pub(super) const ATTEMPTS: u32 = 100;

/// The table, if there is one, and what it holds for these ports: by what is wanted, and by what was set up before.
/// `owner` is the vif whose addresses go with them; none for a tap, which has none of its own.
///
/// Rules are read only if there is something to guard. Elements are always read: the next interface of that name would
/// inherit them.
///
/// If elements are about to end, [`GuardSnapshot::ending`] says so and the caller observes again.
pub(crate) fn look(
    nft: &mut Nftables,
    tables: &mut Tables,
    family: NftFamily,
    entry: Option<&GuardEntry>,
    ports: &[IfName],
    owner: Option<VifId>,
) -> Result<GuardSnapshot, Error> {
    // Parts of two rulesets look like damage, so read again. If the ruleset never stops changing, the kernel refuses the
    // batch.
    let mut begun = tables.begin(family);
    for _ in 1..ATTEMPTS {
        let (mut snapshot, consistent) = look_once(nft, begun, family, entry, ports, owner)?;
        if entry.is_none() {
            snapshot.ending = None;
            return Ok(snapshot);
        }
        if consistent || snapshot.ending.is_some() || nft.generation()? == snapshot.generation {
            return Ok(snapshot);
        }
        tables.read_again(nft)?;
        begun = tables.begin(family);
    }
    Ok(look_once(nft, begun, family, entry, ports, owner)?.0)
}

/// Adds what an unplug of a vif with prefixes needs to remove their lengths from the table, if no other vif uses them: most
/// have none.
pub(crate) fn look_at_others(
    nft: &mut Nftables,
    family: NftFamily,
    snapshot: &mut GuardSnapshot,
) -> Result<(), Error> {
    let of_prefixes = |(set, _): &(NftSet, NftElement)| GuardLayout::prefix_length(set).is_some();
    if !snapshot.present.iter().any(of_prefixes) {
        return Ok(());
    }
    let whole = whole_table(nft, family)?;
    let is_own = |one: &_| snapshot.present.iter().any(|own| is_same(one, own));
    let (present, others): (Elements, Elements) = whole.present.into_iter().partition(is_own);
    *snapshot = GuardSnapshot {
        present,
        others: Some(others.into_iter().filter(of_prefixes).collect()),
        complete: false,
        ending: None,
        supports_element_expiry: snapshot.supports_element_expiry,
        ..whole
    };
    Ok(())
}

/// All of a family's table, of one generation of the ruleset. The number of requests depends on the number of sets only.
///
/// Elements that are about to end are left out, and [`GuardSnapshot::ending`] says so.
///
/// An error (`EAGAIN`) if the ruleset never stops changing.
fn whole_table(nft: &mut Nftables, family: NftFamily) -> Result<GuardSnapshot, Error> {
    const TABLE: &str = GuardLayout::TABLE;
    for _ in 0..ATTEMPTS {
        let tables = Tables::read(nft, &[family])?;
        let mut snapshot = tables.begin(family);
        snapshot.complete = true;
        if snapshot.table.is_none() {
            snapshot.bridge_names = family == NftFamily::Bridge && nft.bridge_names()?;
        } else {
            snapshot.sets = nft.sets(family, TABLE)?;
            snapshot.chains = nft.chains(family, TABLE)?;
            snapshot.rules = nft.rules(family, TABLE)?;
            let (verifications, _) = GuardLayout::verification_key(snapshot.generation);
            for set in snapshot.sets.iter().filter(|set| set.name != verifications.name) {
                let elements = nft.elements(family, TABLE, set)?;
                let elements = elements.into_iter().map(|element| (set.clone(), element));
                snapshot.present.extend(elements);
            }
            let entrances = snapshot.chains.iter().filter_map(GuardLayout::entrance_port);
            snapshot.entrances = entrances.cloned().collect();
            remove_ending(&mut snapshot);
        }
        if nft.generation()? == snapshot.generation {
            return Ok(snapshot);
        }
    }
    Err(changing(family, TABLE).into())
}

/// The error for a table that changed during every attempt to read it.
pub(super) fn changing(family: NftFamily, table: &str) -> kernel::Error {
    let changing = kernel::Error::of(ErrorKind::Changing, "the ruleset changed while it was read");
    changing.doing(format!("nft list table {family} {table}"))
}

impl Facts<'_> {
    /// All of the guard's table in one family.
    pub(crate) fn guard_table(&mut self, family: NftFamily) -> Result<GuardSnapshot, Error> {
        whole_table(self.connections.nft()?, family)
    }

    /// The guard's tables that exist, with all that is in them.
    pub(crate) fn all_guard_tables(&mut self) -> Result<Vec<GuardTable>, Error> {
        let mut tables = Vec::new();
        for family in GuardLayout::FAMILIES {
            if self.connections.nft()?.table(family, GuardLayout::TABLE)?.is_none() {
                continue;
            }
            let GuardSnapshot { table, chains, rules, present, .. } = self.guard_table(family)?;
            let mut sent = BTreeMap::new();
            for port in records(&present).into_keys() {
                let received = self.connections.kernel()?.received(port)?;
                sent.extend(received.map(|received| (port.clone(), received)));
            }
            tables.extend(table.map(|table| GuardTable {
                family,
                comment: table.comment.unwrap_or_default(),
                chains,
                rules,
                elements: present,
                sent,
            }));
        }
        Ok(tables)
    }
}

/// How long an element still needs to end that was given a [short timeout](ENDING).
fn ending(element: &NftElement) -> Option<Duration> {
    element.timeout.filter(|left| *left <= ENDING).map(|left| left.max(Duration::from_millis(1)))
}

/// Leaves out the elements that are about to end, and notes how long they need.
fn remove_ending(snapshot: &mut GuardSnapshot) {
    let ending_now = snapshot.present.iter().filter_map(|(_, element)| ending(element)).max();
    snapshot.ending = snapshot.ending.max(ending_now);
    snapshot.present.retain(|(_, element)| ending(element).is_none());
}

/// What is seen from such a beginning, and whether that holds even if somebody changed the ruleset meanwhile.
fn look_once(
    nft: &mut Nftables,
    mut seen: GuardSnapshot,
    family: NftFamily,
    entry: Option<&GuardEntry>,
    ports: &[IfName],
    owner: Option<VifId>,
) -> Result<(GuardSnapshot, bool), Error> {
    if seen.table.is_none() {
        seen.bridge_names = entry.is_some() && family == NftFamily::Bridge && nft.bridge_names()?;
        return Ok((seen, false));
    }
    // Of a table that is not the guard's, the plan will say so.
    let Ok(layout) = seen.layout(family) else { return Ok((seen, false)) };
    let fits =
        |layout: &GuardLayout| entry.is_none_or(|entry| entry.layout(layout.clone()) == *layout);
    let asked = || {
        let mut asked = entry.map_or(Vec::new(), |entry| entry.elements(&layout));
        asked.extend(
            ports.iter().flat_map(|port| [GuardLayout::record(port), GuardLayout::port(port)]),
        );
        asked
    };
    let (found, verification) = match find_verified(nft, family, asked(), seen.generation) {
        // The set of verifications was replaced by one of another type.
        Err(error) if error.errno() == libc::EINVAL => (find(nft, family, asked())?, None),
        found => found?,
    };
    seen.present = found;
    remove_ending(&mut seen);
    // A verification does not cover whether the table is dormant: a batch without effect shows a dormant table as awake.
    let awake = seen.table.as_ref().is_some_and(|table| !table.dormant);
    let verified = verification.filter(|_| awake);
    let verified = verified.and_then(|element| GuardLayout::from_verification(family, &element));
    seen.verified = verified.filter(fits);
    let cached = seen.verified.is_some();
    if !cached && (entry.is_some() || !seen.present.is_empty()) {
        seen.sets = nft.sets(family, GuardLayout::TABLE)?;
    }
    // The plug replaces another version's table, for all its ports.
    if entry.is_some() && !cached && is_of_another_version(&layout, &seen.sets) {
        return Ok((whole_table(nft, family)?, true));
    }
    if entry.is_some() && !cached {
        seen.chains = nft.chains(family, GuardLayout::TABLE)?;
        seen.rules = nft.rules(family, GuardLayout::TABLE)?;
    }
    seen.entrances = entrances(nft, family, entry.is_some().then_some(&seen.chains), ports)?;
    if let Some(entry) = entry.filter(|_| !cached) {
        seen = entry.verify(seen);
    }
    let mut old = Vec::new();
    for (port, record) in records(&seen.present) {
        match GuardEntry::from_record(port.clone(), record) {
            Ok(old) if Some(&old) == entry => {}
            Ok(entry) => old.extend(entry.elements(&layout)),
            // It was cut, or is none of xennet's.
            Err(_) => old.extend(all_of(nft, family, port, owner)?),
        }
    }
    if entry.is_none() && !seen.present.is_empty() {
        seen.present.extend(drops(nft, family, ports)?);
    }
    old.retain(|old| !seen.present.iter().any(|known| is_same(old, known)));
    // Where all is as it should be, it was so however many rulesets that was read from. What looks damaged may be half of
    // one and half of the next.
    let at_once = seen.verified.is_some() && old.is_empty();
    if !old.is_empty() {
        seen.present.extend(find(nft, family, old)?);
        remove_ending(&mut seen);
    }
    Ok((seen, at_once))
}

/// Which of these ports have a chain of their own, as they have in one family.
fn entrances(
    nft: &mut Nftables,
    family: NftFamily,
    chains: Option<&Vec<NftChain>>,
    ports: &[IfName],
) -> Result<Vec<IfName>, Error> {
    if family != NftFamily::Netdev || ports.is_empty() {
        return Ok(Vec::new());
    }
    let chains = match chains {
        Some(chains) => chains,
        None => &nft.chains(family, GuardLayout::TABLE)?,
    };
    let has = |port: &&IfName| chains.iter().any(|chain| GuardLayout::is_entrance(chain, port));
    Ok(ports.iter().filter(has).cloned().collect())
}

/// Those of these elements that there are, as they are, each once.
fn find(nft: &mut Nftables, family: NftFamily, mut elements: Elements) -> Result<Elements, Error> {
    tidy(&mut elements);
    let questions: Vec<_> = elements.iter().map(|(set, element)| (set, element)).collect();
    let found = nft.find(family, GuardLayout::TABLE, &questions)?;
    Ok(present(elements, found))
}

/// The same, and the cached verification of this generation, if there is one and the ruleset still had this generation when
/// all was found.
fn find_verified(
    nft: &mut Nftables,
    family: NftFamily,
    mut elements: Elements,
    generation: u32,
) -> Result<(Elements, Option<NftElement>), Error> {
    tidy(&mut elements);
    elements.push(GuardLayout::verification_key(generation));
    let questions: Vec<_> = elements.iter().map(|(set, element)| (set, element)).collect();
    let (mut found, then) = nft.find_and_date(family, GuardLayout::TABLE, &questions)?;
    // It was asked for last: if it was found, the generation is that of this answer.
    let (_, asked) = GuardLayout::verification_key(generation);
    let current = then.map(u32::from) == Some(generation & 0xffff);
    let verification = found.pop().flatten().filter(|element| element.key == asked.key && current);
    Ok((present(elements, found), verification))
}

/// The elements that the rules have added for these ports; none in a table of another version, which has no such set.
fn drops(nft: &mut Nftables, family: NftFamily, ports: &[IfName]) -> Result<Elements, Error> {
    let set = GuardLayout::drops();
    let elements = match nft.elements(family, GuardLayout::TABLE, &set) {
        Err(error) if error.errno() == libc::ENOENT => Vec::new(),
        elements => elements?,
    };
    let of_ports = elements.into_iter().filter(|element| belongs_to(&set, element, ports, None));
    Ok(of_ports.map(|element| (set.clone(), element)).collect())
}

/// Each once.
fn tidy(elements: &mut Elements) {
    elements.sort_by(|one, other| (&one.0.name, &one.1.key).cmp(&(&other.0.name, &other.1.key)));
    elements.dedup_by(|one, other| is_same(one, other));
}

fn is_same(one: &(NftSet, NftElement), other: &(NftSet, NftElement)) -> bool {
    (&one.0.name, &one.1.key) == (&other.0.name, &other.1.key)
}

/// Those that were found, as they are.
fn present(asked: Elements, found: Vec<Option<NftElement>>) -> Elements {
    asked.into_iter().zip(found).filter_map(|((set, _), found)| Some((set, found?))).collect()
}

/// Every element of a port and of its vif, found by looking through all sets.
fn all_of(
    nft: &mut Nftables,
    family: NftFamily,
    port: &IfName,
    owner: Option<VifId>,
) -> Result<Elements, Error> {
    let ports = std::slice::from_ref(port);
    let mut all = Vec::new();
    for set in nft.sets(family, GuardLayout::TABLE)? {
        let elements = nft.elements(family, GuardLayout::TABLE, &set)?;
        let theirs = elements.into_iter().filter(|element| belongs_to(&set, element, ports, owner));
        all.extend(theirs.map(|element| (set.clone(), element)));
    }
    Ok(all)
}
