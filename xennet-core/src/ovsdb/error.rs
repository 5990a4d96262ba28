use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::errno::Errno;
use crate::types::IfName;

/// What was wanted of Open vSwitch, and why it was not had. Its text is one complete line.
///
/// ```text
/// ovs-vsctl add-port br0 vif3.0: could not open network device vif3.0 (No such device)
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    doing: String,
    kind: ErrorKind,
}

/// The ways in which Open vSwitch fails.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Nobody listens at the database's socket.
    Absent {
        /// The socket.
        socket: PathBuf,
        /// The system's number for it.
        errno: i32,
    },
    /// The database has no bridge of that name.
    NoBridge {
        /// The bridge that was asked for.
        bridge: IfName,
    },
    /// Open vSwitch could not open the interface: `ofport` is -1.
    NoDevice {
        /// Its own words.
        reason: String,
    },
    /// The bridge has no datapath, so that its ports get no numbers: `ofport` stays empty.
    NoDatapath {
        /// The bridge.
        bridge: IfName,
    },
    /// The database has the change, and `ovs-vswitchd` did not carry it out in time.
    NotApplied {
        /// How long was waited.
        after: Duration,
    },
    /// OVN did not install the flows of the port in time: `ovn-installed` did not come.
    NotInstalled {
        /// By what OVN knows the port.
        iface_id: Option<String>,
        /// How long was waited.
        after: Duration,
    },
    /// Somebody else made a port of that name meanwhile.
    Exists,
    /// The database refused the transaction.
    Refused {
        /// Its word for it: `constraint violation`.
        error: String,
        /// What it says on that.
        details: String,
    },
    /// No answer came in time. The connection is given up: a late answer would be taken for another's.
    TimedOut {
        /// How long was waited.
        after: Duration,
    },
    /// The database closed the connection.
    Closed,
    /// The system refused a call on the connection. The connection is given up.
    System {
        /// The system's number for it.
        errno: i32,
    },
    /// The bridge did not take what it was told over its OpenFlow socket.
    OpenFlow {
        /// What it said, or how it was lost.
        what: String,
        /// The errno that comes nearest.
        errno: i32,
    },
    /// The other side does not speak the protocol. The connection is given up.
    Protocol {
        /// What it said.
        what: String,
    },
}

impl Error {
    pub(super) fn new(doing: impl Into<String>, kind: ErrorKind) -> Self {
        Self { doing: doing.into(), kind }
    }

    /// What was wanted: `ovs-vsctl add-port br0 vif3.0`.
    pub fn doing(&self) -> &str {
        &self.doing
    }

    /// How it failed.
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// The errno that comes nearest.
    pub fn errno(&self) -> i32 {
        match &self.kind {
            ErrorKind::Absent { errno, .. }
            | ErrorKind::System { errno }
            | ErrorKind::OpenFlow { errno, .. } => *errno,
            ErrorKind::NoBridge { .. }
            | ErrorKind::NoDevice { .. }
            | ErrorKind::NoDatapath { .. } => libc::ENODEV,
            ErrorKind::NotApplied { .. }
            | ErrorKind::NotInstalled { .. }
            | ErrorKind::TimedOut { .. } => libc::ETIMEDOUT,
            ErrorKind::Exists => libc::EEXIST,
            ErrorKind::Refused { .. } => libc::EINVAL,
            ErrorKind::Closed => libc::ECONNRESET,
            ErrorKind::Protocol { .. } => libc::EPROTO,
        }
    }

    /// Whether a change that failed in this way may have been committed all the same: its answer was not read.
    pub(crate) fn is_uncertain(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::TimedOut { .. } | ErrorKind::Closed | ErrorKind::System { .. }
        )
    }

    /// Whether the database has the change all the same.
    pub(super) fn follows_commit(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::NoDevice { .. }
                | ErrorKind::NoDatapath { .. }
                | ErrorKind::NotApplied { .. }
        )
    }

    /// Whether the connection is as good as before.
    pub(super) fn spares_connection(&self) -> bool {
        !matches!(
            self.kind,
            ErrorKind::TimedOut { .. }
                | ErrorKind::Closed
                | ErrorKind::System { .. }
                | ErrorKind::Protocol { .. }
        )
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.doing, self.kind)
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |time: &Duration| format!("{:.0} s", time.as_secs_f64());
        match self {
            Self::Absent { socket, errno } => write!(
                f,
                "no Open vSwitch database at {}: {}; start ovsdb-server, or correct socket of [ovs] in xennet.toml",
                socket.display(),
                Errno(*errno)
            ),
            Self::NoBridge { bridge } => write!(
                f,
                "Open vSwitch has no bridge {bridge}; make it with `ovs-vsctl add-br {bridge}`, or correct bridge="
            ),
            Self::NoDevice { reason } => f.write_str(reason),
            Self::NoDatapath { bridge } => write!(
                f,
                "bridge {bridge} has no working datapath, so the port got no number; see ovs-vswitchd.log, \
                 `modprobe openvswitch`"
            ),
            Self::NotApplied { after } => write!(
                f,
                "the database has it, and ovs-vswitchd did not carry it out within {}; is it running?",
                seconds(after)
            ),
            Self::NotInstalled { iface_id, after } => {
                let id = iface_id.as_deref().unwrap_or("none");
                write!(
                    f,
                    "OVN did not install the port (iface-id {id}) within {}; is there a logical switch port of that \
                     name, and does ovn-controller run?",
                    seconds(after)
                )
            }
            Self::Exists => f.write_str("somebody else made a port of that name meanwhile"),
            Self::Refused { error, details } if details.is_empty() => {
                write!(f, "the database refused it: {error}")
            }
            Self::Refused { error, details } => {
                write!(f, "the database refused it: {error}: {details}")
            }
            Self::TimedOut { after } => {
                write!(f, "the database did not answer within {}", seconds(after))
            }
            Self::Closed => f.write_str("the database closed the connection"),
            Self::System { errno } => Errno(*errno).fmt(f),
            Self::OpenFlow { what, .. } => write!(f, "OpenFlow: {what}"),
            Self::Protocol { what } => write!(f, "that is not OVSDB: {what}"),
        }
    }
}
