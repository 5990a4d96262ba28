use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::error::Error;
use crate::errno::uninterrupted;
use crate::types::{Family, Sysctl};

/// A setting; none when the kernel has no such setting, interface, or protocol. `sysctl net/ipv4/conf/NAME/KEY`
///
/// In the network namespace that the calling thread is in now.
pub fn sysctl(which: &Sysctl) -> Result<Option<String>, Error> {
    match File::open(path(which)).and_then(|file| read_whole(&file)) {
        Ok(text) => Ok(Some(text.trim_end().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        // `stable_secret` has nothing to say before it is set.
        Err(error) if error.raw_os_error() == Some(libc::EIO) => Ok(None),
        Err(error) => Err(Error::from(error).doing(format!("sysctl {which}"))),
    }
}

/// Changes a setting. `sysctl -w net/ipv4/conf/NAME/KEY=VALUE`
///
/// An error (`ENOENT`) when the kernel has no such setting, interface, or protocol. In the network namespace that
/// the calling thread is in now.
pub fn sysctl_set(which: &Sysctl, value: &str) -> Result<(), Error> {
    let write = || {
        // Not fs::write, which would try to make a file where there is none.
        let mut file = fs::OpenOptions::new().write(true).open(path(which))?;
        Ok(io::Write::write_all(&mut file, value.as_bytes())?)
    };
    write().map_err(|error: Error| error.doing(format!("sysctl -w {which}={value}")))
}

/// Whether `br_netfilter` hands bridged packets of this protocol to IP's own filters.
/// `sysctl net.bridge.bridge-nf-call-iptables`, `net.bridge.bridge-nf-call-ip6tables`
///
/// False where the kernel has no `br_netfilter`. In the network namespace that the calling thread is in now.
pub fn bridge_nf(family: Family) -> Result<bool, Error> {
    let key = match family {
        Family::V4 => "bridge-nf-call-iptables",
        Family::V6 => "bridge-nf-call-ip6tables",
    };
    let file = File::open(format!("/proc/sys/net/bridge/{key}"));
    match file.and_then(|file| read_whole(&file)) {
        Ok(text) => Ok(text.trim_end() != "0"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::from(error).doing(format!("sysctl net.bridge.{key}"))),
    }
}

/// Whether `br_netfilter` is there at all: few hosts need it.
pub(crate) fn has_bridge_nf() -> bool {
    Path::new("/proc/sys/net/bridge").exists()
}

/// A file of /proc that fits into one read, in one read: where its end is to be found out first, each costs two more
/// system calls.
pub(super) fn read_whole(file: &File) -> io::Result<String> {
    let mut text = [0; 512];
    let length = uninterrupted(|| file.read_at(&mut text, 0))?;
    Ok(String::from_utf8_lossy(text.get(..length).unwrap_or_default()).into_owned())
}

fn path(which: &Sysctl) -> String {
    format!("/proc/sys/{which}")
}
