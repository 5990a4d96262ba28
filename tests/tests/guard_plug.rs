//! What plugging and unplugging make of the guard.

use std::collections::BTreeSet;
use std::fs;
use std::thread;
use std::time::Duration;

use xennet_core::types::VifId;
use xennet_tests::frames::*;
use xennet_tests::guests::{Guests, as_planned, key, mac, text};
use xennet_tests::hotplug::Script;

const THEIRS: &str = "source is another vif's (/32)";
const SOURCE: &str = "source is not its own";

fn from(domid: u16, source: &str) -> xennet_core::plan::guard::Frame {
    of(domid, &ip4(source, tcp()))
}

#[test]
fn new_addresses_hold_from_the_next_plug_on() {
    let mut guests = Guests::new("");
    let id = guests.guest(1, &[("ip", "10.0.0.5 10.1.0.0/16")]);
    guests.guest(2, &[]);
    assert_eq!(guests.verdict(&from(1, "10.0.0.5")), "passes");
    guests.tell(id, &[("ip", "10.0.0.7 10.1.2.0/24"), ("hotplug-status", "connected")]);
    guests.dom0.online(Script::Ours, id).succeeded();
    for (source, verdict) in
        [("10.0.0.7", "passes"), ("10.0.0.5", SOURCE), ("10.1.2.9", "passes"), ("10.1.3.9", SOURCE)]
    {
        assert_eq!(guests.verdict(&from(1, source)), verdict, "{source}");
    }
    assert_eq!(guests.verdict(&from(2, "10.0.0.5")), "passes", "nobody's any more");
    assert_eq!(guests.verdict(&from(2, "10.1.3.9")), "passes", "nobody's any more");
    assert_eq!(guests.verdict(&from(2, "10.0.0.7")), THEIRS);
}

#[test]
fn another_ethernet_address_while_it_is_up() {
    const STOLEN: &str = "an Ethernet address that is not its own";
    let mut guests = Guests::new("");
    let id = guests.guest(1, &[("ip", "10.0.0.5")]);
    let packet = ip4("10.0.0.5", tcp());
    let with = |source| frame("vif1.0", source, &[], &packet);
    // The guest gives itself another one.
    assert_eq!(guests.verdict(&with(mac(1))), "passes");
    assert_eq!(guests.verdict(&with(mac(7))), STOLEN);
    // The administrator does.
    guests.tell(id, &[("ip", "10.0.0.5"), ("mac", &text(mac(7)))]);
    guests.dom0.online(Script::Ours, id).succeeded();
    assert_eq!(guests.verdict(&with(mac(7))), "passes");
    assert_eq!(guests.verdict(&with(mac(1))), STOLEN);
    // Its link-local address went with it.
    let local = |domid| ip6(&format!("fe80::216:3eff:fe00:{domid}"), tcp());
    assert_eq!(guests.verdict(&frame("vif1.0", mac(7), &[], &local(7))), "passes");
    assert_eq!(guests.verdict(&frame("vif1.0", mac(7), &[], &local(1))), SOURCE);
}

#[test]
fn each_level_after_each_other() {
    let mut guests = Guests::new("");
    let id = guests.guest(1, &[("ip", "10.0.0.5")]);
    let frames = [
        frame("vif1.0", mac(7), &[], &ip4("10.0.0.5", tcp())),
        from(1, "192.0.2.7"),
        mine(&xennet_core::plan::guard::Packet::Other { protocol: 0x8864, bytes: vec![0; 46] }),
        from(1, "10.0.0.5"),
    ];
    let levels = [("off", 0), ("mac", 1), ("ip", 2), ("strict", 3)];
    for (before, _) in levels {
        for (level, dropped) in levels {
            for level in [before, level] {
                let text = format!("[[bridge]]\nname = \"xenbr0\"\nguard = \"{level}\"\n");
                fs::write(guests.dom0.dir().join("xennet.toml"), text).unwrap();
                guests.dom0.online(Script::Ours, id).succeeded();
            }
            let passes: Vec<bool> = frames.iter().map(|frame| guests.passes(frame)).collect();
            let expected: Vec<bool> = (0..4).map(|n| n >= dropped).collect();
            assert_eq!(passes, expected, "{level} after {before}");
        }
    }
}

