use super::constants::{ICMP, ICMP6, REFUSED, TCP, UDP, reason_mark};
use crate::types::{
    NftBase, NftCmp, NftCounter, NftExpr, NftFamily, NftMeta, NftRegister, NftRule, NftVerdict,
};

/// A rule in the making, word by word as `nft` has it: each adds the expressions that `nft` makes of it, registers
/// included, so that `nft list ruleset` shows the words again.
#[derive(Debug)]
pub(super) struct Rule {
    family: NftFamily,
    chain: &'static str,
    expressions: Vec<NftExpr>,
}

/// Bytes of a packet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    base: NftBase,
    offset: u32,
    length: u32,
}

impl Field {
    pub(super) const ETHER_DESTINATION: Self = Self::new(NftBase::Link, 0, 6);
    pub(super) const ETHER_SOURCE: Self = Self::new(NftBase::Link, 6, 6);
    /// The VLAN and the priority in the outer tag of a frame that has one.
    pub(super) const OUTER_TAG: Self = Self::new(NftBase::Link, 14, 2);
    pub(super) const ARP_SENDER_MAC: Self = Self::network(8, 6);
    pub(super) const ARP_SENDER: Self = Self::network(14, 4);
    pub(super) const ARP_TARGET: Self = Self::network(24, 4);
    pub(super) const IP4_SOURCE: Self = Self::network(12, 4);
    pub(super) const IP6_SOURCE: Self = Self::network(8, 16);
    /// Of a neighbour solicitation or advertisement.
    pub(super) const ND_TARGET: Self = Self::transport(8, 16);

    pub(super) const fn network(offset: u32, length: u32) -> Self {
        Self::new(NftBase::Network, offset, length)
    }

    pub(super) const fn transport(offset: u32, length: u32) -> Self {
        Self::new(NftBase::Transport, offset, length)
    }

    const fn new(base: NftBase, offset: u32, length: u32) -> Self {
        Self { base, offset, length }
    }

    fn load(self, register: NftRegister) -> NftExpr {
        let Self { base, offset, length } = self;
        NftExpr::Payload { base, offset, length, register }
    }
}

/// The first register of 16 bytes, and the one behind it: a concatenation's second part, for its first is always a name.
const FIRST: NftRegister = NftRegister(0);
const SECOND: NftRegister = NftRegister(4);
/// The one behind an Ethernet address in the second part.
const THIRD: NftRegister = NftRegister(6);

impl Rule {
    pub(super) fn new(family: NftFamily, chain: &'static str) -> Self {
        Self { family, chain, expressions: Vec::new() }
    }

    /// Begins it anew: a chain ends in a rule that asks for nothing, and so holds whatever the packet is.
    pub(super) fn chain_end(self) -> Self {
        Self::new(self.family, self.chain)
    }

    /// `meta protocol NUMBER`
    pub(super) fn protocol(self, ethertype: u16) -> Self {
        self.meta(NftMeta::Protocol, &ethertype.to_be_bytes())
    }

    /// What `nft` puts before anything of IPv4.
    pub(super) fn ip4(self) -> Self {
        match self.family {
            NftFamily::Inet => self.meta(NftMeta::NfProto, &[2]),
            _ => self.protocol(0x0800),
        }
    }

    /// What `nft` puts before anything of IPv6.
    pub(super) fn ip6(self) -> Self {
        match self.family {
            NftFamily::Inet => self.meta(NftMeta::NfProto, &[10]),
            _ => self.protocol(0x86dd),
        }
    }

    /// What `nft` puts before anything of ARP.
    pub(super) fn arp(self) -> Self {
        self.protocol(0x0806)
    }

    /// `meta l4proto NUMBER`
    pub(super) fn l4proto(self, number: u8) -> Self {
        self.meta(NftMeta::L4Proto, &[number])
    }

    pub(super) fn udp4(self) -> Self {
        self.ip4().l4proto(UDP)
    }

    pub(super) fn icmp(self) -> Self {
        self.ip4().l4proto(ICMP)
    }

    pub(super) fn udp6(self) -> Self {
        self.ip6().l4proto(UDP)
    }

    pub(super) fn tcp6(self) -> Self {
        self.ip6().l4proto(TCP)
    }

    pub(super) fn icmp6(self) -> Self {
        self.ip6().l4proto(ICMP6)
    }

