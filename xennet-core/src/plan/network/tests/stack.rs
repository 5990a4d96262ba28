//! Bonds and VLAN interfaces below bridges.

use super::*;

const BOND: &str = "[[bond]]\nname = \"bond0\"\nports = [\"eth0\", \"eth1\"]\nprimary = \"eth0\"\n";

fn parse(text: &str) -> NetworkConfig {
    NetworkConfig::from_toml(text).unwrap()
}

/// Starts, checks that a second start has nothing to do, and returns the started network.
fn start(world: &NetworkSnapshot, config: &NetworkConfig) -> (NetworkSnapshot, Vec<String>) {
    let plan = world.start(config).unwrap();
    let record = world.record_with(config, &plan);
    let started = NetworkSnapshot { record: Some(record), ..world.after(plan.changes()) };
    assert_eq!(lines(&started.start(config).unwrap()), [""; 0], "the second start");
    (started, lines(&plan))
}

/// Stops, and checks that a second stop has nothing to do.
fn stop(started: &NetworkSnapshot, config: &NetworkConfig) -> (NetworkSnapshot, Vec<String>) {
    let plan = started.stop(config, false).unwrap();
    let stopped = started.after(plan.changes());
    assert_eq!(lines(&stopped.stop(config, false).unwrap()), [""; 0], "the second stop");
    (stopped, lines(&plan))
}

#[test]
fn port_with_the_hosts_addresses_joins_the_bond_last_and_leaves_it_first() {
    let world = with(&["192.0.2.2/24"], &[("0.0.0.0/0", "192.0.2.1")]);
    let config = parse(&format!(
        "{BOND}[[bridge]]\nname = \"xenbr0\"\nuplink = \"bond0\"\naddresses = \"inherit\"\n"
    ));
    let (started, plan) = start(&world, &config);
    let expected = [
        "link add bond0 address 02:00:00:00:00:02 mtu 1500 type bond mode active-backup miimon 100",
        "link set dev eth1 down",
        "link set dev eth1 master bond0",
        "link set dev bond0 up",
        "address add 192.0.2.2/24 dev bond0",
        "route replace default via 192.0.2.1 dev bond0",
        "address delete 192.0.2.2/24 dev eth0",
        "link set dev eth0 down",
        "link set dev eth0 master bond0",
        "link set dev bond0 type bond primary eth0",
    ];
    assert_eq!(plan.get(..expected.len()).unwrap(), expected);
    assert!(plan.contains(&"link set dev bond0 master xenbr0".to_owned()), "{plan:#?}");
    let (stopped, plan) = stop(&started, &config);
    let at = |line: &str| {
        plan.iter().position(|one| one == line).unwrap_or_else(|| panic!("{line}: {plan:#?}"))
    };
    assert!(at("link set dev eth0 nomaster") < at("address add 192.0.2.2/24 dev eth0"));
    assert!(at("link set dev eth0 up") < at("route replace default via 192.0.2.1 dev eth0"));
    assert!(at("link set dev eth1 up") < at("link delete dev bond0"));
    assert_eq!(plan.last().unwrap(), "link delete dev bond0");
    let eth0 = stopped.links.iter().find(|link| link.name.as_str() == "eth0").unwrap();
    assert_eq!(stopped.addresses(eth0).len(), 1);
    assert_eq!(stopped.links.len(), world.links.len());
}

#[test]
fn vlan_interfaces_are_made_before_their_bridges_and_deleted_after_them() {
    let world = with(&["192.0.2.2/24"], &[]);
    let config = parse(
        "[[bridge]]\nname = \"xenbr5\"\nuplink = \"eth1.5\"\naddresses = \"none\"\nmtu = 1600\n\
         [[bridge]]\nname = \"xenbr6\"\nuplink = \"eth1.6\"\naddresses = [\"10.0.0.1/24\"]\n",
    );
    let (started, plan) = start(&world, &config);
    let expected = [
        "link set dev eth1 mtu 1600",
        "link add eth1.5 link eth1 mtu 1600 type vlan protocol 802.1Q id 5",
        "link set dev eth1.5 up",
        "link add eth1.6 link eth1 type vlan protocol 802.1Q id 6",
        "link set dev eth1.6 up",
    ];
    assert_eq!(plan.get(..expected.len()).unwrap(), expected);
    let (_, plan) = stop(&started, &config);
    let last = plan.len() - 3;
    assert_eq!(
        plan.get(last..).unwrap(),
        ["link delete dev eth1.6", "link delete dev eth1.5", "link set dev eth1 mtu 1500"]
    );
}

#[test]
fn bond_that_another_program_deleted_is_made_again_with_the_recorded_addresses() {
    let world = with(&["192.0.2.2/24"], &[("0.0.0.0/0", "192.0.2.1")]);
    let config = parse(BOND);
    let (mut damaged, _) = start(&world, &config);
    let bond = damaged.link(&"bond0".parse().unwrap()).unwrap().reference();
    damaged = damaged.after(&[Change::LinkDelete { link: bond }]);
    let plan = lines(&damaged.start(&config).unwrap());
    for line in ["address add 192.0.2.2/24 dev bond0", "route add default via 192.0.2.1 dev bond0"]
    {
        assert!(plan.contains(&line.to_owned()), "{line}: {plan:#?}");
    }
    let plan = lines(&damaged.stop(&config, false).unwrap());
    for line in ["address add 192.0.2.2/24 dev eth0", "route add default via 192.0.2.1 dev eth0"] {
        assert!(plan.contains(&line.to_owned()), "{line}: {plan:#?}");
    }
}
