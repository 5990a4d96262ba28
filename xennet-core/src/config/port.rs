use super::{GuardLevel, GuardPolicy};

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
    pub fn or(&self, other: &Self) -> Self {
        Self {
            guard: self.guard.or(other.guard),
            isolated: self.isolated.or(other.isolated),
            reserve: self.reserve.or(other.reserve),
            dhcp_server: self.dhcp_server.or(other.dhcp_server),
            router: self.router.or(other.router),
            iptables: self.iptables.or(other.iptables),
        }
    }

    /// What it comes to for a vif that has addresses of its own, or has none.
    pub fn guard(&self, has_addresses: bool) -> GuardPolicy {
        let unsaid = if has_addresses { GuardLevel::Strict } else { GuardLevel::Off };
        GuardPolicy {
            level: self.guard.unwrap_or(unsaid),
            dhcp_server: self.dhcp_server.unwrap_or(false),
            router: self.router.unwrap_or(false),
            reserve: self.reserve.unwrap_or(false),
        }
    }
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
