//! nftables over netlink, with `nft` as the judge.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use serde_json::Value;
use xennet_core::kernel::Nftables;
use xennet_core::types::{
    NftBase, NftChain, NftCmp, NftCommand, NftCounter, NftCt, NftElement, NftExpr, NftFamily,
    NftHookPoint, NftKey, NftMeta, NftNat, NftPolicy, NftRegister, NftRule, NftSet, NftValue,
    NftVerdict,
};
use xennet_tests::netns::Netns;
use xennet_tests::nft::{
    add, base_chain, batch, chain, commented, compare, counting, load, lookup, masked, name,
    payload, rule, set,
};

const BRIDGE: NftFamily = NftFamily::Bridge;
const INET: NftFamily = NftFamily::Inet;

#[test]
fn what_we_write_nft_reads_as_its_own_and_what_nft_writes_we_read_as_ours() {
    for (family, table, text, commands) in
        [(BRIDGE, "xennet", GUARD, guard()), (INET, "xennat", NAT, nat())]
    {
        let of_nft = {
            let netns = Netns::new();
            netns.nft(text);
            assert_eq!(read(family, table), wanted(&commands), "what nft has written");
            told(&netns)
        };
        let netns = Netns::new();
        apply(family, table, commands.clone());
        assert_eq!(told(&netns), of_nft);
        assert_eq!(read(family, table), wanted(&commands), "what we have written");
        // The same once more is no change but more rules; of which the table is rid again.
        let chains = commands.iter().filter_map(|command| match command {
            NftCommand::ChainAdd(chain) => Some(chain.name.clone()),
            _ => None,
        });
        let flushes = chains.map(|chain| NftCommand::ChainFlush { chain });
        apply(family, table, commands.iter().cloned().chain(flushes).collect());
        assert!(Nftables::open().unwrap().rules(family, table).unwrap().is_empty());
        let rules = commands.iter().filter(|c| matches!(c, NftCommand::RuleAdd(_))).cloned();
        apply(family, table, rules.collect());
        assert_eq!(told(&netns), of_nft);
        apply(family, table, vec![NftCommand::TableDelete]);
        assert_eq!(netns.nft_text("list ruleset"), "");
    }
}

const GUARD: &str = r#"table bridge xennet {
    comment "xennet guard 1"
    set ports { type ifname; counter; elements = { "vif1.0" comment "strict 10.0.0.5" } }
    set macs { type ifname . ether_addr; elements = { "vif1.0" . 00:16:3e:00:00:01 } }
    set ip4_32 { type ifname . ipv4_addr; counter; }
    set ip6_128 { type ipv6_addr . ipv6_addr; elements = { 2001:db8::1 . fe80::1 comment "two" } }
    set groups { type ether_addr; elements = { 01:80:c2:00:00:00 } }
    set owned4 { type ipv4_addr; elements = { 10.0.0.5 comment "vif1.0" } }
    set owned6 { type ipv6_addr; elements = { 2001:db8::1 } }
    chain others { }
    chain guarded {
        iifname . ether saddr != @macs counter drop comment "a foreign MAC"
        iifname . ip saddr @ip4_32 accept
        ip saddr & 255.255.255.0 @owned4 drop
        meta protocol ip6 exthdr frag exists counter drop
        ip6 saddr fe80::/10 return
        udp sport > 67 drop
        iiftype ether jump others
    }
    chain pre {
        type filter hook prerouting priority -300; policy accept;
        iifname @ports goto guarded
    }
    chain in { type filter hook input priority 7; policy drop; }
}"#;

fn guard() -> Vec<NftCommand> {
    [guard_sets(), guard_rules()].concat()
}

