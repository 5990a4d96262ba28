//! One bridge of the configuration: made or taken up, with its uplink and the host's addresses.

use super::handover::{link_local, silence};
use super::record::Moved;
use super::sysctls::{DISABLE_IPV6, FOLLOWING};
use super::tunnel::Tunnel;
use super::{NetworkSnapshot, adopted, following, hosts, slaac};
use crate::config::{BridgePolicy, HostAddresses, NetworkConfig};
use crate::plan::bridge::not_a_bridge;
use crate::plan::{BridgeConfig, Change, HostWarning, Plan, PlanError, UplinkError};
use crate::types::{
    AddrGenMode, BridgeInfo, BridgeSet, Family, IfName, Link, LinkRef, LinkSet, Mtu, Sysctl,
};

/// What makes a bridge as the configuration says, and the host use it.
pub(super) fn start(
    plan: &mut Plan,
    policy: &BridgePolicy,
    config: &NetworkConfig,
    seen: &NetworkSnapshot,
) -> Result<(), PlanError> {
    let uplink = policy.uplink.as_ref().map(|name| uplink(policy, name, seen)).transpose()?;
    let link = seen.link(&policy.name);
    let tunnel = Tunnel::of(policy, config, seen)?;
    let known = seen.known(&policy.name);
    let made = known.is_some_and(|known| known.made);
    let mtu =
        policy.mtu.or_else(|| own_mtu(uplink, tunnel.as_ref()).filter(|_| made || link.is_none()));
    let bridge = match link {
        None => {
            let new = new_bridge(policy, uplink, mtu, seen);
            plan.changes.extend(new.make());
            LinkRef { index: None, name: policy.name.clone() }
        }
        Some(link) => {
            adjust(plan, policy, link, mtu)?;
            link.reference()
        }
    };
    let joins =
        uplink.is_some_and(|uplink| link.is_none_or(|link| uplink.master != Some(link.index)));
    if let Some(uplink) = uplink.filter(|_| joins && policy.addresses.is_none()) {
        hosts::not_cut_off(policy, uplink, seen)?;
    }
    let joining = uplink.filter(|_| joins && policy.moves_addresses());
    settings(plan, policy, config, seen, joining);
    if let Some(known) = known.filter(|known| seen.has_lost(known) && !policy.moves_addresses()) {
        adopted::settings(plan, known, seen, |_| true);
    }
    let handover = hosts::wanted(plan, policy, &bridge, uplink, seen)?;
    let follows = joining.filter(|_| !known.is_some_and(|known| seen.was_port(known)));
    let inherits = policy.addresses == Some(HostAddresses::Inherit);
    if handover.as_ref().is_some_and(|hosts| inherits && !hosts.has_address()) {
        plan.warn(HostWarning::NothingInherited(policy.name.clone()));
    }
    slaac::keep(plan, policy, seen, follows, handover.as_ref());
    let up = link.is_some_and(|link| link.up);
    let arrive = |plan: &mut Plan| {
        if let Some(hosts) = &handover {
            hosts.arrive(plan);
        }
    };
    if up {
        arrive(plan);
    }
    if let Some(uplink) = uplink {
        let port = uplink.reference();
        if let Some(mtu) = policy.mtu.filter(|mtu| mtu.bytes() > uplink.mtu) {
            plan.set(true, &port, LinkSet::Mtu(mtu), LinkSet::Mtu(Mtu::new(uplink.mtu)?));
        }
        plan.set(!uplink.up, &port, LinkSet::Up(true), LinkSet::Up(false));
        let master = Some(bridge.clone());
        plan.set(joins, &port, LinkSet::Master(master), LinkSet::Master(None));
    }
    if let Some(tunnel) = &tunnel {
        let now = || link.map_or(Mtu::new(ETHERNET), |link| Mtu::new(link.mtu));
        tunnel.start(plan, &bridge, mtu.map_or_else(now, Ok)?)?;
    }
    // After its port: a bridge that comes up without a carrier drops what it shall send until the kernel gets round to
    // the carrier, and with it the first question for a neighbour, which is repeated only a second later.
    if !up {
        plan.set(true, &bridge, LinkSet::Up(true), LinkSet::Up(false));
        arrive(plan);
    }
    if let Some(hosts) = &handover {
        hosts.reroute(plan);
        hosts.settle(plan);
        hosts.leave(plan);
    }
    if let (Some(uplink), true) = (uplink, policy.moves_addresses()) {
        silence(plan, seen, uplink);
        hosts::warn_of_leases(plan, policy, uplink, seen);
        if known.is_some_and(|known| known.moved != Moved::No)
            && hosts::uplink_is_configured(uplink, seen)
        {
            let (uplink, bridge) = (uplink.name.clone(), policy.name.clone());
            plan.warn(HostWarning::UplinkConfigured { uplink, bridge });
        }
    }
    Ok(())
}

