use std::collections::BTreeSet;
use std::time::Duration;

use crate::types::{IfName, NftChain, NftElement, NftFamily, NftKey, NftSet, NftTable, NftValue};

/// What the guard's table looks like: sets, chains and rules follow from these four.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "whoever plans a change makes one")]
pub struct GuardLayout {
    /// [`NftFamily::Bridge`] for vifs on a bridge, [`NftFamily::Inet`] for routed ones, [`NftFamily::Netdev`] for those on a
    /// bridge of Open vSwitch: what that takes from an interface passes the interface's own hook and no other.
    pub family: NftFamily,
    /// Whether an address has an owner in each bridge, rather than in the whole host: in family bridge, and where the
    /// kernel knows `meta ibrname`.
    pub bridge_names: bool,
    /// The lengths of IPv4 prefixes that are looked up, /32 among them.
    pub lengths4: BTreeSet<u8>,
    /// The lengths of IPv6 prefixes that are looked up, /128 among them.
    pub lengths6: BTreeSet<u8>,
}

impl GuardLayout {
    /// The table's name, in each family.
    pub const TABLE: &'static str = "xennet";
    /// The families that it may be in: for vifs on a bridge, for those that are routed, and for those on Open vSwitch.
    pub(crate) const FAMILIES: [NftFamily; 3] =
        [NftFamily::Bridge, NftFamily::Inet, NftFamily::Netdev];

    /// The layout without any prefixes shorter than an address.
    pub fn new(family: NftFamily, bridge_names: bool) -> Self {
        Self {
            family,
            bridge_names: bridge_names && family == NftFamily::Bridge,
            lengths4: [Version::V4.bits()].into(),
            lengths6: [Version::V6.bits()].into(),
        }
    }

    /// The layout of a table that is there, by what it says of itself and by its sets; none when it is not the guard's.
    pub fn of(table: &NftTable, sets: &[NftSet]) -> Option<Self> {
        let bridge_names = match table.comment.as_deref()?.strip_prefix(COMMENT)? {
            "" => true,
            HOST_WIDE => false,
            _ => return None,
        };
        if table.name != Self::TABLE {
            return None;
        }
        Some(Self::new(table.family, bridge_names).with_lengths(sets))
    }

