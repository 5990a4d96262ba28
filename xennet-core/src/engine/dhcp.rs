//! What dnsmasq knows of guests: a file for each vif in a directory that it watches, below `/run/xennet`.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Error;
use crate::config::dnsmasq::{HOSTS, PID};
use crate::errno::uninterrupted;

/// Makes the directory, which must be there when dnsmasq starts.
pub(crate) fn make_dir(run_dir: &Path) -> Result<(), Error> {
    let dir = run_dir.join(HOSTS);
    let make = || -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o755).create(&dir)?;
        // Whatever the umask: dnsmasq does not read it as root, and nobody else writes to it.
        readable(run_dir, 0o755)?;
        fs::set_permissions(&dir, Permissions::from_mode(0o755))
    };
    uninterrupted(make).map_err(|error| failed("make the directory", &dir, error))
}

/// Writes a file of the directory, all at once: dnsmasq finds the whole of it. `new` says whether it has not read one of
/// that name before.
pub(crate) fn write(path: &Path, text: &str, new: bool) -> Result<(), Error> {
    let (Some(run_dir), Some(name)) = (path.parent().and_then(Path::parent), path.file_name())
    else {
        return Err(failed("write", path, ErrorKind::InvalidInput.into()));
    };
    make_dir(run_dir)?;
    // Beside the directory: dnsmasq reads whatever appears in it.
    let draft = run_dir.join(name).with_added_extension("dhcp");
    let write = || -> io::Result<()> {
        let mut file =
            File::options().create(true).truncate(true).write(true).mode(0o600).open(&draft)?;
        file.write_all(text.as_bytes())?;
        file.set_permissions(Permissions::from_mode(0o644))?;
        uninterrupted(|| fs::rename(&draft, path))
    };
    write().map_err(|error| {
        let _ = fs::remove_file(&draft);
        failed("write", path, error)
    })?;
    if !new {
        reload(run_dir);
    }
    Ok(())
}

/// Removes a file of the directory; that it is gone is no error.
pub(crate) fn delete(path: &Path) -> Result<(), Error> {
    match uninterrupted(|| fs::remove_file(path)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed("remove", path, error)),
        _ => {
            path.parent().and_then(Path::parent).map(reload);
            Ok(())
        }
    }
}

/// Has dnsmasq forget what it has read of files that have changed or gone (SIGHUP): by itself it reads only what is new.
///
/// Where its process is not known, or is another one by now, nobody is told.
fn reload(run_dir: &Path) {
    let Ok(text) = fs::read_to_string(run_dir.join(PID)) else { return };
    let Ok(pid) = text.trim().parse::<i32>() else { return };
    let is_dnsmasq = fs::read_to_string(format!("/proc/{pid}/comm"))
        .is_ok_and(|name| name.trim_end() == "dnsmasq");
    if is_dnsmasq && pid > 1 {
        let _ = kill(Pid::from_raw(pid), Signal::SIGHUP);
    }
}

/// Lets everybody read what root's umask may have kept to root.
fn readable(path: &Path, mode: u32) -> io::Result<()> {
    if fs::metadata(path)?.permissions().mode() & mode == mode {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(mode))
}

fn failed(doing: &'static str, path: &Path, source: io::Error) -> Error {
    Error::File { doing, path: path.to_owned(), source }
}
