use std::fmt;
use std::str::FromStr;

use super::{ParseError, parse_bytes};

/// The name of a network interface, by the kernel's rules: 1 to 15 bytes, no `/`, no `:`, no white space,
/// neither `.` nor `..`, neither `all` nor `default`, which are directories of its sysctls, and no `%`: the kernel takes
/// `web%d` for "the next free `webN`".
///
/// It is UTF-8 without invisible characters, as everything that a person can type and read; the kernel itself does not care.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize, serde::Serialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct IfName(String);

impl IfName {
    /// The longest name in bytes: the kernel's `IFNAMSIZ` less the final NUL.
    pub const MAX: usize = 15;

    /// Parses a name from bytes as XenStore and the kernel give them.
    ///
    /// An error when the kernel would not take it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ParseError> {
        parse_bytes(KEY, bytes)
    }

    /// Several names, separated by commas.
    pub(crate) fn list(names: &[Self]) -> String {
        names.iter().map(Self::as_str).collect::<Vec<_>>().join(", ")
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

const KEY: &str = "interface name";

impl FromStr for IfName {
    type Err = ParseError;

    fn from_str(s: &str) -> Result<Self, ParseError> {
        let expected = if s.is_empty() || s.len() > Self::MAX {
            "1 to 15 bytes"
        } else if s == "." || s == ".." {
            "neither \".\" nor \"..\""
        } else if s == "all" || s == "default" {
            "another name: the kernel has settings of that name for all interfaces"
        } else if s.chars().any(|c| "/:%".contains(c) || c.is_whitespace() || c.is_control())
            || !is_visible(s)
        {
            "no \"/\", no \":\", no \"%\", no white space and no control or format characters"
        } else {
            return Ok(Self(s.to_owned()));
        };
        Err(ParseError::new(KEY, s, expected))
    }
}

/// Whether a terminal shows every character, and where it stands: U+202E turns what follows around, U+200B is invisible.
fn is_visible(s: &str) -> bool {
    let plain = |c: &char| !matches!(c, '"' | '\'' | '\\');
    s.is_ascii()
        || s.chars().filter(plain).collect::<String>().escape_debug().eq(s.chars().filter(plain))
}

impl TryFrom<String> for IfName {
    type Error = ParseError;

    fn try_from(s: String) -> Result<Self, ParseError> {
        s.parse()
    }
}

impl From<IfName> for String {
    fn from(name: IfName) -> Self {
        name.0
    }
}

impl fmt::Display for IfName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl AsRef<str> for IfName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_kernels_rules() {
        for good in [
            "a",
            "vif1.0",
            "vif1.0-emu",
            "xenbr0",
            "123456789012345",
            "brücke",
            "...",
            ";rm",
            "網橋",
            "мост",
            "bru\u{308}cke",
            "a\"b",
            "a\\b",
            "a\\u{b",
        ] {
            assert_eq!(good.parse::<IfName>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            ".",
            "..",
            "1234567890123456",
            "a/b",
            "../x",
            "a b",
            "a\tb",
            "eth0:1",
            "web%d",
            "a\0b",
            "all",
            "default",
            "vif\u{202e}1",
            "vif\u{200b}1",
            "\u{feff}vif1",
            "vif\u{ad}1",
            "vif\u{2066}1",
            "vif\u{e0041}1",
            "vif\u{85}1",
            "vif\u{2028}1",
        ] {
            assert!(bad.parse::<IfName>().is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn printing_a_parsed_name_gives_it_back(s in "\\PC{0,16}") {
            if let Ok(name) = s.parse::<IfName>() {
                prop_assert_eq!(name.to_string(), s);
            }
        }

        #[test]
        fn bytes_never_panic(bytes: Vec<u8>) {
            let _ = IfName::from_bytes(&bytes);
        }
    }
}
