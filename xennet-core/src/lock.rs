//! One process at a time per vif, and no lock that all vifs share.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::Error;

/// Holds the lock of one vif until dropped. The kernel releases it if the process dies, so it cannot go stale.
#[derive(Debug)]
pub(crate) struct Lock {
    // Open for as long as the lock is held.
    _file: File,
    path: PathBuf,
}

impl Lock {
    /// Takes the lock called `name` below `dir`, which is made if need be; an error when somebody holds it until the
    /// deadline.
    pub(crate) fn take(dir: &Path, name: &str, deadline: Instant) -> Result<Self, Error> {
        let path = dir.join(format!("{name}.lock"));
        let failed = |doing, source| Error::File { doing, path: path.clone(), source };
        let began = Instant::now();
        loop {
            let file = match open(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    make(dir).map_err(|error| failed("make the directory of", error))?;
                    open(&path)
                }
                opened => opened,
            }
            .map_err(|error| failed("open the lock", error))?;
            match file.try_lock() {
                // Whoever held it may have removed it meanwhile: then this is the lock of nothing.
                Ok(()) if is_there(&file) => return Ok(Self { _file: file, path }),
                Ok(()) => {}
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    sleep(Duration::from_millis(1));
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(Error::Locked { path, waited: began.elapsed() });
                }
                Err(TryLockError::Error(error)) => return Err(failed("take the lock", error)),
            }
        }
    }

    /// Whether somebody holds the lock called `name` below `dir`. Touches nothing.
    pub(crate) fn is_held(dir: &Path, name: &str) -> Result<bool, Error> {
        let path = dir.join(format!("{name}.lock"));
        let failed = |source| Error::File { doing: "open the lock", path: path.clone(), source };
        let file = match File::open(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            opened => opened.map_err(failed)?,
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// Gives the lock back and leaves no file: for a vif that is gone.
    pub(crate) fn remove(self) {
        // While it is held, so that whoever waits sees that the file it has open is no longer in the directory.
        let _ = fs::remove_file(&self.path);
    }
}

fn make(dir: &Path) -> std::io::Result<()> {
    // Whatever the umask: whoever can make files in it can keep us out.
    DirBuilder::new().recursive(true).mode(0o755).create(dir)
}

fn open(path: &Path) -> std::io::Result<File> {
    // For nobody else: whoever can open a file can lock it, and keep us out.
    File::options().create(true).truncate(false).write(true).mode(0o600).open(path)
}

/// Whether the file still has its name: nobody ever gives it another.
fn is_there(file: &File) -> bool {
    file.metadata().is_ok_and(|meta| meta.nlink() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn one_at_a_time_even_while_the_file_comes_and_goes() {
        let dir = std::env::temp_dir().join(format!("xennet-lock-{}", std::process::id()));
        let inside = Arc::new(AtomicU32::new(0));
        let threads: Vec<_> = (0..8)
            .map(|thread| {
                let (dir, inside) = (dir.clone(), Arc::clone(&inside));
                std::thread::spawn(move || {
                    for turn in 0..50 {
                        let lock =
                            Lock::take(&dir, "vif3.0", Instant::now() + Duration::from_mins(1))
                                .unwrap();
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two held the lock");
                        std::thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                        if (thread + turn) % 2 == 0 {
                            lock.remove();
                        }
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        fs::remove_dir_all(&dir).unwrap();
    }
}
