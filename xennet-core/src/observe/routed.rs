//! The host's routes to a vif: no more look-ups than the guest has addresses.

use std::net::IpAddr;

use ipnet::IpNet;

use super::Facts;
use crate::Error;
use crate::config::{NatPolicy, RoutedPolicy, VifConfig};
use crate::kernel::{self, Kernel, RouteFilter, sysctl};
use crate::plan::vif::nat;
use crate::plan::{HostRoute, RoutedSnapshot, VifSnapshot, VifTarget};
use crate::types::{Device, IfName, Link, LinkRef, Mode, Route, RouteKind, Scope, VifId};

impl Facts<'_> {
    /// The addresses that a guest has routes for, by this interface or by the other one of the same NIC.
    pub(crate) fn routes_of_guest(
        &mut self,
        target: &VifTarget,
        config: &VifConfig,
    ) -> Result<Vec<IpNet>, Error> {
        let mut all = Vec::new();
        for device in [Device::Vif, Device::Tap] {
            let target = VifTarget::new(target.id, device)?;
            let original = self.link(&target.name)?;
            let renamed = target.final_name(config);
            let renamed = renamed.map_or(Ok(None), |name| self.link(&name))?;
            if let Some(link) = target.identify(original, renamed) {
                let routes = routes(self.connections.kernel()?, &link)?.into_iter();
                let made = routes.filter(|route| target.made(route));
                all.extend(made.map(|route| route.route.destination).filter(is_single));
            }
        }
        Ok(all)
    }

    /// Whether the host has a route to this very address.
    pub(crate) fn is_routed(&mut self, address: IpAddr) -> Result<bool, Error> {
        let route = self.connections.kernel()?.route_to(address)?;
        Ok(route.is_some_and(|route| route.destination == IpNet::from(address)))
    }

    /// Everything that the plan for a routed vif depends on. `derived` says that its address follows from its numbers.
    pub(crate) fn routes_to_vif(
        &mut self,
        target: &VifTarget,
        config: &VifConfig,
        link: Option<&Link>,
        nat: Option<&NatPolicy>,
        derived: bool,
    ) -> Result<RoutedSnapshot, Error> {
        let mut facts = RoutedSnapshot::default();
        if target.mode == Mode::Nat {
            facts.nat = nat.cloned();
        } else {
            self.way_out(config, &mut facts)?;
        }
        let kernel = self.connections.kernel()?;
        if derived && nat.is_none() {
            facts.within = within(kernel, target, config)?;
        }
        if !config.ip.is_empty() {
            facts.defaults = defaults(kernel, target)?;
        }
        routes_and_settings(kernel, target, config, link, facts)
    }

    /// The way out: `gatewaydev`, else the uplink of `[[routed]]`, else where the default route leads.
    fn way_out(&mut self, config: &VifConfig, facts: &mut RoutedSnapshot) -> Result<(), Error> {
        let covers = |policy: &&RoutedPolicy| {
            let allowed = |ip: &IpNet| policy.prefixes.iter().any(|net| net.contains(&ip.addr()));
            policy.prefixes.is_empty() || config.ip.iter().all(allowed)
        };
        let policies = &self.config.routed;
        let policy = policies.iter().find(covers).or_else(|| policies.first());
        let name: Option<&IfName> =
            config.gatewaydev.as_ref().or(policy.map(|policy| &policy.uplink));
        facts.uplink = match name {
            Some(name) => self.link(name)?,
            None => match self.connections.kernel()?.default_route()? {
                Some(index) => self.link_at(index)?,
                None => None,
            },
        };
        let Some(uplink) = &facts.uplink else { return Ok(()) };
        facts.policy = policies.iter().find(|policy| policy.uplink == uplink.name).cloned();
        let addresses = self.addresses(uplink)?;
        facts.source = addresses.iter().find_map(|address| match address.address.addr() {
            IpAddr::V4(ip) if address.scope == Scope::GLOBAL => Some(ip),
            _ => None,
        });
        Ok(())
    }

    /// Adds the proxy entries that go with an interface: those of its addresses, but for one that another interface of
    /// the same guest has too; and those that are left of other vifs.
    pub(crate) fn leaving_proxies(&mut self, facts: &mut VifSnapshot) -> Result<(), Error> {
        let kernel = self.connections.kernel()?;
        let leaving = facts.link.as_ref().map(|link| link.index);
        if let Some(routed) = facts.routed.as_mut().filter(|routed| !routed.proxies.is_empty()) {
            let (routes, mut unused) = (routes_but_by(kernel, leaving)?, Vec::new());
            for address in std::mem::take(&mut routed.proxies) {
                if !leads_to_vif(kernel, &routes, address)? {
                    unused.push(address);
                }
            }
            routed.proxies = unused;
        }
        facts.stale_proxies = stale_proxies(kernel, leaving)?;
        if let Some(RoutedSnapshot { uplink: Some(uplink), proxies, .. }) = &facts.routed {
            facts.stale_proxies.retain(|(link, address)| {
                link.index != Some(uplink.index) || !proxies.contains(address)
            });
        }
        Ok(())
    }
}

