//! What requests say, taken apart as xenstored does.

use super::super::wire;

/// The outcome of a request; an error is the errno that the client gets.
pub(super) type Result<T> = std::result::Result<T, i32>;

/// The payload of an answer without content.
pub(super) const OK: &[u8] = b"OK\0";

/// A path as the tree has it, if xenstored would take it.
pub(super) fn absolute(path: &[u8], domid: u16) -> Result<String> {
    let path = match path.first() {
        Some(b'/') => text(path)?.to_owned(),
        Some(b'@') => return Err(libc::EINVAL),
        _ => format!("{}/{}", directory_of(domid), text(path)?),
    };
    wire::check_path(path.as_bytes()).map_err(|_| libc::EINVAL)?;
    Ok(path)
}

pub(super) fn directory_of(domid: u16) -> String {
    format!("/local/domain/{domid}")
}

/// The payload's only string.
pub(super) fn one(payload: &[u8]) -> Result<&[u8]> {
    let (text, rest) = split(payload)?;
    if rest.is_empty() { Ok(text) } else { Err(libc::EINVAL) }
}

/// The payload's only two strings.
pub(super) fn two(payload: &[u8]) -> Result<(&[u8], &[u8])> {
    let (first, rest) = split(payload)?;
    Ok((first, one(rest)?))
}

/// The payload's first string, and what follows it.
pub(super) fn split(payload: &[u8]) -> Result<(&[u8], &[u8])> {
    let end = payload.iter().position(|b| *b == 0).ok_or(libc::EINVAL)?;
    Ok((payload.get(..end).unwrap_or_default(), payload.get(end + 1..).unwrap_or_default()))
}

pub(super) fn text(bytes: &[u8]) -> Result<&str> {
    str::from_utf8(bytes).map_err(|_| libc::EINVAL)
}

pub(super) fn number(bytes: &[u8]) -> Result<u16> {
    text(bytes)?.parse().map_err(|_| libc::EINVAL)
}
