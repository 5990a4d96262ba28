//! File locks. Vifs share a lock only to create the guard's table, to choose addresses in a `[[nat]]`, and to change the VLANs
//! of one uplink.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;

use crate::errno::uninterrupted;
use crate::types::IfName;
use crate::{Error, kernel};

/// What a lock protects. Locks are taken in this order, so that no two operations wait for each other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LockName {
    /// The host's own network.
    Network,
    /// The creation and deletion of a bridge.
    Bridge(IfName),
    /// A vif or tap, by netback's or QEMU's name for it.
    Vif(IfName),
    /// The choice of addresses in a `[[nat]]`.
    Addresses,
    /// The VLANs of a bridge's uplink.
    Uplink(IfName),
    /// The creation, restoration and removal of the guard's tables.
    GuardTable,
    /// The life of a watchdog process.
    Watchdog(u32),
}

impl LockName {
    fn file(&self) -> String {
        match self {
            Self::Network => "network.lock".to_owned(),
            Self::Bridge(name) => format!("{name}.bridge.lock"),
            Self::Vif(name) => format!("{name}.lock"),
            Self::Addresses => "addresses.lock".to_owned(),
            Self::Uplink(bridge) => format!("{bridge}.uplink.lock"),
            Self::GuardTable => "guard.lock".to_owned(),
            Self::Watchdog(pid) => format!("network-watchdog-{pid}.lock"),
        }
    }
}

/// The locks of one operation.
#[derive(Debug)]
pub(crate) struct Locks<'p> {
    dir: &'p Path,
    deadline: Instant,
    best_effort: bool,
    /// None if the operation is best effort and the lock file could not be made.
    held: Vec<(LockName, Option<Lock>)>,
}

impl<'p> Locks<'p> {
    /// No lock yet; each one must be had by the deadline. With best effort, an operation goes on without a lock whose file
    /// cannot be created or opened.
    pub(crate) fn new(dir: &'p Path, deadline: Instant, best_effort: bool) -> Self {
        Self { dir, deadline, best_effort, held: Vec::new() }
    }

    /// Takes the missing locks. If one precedes a held one in the order of [`LockName`], releases all first; the caller
    /// then observes again.
    pub(crate) fn take(&mut self, names: &[LockName]) -> Result<(), Error> {
        let mut missing: Vec<LockName> = names.to_vec();
        missing.retain(|name| !self.holds(name));
        if self.held.iter().any(|(held, _)| missing.iter().any(|name| name < held)) {
            missing.extend(self.held.drain(..).map(|(name, _)| name));
        }
        missing.sort_unstable();
        missing.dedup();
        for name in missing {
            let lock = match Lock::take(self.dir, &name, self.deadline) {
                Err(Error::File { .. }) if self.best_effort => None,
                lock => Some(lock?),
            };
            self.held.push((name, lock));
        }
        Ok(())
    }

    pub(crate) fn holds(&self, name: &LockName) -> bool {
        self.held.iter().any(|(held, _)| held == name)
    }

    /// Releases all locks. The files of vifs' locks stay where `keep_vif_files`: a vif that stays attached needs its
    /// lock again.
    pub(crate) fn release(self, keep_vif_files: bool) {
        for (name, lock) in self.held.into_iter().rev() {
            if let Some(lock) = lock
                && !(keep_vif_files && matches!(name, LockName::Vif(_)))
            {
                lock.remove();
            }
        }
    }
}

/// Holds one lock until dropped. The kernel releases it if the process dies, so it cannot go stale.
#[derive(Debug)]
pub(crate) struct Lock {
    // Open for as long as the lock is held.
    _file: File,
    path: PathBuf,
}

