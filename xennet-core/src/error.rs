use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::ConfigError;
use crate::errno::Errno;
use crate::plan::PlanError;
use crate::trial::{RolledBack, Unconfirmed};
use crate::types::{IfName, ParseError};
use crate::{kernel, ovsdb, xenstore};

/// Why something could not be done. Its text is one complete line: what was attempted, on what, what the system
/// answered, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A value is not what its key wants.
    #[error(transparent)]
    Value(#[from] ParseError),

    /// What is wanted contradicts what there is.
    #[error(transparent)]
    Plan(#[from] PlanError),

    /// The kernel refused, or did not answer.
    #[error(transparent)]
    Kernel(#[from] kernel::Error),

    /// Somebody else changed the ruleset of nftables between our looking at it and our changing it.
    #[error(transparent)]
    Overtaken(kernel::Error),

    /// XenStore refused, or did not answer.
    #[error(transparent)]
    XenStore(#[from] xenstore::Error),

    /// Open vSwitch refused, or did not answer.
    #[error(transparent)]
    Ovsdb(#[from] ovsdb::Error),

    /// XenStore knows no such backend.
    #[error(
        "{path}: XenStore has no such backend; is the guest running? Without XenStore, use --no-store"
    )]
    NoBackend {
        /// The backend's directory.
        path: String,
    },

    /// The backend was removed from XenStore during the operation.
    #[error(
        "{path}: the backend was removed from XenStore during the plug; was its guest destroyed?"
    )]
    BackendRemoved {
        /// The backend's directory.
        path: String,
    },

    /// Elements of the guard that are about to end did not end.
    #[error("guard: elements that are about to end are still in the kernel after {} s; try again", .waited.as_secs())]
    Unsettled {
        /// How long it was waited for.
        waited: Duration,
    },

    /// The interface went away while it was worked on.
    #[error("{link}: the interface went away during the plug; was its guest destroyed?")]
    Vanished {
        /// The interface.
        link: IfName,
    },

    /// The kernel said that it made a change, and then showed that it had not.
    #[error(
        "{change}: the kernel accepted this and ignored it; is another program managing the interface?"
    )]
    Ignored {
        /// The change.
        change: String,
    },

    /// Another process holds the vif's lock for too long.
    #[error("lock {}: another xennet has held it for {} s; see `fuser {0}`", .path.display(), .waited.as_secs())]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// How long it was waited for.
        waited: Duration,
    },

    /// An earlier start is yet to be confirmed.
    #[error("{0}; `xennet network confirm` keeps it, `xennet network stop` gives it back")]
    Unconfirmed(Unconfirmed),

    /// There is no start to confirm.
    #[error("no start waits to be confirmed{}", .rolled_back.as_ref().map(|last| format!(": {last}")).unwrap_or_default())]
    NothingToConfirm {
        /// The one that was taken back.
        rolled_back: Option<RolledBack>,
    },

    /// A start that died midway cannot be confirmed.
    #[error("the start ended before it was done; `xennet network stop` gives back what it took")]
    Unfinished,

    /// The process that was to take a start back is gone.
    #[error("the watchdog (process {watchdog}) is gone: nobody would take the start back")]
    Unwatched {
        /// Its number.
        watchdog: u32,
    },

    /// There is nobody to take a start back, so it was not begun.
    #[error(
        "{doing}: {source}; nothing was changed, because nobody would take it back; `--confirm-timeout 0` does without"
    )]
    NoWatchdog {
        /// What was attempted.
        doing: &'static str,
        /// The system's answer, or the watchdog's.
        source: io::Error,
    },

    /// There is no interface of that name.
    #[error("{name}: no such interface")]
    NoInterface {
        /// The name.
        name: IfName,
    },

    /// A gateway that answered before a start did not any more.
    #[error(
        "gateway {gateway} dev {link} did not answer within {} s after the start, but had before", .waited.as_secs_f32()
    )]
    Silent {
        /// Its address.
        gateway: IpAddr,
        /// Where it was asked.
        link: IfName,
        /// How long it was waited for.
        waited: Duration,
    },

    /// A hook failed.
    #[error("hook {}: {outcome}; correct or remove it", .path.display())]
    Hook {
        /// The executable.
        path: PathBuf,
        /// What became of it.
        outcome: String,
    },

    /// A command that the configuration asks for failed.
    #[error("{command}: {outcome}")]
    Command {
        /// The command line.
        command: String,
        /// What became of it.
        outcome: String,
    },

    /// A file could not be used.
    #[error("{doing} {}: {source}", .path.display())]
    File {
        /// What was attempted.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },

    /// The system refused something that has no file.
    #[error("{doing}: {}", Errno(*errno))]
    System {
        /// What was attempted.
        doing: &'static str,
        /// The system's answer.
        errno: i32,
    },

    /// The configuration file is wrong.
    #[error("{}: {source}", .path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// Where, and why.
        source: ConfigError,
    },

    /// The call itself is wrong.
    #[error("{0}")]
    Usage(String),

    /// The guard of a port cannot be restored.
    #[error("the guard of {port} cannot be restored: {reason}")]
    Unguarded {
        /// The interface.
        port: IfName,
        /// Why.
        reason: Box<Error>,
    },

    /// A change was not made, because one before it failed: it would have removed the only copy of an address or route, or
    /// the guard of a port that passes frames.
    #[error("{0}: not done, because what it depends on failed")]
    Kept(String),

    /// A change failed, and so did taking back one that came before it.
    #[error("{first}; and taking back what was done failed: {undo}")]
    HalfUndone {
        /// Why the change failed.
        first: Box<Error>,
        /// Why it could not all be taken back.
        undo: Box<Error>,
    },
}

impl Error {
    /// The errno that comes nearest: the kernel's or XenStore's own where there is one.
    pub fn errno(&self) -> i32 {
        match self {
            Self::Value(error) => error.errno(),
            Self::Plan(error) => error.errno(),
            Self::Kernel(error) => error.errno(),
            Self::Overtaken(_) | Self::Unsettled { .. } => libc::EAGAIN,
            Self::XenStore(error) => error.errno(),
            Self::Ovsdb(error) => error.errno(),
            Self::NoBackend { .. }
            | Self::BackendRemoved { .. }
            | Self::NothingToConfirm { .. } => libc::ENOENT,
            Self::Vanished { .. } | Self::NoInterface { .. } => libc::ENODEV,
            Self::Ignored { .. } | Self::Hook { .. } | Self::Command { .. } | Self::Kept(_) => {
                libc::EIO
            }
            Self::Locked { .. } | Self::Unconfirmed(_) | Self::Unfinished => libc::EBUSY,
            Self::Unwatched { .. } => libc::ESRCH,
            Self::Silent { .. } => libc::EHOSTUNREACH,
            Self::File { source, .. } | Self::NoWatchdog { source, .. } => {
                source.raw_os_error().unwrap_or(libc::EIO)
            }
            Self::System { errno, .. } => *errno,
            Self::Config { .. } | Self::Usage(_) => libc::EINVAL,
            Self::HalfUndone { first: error, .. } | Self::Unguarded { reason: error, .. } => {
                error.errno()
            }
        }
    }

    /// The kernel's own words where it gave any: `Can not enslave a bridge to a bridge`. They end the text as well.
    pub fn detail(&self) -> Option<&str> {
        match self {
            Self::Kernel(error) => error.detail(),
            Self::HalfUndone { first: error, .. } | Self::Unguarded { reason: error, .. } => {
                error.detail()
            }
            _ => None,
        }
    }
}
