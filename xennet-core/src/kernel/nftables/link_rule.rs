//! Rules of other programs that have a condition on an interface: read expression by expression, because they may have
//! any other expression as well.

use netlink_packet_core::NLM_F_DUMP;

use super::Nftables;
use super::message::Messages;
use super::rule;
use super::table::split;
use crate::kernel::attributes::{attributes, be32, be64, c_str, find, text};
use crate::kernel::error::Error;
use crate::types::{LinkMatch, LinkNames, LinkRule, NftFamily, NftKey, NftSet, NftValue};

impl Nftables {
    /// The rules of all tables of these families that have a condition on an interface. `nft -a list ruleset`
    pub fn link_rules(&mut self, families: &[NftFamily]) -> Result<Vec<LinkRule>, Error> {
        let mut question = Messages::default();
        question.begin_any(rule::NFT_MSG_GETRULE, NLM_F_DUMP);
        let decode = |body: &[u8]| decode(body).filter(|(rule, _)| families.contains(&rule.family));
        let found = self
            .dump(question, rule::NFT_MSG_NEWRULE, decode)
            .map_err(|error| error.doing("nft list ruleset"))?;
        let mut rules = Vec::new();
        for (mut rule, in_sets) in found {
            for one in in_sets {
                let names = self.names_in_set(&rule, &one)?;
                let (is_output, is_inverted) = (one.is_output, one.is_inverted);
                rule.matches.push(LinkMatch { is_output, is_inverted, names });
            }
            rules.push(rule);
        }
        Ok(rules)
    }

    fn names_in_set(&mut self, rule: &LinkRule, one: &InSet) -> Result<LinkNames, Error> {
        // Only the bytes of the keys matter, whatever else the set has.
        let key = vec![NftKey::Other { kind: 0, length: u32::MAX }];
        let set =
            NftSet { name: one.set.clone(), key, counter: false, timeout: false, dynamic: false };
        let elements = self.elements(rule.family, &rule.table, &set)?;
        let keys = elements.iter().filter_map(|element| match element.key.as_slice() {
            [NftValue::Other(bytes)] => bytes.get(one.offset..),
            _ => None,
        });
        Ok(if one.by_index {
            LinkNames::Indices(keys.filter_map(index).collect())
        } else {
            let names = keys.map(|key| c_str(key.get(..IFNAMSIZ).unwrap_or(key)).to_vec());
            LinkNames::Names(names.collect())
        })
    }
}

/// A condition that a set or map decides.
#[derive(Debug)]
pub(super) struct InSet {
    set: String,
    /// Where in its key the interface is.
    offset: usize,
    by_index: bool,
    is_output: bool,
    is_inverted: bool,
}

/// What a register holds of an interface.
#[derive(Debug, Clone, Copy)]
struct Loaded {
    /// The number of the register, in words of four bytes.
    register: usize,
    by_index: bool,
    is_output: bool,
}

/// A rule and the conditions that sets decide; none for a rule without a condition on an interface.
pub(super) fn decode(body: &[u8]) -> Option<(LinkRule, Vec<InSet>)> {
    let (family, parts) = split(body)?;
    let mut rule = LinkRule {
        family,
        is_legacy: false,
        table: text(find(parts, rule::NFTA_RULE_TABLE)?),
        chain: text(find(parts, rule::NFTA_RULE_CHAIN)?),
        number: find(parts, NFTA_RULE_HANDLE).and_then(be64).unwrap_or_default(),
        matches: Vec::new(),
        rest: Vec::new(),
    };
    let mut in_sets = Vec::new();
    let mut loaded: Vec<Loaded> = Vec::new();
    for (_, expression) in attributes(find(parts, rule::NFTA_RULE_EXPRESSIONS)?) {
        let name = find(expression, NFTA_EXPR_NAME).map(c_str).unwrap_or_default();
        let data = find(expression, NFTA_EXPR_DATA).unwrap_or_default();
        if let Some(written) = destination(name, data) {
            loaded.retain(|one| one.register != written);
        }
        match name {
            b"counter" => continue,
            b"meta" => loaded.extend(meta(data)),
            b"cmp" => {
                if let Some(one) = compare(data, &loaded) {
                    rule.matches.push(one);
                    continue;
                }
            }
            b"lookup" => in_sets.extend(lookup(data, &loaded)),
            _ => {}
        }
        rule.rest.extend_from_slice(expression);
    }
    (!rule.matches.is_empty() || !in_sets.is_empty()).then_some((rule, in_sets))
}

