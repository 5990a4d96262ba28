//! Texts for C.

use std::ffi::{CString, c_char};
use std::ptr;

/// A text for C. What would end it early is left out.
pub(crate) fn c_text(text: impl Into<Vec<u8>>) -> CString {
    CString::new(text).unwrap_or_else(|error| {
        let mut bytes = error.into_vec();
        bytes.retain(|byte| *byte != 0);
        CString::new(bytes).expect("there is no NUL left in it")
    })
}

/// One line for C, whatever names of files and the like are in it.
pub(crate) fn c_line(text: &str) -> CString {
    let shown = |c: char| if c.is_control() { c.escape_debug().to_string() } else { c.to_string() };
    c_text(text.chars().map(shown).collect::<String>())
}

/// A text that is there or not, for C.
pub(crate) fn pointer(text: Option<&CString>) -> *const c_char {
    text.map_or(ptr::null(), |text| text.as_ptr())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_whatever_is_in_it() {
        assert_eq!(c_line("read ../\n\0ü").to_str(), Ok("read ../\\n\\0ü"));
    }

    #[test]
    fn a_nul_does_not_end_a_text() {
        assert_eq!(c_text("a\0b").to_str(), Ok("ab"));
    }
}
