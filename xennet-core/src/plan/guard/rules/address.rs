use super::rule::{Field, Rule};
use crate::plan::guard::GuardLayout;
use crate::plan::guard::layout::Version;
use crate::types::{NftRule, NftVerdict};

/// An address that a packet names, and the rules that look it up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Address {
    pub(super) version: Version,
    pub(super) field: Field,
    /// What people call it.
    pub(super) name: &'static str,
}

impl Address {
    /// Whether the port may use it: the closest prefix decides, so that nobody speaks for an address within a prefix of
    /// theirs that has an owner of its own.
    ///
    /// `begin` begins each rule. An address that the port may use ends in `own`; any other is refused.
    pub(super) fn own(
        self,
        layout: &GuardLayout,
        begin: impl Fn() -> Rule,
        own: &NftVerdict,
    ) -> Vec<NftRule> {
        let Self { version, field, name } = self;
        let mut rules = Vec::new();
        for length in layout.lengths(version) {
            let set = GuardLayout::own_set(version, length).name;
            let rule = match mask(version, length) {
                Some(mask) => begin().port_with(field, Some(&mask), &set),
                None => begin().port_and_mac_with(field, &set),
            };
            rules.push(rule.verdict(own.clone(), &format!("{name} is its own (/{length})")));
            rules.push(self.owned(layout, begin(), length));
        }
        rules.push(begin().chain_end().refuse(&format!("{name} is not its own")));
        rules
    }

    /// Refuses it when somebody owns it.
    pub(super) fn not_owned(self, layout: &GuardLayout, begin: impl Fn() -> Rule) -> Vec<NftRule> {
        layout.lengths(self.version).map(|length| self.owned(layout, begin(), length)).collect()
    }

    fn owned(self, layout: &GuardLayout, begin: Rule, length: u8) -> NftRule {
        let Self { version, field, name } = self;
        let mask = mask(version, length);
        let set = layout.owned_set(version, length).name;
        if layout.bridge_names {
            begin.bridge_with(field, mask.as_deref(), &set)
        } else {
            begin.field_in(field, mask.as_deref(), &set)
        }
        .refuse(&format!("{name} is another vif's (/{length})"))
    }
}

/// None for a whole address, which needs no mask.
fn mask(version: Version, length: u8) -> Option<Vec<u8>> {
    if length == version.bits() {
        return None;
    }
    let byte = |n: u8| {
        let ones = length.saturating_sub(8 * n).min(8);
        u8::MAX.checked_shl(u32::from(8 - ones)).unwrap_or(0)
    };
    Some((0..version.bits() / 8).map(byte).collect())
}