    /// `ip protocol NUMBER`, in every fragment
    pub(super) fn protocol4(self, number: u8) -> Self {
        self.ip4().is(Field::network(9, 1), &[number])
    }

    /// `@th,0,64 >= 0`: whether there are eight bytes behind the IP headers, as each protocol worth the name has.
    ///
    /// That fails as well where the kernel could make no sense of the IP headers. It is not a word on some field, for
    /// where there is no header the kernel may read other bytes in the place of one, two or four.
    pub(super) fn whole_header(self) -> Self {
        self.compare(Field::transport(0, 8), NftCmp::Gte, &[0; 8])
    }

    /// `icmpv6 type NUMBER`, or another first byte behind the IP headers.
    pub(super) fn kind(self, number: u8) -> Self {
        self.is(Field::transport(0, 1), &[number])
    }

    /// `FIELD BYTES`
    pub(super) fn is(self, field: Field, bytes: &[u8]) -> Self {
        self.compare(field, NftCmp::Eq, bytes)
    }

    /// `FIELD OP BYTES`
    pub(super) fn compare(mut self, field: Field, op: NftCmp, bytes: &[u8]) -> Self {
        self.push(field.load(FIRST));
        self.cmp(op, bytes)
    }

    /// `FIELD & MASK OP BYTES`
    pub(super) fn masked(self, field: Field, mask: &[u8], op: NftCmp, bytes: &[u8]) -> Self {
        let mut rule = self.of_ether(field);
        rule.push(field.load(FIRST));
        rule.mask(FIRST, mask);
        rule.cmp(op, bytes)
    }

    /// `FIELD FIRST-LAST`
    pub(super) fn between(self, field: Field, first: u8, last: u8) -> Self {
        self.compare(field, NftCmp::Gte, &[first]).cmp(NftCmp::Lte, &[last])
    }

    /// `exthdr frag exists`
    pub(super) fn fragment(mut self) -> Self {
        let (header, offset, length) = (FRAGMENT, 0, 1);
        self.push(NftExpr::ExtHdr { header, offset, length, present: true, register: FIRST });
        self.cmp(NftCmp::Eq, &[1])
    }

    /// `frag frag-off != 0`
    pub(super) fn later_fragment6(mut self) -> Self {
        let (header, offset, length) = (FRAGMENT, 2, 2);
        self.push(NftExpr::ExtHdr { header, offset, length, present: false, register: FIRST });
        self.mask(FIRST, &[0xff, 0xf8]);
        self.cmp(NftCmp::Neq, &[0, 0])
    }

    /// `ip frag-off & 0x1fff != 0`
    pub(super) fn later_fragment4(self) -> Self {
        self.masked(Field::network(6, 2), &[0x1f, 0xff], NftCmp::Neq, &[0, 0])
    }

    /// `ip frag-off & 0x3fff != 0`
    pub(super) fn fragment4(self) -> Self {
        self.masked(Field::network(6, 2), &[0x3f, 0xff], NftCmp::Neq, &[0, 0])
    }

    /// `iifname @SET`, which also counts there
    pub(super) fn port_in(self, set: &str) -> Self {
        self.port(set, false)
    }

    /// `iifname != @SET`
    pub(super) fn port_not_in(self, set: &str) -> Self {
        self.port(set, true)
    }

    /// `iifname . FIELD & MASK @SET`
    pub(super) fn port_with(self, field: Field, mask: Option<&[u8]>, set: &str) -> Self {
        self.name_with(NftMeta::IifName, field, mask, set)
    }

    /// `meta ibrname . FIELD & MASK @SET`
    pub(super) fn bridge_with(self, field: Field, mask: Option<&[u8]>, set: &str) -> Self {
        self.name_with(NftMeta::BridgeName, field, mask, set)
    }

    /// `iifname . ether saddr . FIELD @SET`
    pub(super) fn port_and_mac_with(self, field: Field, set: &str) -> Self {
        let mac = Field::ETHER_SOURCE;
        let mut rule = self.of_ether(mac);
        rule.push(NftExpr::Meta { key: NftMeta::IifName, register: FIRST });
        rule.push(mac.load(SECOND));
        rule.push(field.load(THIRD));
        rule.lookup(set, false)
    }