/// The uplink, if it can be one.
fn uplink<'a>(
    policy: &BridgePolicy,
    name: &IfName,
    seen: &'a NetworkSnapshot,
) -> Result<&'a Link, PlanError> {
    let bridge = || policy.name.clone();
    let uplink = seen
        .link(name)
        .ok_or_else(|| UplinkError::Missing { bridge: bridge(), uplink: name.clone() })?;
    let known = seen.known(&policy.name).and_then(|known| known.uplink.as_ref());
    if let Some(was) = known.filter(|known| *known != name) {
        return Err(UplinkError::Changed {
            bridge: bridge(),
            uplink: name.clone(),
            was: was.clone(),
        }
        .into());
    }
    let master = seen.links.iter().find(|link| uplink.master == Some(link.index));
    let is_vrf = |link: &&Link| link.kind.as_deref() == Some("vrf");
    if let Some(vrf) = [master, Some(uplink)].into_iter().flatten().find(is_vrf) {
        let (bridge, uplink, vrf) = (bridge(), name.clone(), vrf.name.clone());
        return Err(UplinkError::InVrf { bridge, uplink, vrf }.into());
    }
    match master {
        Some(master) if master.name != policy.name => Err(UplinkError::Taken {
            bridge: bridge(),
            uplink: name.clone(),
            master: master.name.clone(),
        }
        .into()),
        _ => Ok(uplink),
    }
}

/// What a bridge of xennet's own has where nothing is said of its MTU: that of its uplink, and no more than fits between
/// hosts.
fn own_mtu(uplink: Option<&Link>, tunnel: Option<&Tunnel<'_>>) -> Option<Mtu> {
    let room = tunnel.and_then(Tunnel::room);
    let mtu = match (uplink, room) {
        (Some(uplink), Some(room)) => uplink.mtu.min(room),
        (Some(uplink), None) => uplink.mtu,
        (None, Some(room)) => ETHERNET.min(room),
        (None, None) => return None,
    };
    Mtu::new(mtu).ok()
}

/// Bytes.
const ETHERNET: u32 = 1500;

/// A bridge with what the configuration says, what the uplink has, and what suits guests.
fn new_bridge(
    policy: &BridgePolicy,
    uplink: Option<&Link>,
    mtu: Option<Mtu>,
    seen: &NetworkSnapshot,
) -> BridgeConfig {
    let mut new = BridgeConfig::new(policy.name.clone());
    let adopted = seen.known(&policy.name).and_then(|known| known.adopted.as_ref());
    if let Some(adopted) = adopted {
        new = adopted.config(&policy.name);
    }
    let info = &mut new.settings;
    info.stp = policy.stp.unwrap_or(info.stp);
    // What spanning tree needs to hear of the others; without it nobody is waited for.
    let usual = if info.stp { hundredths(15) } else { 0 };
    let usual = if adopted.is_some() { info.forward_delay } else { usual };
    info.forward_delay = policy.forward_delay.map_or(usual, hundredths);
    info.ageing_time = policy.ageing.map_or(info.ageing_time, hundredths);
    info.vlan_filtering = policy.vlan_filtering.unwrap_or(info.vlan_filtering);
    info.mcast_snooping = policy.multicast_snooping.or(info.mcast_snooping);
    info.group_fwd_mask = policy.group_fwd_mask.unwrap_or(info.group_fwd_mask);
    // With the uplink's own address the host's neighbours need to learn nothing.
    let hosts = uplink.filter(|_| policy.moves_addresses()).and_then(|uplink| uplink.mac);
    new.mac = policy.mac.or(new.mac).or(hosts).or_else(|| seen.macs.get(&policy.name).copied());
    new.mtu = policy.mtu.or(new.mtu).or(mtu);
    new
}

