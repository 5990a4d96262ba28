//! What can be wrong with Open vSwitch, and what is left behind then: nothing.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use xennet_core::ovsdb::{ErrorKind, Ovsdb};
use xennet_core::types::{OvsPort, OvsVlans, Policing, VifId};
use xennet_tests::hotplug::{Dom0, Script, VIF};
use xennet_tests::ovs::OpenVswitch;
use xennet_tests::strace::Purpose::{Receive, Send};
use xennet_tests::strace::{self, for_each_call};

fn dom0(bridges: &[&str]) -> (Dom0, OpenVswitch) {
    let dom0 = Dom0::without_bridge();
    let ovs = OpenVswitch::start(&dom0.ovs_dir(), bridges);
    (dom0, ovs)
}

/// The plug fails, says this, and leaves the vif down.
fn refused(dom0: &Dom0, words: &str) {
    let outcome = dom0.online(Script::OursOpenVswitch, VIF);
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    let error = dom0.key(VIF, "hotplug-error").unwrap();
    assert!(error.contains(words), "{error}");
    assert_eq!(dom0.key(VIF, "hotplug-status").as_deref(), Some("error"));
    assert!(!dom0.netns.link("vif1.0").to_string().contains("\"UP\""));
}

fn port(bridge: &str, name: &str) -> OvsPort {
    OvsPort {
        bridge: bridge.parse().unwrap(),
        name: name.parse().unwrap(),
        vlans: OvsVlans::default(),
        protected: false,
        mtu: None,
        policing: Policing::default(),
        external_ids: [("key".to_owned(), "value".to_owned())].into(),
    }
}

#[test]
fn no_such_device() {
    let (_dom0, ovs) = dom0(&["br0"]);
    let mut database = Ovsdb::connect(&ovs.socket()).unwrap();
    let soon = || Instant::now() + Duration::from_secs(30);
    let error = database.port_add(&port("br0", "nothing"), soon()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::NoDevice { .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        "ovs-vsctl add-port br0 nothing: could not open network device nothing (No such device)"
    );
    // ovs-vsctl would have left it there.
    assert_eq!(ovs.ports("br0").len(), 0);
    let error = database.port_add(&port("br1", "nothing"), soon()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::NoBridge { .. }), "{error:?}");
    database.port_delete(&"nothing".parse().unwrap(), soon()).unwrap();

    // A port that somebody else has made is not ours to take back.
    ovs.vsctl(&["add-port", "br0", "there", "--", "set", "Interface", "there", "type=internal"]);
    let error = database.port_add(&port("br0", "there"), soon()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Exists), "{error:?}");
    assert_eq!(ovs.ports("br0"), ["there"]);
}

#[test]
fn no_such_bridge_no_datapath_and_no_database() {
    let (dom0, mut ovs) = dom0(&["br0"]);
    dom0.boot(VIF, &[("bridge", "br9")]);
    refused(
        &dom0,
        "bridge br9: Open vSwitch has no such bridge; make it with `ovs-vsctl add-br br9`",
    );
    // This kernel has no datapath of Open vSwitch.
    ovs.vsctl(&[
        "--no-wait",
        "add-br",
        "br1",
        "--",
        "set",
        "bridge",
        "br1",
        "datapath_type=system",
    ]);
    dom0.store.tool("xenstore-write", &[&format!("{}/bridge", dom0.backend(VIF)), "br1"]);
    refused(&dom0, "add-port br1 vif1.0: bridge br1 has no working datapath");
    assert_eq!(ovs.ports("br1").len(), 0);
    ovs.end_database();
    refused(&dom0, "no Open vSwitch database at ");
    // It can neither be there nor be taken away.
    dom0.offline(Script::OursOpenVswitch, VIF).succeeded();
}

#[test]
fn a_switch_that_hangs() {
    let (dom0, ovs) = dom0(&["br0"]);
    dom0.boot(VIF, &[("bridge", "br0")]);
    ovs.halt();
    refused(&dom0, "the database has it, and ovs-vswitchd did not carry it out within 10 s");
    // Who goes is not held up, and the database knows.
    let other = VifId { domid: 2, devid: 0 };
    ovs.vsctl(&["--no-wait", "add-port", "br0", "vif2.0"]);
    dom0.boot(other, &[("bridge", "br0")]);
    dom0.offline(Script::OursOpenVswitch, other).succeeded();
    assert_eq!(ovs.ports("br0").len(), 0);
    ovs.resume();
    dom0.online(Script::OursOpenVswitch, VIF).succeeded();
}

