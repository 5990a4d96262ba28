use super::batch_request::{Origin, Refusal, Request};
use super::element::NFTA_SET_ELEM_LIST_ELEMENTS;
use super::rule::{NFTA_RULE_CHAIN, NFTA_RULE_EXPRESSIONS};
use crate::kernel::attributes::attributes;
use crate::kernel::error::Error;
use crate::types::{
    NftBatch, NftChain, NftCommand, NftElement, NftExpr, NftFamily, NftMeta, NftVerdict,
};

/// The whole of a batch, in few words.
pub(super) fn all(batch: &NftBatch) -> String {
    match batch.commands.as_slice() {
        [command] => one(batch, command, None),
        commands => {
            format!("nft -f: {} commands on {} {}", commands.len(), batch.family, batch.table)
        }
    }
}

/// The error of a batch: what it was about, and why.
pub(super) fn error(batch: &NftBatch, request: &Request, refusal: Refusal) -> Error {
    let origin = request.origin(refusal.message);
    let place = refusal
        .attribute
        .and_then(|offset| Place::of(request.messages.nth(refusal.message)?, offset));
    let command = origin.and_then(|origin| batch.commands.get(origin.command));
    let doing = match (command, origin) {
        (Some(command), Some(Origin { element, .. })) => {
            let inner = place.filter(|place| place.attribute == NFTA_SET_ELEM_LIST_ELEMENTS);
            let nth = inner.and_then(|place| place.nth).map(|nth| element + nth);
            one(batch, command, nth)
        }
        _ => all(batch),
    };
    // The kernel's word for "begin anew", which no program outside knows.
    let errno = if refusal.errno == libc::ERESTART { libc::EAGAIN } else { refusal.errno };
    let why = || match command {
        Some(command) => why(batch, command, errno, place),
        None => why_none(errno).map(str::to_owned),
    };
    Error::refused(errno, refusal.words.or_else(why)).doing(doing)
}

/// A command; of many elements, the one that it failed at.
fn one(batch: &NftBatch, command: &NftCommand, nth: Option<usize>) -> String {
    let single = |elements: &[NftElement]| {
        let shown = elements.get(nth.unwrap_or_default()).cloned();
        let others = elements.len().saturating_sub(1);
        (Vec::from_iter(shown), if nth.is_some() { 0 } else { others })
    };
    let (command, others) = match command {
        NftCommand::ElementsAdd { set, elements } => {
            let (elements, others) = single(elements);
            (&NftCommand::ElementsAdd { set: set.clone(), elements }, others)
        }
        NftCommand::ElementsCreate { set, elements } => {
            let (elements, others) = single(elements);
            (&NftCommand::ElementsCreate { set: set.clone(), elements }, others)
        }
        NftCommand::ElementsDelete { set, elements } => {
            let (elements, others) = single(elements);
            (&NftCommand::ElementsDelete { set: set.clone(), elements }, others)
        }
        other => (other, 0),
    };
    let words = batch.words(command);
    match others {
        0 => format!("nft {words}"),
        others => format!("nft {words} and {others} more"),
    }
}

/// Where in a message: an attribute of it, and which of those in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    attribute: u16,
    nth: Option<usize>,
}

impl Place {
    fn of(message: &[u8], offset: usize) -> Option<Self> {
        let mut at = HEADER;
        for (attribute, value) in attributes(message.get(HEADER..)?) {
            let end = at + size(value);
            if offset == at {
                return Some(Self { attribute, nth: None });
            }
            if offset < end {
                let mut end = at + 4;
                let nth = attributes(value).position(|(_, value)| {
                    end += size(value);
                    offset < end
                });
                return Some(Self { attribute, nth });
            }
            at = end;
        }
        None
    }
}

fn size(value: &[u8]) -> usize {
    4 + value.len().next_multiple_of(4)
}

/// Why a batch failed at none of its commands.
fn why_none(errno: i32) -> Option<&'static str> {
    match errno {
        libc::EPERM => Some(NO_RIGHTS),
        libc::EAGAIN => Some("somebody has changed the ruleset since it was looked at; look again"),
        libc::EOPNOTSUPP => Some("this kernel has no nftables (CONFIG_NF_TABLES)"),
        _ => None,
    }
}

