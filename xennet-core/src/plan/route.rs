use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::types::{LinkRef, NextHop, Route, RouteKind};

/// A route as a change names it: its interfaces by reference, because one may be yet to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HostRoute {
    /// The route; its hops have no index.
    pub route: Route,
    /// The interface of each hop, in their order.
    pub links: Vec<LinkRef>,
}

/// What the kernel tells routes apart by: it has no two alike in what `ip route replace` looks at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct RouteKey {
    table: u32,
    destination: IpNet,
    source: Option<IpNet>,
    metric: Option<u32>,
    tos: u8,
}

impl HostRoute {
    /// A route by these interfaces, one for each of its hops.
    pub fn new(route: Route, links: Vec<LinkRef>) -> Self {
        Self { route, links }
    }

    /// A route as the kernel tells it, with the interfaces that its indices mean; none when one of them is unknown.
    pub fn of(mut route: Route, name: impl Fn(u32) -> Option<LinkRef>) -> Option<Self> {
        let links =
            route.hops.iter().map(|hop| hop.index.and_then(&name)).collect::<Option<_>>()?;
        for hop in &mut route.hops {
            hop.index = None;
        }
        Some(Self { route, links })
    }

    /// Whether a packet may leave by this interface.
    pub fn leaves_by(&self, link: &LinkRef) -> bool {
        self.links.iter().any(|other| other.name == link.name)
    }

    /// The route as the kernel takes it, once `index` knows every interface.
    pub fn resolve<E>(
        &self,
        mut index: impl FnMut(&LinkRef) -> Result<u32, E>,
    ) -> Result<Route, E> {
        let mut route = self.route.clone();
        for (hop, link) in route.hops.iter_mut().zip(&self.links) {
            hop.index = Some(index(link)?);
        }
        Ok(route)
    }

    pub(super) fn key(&self) -> RouteKey {
        let Route { table, destination, source, metric, tos, .. } = self.route;
        RouteKey { table, destination: destination.trunc(), source, metric, tos }
    }

    /// The same route, by another interface wherever it left by this one.
    pub(super) fn moved(&self, from: &LinkRef, to: &LinkRef) -> Self {
        let mut moved = self.clone();
        for link in &mut moved.links {
            if link.name == from.name {
                *link = to.clone();
            }
        }
        moved.merge_hops();
        moved
    }

    /// The kernel refuses a route with two equal hops.
    fn merge_hops(&mut self) {
        let mut hops: Vec<(NextHop, LinkRef)> = Vec::new();
        for (hop, link) in
            std::mem::take(&mut self.route.hops).into_iter().zip(self.links.drain(..))
        {
            if !hops.iter().any(|(other, known)| other.via == hop.via && *known == link) {
                hops.push((hop, link));
            }
        }
        (self.route.hops, self.links) = hops.into_iter().unzip();
    }

    /// Whether packets go the same way, whoever made the routes.
    pub(super) fn leads_as(&self, other: &Self) -> bool {
        let ways = |route: &Self| -> Vec<(Option<IpAddr>, String)> {
            let hops = route.route.hops.iter().zip(&route.links);
            hops.map(|(hop, link)| (hop.via, link.name.to_string())).collect()
        };
        self.key() == other.key() && ways(self) == ways(other)
    }

    /// The router, if there is a single one.
    pub(super) fn via(&self) -> Option<IpAddr> {
        match self.route.hops.as_slice() {
            [hop] => hop.via,
            _ => None,
        }
    }
}

impl fmt::Display for HostRoute {
    /// `default via 192.0.2.1 dev xenbr0 metric 100`: what follows `ip route add`, as far as a message needs it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let route = &self.route;
        if route.kind != RouteKind::Unicast {
            write!(f, "{} ", route.kind)?;
        }
        match route.destination {
            IpNet::V4(net) if net.prefix_len() == 0 => f.write_str("default")?,
            net => write!(f, "{net}")?,
        }
        for (hop, link) in route.hops.iter().zip(&self.links) {
            let NextHop { via, weight, onlink, .. } = hop;
            f.write_str(if route.hops.len() > 1 { " nexthop" } else { "" })?;
            if let Some(router) = via {
                let other = router.is_ipv4() != route.destination.addr().is_ipv4();
                f.write_str(if other { " via inet6 " } else { " via " })?;
                write!(f, "{router}")?;
            }
            write!(f, " dev {}", link.name)?;
            if route.hops.len() > 1 {
                write!(f, " weight {weight}")?;
            }
            f.write_str(if *onlink { " onlink" } else { "" })?;
        }
        if let Some(id) = route.nexthop {
            write!(f, " nhid {id}")?;
        }
        if route.table != Route::MAIN {
            write!(f, " table {}", route.table)?;
        }
        if let Some(src) = route.src {
            write!(f, " src {src}")?;
        }
        if let Some(metric) = route.metric {
            write!(f, " metric {metric}")?;
        }
        if let Some(seconds) = route.expires {
            write!(f, " expires {seconds}")?;
        }
        Ok(())
    }
}