#[test]
fn a_move_that_a_switch_does_not_carry_out_leaves_the_old_port() {
    let (dom0, ovs) = dom0(&["br0", "br1"]);
    dom0.boot(VIF, &[("bridge", "br0.10")]);
    dom0.online(Script::OursOpenVswitch, VIF).succeeded();
    let before = ovs.port("vif1.0");
    let there = || {
        assert_eq!((ovs.ports("br0"), ovs.ports("br1").len()), (vec!["vif1.0".to_owned()], 0));
        assert_eq!(ovs.port("vif1.0"), before);
        assert!(dom0.netns.link("vif1.0").to_string().contains("\"UP\""), "it was cut off");
    };
    ovs.halt();
    let moved = dom0.xennet("vif online 1.0 bridge=br1");
    let words = "del-port vif1.0: the database has it, and ovs-vswitchd did not carry it out";
    assert!(moved.code == Some(1) && moved.stderr.contains(words), "{moved:?}");
    there();
    assert_eq!(dom0.key(VIF, "hotplug-status").as_deref(), Some("connected"));
    ovs.resume();
    // Nothing is to be done: the switch finds what it had.
    ovs.vsctl(&["wait-until", "Interface", "vif1.0", "ofport>0"]);
    let left = dom0.xennet("vif online 1.0 --dry-run").stdout;
    assert_eq!(left, "xenstore-rm backend/vif/1/0/hotplug-error\n");
    // It hangs midway, and is still at it when all is to be taken back.
    dom0.hook("halt.hook", &format!("kill -STOP {}; exit 1", ovs.switch_pid()));
    let moved = dom0.xennet("vif online 1.0 bridge=br1");
    assert!(moved.code == Some(1) && moved.stderr.contains("halt.hook: failed"), "{moved:?}");
    there();
    ovs.resume();
    ovs.vsctl(&["wait-until", "Interface", "vif1.0", "ofport>0"]);
    there();
}

#[test]
fn a_failure_after_the_port_takes_it_back() {
    let (dom0, ovs) = dom0(&["br0", "br1"]);
    dom0.boot(VIF, &[("bridge", "br0")]);
    dom0.hook("fail.hook", "exit 1");
    refused(&dom0, "fail.hook: failed");
    assert_eq!(ovs.ports("br0").len(), 0);
    // One that worked elsewhere works there again.
    fs::remove_file(dom0.hook_dir().join("fail.hook")).unwrap();
    dom0.online(Script::OursOpenVswitch, VIF).succeeded();
    dom0.hook("fail.hook", "exit 1");
    let moved = dom0.xennet("vif online 1.0 bridge=br1");
    assert_eq!(moved.code, Some(1));
    assert_eq!((ovs.ports("br0").len(), ovs.ports("br1").len()), (1, 0), "{}", moved.stderr);
    assert!(dom0.netns.link("vif1.0").to_string().contains("\"UP\""), "it was cut off");
}

/// Requests to the database and their answers as well as those of the kernel and XenStore.
#[test]
fn plug_refused_at_any_call_leaves_no_port() {
    let (dom0, ovs) = dom0(&["br0"]);
    let prepare = || {
        dom0.offline(Script::OursOpenVswitch, VIF).succeeded();
        dom0.forget(VIF);
        dom0.boot(VIF, &[("bridge", "br0")]);
        dom0.command(Script::OursOpenVswitch, VIF, &["online", "type_if=vif"], &[])
    };
    for (purpose, errno) in [(Send, "EPERM"), (Receive, "ENOMEM")] {
        let fail = |command: &Command, call: &str, n| strace::failing(command, call, n, errno);
        for_each_call(purpose, prepare, fail, |point, traced| {
            let what = format!("{point} {errno}: {}", traced.outcome.stderr);
            let status = dom0.key(VIF, "hotplug-status");
            match traced.outcome.code {
                Some(0) => {
                    assert_eq!(ovs.ports("br0"), ["vif1.0"], "{what}");
                    assert_eq!(status.as_deref(), Some("connected"), "{what}");
                }
                Some(1) => {
                    assert_eq!(traced.outcome.stderr.lines().count(), 1, "{what}");
                    assert_eq!(ovs.ports("br0"), [""; 0], "{what}");
                    assert!(!dom0.netns.link("vif1.0").to_string().contains("\"UP\""), "{what}");
                    assert_ne!(status.as_deref(), Some("connected"), "{what}");
                }
                other => panic!("{what}: {other:?}"),
            }
            dom0.online(Script::OursOpenVswitch, VIF).succeeded();
            assert_eq!(ovs.ports("br0"), ["vif1.0"], "{what}");
        });
    }
}