/// Why a command failed, where the kernel has no words for it.
fn why(batch: &NftBatch, command: &NftCommand, errno: i32, place: Option<Place>) -> Option<String> {
    let NftBatch { family, table, .. } = batch;
    let at = |attribute: u16| place.is_some_and(|place| place.attribute == attribute);
    let words = match (command, errno) {
        (_, libc::ENOENT) if at(TABLE) => format!("there is no table {family} {table}"),
        (_, libc::EPERM) => "the table belongs to the process that made it (flags owner)".into(),
        (NftCommand::TableAdd { .. }, libc::EOPNOTSUPP) => lacks_family(*family),
        (NftCommand::ChainAdd(chain), _) => return why_chain(*family, chain, errno),
        (NftCommand::ChainFlush { .. } | NftCommand::ChainDelete { .. }, libc::ENOENT) => {
            "there is no such chain".into()
        }
        (NftCommand::ChainDelete { .. }, libc::EBUSY) => {
            "the chain still has rules, or a rule jumps to it".into()
        }
        (NftCommand::SetAdd(_), libc::EEXIST) => {
            "a set of this name is there already, and is another one".into()
        }
        (NftCommand::SetAdd(set), libc::EOPNOTSUPP) if set.counter => {
            "this kernel is too old for elements that count (Linux 5.7)".into()
        }
        (NftCommand::SetDelete { .. }, libc::EBUSY) => "a rule still uses the set".into(),
        (NftCommand::ElementsDelete { .. }, libc::ENOENT) if at(NFTA_SET_ELEM_LIST_ELEMENTS) => {
            "there is no such element".into()
        }
        (
            NftCommand::SetDelete { .. }
            | NftCommand::ElementsAdd { .. }
            | NftCommand::ElementsCreate { .. }
            | NftCommand::ElementsDelete { .. },
            libc::ENOENT,
        ) => "there is no such set".into(),
        (
            NftCommand::ElementsAdd { .. }
            | NftCommand::ElementsCreate { .. }
            | NftCommand::ElementsDelete { .. },
            libc::EINVAL,
        ) => "the set's keys are of another type".into(),
        (NftCommand::ElementsCreate { .. }, libc::EEXIST) => "the element exists already".into(),
        (NftCommand::RuleAdd(_), libc::ENOENT) if at(NFTA_RULE_CHAIN) => {
            "there is no such chain".into()
        }
        (NftCommand::RuleAdd(_), libc::EMLINK | libc::ELOOP) => {
            "the chain would be reached from itself, or by too many jumps".into()
        }
        (NftCommand::RuleAdd(rule), _) => {
            let place = place.filter(|place| place.attribute == NFTA_RULE_EXPRESSIONS)?;
            let nth = place.nth?;
            let expression = rule.expressions.get(nth)?;
            why_expression(*family, expression, errno)
                .unwrap_or_else(|| format!("at its expression {}, {expression:?}", nth + 1))
        }
        _ => return None,
    };
    Some(words)
}

fn why_chain(family: NftFamily, chain: &NftChain, errno: i32) -> Option<String> {
    let hook = chain.hook.as_ref()?;
    Some(match (errno, &hook.device) {
        (libc::ENOENT, Some(device)) => format!("there is no interface {device}"),
        (libc::ENOENT, None) if hook.kind == "filter" => lacks_family(family),
        (libc::ENOENT, None) => {
            format!("this kernel has no chains of type {} in the {family} family", hook.kind)
        }
        (libc::EEXIST, _) => "a chain of this name is there already, at another hook".into(),
        // Linux 6.18 says so of both.
        (libc::EOPNOTSUPP, _) => format!(
            "a chain of this name is there already, at another hook; or {family} chains of type {} \
             have no such hook and priority",
            hook.kind
        ),
        _ => return None,
    })
}

fn why_expression(family: NftFamily, expression: &NftExpr, errno: i32) -> Option<String> {
    Some(match (expression, errno) {
        (NftExpr::Lookup { set, .. } | NftExpr::CountIn { set, .. }, libc::ENOENT) => {
            format!("there is no set {set}")
        }
        (NftExpr::Verdict(NftVerdict::Jump(to) | NftVerdict::Goto(to)), libc::ENOENT) => {
            format!("there is no chain {to}")
        }
        (NftExpr::Meta { key: NftMeta::BridgeName, .. }, libc::EOPNOTSUPP) => {
            "this kernel has no meta ibrname (CONFIG_NFT_BRIDGE_META)".into()
        }
        (NftExpr::Ct { .. }, libc::ENOENT) => "this kernel has no ct (CONFIG_NFT_CT)".into(),
        // A bridge's is a module of its own (CONFIG_NF_CONNTRACK_BRIDGE).
        (NftExpr::Ct { .. }, libc::EPROTO) => {
            format!("this kernel does not track connections in the {family} family")
        }
        (NftExpr::DestinationType { .. }, libc::ENOENT) => {
            format!(
                "this kernel has no fib in the {family} family (CONFIG_NFT_FIB_{})",
                family.to_string().to_uppercase()
            )
        }
        (NftExpr::Masquerade, libc::ENOENT) => {
            format!("this kernel has no masquerade in the {family} family (CONFIG_NFT_MASQ)")
        }
        (NftExpr::Nat { .. }, libc::ENOENT) => {
            format!("this kernel has no snat and dnat in the {family} family (CONFIG_NFT_NAT)")
        }
        (NftExpr::Masquerade | NftExpr::Nat { .. }, libc::EOPNOTSUPP) => {
            "only a chain of type nat, at the right hook, can do this".into()
        }
        (expression, libc::ENODATA) => {
            format!("nothing has been loaded into the register of {expression:?}")
        }
        (NftExpr::Counter(_), libc::ENOENT) => {
            "this kernel has no counter (CONFIG_NFT_COUNTER)".into()
        }
        _ => return None,
    })
}

fn lacks_family(family: NftFamily) -> String {
    let option = match family {
        NftFamily::Inet => "CONFIG_NF_TABLES_INET",
        NftFamily::Ip => "CONFIG_NF_TABLES_IPV4",
        NftFamily::Arp => "CONFIG_NF_TABLES_ARP",
        NftFamily::Netdev => "CONFIG_NF_TABLES_NETDEV",
        NftFamily::Bridge => "CONFIG_NF_TABLES_BRIDGE",
        NftFamily::Ip6 => "CONFIG_NF_TABLES_IPV6",
    };
    format!("this kernel has no nftables in the {family} family ({option})")
}

/// Why all but root are refused, whatever they ask for.
pub(super) const NO_RIGHTS: &str = "this needs CAP_NET_ADMIN over the network namespace";

/// Of a netlink message and its `struct nfgenmsg`.
const HEADER: usize = 20;
/// `NFTA_TABLE_NAME`, `NFTA_RULE_TABLE` and their like are all the first.
const TABLE: u16 = 1;
