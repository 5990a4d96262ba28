//! Whether the host forwards packets, and answers for those that it forwards to.

use super::sysctls::FORWARDING;
use super::{NetworkRecord, NetworkSnapshot};
use crate::config::NetworkConfig;
use crate::plan::{Change, Plan, PlanError};
use crate::types::{Family, IfName, Link, Sysctl};

/// The settings of an uplink by which the host answers for its guests.
pub(super) const PROXY: [(Family, &str); 2] =
    [(Family::V4, "proxy_arp"), (Family::V6, "proxy_ndp")];

/// The settings of the host that matter here.
pub(super) fn host() -> impl Iterator<Item = Sysctl> {
    let forwarding = [Sysctl::forwarding(Family::V4), Sysctl::forwarding(Family::V6)];
    forwarding.into_iter().chain(redirects())
}

/// A host that forwards by IPv6 takes its own default routes from routers no more, and the kernel drops those that it
/// has, unless `accept_ra` is 2 before.
pub(super) fn accept_learning(plan: &mut Plan, config: &NetworkConfig, seen: &NetworkSnapshot) {
    // A bridge that takes over from its uplink has it from there.
    let taken = config.all_bridges();
    let taken = |link: &IfName| {
        taken.iter().any(|policy| policy.moves_addresses() && policy.uplink.as_ref() == Some(link))
    };
    for link in seen.links.iter().filter(|link| !taken(&link.name)) {
        let now = seen.setting(Family::V6, &link.name, "accept_ra");
        if let (true, Ok(sysctl)) = (
            hides_routers(config, seen, &link.name),
            Sysctl::link(Family::V6, &link.name, "accept_ra"),
        ) {
            plan.sysctl(sysctl, "2", now);
        }
    }
}

/// Whether an interface would lose the routes that a router told it.
fn hides_routers(config: &NetworkConfig, seen: &NetworkSnapshot, link: &IfName) -> bool {
    let forwards = seen.sysctls.get(&Sysctl::forwarding(Family::V6)).is_some_and(|now| now != "0");
    wanted(config, Family::V6) == Some(true) && !forwards && learns(seen, link)
}

/// Whether an interface has routes or addresses that a router told it, and that it would lose as a forwarding one.
pub(super) fn learns(seen: &NetworkSnapshot, link: &IfName) -> bool {
    seen.setting(Family::V6, link, "accept_ra") == Some("1")
        && seen.link(link).is_some_and(|link| {
            let reference = link.reference();
            seen.addresses(link).iter().any(super::slaac::advertised)
                || seen
                    .routes(&reference)
                    .any(|route| super::routes::is_learnt(seen, link, &route.route))
        })
}

impl NetworkSnapshot {
    /// The settings that the kernel overwrites when the plan switches forwarding on or off for the whole host.
    pub fn overwritten(&self, config: &NetworkConfig) -> Vec<Sysctl> {
        let families = [Family::V4, Family::V6].into_iter().filter(|family| {
            let wanted = wanted(config, *family).map(|on| if on { "1" } else { "0" });
            let now = self.sysctls.get(&Sysctl::forwarding(*family)).map(String::as_str);
            wanted.is_some() && wanted != now
        });
        families
            .flat_map(|family| {
                let of = move |link: &Link| Sysctl::link(family, &link.name, FORWARDING).ok();
                let default = Sysctl::default(family, FORWARDING).ok();
                self.links.iter().filter_map(of).chain(default)
            })
            .collect()
    }
}

