use std::{fmt, io};

use crate::errno::Errno;

/// What was being done, what the kernel answered, and in its own words why.
///
/// Its text is one line: `link set vif3.0 master xenbr0: Too many levels of symbolic links (errno 40): Can not
/// enslave a bridge to a bridge`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    doing: String,
    kind: ErrorKind,
    errno: i32,
    detail: Option<String>,
}

/// How a request to the kernel failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The kernel said no: [`Error::errno`] says how, [`Error::detail`] why.
    Refused,
    /// No answer came within five seconds (`ETIMEDOUT`): whether the change was made is not known.
    TimedOut,
    /// The answer was lost for want of room in the socket (`ENOBUFS`): whether the change was made is not known.
    Lost,
    /// A list changed each time that it was read (`EBUSY`).
    Changing,
    /// An answer did not fit into the buffer (`EMSGSIZE`).
    Truncated,
    /// An answer broke the rules of netlink (`EPROTO`).
    Malformed,
    /// The kernel took a setting that it does not have, and did nothing (`EOPNOTSUPP`).
    Ignored,
    /// The system refused a call on the socket: whether the change was made is not known.
    System,
}

impl Error {
    /// The system's error number.
    pub fn errno(&self) -> i32 {
        self.errno
    }

    /// The kernel's own words, or ours where it has none; often there are none at all.
    pub fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }

    /// How it failed.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether a change that failed in this way may have been made all the same: the kernel did not refuse it, but its
    /// answer was not read.
    pub(crate) fn is_uncertain(&self) -> bool {
        !matches!(self.kind, ErrorKind::Refused | ErrorKind::Ignored)
    }

    /// The same failure of something else: replaces the words before the first colon.
    #[must_use]
    pub fn doing(mut self, what: impl Into<String>) -> Self {
        self.doing = what.into();
        self
    }

    pub(super) fn refused(errno: i32, detail: Option<String>) -> Self {
        Self { doing: String::new(), kind: ErrorKind::Refused, errno, detail }
    }

    pub(crate) fn of(kind: ErrorKind, detail: impl Into<String>) -> Self {
        let errno = match kind {
            ErrorKind::TimedOut => libc::ETIMEDOUT,
            ErrorKind::Lost => libc::ENOBUFS,
            ErrorKind::Changing => libc::EBUSY,
            ErrorKind::Truncated => libc::EMSGSIZE,
            ErrorKind::Refused | ErrorKind::Malformed => libc::EPROTO,
            ErrorKind::System => libc::EIO,
            ErrorKind::Ignored => libc::EOPNOTSUPP,
        };
        Self { doing: String::new(), kind, errno, detail: Some(detail.into()) }
    }

    /// Explains an error number that the kernel sends without words.
    #[must_use]
    pub(super) fn explain(mut self, errno: i32, words: &str) -> Self {
        if self.errno == errno && self.detail.is_none() {
            self.detail = Some(words.to_owned());
        }
        self
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        let (errno, detail) = match error.raw_os_error() {
            Some(errno) => (errno, None),
            None => (libc::EIO, Some(error.to_string())),
        };
        Self { doing: String::new(), kind: ErrorKind::System, errno, detail }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.doing, Errno(self.errno))?;
        match &self.detail {
            Some(detail) => write!(f, ": {detail}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_complete_line() {
        let error =
            Error::refused(libc::ELOOP, Some("Can not enslave a bridge to a bridge".to_owned()));
        assert_eq!(
            error.doing("link set vif3.0 master xenbr0").to_string(),
            "link set vif3.0 master xenbr0: Too many levels of symbolic links (errno 40): \
             Can not enslave a bridge to a bridge"
        );
        let error = Error::refused(libc::ENODEV, None).doing("link delete vif3.0");
        assert_eq!(error.to_string(), "link delete vif3.0: No such device (errno 19)");
    }

    #[test]
    fn explains_only_what_has_no_words() {
        let silent = Error::refused(libc::EXFULL, None);
        assert_eq!(silent.clone().explain(libc::EXFULL, "full").detail(), Some("full"));
        assert_eq!(silent.explain(libc::ENODEV, "gone").detail(), None);
        let loud = Error::refused(libc::EXFULL, Some("kernel".to_owned()));
        assert_eq!(loud.explain(libc::EXFULL, "full").detail(), Some("kernel"));
    }
}
