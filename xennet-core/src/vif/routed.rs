//! What there is of a vif that is routed: no more look-ups than the guest has addresses.

use std::net::IpAddr;
use std::path::PathBuf;

use ipnet::IpNet;

use super::Vif;
use super::look::bridges;
use crate::config::dnsmasq::HOSTS;
use crate::config::{NatPolicy, RoutedPolicy, VifConfig};
use crate::kernel::{self, Kernel, RouteFilter, sysctl};
use crate::plan::vif::{self, nat};
use crate::plan::{
    AddressError, DhcpSnapshot, HostRoute, PlanError, RoutedSnapshot, VifSnapshot, VifTarget,
};
use crate::types::{
    BridgeSpec, Device, IfName, Link, LinkRef, Mode, Route, RouteKind, Scope, VifId,
};
use crate::{Dom0Network, Error, dhcp};

impl Vif<'_> {
    /// What the vif is plugged into, and with which addresses: as somebody said, else as the script says that XenStore
    /// names.
    ///
    /// A guest behind the host's address that has none of its own gets one here; on a bridge of such guests it asks
    /// for one by DHCP.
    pub(super) fn settle(
        &mut self,
        config: &mut VifConfig,
        script: Option<&[u8]>,
    ) -> Result<(), Error> {
        let script = script.and_then(|script| std::str::from_utf8(script).ok());
        let mode = self.mode.or_else(|| Mode::of_script(script?)).unwrap_or_default();
        self.target.mode = mode;
        self.nat = match mode {
            Mode::Nat => nat::policy(config, &self.net.config).cloned(),
            Mode::Bridge => self.nat_of_bridge(config)?,
            Mode::Route | Mode::OpenVswitch => None,
        };
        let mut names = config.bridge.iter().flat_map(BridgeSpec::names);
        if mode == Mode::Bridge && names.any(|name| self.net.config.switch(&name).is_some()) {
            self.target.mode = Mode::OpenVswitch;
        }
        drop(names);
        if let (Mode::Nat, Some(bridge)) =
            (mode, self.nat.as_ref().and_then(|nat| nat.bridge.as_ref()))
        {
            self.target.mode = Mode::Bridge;
            config.bridge = Some(bridge.as_str().parse::<BridgeSpec>()?);
        }
        let chooses = match &self.nat {
            Some(nat) => nat.bridge.is_none() || nat.dhcp && config.mac.is_some(),
            None => mode == Mode::Nat,
        };
        self.chosen = chooses && config.ip.is_empty();
        if self.chosen {
            config.ip = match self.nat.clone() {
                None => nat::unsaid(self.target.id),
                Some(nat) => self.free_addresses(config, &nat)?.into_iter().collect(),
            };
        }
        Ok(())
    }

    /// The guests behind the host's address that share the bridge which is meant: the one that there is of its names, or
    /// the only one of all. From then on that has its name, so that no other one is taken for it.
    fn nat_of_bridge(&mut self, config: &mut VifConfig) -> Result<Option<NatPolicy>, Error> {
        let nats = &self.net.config.nat;
        if nats.iter().all(|nat| nat.bridge.is_none()) {
            return Ok(None);
        }
        let of = |name: &IfName| nats.iter().find(|nat| nat.bridge.as_ref() == Some(name)).cloned();
        let names = self.target.bridge_names(config)?;
        let nat = match bridges(&mut self.net.kernel, &names)?.as_slice() {
            [there] => of(&there.name),
            // It may be there by the time that the vif is.
            _ => names.iter().find_map(of),
        };
        if let (None, Some(bridge)) =
            (&config.bridge, nat.as_ref().and_then(|nat| nat.bridge.as_ref()))
        {
            config.bridge = Some(bridge.as_str().parse::<BridgeSpec>()?);
        }
        Ok(nat)
    }

    /// An address of each subnet: the one that the guest has already, or one that nobody has.
    fn free_addresses(&mut self, config: &VifConfig, nat: &NatPolicy) -> Result<Vec<IpNet>, Error> {
        let (mut own, mut taken) = (self.routes_of_guest(config)?, Vec::new());
        if nat.dhcp {
            let path = self.dhcp_file();
            let text = dhcp::read(&path)?.unwrap_or_default();
            own.extend(vif::dhcp::addresses(&text).map(IpNet::from));
            // On a bridge no route tells who has what.
            if nat.bridge.is_some() {
                let others = dhcp::others(&path)?;
                taken.extend(others.iter().flat_map(|text| vif::dhcp::addresses(text)));
            }
        }
        // A port of the host leads to whoever was given this address.
        taken.extend(nat.forward.iter().map(|forward| forward.to));
        let subnets = nat.subnets.iter();
        subnets.map(|subnet| self.free_address(*subnet, &own, &taken)).collect()
    }

    /// The first of the addresses that somebody gave to a guest of a `[[nat]]` that is the host's there, or that dnsmasq
    /// is told of another guest: by another Ethernet address, for one that migrates within the host is there twice.
    pub(super) fn taken(&self, config: &VifConfig) -> Result<Option<(IpAddr, String)>, Error> {
        let Some(nat) = self.nat.as_ref().filter(|_| !self.chosen && !config.ip.is_empty()) else {
            return Ok(None);
        };
        let given = config.ip.prefixes();
        let is_given = |ip: &IpAddr| given.iter().any(|net| net.contains(ip));
        if let Some(ip) = nat.subnets.iter().map(IpNet::addr).find(is_given) {
            return Ok(Some((ip, format!("the host itself, as nat {},", nat.name))));
        }
        if !nat.dhcp {
            return Ok(None);
        }
        let own = config.mac.map(|mac| mac.to_string());
        let others = dhcp::others(&self.dhcp_file())?;
        Ok(others.iter().find_map(|text| {
            let (mac, _) = text.split_once(',').filter(|(mac, _)| Some(*mac) != own.as_deref())?;
            let ip = vif::dhcp::addresses(text).find(is_given)?;
            Some((ip, format!("the guest with the mac {mac}")))
        }))
    }

    fn free_address(
        &mut self,
        subnet: IpNet,
        own: &[IpNet],
        taken: &[IpAddr],
    ) -> Result<IpNet, Error> {
        if let Some(has) = own.iter().find(|net| subnet.contains(*net)) {
            return Ok(*has);
        }
        let target = &self.target;
        for candidate in nat::candidates(subnet, target.id).filter(|ip| !taken.contains(ip)) {
            let net = IpNet::from(candidate);
            let taken = self.net.kernel.route_to(candidate)?;
            if taken.is_none_or(|route| route.destination != net) {
                return Ok(net);
            }
        }
        let vif = self.target.name.clone();
        Err(PlanError::from(AddressError::SubnetFull { subnet, vif }).into())
    }

    /// What dnsmasq is told of the guest, and what it is to be told. `going` is one that is unplugged: what was written
    /// for it goes, whatever the configuration says by now.
    pub(super) fn look_at_dhcp(&self, going: bool) -> Result<Option<DhcpSnapshot>, Error> {
        // Where nobody asks for it, there is nothing to look at.
        if !going && self.net.config.nat.iter().all(|nat| !nat.dhcp) {
            return Ok(None);
        }
        let mut seen = DhcpSnapshot { path: self.dhcp_file(), ..DhcpSnapshot::default() };
        seen.text = dhcp::read(&seen.path)?;
        seen.nat = self.nat.clone().filter(|nat| nat.dhcp);
        Ok(Some(seen))
    }

    /// By its first name, which nobody else can choose.
    fn dhcp_file(&self) -> PathBuf {
        self.net.run_dir.join(HOSTS).join(format!("vif{}", self.target.id))
    }

    /// The addresses that the guest has by this interface, or by the other one of the same NIC.
    fn routes_of_guest(&mut self, config: &VifConfig) -> Result<Vec<IpNet>, Error> {
        let mut all = Vec::new();
        for device in [Device::Vif, Device::Tap] {
            let target = VifTarget::new(self.target.id, device)?;
            let kernel = &mut self.net.kernel;
            let (original, renamed) = (kernel.link(&target.name)?, target.final_name(config));
            let renamed = renamed.map_or(Ok(None), |name| kernel.link(&name))?;
            if let Some(link) = target.identify(original, renamed) {
                let made = routes(kernel, &link)?.into_iter().filter(|route| target.made(route));
                let nets = made.map(|route| route.route.destination);
                all.extend(nets.filter(is_single));
            }
        }
        Ok(all)
    }

    /// Everything that the plan for a routed vif depends on.
    pub(super) fn look_at_routes(
        &mut self,
        config: &VifConfig,
        link: Option<&Link>,
    ) -> Result<RoutedSnapshot, Error> {
        let mut seen = RoutedSnapshot::default();
        if self.target.mode == Mode::Nat {
            seen.nat.clone_from(&self.nat);
        }
        if self.chosen && self.nat.is_none() {
            seen.within = within(&mut self.net.kernel, &self.target, config)?;
        }
        if !config.ip.is_empty() {
            seen.defaults = defaults(&mut self.net.kernel, &self.target)?;
        }
        look_at_uplink(self.net, &self.target, config, &mut seen)?;
        look_again(&mut self.net.kernel, &self.target, config, link, seen)
    }
}

