use std::borrow::Cow;
use std::fmt;

/// A value that cannot be what its key wants: names the key, the value and what was expected.
///
/// Its text is one line whatever the value held: control characters are escaped and long values cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    key: Cow<'static, str>,
    value: String,
    expected: Cow<'static, str>,
}

/// Longer values are cut here in messages: only a list can be longer and valid, and its start tells which it is.
const SHOWN: usize = 64;

impl ParseError {
    /// `key` was `value`, where `expected` would have been right.
    pub fn new(
        key: impl Into<Cow<'static, str>>,
        value: impl AsRef<[u8]>,
        expected: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { key: key.into(), value: shown(value.as_ref()), expected: expected.into() }
    }

    /// The same complaint under the key that the value was found under, such as `vifname` for an interface name.
    #[must_use]
    pub fn under(mut self, key: impl Into<Cow<'static, str>>) -> Self {
        self.key = key.into();
        self
    }

    /// The key whose value was refused.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Always `EINVAL`.
    pub fn errno(&self) -> i32 {
        libc::EINVAL
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} \"{}\": expected {}", self.key, self.value, self.expected)
    }
}

impl std::error::Error for ParseError {}

fn shown(value: &[u8]) -> String {
    let cut = value.get(..SHOWN).unwrap_or(value);
    let text = match str::from_utf8(cut) {
        Ok(text) => text.escape_debug().to_string(),
        // A cut through a multi-byte character lands here as well; its bytes are shown instead.
        Err(_) => cut.escape_ascii().to_string(),
    };
    if value.len() > cut.len() { format!("{text}... ({} bytes)", value.len()) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_whatever_the_value_held() {
        let hostile = [b"x\n\0\x1b[2J\xff".as_slice(), &vec![b'a'; 1 << 20]].concat();
        let text = ParseError::new("mtu", &hostile, "a number").to_string();
        assert!(text.len() < 400, "{} bytes", text.len());
        assert!(text.chars().all(|c| !c.is_control()), "{text:?}");
        assert!(text.contains("1048584 bytes"), "{text}");
    }

    #[test]
    fn names_key_value_and_expectation() {
        let error = ParseError::new("interface name", "a b", "no white space").under("vifname");
        assert_eq!(error.to_string(), "vifname \"a b\": expected no white space");
    }
}
