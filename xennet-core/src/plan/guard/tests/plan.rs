//! From what there is to what is wanted.

use super::fixture::*;
use crate::config::{GuardLevel, GuardPolicy};
use crate::plan::guard::{
    ENDING, GuardEntry, GuardLayout, GuardSnapshot, belongs_to, records, remove,
};
use crate::plan::{Change, PlanError};
use crate::types::{
    NftBatch, NftCommand, NftCounter, NftElement, NftExpr, NftFamily, NftSet, NftTable, VifId,
};

/// A table in the kernel, as far as batches change it; it refuses what the kernel would refuse.
#[derive(Debug, Clone, Default)]
pub(super) struct Kernel {
    pub(super) seen: GuardSnapshot,
}

impl Kernel {
    pub(super) fn new() -> Self {
        Self { seen: GuardSnapshot { generation: 7, bridge_names: true, ..Default::default() } }
    }

    pub(super) fn apply(&mut self, batch: &NftBatch) {
        let GuardSnapshot { generation, table, sets, chains, rules, present, .. } = &mut self.seen;
        let at = |present: &[(NftSet, NftElement)], set: &NftSet, element: &NftElement| {
            present.iter().position(|(s, e)| s == set && e.key == element.key)
        };
        for command in &batch.commands {
            match command.clone() {
                NftCommand::TableAdd { comment } => {
                    let (family, name) = (batch.family, batch.table.clone());
                    let new = NftTable { family, name, comment, dormant: false };
                    table.get_or_insert(new).dormant = false;
                }
                NftCommand::SetAdd(set) => sets.push(set),
                NftCommand::SetDelete { set } => {
                    assert!(rules.iter().all(|rule| !format!("{rule:?}").contains(&set)));
                    sets.retain(|other| other.name != set);
                    present.retain(|(other, _)| other.name != set);
                }
                NftCommand::ChainAdd(chain) => chains.push(chain),
                NftCommand::ChainFlush { chain } => rules.retain(|rule| rule.chain != chain),
                NftCommand::ChainDelete { chain } => chains.retain(|other| other.name != chain),
                NftCommand::RuleAdd(rule) => {
                    assert!(chains.iter().any(|chain| chain.name == rule.chain));
                    rules.push(rule);
                }
                NftCommand::ElementsAdd { set, elements } => {
                    assert!(sets.contains(&set), "{set:?}");
                    for element in elements {
                        if element.timeout.is_some_and(|left| left <= ENDING) {
                            present.remove(at(present, &set, &element).expect("it is there"));
                            continue;
                        }
                        assert_eq!(at(present, &set, &element), None, "{element}");
                        let counter = set.counter.then(|| element.counter.unwrap_or_default());
                        present.push((set.clone(), NftElement { counter, ..element }));
                    }
                }
                NftCommand::ElementsCreate { set, elements } => {
                    assert!(sets.contains(&set), "{set:?}");
                    for element in elements {
                        assert_eq!(at(present, &set, &element), None, "EEXIST");
                        present.push((set.clone(), element));
                    }
                }
                NftCommand::ElementsDelete { set, elements } => {
                    for element in elements {
                        present.remove(at(present, &set, &element).expect("ENOENT"));
                    }
                }
                NftCommand::TableDelete => unreachable!(),
            }
        }
        *generation += 1;
    }

    /// Plans, makes, and sees that there is nothing left to do.
    pub(super) fn install(&mut self, entry: &GuardEntry) -> NftBatch {
        let (batch, _) = batches(entry.install(&self.seen_by(entry)).unwrap().unwrap());
        self.apply(&batch);
        assert_eq!(entry.install(&self.seen_by(entry)), Ok(None));
        batch
    }

    /// Only what was asked for: what is wanted, and what the port's record says.
    pub(super) fn seen_by(&self, entry: &GuardEntry) -> GuardSnapshot {
        let layout = self.seen.layout(entry.family()).unwrap();
        let mut asked = entry.elements(&layout);
        if let Some(record) = records(&self.seen.present).get(&entry.port) {
            asked.extend(
                GuardEntry::from_record(entry.port.clone(), record).unwrap().elements(&layout),
            );
        }
        let mut seen = self.seen.clone();
        seen.present.retain(|(s, e)| {
            asked.iter().any(|(set, element)| set.name == s.name && element.key == e.key)
        });
        seen
    }

