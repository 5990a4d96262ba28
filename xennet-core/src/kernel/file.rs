use std::fs::File;
use std::io;
use std::path::Path;

use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::Mode;

use crate::errno::uninterrupted;

/// Opens a file, which a child process does not inherit; one that is created is for its owner alone.
///
/// musl's `open` makes a second system call for `O_CLOEXEC`, its `openat` does not.
pub(crate) fn open(path: &Path, flags: OFlag) -> io::Result<File> {
    let mode = Mode::S_IRUSR | Mode::S_IWUSR;
    uninterrupted(|| Ok(openat(AT_FDCWD, path, flags | OFlag::O_CLOEXEC, mode)?.into()))
}
