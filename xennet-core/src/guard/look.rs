//! What there is of the guard, as much of it as the plan for one port depends on.

use std::thread::sleep;
use std::time::Duration;

use crate::Error;
use crate::kernel::{BaseChain, Nftables};
use crate::plan::guard::{GuardEntry, GuardLayout, GuardSnapshot, SOON, belongs};
use crate::types::{IfName, NftChain, NftElement, NftFamily, NftSet, NftTable, VifId};

/// Elements, each with its set.
type Elements = Vec<(NftSet, NftElement)>;

/// The ruleset's generation, and the guard's tables in it. Before all else: what is read later may be newer, but not older.
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

/// The table, if there is one, and what it holds for these ports: by what is wanted, and by what was set up before.
/// `owner` is the vif whose addresses go with them; none for a tap, which has none of its own.
///
/// Rules are read only where there is something to guard; elements always, for what an interface of that name had once
/// would hold for the next one of that name too.
pub(crate) fn look(
    nft: &mut Nftables,
    tables: &mut Tables,
    family: NftFamily,
    entry: Option<&GuardEntry>,
    ports: &[IfName],
    owner: Option<VifId>,
) -> Result<GuardSnapshot, Error> {
    // Half of one ruleset and half of the next looks damaged. Where they never cease to change, no plan for it will do,
    // and the kernel says so.
    const ATTEMPTS: u32 = 100;
    let mut begun = tables.begin(family);
    for _ in 1..ATTEMPTS {
        let (mut seen, at_once) = look_once(nft, begun, family, entry, ports, owner)?;
        if entry.is_none() {
            seen.present.retain(|(_, element)| ending(element).is_none());
            return Ok(seen);
        }
        // Of a vif that was unplugged just now. To take it back would be a race with the kernel, which may be freeing it.
        if let Some(left) = seen.present.iter().filter_map(|(_, element)| ending(element)).max() {
            sleep(left);
        } else if at_once || nft.generation()? == seen.generation {
            return Ok(seen);
        }
        tables.read_again(nft)?;
        begun = tables.begin(family);
    }
    Ok(look_once(nft, begun, family, entry, ports, owner)?.0)
}

/// How long an element still has that [was told to end](GuardSnapshot::ends).
pub(super) fn ending(element: &NftElement) -> Option<Duration> {
    element.timeout.filter(|left| *left <= SOON).map(|left| left.max(Duration::from_millis(1)))
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
        |whole: &GuardLayout| entry.is_none_or(|entry| entry.layout(whole.clone()) == *whole);
    let asked = || {
        let mut asked = entry.map_or(Vec::new(), |entry| entry.elements(&layout));
        asked.extend(ports.iter().map(GuardLayout::port));
        asked
    };
    let (found, seal) = match find_sealed(nft, family, asked(), seen.generation) {
        // Somebody has made the set for seals another one.
        Err(error) if error.errno() == libc::EINVAL => (find(nft, family, asked())?, None),
        found => found?,
    };
    seen.present = found;
    // To be awake is no part of what a seal says: a batch that comes to nothing shows a table awake that is not.
    let awake = seen.table.as_ref().is_some_and(|table| !table.dormant);
    let layout_of = |seal| GuardLayout::of_seal(family, &seal);
    seen.whole = seal.filter(|_| awake).and_then(layout_of).filter(fits);
    let sealed = seen.whole.is_some();
    if !sealed && (entry.is_some() || !seen.present.is_empty()) {
        seen.sets = nft.sets(family, GuardLayout::TABLE)?;
    }
    if entry.is_some() && !sealed {
        seen.chains = nft.chains(family, GuardLayout::TABLE)?;
        seen.rules = nft.rules(family, GuardLayout::TABLE)?;
    }
    seen.entrances = entrances(nft, family, entry.is_some().then_some(&seen.chains), ports)?;
    if let Some(entry) = entry.filter(|_| !sealed) {
        seen = entry.compare(seen);
    }
    let mut old = Vec::new();
    for port in ports {
        let (set, question) = GuardLayout::port(port);
        let is_record =
            |(of, element): &&(NftSet, NftElement)| *of == set && element.key == question.key;
        let Some((_, record)) = seen.present.iter().find(is_record) else { continue };
        match GuardEntry::from_record(port.clone(), record.comment.as_deref().unwrap_or_default()) {
            Ok(old) if Some(&old) == entry => {}
            Ok(entry) => old.extend(entry.elements(&layout)),
            // Too long to be recorded whole, or written by somebody else.
            Err(_) => old.extend(all_of(nft, family, port, owner)?),
        }
    }
    old.retain(|old| !seen.present.iter().any(|known| is_same(old, known)));
    // Where all is as it should be, it was so however many rulesets that was read from. What looks damaged may be half of
    // one and half of the next.
    let at_once = seen.whole.is_some() && old.is_empty();
    if !old.is_empty() {
        seen.present.extend(find(nft, family, old)?);
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

/// The same, and the seal of this generation, if there is one and the ruleset still had this generation when all was found.
fn find_sealed(
    nft: &mut Nftables,
    family: NftFamily,
    mut elements: Elements,
    generation: u32,
) -> Result<(Elements, Option<NftElement>), Error> {
    tidy(&mut elements);
    elements.push(GuardLayout::seal_at(generation));
    let questions: Vec<_> = elements.iter().map(|(set, element)| (set, element)).collect();
    let (mut found, then) = nft.find_and_date(family, GuardLayout::TABLE, &questions)?;
    // The last that was asked for: if it was found, it was the last that was found.
    let (_, asked) = GuardLayout::seal_at(generation);
    let seal = found
        .pop()
        .flatten()
        .filter(|seal| seal.key == asked.key && then.map(u32::from) == Some(generation & 0xffff));
    Ok((present(elements, found), seal))
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
        let theirs = elements.into_iter().filter(|element| belongs(&set, element, ports, owner));
        all.extend(theirs.map(|element| (set.clone(), element)));
    }
    Ok(all)
}
