use super::*;

fn config(text: &str) -> NetworkConfig {
    NetworkConfig::from_toml(text).unwrap()
}

const TWO: &str = r#"
[[nat]]
name = "one"
bridge = "xennat0"
subnets = ["10.0.0.1/24", "fd00:1::1/64"]
uplink = "eth0"
forward = [{ protocol = "tcp", port = 8080, to = "10.0.0.5", to_port = 80 }, { protocol = "udp", port = 53, to = "10.0.0.5" }]
[[nat]]
name = "t\"wo\u0007"
subnets = ["10.1.0.1/24"]
"#;

fn comments(rules: &NatRules) -> Vec<String> {
    let comment = |rule: &NftRule| format!("{} {}", rule.chain, rule.comment.clone().unwrap());
    rules.rules.iter().map(comment).collect()
}

#[test]
fn all_nats_share_one_table() {
    let rules = NatRules::of(&config(TWO));
    assert_eq!(
        comments(&rules),
        [
            "prerouting to the host itself",
            "output the host, to itself",
            "output the host, to itself",
            "output the host, to its own ports",
            "host_ports tcp 8080",
            "host_ports udp 53",
            "postrouting by a port of the host",
            "postrouting one",
            "postrouting one",
            "postrouting among guests",
            "postrouting among guests",
            "postrouting two",
        ]
    );
    let names: Vec<_> = rules.chains.iter().map(|chain| chain.name.as_str()).collect();
    assert_eq!(names, ["host_ports", "prerouting", "output", "postrouting"]);
    let plain = NatRules::of(&config("[[nat]]\nname = \"n\"\nsubnets = [\"10.0.0.1/24\"]\n"));
    assert_eq!((plain.chains.len(), plain.rules.len()), (1, 2), "no port leads anywhere");
    assert_eq!(NatRules::of(&NetworkConfig::default()), NatRules::default());
}

fn plan(config: &NetworkConfig, nat: &NatSnapshot) -> Result<Vec<Change>, PlanError> {
    let seen = NetworkSnapshot { nat: nat.clone(), ..NetworkSnapshot::default() };
    let mut plan = Plan::default();
    start(&mut plan, config, &seen).map(|()| plan.changes().to_vec())
}

fn table(comment: &str) -> NftTable {
    let (family, name) = (NatSnapshot::FAMILY, NatSnapshot::TABLE.to_owned());
    NftTable { family, name, comment: Some(comment.to_owned()), dormant: false }
}

#[test]
fn a_table_is_replaced_whole_and_only_where_it_differs() {
    let config = config(TWO);
    let new = plan(&config, &NatSnapshot::default()).unwrap();
    assert_eq!(
        new[0].to_string(),
        "nft add table inet xennet-nat; add chain inet xennet-nat host_ports; add chain inet xennet-nat prerouting; \
         add chain inet xennet-nat output; add chain inet xennet-nat postrouting; add 12 rules to inet xennet-nat"
    );
    let delete = "nft add table inet xennet-nat; delete table inet xennet-nat";
    assert_eq!(new[0].undo().unwrap().to_string(), delete);

    let mut seen = NatSnapshot { table: Some(table(COMMENT)), rules: NatRules::of(&config) };
    // As the kernel may list them.
    seen.rules.chains.reverse();
    assert_eq!(plan(&config, &seen), Ok(vec![]));
    seen.table.as_mut().unwrap().dormant = true;
    assert_eq!(plan(&config, &seen).unwrap().len(), 1, "it translates nothing");
    seen.table.as_mut().unwrap().dormant = false;
    let other = NftExpr::Other { name: "log".to_owned() };
    seen.rules.rules[0].expressions = vec![other];
    let repair = plan(&config, &seen).unwrap();
    assert!(repair[0].to_string().starts_with(&format!("{delete}; add table")), "{}", repair[0]);
    let back = repair[0].undo().unwrap().to_string();
    assert!(back.ends_with("add 11 rules to inet xennet-nat"), "{back}");
    let gone = plan(&NetworkConfig::default(), &seen).unwrap();
    assert_eq!(gone[0].to_string(), delete);
}

#[test]
fn somebody_elses_table_is_left_alone() {
    let seen = NatSnapshot { table: Some(table("mine")), rules: NatRules::default() };
    assert_eq!(plan(&NetworkConfig::default(), &seen), Ok(vec![]));
    let error = plan(&config(TWO), &seen).unwrap_err();
    assert!(matches!(error, PlanError::ForeignTable { .. }), "{error}");
    let seen = NetworkSnapshot { nat: seen, ..NetworkSnapshot::default() };
    let mut plan = Plan::default();
    stop(&mut plan, None, &seen);
    assert!(plan.is_empty());
}

#[test]
fn a_later_start_is_taken_back_to_the_earlier_one() {
    let (earlier, later) = (config(TWO), NetworkConfig::default());
    let was = NatSnapshot { table: Some(table(COMMENT)), rules: NatRules::of(&earlier) };
    let seen = NetworkSnapshot { nat: was.clone(), ..NetworkSnapshot::default() };
    let plan = seen.start(&later).unwrap();
    let record = seen.record_of(&later, &plan);
    let text = serde_json::to_string(&record).unwrap();
    let before = Some(serde_json::from_str(&text).unwrap());
    let gone = NetworkSnapshot { record: before, ..NetworkSnapshot::default() };
    let back = gone.roll_back().unwrap();
    let Some(Change::Nft { batch, .. }) = back.changes().first() else { panic!("{back}") };
    assert_eq!(batch.commands, was.rules.make(false));
}