/// The same after a change: the kernel's part of it, for the way out and the configuration stay what they were.
pub(super) fn look_again(
    kernel: &mut Kernel,
    target: &VifTarget,
    config: &VifConfig,
    link: Option<&Link>,
    mut seen: RoutedSnapshot,
) -> Result<RoutedSnapshot, Error> {
    seen.routes = link.map_or(Ok(Vec::new()), |link| routes(kernel, link))?;
    (seen.others, seen.proxies, seen.shared) = (Vec::new(), Vec::new(), false);
    let destinations = VifTarget::destinations(&config.ip).unwrap_or_default();
    for to in &destinations {
        let found = kernel.route_to(to.addr())?.filter(|route| {
            let host = route.kind == RouteKind::Local && is_single(to);
            route.destination == *to && (host || route.table == Route::MAIN)
        });
        let Some(route) = found else { continue };
        if owner(kernel, &route)? == Some(target.id) {
            let own = route.hops.first().and_then(|hop| hop.index) == link.map(|link| link.index);
            seen.shared |= !own;
        } else if let Some(route) = named(kernel, route)? {
            seen.others.push((*to, route));
        }
    }
    if destinations.iter().any(|to| !is_single(to)) {
        seen.others.extend(held(kernel, &destinations)?);
    }
    if let Some(uplink) = seen.uplink.as_ref().map(Link::reference) {
        for to in destinations.iter().filter(|to| is_single(to)) {
            if kernel.proxy(&uplink, to.addr())? {
                seen.proxies.push(to.addr());
            }
        }
    }
    let made = |route: &&HostRoute| target.made(route);
    let left = seen.routes.iter().filter(made).map(|route| route.route.destination);
    let left: Vec<IpAddr> =
        left.filter(|to| !destinations.contains(to)).map(|to| to.addr()).collect();
    seen.left.clear();
    if !left.is_empty() {
        seen.left = stale_proxies(kernel, link.map(|link| link.index))?;
        seen.left.retain(|(_, address)| left.contains(address));
    }
    let name = link.map_or(&target.name, |link| &link.name);
    seen.sysctls.clear();
    for setting in VifTarget::sysctls(name) {
        if let Some(value) = sysctl(&setting)? {
            seen.sysctls.insert(setting, value);
        }
    }
    Ok(seen)
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

fn is_single(net: &IpNet) -> bool {
    net.prefix_len() == net.max_prefix_len()
}

/// The way out: `gatewaydev`, else that of `[[routed]]`, else where the default route leads.
fn look_at_uplink(
    net: &mut Dom0Network,
    target: &VifTarget,
    config: &VifConfig,
    seen: &mut RoutedSnapshot,
) -> Result<(), Error> {
    if target.mode == Mode::Nat {
        // Its address towards the guest is one of the guest's network, and nobody asks for the guest on the way out.
        return Ok(());
    }
    let covers = |policy: &&RoutedPolicy| {
        let allowed = |ip: &IpNet| policy.prefixes.iter().any(|net| net.contains(&ip.addr()));
        policy.prefixes.is_empty() || config.ip.iter().all(allowed)
    };
    let policies = &net.config.routed;
    let meant = policies.iter().find(covers).or_else(|| policies.first());
    let name: Option<&IfName> = config.gatewaydev.as_ref().or(meant.map(|policy| &policy.uplink));
    seen.uplink = match name {
        Some(name) => net.kernel.link(name)?,
        None => match net.kernel.default_route()? {
            Some(index) => net.kernel.link_at(index)?,
            None => None,
        },
    };
    let Some(uplink) = &seen.uplink else { return Ok(()) };
    seen.policy = policies.iter().find(|policy| policy.uplink == uplink.name).cloned();
    let addresses = net.kernel.addresses(&uplink.reference())?;
    seen.source = addresses.iter().find_map(|address| match address.address.addr() {
        IpAddr::V4(ip) if address.scope == Scope::GLOBAL => Some(ip),
        _ => None,
    });
    Ok(())
}

/// The proxy entries that xennet made for addresses to which no vif has a route any more: a vif's entries come after its
/// routes, so they are of vifs that are gone. The routes by `going`, the index of an interface, count for none.
pub(super) fn stale_proxies(
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

/// The entries that go with an interface: those of its addresses, but for one that another interface of the same guest
/// has too; and whatever is left of other vifs.
pub(super) fn look_at_going(
    kernel: &mut Kernel,
    seen: &mut VifSnapshot,
) -> Result<(), kernel::Error> {
    let going = seen.link.as_ref().map(|link| link.index);
    if let Some(routed) = seen.routed.as_mut().filter(|routed| !routed.proxies.is_empty()) {
        let (routes, mut go) = (routes_but_by(kernel, going)?, Vec::new());
        for address in std::mem::take(&mut routed.proxies) {
            if !leads_to_vif(kernel, &routes, address)? {
                go.push(address);
            }
        }
        routed.proxies = go;
    }
    seen.stale_proxies = stale_proxies(kernel, going)?;
    if let Some(RoutedSnapshot { uplink: Some(uplink), proxies, .. }) = &seen.routed {
        seen.stale_proxies.retain(|(link, address)| {
            link.index != Some(uplink.index) || !proxies.contains(address)
        });
    }
    Ok(())
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