    /// The same layout, and the lengths of prefixes that these sets are of.
    fn with_lengths<'s>(mut self, sets: impl IntoIterator<Item = &'s NftSet>) -> Self {
        for (version, length) in sets.into_iter().filter_map(Self::prefix_length) {
            match version {
                Version::V4 => self.lengths4.insert(length),
                Version::V6 => self.lengths6.insert(length),
            };
        }
        self
    }

    /// The layout with those lengths of prefixes only that these elements need.
    pub(super) fn for_elements<'e>(
        &self,
        elements: impl IntoIterator<Item = &'e (NftSet, NftElement)>,
    ) -> Self {
        let sets = elements.into_iter().map(|(set, _)| set);
        Self::new(self.family, self.bridge_names).with_lengths(sets)
    }

    /// The length of the prefixes that a set is of; none for whole addresses and for a set of anything else.
    pub(crate) fn prefix_length(set: &NftSet) -> Option<(Version, u8)> {
        let (kind, length) = set.name.split_once('_')?;
        let version = match kind {
            "ip4" | "owned4" => Version::V4,
            "ip6" | "owned6" => Version::V6,
            _ => return None,
        };
        let length = length.parse().ok()?;
        (length < version.bits()).then_some((version, length))
    }

    /// What the table says of itself. The kernel keeps a table's first comment for as long as the table lives.
    pub fn comment(&self) -> String {
        let host_wide = self.family == NftFamily::Bridge && !self.bridge_names;
        format!("{COMMENT}{}", if host_wide { HOST_WIDE } else { "" })
    }

    /// All its sets.
    pub fn sets(&self) -> Vec<NftSet> {
        let mut sets = vec![
            by_port(PORTS, true),
            Self::drops(),
            by_port(RECORDS, false),
            macs(),
            by_port("any_address", false),
            by_port("any_protocol", false),
            by_port("dhcp_servers", false),
            by_port("routers", false),
            verifications(),
        ];
        sets.extend(self.owned_macs());
        for version in [Version::V4, Version::V6] {
            for length in self.lengths(version) {
                sets.push(Self::own_set(version, length));
                sets.push(self.owned_set(version, length));
            }
        }
        sets
    }

    /// Whether a chain is a port's own, whatever became of its hook.
    pub(crate) fn is_entrance(chain: &NftChain, port: &IfName) -> bool {
        chain.name == Self::entrance_name(port)
    }

    /// The port whose own chain this is; none if it is another chain, or lost its device.
    pub(crate) fn entrance_port(chain: &NftChain) -> Option<&IfName> {
        let device = chain.hook.as_ref()?.device.as_ref()?;
        Self::is_entrance(chain, device).then_some(device)
    }

    /// What a port's own chain is called: with more than the port's name, which may be a word of nft's.
    pub(super) fn entrance_name(port: &IfName) -> String {
        format!("port_{port}")
    }

    /// The element that makes a port a guarded one. It has no comment, so that it is never replaced while the port is guarded.
    ///
    /// Its counter misses the common packets, which do not look it up; older versions need it.
    pub fn port(port: &IfName) -> (NftSet, NftElement) {
        (by_port(PORTS, true), NftElement::new([NftValue::IfName(port.clone())]))
    }

    /// The element whose comment is a port's [`GuardEntry::record`]. Tables of older versions have the record in the comment
    /// of the port's element in set `ports`: see [`records`](super::records).
    ///
    /// [`GuardEntry::record`]: super::GuardEntry::record
    pub fn record(port: &IfName) -> (NftSet, NftElement) {
        (by_port(RECORDS, false), NftElement::new([NftValue::IfName(port.clone())]))
    }

    /// The element that caches that the table was verified against this layout. It holds while the ruleset has this
    /// generation: any change of the ruleset begins another one.
    ///
    /// None if the lengths of prefixes do not fit into the element's note, and in family netdev: there, a port's chain
    /// disappears with its device, and no generation begins.
    pub(super) fn verification(&self, generation: u32) -> Option<(NftSet, NftElement)> {
        if self.family == NftFamily::Netdev {
            return None;
        }
        let (set, mut element) = Self::verification_key(generation);
        element.timeout = Some(VERIFICATION_LIFETIME);
        let count4 = u8::try_from(self.lengths4.len()).ok()?;
        element.note = vec![VERSION, self.bridge_names.into(), count4];
        element.note.extend(self.lengths4.iter().chain(&self.lengths6));
        (element.note.len() <= 120).then_some((set, element))
    }

    /// The key of that element, to look it up.
    pub(crate) fn verification_key(generation: u32) -> (NftSet, NftElement) {
        (verifications(), NftElement::new([NftValue::Mark(generation)]))
    }

    /// The layout that a verification was made for. None if another version of xennet made it, and for a copy that `nft` has
    /// restored: the layout is in the note, which `nft` does not save, because generations start again at each boot.
    pub(crate) fn from_verification(family: NftFamily, verification: &NftElement) -> Option<Self> {
        let [VERSION, bridge_names, count4, lengths @ ..] = verification.note.as_slice() else {
            return None;
        };
        let (lengths4, lengths6) = lengths.split_at_checked(usize::from(*count4))?;
        Some(Self {
            family,
            bridge_names: *bridge_names != 0,
            lengths4: lengths4.iter().copied().collect(),
            lengths6: lengths6.iter().copied().collect(),
        })
    }

    /// The lengths of one version's prefixes, longest first: the closest prefix decides.
    pub(super) fn lengths(&self, version: Version) -> impl Iterator<Item = u8> {
        match version {
            Version::V4 => &self.lengths4,
            Version::V6 => &self.lengths6,
        }
        .iter()
        .rev()
        .copied()
    }

    /// The set of what was dropped of each port, by the mark of the reason. The rules add the elements.
    pub(crate) fn drops() -> NftSet {
        NftSet { dynamic: true, ..set(DROPS, [NftKey::IfName, NftKey::Mark]) }
    }

    /// The set of the prefixes of that length that a port may speak from. Whole addresses are filed under the port's Ethernet
    /// address as well, so that one lookup tells all of a common packet.
    pub(super) fn own_set(version: Version, length: u8) -> NftSet {
        if length == version.bits() {
            let name = if version == Version::V4 { OWN4 } else { OWN6 };
            return set(name, [NftKey::IfName, NftKey::EtherAddr, version.key()]);
        }
        set(&format!("ip{}_{length}", version.digit()), [NftKey::IfName, version.key()])
    }

    /// The set of the prefixes of that length that have an owner.
    pub(super) fn owned_set(&self, version: Version, length: u8) -> NftSet {
        let name = format!("owned{}_{length}", version.digit());
        if self.bridge_names {
            set(&name, [NftKey::IfName, version.key()])
        } else {
            set(&name, [version.key()])
        }
    }

    /// The set of the Ethernet addresses that have an owner. None where a guest cannot take another's place by its Ethernet
    /// address: a routed vif has no bridge, and on Open vSwitch the ports without a guard are not seen.
    pub(super) fn owned_macs(&self) -> Option<NftSet> {
        let mac = NftKey::EtherAddr;
        (self.family == NftFamily::Bridge).then(|| {
            if self.bridge_names {
                set("owned_macs", [NftKey::IfName, mac])
            } else {
                set("owned_macs", [mac])
            }
        })
    }
}