/// The register that an expression writes to.
fn destination(name: &[u8], data: &[u8]) -> Option<usize> {
    let attribute = match name {
        b"bitwise" | b"byteorder" | b"hash" => 2,
        b"lookup" => 3,
        b"cmp" | b"counter" | b"range" => return None,
        _ => 1,
    };
    register(find(data, attribute)?)
}

fn meta(data: &[u8]) -> Option<Loaded> {
    let (by_index, is_output) = match find(data, NFTA_META_KEY).and_then(be32)? {
        NFT_META_IIF => (true, false),
        NFT_META_OIF => (true, true),
        NFT_META_IIFNAME => (false, false),
        NFT_META_OIFNAME => (false, true),
        _ => return None,
    };
    let register = register(find(data, NFTA_META_DREG)?)?;
    Some(Loaded { register, by_index, is_output })
}

fn compare(data: &[u8], loaded: &[Loaded]) -> Option<LinkMatch> {
    let register = register(find(data, NFTA_CMP_SREG)?)?;
    let Loaded { by_index, is_output, .. } = *loaded.iter().find(|one| one.register == register)?;
    let value = find(find(data, NFTA_CMP_DATA)?, NFTA_DATA_VALUE)?;
    let names = match c_str(value) {
        _ if by_index => LinkNames::Index(index(value)?),
        // Without its NUL, it is the beginning of a name.
        prefix if prefix.len() == value.len() => LinkNames::Prefix(prefix.to_vec()),
        name => LinkNames::Name(name.to_vec()),
    };
    let is_inverted = find(data, NFTA_CMP_OP).and_then(be32)? == NFT_CMP_NEQ;
    Some(LinkMatch { is_output, is_inverted, names })
}

fn lookup(data: &[u8], loaded: &[Loaded]) -> Option<InSet> {
    let set = text(find(data, NFTA_LOOKUP_SET)?);
    let first = register(find(data, NFTA_LOOKUP_SREG)?)?;
    let is_inverted =
        find(data, NFTA_LOOKUP_FLAGS).and_then(be32).is_some_and(|flags| flags & 1 != 0);
    let behind = loaded.iter().filter(|one| one.register >= first);
    let Loaded { register, by_index, is_output } = *behind.min_by_key(|one| one.register)?;
    let offset = register.checked_sub(first)?.checked_mul(4)?;
    Some(InSet { set, offset, by_index, is_output, is_inverted })
}

/// The kernel names a register by the sixteen bytes that it begins, or by four.
fn register(value: &[u8]) -> Option<usize> {
    let word = match be32(value)? {
        number @ 1..=4 => (number - 1) * 4,
        number @ 8..=23 => number - 8,
        _ => return None,
    };
    usize::try_from(word).ok()
}

/// An index is in the byte order of the machine.
fn index(value: &[u8]) -> Option<u32> {
    value.first_chunk().copied().map(u32::from_ne_bytes)
}

const IFNAMSIZ: usize = 16;
const NFTA_RULE_HANDLE: u16 = 3;
const NFTA_EXPR_NAME: u16 = 1;
const NFTA_EXPR_DATA: u16 = 2;
const NFTA_DATA_VALUE: u16 = 1;
const NFTA_META_DREG: u16 = 1;
const NFTA_META_KEY: u16 = 2;
const NFT_META_IIF: u32 = 4;
const NFT_META_OIF: u32 = 5;
const NFT_META_IIFNAME: u32 = 6;
const NFT_META_OIFNAME: u32 = 7;
const NFTA_CMP_SREG: u16 = 1;
const NFTA_CMP_OP: u16 = 2;
const NFTA_CMP_DATA: u16 = 3;
const NFT_CMP_NEQ: u32 = 1;
const NFTA_LOOKUP_SET: u16 = 1;
const NFTA_LOOKUP_SREG: u16 = 2;
const NFTA_LOOKUP_FLAGS: u16 = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::attributes::strange;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_body_is_a_rule_or_none(body in strange::body(4)) {
            let _ = decode(&body);
        }

        #[test]
        fn any_expression_is_read(data in strange::body(0)) {
            let loaded = [Loaded { register: 0, by_index: false, is_output: false }];
            let _ = (meta(&data), compare(&data, &loaded), lookup(&data, &loaded));
        }
    }
}
