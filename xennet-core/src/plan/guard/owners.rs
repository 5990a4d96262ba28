use std::collections::BTreeSet;

use crate::types::{NftElement, VifId};

/// At the end of a comment that had no room for all of it.
pub(super) const CUT: &str = "…";

/// The longest comment that `nft` shows, in bytes. (The kernel keeps 256 bytes with an element.)
pub(super) const LONGEST_COMMENT: usize = 127;

/// The owners of an address, as the comment of its element lists them: `vif3.0 vif4.0 reserved vif1.0`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Owners {
    /// The vifs that have the address now.
    pub(super) active: BTreeSet<VifId>,
    /// The vifs that it stays reserved for while they are unplugged.
    pub(super) reserved: BTreeSet<VifId>,
    /// Whether there are more owners than the comment had room for.
    pub(super) cut: bool,
}

impl Owners {
    /// The owners that an element's comment lists. Words that are none of xennet's are ignored.
    pub(super) fn from_element(element: &NftElement) -> Self {
        Self::parse(element.comment.as_deref().unwrap_or_default())
    }

    fn parse(comment: &str) -> Self {
        let mut owners = Self::default();
        let mut words = comment.split(' ');
        while let Some(word) = words.next() {
            let (list, word) = match word {
                CUT => {
                    owners.cut = true;
                    continue;
                }
                RESERVED => (&mut owners.reserved, words.next().unwrap_or_default()),
                word => (&mut owners.active, word),
            };
            list.extend(VifId::from_if_name(word).map(|(owner, _)| owner));
        }
        owners
    }

    /// The comment: active owners first, each list in the order of the vifs' numbers. At most 127 bytes; if not all fit, it
    /// ends in `…`.
    pub(super) fn comment(&self) -> String {
        let active = self.active.iter().map(|owner| format!("vif{owner}"));
        let reserved = self.reserved.iter().map(|owner| format!("{RESERVED} vif{owner}"));
        let mut words: Vec<String> = active.chain(reserved).collect();
        let mut length = words.iter().map(|word| word.len() + 1).sum::<usize>();
        if self.cut || length > LONGEST_COMMENT + 1 {
            while length + CUT.len() > LONGEST_COMMENT
                && let Some(word) = words.pop()
            {
                length -= word.len() + 1;
            }
            words.push(CUT.to_owned());
        }
        words.join(" ")
    }

    /// The same owners as they are read back from the comment.
    pub(super) fn as_listed(&self) -> Self {
        Self::parse(&self.comment())
    }

    /// Whether nobody owns the address.
    pub(super) fn is_empty(&self) -> bool {
        self.active.is_empty() && self.reserved.is_empty() && !self.cut
    }
}

impl From<VifId> for Owners {
    fn from(owner: VifId) -> Self {
        Self { active: [owner].into(), ..Self::default() }
    }
}

const RESERVED: &str = "reserved";

#[cfg(test)]
mod tests {
    use super::*;

    fn owners(count: u16) -> Owners {
        let active = (1..=count).map(|domid| VifId { domid, devid: 0 }).collect();
        Owners { active, ..Owners::default() }
    }

    #[test]
    fn comment_is_read_back() {
        for text in [
            "",
            "vif1.0",
            "vif2.0 vif10.0",
            "reserved vif1.0",
            "vif2.0 reserved vif1.0",
            "vif3.0 …",
        ] {
            let parsed = Owners::parse(text);
            assert_eq!(parsed.comment(), text);
            assert_eq!(parsed.is_empty(), text.is_empty());
        }
        assert_eq!(Owners::parse("gateway of the office").comment(), "");
    }

    #[test]
    fn comment_with_too_many_owners_is_cut_at_a_word() {
        let mut lengths = Vec::new();
        for count in 1..60 {
            let comment = owners(count).comment();
            assert!(comment.len() <= LONGEST_COMMENT, "{comment}");
            let listed = owners(count).as_listed();
            assert_eq!(listed.cut, listed.active.len() < usize::from(count), "{comment}");
            assert_eq!(listed.comment(), comment, "a cut comment is read back unchanged");
            assert!(listed.active.is_subset(&owners(count).active));
            lengths.push(comment.len());
        }
        assert!(lengths.iter().any(|length| *length > 120), "{lengths:?}");
    }
}
