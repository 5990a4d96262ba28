//! What a kernel would do with a change, as far as plans depend on it.

use crate::plan::network::NetworkSnapshot;
use crate::plan::{Change, HostRoute};
use crate::types::{
    AddrGenMode, Address, AddressFlags, BridgeSet, Family, Link, LinkKind, LinkRef, LinkSet,
    NextHop, Route, Sysctl,
};

pub(in crate::plan::network) fn plain(index: u32, name: &str) -> Link {
    Link {
        index,
        name: name.parse().unwrap(),
        mac: "02:00:00:00:00:02".parse().ok(),
        permanent_mac: None,
        altnames: Vec::new(),
        mtu: 1500,
        up: true,
        carrier: true,
        master: None,
        port_state: None,
        kind: None,
        lower: None,
        bond: None,
        vlan: None,
        bridge: None,
        vxlan: None,
        alias: None,
        parent: None,
        addr_gen_mode: Some(AddrGenMode::Eui64),
        token: None,
    }
}

pub(super) fn carry_out(world: &mut NetworkSnapshot, change: &Change) {
    match change {
        Change::LinkAdd { name, kind: LinkKind::Bridge(info), mac, mtu } => {
            assert!(world.link(name).is_none(), "{change}: it exists");
            let index = world.links.iter().map(|link| link.index).max().unwrap() + 1;
            let mut link = plain(index, name.as_str());
            (link.kind, link.bridge) = (Some("bridge".into()), Some(info.clone()));
            (link.mac, link.up) = (*mac, false);
            link.mtu = mtu.map_or(1500, crate::types::Mtu::bytes);
            add_link(world, link);
        }
        Change::LinkDelete { link } => delete_link(world, link),
        Change::LinkSet { link, set, .. } => set_link(world, link, set),
        Change::AddressAdd { link, address } => add_address(world, link, address),
        Change::AddressChange { link, address, .. } => {
            let index = index(world, link);
            let there = world.addresses.get_mut(&index).unwrap().iter_mut();
            let kept = AddressFlags::all() - AddressFlags::SETTABLE;
            for one in there.filter(|one| one.address == address.address) {
                one.flags = one.flags & kept | address.flags & AddressFlags::SETTABLE;
            }
        }
        Change::AddressDelete { link, address } => delete_address(world, link, address),
        Change::RouteAdd { route } => {
            assert!(world.routes.iter().all(|other| other.key() != route.key()), "{change}");
            world.routes.push(indexed(world, route));
        }
        Change::RouteReplace { route, was } => {
            let new = indexed(world, route);
            let there = world.routes.iter_mut().find(|other| other.key() == was.key());
            *there.unwrap_or_else(|| panic!("{change}: there is none")) = new;
        }
        Change::RouteInsert { route, first } => {
            let route = indexed(world, route);
            let at = world.routes.iter().position(|other| *first && other.key() == route.key());
            let at = at.unwrap_or(world.routes.len());
            world.routes.insert(at, route);
        }
        Change::RouteDelete { route, .. } => world.routes.retain(|other| !other.leads_as(route)),
        Change::NeighbourAdd { link, neighbour } => {
            let index = index(world, link);
            world.neighbours.entry(index).or_default().push(neighbour.clone());
        }
        Change::NeighbourDelete { link, neighbour } => {
            let index = index(world, link);
            world.neighbours.entry(index).or_default().retain(|one| one != neighbour);
        }
        Change::Sysctl { sysctl, value, .. } => set_sysctl(world, sysctl, value),
        other => panic!("no plan for a host has {other}"),
    }
}

pub(super) fn add_link(world: &mut NetworkSnapshot, link: Link) {
    for (family, key) in super::super::sysctls::FOLLOWING {
        let default = world.of_new(family, key).unwrap().to_owned();
        world.sysctls.insert(Sysctl::link(family, &link.name, key).unwrap(), default);
    }
    world.addresses.insert(link.index, Vec::new());
    world.neighbours.insert(link.index, Vec::new());
    world.links.push(link);
}

fn index(world: &NetworkSnapshot, link: &LinkRef) -> u32 {
    let now = world.link(&link.name).unwrap_or_else(|| panic!("there is no {}", link.name));
    assert!(link.index.is_none_or(|index| index == now.index), "{} has another index", link.name);
    now.index
}

fn indexed(world: &NetworkSnapshot, route: &HostRoute) -> HostRoute {
    let links = route.links.iter().map(|link| {
        assert!(world.link(&link.name).unwrap().up, "{route}: {} is down", link.name);
        LinkRef { index: Some(index(world, link)), name: link.name.clone() }
    });
    HostRoute { links: links.collect(), route: route.route.clone() }
}

fn delete_link(world: &mut NetworkSnapshot, link: &LinkRef) {
    let index = index(world, link);
    world.links.retain(|link| link.index != index);
    for port in world.links.iter_mut().filter(|port| port.master == Some(index)) {
        port.master = None;
    }
    world.addresses.remove(&index);
    world.neighbours.remove(&index);
    world.routes.retain(|route| !route.leaves_by(link));
    world.sysctls.retain(|sysctl, _| sysctl.interface() != Some(link.name.as_str()));
}