#[test]
fn a_name_that_a_guest_chooses_costs_the_host_no_port() {
    let (dom0, ovs) = dom0(&["br0", "br1"]);
    for pair in ["link add eth8 type veth peer name far8", "link add eth9 type veth peer name far9"]
    {
        dom0.netns.ip(pair);
    }
    ovs.vsctl(&["add-bond", "br0", "bond0", "eth8", "eth9"]);
    ovs.vsctl(&["--no-wait", "add-port", "br0", "eth5", "tag=7"]);
    let before = ovs.ports("br0");
    for (name, bridge) in [("bond0", "br0"), ("eth5", "br1")] {
        dom0.boot(VIF, &[("bridge", bridge), ("vifname", name)]);
        refused(
            &dom0,
            &format!("{name}: bridge br0 of Open vSwitch has a port of that name that is no vif's"),
        );
        assert_eq!(ovs.ports("br0"), before);
        dom0.forget(VIF);
    }
}

/// What is done to the guard's table before the port is made, where the database says that frames will pass it.
#[test]
fn the_datapath_decides_whether_a_vif_can_be_guarded() {
    let (dom0, ovs) = dom0(&["br0"]);
    ovs.vsctl(
        &"--no-wait add-br br1 -- set bridge br1 datapath_type=system"
            .split(' ')
            .collect::<Vec<_>>(),
    );
    ovs.vsctl(&["--no-wait", "add-br", "br2"]);
    dom0.boot(VIF, &[("ip", "10.0.0.5")]);
    let plan = |bridge: &str| {
        let plan = dom0.xennet(&format!("vif online 1.0 bridge={bridge} --dry-run"));
        plan.succeeded();
        let at = |words: &str| plan.stdout.find(words);
        (at("add element netdev xennet ports"), at("ovs-vsctl add-port"), plan.stderr)
    };
    let unguarded = |bridge: &str| {
        let (guard, port, warning) = plan(bridge);
        assert!(port.is_some() && warning.contains("nothing holds it to its ip="), "{warning}");
        guard.is_none()
    };
    assert!(unguarded("br0"));
    // One VLAN of br1, and of br0.
    ovs.vsctl(&["--no-wait", "add-br", "br1v7", "br1", "7"]);
    ovs.vsctl(&["--no-wait", "add-br", "br0v7", "br0", "7"]);
    assert!(unguarded("br0v7"));
    for bridge in ["br1", "br2", "br1v7"] {
        let (guard, port, warning) = plan(bridge);
        let held = !warning.contains("nothing holds it to its ip=");
        assert!(guard.is_some() && guard < port && held, "{bridge}: {warning}");
    }
    for word in ["true", "True"] {
        let value = format!("other_config:hw-offload={word}");
        ovs.vsctl(&["--no-wait", "set", "open_vswitch", ".", &value]);
        assert!(unguarded("br1"), "tc comes before the hook");
    }
    ovs.vsctl(&["--no-wait", "set", "open_vswitch", ".", "other_config:hw-offload=false"]);
    assert!(plan("br1").0.is_some());

    // This kernel has no datapath of Open vSwitch, so the port cannot be made; then the guard is taken back as well.
    dom0.store.tool("xenstore-write", &[&format!("{}/bridge", dom0.backend(VIF)), "br1"]);
    refused(&dom0, "add-port br1 vif1.0: bridge br1 has no working datapath");
    let table = dom0.netns.nft_text("list table netdev xennet");
    assert!(table.contains("chain ingress") && !table.contains("vif1.0"), "{table}");
}

