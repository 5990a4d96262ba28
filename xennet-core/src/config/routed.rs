use ipnet::IpNet;

use super::ConfigError;
use super::table::Table;
use crate::types::IfName;

/// What an administrator decides for guests that are reached by routes: `[[routed]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RoutedPolicy {
    /// The interface through which the guests reach the world.
    pub uplink: IfName,
    /// The host answers ARP for the guests on the uplink: `proxy_arp`.
    pub proxy_arp: bool,
    /// The host answers neighbour discovery for the guests on the uplink: `proxy_ndp`.
    pub proxy_ndp: bool,
    /// The networks that guests may have addresses in; empty for any.
    pub prefixes: Vec<IpNet>,
}

impl RoutedPolicy {
    /// Guests behind this uplink, for which its network has routes.
    pub fn new(uplink: IfName) -> Self {
        Self { uplink, proxy_arp: false, proxy_ndp: false, prefixes: Vec::new() }
    }

    pub(super) fn read(table: &mut Table<'_>) -> Result<Self, ConfigError> {
        let policy = Self {
            uplink: table.required("uplink")?,
            proxy_arp: table.or_default("proxy_arp")?,
            proxy_ndp: table.or_default("proxy_ndp")?,
            prefixes: table.or_default("prefixes")?,
        };
        table.finish()?;
        let uplink = &policy.uplink;
        for (n, prefix) in policy.prefixes.iter().enumerate() {
            if prefix.trunc() != *prefix {
                let words = format!("routed {uplink}: {prefix}: did you mean {}?", prefix.trunc());
                return Err(table.wrong("prefixes", words));
            }
            if let Some(other) = policy.prefixes.iter().take(n).find(|other| overlap(other, prefix))
            {
                let words = format!("routed {uplink}: {prefix} overlaps {other}");
                return Err(table.wrong("prefixes", words));
            }
        }
        Ok(policy)
    }
}

pub(crate) fn overlap(one: &IpNet, other: &IpNet) -> bool {
    one.contains(&other.trunc()) || other.contains(&one.trunc())
}
