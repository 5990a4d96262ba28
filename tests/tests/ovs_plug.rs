//! `vif-openvswitch`: a vif becomes a port of a real Open vSwitch.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use xennet_core::types::VifId;
use xennet_tests::hotplug::{Dom0, Script, VIF};
use xennet_tests::netns::{another, within};
use xennet_tests::ovs::OpenVswitch;

const UUID: &str = "6a5b8e1c-0f3d-4c55-9d3e-2b1f0a9c8d7e";

fn dom0(bridges: &[&str]) -> (Dom0, OpenVswitch) {
    let dom0 = Dom0::without_bridge();
    let ovs = OpenVswitch::start(&dom0.ovs_dir(), bridges);
    for domid in 1..3 {
        name(&dom0, domid, "web");
    }
    (dom0, ovs)
}

/// What libxl tells of a guest.
fn name(dom0: &Dom0, domid: u16, name: &str) {
    let vm = format!("/vm/{UUID}");
    dom0.store.tool(
        "xenstore-write",
        &[
            &format!("/local/domain/{domid}/vm"),
            &vm,
            &format!("{vm}/uuid"),
            UUID,
            &format!("{vm}/name"),
            name,
        ],
    );
}

fn status(dom0: &Dom0) -> Option<String> {
    dom0.key(VIF, "hotplug-status")
}

fn unchanged(dom0: &Dom0, words: &str) {
    let plan = dom0.xennet(&format!("vif online 1.0 {words} --dry-run"));
    assert_eq!((plan.code, plan.stdout.as_str()), (Some(0), ""), "{}", plan.stderr);
}

#[test]
fn access_trunk_and_hybrid_ports() {
    let (dom0, ovs) = dom0(&["br0"]);
    for (bridge, vlan, tag, trunks, mode) in [
        ("br0", "", "[]", "[]", "[]"),
        ("br0.10", "", "10", "[]", "[]"),
        ("br0:20:30", "", "[]", "[20, 30]", "[]"),
        ("br0.10:20:30", "", "10", "[20, 30]", "native-untagged"),
        ("br0", "10", "10", "[]", "[]"),
        ("br0", "10p/20-22", "10", "[20, 21, 22]", "native-untagged"),
        ("br0.10:20", "10p/20", "10", "[20]", "native-untagged"),
    ] {
        dom0.boot(VIF, &[("bridge", bridge), ("vlan", vlan)]);
        dom0.online(Script::OursOpenVswitch, VIF).succeeded();
        let get = |column| ovs.get("Port", "vif1.0", column);
        let is = (get("tag"), get("trunks"), get("vlan_mode"));
        assert_eq!(is, (tag.into(), trunks.into(), mode.into()), "{bridge} {vlan}");
        assert_eq!(status(&dom0).as_deref(), Some("connected"));
        assert!(dom0.netns.link("vif1.0")["flags"].to_string().contains("\"UP\""));
        unchanged(&dom0, "");
        dom0.offline(Script::OursOpenVswitch, VIF).succeeded();
        dom0.offline(Script::OursOpenVswitch, VIF).succeeded();
        assert_eq!(ovs.ports("br0"), [] as [&str; 0]);
        assert!(!dom0.netns.link("vif1.0")["flags"].to_string().contains("\"UP\""));
        dom0.shut_down(VIF, "vif1.0");
        dom0.forget(VIF);
    }
    for (bridge, vlan, words) in [
        ("br0.10", "11", "vlan \"11\": expected the same VLANs as in bridge=br0.10, or only one"),
        ("br0", "10p/20u", "vlan \"20u\": expected no untagged VLAN but the PVID"),
    ] {
        dom0.boot(VIF, &[("bridge", bridge), ("vlan", vlan)]);
        assert_eq!(dom0.online(Script::OursOpenVswitch, VIF).code, Some(1));
        let error = dom0.key(VIF, "hotplug-error").unwrap();
        assert!(error.starts_with(words), "{error}");
        dom0.netns.ip("link delete vif1.0");
        dom0.forget(VIF);
    }
}

