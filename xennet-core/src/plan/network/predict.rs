//! What changes make of a network: later changes of the same plan are planned on it.

use std::net::Ipv6Addr;

use super::NetworkSnapshot;
use super::routes::{connected, made_by_kernel};
use crate::plan::{Change, HostRoute};
use crate::types::{
    AddrGenMode, BondInfo, BondSet, Link, LinkKind, LinkRef, LinkSet, Mtu, Sysctl, VlanLinkInfo,
};

/// `RTPROT_KERNEL`
const KERNEL: u8 = 2;

impl NetworkSnapshot {
    /// The network after these changes, as far as plans for it depend on them.
    ///
    /// An interface that they create has an index at or above [`Link::PLANNED`].
    pub(super) fn after(&self, changes: &[Change]) -> Self {
        let mut network = self.clone();
        for change in changes {
            network.apply(change);
        }
        network
    }

    fn apply(&mut self, change: &Change) {
        match change {
            Change::LinkAdd { name, kind, mac, mtu } => {
                let mut link = self.new_link(name, kind);
                link.mac = mac.or(link.mac);
                link.mtu = mtu.map_or(link.mtu, Mtu::bytes);
                self.add_link(link);
            }
            Change::LinkDelete { link } => self.delete_link(link),
            Change::LinkSet { link, set, .. } => self.set_link(link, set),
            Change::AddressAdd { link, address } => {
                let Some(index) = self.index(link) else { return };
                let all = self.addresses.entry(index).or_default();
                // The kernel lists the newest of IPv6's first.
                let at = if address.address.addr().is_ipv6() { 0 } else { all.len() };
                all.insert(at, address.clone());
                let route = connected(address, link);
                if !self
                    .routes
                    .iter()
                    .any(|other| route.as_ref().is_some_and(|route| other.leads_as(route)))
                {
                    self.routes.extend(route);
                }
            }
            Change::AddressChange { link, address, .. } => {
                for one in self.addresses_of(link) {
                    if one.address == address.address && one.peer == address.peer {
                        *one = address.clone();
                    }
                }
            }
            Change::AddressDelete { link, address } => {
                let Some(index) = self.index(link) else { return };
                let left = self.addresses.entry(index).or_default();
                left.retain(|one| one.address != address.address || one.peer != address.peer);
                // Its route to its network goes as well.
                self.routes.retain(|route| {
                    !route.leaves_by(link)
                        || route.route.protocol != KERNEL
                        || made_by_kernel(&route.route, left)
                });
            }
            Change::RouteAdd { route } | Change::RouteInsert { route, first: false } => {
                self.routes.push(route.clone());
            }
            Change::RouteInsert { route, first: true } => self.routes.insert(0, route.clone()),
            Change::RouteReplace { route, was } => {
                self.routes.retain(|one| !one.leads_as(was));
                self.routes.push(route.clone());
            }
            Change::RouteDelete { route, .. } => self.routes.retain(|one| !one.leads_as(route)),
            Change::NeighbourAdd { link, neighbour } => {
                let Some(index) = self.index(link) else { return };
                self.neighbours.entry(index).or_default().push(neighbour.clone());
            }
            Change::NeighbourDelete { link, neighbour } => {
                let Some(index) = self.index(link) else { return };
                self.neighbours.entry(index).or_default().retain(|one| one != neighbour);
            }
            Change::Sysctl { sysctl, value, .. } => {
                self.sysctls.insert(sysctl.clone(), value.clone());
            }
            _ => {}
        }
    }