    pub(super) fn shown(&self) -> Vec<String> {
        let mut all: Vec<String> = self
            .seen
            .present
            .iter()
            .filter(|(set, _)| set.name != "whole")
            .map(|(set, element)| format!("{} {element}", set.name))
            .collect();
        all.sort();
        all
    }

    /// The generations at which the table was verified.
    fn verifications(&self) -> Vec<String> {
        let seals = self.seen.present.iter().filter(|(set, _)| set.name == "whole");
        seals.map(|(_, element)| element.to_string()).collect()
    }

    /// The layout of the cached verification of this generation, as it is looked up.
    fn verified(&self) -> Option<GuardLayout> {
        let (set, question) = GuardLayout::verification_key(self.seen.generation);
        let mut present = self.seen.present.iter();
        let (_, seal) = present.find(|(of, element)| *of == set && element.key == question.key)?;
        GuardLayout::from_verification(NftFamily::Bridge, seal)
    }
}

pub(super) fn batches(change: Change) -> (NftBatch, NftBatch) {
    match change {
        Change::Nft { batch, undo } => (batch, undo),
        other => panic!("{other}"),
    }
}

/// The addresses of `ip=` that have an owner.
pub(super) fn owned(kernel: &Kernel) -> Vec<String> {
    let by_mac = |line: &str| line.starts_with("owned_macs") || line.contains("fe80::216:");
    let owned = kernel.shown().into_iter().filter(|line| line.starts_with("owned"));
    owned.filter(|line| !by_mac(line)).collect()
}

pub(super) fn small(level: GuardLevel) -> GuardEntry {
    GuardEntry { ip: "10.0.0.5".parse().unwrap(), ..entry(level) }
}

#[test]
fn the_first_vif_brings_the_table() {
    let mut kernel = Kernel::new();
    let batch = kernel.install(&small(GuardLevel::Strict));
    assert_eq!(batch.generation, Some(7));
    assert!(
        batch.to_string().starts_with("add table bridge xennet; add set bridge xennet ports; ")
    );
    assert_eq!(kernel.seen.table.as_ref().unwrap().comment.as_deref(), Some("xennet guard 1"));
}

#[test]
fn the_next_one_brings_its_elements_only() {
    let mut kernel = Kernel::new();
    kernel.install(&entry(GuardLevel::Strict));
    let next = GuardEntry { ip: "10.0.0.6".parse().unwrap(), ..neighbour() };
    let change = next.install(&kernel.seen_by(&next)).unwrap().unwrap();
    assert!(change.is_kernel());
    assert_eq!(
        change.to_string(),
        "nft add element bridge xennet ports { \"vif2.0\" }; \
         add element bridge xennet records { \"vif2.0\" comment \"strict vif2.0 00:16:3e:00:00:02 bridge xenbr0 \
         10.0.0.6\" }; \
         add element bridge xennet macs { \"vif2.0\" . 00:16:3e:00:00:02 }; \
         create element bridge xennet owned_macs { \"xenbr0\" . 00:16:3e:00:00:02 comment \"vif2.0\" }; \
         add element bridge xennet own4 { \"vif2.0\" . 00:16:3e:00:00:02 . 10.0.0.6 }; \
         add element bridge xennet own6 { \"vif2.0\" . 00:16:3e:00:00:02 . fe80::216:3eff:fe00:2 }; \
         create element bridge xennet owned4_32 { \"xenbr0\" . 10.0.0.6 comment \"vif2.0\" }; \
         create element bridge xennet owned6_128 { \"xenbr0\" . fe80::216:3eff:fe00:2 comment \"vif2.0\" }; \
         add element bridge xennet whole { 0x00000009 timeout 3600000ms }"
    );
    assert_eq!(batches(change).0.generation, None);
}

