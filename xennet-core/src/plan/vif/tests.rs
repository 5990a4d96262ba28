use proptest::prelude::*;

use super::link::IPV6_MIN_MTU;
use super::*;
use crate::types::{AddrGenMode, BridgeInfo, MacAddr, PortFlags, PortState, VifId, VlanId};

const ID: VifId = VifId { domid: 3, devid: 0 };

pub(super) fn target(device: Device) -> VifTarget {
    VifTarget::new(ID, device).unwrap()
}

pub(super) fn config(keys: &[(&str, &str)]) -> VifConfig {
    let mut config = VifConfig::default();
    for (key, value) in keys {
        config.set(key, value.as_bytes()).unwrap();
    }
    config
}

pub(super) fn link(index: u32, name: &str) -> Link {
    Link {
        index,
        name: name.parse().unwrap(),
        mac: Some(MacAddr::VIF),
        permanent_mac: None,
        altnames: Vec::new(),
        mtu: 1500,
        up: false,
        carrier: false,
        master: None,
        port_state: None,
        kind: None,
        lower: None,
        bond: None,
        vlan: None,
        bridge: None,
        vxlan: None,
        alias: None,
        parent: None,
        addr_gen_mode: Some(AddrGenMode::Eui64),
        token: None,
    }
}

/// A bridge whose MTU is on record.
pub(super) fn bridge(index: u32, name: &str) -> Link {
    Link {
        alias: Some("xennet mtu 1500".into()),
        kind: Some("bridge".into()),
        bridge: Some(BridgeInfo::default()),
        up: true,
        ..link(index, name)
    }
}

/// As netback and libxl leave it: the interface is down, and XenStore waits for a status.
pub(super) fn fresh() -> VifSnapshot {
    VifSnapshot {
        link: Some(link(7, "vif3.0")),
        bridges: vec![bridge(2, "xenbr0")],
        store: Some(VifStore {
            hotplug_status: Some(Vec::new()),
            frontend_mtu: Some(b"1500".to_vec()),
            ..VifStore::default()
        }),
        ..VifSnapshot::default()
    }
}

pub(super) fn lines(plan: &Plan) -> Vec<String> {
    plan.changes().iter().map(ToString::to_string).collect()
}

#[test]
fn a_fresh_vif() {
    let plan = target(Device::Vif).online(&config(&[("bridge", "xenbr0")]), &fresh()).unwrap();
    assert_eq!(
        lines(&plan),
        [
            "link set dev vif3.0 addrgenmode none",
            "link set dev vif3.0 master xenbr0",
            "link set dev vif3.0 up",
            "xenstore-write backend/vif/3/0/hotplug-status connected",
        ]
    );
}

#[test]
fn everything_at_once_in_the_order_that_fails_closed() {
    let mut facts = fresh();
    facts.link = Some(Link {
        up: true,
        mac: Some("02:00:00:00:00:01".parse().unwrap()),
        ..link(7, "vif3.0")
    });
    facts.addresses = vec![Address::new("192.0.2.7/24".parse().unwrap())];
    facts.hooks = vec!["/etc/xen/scripts/vif-post.d/10-log.hook".into()];
    facts.store.as_mut().unwrap().hotplug_error = Some(b"old".to_vec());
    let config = config(&[
        ("bridge", "xenbr0"),
        ("vifname", "web"),
        ("mtu", "9000"),
        ("frontend", "/local/domain/3/device/vif/0"),
    ]);
    let plan = target(Device::Vif).online(&config, &facts).unwrap();
    assert_eq!(
        lines(&plan),
        [
            "address delete 192.0.2.7/24 dev vif3.0",
            "link set dev vif3.0 down",
            "link set dev vif3.0 name web alias \"vif3.0\"",
            "link set dev web address fe:ff:ff:ff:ff:ff",
            "link set dev web addrgenmode none",
            "link set dev web mtu 9000",
            "link set dev web master xenbr0",
            "link set dev web up",
            "run /etc/xen/scripts/vif-post.d/10-log.hook",
            "xenstore-write /local/domain/3/device/vif/0/mtu 9000",
            "xenstore-rm backend/vif/3/0/hotplug-error",
            "xenstore-write backend/vif/3/0/hotplug-status connected",
        ]
    );
}

