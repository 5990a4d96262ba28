use std::fmt;

use serde::de::{Error, Unexpected};

use crate::types::{IfName, Link, MacAddr};

/// An uplink that is not given by the name of its interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum UplinkId {
    /// Its hardware address, whatever its name.
    Mac(MacAddr),
    /// An alternative name, longer than an interface's own name may be.
    AltName(String),
}

/// The value of `uplink`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Uplink {
    Name(IfName),
    Id(UplinkId),
}

impl UplinkId {
    /// Whether it means this interface.
    ///
    /// A bridge, a bond and a VLAN interface have the hardware address of an interface below: they are not meant.
    pub(crate) fn is(&self, link: &Link) -> bool {
        match self {
            Self::AltName(name) => link.altnames.contains(name),
            Self::Mac(mac) => {
                let kind = link.kind.as_deref();
                let stacked = kind.is_some_and(|kind| STACKED.contains(&kind));
                !stacked && link.permanent_mac.or(link.mac) == Some(*mac)
            }
        }
    }
}

/// Kinds of interfaces that take the hardware address of another one.
const STACKED: [&str; 8] =
    ["bond", "bridge", "ipvlan", "macsec", "macvlan", "macvtap", "team", "vlan"];

/// The kernel's `ALTIFNAMSIZ` less the final NUL.
const LONGEST: usize = 127;

impl<'de> serde::Deserialize<'de> for Uplink {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.contains(':') {
            return text.parse().map(|mac| Self::Id(UplinkId::Mac(mac))).map_err(D::Error::custom);
        }
        match text.parse() {
            Ok(name) => Ok(Self::Name(name)),
            Err(_) if (IfName::MAX + 1..=LONGEST).contains(&text.len()) && is_name(&text) => {
                Ok(Self::Id(UplinkId::AltName(text)))
            }
            Err(error) if text.len() <= IfName::MAX => Err(D::Error::custom(error)),
            Err(_) => {
                let expected =
                    "an interface by its name, its hardware address or an alternative name";
                Err(D::Error::invalid_value(Unexpected::Str(&text), &expected))
            }
        }
    }
}

fn is_name(text: &str) -> bool {
    !text.chars().any(|c| "/%".contains(c) || c.is_whitespace() || c.is_control())
}

impl fmt::Display for UplinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mac(mac) => mac.fmt(f),
            Self::AltName(name) => f.pad(name),
        }
    }
}
