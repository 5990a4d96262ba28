use netlink_packet_core::NLM_F_CREATE;

use super::message::Messages;
use super::rule;
use super::table::split;
use crate::kernel::attributes::{be32, find, text};
use crate::types::{NftChain, NftFamily, NftHook, NftHookPoint, NftPolicy};

pub(super) const NFT_MSG_NEWCHAIN: u16 = 3;
pub(super) const NFT_MSG_GETCHAIN: u16 = 4;
const NFT_MSG_DELCHAIN: u16 = 5;

pub(super) fn add(message: &mut Messages, family: NftFamily, table: &str, chain: &NftChain) {
    message.begin(NFT_MSG_NEWCHAIN, NLM_F_CREATE, family);
    message.text(NFTA_CHAIN_TABLE, table);
    message.text(NFTA_CHAIN_NAME, &chain.name);
    let Some(hook) = &chain.hook else { return };
    let Some(number) = hook.point.number(family) else {
        message.flaw("a hook that the table's family does not have");
        return;
    };
    message.text(NFTA_CHAIN_TYPE, &hook.kind);
    let policy = match hook.policy {
        NftPolicy::Drop => NF_DROP,
        NftPolicy::Accept => NF_ACCEPT,
    };
    message.number(NFTA_CHAIN_POLICY, policy);
    message.nest(NFTA_CHAIN_HOOK, |message| {
        message.number(NFTA_HOOK_HOOKNUM, number);
        message.number(NFTA_HOOK_PRIORITY, hook.priority.cast_unsigned());
        if let Some(device) = &hook.device {
            message.text(NFTA_HOOK_DEV, device.as_str());
        }
    });
}

pub(super) fn delete(message: &mut Messages, family: NftFamily, table: &str, chain: &str) {
    message.begin(NFT_MSG_DELCHAIN, 0, family);
    message.text(NFTA_CHAIN_TABLE, table);
    message.text(NFTA_CHAIN_NAME, chain);
}

/// Takes all rules of a chain: deleting a rule without saying which is deleting them all.
pub(super) fn flush(message: &mut Messages, family: NftFamily, table: &str, chain: &str) {
    message.begin(rule::NFT_MSG_DELRULE, 0, family);
    message.text(rule::NFTA_RULE_TABLE, table);
    message.text(rule::NFTA_RULE_CHAIN, chain);
}

/// A chain that packets enter by themselves, after its family and table.
pub(crate) type BaseChain = (NftFamily, String, NftChain);

/// None for any other chain.
pub(super) fn decode_base(body: &[u8]) -> Option<BaseChain> {
    let (_, attributes) = split(body)?;
    find(attributes, NFTA_CHAIN_HOOK)?;
    decode(body)
}

/// A chain and its table.
///
/// None for a chain at a hook that has no name here, which no kernel has up to now: it is no chain without a hook.
pub(super) fn decode(body: &[u8]) -> Option<(NftFamily, String, NftChain)> {
    let (family, attributes) = split(body)?;
    let hook = match find(attributes, NFTA_CHAIN_HOOK) {
        None => None,
        Some(hook) => {
            let number = be32(find(hook, NFTA_HOOK_HOOKNUM)?)?;
            Some(NftHook {
                kind: text(find(attributes, NFTA_CHAIN_TYPE)?),
                point: NftHookPoint::from_number(number, family)?,
                // Not there where there are several devices, or none any more.
                device: find(hook, NFTA_HOOK_DEV).and_then(|name| text(name).parse().ok()),
                priority: be32(find(hook, NFTA_HOOK_PRIORITY)?)?.cast_signed(),
                policy: match be32(find(attributes, NFTA_CHAIN_POLICY)?)? {
                    NF_DROP => NftPolicy::Drop,
                    _ => NftPolicy::Accept,
                },
            })
        }
    };
    let name = text(find(attributes, NFTA_CHAIN_NAME)?);
    Some((family, text(find(attributes, NFTA_CHAIN_TABLE)?), NftChain { name, hook }))
}

const NFTA_CHAIN_TABLE: u16 = 1;
const NFTA_CHAIN_NAME: u16 = 3;
const NFTA_CHAIN_HOOK: u16 = 4;
const NFTA_CHAIN_POLICY: u16 = 5;
const NFTA_CHAIN_TYPE: u16 = 7;
const NFTA_HOOK_HOOKNUM: u16 = 1;
const NFTA_HOOK_PRIORITY: u16 = 2;
const NFTA_HOOK_DEV: u16 = 3;
const NF_DROP: u32 = 0;
const NF_ACCEPT: u32 = 1;
