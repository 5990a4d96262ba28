//! What is to be known later, in files below `/run/xennet`: they last as long as what the kernel holds.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::marker::PhantomData;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Error;
use crate::errno::uninterrupted;

/// The file, whether it is there or not.
#[derive(Debug)]
pub(crate) struct Record<T> {
    path: PathBuf,
    holds: PhantomData<T>,
}

impl<T: Serialize + DeserializeOwned> Record<T> {
    pub(crate) fn new(run_dir: &Path, name: &str) -> Self {
        Self { path: run_dir.join(name), holds: PhantomData }
    }

    pub(crate) fn read(&self) -> Result<Option<T>, Error> {
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(self.failed("read the record", source)),
        };
        let record = serde_json::from_str(&text);
        let advised = |error: serde_json::Error| {
            io::Error::other(format!("{error}; `xennet network stop --force` goes on without it"))
        };
        record.map(Some).map_err(|error| self.failed("read the record", advised(error)))
    }

    /// Replaces the file atomically.
    pub(crate) fn write(&self, before: &T) -> Result<(), Error> {
        let failed = |source| self.failed("write the record", source);
        let text = serde_json::to_vec_pretty(before).map_err(|error| failed(error.into()))?;
        let new = self.path.with_extension("new");
        // The directory is there: the lock is in it.
        let mut file = File::options()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&new)
            .map_err(failed)?;
        let renamed = || uninterrupted(|| fs::rename(&new, &self.path));
        file.write_all(&text).and_then(|()| renamed()).map_err(|error| {
            let _ = fs::remove_file(&new);
            failed(error)
        })
    }

    /// Makes it what it was, or nothing.
    pub(crate) fn restore(&self, before: Option<&T>) -> Result<(), Error> {
        match before {
            Some(before) => self.write(before),
            None => match uninterrupted(|| fs::remove_file(&self.path)) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    Err(self.failed("remove the record", error))
                }
                _ => Ok(()),
            },
        }
    }

    fn failed(&self, doing: &'static str, source: io::Error) -> Error {
        Error::File { doing, path: self.path.clone(), source }
    }
}