#[test]
fn a_tap_is_a_port_too_and_leaves_the_talking_to_its_vif() {
    let mut facts = fresh();
    facts.link =
        Some(Link { mac: Some("02:00:00:00:00:01".parse().unwrap()), ..link(8, "vif3.0-emu") });
    let config = config(&[
        ("bridge", "xenbr0"),
        ("vifname", "web"),
        ("frontend", "/local/domain/3/device/vif/0"),
    ]);
    let plan = target(Device::Tap).online(&config, &facts).unwrap();
    assert_eq!(
        lines(&plan).first().unwrap(),
        "link set dev vif3.0-emu name web-emu alias \"vif3.0-emu\""
    );
    assert_eq!(lines(&plan).last().unwrap(), "link set dev web-emu up");
}

#[test]
fn a_new_mtu_alone_does_not_take_the_guest_off_the_network() {
    let mut facts = fresh();
    facts.link = Some(Link {
        up: true,
        master: Some(2),
        addr_gen_mode: Some(AddrGenMode::None),
        ..link(7, "vif3.0")
    });
    facts.store = None;
    let plan = target(Device::Vif)
        .online(&config(&[("bridge", "xenbr0"), ("mtu", "1400")]), &facts)
        .unwrap();
    assert_eq!(lines(&plan), ["link set dev vif3.0 mtu 1400"]);
}

#[test]
fn ipv6_switched_off_in_the_kernel_is_no_obstacle() {
    let mut facts = fresh();
    facts.link = Some(Link { addr_gen_mode: None, ..link(7, "vif3.0") });
    let plan = target(Device::Vif).online(&config(&[("bridge", "xenbr0")]), &facts).unwrap();
    assert!(lines(&plan).iter().all(|line| !line.contains("addrgenmode")), "{plan}");
}

#[test]
fn which_bridge_is_meant() {
    let choose = |key: &[(&str, &str)], bridges: Vec<Link>| {
        let facts = VifSnapshot { bridges, ..fresh() };
        target(Device::Vif)
            .online(&config(key), &facts)
            .map(|plan| plan.to_string())
            .map_err(|error| error.to_string())
    };
    let with = |result: Result<String, String>, text: &str| {
        let shown = result.unwrap_or_else(|error| error);
        assert!(shown.contains(text), "{shown:?} has no {text:?}");
    };
    with(choose(&[], vec![bridge(2, "br-lan")]), "master br-lan");
    with(choose(&[], vec![]), "bridge: none is set and there is none here; create one with");
    with(
        choose(&[], vec![bridge(2, "a"), bridge(3, "b")]),
        "there are several (a, b); set bridge=",
    );
    with(
        choose(&[("bridge", "xenbr9")], vec![]),
        "bridge xenbr9: no such interface; create it with",
    );
    with(
        choose(&[("bridge", "eth0")], vec![link(2, "eth0")]),
        "bridge eth0: is an interface, not a Linux bridge",
    );
    // Of long ago: the bridge is called eth0, and guests ask for xenbr0.
    with(choose(&[("bridge", "xenbr0")], vec![bridge(2, "eth0")]), "master eth0");
    with(
        choose(&[("bridge", "xenbr0")], vec![link(2, "eth0")]),
        "bridge xenbr0: no such interface",
    );
    assert_eq!(
        target(Device::Vif).bridge_names(&config(&[("bridge", "xenbr7")])).unwrap().len(),
        2
    );
    assert_eq!(target(Device::Vif).bridge_names(&config(&[("bridge", "br7")])).unwrap().len(), 1);
}

#[test]
fn vlans_on_a_bridge_that_does_not_separate_them_are_refused() {
    let error = target(Device::Vif)
        .online(&config(&[("bridge", "xenbr0"), ("vlan", "10")]), &fresh())
        .unwrap_err();
    assert!(
        error.to_string().contains("ip link set dev xenbr0 type bridge vlan_filtering 1"),
        "{error}"
    );
}