/// What the configuration says of a bridge that is there: nothing else is touched.
fn adjust(
    plan: &mut Plan,
    policy: &BridgePolicy,
    link: &Link,
    mtu: Option<Mtu>,
) -> Result<(), PlanError> {
    let now = link.bridge.as_ref().ok_or_else(|| not_a_bridge(link))?;
    let mut wanted = now.clone();
    wanted.stp = policy.stp.unwrap_or(now.stp);
    wanted.forward_delay = policy.forward_delay.map_or(now.forward_delay, hundredths);
    wanted.ageing_time = policy.ageing.map_or(now.ageing_time, hundredths);
    wanted.vlan_filtering = policy.vlan_filtering.unwrap_or(now.vlan_filtering);
    wanted.mcast_snooping = policy.multicast_snooping.or(now.mcast_snooping);
    wanted.group_fwd_mask = policy.group_fwd_mask.unwrap_or(now.group_fwd_mask);
    let reference = link.reference();
    tune(plan, &reference, now, &wanted);
    if let (Some(mac), Some(was)) = (policy.mac, link.mac) {
        plan.set(mac != was, &reference, LinkSet::Address(mac), LinkSet::Address(was));
    }
    if let Some(mtu) = mtu.filter(|mtu| mtu.bytes() != link.mtu) {
        plan.set(true, &reference, LinkSet::Mtu(mtu), LinkSet::Mtu(Mtu::new(link.mtu)?));
    }
    Ok(())
}

/// From one set of a bridge's settings to another.
fn tune(plan: &mut Plan, bridge: &LinkRef, now: &BridgeInfo, wanted: &BridgeInfo) {
    let mut set = |needed, set, was| {
        plan.set(needed, bridge, LinkSet::Bridge(set), LinkSet::Bridge(was));
    };
    let delay =
        (BridgeSet::ForwardDelay(wanted.forward_delay), BridgeSet::ForwardDelay(now.forward_delay));
    let slower = now.forward_delay != wanted.forward_delay;
    // Spanning tree takes no delay below two seconds: with it the kernel would make them two, or refuse.
    set(slower && wanted.stp, delay.0, delay.1);
    set(now.stp != wanted.stp, BridgeSet::Stp(wanted.stp), BridgeSet::Stp(now.stp));
    set(slower && !wanted.stp, delay.0, delay.1);
    let ageing = BridgeSet::AgeingTime;
    set(now.ageing_time != wanted.ageing_time, ageing(wanted.ageing_time), ageing(now.ageing_time));
    let filter = BridgeSet::VlanFiltering;
    let (on, was) = (wanted.vlan_filtering, now.vlan_filtering);
    set(on != was, filter(on), filter(was));
    if let (Some(was), Some(on)) = (now.mcast_snooping, wanted.mcast_snooping) {
        set(on != was, BridgeSet::McastSnooping(on), BridgeSet::McastSnooping(was));
    }
    let mask = BridgeSet::GroupFwdMask;
    let (to, was) = (wanted.group_fwd_mask, now.group_fwd_mask);
    set(to != was, mask(to), mask(was));
}

