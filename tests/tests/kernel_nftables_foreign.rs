//! Other people's rulesets over netlink.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use xennet_core::kernel::Nftables;
use xennet_core::types::{NftElement, NftExpr, NftFamily, NftKey, NftPolicy, NftValue};
use xennet_tests::netns::Netns;
use xennet_tests::nft::{batch, delete, name};

const INET: NftFamily = NftFamily::Inet;

const RULESET: &str = r#"table inet filter {
    comment "not ours"
    map ports { type ifname : verdict; elements = { "eth0" : accept } }
    set nets { type ipv4_addr; flags interval; elements = { 10.0.0.0/8 } }
    set recent { type ipv4_addr; flags dynamic,timeout; timeout 1m; }
    set services { type inet_proto . inet_service; elements = { tcp . 22 } }
    set limited { type ipv4_addr; limit rate 3/second; }
    set named { type ifname; elements = { "eth0", "a b" } }
    set rest { type ifname; elements = { "eth0", * } }
    chain in {
        type filter hook input priority -5; policy drop;
        ct state vmap { established : accept, invalid : drop }
        iifname vmap @ports
        ip saddr @nets limit rate 3/second log prefix "x" counter accept
        meta mark set 7
        tcp dport 22 add @recent { ip saddr }
        ip saddr 10.0.0.1-10.0.0.9 reject
        tcp flags syn tcp option maxseg size set 1400
        ip daddr set 10.0.0.1
        meta mark set meta mark << 2
        iifname . oifname vmap { "a" . "b" : drop }
    }
    chain nat {
        type nat hook postrouting priority 100;
        oifname "eth0" masquerade random
        oifname "eth0" meta l4proto tcp masquerade to :1024-2048
        ip daddr 10.0.0.1 snat ip to 10.0.0.2-10.0.0.9
    }
    chain early { type filter hook ingress device "vif1.0" priority -500; }
}
table arp a {
    chain out { type filter hook output priority 0; policy drop; }
}
table netdev n {
    chain in { type filter hook ingress device "vif1.0" priority 1; }
    chain out { type filter hook egress device "vif1.0" priority 2; }
}
table ip i {
    chain forward { type filter hook forward priority 0; policy drop; }
}
table ip6 e { }"#;

/// Somebody else's ruleset, on a machine with one vif.
fn ruleset() -> (Netns, Nftables) {
    let netns = Netns::new();
    netns.veth("vif1.0", "guest");
    netns.nft(RULESET);
    (netns, Nftables::open().unwrap())
}

#[test]
fn base_chains_are_where_nft_says() {
    let (netns, mut nft) = ruleset();
    let ours: Vec<_> = nft.base_chains().unwrap();
    let listed = netns.nft_json("list chains");
    let listed: Vec<_> = listed.iter().filter_map(|object| object.get("chain")).collect();
    assert_eq!(ours.len(), listed.len());
    for (family, table, chain) in ours {
        let told = listed
            .iter()
            .find(|told| told["family"] == family.to_string() && told["name"] == chain.name)
            .unwrap();
        let hook = chain.hook.unwrap();
        assert_eq!(told["table"], table);
        assert_eq!(told["hook"], hook.point.to_string());
        assert_eq!(told["prio"], hook.priority);
        assert_eq!(told["type"], hook.kind);
        assert_eq!(told["policy"] == "drop", hook.policy == NftPolicy::Drop);
    }
}

#[test]
fn sets_that_are_more_than_sets_are_not_taken_for_ours() {
    let (_netns, mut nft) = ruleset();
    for set in nft.sets(INET, "filter").unwrap() {
        let plain = ["named", "rest"].contains(&set.name.as_str());
        assert_eq!(matches!(set.key.as_slice(), [NftKey::Other { .. }]), !plain, "{set:?}");
        nft.elements(INET, "filter", &set).unwrap();
    }
}

#[test]
fn strange_elements_are_read_found_and_deleted() {
    let (netns, mut nft) = ruleset();
    let sets = nft.sets(INET, "filter").unwrap();
    let strange = NftValue::Other(b"a b\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec());
    for (set, element) in [
        ("named", NftElement::new([strange])),
        // What stands for all that is not in the set.
        ("rest", NftElement::new([])),
    ] {
        let set = sets.iter().find(|of| of.name == set).unwrap();
        let mut elements = nft.elements(INET, "filter", set).unwrap();
        elements.sort_by_key(|element| element.key.clone());
        assert!(elements.contains(&element), "{elements:?}");
        assert!(elements.contains(&NftElement::new([name("eth0")])), "{elements:?}");
        let found = nft.find(INET, "filter", &[(set, &element)]).unwrap();
        assert_eq!(found, [Some(element.clone())]);
        nft.apply(&batch(INET, "filter", vec![delete(set, element.clone())])).unwrap();
        let listed = netns.nft_text(&format!("list set inet filter {}", set.name));
        assert!(listed.contains("elements = { \"eth0\" }"), "{listed}");
    }
}

#[test]
fn expressions_that_do_more_than_we_can_say_are_told_by_their_names() {
    let (_netns, mut nft) = ruleset();
    let rules = nft.rules(INET, "filter").unwrap();
    let others: Vec<Vec<&str>> = rules
        .iter()
        .map(|rule| {
            let others = rule.expressions.iter().filter_map(|expression| match expression {
                NftExpr::Other { name } => Some(name.as_str()),
                _ => None,
            });
            others.collect()
        })
        .collect();
    // All else in them is what we would write, too; these do more than we could say.
    assert_eq!(
        others,
        [
            vec!["lookup"],
            vec!["lookup"],
            vec!["limit", "log"],
            vec![],
            vec!["dynset"],
            vec!["reject"],
            vec!["exthdr"],
            vec!["payload"],
            vec!["bitwise"],
            vec!["lookup"],
            vec!["masq"],
            vec!["masq"],
            vec!["nat"],
        ]
    );
}
