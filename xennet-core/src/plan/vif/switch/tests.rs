use super::super::tests::{bridge, config, fresh, lines, link, target};
use super::*;
use crate::config::PortPolicy;
use crate::plan::guard::GuardSnapshot;
use crate::types::{Mode, VlanId};

const MAC: &str = "00:16:3e:00:00:03";
const UUID: &str = "6a5b8e1c-0f3d-4c55-9d3e-2b1f0a9c8d7e";

fn port_target() -> VifTarget {
    let mut target = target(Device::Vif);
    target.mode = Mode::OpenVswitch;
    target
}

/// As libxl leaves it, for a guest that is known.
fn unplugged() -> VifSnapshot {
    VifSnapshot {
        bridges: vec![link(2, "br0")],
        switch: Some(SwitchSnapshot {
            bridge: Some(OvsBridge::new("br0".parse().unwrap())),
            guest_name: Some("a \"b\"".to_owned()),
            guest_uuid: Some(UUID.to_owned()),
            ..SwitchSnapshot::default()
        }),
        ..fresh()
    }
}

/// The same after this plan.
fn after(mut facts: VifSnapshot, plan: &Plan) -> VifSnapshot {
    let (link, switch) = (facts.link.as_mut().unwrap(), facts.switch.as_mut().unwrap());
    for change in plan.changes() {
        match change {
            Change::LinkSet { set: LinkSet::Up(up), .. } => link.up = *up,
            Change::LinkSet { set: LinkSet::AddrGenMode(mode), .. } => {
                link.addr_gen_mode = Some(*mode);
            }
            Change::LinkSet { set: LinkSet::Master(None), .. } => link.master = None,
            Change::OvsPortDelete { name, .. } => switch.ports.retain(|now| now.port.name != *name),
            Change::OvsPortAdd(port) => switch.ports.push(working(port.clone())),
            Change::OvsPortSet { port, .. } => switch.ports[0].port = port.clone(),
            Change::StoreWrite { .. } => {
                facts.store.as_mut().unwrap().hotplug_status = Some(b"connected".to_vec());
            }
            other => panic!("{other}"),
        }
    }
    facts
}

fn working(port: OvsPort) -> OvsPortNow {
    OvsPortNow { ofport: Some(3), ..OvsPortNow::new(port) }
}

fn plan(facts: &VifSnapshot, keys: &[(&str, &str)]) -> Plan {
    port_target().online(&config(keys), facts).unwrap()
}

#[test]
fn a_fresh_vif_has_its_vlans_before_it_is_up() {
    let first = plan(&unplugged(), &[("bridge", "br0.10:20")]);
    assert_eq!(
        lines(&first),
        [
            "link set dev vif3.0 addrgenmode none",
            &format!(
                "ovs-vsctl add-port br0 vif3.0 tag=10 trunks=20 vlan_mode=native-untagged -- set Interface vif3.0 \
                 external_ids:iface-id=\"{UUID}-0\" external_ids:iface-status=\"active\" \
                 external_ids:vm-id=\"{UUID}\" external_ids:xen-vm-name=\"a \\\"b\\\"\" \
                 external_ids:xen-vm-uuid=\"{UUID}\" external_ids:xennet-vif=\"vif3.0 index 7\" \
                 external_ids:xs-vm-uuid=\"{UUID}\""
            ),
            "link set dev vif3.0 up",
            "xenstore-write backend/vif/3/0/hotplug-status connected",
        ]
    );
    let facts = after(unplugged(), &first);
    assert!(plan(&facts, &[("bridge", "br0.10:20")]).is_empty());
    let moved = plan(&facts, &[("bridge", "br0.11")]);
    assert!(lines(&moved)[0].starts_with("ovs-vsctl set Port vif3.0 tag=11 -- set Interface"));
    assert_eq!(moved.changes().len(), 1);
    let back = moved.changes()[0].undo().unwrap().to_string();
    assert!(
        back.starts_with("ovs-vsctl set Port vif3.0 tag=10 trunks=20 vlan_mode=native-untagged")
    );
}

#[test]
fn a_port_of_a_device_that_is_gone_goes_first_and_does_not_come_back() {
    let keys = [("bridge", "br0")];
    let mut facts = after(unplugged(), &plan(&unplugged(), &keys));
    facts.link = Some(link(9, "vif3.0"));
    let again = plan(&facts, &keys);
    assert_eq!(lines(&again)[0], "ovs-vsctl del-port vif3.0");
    assert_eq!(again.changes()[0].undo(), None);
    assert!(lines(&again)[2].starts_with("ovs-vsctl add-port br0 vif3.0"));
    // One that works, in another bridge, comes back when the move fails.
    let mut facts = after(unplugged(), &plan(&unplugged(), &keys));
    facts.switch.as_mut().unwrap().bridge = Some(OvsBridge::new("br1".parse().unwrap()));
    let moved = plan(&facts, &[("bridge", "br1")]);
    assert_eq!(lines(&moved)[0], "ovs-vsctl del-port vif3.0");
    assert!(moved.changes()[0].undo().unwrap().to_string().contains("add-port br0 vif3.0"));
}

