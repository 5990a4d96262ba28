//! Expressions, in both directions. What the kernel sends back must be what it was sent: a planner compares them.

use super::message::Messages;
use crate::kernel::attributes::{be32, be64, find, text, u8};
use crate::types::{
    NftBase, NftCmp, NftCounter, NftCt, NftExpr, NftFamily, NftMeta, NftNat, NftRegister,
    NftVerdict,
};

/// Adds an expression's name and what it is about.
pub(super) fn encode(message: &mut Messages, expression: &NftExpr) {
    let Some(name) = name(expression) else {
        message.flaw("an expression that can only be read");
        return;
    };
    message.text(NFTA_EXPR_NAME, name);
    message.nest(NFTA_EXPR_DATA, |message| body(message, expression));
}

/// Reads an expression; one that says anything that [`NftExpr`] cannot say is [`NftExpr::Other`].
pub(super) fn decode(expression: &[u8]) -> NftExpr {
    let name = find(expression, NFTA_EXPR_NAME).map(text).unwrap_or_default();
    let parts = Parts(find(expression, NFTA_EXPR_DATA).unwrap_or_default());
    let known = match name.as_str() {
        "meta" => meta(parts),
        "payload" => payload(parts),
        "exthdr" => exthdr(parts),
        "bitwise" => bitwise(parts),
        "cmp" => cmp(parts),
        "lookup" => lookup(parts),
        "counter" => counter(parts),
        "dynset" => dynset(parts),
        "immediate" => immediate(parts),
        "ct" => ct(parts),
        "fib" => fib(parts),
        "masq" => parts.has_none(&[1, 2, 3]).then_some(NftExpr::Masquerade),
        "nat" => nat(parts),
        _ => None,
    };
    known.unwrap_or(NftExpr::Other { name })
}

fn name(expression: &NftExpr) -> Option<&'static str> {
    Some(match expression {
        NftExpr::Meta { .. } | NftExpr::SetMark { .. } => "meta",
        NftExpr::Payload { .. } => "payload",
        NftExpr::ExtHdr { .. } => "exthdr",
        NftExpr::Bitwise { .. } => "bitwise",
        NftExpr::Cmp { .. } => "cmp",
        NftExpr::Lookup { .. } => "lookup",
        NftExpr::Counter(_) => "counter",
        NftExpr::CountIn { .. } => "dynset",
        NftExpr::Verdict(_) | NftExpr::Immediate { .. } => "immediate",
        NftExpr::Ct { .. } => "ct",
        NftExpr::DestinationType { .. } => "fib",
        NftExpr::Masquerade => "masq",
        NftExpr::Nat { .. } => "nat",
        NftExpr::Other { .. } => return None,
    })
}