pub(super) fn start(
    plan: &mut Plan,
    config: &NetworkConfig,
    seen: &NetworkSnapshot,
) -> Result<(), PlanError> {
    for routed in &config.routed {
        let name = &routed.uplink;
        let made = config.all_bridges().iter().any(|policy| policy.name == *name);
        if seen.link(name).is_none() && !made {
            return Err(PlanError::NoWayOut { uplink: name.clone() });
        }
        for ((family, key), on) in PROXY.into_iter().zip([routed.proxy_arp, routed.proxy_ndp]) {
            let Some(sysctl) = Sysctl::link(family, name, key).ok().filter(|_| on) else {
                continue;
            };
            match seen.link(name) {
                Some(_) => plan.sysctl(sysctl, "1", seen.setting(family, name, key)),
                None if seen.of_new(family, key).is_some_and(|default| default != "1") => {
                    plan.push(Change::Sysctl { sysctl, value: "1".to_owned(), was: None });
                }
                None => {}
            }
        }
    }
    for family in [Family::V4, Family::V6] {
        if let Some(on) = wanted(config, family) {
            set(plan, seen, family, if on { "1" } else { "0" });
        }
    }
    Ok(())
}

/// The host's switches as they were, and what they set.
pub(super) fn stop(plan: &mut Plan, before: &NetworkRecord, seen: &NetworkSnapshot) {
    for family in [Family::V4, Family::V6] {
        let switch = Sysctl::forwarding(family);
        let now = seen.sysctls.get(&switch).map(String::as_str);
        if let Some(was) = before.sysctls.get(&switch).filter(|was| now != Some(was)) {
            plan.sysctl(switch, was, now);
            for (own, value) in before.sysctls.iter().filter(|(own, _)| is_own(own, family)) {
                let was = Some(was.clone());
                plan.push(Change::Sysctl { sysctl: own.clone(), value: value.clone(), was });
            }
            if let (Family::V4, Some(redirects)) = (family, redirects()) {
                let set = if was == "0" { "1" } else { "0" };
                let was = before.sysctls.get(&redirects).map_or(set, String::as_str);
                plan.push(Change::Sysctl {
                    sysctl: redirects,
                    value: was.to_owned(),
                    was: Some(set.to_owned()),
                });
            }
        }
    }
}

/// The switch itself, for the whole host.
fn set(plan: &mut Plan, seen: &NetworkSnapshot, family: Family, value: &str) {
    let switch = Sysctl::forwarding(family);
    let now = seen.sysctls.get(&switch).map(String::as_str);
    if now.is_none_or(|now| now == value) {
        return;
    }
    // IPv4's switch also sets this one. What it was is written down first, so that it comes back after the switch when
    // all is taken back.
    let redirects = redirects().filter(|_| family == Family::V4);
    if let Some((redirects, was)) = redirects.and_then(|one| seen.sysctls.get_key_value(&one)) {
        let value = if value == "0" { "1" } else { "0" }.to_owned();
        plan.push(Change::Sysctl { sysctl: redirects.clone(), value, was: Some(was.clone()) });
    }
    // The same for interfaces that differ from the host.
    let differs = |(own, was): &(&Sysctl, &String)| {
        is_own(own, family) && now.is_some_and(|now| now != was.as_str())
    };
    for (own, was) in seen.sysctls.iter().filter(differs) {
        let (value, was) = (value.to_owned(), Some(was.clone()));
        plan.push(Change::Sysctl { sysctl: own.clone(), value, was });
    }
    plan.sysctl(switch, value, now);
}

/// Whether it says of one interface, or of new ones, whether they forward.
fn is_own(sysctl: &Sysctl, family: Family) -> bool {
    let key = sysctl.as_str().strip_prefix(&format!("net/{family}/conf/"));
    key.is_some_and(|key| key.ends_with("/forwarding")) && *sysctl != Sysctl::forwarding(family)
}

/// Whether accept ICMP redirects: a router does not.
fn redirects() -> Option<Sysctl> {
    Sysctl::all(Family::V4, "accept_redirects").ok()
}

pub(super) fn wanted(config: &NetworkConfig, family: Family) -> Option<bool> {
    let (v4, v6) = config.forwards();
    match family {
        Family::V4 => config.forwarding.ipv4.or(v4.then_some(true)),
        Family::V6 => config.forwarding.ipv6.or(v6.then_some(true)),
    }
}
