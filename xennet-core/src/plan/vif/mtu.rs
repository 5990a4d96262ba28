//! The wanted MTU of a bridge, which a vif without an `mtu` key gets.
//!
//! A bridge follows the smallest MTU of its ports until its own MTU is set. One port that an accident lowers therefore lowers
//! the bridge, and the bridge's present MTU does not say what is wanted. So xennet records the wanted MTU in the bridge's
//! alias. The kernel delivers the alias with the link, and the alias goes with the bridge.

use super::VifTarget;
use crate::plan::Change;
use crate::types::{Link, LinkSet, Mtu, ParseError};

/// What decides the wanted MTU of a bridge, apart from the bridge's link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct BridgeMtu {
    /// `mtu` of its `[[bridge]]` in xennet.toml.
    pub configured: Option<Mtu>,
    /// The MTU of its uplink in xennet.toml. Observed only where `needs_uplink` says so.
    pub uplink: Option<Mtu>,
    /// The MTUs of its ports. Observed only where `needs_ports` says so.
    pub ports: Option<PortMtus>,
}

/// The smallest MTUs of a bridge's ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PortMtus {
    /// The smallest MTU of the guests' ports.
    pub guests: Option<u32>,
    /// The smallest MTU of all other ports.
    pub others: Option<u32>,
}

impl BridgeMtu {
    /// What the configuration says.
    pub(crate) fn new(configured: Option<Mtu>) -> Self {
        Self { configured, ..Self::default() }
    }

    /// Whether the MTU of the bridge's uplink matters: nothing else says what is wanted.
    pub(crate) fn needs_uplink(&self, bridge: &Link) -> bool {
        self.configured.is_none() && recorded(bridge).is_none()
    }

    /// Whether the MTUs of the ports matter: the bridge has another MTU than the one on record.
    pub(crate) fn needs_ports(&self, bridge: &Link) -> bool {
        self.configured.is_none()
            && self.expected(bridge).is_some_and(|expected| expected.bytes() != bridge.mtu)
    }

    /// The wanted MTU of the bridge: the configured one, or else the expected one while guests' ports lower (or raise) the
    /// bridge, or else the bridge's own.
    pub(super) fn wanted(&self, bridge: &Link) -> Result<Mtu, ParseError> {
        if let Some(configured) = self.configured {
            return Ok(configured);
        }
        match (self.expected(bridge), &self.ports) {
            (Some(expected), Some(ports)) if ports.guests_decide(bridge) => {
                Mtu::new(expected.bytes().min(ports.others.unwrap_or(u32::MAX)))
            }
            // Nobody but an administrator gave the bridge this MTU.
            _ => Mtu::new(bridge.mtu),
        }
    }

    /// What records `wanted` as the wanted MTU of the bridge. None where the record says so already, and where the alias is an
    /// administrator's.
    ///
    /// A vif with an `mtu` key (`explicit`) only makes a first record: its own MTU says nothing about the bridge.
    pub(super) fn record(bridge: &Link, wanted: Mtu, explicit: bool) -> Option<Change> {
        let alias = bridge.alias.as_deref().unwrap_or_default();
        let replaces = match recorded(bridge) {
            Some(recorded) => recorded != wanted && !explicit,
            None => alias.is_empty(),
        };
        replaces.then(|| Change::LinkSet {
            link: bridge.reference(),
            set: LinkSet::Alias(format!("{RECORD}{wanted}")),
            was: LinkSet::Alias(alias.to_owned()),
        })
    }

    /// The MTU that the bridge has unless an administrator changes it or a port lowers it.
    fn expected(&self, bridge: &Link) -> Option<Mtu> {
        recorded(bridge).or(self.uplink)
    }
}

impl PortMtus {
    /// The MTUs of these ports of a bridge.
    pub(crate) fn of(ports: &[Link]) -> Self {
        let smallest = |guests: bool| {
            let ports = ports.iter().filter(|port| VifTarget::of(port).is_some() == guests);
            ports.map(|port| port.mtu).min()
        };
        Self { guests: smallest(true), others: smallest(false) }
    }

    /// Whether the bridge has its MTU from guests' ports alone. The other ports are the administrator's: their MTU is
    /// intended.
    fn guests_decide(&self, bridge: &Link) -> bool {
        self.guests == Some(bridge.mtu) && self.others.is_none_or(|others| others > bridge.mtu)
    }
}

/// The alias of a bridge begins with this where xennet recorded its wanted MTU.
const RECORD: &str = "xennet mtu ";

