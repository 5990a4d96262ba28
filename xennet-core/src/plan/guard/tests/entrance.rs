//! In the family whose ports each have a chain of their own.

use super::fixture::*;
use crate::config::GuardLevel;
use crate::plan::Change;
use crate::plan::guard::{GuardEntry, GuardLayout, GuardSnapshot, remove};
use crate::types::{IfName, NftBatch, NftChain, NftCommand, NftFamily, NftHookPoint, NftTable};

fn switched() -> GuardEntry {
    GuardEntry { switch: true, ip: "10.0.0.5".parse().unwrap(), ..entry(GuardLevel::Strict) }
}

fn port(name: &str) -> IfName {
    name.parse().unwrap()
}

/// A whole table with the entrances of these ports, and none of their elements.
fn seen(ports: &[&str]) -> GuardSnapshot {
    let layout = GuardLayout::new(NftFamily::Netdev, false);
    let table = NftTable {
        family: NftFamily::Netdev,
        name: GuardLayout::TABLE.to_owned(),
        comment: Some(layout.comment()),
        dormant: false,
    };
    let (mut chains, mut rules) = (layout.chains(), layout.rules());
    for (chain, rule) in ports.iter().filter_map(|name| layout.entrance(&port(name))) {
        chains.push(chain);
        rules.push(rule);
    }
    let (table, sets) = (Some(table), layout.sets());
    GuardSnapshot { generation: 7, table, sets, chains, rules, ..GuardSnapshot::default() }
}

fn batches(change: Option<Change>) -> (NftBatch, NftBatch) {
    match change {
        Some(Change::Nft { batch, undo }) => (batch, undo),
        other => panic!("{other:?}"),
    }
}

fn words_of(batch: &NftBatch) -> Vec<String> {
    let of_chains = |command: &&NftCommand| {
        !matches!(
            command,
            NftCommand::ElementsAdd { .. }
                | NftCommand::ElementsCreate { .. }
                | NftCommand::ElementsDelete { .. }
        )
    };
    batch.commands.iter().filter(of_chains).map(|command| batch.words(command)).collect()
}

#[test]
fn of_its_device_before_all_others() {
    let layout = GuardLayout::new(NftFamily::Netdev, true);
    assert!(!layout.bridge_names, "no bridge has a name there");
    let (chain, rule) = layout.entrance(&port("ip6")).unwrap();
    let hook = chain.hook.unwrap();
    assert_eq!(chain.name, "port_ip6", "no word of nft's");
    assert_eq!(
        (hook.point, hook.device, hook.priority),
        (NftHookPoint::Ingress, Some(port("ip6")), -300)
    );
    assert_eq!(rule.chain, "port_ip6");
    assert!(layout.chains().iter().all(|chain| chain.hook.is_none()));
    for family in [NftFamily::Bridge, NftFamily::Inet] {
        assert_eq!(GuardLayout::new(family, false).entrance(&port("vif1.0")), None);
    }
}

#[test]
fn the_record_says_that_it_is_open_vswitchs() {
    let record = switched().record();
    assert_eq!(record, "strict vif1.0 00:16:3e:00:00:01 openvswitch xenbr0 10.0.0.5");
    let read = GuardEntry::from_record(switched().port, &record).unwrap();
    assert_eq!(read, switched());
    assert_eq!(read.family(), NftFamily::Netdev);
}