fn guard_sets() -> Vec<NftCommand> {
    let ports = counting("ports", &[NftKey::IfName]);
    let macs = set("macs", &[NftKey::IfName, NftKey::EtherAddr]);
    let ip4_32 = counting("ip4_32", &[NftKey::IfName, NftKey::Ipv4Addr]);
    let ip6_128 = set("ip6_128", &[NftKey::Ipv6Addr; 2]);
    let groups = set("groups", &[NftKey::EtherAddr]);
    let owned4 = set("owned4", &[NftKey::Ipv4Addr]);
    let owned6 = set("owned6", &[NftKey::Ipv6Addr]);
    let (mac, group) = ([0, 0x16, 0x3e, 0, 0, 1], [1, 0x80, 0xc2, 0, 0, 0]);
    let ip6 = |text: &str| NftValue::Ipv6Addr(text.parse().unwrap());
    vec![
        NftCommand::TableAdd { comment: Some("xennet guard 1".to_owned()) },
        NftCommand::SetAdd(ports.clone()),
        NftCommand::SetAdd(macs.clone()),
        NftCommand::SetAdd(ip4_32),
        NftCommand::SetAdd(ip6_128.clone()),
        NftCommand::SetAdd(groups.clone()),
        NftCommand::SetAdd(owned4.clone()),
        NftCommand::SetAdd(owned6.clone()),
        chain("others"),
        chain("guarded"),
        base_chain("pre", "filter", NftHookPoint::Prerouting, -300, NftPolicy::Accept),
        base_chain("in", "filter", NftHookPoint::Input, 7, NftPolicy::Drop),
        add(&ports, NftElement::new([name("vif1.0")]).comment("strict 10.0.0.5")),
        add(&macs, NftElement::new([name("vif1.0"), NftValue::EtherAddr(mac)])),
        add(&ip6_128, NftElement::new([ip6("2001:db8::1"), ip6("fe80::1")]).comment("two")),
        add(&groups, NftElement::new([NftValue::EtherAddr(group)])),
        add(&owned4, NftElement::new([NftValue::Ipv4Addr([10, 0, 0, 5].into())]).comment("vif1.0")),
        add(&owned6, NftElement::new([ip6("2001:db8::1")])),
    ]
}

fn guard_rules() -> Vec<NftCommand> {
    let protocol = |ethertype: [u8; 2]| [load(NftMeta::Protocol), compare(NftCmp::Eq, &ethertype)];
    vec![
        commented(
            "guarded",
            "a foreign MAC",
            vec![
                load(NftMeta::IifName),
                payload(NftBase::Link, 6, 6, 4),
                NftExpr::Lookup {
                    set: "macs".to_owned(),
                    register: NftRegister(0),
                    inverted: true,
                },
                NftExpr::Counter(NftCounter::default()),
                NftExpr::Verdict(NftVerdict::Drop),
            ],
        ),
        rule(
            "guarded",
            [
                &protocol([8, 0])[..],
                &[
                    load(NftMeta::IifName),
                    payload(NftBase::Network, 12, 4, 4),
                    lookup("ip4_32"),
                    NftExpr::Verdict(NftVerdict::Accept),
                ],
            ]
            .concat(),
        ),
        rule(
            "guarded",
            [
                &protocol([8, 0])[..],
                &[
                    payload(NftBase::Network, 12, 4, 0),
                    masked(&[255, 255, 255, 0]),
                    lookup("owned4"),
                    NftExpr::Verdict(NftVerdict::Drop),
                ],
            ]
            .concat(),
        ),
        rule(
            "guarded",
            [
                &protocol([0x86, 0xdd])[..],
                &[
                    fragment_header(),
                    compare(NftCmp::Eq, &[1]),
                    NftExpr::Counter(NftCounter::default()),
                    NftExpr::Verdict(NftVerdict::Drop),
                ],
            ]
            .concat(),
        ),
        rule(
            "guarded",
            [
                &protocol([0x86, 0xdd])[..],
                &[
                    payload(NftBase::Network, 8, 16, 0),
                    masked(&[&[0xff, 0xc0][..], &[0; 14]].concat()),
                    compare(NftCmp::Eq, &[&[0xfe, 0x80][..], &[0; 14]].concat()),
                    NftExpr::Verdict(NftVerdict::Return),
                ],
            ]
            .concat(),
        ),
        rule(
            "guarded",
            vec![
                load(NftMeta::L4Proto),
                compare(NftCmp::Eq, &[17]),
                payload(NftBase::Transport, 0, 2, 0),
                compare(NftCmp::Gt, &[0, 67]),
                NftExpr::Verdict(NftVerdict::Drop),
            ],
        ),
        rule(
            "guarded",
            vec![
                load(NftMeta::IifType),
                compare(NftCmp::Eq, &1u16.to_ne_bytes()),
                NftExpr::Verdict(NftVerdict::Jump("others".to_owned())),
            ],
        ),
        rule(
            "pre",
            vec![
                load(NftMeta::IifName),
                lookup("ports"),
                NftExpr::Verdict(NftVerdict::Goto("guarded".to_owned())),
            ],
        ),
    ]
}

fn fragment_header() -> NftExpr {
    NftExpr::ExtHdr { header: 44, offset: 0, length: 1, present: true, register: NftRegister(0) }
}