#[test]
fn a_vlan_aware_bridge_gets_the_vlans_before_the_port_is_up() {
    let mut aware = bridge(2, "xenbr0");
    let settings = aware.bridge.as_mut().unwrap();
    settings.vlan_filtering = true;
    settings.vlan_default_pvid = VlanId::new(1).ok();
    let mut facts = VifSnapshot { bridges: vec![aware], store: None, ..fresh() };
    let config = config(&[("bridge", "xenbr0"), ("vlan", "10p/20-30")]);
    let plan = target(Device::Vif).online(&config, &facts).unwrap();
    assert_eq!(
        lines(&plan),
        [
            "link set dev vif3.0 addrgenmode none",
            "link set dev vif3.0 master xenbr0",
            "vlan add dev vif3.0 vid 10 pvid untagged",
            "vlan add dev vif3.0 vid 20-30",
            "vlan del dev vif3.0 vid 1",
            "link set dev vif3.0 up",
        ]
    );
    // A running guest's VLANs are changed in place.
    facts.link = Some(Link {
        up: true,
        master: Some(2),
        addr_gen_mode: Some(AddrGenMode::None),
        ..link(7, "vif3.0")
    });
    facts.vlans = config.vlan.as_ref().unwrap().ranges().to_vec();
    assert_eq!(target(Device::Vif).online(&config, &facts), Ok(Plan::default()));
    facts.vlans.pop();
    let plan = target(Device::Vif).online(&config, &facts).unwrap();
    assert_eq!(lines(&plan), ["vlan add dev vif3.0 vid 20-30"]);
}

/// A vif in a VLAN-filtering bridge with this default PVID, in these VLANs, with nothing else to do.
fn filtering(default_pvid: Option<u16>, vlans: &str) -> VifSnapshot {
    let mut aware = bridge(2, "xenbr0");
    let settings = aware.bridge.as_mut().unwrap();
    settings.vlan_filtering = true;
    settings.vlan_default_pvid = default_pvid.map(|id| VlanId::new(id).unwrap());
    let port = Link {
        up: true,
        master: Some(2),
        addr_gen_mode: Some(AddrGenMode::None),
        ..link(7, "vif3.0")
    };
    VifSnapshot {
        link: Some(port),
        vlans: vlans.parse::<crate::types::VlanSpec>().unwrap().ranges().to_vec(),
        bridges: vec![aware],
        store: None,
        ..fresh()
    }
}

#[test]
fn without_vlan_key_the_port_goes_back_to_the_default_pvid() {
    let plan = |key: &str, facts: &VifSnapshot| {
        lines(&target(Device::Vif).online(&config(&[("bridge", key)]), facts).unwrap())
    };
    assert_eq!(
        plan("xenbr0", &filtering(Some(1), "10p/20-21")),
        [
            "vlan add dev vif3.0 vid 1 pvid untagged",
            "vlan del dev vif3.0 vid 10",
            "vlan del dev vif3.0 vid 20-21",
        ]
    );
    assert_eq!(plan("xenbr0", &filtering(None, "10")), ["vlan del dev vif3.0 vid 10"]);
    assert!(plan("xenbr0", &filtering(Some(7), "7")).is_empty());
    // A tag in the bridge key is a VLAN as well.
    assert!(plan("xenbr0.10:20", &filtering(Some(1), "10p/20")).is_empty());
    // Without filtering, VLANs mean nothing.
    let mut unaware = filtering(Some(1), "10");
    unaware.bridges[0].bridge.as_mut().unwrap().vlan_filtering = false;
    assert!(plan("xenbr0", &unaware).is_empty());
}

#[test]
fn without_vlan_key_a_managed_uplink_loses_the_vlan() {
    let mut facts = filtering(Some(1), "10");
    let ranges = |text: &str| text.parse::<crate::types::VlanSpec>().unwrap().ranges().to_vec();
    facts.uplink = Some(UplinkSnapshot {
        link: link(3, "eth0").reference(),
        vlans: ranges("1p/10/30"),
        others: ranges("30"),
        vif: facts.vlans.clone(),
    });
    let plan = target(Device::Vif).online(&config(&[("bridge", "xenbr0")]), &facts).unwrap();
    assert_eq!(
        lines(&plan),
        [
            "vlan add dev vif3.0 vid 1 pvid untagged",
            "vlan del dev vif3.0 vid 10",
            "vlan del dev eth0 vid 10",
        ]
    );
    let undone: Vec<_> = plan.changes().iter().rev().map(|change| change.undo().unwrap()).collect();
    let undone: Vec<_> = undone.iter().map(ToString::to_string).collect();
    assert_eq!(
        undone,
        [
            "vlan add dev eth0 vid 10",
            "vlan add dev vif3.0 vid 10 pvid untagged",
            "vlan del dev vif3.0 vid 1",
        ]
    );
}

