//! What there is of the guard, as much of it as the plan for one port depends on.

use crate::Error;
use crate::kernel::Nftables;
use crate::plan::guard::{GuardEntry, GuardLayout, GuardSnapshot, belongs};
use crate::types::{IfName, NftChain, NftElement, NftFamily, NftSet, VifId};

/// The table, if there is one, and what it holds for these ports: by what is wanted, and by what was set up before.
/// `owner` is the vif whose addresses go with them; none for a tap, which has none of its own.
///
/// Rules are read only where there is something to guard; elements always, for what an interface of that name had once
/// would hold for the next one of that name too.
pub(crate) fn look(
    nft: &mut Nftables,
    family: NftFamily,
    entry: Option<&GuardEntry>,
    ports: &[IfName],
    owner: Option<VifId>,
) -> Result<GuardSnapshot, Error> {
    // Half of one ruleset and half of the next looks damaged. Where they never cease to change, no plan for it will do,
    // and the kernel says so.
    const ATTEMPTS: u32 = 100;
    for _ in 1..ATTEMPTS {
        let seen = look_once(nft, family, entry, ports, owner)?;
        if entry.is_none() || nft.generation()? == seen.generation {
            return Ok(seen);
        }
    }
    look_once(nft, family, entry, ports, owner)
}

fn look_once(
    nft: &mut Nftables,
    family: NftFamily,
    entry: Option<&GuardEntry>,
    ports: &[IfName],
    owner: Option<VifId>,
) -> Result<GuardSnapshot, Error> {
    let mut seen = GuardSnapshot::default();
    if entry.is_some() {
        // Before all else: what is read later may be newer than this, but not older.
        seen.generation = nft.generation()?;
    }
    seen.table = nft.table(family, GuardLayout::TABLE)?;
    if seen.table.is_none() {
        seen.bridge_names = entry.is_some() && family == NftFamily::Bridge && nft.bridge_names()?;
        return Ok(seen);
    }
    if entry.is_none() {
        // Where there is no table there is nothing to take away, and this one need not be known.
        seen.generation = nft.generation()?;
    } else {
        seen.sets = nft.sets(family, GuardLayout::TABLE)?;
        seen.chains = nft.chains(family, GuardLayout::TABLE)?;
        seen.rules = nft.rules(family, GuardLayout::TABLE)?;
    }
    seen.entrances = entrances(nft, family, entry.is_some().then_some(&seen.chains), ports)?;
    if let Some(entry) = entry {
        seen = entry.compare(seen);
    }
    // Of a table that is not the guard's, the plan will say so.
    let Ok(layout) = seen.layout(family) else { return Ok(seen) };
    let layout = entry.map_or(layout.clone(), |entry| entry.layout(layout));
    let mut wanted = entry.map_or(Vec::new(), |entry| entry.elements(&layout));
    for port in ports {
        let (set, question) = GuardLayout::port(port);
        let found = nft.find(family, GuardLayout::TABLE, &[(&set, &question)])?;
        let Some(record) = found.into_iter().flatten().next() else { continue };
        match GuardEntry::from_record(port.clone(), record.comment.as_deref().unwrap_or_default()) {
            Ok(old) => wanted.extend(old.elements(&layout)),
            // Too long to be recorded whole, or written by somebody else.
            Err(_) => wanted.extend(all_of(nft, family, port, owner)?),
        }
    }
    seen.present = find(nft, family, wanted)?;
    Ok(seen)
}

/// The same after a change: elements are read back, and the rules too if they were part of it.
pub(crate) fn look_again(
    nft: &mut Nftables,
    family: NftFamily,
    entry: Option<&GuardEntry>,
    before: GuardSnapshot,
    owner: Option<VifId>,
) -> Result<GuardSnapshot, Error> {
    let Some(entry) = entry else {
        let present = find(nft, family, before.present)?;
        let entrances = entrances(nft, family, None, &before.entrances)?;
        return Ok(GuardSnapshot { entrances, present, ..before });
    };
    if !entry.is_laid_out(&before)? {
        return look(nft, family, Some(entry), std::slice::from_ref(&entry.port), owner);
    }
    let layout = entry.layout(before.layout(family)?);
    let questions = before.present.iter().cloned().chain(entry.elements(&layout)).collect();
    let present = find(nft, family, questions)?;
    Ok(GuardSnapshot { present, ..before })
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
fn find(
    nft: &mut Nftables,
    family: NftFamily,
    mut elements: Vec<(NftSet, NftElement)>,
) -> Result<Vec<(NftSet, NftElement)>, Error> {
    elements.sort_by(|one, other| (&one.0.name, &one.1.key).cmp(&(&other.0.name, &other.1.key)));
    elements.dedup_by(|one, other| (&one.0.name, &one.1.key) == (&other.0.name, &other.1.key));
    let questions: Vec<_> = elements.iter().map(|(set, element)| (set, element)).collect();
    let found = nft.find(family, GuardLayout::TABLE, &questions)?;
    let present = elements.iter().zip(found);
    Ok(present.filter_map(|((set, _), found)| Some((set.clone(), found?))).collect())
}

/// Every element of a port and of its vif, found by looking through all sets.
fn all_of(
    nft: &mut Nftables,
    family: NftFamily,
    port: &IfName,
    owner: Option<VifId>,
) -> Result<Vec<(NftSet, NftElement)>, Error> {
    let ports = std::slice::from_ref(port);
    let mut all = Vec::new();
    for set in nft.sets(family, GuardLayout::TABLE)? {
        let elements = nft.elements(family, GuardLayout::TABLE, &set)?;
        let theirs = elements.into_iter().filter(|element| belongs(&set, element, ports, owner));
        all.extend(theirs.map(|element| (set.clone(), element)));
    }
    Ok(all)
}
