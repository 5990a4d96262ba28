//! The payloads of answers, decoded.

use super::wire;

/// The number of a transaction that was started.
pub(super) fn transaction_id(answer: &[u8]) -> Option<u32> {
    one_text(answer).and_then(|text| text.parse().ok()).filter(|id| *id != 0)
}

/// The one text of an answer, with its NUL or, as oxenstored has it for some, without.
pub(super) fn one_text(answer: &[u8]) -> Option<String> {
    let text = answer.strip_suffix(b"\0").unwrap_or(answer);
    String::from_utf8(text.to_vec()).ok()
}

/// The texts of an answer, each with its NUL.
pub(super) fn texts(list: &[u8]) -> Option<Vec<String>> {
    wire::strings(list).map(|text| String::from_utf8(text.to_vec()).ok()).collect()
}

/// The generation that starts a part of a list, and the names after it.
pub(super) fn split_generation(part: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = part.iter().position(|b| *b == 0)?;
    Some((part.get(..end)?, part.get(end + 1..)?))
}
