use netlink_packet_core::NLM_F_CREATE;

use super::expr;
use super::message::Messages;
use super::table::split;
use crate::kernel::attributes::{attributes, be32, find, text};
use crate::types::{NftCounter, NftExpr, NftFamily, NftKey, NftSet};

pub(super) const NFT_MSG_NEWSET: u16 = 9;
pub(super) const NFT_MSG_GETSET: u16 = 10;
const NFT_MSG_DELSET: u16 = 11;

pub(super) fn add(message: &mut Messages, family: NftFamily, table: &str, set: &NftSet) {
    message.begin(NFT_MSG_NEWSET, NLM_F_CREATE, family);
    message.text(NFTA_SET_TABLE, table);
    message.text(NFTA_SET_NAME, &set.name);
    let flag = |wanted, flag| if wanted { flag } else { 0 };
    let flags = flag(set.timeout, NFT_SET_TIMEOUT) | flag(set.dynamic, NFT_SET_EVAL);
    message.number(NFTA_SET_FLAGS, flags);
    message.number(NFTA_SET_KEY_TYPE, key_type(&set.key));
    message.number(NFTA_SET_KEY_LEN, key_length(&set.key));
    if set.dynamic {
        message.nest(NFTA_SET_DESC, |message| {
            message.number(NFTA_SET_DESC_SIZE, NftSet::DYNAMIC_SIZE);
        });
    }
    // The kernel wants a number for those who fill a set before it has its name; the name serves here.
    message.number(NFTA_SET_ID, u32::try_from(message.count()).unwrap_or(u32::MAX));
    let [kind, length] = UDATA_KEYBYTEORDER;
    let order = byte_order(&set.key).to_ne_bytes();
    message.put(NFTA_SET_USERDATA, &[[kind, length].as_slice(), &order].concat());
    if set.counter {
        let counter = NftExpr::Counter(NftCounter::default());
        message.nest(NFTA_SET_EXPR, |message| expr::encode(message, &counter));
    }
}

pub(super) fn delete(message: &mut Messages, family: NftFamily, table: &str, set: &str) {
    message.begin(NFT_MSG_DELSET, 0, family);
    message.text(NFTA_SET_TABLE, table);
    message.text(NFTA_SET_NAME, set);
}

/// A question for all sets of a table.
pub(super) fn get(message: &mut Messages, flags: u16, family: NftFamily, table: &str) {
    message.begin(NFT_MSG_GETSET, flags, family);
    message.text(NFTA_SET_TABLE, table);
}

pub(super) fn decode(body: &[u8]) -> Option<NftSet> {
    let (_, parts) = split(body)?;
    let number = |kind| find(parts, kind).and_then(be32).unwrap_or_default();
    let (kind, length) = (number(NFTA_SET_KEY_TYPE), number(NFTA_SET_KEY_LEN));
    let expressions: Vec<NftExpr> = find(parts, NFTA_SET_EXPRESSIONS)
        .into_iter()
        .flat_map(attributes)
        .map(|(_, expression)| expression)
        .chain(find(parts, NFTA_SET_EXPR))
        .map(expr::decode)
        .collect();
    let counter = matches!(expressions.as_slice(), [NftExpr::Counter(_)]);
    let flags = number(NFTA_SET_FLAGS);
    // An element that does more than to be there, to count, and to end when it is told to, is none of ours.
    let plain = flags & !(NFT_SET_EXPR | NFT_SET_TIMEOUT | NFT_SET_EVAL) == 0
        && find(parts, NFTA_SET_TIMEOUT).is_none()
        && (counter || expressions.is_empty());
    let key = if plain { keys(kind, length) } else { None };
    Some(NftSet {
        name: text(find(parts, NFTA_SET_NAME)?),
        key: key.unwrap_or_else(|| vec![NftKey::Other { kind, length }]),
        counter,
        timeout: flags & NFT_SET_TIMEOUT != 0,
        dynamic: flags & NFT_SET_EVAL != 0,
    })
}

/// nft's number of a key: one of 6 bits for each of its parts.
fn key_type(key: &[NftKey]) -> u32 {
    key.iter().fold(0, |all, part| all << TYPE_BITS | type_of(*part))
}

fn type_of(key: NftKey) -> u32 {
    match key {
        NftKey::Ipv4Addr => 7,
        NftKey::Ipv6Addr => 8,
        NftKey::EtherAddr => 9,
        NftKey::Mark => 19,
        NftKey::IfName => 41,
        NftKey::Other { kind, .. } => kind,
    }
}

/// The parts of a key by nft's number, if they are ours and have this length.
fn keys(kind: u32, length: u32) -> Option<Vec<NftKey>> {
    const OURS: [NftKey; 5] =
        [NftKey::IfName, NftKey::EtherAddr, NftKey::Ipv4Addr, NftKey::Ipv6Addr, NftKey::Mark];
    let mut rest = kind;
    let mut key = Vec::new();
    while rest != 0 {
        let part = rest & ((1 << TYPE_BITS) - 1);
        key.push(OURS.into_iter().find(|ours| type_of(*ours) == part)?);
        rest >>= TYPE_BITS;
    }
    key.reverse();
    (!key.is_empty() && key_length(&key) == length).then_some(key)
}

/// In a concatenation, each part is padded to whole registers.
fn key_length(key: &[NftKey]) -> u32 {
    match key {
        [alone] => alone.length(),
        parts => parts.iter().map(|part| part.length().next_multiple_of(4)).sum(),
    }
}

/// nft asks the set how its keys are to be read; without an answer it shows a name as "".
fn byte_order(key: &[NftKey]) -> u32 {
    match key {
        [NftKey::IfName | NftKey::Mark] => HOST,
        [_] => NETWORK,
        _ => UNSAID,
    }
}

const UNSAID: u32 = 0;
const HOST: u32 = 1;
const NETWORK: u32 = 2;

const TYPE_BITS: u32 = 6;
/// A type and a length, as all that nft keeps.
const UDATA_KEYBYTEORDER: [u8; 2] = [0, 4];
const NFT_SET_TIMEOUT: u32 = 0x10;
const NFT_SET_EVAL: u32 = 0x20;
const NFT_SET_EXPR: u32 = 0x100;

const NFTA_SET_TABLE: u16 = 1;
const NFTA_SET_NAME: u16 = 2;
const NFTA_SET_FLAGS: u16 = 3;
const NFTA_SET_KEY_TYPE: u16 = 4;
const NFTA_SET_KEY_LEN: u16 = 5;
const NFTA_SET_DESC: u16 = 9;
const NFTA_SET_DESC_SIZE: u16 = 1;
const NFTA_SET_ID: u16 = 10;
const NFTA_SET_TIMEOUT: u16 = 11;
const NFTA_SET_USERDATA: u16 = 13;
const NFTA_SET_EXPR: u16 = 17;
const NFTA_SET_EXPRESSIONS: u16 = 18;
