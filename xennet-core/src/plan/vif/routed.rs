//! A vif that the host has routes to: a link of the guest's own, with the host at its other end.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

use super::link::{IPV6_MIN_MTU, LinkShape, Setter};
use super::routed_snapshot::{DISABLE_IPV6, RoutedSnapshot};
use super::{Desired, VifSnapshot, VifTarget};
use crate::config::VifConfig;
use crate::plan::{AddressError, Change, HostRoute, Plan, PlanError, Warning};
use crate::types::{
    Address, AddressFlags, Device, Family, IfName, IpList, Link, LinkRef, LinkSet, Mode, Mtu,
    NextHop, ParseError, Route, RouteKind, Scope, Sysctl,
};

/// What the configuration comes to for a routed vif.
pub(super) struct Routed<'a> {
    facts: &'a RoutedSnapshot,
    addresses: Vec<Address>,
    routes: Vec<HostRoute>,
    proxies: Vec<IpAddr>,
    ipv6: bool,
    warnings: Vec<Warning>,
}

impl VifTarget {
    /// The settings that a routed vif depends on, `link` being what it is called now.
    pub fn sysctls(link: &IfName) -> Vec<Sysctl> {
        let own = SETTINGS.iter().map(|(family, key, _)| (*family, *key));
        let own = own.chain([(Family::V6, DISABLE_IPV6), (Family::V4, RP_FILTER)]);
        let mut all: Vec<Sysctl> =
            own.filter_map(|(family, key)| Sysctl::link(family, link, key).ok()).collect();
        all.extend(Sysctl::default(Family::V6, DISABLE_IPV6));
        all.extend(Sysctl::all(Family::V4, RP_FILTER));
        all.extend([Family::V4, Family::V6].map(Sysctl::forwarding));
        all
    }

    /// Where the host shall have routes to: addresses and prefixes of the guest's, each once.
    pub fn destinations(ip: &IpList) -> Result<Vec<IpNet>, ParseError> {
        let prefixes = ip.prefixes();
        let unusable = |net: &&IpNet| {
            let addr = net.addr();
            let local = matches!(addr, IpAddr::V6(addr) if addr.is_unicast_link_local());
            net.prefix_len() == 0 || local
        };
        match prefixes.iter().find(unusable) {
            Some(net) => {
                let expected = "addresses that the host can route to a guest";
                Err(ParseError::new("ip", net.to_string(), expected))
            }
            None => Ok(prefixes),
        }
    }

    /// The metric of its routes: what comes to the guest goes to its tap for as long as there is one.
    pub(crate) fn metric(&self) -> u32 {
        match self.device {
            Device::Tap => 1,
            Device::Vif => 2,
        }
    }

    /// Whether a route by the vif is one that we made.
    pub(crate) fn made(&self, route: &HostRoute) -> bool {
        let Route { metric, table, kind, protocol, .. } = route.route;
        metric == Some(self.metric())
            && table == Route::MAIN
            && kind == RouteKind::Unicast
            && protocol == BOOT
            && route.via().is_none()
    }

