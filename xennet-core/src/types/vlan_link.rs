use std::fmt;

use super::{IfName, LinkRef, VlanId};

/// The protocol of a VLAN tag.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Deserialize, serde::Serialize,
)]
#[non_exhaustive]
pub enum VlanProtocol {
    /// A customer's tag.
    #[default]
    #[serde(rename = "802.1Q")]
    Dot1q,
    /// A provider's tag, outside a customer's.
    #[serde(rename = "802.1ad")]
    Dot1ad,
}

/// A VLAN interface to create. `ip link add link LINK name NAME type vlan protocol PROTOCOL id ID`
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VlanLinkSpec {
    /// The interface that carries the tagged frames.
    pub link: LinkRef,
    /// The VLAN.
    pub id: VlanId,
    /// The tag's protocol.
    pub protocol: VlanProtocol,
}

/// The settings of a VLAN interface. `ip -d link show type vlan`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct VlanLinkInfo {
    /// The VLAN; 0 for frames with a priority only.
    pub id: u16,
    /// The tag's protocol.
    pub protocol: VlanProtocol,
}

impl VlanProtocol {
    /// Its `EtherType`.
    pub(crate) const fn ether_type(self) -> u16 {
        match self {
            Self::Dot1q => 0x8100,
            Self::Dot1ad => 0x88a8,
        }
    }
}

impl IfName {
    /// The interface and the VLAN that a conventional name says: `eth0.100`.
    pub(crate) fn vlan(&self) -> Option<(Self, VlanId)> {
        let (link, id) = self.as_str().rsplit_once('.')?;
        Some((link.parse().ok()?, id.parse().ok()?))
    }
}

impl fmt::Display for VlanProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Dot1q => "802.1Q",
            Self::Dot1ad => "802.1ad",
        })
    }
}

impl fmt::Display for VlanLinkSpec {
    /// What follows `ip link add NAME type`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "vlan protocol {} id {}", self.protocol, self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conventional_names_say_link_and_vlan() {
        let name = |text: &str| text.parse::<IfName>().unwrap();
        for (text, expected) in [
            ("eth0.100", Some(("eth0", 100))),
            ("bond0.100.7", Some(("bond0.100", 7))),
            ("eth0", None),
            ("eth0.", None),
            (".5", None),
            ("eth0.0", None),
            ("eth0.4095", None),
            ("eth0.010", None),
            ("eth0.lan", None),
        ] {
            let expected = expected.map(|(link, id)| (name(link), VlanId::new(id).unwrap()));
            assert_eq!(name(text).vlan(), expected, "{text}");
        }
    }
}
