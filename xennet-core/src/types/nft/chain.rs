use std::fmt;

use super::{NftExpr, NftFamily};
use crate::types::IfName;

/// A chain of rules. `nft list chains`
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "whoever plans a change makes one")]
pub struct NftChain {
    /// Its name, unique in its table.
    pub name: String,
    /// Where packets enter it; none for one that is only jumped to.
    pub hook: Option<NftHook>,
}

/// Where packets enter a base chain.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "whoever plans a change makes one")]
pub struct NftHook {
    /// `filter`, `nat` or `route`.
    pub kind: String,
    /// On their way from where to where.
    pub point: NftHookPoint,
    /// Of which device, at ingress and egress: the one that has this name. None at all other places.
    pub device: Option<IfName>,
    /// Chains of a lower number see a packet first.
    pub priority: i32,
    /// What becomes of a packet that no rule decides on.
    pub policy: NftPolicy,
}

/// A place on a packet's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub enum NftHookPoint {
    /// As a device hands it over, before all else.
    Ingress,
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
    /// As a device takes it, after all else (Linux 5.16).
    Egress,
}

/// What becomes of a packet that no rule decides on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[expect(clippy::exhaustive_enums, reason = "the kernel has no other")]
pub enum NftPolicy {
    /// Gone.
    Drop,
    /// Let through.
    Accept,
}

/// A rule. `nft list ruleset`
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
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
    /// The kernel's number for it in a family's tables (`NF_INET_*`, `NF_BR_*`, `NF_ARP_*`, `NF_NETDEV_*`); none where
    /// packets of the family have no such place on their way.
    pub fn number(self, family: NftFamily) -> Option<u32> {
        let number = Self::of(family).iter().position(|point| *point == self)?;
        u32::try_from(number).ok()
    }

    /// The place of that number in a family's tables.
    pub fn from_number(number: u32, family: NftFamily) -> Option<Self> {
        Self::of(family).get(usize::try_from(number).ok()?).copied()
    }

    /// A family's places, in the order of their numbers.
    fn of(family: NftFamily) -> &'static [Self] {
        use NftHookPoint::{Egress, Forward, Ingress, Input, Output, Postrouting, Prerouting};
        match family {
            NftFamily::Netdev => &[Ingress, Egress],
            NftFamily::Arp => &[Input, Output, Forward],
            NftFamily::Inet => &[Prerouting, Input, Forward, Output, Postrouting, Ingress],
            NftFamily::Ip | NftFamily::Ip6 | NftFamily::Bridge => {
                &[Prerouting, Input, Forward, Output, Postrouting]
            }
        }
    }
}

impl fmt::Display for NftHookPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ingress => "ingress",
            Self::Prerouting => "prerouting",
            Self::Input => "input",
            Self::Forward => "forward",
            Self::Output => "output",
            Self::Postrouting => "postrouting",
            Self::Egress => "egress",
        })
    }
}
