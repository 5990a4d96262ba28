use std::path::PathBuf;
use std::{fmt, fs, io};

use super::error::Error;
use crate::types::IfName;

/// An internet protocol, as `/proc/sys/net` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "there will be no third one")]
pub enum Family {
    /// IPv4
    V4,
    /// IPv6
    V6,
}

/// A setting of an interface; none when the kernel has no such setting, interface, or protocol.
/// `sysctl net/ipv4/conf/NAME/KEY`
///
/// In the network namespace that the calling thread is in now.
pub fn sysctl(family: Family, name: &IfName, key: &str) -> Result<Option<String>, Error> {
    let doing = || format!("sysctl net/{family}/conf/{name}/{key}");
    let path = path(family, name, key).map_err(|error| error.doing(doing()))?;
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim_end().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::from(error).doing(doing())),
    }
}

/// Changes a setting of an interface. `sysctl -w net/ipv4/conf/NAME/KEY=VALUE`
///
/// An error (`ENOENT`) when the kernel has no such setting, interface, or protocol. In the network namespace that
/// the calling thread is in now.
pub fn sysctl_set(family: Family, name: &IfName, key: &str, value: &str) -> Result<(), Error> {
    let write = || {
        // Not fs::write, which would try to make a file where there is none.
        let mut file = fs::OpenOptions::new().write(true).open(path(family, name, key)?)?;
        Ok(io::Write::write_all(&mut file, value.as_bytes())?)
    };
    write().map_err(|error: Error| {
        error.doing(format!("sysctl -w net/{family}/conf/{name}/{key}={value}"))
    })
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
    match fs::read_to_string(format!("/proc/sys/net/bridge/{key}")) {
        Ok(text) => Ok(text.trim_end() != "0"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::from(error).doing(format!("sysctl net.bridge.{key}"))),
    }
}

fn path(family: Family, name: &IfName, key: &str) -> Result<PathBuf, Error> {
    let refuse = |why: &str| Err(Error::refused(libc::EINVAL, Some(why.to_owned())));
    // The kernel lets an interface bear these names, and gives it no settings: they are everybody's.
    if matches!(name.as_str(), "all" | "default") {
        return refuse("these are the settings of all interfaces, not of one");
    }
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if key.is_empty() || !key.bytes().all(plain) {
        return refuse("no such key can be");
    }
    Ok(PathBuf::from(format!("/proc/sys/net/{family}/conf/{name}/{key}")))
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::V4 => "ipv4",
            Self::V6 => "ipv6",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_leads_out_of_the_interface() {
        let name = "vif1.0".parse().unwrap();
        for key in ["", "../all/forwarding", "a/b", "A", "a b", ".", "proxy_arp\0"] {
            assert_eq!(sysctl(Family::V4, &name, key).unwrap_err().errno(), libc::EINVAL, "{key}");
        }
        let path = path(Family::V6, &name, "disable_ipv6").unwrap();
        assert_eq!(path.to_str(), Some("/proc/sys/net/ipv6/conf/vif1.0/disable_ipv6"));
    }

    #[test]
    fn an_interface_called_all_is_not_all_interfaces() {
        for name in ["all", "default"] {
            let name = name.parse().unwrap();
            let error = sysctl_set(Family::V4, &name, "forwarding", "1").unwrap_err();
            assert_eq!(error.errno(), libc::EINVAL);
            assert_eq!(sysctl(Family::V4, &name, "forwarding").unwrap_err().errno(), libc::EINVAL);
        }
    }
}
