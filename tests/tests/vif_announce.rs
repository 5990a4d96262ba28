//! That a guest is here now: what the network hears of it, and who does not.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use xennet_core::types::VifId;
use xennet_tests::guests::{Guests, mac};
use xennet_tests::hotplug::Script;

const ID: VifId = VifId { domid: 1, devid: 0 };

/// The frame of QEMU's that says where the guest of `vif1.0` is.
fn announcement() -> Vec<u8> {
    let own = mac(1);
    let station = [&own[..], &[0; 4]].concat();
    let body = [&[0, 1, 8, 0, 6, 4, 0, 3], &station[..], &station].concat();
    [&[0xff; 6], &own[..], &[0x80, 0x35], &body, &[0; 18]].concat()
}

fn learnt(guests: &Guests) -> bool {
    let entries = guests.dom0.netns.bridge_json("fdb show brport vif1.0");
    let hex = mac(1).map(|byte| format!("{byte:02x}")).join(":");
    entries.as_array().unwrap().iter().any(|entry| entry["mac"] == *hex)
}

#[test]
fn the_uplink_hears_it_once_and_no_guest_does() {
    let mut guests = Guests::new("[[bridge]]\nname = \"xenbr0\"\nannounce = true\n");
    guests.guest(2, &[("ip", "10.0.0.6")]);
    guests.received("eth0");
    let id = guests.boot(1, &[("ip", "10.0.0.5")]);
    let plan = guests.dom0.xennet(&format!("--dry-run vif online {id}")).stdout;
    assert!(
        plan.ends_with(
            "xenstore-write backend/vif/1/0/hotplug-status connected\n\
         fdb replace 00:16:3e:00:00:01 dev vif1.0 master use dynamic\n\
         announce 00:16:3e:00:00:01 on eth0\n"
        ),
        "{plan}"
    );
    guests.dom0.online(Script::Ours, id).succeeded();
    assert_eq!(guests.received("eth0"), [announcement()]);
    assert_eq!(guests.received("vif1.0"), [[0u8; 0]; 0], "to the guest itself");
    assert_eq!(guests.received("vif2.0"), [[0u8; 0]; 0], "to another guest");
    assert!(learnt(&guests));
    // Once more is not news.
    guests.dom0.online(Script::Ours, id).succeeded();
    assert_eq!(guests.received("eth0"), [[0u8; 0]; 0]);
    // Unless somebody says so.
    guests.dom0.xennet("vif announce 1.0").succeeded();
    assert_eq!(guests.received("eth0"), [announcement()]);
    // An uplink that is down hears nothing, and is no reason to fail.
    guests.dom0.netns.ip("link set eth0 down");
    guests.dom0.xennet("vif announce 1.0").succeeded();
    assert_eq!(guests.received("eth0"), [[0u8; 0]; 0]);
}

#[test]
fn nobody_is_told_unless_it_is_asked_for() {
    let mut guests = Guests::new("");
    assert_eq!(guests.guest(1, &[]), ID);
    assert_eq!(guests.received("eth0"), [[0u8; 0]; 0]);
    assert!(!learnt(&guests));
    guests.dom0.offline(Script::Ours, ID).succeeded();
    guests.dom0.xennet("vif announce 1.0").succeeded();
    assert_eq!(guests.received("eth0"), [[0u8; 0]; 0], "of one that is in no bridge");
    guests.unplug("vif1.0");
    let gone = guests.dom0.xennet("vif announce 1.0");
    assert!(gone.stderr.contains("vif1.0: no such interface"), "{gone:?}");
}

#[test]
fn a_guest_that_comes_from_another_host_has_its_own_policy_already() {
    let mut guests = Guests::new("[[guest]]\nname = \"web\"\nannounce = true\n");
    let id = guests.boot(1, &[]);
    // xl takes the rest away once it may start, long after the plug.
    guests.dom0.store.tool("xenstore-write", &["/local/domain/1/name", "web--incoming"]);
    guests.dom0.online(Script::Ours, id).succeeded();
    assert_eq!(guests.received("eth0"), [announcement()]);
}
