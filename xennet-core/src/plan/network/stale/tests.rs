use super::*;
use crate::types::{Family, LinkMatch, LinkNames, NftFamily, PolicyAction};

fn host() -> NetworkSnapshot {
    let mut seen = NetworkSnapshot::default();
    seen.links.push(crate::plan::network::tests::world::plain(2, "eth0"));
    seen
}

fn rule(number: u64, names: LinkNames) -> LinkRule {
    LinkRule {
        family: NftFamily::Inet,
        is_legacy: false,
        table: "filter".into(),
        chain: "input".into(),
        number,
        matches: vec![LinkMatch { is_output: false, is_inverted: false, names }],
        rest: vec![7],
    }
}

fn name(text: &str) -> LinkNames {
    LinkNames::Name(text.into())
}

fn warnings(seen: &NetworkSnapshot, addresses: &str) -> Vec<String> {
    let text = format!("[[bridge]]\nname = \"xenbr0\"\nuplink = \"eth0\"\n{addresses}");
    let mut plan = Plan::default();
    warn(&mut plan, &NetworkConfig::from_toml(&text).unwrap(), seen);
    plan.warnings.iter().map(ToString::to_string).collect()
}

const INHERIT: &str = "addresses = \"inherit\"";

fn count(rules: Vec<LinkRule>) -> usize {
    let mut seen = host();
    seen.link_rules = rules;
    warnings(&seen, INHERIT).len()
}

#[test]
fn rules_of_a_chain_are_one_warning() {
    let mut seen = host();
    seen.link_rules = vec![
        rule(4, name("eth0")),
        rule(5, name("eth1")),
        rule(7, LinkNames::Index(2)),
        LinkRule {
            chain: "FORWARD".into(),
            is_legacy: true,
            ..rule(1, LinkNames::Prefix("eth".into()))
        },
    ];
    seen.link_rules[3].family = NftFamily::Ip;
    assert_eq!(
        warnings(&seen, INHERIT),
        [
            "eth0: it is named by rules 4, 7 of table inet filter, chain input of nftables; with the host's addresses on \
             xenbr0, packets come and go by xenbr0: name xenbr0 there as well (`nft -a list chain inet filter input`)",
            "eth0: it is named by rule 1 of table filter, chain FORWARD of iptables-legacy; with the host's addresses on \
             xenbr0, packets come and go by xenbr0: name xenbr0 there as well (`iptables-legacy -t filter -nvL FORWARD \
             --line-numbers`)",
        ]
    );
    assert_eq!(warnings(&seen, ""), [""; 0], "no address moves");
}

#[test]
fn rules_that_name_the_bridge_too_are_right() {
    let both = LinkNames::Names(vec!["eth0".into(), "xenbr0".into()]);
    assert_eq!(count(vec![rule(1, both)]), 0);
    assert_eq!(count(vec![rule(1, LinkNames::Names(vec!["eth0".into()]))]), 1);
    assert_eq!(count(vec![rule(1, LinkNames::Prefix("".into()))]), 0);
    assert_eq!(count(vec![rule(1, name("eth0")), rule(2, name("xenbr0"))]), 0);
    let other = LinkRule { rest: vec![8], ..rule(2, name("xenbr0")) };
    assert_eq!(count(vec![rule(1, name("eth0")), other]), 1);
    // Two such rules do not mean what one means.
    let inverted = |number, text| {
        let mut rule = rule(number, name(text));
        rule.matches[0].is_inverted = true;
        rule
    };
    assert_eq!(count(vec![inverted(1, "eth0"), inverted(2, "xenbr0")]), 1);
    let own = LinkRule { table: "xennet-nat".into(), ..rule(1, name("eth0")) };
    assert_eq!(count(vec![own]), 0);
}

#[test]
fn ports_of_a_bond_are_uplinks_too() {
    let bond = "[[bond]]\nname = \"bond0\"\nports = [\"eth0\", \"eth1\"]\n";
    let bridge = "[[bridge]]\nname = \"xenbr0\"\nuplink = \"bond0\"\naddresses = \"inherit\"\n";
    let moves = |text: &str| -> Vec<String> {
        let config = NetworkConfig::from_toml(text).unwrap();
        let moves = moves(&config);
        moves.iter().map(|(from, to)| format!("{from} {to}")).collect()
    };
    assert_eq!(moves(bond), ["eth0 bond0", "eth1 bond0"]);
    assert_eq!(moves(&format!("{bond}{bridge}")), ["bond0 xenbr0", "eth0 xenbr0", "eth1 xenbr0"]);
}

#[test]
fn long_lists_are_cut() {
    let mut seen = host();
    seen.link_rules = (1..=12).map(|number| rule(number, name("eth0"))).collect();
    assert!(
        warnings(&seen, INHERIT)[0]
            .contains("rules 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 2 more of table")
    );
}

#[test]
fn policy_rules_are_named() {
    let mut seen = host();
    let lookup = |priority| PolicyRule::new(Family::V4, priority, PolicyAction::Lookup(100));
    let by = |priority, name: &str| PolicyRule { iif: Some(name.into()), ..lookup(priority) };
    seen.policy_rules = vec![by(100, "eth0"), by(101, "eth1"), lookup(102)];
    assert_eq!(
        warnings(&seen, INHERIT),
        [
            "eth0: it is named by policy rule 100: from all iif eth0 lookup 100; with the host's addresses on xenbr0, packets \
          come and go by xenbr0: name xenbr0 there as well (`ip rule show`)"
        ]
    );
    seen.policy_rules.push(by(200, "xenbr0"));
    assert_eq!(warnings(&seen, INHERIT), [""; 0]);
}
