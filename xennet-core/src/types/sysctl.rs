use std::fmt;
use std::str::FromStr;

use super::{IfName, ParseError};

/// A setting of the kernel's network: its path below `/proc/sys`, as `net/ipv4/conf/eth0/proxy_arp`.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize, serde::Serialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct Sysctl(String);

/// An internet protocol, as `/proc/sys/net` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "there will be no third one")]
pub enum Family {
    /// IPv4
    V4,
    /// IPv6
    V6,
}

impl Sysctl {
    /// A setting of one interface: `net/ipv4/conf/NAME/KEY`. An error for a key that there cannot be.
    pub fn link(family: Family, name: &IfName, key: &str) -> Result<Self, ParseError> {
        Self::conf(family, name.as_str(), key)
    }

    /// A setting of all interfaces: `net/ipv4/conf/all/KEY`
    ///
    /// An error when `key` is no single name.
    pub fn all(family: Family, key: &str) -> Result<Self, ParseError> {
        Self::conf(family, "all", key)
    }

    /// What a new interface begins with: `net/ipv4/conf/default/KEY`
    ///
    /// An error when `key` is no single name.
    pub fn default(family: Family, key: &str) -> Result<Self, ParseError> {
        Self::conf(family, "default", key)
    }

    /// Whether the host forwards packets: `net/ipv4/ip_forward`, `net/ipv6/conf/all/forwarding`
    pub fn forwarding(family: Family) -> Self {
        Self(match family {
            Family::V4 => "net/ipv4/ip_forward".to_owned(),
            Family::V6 => "net/ipv6/conf/all/forwarding".to_owned(),
        })
    }

    /// The interface that it belongs to.
    pub fn interface(&self) -> Option<&str> {
        let name = self.0.split('/').nth(3)?;
        Some(name).filter(|name| !matches!(*name, "all" | "default"))
    }

    /// The path below `/proc/sys`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn conf(family: Family, whose: &str, key: &str) -> Result<Self, ParseError> {
        format!("net/{family}/conf/{whose}/{key}").parse()
    }
}

const KEY: &str = "sysctl";

impl FromStr for Sysctl {
    type Err = ParseError;

    fn from_str(s: &str) -> Result<Self, ParseError> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let key = |key: &str| !key.is_empty() && key.bytes().all(plain);
        let parts: Vec<&str> = s.split('/').collect();
        let good = match *parts.as_slice() {
            ["net", "ipv4", "ip_forward"] => true,
            ["net", "ipv4" | "ipv6", "conf", "all" | "default", last] => key(last),
            ["net", "ipv4" | "ipv6", "conf", name, last] => {
                name.parse::<IfName>().is_ok() && key(last)
            }
            _ => false,
        };
        if good {
            Ok(Self(s.to_owned()))
        } else {
            Err(ParseError::new(KEY, s, "a path as net/ipv4/conf/eth0/proxy_arp"))
        }
    }
}

impl TryFrom<String> for Sysctl {
    type Error = ParseError;

    fn try_from(s: String) -> Result<Self, ParseError> {
        s.parse()
    }
}

impl From<Sysctl> for String {
    fn from(sysctl: Sysctl) -> Self {
        sysctl.0
    }
}

impl fmt::Display for Sysctl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::V4 => "ipv4",
            Self::V6 => "ipv6",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_path_for_each() {
        let name = "vif1.0".parse().unwrap();
        let link = Sysctl::link(Family::V6, &name, "disable_ipv6").unwrap();
        assert_eq!(link.to_string(), "net/ipv6/conf/vif1.0/disable_ipv6");
        assert_eq!(link.interface(), Some("vif1.0"));
        assert_eq!(Sysctl::forwarding(Family::V6).interface(), None);
        assert_eq!(Sysctl::forwarding(Family::V4).interface(), None);
        assert_eq!(
            Sysctl::all(Family::V4, "forwarding").unwrap().as_str(),
            "net/ipv4/conf/all/forwarding"
        );
        assert_eq!(
            Sysctl::default(Family::V6, "accept_ra").unwrap().as_str(),
            "net/ipv6/conf/default/accept_ra"
        );
        for family in [Family::V4, Family::V6] {
            let forwarding = Sysctl::forwarding(family);
            assert_eq!(forwarding.as_str().parse(), Ok(forwarding));
        }
    }

    #[test]
    fn no_key_leads_out_of_the_interface() {
        let name = "vif1.0".parse().unwrap();
        for key in ["", "../all/forwarding", "a/b", "A", "a b", ".", "proxy_arp\0"] {
            Sysctl::link(Family::V4, &name, key).unwrap_err();
        }
    }

    proptest! {
        #[test]
        fn no_text_leads_out_of_the_network(s in "net/ipv[46]/conf/[a-z.]{0,3}/[a-z./]{0,5}|\\PC*") {
            if let Ok(sysctl) = s.parse::<Sysctl>() {
                prop_assert!(sysctl.as_str().starts_with("net/ipv"));
                prop_assert!(sysctl.as_str().split('/').all(|part| part != ".." && part != "."));
            }
        }
    }
}
