//! The table of an older or a newer version, replaced by a plug.

use std::process::Stdio;

use xennet_core::kernel::Nftables;
use xennet_core::plan::guard::{Frame, GuardLayout};
use xennet_core::types::{NftBatch, NftCommand, NftExpr, NftFamily, NftSet, VifId};
use xennet_tests::frames::*;
use xennet_tests::guests::Guests;
use xennet_tests::hotplug::Script;

/// A table as version 0.1.0 makes it, of a kernel without `meta ibrname`; but for the rules that nft 1.0.6 cannot read.
const OLDER: &str = include_str!("../data/guard-older.nft");

const TABLE: &str = GuardLayout::TABLE;

const IPS: [(u16, &str); 2] = [
    (1, "10.0.0.5 10.0.1.0/24 fd00::5 fd00:1::/64"),
    // More addresses than a record has room for.
    (
        2,
        "10.0.0.6 10.0.2.0/24 fd00::6 fd00:0:0:1:1:1:1:1 fd00:0:0:1:1:1:1:2 fd00:0:0:1:1:1:1:3 \
         fd00:0:0:1:1:1:1:4",
    ),
];

/// Two guests that an older version has plugged.
fn older() -> Guests {
    let mut guests = Guests::new("");
    for (domid, ip) in IPS {
        guests.guest(domid, &[("ip", ip)]);
    }
    guests.dom0.netns.nft(&format!("delete table bridge xennet\n{OLDER}"));
    guests
}

/// Two guests of a newer version, whose table has other sets in the place of some.
fn newer() -> Guests {
    let mut guests = Guests::new("");
    for (domid, ip) in IPS {
        guests.guest(domid, &[("ip", ip)]);
    }
    let family = NftFamily::Bridge;
    let renamed = |name: &str| match name {
        "own4" | "macs" | "ip4_24" | "drops" => format!("newer_{name}"),
        _ => name.to_owned(),
    };
    let mut nft = Nftables::open().expect("nftables");
    let table = nft.table(family, TABLE).expect("an answer").expect("a table");
    let mut commands =
        vec![NftCommand::TableDelete, NftCommand::TableAdd { comment: table.comment }];
    for set in nft.sets(family, TABLE).expect("an answer") {
        let elements = nft.elements(family, TABLE, &set).expect("an answer");
        let set = NftSet { name: renamed(&set.name), ..set };
        commands.push(NftCommand::SetAdd(set.clone()));
        commands.push(NftCommand::ElementsAdd { set, elements });
    }
    commands.extend(
        nft.chains(family, TABLE).expect("an answer").into_iter().map(NftCommand::ChainAdd),
    );
    for mut rule in nft.rules(family, TABLE).expect("an answer") {
        for expression in &mut rule.expressions {
            if let NftExpr::Lookup { set, .. } | NftExpr::CountIn { set, .. } = expression {
                *set = renamed(set);
            }
        }
        commands.push(NftCommand::RuleAdd(rule));
    }
    let table = TABLE.to_owned();
    nft.apply(&NftBatch { family, table, generation: None, commands }).expect("an answer");
    guests
}

fn assert_guarded(guests: &Guests) {
    for (domid, own) in [(1, ["10.0.0.5", "10.0.1.9"].as_slice()), (2, &["10.0.0.6", "10.0.2.9"])] {
        for source in own {
            assert_eq!(guests.verdict(&of(domid, &ip4(source, tcp()))), "passes", "{source}");
        }
        assert_eq!(guests.verdict(&of(domid, &ip4("10.0.0.7", tcp()))), "source is not its own");
    }
    for source in ["fd00::6", "fd00::1:1:1:1:4", "fe80::216:3eff:fe00:2"] {
        assert_eq!(guests.verdict(&of(2, &ip6(source, udp(1, 2)))), "passes", "{source}");
    }
    let theirs = "source is another vif's (/32)";
    assert_eq!(guests.verdict(&of(1, &ip4("10.0.0.6", tcp()))), theirs);
    assert_eq!(guests.verdict(&uplink(&ip4("10.0.0.6", tcp()))), theirs);
}

#[test]
fn plug_replaces_an_older_table_and_no_port_is_open_or_cut_off_meanwhile() {
    let guests = older();
    assert_guarded(&guests);
    assert_replaced(guests);
}

#[test]
fn plug_replaces_a_newer_table_and_no_port_is_open_or_cut_off_meanwhile() {
    assert_replaced(newer());
}

fn assert_replaced(mut guests: Guests) {
    let new = guests.boot(3, &[("ip", "10.0.0.7")]);
    let mut plug = guests.dom0.command(Script::Ours, new, &["online", "type_if=vif"], &[]);
    let mut plug = plug.stderr(Stdio::piped()).spawn().expect("xennet");
    // The new port joins the bridge meanwhile, so only the uplink is asked.
    let arrives = |frame: &Frame| {
        guests.received("eth0");
        guests.send(frame);
        !guests.received("eth0").is_empty()
    };
    let mut rounds = 0;
    let mut over = false;
    while !over {
        over = plug.try_wait().expect("a child").is_some();
        for domid in [1, 2] {
            let from = |source: &str| of(domid, &ip4(source, udp(1, 2)));
            assert!(arrives(&from(&format!("10.0.0.{}", domid + 4))));
            assert!(!arrives(&from("10.0.0.9")));
        }
        rounds += 1;
    }
    println!("{rounds} rounds");
    assert!(plug.wait().expect("a child").success());
    assert_eq!(guests.verdict(&of(3, &ip4("10.0.0.7", tcp()))), "passes");
    let of_another_version = |name: &str| name == "ip4_32" || name.starts_with("newer_");
    assert!(!guests.table().elements.iter().any(|(set, _)| of_another_version(&set.name)));
    guests.dom0.xennet("guard check").succeeded();
    guests.dom0.offline(Script::Ours, new).succeeded();
    guests.unplug("vif3.0");
    assert_guarded(&guests);
}

#[test]
fn failed_plug_leaves_the_new_table_to_the_other_ports() {
    let mut guests = older();
    let new = guests.boot(3, &[("ip", "10.0.0.9")]);
    guests.dom0.hook("10-fail.hook", "exit 1");
    assert_ne!(guests.dom0.online(Script::Ours, new).code, Some(0));
    assert_guarded(&guests);
    let left = guests.table().texts();
    assert!(left.iter().all(|line| !line.contains("vif3.0")), "{left:?}");
}

#[test]
fn restore_replaces_an_older_table() {
    let guests = older();
    guests.dom0.xennet("guard restore").succeeded();
    guests.dom0.xennet("guard check").succeeded();
    assert_guarded(&guests);
}

#[test]
fn unplug_from_an_older_table_leaves_nothing_of_the_vif() {
    let guests = older();
    guests.dom0.offline(Script::Ours, VifId { domid: 1, devid: 0 }).succeeded();
    let left = guests.table().texts();
    let left: Vec<_> = left.iter().filter(|line| line.contains("vif1.0")).collect();
    assert!(
        left.iter().all(|line| line.starts_with("ip4_32") || line.starts_with("ip6_128")),
        "{left:?}"
    );
    assert!(!guests.passes(&of(2, &ip4("10.0.0.9", tcp()))));
}
