//! `xennet guard restore` needs the addresses of a guest and the place of its port, and nothing else: other faults of the
//! vif or the host are named, and do not keep the guest unguarded.

use serde_json::Value;
use xennet_core::types::VifId;
use xennet_tests::frames::*;
use xennet_tests::guests::{Guests, as_planned};
use xennet_tests::hotplug::Script;

const ID: VifId = VifId { domid: 1, devid: 0 };

fn ruleset(guests: &Guests) -> String {
    let text = as_planned(&guests.dom0.netns.nft_text("-s list table bridge xennet"));
    let mut lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines.sort_unstable();
    lines.join("\n")
}

fn assert_guarded(guests: &Guests, what: &str) {
    assert!(guests.passes(&mine(&ip4("10.0.0.5", tcp()))), "{what}");
    assert!(!guests.passes(&mine(&ip4("10.0.0.7", tcp()))), "{what}");
    assert!(!guests.passes(&uplink(&ip4("10.0.0.5", tcp()))), "{what}");
}

/// `check` finds the guard missing, and `restore` restores it and nothing else. Both outputs contain these words.
fn assert_restored(guests: &Guests, before: &str, words: &[&str]) {
    let links = guests.dom0.links();
    let checked = guests.dom0.xennet("guard check");
    assert_eq!(checked.code, Some(1), "{checked:?}");
    let restored = guests.dom0.xennet("guard restore");
    restored.succeeded();
    assert_eq!(ruleset(guests), before, "{restored:?}");
    for outcome in [&checked, &restored] {
        let said = format!("{}{}", outcome.stdout, outcome.stderr);
        for word in words {
            assert!(said.contains(word), "no {word:?} in {said}");
        }
    }
    guests.dom0.xennet("guard check").succeeded();
    assert_eq!(guests.dom0.links(), links, "something else was changed");
}

/// The row of `vif list`.
fn row(guests: &Guests) -> String {
    let list = guests.dom0.xennet("vif list").stdout;
    list.lines()
        .find(|line| line.starts_with("1.0 "))
        .unwrap_or_else(|| panic!("{list}"))
        .to_owned()
}

#[test]
fn bad_key_does_not_keep_a_guest_unguarded_and_is_named() {
    for (key, value) in [("mtu", "9000000"), ("rate", "nonsense"), ("vlan", "no number")] {
        let mut guests = Guests::new("");
        guests.guest(1, &[("ip", "10.0.0.5")]);
        let before = ruleset(&guests);
        let path = format!("{}/{key}", guests.dom0.backend(ID));
        guests.dom0.store.tool("xenstore-write", &[&path, value]);
        guests.dom0.netns.nft("flush ruleset");
        assert_restored(&guests, &before, &[key, value]);
        assert_guarded(&guests, key);
    }
}

#[test]
fn guest_whose_vifname_changed_is_found_by_its_alias() {
    for (name, words) in [("other", &[][..]), ("", &[]), ("bad name", &["vifname", "bad name"])] {
        let mut guests = Guests::new("");
        guests.guest(1, &[("ip", "10.0.0.5"), ("vifname", "web")]);
        let before = ruleset(&guests);
        let path = format!("{}/vifname", guests.dom0.backend(ID));
        guests.dom0.store.tool("xenstore-write", &[&path, name]);
        guests.dom0.netns.nft("flush ruleset");
        assert_restored(&guests, &before, words);
        guests.dom0.offline(Script::Ours, ID).succeeded();
        let links = guests.dom0.links();
        assert!(!links.contains_key("link web master"), "{name:?}: {links:?}");
    }
}

#[test]
fn restore_with_an_invalid_ip_names_the_vif_and_restores_the_others() {
    let mut guests = Guests::new("");
    guests.guest(1, &[("ip", "10.0.0.5")]);
    guests.guest(2, &[("ip", "10.0.0.6")]);
    let path = format!("{}/ip", guests.dom0.backend(ID));
    guests.dom0.store.tool("xenstore-write", &[&path, "10.0.0.300"]);
    guests.dom0.netns.nft("flush ruleset");
    let restored = guests.dom0.xennet("guard restore");
    assert_eq!(restored.code, Some(1));
    let said = "the guard of vif1.0 cannot be restored: ip \"10.0.0.300\"";
    assert!(restored.stderr.contains(said), "{restored:?}");
    assert!(ruleset(&guests).contains("10.0.0.6"), "{restored:?}");
}

