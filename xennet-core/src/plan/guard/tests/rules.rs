//! What the rules look like.

use std::collections::BTreeMap;

use super::fixture::*;
use crate::config::GuardLevel;
use crate::plan::guard::GuardLayout;
use crate::types::{NftExpr, NftFamily, NftVerdict};

fn layouts() -> impl Iterator<Item = GuardLayout> {
    [(NftFamily::Bridge, true), (NftFamily::Bridge, false), (NftFamily::Inet, false)]
        .into_iter()
        .map(|(family, names)| {
            neighbour().layout(entry(GuardLevel::Ip).layout(GuardLayout::new(family, names)))
        })
}

#[test]
fn a_chain_ends_in_a_rule_that_asks_for_nothing() {
    // Those of the ports without a guard, and what the kernel's own way through the hooks goes on behind.
    let open = |chain: &str| chain.starts_with("others") || chain == "input";
    for layout in layouts() {
        let rules = layout.rules();
        for chain in layout.chains() {
            let last = rules.iter().rfind(|rule| rule.chain == chain.name).unwrap();
            let asks = !matches!(
                last.expressions.as_slice(),
                [NftExpr::Verdict(_)]
                    | [
                        NftExpr::Counter(_),
                        NftExpr::Immediate { .. },
                        NftExpr::SetMark { .. },
                        NftExpr::Verdict(_)
                    ]
            );
            assert_eq!(asks, open(&chain.name), "{last:?}");
        }
    }
}

#[test]
fn rules_use_sets_and_chains_that_there_are() {
    for layout in layouts() {
        let (sets, chains) = (layout.sets(), layout.chains());
        for rule in layout.rules() {
            assert!(chains.iter().any(|chain| chain.name == rule.chain));
            assert!(rule.comment.as_ref().is_none_or(|comment| comment.len() <= 127));
            assert_eq!(rule.comment.is_none(), rule.chain == "refused", "{rule:?}");
            for expression in &rule.expressions {
                match expression {
                    NftExpr::Lookup { set, .. } => assert!(sets.iter().any(|s| s.name == *set)),
                    NftExpr::Verdict(NftVerdict::Goto(to) | NftVerdict::Jump(to)) => {
                        assert!(chains.iter().any(|chain| chain.name == *to), "{to}");
                    }
                    _ => {}
                }
            }
        }
    }
}

#[test]
fn every_refusal_counts_and_marks_its_reason() {
    let mut reasons = BTreeMap::new();
    for rule in layouts().flat_map(|layout| layout.rules()) {
        let refuses = NftExpr::Verdict(NftVerdict::Goto("refused".to_owned()));
        if rule.expressions.last() != Some(&refuses) {
            assert!(!rule.expressions.iter().any(|it| matches!(it, NftExpr::SetMark { .. })));
            continue;
        }
        let [.., counter, NftExpr::Immediate { data, .. }, NftExpr::SetMark { .. }, _] =
            rule.expressions.as_slice()
        else {
            panic!("{rule:?}");
        };
        assert!(matches!(counter, NftExpr::Counter(_)), "{rule:?}");
        let reason = rule.comment.clone().unwrap();
        let other = reasons.insert(data.clone(), reason.clone());
        assert!(other.is_none_or(|other| other == reason), "one mark for two reasons: {reason}");
    }
    assert!(reasons.len() > 20, "{reasons:?}");
}

#[test]
fn a_layout_is_read_back_from_its_table() {
    for layout in layouts() {
        let table = crate::types::NftTable {
            family: layout.family,
            name: GuardLayout::TABLE.to_owned(),
            comment: Some(layout.comment()),
            dormant: false,
        };
        assert_eq!(GuardLayout::of(&table, &layout.sets()), Some(layout));
        for comment in [None, Some("mine"), Some("xennet guard 2"), Some("xennet guard 10")] {
            let comment = comment.map(str::to_owned);
            assert_eq!(
                GuardLayout::of(&crate::types::NftTable { comment, ..table.clone() }, &[]),
                None
            );
        }
    }
}
