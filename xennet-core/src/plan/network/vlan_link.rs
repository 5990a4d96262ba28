//! One VLAN interface of the configuration: created or adopted.

use super::NetworkSnapshot;
use crate::config::{NetworkConfig, VlanPolicy};
use crate::plan::{Change, Plan, PlanError, VlanLinkError};
use crate::types::{Link, LinkKind, LinkRef, LinkSet, Mtu, VlanLinkInfo, VlanLinkSpec};

/// What makes a VLAN interface as the configuration says. One that only the name of an uplink says is left as it is, if
/// it exists.
pub(super) fn start(
    plan: &mut Plan,
    policy: &VlanPolicy,
    config: &NetworkConfig,
    seen: &NetworkSnapshot,
) -> Result<(), PlanError> {
    let described = config.vlan(&policy.name).is_some();
    let link = seen.link(&policy.name);
    let lower = seen.link(&policy.link);
    if let Some(link) = link.filter(|_| described) {
        agrees(policy, link, lower)?;
    }
    let mtu = config.needed_mtu(&policy.name);
    let Some(lower) = lower else {
        let (vlan, link) = (policy.name.clone(), policy.link.clone());
        return seen
            .link(&vlan)
            .map_or(Err(VlanLinkError::NoLink { vlan, link }.into()), |_| Ok(()));
    };
    let below = lower.reference();
    // No interface has a larger MTU than the one below it, or is up without it.
    if let Some(mtu) = mtu.filter(|mtu| mtu.bytes() > lower.mtu) {
        plan.set(true, &below, LinkSet::Mtu(mtu), LinkSet::Mtu(Mtu::new(lower.mtu)?));
    }
    plan.set(!lower.up, &below, LinkSet::Up(true), LinkSet::Up(false));
    let up = |plan: &mut Plan, link: &LinkRef| {
        plan.set(true, link, LinkSet::Up(true), LinkSet::Up(false));
    };
    let Some(link) = link else {
        let (link, id, protocol) = (below, policy.id, policy.protocol);
        let name = policy.name.clone();
        let kind = LinkKind::Vlan(VlanLinkSpec { link, id, protocol });
        plan.push(Change::LinkAdd { name: name.clone(), kind, mac: None, mtu });
        up(plan, &LinkRef { index: None, name });
        return Ok(());
    };
    let reference = link.reference();
    let differs = |mtu: &Mtu| match policy.mtu {
        Some(_) => mtu.bytes() != link.mtu,
        None => mtu.bytes() > link.mtu,
    };
    if let Some(mtu) = mtu.filter(differs) {
        plan.set(true, &reference, LinkSet::Mtu(mtu), LinkSet::Mtu(Mtu::new(link.mtu)?));
    }
    if !link.up {
        up(plan, &reference);
    }
    Ok(())
}

/// An error if the interface that exists is not the one that is described: no setting of it can change.
fn agrees(policy: &VlanPolicy, link: &Link, lower: Option<&Link>) -> Result<(), PlanError> {
    let differs = |setting| {
        let name = policy.name.clone();
        Err(VlanLinkError::Differs { name, setting }.into())
    };
    let Some(VlanLinkInfo { id, protocol }) = link.vlan else {
        return differs(format!("another kind, {}", crate::plan::vif::describe(link)));
    };
    if id != policy.id.number() {
        return differs(format!("id {id}"));
    }
    if protocol != policy.protocol {
        return differs(format!("protocol {protocol}"));
    }
    if lower.is_none_or(|lower| link.lower != Some(lower.index)) {
        return differs("another interface below".to_owned());
    }
    Ok(())
}
