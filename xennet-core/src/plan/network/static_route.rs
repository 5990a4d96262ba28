//! The host's routes of the configuration.

use super::routes::STATIC;
use crate::config::{BridgePolicy, GatewayPolicy, RoutePolicy};
use crate::plan::HostRoute;
use crate::types::{LinkRef, NextHop, Route};

/// The routes by a bridge: the default routes, and the others.
pub(super) fn static_routes(policy: &BridgePolicy, bridge: &LinkRef) -> Vec<HostRoute> {
    let gateways = policy.gateways.iter().map(GatewayPolicy::route);
    gateways.chain(policy.routes.iter().copied()).map(|route| host_route(&route, bridge)).collect()
}

fn host_route(policy: &RoutePolicy, bridge: &LinkRef) -> HostRoute {
    let mut hop = NextHop::link(0);
    (hop.via, hop.index, hop.onlink) = (policy.via, None, policy.onlink);
    let mut route = Route::new(policy.destination, hop);
    route.protocol = STATIC;
    // IPv6's own default, which the kernel would report.
    let default = policy.destination.addr().is_ipv6().then_some(1024);
    route.metric = policy.metric.or(default);
    route.table = policy.table.unwrap_or(Route::MAIN);
    HostRoute { route, links: vec![bridge.clone()] }
}