/// The wanted MTU that xennet recorded.
pub(crate) fn recorded(bridge: &Link) -> Option<Mtu> {
    bridge.alias.as_deref()?.strip_prefix(RECORD)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bridge, link};
    use super::*;

    fn bridge_with(mtu: u32, alias: &str) -> Link {
        Link { mtu, alias: Some(alias.to_owned()), ..bridge(2, "xenbr0") }
    }

    fn wanted(bridge: &Link, uplink: Option<u32>, guests: Option<u32>, others: Option<u32>) -> u32 {
        let mut facts = BridgeMtu::new(None);
        facts.uplink = uplink.map(|mtu| Mtu::new(mtu).unwrap());
        facts.ports = Some(PortMtus { guests, others });
        facts.wanted(bridge).unwrap().bytes()
    }

    #[test]
    fn record_is_believed_while_guests_ports_lower_or_raise_the_bridge() {
        for (mtu, guests, others, expected) in [
            // As recorded.
            (1500, Some(1500), Some(1500), 1500),
            // A guest's port lowers the bridge.
            (1400, Some(1400), Some(9000), 1500),
            (1400, Some(1400), None, 1500),
            // The uplink is lower than the record as well: a guest gets what passes there.
            (1400, Some(1400), Some(1450), 1450),
            // The only port has a larger `mtu` key.
            (9000, Some(9000), None, 1500),
            // The uplink, or the bridge itself, was changed by an administrator.
            (1450, Some(1500), Some(1450), 1450),
            (1450, Some(1450), Some(1450), 1450),
            (1400, Some(1500), Some(1500), 1400),
            (9000, Some(1500), Some(1500), 9000),
            (9000, Some(9000), Some(9000), 9000),
            (1450, None, Some(1450), 1450),
            (1400, None, None, 1400),
        ] {
            let bridge = bridge_with(mtu, "xennet mtu 1500");
            let found = wanted(&bridge, None, guests, others);
            assert_eq!(found, expected, "{mtu}: {guests:?}, {others:?}");
        }
    }

    #[test]
    fn uplink_counts_where_there_is_no_record() {
        let lowered = (Some(1400), Some(1500));
        for (alias, uplink, expected) in [
            ("", Some(1500), 1500),
            ("of rack 7", Some(1500), 1500),
            ("of rack 7", None, 1400),
            ("xennet mtu 1300", Some(1500), 1300),
            // No MTU that xennet writes.
            ("xennet mtu many", Some(1500), 1500),
        ] {
            let bridge = bridge_with(1400, alias);
            assert_eq!(wanted(&bridge, uplink, lowered.0, lowered.1), expected, "{alias:?}");
        }
    }

    #[test]
    fn configured_mtu_needs_no_observation() {
        let bridge = bridge_with(1400, "");
        let facts = BridgeMtu::new(Mtu::new(9000).ok());
        assert!(!facts.needs_uplink(&bridge) && !facts.needs_ports(&bridge));
        assert_eq!(facts.wanted(&bridge).unwrap().bytes(), 9000);
    }

    #[test]
    fn ports_are_observed_only_where_the_bridge_differs_from_its_record() {
        let facts = BridgeMtu::new(None);
        assert!(!facts.needs_ports(&bridge_with(1500, "xennet mtu 1500")));
        assert!(facts.needs_ports(&bridge_with(1400, "xennet mtu 1500")));
        assert!(!facts.needs_ports(&bridge_with(1400, "")), "nothing says what is wanted");
        assert!(facts.needs_uplink(&bridge_with(1500, "")));
        assert!(!facts.needs_uplink(&bridge_with(1500, "xennet mtu 1500")));
    }

    #[test]
    fn guests_ports_are_known_by_name_or_alias() {
        let renamed = Link { mtu: 1300, alias: Some("vif4.0".into()), ..link(8, "web") };
        let uplink = Link { mtu: 9000, ..link(3, "eth0") };
        let ports = PortMtus::of(&[link(7, "vif3.0"), renamed, uplink]);
        assert_eq!(ports, PortMtus { guests: Some(1300), others: Some(9000) });
        assert_eq!(PortMtus::of(&[]), PortMtus::default());
    }

    #[test]
    fn record_is_written_once_and_never_over_an_administrators_alias() {
        let mtu = |bytes| Mtu::new(bytes).unwrap();
        let line = |alias: &str, explicit| {
            let change = BridgeMtu::record(&bridge_with(1500, alias), mtu(1400), explicit);
            change.map(|change| (change.to_string(), change.undo().unwrap().to_string()))
        };
        let set = |alias: &str| format!("link set dev xenbr0 alias \"{alias}\"");
        let record = set("xennet mtu 1400");
        assert_eq!(line("", false), Some((record.clone(), set(""))));
        assert_eq!(line("", true), Some((record.clone(), set(""))));
        assert_eq!(line("xennet mtu 1500", false), Some((record, set("xennet mtu 1500"))));
        assert_eq!(line("xennet mtu 1500", true), None);
        assert_eq!(line("xennet mtu 1400", false), None);
        assert_eq!(line("of rack 7", false), None);
    }
}
