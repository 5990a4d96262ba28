use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{HostRecord, NatRules, NetworkSnapshot};
use crate::config::{BondPolicy, BridgePolicy, HostAddresses, NetworkConfig, VlanPolicy};
use crate::plan::{Change, Plan};
use crate::types::{BridgeInfo, IfName, Link, LinkSet, MacAddr, Mtu, Sysctl};

/// What there was before xennet changed it, and nothing more: what `stop` gives back.
///
/// It is written down before the first change, so that an interrupted start can be rolled back as well.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NetworkRecord {
    /// The bridges, in the order in which they were taken.
    pub bridges: Vec<BridgeRecord>,
    /// The bonds, in the order in which they were taken.
    #[serde(default)]
    pub bonds: Vec<BondRecord>,
    /// The VLAN interfaces, each after the one below it.
    #[serde(default)]
    pub vlans: Vec<VlanRecord>,
    /// The settings of interfaces that were there, in the order in which they were changed.
    pub links: Vec<(IfName, LinkSet)>,
    /// Which interfaces the names above mean.
    #[serde(default)]
    pub identities: BTreeMap<IfName, LinkIdentity>,
    /// The kernel's settings that were changed.
    pub sysctls: BTreeMap<Sysctl, String>,
    /// What was in the table that translates addresses, when only a later start is to be taken back: there was none
    /// before the first one.
    #[serde(default)]
    pub nat: Option<NatRules>,
}

/// What there was of one bridge and its uplink.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BridgeRecord {
    /// The bridge.
    pub name: IfName,
    /// Whether there was none: then xennet made it, and it goes again.
    pub made: bool,
    /// Its uplink.
    pub uplink: Option<IfName>,
    /// Its port that leads to other hosts.
    #[serde(default)]
    pub vxlan: Option<VxlanRecord>,
    /// Which addresses of the host came to it.
    pub moved: Moved,
    /// When this was recorded: the time since boot.
    #[serde(default)]
    pub at: Duration,
    /// The settings with which a bridge that existed is created again.
    #[serde(default)]
    pub adopted: Option<AdoptedBridge>,
    /// What the host had on the bridge.
    pub of_bridge: HostRecord,
    /// What the host had on the uplink.
    pub of_uplink: HostRecord,
}

/// The settings of a bridge that another program created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AdoptedBridge {
    /// Its hardware address.
    pub mac: Option<MacAddr>,
    /// Its MTU, unless it is that of the uplink.
    pub mtu: Option<Mtu>,
    /// Its settings as a bridge.
    pub settings: BridgeInfo,
}

/// What an interface keeps when its name changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LinkIdentity {
    /// Its index: no other interface has it until the next boot, unless it is asked for.
    pub index: u32,
    /// Its hardware address.
    pub mac: Option<MacAddr>,
}

/// What there was of a VXLAN port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct VxlanRecord {
    /// The port.
    pub name: IfName,
    /// Whether there was none: then xennet made it, and it goes again.
    pub made: bool,
}

/// Which addresses of the host came to a bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Moved {
    /// None.
    No,
    /// The uplink's: those that are now on the bridge go back.
    Inherited,
    /// Given ones, instead of the uplink's: those go back as they were.
    Replaced,
}

/// What there was of a bond and its ports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BondRecord {
    /// The bond.
    pub name: IfName,
    /// Whether xennet created it, so that it is deleted again.
    pub made: bool,
    /// The ports that joined it.
    pub ports: Vec<IfName>,
    /// The port whose addresses and routes moved to it.
    pub home: Option<IfName>,
    /// When this was recorded: the time since boot.
    pub at: Duration,
    /// What the host had on the bond.
    pub of_bond: HostRecord,
    /// What the host had on that port.
    pub of_home: HostRecord,
}

/// What there was of a VLAN interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct VlanRecord {
    /// The interface.
    pub name: IfName,
    /// Whether xennet created it, so that it is deleted again.
    pub made: bool,
    /// The interface below.
    pub link: IfName,
}

impl NetworkRecord {
    /// Whether xennet created this bond or VLAN interface.
    pub(super) fn has_made(&self, name: &IfName) -> bool {
        self.made_below().any(|made| made == name)
    }

    fn made_below(&self) -> impl Iterator<Item = &IfName> {
        let bonds = self.bonds.iter().filter(|bond| bond.made).map(|bond| &bond.name);
        bonds.chain(self.vlans.iter().filter(|vlan| vlan.made).map(|vlan| &vlan.name))
    }