#[test]
fn cached_verification_saves_reading_the_rules_until_the_ruleset_changes() {
    let mut kernel = Kernel::new();
    kernel.install(&small(GuardLevel::Strict));
    // Seals are asked for, and are no part of what is there for a port.
    let unsealed = |kernel: &Kernel| {
        let mut seen = kernel.seen.clone();
        seen.present.retain(|(set, _)| set.name != "whole");
        seen
    };
    let sealed = |kernel: &Kernel| GuardSnapshot {
        verified: kernel.verified(),
        sets: Vec::new(),
        chains: Vec::new(),
        rules: Vec::new(),
        ..unsealed(kernel)
    };
    let next = GuardEntry { ip: "10.0.0.6".parse().unwrap(), ..neighbour() };
    let asked = GuardSnapshot { present: Vec::new(), ..sealed(&kernel) };
    let (by_seal, undo) = batches(next.install(&asked).unwrap().unwrap());
    assert_eq!(batches(next.install(&kernel.seen_by(&next)).unwrap().unwrap()).0, by_seal);
    kernel.apply(&by_seal);
    assert_eq!(kernel.verified(), Some(next.layout(GuardLayout::new(NftFamily::Bridge, true))));
    assert_eq!(kernel.verifications().len(), 2, "one that is deleted would be waited for");
    let id = VifId { domid: 2, devid: 0 };
    let removed = batches(remove(NftFamily::Bridge, id, false, &sealed(&kernel)).unwrap()).0;
    // Another batch between the look and this one: then it is sealed for a generation that is over.
    let mut overtaken = kernel.clone();
    overtaken.seen.generation += 1;
    overtaken.apply(&removed);
    assert_eq!((overtaken.verifications().len(), overtaken.verified()), (3, None));
    let mut undone = kernel.clone();
    undone.apply(&undo);
    assert_eq!(undone.verified(), None);
    // Who cannot tell that the table is whole sets none, and those that there are become untrue.
    let mut unknown = kernel.clone();
    let id = VifId { domid: 1, devid: 0 };
    unknown.apply(&batches(remove(NftFamily::Bridge, id, false, &unsealed(&kernel)).unwrap()).0);
    assert_eq!((unknown.verifications().len(), unknown.verified()), (2, None));
    kernel.apply(&removed);
    assert_eq!(kernel.verifications().len(), 3, "each ends by itself");
    assert!(kernel.verified().is_some());
    // As `nft` copies it: without the note.
    kernel.seen.present.iter_mut().for_each(|(_, element)| element.note.clear());
    assert_eq!(kernel.verified(), None);
}