#[test]
fn announcement_is_sent_in_the_vlan_of_the_bridge_key() {
    let mut facts = filtering(Some(1), "10");
    let vlans = "1p/10".parse::<crate::types::VlanSpec>().unwrap().ranges().to_vec();
    facts.outlets = vec![Outlet::new(link(3, "eth0").reference(), vlans)];
    for (bridge, vlan) in [("xenbr0", None), ("xenbr0.10", VlanId::new(10).ok())] {
        let config = config(&[("bridge", bridge), ("mac", "00:16:3e:01:02:03")]);
        let arrival = target(Device::Vif).arrival(&config, &facts);
        let sent = matches!(&arrival[..], [Change::Announce { vlan: sent, .. }] if *sent == vlan);
        assert!(sent, "{bridge}: {arrival:?}");
    }
}

/// A vif in a bridge of this MTU, whose guests' and other ports have these.
fn on_bridge(mtu: u32, guests: u32, others: u32, own: u32) -> VifSnapshot {
    let mut facts = filtering(None, "1");
    facts.bridges = vec![Link { mtu, ..bridge(2, "xenbr0") }];
    facts.link.as_mut().unwrap().mtu = own;
    facts.bridge_mtu.ports = Some(PortMtus { guests: Some(guests), others: Some(others) });
    facts
}

#[test]
fn only_the_port_that_lowers_the_bridge_drifts() {
    let plan = |keys: &[(&str, &str)], facts: &VifSnapshot| {
        lines(&target(Device::Vif).online(&config(keys), facts).unwrap())
    };
    assert!(plan(&[], &on_bridge(1400, 1400, 1500, 1500)).is_empty());
    assert_eq!(plan(&[], &on_bridge(1400, 1400, 1500, 1400)), ["link set dev vif3.0 mtu 1500"]);
    // Its own `mtu` key says so.
    assert!(plan(&[("mtu", "1400")], &on_bridge(1400, 1400, 1500, 1400)).is_empty());
    // An administrator lowered the bridge itself.
    assert_eq!(
        plan(&[], &on_bridge(1400, 1500, 1500, 1500)),
        ["link set dev xenbr0 alias \"xennet mtu 1400\"", "link set dev vif3.0 mtu 1400",]
    );
}

#[test]
fn first_vif_records_the_mtu_before_it_joins() {
    let mut facts = VifSnapshot { store: None, ..fresh() };
    facts.bridges[0].alias = None;
    let config = config(&[("mtu", "1400")]);
    let plan = target(Device::Vif).online(&config, &facts).unwrap();
    let record = "link set dev xenbr0 alias \"xennet mtu 1500\"";
    assert_eq!(lines(&plan).first().unwrap(), record);
    let undo = plan.changes()[0].undo().unwrap();
    assert_eq!(undo.to_string(), "link set dev xenbr0 alias \"\"");
    // A vif that is a port already, with the right MTU, has nothing to do with it.
    let link = facts.link.as_mut().unwrap();
    (link.master, link.up, link.mtu) = (Some(2), true, 1400);
    link.addr_gen_mode = Some(AddrGenMode::None);
    assert!(target(Device::Vif).online(&config, &facts).unwrap().is_empty());
}

