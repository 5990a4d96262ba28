//! What nft keeps with a table, a rule, a set or an element, and what the kernel only stores: a type and a length of
//! one byte each, then a value, again and again.

use super::message::Messages;
use crate::kernel::attributes::text;

/// Adds a comment, if there is one, as an attribute of this type.
pub(super) fn put_comment(message: &mut Messages, kind: u16, comment: Option<&str>) {
    put(message, kind, comment, &[]);
}

/// Adds a comment and a note, as far as there are any, as an attribute of this type.
pub(super) fn put(message: &mut Messages, kind: u16, comment: Option<&str>, note: &[u8]) {
    let mut userdata = Vec::new();
    if let Some(comment) = comment {
        if comment.contains('\0') {
            message.flaw("a comment with a NUL in it");
        }
        // The limit is nft's: it shows no longer one.
        let Ok(length @ ..=128) = u8::try_from(comment.len().saturating_add(1)) else {
            message.flaw("a comment of more than 127 bytes");
            return;
        };
        userdata.extend([COMMENT, length]);
        userdata.extend(comment.as_bytes());
        userdata.push(0);
    }
    if !note.is_empty() {
        // With the longest comment it fills what the kernel keeps (256 bytes) nearly.
        let Ok(length @ ..=120) = u8::try_from(note.len()) else {
            message.flaw("a note of more than 120 bytes");
            return;
        };
        userdata.extend([NOTE, length]);
        userdata.extend(note);
    }
    if !userdata.is_empty() {
        message.put(kind, &userdata);
    }
}

/// The comment in an attribute's value; what is not UTF-8 of it is shown as U+FFFD.
pub(super) fn comment(userdata: &[u8]) -> Option<String> {
    find(userdata, COMMENT).map(text)
}

/// The note in an attribute's value; empty where there is none.
pub(super) fn note(userdata: &[u8]) -> Vec<u8> {
    find(userdata, NOTE).unwrap_or_default().to_vec()
}

fn find(userdata: &[u8], wanted: u8) -> Option<&[u8]> {
    let mut rest = userdata;
    while let [kind, length, tail @ ..] = rest {
        let (value, after) = tail.split_at_checked(usize::from(*length))?;
        if *kind == wanted {
            return Some(value);
        }
        rest = after;
    }
    None
}

/// The type is the same for tables, rules and elements.
const COMMENT: u8 = 0;
/// None of nft's: it passes over what it does not know.
const NOTE: u8 = 0x58;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_comment_is_found_behind_other_things() {
        assert_eq!(comment(b"\x01\x02ab\x00\x03tc\0").as_deref(), Some("tc"));
        assert_eq!(comment(b"\x01\x02ab"), None);
        assert_eq!(comment(b"\x00\x09tc\0"), None, "longer than what is there");
        assert_eq!(comment(b""), None);
    }

    #[test]
    fn what_nft_would_not_show_is_refused() {
        let put = |text: &str| {
            let mut message = Messages::default();
            message.begin(0, 0, crate::types::NftFamily::Bridge);
            put_comment(&mut message, 7, Some(text));
            message.into_bytes()
        };
        assert_eq!(put("tc").unwrap().get(20..), Some(b"\x09\0\x07\0\0\x03tc\0\0\0\0".as_slice()));
        assert!(put(&"x".repeat(127)).is_ok());
        assert_eq!(put(&"x".repeat(128)).unwrap_err().errno(), libc::EINVAL);
        assert_eq!(put(&"x".repeat(70_000)).unwrap_err().errno(), libc::EINVAL);
        assert_eq!(put("a\0b").unwrap_err().errno(), libc::EINVAL);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let _ = comment(&bytes);
        }
    }
}