#[test]
fn port_that_is_up_is_guarded_whatever_hotplug_status_says() {
    for status in ["error", ""] {
        let mut guests = Guests::new("");
        guests.guest(1, &[("ip", "10.0.0.5")]);
        let before = ruleset(&guests);
        let path = format!("{}/hotplug-status", guests.dom0.backend(ID));
        guests.dom0.store.tool("xenstore-write", &[&path, status]);
        guests.dom0.netns.nft("flush ruleset");
        assert_restored(&guests, &before, &[]);
        assert_guarded(&guests, status);
    }
}

#[test]
fn vif_list_with_a_bad_key_shows_the_status_of_xenstore() {
    for (key, value) in [("mtu", "9000000"), ("rate", "nonsense")] {
        let mut guests = Guests::new("");
        guests.guest(1, &[("ip", "10.0.0.5")]);
        let path = format!("{}/{key}", guests.dom0.backend(ID));
        guests.dom0.store.tool("xenstore-write", &[&path, value]);
        let row = row(&guests);
        for word in ["vif1.0", "xenbr0", "connected", key] {
            assert!(row.contains(word), "no {word:?} in {row}");
        }
        let json: Value =
            serde_json::from_str(&guests.dom0.xennet("vif list --json").stdout).unwrap();
        assert_eq!(json.pointer("/0/hotplug_status"), Some(&"connected".into()), "{json}");
        assert_eq!(json.pointer("/0/master"), Some(&"xenbr0".into()), "{json}");
    }
}

#[test]
fn vif_list_says_that_a_connected_vif_is_in_no_bridge() {
    let mut guests = Guests::new("");
    guests.guest(1, &[]);
    let fine = row(&guests);
    assert!(fine.contains("connected") && fine.ends_with("ok"), "{fine}");
    guests.dom0.netns.ip("link set vif1.0 nomaster");
    let row = row(&guests);
    assert!(row.contains("connected"), "{row}");
    // Its column MASTER is empty: only the last one can say this.
    assert!(row.contains("bridge") || row.contains("xenbr0"), "{row}");
}

/// A guest whose configuration names no bridge: it has joined the only one that there was.
fn without_bridge_key(guests: &mut Guests) {
    guests.boot(1, &[("ip", "10.0.0.5")]);
    let dom0 = &guests.dom0;
    dom0.store.tool("xenstore-rm", &[&format!("{}/bridge", dom0.backend(ID))]);
    dom0.online(Script::Ours, ID).succeeded();
}

#[test]
fn second_bridge_does_not_keep_a_guest_without_bridge_key_unguarded() {
    let mut guests = Guests::new("");
    without_bridge_key(&mut guests);
    let before = ruleset(&guests);
    guests.dom0.netns.make_bridge("docker0");
    guests.dom0.netns.nft("flush ruleset");
    assert_restored(&guests, &before, &[]);
    assert_guarded(&guests, "restore");
}

#[test]
fn second_online_of_a_guest_without_bridge_key_keeps_its_bridge() {
    let mut guests = Guests::new("");
    without_bridge_key(&mut guests);
    guests.dom0.netns.make_bridge("docker0");
    let before = guests.dom0.state();
    guests.dom0.online(Script::Ours, ID).succeeded();
    assert_eq!(guests.dom0.state(), before);
    // Not so one that is new: nothing says which.
    let other = guests.boot(2, &[]);
    let dom0 = &guests.dom0;
    dom0.store.tool("xenstore-rm", &[&format!("{}/bridge", dom0.backend(other))]);
    let refused = dom0.online(Script::Ours, other);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("docker0"), "{}", refused.stderr);
}

#[test]
fn uplink_that_left_the_bridge_does_not_keep_a_guest_unguarded() {
    let mut guests = Guests::new(
        "[[bridge]]\nname = \"xenbr0\"\nuplink = \"eth0\"\nmanage_uplink_vlans = true\n",
    );
    // Where the kernel can make the bridge VLAN-aware, the uplink has VLANs to manage.
    guests.dom0.netns.try_ip("link set xenbr0 type bridge vlan_filtering 1");
    guests.guest(1, &[("ip", "10.0.0.5")]);
    let before = ruleset(&guests);
    guests.dom0.netns.ip("link set eth0 nomaster");
    guests.dom0.netns.nft("flush ruleset");
    assert_restored(&guests, &before, &[]);
    guests.dom0.netns.ip("link set eth0 master xenbr0");
    assert_guarded(&guests, "restore");
}
