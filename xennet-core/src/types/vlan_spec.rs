use std::fmt;
use std::str::FromStr;

use super::decimal::decimal;
use super::{ParseError, VlanId};

/// The VLANs that a vif is in, as xl's `vlan=` says: terms separated by slashes, as in `10p/20-30/40u`.
///
/// | term | VLANs |
/// |---|---|
/// | `N` | N, tagged; when it is the only term, N is the PVID |
/// | `Np` | N is the PVID: frames without a tag are in it, both ways |
/// | `Nu` | N, untagged towards the guest |
/// | `A-B`, `A-Bu` | from A to B, tagged or untagged |
/// | `A+OFFSETxCOUNT`, `A+OFFSETxCOUNTu` | A and COUNT more, each OFFSET above the one before |
///
/// There is exactly one PVID. A VLAN may be named twice, but not as tagged and untagged. COUNT does not include A: so
/// says the text of `xl-network-configuration(5)`, though its example (`100+10x4` for 100 to 150) has one VLAN more.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VlanSpec {
    pvid: VlanId,
    ranges: Vec<VlanRange>,
}

/// Consecutive VLANs with the same flags: `bridge vlan add dev NAME vid FIRST-LAST [pvid] [untagged]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct VlanRange {
    /// The lowest of them.
    pub first: VlanId,
    /// The highest of them; the same as the first for a single VLAN.
    pub last: VlanId,
    /// Whether it is the PVID: always a single VLAN then, for the kernel takes no range of PVIDs.
    pub pvid: bool,
    /// Whether their frames leave towards the guest without a tag. The PVID's do.
    pub untagged: bool,
}

impl VlanSpec {
    /// The most terms that a text can have: one for each VLAN there is.
    pub const MAX_TERMS: usize = 4094;

    /// The VLAN of frames without a tag.
    pub fn pvid(&self) -> VlanId {
        self.pvid
    }

    /// Each VLAN, the PVID included, in ascending order, and whether its frames leave towards the guest without a tag.
    pub fn iter(&self) -> impl Iterator<Item = (VlanId, bool)> {
        self.ranges.iter().flat_map(|range| range.ids().map(|id| (id, range.untagged)))
    }

    /// The same VLANs in as few ranges as can be, in ascending order. The PVID is a range of its own.
    pub(crate) fn ranges(&self) -> &[VlanRange] {
        &self.ranges
    }
}

impl VlanRange {
    /// One VLAN; untagged if it is the PVID, whatever `untagged` says.
    pub fn new(id: VlanId, pvid: bool, untagged: bool) -> Self {
        Self { first: id, last: id, pvid, untagged: pvid || untagged }
    }

    /// Each VLAN of the range.
    pub fn ids(&self) -> impl Iterator<Item = VlanId> + use<> {
        self.first.through(self.last)
    }

    /// Whether `next` can be joined to it: it comes right behind, and is like it.
    pub(crate) fn continues_with(self, next: Self) -> bool {
        let flags = |range: Self| (range.pvid, range.untagged);
        !self.pvid && flags(self) == flags(next) && self.last.number() + 1 == next.first.number()
    }
}

const KEY: &str = "vlan";
const TERM: &str = "N, Np, Nu, A-B, A-Bu, A+OFFSETxCOUNT or A+OFFSETxCOUNTu, \
                    with VLANs from 1 to 4094 and no leading zeros";

impl FromStr for VlanSpec {
    type Err = ParseError;

