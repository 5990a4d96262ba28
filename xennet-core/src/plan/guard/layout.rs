use std::collections::BTreeSet;
use std::time::Duration;

use super::rules;
use crate::types::{
    IfName, NftChain, NftElement, NftFamily, NftHook, NftHookPoint, NftKey, NftPolicy, NftRule,
    NftSet, NftTable, NftValue,
};

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
        let mut layout = Self::new(table.family, bridge_names);
        for set in sets {
            if let Some(bits) = set.name.strip_prefix("ip4_").and_then(|n| n.parse().ok()) {
                layout.lengths4.insert(Version::V4.bits().min(bits));
            }
            if let Some(bits) = set.name.strip_prefix("ip6_").and_then(|n| n.parse().ok()) {
                layout.lengths6.insert(Version::V6.bits().min(bits));
            }
        }
        Some(layout)
    }

    /// What the table says of itself. The kernel keeps a table's first comment for as long as the table lives.
    pub fn comment(&self) -> String {
        let host_wide = self.family == NftFamily::Bridge && !self.bridge_names;
        format!("{COMMENT}{}", if host_wide { HOST_WIDE } else { "" })
    }

    /// All its sets.
    pub fn sets(&self) -> Vec<NftSet> {
        let mut sets = vec![
            by_port("ports", true),
            by_port("dropped", true),
            macs(),
            by_port("any_address", false),
            by_port("any_protocol", false),
            by_port("dhcp_servers", false),
            by_port("routers", false),
            seals(),
        ];
        for version in [Version::V4, Version::V6] {
            for length in self.lengths(version) {
                sets.push(Self::own_set(version, length));
                sets.push(self.owned_set(version, length));
            }
        }
        sets
    }

    /// All its chains, but for those that are a port's own.
    #[cfg(any(test, feature = "internals"))]
    pub fn chains(&self) -> Vec<NftChain> {
        self.chains_of(&self.rules())
    }

    /// The same, for who has its rules already: to write them down takes longer than all else here.
    pub(super) fn chains_of(&self, rules: &[NftRule]) -> Vec<NftChain> {
        let base = |name: &str, point| base(name.to_owned(), point, None);
        let mut chains = match self.family {
            NftFamily::Netdev => Vec::new(),
            _ => vec![base("prerouting", NftHookPoint::Prerouting)],
        };
        if self.family == NftFamily::Bridge {
            chains.push(base("input", NftHookPoint::Input));
        }
        for rule in rules {
            if !chains.iter().any(|chain| chain.name == rule.chain) {
                chains.push(NftChain { name: rule.chain.clone(), hook: None });
            }
        }
        chains
    }

    /// All its rules, chain by chain, in their order.
    pub fn rules(&self) -> Vec<NftRule> {
        rules::rules(self)
    }

    /// A port's own chain, by which its frames enter the table, and that chain's rule; none in a family that sees the
    /// frames of all ports.
    ///
    /// One chain of all ports would do as well, but not all kernels can add a device to a chain (Linux 6.1 cannot).
    pub fn entrance(&self, port: &IfName) -> Option<(NftChain, NftRule)> {
        let name = Self::entrance_name(port);
        let rule = rules::entrance(&name);
        (self.family == NftFamily::Netdev)
            .then(|| (base(name, NftHookPoint::Ingress, Some(port.clone())), rule))
    }

    /// Whether a chain is a port's own, whatever became of its hook.
    pub(crate) fn is_entrance(chain: &NftChain, port: &IfName) -> bool {
        chain.name == Self::entrance_name(port)
    }

    /// What a port's own chain is called: with more than the port's name, which may be a word of nft's.
    pub(super) fn entrance_name(port: &IfName) -> String {
        format!("port_{port}")
    }

    /// The element that says what was set up for a port, in its comment; that is its [`GuardEntry::record`].
    ///
    /// [`GuardEntry::record`]: super::GuardEntry::record
    pub fn port(port: &IfName) -> (NftSet, NftElement) {
        (by_port("ports", true), NftElement::new([NftValue::IfName(port.clone())]))
    }

    /// The element that says of a table that it has all that this layout has, and as it should be. It is true while the
    /// ruleset has this generation, for whoever changes anything changes that too.
    ///
    /// None when it has more lengths of prefixes than there is room for; and where each port has a chain of its own, which
    /// goes with its device, and no generation begins.
    pub(super) fn seal(&self, generation: u32) -> Option<(NftSet, NftElement)> {
        if self.family == NftFamily::Netdev {
            return None;
        }
        let (set, mut element) = Self::seal_at(generation);
        element.timeout = Some(SEALED);
        let count4 = u8::try_from(self.lengths4.len()).ok()?;
        element.note = vec![VERSION, self.bridge_names.into(), count4];
        element.note.extend(self.lengths4.iter().chain(&self.lengths6));
        (element.note.len() <= 120).then_some((set, element))
    }

    /// The same as a question: its key is the generation alone.
    pub(crate) fn seal_at(generation: u32) -> (NftSet, NftElement) {
        (seals(), NftElement::new([NftValue::Mark(generation)]))
    }

    /// The layout that a seal was set for; none when it is of another version's, or a copy of one: what it says is in a
    /// note, which `nft` does not copy, for the generations of another boot are others.
    pub(crate) fn of_seal(family: NftFamily, seal: &NftElement) -> Option<Self> {
        let [VERSION, bridge_names, count4, lengths @ ..] = seal.note.as_slice() else {
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

    /// The set of the prefixes of that length that a port may speak from.
    pub(super) fn own_set(version: Version, length: u8) -> NftSet {
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
}

fn base(name: String, point: NftHookPoint, device: Option<IfName>) -> NftChain {
    let (kind, policy) = ("filter".to_owned(), NftPolicy::Accept);
    let hook = NftHook { kind, point, device, priority: PRIORITY, policy };
    NftChain { name, hook: Some(hook) }
}

/// Before all others: what the guard drops shall reach nobody, and `br_netfilter` (0) may have rewritten it by then. At
/// ingress, a flowtable (0, as a rule) would take a packet of a known connection past every chain behind it.
const PRIORITY: i32 = -300;

const COMMENT: &str = "xennet guard 1";

/// Of sets, chains and rules as they follow from the rest of a layout. A seal bears it.
const VERSION: u8 = 2;

/// How long a seal holds: those of generations that are over would pile up, and one plug an hour can read all rules.
const SEALED: Duration = Duration::from_hours(1);

const HOST_WIDE: &str = ", addresses owned host-wide";

/// IPv4 or IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
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

/// The generations of the ruleset at which the table was known to be whole.
pub(super) fn seals() -> NftSet {
    set("whole", [NftKey::Mark])
}

fn set<const N: usize>(name: &str, key: [NftKey; N]) -> NftSet {
    NftSet { name: name.to_owned(), key: key.into(), counter: false, timeout: true }
}
