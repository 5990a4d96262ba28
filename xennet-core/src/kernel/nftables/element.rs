use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::message::Messages;
use super::table::split;
use super::{expr, userdata};
use crate::kernel::attributes::{attributes, be32, be64, c_str, find};
use crate::types::{IfName, NftElement, NftExpr, NftFamily, NftKey, NftSet, NftValue};

pub(super) const NFT_MSG_NEWSETELEM: u16 = 12;
pub(super) const NFT_MSG_GETSETELEM: u16 = 13;
pub(super) const NFT_MSG_DELSETELEM: u16 = 14;

/// Adds one message about elements of a set, by their keys and, if they are new, all else that they have. Returns how many
/// of them found room in it.
pub(super) fn list(
    message: &mut Messages,
    (kind, flags): (u16, u16),
    family: NftFamily,
    table: &str,
    set: &NftSet,
    elements: &[NftElement],
) -> usize {
    all(message, (kind, flags), family, table, set);
    let mut count = 0;
    message.nest(NFTA_SET_ELEM_LIST_ELEMENTS, |message| {
        let begin = message.len();
        for element in elements {
            if message.len() - begin > LIST_ROOM {
                break;
            }
            message.nest(NFTA_LIST_ELEM, |message| {
                put_key(message, set, element);
                if kind == NFT_MSG_NEWSETELEM {
                    if let Some(timeout) = element.timeout {
                        let ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
                        message.put(NFTA_SET_ELEM_TIMEOUT, &ms.to_be_bytes());
                    }
                    if let Some(counter) = element.counter {
                        let counter = NftExpr::Counter(counter);
                        message.nest(NFTA_SET_ELEM_EXPR, |message| expr::encode(message, &counter));
                    }
                    let (comment, note) = (element.comment.as_deref(), &element.note);
                    userdata::put(message, NFTA_SET_ELEM_USERDATA, comment, note);
                }
            });
            count += 1;
        }
    });
    count
}

/// Adds one message about a set's elements in general.
pub(super) fn all(
    message: &mut Messages,
    (kind, flags): (u16, u16),
    family: NftFamily,
    table: &str,
    set: &NftSet,
) {
    message.begin(kind, flags, family);
    message.text(NFTA_SET_ELEM_LIST_TABLE, table);
    message.text(NFTA_SET_ELEM_LIST_SET, &set.name);
}

/// The elements of a set in an answer.
pub(super) fn decode(body: &[u8], set: &NftSet) -> Option<Vec<NftElement>> {
    let (_, parts) = split(body)?;
    let elements = attributes(find(parts, NFTA_SET_ELEM_LIST_ELEMENTS)?);
    Some(elements.filter_map(|(_, element)| one(element, set)).collect())
}

fn put_key(message: &mut Messages, set: &NftSet, element: &NftElement) {
    if element.key.is_empty() {
        message.number(NFTA_SET_ELEM_FLAGS, NFT_SET_ELEM_CATCHALL);
    } else {
        let key = key(message, set, &element.key);
        message.nest(NFTA_SET_ELEM_KEY, |message| message.put(NFTA_DATA_VALUE, &key));
    }
}