/// The routes by the interface, those by others to the same addresses, and the settings of the interface.
fn routes_and_settings(
    kernel: &mut Kernel,
    target: &VifTarget,
    config: &VifConfig,
    link: Option<&Link>,
    mut facts: RoutedSnapshot,
) -> Result<RoutedSnapshot, Error> {
    facts.routes = link.map_or(Ok(Vec::new()), |link| routes(kernel, link))?;
    let destinations = VifTarget::destinations(&config.ip).unwrap_or_default();
    for to in &destinations {
        let found = kernel.route_to(to.addr())?.filter(|route| {
            let host = route.kind == RouteKind::Local && is_single(to);
            route.destination == *to && (host || route.table == Route::MAIN)
        });
        let Some(route) = found else { continue };
        if owner(kernel, &route)? == Some(target.id) {
            let own = route.hops.first().and_then(|hop| hop.index) == link.map(|link| link.index);
            facts.shared |= !own;
        } else if let Some(route) = named(kernel, route)? {
            facts.others.push((*to, route));
        }
    }
    if destinations.iter().any(|to| !is_single(to)) {
        facts.others.extend(held(kernel, &destinations)?);
    }
    if let Some(uplink) = facts.uplink.as_ref().map(Link::reference) {
        for to in destinations.iter().filter(|to| is_single(to)) {
            if kernel.proxy(&uplink, to.addr())? {
                facts.proxies.push(to.addr());
            }
        }
    }
    let made = |route: &&HostRoute| target.made(route);
    let left = facts.routes.iter().filter(made).map(|route| route.route.destination);
    let left: Vec<IpAddr> =
        left.filter(|to| !destinations.contains(to)).map(|to| to.addr()).collect();
    if !left.is_empty() {
        facts.left = stale_proxies(kernel, link.map(|link| link.index))?;
        facts.left.retain(|(_, address)| left.contains(address));
    }
    let name = link.map_or(&target.name, |link| &link.name);
    for setting in VifTarget::sysctls(name) {
        if let Some(value) = sysctl(&setting)? {
            facts.sysctls.insert(setting, value);
        }
    }
    Ok(facts)
}

/// The prefixes that hold an address of the host's own. The one that it has on a guest's link is that guest's router.
fn held(kernel: &mut Kernel, prefixes: &[IpNet]) -> Result<Vec<(IpNet, HostRoute)>, kernel::Error> {
    const LOCAL: u32 = 255;
    let mut all = Vec::new();
    for route in kernel.routes(RouteFilter { table: Some(LOCAL), index: None })? {
        let own = route.kind == RouteKind::Local && is_single(&route.destination);
        let holds = |to: &&IpNet| !is_single(to) && to.contains(&route.destination);
        let Some(to) = prefixes.iter().find(holds).copied().filter(|_| own) else { continue };
        if owner(kernel, &route)?.is_none() {
            all.extend(named(kernel, route)?.map(|route| (to, route)));
        }
    }
    Ok(all)
}

/// What the host has a route to of the addresses that follow from the guest's number: its own, and the host's on its
/// link.
fn within(
    kernel: &mut Kernel,
    target: &VifTarget,
    config: &VifConfig,
) -> Result<Vec<(IpAddr, HostRoute)>, kernel::Error> {
    let mut all = Vec::new();
    let both = |guest: IpAddr| [Some(guest), nat::router(guest, None)];
    for ip in config.ip.iter().map(IpNet::addr).flat_map(both).flatten() {
        let route = kernel.route_to(ip)?.filter(|route| !is_default(route));
        if let Some(route) = route
            && owner(kernel, &route)? != Some(target.id)
        {
            all.extend(named(kernel, route)?.map(|route| (ip, route)));
        }
    }
    Ok(all)
}

