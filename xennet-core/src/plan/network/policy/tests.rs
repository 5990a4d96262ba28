use super::*;
use crate::plan::HostRoute;
use crate::types::{LinkRef, NextHop};

const NAT: &str = "[[nat]]\nname = \"n\"\nbridge = \"xennat0\"\nsubnets = [\"10.7.0.1/24\"]\n";

fn route(destination: &str, link: &str, table: u32) -> HostRoute {
    let mut route = Route::new(destination.parse().unwrap(), NextHop::link(0));
    (route.table, route.hops[0].index) = (table, None);
    HostRoute { route, links: vec![LinkRef { index: None, name: link.parse().unwrap() }] }
}

fn rule(priority: u32, action: PolicyAction) -> PolicyRule {
    PolicyRule::new(Family::V4, priority, action)
}

fn lookup(priority: u32, table: u32) -> PolicyRule {
    rule(priority, PolicyAction::Lookup(table))
}

fn net(text: &str) -> Option<IpNet> {
    text.parse().ok()
}

/// A host whose table 100 leads into a private network, with these rules among those of every kernel.
fn host(rules: Vec<PolicyRule>) -> NetworkSnapshot {
    let mut seen = NetworkSnapshot::default();
    seen.links.push(crate::plan::network::tests::world::plain(2, "eth0"));
    seen.routes = vec![
        route("0.0.0.0/0", "eth0", Route::MAIN),
        route("0.0.0.0/0", "wg0", 100),
        route("198.51.100.0/24", "eth0", 101),
    ];
    seen.policy_rules = rules;
    seen.policy_rules.extend([lookup(0, 255), lookup(32_766, Route::MAIN), lookup(32_767, 253)]);
    seen.policy_rules.sort_by_key(|rule| rule.priority);
    seen
}

fn warnings(seen: &NetworkSnapshot, keys: &str) -> Vec<String> {
    let config = NetworkConfig::from_toml(&format!("{NAT}{keys}")).unwrap();
    let mut plan = Plan::default();
    warn(&mut plan, &config, seen);
    plan.warnings.iter().map(ToString::to_string).collect()
}

const FROM_SUBNET: &str = "nat n: packets to its guests (10.7.0.0/24) leave by wg0, because of policy rule \
     100: from 10.7.0.0/16 lookup 100: add a rule before it, `ip rule add to 10.7.0.0/24 lookup main priority 99`";

#[test]
fn rules_that_do_not_catch_guests_give_no_warning() {
    assert_eq!(warnings(&host(vec![]), ""), [""; 0]);
    let other = PolicyRule { from: net("192.0.2.0/24"), ..lookup(100, 100) };
    assert_eq!(warnings(&host(vec![other]), ""), [""; 0]);
    // No route of this table is for guests, or for the world.
    assert_eq!(warnings(&host(vec![lookup(100, 101)]), ""), [""; 0]);
    let marked = PolicyRule { fwmark: Some(7), ..lookup(100, 100) };
    let partial = PolicyRule { is_partial: true, ..lookup(100, 100) };
    let bound = PolicyRule { oif: Some("eth0".into()), ..lookup(100, 100) };
    assert_eq!(warnings(&host(vec![marked, partial, bound]), ""), [""; 0]);
    let v6 = PolicyRule { family: Family::V6, ..lookup(100, 100) };
    assert_eq!(warnings(&host(vec![v6]), ""), [""; 0]);
}

#[test]
fn rules_that_send_packets_to_guests_elsewhere_are_named() {
    let from = PolicyRule { from: net("10.7.0.0/16"), ..lookup(100, 100) };
    assert_eq!(warnings(&host(vec![from.clone()]), ""), [FROM_SUBNET]);
    let to = PolicyRule { to: net("10.7.0.128/25"), ..lookup(100, 100) };
    assert_eq!(warnings(&host(vec![to.clone()]), "").len(), 1);
    let returning = PolicyRule { iif: Some("eth0".into()), ..lookup(100, 100) };
    assert_eq!(warnings(&host(vec![returning]), "uplink = \"eth0\"").len(), 1);
    let dropped = PolicyRule { to: net("10.0.0.0/8"), ..rule(100, PolicyAction::Drop) };
    let said = warnings(&host(vec![dropped]), "");
    assert!(said[0].contains("(10.7.0.0/24) are dropped, because of policy rule 100:"), "{said:?}");
    // A rule before it takes them to the main table.
    let exception = PolicyRule { to: net("10.7.0.0/24"), ..lookup(99, Route::MAIN) };
    assert_eq!(warnings(&host(vec![exception, from.clone()]), ""), [""; 0]);
    let jump = rule(50, PolicyAction::Goto(32_766));
    assert_eq!(warnings(&host(vec![jump, from.clone()]), ""), [""; 0]);
    // Its table has a route to them.
    let mut routed = host(vec![from]);
    routed.routes.push(route("10.7.0.0/24", "xennat0", 100));
    assert_eq!(warnings(&routed, ""), [""; 0]);
}

#[test]
fn packets_that_leave_by_another_uplink_are_named() {
    // As wg-quick does.
    let quick = || {
        let suppress = PolicyRule { suppress_prefixlength: Some(0), ..lookup(100, Route::MAIN) };
        let marked = PolicyRule { fwmark: Some(51820), is_inverted: true, ..lookup(101, 100) };
        host(vec![suppress, marked])
    };
    assert_eq!(warnings(&quick(), ""), [""; 0], "wg0 translates as well");
    assert_eq!(
        warnings(&quick(), "uplink = \"eth0\""),
        [
            "nat n: packets from its guests (10.7.0.0/24) leave by wg0, because of policy rule 101: not from all fwmark \
          0xca6c lookup 100, not by its uplink eth0, so that they keep their addresses and get no answer: correct uplink \
          in xennet.toml, or leave it out"
        ]
    );
    let mut split = host(vec![]);
    split.routes.extend([route("0.0.0.0/1", "tun0", 254), route("128.0.0.0/1", "tun0", 254)]);
    let said = warnings(&split, "uplink = \"eth0\"");
    assert!(said[0].contains("leave by tun0, not by its uplink eth0"), "{said:?}");
    let bridge = "uplink = \"xenbr0\"\n[[bridge]]\nname = \"xenbr0\"\nuplink = \"eth0\"\naddresses = \"inherit\"";
    assert_eq!(warnings(&host(vec![]), bridge), [""; 0], "the route moves to xenbr0");
    let mut killed = quick();
    killed.routes.retain(|route| route.route.table != 100);
    let mut dead = Route::new("0.0.0.0/0".parse().unwrap(), NextHop::link(0));
    (dead.table, dead.kind) = (100, RouteKind::Blackhole);
    dead.hops.clear();
    killed.dead_ends.push(dead.clone());
    let said = warnings(&killed, "");
    assert!(
        said[0].contains(
            "packets from its guests (10.7.0.0/24) are dropped, because of policy rule 101"
        ),
        "{said:?}"
    );
    killed.dead_ends[0].kind = RouteKind::Throw;
    assert_eq!(warnings(&killed, ""), [""; 0]);
}

#[test]
fn part_of_a_split_default_is_no_network() {
    for text in ["0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1", "2000::/3"] {
        assert!(is_default(&text.parse().unwrap()), "{text}");
    }
    for text in ["10.0.0.0/8", "fc00::/7", "2001:db8::/32"] {
        assert!(!is_default(&text.parse().unwrap()), "{text}");
    }
}
