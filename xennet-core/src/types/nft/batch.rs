use std::fmt;

use super::{NftChain, NftElement, NftFamily, NftRule, NftSet};

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
    /// Its commands as batches of their own, each element of a set in another one.
    pub(crate) fn singly(&self) -> impl Iterator<Item = Self> {
        let alone = |elements: &[NftElement]| {
            elements.iter().map(|element| vec![element.clone()]).collect::<Vec<_>>()
        };
        let commands = self.commands.iter().flat_map(move |command| match command {
            NftCommand::ElementsAdd { set, elements } => alone(elements)
                .into_iter()
                .map(|elements| NftCommand::ElementsAdd { set: set.clone(), elements })
                .collect(),
            NftCommand::ElementsCreate { set, elements } => alone(elements)
                .into_iter()
                .map(|elements| NftCommand::ElementsCreate { set: set.clone(), elements })
                .collect(),
            NftCommand::ElementsDelete { set, elements } => alone(elements)
                .into_iter()
                .map(|elements| NftCommand::ElementsDelete { set: set.clone(), elements })
                .collect(),
            other => vec![other.clone()],
        });
        commands.map(|command| Self { commands: vec![command], ..self.clone() })
    }

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