#[test]
fn it_comes_with_the_port_and_goes_when_that_is_undone() {
    let (batch, undo) = batches(switched().install(&seen(&["vif2.0"])).unwrap());
    assert_eq!(batch.generation, Some(7));
    let words = words_of(&batch);
    let at = |word: &str| words.iter().position(|words| words == word);
    assert!(at("add chain netdev xennet port_vif1.0") < at("add rule netdev xennet port_vif1.0"));
    assert!(words.iter().all(|words| !words.contains("vif2.0")), "{words:?}");
    assert_eq!(
        words_of(&undo),
        ["add chain netdev xennet port_vif1.0", "delete chain netdev xennet port_vif1.0"]
    );
    // The whole table is there: of that only the port's own chain is undone.
    let mut whole = seen(&["vif1.0", "vif2.0"]);
    let (batch, undo) = batches(switched().install(&whole).unwrap());
    assert!(words_of(&batch).is_empty() && words_of(&undo).is_empty());
    let layout = GuardLayout::new(NftFamily::Netdev, false);
    whole.present = switched().elements(&layout);
    assert_eq!(switched().install(&whole), Ok(None));
}

#[test]
fn one_that_is_not_as_it_should_be_is_made_anew() {
    let layout = GuardLayout::new(NftFamily::Netdev, false);
    let whole =
        GuardSnapshot { present: switched().elements(&layout), ..seen(&["vif1.0", "vif2.0"]) };
    let own = |seen: &mut GuardSnapshot| {
        seen.chains.iter_mut().find(|chain| chain.name == "port_vif1.0").unwrap().clone()
    };
    let change = |change: fn(&mut NftChain)| {
        let mut seen = whole.clone();
        change(seen.chains.iter_mut().find(|chain| chain.name == "port_vif1.0").unwrap());
        words_of(&batches(switched().install(&seen).unwrap()).0)
    };
    let deleted = "delete chain netdev xennet port_vif1.0".to_owned();
    assert_eq!(switched().install(&whole), Ok(None));
    // A device that went took the hook along.
    assert!(change(|chain| chain.hook.as_mut().unwrap().device = None).contains(&deleted));
    assert!(change(|chain| chain.hook = None).contains(&deleted));
    assert!(change(|chain| chain.hook.as_mut().unwrap().priority = 0).contains(&deleted));
    // Somebody else's, of the same device; and another port's, which is not this one's to judge.
    let mut seen = whole.clone();
    seen.chains.push(NftChain { name: "mine".to_owned(), ..own(&mut seen.clone()) });
    let words = words_of(&batches(switched().install(&seen).unwrap()).0);
    assert!(words.contains(&"delete chain netdev xennet mine".to_owned()), "{words:?}");
    let mut seen = whole.clone();
    seen.rules.retain(|rule| rule.chain != "port_vif2.0");
    assert_eq!(switched().install(&seen), Ok(None));
    seen.rules.retain(|rule| rule.chain != "port_vif1.0");
    assert!(switched().install(&seen).unwrap().is_some());
}

#[test]
fn it_goes_with_the_port_even_where_nothing_else_is_left() {
    let of = |ports: &[&str]| {
        let entrances = ports.iter().map(|name| port(name)).collect();
        remove(
            NftFamily::Netdev,
            switched().owner,
            false,
            &GuardSnapshot { entrances, ..seen(&["vif1.0"]) },
        )
    };
    assert_eq!(of(&[]), None);
    let (batch, undo) = batches(of(&["vif1.0"]));
    // Added first, for it may have gone with its device.
    assert_eq!(
        words_of(&batch),
        ["add chain netdev xennet port_vif1.0", "delete chain netdev xennet port_vif1.0"]
    );
    let (chain, rule) =
        GuardLayout::new(NftFamily::Netdev, false).entrance(&port("vif1.0")).unwrap();
    assert_eq!(undo.commands, [NftCommand::ChainAdd(chain), NftCommand::RuleAdd(rule)]);
    // That of the name that it had.
    let renamed = GuardEntry { port: port("web"), ..switched() };
    let entrances = vec![port("vif1.0"), port("web")];
    let (batch, _) =
        batches(renamed.install(&GuardSnapshot { entrances, ..seen(&["vif1.0", "web"]) }).unwrap());
    assert_eq!(
        words_of(&batch).last().map(String::as_str),
        Some("delete chain netdev xennet port_vif1.0")
    );
}