fn body(message: &mut Messages, expression: &NftExpr) {
    match expression {
        NftExpr::Meta { key, register } => {
            message.number(2, number_of(*key, &META));
            message.number(1, register_number(*register));
        }
        NftExpr::SetMark { register } => {
            message.number(2, number_of(NftMeta::Mark, &META));
            message.number(3, register_number(*register));
        }
        NftExpr::Payload { base, offset, length, register } => {
            message.number(1, register_number(*register));
            message.number(2, number_of(*base, &BASES));
            message.number(3, *offset);
            message.number(4, *length);
        }
        NftExpr::ExtHdr { header, offset, length, present, register } => {
            message.number(1, register_number(*register));
            message.put(2, &[*header]);
            message.number(3, *offset);
            message.number(4, *length);
            message.number(5, u32::from(*present));
            message.number(6, NFT_EXTHDR_OP_IPV6);
        }
        NftExpr::Bitwise { register, mask, xor } => {
            message.number(1, register_number(*register));
            message.number(2, register_number(*register));
            message.number(3, u32::try_from(mask.len()).unwrap_or(u32::MAX));
            message.nest(4, |message| message.put(NFTA_DATA_VALUE, mask));
            message.nest(5, |message| message.put(NFTA_DATA_VALUE, xor));
        }
        NftExpr::Cmp { register, op, data } => {
            message.number(1, register_number(*register));
            message.number(2, number_of(*op, &COMPARISONS));
            message.nest(3, |message| message.put(NFTA_DATA_VALUE, data));
        }
        NftExpr::Lookup { set, register, inverted } => {
            message.text(1, set);
            message.number(2, register_number(*register));
            message.number(5, u32::from(*inverted));
        }
        NftExpr::CountIn { set, register } => {
            message.text(1, set);
            message.number(3, NFT_DYNSET_OP_ADD);
            message.number(4, register_number(*register));
            let counter = NftExpr::Counter(NftCounter::default());
            message.nest(7, |message| encode(message, &counter));
        }
        NftExpr::Verdict(verdict) => {
            let (code, chain) = match verdict {
                NftVerdict::Drop => (NF_DROP, None),
                NftVerdict::Accept => (NF_ACCEPT, None),
                NftVerdict::Jump(chain) => (NFT_JUMP, Some(chain)),
                NftVerdict::Goto(chain) => (NFT_GOTO, Some(chain)),
                NftVerdict::Return => (NFT_RETURN, None),
            };
            message.number(1, NFT_REG_VERDICT);
            message.nest(2, |message| {
                message.nest(NFTA_DATA_VERDICT, |message| {
                    message.number(1, code.cast_unsigned());
                    if let Some(chain) = chain {
                        message.text(2, chain);
                    }
                });
            });
        }
        NftExpr::Immediate { register, data } => {
            message.number(1, register_number(*register));
            message.nest(2, |message| message.put(NFTA_DATA_VALUE, data));
        }
        NftExpr::Ct { key, register } => {
            message.number(2, number_of(*key, &CT));
            message.number(1, register_number(*register));
        }
        NftExpr::DestinationType { register } => {
            message.number(1, register_number(*register));
            message.number(2, NFT_FIB_RESULT_ADDRTYPE);
            message.number(3, NFTA_FIB_F_DADDR);
        }
        NftExpr::Nat { kind, family, address, port } => {
            message.number(1, number_of(*kind, &NAT));
            message.number(2, family.number().into());
            message.number(3, register_number(*address));
            if let Some(port) = port {
                message.number(5, register_number(*port));
            }
        }
        NftExpr::Counter(counter) if *counter != NftCounter::default() => {
            message.put(1, &counter.bytes.to_be_bytes());
            message.put(2, &counter.packets.to_be_bytes());
        }
        // Those without attributes.
        NftExpr::Counter(_) | NftExpr::Masquerade | NftExpr::Other { .. } => {}
    }
}

/// The attributes of an expression.
#[derive(Clone, Copy)]
struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    fn number(self, kind: u16) -> Option<u32> {
        find(self.0, kind).and_then(be32)
    }

    fn register(self, kind: u16) -> Option<NftRegister> {
        self.number(kind).and_then(register)
    }

    fn value(self, kind: u16) -> Option<&'a [u8]> {
        find(find(self.0, kind)?, NFTA_DATA_VALUE)
    }

    /// Whether it says nothing of these, which [`NftExpr`] could not say.
    fn has_none(self, kinds: &[u16]) -> bool {
        kinds.iter().all(|kind| find(self.0, *kind).is_none())
    }
}

fn meta(parts: Parts<'_>) -> Option<NftExpr> {
    let key = of_number(parts.number(2)?, &META)?;
    if let Some(register) = parts.register(3) {
        return (key == NftMeta::Mark).then_some(NftExpr::SetMark { register });
    }
    Some(NftExpr::Meta { key, register: parts.register(1)? })
}

fn payload(parts: Parts<'_>) -> Option<NftExpr> {
    Some(NftExpr::Payload {
        base: of_number(parts.number(2)?, &BASES)?,
        offset: parts.number(3)?,
        length: parts.number(4)?,
        register: parts.register(1)?,
    })
}

