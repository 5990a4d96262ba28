//! What the host has at this moment, for those who make something else of it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use super::following;
use super::handover::link_local;
use super::routes::made_by_kernel;
use super::sysctls::FOLLOWING;
use super::{NetworkSnapshot, slaac};
use crate::config::{BridgePolicy, HostNow, NetworkConfig, Setting};
use crate::plan::HostRoute;
use crate::types::{
    AddrGenMode, Address, AddressFlags, Family, IfName, Link, MacAddr, Route, RouteKind, Sysctl,
};

impl NetworkSnapshot {
    /// The interface by which the host reaches the world: that of the default route, IPv4 before IPv6, the lowest metric
    /// first. For a bridge that xennet took, its uplink.
    pub fn gateway(&self) -> Option<&IfName> {
        let usable = |route: &&Route| {
            route.destination.prefix_len() == 0
                && route.table == Route::MAIN
                && route.kind == RouteKind::Unicast
        };
        let usable = self.routes.iter().filter(|route| usable(&&route.route));
        let first = usable.min_by_key(|one| {
            (one.route.destination.addr().is_ipv6(), one.route.metric.unwrap_or(0))
        })?;
        let link = &first.links.first()?.name;
        let before = self.known_bridges();
        let uplink =
            before.filter(|bridge| bridge.name == *link).find_map(|bridge| bridge.uplink.as_ref());
        Some(uplink.unwrap_or(link))
    }

    /// What the host has on each bridge of the configuration, or on its uplink until that is a port of the bridge.
    pub fn hosts_now(&self, config: &NetworkConfig) -> BTreeMap<IfName, HostNow> {
        let config = &*self.resolve(config);
        let now = |policy: BridgePolicy| (policy.name.clone(), self.host_now(config, &policy));
        config.all_bridges().into_iter().map(now).collect()
    }

    fn host_now(&self, config: &NetworkConfig, policy: &BridgePolicy) -> HostNow {
        let bridge = self.link(&policy.name);
        let uplink = policy.uplink.as_ref().filter(|_| policy.moves_addresses());
        let uplink = uplink.and_then(|uplink| self.link(uplink));
        let in_use = bridge.filter(|bridge| {
            uplink.is_some_and(|uplink| uplink.master == Some(bridge.index))
                || self.addresses(bridge).iter().any(|address| !link_local(address))
        });
        let link = in_use.or(uplink).or(bridge);
        let forwards = self.sysctls.get(&Sysctl::forwarding(Family::V6));
        let mac = match uplink.or(bridge) {
            Some(link) => link.mac,
            None => self.macs.get(&policy.name).copied(),
        };
        let mut now = HostNow {
            uplink: policy.uplink.clone(),
            mac,
            forwards6: forwards.is_some_and(|value| value != "0"),
            settings: self.settings_now(config, policy, link),
            ..HostNow::default()
        };
        if let Some(link) = link {
            self.add_addresses(&mut now, link);
            self.add_routes(&mut now, link);
            // For routed guests the host answers as long as they run.
            let guests = config.routed.iter().any(|routed| routed.uplink == link.name);
            let entered = self.neighbours(link).iter();
            let entered =
                entered.filter(|one| one.proxy && !guests || one.permanent && one.mac.is_some());
            now.neighbours = entered.cloned().collect();
        }
        now
    }

    fn add_addresses(&self, now: &mut HostNow, link: &Link) {
        let made = |mode: AddrGenMode| mode != AddrGenMode::Eui64;
        now.no_link_local = link.addr_gen_mode.is_some_and(made);
        now.token = link.token.filter(|token| !token.is_unspecified());
        let (v4, v6): (Vec<_>, Vec<_>) =
            self.addresses(link).iter().partition(|address| address.address.addr().is_ipv4());
        // The kernel lists the newest of IPv6 first.
        for address in v4.into_iter().chain(v6.into_iter().rev()) {
            let is_v6 = address.address.addr().is_ipv6();
            // A temporary address belongs to another one.
            let temporary = is_v6 && address.flags.contains(AddressFlags::SECONDARY);
            let made = link_local(address) && !now.no_link_local && is_eui64(address, link.mac);
            if temporary || made || address.flags.contains(AddressFlags::DADFAILED) {
                continue;
            }
            match address.valid {
                None if !address.unknown.is_empty() => now
                    .left_out
                    .push(format!("address {address}: has attributes that xennet does not know")),
                None => now.addresses.push(address.clone()),
                Some(_) if !is_v6 => now.dhcp = true,
                // Linux says who made an address since 5.18. A lease has the longest prefix.
                Some(_) if slaac::advertised(address) || address.address.prefix_len() < 128 => {
                    now.advertised = true;
                    now.token = now.token.or_else(|| token(address, now.mac));
                }
                Some(_) => now.dhcp6 = true,
            }
        }
    }

