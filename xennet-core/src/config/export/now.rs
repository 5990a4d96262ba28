//! What the host has at this moment, as far as an export writes it.

use std::net::Ipv6Addr;

use ipnet::IpNet;

use crate::config::RoutePolicy;
use crate::types::{Address, Family, IfName, MacAddr, Neighbour, NextHop, Route, Scope};

/// What the host has on a bridge, or on its uplink until that is a port of the bridge: the values of
/// `addresses = "inherit"`.
///
/// [`Host::hosts_now`](crate::Host::hosts_now) reads it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct HostNow {
    /// The name of the uplink.
    pub(crate) uplink: Option<IfName>,
    /// The hardware address that the bridge has, or would have by xennet.
    pub(crate) mac: Option<MacAddr>,
    /// The addresses without an end, in the kernel's order.
    pub(crate) addresses: Vec<Address>,
    /// The routes that neither the kernel nor a DHCP client nor a routing daemon makes. Each hop leaves by this interface.
    pub(crate) routes: Vec<Route>,
    /// The permanent neighbours, and those that the host answers for.
    pub(crate) neighbours: Vec<Neighbour>,
    /// The interface identifier of its advertised addresses, if it is not that of the hardware address.
    pub(crate) token: Option<Ipv6Addr>,
    /// Whether it has a leased IPv4 address.
    pub(crate) dhcp: bool,
    /// Whether it has a leased IPv6 address.
    pub(crate) dhcp6: bool,
    /// Whether it has an IPv6 address or route from a router's advertisement.
    pub(crate) advertised: bool,
    /// Whether the kernel makes no IPv6 link-local address there: then `addresses` has it.
    pub(crate) no_link_local: bool,
    /// Whether the host forwards IPv6.
    pub(crate) forwards6: bool,
    /// The settings that follow the host's addresses to the bridge.
    pub(crate) settings: Vec<Setting>,
    /// What cannot be written, and why. Each is a line.
    pub(crate) left_out: Vec<String>,
}

/// A setting of the kernel for one interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) family: Family,
    /// The last part of its path.
    pub(crate) key: &'static str,
    pub(crate) value: String,
    /// Whether a new interface has another value.
    pub(crate) unusual: bool,
}

impl HostNow {
    /// Whether the host has no address there.
    pub(super) fn is_nothing(&self) -> bool {
        let leased = self.dhcp || self.dhcp6 || self.advertised;
        !leased && self.addresses.iter().all(is_link_local)
    }

    /// The same interface with these addresses and routes instead of its own. It keeps its link-local addresses.
    pub(super) fn with(&self, addresses: &[IpNet], routes: Vec<Route>) -> Self {
        let link_local = self.addresses.iter().filter(|one| is_link_local(one)).cloned();
        let given = addresses.iter().copied().map(Address::new);
        Self {
            mac: self.mac,
            addresses: link_local.chain(given).collect(),
            routes,
            no_link_local: self.no_link_local,
            forwards6: self.forwards6,
            settings: self.settings.clone(),
            ..Self::default()
        }
    }

    /// The value of an IPv6 setting, as far as it is known.
    pub(super) fn setting6(&self, key: &str) -> Option<&str> {
        let of_key = |one: &&Setting| one.family == Family::V6 && one.key == key;
        self.settings.iter().find(of_key).map(|one| one.value.as_str())
    }

    /// `accept_ra` as `start` leaves it. With 0, another program than the kernel may have read an advertisement.
    pub(super) fn accept_ra(&self, forwards6: bool) -> &str {
        match self.setting6("accept_ra").unwrap_or("1") {
            "0" | "1" if self.advertised && forwards6 => "2",
            "0" if self.advertised => "1",
            set => set,
        }
    }

    /// Whether router advertisements are read there.
    pub(super) fn listens(&self, forwards6: bool) -> bool {
        let heeded = match self.accept_ra(forwards6) {
            "0" => false,
            "1" => !forwards6,
            _ => true,
        };
        heeded && self.setting6("disable_ipv6") != Some("1")
    }
}

fn is_link_local(address: &Address) -> bool {
    address.address.addr().is_ipv6() && address.scope == Scope::LINK
}

/// A route of the configuration.
pub(super) fn route(policy: RoutePolicy) -> Route {
    let RoutePolicy { destination, via, onlink, metric, table } = policy;
    let mut hop = NextHop::link(0);
    (hop.via, hop.index, hop.onlink) = (via, None, onlink);
    let mut route = Route::new(destination, hop);
    route.metric = metric;
    route.table = table.unwrap_or(route.table);
    route
}
