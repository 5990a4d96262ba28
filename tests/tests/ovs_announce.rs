//! That a guest is here now, as a bridge of Open vSwitch hears it: over whatever OpenFlow it speaks.

use std::fs;

use xennet_tests::hotplug::{Dom0, Script, VIF};
use xennet_tests::ovs::OpenVswitch;

#[test]
fn every_openflow_that_a_bridge_may_be_held_to() {
    let dom0 = Dom0::without_bridge();
    let ovs = OpenVswitch::start(&dom0.ovs_dir(), &["br0"]);
    dom0.boot(VIF, &[("bridge", "br0.10")]);
    dom0.online(Script::OursOpenVswitch, VIF).succeeded();
    let learnt = || ovs.appctl(&["fdb/show", "br0"]).contains("10  00:16:3e:01:02:03");
    for protocols in [
        "[]",
        "OpenFlow10",
        "OpenFlow11",
        "OpenFlow12",
        "OpenFlow13",
        "OpenFlow14",
        "OpenFlow15",
        "OpenFlow10,OpenFlow13",
    ] {
        ovs.vsctl(&["set", "bridge", "br0", &format!("protocols={protocols}")]);
        ovs.appctl(&["fdb/flush", "br0"]);
        assert!(!learnt());
        dom0.xennet("vif announce 1.0").succeeded();
        assert!(learnt(), "{protocols}");
    }
}

#[test]
fn a_switch_that_does_not_listen_is_named() {
    let dom0 = Dom0::without_bridge();
    let ovs = OpenVswitch::start(&dom0.ovs_dir(), &["br0"]);
    dom0.boot(VIF, &[("bridge", "br0")]);
    dom0.online(Script::OursOpenVswitch, VIF).succeeded();
    ovs.halt();
    let late = dom0.xennet("vif announce 1.0");
    let socket = dom0.ovs_dir().join("br0.mgmt");
    let words =
        format!("packet-out br0: OpenFlow: ovs-vswitchd does not answer at {}", socket.display());
    assert!(late.stderr.contains(&words), "{late:?}");
    ovs.resume();
    fs::remove_file(&socket).unwrap();
    let gone = dom0.xennet("vif announce 1.0");
    let words = format!("{words}: No such file or directory (errno 2)");
    assert!(gone.stderr.contains(&words), "{gone:?}");
}
