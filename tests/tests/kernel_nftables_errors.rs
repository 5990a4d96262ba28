//! What is said when nftables refuses something.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::process::Command;

use xennet_core::kernel::Nftables;
use xennet_core::types::{
    NftCmp, NftCommand, NftCt, NftElement, NftExpr, NftFamily, NftHookPoint, NftKey, NftMeta,
    NftPolicy, NftRegister, NftRule, NftValue, NftVerdict,
};
use xennet_tests::netns::Netns;
use xennet_tests::nft::{
    add, base_chain, batch, commented, compare, counting, delete, load, lookup, name, rule, set,
};

const BRIDGE: NftFamily = NftFamily::Bridge;

/// A table with something in use, and something that is not.
fn table() -> Netns {
    let netns = Netns::new();
    netns.nft(
        "table bridge xennet {
            set ports { type ifname; counter; elements = { \"vif1.0\" } }
            chain guarded { }
            chain pre { type filter hook prerouting priority -300; iifname @ports goto guarded; }
        }",
    );
    netns
}

/// Each command is refused: by this error number, in the words of `nft`, and with this reason.
fn refused<const N: usize>(all: [(NftCommand, i32, &str, &str); N]) {
    let mut nft = Nftables::open().unwrap();
    for (command, errno, doing, why) in all {
        let error = nft.apply(&batch(BRIDGE, "xennet", vec![command])).unwrap_err();
        assert_eq!(error.errno(), errno, "{error}");
        assert!(error.to_string().starts_with(&format!("nft {doing}: ")), "{error}");
        assert_eq!(error.detail(), Some(why));
    }
}

#[test]
fn sets_and_elements() {
    let _netns = table();
    let (vif, other) = (NftElement::new([name("vif1.0")]), NftElement::new([name("vif2.0")]));
    let ports = counting("ports", &[NftKey::IfName]);
    let nowhere = set("nowhere", &[NftKey::IfName]);
    let macs = counting("ports", &[NftKey::EtherAddr]);
    let mac = NftElement::new([NftValue::EtherAddr([0; 6])]);
    let two = vec![vif.clone(), other];
    refused([
        (
            NftCommand::ElementsDelete { set: ports.clone(), elements: two.clone() },
            libc::ENOENT,
            r#"delete element bridge xennet ports { "vif2.0" }"#,
            "there is no such element",
        ),
        (
            add(&nowhere, vif.clone()),
            libc::ENOENT,
            r#"add element bridge xennet nowhere { "vif1.0" }"#,
            "there is no such set",
        ),
        (
            NftCommand::ElementsAdd { set: nowhere.clone(), elements: two },
            libc::ENOENT,
            r#"add element bridge xennet nowhere { "vif1.0" } and 1 more"#,
            "there is no such set",
        ),
        (
            delete(&nowhere, vif),
            libc::ENOENT,
            r#"delete element bridge xennet nowhere { "vif1.0" }"#,
            "there is no such set",
        ),
        (
            add(&macs, mac),
            libc::EINVAL,
            "add element bridge xennet ports { 00:00:00:00:00:00 }",
            "the set's keys are of another type",
        ),
        (
            NftCommand::SetAdd(macs),
            libc::EEXIST,
            "add set bridge xennet ports",
            "a set of this name is there already, and is another one",
        ),
        (
            NftCommand::SetDelete { set: "ports".to_owned() },
            libc::EBUSY,
            "delete set bridge xennet ports",
            "a rule still uses the set",
        ),
        (
            NftCommand::SetDelete { set: "nowhere".to_owned() },
            libc::ENOENT,
            "delete set bridge xennet nowhere",
            "there is no such set",
        ),
    ]);
    let elsewhere = batch(BRIDGE, "nowhere", vec![NftCommand::SetAdd(ports)]);
    let error = Nftables::open().unwrap().apply(&elsewhere).unwrap_err();
    assert_eq!(
        error.to_string(),
        "nft add set bridge nowhere ports: No such file or directory (errno 2): \
         there is no table bridge nowhere"
    );
}

#[test]
fn chains_and_rules() {
    let _netns = table();
    let goto = |chain: &str| NftExpr::Verdict(NftVerdict::Goto(chain.to_owned()));
    let chain = |name, kind, priority| {
        base_chain(name, kind, NftHookPoint::Prerouting, priority, NftPolicy::Accept)
    };
    refused([
        (
            NftCommand::ChainDelete { chain: "guarded".to_owned() },
            libc::EBUSY,
            "delete chain bridge xennet guarded",
            "the chain still has rules, or a rule jumps to it",
        ),
        (
            NftCommand::ChainFlush { chain: "nowhere".to_owned() },
            libc::ENOENT,
            "flush chain bridge xennet nowhere",
            "there is no such chain",
        ),
        (
            chain("new", "nat", -300),
            libc::ENOENT,
            "add chain bridge xennet new",
            "this kernel has no chains of type nat in the bridge family",
        ),
        (
            rule("nowhere", vec![]),
            libc::ENOENT,
            "add rule bridge xennet nowhere",
            "there is no such chain",
        ),
        (
            commented("pre", "why", vec![load(NftMeta::IifName), lookup("nowhere")]),
            libc::ENOENT,
            r#"add rule bridge xennet pre comment "why""#,
            "there is no set nowhere",
        ),
        (
            rule("pre", vec![goto("nowhere")]),
            libc::ENOENT,
            "add rule bridge xennet pre",
            "there is no chain nowhere",
        ),
        (
            rule("guarded", vec![goto("guarded")]),
            libc::EMLINK,
            "add rule bridge xennet guarded",
            "the chain would be reached from itself, or by too many jumps",
        ),
        (
            rule("pre", vec![NftExpr::Masquerade]),
            libc::ENOENT,
            "add rule bridge xennet pre",
            "this kernel has no masquerade in the bridge family (CONFIG_NFT_MASQ)",
        ),
        (
            rule(
                "pre",
                vec![
                    load(NftMeta::IifName),
                    NftExpr::Meta { key: NftMeta::L4Proto, register: NftRegister(16) },
                ],
            ),
            libc::ERANGE,
            "add rule bridge xennet pre",
            "at its expression 2, Meta { key: L4Proto, register: NftRegister(16) }",
        ),
    ]);
    let moved = batch(BRIDGE, "xennet", vec![chain("pre", "filter", 7)]);
    let error = Nftables::open().unwrap().apply(&moved).unwrap_err();
    let why = "a chain of this name is there already, at another hook";
    assert!(error.detail().is_some_and(|told| told.starts_with(why)), "{error}");
}

#[test]
fn what_this_kernel_lacks_is_named() {
    let netns = Netns::new();
    netns.nft("table bridge xennet { chain pre { }; }");
    let mut nft = Nftables::open().unwrap();
    for (expression, data, text, lacking) in [
        (
            load(NftMeta::BridgeName),
            &[0; 16][..],
            "ibrname",
            "this kernel has no meta ibrname (CONFIG_NFT_BRIDGE_META)",
        ),
        (
            NftExpr::Ct { key: NftCt::State, register: NftRegister(0) },
            &[0; 4],
            "ct state",
            "this kernel does not track connections in the bridge family",
        ),
    ] {
        // nft shows no value that nothing looks at.
        let expressions = vec![expression, compare(NftCmp::Neq, data)];
        let rule = NftRule { chain: "pre".to_owned(), expressions, comment: None };
        let commands = vec![NftCommand::RuleAdd(rule.clone())];
        match nft.apply(&batch(BRIDGE, "xennet", commands)) {
            Ok(()) => {
                assert!(netns.nft_text("list ruleset").contains(text));
                assert!(nft.rules(BRIDGE, "xennet").unwrap().contains(&rule));
            }
            Err(error) => assert_eq!(error.detail(), Some(lacking), "{error}"),
        }
    }
}

#[test]
fn without_rights_over_the_network() {
    let _netns = Netns::new();
    let output = Command::new("setpriv")
        .arg("--bounding-set=-net_admin")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "job_without_rights", "--ignored"])
        .output()
        .expect("setpriv is a part of util-linux, which every Debian has");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
#[ignore = "run by the other test, as a process of fewer rights"]
fn job_without_rights() {
    let mut nft = Nftables::open().unwrap();
    let add = vec![NftCommand::TableAdd { comment: None }];
    let error = nft.apply(&batch(BRIDGE, "xennet", add)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "nft add table bridge xennet: Operation not permitted (errno 1): \
         this needs CAP_NET_ADMIN over the network namespace"
    );
    for error in [nft.generation().unwrap_err(), nft.table(BRIDGE, "xennet").unwrap_err()] {
        assert_eq!(error.errno(), libc::EPERM);
        assert_eq!(error.detail(), Some("this needs CAP_NET_ADMIN over the network namespace"));
    }
}
