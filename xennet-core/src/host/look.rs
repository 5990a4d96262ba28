//! What there is of the host's network.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::IpAddr;

use super::managers::managers;
use crate::bridge::own_mac;
use crate::config::Transport;
use crate::filters::filters;
use crate::kernel::{self, Kernel, LinkFilter, Nftables, RouteFilter, sysctl};
use crate::plan::{HostRoute, NatSnapshot, NetworkBefore, NetworkSnapshot};
use crate::types::{IfName, Link, LinkRef};
use crate::{Dom0Network, Error, apply};

pub(super) fn look(
    net: &mut Dom0Network,
    before: Option<NetworkBefore>,
) -> Result<NetworkSnapshot, Error> {
    let kernel = &mut net.kernel;
    let links = kernel.links(LinkFilter::All)?;
    let names: BTreeMap<u32, LinkRef> =
        links.iter().map(|link| (link.index, link.reference())).collect();
    let concerned = NetworkSnapshot::concerned(&net.config, before.as_ref());

    let mut seen = NetworkSnapshot { links, before, ..NetworkSnapshot::default() };
    for name in &concerned {
        let Some(link) = seen.link(name).map(|link| (link.index, link.reference())) else {
            // Asked for in any case: it costs nothing, and most bridges here are yet to be made.
            seen.macs.extend(own_mac(name).map(|mac| (name.clone(), mac)));
            continue;
        };
        let (index, reference) = link;
        seen.addresses.insert(index, kernel.addresses(&reference)?);
        let mut neighbours = kernel.neighbours(&reference)?;
        neighbours.retain(|neighbour| neighbour.permanent);
        seen.neighbours.insert(index, neighbours);
        seen.managed.extend(managers(&net.root, index, name));
    }
    for policy in &net.config.bridges {
        let Some(vxlan) = &policy.vxlan else { continue };
        let link = seen.link(&vxlan.vni.port_name()).filter(|link| link.master.is_some());
        if let Some(index) = link.map(|link| link.index) {
            seen.ports.extend(kernel.port(index)?.map(|port| (index, port)));
        }
        seen.homes.extend(home(kernel, &seen.links, vxlan.local)?);
    }
    let routes = kernel.routes(RouteFilter::default())?;
    seen.routes = routes
        .into_iter()
        .filter(|route| !route.hops.is_empty())
        .filter_map(|route| HostRoute::of(route, |index| names.get(&index).cloned()))
        .collect();
    let learning: Vec<IfName> = seen
        .routes
        .iter()
        .filter(|route| route.route.protocol == ADVERTISED)
        .flat_map(|route| route.links.iter().map(|link| link.name.clone()))
        .collect();
    for setting in NetworkSnapshot::sysctls(&concerned, &learning) {
        if let Some(value) = sysctl(&setting)? {
            seen.sysctls.insert(setting, value);
        }
    }
    let translates = !net.config.nat.is_empty();
    match apply::nft(&mut net.nft).and_then(translation) {
        // A kernel without nftables has no such table either.
        Err(_) if !translates => {}
        nat => seen.nat = nat?,
    }
    if translates {
        seen.filters = filters(&mut net.nft, &mut net.legacy, None, true);
        seen.listening = listening();
    }
    Ok(seen)
}

/// The table that translates addresses, all of it at one time.
fn translation(nft: &mut Nftables) -> Result<NatSnapshot, kernel::Error> {
    let (family, name) = (NatSnapshot::FAMILY, NatSnapshot::TABLE);
    loop {
        let generation = nft.generation()?;
        let mut seen = NatSnapshot { table: nft.table(family, name)?, ..NatSnapshot::default() };
        if seen.table.is_some() {
            seen.rules.chains = nft.chains(family, name)?;
            seen.rules.rules = nft.rules(family, name)?;
        }
        if nft.generation()? == generation {
            return Ok(seen);
        }
    }
}

/// The ports that somebody here listens on: `ss --listening --numeric`. Nothing where the kernel does not say.
fn listening() -> BTreeSet<(Transport, u16)> {
    const LISTENS: &str = "0A";
    const UNCONNECTED: &str = "07";
    let mut ports = BTreeSet::new();
    for (file, protocol, state) in [
        ("tcp", Transport::Tcp, LISTENS),
        ("tcp6", Transport::Tcp, LISTENS),
        ("udp", Transport::Udp, UNCONNECTED),
        ("udp6", Transport::Udp, UNCONNECTED),
    ] {
        let text = fs::read_to_string(format!("/proc/thread-self/net/{file}")).unwrap_or_default();
        // "0: 00000000:0016 00000000:0000 0A ...": what it is bound to, its other end, its state.
        ports.extend(text.lines().filter_map(|line| {
            let mut words = line.split_whitespace().skip(1);
            let (local, other_end) = (words.next()?, words.next()?);
            let port = u16::from_str_radix(local.rsplit(':').next()?, 16).ok()?;
            let waits = words.next()? == state && other_end.ends_with(":0000");
            waits.then_some((protocol, port))
        }));
    }
    ports
}

/// The interface that has an address.
fn home(
    kernel: &mut Kernel,
    links: &[Link],
    local: IpAddr,
) -> Result<Option<(IpAddr, IfName)>, Error> {
    for link in links {
        if kernel.addresses(&link.reference())?.iter().any(|one| one.address.addr() == local) {
            return Ok(Some((local, link.name.clone())));
        }
    }
    Ok(None)
}

/// `RTPROT_RA`
const ADVERTISED: u8 = 9;
