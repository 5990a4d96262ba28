//! Everything that the plan for an attached vif depends on.

use super::address;
use super::resolve::Resolved;
use crate::Error;
use crate::engine::{Held, LockName, Step};
use crate::observe::{Facts, dhcp_text, iptables, look, port_names};
use crate::plan::guard::GuardEntry;
use crate::plan::{DhcpSnapshot, VifSnapshot};
use crate::types::{Mode, NftFamily};

/// The facts for a vif, or what is needed before they can be had.
pub(super) enum Observed {
    Facts(Box<VifSnapshot>),
    First(Step),
}

/// Asks for the facts in the order in which one depends on the other.
pub(super) fn observe(
    resolved: &Resolved,
    facts: &mut Facts<'_>,
    held: Held<'_>,
) -> Result<Observed, Error> {
    let Resolved { target, config, links, .. } = resolved;
    let link = links.own.as_ref();
    let mut vif = Box::<VifSnapshot>::default();
    vif.bridges.clone_from(&resolved.bridges);
    vif.addresses = link.map_or(Ok(Vec::new()), |link| facts.addresses(link))?;
    vif.switch = match (target.mode, link) {
        (Mode::OpenVswitch, link) => {
            let bridge = resolved.switch_bridge.clone();
            Some(facts.switch(target, config, link, bridge)?)
        }
        (_, Some(link)) => facts.former_switch(target, config, link, &vif.bridges)?,
        (_, None) => None,
    };
    if let Some(index) = link.and_then(|link| link.master) {
        let known = vif.bridges.iter().find(|bridge| bridge.index == index).cloned();
        vif.master = known.map_or_else(|| facts.link_at(index), |bridge| Ok(Some(bridge)))?;
    }
    let leaves = |bridge: u32| vif.bridges.iter().all(|other| other.index != bridge);
    if let (Some(link), Some(master)) = (link, &vif.master)
        && leaves(master.index)
    {
        vif.lossy = facts.leaves_settings(link, master)?;
    }
    vif.link = link.cloned();
    vif.hooks = facts.hooks()?;
    vif.store.clone_from(&resolved.store);
    if let Some(step) = attachment(resolved, facts, held, &mut vif)? {
        return Ok(Observed::First(step));
    }
    vif.taken = if resolved.chooses_address {
        None
    } else {
        address::conflict(facts, target, config, resolved.nat.as_ref())?
    };
    vif.dhcp = dhcp(resolved, facts)?;
    if target.mode != Mode::OpenVswitch {
        vif.filters = facts.filters(target.mode.is_routed());
    }
    Ok(Observed::Facts(vif))
}

/// The facts that depend on what the vif is attached to, the guard's among them.
fn attachment(
    resolved: &Resolved,
    facts: &mut Facts<'_>,
    held: Held<'_>,
    vif: &mut VifSnapshot,
) -> Result<Option<Step>, Error> {
    let Resolved { target, config, .. } = resolved;
    let mut attached = true;
    if target.mode.is_routed() {
        vif.policy = facts.guest_policy(target.id)?;
        let (nat, derived) = (resolved.nat.as_ref(), resolved.chooses_address);
        vif.routed = Some(facts.routes_to_vif(target, config, vif.link.as_ref(), nat, derived)?);
    } else if let (Some(switch), Mode::OpenVswitch) = (&vif.switch, target.mode) {
        let bridge = switch.bridge.as_ref().map(|bridge| &bridge.name);
        vif.policy = facts.switch_port_policy(target.id, bridge)?;
    } else if let Ok(bridge) = target.choose_bridge(config, vif).cloned() {
        vif.policy = facts.bridge_port_policy(target.id, &bridge.name)?;
        if let Some(uplink) = facts.managed_uplink(&bridge) {
            let lock = LockName::Uplink(bridge.name.clone());
            if held.lacks(&lock) {
                return Ok(Some(Step::Lock(lock)));
            }
            let index = vif.link.as_ref().map(|link| link.index);
            vif.uplink = Some(facts.uplink_vlans(&bridge, &uplink, index)?);
        }
        vif.bridge_mtu = facts.bridge_mtu(config, &bridge)?;
        let port = vif.link.clone().filter(|link| link.master == Some(bridge.index));
        if let Some(port) = port {
            vif.vlans = facts.port_vlans(&port, &bridge)?;
            if target.sets_port(config, vif) {
                vif.port = facts.bridge_port(&port)?;
            }
        }
        vif.iptables = iptables(&target.final_name(config)?, &config.ip, &vif.policy)?;
        if vif.policy.announce == Some(true) {
            vif.outlets = facts.outlets(&bridge, vif.link.as_ref())?;
        }
    } else {
        attached = false;
    }
    let entry = if attached { target.guard(config, vif) } else { None };
    match guard(resolved, facts, held, vif, attached, entry.as_ref()) {
        // Where nothing is to be guarded, a kernel without nftables will do.
        Err(_) if entry.is_none() => Ok(None),
        step => step,
    }
}

/// The guard's facts: in the family of the attachment by what is wanted, and in `netdev`, whose chains see a frame
/// wherever it goes, what is left of an earlier attachment.
fn guard(
    resolved: &Resolved,
    facts: &mut Facts<'_>,
    held: Held<'_>,
    vif: &mut VifSnapshot,
    attached: bool,
    entry: Option<&GuardEntry>,
) -> Result<Option<Step>, Error> {
    let Resolved { target, config, .. } = resolved;
    let own = target.family();
    let mut families: Vec<NftFamily> = attached.then_some(own).into_iter().collect();
    if own != NftFamily::Netdev {
        families.push(NftFamily::Netdev);
    }
    let ports = port_names(target, config, vif.link.as_ref());
    let mut tables = facts.guard_tables(&families)?;
    // To find out what the table can be made of takes the kernel some 10 ms, during which no other process gets anything
    // done: one vif creates it, and those that are attached at the same time find it.
    if entry.is_some() && !tables.have(own) && held.lacks(&LockName::GuardTable) {
        return Ok(Some(Step::Lock(LockName::GuardTable)));
    }
    for family in families {
        let entry = entry.filter(|_| family == own);
        let nft = facts.connections.nft()?;
        match look(nft, &mut tables, family, entry, &ports, target.owner()) {
            Ok(mut guard) if family == own => {
                if let Some(wait) = guard.ending.filter(|_| held.may_wait()) {
                    return Ok(Some(Step::Wait(wait)));
                }
                for other in guard.other_owners(Some(target.id)) {
                    if facts.is_gone(other)? {
                        guard.gone.insert(other);
                    }
                }
                vif.guard = Some(guard);
            }
            Ok(guard) => vif.other_guards.push((family, guard)),
            Err(error) if entry.is_some() => return Err(error),
            Err(_) => {}
        }
    }
    facts.keep_guard_tables(tables, own);
    Ok(None)
}

/// What dnsmasq knows of the guest, and what it is to know.
fn dhcp(resolved: &Resolved, facts: &Facts<'_>) -> Result<Option<DhcpSnapshot>, Error> {
    if facts.config.nat.iter().all(|nat| !nat.dhcp) {
        return Ok(None);
    }
    let path = facts.dhcp_file(resolved.target.id);
    let text = dhcp_text(&path)?;
    let nat = resolved.nat.clone().filter(|nat| nat.dhcp);
    Ok(Some(DhcpSnapshot { path, text, nat }))
}
