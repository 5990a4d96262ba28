use super::*;

/// What `eth0` had 100 seconds ago: a static address, a lease of `valid` seconds, and a route that needs each.
fn recorded(valid: u32) -> BridgeRecord {
    let mut world = with(
        &["192.0.2.2/24", "198.51.100.2/24"],
        &[("10.0.0.0/8", "192.0.2.1"), ("0.0.0.0/0", "198.51.100.1")],
    );
    let eth0 = world.links[0].index;
    let lease = &mut world.addresses.get_mut(&eth0).unwrap()[1];
    (lease.valid, lease.preferred) = (Some(valid), Some(valid / 2));
    let mut record = NetworkRecord::default();
    record.add(&inherit(), &Plan::default(), &world, &world);
    record.bridges.remove(0)
}

#[test]
fn recorded_lease_and_what_needs_it_end_with_its_time() {
    let later = |valid| recorded(valid).uplink_at(Duration::from_secs(100));
    let alive = later(160);
    assert_eq!(alive.addresses.len(), 2);
    assert_eq!((alive.addresses[1].valid, alive.addresses[1].preferred), (Some(60), Some(0)));
    assert_eq!(alive.routes.len(), recorded(160).of_uplink.routes.len());

    let expired = later(100);
    assert_eq!(expired.addresses, [recorded(100).of_uplink.addresses[0].clone()]);
    let destinations = expired.routes.iter().map(|route| route.route.destination.to_string());
    let destinations: Vec<_> = destinations.collect();
    assert!(destinations.contains(&"10.0.0.0/8".to_owned()), "{destinations:?}");
    assert!(!destinations.contains(&"0.0.0.0/0".to_owned()), "{destinations:?}");
}

#[test]
fn record_of_an_earlier_version_is_read() {
    let mut record = NetworkRecord::default();
    record.bridges.push(recorded(100));
    let mut value = serde_json::to_value(&record).unwrap();
    let top = value.as_object_mut().unwrap();
    for key in ["bonds", "vlans", "nat"] {
        top.remove(key).unwrap();
    }
    let bridge = top["bridges"][0].as_object_mut().unwrap();
    bridge.remove("at").unwrap();
    bridge.remove("vxlan").unwrap();
    for host in ["of_bridge", "of_uplink"] {
        bridge[host].as_object_mut().unwrap().remove("sysctls").unwrap();
    }
    let read: NetworkRecord = serde_json::from_value(value).unwrap();
    let host = &read.bridges[0].of_uplink;
    assert_eq!(host.addresses, record.bridges[0].of_uplink.addresses);
    assert_eq!(host.routes, record.bridges[0].of_uplink.routes);
    assert!(host.sysctls.is_empty());
}
