use super::{IfName, NftFamily};

/// A rule of a packet filter that has a condition on the interface of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "whoever looks at the kernel makes one")]
pub struct LinkRule {
    /// The family of its table.
    pub family: NftFamily,
    /// Whether it is a rule of legacy iptables; else it is one of nftables.
    pub is_legacy: bool,
    /// Its table.
    pub table: String,
    /// Its chain.
    pub chain: String,
    /// Its handle in nftables; in legacy iptables its position in the chain, from 1.
    pub number: u64,
    /// Its conditions on interfaces.
    pub matches: Vec<LinkMatch>,
    /// The rest of the rule, as the kernel has it, without counters: to find the same rule for another interface.
    pub rest: Vec<u8>,
}

/// A condition on the interface of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "whoever looks at the kernel makes one")]
pub struct LinkMatch {
    /// Whether it is about the interface that the packet goes out by; else by which it came in.
    pub is_output: bool,
    /// Whether it holds for all other interfaces.
    pub is_inverted: bool,
    /// The interfaces.
    pub names: LinkNames,
}

/// The interfaces of a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the kernel has no other")]
pub enum LinkNames {
    /// The one of this name.
    Name(Vec<u8>),
    /// Those whose names begin so: `eth*` of nftables, `eth+` of iptables.
    Prefix(Vec<u8>),
    /// The one with this index: `iif`, `oif`.
    Index(u32),
    /// Those of these names, from a set or map.
    Names(Vec<Vec<u8>>),
    /// Those with these indices, from a set or map.
    Indices(Vec<u32>),
}

impl LinkMatch {
    /// Whether it names the interface.
    pub fn names(&self, name: &IfName, index: Option<u32>) -> bool {
        let name = name.as_str().as_bytes();
        match &self.names {
            LinkNames::Name(one) => one == name,
            LinkNames::Prefix(prefix) => name.starts_with(prefix),
            LinkNames::Names(all) => all.iter().any(|one| one == name),
            LinkNames::Index(one) => Some(*one) == index,
            LinkNames::Indices(all) => all.iter().any(|one| Some(*one) == index),
        }
    }

    /// The same condition on another interface; none where two such rules do not mean the same as one, or the other
    /// interface has no index yet.
    fn moved(&self, to: &IfName, index: Option<u32>) -> Option<Self> {
        let names = match &self.names {
            _ if self.is_inverted => return None,
            LinkNames::Name(_) => LinkNames::Name(to.as_str().into()),
            LinkNames::Index(_) => LinkNames::Index(index?),
            LinkNames::Prefix(_) | LinkNames::Names(_) | LinkNames::Indices(_) => return None,
        };
        Some(Self { names, ..self.clone() })
    }
}

impl LinkRule {
    /// Whether it names one interface and not another that takes its place.
    pub fn names_only(&self, from: (&IfName, Option<u32>), to: (&IfName, Option<u32>)) -> bool {
        self.matches.iter().any(|one| one.names(from.0, from.1) && !one.names(to.0, to.1))
    }

    /// Whether the other rule does the same for the interface that takes the place of one that this rule names.
    pub fn has_twin(
        &self,
        other: &Self,
        from: (&IfName, Option<u32>),
        to: (&IfName, Option<u32>),
    ) -> bool {
        let moved = |one: &LinkMatch| {
            if one.names(from.0, from.1) { one.moved(to.0, to.1) } else { Some(one.clone()) }
        };
        let same_place = (other.family, other.is_legacy) == (self.family, self.is_legacy)
            && (&other.table, &other.chain) == (&self.table, &self.chain);
        same_place
            && other.rest == self.rest
            && self.matches.iter().map(moved).collect::<Option<Vec<_>>>().as_ref()
                == Some(&other.matches)
    }
}