#[test]
fn an_unplugged_guest_leaves_nothing() {
    let mut guests = Guests::new("");
    guests.guest(2, &[("ip", "10.0.0.6")]);
    let before = guests.table().texts();
    for gone_first in [false, true] {
        let id = guests.guest(1, &[("ip", "10.0.0.5 10.0.1.0/24 fd00::5")]);
        assert_ne!(guests.table().texts(), before);
        if gone_first {
            guests.unplug("vif1.0");
        }
        guests.dom0.offline(Script::Ours, id).succeeded();
        guests.dom0.offline(Script::Ours, id).succeeded();
        assert_eq!(guests.table().texts(), before);
        if !gone_first {
            guests.unplug("vif1.0");
        }
    }
    assert_eq!(guests.verdict(&uplink(&ip4("10.0.0.5", tcp()))), "passes");
}

/// All of the ruleset but what has been counted.
fn ruleset(guests: &Guests) -> String {
    as_planned(&guests.dom0.netns.nft_text("-s list ruleset"))
}

#[test]
fn lengths_of_prefixes_go_with_the_last_vif_that_uses_them() {
    let mut guests = Guests::new("[[bridge]]\nname = \"xenbr0\"\nreserve = true\n");
    guests.guest(1, &[("ip", "10.0.0.5 10.0.1.0/24")]);
    let before = ruleset(&guests);
    // Each prefix also counts as an address that is kept for the guest, unless it is never anybody's.
    let uses = "10.0.0.6 10.0.1.0/25 10.0.2.0/24 fe80::/65";
    let id = guests.guest(2, &[("ip", uses)]);
    let both = ruleset(&guests);
    for set in ["ip4_24", "ip4_25", "owned4_25", "ip6_65"] {
        assert!(both.contains(&format!("set {set} ")), "{set}: {both}");
    }
    guests.dom0.offline(Script::Ours, id).succeeded();
    let reserved = ruleset(&guests);
    assert!(reserved.contains("set owned4_25 "), "an address is reserved: {reserved}");
    assert!(!reserved.contains("set ip6_65 "), "{reserved}");
    assert_eq!(guests.verdict(&from(1, "10.0.1.200")), "passes");
    assert_eq!(guests.verdict(&from(1, "10.0.1.9")), "source is another vif's (/25)");
    // The guest comes back without a reservation, and leaves for good.
    guests.tell(id, &[("ip", uses), ("hotplug-status", "connected")]);
    let off = "[[bridge]]\nname = \"xenbr0\"\nreserve = false\n";
    fs::write(guests.dom0.dir().join("xennet.toml"), off).unwrap();
    guests.dom0.online(Script::Ours, id).succeeded();
    assert_eq!(guests.verdict(&from(2, "10.0.1.9")), "passes");
    guests.dom0.offline(Script::Ours, id).succeeded();
    assert_eq!(lines(&ruleset(&guests)), lines(&before));
    assert_eq!(guests.verdict(&from(1, "10.0.1.9")), "passes");
    // A guest that vanishes leaves its lengths until the guard is restored.
    let gone = guests.guest(3, &[("ip", uses)]);
    guests.unplug("vif3.0");
    guests.dom0.forget(gone);
    guests.dom0.xennet("guard restore").succeeded();
    let restored = ruleset(&guests);
    assert!(!restored.contains("ip4_25") && !restored.contains("ip6_65"), "{restored}");
    guests.dom0.xennet("guard check").succeeded();
}

fn lines(ruleset: &str) -> BTreeSet<&str> {
    ruleset.lines().map(str::trim).collect()
}

#[test]
fn reserved_addresses_stay_refused_to_others_until_their_guest_comes_back() {
    let mut guests = Guests::new("[[bridge]]\nname = \"xenbr0\"\nreserve = true\n");
    let id = guests.guest(1, &[("ip", "10.0.0.5 10.0.1.0/24")]);
    guests.guest(2, &[("ip", "10.0.0.0/16")]);
    guests.guest(3, &[]);
    guests.unplug("vif1.0");
    guests.dom0.offline(Script::Ours, id).succeeded();
    for (source, length) in [("10.0.0.5", 32), ("10.0.1.7", 24)] {
        let refused = format!("source is another vif's (/{length})");
        let packet = ip4(source, tcp());
        assert_eq!(guests.verdict(&of(2, &packet)), refused, "its prefix holds it");
        assert_eq!(guests.verdict(&of(3, &packet)), refused, "it has no guard");
        assert_eq!(guests.verdict(&uplink(&packet)), refused);
    }
    // After a reboot it is another domain.
    guests.guest(7, &[("ip", "10.0.0.5 10.0.1.0/24")]);
    for source in ["10.0.0.5", "10.0.1.7"] {
        assert_eq!(guests.verdict(&from(7, source)), "passes");
    }
    let owners = guests.table().owners();
    assert_eq!(owners["owned4_32 10.0.0.5"], "vif7.0");
    assert_eq!(owners["owned4_24 10.0.1.0"], "vif7.0");
}