    pub(super) fn routed<'a>(
        &self,
        config: &'a VifConfig,
        facts: &'a VifSnapshot,
        name: &IfName,
        mtu: Mtu,
    ) -> Result<Routed<'a>, PlanError> {
        static NOTHING: RoutedSnapshot = RoutedSnapshot::none();
        let routed = facts.routed.as_ref().unwrap_or(&NOTHING);
        if let (Some(name), None) = (&config.gatewaydev, &routed.uplink) {
            return Err(PlanError::NoGateway { name: name.clone() });
        }
        let destinations = Self::destinations(&config.ip)?;
        self.check(&destinations, routed)?;

        let current = facts.link.as_ref().map_or(name, |link| &link.name);
        let ipv6 = mtu.bytes() >= IPV6_MIN_MTU && routed.has_ipv6(current);
        let link =
            LinkRef { index: facts.link.as_ref().map(|link| link.index), name: name.clone() };
        let mut made = Routed {
            facts: routed,
            addresses: Vec::new(),
            routes: Vec::new(),
            proxies: Vec::new(),
            ipv6,
            warnings: Vec::new(),
        };
        for net in destinations {
            if net.addr().is_ipv6() && !ipv6 {
                made.warnings.push(Warning::NoIpv6 { link: name.clone(), prefix: net });
                continue;
            }
            let host = self.host(net.addr(), routed);
            made.address(host);
            let mut route = Route::new(net, NextHop::link(0));
            route.hops.iter_mut().for_each(|hop| hop.index = None);
            route.metric = Some(self.metric());
            // An IPv6 one is only used once the kernel has probed it, or was told not to.
            route.src = host.filter(IpAddr::is_ipv4);
            made.routes.push(HostRoute::new(route, vec![link.clone()]));
            made.proxy(net);
        }
        if self.mode == Mode::Route {
            made.address(routed.source.map(IpAddr::from));
        }
        if ipv6 {
            made.addresses.push(gateway());
        }
        made.warn(name);
        Ok(made)
    }

    fn check(&self, destinations: &[IpNet], facts: &RoutedSnapshot) -> Result<(), PlanError> {
        let allowed = match (self.mode, &facts.policy, &facts.nat) {
            (Mode::Nat, _, Some(nat)) => Some((
                nat.subnets.iter().map(IpNet::trunc).collect(),
                format!("subnets of nat {}", nat.name),
            )),
            (Mode::Route, Some(routed), _) if !routed.prefixes.is_empty() => {
                Some((routed.prefixes.clone(), format!("prefixes of routed {}", routed.uplink)))
            }
            _ => None,
        };
        let allowed: Option<(Vec<IpNet>, String)> = allowed;
        if let Some((networks, place)) = allowed {
            let outside = |net: &&IpNet| !networks.iter().any(|allowed| allowed.contains(*net));
            if let Some(ip) = destinations.iter().find(outside).copied() {
                return Err(AddressError::NotAllowed { ip, networks, place }.into());
            }
        }
        if let Some((ip, route)) = facts.within.first() {
            let (vif, route) = (self.name.clone(), route.to_string());
            return Err(AddressError::NetworkTaken { ip: *ip, vif, route }.into());
        }
        let taken = |ip, owner, route: &HostRoute| AddressError::Taken {
            ip,
            vif: self.name.clone(),
            owner,
            route: route.to_string(),
        };
        if let Some((ip, route)) = facts.others.first() {
            let owner = match (route.route.kind, route.links.first()) {
                (RouteKind::Unicast, Some(link)) => link.name.to_string(),
                _ => "the host itself".to_owned(),
            };
            return Err(taken(*ip, owner, route).into());
        }
        // Behind the guest, or as the host's own address, a router is nobody's.
        let hosts = destinations.iter().filter_map(|net| self.host(net.addr(), facts));
        let all: Vec<IpNet> = destinations.iter().copied().chain(hosts.map(IpNet::from)).collect();
        for route in &facts.defaults {
            for router in route.route.hops.iter().filter_map(|hop| hop.via) {
                if let Some(ip) = all.iter().find(|net| net.contains(&router)) {
                    return Err(taken(*ip, format!("the host's router {router}"), route).into());
                }
            }
        }
        Ok(())
    }

    /// The host's own address on the link of a guest with this one.
    fn host(&self, guest: IpAddr, facts: &RoutedSnapshot) -> Option<IpAddr> {
        match self.mode {
            Mode::Nat => super::nat::router(guest, facts.nat.as_ref()),
            _ => facts.source.map(IpAddr::from).filter(|_| guest.is_ipv4()),
        }
    }

    /// What takes the host's routes to the vif away again, and all that it answered for.
    pub(super) fn unroute(
        &self,
        to: &mut Setter<'_>,
        facts: &VifSnapshot,
        routed: &RoutedSnapshot,
    ) {
        for route in routed.routes.iter().filter(|route| self.made(route)) {
            let (route, again) = (route.clone(), route.clone());
            to.plan.push(Change::RouteDelete { route, again });
        }
        for address in &facts.addresses {
            to.plan.push(Change::AddressDelete { link: to.link.clone(), address: address.clone() });
        }
        if let Ok(sysctl) = Sysctl::link(Family::V4, &to.link.name, PROXY_ARP) {
            let now = routed.sysctls.get(&sysctl).cloned();
            to.plan.sysctl(sysctl, "0", now.as_deref());
        }
    }
}

