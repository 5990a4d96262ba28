//! The syntax of `/etc/xen/xl.conf`: `key=value` lines, as libxlutil reads them.

use crate::config::ConfigError;

/// One `key=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    /// Where it begins.
    pub(super) at: usize,
    pub(super) key: String,
    /// What it is set to; none for a list, which none of the network's keys has.
    pub(super) value: Option<String>,
}

/// Every setting, in order. What libxlutil would refuse is an error.
pub(super) fn settings(text: &str) -> Result<Vec<Setting>, ConfigError> {
    let mut scanner = Scanner { text, at: 0 };
    let mut settings = Vec::new();
    loop {
        scanner.skip(|c| c.is_whitespace() || c == ';');
        let at = scanner.at;
        if scanner.peek().is_none() {
            return Ok(settings);
        }
        let key = scanner.take(|c| c.is_ascii_alphanumeric() || "_.".contains(c)).to_owned();
        if key.is_empty() {
            return Err(ConfigError::at(text, at, "expected a key, or \"#\" for a comment"));
        }
        scanner.skip(|c| c == ' ' || c == '\t');
        if scanner.peek() != Some('=') {
            return Err(ConfigError::at(text, scanner.at, format!("{key}: expected \"=\"")));
        }
        scanner.next();
        scanner.skip(|c| c == ' ' || c == '\t');
        let value = scanner.value(&key)?;
        scanner.skip(|c| c == ' ' || c == '\t' || c == '\r');
        if scanner.peek().is_some_and(|c| c != '\n' && c != ';') {
            let words = format!("{key}: expected the end of the line after its value");
            return Err(ConfigError::at(text, scanner.at, words));
        }
        settings.push(Setting { at, key, value });
    }
}

struct Scanner<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Scanner<'t> {
    fn value(&mut self, key: &str) -> Result<Option<String>, ConfigError> {
        match self.peek() {
            Some('\'' | '"') => self.string().map(Some),
            Some('[') => self.list().map(|()| None),
            _ => {
                let number = self.take(|c| c.is_ascii_alphanumeric());
                if number.is_empty() {
                    let words = format!("{key}: expected a number, or a string in quotes");
                    return Err(ConfigError::at(self.text, self.at, words));
                }
                Ok(Some(number.to_owned()))
            }
        }
    }

    /// What is in quotes; a backslash takes the next character as it is.
    fn string(&mut self) -> Result<String, ConfigError> {
        let at = self.at;
        let quote = self.next();
        let mut string = String::new();
        loop {
            match self.next() {
                c if c == quote && c.is_some() => return Ok(string),
                Some('\\') => string.extend(self.next()),
                Some('\n') | None => {
                    return Err(ConfigError::at(self.text, at, "a string without an end"));
                }
                Some(c) => string.push(c),
            }
        }
    }

    /// Past a list, which may have lists in it.
    fn list(&mut self) -> Result<(), ConfigError> {
        let (at, mut depth) = (self.at, 0_usize);
        loop {
            match self.peek() {
                Some('\'' | '"') => {
                    self.string()?;
                    continue;
                }
                Some('#') => {
                    self.skip(|_| false);
                    continue;
                }
                Some('[') => depth += 1,
                Some(']') => depth -= 1,
                Some(_) => {}
                None => return Err(ConfigError::at(self.text, at, "\"[\" without a \"]\"")),
            }
            self.next();
            if depth == 0 {
                return Ok(());
            }
        }
    }

    /// Past such characters, and past comments.
    fn skip(&mut self, which: impl Fn(char) -> bool) {
        while let Some(c) = self.peek() {
            if c == '#' {
                self.take(|c| c != '\n');
            } else if which(c) {
                self.next();
            } else {
                return;
            }
        }
    }

    fn take(&mut self, which: impl Fn(char) -> bool) -> &'t str {
        let start = self.at;
        while self.peek().is_some_and(&which) {
            self.next();
        }
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.text.get(self.at..).and_then(|rest| rest.chars().next())
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }
}