#[test]
fn a_live_port_is_changed_in_place() {
    let (dom0, ovs) = dom0(&["br0", "br1"]);
    dom0.boot(VIF, &[("bridge", "br0.10")]);
    dom0.online(Script::OursOpenVswitch, VIF).succeeded();
    let uuid = ovs.get("Port", "vif1.0", "_uuid");
    // What others say of the interface stays.
    ovs.vsctl(&["set", "Interface", "vif1.0", "external_ids:ovn-installed=true"]);
    let plan = dom0.xennet("vif online 1.0 bridge=br0.20:30 mtu=1400 --verbose");
    plan.succeeded();
    assert_eq!(ovs.get("Port", "vif1.0", "tag"), "20");
    assert_eq!(ovs.get("Port", "vif1.0", "_uuid"), uuid, "{}", plan.stderr);
    assert_eq!(ovs.get("Interface", "vif1.0", "external_ids:ovn-installed"), "\"true\"");
    assert_eq!(ovs.get("Interface", "vif1.0", "mtu_request"), "1400");
    assert_eq!(dom0.netns.link("vif1.0")["mtu"], 1400);
    // To another bridge it moves by a port of its own, even when it had one by somebody else.
    ovs.vsctl(&["del-port", "vif1.0", "--", "add-port", "br0", "vif1.0"]);
    dom0.xennet("vif online 1.0 bridge=br1").succeeded();
    assert_eq!((ovs.ports("br0").len(), ovs.ports("br1")), (0, vec!["vif1.0".to_owned()]));
}

#[test]
fn the_database_is_as_after_xens_own_script() {
    let (dom0, ovs) = dom0(&["br0"]);
    ovs.vsctl(&["add-br", "br0v77", "br0", "77"]);
    // Xen's own script cannot quote.
    for bridge in ["br0", "br0.10", "br0:20:30", "br0v77"] {
        let mut ports = Vec::new();
        for script in [Script::StockOpenVswitch, Script::OursOpenVswitch] {
            dom0.boot(VIF, &[("bridge", bridge)]);
            dom0.online(script, VIF).succeeded();
            assert_eq!(status(&dom0).as_deref(), Some("connected"));
            ports.push(ovs.port("vif1.0"));
            let place = if bridge == "br0v77" { bridge } else { "br0" };
            assert_eq!(ovs.ports(place), ["vif1.0"], "{script:?}");
            dom0.offline(script, VIF).succeeded();
            assert_eq!(ovs.ports(place).len(), 0, "{script:?}");
            dom0.shut_down(VIF, "vif1.0");
            dom0.forget(VIF);
        }
        let ids = ports.iter_mut().map(|port| {
            let ids = port.remove("Interface external_ids").unwrap();
            ids[1].as_array().unwrap().clone()
        });
        let ids: Vec<Vec<Value>> = ids.collect();
        assert_eq!(ports[0], ports[1], "{bridge}");
        assert_eq!(ids[0].len(), 3, "{ids:?}");
        for id in &ids[0] {
            assert!(ids[1].contains(id), "{id} is missing in {:?}", ids[1]);
        }
    }
}

#[test]
fn a_fake_bridge_is_a_vlan_of_its_parent() {
    let (dom0, ovs) = dom0(&["br0"]);
    ovs.vsctl(&["add-br", "br0v77", "br0", "77"]);
    let other = VifId { domid: 2, devid: 0 };
    let one = guest(&dom0, VIF, &[("bridge", "br0v77")]);
    let _two = guest(&dom0, other, &[("bridge", "br0"), ("vlan", "77")]);
    dom0.online(Script::Ours, VIF).succeeded();
    dom0.online(Script::OursOpenVswitch, other).succeeded();
    unchanged(&dom0, "");
    // To ovs-vsctl a port of the VLAN is one of the fake bridge, whoever made it.
    assert_eq!((ovs.ports("br0v77").len(), ovs.ports("br0").len()), (2, 0));
    await_ping(&one, "10.9.0.2");

    let refused = dom0.xennet("vif online 1.0 vlan=10");
    let words = "vlan 10p: br0v77 is VLAN 77 of br0 and no other (a fake bridge); set bridge=br0";
    assert!(refused.stderr.contains(words), "{refused:?}");
    let uuid = ovs.get("Port", "vif1.0", "_uuid");
    dom0.xennet("vif online 1.0 bridge=br0.10").succeeded();
    assert_eq!(ovs.ports("br0"), ["vif1.0"]);
    dom0.xennet("vif online 1.0").succeeded();
    assert_eq!(ovs.get("Port", "vif1.0", "_uuid"), uuid, "it stays in the real bridge");
    dom0.offline(Script::Ours, VIF).succeeded();
    assert_eq!(ovs.ports("br0v77"), ["vif2.0"]);
    // The last one goes without its interface and its backend.
    dom0.netns.ip("link delete vif2.0");
    dom0.forget(other);
    dom0.xennet("ovs gc").succeeded();
    assert_eq!(ovs.ports("br0v77").len(), 0);
    assert_eq!(ovs.get("Port", "br0v77", "tag"), "77");
}