#[test]
fn layout_that_changes_changes_its_version() {
    let mut sum = 0xcbf2_9ce4_8422_2325_u64;
    let lengths = "10.0.0.0/8 2001:db8::/32".parse().unwrap();
    let lengths = GuardEntry { ip: lengths, ..entry(GuardLevel::Strict) };
    for (family, bridge_names) in
        [(NftFamily::Bridge, true), (NftFamily::Bridge, false), (NftFamily::Inet, false)]
    {
        let layout = lengths.layout(GuardLayout::new(family, bridge_names));
        let all = format!("{:?} {:?} {:?}", layout.sets(), layout.chains(), layout.rules());
        for byte in all.bytes() {
            sum = (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    // If sets, chains or rules change, VERSION in layout.rs must change too. Otherwise verifications of the last version are
    // taken for this one's.
    assert_eq!(sum, 5_071_486_122_621_859_607);
}

#[test]
fn an_undo_gives_back_what_was_there() {
    let mut kernel = Kernel::new();
    kernel.install(&entry(GuardLevel::Strict));
    let before = kernel.shown();
    for wanted in [entry(GuardLevel::Mac), small(GuardLevel::Ip), entry(GuardLevel::Off)] {
        let change = wanted.install(&kernel.seen_by(&wanted)).unwrap().unwrap();
        let (batch, _) = batches(change.clone());
        let (undo, again) = batches(change.undo().unwrap());
        assert_eq!(again, batch);
        kernel.apply(&batch);
        assert_ne!(kernel.shown(), before);
        kernel.apply(&undo);
        assert_eq!(kernel.shown(), before);
    }
}

#[test]
fn what_is_no_longer_wanted_goes() {
    let mut kernel = Kernel::new();
    kernel.install(&entry(GuardLevel::Strict));
    kernel.install(&small(GuardLevel::Ip));
    let mut fresh = Kernel::new();
    fresh.install(&small(GuardLevel::Ip));
    assert_eq!(kernel.shown(), fresh.shown());
}

#[test]
fn a_port_that_joins_another_bridge_takes_its_addresses_along() {
    let mut kernel = Kernel::new();
    kernel.install(&small(GuardLevel::Strict));
    kernel.install(&GuardEntry {
        bridge: Some("xenbr1".parse().unwrap()),
        ..small(GuardLevel::Strict)
    });
    assert_eq!(owned(&kernel), ["owned4_32 \"xenbr1\" . 10.0.0.5 comment \"vif1.0\""]);
}

#[test]
fn a_vif_that_was_renamed_leaves_nothing_under_its_old_name() {
    let mut kernel = Kernel::new();
    kernel.install(&small(GuardLevel::Strict));
    let renamed = GuardEntry { port: "web".parse().unwrap(), ..small(GuardLevel::Strict) };
    let (batch, _) = batches(renamed.install(&kernel.seen).unwrap().unwrap());
    kernel.apply(&batch);
    let left = kernel.shown();
    assert!(left.iter().any(|line| line.starts_with("macs \"web\"")), "{left:?}");
    assert!(left.iter().all(|line| !line.contains("\"vif1.0\" ")), "{left:?}");
}

#[test]
fn a_reserved_address_waits_for_its_owner_or_an_heir() {
    let id = VifId { domid: 1, devid: 0 };
    let mut kernel = Kernel::new();
    let wanted = small(GuardLevel::Strict);
    kernel.install(&wanted);
    // Whatever the kernel can: what is put in its place must not end with it.
    let seen = GuardSnapshot { supports_element_expiry: true, ..kernel.seen_by(&wanted) };
    let change = remove(NftFamily::Bridge, id, true, &seen).unwrap();
    let before = kernel.shown();
    let (batch, undo) = batches(change);
    kernel.apply(&batch);
    assert_eq!(
        kernel.shown(),
        [
            "owned4_32 \"xenbr0\" . 10.0.0.5 comment \"reserved vif1.0\"",
            "owned6_128 \"xenbr0\" . fe80::216:3eff:fe00:1 comment \"reserved vif1.0\"",
            "owned_macs \"xenbr0\" . 00:16:3e:00:00:01 comment \"reserved vif1.0\"",
        ]
    );
    assert_eq!(remove(NftFamily::Bridge, id, true, &kernel.seen_by(&wanted)), None);
    let mut undone = kernel.clone();
    undone.apply(&undo);
    assert_eq!(undone.shown(), before);
    kernel.install(&GuardEntry { ip: "10.0.0.5".parse().unwrap(), ..neighbour() });
    assert_eq!(owned(&kernel), ["owned4_32 \"xenbr0\" . 10.0.0.5 comment \"vif2.0\""]);
}

#[test]
fn removing_leaves_nothing_and_others_alone() {
    let mut kernel = Kernel::new();
    let next = GuardEntry { ip: "10.0.0.6".parse().unwrap(), ..neighbour() };
    kernel.install(&next);
    let before = kernel.shown();
    for ends in [false, true] {
        kernel.install(&entry(GuardLevel::Strict));
        let seen = GuardSnapshot {
            supports_element_expiry: ends,
            ..kernel.seen_by(&entry(GuardLevel::Strict))
        };
        let (batch, _) =
            batches(remove(NftFamily::Bridge, VifId { domid: 1, devid: 0 }, false, &seen).unwrap());
        let deletes = |command: &NftCommand| matches!(command, NftCommand::ElementsDelete { .. });
        assert_eq!(batch.commands.iter().any(deletes), !ends, "a deletion is waited for");
        kernel.apply(&batch);
        assert_eq!(kernel.shown(), before);
    }
    assert_eq!(
        remove(NftFamily::Bridge, VifId { domid: 1, devid: 0 }, false, &GuardSnapshot::default()),
        None
    );
}

#[test]
fn a_whole_dump_tells_whose_an_element_is() {
    let mut kernel = Kernel::new();
    let next = GuardEntry { ip: "10.0.0.6".parse().unwrap(), ..neighbour() };
    kernel.install(&next);
    let before = kernel.shown();
    kernel.install(&entry(GuardLevel::Strict));
    let (port, owner) = (entry(GuardLevel::Strict).port, VifId { domid: 1, devid: 0 });
    let mut ours = kernel.seen.clone();
    ours.present.retain(|(set, element)| {
        belongs_to(set, element, std::slice::from_ref(&port), Some(owner))
    });
    let (batch, _) = batches(remove(NftFamily::Bridge, owner, false, &ours).unwrap());
    kernel.apply(&batch);
    assert_eq!(kernel.shown(), before);
}

#[test]
fn a_new_prefix_length_brings_its_sets_and_keeps_the_elements() {
    let mut kernel = Kernel::new();
    kernel.install(&small(GuardLevel::Strict));
    let before = kernel.shown();
    let next = GuardEntry { ip: "10.9.0.0/16".parse().unwrap(), ..neighbour() };
    let batch = kernel.install(&next);
    assert_eq!(batch.generation, Some(8));
    assert!(kernel.seen.sets.iter().any(|set| set.name == "ip4_16"));
    assert!(before.iter().all(|line| kernel.shown().contains(line)));
    // The first one's plans do not take the other's lengths away.
    assert_eq!(
        small(GuardLevel::Strict).install(&kernel.seen_by(&small(GuardLevel::Strict))),
        Ok(None)
    );
}

type Damage = fn(&mut GuardSnapshot);

#[test]
fn what_somebody_has_changed_is_put_right() {
    let wanted = small(GuardLevel::Strict);
    let mut whole = Kernel::new();
    whole.install(&wanted);
    let damage: [(&str, Damage); 7] = [
        ("a rule is gone", |seen| drop(seen.rules.remove(9))),
        ("a rule is somebody's", |seen| seen.rules[3].comment = Some("let all pass".into())),
        ("rules are in another order", |seen| seen.rules.swap(0, 1)),
        ("a chain has another priority", |seen| seen.chains[0].hook.as_mut().unwrap().priority = 0),
        ("a chain too many", |seen| {
            seen.chains.push(crate::types::NftChain { name: "more".into(), hook: None });
        }),
        ("the table sleeps", |seen| seen.table.as_mut().unwrap().dormant = true),
        ("an element is gone", |seen| drop(seen.present.remove(2))),
    ];
    for (what, damage) in damage {
        let mut kernel = whole.clone();
        damage(&mut kernel.seen);
        kernel.install(&wanted);
        let mut rules = [kernel.seen.rules, whole.seen.rules.clone()];
        for rules in &mut rules {
            rules.sort_by(|a, b| a.chain.cmp(&b.chain));
        }
        assert_eq!(rules[0], rules[1], "{what}");
        assert_eq!(kernel.seen.chains.len(), whole.seen.chains.len(), "{what}");
        assert!(!kernel.seen.table.unwrap().dormant, "{what}");
    }
}

#[test]
fn a_set_of_another_shape_is_made_anew() {
    let wanted = small(GuardLevel::Strict);
    let mut kernel = Kernel::new();
    kernel.install(&wanted);
    let whole = kernel.shown();
    let old = kernel.seen.sets.iter_mut().find(|set| set.name == "macs").unwrap();
    old.key.pop();
    let old = old.clone();
    kernel
        .seen
        .present
        .iter_mut()
        .filter(|(set, _)| set.name == "macs")
        .for_each(|(set, _)| *set = old.clone());
    kernel.install(&wanted);
    assert_eq!(kernel.shown(), whole);
}

#[test]
fn what_was_counted_is_no_difference() {
    let wanted = small(GuardLevel::Strict);
    let mut kernel = Kernel::new();
    kernel.install(&wanted);
    let counted = NftCounter { packets: 3, bytes: 300 };
    for rule in &mut kernel.seen.rules {
        for expression in &mut rule.expressions {
            if let NftExpr::Counter(counter) = expression {
                *counter = counted;
            }
        }
    }
    for (_, element) in &mut kernel.seen.present {
        element.counter = Some(counted);
    }
    assert_eq!(wanted.install(&kernel.seen_by(&wanted)), Ok(None));
}

#[test]
fn a_table_keeps_its_kind_of_owners() {
    let mut kernel = Kernel::new();
    kernel.seen.bridge_names = false;
    kernel.install(&small(GuardLevel::Strict));
    kernel.seen.bridge_names = true;
    kernel.install(&GuardEntry { ip: "10.0.0.6".parse().unwrap(), ..neighbour() });
    assert_eq!(
        owned(&kernel),
        ["owned4_32 10.0.0.5 comment \"vif1.0\"", "owned4_32 10.0.0.6 comment \"vif2.0\""]
    );
}

#[test]
fn a_table_of_somebody_elses_is_left_alone() {
    let wanted = small(GuardLevel::Strict);
    let mut kernel = Kernel::new();
    kernel.install(&wanted);
    kernel.seen.table.as_mut().unwrap().comment = Some("mine".to_owned());
    let error = wanted.install(&kernel.seen).unwrap_err();
    assert!(matches!(error, PlanError::ForeignTable { .. }));
    assert_eq!(
        error.to_string(),
        "nft table bridge xennet: says \"mine\" of itself, so it is not this xennet's; it was left alone, \
         delete it with `nft delete table bridge xennet`"
    );
    let off = GuardEntry { policy: GuardPolicy::default(), ..wanted };
    assert_eq!(off.install(&GuardSnapshot { present: Vec::new(), ..kernel.seen }), Ok(None));
}