#[test]
fn the_datapath_of_the_kernel_is_no_master_to_be_set() {
    let keys = [("bridge", "br0")];
    let mut facts = after(unplugged(), &plan(&unplugged(), &keys));
    let mut datapath = link(4, "ovs-system");
    datapath.kind = Some("openvswitch".to_owned());
    facts.link.as_mut().unwrap().master = Some(4);
    facts.master = Some(datapath);
    assert!(plan(&facts, &keys).is_empty());
    let gone = port_target().offline(&config(&keys), &facts);
    assert_eq!(lines(&gone), ["ovs-vsctl del-port vif3.0", "link set dev vif3.0 down"]);
    // For a Linux bridge it is left, and what takes that back says nothing of the datapath either.
    let mut to_linux = port_target();
    to_linux.mode = Mode::Bridge;
    let mut leaving = VifSnapshot { bridges: vec![bridge(5, "xenbr0")], ..facts.clone() };
    leaving.switch.as_mut().unwrap().bridge = None;
    let keys = config(&[("bridge", "xenbr0")]);
    let moved = to_linux.online(&keys, &leaving).unwrap();
    let wanted = [
        "ovs-vsctl del-port vif3.0",
        "link set dev vif3.0 down",
        "link set dev vif3.0 master xenbr0",
    ];
    assert_eq!(lines(&moved)[..3], wanted);
    let back: Vec<String> =
        moved.changes().iter().rev().filter_map(Change::undo).map(|c| c.to_string()).collect();
    let end = back.len() - 3;
    assert_eq!(back[end..end + 2], ["link set dev vif3.0 nomaster", "link set dev vif3.0 up"]);
    assert!(back[end + 2].starts_with("ovs-vsctl add-port br0 vif3.0"), "{back:?}");
    leaving.switch = None;
    let foreign = to_linux.online(&keys, &leaving).unwrap_err();
    assert!(matches!(foreign, PlanError::InDatapath { .. }), "{foreign}");
    let keys = [("bridge", "br0")];
    // And a Linux bridge is left.
    facts.link.as_mut().unwrap().master = Some(5);
    facts.master = Some(bridge(5, "xenbr0"));
    assert!(lines(&plan(&facts, &keys)).contains(&"link set dev vif3.0 nomaster".to_owned()));
}

#[test]
fn waiting_for_ovn_comes_last_and_once() {
    let keys = [("bridge", "br0")];
    let mut facts = unplugged();
    facts.switch.as_mut().unwrap().wait_ovn = Some(5);
    let waits = "ovs-vsctl wait-until Interface vif3.0 external_ids:ovn-installed=true";
    let kernel: Vec<String> = plan(&facts, &keys).observable().map(ToString::to_string).collect();
    assert_eq!(kernel.last().map(String::as_str), Some(waits));
    let mut facts = after(unplugged(), &plan(&unplugged(), &keys));
    facts.switch.as_mut().unwrap().wait_ovn = Some(5);
    assert_eq!(lines(&plan(&facts, &keys)), [waits]);
    let ids = &mut facts.switch.as_mut().unwrap().ports[0].port.external_ids;
    ids.insert("ovn-installed".to_owned(), "true".to_owned());
    assert!(plan(&facts, &keys).is_empty());
}

#[test]
fn what_cannot_be_kept_is_refused_or_said() {
    let with = |policy: PortPolicy, ip: &str| {
        let facts = VifSnapshot { policy, ..unplugged() };
        let plan = port_target().online(&config(&[("bridge", "br0"), ("ip", ip)]), &facts);
        plan.map(|plan| plan.warnings().len()).map_err(|error| error.to_string())
    };
    let guard = |level| PortPolicy { guard: Some(level), ..PortPolicy::default() };
    assert_eq!(with(PortPolicy::default(), ""), Ok(0));
    assert_eq!(with(PortPolicy::default(), "10.0.0.5"), Ok(1));
    assert_eq!(with(guard(GuardLevel::Off), "10.0.0.5"), Ok(0));
    let error = with(guard(GuardLevel::Mac), "").unwrap_err();
    assert!(
        error.starts_with("vif3.0: guard = \"mac\" cannot be kept on br0, a bridge of Open"),
        "{error}"
    );
    let iptables = PortPolicy { iptables: Some(true), ..PortPolicy::default() };
    assert!(with(iptables, "").unwrap_err().contains("firewall = \"iptables\" cannot be kept"));
}

