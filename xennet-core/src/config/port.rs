use std::fmt;

use serde::Deserialize;

use super::policing::policing;
use super::table::Table;
use super::{ConfigError, GuardLevel, GuardPolicy};
use crate::types::Policing;

/// What an administrator decides for the ports of a bridge, or for those of one guest.
///
/// What is none is decided by the next one who is asked: first the guest's own section, then its bridge's, then xennet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PortPolicy {
    /// How closely a guest is held to its own addresses; else `strict` for one whose `ip` is set, and `off` for others.
    pub guard: Option<GuardLevel>,
    /// Whether its port exchanges no frames with other isolated ports, only with the rest: `isolated`.
    pub isolated: Option<bool>,
    /// Whether its addresses stay reserved for it while it is gone.
    pub reserve: Option<bool>,
    /// Whether it may answer as a DHCP (or `DHCPv6`) server: `"allow"` or `"deny"`.
    pub dhcp_server: Option<bool>,
    /// Whether it may speak as a router: `"allow"` or `"deny"`.
    pub router: Option<bool>,
    /// Whether the network is told where it is when it is plugged in.
    pub announce: Option<bool>,
    /// Whether rules like those of Xen's own scripts are made as well, by the `iptables` command.
    pub iptables: Option<bool>,
}

/// What an administrator decides for one guest: `[[guest]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GuestPolicy {
    /// Which guest.
    pub guest: GuestName,
    /// What holds for all its vifs.
    pub port: PortPolicy,
    /// By what the controllers of an Open vSwitch bridge know its vifs (`{devid}` in it is a vif's number); else by
    /// `UUID-DEVID`.
    pub iface_id: Option<String>,
    /// What each of its vifs may send through a port of Open vSwitch.
    pub policing: Option<Policing>,
}

/// How a guest is recognised.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "xl has no third name for a guest")]
pub enum GuestName {
    /// By its `name` in xl's configuration.
    Name(String),
    /// By its `uuid`, in lower case.
    Uuid(String),
}

impl PortPolicy {
    /// This, and where it says nothing, the other.
    #[must_use]
    pub(crate) fn or(&self, other: &Self) -> Self {
        Self {
            guard: self.guard.or(other.guard),
            isolated: self.isolated.or(other.isolated),
            reserve: self.reserve.or(other.reserve),
            dhcp_server: self.dhcp_server.or(other.dhcp_server),
            router: self.router.or(other.router),
            announce: self.announce.or(other.announce),
            iptables: self.iptables.or(other.iptables),
        }
    }

    /// The keys of it that a table has.
    pub(super) fn read(table: &mut Table<'_>) -> Result<Self, ConfigError> {
        let allowed = |permission: Permission| permission == Permission::Allow;
        Ok(Self {
            guard: table.optional("guard")?,
            isolated: table.optional("isolated")?,
            reserve: table.optional("reserve")?,
            dhcp_server: table.optional("dhcp_server")?.map(allowed),
            router: table.optional("router")?.map(allowed),
            announce: table.optional("announce")?,
            iptables: table
                .optional("firewall")?
                .map(|firewall: Firewall| firewall == Firewall::Iptables),
        })
    }

    /// What it comes to for a vif that has addresses of its own, or has none.
    pub(crate) fn guard(&self, has_addresses: bool) -> GuardPolicy {
        let unsaid = if has_addresses { GuardLevel::Strict } else { GuardLevel::Off };
        GuardPolicy {
            level: self.guard.unwrap_or(unsaid),
            dhcp_server: self.dhcp_server.unwrap_or(false),
            router: self.router.unwrap_or(false),
            reserve: self.reserve.unwrap_or(false),
        }
    }
}

impl fmt::Display for GuestName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Uuid(uuid) => uuid.fmt(f),
        }
    }
}

impl GuestPolicy {
    /// A guest about which nothing is decided.
    pub fn new(guest: GuestName) -> Self {
        Self { guest, port: PortPolicy::default(), iface_id: None, policing: None }
    }

    pub(super) fn read(table: &mut Table<'_>) -> Result<Self, ConfigError> {
        let (name, uuid): (Option<String>, Option<String>) =
            (table.optional("name")?, table.optional("uuid")?);
        let port = PortPolicy::read(table)?;
        let (iface_id, policing): (Option<String>, _) =
            (table.optional("iface_id")?, policing(table)?);
        table.finish()?;
        if iface_id.as_ref().is_some_and(String::is_empty) {
            return Err(table.wrong("iface_id", "iface_id: expected a name"));
        }
        let guest = match (name, uuid) {
            (Some(name), None) => GuestName::Name(name),
            (None, Some(uuid)) if is_uuid(&uuid) => GuestName::Uuid(uuid.to_ascii_lowercase()),
            (None, Some(uuid)) => {
                let expected = "expected a UUID as 6a5b8e1c-0f3d-4c55-9d3e-2b1f0a9c8d7e";
                return Err(table.wrong("uuid", format!("guest {uuid:?}: {expected}")));
            }
            (None, None) => return Err(table.wrong("name", "[[guest]] needs a name or a uuid")),
            (Some(name), Some(_)) => {
                return Err(
                    table.wrong("uuid", format!("guest {name:?}: a name or a uuid, not both"))
                );
            }
        };
        Ok(Self { guest, port, iface_id, policing })
    }
}

/// `"allow"` or `"deny"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Permission {
    Allow,
    Deny,
}

/// `firewall`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Firewall {
    Iptables,
    None,
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(n, byte)| match n {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guests_word_counts_before_its_bridges() {
        let guest = PortPolicy { router: Some(true), isolated: Some(false), ..Default::default() };
        let bridge = PortPolicy {
            guard: Some(GuardLevel::Ip),
            router: Some(false),
            isolated: Some(true),
            reserve: Some(true),
            ..Default::default()
        };
        let both = guest.or(&bridge);
        assert_eq!(both.isolated, Some(false));
        let guard = both.guard(true);
        assert_eq!(guard.level, GuardLevel::Ip);
        assert!(guard.router && guard.reserve && !guard.dhcp_server);
    }

    #[test]
    fn a_vif_with_addresses_is_held_to_them_unless_somebody_says_otherwise() {
        assert_eq!(PortPolicy::default().guard(true).level, GuardLevel::Strict);
        assert_eq!(PortPolicy::default().guard(false).level, GuardLevel::Off);
        let off = PortPolicy { guard: Some(GuardLevel::Off), ..Default::default() };
        assert_eq!(off.guard(true).level, GuardLevel::Off);
    }
}
