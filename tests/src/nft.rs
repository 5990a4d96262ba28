//! nftables' words in short, for tests that write rulesets.
#![expect(clippy::missing_panics_doc, reason = "what tests share fails as tests do: by a panic")]

use xennet_core::types::{
    NftBase, NftBatch, NftChain, NftCmp, NftCommand, NftElement, NftExpr, NftFamily, NftHook,
    NftHookPoint, NftKey, NftMeta, NftPolicy, NftRegister, NftRule, NftSet, NftValue,
};

/// Commands on a table, whatever the ruleset's generation.
pub fn batch(family: NftFamily, table: &str, commands: Vec<NftCommand>) -> NftBatch {
    NftBatch { family, table: table.to_owned(), generation: None, commands }
}

/// A set whose elements do not count.
pub fn set(name: &str, key: &[NftKey]) -> NftSet {
    NftSet {
        name: name.to_owned(),
        key: key.to_vec(),
        counter: false,
        timeout: false,
        dynamic: false,
    }
}

/// A set whose elements count.
pub fn counting(name: &str, key: &[NftKey]) -> NftSet {
    NftSet { counter: true, ..set(name, key) }
}

/// An interface's name. Panics when it can be none.
pub fn name(text: &str) -> NftValue {
    NftValue::IfName(text.parse().expect("a name"))
}

/// `add element`, of one.
pub fn add(set: &NftSet, element: NftElement) -> NftCommand {
    NftCommand::ElementsAdd { set: set.clone(), elements: vec![element] }
}

/// `delete element`, of one.
pub fn delete(set: &NftSet, element: NftElement) -> NftCommand {
    NftCommand::ElementsDelete { set: set.clone(), elements: vec![element] }
}

/// `add chain`, of one that is only jumped to.
pub fn chain(name: &str) -> NftCommand {
    NftCommand::ChainAdd(NftChain { name: name.to_owned(), hook: None })
}

/// `add chain`, of one that packets enter by themselves.
pub fn base_chain(
    name: &str,
    kind: &str,
    point: NftHookPoint,
    priority: i32,
    policy: NftPolicy,
) -> NftCommand {
    let hook = NftHook { kind: kind.to_owned(), point, device: None, priority, policy };
    NftCommand::ChainAdd(NftChain { name: name.to_owned(), hook: Some(hook) })
}

/// `add rule`.
pub fn rule(chain: &str, expressions: Vec<NftExpr>) -> NftCommand {
    NftCommand::RuleAdd(NftRule { chain: chain.to_owned(), expressions, comment: None })
}

/// `add rule`, with a comment.
pub fn commented(chain: &str, comment: &str, expressions: Vec<NftExpr>) -> NftCommand {
    let comment = Some(comment.to_owned());
    NftCommand::RuleAdd(NftRule { chain: chain.to_owned(), expressions, comment })
}

/// Loads into the first register.
pub fn load(key: NftMeta) -> NftExpr {
    NftExpr::Meta { key, register: NftRegister(0) }
}

/// Loads bytes of the packet.
pub fn payload(base: NftBase, offset: u32, length: u32, register: u8) -> NftExpr {
    NftExpr::Payload { base, offset, length, register: NftRegister(register) }
}

/// Masks the first register.
pub fn masked(mask: &[u8]) -> NftExpr {
    let xor = vec![0; mask.len()];
    NftExpr::Bitwise { register: NftRegister(0), mask: mask.to_vec(), xor }
}

/// Compares the first register.
pub fn compare(op: NftCmp, data: &[u8]) -> NftExpr {
    NftExpr::Cmp { register: NftRegister(0), op, data: data.to_vec() }
}

/// Looks the first register up.
pub fn lookup(set: &str) -> NftExpr {
    NftExpr::Lookup { set: set.to_owned(), register: NftRegister(0), inverted: false }
}