#[test]
fn a_vifname_that_belongs_to_another_interface_is_refused() {
    let target = target(Device::Vif);
    let (ours, other) = (link(7, "vif3.0"), link(9, "web"));
    let found = target.identify(Some(ours.clone()), Some(other.clone()));
    assert_eq!(found.as_ref().map(|link| link.index), Some(7));
    let error = target.check_name(found.as_ref(), Some(&other)).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("vifname web: an interface of that name exists and is not vif3.0"),
        "{error}"
    );
    // Ours has not appeared yet: the other is still not ours.
    assert_eq!(target.identify(None, Some(other.clone())), None);
    assert!(target.check_name(None, Some(&other)).is_err());
}

#[test]
fn a_renamed_vif_is_known_again() {
    let target = target(Device::Vif);
    let by_alias = Link { alias: Some("vif3.0".into()), ..link(7, "web") };
    let by_device = Link { parent: Some("vif-3-0".into()), ..link(7, "web") };
    for link in [by_alias, by_device] {
        let found = target.identify(None, Some(link.clone()));
        assert_eq!(found.as_ref(), Some(&link));
        assert!(target.check_name(found.as_ref(), Some(&link)).is_ok());
    }
    let of_another_guest = Link { parent: Some("vif-4-0".into()), ..link(7, "web") };
    assert_eq!(target.identify(None, Some(of_another_guest)), None);
}

#[test]
fn the_frontend_of_another_guest_is_not_written_to() {
    let config = config(&[("bridge", "xenbr0"), ("frontend", "/local/domain/33/device/vif/0")]);
    let error = target(Device::Vif).online(&config, &fresh()).unwrap_err();
    assert!(error.to_string().contains("expected a path below /local/domain/3/"), "{error}");
}

#[test]
fn offline_takes_down_whatever_is_left() {
    let target = target(Device::Vif);
    let lines = |link: Option<Link>| {
        let master = link.as_ref().and_then(|link| link.master).map(|_| bridge(2, "xenbr0"));
        lines(&target.offline(
            &VifConfig::default(),
            &VifSnapshot { link, master, ..VifSnapshot::default() },
        ))
    };
    let port = Link { up: true, master: Some(2), ..link(7, "vif3.0") };
    assert_eq!(lines(Some(port)), ["link set dev vif3.0 down", "link set dev vif3.0 nomaster"]);
    assert_eq!(lines(Some(Link { up: true, ..link(7, "vif3.0") })), ["link set dev vif3.0 down"]);
    assert!(lines(Some(link(7, "vif3.0"))).is_empty());
    assert!(lines(None).is_empty());
}

#[test]
fn a_guarded_vif_is_guarded_before_it_comes_up() {
    let config = config(&[("mac", "00:16:3e:01:02:03"), ("ip", "10.0.0.5")]);
    let mut facts = fresh();
    let plan = target(Device::Vif).online(&config, &facts).unwrap();
    let lines = lines(&plan);
    let at = |begin: &str| lines.iter().position(|line| line.starts_with(begin)).unwrap();
    assert!(at("nft add table bridge xennet") < at("link set dev vif3.0 master"), "{lines:#?}");
    assert!(at("link set dev vif3.0 master") < at("link set dev vif3.0 up"), "{lines:#?}");
    // What a tap shares it does not own, and no more does a vif where another VLAN may have the same address.
    assert!(lines.iter().any(|line| line.contains(" owned4_32 { 10.0.0.5")), "{lines:#?}");
    for (device, vlan_filtering) in [(Device::Tap, false), (Device::Vif, true)] {
        facts.bridges[0].bridge.as_mut().unwrap().vlan_filtering = vlan_filtering;
        let plan = target(device).online(&config, &facts).unwrap();
        assert!(!plan.to_string().contains(" owned4_32 { "), "{plan}");
        assert!(plan.to_string().contains(" own4 { \"vif3.0"), "{plan}");
    }
}

#[test]
fn without_a_mac_there_is_nothing_to_hold_a_guest_to() {
    let error = target(Device::Vif).online(&config(&[("ip", "10.0.0.5")]), &fresh()).unwrap_err();
    assert!(error.to_string().starts_with("vif3.0: no mac is set"), "{error}");
}