    fn from_str(s: &str) -> Result<Self, ParseError> {
        let wrong = |expected: String| Err(ParseError::new(KEY, s, expected));
        // A VLAN alone can be nothing but the PVID.
        if let Ok(pvid) = s.parse() {
            return Ok(Self { pvid, ranges: vec![VlanRange::new(pvid, true, true)] });
        }
        let mut pvid = None;
        // For each VLAN, whether it is untagged; none when the vif is not in it.
        let mut vlans = [None; VlanId::MAX.number() as usize];
        for (n, text) in s.split('/').enumerate() {
            if n == Self::MAX_TERMS {
                return wrong(format!("at most {} terms", Self::MAX_TERMS));
            }
            let term: Term = text.parse()?;
            for (id, vlan) in term.of(&mut vlans) {
                if vlan.is_some_and(|untagged| untagged != term.untagged) {
                    return wrong(format!("VLAN {id} either tagged or untagged, not both"));
                }
                *vlan = Some(term.untagged);
            }
            if term.pvid
                && let Some(other) = pvid.replace(term.first)
                && other != term.first
            {
                return wrong(format!("one PVID, not both {other} and {}", term.first));
            }
        }
        let Some(pvid) = pvid else {
            return wrong("one VLAN marked as the PVID, as 10 in 10p/20-30".to_owned());
        };
        Ok(Self { pvid, ranges: ranges(pvid, &vlans) })
    }
}

/// The VLANs that are in it, joined where they can be.
fn ranges(pvid: VlanId, vlans: &[Option<bool>]) -> Vec<VlanRange> {
    let mut ranges: Vec<VlanRange> = Vec::new();
    for (id, untagged) in VlanId::MIN.through(VlanId::MAX).zip(vlans) {
        let Some(untagged) = *untagged else { continue };
        let next = VlanRange::new(id, id == pvid, untagged);
        match ranges.last_mut() {
            Some(range) if range.continues_with(next) => range.last = id,
            _ => ranges.push(next),
        }
    }
    ranges
}

/// One term: every `offset`th VLAN from `first` to `last`.
struct Term {
    first: VlanId,
    last: VlanId,
    offset: usize,
    pvid: bool,
    untagged: bool,
}

impl Term {
    /// Its own of all VLANs, 1 being the first.
    fn of<'a, T>(
        &self,
        vlans: &'a mut [T],
    ) -> impl Iterator<Item = (VlanId, &'a mut T)> + use<'a, T> {
        let below = (VlanId::MIN.number()..self.first.number()).len();
        let ids = self.first.through(self.last).step_by(self.offset);
        ids.zip(vlans.iter_mut().skip(below).step_by(self.offset))
    }
}

impl FromStr for Term {
    type Err = ParseError;

    fn from_str(s: &str) -> Result<Self, ParseError> {
        let wrong = |expected| ParseError::new(KEY, s, expected);
        let id = |text: &str| text.parse().map_err(|_| wrong(TERM));
        let pvid = s.ends_with('p');
        let untagged = pvid || s.ends_with('u');
        let ids = s.strip_suffix(['p', 'u']).unwrap_or(s);
        if pvid && ids.contains(['-', '+']) {
            return Err(wrong("\"p\" only after a single VLAN"));
        }
        if let Some((first, last)) = ids.split_once('-') {
            let (first, last) = (id(first)?, id(last)?);
            if first > last {
                return Err(wrong("a range from its lower VLAN to its higher"));
            }
            return Ok(Self { first, last, offset: 1, pvid, untagged });
        }
        if let Some((first, steps)) = ids.split_once('+') {
            let first: VlanId = id(first)?;
            let (offset, count) = steps.split_once('x').ok_or_else(|| wrong(TERM))?;
            let offset = decimal::<u16>(offset).filter(|offset| *offset > 0);
            let count = decimal::<u16>(count).filter(|count| *count > 0);
            let (offset, count) = offset.zip(count).ok_or_else(|| {
                wrong("A+OFFSETxCOUNT with OFFSET and COUNT of at least 1 and no leading zeros")
            })?;
            let last = offset
                .checked_mul(count)
                .and_then(|steps| first.number().checked_add(steps))
                .and_then(|last| VlanId::new(last).ok())
                .ok_or_else(|| wrong("A+OFFSETxCOUNT with A + OFFSET * COUNT at most 4094"))?;
            return Ok(Self { first, last, offset: offset.into(), pvid, untagged });
        }
        let id = id(ids)?;
        Ok(Self { first: id, last: id, offset: 1, pvid, untagged })
    }
}

