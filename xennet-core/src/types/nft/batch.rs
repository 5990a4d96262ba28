use std::fmt;

use super::{NftChain, NftElement, NftRule, NftSet};

/// The protocols whose packets a table sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub enum NftFamily {
    /// IPv4 and IPv6.
    Inet,
    /// IPv4.
    Ip,
    /// ARP.
    Arp,
    /// All frames of one device.
    Netdev,
    /// All frames that cross a bridge.
    Bridge,
    /// IPv6.
    Ip6,
}

/// A table. `nft list tables`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NftTable {
    /// Its family.
    pub family: NftFamily,
    /// Its name, unique in its family.
    pub name: String,
    /// What it says of itself (Linux 5.10).
    pub comment: Option<String>,
    /// Whether it is switched off: its chains then see no packet.
    pub dormant: bool,
}

/// Commands that the kernel carries out together, or not at all. `nft -f`
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "whoever plans a change makes one")]
pub struct NftBatch {
    /// The family of the table that all commands concern.
    pub family: NftFamily,
    /// Its name.
    pub table: String,
    /// The ruleset's generation that the commands were planned for: if it is another one by then, nothing is done and
    /// the answer is `EAGAIN`. None when they hold for any.
    pub generation: Option<u32>,
    /// The commands, in their order.
    pub commands: Vec<NftCommand>,
}

/// One command on a table.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NftCommand {
    /// `add table`: one that exists is left as it is, and waked if it is dormant.
    TableAdd {
        /// What it shall say of itself; the kernel lets no table that exists say anything else.
        comment: Option<String>,
    },
    /// `delete table`: with all that is in it.
    TableDelete,
    /// `add set`: one that exists, and is the same, is left as it is; before Linux 6.2, one that
    /// is different may be too.
    SetAdd(NftSet),
    /// `delete set`: one that no rule uses.
    SetDelete {
        /// Its name.
        set: String,
    },
    /// `add chain`: one that exists, and is the same, is left as it is.
    ChainAdd(NftChain),
    /// `flush chain`: takes all its rules.
    ChainFlush {
        /// Its name.
        chain: String,
    },
    /// `delete chain`: one that is empty, and that no rule jumps to.
    ChainDelete {
        /// Its name.
        chain: String,
    },
    /// `add rule`: at the end of its chain.
    RuleAdd(NftRule),
    /// `add element`: one that is there already is left as it is, comment and counter included; since Linux 6.12 it gets the
    /// new one's timeout, where its set may end it.
    ElementsAdd {
        /// The set.
        set: NftSet,
        /// Its new elements.
        elements: Vec<NftElement>,
    },
    /// `create element`: one that exists is an error (`EEXIST`), and nothing is done.
    ElementsCreate {
        /// The set.
        set: NftSet,
        /// Its new elements.
        elements: Vec<NftElement>,
    },
    /// `delete element`: one that is not there is an error (`ENOENT`), and nothing is done.
    ElementsDelete {
        /// The set.
        set: NftSet,
        /// The elements; only their keys matter.
        elements: Vec<NftElement>,
    },
}

impl NftFamily {
    /// The kernel's `NFPROTO_*`.
    pub fn number(self) -> u8 {
        match self {
            Self::Inet => 1,
            Self::Ip => 2,
            Self::Arp => 3,
            Self::Netdev => 5,
            Self::Bridge => 7,
            Self::Ip6 => 10,
        }
    }

    /// The family of that number.
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Inet, Self::Ip, Self::Arp, Self::Netdev, Self::Bridge, Self::Ip6]
            .into_iter()
            .find(|family| family.number() == number)
    }
}

impl fmt::Display for NftFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Inet => "inet",
            Self::Ip => "ip",
            Self::Arp => "arp",
            Self::Netdev => "netdev",
            Self::Bridge => "bridge",
            Self::Ip6 => "ip6",
        })
    }
}

/// One line, as `nft` takes it; rules are only counted, for a ruleset of them is no line.
impl fmt::Display for NftBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rules = 0;
        let mut separator = "";
        for command in &self.commands {
            if let NftCommand::RuleAdd(_) = command {
                rules += 1;
                continue;
            }
            write!(f, "{separator}{}", self.words(command))?;
            separator = "; ";
        }
        match rules {
            0 => Ok(()),
            _ => write!(f, "{separator}add {rules} rules to {} {}", self.family, self.table),
        }
    }
}

impl NftBatch {
    /// One of its commands as `nft` takes it; of a rule, its comment.
    pub fn words(&self, command: &NftCommand) -> String {
        let at = format!("{} {}", self.family, self.table);
        match command {
            NftCommand::TableAdd { .. } => format!("add table {at}"),
            NftCommand::TableDelete => format!("delete table {at}"),
            NftCommand::SetAdd(set) => format!("add set {at} {}", set.name),
            NftCommand::SetDelete { set } => format!("delete set {at} {set}"),
            NftCommand::ChainAdd(chain) => format!("add chain {at} {}", chain.name),
            NftCommand::ChainFlush { chain } => format!("flush chain {at} {chain}"),
            NftCommand::ChainDelete { chain } => format!("delete chain {at} {chain}"),
            NftCommand::RuleAdd(NftRule { chain, comment: Some(comment), .. }) => {
                format!("add rule {at} {chain} comment \"{comment}\"")
            }
            NftCommand::RuleAdd(rule) => format!("add rule {at} {}", rule.chain),
            NftCommand::ElementsAdd { set, elements } => {
                format!("add element {at} {} {{ {} }}", set.name, list(elements))
            }
            NftCommand::ElementsCreate { set, elements } => {
                format!("create element {at} {} {{ {} }}", set.name, list(elements))
            }
            NftCommand::ElementsDelete { set, elements } => {
                format!("delete element {at} {} {{ {} }}", set.name, list(elements))
            }
        }
    }
}

fn list(elements: &[NftElement]) -> String {
    elements.iter().map(NftElement::to_string).collect::<Vec<_>>().join(", ")
}
