mod record;
mod stack;
pub(super) mod world;

use ipnet::IpNet;
use proptest::prelude::*;
use proptest::sample::subsequence;

use super::*;
use crate::config::HostAddresses;
use crate::types::{AddressFlags, BridgeInfo, NextHop, Route, Scope};
use world::{add_address, add_link, carry_out, plain};

/// A host with `eth0`, and what every kernel has.
fn empty() -> NetworkSnapshot {
    let mut world = NetworkSnapshot::default();
    for (family, key) in sysctls::FOLLOWING.into_iter().chain(forwarding::PROXY) {
        let value = if key.starts_with("accept") { "1" } else { "0" };
        world.sysctls.insert(Sysctl::default(family, key).unwrap(), value.to_owned());
    }
    for sysctl in forwarding::host() {
        let value = if sysctl.as_str().ends_with("redirects") { "1" } else { "0" };
        world.sysctls.insert(sysctl, value.to_owned());
    }
    add_link(&mut world, plain(2, "eth0"));
    add_link(&mut world, plain(3, "eth1"));
    world
}

fn with(addresses: &[&str], routes: &[(&str, &str)]) -> NetworkSnapshot {
    let mut world = empty();
    let eth0 = world.links[0].reference();
    for text in addresses {
        let (text, flag) = text.split_once(' ').unwrap_or((text, ""));
        let mut address = Address::new(text.parse().unwrap());
        if flag == "noprefixroute" {
            address.flags |= AddressFlags::NOPREFIXROUTE;
        }
        if text.starts_with("fe80") {
            address.scope = Scope::LINK;
        }
        add_address(&mut world, &eth0, &address);
    }
    for (n, (destination, via)) in routes.iter().enumerate() {
        let mut route = Route::new(destination.parse::<IpNet>().unwrap(), NextHop::link(0));
        route.hops[0].index = None;
        route.hops[0].via = via.parse().ok();
        route.metric = u32::try_from(n).ok().filter(|n| *n != 0);
        world.routes.push(HostRoute { route, links: vec![eth0.clone()] });
    }
    world
}

fn config(keys: &str) -> NetworkConfig {
    NetworkConfig::from_toml(&format!("[[bridge]]\nname = \"xenbr0\"\n{keys}\n")).unwrap()
}

fn inherit() -> NetworkConfig {
    config("uplink = \"eth0\"\naddresses = \"inherit\"")
}

fn lines(plan: &Plan) -> Vec<String> {
    plan.changes().iter().map(ToString::to_string).collect()
}

/// The routes, whether or not they say that their routers are on the link.
fn routes(world: &NetworkSnapshot) -> impl Iterator<Item = HostRoute> {
    world.routes.iter().cloned().map(|mut route| {
        route.route.hops.iter_mut().for_each(|hop| hop.onlink = false);
        route
    })
}

/// The world without what nobody can see: the order of routes, and the numbers of interfaces that come and go.
fn visible(world: &NetworkSnapshot) -> Vec<String> {
    let mut all: Vec<String> = routes(world).map(|route| format!("{route:?}")).collect();
    for link in &world.links {
        all.push(format!("{link:?} {:?}", world.neighbours(link)));
        let (v4, v6): (Vec<_>, Vec<_>) =
            world.addresses(link).iter().partition(|a| a.address.addr().is_ipv4());
        all.push(format!("{} {v4:?} {v6:?}", link.name));
    }
    all.extend(world.sysctls.iter().map(|(sysctl, value)| format!("{sysctl}={value}")));
    all.sort();
    all
}

#[test]
fn the_hosts_addresses_go_to_a_new_bridge() {
    let world = with(
        &["192.0.2.2/24", "192.0.2.3/24", "fe80::2/64", "2001:db8::2/64"],
        &[("0.0.0.0/0", "192.0.2.1"), ("10.0.0.0/8", "")],
    );
    assert_eq!(
        lines(&world.start(&inherit()).unwrap()),
        [
            "link add xenbr0 address 02:00:00:00:00:02 mtu 1501 type bridge stp_state 0 forward_delay 0 \
             ageing_time 30000 group_fwd_mask 0 mcast_snooping 1",
            "link set dev xenbr0 mtu 1500",
            "link set dev eth0 master xenbr0",
            "link set dev xenbr0 up",
            "address add 192.0.2.2/24 dev xenbr0",
            "address add 192.0.2.3/24 dev xenbr0",
            "address add fe80::2/64 dev xenbr0",
            "address add 2001:db8::2/64 dev xenbr0",
            "route replace 10.0.0.0/8 dev xenbr0 metric 1",
            "route replace default via 192.0.2.1 dev xenbr0",
            "address change fe80::2/64 dev xenbr0",
            "address change 2001:db8::2/64 dev xenbr0",
            "address delete 192.0.2.3/24 dev eth0",
            "address delete 192.0.2.2/24 dev eth0",
            "address delete 2001:db8::2/64 dev eth0",
            "address delete fe80::2/64 dev eth0",
            "link set dev eth0 addrgenmode none",
            "sysctl -w net/ipv6/conf/eth0/disable_ipv6=1",
        ]
    );
}

