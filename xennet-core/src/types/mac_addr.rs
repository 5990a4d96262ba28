use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use super::ParseError;

/// A unicast Ethernet address, written `00:16:3e:01:02:03`.
///
/// Group addresses and the all-zero address are refused: the kernel takes neither for an interface, and no
/// guest may own one.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize, serde::Serialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct MacAddr([u8; 6]);

impl MacAddr {
    /// What every vif carries in dom0: `fe:ff:ff:ff:ff:ff`.
    ///
    /// A bridge takes the lowest of its ports' addresses as its own; this is the highest unicast one, so never that.
    pub const VIF: Self = Self([0xfe, 0xff, 0xff, 0xff, 0xff, 0xff]);

    /// The six bytes in the order in which they are sent; an error when they are a group address or zero.
    pub fn from_octets(octets: [u8; 6]) -> Result<Self, ParseError> {
        if octets[0] & 1 == 1 || octets == [0; 6] {
            return Err(ParseError::new(KEY, Self(octets).to_string(), "a unicast address"));
        }
        Ok(Self(octets))
    }

    /// The six bytes in the order in which they are sent.
    pub fn octets(self) -> [u8; 6] {
        self.0
    }

    /// The IPv6 link-local address that an interface makes from it (RFC 4291).
    pub(crate) fn link_local(self) -> Ipv6Addr {
        let [first, vendor @ .., serial2, serial1, serial0] = self.0;
        let [vendor1, vendor0] = vendor;
        let mut octets =
            [0xfe, 0x80, 0, 0, 0, 0, 0, 0, first ^ 2, vendor1, vendor0, 0xff, 0xfe, 0, 0, 0];
        octets[13..].copy_from_slice(&[serial2, serial1, serial0]);
        octets.into()
    }
}

const KEY: &str = "mac";

impl FromStr for MacAddr {
    type Err = ParseError;

    fn from_str(s: &str) -> Result<Self, ParseError> {
        let form = || ParseError::new(KEY, s, "six pairs of hex digits, as in 00:16:3e:01:02:03");
        let mut octets = [0; 6];
        let mut parts = s.split(':');
        for octet in &mut octets {
            let part = parts.next().ok_or_else(form)?;
            // from_str_radix alone would take "+a".
            if part.len() != 2 || !part.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(form());
            }
            *octet = u8::from_str_radix(part, 16).map_err(|_| form())?;
        }
        if parts.next().is_some() {
            return Err(form());
        }
        Self::from_octets(octets)
    }
}

impl TryFrom<String> for MacAddr {
    type Error = ParseError;

    fn try_from(s: String) -> Result<Self, ParseError> {
        s.parse()
    }
}

impl From<MacAddr> for String {
    fn from(mac: MacAddr) -> Self {
        mac.to_string()
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, rest @ ..] = self.0;
        write!(f, "{first:02x}")?;
        rest.iter().try_for_each(|octet| write!(f, ":{octet:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refuses_what_no_guest_may_own() {
        for bad in [
            "01:00:5e:00:00:01",
            "ff:ff:ff:ff:ff:ff",
            "00:00:00:00:00:00",
            "00:16:3e:01:02",
            "00:16:3e:01:02:03:04",
            "0:16:3e:01:02:03",
            "+0:16:3e:01:02:03",
            "00-16-3e-01-02-03",
            "",
        ] {
            assert!(bad.parse::<MacAddr>().is_err(), "{bad}");
        }
        assert_eq!(
            "00:16:3E:aB:02:03".parse::<MacAddr>().unwrap().to_string(),
            "00:16:3e:ab:02:03"
        );
    }

    proptest! {
        #[test]
        fn parsing_a_printed_address_gives_it_back(octets: [u8; 6]) {
            if let Ok(mac) = MacAddr::from_octets(octets) {
                prop_assert_eq!(mac.to_string().parse::<MacAddr>(), Ok(mac));
            }
        }

        #[test]
        fn text_never_panics(s in ".*") {
            let _ = s.parse::<MacAddr>();
        }
    }
}
