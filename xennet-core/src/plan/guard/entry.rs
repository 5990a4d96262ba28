use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv6Net};

use super::GuardLayout;
use super::layout::{Version, by_port, macs};
use super::owners::{CUT, LONGEST_COMMENT, Owners};
use crate::config::{GuardLevel, GuardPolicy};
use crate::types::{
    IfName, IpList, MacAddr, NftElement, NftFamily, NftSet, NftValue, ParseError, VifId,
};

/// What the guard shall hold one port to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "whoever plans a change makes one")]
pub struct GuardEntry {
    /// The port, by its final name.
    pub port: IfName,
    /// The vif that the addresses belong to.
    pub owner: VifId,
    /// Whether the port makes its addresses the vif's own, so that nobody else may use them: not for a tap, which only
    /// shares the addresses of its vif, nor on a bridge that separates VLANs, where each may have the same addresses.
    pub claims: bool,
    /// The bridge that it is a port of; none when it is routed.
    pub bridge: Option<IfName>,
    /// Whether that bridge is one of Open vSwitch.
    pub switch: bool,
    /// The guest's Ethernet address.
    pub mac: MacAddr,
    /// The guest's addresses. One with host bits (`10.0.0.5/24`) is itself alone; one without (`10.0.0.0/24`) is the
    /// whole prefix.
    pub ip: IpList,
    /// What it may do.
    pub policy: GuardPolicy,
}

impl GuardEntry {
    /// The family whose table guards it.
    pub fn family(&self) -> NftFamily {
        match self.bridge {
            Some(_) if self.switch => NftFamily::Netdev,
            Some(_) => NftFamily::Bridge,
            None => NftFamily::Inet,
        }
    }

    /// The layout that it needs: `layout`, with the lengths of its prefixes.
    #[must_use]
    pub fn layout(&self, mut layout: GuardLayout) -> GuardLayout {
        for prefix in self.prefixes() {
            let lengths = match version(prefix) {
                Version::V4 => &mut layout.lengths4,
                Version::V6 => &mut layout.lengths6,
            };
            lengths.insert(prefix.prefix_len());
        }
        layout
    }

    /// What is set up, in words, for people and to know later what to take away again: at most 127 bytes, and with `…`
    /// at its end when there was more to say.
    ///
    /// `strict vif3.0 00:16:3e:01:02:03 bridge xenbr0 10.0.0.5 2001:db8::/64`
    pub fn record(&self) -> String {
        let mut words =
            vec![self.policy.level.to_string(), format!("vif{}", self.owner), self.mac.to_string()];
        let of = if self.switch { SWITCH } else { BRIDGE };
        words.extend(self.bridge.iter().map(|bridge| format!("{of} {bridge}")));
        let GuardPolicy { dhcp_server, router, reserve, level: _ } = self.policy;
        for (word, set) in [
            (SHARED, !self.claims),
            (DHCP_SERVER, dhcp_server),
            (ROUTER, router),
            (RESERVE, reserve),
        ] {
            words.extend(set.then(|| word.to_owned()));
        }
        for prefix in self.prefixes() {
            if prefix.prefix_len() == prefix.max_prefix_len() {
                words.push(prefix.addr().to_string());
            } else {
                words.push(prefix.to_string());
            }
        }
        let mut record = words.join(" ");
        if record.len() > LONGEST_COMMENT {
            // At a word's end, for half an address could be taken for a whole one.
            while record.len() + 1 + CUT.len() > LONGEST_COMMENT && words.len() > 1 {
                words.pop();
                record = words.join(" ");
            }
            record = format!("{record} {CUT}");
        }
        record
    }

    /// Reads a record back: the result has the same [`elements`](Self::elements). An error when it was cut.
    pub fn from_record(port: IfName, record: &str) -> Result<Self, ParseError> {
        let wrong = |expected| ParseError::new("guard record", record, expected);
        let parts = "level, vif, mac, and what else was set up";
        let (entry, addresses) =
            Self::without_addresses(port, record).ok_or_else(|| wrong(parts))?;
        if addresses.last() == Some(&CUT) {
            return Err(wrong("a record that was not cut"));
        }
        let ip = addresses.join(" ").parse().map_err(|_| wrong(parts))?;
        Ok(Self { ip, ..entry })
    }

    /// Whose vif a record is about, and whether its addresses shall stay reserved. A cut record has both.
    pub fn owner_of(record: &str) -> Option<(VifId, bool)> {
        let mut words = record.split(' ');
        let _level: GuardLevel = words.next()?.parse().ok()?;
        let (owner, _) = VifId::from_if_name(words.next()?).ok()?;
        Some((owner, words.any(|word| word == RESERVE)))
    }

    /// Whether a record is about a port that [claims](Self::claims) its addresses. A cut record says so too.
    pub(super) fn record_claims(port: &IfName, record: &str) -> bool {
        Self::without_addresses(port.clone(), record).is_some_and(|(entry, _)| entry.claims)
    }