#[test]
fn a_port_is_isolated_and_kept_out_of_the_spanning_tree() {
    let config = config(&[("mac", "00:16:3e:01:02:03"), ("ip", "10.0.0.5")]);
    let mut facts = fresh();
    facts.policy.isolated = Some(true);
    let set = |facts: &VifSnapshot| {
        let plan = target(Device::Vif).online(&config, facts).unwrap();
        lines(&plan).into_iter().find(|line| line.contains("bridge_slave"))
    };
    let isolated = Some("link set dev vif3.0 type bridge_slave isolated on".to_owned());
    assert_eq!(set(&facts), isolated);
    facts.bridges[0].bridge.as_mut().unwrap().stp = true;
    let both = Some("link set dev vif3.0 type bridge_slave guard on isolated on".to_owned());
    assert_eq!(set(&facts), both);
    // A port of the bridge already: only what differs.
    facts.link.as_mut().unwrap().master = Some(2);
    facts.port = Some(Port {
        bridge: 2,
        state: PortState::Forwarding,
        cost: 2,
        priority: 32,
        flags: PortFlags::GUARD,
        known: PortFlags::all(),
        mcast_router: None,
        group_fwd_mask: 0,
        backup_port: None,
    });
    assert_eq!(set(&facts), isolated);
    facts.policy.isolated = None;
    assert_eq!(set(&facts), None);
}

/// What a kernel, with or without IPv6, and XenStore would do with a change.
fn carry_out(facts: &mut VifSnapshot, change: &Change, ipv6: bool) {
    let store = facts.store.as_mut();
    let link = facts.link.as_mut().unwrap();
    match change {
        Change::LinkSet { link: bridge, set: LinkSet::Alias(alias), .. } => {
            let bridges = facts.bridges.iter_mut().chain(&mut facts.master);
            for bridge in bridges.filter(|one| Some(one.index) == bridge.index) {
                bridge.alias = Some(alias.clone()).filter(|alias| !alias.is_empty());
            }
        }
        Change::LinkSet { set, .. } => match set {
            LinkSet::Up(up) => link.up = *up,
            LinkSet::Address(mac) => link.mac = Some(*mac),
            LinkSet::Mtu(mtu) => {
                let (before, after) = (link.mtu, mtu.bytes());
                link.mtu = after;
                if after < IPV6_MIN_MTU {
                    link.addr_gen_mode = None;
                } else if before < IPV6_MIN_MTU && ipv6 {
                    assert!(!link.up, "IPv6 begins anew, with a link-local address");
                    link.addr_gen_mode = Some(AddrGenMode::Eui64);
                }
            }
            LinkSet::Name { name, alias } => {
                assert!(!link.up, "older kernels rename no interface that is up");
                link.name = name.clone();
                link.alias = Some(alias.clone()).filter(|alias| !alias.is_empty());
            }
            LinkSet::Master(master) => {
                link.master = master.as_ref().map(|master| master.index.unwrap());
                facts.master =
                    facts.bridges.iter().find(|bridge| Some(bridge.index) == link.master).cloned();
            }
            LinkSet::Token(token) => link.token = Some(*token),
            LinkSet::AddrGenMode(mode) => {
                assert!(!link.up, "set while up, the link-local address stays");
                link.addr_gen_mode = Some(*mode).filter(|_| ipv6);
            }
            LinkSet::Alias(_) | LinkSet::Bridge(_) | LinkSet::Bond(_) => {
                panic!("no plan for a vif sets {set}")
            }
        },
        Change::AddressDelete { address, .. } => facts.addresses.retain(|there| there != address),
        Change::AddressAdd { address, .. } => facts.addresses.push(address.clone()),
        Change::StoreWrite { path, value, .. } => {
            *node(store, path) = Some(value.clone().into_bytes());
        }
        Change::StoreRemove { path, .. } => *node(store, path) = None,
        other => panic!("no plan for a vif has {other}"),
    }
}

fn node<'a>(store: Option<&'a mut VifStore>, path: &str) -> &'a mut Option<Vec<u8>> {
    let store = store.expect("a plan without XenStore writes to none");
    match path {
        "backend/vif/3/0/hotplug-status" => &mut store.hotplug_status,
        "backend/vif/3/0/hotplug-error" => &mut store.hotplug_error,
        "/local/domain/3/device/vif/0/mtu" => &mut store.frontend_mtu,
        other => panic!("no plan for this vif touches {other}"),
    }
}

