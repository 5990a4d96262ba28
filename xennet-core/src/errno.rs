//! What the system says when it refuses something.

use std::{fmt, io};

/// An error number, as the C library has it in words: `Permission denied (errno 13)`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Errno(pub(crate) i32);

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The standard library has no other way to strerror(), and appends " (os error 13)".
        let text = io::Error::from_raw_os_error(self.0).to_string();
        let words = match text.split(" (os error").next().unwrap_or_default() {
            // musl knows the usual ones only.
            "No error information" => nix::errno::Errno::from_raw(self.0).desc(),
            words => words,
        };
        write!(f, "{words} (errno {})", self.0)
    }
}

/// Makes a system call again for as long as a signal interrupts it.
pub(crate) fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_number() {
        for (errno, said) in [
            (libc::EPERM, "Operation not permitted (errno 1)"),
            (libc::EXFULL, "Exchange full (errno 54)"),
        ] {
            assert_eq!(Errno(errno).to_string(), said);
        }
    }
}