#[test]
fn address_of_two_guests_is_owned_until_the_last_one_is_unplugged() {
    for later_leaves_first in [false, true] {
        let mut guests = Guests::new("");
        let [earlier, later] = [1, 2].map(|domid| guests.guest(domid, &[("ip", "10.0.0.5")]));
        guests.guest(3, &[]);
        let owners = |guests: &Guests| guests.table().owners().get("owned4_32 10.0.0.5").cloned();
        assert_eq!(owners(&guests).as_deref(), Some("vif1.0 vif2.0"));
        // While a guest migrates within the host, both of its domains have it.
        assert_eq!(guests.verdict(&from(1, "10.0.0.5")), "passes");
        assert_eq!(guests.verdict(&from(2, "10.0.0.5")), "passes");
        guests.dom0.xennet("guard check").succeeded();
        let [first, last] = if later_leaves_first { [later, earlier] } else { [earlier, later] };
        guests.dom0.offline(Script::Ours, first).succeeded();
        assert_eq!(owners(&guests), Some(format!("vif{last}")));
        assert_eq!(guests.verdict(&uplink(&ip4("10.0.0.5", tcp()))), THEIRS);
        assert_eq!(guests.verdict(&from(last.domid, "10.0.0.5")), "passes");
        guests.dom0.xennet("guard check").succeeded();
        guests.dom0.offline(Script::Ours, last).succeeded();
        assert_eq!(guests.table().texts(), BTreeSet::new());
        assert_eq!(guests.verdict(&uplink(&ip4("10.0.0.5", tcp()))), "passes");
    }
}

/// What `guard show` says of a port.
fn shown(guests: &Guests, port: &str) -> serde_json::Value {
    let shown = guests.dom0.xennet("--json guard show").stdout;
    let shown: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
    let tables = shown.as_array().expect("tables");
    let ports = |table: &serde_json::Value| table.get("ports")?.as_array().cloned();
    let mut ports = tables.iter().filter_map(ports).flatten();
    let port = ports.find(|found| found.get("port").is_some_and(|name| name == port));
    port.expect("it is guarded")
}

/// What a port sent, and what was dropped of it.
fn counted(guests: &Guests, port: &str) -> [u64; 2] {
    let port = shown(guests, port);
    ["/sent/packets", "/dropped/packets"]
        .map(|path| port.pointer(path).and_then(serde_json::Value::as_u64).expect("a number"))
}

#[test]
fn counters_of_a_plugged_vif_never_go_backwards() {
    let mut guests = Guests::new("");
    let id = guests.guest(1, &[("ip", "10.0.0.5")]);
    let mut total = 0;
    let mut send = |guests: &Guests| {
        for _ in 0..3 {
            assert!(!guests.passes(&from(1, "10.0.0.99")));
            total += 1;
        }
        assert_eq!(counted(guests, "vif1.0"), [total; 2]);
    };
    send(&guests);
    for ip in ["10.0.0.6", "10.0.0.6 10.1.0.0/16", "10.0.0.5"] {
        guests.tell(id, &[("ip", ip), ("hotplug-status", "connected")]);
        guests.dom0.online(Script::Ours, id).succeeded();
        send(&guests);
    }
    // A table of version 2: no set of records, and the record with the port.
    let record = "strict vif1.0 00:16:3e:00:00:01 bridge xenbr0 10.0.0.5";
    assert!(guests.table().texts().contains(&format!("records \"vif1.0\" comment \"{record}\"")));
    let downgrade = |guests: &Guests| {
        let [packets, _] = counted(guests, "vif1.0");
        guests.dom0.netns.nft(&format!(
            "flush chain bridge xennet refused; delete set bridge xennet records; \
             add rule bridge xennet refused iifname @ports add @drops {{ iifname . meta mark counter }}; \
             add rule bridge xennet refused drop; delete element bridge xennet ports {{ vif1.0 }}; \
             add element bridge xennet ports {{ vif1.0 counter packets {packets} bytes 900 comment \"{record}\" }}"
        ));
    };
    downgrade(&guests);
    send(&guests);
    guests.tell(id, &[("ip", "10.0.0.7"), ("hotplug-status", "connected")]);
    guests.dom0.online(Script::Ours, id).succeeded();
    send(&guests);
    assert_eq!(guests.verdict(&from(1, "10.0.0.5")), SOURCE);
    guests.dom0.offline(Script::Ours, id).succeeded();
    assert_eq!(guests.table().texts(), BTreeSet::new());
}