#[test]
fn what_controllers_know_it_by() {
    let (dom0, ovs) = dom0(&["br0"]);
    let odd = "a \"b\" 'c'; $(reboot) = {d}, é";
    name(&dom0, 1, odd);
    fs::write(
        dom0.dir().join("xennet.toml"),
        "[[bridge]]\nname = \"br0\"\nmode = \"openvswitch\"\nisolated = true\npolicing_rate = 8000\n\
         [[guest]]\nname = \"db\"\niface_id = \"db port {devid}\"\npolicing_rate = 9000\npolicing_burst = 900\n",
    )
    .unwrap();
    dom0.boot(VIF, &[("bridge", "br0"), ("type", "vif_ioemu")]);
    // By what its bridge is; no name says so.
    dom0.online(Script::Ours, VIF).succeeded();
    let id = |port: &str, key: &str| {
        let text = ovs.get("Interface", port, &format!("external_ids:{key}"));
        serde_json::from_str::<String>(&text).unwrap_or(text)
    };
    for (key, value) in [
        ("attached-mac", "00:16:3e:01:02:03"),
        ("iface-id", &format!("{UUID}-0")),
        ("iface-status", "active"),
        ("vm-id", UUID),
        ("xen-vm-name", odd),
        ("xen-vm-uuid", UUID),
        ("xs-vm-uuid", UUID),
    ] {
        assert_eq!(id("vif1.0", key), value, "{key}");
    }
    assert_eq!(ovs.get("Port", "vif1.0", "protected"), "true");
    assert_eq!(ovs.get("Interface", "vif1.0", "ingress_policing_rate"), "8000");
    assert_eq!(ovs.get("Interface", "vif1.0", "mtu_request"), "[]");

    dom0.make_tap(VIF);
    dom0.add(Script::Ours, VIF).succeeded();
    assert_eq!(id("vif1.0-emu", "iface-status"), "inactive");
    assert_eq!(id("vif1.0-emu", "iface-id"), id("vif1.0", "iface-id"));
    dom0.remove(Script::Ours, VIF).succeeded();
    assert_eq!(ovs.ports("br0"), ["vif1.0"]);

    let other = VifId { domid: 2, devid: 1 };
    dom0.store.tool("xenstore-write", &["/local/domain/2/name", "db"]);
    dom0.boot(other, &[("bridge", "br0"), ("vifname", "db0")]);
    dom0.online(Script::Ours, other).succeeded();
    assert_eq!(id("db0", "iface-id"), "db port 1");
    assert_eq!(ovs.get("Interface", "db0", "ingress_policing_burst"), "900");
    let shown = dom0.xennet("vif show 2.1");
    assert!(shown.stdout.contains("db0: up") && shown.stdout.contains("master br0"), "{shown:?}");
    // It goes under the name that it had, though its interface is long gone.
    dom0.shut_down(other, "db0");
    dom0.offline(Script::Ours, other).succeeded();
    assert_eq!(ovs.ports("br0"), ["vif1.0"]);
}

