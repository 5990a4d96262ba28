use std::fmt;

use super::NftExpr;

/// A chain of rules. `nft list chains`
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "whoever plans a change makes one")]
pub struct NftChain {
    /// Its name, unique in its table.
    pub name: String,
    /// Where packets enter it; none for one that is only jumped to.
    pub hook: Option<NftHook>,
}

/// Where packets enter a base chain.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "whoever plans a change makes one")]
pub struct NftHook {
    /// `filter`, `nat` or `route`.
    pub kind: String,
    /// On their way from where to where.
    pub point: NftHookPoint,
    /// Chains of a lower number see a packet first.
    pub priority: i32,
    /// What becomes of a packet that no rule decides on.
    pub policy: NftPolicy,
}

/// A place on a packet's way. Its number is the same in all families but `netdev`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NftHookPoint {
    /// As it comes in.
    Prerouting,
    /// On its way to this machine.
    Input,
    /// On its way through.
    Forward,
    /// From this machine.
    Output,
    /// As it goes out.
    Postrouting,
}

/// What becomes of a packet that no rule decides on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the kernel has no other")]
pub enum NftPolicy {
    /// Gone.
    Drop,
    /// Let through.
    Accept,
}

/// A rule. `nft list ruleset`
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "whoever plans a change makes one")]
pub struct NftRule {
    /// The chain that it stands in.
    pub chain: String,
    /// What it looks at and does, in order; it ends at the first comparison that does not hold.
    pub expressions: Vec<NftExpr>,
    /// What it is for, in at most 127 bytes.
    pub comment: Option<String>,
}

impl NftHookPoint {
    /// The kernel's number: `NF_INET_*` and `NF_BR_*` are the same. ARP has its own (input 0, output 1, forward 2).
    pub fn number(self) -> u32 {
        match self {
            Self::Prerouting => 0,
            Self::Input => 1,
            Self::Forward => 2,
            Self::Output => 3,
            Self::Postrouting => 4,
        }
    }

    /// The place of that number.
    pub fn from_number(number: u32) -> Option<Self> {
        [Self::Prerouting, Self::Input, Self::Forward, Self::Output, Self::Postrouting]
            .into_iter()
            .find(|point| point.number() == number)
    }
}

impl fmt::Display for NftHookPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Prerouting => "prerouting",
            Self::Input => "input",
            Self::Forward => "forward",
            Self::Output => "output",
            Self::Postrouting => "postrouting",
        })
    }
}