    /// Routes that were entered, those without a router first: they lead to the routers of the others.
    fn add_routes(&self, now: &mut HostNow, link: &Link) {
        let reference = link.reference();
        let mut entered = Vec::new();
        for route in self.routes(&reference) {
            let Route { destination, protocol, expires, .. } = &route.route;
            let is_v6 = destination.addr().is_ipv6();
            if made_by_kernel(&route.route, self.addresses(link)) {
                continue;
            }
            match *protocol {
                ADVERTISED if is_v6 => now.advertised = true,
                // What serves until the next advertisement.
                STATIC if is_v6 && expires.is_some() => now.advertised = true,
                DHCP if now.dhcp && !is_v6 || now.dhcp6 && is_v6 => {}
                _ => entered.push(route),
            }
        }
        // dhclient enters the lease's default route as an administrator does.
        let leased =
            |route: &HostRoute| is_default(route) && route.via().is_some_and(|ip| ip.is_ipv4());
        let by_protocol =
            self.routes(&reference).any(|one| leased(one) && one.route.protocol == DHCP);
        let lease =
            entered.iter().copied().filter(|route| leased(route) && now.dhcp && !by_protocol);
        let lease = lease.min_by_key(|route| route.route.metric.unwrap_or(0));
        entered.retain(|route| Some(*route) != lease);
        entered.sort_by_key(|route| route.route.hops.iter().any(|hop| hop.via.is_some()));
        for route in entered {
            if let Some(why) = why_left_out(route, link) {
                now.left_out.push(format!("route {route}: {why}"));
                continue;
            }
            if let Some(object) = route.route.nexthop {
                now.left_out
                    .push(format!("route {route}: is written without its nexthop object {object}"));
            }
            now.routes.push(route.route.clone());
        }
    }

    fn settings_now(
        &self,
        config: &NetworkConfig,
        policy: &BridgePolicy,
        link: Option<&Link>,
    ) -> Vec<Setting> {
        let setting = |(family, key)| {
            let usual = self.of_new(family, key);
            let own = link.and_then(|link| self.setting(family, &link.name, key));
            let value = match (link, own) {
                (Some(link), Some(own)) if policy.moves_addresses() => {
                    let names = (&link.name, &policy.name);
                    following::value(config, self, names, (family, key), own)?
                }
                _ => own.or(usual)?,
            };
            let unusual = usual.is_some_and(|usual| usual != value);
            Some(Setting { family, key, value: value.to_owned(), unusual })
        };
        FOLLOWING.into_iter().filter_map(setting).collect()
    }
}

/// The interface identifier of an advertised address, if the kernel would make another one from the hardware address.
fn token(address: &Address, mac: Option<MacAddr>) -> Option<Ipv6Addr> {
    let IpAddr::V6(ip) = address.address.addr() else { return None };
    let identifier = |ip: Ipv6Addr| ip.to_bits() & u128::from(u64::MAX);
    let usual = mac.map(|mac| identifier(mac.link_local()));
    let own = Some(identifier(ip)).filter(|own| Some(*own) != usual);
    own.filter(|_| address.address.prefix_len() == 64).map(Ipv6Addr::from_bits)
}

/// Why a route of this interface cannot be written so that it is the same at the next boot.
fn why_left_out(route: &HostRoute, link: &Link) -> Option<String> {
    let Route { unknown, expires, protocol, .. } = &route.route;
    if !unknown.is_empty() {
        return Some("has attributes that xennet does not know; add it yourself".to_owned());
    }
    if route.links.iter().any(|other| other.name != link.name) {
        return Some("leaves by other interfaces as well; add it yourself".to_owned());
    }
    if expires.is_some() {
        return Some("expires".to_owned());
    }
    let entered = [UNSPECIFIED, KERNEL, BOOT, STATIC].contains(protocol);
    (!entered).then(|| format!("is left to the program that makes it (protocol {protocol})"))
}

fn is_default(route: &HostRoute) -> bool {
    route.route.destination.prefix_len() == 0 && route.route.table == Route::MAIN
}

/// Whether the kernel makes this link-local address from the hardware address.
fn is_eui64(address: &Address, mac: Option<MacAddr>) -> bool {
    mac.is_some_and(|mac| address.address.addr() == IpAddr::V6(mac.link_local()))
}

/// `RTPROT_*`
const UNSPECIFIED: u8 = 0;
const KERNEL: u8 = 2;
const BOOT: u8 = 3;
const STATIC: u8 = 4;
const ADVERTISED: u8 = 9;
const DHCP: u8 = 16;