#[test]
fn the_name_that_exists_wins() {
    let (dom0, ovs) = dom0(&["br0", "br0.10"]);
    dom0.netns.make_bridge("xenbr0");
    for (bridge, of, tag) in [("br0.10", "br0.10", "[]"), ("br0.11", "br0", "11")] {
        dom0.boot(VIF, &[("bridge", bridge)]);
        // No configuration, and no mode: the bridge says what it is.
        dom0.online(Script::Ours, VIF).succeeded();
        assert_eq!(ovs.ports(of), ["vif1.0"]);
        assert_eq!(ovs.get("Port", "vif1.0", "tag"), tag);
        dom0.shut_down(VIF, "vif1.0");
        // With its interface gone nobody knows any more what it was plugged into.
        dom0.offline(Script::Ours, VIF).succeeded();
        assert_eq!(ovs.ports(of).len(), 0);
        dom0.forget(VIF);
    }
    // From a Linux bridge to Open vSwitch, and back.
    dom0.boot(VIF, &[("bridge", "xenbr0")]);
    dom0.online(Script::Ours, VIF).succeeded();
    dom0.xennet("vif online 1.0 --once bridge=br0").succeeded();
    assert_eq!(dom0.netns.link("vif1.0")["master"], Value::Null);
    assert_eq!(ovs.ports("br0"), ["vif1.0"]);
    dom0.xennet("vif online 1.0 --once bridge=br0 vlan=10").succeeded();
    // In both at once its frames would take both ways. One that cannot go stays as it was.
    let before = ovs.port("vif1.0");
    dom0.hook("fail.hook", "exit 1");
    assert_eq!(dom0.xennet("vif online 1.0").code, Some(1));
    assert_eq!((ovs.ports("br0"), ovs.port("vif1.0")), (vec!["vif1.0".to_owned()], before));
    assert_eq!(dom0.netns.link("vif1.0")["master"], Value::Null);
    assert!(dom0.netns.link("vif1.0").to_string().contains("\"UP\""), "it was cut off");
    fs::remove_file(dom0.hook_dir().join("fail.hook")).unwrap();
    dom0.xennet("vif online 1.0").succeeded();
    assert_eq!(ovs.ports("br0").len(), 0);
    assert_eq!(dom0.netns.link("vif1.0")["master"], "xenbr0");
    unchanged(&dom0, "");
    dom0.boot(VifId { domid: 2, devid: 0 }, &[("bridge", "xenbr0.10")]);
    let refused = dom0.online(Script::Ours, VifId { domid: 2, devid: 0 });
    assert!(refused.stderr.contains("vlan 10p: xenbr0 is not VLAN-aware"), "{}", refused.stderr);
}

/// A guest of its own namespace, with an address.
fn guest(dom0: &Dom0, id: VifId, keys: &[(&str, &str)]) -> File {
    dom0.boot(id, keys);
    let netns = another();
    let file = format!("/proc/{}/fd/{}", std::process::id(), netns.as_raw_fd());
    dom0.netns.ip(&format!("link set guest{id} netns {file}"));
    let mac = format!("00:16:3e:00:00:{:02x}", id.domid);
    let (name, address) = (format!("guest{id}"), format!("10.9.0.{}/24", id.domid));
    within(&netns, || {
        for words in [
            vec!["link", "set", &name, "address", &mac],
            vec!["address", "add", &address, "dev", &name],
            vec!["link", "set", &name, "up"],
        ] {
            assert!(Command::new("ip").args(&words).status().unwrap().success(), "{words:?}");
        }
    });
    netns
}

fn pings(from: &File, to: &str) -> bool {
    within(from, || {
        let mut ping = Command::new("ping");
        ping.args(["-c", "1", "-W", "1", to]).output().unwrap().status.success()
    })
}

fn await_ping(from: &File, to: &str) {
    let began = Instant::now();
    while !pings(from, to) {
        assert!(began.elapsed() < Duration::from_mins(1), "no answer from {to}");
        sleep(Duration::from_millis(20));
    }
}

#[test]
fn two_guests_talk_and_vlans_are_apart() {
    let (dom0, ovs) = dom0(&["br0"]);
    let ids = [1, 2, 3].map(|domid| VifId { domid, devid: 0 });
    let [one, _two, three] = [(ids[0], "br0.10"), (ids[1], "br0.10"), (ids[2], "br0.11")]
        .map(|(id, bridge)| guest(&dom0, id, &[("bridge", bridge)]));
    for id in ids {
        dom0.online(Script::OursOpenVswitch, id).succeeded();
    }
    await_ping(&one, "10.9.0.2");
    assert!(!pings(&three, "10.9.0.2"));

    // The guest reboots: the same name, another device, and Open vSwitch notices nothing.
    dom0.netns.ip("link delete vif1.0");
    drop(one);
    dom0.forget(VIF);
    let one = guest(&dom0, VIF, &[("bridge", "br0.10")]);
    dom0.netns.ip("link set vif1.0 up");
    assert!(!pings(&one, "10.9.0.2"), "Open vSwitch has learnt something: simplify");
    dom0.online(Script::OursOpenVswitch, VIF).succeeded();
    await_ping(&one, "10.9.0.2");
    assert_eq!(ovs.ports("br0").len(), 3);
    unchanged(&dom0, "--mode openvswitch");
}