#[test]
fn what_a_router_told_is_told_again() {
    let mut world = with(&["fe80::2/64"], &[]);
    let mut learnt = Route::new("::/0".parse().unwrap(), NextHop::link(0));
    learnt.hops[0] = NextHop::via("fe80::1".parse().unwrap(), 0);
    learnt.hops[0].index = None;
    (learnt.protocol, learnt.metric, learnt.expires) = (9, Some(1024), Some(600));
    let eth0 = world.links[0].reference();
    for router in ["fe80::1", "fe80::9"] {
        learnt.hops[0].via = router.parse().ok();
        world.routes.push(HostRoute { route: learnt.clone(), links: vec![eth0.clone()] });
    }
    let mut config = inherit();
    config.forwarding.ipv6 = Some(true);
    let said = lines(&world.start(&config).unwrap());
    for line in [
        // A host that forwards learns nothing more, unless it is told to.
        "sysctl -w net/ipv6/conf/xenbr0/accept_ra=2",
        "route add ::/0 via fe80::1 dev xenbr0 metric 1025 expires 600",
        "route add ::/0 via fe80::9 dev xenbr0 metric 1026 expires 600",
        "route delete ::/0 via fe80::1 dev eth0 metric 1024 expires 600",
        "sysctl -w net/ipv6/conf/all/forwarding=1",
    ] {
        assert!(said.contains(&line.to_owned()), "{line:?} is not in {said:#?}");
    }
}

#[test]
fn what_cannot_be_copied_is_not_moved() {
    let mut world = with(&["192.0.2.2/24"], &[("10.0.0.0/8", "192.0.2.1")]);
    world.routes.last_mut().unwrap().route.unknown.push(22);
    let error = world.start(&inherit()).unwrap_err();
    assert_eq!(error.errno(), libc::EOPNOTSUPP);
    assert!(
        error
            .to_string()
            .starts_with("route 10.0.0.0/8 via 192.0.2.1 dev eth0: has unknown properties")
    );
    // With given addresses it is not needed.
    world.start(&config("uplink = \"eth0\"\naddresses = [\"192.0.2.2/24\"]")).unwrap_err();
}

#[test]
fn a_bridge_that_is_forgotten_is_told_of_and_another_uplink_refused() {
    let mut world = with(&["192.0.2.2/24"], &[]);
    let plan = world.start(&inherit()).unwrap();
    world.record = Some(world.record_with(&inherit(), &plan));
    let other = config("uplink = \"eth1\"\naddresses = \"inherit\"");
    let error = world.start(&other).unwrap_err().to_string();
    assert!(error.contains("has the uplink eth0, and eth1 in xennet.toml"), "{error}");
    let forgotten = NetworkConfig::from_toml("[[bridge]]\nname = \"b\"").unwrap();
    let error = world.start(&forgotten).unwrap_err().to_string();
    assert!(error.contains("`xennet network stop` restores them on eth0"), "{error}");
    let world = world.after(plan.changes());
    let warnings = world.start(&forgotten).unwrap().warnings().to_vec();
    assert_eq!(warnings, [Warning::Host(HostWarning::Forgotten("xenbr0".parse().unwrap()))]);
}

