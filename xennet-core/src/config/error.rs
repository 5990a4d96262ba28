/// Where the text of a configuration is wrong, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
#[non_exhaustive]
pub struct ConfigError {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl ConfigError {
    pub(super) fn at(text: &str, offset: usize, message: impl Into<String>) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        let message = shortened(&message.into().replace('\n', ", "));
        Self { line: before.matches('\n').count() + 1, column, message }
    }
}

/// A message without the rest of a long value that it quotes: no word of more than 64 characters, and no more than a page.
fn shortened(message: &str) -> String {
    const WORD: usize = 64;
    const PAGE: usize = 1024;
    let mut words = message.split(' ').map(|word| match word.char_indices().nth(WORD) {
        Some((end, _)) => format!("{}...", word.get(..end).unwrap_or(word)),
        None => word.to_owned(),
    });
    let mut text = words.next().unwrap_or_default();
    for word in words {
        if text.len() > PAGE {
            return text + " ...";
        }
        text = text + " " + &word;
    }
    text
}

/// At most 64 characters, and no control character: for a remark, which is one line.
pub(super) fn shown(text: &str) -> String {
    let cut: String = text.chars().take(64).collect();
    let dots = if cut.len() < text.len() { "..." } else { "" };
    format!("{}{dots}", cut.escape_debug())
}