impl Lock {
    /// Takes a lock, whose directory is created if need be; an error when another process holds it until the deadline.
    pub(crate) fn take(dir: &Path, name: &LockName, deadline: Instant) -> Result<Self, Error> {
        let path = dir.join(name.file());
        let failed = |doing, source| Error::File { doing, path: path.clone(), source };
        let began = Instant::now();
        loop {
            let file = match open(&path) {
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    uninterrupted(|| make(dir))
                        .map_err(|error| failed("make the directory of", error))?;
                    open(&path)
                }
                opened => opened,
            }
            .map_err(|error| failed("open the lock", error))?;
            match file.try_lock() {
                Ok(()) => {
                    let meta = uninterrupted(|| file.metadata());
                    if meta.map_err(|error| failed("look at the lock", error))?.nlink() > 0 {
                        return Ok(Self { _file: file, path });
                    }
                    // The holder unlinked the lock file; retry.
                }
                Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Interrupted => {}
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

    /// Whether any process holds the lock. Changes nothing.
    pub(crate) fn is_held(dir: &Path, name: &LockName) -> Result<bool, Error> {
        let path = dir.join(name.file());
        let failed = |source| Error::File { doing: "open the lock", path: path.clone(), source };
        let file = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            opened => opened.map_err(failed)?,
        };
        let held = uninterrupted(|| match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(error),
        });
        held.map_err(failed)
    }

    /// Releases the lock and removes its file.
    pub(crate) fn remove(self) {
        // While the lock is held: a waiting process then sees that its open file is unlinked.
        let _ = uninterrupted(|| fs::remove_file(&self.path));
    }
}

fn make(dir: &Path) -> std::io::Result<()> {
    // Whatever the umask: a user who can create files here could hold our locks.
    DirBuilder::new().recursive(true).mode(0o755).create(dir)
}

fn open(path: &Path) -> std::io::Result<File> {
    // For root alone: a user who can open a file can lock it.
    kernel::open(path, OFlag::O_WRONLY | OFlag::O_CREAT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::slice;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn minute() -> Instant {
        Instant::now() + Duration::from_mins(1)
    }

    #[test]
    fn lock_whose_file_is_removed_is_held_by_one_at_a_time() {
        let dir = std::env::temp_dir().join(format!("xennet-lock-{}", std::process::id()));
        let holders = Arc::new(AtomicU32::new(0));
        let name = LockName::Vif("vif3.0".parse().unwrap());
        let threads: Vec<_> = (0..8)
            .map(|thread| {
                let (dir, holders, name) = (dir.clone(), Arc::clone(&holders), name.clone());
                std::thread::spawn(move || {
                    for turn in 0..50 {
                        let lock = Lock::take(&dir, &name, minute()).unwrap();
                        assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0, "two held the lock");
                        std::thread::yield_now();
                        holders.fetch_sub(1, Ordering::SeqCst);
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

    #[test]
    fn locks_are_taken_in_order_whatever_the_order_of_the_questions() {
        let dir = std::env::temp_dir().join(format!("xennet-locks-{}", std::process::id()));
        let vif = LockName::Vif("vif3.0".parse().unwrap());
        let mut locks = Locks::new(&dir, minute(), false);
        let order =
            |locks: &Locks<'_>| locks.held.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        locks.take(&[LockName::GuardTable, vif.clone()]).unwrap();
        assert_eq!(order(&locks), [vif.clone(), LockName::GuardTable]);
        // It is held already.
        locks.take(slice::from_ref(&vif)).unwrap();
        assert_eq!(order(&locks), [vif.clone(), LockName::GuardTable]);
        locks.take(&[LockName::Addresses]).unwrap();
        assert_eq!(order(&locks), [vif.clone(), LockName::Addresses, LockName::GuardTable]);
        assert!(Lock::is_held(&dir, &vif).unwrap());
        locks.release(true);
        assert!(!Lock::is_held(&dir, &vif).unwrap());
        let left: Vec<_> =
            fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["vif3.0.lock"]);
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn best_effort_goes_on_without_a_lock_whose_file_cannot_be_made() {
        let (dir, name) = (Path::new("/proc/xennet"), LockName::GuardTable);
        assert!(Locks::new(dir, minute(), false).take(slice::from_ref(&name)).is_err());
        let mut locks = Locks::new(dir, minute(), true);
        locks.take(slice::from_ref(&name)).unwrap();
        assert!(locks.holds(&name));
        locks.release(false);
    }
}