    /// An interface as the kernel creates it.
    fn new_link(&self, name: &crate::types::IfName, kind: &LinkKind) -> Link {
        let planned = self.links.iter().filter(|link| link.index >= Link::PLANNED).count();
        let mut link = Link {
            index: Link::PLANNED.saturating_add(planned.try_into().unwrap_or_default()),
            name: name.clone(),
            mac: None,
            permanent_mac: None,
            altnames: Vec::new(),
            mtu: 1500,
            up: false,
            carrier: false,
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
            token: Some(Ipv6Addr::UNSPECIFIED),
        };
        match kind {
            LinkKind::Bond(spec) => {
                link.kind = Some("bond".to_owned());
                link.bond = Some(BondInfo {
                    mode: Some(spec.mode),
                    miimon: spec.miimon,
                    lacp_rate: spec.lacp_rate,
                    xmit_hash_policy: spec.xmit_hash_policy,
                    primary: None,
                });
            }
            LinkKind::Vlan(spec) => {
                link.kind = Some("vlan".to_owned());
                link.vlan = Some(VlanLinkInfo { id: spec.id.number(), protocol: spec.protocol });
                if let Some(lower) = self.link(&spec.link.name) {
                    (link.lower, link.mac) = (Some(lower.index), lower.mac);
                    link.mtu = lower.mtu;
                }
            }
            LinkKind::Bridge(info) => {
                (link.kind, link.bridge) = (Some("bridge".to_owned()), Some(info.clone()));
            }
            LinkKind::Veth { .. } => link.kind = Some("veth".to_owned()),
            LinkKind::Vxlan(_) => link.kind = Some("vxlan".to_owned()),
        }
        link
    }

    /// Adds an interface, with the settings that the kernel gives a new one.
    fn add_link(&mut self, link: Link) {
        for (family, key) in Self::keys() {
            let value = self.of_new(family, key).map(str::to_owned);
            if let (Ok(sysctl), Some(value)) = (Sysctl::link(family, &link.name, key), value) {
                self.sysctls.insert(sysctl, value);
            }
        }
        self.links.push(link);
    }

    fn delete_link(&mut self, link: &LinkRef) {
        let Some(index) = self.index(link) else { return };
        self.links.retain(|one| one.index != index);
        for port in self.links.iter_mut().filter(|port| port.master == Some(index)) {
            port.master = None;
        }
        self.addresses.remove(&index);
        self.neighbours.remove(&index);
        self.routes.retain(|route: &HostRoute| !route.leaves_by(link));
        self.sysctls.retain(|sysctl, _| sysctl.interface() != Some(link.name.as_str()));
    }

    fn set_link(&mut self, link: &LinkRef, set: &LinkSet) {
        let other = match set {
            LinkSet::Master(other) | LinkSet::Bond(BondSet::Primary(other)) => {
                other.as_ref().and_then(|other| self.index(other))
            }
            _ => None,
        };
        let bond = other.and_then(|index| self.links.iter().find(|link| link.index == index));
        let bond = bond.filter(|link| link.bond.is_some()).map(|link| (link.mac, link.mtu));
        let Some(link) = self.links.iter_mut().find(|one| one.name == link.name) else { return };
        match set {
            LinkSet::Up(up) => link.up = *up,
            LinkSet::Address(mac) => link.mac = Some(*mac),
            LinkSet::Mtu(mtu) => link.mtu = mtu.bytes(),
            LinkSet::Master(_) => {
                link.master = other;
                // A bond sets its ports up, with its own address and MTU.
                if let Some((mac, mtu)) = bond {
                    (link.up, link.mac, link.mtu) = (true, mac, mtu);
                }
            }
            LinkSet::AddrGenMode(mode) => link.addr_gen_mode = Some(*mode),
            LinkSet::Token(token) => link.token = Some(*token),
            LinkSet::Bond(set) => {
                let Some(info) = &mut link.bond else { return };
                match set {
                    BondSet::Miimon(milliseconds) => info.miimon = *milliseconds,
                    BondSet::XmitHashPolicy(policy) => info.xmit_hash_policy = Some(*policy),
                    BondSet::Primary(_) => info.primary = other,
                }
            }
            LinkSet::Bridge(_) | LinkSet::Name { .. } | LinkSet::Alias(_) => {}
        }
    }

    fn index(&self, link: &LinkRef) -> Option<u32> {
        self.link(&link.name).map(|link| link.index)
    }

    fn addresses_of(&mut self, link: &LinkRef) -> impl Iterator<Item = &mut crate::types::Address> {
        let index = self.index(link);
        index.and_then(|index| self.addresses.get_mut(&index)).into_iter().flatten()
    }
}
