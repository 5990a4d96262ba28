//! The neighbours that an administrator entered, and the addresses that the host answers for.

use super::NetworkSnapshot;
use crate::plan::{Change, Plan};
use crate::types::{LinkRef, Neighbour};

/// Those that an administrator entered: those of an interface, and those on record.
pub(super) fn entered(neighbours: &[Neighbour], recorded: &[Neighbour]) -> Vec<Neighbour> {
    let is_new = |one: &&Neighbour| neighbours.iter().all(|other| !same(one, other));
    let all = neighbours.iter().chain(recorded.iter().filter(is_new));
    all.filter(|one| one.proxy || one.permanent && one.mac.is_some()).cloned().collect()
}

/// On the new interface as well, unless it knows them.
pub(super) fn arrive(plan: &mut Plan, seen: &NetworkSnapshot, to: &LinkRef, all: &[Neighbour]) {
    let there = seen.link(&to.name).map_or(&[][..], |link| seen.neighbours(link));
    for neighbour in all.iter().filter(|one| !there.iter().any(|other| same(one, other))) {
        plan.push(Change::NeighbourAdd { link: to.clone(), neighbour: neighbour.clone() });
    }
}

/// Off the old interface, as far as it has them.
pub(super) fn leave(plan: &mut Plan, seen: &NetworkSnapshot, from: &LinkRef, all: &[Neighbour]) {
    let there = seen.link(&from.name).map_or(&[][..], |link| seen.neighbours(link));
    for neighbour in entered(there, &[]) {
        if all.iter().any(|other| same(&neighbour, other)) {
            plan.push(Change::NeighbourDelete { link: from.clone(), neighbour });
        }
    }
}

/// Whether one of them is on none of these interfaces.
pub(super) fn are_lost(seen: &NetworkSnapshot, links: [&LinkRef; 2], all: &[Neighbour]) -> bool {
    let links = links.map(|link| seen.link(&link.name));
    let there = links.into_iter().flatten().flat_map(|link| seen.neighbours(link));
    all.iter().any(|one| !there.clone().any(|other| same(one, other)))
}

fn same(one: &Neighbour, other: &Neighbour) -> bool {
    (one.address, one.proxy) == (other.address, other.proxy)
}
