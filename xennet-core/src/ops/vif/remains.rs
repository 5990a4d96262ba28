//! Everything that is left of a vif that is detached, as far as it can be observed.

use super::resolve::Resolved;
use crate::Error;
use crate::kernel::Nftables;
use crate::observe::{Facts, dhcp_text, iptables, look, look_at_others, port_names};
use crate::plan::guard::GuardLayout;
use crate::plan::{DhcpSnapshot, VifSnapshot};
use crate::types::Mode;

/// Asks for the facts. Best effort: what cannot be observed is noted, with the reason.
///
/// A vif that `was_port` when the operation began was not routed.
pub(super) fn observe(
    resolved: &Resolved,
    facts: &mut Facts<'_>,
    was_port: bool,
) -> Box<VifSnapshot> {
    let Resolved { target, config, links, .. } = resolved;
    let mut vif = Box::<VifSnapshot>::default();
    vif.link.clone_from(&links.own);
    let link_error = resolved.unobserved.as_ref();
    vif.unobserved.extend(link_error.map(|error| ("its port".to_owned(), error.to_string())));
    if let Some(index) = vif.link.as_ref().and_then(|link| link.master) {
        let master = facts.link_at(index);
        vif.master = noted(&mut vif, "its port", master).flatten();
    }
    // The vif leaves whatever it is a port of; which bridge was meant matters to a managed uplink only.
    vif.bridges = vif.master.clone().into_iter().collect();
    if vif.master.is_none() && target.mode == Mode::Bridge && !facts.config.bridges.is_empty() {
        let names = target.bridge_names(config).unwrap_or_default();
        let bridges = facts.bridges(&names);
        vif.bridges = noted(&mut vif, "VLANs of its uplink", bridges).unwrap_or_default();
    }
    let hooks = facts.hooks();
    vif.hooks = noted(&mut vif, "what its hooks remove", hooks).unwrap_or_default();
    attachment(resolved, facts, was_port, &mut vif);
    if !links.name_is_taken()
        && let Ok(port) = target.final_name(config)
    {
        let rules = iptables(&port, &config.ip, &vif.policy);
        vif.iptables = noted(&mut vif, "its rules of iptables", rules).unwrap_or_default();
    }
    let (link, master) = (vif.link.clone(), vif.master.clone());
    if !was_port || master.is_some() {
        let switch = facts.remaining_switch(target, config, link.as_ref(), master.as_ref());
        vif.switch = noted(&mut vif, "its port of Open vSwitch", switch).flatten();
    }
    // The guard of a port that cannot be observed may still be needed.
    if link_error.is_none() {
        let removed = guard(resolved, facts, &mut vif);
        noted(&mut vif, "its elements of the guard", removed);
    }
    let path = facts.dhcp_file(target.id);
    let text = dhcp_text(&path);
    vif.dhcp = noted(&mut vif, "its file for dnsmasq", text).map(|text| DhcpSnapshot {
        path,
        text,
        nat: None,
    });
    if vif.link.is_none() || vif.routed.is_some() {
        let proxies = facts.leaving_proxies(&mut vif);
        noted(&mut vif, "its proxy entries", proxies);
    }
    vif
}

/// The answer; none if it failed, which is noted unless this system cannot have such a thing.
fn noted<T>(vif: &mut VifSnapshot, what: &str, answer: Result<T, Error>) -> Option<T> {
    const NONE: [i32; 6] = [
        libc::EPROTONOSUPPORT,
        libc::EAFNOSUPPORT,
        libc::EOPNOTSUPP,
        libc::EINVAL,
        libc::ENOENT,
        libc::ENODEV,
    ];
    let error = match answer {
        Ok(answer) => return Some(answer),
        Err(error) => error,
    };
    if !NONE.contains(&error.errno()) {
        vif.unobserved.push((what.to_owned(), error.to_string()));
    }
    None
}

/// The configuration of its port; and the routes to it, unless it is a port of something.
fn attachment(resolved: &Resolved, facts: &mut Facts<'_>, was_port: bool, vif: &mut VifSnapshot) {
    let Resolved { target, config, .. } = resolved;
    let link = vif.link.clone();
    // A vif that is no port may have been attached in another mode than it is detached in.
    let is_port = vif.master.is_some() || was_port;
    if target.mode.is_routed() || link.is_some() && !is_port {
        vif.policy = facts.guest_policy(target.id).unwrap_or_default();
        let addresses = link.as_ref().map_or(Ok(Vec::new()), |link| facts.addresses(link));
        vif.addresses = noted(vif, "its addresses", addresses).unwrap_or_default();
        let (nat, derived) = (resolved.nat.as_ref(), resolved.chooses_address);
        let routed = facts.routes_to_vif(target, config, link.as_ref(), nat, derived);
        vif.routed = noted(vif, "routes to it", routed);
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
    let mut outcome = Ok(());
    for family in GuardLayout::FAMILIES {
        let nft = facts.connections.nft()?;
        let mut guard = match look(nft, &mut tables, family, None, &ports, target.owner()) {
            Ok(guard) => guard,
            Err(error) => {
                outcome = outcome.and(Err(error));
                continue;
            }
        };
        // The kernel's version matters only where elements are to be removed.
        guard.supports_element_expiry =
            !guard.present.is_empty() && Nftables::supports_element_expiry();
        if let Err(error) = look_at_others(nft, family, &mut guard) {
            outcome = outcome.and(Err(error));
        }
        if family == target.family() {
            vif.guard = Some(guard);
        } else {
            vif.other_guards.push((family, guard));
        }
    }
    facts.keep_guard_tables(tables, target.family());
    outcome
}