fn exthdr(parts: Parts<'_>) -> Option<NftExpr> {
    let flags = parts.number(5).unwrap_or_default();
    if parts.number(6).unwrap_or(NFT_EXTHDR_OP_IPV6) != NFT_EXTHDR_OP_IPV6 || flags > 1 {
        return None;
    }
    Some(NftExpr::ExtHdr {
        header: find(parts.0, 2).and_then(u8)?,
        offset: parts.number(3)?,
        length: parts.number(4)?,
        present: flags == 1,
        register: parts.register(1)?,
    })
}

fn bitwise(parts: Parts<'_>) -> Option<NftExpr> {
    let register = parts.register(1)?;
    if parts.register(2)? != register || parts.number(6).unwrap_or_default() != 0 {
        return None;
    }
    Some(NftExpr::Bitwise {
        register,
        mask: parts.value(4)?.to_vec(),
        xor: parts.value(5)?.to_vec(),
    })
}

fn cmp(parts: Parts<'_>) -> Option<NftExpr> {
    Some(NftExpr::Cmp {
        register: parts.register(1)?,
        op: of_number(parts.number(2)?, &COMPARISONS)?,
        data: parts.value(3)?.to_vec(),
    })
}

fn lookup(parts: Parts<'_>) -> Option<NftExpr> {
    let flags = parts.number(5).unwrap_or_default();
    // A destination: it looks a value up in a map.
    if !parts.has_none(&[3]) || flags > 1 {
        return None;
    }
    Some(NftExpr::Lookup {
        set: text(find(parts.0, 1)?),
        register: parts.register(2)?,
        inverted: flags == 1,
    })
}

fn counter(parts: Parts<'_>) -> Option<NftExpr> {
    let number = |kind| find(parts.0, kind).map_or(Some(0), be64);
    Some(NftExpr::Counter(NftCounter { bytes: number(1)?, packets: number(2)? }))
}

fn dynset(parts: Parts<'_>) -> Option<NftExpr> {
    // A value for the element of a map, and an end of the element.
    let plain = parts.has_none(&[5]) && find(parts.0, 6).and_then(be64).unwrap_or_default() == 0;
    let counts = find(parts.0, 7).map(decode) == Some(NftExpr::Counter(NftCounter::default()));
    let adds = parts.number(3)? == NFT_DYNSET_OP_ADD && parts.number(9).unwrap_or_default() == 0;
    (plain && counts && adds)
        .then_some(NftExpr::CountIn { set: text(find(parts.0, 1)?), register: parts.register(4)? })
}

fn immediate(parts: Parts<'_>) -> Option<NftExpr> {
    if parts.number(1)? != NFT_REG_VERDICT {
        return Some(NftExpr::Immediate {
            register: parts.register(1)?,
            data: parts.value(2)?.to_vec(),
        });
    }
    let verdict = Parts(find(find(parts.0, 2)?, NFTA_DATA_VERDICT)?);
    let chain = || find(verdict.0, 2).map(text);
    Some(NftExpr::Verdict(match verdict.number(1)?.cast_signed() {
        NF_DROP => NftVerdict::Drop,
        NF_ACCEPT => NftVerdict::Accept,
        NFT_JUMP => NftVerdict::Jump(chain()?),
        NFT_GOTO => NftVerdict::Goto(chain()?),
        NFT_RETURN => NftVerdict::Return,
        _ => return None,
    }))
}

fn ct(parts: Parts<'_>) -> Option<NftExpr> {
    let key = of_number(parts.number(2)?, &CT)?;
    Some(NftExpr::Ct { key, register: parts.register(1)? })
}

fn fib(parts: Parts<'_>) -> Option<NftExpr> {
    let asks = (parts.number(2)?, parts.number(3)?);
    let register = parts.register(1)?;
    (asks == (NFT_FIB_RESULT_ADDRTYPE, NFTA_FIB_F_DADDR))
        .then_some(NftExpr::DestinationType { register })
}

