use std::fmt;
use std::str::FromStr;

use super::ParseError;
use super::decimal::decimal;

/// The number of a VLAN, 1 to 4094: IEEE 802.1Q keeps 0 and 4095 for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VlanId(u16);

impl VlanId {
    /// The lowest VLAN.
    pub const MIN: Self = Self(1);
    /// The highest VLAN.
    pub const MAX: Self = Self(4094);

    /// The VLAN of that number; an error below 1 or above 4094.
    pub fn new(number: u16) -> Result<Self, ParseError> {
        Self::checked(number).ok_or_else(|| ParseError::new(KEY, number.to_string(), EXPECTED))
    }

    /// Its number.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// Each VLAN from this one to `last`, both included; none when `last` is lower.
    pub(crate) fn through(self, last: Self) -> impl DoubleEndedIterator<Item = Self> + Clone {
        (self.0..=last.0).map(Self)
    }

    fn checked(number: u16) -> Option<Self> {
        Some(Self(number)).filter(|id| (Self::MIN..=Self::MAX).contains(id))
    }
}

const KEY: &str = "vlan";
const EXPECTED: &str = "a VLAN from 1 to 4094, without leading zeros";

impl FromStr for VlanId {
    type Err = ParseError;

    fn from_str(s: &str) -> Result<Self, ParseError> {
        decimal(s).and_then(Self::checked).ok_or_else(|| ParseError::new(KEY, s, EXPECTED))
    }
}

impl fmt::Display for VlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_bounds() {
        for good in ["1", "10", "4094"] {
            assert_eq!(good.parse::<VlanId>().unwrap().to_string(), good);
        }
        for bad in ["", "0", "4095", "65537", "-1", "+10", "010", "10 ", "0xa", "10p"] {
            assert!(bad.parse::<VlanId>().is_err(), "{bad:?}");
        }
        assert!(VlanId::new(0).is_err() && VlanId::new(4095).is_err());
        assert_eq!(VlanId::MIN.through(VlanId::MAX).count(), 4094);
        assert_eq!(VlanId::MAX.through(VlanId::MIN).count(), 0);
    }

    proptest! {
        #[test]
        fn parsing_a_printed_vlan_gives_it_back(number: u16) {
            if let Ok(id) = VlanId::new(number) {
                prop_assert_eq!(id.to_string().parse::<VlanId>(), Ok(id));
                prop_assert_eq!(id.number(), number);
            }
        }

        #[test]
        fn text_never_panics(s in ".*") {
            let _ = s.parse::<VlanId>();
        }
    }
}
