use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::errno::Errno;

/// Something that was wanted of XenStore, and why it was not had. Its text is one complete line.
///
/// ```text
/// xenstore write backend/vif/3/0/hotplug-status: Permission denied (errno 13)
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    doing: String,
    kind: ErrorKind,
}

/// The ways in which XenStore fails.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// XenStore answered with this errno. The connection is as good as before.
    Refused {
        /// The number of the answer's word on this system.
        errno: i32,
    },
    /// XenStore answered with an error that this library has no number for. The connection is as good as before.
    Unknown {
        /// XenStore's word for it.
        word: String,
    },
    /// Refused here, before anything was sent.
    Invalid {
        /// The number that XenStore would have answered with.
        errno: i32,
        /// What would have been right.
        why: &'static str,
    },
    /// The transaction clashed with others' changes each time.
    Conflict {
        /// How often it was tried.
        tries: u32,
    },
    /// There is no XenStore to connect to.
    Absent {
        /// Where it was looked for, and the errno of each attempt.
        tried: Vec<(PathBuf, i32)>,
    },
    /// The system refused a call on the connection. The connection is given up.
    System {
        /// The system's number for it.
        errno: i32,
    },
    /// No answer came in time. The connection is given up: a late answer would be taken for another's.
    TimedOut {
        /// How long was waited.
        after: Duration,
    },
    /// The other side closed the connection.
    Closed,
    /// The other side does not speak the protocol. The connection is given up.
    Protocol {
        /// What it said.
        what: String,
    },
    /// The connection was given up earlier: connect anew.
    Broken {
        /// The failure that broke it.
        first: String,
    },
}

impl Error {
    pub(super) fn new(doing: impl Into<String>, kind: ErrorKind) -> Self {
        Self { doing: doing.into(), kind }
    }

    /// What was wanted: `xenstore read backend/vif/3/0/mac`.
    pub fn doing(&self) -> &str {
        &self.doing
    }

    /// What went wrong.
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// The errno that says it best; never 0.
    pub fn errno(&self) -> i32 {
        match &self.kind {
            ErrorKind::Refused { errno }
            | ErrorKind::Invalid { errno, .. }
            | ErrorKind::System { errno } => *errno,
            ErrorKind::Unknown { .. } => libc::EIO,
            ErrorKind::Conflict { .. } => libc::EAGAIN,
            // That most places are not there is as it should be.
            ErrorKind::Absent { tried } => {
                let mut errnos = tried.iter().map(|(_, errno)| *errno);
                errnos.find(|errno| *errno != libc::ENOENT).unwrap_or(libc::ENOENT)
            }
            ErrorKind::TimedOut { .. } => libc::ETIMEDOUT,
            ErrorKind::Closed => libc::ECONNRESET,
            ErrorKind::Protocol { .. } => libc::EPROTO,
            ErrorKind::Broken { .. } => libc::ENOTCONN,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let errno = self.errno();
        write!(f, "{}: ", self.doing)?;
        match &self.kind {
            ErrorKind::Refused { .. } | ErrorKind::System { .. } => {
                write!(f, "{}", Errno(errno))
            }
            ErrorKind::Unknown { word } => {
                write!(f, "{}: XenStore said \"{}\"", Errno(errno), word.escape_debug())
            }
            ErrorKind::Invalid { why, .. } => write!(f, "{}: {why}", Errno(errno)),
            ErrorKind::Conflict { tries } => {
                write!(
                    f,
                    "{}: others changed the same nodes during each of {tries} tries",
                    Errno(errno)
                )
            }
            ErrorKind::Absent { tried } => {
                for (path, errno) in tried {
                    write!(f, "{}: {}; ", path.display(), Errno(*errno))?;
                }
                f.write_str(match errno {
                    libc::EACCES | libc::EPERM => "XenStore is root's: run as root",
                    libc::ETIMEDOUT => "xenstored hangs",
                    libc::EMFILE | libc::ENFILE => {
                        "this process may not have another file: raise `ulimit -n`"
                    }
                    libc::ENOMEM | libc::ENOBUFS => "the system is out of memory",
                    _ => "start xenstored, or name its socket in XENSTORED_PATH",
                })
            }
            ErrorKind::TimedOut { after } => {
                write!(f, "{}: no answer within {after:?}", Errno(errno))
            }
            ErrorKind::Closed => write!(f, "{}: XenStore closed the connection", Errno(errno)),
            ErrorKind::Protocol { what } => write!(f, "{}: {what}", Errno(errno)),
            ErrorKind::Broken { first } => {
                write!(
                    f,
                    "{}: the connection was given up earlier ({first}): connect anew",
                    Errno(errno)
                )
            }
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_that_says_what_to_do() {
        let absent = |errno| {
            let tried = vec![
                (PathBuf::from("/var/run/xenstored/socket"), errno),
                (PathBuf::from("/dev/xen/xenbus"), libc::ENOENT),
            ];
            Error::new("xenstore connect", ErrorKind::Absent { tried }).to_string()
        };
        assert_eq!(
            absent(libc::ENOENT),
            "xenstore connect: /var/run/xenstored/socket: No such file or directory (errno 2); \
             /dev/xen/xenbus: No such file or directory (errno 2); start xenstored, or name its socket in XENSTORED_PATH"
        );
        assert!(absent(libc::EACCES).ends_with("run as root"), "{}", absent(libc::EACCES));

        let refused = Error::new("xenstore write a/b", ErrorKind::Refused { errno: libc::EACCES });
        assert_eq!(refused.to_string(), "xenstore write a/b: Permission denied (errno 13)");
        assert_eq!(refused.errno(), libc::EACCES);
    }
}