/// The bridge's own settings of IPv4 and IPv6: before it is up, and before it has an address.
fn settings(
    plan: &mut Plan,
    policy: &BridgePolicy,
    config: &NetworkConfig,
    seen: &NetworkSnapshot,
    joining: Option<&Link>,
) {
    let name = &policy.name;
    let link = seen.link(name);
    let mut set = |family, key, value: &str| {
        let Ok(sysctl) = Sysctl::link(family, name, key) else { return };
        match (link, seen.of_new(family, key)) {
            (Some(_), _) => plan.sysctl(sysctl, value, seen.setting(family, name, key)),
            // It will be there, and goes with the bridge.
            (None, Some(default)) if default != value => {
                plan.push(Change::Sysctl { sysctl, value: value.to_owned(), was: None });
            }
            _ => {}
        }
    };
    let known = seen.known(name).filter(|known| known.moved != Moved::No);
    // A bridge that had its uplink before the first start has settings of its own.
    let own = known.filter(|known| seen.was_port(known)).map(|known| &known.of_bridge);
    let mut there = link.iter().flat_map(|link| seen.addresses(link));
    let has_ipv6 = there.any(|one| one.address.addr().is_ipv6() && !link_local(one));
    if let Some(uplink) = joining {
        for setting @ (family, key) in FOLLOWING {
            let recorded =
                known.and_then(|known| seen.uplink_setting(known, family, &uplink.name, key));
            let value = match own {
                Some(own) => own.setting(family, name, key),
                None => recorded.or_else(|| seen.setting(family, &uplink.name, key)),
            };
            let value = value.and_then(|value| {
                following::value(config, seen, (&uplink.name, name), setting, value)
            });
            // It would delete the addresses that the bridge has already.
            let deletes = setting == (Family::V6, DISABLE_IPV6) && value != Some("0") && has_ipv6;
            if let Some(value) = value.filter(|_| !deletes) {
                set(family, key, value);
            }
        }
    }
    match policy.ipv6 {
        Some(false) => set(Family::V6, DISABLE_IPV6, "1"),
        // Whoever says so wants it, whatever the uplink has.
        Some(true) => set(Family::V6, DISABLE_IPV6, "0"),
        None => {
            let uplink = known.and_then(|known| Some((known, known.uplink.as_ref()?)));
            let had = uplink.and_then(|(known, name)| {
                seen.uplink_setting(known, Family::V6, name, DISABLE_IPV6)
            });
            let used = known.filter(|known| known.used_ipv6()).map(|known| &known.of_bridge);
            let used = used.and_then(|own| own.setting(Family::V6, name, DISABLE_IPV6));
            // The addresses on record need it.
            if used.or(had) == Some("0") {
                set(Family::V6, DISABLE_IPV6, "0");
            }
        }
    }
    // Its link-local address is the uplink's, or one made in the same way; a secret one cannot be made twice.
    let follows = joining.filter(|_| own.is_none());
    let mode = follows.and_then(|uplink| addr_gen_mode(uplink, seen));
    let now = link.map_or(Some(AddrGenMode::Eui64), |link| link.addr_gen_mode);
    if let (Some(was), true) = (now, mode.is_some_and(|mode| mode != AddrGenMode::Eui64)) {
        let reference = link.map_or(LinkRef { index: None, name: name.clone() }, Link::reference);
        let none = AddrGenMode::None;
        plan.set(was != none, &reference, LinkSet::AddrGenMode(none), LinkSet::AddrGenMode(was));
    }
}

/// The way in which the uplink made its link-local address before it was silenced.
fn addr_gen_mode(uplink: &Link, seen: &NetworkSnapshot) -> Option<AddrGenMode> {
    let is_mode = |set: &LinkSet| matches!(set, LinkSet::AddrGenMode(_));
    match seen.recorded_setting(&uplink.name, is_mode) {
        Some(LinkSet::AddrGenMode(mode)) => Some(*mode),
        _ => uplink.addr_gen_mode,
    }
}

fn hundredths(seconds: u32) -> u32 {
    seconds.saturating_mul(100)
}
