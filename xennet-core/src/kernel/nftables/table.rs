use super::message::Messages;
use super::userdata;
use crate::kernel::attributes::{be32, find, text};
use crate::types::{NftFamily, NftTable};

pub(super) const NFT_MSG_NEWTABLE: u16 = 0;
pub(super) const NFT_MSG_GETTABLE: u16 = 1;
const NFT_MSG_DELTABLE: u16 = 2;

pub(super) fn add(message: &mut Messages, family: NftFamily, table: &str, comment: Option<&str>) {
    message.begin(NFT_MSG_NEWTABLE, 0, family);
    message.text(NFTA_TABLE_NAME, table);
    // Said even though it is 0: that wakes a table that is dormant.
    message.number(NFTA_TABLE_FLAGS, 0);
    userdata::put_comment(message, NFTA_TABLE_USERDATA, comment);
}

pub(super) fn delete(message: &mut Messages, family: NftFamily, table: &str) {
    message.begin(NFT_MSG_DELTABLE, 0, family);
    message.text(NFTA_TABLE_NAME, table);
}

/// A question for one table.
pub(super) fn get(message: &mut Messages, family: NftFamily, table: &str) {
    message.begin(NFT_MSG_GETTABLE, 0, family);
    message.text(NFTA_TABLE_NAME, table);
}

/// `struct nfgenmsg`, whose first byte is the family, and the attributes behind it.
pub(super) fn split(body: &[u8]) -> Option<(NftFamily, &[u8])> {
    let (header, attributes) = body.split_first_chunk::<4>()?;
    let [family, ..] = *header;
    Some((NftFamily::from_number(family)?, attributes))
}

/// The low half of the generation that the ruleset had when this was said of it.
pub(super) fn generation(body: &[u8]) -> Option<u16> {
    let [_, _, high, low] = *body.first_chunk()?;
    Some(u16::from_be_bytes([high, low]))
}

pub(super) fn decode(body: &[u8]) -> Option<NftTable> {
    let (family, attributes) = split(body)?;
    let flags = find(attributes, NFTA_TABLE_FLAGS).and_then(be32).unwrap_or_default();
    Some(NftTable {
        family,
        name: text(find(attributes, NFTA_TABLE_NAME)?),
        comment: find(attributes, NFTA_TABLE_USERDATA).and_then(userdata::comment),
        dormant: flags & NFT_TABLE_F_DORMANT != 0,
    })
}

const NFTA_TABLE_NAME: u16 = 1;
const NFTA_TABLE_FLAGS: u16 = 2;
const NFTA_TABLE_USERDATA: u16 = 6;
const NFT_TABLE_F_DORMANT: u32 = 1;
