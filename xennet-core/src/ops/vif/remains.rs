//! Everything that is left of a vif that is detached, as far as it can be observed.

use super::resolve::Resolved;
use crate::Error;
use crate::kernel::Nftables;
use crate::observe::{Facts, dhcp_text, iptables, look, port_names};
use crate::plan::guard::GuardLayout;
use crate::plan::{DhcpSnapshot, VifSnapshot};
use crate::types::Mode;

/// Asks for the facts. Best effort: only a kernel that does not say whether there is an interface is an error.
///
/// A vif that `was_port` when the operation began was not routed.
pub(super) fn observe(
    resolved: &Resolved,
    facts: &mut Facts<'_>,
    was_port: bool,
) -> Result<Box<VifSnapshot>, Error> {
    let Resolved { target, config, links, .. } = resolved;
    let mut vif = Box::<VifSnapshot>::default();
    vif.link.clone_from(&links.own);
    if let Some(index) = vif.link.as_ref().and_then(|link| link.master) {
        vif.master = facts.link_at(index)?;
    }
    // The vif leaves whatever it is a port of; which bridge was meant matters to a managed uplink only.
    vif.bridges = vif.master.clone().into_iter().collect();
    if vif.master.is_none() && target.mode == Mode::Bridge && !facts.config.bridges.is_empty() {
        let names = target.bridge_names(config).unwrap_or_default();
        vif.bridges = facts.bridges(&names)?;
    }
    vif.hooks = facts.hooks().unwrap_or_default();
    attachment(resolved, facts, was_port, &mut vif);
    if !links.name_is_taken() {
        let port = target.final_name(config)?;
        vif.iptables = iptables(&port, &config.ip, &vif.policy).unwrap_or_default();
    }
    let (link, master) = (vif.link.clone(), vif.master.clone());
    if !was_port || master.is_some() {
        vif.switch = facts.remaining_switch(target, config, link.as_ref(), master.as_ref());
    }
    // A kernel without nftables has no guard to remove.
    let _ = guard(resolved, facts, &mut vif);
    let path = facts.dhcp_file(target.id);
    vif.dhcp = dhcp_text(&path).ok().map(|text| DhcpSnapshot { path, text, nat: None });
    if vif.link.is_none() || vif.routed.is_some() {
        let _ = facts.leaving_proxies(&mut vif);
    }
    Ok(vif)
}

/// The configuration of its port; and the routes to it, unless it is a port of something.
fn attachment(resolved: &Resolved, facts: &mut Facts<'_>, was_port: bool, vif: &mut VifSnapshot) {
    let Resolved { target, config, .. } = resolved;
    let link = vif.link.clone();
    // A vif that is no port may have been attached in another mode than it is detached in.
    let is_port = vif.master.is_some() || was_port;
    if target.mode.is_routed() || link.is_some() && !is_port {
        vif.policy = facts.guest_policy(target.id).unwrap_or_default();
        let addresses = link.as_ref().and_then(|link| facts.addresses(link).ok());
        vif.addresses = addresses.unwrap_or_default();
        let (nat, derived) = (resolved.nat.as_ref(), resolved.chooses_address);
        vif.routed = facts.routes_to_vif(target, config, link.as_ref(), nat, derived).ok();
        return;
    }
    let bridge = vif.master.as_ref().map(|master| master.name.clone());
    let meant = || target.bridge_names(config).ok()?.into_iter().next();
    if let Some(bridge) = bridge.or_else(meant) {
        vif.policy = facts.bridge_port_policy(target.id, &bridge).unwrap_or_default();
    }
}

fn guard(resolved: &Resolved, facts: &mut Facts<'_>, vif: &mut VifSnapshot) -> Result<(), Error> {
    let Resolved { target, config, .. } = resolved;
    let ports = port_names(target, config, vif.link.as_ref());
    let mut tables = facts.guard_tables(&GuardLayout::FAMILIES)?;
    for family in GuardLayout::FAMILIES {
        let nft = facts.connections.nft()?;
        let Ok(mut guard) = look(nft, &mut tables, family, None, &ports, target.owner()) else {
            continue;
        };
        // The kernel's version matters only where elements are to be removed.
        guard.supports_element_expiry =
            !guard.present.is_empty() && Nftables::supports_element_expiry();
        if family == target.family() {
            vif.guard = Some(guard);
        } else {
            vif.other_guards.push((family, guard));
        }
    }
    facts.keep_guard_tables(tables, target.family());
    Ok(())
}
