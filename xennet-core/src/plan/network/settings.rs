//! The settings of interfaces that are on record.

use super::NetworkSnapshot;
use crate::plan::Plan;
use crate::types::{BondSet, IfName, Link, LinkSet, Mtu};

/// Settings of interfaces, in the order in which they were changed.
pub(super) type Settings = [(IfName, LinkSet)];

/// The settings of an interface as they are on record, the last one changed first. Its master is left to the bridge.
pub(super) fn restore(plan: &mut Plan, settings: &Settings, seen: &NetworkSnapshot, link: &Link) {
    for (_, was) in settings.iter().rev().filter(|(name, _)| *name == link.name) {
        let now = match was {
            LinkSet::Up(_) => Some(LinkSet::Up(link.up)),
            LinkSet::Mtu(_) => Mtu::new(link.mtu).ok().map(LinkSet::Mtu),
            LinkSet::Bond(set) => of_bond(seen, link, set).map(LinkSet::Bond),
            _ => None,
        };
        if let Some(now) = now.filter(|now| now != was) {
            plan.set(true, &link.reference(), was.clone(), now);
        }
    }
}

/// What a setting of a bond is now.
pub(super) fn of_bond(seen: &NetworkSnapshot, link: &Link, set: &BondSet) -> Option<BondSet> {
    let now = link.bond.as_ref()?;
    Some(match set {
        BondSet::Miimon(_) => BondSet::Miimon(now.miimon),
        BondSet::XmitHashPolicy(_) => BondSet::XmitHashPolicy(now.xmit_hash_policy?),
        BondSet::Primary(_) => {
            let port = seen.links.iter().find(|port| now.primary == Some(port.index));
            BondSet::Primary(port.map(Link::reference))
        }
    })
}
