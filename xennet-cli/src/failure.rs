//! The failure of a command, and its exit status.

use std::{fmt, io};

use xennet_core::Error;

use xennet_cli::log::complain;

/// The reason that a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line is wrong.
    Usage(String),
    /// The operation failed.
    Failed(String),
    /// The operation did what it could; warnings say what is missing.
    Partial(String),
    /// The reader of the output closed the pipe, as `head` does.
    Unread,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Usage(text) => Self::Usage(text),
            error if [libc::EPERM, libc::EACCES].contains(&error.errno()) => {
                Self::Failed(format!("{error}; it takes root, or CAP_NET_ADMIN and XENNET_RUN_DIR"))
            }
            error => Self::Failed(error.to_string()),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Unread,
            _ => Self::Failed(format!("write the output: {error}")),
        }
    }
}

/// A wrong command line.
pub(crate) fn usage(error: impl fmt::Display) -> Failure {
    Failure::Usage(error.to_string())
}

/// Prints the error to standard error and returns the exit status.
pub(crate) fn finish(name: &str, done: Result<(), Failure>) -> u8 {
    let (code, text) = match done {
        Ok(()) | Err(Failure::Unread) => return 0,
        Err(Failure::Failed(text)) => (1, text),
        Err(Failure::Usage(text)) => (2, text),
        Err(Failure::Partial(text)) => (3, text),
    };
    complain(name, &text);
    code
}
