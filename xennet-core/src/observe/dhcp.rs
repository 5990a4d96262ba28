//! The files that tell dnsmasq which guest has which address: one for each vif, below `/run/xennet`.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::Facts;
use crate::Error;
use crate::config::dnsmasq::HOSTS;
use crate::errno::uninterrupted;
use crate::types::VifId;

impl Facts<'_> {
    /// The file of a vif, by netback's name, which no guest can choose.
    pub(crate) fn dhcp_file(&self, vif: VifId) -> PathBuf {
        self.paths.run.join(HOSTS).join(format!("vif{vif}"))
    }
}

/// The text of a file; none when there is no such file.
pub(crate) fn dhcp_text(path: &Path) -> Result<Option<String>, Error> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(path, error)),
    }
}

/// The texts of all files but this one.
pub(crate) fn other_dhcp_texts(path: &Path) -> Result<Vec<String>, Error> {
    let Some(dir) = path.parent() else { return Ok(Vec::new()) };
    let entries = uninterrupted(|| match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries?.collect(),
    });
    let mut texts = Vec::new();
    for entry in entries.map_err(|error| failed(dir, error))? {
        let other = entry.path();
        if other != path && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            texts.extend(dhcp_text(&other)?);
        }
    }
    Ok(texts)
}

fn failed(path: &Path, source: io::Error) -> Error {
    Error::File { doing: "read", path: path.to_owned(), source }
}