#[test]
fn somebody_elses_port_is_left_alone() {
    let mut facts = unplugged();
    let switch = facts.switch.as_mut().unwrap();
    let mut patch = working(OvsPort {
        bridge: "br0".parse().unwrap(),
        name: "web".parse().unwrap(),
        vlans: OvsVlans::default(),
        protected: false,
        mtu: None,
        policing: Policing::default(),
        external_ids: BTreeMap::new(),
    });
    patch.kind = "patch".to_owned();
    switch.ports.push(patch);
    let keys = config(&[("bridge", "br0"), ("vifname", "web")]);
    let error = port_target().online(&keys, &facts).unwrap_err();
    assert!(matches!(error, PlanError::PortTaken { .. }), "{error}");
    assert!(
        port_target()
            .offline(&keys, &facts)
            .observable()
            .all(|c| !matches!(c, Change::OvsPortDelete { .. }))
    );
}

#[test]
fn a_fake_bridge_is_one_vlan_of_another_bridge() {
    let mut facts = unplugged();
    facts.switch.as_mut().unwrap().bridge = Some(OvsBridge {
        name: "br0v77".parse().unwrap(),
        fake: Some(("br0".parse().unwrap(), VlanId::new(77).unwrap())),
    });
    for keys in [&[("bridge", "br0v77")][..], &[("bridge", "br0v77"), ("vlan", "77")]] {
        let plan = plan(&facts, keys);
        assert!(lines(&plan)[1].starts_with("ovs-vsctl add-port br0 vif3.0 tag=77 -- set"));
    }
    for (bridge, vlan) in
        [("br0v77.10", ""), ("br0v77", "10"), ("br0v77:20", ""), ("br0v77", "77p/20")]
    {
        let refused = port_target().online(&config(&[("bridge", bridge), ("vlan", vlan)]), &facts);
        assert!(matches!(refused, Err(PlanError::FakeBridge { .. })), "{refused:?}");
    }
}

#[test]
fn with_the_datapath_in_the_kernel_the_guard_comes_before_the_port_and_goes_after_it() {
    let mut facts = unplugged();
    facts.switch.as_mut().unwrap().passes_ingress = true;
    let keys = [("bridge", "br0"), ("ip", "10.0.0.5"), ("mac", MAC)];
    let first = plan(&facts, &keys);
    let at = |lines: &[String], words: &str| lines.iter().position(|line| line.contains(words));
    let lines_of_first = lines(&first);
    let guard = at(&lines_of_first, "add chain netdev xennet port_vif3.0").unwrap();
    assert!(guard < at(&lines_of_first, "ovs-vsctl add-port").unwrap(), "{lines_of_first:?}");
    assert!(guard < at(&lines_of_first, "link set dev vif3.0 up").unwrap());
    assert!(first.warnings().is_empty());
    for level in [GuardLevel::Strict, GuardLevel::Ip, GuardLevel::Mac, GuardLevel::Off] {
        let policy = PortPolicy { guard: Some(level), ..PortPolicy::default() };
        let facts = VifSnapshot { policy, ..facts.clone() };
        let guarded = at(&lines(&plan(&facts, &keys)), "netdev xennet").is_some();
        assert_eq!(guarded, level != GuardLevel::Off, "{level}");
    }
    // Without a word on the guard, who has no addresses is held to nothing.
    assert_eq!(at(&lines(&plan(&facts, &[("bridge", "br0")])), "nft"), None);

    let mut facts = after(unplugged(), &plan(&unplugged(), &[("bridge", "br0")]));
    let entrances = vec!["vif3.0".parse().unwrap()];
    facts.guard = Some(GuardSnapshot { entrances, ..GuardSnapshot::default() });
    let gone = lines(&port_target().offline(&config(&keys), &facts));
    assert_eq!(
        gone,
        [
            "ovs-vsctl del-port vif3.0",
            "link set dev vif3.0 down",
            "nft add chain netdev xennet port_vif3.0; delete chain netdev xennet port_vif3.0",
        ]
    );
}

#[test]
fn others_may_rightly_have_the_addresses_of_a_port_in_a_network_of_its_own() {
    let claims = |bridge: &str, wait_ovn| {
        let mut facts = unplugged();
        let switch = facts.switch.as_mut().unwrap();
        (switch.passes_ingress, switch.wait_ovn) = (true, wait_ovn);
        let config = config(&[("bridge", bridge), ("ip", "10.0.0.5"), ("mac", MAC)]);
        port_target().guard(&config, &facts).unwrap().claims
    };
    assert!(claims("br0", None));
    assert!(!claims("br0.10", None));
    assert!(!claims("br0", Some(5)));
}