fn any_world() -> impl Strategy<Value = NetworkSnapshot> {
    let addresses = vec![
        "192.0.2.2/24",
        "192.0.2.3/24",
        "198.51.100.2/24",
        "10.9.0.1/32 noprefixroute",
        "fe80::2/64",
        "2001:db8::2/64",
        "2001:db8::3/64",
        "2001:db8:5::1/64 noprefixroute",
    ];
    let routes = vec![
        ("0.0.0.0/0", "192.0.2.1"),
        ("10.0.0.0/8", ""),
        ("10.1.0.0/16", "198.51.100.1"),
        ("::/0", "fe80::1"),
        ("2001:db8:a::/48", ""),
    ];
    let bridge = (any::<bool>(), any::<bool>(), 0u32..3, any::<bool>());
    (
        subsequence(addresses, 0..=8),
        subsequence(routes, 0..=5),
        proptest::option::of(bridge),
        any::<bool>(),
    )
        .prop_map(|(addresses, mut routes, bridge, off)| {
            let has = |family: fn(&IpNet) -> bool| {
                let mut all = addresses.iter().map(|text| text.split(' ').next().unwrap());
                all.any(|text| family(&text.parse().unwrap()))
            };
            let (v4, v6) = (has(|net| net.addr().is_ipv4()), has(|net| net.addr().is_ipv6()));
            // A kernel has no routes by an interface without addresses.
            routes.retain(|(to, _)| if to.contains(':') { v6 } else { v4 });
            let mut world = with(&addresses, &routes);
            if let Some((up, stp, delay, own)) = bridge {
                let mut link = plain(4, "xenbr0");
                (link.kind, link.up) = (Some("bridge".into()), up);
                let info = BridgeInfo { stp, forward_delay: delay * 1000, ..BridgeInfo::default() };
                link.bridge = Some(info);
                let reference = link.reference();
                add_link(&mut world, link);
                if own && up {
                    add_address(
                        &mut world,
                        &reference,
                        &Address::new("10.77.0.1/24".parse().unwrap()),
                    );
                }
            }
            if off && !v6 {
                let sysctl = Sysctl::link(Family::V6, &"eth0".parse().unwrap(), "disable_ipv6");
                world.sysctls.insert(sysctl.unwrap(), "1".to_owned());
            }
            world
        })
}

fn any_config() -> impl Strategy<Value = NetworkConfig> {
    let addresses = prop_oneof![
        3 => Just("addresses = \"inherit\""),
        1 => Just("addresses = [\"192.0.2.2/24\"]\ngateways = [\"192.0.2.1\"]"),
        1 => Just("addresses = \"none\""),
    ];
    let keys = vec![
        "stp = false",
        "forward_delay = 0",
        "mtu = 9000",
        "ageing = 20",
        "multicast_snooping = true",
    ];
    (addresses, subsequence(keys, 0..=5), any::<bool>()).prop_map(|(addresses, keys, forwards)| {
        let more = if forwards { "[forwarding]\nipv4 = true\nipv6 = true" } else { "" };
        config(&format!("uplink = \"eth0\"\n{addresses}\n{}\n{more}", keys.join("\n")))
    })
}

/// Every address of the host is on some interface, as far as it is to be kept.
fn reachable(world: &NetworkSnapshot, wanted: &[IpNet]) -> bool {
    let has = |net: &IpNet| world.addresses.values().flatten().any(|one| one.address == *net);
    wanted.iter().all(has)
}

fn carry_out_all(world: &mut NetworkSnapshot, plan: &Plan) {
    for change in plan.changes() {
        carry_out(world, change);
    }
}

/// The host's addresses and routes, as `ip` shows them.
fn host(world: &NetworkSnapshot) -> BTreeSet<String> {
    let mut all: BTreeSet<String> = routes(world).map(|route| route.to_string()).collect();
    for link in &world.links {
        let addresses = world.addresses(link).iter();
        all.extend(addresses.map(|address| format!("{} {address} {:?}", link.name, address.flags)));
        all.insert(format!("{} {} {:?}", link.name, link.up, link.addr_gen_mode));
    }
    all
}

/// What an administrator or another program does to a started network.
fn damage(world: &mut NetworkSnapshot, which: usize) {
    let Some(bridge) = world.link(&"xenbr0".parse().unwrap()).cloned() else { return };
    let reference = bridge.reference();
    match which {
        0 => carry_out(world, &Change::LinkDelete { link: reference }),
        1 => world.links[0].master = None,
        2 => {
            for address in world.addresses(&bridge).to_vec() {
                if world.addresses(&bridge).contains(&address) {
                    let link = reference.clone();
                    carry_out(world, &Change::AddressDelete { link, address });
                }
            }
        }
        3 => world.routes.retain(|route| route.route.destination.prefix_len() != 0),
        // Another program configures the uplink again.
        _ => {
            let record = world.record.clone().unwrap().bridges[0].of_uplink.clone();
            let first = record.addresses.iter().find(|address| address.address.addr().is_ipv4());
            let eth0 = world.links[0].clone();
            let (Some(address), []) = (first, world.addresses(&eth0)) else { return };
            add_address(world, &eth0.reference(), address);
            let is_default = |one: &&HostRoute| one.to_string().starts_with("default");
            world.routes.extend(record.routes.iter().find(is_default).cloned());
        }
    }
}