fn nat(parts: Parts<'_>) -> Option<NftExpr> {
    let (address, port) = (parts.register(3)?, parts.register(5));
    // Ranges have ends of their own; and the kernel itself adds the flags that say what there is.
    let range = parts.register(4).is_some_and(|end| end != address)
        || parts.register(6).is_some_and(|end| Some(end) != port);
    let flags = parts.number(7).unwrap_or_default() & !(NF_NAT_RANGE_MAP_IPS | NF_NAT_RANGE_PROTO);
    if range || flags != 0 || port.is_none() != parts.has_none(&[5]) {
        return None;
    }
    Some(NftExpr::Nat {
        kind: of_number(parts.number(1)?, &NAT)?,
        family: NftFamily::from_number(parts.number(2)?.try_into().ok()?)?,
        address,
        port,
    })
}

/// The kernel names a register by the sixteen bytes that it begins, if it does, else by four.
fn register_number(register: NftRegister) -> u32 {
    let word = u32::from(register.0);
    if word.is_multiple_of(4) { NFT_REG_1 + word / 4 } else { NFT_REG32_00 + word }
}

fn register(number: u32) -> Option<NftRegister> {
    let word = match number {
        NFT_REG_1..=4 => (number - NFT_REG_1) * 4,
        NFT_REG32_00..=23 => number - NFT_REG32_00,
        _ => return None,
    };
    u8::try_from(word).ok().map(NftRegister)
}

fn number_of<T: PartialEq + Copy>(wanted: T, table: &[(T, u32)]) -> u32 {
    // Each table is complete, as the tests see to; no kernel knows the number that this would be.
    table.iter().find(|(value, _)| *value == wanted).map_or(u32::MAX, |(_, number)| *number)
}

fn of_number<T: Copy>(wanted: u32, table: &[(T, u32)]) -> Option<T> {
    table.iter().find(|(_, number)| *number == wanted).map(|(value, _)| *value)
}

const META: [(NftMeta, u32); 9] = [
    (NftMeta::Protocol, 1),
    (NftMeta::Mark, 3),
    (NftMeta::IifName, 6),
    (NftMeta::OifName, 7),
    (NftMeta::IifType, 8),
    (NftMeta::NfProto, 15),
    (NftMeta::L4Proto, 16),
    (NftMeta::BridgeName, 17),
    (NftMeta::PacketType, 19),
];
const BASES: [(NftBase, u32); 3] =
    [(NftBase::Link, 0), (NftBase::Network, 1), (NftBase::Transport, 2)];
const COMPARISONS: [(NftCmp, u32); 6] = [
    (NftCmp::Eq, 0),
    (NftCmp::Neq, 1),
    (NftCmp::Lt, 2),
    (NftCmp::Lte, 3),
    (NftCmp::Gt, 4),
    (NftCmp::Gte, 5),
];
const CT: [(NftCt, u32); 2] = [(NftCt::State, 0), (NftCt::Status, 2)];
const NAT: [(NftNat, u32); 2] = [(NftNat::Source, 0), (NftNat::Destination, 1)];

const NFTA_EXPR_NAME: u16 = 1;
const NFTA_EXPR_DATA: u16 = 2;
const NFTA_DATA_VALUE: u16 = 1;
const NFTA_DATA_VERDICT: u16 = 2;
const NFT_REG_VERDICT: u32 = 0;
const NFT_REG_1: u32 = 1;
const NFT_REG32_00: u32 = 8;
const NFT_DYNSET_OP_ADD: u32 = 0;
const NFT_EXTHDR_OP_IPV6: u32 = 0;
const NFT_FIB_RESULT_ADDRTYPE: u32 = 3;
const NFTA_FIB_F_DADDR: u32 = 2;
const NF_NAT_RANGE_MAP_IPS: u32 = 1;
const NF_NAT_RANGE_PROTO: u32 = 2;
const NF_DROP: i32 = 0;
const NF_ACCEPT: i32 = 1;
const NFT_JUMP: i32 = -3;
const NFT_GOTO: i32 = -4;
const NFT_RETURN: i32 = -5;