#[test]
fn drops_are_counted_by_port_and_reason() {
    let mut guests = Guests::new("");
    let first = guests.guest(1, &[("ip", "10.0.0.5")]);
    guests.guest(2, &[("ip", "10.0.0.6")]);
    let drops = |guests: &Guests, port| {
        let drops = shown(guests, port)["drops"].as_array().expect("a list").clone();
        let drop = |it: &serde_json::Value| {
            let packets = it["counter"]["packets"].as_u64().expect("a number");
            (it["reason"].as_str().expect("a text").to_owned(), packets)
        };
        drops.iter().map(drop).collect::<Vec<_>>()
    };
    let three_kinds =
        [from(1, "10.0.0.9"), from(1, "10.0.0.6"), from(1, "10.0.0.9"), from(2, "10.0.0.9")];
    guests.verdicts(&three_kinds);
    let first_drops = [(THEIRS.to_owned(), 1), (SOURCE.to_owned(), 2)];
    assert_eq!(drops(&guests, "vif1.0"), first_drops);
    assert_eq!(drops(&guests, "vif2.0"), [(SOURCE.to_owned(), 1)]);
    let text = guests.dom0.xennet("guard show").stdout;
    assert!(text.contains(&format!("    dropped      2 {SOURCE}\n")), "{text}");
    // They stay when the vif is plugged again, when the guard is restored, and when another vif leaves.
    guests.tell(first, &[("ip", "10.0.0.5 10.0.1.0/24"), ("hotplug-status", "connected")]);
    guests.dom0.online(Script::Ours, first).succeeded();
    guests.dom0.netns.nft("flush set bridge xennet macs");
    guests.dom0.xennet("guard restore").succeeded();
    guests.dom0.offline(Script::Ours, VifId { domid: 2, devid: 0 }).succeeded();
    assert_eq!(drops(&guests, "vif1.0"), first_drops);
    guests.dom0.xennet("guard check").succeeded();
    // They go with the vif.
    guests.dom0.offline(Script::Ours, first).succeeded();
    let listed = guests.dom0.netns.nft_text("list set bridge xennet drops");
    assert!(!listed.contains("elements"), "{listed}");
}

#[test]
fn a_vif_and_its_tap() {
    let mut guests = Guests::new("");
    guests.port("vif1.0-emu");
    let id = guests.guest(1, &[("ip", "10.0.0.5"), ("type", "vif_ioemu")]);
    guests.dom0.add(Script::Ours, id).succeeded();
    let packet = ip4("10.0.0.5", tcp());
    let by = |port: &str, source| frame(port, mac(1), &[], &ip4(source, tcp()));
    for port in ["vif1.0", "vif1.0-emu"] {
        assert_eq!(guests.verdict(&by(port, "10.0.0.5")), "passes");
        assert_eq!(guests.verdict(&by(port, "10.0.0.7")), SOURCE);
    }
    assert_eq!(guests.verdict(&uplink(&packet)), THEIRS);
    // The tap goes, and the vif's address stays its own.
    guests.dom0.remove(Script::Ours, id).succeeded();
    assert_eq!(guests.verdict(&by("vif1.0", "10.0.0.5")), "passes");
    assert_eq!(guests.verdict(&uplink(&packet)), THEIRS);
    // The vif goes, and the tap stays held to it.
    guests.dom0.add(Script::Ours, id).succeeded();
    guests.dom0.offline(Script::Ours, id).succeeded();
    assert_eq!(guests.verdict(&by("vif1.0-emu", "10.0.0.5")), "passes");
    assert_eq!(guests.verdict(&by("vif1.0-emu", "10.0.0.7")), SOURCE);
    guests.dom0.remove(Script::Ours, id).succeeded();
    assert_eq!(guests.table().texts(), BTreeSet::new());
}

#[test]
fn a_renamed_vif_is_known_by_its_new_name_only() {
    let mut guests = Guests::new("");
    let id = guests.boot(1, &[("ip", "10.0.0.5"), ("vifname", "web")]);
    guests.dom0.online(Script::Ours, id).succeeded();
    guests.renamed("vif1.0", "web");
    let by_web = |source| frame("web", mac(1), &[], &ip4(source, tcp()));
    assert_eq!(guests.verdict(&by_web("10.0.0.5")), "passes");
    assert_eq!(guests.verdict(&by_web("10.0.0.7")), SOURCE);
    let table = guests.table();
    let named: Vec<_> = table.elements.iter().map(|(set, element)| key(set, element)).collect();
    assert!(!named.iter().any(|key| key.contains("vif1.0")), "{named:#?}");
    guests.dom0.offline(Script::Ours, id).succeeded();
    assert_eq!(guests.table().texts(), BTreeSet::new());
}