impl fmt::Display for VlanSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [only] = self.ranges.as_slice() {
            return only.first.fmt(f);
        }
        for (i, range) in self.ranges.iter().enumerate() {
            let separator = if i == 0 { "" } else { "/" };
            write!(f, "{separator}{range}")?;
        }
        Ok(())
    }
}

impl fmt::Display for VlanRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.first.fmt(f)?;
        if self.last != self.first {
            write!(f, "-{}", self.last)?;
        }
        f.write_str(match (self.pvid, self.untagged) {
            (true, _) => "p",
            (false, true) => "u",
            (false, false) => "",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn what_is_written_and_what_is_printed() {
        for (text, printed) in [
            ("10", "10"),
            ("10p", "10"),
            ("4094", "4094"),
            ("10p/20", "10p/20"),
            ("20/10p", "10p/20"),
            ("40u/20-30/10p", "10p/20-30/40u"),
            ("10p/20/21/22", "10p/20-22"),
            ("10p/20-25/23-30", "10p/20-30"),
            ("10p/11/11/10p/10u", "10p/11"),
            ("10p/9-9", "9/10p"),
            ("10p/9u/11u", "9u/10p/11u"),
            ("10p/11-20u/21-30", "10p/11-20u/21-30"),
            ("10p/5-15u", "5-9u/10p/11-15u"),
            ("1p/10-15/20-25u", "1p/10-15/20-25u"),
            ("4094p/1-4093", "1-4093/4094p"),
            // xl's manual: count more, not count in all.
            ("10p/100+10x4", "10p/100/110/120/130/140"),
            ("1p/2+1x4092u", "1p/2-4094u"),
            ("1p/2+4092x1", "1p/2/4094"),
        ] {
            let spec: VlanSpec = text.parse().unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(spec.to_string(), printed, "{text:?}");
            assert_eq!(printed.parse(), Ok(spec));
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (bad, value, expected) in [
            ("", "", TERM),
            ("/", "", TERM),
            ("10p/", "", TERM),
            ("10p//20", "", TERM),
            ("0", "0", TERM),
            ("4095p", "4095p", TERM),
            ("010", "010", TERM),
            ("10 ", "10 ", TERM),
            ("10p/ 20", " 20", TERM),
            ("10p/20t", "20t", TERM),
            ("10pu", "10pu", TERM),
            ("10pp", "10pp", TERM),
            ("10p,20", "10p,20", TERM),
            ("10p/-20", "-20", TERM),
            ("10p/20-", "20-", TERM),
            ("10p/20-30-40", "20-30-40", TERM),
            ("10p/20-4095", "20-4095", TERM),
            ("10p/20+10", "20+10", TERM),
            ("10p/0+10x2", "0+10x2", TERM),
            ("10p/30-20", "30-20", "a range from its lower VLAN to its higher"),
            ("20-30p", "20-30p", "\"p\" only after a single VLAN"),
            ("20+1x2p", "20+1x2p", "\"p\" only after a single VLAN"),
            (
                "10p/20+0x2",
                "20+0x2",
                "A+OFFSETxCOUNT with OFFSET and COUNT of at least 1 and no leading zeros",
            ),
            (
                "10p/20+2x0",
                "20+2x0",
                "A+OFFSETxCOUNT with OFFSET and COUNT of at least 1 and no leading zeros",
            ),
            ("10p/20+10x408", "20+10x408", "A+OFFSETxCOUNT with A + OFFSET * COUNT at most 4094"),
            // 1 + 65535 and 1 + 256 * 256 would be small again in 16 bits.
            ("10p/1+65535x1", "1+65535x1", "A+OFFSETxCOUNT with A + OFFSET * COUNT at most 4094"),
            ("10p/1+256x256", "1+256x256", "A+OFFSETxCOUNT with A + OFFSET * COUNT at most 4094"),
            ("10u", "10u", "one VLAN marked as the PVID, as 10 in 10p/20-30"),
            ("10/10", "10/10", "one VLAN marked as the PVID, as 10 in 10p/20-30"),
            ("10-10", "10-10", "one VLAN marked as the PVID, as 10 in 10p/20-30"),
            ("10/20u", "10/20u", "one VLAN marked as the PVID, as 10 in 10p/20-30"),
            ("10p/20p", "10p/20p", "one PVID, not both 10 and 20"),
            ("10p/10", "10p/10", "VLAN 10 either tagged or untagged, not both"),
            ("10p/1-20", "10p/1-20", "VLAN 10 either tagged or untagged, not both"),
            ("1p/20-30/25u", "1p/20-30/25u", "VLAN 25 either tagged or untagged, not both"),
        ] {
            let wrong = ParseError::new("vlan", value, expected);
            assert_eq!(bad.parse::<VlanSpec>(), Err(wrong), "{bad:?}");
        }
    }

    #[test]
    fn each_vlan_and_each_range() {
        let spec: VlanSpec = "10p/11-13/14u".parse().unwrap();
        let all: Vec<_> = spec.iter().map(|(id, untagged)| (id.number(), untagged)).collect();
        assert_eq!(all, [(10, true), (11, false), (12, false), (13, false), (14, true)]);
        assert_eq!(spec.pvid(), VlanId::new(10).unwrap());
        let ranges: Vec<_> = spec
            .ranges()
            .iter()
            .map(|range| (range.first.number(), range.last.number(), range.pvid, range.untagged))
            .collect();
        assert_eq!(ranges, [(10, 10, true, true), (11, 13, false, false), (14, 14, false, true)]);
    }

    #[test]
    fn the_longest_spec_prints_and_parses_and_a_longer_text_is_refused() {
        // No two neighbours alike: as many terms as there are VLANs.
        let spec: VlanSpec = "1p/2+2x2046u/3+2x2045".parse().unwrap();
        assert_eq!(spec.ranges().len(), VlanSpec::MAX_TERMS);
        assert_eq!(spec.to_string().parse(), Ok(spec));
        let error = format!("1p{}", "/2".repeat(4094)).parse::<VlanSpec>().unwrap_err();
        assert!(error.to_string().ends_with("expected at most 4094 terms"), "{error}");
    }

    proptest! {
        #[test]
        fn is_the_set_that_its_terms_name(
            mut others in prop::collection::btree_map(1u16..=4094, any::<bool>(), 0..60),
            start in 1u16..=4000,
            run in prop::collection::vec(any::<bool>(), 0..60),
            pvid in 1u16..=4094,
            reverse: bool,
        ) {
            others.extend((start..).zip(run));
            others.insert(pvid, true);
            let mut terms: Vec<_> = others
                .iter()
                .map(|(id, untagged)| match (*id == pvid, untagged) {
                    (true, _) => format!("{id}p"),
                    (_, true) => format!("{id}u"),
                    (_, false) => id.to_string(),
                })
                .collect();
            if reverse {
                terms.reverse();
            }
            let spec: VlanSpec = terms.join("/").parse().unwrap();
            let set: BTreeMap<_, _> = spec.iter().map(|(id, untagged)| (id.number(), untagged)).collect();
            prop_assert_eq!(set, others);
            prop_assert_eq!(spec.pvid().number(), pvid);
            prop_assert_eq!(spec.to_string().parse::<VlanSpec>(), Ok(spec.clone()));
            for pair in spec.ranges().windows(2) {
                prop_assert!(pair[0].last < pair[1].first && !pair[0].continues_with(pair[1]));
            }
        }

        #[test]
        fn text_never_panics(s in ".*|[0-9pux+/-]{0,40}|([1-9][0-9]{0,3}[-+xpu/]){0,6}") {
            if let Ok(spec) = s.parse::<VlanSpec>() {
                prop_assert_eq!(spec.to_string().parse::<VlanSpec>(), Ok(spec));
            }
        }
    }
}
