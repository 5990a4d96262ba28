//! Every kind of message as it is sent, and every decoder under any bytes.

use netlink_packet_core::NLM_F_DUMP;
use proptest::prelude::*;

use super::batch_request::Request;
use super::message::Messages;
use super::{chain, element, expr, rule, set, table};
use crate::kernel::attributes::{find, strange};
use crate::types::{
    NftBase, NftBatch, NftChain, NftCmp, NftCommand, NftCounter, NftCt, NftElement, NftExpr,
    NftFamily, NftHook, NftHookPoint, NftKey, NftMeta, NftNat, NftPolicy, NftRegister, NftRule,
    NftSet, NftValue, NftVerdict,
};

#[test]
fn commands() {
    let chain = |hook| NftChain { name: "c".to_owned(), hook };
    let element = NftElement::new([NftValue::IfName("vif1.0".parse().unwrap())]);
    // All but three are byte for byte what nft 1.0.6 sends; it numbers sets otherwise, names a set by its number too, and
    // repeats a key's types behind its order of bytes.
    for (command, bytes) in [
        (
            NftCommand::TableAdd { comment: Some("tc".to_owned()) },
            "30000000 000a0500 00000000 00000000 07000000 06000100 74000000 08000200 00000000 \
             09000600 00037463 00000000",
        ),
        (NftCommand::TableDelete, "1c000000 020a0500 00000000 00000000 07000000 06000100 74000000"),
        (
            NftCommand::SetAdd(ports()),
            "68000000 090a0504 00000000 00000000 07000000 06000100 74000000 0a000200 706f7274 \
             73000000 08000300 00000000 08000400 00000029 08000500 00000010 08000a00 00000002 \
             0a000d00 00040100 00000000 14001180 0c000100 636f756e 74657200 04000280",
        ),
        (
            NftCommand::SetAdd(macs()),
            "54000000 090a0504 00000000 00000000 07000000 06000100 74000000 09000200 6d616373 \
             00000000 08000300 00000000 08000400 00000a49 08000500 00000018 08000a00 00000002 \
             0a000d00 00040000 00000000",
        ),
        (
            NftCommand::SetDelete { set: "macs".to_owned() },
            "28000000 0b0a0500 00000000 00000000 07000000 06000100 74000000 09000200 6d616373 \
             00000000",
        ),
        (
            NftCommand::ChainAdd(chain(None)),
            "24000000 030a0504 00000000 00000000 07000000 06000100 74000000 06000300 63000000",
        ),
        (
            NftCommand::ChainAdd(chain(Some(NftHook {
                kind: "filter".to_owned(),
                point: NftHookPoint::Prerouting,
                device: None,
                priority: -300,
                policy: NftPolicy::Accept,
            }))),
            "4c000000 030a0504 00000000 00000000 07000000 06000100 74000000 06000300 63000000 \
             0b000700 66696c74 65720000 08000500 00000001 14000480 08000100 00000000 08000200 \
             fffffed4",
        ),
        (
            NftCommand::ChainFlush { chain: "c".to_owned() },
            "24000000 080a0500 00000000 00000000 07000000 06000100 74000000 06000200 63000000",
        ),
        (
            NftCommand::ChainDelete { chain: "c".to_owned() },
            "24000000 050a0500 00000000 00000000 07000000 06000100 74000000 06000300 63000000",
        ),
        (
            NftCommand::ElementsAdd {
                set: ports(),
                elements: vec![element.clone().comment("rec")],
            },
            "54000000 0c0a0504 00000000 00000000 07000000 06000100 74000000 0a000200 706f7274 \
             73000000 2c000380 28000180 18000180 14000100 76696631 2e300000 00000000 00000000 \
             0a000600 00047265 63000000",
        ),
        (
            NftCommand::ElementsDelete { set: ports(), elements: vec![element] },
            "48000000 0e0a0500 00000000 00000000 07000000 06000100 74000000 0a000200 706f7274 \
             73000000 20000380 1c000180 18000180 14000100 76696631 2e300000 00000000 00000000",
        ),
        (
            NftCommand::RuleAdd(NftRule {
                chain: "c".to_owned(),
                expressions: vec![NftExpr::Verdict(NftVerdict::Goto("d".to_owned()))],
                comment: Some("rc".to_owned()),
            }),
            "6c000000 060a050c 00000000 00000000 07000000 06000100 74000000 06000200 63000000 \
             3c000480 38000180 0e000100 696d6d65 64696174 65000000 24000280 08000100 00000000 \
             18000280 14000280 08000100 fffffffc 06000200 64000000 09000700 00037263 00000000",
        ),
    ] {
        let request = Request::new(&batch(vec![command.clone()], None));
        assert_eq!(words(request.messages.nth(1).unwrap()), bytes, "{command:?}");
    }
}

