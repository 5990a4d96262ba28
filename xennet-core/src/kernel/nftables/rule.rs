use netlink_packet_core::{NLM_F_APPEND, NLM_F_CREATE, NLM_F_DUMP};

use super::message::Messages;
use super::table::split;
use super::{expr, userdata};
use crate::kernel::attributes::{attributes, find, text};
use crate::types::{NftFamily, NftRule};

pub(super) const NFT_MSG_NEWRULE: u16 = 6;
pub(super) const NFT_MSG_GETRULE: u16 = 7;
pub(super) const NFT_MSG_DELRULE: u16 = 8;

pub(super) fn add(message: &mut Messages, family: NftFamily, table: &str, rule: &NftRule) {
    message.begin(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, family);
    message.text(NFTA_RULE_TABLE, table);
    message.text(NFTA_RULE_CHAIN, &rule.chain);
    message.nest(NFTA_RULE_EXPRESSIONS, |message| {
        for expression in &rule.expressions {
            message.nest(NFTA_LIST_ELEM, |message| expr::encode(message, expression));
        }
    });
    userdata::put_comment(message, NFTA_RULE_USERDATA, rule.comment.as_deref());
}

/// A question for all rules of a table.
pub(super) fn get(message: &mut Messages, flags: u16, family: NftFamily, table: &str) {
    message.begin(NFT_MSG_GETRULE, flags, family);
    message.text(NFTA_RULE_TABLE, table);
}

/// The same for those of a chain.
pub(super) fn get_of_chain(message: &mut Messages, family: NftFamily, table: &str, chain: &str) {
    get(message, NLM_F_DUMP, family, table);
    message.text(NFTA_RULE_CHAIN, chain);
}

pub(super) fn decode(body: &[u8]) -> Option<NftRule> {
    let (_, parts) = split(body)?;
    // A rule without any expression is one: it does nothing.
    let expressions = attributes(find(parts, NFTA_RULE_EXPRESSIONS).unwrap_or_default());
    Some(NftRule {
        chain: text(find(parts, NFTA_RULE_CHAIN)?),
        expressions: expressions.map(|(_, expression)| expr::decode(expression)).collect(),
        comment: find(parts, NFTA_RULE_USERDATA).and_then(userdata::comment),
    })
}

pub(super) const NFTA_RULE_TABLE: u16 = 1;
pub(super) const NFTA_RULE_CHAIN: u16 = 2;
pub(super) const NFTA_RULE_EXPRESSIONS: u16 = 4;
const NFTA_RULE_USERDATA: u16 = 7;
const NFTA_LIST_ELEM: u16 = 1;
