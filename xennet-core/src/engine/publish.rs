//! Writes to XenStore: `connected` after verification and hooks, or `error` and the reason.

use crate::Error;
use crate::plan::Change;
use crate::xenstore::{self, XenStore};

/// Makes changes of XenStore in one transaction, provided that the backend still exists.
///
/// What the toolstack has removed is not created again: an error when the backend's directory is gone, and another
/// directory that is gone is left alone.
pub(super) fn write(
    store: Option<&mut XenStore>,
    backend: Option<&str>,
    changes: &[Change],
) -> Result<(), Error> {
    // Plans that were made without XenStore hold no such change.
    let Some(store) = store else { return Ok(()) };
    let mut changes: Vec<Update<'_>> = changes.iter().filter_map(update).collect();
    while !changes.is_empty() {
        let missing = store.transaction(|store| {
            let directories: Vec<&str> = changes.iter().map(|one| directory(one.0)).collect();
            let (exist, outcome) = store.check_and_change(&directories, &changes)?;
            let missing = directories.iter().zip(exist).find(|(_, exists)| !exists);
            match missing {
                None => Ok(outcome?),
                Some((missing, _)) => Err(Refusal::Missing((*missing).to_owned())),
            }
        });
        match missing {
            Ok(()) => return Ok(()),
            Err(Refusal::Missing(path)) if Some(path.as_str()) == backend => {
                return Err(Error::BackendRemoved { path });
            }
            Err(Refusal::Missing(path)) => changes.retain(|one| directory(one.0) != path),
            Err(Refusal::Failed(error)) => return Err(error.into()),
        }
    }
    Ok(())
}

/// A path, and its new value; none removes it.
type Update<'c> = (&'c str, Option<&'c [u8]>);

/// Why a transaction is not committed.
enum Refusal {
    /// This directory does not exist.
    Missing(String),
    Failed(xenstore::Error),
}

impl From<xenstore::Error> for Refusal {
    fn from(error: xenstore::Error) -> Self {
        Self::Failed(error)
    }
}

/// What became of a vif that could not be attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remaining {
    /// The vif was connected before, and is again if undoing succeeded.
    Connected,
    /// It is not connected.
    Nothing,
    /// It is a tap: `hotplug-status` belongs to its vif.
    Tap,
}

/// Writes to XenStore why a vif could not be attached, after `unwritten`, which restores other values. xl prints
/// `hotplug-error`.
///
/// `hotplug-status` becomes `error`, unless it is `connected`, and the vif was connected before and is again.
///
/// Best effort: where the connection is broken a new one is opened, once more if that one breaks, and a further failure is
/// ignored.
pub(crate) fn report(
    store: Option<&mut XenStore>,
    backend: &str,
    error: &Error,
    remaining: Remaining,
    unwritten: &[Change],
) {
    // Writing would create the directory of a device that is gone.
    if matches!(error, Error::NoBackend { .. } | Error::BackendRemoved { .. }) {
        return;
    }
    let Some(store) = store else { return };
    let text = error.to_string();
    // A restored vif keeps `connected`: netback does not connect a vif a second time.
    let undone = !matches!(error, Error::HalfUndone { .. } | Error::Vanished { .. });
    let (reason, status) =
        (format!("{backend}/hotplug-error"), format!("{backend}/hotplug-status"));
    let mut tell = |store: &mut XenStore| {
        let values = store.read_many(&[backend, &status])?;
        let [Some(_), before] = values.as_slice() else { return Ok(()) };
        for (path, value) in unwritten.iter().filter_map(update) {
            // What the toolstack has removed is not created again.
            match value {
                Some(value) if store.read(directory(path))?.is_some() => {
                    store.write(path, value)?;
                }
                _ => {}
            }
        }
        let mut writes = vec![(reason.as_str(), shortened(&text).as_bytes())];
        let connected = before.as_deref() == Some(b"connected");
        let keeps = match remaining {
            Remaining::Connected => undone && connected,
            Remaining::Nothing => false,
            Remaining::Tap => true,
        };
        if !keeps {
            // After the reason: a reader that waits for the status reads the reason next.
            writes.push((status.as_str(), b"error"));
        }
        store.write_many(&writes)
    };
    for _ in 0..2 {
        if store.is_broken() {
            match store.reopen() {
                Ok(new) => *store = new,
                Err(_) => continue,
            }
        }
        let told: Result<(), xenstore::Error> = store.transaction(&mut tell);
        if told.is_ok() || !store.is_broken() {
            return;
        }
    }
}

fn update(change: &Change) -> Option<Update<'_>> {
    match change {
        Change::StoreWrite { path, value, .. } => Some((path, Some(value.as_bytes()))),
        Change::StoreRemove { path, .. } => Some((path, None)),
        _ => None,
    }
}

fn directory(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(directory, _)| directory)
}

/// A message short enough for any XenStore: oxenstored refuses values over 2048 bytes.
fn shortened(text: &str) -> &str {
    text.get(..text.floor_char_boundary(1024)).unwrap_or(text)
}