    /// A record's entry without its addresses, and the words that are left: the addresses, and [`CUT`] if it was cut.
    pub(super) fn without_addresses(port: IfName, record: &str) -> Option<(Self, Vec<&str>)> {
        let mut words = record.split(' ').peekable();
        let level = words.next()?.parse().ok()?;
        let (owner, _) = VifId::from_if_name(words.next()?).ok()?;
        let mac = words.next()?.parse().ok()?;
        let (mut bridge, mut switch) = (None, false);
        if let Some(kind) = words.next_if(|word| [BRIDGE, SWITCH].contains(word)) {
            switch = kind == SWITCH;
            bridge = Some(words.next()?.parse().ok()?);
        }
        let mut flag = |word| words.next_if_eq(&word).is_some();
        let claims = !flag(SHARED);
        let policy = GuardPolicy {
            level,
            dhcp_server: flag(DHCP_SERVER),
            router: flag(ROUTER),
            reserve: flag(RESERVE),
        };
        let ip = IpList::default();
        let entry = Self { port, owner, claims, bridge, switch, mac, ip, policy };
        Some((entry, words.collect()))
    }

    /// Its elements, each with its set; none when the port is not guarded at all.
    pub fn elements(&self, layout: &GuardLayout) -> Vec<(NftSet, NftElement)> {
        let GuardPolicy { level, dhcp_server, router, .. } = self.policy;
        if level == GuardLevel::Off {
            return Vec::new();
        }
        let name = || NftValue::IfName(self.port.clone());
        let mac = NftValue::EtherAddr(self.mac.octets());
        let (records, record) = GuardLayout::record(&self.port);
        let mut elements = vec![
            GuardLayout::port(&self.port),
            (records, record.comment(self.record())),
            (macs(), NftElement::new([name(), mac.clone()])),
        ];
        for (set, wanted) in [
            ("any_address", level == GuardLevel::Mac),
            ("any_protocol", level == GuardLevel::Ip),
            ("dhcp_servers", level >= GuardLevel::Ip && dhcp_server),
            ("routers", level >= GuardLevel::Ip && router),
        ] {
            elements.extend(wanted.then(|| (by_port(set, false), NftElement::new([name()]))));
        }
        let bridge = self.bridge.as_ref().filter(|_| layout.bridge_names);
        let owned = |set, value| {
            let key = bridge.cloned().map(NftValue::IfName).into_iter().chain([value]);
            (set, NftElement::new(key).comment(Owners::from(self.owner).comment()))
        };
        let owned_macs = layout.owned_macs().filter(|_| self.claims);
        elements.extend(owned_macs.map(|set| owned(set, mac.clone())));
        if level < GuardLevel::Ip {
            return elements;
        }
        let link_local = IpNet::from(IpAddr::from(self.mac.link_local()));
        let prefixes: BTreeSet<IpNet> = self.prefixes().into_iter().chain([link_local]).collect();
        for prefix in &prefixes {
            let address = value(prefix.addr());
            let whole = prefix.prefix_len() == prefix.max_prefix_len();
            let key =
                if whole { vec![name(), mac.clone(), address] } else { vec![name(), address] };
            let set = GuardLayout::own_set(version(*prefix), prefix.prefix_len());
            elements.push((set, NftElement::new(key)));
        }
        if !self.claims {
            return elements;
        }
        for prefix in prefixes.into_iter().filter(can_be_owned) {
            let set = layout.owned_set(version(prefix), prefix.prefix_len());
            elements.push(owned(set, value(prefix.addr())));
        }
        elements
    }

    /// The addresses that it is held to, as prefixes: whole ones, and single addresses, each once.
    fn prefixes(&self) -> Vec<IpNet> {
        if self.policy.level >= GuardLevel::Ip { self.ip.prefixes() } else { Vec::new() }
    }
}

const BRIDGE: &str = "bridge";
const SWITCH: &str = "openvswitch";
const SHARED: &str = "shared";
const DHCP_SERVER: &str = "dhcp-server";
const ROUTER: &str = "router";
const RESERVE: &str = "reserve";
/// Every host needs "no address", and link-local addresses of its own. So a prefix with any of these in it has no owner; a
/// single link-local address has one.
fn can_be_owned(prefix: &IpNet) -> bool {
    match prefix {
        IpNet::V4(prefix) => !prefix.contains(&Ipv4Addr::UNSPECIFIED),
        IpNet::V6(prefix) => {
            let link_local = Ipv6Net::new_assert(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10);
            !prefix.contains(&Ipv6Addr::UNSPECIFIED)
                && !prefix.contains(&link_local)
                && (prefix.prefix_len() == 128 || !link_local.contains(prefix))
        }
    }
}

/// The address that a guest makes of its Ethernet address (RFC 4291, appendix A).
fn version(prefix: IpNet) -> Version {
    match prefix {
        IpNet::V4(_) => Version::V4,
        IpNet::V6(_) => Version::V6,
    }
}

fn value(address: IpAddr) -> NftValue {
    match address {
        IpAddr::V4(address) => NftValue::Ipv4Addr(address),
        IpAddr::V6(address) => NftValue::Ipv6Addr(address),
    }
}