const NAT: &str = r#"table inet xennat {
    chain pre {
        type nat hook prerouting priority -100; policy accept;
        fib daddr type local meta nfproto ipv4 meta l4proto tcp dnat ip to 10.0.0.5:8080
    }
    chain post {
        type nat hook postrouting priority 100; policy accept;
        oifname "eth0" masquerade
        ct state established,related accept
        ct status dnat snat ip6 to 2001:db8::1
    }
}"#;

fn nat() -> Vec<NftCommand> {
    let immediate = |register, data: &[u8]| NftExpr::Immediate {
        register: NftRegister(register),
        data: data.to_vec(),
    };
    let bits = |bits: u32| [masked(&bits.to_ne_bytes()), compare(NftCmp::Neq, &[0; 4])];
    let ct = |key| NftExpr::Ct { key, register: NftRegister(0) };
    let eth0 = [&b"eth0"[..], &[0; 12]].concat();
    let address: std::net::Ipv6Addr = "2001:db8::1".parse().unwrap();
    vec![
        NftCommand::TableAdd { comment: None },
        base_chain("pre", "nat", NftHookPoint::Prerouting, -100, NftPolicy::Accept),
        base_chain("post", "nat", NftHookPoint::Postrouting, 100, NftPolicy::Accept),
        rule(
            "pre",
            vec![
                NftExpr::DestinationType { register: NftRegister(0) },
                compare(NftCmp::Eq, &2_u32.to_ne_bytes()),
                load(NftMeta::NfProto),
                compare(NftCmp::Eq, &[2]),
                load(NftMeta::L4Proto),
                compare(NftCmp::Eq, &[6]),
                immediate(0, &[10, 0, 0, 5]),
                immediate(4, &8080u16.to_be_bytes()),
                NftExpr::Nat {
                    kind: NftNat::Destination,
                    family: NftFamily::Ip,
                    address: NftRegister(0),
                    port: Some(NftRegister(4)),
                },
            ],
        ),
        rule("post", vec![load(NftMeta::OifName), compare(NftCmp::Eq, &eth0), NftExpr::Masquerade]),
        rule(
            "post",
            [&[ct(NftCt::State)][..], &bits(6), &[NftExpr::Verdict(NftVerdict::Accept)]].concat(),
        ),
        rule(
            "post",
            [
                &[ct(NftCt::Status)][..],
                &bits(32),
                &[
                    immediate(0, &address.octets()),
                    NftExpr::Nat {
                        kind: NftNat::Source,
                        family: NftFamily::Ip6,
                        address: NftRegister(0),
                        port: None,
                    },
                ],
            ]
            .concat(),
        ),
    ]
}

/// What there is: its sets with their elements, its chains, and its rules.
type Ruleset = (Vec<(NftSet, Vec<NftElement>)>, Vec<NftChain>, Vec<NftRule>);

fn read(family: NftFamily, table: &str) -> Ruleset {
    let mut nft = Nftables::open().unwrap();
    let sets = nft.sets(family, table).unwrap();
    let elements = |set: NftSet| {
        let elements = nft.elements(family, table, &set).unwrap();
        (set, elements)
    };
    let sets = sets.into_iter().map(elements).collect();
    (sets, nft.chains(family, table).unwrap(), nft.rules(family, table).unwrap())
}

/// What these commands make.
fn wanted(commands: &[NftCommand]) -> Ruleset {
    let (mut sets, mut chains, mut rules) = Ruleset::default();
    for command in commands {
        match command {
            NftCommand::SetAdd(set) => sets.push((set.clone(), Vec::new())),
            NftCommand::ElementsAdd { set, elements } => {
                let counter = set.counter.then(NftCounter::default);
                let elements = elements.iter().map(|e| NftElement { counter, ..e.clone() });
                sets.iter_mut().find(|(of, _)| of == set).unwrap().1.extend(elements);
            }
            NftCommand::ChainAdd(chain) => chains.push(chain.clone()),
            NftCommand::RuleAdd(rule) => rules.push(rule.clone()),
            _ => {}
        }
    }
    (sets, chains, rules)
}

/// What `nft` says of everything, less the handles; as text too, for JSON leaves a table's comment out.
fn told(netns: &Netns) -> (Vec<Value>, String) {
    let mut objects = netns.nft_json("list ruleset");
    for object in &mut objects {
        for inner in object.as_object_mut().unwrap().values_mut() {
            inner.as_object_mut().unwrap().remove("handle");
        }
    }
    (objects, netns.nft_text("list ruleset"))
}

fn apply(family: NftFamily, table: &str, commands: Vec<NftCommand>) {
    Nftables::open().unwrap().apply(&batch(family, table, commands)).unwrap();
}
