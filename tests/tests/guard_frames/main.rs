//! Frames that guests send, and what becomes of them: for every rule of the guard one at least that passes by it, and
//! one that does not.
#![expect(clippy::indexing_slicing, reason = "a test fails by a panic")]

mod arp;
mod ethernet;
mod ip4;
mod ip6;
mod nd;
mod others;

use std::collections::BTreeSet;

use xennet_core::plan::guard::Frame;
use xennet_core::types::{NftExpr, NftFamily, NftRule, NftVerdict};
use xennet_tests::guests::Guests;

/// What is sent, and `passes` or the words of the rule that drops it.
struct Case {
    name: &'static str,
    frame: Frame,
    verdict: &'static str,
}

fn case(name: &'static str, frame: Frame, verdict: &'static str) -> Case {
    Case { name, frame, verdict }
}

const PASSES: &str = "passes";
const SOURCE: &str = "source is not its own";

fn check(guests: &Guests, cases: &[Case]) {
    let table = guests.table();
    let verdicts = guests.verdicts(cases.iter().map(|case| &case.frame));
    for (Case { name, frame, verdict }, found) in cases.iter().zip(verdicts) {
        // At ingress, only the ports that are guarded are watched.
        let unseen =
            guests.family == NftFamily::Netdev && ["eth0", "vif6.0"].contains(&frame.port.as_str());
        let verdict = if unseen { &PASSES } else { verdict };
        let told = table.explain(frame);
        let told = if told.passes { PASSES } else { told.deciding.as_deref().unwrap_or("?") };
        assert_eq!(found, *verdict, "{name}: {frame:02x?}");
        assert_eq!(told, *verdict, "{name}: so says explain of {frame:02x?}");
    }
}

/// Before a bridge, and at the ingress hook of each guarded port.
fn check_both(cases: &[Case]) {
    check(&Guests::of_each_kind(), cases);
    check(&Guests::of_each_kind_at_ingress(), cases);
}

#[test]
fn ethernet() {
    check_both(&ethernet::cases());
}

#[test]
fn arp() {
    check_both(&arp::cases());
}

#[test]
fn ip4() {
    check_both(&ip4::cases());
}

#[test]
fn ip6() {
    check_both(&ip6::cases());
}

#[test]
fn neighbour_discovery() {
    check_both(&nd::cases());
}

#[test]
fn others() {
    check_both(&others::cases());
}

#[test]
fn frames_for_bridges_themselves() {
    ethernet::link_group(&Guests::of_each_kind(), "input");
    ethernet::link_group(&Guests::of_each_kind_at_ingress(), "guarded");
}

/// Every rule is met by a frame above, in the way that it is meant for; else it might as well not be there.
#[test]
fn no_rule_is_left_out() {
    let guests = Guests::of_each_kind();
    let table = guests.table();
    let (mut dropping, mut passing) = (BTreeSet::new(), BTreeSet::new());
    for cases in
        [ethernet::cases(), arp::cases(), ip4::cases(), ip6::cases(), nd::cases(), others::cases()]
    {
        for Case { frame, verdict, .. } in cases {
            let explanation = table.explain(&frame);
            if verdict == PASSES {
                passing.extend(explanation.path);
            } else {
                dropping.extend(explanation.path);
            }
        }
    }
    let unseen = |rule: &&NftRule| {
        let Some(comment) = &rule.comment else { return false };
        let drops = rule.expressions.iter().any(
            |step| matches!(step, NftExpr::Verdict(NftVerdict::Goto(chain)) if chain == "refused"),
        );
        // Only seen at the input hook, which frames_for_bridges_themselves watches.
        let seen = if drops { &dropping } else { &passing };
        rule.chain != "input" && !seen.contains(comment)
    };
    let unseen: Vec<_> = table.rules.iter().filter(unseen).collect();
    assert!(unseen.is_empty(), "no frame meets {unseen:#?}");
}
