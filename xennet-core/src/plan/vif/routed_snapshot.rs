use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use crate::config::{NatPolicy, RoutedPolicy};
use crate::plan::HostRoute;
use crate::types::{Family, IfName, Link, LinkRef, Sysctl};

/// What a routed vif depends on beside its own interface.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RoutedSnapshot {
    /// The interface through which the guest reaches the world, if there is one.
    pub uplink: Option<Link>,
    /// The uplink's first global IPv4 address.
    pub source: Option<Ipv4Addr>,
    /// What the host's configuration says of guests behind this uplink: `[[routed]]`.
    pub policy: Option<RoutedPolicy>,
    /// What it says of guests that share the host's address: `[[nat]]`.
    pub nat: Option<NatPolicy>,
    /// The routes of the main table that leave by the vif, but for the kernel's own.
    pub routes: Vec<HostRoute>,
    /// Of the guest's addresses, those to which another interface than the guest's own has a route, or that hold one of
    /// the host's own.
    pub others: Vec<(IpNet, HostRoute)>,
    /// The host's default routes, but for those by the guest's own interfaces: their routers' addresses are no guest's.
    pub defaults: Vec<HostRoute>,
    /// Of a guest about which nobody says anything, the addresses on its link that the host has a route to already, be
    /// it to a network that they are of.
    pub within: Vec<(IpAddr, HostRoute)>,
    /// Whether the guest has another interface to the same address: its vif and its tap.
    pub shared: bool,
    /// Of the guest's addresses, those that the host answers for on the uplink.
    pub proxies: Vec<IpAddr>,
    /// Proxy entries of xennet's own, and their links, of addresses that the vif still has routes to and shall have no more.
    pub left: Vec<(LinkRef, IpAddr)>,
    /// The settings of [`VifTarget::sysctls`](super::VifTarget::sysctls), as far as this kernel has them.
    pub sysctls: BTreeMap<Sysctl, String>,
}

impl RoutedSnapshot {
    pub(super) const fn none() -> Self {
        Self {
            uplink: None,
            source: None,
            policy: None,
            nat: None,
            routes: Vec::new(),
            others: Vec::new(),
            defaults: Vec::new(),
            within: Vec::new(),
            shared: false,
            proxies: Vec::new(),
            left: Vec::new(),
            sysctls: BTreeMap::new(),
        }
    }

    /// Whether the interface has IPv6, or will have when its MTU allows it.
    pub(super) fn has_ipv6(&self, link: &IfName) -> bool {
        let own = Sysctl::link(Family::V6, link, DISABLE_IPV6).ok();
        let own = own.and_then(|sysctl| self.sysctls.get(&sysctl));
        let new = Sysctl::default(Family::V6, DISABLE_IPV6).ok();
        let disabled = own.or_else(|| self.sysctls.get(&new?));
        disabled.is_some_and(|disabled| disabled == "0")
    }
}

pub(super) const DISABLE_IPV6: &str = "disable_ipv6";
