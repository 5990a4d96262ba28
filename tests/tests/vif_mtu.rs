//! The MTU of a vif without an `mtu` key: the wanted MTU of its bridge, whatever lowers the bridge at the moment.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::fs;

use xennet_core::types::VifId;
use xennet_tests::hotplug::{Dom0, Script, VIF};

const OTHER: VifId = VifId { domid: 2, devid: 0 };
const THIRD: VifId = VifId { domid: 3, devid: 0 };

fn mtu(dom0: &Dom0, name: &str) -> u64 {
    dom0.netns.link(name).get("mtu").unwrap().as_u64().unwrap()
}

fn alias(dom0: &Dom0) -> Option<String> {
    Some(dom0.netns.link("xenbr0").get("ifalias")?.as_str()?.to_owned())
}

/// The changes that an `online` would make, a line each.
fn pending(dom0: &Dom0, id: VifId) -> String {
    let planned = dom0.xennet(&format!("vif online {id} --dry-run"));
    planned.succeeded();
    planned.stdout
}

fn plug(dom0: &Dom0, id: VifId, keys: &[(&str, &str)]) {
    dom0.boot(id, keys);
    dom0.online(Script::Ours, id).succeeded();
}

#[test]
fn lowered_port_drifts_and_the_others_do_not() {
    let dom0 = Dom0::new();
    plug(&dom0, VIF, &[]);
    plug(&dom0, OTHER, &[]);
    dom0.netns.ip("link set vif1.0 mtu 1400");
    assert_eq!(mtu(&dom0, "xenbr0"), 1400, "a bridge follows its smallest port");

    assert_eq!(pending(&dom0, OTHER), "");
    let lines = pending(&dom0, VIF);
    assert!(lines.contains("link set dev vif1.0 mtu 1500"), "{lines}");
    dom0.online(Script::Ours, OTHER).succeeded();
    assert_eq!(mtu(&dom0, "vif2.0"), 1500);
    dom0.online(Script::Ours, VIF).succeeded();
    assert_eq!(mtu(&dom0, "vif1.0"), 1500);
    assert_eq!(mtu(&dom0, "xenbr0"), 1500);
    for id in [VIF, OTHER] {
        assert_eq!(pending(&dom0, id), "", "{id}");
    }
}

#[test]
fn new_vif_on_a_lowered_bridge_gets_the_recorded_mtu() {
    let dom0 = Dom0::new();
    plug(&dom0, VIF, &[]);
    dom0.netns.ip("link set vif1.0 mtu 1400");
    plug(&dom0, OTHER, &[]);
    assert_eq!(mtu(&dom0, "vif2.0"), 1500);
    assert_eq!(dom0.read("/local/domain/2/device/vif/0/mtu").as_deref(), Some("1500"));
}

#[test]
fn explicit_mtu_of_one_vif_does_not_change_the_others() {
    let dom0 = Dom0::new();
    dom0.netns.ip("link set uplink mtu 9000");
    assert_eq!(mtu(&dom0, "xenbr0"), 9000);
    plug(&dom0, VIF, &[("mtu", "1400")]);
    assert_eq!(mtu(&dom0, "xenbr0"), 1400);
    plug(&dom0, OTHER, &[]);
    assert_eq!(mtu(&dom0, "vif2.0"), 9000);
    assert_eq!(mtu(&dom0, "vif1.0"), 1400);
    for id in [VIF, OTHER] {
        assert_eq!(pending(&dom0, id), "", "{id}");
    }
    dom0.offline(Script::Ours, VIF).succeeded();
    assert_eq!(mtu(&dom0, "xenbr0"), 9000);
    plug(&dom0, THIRD, &[]);
    assert_eq!(mtu(&dom0, "vif3.0"), 9000);
}

#[test]
fn explicit_large_mtu_on_a_bridge_of_guests_only_does_not_change_the_others() {
    let dom0 = Dom0::new();
    dom0.netns.ip("link set uplink nomaster");
    plug(&dom0, VIF, &[("mtu", "9000")]);
    assert_eq!(mtu(&dom0, "xenbr0"), 9000, "a bridge follows its only port");
    plug(&dom0, OTHER, &[]);
    assert_eq!(mtu(&dom0, "vif2.0"), 1500);
    assert_eq!(pending(&dom0, VIF), "");
}