fn set_link(world: &mut NetworkSnapshot, link: &LinkRef, set: &LinkSet) {
    let index = index(world, link);
    let master = match set {
        LinkSet::Master(Some(master)) => Some(self::index(world, master)),
        _ => None,
    };
    let link = world.links.iter_mut().find(|link| link.index == index).unwrap();
    match set {
        LinkSet::Up(up) => link.up = *up,
        LinkSet::Address(mac) => link.mac = Some(*mac),
        LinkSet::Mtu(mtu) => link.mtu = mtu.bytes(),
        LinkSet::Master(_) => {
            assert!(link.up, "a port that is down carries nothing");
            link.master = master;
        }
        LinkSet::AddrGenMode(mode) => link.addr_gen_mode = Some(*mode),
        LinkSet::Token(token) => link.token = Some(*token),
        LinkSet::Bridge(set) => {
            let info = link.bridge.as_mut().unwrap();
            match *set {
                BridgeSet::Stp(on) => info.stp = on,
                BridgeSet::ForwardDelay(time) => info.forward_delay = time,
                BridgeSet::AgeingTime(time) => info.ageing_time = time,
                BridgeSet::VlanFiltering(on) => info.vlan_filtering = on,
                BridgeSet::McastSnooping(on) => info.mcast_snooping = Some(on),
                BridgeSet::GroupFwdMask(mask) => info.group_fwd_mask = mask,
            }
        }
        LinkSet::Bond(_) | LinkSet::Name { .. } | LinkSet::Alias(_) => {
            panic!("no plan for the host has {set}")
        }
    }
}

/// The route that the kernel makes for an address.
fn connected(address: &Address, link: &LinkRef) -> Option<HostRoute> {
    if address.flags.contains(AddressFlags::NOPREFIXROUTE) {
        return None;
    }
    let mut route = Route::new(address.address.trunc(), NextHop::link(0));
    route.hops[0].index = None;
    route.protocol = 2;
    route.metric = address.address.addr().is_ipv6().then_some(256);
    Some(HostRoute { route, links: vec![link.clone()] })
}

pub(super) fn add_address(world: &mut NetworkSnapshot, link: &LinkRef, address: &Address) {
    let index = index(world, link);
    let link = world.links.iter().find(|link| link.index == index).unwrap().clone();
    let v6 = address.address.addr().is_ipv6();
    assert!(link.up, "what is added to {} now is half forgotten when it comes up", link.name);
    assert!(
        !v6 || world.setting(Family::V6, &link.name, "disable_ipv6") == Some("0"),
        "{}: IPv6 is disabled on this device",
        link.name
    );
    let all = world.addresses.get_mut(&index).unwrap();
    assert!(all.iter().all(|other| other.address != address.address), "{address}: File exists");
    let mut address = address.clone();
    address.flags = address.flags & AddressFlags::SETTABLE | AddressFlags::PERMANENT;
    let route = connected(&address, &link.reference());
    if v6 {
        all.insert(0, address);
    } else {
        let net = address.address.trunc();
        if all.iter().any(|other| other.address.trunc() == net) {
            address.flags |= AddressFlags::SECONDARY;
        }
        all.push(address);
    }
    if let Some(route) = route.filter(|route| !world.routes.contains(route)) {
        world.routes.push(route);
    }
}

fn delete_address(world: &mut NetworkSnapshot, link: &LinkRef, address: &Address) {
    let index = index(world, link);
    let all = world.addresses.get_mut(&index).unwrap();
    let first = all.iter().find(|one| one.address == address.address);
    let first = first.is_some_and(|one| !one.flags.contains(AddressFlags::SECONDARY));
    let (v4, net) = (address.address.addr().is_ipv4(), address.address.trunc());
    all.retain(|one| one.address != address.address);
    if v4 && first {
        // As with `promote_secondaries` off.
        all.retain(|one| one.address.trunc() != net || one.address.addr().is_ipv6());
    }
    let left = all.clone();
    let reference = LinkRef { index: Some(index), name: link.name.clone() };
    let still = |route: &HostRoute| {
        left.iter().any(|one| connected(one, &reference).as_ref() == Some(route))
    };
    if let Some(route) = connected(address, &reference).filter(|route| !still(route)) {
        world.routes.retain(|other| *other != route);
    }
    if v4 && !left.iter().any(|one| one.address.addr().is_ipv4()) {
        // An interface without an address has no routes.
        world.routes.retain(|route| {
            route.route.destination.addr().is_ipv6() || !route.leaves_by(&reference)
        });
    }
}

fn set_sysctl(world: &mut NetworkSnapshot, sysctl: &Sysctl, value: &str) {
    assert!(world.sysctls.contains_key(sysctl), "{sysctl}: No such file or directory");
    world.sysctls.insert(sysctl.clone(), value.to_owned());
    if *sysctl == Sysctl::forwarding(Family::V4) {
        let redirects = Sysctl::all(Family::V4, "accept_redirects").unwrap();
        let set = if value == "0" { "1" } else { "0" };
        world.sysctls.insert(redirects, set.to_owned());
    }
    if sysctl.as_str().ends_with("/disable_ipv6") && value == "1" {
        let link = sysctl.interface().unwrap().parse().unwrap();
        let link = world.link(&link).unwrap().reference();
        let index = link.index.unwrap();
        world.addresses.get_mut(&index).unwrap().retain(|one| one.address.addr().is_ipv4());
        world
            .routes
            .retain(|route| route.route.destination.addr().is_ipv4() || !route.leaves_by(&link));
    }
}