    /// `FIELD & MASK @SET`
    pub(super) fn field_in(mut self, field: Field, mask: Option<&[u8]>, set: &str) -> Self {
        self.push(field.load(FIRST));
        if let Some(mask) = mask {
            self.mask(FIRST, mask);
        }
        self.lookup(set, false)
    }

    pub(super) fn accept(self, comment: &str) -> NftRule {
        self.verdict(NftVerdict::Accept, comment)
    }

    pub(super) fn goto(self, chain: &str, comment: &str) -> NftRule {
        self.verdict(NftVerdict::Goto(chain.to_owned()), comment)
    }

    pub(super) fn jump(self, chain: &str, comment: &str) -> NftRule {
        self.verdict(NftVerdict::Jump(chain.to_owned()), comment)
    }

    /// Drops, and counts that for the rule and for the port.
    pub(super) fn refuse(mut self, comment: &str) -> NftRule {
        self.push(NftExpr::Counter(NftCounter::default()));
        // The packet is dropped, so nobody else sees its mark.
        let mark = reason_mark(comment).to_ne_bytes().to_vec();
        self.push(NftExpr::Immediate { register: FIRST, data: mark });
        self.push(NftExpr::SetMark { register: FIRST });
        self.goto(REFUSED, comment)
    }

    /// `add @SET { iifname . meta mark counter }`: a rule that decides nothing.
    pub(super) fn count_port_and_mark(mut self, set: &str) -> NftRule {
        self.push(NftExpr::Meta { key: NftMeta::IifName, register: FIRST });
        self.push(NftExpr::Meta { key: NftMeta::Mark, register: SECOND });
        self.push(NftExpr::CountIn { set: set.to_owned(), register: FIRST });
        NftRule { chain: self.chain.to_owned(), expressions: self.expressions, comment: None }
    }

    pub(super) fn verdict(mut self, verdict: NftVerdict, comment: &str) -> NftRule {
        self.push(NftExpr::Verdict(verdict));
        let comment = Some(comment.to_owned());
        NftRule { chain: self.chain.to_owned(), expressions: self.expressions, comment }
    }

    /// `meta KEY != VALUE`
    pub(super) fn meta_not(mut self, key: NftMeta, value: &[u8]) -> Self {
        self.push(NftExpr::Meta { key, register: FIRST });
        self.cmp(NftCmp::Neq, value)
    }

    fn meta(mut self, key: NftMeta, value: &[u8]) -> Self {
        self.push(NftExpr::Meta { key, register: FIRST });
        self.cmp(NftCmp::Eq, value)
    }

    fn port(mut self, set: &str, inverted: bool) -> Self {
        self.push(NftExpr::Meta { key: NftMeta::IifName, register: FIRST });
        self.lookup(set, inverted)
    }

    /// What `nft` puts before anything of Ethernet, where there may be something else.
    fn of_ether(self, field: Field) -> Self {
        if field.base == NftBase::Link && self.family != NftFamily::Bridge {
            // ARPHRD_ETHER: nothing else has such a header.
            return self.meta(NftMeta::IifType, &1_u16.to_ne_bytes());
        }
        self
    }

    fn name_with(self, name: NftMeta, field: Field, mask: Option<&[u8]>, set: &str) -> Self {
        let mut rule = self.of_ether(field);
        rule.push(NftExpr::Meta { key: name, register: FIRST });
        rule.push(field.load(SECOND));
        if let Some(mask) = mask {
            rule.mask(SECOND, mask);
        }
        rule.lookup(set, false)
    }

    fn lookup(mut self, set: &str, inverted: bool) -> Self {
        self.push(NftExpr::Lookup { set: set.to_owned(), register: FIRST, inverted });
        self
    }

    fn mask(&mut self, register: NftRegister, mask: &[u8]) {
        let xor = vec![0; mask.len()];
        self.push(NftExpr::Bitwise { register, mask: mask.to_vec(), xor });
    }

    fn cmp(mut self, op: NftCmp, data: &[u8]) -> Self {
        self.push(NftExpr::Cmp { register: FIRST, op, data: data.to_vec() });
        self
    }

    fn push(&mut self, expression: NftExpr) {
        self.expressions.push(expression);
    }
}

/// The protocol number of IPv6's fragment header.
const FRAGMENT: u8 = 44;