#[test]
fn mtu_that_an_administrator_gave_the_bridge_replaces_the_record() {
    for wanted in [1400, 9000] {
        let dom0 = Dom0::new();
        plug(&dom0, VIF, &[]);
        plug(&dom0, OTHER, &[]);
        dom0.netns.ip(&format!("link set xenbr0 mtu {wanted}"));
        for id in [VIF, OTHER] {
            let lines = pending(&dom0, id);
            assert!(lines.contains(&format!("link set dev vif{id} mtu {wanted}")), "{lines}");
        }
        dom0.online(Script::Ours, VIF).succeeded();
        assert_eq!(mtu(&dom0, "vif1.0"), wanted);
        assert_eq!(alias(&dom0), Some(format!("xennet mtu {wanted}")));
        dom0.online(Script::Ours, OTHER).succeeded();
        assert_eq!(mtu(&dom0, "vif2.0"), wanted);
        assert_eq!(mtu(&dom0, "xenbr0"), wanted);
        for id in [VIF, OTHER] {
            assert_eq!(pending(&dom0, id), "", "{id}");
        }
    }
}

#[test]
fn lowered_uplink_is_an_administrators_choice() {
    let dom0 = Dom0::new();
    plug(&dom0, VIF, &[]);
    dom0.netns.ip("link set uplink mtu 1450");
    assert_eq!(mtu(&dom0, "xenbr0"), 1450);
    let lines = pending(&dom0, VIF);
    assert!(lines.contains("link set dev vif1.0 mtu 1450"), "{lines}");
    dom0.online(Script::Ours, VIF).succeeded();
    // A guest's port below that is drift again.
    dom0.netns.ip("link set vif1.0 mtu 1300");
    plug(&dom0, OTHER, &[]);
    assert_eq!(mtu(&dom0, "vif2.0"), 1450);
}

#[test]
fn configured_mtu_of_the_bridge_is_wanted() {
    let dom0 = Dom0::new();
    fs::write(dom0.dir().join("xennet.toml"), "[[bridge]]\nname = \"xenbr0\"\nmtu = 1450\n")
        .unwrap();
    plug(&dom0, VIF, &[]);
    assert_eq!(mtu(&dom0, "vif1.0"), 1450);
    dom0.netns.ip("link set vif1.0 mtu 1300");
    plug(&dom0, OTHER, &[]);
    assert_eq!(mtu(&dom0, "vif2.0"), 1450);
    let lines = pending(&dom0, VIF);
    assert!(lines.contains("link set dev vif1.0 mtu 1450"), "{lines}");
}

#[test]
fn alias_of_an_administrator_stays_and_the_uplink_tells_the_mtu() {
    let dom0 = Dom0::new();
    dom0.netns.ip("link set xenbr0 alias uplink-of-rack-7");
    let text = "[[bridge]]\nname = \"xenbr0\"\nuplink = \"uplink\"\n";
    fs::write(dom0.dir().join("xennet.toml"), text).unwrap();
    plug(&dom0, VIF, &[]);
    dom0.netns.ip("link set vif1.0 mtu 1400");
    plug(&dom0, OTHER, &[]);
    assert_eq!(mtu(&dom0, "vif2.0"), 1500);
    let lines = pending(&dom0, VIF);
    assert!(lines.contains("link set dev vif1.0 mtu 1500"), "{lines}");
    assert_eq!(alias(&dom0).as_deref(), Some("uplink-of-rack-7"));
    // Without a named uplink, the bridge's own MTU is all that is known.
    fs::remove_file(dom0.dir().join("xennet.toml")).unwrap();
    plug(&dom0, THIRD, &[]);
    assert_eq!(mtu(&dom0, "vif3.0"), 1400);
    assert_eq!(alias(&dom0).as_deref(), Some("uplink-of-rack-7"));
}

#[test]
fn failed_plug_leaves_no_record() {
    let dom0 = Dom0::new();
    dom0.hook("10-refuse.hook", "exit 1");
    dom0.boot(VIF, &[]);
    let refused = dom0.online(Script::Ours, VIF);
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    assert!(refused.stderr.contains("10-refuse.hook"), "{}", refused.stderr);
    assert_eq!(alias(&dom0), None);

    // And an old one comes back.
    fs::remove_file(dom0.hook_dir().join("10-refuse.hook")).unwrap();
    dom0.online(Script::Ours, VIF).succeeded();
    dom0.netns.ip("link set xenbr0 mtu 1400");
    dom0.hook("10-refuse.hook", "exit 1");
    assert_eq!(dom0.online(Script::Ours, VIF).code, Some(1));
    assert_eq!(alias(&dom0).as_deref(), Some("xennet mtu 1500"));
    assert_eq!(mtu(&dom0, "vif1.0"), 1500);
}

#[test]
fn removed_mtu_key_restores_the_mtu_of_the_bridge() {
    let dom0 = Dom0::new();
    plug(&dom0, VIF, &[("mtu", "1400")]);
    dom0.store.tool("xenstore-write", &["backend/vif/1/0/mtu", ""]);
    dom0.online(Script::Ours, VIF).succeeded();
    assert_eq!(mtu(&dom0, "vif1.0"), 1500);
    assert_eq!(mtu(&dom0, "xenbr0"), 1500);
}