impl Routed<'_> {
    /// The kernel's part of a plug, in the order that fails closed: before the link goes up there is nothing that the
    /// guest could reach, and no route leads to it before the guard is there.
    pub(super) fn plan(
        &self,
        plan: &mut Plan,
        target: &VifTarget,
        desired: &Desired<'_>,
        link: &Link,
        facts: &VifSnapshot,
    ) -> Result<(), PlanError> {
        let shape = LinkShape {
            name: &desired.name,
            mtu: desired.mtu,
            master: None,
            addresses: &self.addresses,
        };
        let falls = shape.falls(link, facts) && link.up;
        // An interface that goes down loses them, and nobody would know to put them back.
        let stays = |route: &HostRoute| {
            !falls
                && self
                    .routes
                    .iter()
                    .any(|wanted| wanted.leads_as(route) && wanted.route.src == route.route.src)
        };
        let made = || self.facts.routes.iter().filter(|route| target.made(route));
        for route in made().filter(|route| !stays(route)) {
            plan.push(Change::RouteDelete { route: route.clone(), again: route.clone() });
        }
        for (link, address) in &self.facts.left {
            plan.push(Change::ProxyDelete { link: link.clone(), address: *address });
        }
        let mut to = Setter { plan, link: link.reference() };
        let up = shape.make(&mut to, target, link, facts);
        for (family, key, value) in SETTINGS {
            if family == Family::V6 && !self.ipv6 {
                continue;
            }
            let old = Sysctl::link(family, &link.name, key).ok();
            let was = old.and_then(|sysctl| self.facts.sysctls.get(&sysctl)).cloned();
            if let Some(sysctl) = Sysctl::link(family, &desired.name, key)
                .ok()
                .filter(|_| was.as_deref() != Some(value))
            {
                to.plan.push(Change::Sysctl { sysctl, value: value.to_owned(), was });
            }
        }
        to.plan.changes.extend(desired.guarded(target, facts)?);
        to.set(up, LinkSet::Up(true), LinkSet::Up(false));
        for route in &self.routes {
            let there = made().any(|other| {
                stays(other) && other.leads_as(route) && other.route.src == route.route.src
            });
            if !there {
                to.plan.push(Change::RouteAdd { route: route.clone() });
            }
        }
        if let Some(uplink) = &self.facts.uplink {
            for address in self.proxies.iter().filter(|one| !self.facts.proxies.contains(one)) {
                to.plan.push(Change::ProxyAdd { link: uplink.reference(), address: *address });
            }
        }
        plan.warnings.clone_from(&self.warnings);
        plan.warnings.extend(facts.filters.routed_warnings(&desired.name));
        Ok(())
    }

    /// The host's own IPv4 address on the link, as hooks are told it.
    pub(super) fn main_ip(&self) -> String {
        let v4 = self.addresses.iter().find(|address| address.address.addr().is_ipv4());
        v4.map(|address| address.address.addr().to_string()).unwrap_or_default()
    }

    fn address(&mut self, host: Option<IpAddr>) {
        let Some(host) = host else { return };
        let mut address = Address::new(IpNet::from(host));
        if host.is_ipv6() {
            address.flags = AddressFlags::NODAD;
        }
        // dnsmasq serves DHCPv6 where the host's address is of the same network, and no smaller one.
        let nat = self.facts.nat.as_ref().filter(|nat| nat.dhcp && host.is_ipv6());
        if let Some(net) = nat.and_then(|nat| nat.subnets.iter().find(|net| net.addr() == host)) {
            address.address = *net;
            address.flags |= AddressFlags::NOPREFIXROUTE;
        }
        if !self.addresses.contains(&address) {
            self.addresses.push(address);
        }
    }

    /// The host answers for it on the uplink, where the configuration says so.
    fn proxy(&mut self, net: IpNet) {
        let Some(policy) = &self.facts.policy else { return };
        let answers = if net.addr().is_ipv4() { policy.proxy_arp } else { policy.proxy_ndp };
        if !answers {
            return;
        }
        if net.prefix_len() == net.max_prefix_len() {
            self.proxies.push(net.addr());
        } else if net.addr().is_ipv6() {
            // For IPv4 the interface's own switch is enough: it answers for whatever has a route.
            let uplink = policy.uplink.clone();
            self.warnings.push(Warning::NotProxied { prefix: net, uplink });
        }
    }

    fn warn(&mut self, link: &IfName) {
        let now = |sysctl: &Sysctl| self.facts.sysctls.get(sysctl).map(String::as_str);
        for family in [Family::V4, Family::V6] {
            let speaks = self
                .routes
                .iter()
                .any(|route| route.route.destination.addr().is_ipv4() == (family == Family::V4));
            let sysctl = Sysctl::forwarding(family);
            if speaks && now(&sysctl) == Some("0") {
                self.warnings.push(Warning::ForwardingOff {
                    link: link.clone(),
                    sysctl: sysctl.to_string(),
                });
            }
        }
        let own = Sysctl::link(Family::V4, link, RP_FILTER);
        let all = Sysctl::all(Family::V4, RP_FILTER);
        if let (true, Ok(own), Ok(all)) = (self.facts.shared, own, all) {
            // The greater of the two counts; 2 is the lenient one.
            if now(&own).max(now(&all)) == Some("1") {
                self.warnings
                    .push(Warning::ReversePath { link: link.clone(), sysctl: own.to_string() });
            }
        }
    }
}

/// The guest's IPv6 router, the same on every link: `fe80::1/64`.
fn gateway() -> Address {
    let address = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
    let net = IpNet::new(address.into(), 64).unwrap_or_else(|_| IpNet::from(IpAddr::from(address)));
    let mut address = Address::new(net);
    // Nobody but the guest is there to have it too, and without an answer it would be unusable for a second.
    address.flags = AddressFlags::NODAD;
    address.scope = Scope::LINK;
    address
}

const PROXY_ARP: &str = "proxy_arp";
const RP_FILTER: &str = "rp_filter";

/// The guest may take all the world for its neighbour, but the host does not listen to it as to a router.
const SETTINGS: [(Family, &str, &str); 2] =
    [(Family::V4, PROXY_ARP, "1"), (Family::V6, "accept_ra", "0")];

/// `RTPROT_BOOT`, as `ip route add` has it.
const BOOT: u8 = 3;
