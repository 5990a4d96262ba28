//! The S-expressions of `/etc/xen/xend-config.sxp`.
//!
//! Only what lies in the outermost parentheses is kept: deeper lists are none of the network's business. So nothing here
//! recurs, and no text can exhaust the stack.

use crate::config::ConfigError;

/// One outermost list: `(key word word ...)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Form {
    /// Where it begins.
    pub(super) at: usize,
    /// Its first atom; empty when that is a list.
    pub(super) key: String,
    /// The atoms after it.
    pub(super) atoms: Vec<String>,
}

impl Form {
    /// The words of its atoms: `'network-bridge netdev=eth0'` is two.
    pub(super) fn words(&self) -> impl Iterator<Item = &str> {
        self.atoms.iter().flat_map(|atom| atom.split_whitespace())
    }
}

/// Whether the first thing in a text is a parenthesis.
pub(super) fn is_sxp(text: &str) -> bool {
    let code = |line: &&str| !line.is_empty() && !line.starts_with('#');
    text.lines().map(str::trim_start).find(code).is_some_and(|line| line.starts_with('('))
}

/// Every outermost list, in order. An unpaired parenthesis, an unfinished string or a word outside of all lists is an
/// error.
pub(super) fn forms(text: &str) -> Result<Vec<Form>, ConfigError> {
    let mut forms = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let mut form: Option<Form> = None;
    let mut rest = Scanner { text, at: 0 };
    while let Some((at, token)) = rest.token()? {
        match token {
            Token::Open => {
                if open.is_empty() {
                    form = Some(Form { at, key: String::new(), atoms: Vec::new() });
                }
                open.push(at);
            }
            Token::Close => {
                if open.pop().is_none() {
                    return Err(ConfigError::at(text, at, "\")\" without a \"(\""));
                }
                if open.is_empty() {
                    forms.extend(form.take());
                }
            }
            Token::Atom(atom) => match (&mut form, open.len()) {
                (Some(form), 1) if form.key.is_empty() && form.atoms.is_empty() => form.key = atom,
                (Some(form), 1) => form.atoms.push(atom),
                (Some(_), _) => {}
                (None, _) => {
                    return Err(ConfigError::at(
                        text,
                        at,
                        "expected \"(\", or \"#\" for a comment",
                    ));
                }
            },
        }
    }
    match open.first() {
        Some(at) => Err(ConfigError::at(text, *at, "\"(\" without a \")\"")),
        None => Ok(forms),
    }
}

enum Token {
    Open,
    Close,
    Atom(String),
}

struct Scanner<'t> {
    text: &'t str,
    at: usize,
}

impl Scanner<'_> {
    fn token(&mut self) -> Result<Option<(usize, Token)>, ConfigError> {
        while let Some(c) = self.peek() {
            if c == '#' {
                while self.peek().is_some_and(|c| c != '\n') {
                    self.next();
                }
            } else if c.is_whitespace() {
                self.next();
            } else {
                break;
            }
        }
        let at = self.at;
        let Some(c) = self.peek() else { return Ok(None) };
        let token = match c {
            '(' | ')' => {
                self.next();
                if c == '(' { Token::Open } else { Token::Close }
            }
            '\'' | '"' => Token::Atom(self.string(at)?),
            _ => {
                let mut atom = String::new();
                while let Some(c) =
                    self.peek().filter(|c| !c.is_whitespace() && !"()'\"".contains(*c))
                {
                    self.next();
                    atom.push(c);
                }
                Token::Atom(atom)
            }
        };
        Ok(Some((at, token)))
    }

    /// What is in quotes; a backslash takes the next character as it is.
    fn string(&mut self, at: usize) -> Result<String, ConfigError> {
        let quote = self.next();
        let mut string = String::new();
        loop {
            match self.next() {
                c if c == quote && c.is_some() => return Ok(string),
                Some('\\') => string.extend(self.next()),
                Some(c) => string.push(c),
                None => return Err(ConfigError::at(self.text, at, "a string without an end")),
            }
        }
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