const COMMENT: &str = "xennet guard 1";

/// The version of the sets, chains and rules that a layout stands for. Each verification names it.
const VERSION: u8 = 5;

/// How long a verification is kept: without an end, those of past generations would pile up.
const VERIFICATION_LIFETIME: Duration = Duration::from_hours(1);

/// The set of the drops of each guarded port.
pub(super) const DROPS: &str = "drops";

/// The set of the guarded ports.
pub(super) const PORTS: &str = "ports";

/// The sets of the addresses of each port.
pub(super) const OWN4: &str = "own4";
pub(super) const OWN6: &str = "own6";

/// The set of the ports' records.
pub(super) const RECORDS: &str = "records";

const HOST_WIDE: &str = ", addresses owned host-wide";

/// IPv4 or IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    V4,
    V6,
}

impl Version {
    /// The length of an address.
    pub(super) fn bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }

    fn digit(self) -> u8 {
        match self {
            Self::V4 => 4,
            Self::V6 => 6,
        }
    }

    fn key(self) -> NftKey {
        match self {
            Self::V4 => NftKey::Ipv4Addr,
            Self::V6 => NftKey::Ipv6Addr,
        }
    }
}

/// A set of ports.
pub(super) fn by_port(name: &str, counter: bool) -> NftSet {
    NftSet { counter, ..set(name, [NftKey::IfName]) }
}

/// The Ethernet addresses of each port.
pub(super) fn macs() -> NftSet {
    set("macs", [NftKey::IfName, NftKey::EtherAddr])
}

/// The generations of the ruleset at which the table was verified.
pub(super) fn verifications() -> NftSet {
    set("whole", [NftKey::Mark])
}

/// Whether a set holds addresses and their owners, rather than ports and what is theirs.
pub(super) fn is_owned(set: &NftSet) -> bool {
    set.name.starts_with("owned")
}

fn set<const N: usize>(name: &str, key: [NftKey; N]) -> NftSet {
    NftSet { name: name.to_owned(), key: key.into(), counter: false, timeout: true, dynamic: false }
}