    /// The part about these bridges and their uplinks.
    pub(super) fn of_bridges(&self, which: impl Fn(&BridgeRecord) -> bool) -> Self {
        let bridges: Vec<_> = self.bridges.iter().filter(|bridge| which(bridge)).cloned().collect();
        let is_uplink =
            |name: &IfName| bridges.iter().any(|bridge| bridge.uplink.as_ref() == Some(name));
        let bonds: Vec<_> =
            self.bonds.iter().filter(|bond| is_uplink(&bond.name)).cloned().collect();
        let vlans = self.vlans.iter().filter(|vlan| is_uplink(&vlan.name)).cloned().collect();
        let is_theirs = |name: &str| {
            let names = bridges.iter().flat_map(|one| [Some(&one.name), one.uplink.as_ref()]);
            let ports = bonds.iter().flat_map(|bond| &bond.ports);
            names.flatten().chain(ports).any(|other| other.as_str() == name)
        };
        let links = self.links.iter().filter(|(name, _)| is_theirs(name.as_str()));
        let sysctls = self.sysctls.iter().filter(|(one, _)| one.interface().is_some_and(is_theirs));
        Self {
            links: links.cloned().collect(),
            sysctls: sysctls.map(|(sysctl, was)| (sysctl.clone(), was.clone())).collect(),
            nat: None,
            identities: self.identities.clone(),
            vlans,
            bonds: bonds.clone(),
            bridges: bridges.clone(),
        }
    }

    /// Adds what a plan is about to change, as far as it is not known already.
    /// `stacked` is the network once bonds and VLAN interfaces are made.
    pub(super) fn add(
        &mut self,
        config: &NetworkConfig,
        plan: &Plan,
        seen: &NetworkSnapshot,
        stacked: &NetworkSnapshot,
    ) {
        for policy in &config.bonds {
            match self.bonds.iter_mut().find(|known| known.name == policy.name) {
                None => self.bonds.push(BondRecord::of(policy, seen)),
                Some(known) => known.add(policy, seen),
            }
        }
        for policy in &config.all_vlans() {
            if !self.vlans.iter().any(|known| known.name == policy.name) {
                self.vlans.push(VlanRecord::of(policy, seen));
            }
        }
        let started =
            self.bridges.iter().flat_map(|known| [Some(&known.name), known.uplink.as_ref()]);
        let started: Vec<IfName> = started.flatten().cloned().collect();
        for policy in &config.all_bridges() {
            match self.bridges.iter_mut().find(|known| known.name == policy.name) {
                None => self.bridges.push(BridgeRecord::of(policy, stacked)),
                Some(known) => known.add(policy, seen, stacked),
            }
        }
        // What is made takes its settings along.
        let bridges = self.bridges.iter().filter(|known| known.made).map(|known| &known.name);
        let tunnels = self.bridges.iter().filter_map(|known| known.vxlan.as_ref());
        let tunnels = tunnels.filter(|vxlan| vxlan.made).map(|vxlan| &vxlan.name);
        let made: Vec<IfName> = bridges.chain(tunnels).cloned().collect();
        let made = |name: &str| made.iter().any(|known| known.as_str() == name);
        // What a bridge made of its uplink goes before the uplink does.
        let below: Vec<IfName> = self.made_below().cloned().collect();
        let lasts = |link: &IfName, was: &LinkSet| {
            !below.contains(link) || matches!(was, LinkSet::Master(_) | LinkSet::AddrGenMode(_))
        };
        for change in plan.changes() {
            match change {
                Change::Sysctl { sysctl, was: Some(was), .. }
                    if !sysctl.interface().is_some_and(made) =>
                {
                    // What another program changed after an earlier start is damage.
                    let mut hosts =
                        self.bridges.iter().flat_map(|one| [&one.of_bridge, &one.of_uplink]);
                    let first = hosts.find_map(|host| host.sysctls.get(sysctl));
                    let was = first.unwrap_or(was).clone();
                    self.sysctls.entry(sysctl.clone()).or_insert(was);
                }
                Change::LinkSet { link, was, .. }
                    if !made(link.name.as_str()) && lasts(&link.name, was) =>
                {
                    let known =
                        |(name, other): &(IfName, LinkSet)| *name == link.name && alike(other, was);
                    // Another program set it down, or took it out of the bridge, after an earlier start.
                    let is_damage = matches!(was, LinkSet::Up(false) | LinkSet::Master(None))
                        && started.contains(&link.name);
                    if !is_damage && !self.links.iter().any(known) {
                        self.links.push((link.name.clone(), was.clone()));
                    }
                }
                _ => {}
            }
        }
    }
}

/// Whether two values are of the same setting.
fn alike(one: &LinkSet, other: &LinkSet) -> bool {
    use std::mem::discriminant;
    match (one, other) {
        (LinkSet::Bridge(one), LinkSet::Bridge(other)) => discriminant(one) == discriminant(other),
        (LinkSet::Bond(one), LinkSet::Bond(other)) => discriminant(one) == discriminant(other),
        _ => discriminant(one) == discriminant(other),
    }
}