#[test]
fn what_open_vswitch_cannot_keep_is_no_secret() {
    let (dom0, ovs) = dom0(&["br0"]);
    let toml = |guard: &str| {
        let text = format!("[[bridge]]\nname = \"br0\"\nmode = \"openvswitch\"\n{guard}\n");
        fs::write(dom0.dir().join("xennet.toml"), text).unwrap();
    };
    dom0.boot(VIF, &[("bridge", "br0"), ("ip", "10.0.0.5")]);
    // Also where nothing says that the bridge is one of Open vSwitch.
    let undescribed = "[[bridge]]\nname = \"br0\"\nguard = \"strict\"\n";
    fs::write(dom0.dir().join("xennet.toml"), undescribed).unwrap();
    refused(&dom0, "vif1.0: guard = \"strict\" cannot be kept on br0, a bridge of Open vSwitch:");
    toml("guard = \"strict\"");
    refused(&dom0, "vif1.0: guard = \"strict\" cannot be kept on br0, a bridge of Open vSwitch:");
    assert_eq!(ovs.ports("br0").len(), 0);
    toml("");
    let outcome = dom0.online(Script::OursOpenVswitch, VIF);
    outcome.succeeded();
    assert!(outcome.stderr.contains("nothing holds it to its ip= on br0"), "{}", outcome.stderr);
    toml("guard = \"off\"");
    assert_eq!(dom0.online(Script::OursOpenVswitch, VIF).stderr, "");
    // A port that is no device of the host's is nobody's to replace.
    ovs.vsctl(&[
        "add-port",
        "br0",
        "web",
        "--",
        "set",
        "Interface",
        "web",
        "type=patch",
        "options:peer=x",
    ]);
    let other = dom0.xennet("vif online 1.0 vifname=web");
    assert!(
        other.stderr.contains(
            "web: bridge br0 of Open vSwitch has a port of that name that is no vif's (its type is \"patch\")"
        ),
        "{other:?}"
    );
    // OVN is not here.
    toml("guard = \"off\"\nwait_ovn = 1");
    dom0.netns.ip("link set vif1.0 down");
    let waited = dom0.online(Script::OursOpenVswitch, VIF);
    assert!(
        waited.stderr.contains("OVN did not install the port (iface-id none) within 1 s"),
        "{}",
        waited.stderr
    );
    ovs.vsctl(&["set", "Interface", "vif1.0", "external_ids:ovn-installed=true"]);
    dom0.online(Script::OursOpenVswitch, VIF).succeeded();
}

#[test]
fn ports_of_the_dead_are_collected_and_no_others() {
    let (dom0, ovs) = dom0(&["br0"]);
    let other = VifId { domid: 2, devid: 0 };
    dom0.netns.ip("link add stranger type veth peer name peer");
    ovs.vsctl(&[
        "add-port",
        "br0",
        "stranger",
        "--",
        "set",
        "Interface",
        "stranger",
        "external_ids:xen-vm-name=x",
    ]);
    for (id, name) in [(VIF, "web"), (other, "")] {
        dom0.boot(id, &[("bridge", "br0"), ("vifname", name)]);
        dom0.online(Script::OursOpenVswitch, id).succeeded();
    }
    dom0.netns.ip("link delete peer");
    let gc = |words: &str| {
        let outcome = dom0.xennet(&format!("ovs gc {words}"));
        outcome.succeeded();
        outcome.stdout
    };
    assert_eq!(gc("--dry-run"), "");
    // The interface without the backend is still somebody's, as is the backend without the interface.
    dom0.netns.ip("link delete web");
    assert_eq!(gc("--dry-run"), "");
    dom0.forget(VIF);
    assert_eq!(gc("--dry-run"), "ovs-vsctl del-port web\n");
    gc("");
    assert_eq!(gc("--dry-run"), "");
    assert_eq!(ovs.ports("br0"), ["stranger", "vif2.0"]);
    let blind = dom0.xennet("vif list --no-store");
    blind.succeeded();
}