#[test]
fn a_batch_has_a_frame_and_asks_for_one_acknowledgement() {
    let mut request = Request::new(&batch(vec![NftCommand::TableDelete; 2], Some(7)));
    request.messages.sequence(0x11);
    let delete = |flags: &str, n: u8| {
        format!("1c000000 020a{flags} {n}000000 00000000 07000000 06000100 74000000")
    };
    let begin = "1c000000 10000100 11000000 00000000 0000000a 08000100 00000007";
    let end = "14000000 11000100 14000000 00000000 0000000a";
    assert_eq!(
        words(request.messages.bytes().unwrap()),
        [begin, &delete("0100", 12), &delete("0500", 13), end].join(" ")
    );
}

#[test]
fn questions() {
    let asked = |ask: &dyn Fn(&mut Messages)| {
        let mut question = Messages::default();
        ask(&mut question);
        words(&question.into_bytes().unwrap())
    };
    let (bridge, dump) = (NftFamily::Bridge, NLM_F_DUMP);
    assert_eq!(
        asked(&|to| table::get(to, bridge, "t")),
        "1c000000 010a0100 00000000 00000000 07000000 06000100 74000000"
    );
    assert_eq!(
        asked(&|to| rule::get(to, dump, bridge, "t")),
        "1c000000 070a0103 00000000 00000000 07000000 06000100 74000000"
    );
    assert_eq!(
        asked(&|to| set::get(to, dump, bridge, "t")),
        "1c000000 0a0a0103 00000000 00000000 07000000 06000100 74000000"
    );
    assert_eq!(
        asked(&|to| to.begin_any(chain::NFT_MSG_GETCHAIN, dump)),
        "14000000 040a0103 00000000 00000000 00000000"
    );
    let kind = (element::NFT_MSG_GETSETELEM, dump);
    assert_eq!(
        asked(&|to| element::all(to, kind, bridge, "t", &ports())),
        "28000000 0d0a0103 00000000 00000000 07000000 06000100 74000000 0a000200 706f7274 73000000"
    );
}

#[test]
fn what_is_encoded_is_decoded() {
    let (register, data) = (NftRegister(5), vec![1, 2, 3, 4]);
    let verdicts = [
        NftVerdict::Accept,
        NftVerdict::Drop,
        NftVerdict::Return,
        NftVerdict::Jump("c".to_owned()),
        NftVerdict::Goto("c".to_owned()),
    ];
    let metas = [
        NftMeta::Protocol,
        NftMeta::IifName,
        NftMeta::OifName,
        NftMeta::IifType,
        NftMeta::BridgeName,
        NftMeta::L4Proto,
        NftMeta::NfProto,
    ];
    let comparisons = [NftCmp::Eq, NftCmp::Neq, NftCmp::Lt, NftCmp::Lte, NftCmp::Gt, NftCmp::Gte];
    let others = [
        NftExpr::Bitwise { register, mask: data.clone(), xor: data.clone() },
        NftExpr::Lookup { set: "s".to_owned(), register, inverted: true },
        NftExpr::Counter(NftCounter::default()),
        NftExpr::Immediate { register, data: data.clone() },
        NftExpr::DestinationType { register },
        NftExpr::Masquerade,
        NftExpr::ExtHdr { header: 44, offset: 2, length: 2, present: false, register },
    ];
    let nat = |kind, port| NftExpr::Nat { kind, family: NftFamily::Ip6, address: register, port };
    let all =
        (others.into_iter())
            .chain(verdicts.map(NftExpr::Verdict))
            .chain(metas.map(|key| NftExpr::Meta { key, register }))
            .chain(comparisons.map(|op| NftExpr::Cmp { register, op, data: data.clone() }))
            .chain((0..16).map(|n| NftExpr::Ct { key: NftCt::State, register: NftRegister(n) }))
            .chain([NftExpr::Ct { key: NftCt::Status, register }])
            .chain([NftBase::Link, NftBase::Network, NftBase::Transport].map(|base| {
                NftExpr::Payload { base, offset: 12, length: 4, register: NftRegister(0) }
            }))
            .chain([nat(NftNat::Source, None), nat(NftNat::Destination, Some(NftRegister(4)))]);
    for expression in all {
        let mut message = Messages::default();
        message.begin(rule::NFT_MSG_NEWRULE, 0, NftFamily::Bridge);
        expr::encode(&mut message, &expression);
        assert_eq!(expr::decode(message.into_bytes().unwrap().get(20..).unwrap()), expression);
    }
}

