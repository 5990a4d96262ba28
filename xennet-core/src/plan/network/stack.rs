//! What bridges stand on: bonds, and VLAN interfaces above them or above hardware.

use std::borrow::Cow;

use super::record::NetworkRecord;
use super::settings::restore;
use super::{NetworkSnapshot, bond, vlan_link};
use crate::config::NetworkConfig;
use crate::plan::{Change, Plan, PlanError};
use crate::types::IfName;

/// The interfaces of bonds and VLAN interfaces that a plan may change.
pub(super) fn concerned(config: &NetworkConfig, record: Option<&NetworkRecord>) -> Vec<IfName> {
    let mut names = Vec::new();
    for bond in &config.bonds {
        names.push(bond.name.clone());
        names.extend(bond.ports.iter().cloned());
    }
    for vlan in config.all_vlans() {
        names.extend([vlan.name, vlan.link]);
    }
    for bond in record.iter().flat_map(|record| &record.bonds) {
        names.push(bond.name.clone());
        names.extend(bond.ports.iter().cloned());
    }
    for vlan in record.iter().flat_map(|record| &record.vlans) {
        names.extend([vlan.name.clone(), vlan.link.clone()]);
    }
    names
}

/// Adds what makes the bonds and VLAN interfaces to a plan. Bridges are planned on the network as it is then.
pub(super) fn start<'a>(
    plan: &mut Plan,
    config: &NetworkConfig,
    seen: &'a NetworkSnapshot,
) -> Result<Cow<'a, NetworkSnapshot>, PlanError> {
    let vlans = config.all_vlans();
    if config.bonds.is_empty() && vlans.is_empty() {
        return Ok(Cow::Borrowed(seen));
    }
    let mut network = seen.after(plan.changes());
    let mut done = plan.len();
    let mut advance = |plan: &Plan, network: &mut NetworkSnapshot| {
        *network = network.after(plan.changes().get(done..).unwrap_or_default());
        done = plan.len();
    };
    for policy in &config.bonds {
        bond::start(plan, policy, config, &network)?;
        advance(plan, &mut network);
    }
    for policy in &vlans {
        vlan_link::start(plan, policy, config, &network)?;
        advance(plan, &mut network);
    }
    Ok(Cow::Owned(network))
}

/// Adds the changes that restore bonds and VLAN interfaces, after those of the bridges.
pub(super) fn stop(plan: &mut Plan, record: &NetworkRecord, seen: &NetworkSnapshot) {
    if record.bonds.is_empty() && record.vlans.is_empty() {
        return;
    }
    let mut network = seen.after(plan.changes());
    for vlan in record.vlans.iter().rev() {
        let from = plan.len();
        match network.link(&vlan.name) {
            Some(link) if vlan.made => plan.push(Change::LinkDelete { link: link.reference() }),
            Some(link) => restore(plan, &record.links, &network, link),
            None => {}
        }
        network = network.after(plan.changes().get(from..).unwrap_or_default());
    }
    // An interface keeps its MTU while one above it needs it. A bond restores its own settings.
    for vlan in &record.vlans {
        let from = plan.len();
        let is_bond = record.bonds.iter().any(|bond| bond.name == vlan.link);
        if let Some(link) = network.link(&vlan.link).filter(|_| !is_bond) {
            restore(plan, &record.links, &network, link);
        }
        network = network.after(plan.changes().get(from..).unwrap_or_default());
    }
    for bond in record.bonds.iter().rev() {
        let from = plan.len();
        bond::stop(plan, bond, &record.links, &network);
        network = network.after(plan.changes().get(from..).unwrap_or_default());
    }
}
