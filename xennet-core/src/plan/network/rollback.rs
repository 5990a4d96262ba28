//! One start taken back, whatever was before it; and whom the host must still reach after it.

use std::net::IpAddr;

use super::hosts::is_damaged;
use super::{NetworkRecord, NetworkSnapshot, stop};
use crate::config::NetworkConfig;
use crate::plan::{Plan, PlanError};
use crate::types::{LinkRef, Route, RouteKind};

/// A router that a default route leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gateway {
    /// Its address.
    pub address: IpAddr,
    /// The interface behind which it is.
    pub link: LinkRef,
}

impl NetworkSnapshot {
    /// The routers that the main table's default routes lead to, IPv4 and IPv6.
    pub fn gateways(&self) -> Vec<Gateway> {
        let mut all = Vec::new();
        for route in &self.routes {
            let Route { destination, kind, table, hops, .. } = &route.route;
            if (destination.prefix_len(), *kind, *table) != (0, RouteKind::Unicast, Route::MAIN) {
                continue;
            }
            for (hop, link) in hops.iter().zip(&route.links) {
                let gateway = hop.via.map(|address| Gateway { address, link: link.clone() });
                all.extend(gateway.filter(|gateway| !all.contains(gateway)));
            }
        }
        all
    }

    /// What a plan is about to change, and only that: what [`roll_back`](Self::roll_back) needs to undo it.
    ///
    /// To roll back to a host that has lost its addresses would cut it off. So a damaged bridge keeps its record, and to
    /// roll back gives its uplink everything.
    pub fn record_of(&self, config: &NetworkConfig, plan: &Plan) -> NetworkRecord {
        let config = &*self.resolve(config);
        let damaged = self.record.as_ref().map(|record| {
            record.of_bridges(|bridge| {
                let policies = config.all_bridges();
                let policy = policies.iter().find(|policy| policy.name == bridge.name);
                policy.is_some_and(|policy| is_damaged(policy, self))
            })
        });
        let record = Self { record: damaged, ..self.clone() }.record_with(config, plan);
        NetworkRecord { nat: self.nat.before(), ..record }
    }

    /// What takes a single start back, given in [`record`](Self::record) what [`record_of`](Self::record_of) said just
    /// before it: as much of it as was done, whatever happened since.
    ///
    /// A bridge that it made goes with whatever ports it has got since.
    pub fn roll_back(&self) -> Result<Plan, PlanError> {
        stop::plan(&NetworkConfig::default(), self, true, true)
    }
}
