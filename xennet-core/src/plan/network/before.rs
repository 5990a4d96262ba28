use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{NatRules, NetworkSnapshot};
use crate::config::{BridgePolicy, HostAddresses};
use crate::plan::{Change, HostRoute, Plan};
use crate::types::{Address, IfName, Link, LinkSet, Neighbour, Sysctl};

/// What there was before xennet changed it, and nothing more: what `stop` gives back.
///
/// It is written down before the first change, so that a plan that ends midway can be taken back as well.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NetworkBefore {
    /// The bridges, in the order in which they were taken.
    pub bridges: Vec<BridgeBefore>,
    /// The settings of interfaces that were there, in the order in which they were changed.
    pub links: Vec<(IfName, LinkSet)>,
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
pub struct BridgeBefore {
    /// The bridge.
    pub name: IfName,
    /// Whether there was none: then xennet made it, and it goes again.
    pub made: bool,
    /// Its uplink.
    pub uplink: Option<IfName>,
    /// Its port that leads to other hosts.
    #[serde(default)]
    pub vxlan: Option<VxlanBefore>,
    /// Which addresses of the host came to it.
    pub moved: Moved,
    /// What the host had on the bridge.
    pub of_bridge: HostBefore,
    /// What the host had on the uplink.
    pub of_uplink: HostBefore,
}

/// What there was of a VXLAN port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct VxlanBefore {
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

/// What the host had on one interface.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HostBefore {
    /// Its addresses.
    pub addresses: Vec<Address>,
    /// The routes that left by it.
    pub routes: Vec<HostRoute>,
    /// Its permanent neighbours.
    pub neighbours: Vec<Neighbour>,
}

impl NetworkBefore {
    /// Adds what a plan is about to change, as far as it is not known already.
    pub(super) fn add(&mut self, bridges: &[BridgePolicy], plan: &Plan, seen: &NetworkSnapshot) {
        let started =
            self.bridges.iter().flat_map(|known| [Some(&known.name), known.uplink.as_ref()]);
        let started: Vec<IfName> = started.flatten().cloned().collect();
        for policy in bridges {
            match self.bridges.iter_mut().find(|known| known.name == policy.name) {
                None => self.bridges.push(BridgeBefore::of(policy, seen)),
                // It may have come to a bridge that was there.
                Some(known) if known.vxlan.is_none() => known.vxlan = VxlanBefore::of(policy, seen),
                Some(_) => {}
            }
        }
        // What is made takes its settings along.
        let bridges = self.bridges.iter().filter(|known| known.made).map(|known| &known.name);
        let tunnels = self.bridges.iter().filter_map(|known| known.vxlan.as_ref());
        let tunnels = tunnels.filter(|vxlan| vxlan.made).map(|vxlan| &vxlan.name);
        let made: Vec<IfName> = bridges.chain(tunnels).cloned().collect();
        let made = |name: &str| made.iter().any(|known| known.as_str() == name);
        for change in plan.changes() {
            match change {
                Change::Sysctl { sysctl, was: Some(was), .. }
                    if !sysctl.interface().is_some_and(made) =>
                {
                    self.sysctls.entry(sysctl.clone()).or_insert_with(|| was.clone());
                }
                Change::LinkSet { link, was, .. } if !made(link.name.as_str()) => {
                    let known =
                        |(name, other): &(IfName, LinkSet)| *name == link.name && alike(other, was);
                    // Another program set it down after an earlier start.
                    let went_down = *was == LinkSet::Up(false) && started.contains(&link.name);
                    if !went_down && !self.links.iter().any(known) {
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
        _ => discriminant(one) == discriminant(other),
    }
}

impl BridgeBefore {
    fn of(policy: &BridgePolicy, seen: &NetworkSnapshot) -> Self {
        let bridge = seen.link(&policy.name);
        let uplink = policy.uplink.as_ref().and_then(|name| seen.link(name));
        let host =
            |link: Option<&Link>| link.map(|link| HostBefore::of(link, seen)).unwrap_or_default();
        Self {
            name: policy.name.clone(),
            made: bridge.is_none(),
            uplink: policy.uplink.clone(),
            vxlan: VxlanBefore::of(policy, seen),
            moved: match policy.addresses {
                None => Moved::No,
                Some(HostAddresses::Inherit) => Moved::Inherited,
                Some(HostAddresses::Static(_)) => Moved::Replaced,
            },
            of_bridge: host(bridge),
            of_uplink: host(uplink),
        }
    }
}

impl VxlanBefore {
    fn of(policy: &BridgePolicy, seen: &NetworkSnapshot) -> Option<Self> {
        let name = policy.vxlan.as_ref()?.vni.port_name();
        Some(Self { made: seen.link(&name).is_none(), name })
    }
}

impl HostBefore {
    fn of(link: &Link, seen: &NetworkSnapshot) -> Self {
        Self {
            addresses: seen.addresses(link).to_vec(),
            routes: seen.routes(&link.reference()).cloned().collect(),
            neighbours: seen.neighbours(link).to_vec(),
        }
    }
}
