use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::Scope;

/// A route, with all that is needed to make it again unchanged. `ip route show table all`
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[non_exhaustive]
pub struct Route {
    /// Where to; the default route has a prefix length of 0.
    pub destination: IpNet,
    /// Only for packets from there (IPv6): `from`.
    pub source: Option<IpNet>,
    /// What happens to the packets.
    pub kind: RouteKind,
    /// Where they leave: none where the kind says it all, several for multipath.
    pub hops: Vec<NextHop>,
    /// The number of the next hop object that `hops` come from: `nhid`.
    pub nexthop: Option<u32>,
    /// The table that it is in.
    pub table: u32,
    /// The lowest of several to the same destination is taken; none for the family's default.
    pub metric: Option<u32>,
    /// The source address of the host's own packets: `src`.
    pub src: Option<IpAddr>,
    /// Only for packets of this type of service (IPv4).
    pub tos: u8,
    /// How far away the destination is.
    pub scope: Scope,
    /// Who made it: 2 the kernel, 3 an administrator, 4 a static configuration, 9 a router's advertisement, 16 DHCP.
    pub protocol: u8,
    /// What is known of the path, by the kernel's numbers (`RTAX_*`): 2 is the MTU.
    pub metrics: Vec<(u16, u32)>,
    /// TCP's congestion control for it: `congctl`.
    pub congctl: Option<String>,
    /// How a router ranks itself (RFC 4191): 0 medium, 1 high, 3 low.
    pub preference: u8,
    /// Seconds until it disappears (IPv6); none means never.
    pub expires: Option<u32>,
    /// The numbers of attributes that the kernel gave and that this does not hold: with any of them, a copy of this
    /// route would not be the same.
    pub unknown: Vec<u16>,
}

/// One way out of a route.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[non_exhaustive]
pub struct NextHop {
    /// The router; none where the destination is on the link. It may be of the other family.
    pub via: Option<IpAddr>,
    /// The index of the interface.
    pub index: Option<u32>,
    /// Of multipath's members, this one gets so many parts of the flows.
    pub weight: u16,
    /// The router is on the link, whatever the addresses say.
    pub onlink: bool,
}

/// What happens to the packets that a route matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Deserialize, serde::Serialize)]
#[non_exhaustive]
pub enum RouteKind {
    /// They are sent on.
    Unicast,
    /// They have arrived.
    Local,
    /// They have arrived, or are sent on as a broadcast.
    Broadcast,
    /// They have arrived, as at others with this address.
    Anycast,
    /// They are sent on to a group.
    Multicast,
    /// They are dropped.
    Blackhole,
    /// They are dropped, and the sender is told that the host cannot be reached.
    Unreachable,
    /// They are dropped, and the sender is told that it may not.
    Prohibit,
    /// This table does not know.
    Throw,
    /// Another one, by the kernel's number (`RTN_*`).
    Other(u8),
}

impl Route {
    /// A unicast route in the main table, as `ip route add DESTINATION via ROUTER dev NAME` makes it.
    pub fn new(destination: IpNet, hop: NextHop) -> Self {
        let scope = if hop.via.is_none() && destination.addr().is_ipv4() {
            Scope::LINK
        } else {
            Scope::GLOBAL
        };
        Self {
            destination,
            source: None,
            kind: RouteKind::Unicast,
            hops: vec![hop],
            nexthop: None,
            table: Self::MAIN,
            metric: None,
            src: None,
            tos: 0,
            scope,
            protocol: 3,
            metrics: Vec::new(),
            congctl: None,
            preference: 0,
            expires: None,
            unknown: Vec::new(),
        }
    }

    /// The number of the main table.
    pub const MAIN: u32 = 254;
}

impl NextHop {
    /// The interface itself: `dev NAME`.
    pub fn link(index: u32) -> Self {
        Self { via: None, index: Some(index), weight: 1, onlink: false }
    }

    /// A router behind an interface: `via ROUTER dev NAME`.
    pub fn via(router: IpAddr, index: u32) -> Self {
        Self { via: Some(router), ..Self::link(index) }
    }
}

impl fmt::Display for RouteKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Unicast => "unicast",
            Self::Local => "local",
            Self::Broadcast => "broadcast",
            Self::Anycast => "anycast",
            Self::Multicast => "multicast",
            Self::Blackhole => "blackhole",
            Self::Unreachable => "unreachable",
            Self::Prohibit => "prohibit",
            Self::Throw => "throw",
            Self::Other(number) => return number.fmt(f),
        })
    }
}

impl fmt::Display for NextHop {
    /// `via 192.0.2.1 dev if3 onlink`: an interface is known by its index only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Vec::new();
        words.extend(self.via.map(|router| format!("via {router}")));
        words.extend(self.index.map(|index| format!("dev if{index}")));
        words.extend(self.onlink.then(|| "onlink".to_owned()));
        f.write_str(&words.join(" "))
    }
}

impl fmt::Display for Route {
    /// `192.0.2.0/24 via 198.51.100.1 dev if3 metric 7`: what follows `ip route add`, as far as a message needs it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind != RouteKind::Unicast {
            write!(f, "{} ", self.kind)?;
        }
        match self.destination {
            IpNet::V4(net) if net.prefix_len() == 0 => f.write_str("default")?,
            net => write!(f, "{net}")?,
        }
        for hop in &self.hops {
            match self.hops.len() {
                1 => write!(f, " {hop}")?,
                _ => write!(f, " nexthop {hop} weight {}", hop.weight)?,
            }
        }
        if self.table != Self::MAIN {
            write!(f, " table {}", self.table)?;
        }
        if let Some(src) = self.src {
            write!(f, " src {src}")?;
        }
        if let Some(metric) = self.metric {
            write!(f, " metric {metric}")?;
        }
        Ok(())
    }
}
