use std::fmt;
use std::str::FromStr;

use super::ParseError;
use super::decimal::decimal;

/// A maximum transmission unit in bytes, 68 to 65535: what IPv4 demands at least, and an Ethernet device takes at most.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize, serde::Serialize,
)]
#[serde(try_from = "u32", into = "u32")]
pub struct Mtu(u16);

impl Mtu {
    /// An MTU of so many bytes; an error below 68 or above 65535.
    pub fn new(bytes: u32) -> Result<Self, ParseError> {
        Self::checked(bytes).ok_or_else(|| ParseError::new(KEY, bytes.to_string(), EXPECTED))
    }

    /// Bytes.
    pub fn bytes(self) -> u32 {
        self.0.into()
    }

    fn checked(bytes: u32) -> Option<Self> {
        u16::try_from(bytes).ok().filter(|bytes| *bytes >= 68).map(Self)
    }
}

const KEY: &str = "mtu";
const EXPECTED: &str = "a number of bytes from 68 to 65535, without leading zeros";

impl FromStr for Mtu {
    type Err = ParseError;

    fn from_str(s: &str) -> Result<Self, ParseError> {
        decimal(s).and_then(Self::checked).ok_or_else(|| ParseError::new(KEY, s, EXPECTED))
    }
}

impl TryFrom<u32> for Mtu {
    type Error = ParseError;

    fn try_from(bytes: u32) -> Result<Self, ParseError> {
        Self::new(bytes)
    }
}

impl From<Mtu> for u32 {
    fn from(mtu: Mtu) -> Self {
        mtu.bytes()
    }
}

impl fmt::Display for Mtu {
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
        for good in ["68", "1500", "9000", "65535"] {
            assert_eq!(good.parse::<Mtu>().unwrap().to_string(), good);
        }
        for bad in
            ["", "67", "65536", "0068", "-1", "+1500", "1500 ", "0x5dc", "99999999999999999999"]
        {
            assert!(bad.parse::<Mtu>().is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn parsing_a_printed_mtu_gives_it_back(bytes in 68u32..=65535) {
            let mtu = Mtu::new(bytes).unwrap();
            prop_assert_eq!(mtu.to_string().parse::<Mtu>(), Ok(mtu));
        }

        #[test]
        fn text_never_panics(s in ".*") {
            let _ = s.parse::<Mtu>();
        }
    }
}
