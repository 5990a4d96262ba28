use super::ConfigError;
use super::table::Table;
use crate::types::{IfName, Mtu, VlanId, VlanProtocol};

/// What an administrator decides for one VLAN interface: `[[vlan]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VlanPolicy {
    /// The interface.
    pub name: IfName,
    /// The interface that carries the tagged frames.
    pub link: IfName,
    /// The VLAN.
    pub id: VlanId,
    /// The tag's protocol.
    pub protocol: VlanProtocol,
    /// Its MTU; that of the interface below is raised to it.
    pub mtu: Option<Mtu>,
}

impl VlanPolicy {
    /// The VLAN interface that a conventional name says: `eth0.100`.
    pub(crate) fn of_name(name: &IfName) -> Option<Self> {
        let (link, id) = name.vlan()?;
        Some(Self { name: name.clone(), link, id, protocol: VlanProtocol::default(), mtu: None })
    }

    pub(super) fn read(table: &mut Table<'_>) -> Result<Self, ConfigError> {
        let name: IfName = table.required("name")?;
        let implied = Self::of_name(&name);
        let (link, id) = (table.optional("link")?, table.optional::<u16>("id")?);
        let id = id.map(VlanId::new).transpose();
        let id = id.map_err(|error| table.wrong("id", format!("vlan {name}: {error}")))?;
        let policy = match (link, id, implied) {
            (Some(link), Some(id), _) => Some((link, id)),
            (link, id, Some(implied)) => {
                Some((link.unwrap_or(implied.link), id.unwrap_or(implied.id)))
            }
            _ => None,
        };
        let (protocol, mtu) = (table.or_default("protocol")?, table.optional("mtu")?);
        table.finish()?;
        let Some((link, id)) = policy else {
            let words = format!(
                "vlan {name}: expected link and id, because the name does not say them as eth0.100 does"
            );
            return Err(table.wrong("name", words));
        };
        if link == name {
            return Err(table.wrong("link", format!("vlan {name}: it is not below itself")));
        }
        Ok(Self { name, link, id, protocol, mtu })
    }
}
