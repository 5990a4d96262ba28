//! The rules of the legacy iptables that have a condition on an interface.

use super::attributes::c_str;
use super::error::Error;
use super::xtables::{Layout, LegacyTables, TARGET_HEADER, Table, program};
use crate::types::{Family, LinkMatch, LinkNames, LinkRule, NftFamily};

impl LegacyTables {
    /// The rules of all tables in use that have a condition on an interface. `iptables-legacy-save`
    ///
    /// The question creates no table. It is about the calling thread's network namespace.
    pub fn link_rules(&mut self, family: Family) -> Result<Vec<LinkRule>, Error> {
        let mut rules = Vec::new();
        for name in self.names(family).lines() {
            let table = Table::read(family, name)
                .map_err(|error| error.doing(format!("{} -t {name} -S", program(family))))?;
            rules.extend(link_rules(family, name, &table.entries, |hook| table.hook(hook)));
        }
        Ok(rules)
    }
}

/// Reads the rules one behind the other; `hook` says where the chain at a hook begins.
pub(super) fn link_rules(
    family: Family,
    table: &str,
    entries: &[u8],
    hook: impl Fn(usize) -> Option<usize>,
) -> Vec<LinkRule> {
    let layout = Layout::of(family);
    let (mut at, mut chain, mut number) = (0, String::new(), 0);
    let mut rules = Vec::new();
    while let Some(entry) = entries.get(at..).and_then(|rest| Entry::split(rest, &layout)) {
        number += 1;
        let built_in = (0..HOOKS.len()).find(|number| hook(*number) == Some(at));
        if let Some(name) = built_in.and_then(|number| HOOKS.get(number)) {
            (chain, number) = ((*name).to_owned(), 1);
        } else if let Some(name) = entry.begins_chain() {
            (chain, number) = (name, 0);
        }
        let matches = entry.matches(&layout);
        if !matches.is_empty() {
            rules.push(LinkRule {
                family: if family == Family::V4 { NftFamily::Ip } else { NftFamily::Ip6 },
                is_legacy: true,
                table: table.to_owned(),
                chain: chain.clone(),
                number,
                matches,
                rest: entry.rest(&layout),
            });
        }
        at += entry.bytes.len();
    }
    rules
}

/// A rule: `struct ipt_entry` or `struct ip6t_entry`, with its matches and its target.
struct Entry<'t> {
    bytes: &'t [u8],
    target: &'t [u8],
}

impl<'t> Entry<'t> {
    fn split(bytes: &'t [u8], layout: &Layout) -> Option<Self> {
        let offset =
            |at: usize| Some(usize::from(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?)));
        let (target, next) = (offset(layout.target_offset)?, offset(layout.target_offset + 2)?);
        // Shorter than its own header, it would never end.
        let bytes = bytes.get(..next).filter(|bytes| bytes.len() >= layout.elements)?;
        Some(Self { bytes, target: bytes.get(target..)? })
    }

    /// The name of the chain that begins with this rule, which is none.
    fn begins_chain(&self) -> Option<String> {
        let name = c_str(self.target.get(2..TARGET_HEADER)?);
        let chain = c_str(self.target.get(TARGET_HEADER..)?);
        (name == b"ERROR").then(|| String::from_utf8_lossy(chain).into_owned())
    }

    fn matches(&self, layout: &Layout) -> Vec<LinkMatch> {
        let bytes = |nth: usize| {
            let at = layout.interfaces + nth * IFNAMSIZ;
            self.bytes.get(at..at + IFNAMSIZ).unwrap_or_default()
        };
        let inverted = self.bytes.get(layout.inverted).copied().unwrap_or_default();
        let one = |is_output: bool| {
            let nth = usize::from(is_output);
            let (name, mask) = (bytes(nth), bytes(nth + 2));
            let compared = mask.iter().take_while(|byte| **byte != 0).count();
            let name = name.get(..compared)?;
            let names = match c_str(name) {
                [] => return None,
                prefix if prefix.len() == compared => LinkNames::Prefix(prefix.to_vec()),
                name => LinkNames::Name(name.to_vec()),
            };
            let is_inverted = inverted & if is_output { INV_VIA_OUT } else { INV_VIA_IN } != 0;
            Some(LinkMatch { is_output, is_inverted, names })
        };
        [false, true].into_iter().filter_map(one).collect()
    }

    /// All but the interfaces, the counters and what the kernel keeps with the rule.
    fn rest(&self, layout: &Layout) -> Vec<u8> {
        let names = layout.interfaces..layout.interfaces + 4 * IFNAMSIZ;
        let parts = [
            self.bytes.get(..names.start),
            self.bytes.get(names.end..=layout.inverted),
            self.bytes.get(layout.elements..),
        ];
        parts.into_iter().flatten().flatten().copied().collect()
    }
}

const IFNAMSIZ: usize = 16;
/// `IPT_INV_VIA_IN`, `IPT_INV_VIA_OUT`
const INV_VIA_IN: u8 = 1;
const INV_VIA_OUT: u8 = 2;
/// By the numbers of their hooks (`NF_INET_*`).
const HOOKS: [&str; 5] = ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(entries: Vec<u8>) {
            for family in [Family::V4, Family::V6] {
                let _ = link_rules(family, "filter", &entries, |_| None);
            }
        }

        #[test]
        fn rules_of_any_length_end(mut entry in proptest::collection::vec(any::<u8>(), 200), next: u16) {
            entry[90..92].copy_from_slice(&next.to_ne_bytes());
            let entries = [entry.clone(), entry].concat();
            prop_assert!(link_rules(Family::V4, "filter", &entries, |_| None).len() <= 3);
        }
    }
}
