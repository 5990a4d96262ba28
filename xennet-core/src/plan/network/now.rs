//! What the host has at this moment, for those who make something else of it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::{NetworkSnapshot, routes};
use crate::config::{BridgePolicy, HostNow, NetworkConfig};
use crate::types::{AddressFlags, IfName, Link, Route, RouteKind, Scope};

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

    /// What the host has on each bridge of the configuration, or on its uplink while the bridge has no address.
    pub fn hosts_now(&self, config: &NetworkConfig) -> BTreeMap<IfName, HostNow> {
        let of = |policy: BridgePolicy| {
            let uplink = policy.uplink.as_ref().and_then(|uplink| self.link(uplink));
            let bridge = self.link(&policy.name);
            let used = bridge.filter(|link| global(self, link).next().is_some());
            let mut now = used.or(uplink).map(|link| self.host_now(link)).unwrap_or_default();
            let hosts = uplink.filter(|_| policy.moves_addresses());
            let own = self.macs.get(&policy.name).copied();
            now.mac = hosts.or(bridge).map_or(own, |link| link.mac);
            (policy.name, now)
        };
        config.all_bridges().into_iter().map(of).collect()
    }

    fn host_now(&self, link: &Link) -> HostNow {
        let mut now = HostNow::default();
        for address in global(self, link) {
            match (address.valid, address.address) {
                (None, net) => now.addresses.push(net),
                (Some(_), IpNet::V4(_)) => now.dhcp = true,
                (Some(_), IpNet::V6(_)) => now.advertised = true,
            }
        }
        let reference = link.reference();
        for route in self.routes(&reference).filter(|route| {
            route.route.destination.prefix_len() == 0
                && route.route.table == Route::MAIN
                && !routes::is_learnt(self, link, &route.route)
        }) {
            let told = |router: &IpAddr| {
                now.dhcp && router.is_ipv4()
                    || now.gateways.iter().any(|known| known.is_ipv4() == router.is_ipv4())
            };
            if let Some(router) = route.via().filter(|router| !told(router)) {
                now.gateways.push(router);
            }
        }
        now
    }
}

/// The addresses by which others reach the host, but for those that the kernel makes and forgets by itself.
fn global<'a>(
    seen: &'a NetworkSnapshot,
    link: &Link,
) -> impl Iterator<Item = &'a crate::types::Address> {
    seen.addresses(link).iter().filter(|address| {
        address.scope == Scope::GLOBAL
            && !(address.address.addr().is_ipv6()
                && address.flags.contains(AddressFlags::SECONDARY))
    })
}
