use std::fmt;
use std::path::PathBuf;

use crate::types::IfName;

/// An interface that another program configures.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Managed {
    /// The interface.
    pub link: IfName,
    /// Who it is.
    pub by: Manager,
    /// The file that says so.
    pub file: PathBuf,
}

/// A program that configures interfaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Manager {
    /// systemd-networkd
    Networkd,
    /// NetworkManager
    NetworkManager,
    /// ifupdown
    Ifupdown,
}

impl Managed {
    /// That this program configures this interface, as this file says.
    pub(crate) fn new(link: IfName, by: Manager, file: PathBuf) -> Self {
        Self { link, by, file }
    }
}

impl fmt::Display for Managed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { link, by, file } = self;
        write!(f, "{link}: {by} configures it as well ({}): ", file.display())?;
        match by {
            Manager::Networkd => write!(
                f,
                "give it `[Link] Unmanaged=yes` in a .network file, or make the bridge there"
            ),
            Manager::NetworkManager => write!(
                f,
                "`nmcli device set {link} managed no`, and in conf.d `unmanaged-devices=interface-name:{link}`"
            ),
            Manager::Ifupdown => {
                write!(f, "make it `iface {link} inet manual`, or make the bridge there")
            }
        }
    }
}

impl fmt::Display for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Networkd => "systemd-networkd",
            Self::NetworkManager => "NetworkManager",
            Self::Ifupdown => "ifupdown",
        })
    }
}
