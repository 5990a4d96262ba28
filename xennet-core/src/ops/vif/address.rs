//! Addresses of guests that share the host's address.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::Error;
use crate::config::{NatPolicy, VifConfig};
use crate::observe::{Facts, dhcp_text, other_dhcp_texts};
use crate::plan::vif::{dhcp, nat};
use crate::plan::{AddressError, PlanError, VifTarget};

/// An address of each subnet for a guest that has none: the one that it has routes for already, or a free one.
pub(super) fn choose(
    facts: &mut Facts<'_>,
    target: &VifTarget,
    config: &VifConfig,
    policy: &NatPolicy,
) -> Result<Vec<IpNet>, Error> {
    let mut own = facts.routes_of_guest(target, config)?;
    let mut taken: Vec<IpAddr> = Vec::new();
    if policy.dhcp {
        let path = facts.dhcp_file(target.id);
        let text = dhcp_text(&path)?.unwrap_or_default();
        own.extend(dhcp::addresses(&text).map(IpNet::from));
        // On a bridge no route says which guest has which address.
        if policy.bridge.is_some() {
            let others = other_dhcp_texts(&path)?;
            taken.extend(others.iter().flat_map(|text| dhcp::addresses(text)));
        }
    }
    // A port forward leads to the guest with this address.
    taken.extend(policy.forward.iter().map(|forward| forward.to));
    let mut chosen = Vec::new();
    for subnet in &policy.subnets {
        chosen.push(choose_in(facts, target, *subnet, &own, &taken)?);
    }
    Ok(chosen)
}

fn choose_in(
    facts: &mut Facts<'_>,
    target: &VifTarget,
    subnet: IpNet,
    own: &[IpNet],
    taken: &[IpAddr],
) -> Result<IpNet, Error> {
    if let Some(has) = own.iter().find(|net| subnet.contains(*net)) {
        return Ok(*has);
    }
    for candidate in nat::candidates(subnet, target.id).filter(|ip| !taken.contains(ip)) {
        if !facts.is_routed(candidate)? {
            return Ok(IpNet::from(candidate));
        }
    }
    let vif = target.name.clone();
    Err(PlanError::from(AddressError::SubnetFull { subnet, vif }).into())
}

/// The first of the guest's configured addresses that is the host's in its `[[nat]]`, or that dnsmasq has for another
/// guest: by another Ethernet address, for a guest that migrates within the host has two vifs.
pub(super) fn conflict(
    facts: &Facts<'_>,
    target: &VifTarget,
    config: &VifConfig,
    policy: Option<&NatPolicy>,
) -> Result<Option<(IpAddr, String)>, Error> {
    let Some(policy) = policy.filter(|_| !config.ip.is_empty()) else { return Ok(None) };
    let configured = config.ip.prefixes();
    let is_configured = |ip: &IpAddr| configured.iter().any(|net| net.contains(ip));
    if let Some(ip) = policy.subnets.iter().map(IpNet::addr).find(is_configured) {
        return Ok(Some((ip, format!("the host itself, as nat {},", policy.name))));
    }
    if !policy.dhcp {
        return Ok(None);
    }
    let own = config.mac.map(|mac| mac.to_string());
    let others = other_dhcp_texts(&facts.dhcp_file(target.id))?;
    Ok(others.iter().find_map(|text| {
        let (mac, _) = text.split_once(',').filter(|(mac, _)| Some(*mac) != own.as_deref())?;
        let ip = dhcp::addresses(text).find(is_configured)?;
        Some((ip, format!("the guest with the mac {mac}")))
    }))
}