impl BridgeRecord {
    fn of(policy: &BridgePolicy, seen: &NetworkSnapshot) -> Self {
        let bridge = seen.link(&policy.name);
        let uplink = policy.uplink.as_ref().and_then(|name| seen.link(name));
        let host =
            |link: Option<&Link>| link.map(|link| HostRecord::of(link, seen)).unwrap_or_default();
        Self {
            name: policy.name.clone(),
            made: bridge.is_none(),
            uplink: policy.uplink.clone(),
            vxlan: VxlanRecord::of(policy, seen),
            moved: match policy.addresses {
                None | Some(HostAddresses::None) => Moved::No,
                Some(HostAddresses::Inherit) => Moved::Inherited,
                Some(HostAddresses::Static(_)) => Moved::Replaced,
            },
            at: seen.now,
            adopted: bridge.and_then(|bridge| AdoptedBridge::of(bridge, uplink)),
            of_bridge: host(bridge),
            of_uplink: host(uplink),
        }
    }
}

impl BridgeRecord {
    /// Adds what comes to a bridge that an earlier start created or adopted: a VXLAN port, an uplink, the host's addresses.
    fn add(&mut self, policy: &BridgePolicy, seen: &NetworkSnapshot, stacked: &NetworkSnapshot) {
        if self.vxlan.is_none() {
            self.vxlan = VxlanRecord::of(policy, seen);
        }
        let has_new_uplink = self.uplink.is_none() && policy.uplink.is_some();
        if has_new_uplink || self.moved == Moved::No && policy.moves_addresses() {
            let new = Self::of(policy, stacked);
            self.of_bridge = self.bridge_at(seen.now);
            (self.uplink, self.of_uplink, self.at) = (new.uplink, new.of_uplink, seen.now);
            if policy.moves_addresses() {
                self.moved = new.moved;
            }
        }
    }

    /// What the host had on the uplink, as far as it has not expired.
    pub(super) fn uplink_at(&self, now: Duration) -> HostRecord {
        self.of_uplink.after(now.saturating_sub(self.at))
    }
}

impl AdoptedBridge {
    fn of(bridge: &Link, uplink: Option<&Link>) -> Option<Self> {
        let differs = uplink.is_some_and(|uplink| uplink.mtu != bridge.mtu);
        Some(Self {
            mac: bridge.mac,
            mtu: Mtu::new(bridge.mtu).ok().filter(|_| differs),
            settings: bridge.bridge.clone()?,
        })
    }
}

impl VxlanRecord {
    fn of(policy: &BridgePolicy, seen: &NetworkSnapshot) -> Option<Self> {
        let name = policy.vxlan.as_ref()?.vni.port_name();
        Some(Self { made: seen.link(&name).is_none(), name })
    }
}

impl BondRecord {
    pub(super) fn of(policy: &BondPolicy, seen: &NetworkSnapshot) -> Self {
        let bond = seen.link(&policy.name);
        let host =
            |link: Option<&Link>| link.map(|link| HostRecord::of(link, seen)).unwrap_or_default();
        let ports = policy.ports.iter().filter_map(|port| seen.link(port));
        let joins = |port: &&Link| bond.is_none_or(|bond| port.master != Some(bond.index));
        let ports: Vec<&Link> = ports.filter(joins).collect();
        let home = ports.iter().copied().find(|port| seen.is_used(port));
        Self {
            name: policy.name.clone(),
            made: bond.is_none(),
            ports: ports.iter().map(|port| port.name.clone()).collect(),
            home: home.map(|home| home.name.clone()),
            at: seen.now,
            of_bond: host(bond),
            of_home: host(home),
        }
    }

    /// What the host had on the port, as far as it has not expired.
    pub(super) fn home_at(&self, now: Duration) -> HostRecord {
        self.of_home.after(now.saturating_sub(self.at))
    }

    /// Adds the ports that join it now, and what the host has on them, as far as that is not known already.
    pub(super) fn add(&mut self, policy: &BondPolicy, seen: &NetworkSnapshot) {
        let new = Self::of(policy, seen);
        for port in new.ports {
            if !self.ports.contains(&port) {
                self.ports.push(port);
            }
        }
        if self.home.is_none() {
            (self.home, self.of_home, self.at) = (new.home, new.of_home, new.at);
        }
    }
}

impl VlanRecord {
    pub(super) fn of(policy: &VlanPolicy, seen: &NetworkSnapshot) -> Self {
        let VlanPolicy { name, link, .. } = policy.clone();
        Self { made: seen.link(&name).is_none(), name, link }
    }
}