/// The host's default routes, but for those by the guest itself: it may well be the host's router.
fn defaults(kernel: &mut Kernel, target: &VifTarget) -> Result<Vec<HostRoute>, kernel::Error> {
    let mut all = Vec::new();
    for route in kernel.routes(RouteFilter { table: Some(Route::MAIN), index: None })? {
        if is_default(&route) && owner(kernel, &route)? != Some(target.id) {
            all.extend(named(kernel, route)?);
        }
    }
    Ok(all)
}

/// Whether it leads to all the world, or to one of the two halves that VPNs make of it.
fn is_default(route: &Route) -> bool {
    route.kind == RouteKind::Unicast && route.destination.prefix_len() <= 1
}

pub(crate) fn is_single(net: &IpNet) -> bool {
    net.prefix_len() == net.max_prefix_len()
}

/// The proxy entries that xennet made for addresses to which no vif has a route any more: a vif's entries come after its
/// routes, so they are of vifs that are gone. The routes by `going`, the index of an interface, count for none.
fn stale_proxies(
    kernel: &mut Kernel,
    going: Option<u32>,
) -> Result<Vec<(LinkRef, IpAddr)>, kernel::Error> {
    let mut stale = Vec::new();
    let own = kernel.own_proxies()?;
    if own.is_empty() {
        return Ok(stale);
    }
    let routes = routes_but_by(kernel, going)?;
    for (index, address) in own {
        if !leads_to_vif(kernel, &routes, address)?
            && let Some(link) = kernel.link_at(index)?
        {
            stale.push((link.reference(), address));
        }
    }
    Ok(stale)
}

fn routes_but_by(kernel: &mut Kernel, going: Option<u32>) -> Result<Vec<Route>, kernel::Error> {
    let mut routes = kernel.routes(RouteFilter { table: Some(Route::MAIN), index: None })?;
    routes.retain(|route| {
        let index = route.hops.first().and_then(|hop| hop.index);
        is_single(&route.destination) && (going.is_none() || index != going)
    });
    Ok(routes)
}

/// Whether one of the routes to an address leaves by a vif.
fn leads_to_vif(
    kernel: &mut Kernel,
    routes: &[Route],
    address: IpAddr,
) -> Result<bool, kernel::Error> {
    for route in routes.iter().filter(|route| route.destination.addr() == address) {
        if owner(kernel, route)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The routes of the main table that leave by an interface, but for those that the kernel makes itself.
fn routes(kernel: &mut Kernel, link: &Link) -> Result<Vec<HostRoute>, kernel::Error> {
    const KERNEL: u8 = 2;
    let filter = RouteFilter { table: Some(Route::MAIN), index: Some(link.index) };
    let name = |index| Some(link.reference()).filter(|link| link.index == Some(index));
    let routes = kernel.routes(filter)?.into_iter().filter(|route| route.protocol != KERNEL);
    Ok(routes.filter_map(|route| HostRoute::of(route, name)).collect())
}

/// The vif whose interface a route leaves by, if it is one.
fn owner(kernel: &mut Kernel, route: &Route) -> Result<Option<VifId>, kernel::Error> {
    let Some(index) = route.hops.first().and_then(|hop| hop.index) else { return Ok(None) };
    let link = kernel.link_at(index)?;
    Ok(link.and_then(|link| VifTarget::of(&link)).map(|(id, _)| id))
}

/// A route with the names of its interfaces.
fn named(kernel: &mut Kernel, route: Route) -> Result<Option<HostRoute>, kernel::Error> {
    let mut links: Vec<LinkRef> = Vec::new();
    for index in route.hops.iter().filter_map(|hop| hop.index) {
        links.extend(kernel.link_at(index)?.map(|link| link.reference()));
    }
    let of = |index| links.iter().find(|link| link.index == Some(index)).cloned();
    Ok(HostRoute::of(route, of))
}