#[test]
fn a_vif_that_is_plugged_again_at_once_is_guarded_for_good() {
    let mut guests = Guests::new("");
    let id = guests.guest(1, &[("ip", "10.0.0.5 fd00::5")]);
    let before = guests.table().texts();
    for pause in 0..16 {
        guests.dom0.offline(Script::Ours, id).succeeded();
        // What an unplugged vif had takes some milliseconds to end: before, while and after it does.
        thread::sleep(Duration::from_millis(pause));
        guests.dom0.online(Script::Ours, id).succeeded();
        thread::sleep(Duration::from_millis(20));
        assert_eq!(guests.table().texts(), before, "{pause} ms later");
    }
}

#[test]
fn a_name_that_is_another_vifs_by_now_stays_guarded() {
    let mut guests = Guests::new("");
    let keys = |ip| [("ip", ip), ("vifname", "web")];
    let first = guests.boot(1, &keys("10.0.0.5"));
    guests.dom0.online(Script::Ours, first).succeeded();
    // Its device goes, and the script is late.
    guests.renamed("vif1.0", "web");
    guests.unplug("web");
    let second = guests.boot(2, &keys("10.0.0.6"));
    guests.dom0.online(Script::Ours, second).succeeded();
    guests.renamed("vif2.0", "web");
    let guarded = guests.table().texts();
    assert!(!guarded.iter().any(|text| text.contains("vif1.0")), "{guarded:#?}");
    guests.dom0.offline(Script::Ours, first).succeeded();
    assert_eq!(guests.table().texts(), guarded);
    let by_web = |source| frame("web", mac(2), &[], &ip4(source, tcp()));
    assert_eq!(guests.verdict(&by_web("10.0.0.6")), "passes");
    assert_eq!(guests.verdict(&by_web("10.0.0.5")), SOURCE);
    guests.dom0.offline(Script::Ours, second).succeeded();
    assert_eq!(guests.table().texts(), BTreeSet::new());
}

#[test]
fn sets_in_which_nothing_can_end_are_not_made_anew() {
    let mut guests = Guests::new("");
    let first = guests.guest(1, &[("ip", "10.0.0.5")]);
    guests.guest(2, &[("ip", "10.0.0.6")]);
    let netns = &guests.dom0.netns;
    let listed = netns.nft_text("list table bridge xennet").replace("dynamic,timeout", "dynamic");
    let sets = listed.lines().take_while(|line| !line.starts_with("\tchain"));
    // Without seals, too.
    let old = sets.filter(|line| {
        let words = line.trim().trim_start_matches("elements = { ");
        words != "flags timeout" && !words.starts_with("0x")
    });
    let old: Vec<&str> = old.chain(["}"]).collect();
    netns.nft("delete table bridge xennet");
    netns.nft(&old.join("\n"));
    assert!(!netns.nft_text("list table bridge xennet").contains("timeout"));

    guests.guest(3, &[("ip", "10.0.0.7")]);
    assert_eq!(guests.verdict(&from(2, "10.0.0.6")), "passes");
    assert_eq!(guests.verdict(&from(2, "10.0.0.5")), THEIRS);
    guests.dom0.offline(Script::Ours, first).succeeded();
    assert_eq!(guests.verdict(&from(2, "10.0.0.5")), SOURCE);
    assert!(!guests.table().texts().iter().any(|text| text.contains("vif1.0")));
    guests.dom0.online(Script::Ours, first).succeeded();
    assert_eq!(guests.verdict(&from(2, "10.0.0.5")), THEIRS);
    assert_eq!(guests.verdict(&from(1, "10.0.0.5")), "passes");
}

#[test]
fn what_is_too_much_for_a_record_is_taken_away_as_well() {
    let mut guests = Guests::new("");
    guests.guest(2, &[("ip", "10.9.0.1")]);
    let before = guests.table().texts();
    let many: Vec<String> = (0..40).map(|n| format!("10.0.0.{n} fd00::{n:x}:0/112")).collect();
    let id = guests.guest(1, &[("ip", &many.join(" "))]);
    assert_eq!(guests.verdict(&from(1, "10.0.0.39")), "passes");
    guests.tell(id, &[("ip", "10.0.0.1")]);
    guests.dom0.online(Script::Ours, id).succeeded();
    assert_eq!(guests.verdict(&from(1, "10.0.0.39")), SOURCE);
    assert_eq!(guests.verdict(&uplink(&ip4("10.0.0.39", tcp()))), "passes");
    guests.tell(id, &[("ip", &many.join(" "))]);
    guests.dom0.online(Script::Ours, id).succeeded();
    guests.dom0.offline(Script::Ours, id).succeeded();
    assert_eq!(guests.table().texts(), before);
}
