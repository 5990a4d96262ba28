//! The table that lends guests the host's address, and leads the host's ports to them: the same for all `[[nat]]`.
//!
//! It is made whole or replaced whole, in one batch: whatever it was by then, it is as it should be afterwards, and no
//! packet finds half of it. So it does not matter which generation of the ruleset it was planned for. Connections live
//! on in the kernel's connection tracking.

mod rules;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::NetworkSnapshot;
use crate::config::{NatPolicy, NetworkConfig, overlap};
use crate::plan::{AddressError, Change, Plan, PlanError, VifTarget};
use crate::types::{
    IfName, NftBatch, NftChain, NftCommand, NftExpr, NftFamily, NftRule, NftTable, Route, RouteKind,
};

/// What there is of the table that translates addresses: `inet xennet-nat`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct NatSnapshot {
    /// The table; none when there is none.
    pub table: Option<NftTable>,
    /// What is in it.
    pub rules: NatRules,
}

/// What the table consists of.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NatRules {
    /// Its chains.
    pub chains: Vec<NftChain>,
    /// Its rules, chain by chain in their order.
    pub rules: Vec<NftRule>,
}

impl NatSnapshot {
    /// The table's family.
    pub const FAMILY: NftFamily = NftFamily::Inet;
    /// The table's name.
    pub const TABLE: &'static str = "xennet-nat";

    /// What is in the table, if it is xennet's; an error when it is somebody else's.
    fn own(&self) -> Result<Option<&NatRules>, PlanError> {
        match &self.table {
            None => Ok(None),
            Some(table) if table.comment.as_deref() == Some(COMMENT) => Ok(Some(&self.rules)),
            Some(table) => Err(PlanError::ForeignTable {
                family: table.family,
                table: table.name.clone(),
                comment: table.comment.clone().unwrap_or_default(),
            }),
        }
    }

    /// The same, to be put back; nothing when it is somebody else's.
    pub(super) fn before(&self) -> Option<NatRules> {
        self.own().ok().flatten().cloned()
    }
}

impl NatRules {
    /// What the configuration asks for; nothing when there is no `[[nat]]`.
    pub fn of(config: &NetworkConfig) -> Self {
        if config.nat.is_empty() {
            return Self::default();
        }
        let rules = rules::rules(&config.nat);
        Self { chains: rules::chains(&rules), rules }
    }

    fn is_empty(&self) -> bool {
        self.chains.is_empty()
    }

    /// The commands that make the table of it, in place of one that may be there; none of it, and no table.
    fn make(&self, there: bool) -> Vec<NftCommand> {
        let table = || NftCommand::TableAdd { comment: Some(COMMENT.to_owned()) };
        let mut commands = Vec::new();
        if there {
            // What is gone by then cannot be deleted.
            commands.extend([table(), NftCommand::TableDelete]);
        }
        if !self.is_empty() {
            commands.push(table());
            commands.extend(self.chains.iter().cloned().map(NftCommand::ChainAdd));
            commands.extend(
                self.rules
                    .iter()
                    .filter(|rule| can_be_made(rule))
                    .cloned()
                    .map(NftCommand::RuleAdd),
            );
        }
        commands
    }
}

/// Makes the table as the configuration says.
pub(super) fn start(
    plan: &mut Plan,
    config: &NetworkConfig,
    seen: &NetworkSnapshot,
) -> Result<(), PlanError> {
    let wanted = NatRules::of(config);
    let own = seen.nat.own();
    // Somebody else's table of that name matters only to who needs it.
    let own = if wanted.is_empty() { own.unwrap_or_default() } else { own? };
    for nat in &config.nat {
        check_subnets(nat, seen)?;
    }
    replace(plan, own, &wanted, seen);
    Ok(())
}

/// A network that the host reaches already cannot be the guests' as well, and least of all the one its gateway is in.
fn check_subnets(nat: &NatPolicy, seen: &NetworkSnapshot) -> Result<(), PlanError> {
    let guests = |name: &IfName| {
        nat.bridge.as_ref() == Some(name)
            || seen.link(name).is_some_and(|link| VifTarget::of(link).is_some())
    };
    let routes = seen.routes.iter().filter(|route| {
        let Route { destination, kind, table, .. } = &route.route;
        (*kind, *table) == (RouteKind::Unicast, Route::MAIN) && !is_default(destination)
    });
    let routes = routes
        .flat_map(|route| route.links.iter().map(|link| (route.route.destination, &link.name)));
    let gateways = seen.gateways();
    let gateways = gateways.iter().map(|one| (IpNet::from(one.address), &one.link.name));
    let taken = routes.chain(gateways).filter(|(_, link)| !guests(link));
    for (network, link) in taken {
        if let Some(subnet) = nat.subnets.iter().find(|subnet| overlap(subnet, &network)) {
            return Err(AddressError::SubnetTaken {
                nat: nat.name.clone(),
                subnet: *subnet,
                network,
                link: link.clone(),
            }
            .into());
        }
    }
    Ok(())
}

/// Whether a route is for the whole world, or for a part of it that stands for the whole: programs for private networks
/// add `0.0.0.0/1` and `128.0.0.0/1`, and `2000::/3` is all of the Internet.
pub(super) fn is_default(destination: &IpNet) -> bool {
    destination.prefix_len() <= if destination.addr().is_ipv4() { 7 } else { 3 }
}

/// Makes it what it was.
pub(super) fn stop(plan: &mut Plan, before: Option<&NatRules>, seen: &NetworkSnapshot) {
    if let Ok(own) = seen.nat.own() {
        replace(plan, own, before.unwrap_or(&NatRules::default()), seen);
    }
}

fn replace(plan: &mut Plan, own: Option<&NatRules>, wanted: &NatRules, seen: &NetworkSnapshot) {
    let asleep = seen.nat.table.as_ref().is_some_and(|table| table.dormant);
    let same = match own {
        Some(own) => same(own, wanted) && !asleep,
        None => wanted.is_empty(),
    };
    if same {
        return;
    }
    let batch = |commands| NftBatch {
        family: NatSnapshot::FAMILY,
        table: NatSnapshot::TABLE.to_owned(),
        generation: None,
        commands,
    };
    let was = own.cloned().unwrap_or_default();
    plan.push(Change::Nft {
        batch: batch(wanted.make(own.is_some())),
        undo: batch(was.make(!wanted.is_empty())),
    });
}

/// Whether a rule is none of somebody else's, who put it into our table.
fn can_be_made(rule: &NftRule) -> bool {
    !rule.expressions.iter().any(|step| matches!(step, NftExpr::Other { .. }))
}

/// Whether two are the same, in whatever order the kernel lists chains.
fn same(one: &NatRules, other: &NatRules) -> bool {
    let of = |rules: &NatRules, chain: &NftChain| -> Vec<NftRule> {
        rules.rules.iter().filter(|rule| rule.chain == chain.name).cloned().collect()
    };
    one.chains.len() == other.chains.len()
        && one
            .chains
            .iter()
            .all(|chain| other.chains.contains(chain) && of(one, chain) == of(other, chain))
}

/// What the table says of itself.
const COMMENT: &str = "xennet nat 1";

#[cfg(test)]
mod tests;
