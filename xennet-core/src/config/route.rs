use std::fmt;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::ConfigError;
use super::table::{Table, TextOrTable};

/// A router behind a bridge, and the host's default route by it: `"192.0.2.1"`, or
/// `{ via = "192.0.2.1", onlink = true, metric = 100 }`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GatewayPolicy {
    /// The router.
    pub via: IpAddr,
    /// Whether it is on the link although no address's network contains it.
    pub onlink: bool,
    /// The default route's metric; none for the family's default.
    pub metric: Option<u32>,
}

/// A route by a bridge: `routes = [{ destination = "10.0.0.0/8", via = "192.0.2.9" }]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RoutePolicy {
    /// Where to.
    pub destination: IpNet,
    /// The router; none where the destination is on the link.
    pub via: Option<IpAddr>,
    /// Whether the router is on the link although no address's network contains it.
    pub onlink: bool,
    /// The metric; none for the family's default.
    pub metric: Option<u32>,
    /// The table; none for the main one.
    pub table: Option<u32>,
}

impl GatewayPolicy {
    /// The router of a network of the bridge's.
    pub(crate) fn new(via: IpAddr) -> Self {
        Self { via, onlink: false, metric: None }
    }

    /// The routers of `gateways`.
    pub(super) fn read_all(table: &mut Table<'_>) -> Result<Vec<Self>, ConfigError> {
        let all = table.texts_or_tables("gateways")?;
        let one = |one| match one {
            TextOrTable::Table(mut table) => Self::read(&mut table),
            TextOrTable::Text { text, at } => text.parse().map(Self::new).map_err(|_| {
                let words = format!("{text:?}: expected a router's address as 192.0.2.1");
                table.wrong_at(at, words)
            }),
        };
        all.into_iter().map(one).collect()
    }

    fn read(table: &mut Table<'_>) -> Result<Self, ConfigError> {
        let policy = Self {
            via: table.required("via")?,
            onlink: table.or_default("onlink")?,
            metric: table.optional("metric")?,
        };
        table.finish()?;
        match policy.metric {
            Some(0) => Err(table.wrong("metric", NO_METRIC)),
            _ => Ok(policy),
        }
    }

    /// The default route by it.
    pub(crate) fn route(&self) -> RoutePolicy {
        let destination = match self.via {
            IpAddr::V4(_) => Ipv4Net::default().into(),
            IpAddr::V6(_) => Ipv6Net::default().into(),
        };
        let Self { via, onlink, metric } = *self;
        RoutePolicy { destination, via: Some(via), onlink, metric, table: None }
    }
}

const NO_METRIC: &str = "metric: expected 1 or more; without it the kernel's default";

impl RoutePolicy {
    pub(super) fn read(table: &mut Table<'_>) -> Result<Self, ConfigError> {
        let policy = Self {
            destination: table.required("destination")?,
            via: table.optional("via")?,
            onlink: table.or_default("onlink")?,
            metric: table.optional("metric")?,
            table: table.optional("table")?,
        };
        table.finish()?;
        match policy.contradiction() {
            Some((key, words)) => Err(table.wrong(key, words)),
            None => Ok(policy),
        }
    }

    fn contradiction(&self) -> Option<(&'static str, String)> {
        let Self { destination, via, onlink, metric, table } = self;
        let wrong = |key, words: String| Some((key, words));
        if destination.trunc() != *destination {
            let words = format!("{destination}: did you mean {}?", destination.trunc());
            return wrong("destination", words);
        }
        if destination.addr().is_multicast() {
            return wrong("destination", format!("{destination} is a multicast group"));
        }
        if via.is_some_and(|via| via.is_ipv4() && destination.addr().is_ipv6()) {
            return wrong("via", format!("an IPv4 router is no way to {destination}"));
        }
        if *onlink && via.is_none() {
            return wrong(
                "onlink",
                "onlink needs via: without it the destination is on the link".to_owned(),
            );
        }
        if *metric == Some(0) {
            return wrong("metric", NO_METRIC.to_owned());
        }
        if matches!(table, Some(0 | 255)) {
            return wrong("table", "expected a table of routes: 1 to 254, or above 255".to_owned());
        }
        None
    }

    /// Whether the kernel would take both for the same route.
    pub(super) fn clashes(&self, other: &Self) -> bool {
        let key = |one: &Self| (one.destination, one.metric, one.table.unwrap_or(254));
        key(self) == key(other)
    }
}

impl fmt::Display for RoutePolicy {
    /// `10.0.0.0/8 via 192.0.2.9 metric 100`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { destination, via, onlink, metric, table } = self;
        destination.fmt(f)?;
        via.map_or(Ok(()), |via| write!(f, " via {via}"))?;
        metric.map_or(Ok(()), |metric| write!(f, " metric {metric}"))?;
        table.map_or(Ok(()), |table| write!(f, " table {table}"))?;
        f.write_str(if *onlink { " onlink" } else { "" })
    }
}
