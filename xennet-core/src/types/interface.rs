use super::{IfName, Link, MacAddr};

/// A network interface. `ip link show`
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Interface {
    /// Its index, which does not change with its name.
    pub index: u32,
    /// Its name.
    pub name: IfName,
    /// Its hardware address; none where it has no unicast address.
    pub mac: Option<MacAddr>,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// Administratively up (`IFF_UP`).
    pub up: bool,
    /// Has a carrier (`IFF_LOWER_UP`): for a vif, its guest is connected.
    pub carrier: bool,
}

impl From<&Link> for Interface {
    fn from(link: &Link) -> Self {
        Self {
            index: link.index,
            name: link.name.clone(),
            mac: link.mac,
            mtu: link.mtu,
            up: link.up,
            carrier: link.carrier,
        }
    }
}