fn key(message: &mut Messages, set: &NftSet, values: &[NftValue]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for value in values {
        match value {
            NftValue::IfName(name) => {
                bytes.extend(name.as_str().bytes().chain(std::iter::repeat(0)).take(IFNAMSIZ));
            }
            NftValue::EtherAddr(octets) => bytes.extend(octets),
            NftValue::Ipv4Addr(addr) => bytes.extend(addr.octets()),
            NftValue::Ipv6Addr(addr) => bytes.extend(addr.octets()),
            NftValue::Mark(mark) => bytes.extend(mark.to_ne_bytes()),
            NftValue::Other(other) => bytes.extend(other),
        }
        if values.len() > 1 {
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
    }
    let fits = |(value, key): (&NftValue, &NftKey)| {
        matches!(
            (value, key),
            (NftValue::IfName(_), NftKey::IfName)
                | (NftValue::EtherAddr(_), NftKey::EtherAddr)
                | (NftValue::Ipv4Addr(_), NftKey::Ipv4Addr)
                | (NftValue::Ipv6Addr(_), NftKey::Ipv6Addr)
                | (NftValue::Mark(_), NftKey::Mark)
                | (NftValue::Other(_), _)
        )
    };
    if values.len() != set.key.len() || !values.iter().zip(&set.key).all(fits) {
        message.flaw("an element whose key is not of the set's type");
    }
    bytes
}

fn one(element: &[u8], set: &NftSet) -> Option<NftElement> {
    let flags = find(element, NFTA_SET_ELEM_FLAGS).and_then(be32).unwrap_or_default();
    let key = if flags & NFT_SET_ELEM_CATCHALL != 0 {
        Vec::new()
    } else {
        values(find(find(element, NFTA_SET_ELEM_KEY)?, NFTA_DATA_VALUE)?, &set.key)
    };
    let counter = find(element, NFTA_SET_ELEM_EXPRESSIONS)
        .into_iter()
        .flat_map(attributes)
        .map(|(_, expression)| expression)
        .chain(find(element, NFTA_SET_ELEM_EXPR))
        .find_map(|expression| match expr::decode(expression) {
            NftExpr::Counter(counter) => Some(counter),
            _ => None,
        });
    let userdata = find(element, NFTA_SET_ELEM_USERDATA).unwrap_or_default();
    let (comment, note) = (userdata::comment(userdata), userdata::note(userdata));
    let timeout = find(element, NFTA_SET_ELEM_EXPIRATION).and_then(be64).map(Duration::from_millis);
    Some(NftElement { key, comment, note, counter, timeout })
}

/// A key's parts; bytes that do not suit the set's type stay bytes.
fn values(bytes: &[u8], key: &[NftKey]) -> Vec<NftValue> {
    let mut rest = bytes;
    let mut values = Vec::new();
    for part in key {
        let length = usize::try_from(part.length()).unwrap_or(usize::MAX);
        let Some((value, _)) = rest.split_at_checked(length) else {
            return vec![NftValue::Other(bytes.to_vec())];
        };
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        values.push(typed(value, *part).unwrap_or_else(|| NftValue::Other(value.to_vec())));
    }
    values
}

fn typed(value: &[u8], key: NftKey) -> Option<NftValue> {
    Some(match key {
        NftKey::IfName => {
            let name = c_str(value);
            let padding = value.get(name.len()..)?;
            if padding.iter().any(|byte| *byte != 0) {
                return None;
            }
            NftValue::IfName(IfName::from_bytes(name).ok()?)
        }
        NftKey::EtherAddr => NftValue::EtherAddr(value.try_into().ok()?),
        NftKey::Ipv4Addr => NftValue::Ipv4Addr(Ipv4Addr::from(<[u8; 4]>::try_from(value).ok()?)),
        NftKey::Ipv6Addr => NftValue::Ipv6Addr(Ipv6Addr::from(<[u8; 16]>::try_from(value).ok()?)),
        NftKey::Mark => NftValue::Mark(u32::from_ne_bytes(value.try_into().ok()?)),
        NftKey::Other { .. } => return None,
    })
}

const IFNAMSIZ: usize = 16;
/// An attribute has at most 65535 bytes, and an element (a key of 64, a comment and a note of 256) far less than 5000.
const LIST_ROOM: usize = 60_000;

const NFTA_SET_ELEM_LIST_TABLE: u16 = 1;
const NFTA_SET_ELEM_LIST_SET: u16 = 2;
pub(super) const NFTA_SET_ELEM_LIST_ELEMENTS: u16 = 3;
const NFTA_LIST_ELEM: u16 = 1;
const NFTA_SET_ELEM_KEY: u16 = 1;
const NFTA_SET_ELEM_FLAGS: u16 = 3;
const NFTA_SET_ELEM_TIMEOUT: u16 = 4;
const NFTA_SET_ELEM_EXPIRATION: u16 = 5;
const NFTA_SET_ELEM_USERDATA: u16 = 6;
const NFTA_SET_ELEM_EXPR: u16 = 7;
const NFTA_SET_ELEM_EXPRESSIONS: u16 = 11;
const NFTA_DATA_VALUE: u16 = 1;
const NFT_SET_ELEM_CATCHALL: u32 = 2;
