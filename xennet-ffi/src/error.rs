use std::ffi::{CString, c_char, c_int};

use xennet_core::config::ConfigError;
use xennet_core::types::ParseError;

use crate::c_text::{c_line, pointer};

/// Why a call failed.
#[derive(Debug)]
pub struct Error {
    errno: c_int,
    message: CString,
    detail: Option<CString>,
}

impl Error {
    pub(crate) fn errno(&self) -> c_int {
        self.errno
    }

    /// Something is wrong with the call itself.
    pub(crate) fn invalid(message: &str) -> Self {
        Self { errno: libc::EINVAL, message: c_line(message), detail: None }
    }

    /// Something is wrong with this library.
    pub(crate) fn internal(said: &str) -> Self {
        let message = format!(
            "internal error: {said}; please report it, and use no handle of that call again"
        );
        Self { errno: libc::ENOTRECOVERABLE, message: c_line(&message), detail: None }
    }
}

impl From<&xennet_core::Error> for Error {
    fn from(error: &xennet_core::Error) -> Self {
        // A number that is none would look like success.
        let errno = Some(error.errno()).filter(|errno| *errno > 0).unwrap_or(libc::EIO);
        Self { errno, message: c_line(&error.to_string()), detail: error.detail().map(c_line) }
    }
}

impl From<xennet_core::Error> for Error {
    fn from(error: xennet_core::Error) -> Self {
        Self::from(&error)
    }
}

impl From<ParseError> for Error {
    fn from(error: ParseError) -> Self {
        xennet_core::Error::from(error).into()
    }
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        Self::invalid(&error.to_string())
    }
}

/// The errno, positive: what the call returned, negated. 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_error_errno(error: Option<&Error>) -> c_int {
    error.map_or(0, Error::errno)
}

/// What was attempted, on what, what the system answered, and what to do about it, as one line
/// without an end of line. It lives as long as the error. NULL for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_error_message(error: Option<&Error>) -> *const c_char {
    pointer(error.map(|error| &error.message))
}

/// The kernel's own words (NETLINK_EXT_ACK), such as "Can not enslave a bridge to a bridge", or
/// NULL when it gave none. The message has them too. It lives as long as the error.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_error_detail(error: Option<&Error>) -> *const c_char {
    pointer(error.and_then(|error| error.detail.as_ref()))
}

/// Frees an error. NULL is fine.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_error_free(error: Option<Box<Error>>) {
    drop(error);
}