fn any_link() -> impl Strategy<Value = Link> {
    let modes =
        [None, Some(AddrGenMode::None), Some(AddrGenMode::Eui64), Some(AddrGenMode::Random)];
    (
        any::<bool>(),
        proptest::sample::select(vec![68, 1400, 1500, 9000]),
        proptest::sample::select(vec![None, Some(2), Some(3)]),
        any::<bool>(),
        proptest::sample::select(modes.to_vec()),
        any::<bool>(),
    )
        .prop_map(|(up, mtu, master, vif_mac, addr_gen_mode, renamed)| Link {
            up,
            mtu,
            master,
            mac: Some(if vif_mac { MacAddr::VIF } else { "02:00:00:00:00:01".parse().unwrap() }),
            addr_gen_mode: addr_gen_mode.filter(|_| mtu >= IPV6_MIN_MTU),
            alias: renamed.then(|| "vif3.0".into()),
            ..link(7, if renamed { "web" } else { "vif3.0" })
        })
}

fn any_snapshot() -> impl Strategy<Value = VifSnapshot> {
    let value = |values: &'static [&'static str]| {
        proptest::option::of(
            proptest::sample::select(values).prop_map(|text| text.as_bytes().to_vec()),
        )
    };
    (
        any_link(),
        any::<bool>(),
        proptest::sample::select(vec![
            None,
            Some("xennet mtu 1500"),
            Some("xennet mtu 9000"),
            Some("of rack 7"),
        ]),
        value(&["", "connected", "error"]),
        value(&["old"]),
        value(&["1500", "9000", "junk"]),
    )
        .prop_map(|(link, address, alias, hotplug_status, hotplug_error, frontend_mtu)| {
            let alias = alias.map(str::to_owned);
            let bridges = vec![Link { alias, ..bridge(2, "xenbr0") }, bridge(3, "xenbr1")];
            VifSnapshot {
                master: bridges.iter().find(|bridge| Some(bridge.index) == link.master).cloned(),
                link: Some(link),
                addresses: if address {
                    vec![Address::new("192.0.2.7/24".parse().unwrap())]
                } else {
                    Vec::new()
                },
                bridges,
                store: Some(VifStore { hotplug_status, hotplug_error, frontend_mtu }),
                ..VifSnapshot::default()
            }
        })
}

proptest! {
    #[test]
    fn from_anywhere_one_plan_leads_there_and_then_there_is_nothing_to_do(
        mut facts in any_snapshot(), mtu in proptest::option::of(68u32..=9000), rename: bool,
    ) {
        let mut config = config(&[("bridge", "xenbr0"), ("frontend", "/local/domain/3/device/vif/0")]);
        config.mtu = mtu.map(|mtu| Mtu::new(mtu).unwrap());
        // A renamed vif keeps its name only while its configuration says so.
        config.vifname = rename.then(|| "web".parse().unwrap());
        let target = target(Device::Vif);
        let before = facts.clone();
        // Of a link too small for it, nobody can tell whether the kernel has IPv6.
        let ipv6 = facts.link.as_ref().is_some_and(|link| link.mtu < IPV6_MIN_MTU || link.addr_gen_mode.is_some());

        let plan = target.online(&config, &facts).unwrap();
        for change in plan.changes() {
            if matches!(change, Change::LinkSet { set: LinkSet::Master(_), .. }) {
                prop_assert!(!facts.link.as_ref().unwrap().up, "joins its bridge while up");
            }
            if let Change::StoreWrite { path, .. } = change && path.ends_with("hotplug-status") {
                prop_assert_eq!(change, plan.changes().last().unwrap());
            }
            carry_out(&mut facts, change, ipv6);
        }
        prop_assert_eq!(target.online(&config, &facts).unwrap(), Plan::default());
        let link = facts.link.as_ref().unwrap();
        prop_assert!(link.up && link.master == Some(2) && facts.addresses.is_empty());

        for change in plan.changes().iter().rev() {
            carry_out(&mut facts, &change.undo().unwrap(), ipv6);
        }
        prop_assert_eq!(facts, before);
    }
}