proptest! {
    #[test]
    fn from_any_network_to_the_configured_one_and_back(
        before in any_world(), config in any_config(), cut in any::<prop::sample::Index>(),
    ) {
        let plan = before.start(&config).unwrap();
        let record = before.record_with(&config, &plan);
        let inherits = config.bridges[0].addresses == Some(HostAddresses::Inherit);
        let hosts: Vec<IpNet> = before.addresses.values().flatten().map(|one| one.address).collect();
        let defaults = |world: &NetworkSnapshot| {
            world.routes.iter().filter(|route| route.route.destination.prefix_len() == 0).count()
        };
        let mut world = before.clone();
        for change in plan.changes() {
            carry_out(&mut world, change);
            if inherits {
                prop_assert!(reachable(&world, &hosts), "{change}: the host has lost an address");
                prop_assert_eq!(defaults(&world), defaults(&before), "{}", change);
            }
        }
        world.record = Some(record.clone());
        prop_assert_eq!(lines(&world.start(&config).unwrap()), [""; 0]);
        let started = visible(&world);

        // Taken back by undoing each change.
        let mut undone = world.clone();
        for change in plan.changes().iter().rev().filter_map(Change::undo) {
            carry_out(&mut undone, &change);
        }
        prop_assert_eq!(visible(&undone), visible(&before));

        // Given back.
        let stop = world.stop(&config, false).unwrap();
        for change in stop.changes() {
            carry_out(&mut world, change);
            prop_assert!(!inherits || reachable(&world, &hosts), "{change}: the host has lost an address");
        }
        prop_assert_eq!(visible(&world), visible(&before), "{:#?}", lines(&stop));

        // Ended midway, and then taken up again or given back.
        let mut midway = before.clone();
        for change in &plan.changes()[..cut.index(plan.changes().len() + 1)] {
            carry_out(&mut midway, change);
        }
        midway.record = Some(record);
        let mut back = midway.clone();
        for change in back.stop(&config, false).unwrap().changes() {
            carry_out(&mut back, change);
        }
        prop_assert_eq!(visible(&back), visible(&before));
        for change in midway.start(&config).unwrap().changes() {
            carry_out(&mut midway, change);
        }
        prop_assert_eq!(visible(&midway), started);
    }

    #[test]
    fn start_and_stop_after_damage_restore_the_host(
        before in any_world(), damages in prop::collection::vec(0..5usize, 1..4),
    ) {
        prop_assume!(before.link(&"xenbr0".parse().unwrap()).is_none());
        let config = inherit();
        let plan = before.start(&config).unwrap();
        let mut world = before.clone();
        carry_out_all(&mut world, &plan);
        world.record = Some(before.record_with(&config, &plan));
        let started = host(&world);
        for which in damages {
            damage(&mut world, which);
        }

        let start = world.start(&config).unwrap();
        let mut repaired = world.clone();
        carry_out_all(&mut repaired, &start);
        prop_assert_eq!(host(&repaired), started, "{:#?}", lines(&start));
        prop_assert_eq!(lines(&repaired.start(&config).unwrap()), [""; 0]);

        // On trial: to roll back gives the uplink everything, unless the start had nothing to do.
        let mut rolled_back = repaired.clone();
        rolled_back.record = Some(world.record_of(&config, &start));
        let roll_back = rolled_back.roll_back().unwrap();
        carry_out_all(&mut rolled_back, &roll_back);
        if !start.is_empty() {
            prop_assert_eq!(host(&rolled_back), host(&before), "{:#?}", lines(&roll_back));
        }

        for force in [false, true] {
            let mut stopped = world.clone();
            let stop = stopped.stop(&config, force).unwrap();
            carry_out_all(&mut stopped, &stop);
            prop_assert_eq!(host(&stopped), host(&before), "{:#?}", lines(&stop));
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_written(before in any_world(), config in any_config()) {
        let record = before.record_with(&config, &before.start(&config).unwrap());
        let text = serde_json::to_string(&record).unwrap();
        prop_assert_eq!(serde_json::from_str::<NetworkRecord>(&text).unwrap(), record);
    }
}
