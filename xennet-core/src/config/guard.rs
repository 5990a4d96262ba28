use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use crate::types::ParseError;

/// How closely a guest is held to its own addresses; each level includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum GuardLevel {
    /// `off`: not at all.
    #[default]
    Off,
    /// `mac`: it sends from its own Ethernet address, and takes no part in the bridges' own protocols (STP, LACP, ...).
    Mac,
    /// `ip`: it sends IPv4, ARP and IPv6 from its own addresses, and is neither DHCP server nor router. What is none of
    /// the three passes.
    Ip,
    /// `strict`: as `ip`, and what is none of the three is dropped.
    Strict,
}

/// What an administrator lets a guest do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[expect(clippy::exhaustive_structs, reason = "whoever plans a change makes one")]
pub struct GuardPolicy {
    /// How closely it is held to its own addresses.
    pub level: GuardLevel,
    /// Whether it may answer DHCP requests, of IPv4 and of IPv6.
    pub dhcp_server: bool,
    /// Whether it may speak as a router: router advertisements, redirects, IGMP and MLD queries.
    pub router: bool,
    /// Whether its addresses stay reserved for it while it is gone.
    pub reserve: bool,
}

impl GuardLevel {
    const ALL: [Self; 4] = [Self::Off, Self::Mac, Self::Ip, Self::Strict];

    /// The word that `xennet.toml` has for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Mac => "mac",
            Self::Ip => "ip",
            Self::Strict => "strict",
        }
    }
}

impl FromStr for GuardLevel {
    type Err = ParseError;

    fn from_str(s: &str) -> Result<Self, ParseError> {
        Self::ALL
            .into_iter()
            .find(|level| level.as_str() == s)
            .ok_or_else(|| ParseError::new("guard", s, "off, mac, ip or strict"))
    }
}

impl fmt::Display for GuardLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_and_no_others() {
        #[derive(Deserialize)]
        struct Toml {
            guard: GuardLevel,
        }
        for level in GuardLevel::ALL {
            assert_eq!(level.to_string().parse(), Ok(level));
            let toml: Toml = toml::from_str(&format!("guard = \"{level}\"")).unwrap();
            assert_eq!(toml.guard, level);
        }
        for bad in ["", "on", "Strict", "ip "] {
            let error = bad.parse::<GuardLevel>().unwrap_err().to_string();
            assert_eq!(error, format!("guard \"{bad}\": expected off, mac, ip or strict"));
        }
        assert!(GuardLevel::Off < GuardLevel::Mac && GuardLevel::Ip < GuardLevel::Strict);
    }
}
