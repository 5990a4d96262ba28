//! The state of the host's network.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::IpAddr;

use super::Facts;
use super::guard::{ATTEMPTS, changing};
use super::managers::managers;
use crate::Error;
use crate::config::Transport;
use crate::kernel::{self, Kernel, LinkFilter, Nftables, RouteFilter, sysctl};
use crate::plan::{HostRoute, NatSnapshot, NetworkRecord, NetworkSnapshot};
use crate::trial::since_boot;
use crate::types::{IfName, Link, LinkRef, MacAddr};

impl Facts<'_> {
    /// The host's network, as far as it concerns the configuration and the `record` of an earlier start.
    pub(crate) fn network(
        &mut self,
        record: Option<NetworkRecord>,
    ) -> Result<NetworkSnapshot, Error> {
        let translates = !self.config.nat.is_empty();
        let mut facts = self.links_and_routes(record)?;
        match self.connections.nft().and_then(translation) {
            // A kernel without nftables has no such table either.
            Err(_) if !translates => {}
            nat => facts.nat = nat?,
        }
        if translates {
            facts.filters = self.filters(true);
            facts.listening = listening();
        }
        let moves = NetworkSnapshot::has_moves(self.config);
        if translates || moves {
            facts.policy_rules = self.policy_rules();
        }
        if moves {
            facts.link_rules = self.link_rules();
        }
        Ok(facts)
    }

    fn links_and_routes(
        &mut self,
        mut record: Option<NetworkRecord>,
    ) -> Result<NetworkSnapshot, Error> {
        let (config, root) = (self.config, self.paths.root.clone());
        let kernel = self.connections.kernel()?;
        let links = kernel.links(LinkFilter::All)?;
        let names: BTreeMap<u32, LinkRef> =
            links.iter().map(|link| (link.index, link.reference())).collect();
        let proxies = kernel.proxies()?;
        let renamed = record.as_mut().map(|record| record.follow(&links)).unwrap_or_default();
        let now = since_boot();
        let mut facts =
            NetworkSnapshot { links, record, renamed, now, ..NetworkSnapshot::default() };
        let config = &*facts.resolve(config);
        if let Some(record) = &mut facts.record {
            record.replace_uplinks(config, &facts.links);
        }
        let concerned = NetworkSnapshot::concerned(config, facts.record.as_ref());
        for name in &concerned {
            let Some(link) = facts.link(name).map(|link| (link.index, link.reference())) else {
                // Asked for in any case: it costs nothing, and most bridges here are yet to be made.
                facts.macs.extend(own_mac(name).map(|mac| (name.clone(), mac)));
                continue;
            };
            let (index, reference) = link;
            facts.addresses.insert(index, kernel.addresses(&reference)?);
            let mut neighbours = kernel.neighbours(&reference)?;
            neighbours.retain(|neighbour| neighbour.permanent);
            let proxies = proxies.iter().filter(|(on, _)| *on == index);
            neighbours.extend(proxies.map(|(_, proxy)| proxy.clone()));
            facts.neighbours.insert(index, neighbours);
            facts.managed.extend(managers(&root, index, name));
        }
        for policy in &config.bridges {
            let Some(vxlan) = &policy.vxlan else { continue };
            let link = facts.link(&vxlan.vni.port_name()).filter(|link| link.master.is_some());
            if let Some(index) = link.map(|link| link.index) {
                facts.ports.extend(kernel.port(index)?.map(|port| (index, port)));
            }
            facts.homes.extend(home(kernel, &facts.links, vxlan.local)?);
        }
        let routes = kernel.routes(RouteFilter::default())?.into_iter();
        let (routes, dead_ends): (Vec<_>, Vec<_>) =
            routes.partition(|route| !route.hops.is_empty());
        facts.dead_ends = dead_ends;
        facts.routes = routes
            .into_iter()
            .filter_map(|route| HostRoute::of(route, |index| names.get(&index).cloned()))
            .collect();
        let learning: Vec<IfName> = facts
            .routes
            .iter()
            .filter(|route| route.route.protocol == ADVERTISED)
            .flat_map(|route| route.links.iter().map(|link| link.name.clone()))
            .collect();
        for setting in NetworkSnapshot::sysctls(&concerned, &learning) {
            if let Some(value) = sysctl(&setting)? {
                facts.sysctls.insert(setting, value);
            }
        }
        for setting in facts.overwritten(config) {
            if let Some(value) = sysctl(&setting)? {
                facts.sysctls.insert(setting, value);
            }
        }
        Ok(facts)
    }
}

/// The table that translates addresses, of one generation of the ruleset.
///
/// An error (`EAGAIN`) if the ruleset never stops changing.
fn translation(nft: &mut Nftables) -> Result<NatSnapshot, kernel::Error> {
    let (family, name) = (NatSnapshot::FAMILY, NatSnapshot::TABLE);
    for _ in 0..ATTEMPTS {
        let generation = nft.generation()?;
        let mut facts = NatSnapshot { table: nft.table(family, name)?, ..NatSnapshot::default() };
        if facts.table.is_some() {
            facts.rules.chains = nft.chains(family, name)?;
            facts.rules.rules = nft.rules(family, name)?;
        }
        if nft.generation()? == generation {
            return Ok(facts);
        }
    }
    Err(changing(family, name))
}

/// The ports on which local sockets listen: `ss --listening --numeric`. Nothing where the kernel does not say.
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

/// A locally administered address, made from the machine's id and the bridge's name; none where the machine has no id.
pub(crate) fn own_mac(name: &IfName) -> Option<MacAddr> {
    let machine = fs::read("/etc/machine-id").ok().filter(|id| !id.is_empty())?;
    // FNV-1a: a hardware address needs spread, not secrecy.
    let hash = machine
        .iter()
        .chain(name.as_str().as_bytes())
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
    let [first, second, third, fourth, fifth, sixth, ..] = hash.to_be_bytes();
    MacAddr::from_octets([first & 0xfc | 2, second, third, fourth, fifth, sixth]).ok()
}

/// `RTPROT_RA`
const ADVERTISED: u8 = 9;
