//! What the host had on one interface, as it is on record.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::NetworkSnapshot;
use super::sysctls::FOLLOWING;
use crate::plan::HostRoute;
use crate::types::{Address, AddressFlags, Family, IfName, Link, Neighbour, Sysctl};

/// What the host had on one interface.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HostRecord {
    /// Its addresses.
    pub addresses: Vec<Address>,
    /// The routes that left by it.
    pub routes: Vec<HostRoute>,
    /// Its permanent neighbours and proxy entries.
    pub neighbours: Vec<Neighbour>,
    /// The settings that a bridge takes over.
    #[serde(default)]
    pub sysctls: BTreeMap<Sysctl, String>,
}

impl HostRecord {
    pub(super) fn of(link: &Link, seen: &NetworkSnapshot) -> Self {
        Self {
            addresses: seen.addresses(link).to_vec(),
            routes: seen.routes(&link.reference()).cloned().collect(),
            neighbours: seen.neighbours(link).to_vec(),
            sysctls: FOLLOWING
                .into_iter()
                .filter_map(|(family, key)| Sysctl::link(family, &link.name, key).ok())
                .filter_map(|sysctl| Some((sysctl.clone(), seen.sysctls.get(&sysctl)?.clone())))
                .collect(),
        }
    }

    /// A recorded setting of the interface.
    pub(super) fn setting(&self, family: Family, link: &IfName, key: &str) -> Option<&str> {
        self.sysctls.get(&Sysctl::link(family, link, key).ok()?).map(String::as_str)
    }

    /// What would be left of it now: addresses and routes expire.
    pub(super) fn after(&self, elapsed: Duration) -> Self {
        let elapsed = u32::try_from(elapsed.as_secs()).unwrap_or(u32::MAX);
        let left = |seconds: Option<u32>| seconds.map(|seconds| seconds.saturating_sub(elapsed));
        let addresses = self.addresses.iter().map(|address| Address {
            valid: left(address.valid),
            preferred: left(address.preferred),
            ..address.clone()
        });
        // The kernel makes temporary addresses itself.
        let is_temporary = |address: &Address| {
            address.address.addr().is_ipv6() && address.flags.contains(AddressFlags::SECONDARY)
        };
        let addresses: Vec<Address> = addresses
            .filter(|address| address.valid != Some(0) && !is_temporary(address))
            .collect();
        // What needs an address that has expired.
        let needed = |ip: IpAddr, by: fn(&Address, IpAddr) -> bool| {
            self.addresses.iter().any(|one| by(one, ip)) && !addresses.iter().any(|one| by(one, ip))
        };
        let is_dead = |route: &HostRoute| {
            let is_on_link = |one: &Address, ip| one.address.contains(&ip);
            route.route.src.is_some_and(|src| needed(src, |one, ip| one.address.addr() == ip))
                || route
                    .route
                    .hops
                    .iter()
                    .any(|hop| hop.via.is_some_and(|ip| needed(ip, is_on_link)))
        };
        let routes = self.routes.iter().filter(|route| !is_dead(route)).map(|route| {
            let mut route = route.clone();
            route.route.expires = left(route.route.expires);
            route
        });
        Self {
            routes: routes.filter(|route| route.route.expires != Some(0)).collect(),
            addresses,
            ..self.clone()
        }
    }
}