#[test]
fn registers_are_named_as_the_kernel_names_them() {
    let named = |n| {
        let mut message = Messages::default();
        message.begin(rule::NFT_MSG_NEWRULE, 0, NftFamily::Bridge);
        let register = NftRegister(n);
        expr::encode(&mut message, &NftExpr::Ct { key: NftCt::State, register });
        let bytes = message.into_bytes().unwrap();
        find(find(bytes.get(20..).unwrap(), 2).unwrap(), 1).unwrap()[3]
    };
    assert_eq!([0, 1, 4, 5, 8, 12, 15].map(named), [1, 9, 2, 13, 3, 4, 23]);
}

#[test]
fn what_cannot_be_sent_is_refused() {
    let rule = |expression| {
        NftCommand::RuleAdd(NftRule {
            chain: "c".to_owned(),
            expressions: vec![expression],
            comment: None,
        })
    };
    let elements = |key: Vec<NftValue>| NftCommand::ElementsAdd {
        set: ports(),
        elements: vec![NftElement::new(key)],
    };
    let mac = NftValue::EtherAddr([0; 6]);
    for command in [
        rule(NftExpr::Other { name: "log".to_owned() }),
        rule(NftExpr::Immediate { register: NftRegister(0), data: vec![0; 70_000] }),
        rule(NftExpr::Verdict(NftVerdict::Jump("a\0b".to_owned()))),
        NftCommand::TableAdd { comment: Some("x".repeat(128)) },
        elements(vec![mac.clone()]),
        elements(vec![NftValue::IfName("vif1.0".parse().unwrap()), mac]),
    ] {
        let request = Request::new(&batch(vec![command.clone()], None));
        assert_eq!(request.messages.bytes().unwrap_err().errno(), libc::EINVAL, "{command:?}");
    }
}

fn batch(commands: Vec<NftCommand>, generation: Option<u32>) -> NftBatch {
    NftBatch { family: NftFamily::Bridge, table: "t".to_owned(), generation, commands }
}

fn ports() -> NftSet {
    NftSet {
        name: "ports".to_owned(),
        key: vec![NftKey::IfName],
        counter: true,
        timeout: false,
        dynamic: false,
    }
}

fn macs() -> NftSet {
    let key = vec![NftKey::IfName, NftKey::EtherAddr];
    NftSet { name: "macs".to_owned(), key, counter: false, timeout: false, dynamic: false }
}

/// In words of four bytes.
fn words(bytes: &[u8]) -> String {
    let words = bytes
        .chunks(4)
        .map(|word| word.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}")));
    words.collect::<Vec<_>>().join(" ")
}

/// Bodies whose attributes are such as the decoders look for, in any nesting.
fn expression() -> impl Strategy<Value = Vec<u8>> {
    let names = ["meta", "payload", "exthdr", "bitwise", "cmp", "lookup", "counter", "immediate"];
    let names = prop::sample::select([names.as_slice(), &["ct", "masq", "nat", "log"]].concat());
    (names, strange::body(0)).prop_map(|(name, body)| {
        let mut message = Messages::default();
        message.begin(rule::NFT_MSG_NEWRULE, 0, NftFamily::Bridge);
        message.text(1, name);
        message.put(2, &body);
        message.into_bytes().unwrap().split_off(20)
    })
}

proptest! {
    #[test]
    fn any_body_is_something_or_none(body in strange::body(4), family in 0u8..12) {
        let body = [[family].as_slice(), body.get(1..).unwrap_or_default()].concat();
        let _ = table::decode(&body);
        let _ = chain::decode(&body);
        let _ = rule::decode(&body);
        let _ = set::decode(&body);
        let _ = element::decode(&body, &macs());
    }

    #[test]
    fn any_expression_is_one(expression in expression()) {
        let _ = expr::decode(&expression);
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
        let _ = rule::decode(&bytes);
        let _ = expr::decode(&bytes);
        let _ = element::decode(&bytes, &ports());
    }

    #[test]
    fn any_answer_to_a_batch_is_read(bytes: Vec<u8>) {
        let mut request = Request::new(&batch(vec![NftCommand::TableDelete], None));
        request.messages.sequence(1);
        let _ = request.answer(&bytes, 1);
    }
}
