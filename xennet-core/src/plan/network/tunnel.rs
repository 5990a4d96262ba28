//! The port of a bridge that leads to other hosts: VXLAN.

use super::NetworkSnapshot;
use crate::config::{BridgePolicy, HostAddresses, NetworkConfig, VxlanPolicy};
use crate::plan::{Change, HostWarning, Plan, PlanError, VxlanError};
use crate::types::{
    AddrGenMode, IfName, Link, LinkKind, LinkRef, LinkSet, Mtu, PortFlags, PortSet, VxlanSpec,
};

/// A VXLAN port as the configuration wants it, and how long a packet it can carry.
pub(super) struct Tunnel<'a> {
    bridge: &'a IfName,
    name: IfName,
    spec: VxlanSpec,
    /// The interface underneath and its MTU; none where nobody can know it, as for an address on the loopback.
    underlay: Option<(&'a IfName, u32)>,
    /// Whether the host has the address that packets are to come from, or gets it.
    has_local: bool,
    /// The port that is there.
    link: Option<&'a Link>,
    made: bool,
    seen: &'a NetworkSnapshot,
}

impl<'a> Tunnel<'a> {
    pub(super) fn of(
        policy: &'a BridgePolicy,
        config: &'a NetworkConfig,
        seen: &'a NetworkSnapshot,
    ) -> Result<Option<Self>, PlanError> {
        let known = seen.known_bridges();
        let mut known = known.filter(|known| known.name == policy.name);
        let known = known.find_map(|known| known.vxlan.as_ref());
        let Some(vxlan) = &policy.vxlan else {
            return match known {
                None => Ok(None),
                Some(known) => {
                    let (bridge, was) = (policy.name.clone(), known.name.clone());
                    Err(VxlanError::Forgotten { bridge, was }.into())
                }
            };
        };
        let name = vxlan.vni.port_name();
        let dev = vxlan.dev.as_ref().map(|name| {
            let link = seen.link(name).map(Link::reference);
            link.unwrap_or(LinkRef { index: None, name: name.clone() })
        });
        if let Some(known) = known.filter(|known| known.name != name) {
            let (bridge, was) = (policy.name.clone(), known.name.clone());
            return Err(VxlanError::Changed { bridge, vxlan: name, was }.into());
        }
        Ok(Some(Self {
            bridge: &policy.name,
            spec: vxlan.spec(dev),
            underlay: underlay(vxlan, config, seen),
            has_local: home(vxlan, config, seen).is_some(),
            link: seen.link(&name),
            made: known.is_some_and(|known| known.made),
            name,
            seen,
        }))
    }

    /// The largest MTU of a bridge whose frames fit through; none where nobody can know it.
    pub(super) fn room(&self) -> Option<u32> {
        self.underlay.map(|(_, mtu)| mtu.saturating_sub(self.spec.overhead()))
    }

    /// What makes the port, or takes up one that is just so, and puts it into the bridge, which has that MTU.
    pub(super) fn start(
        &self,
        plan: &mut Plan,
        bridge: &LinkRef,
        mtu: Mtu,
    ) -> Result<(), PlanError> {
        self.fits(mtu)?;
        if !self.has_local {
            let (bridge, local) = (self.bridge.clone(), self.spec.local);
            plan.warn(HostWarning::NoVxlanLocal { bridge, local });
        }
        let wanted = self.flags();
        let Some(link) = self.link else {
            self.make(plan, bridge, mtu, wanted);
            return Ok(());
        };
        self.agrees(link, bridge)?;
        let reference = link.reference();
        if let (true, Some(mode)) = (self.made, link.addr_gen_mode) {
            let none = AddrGenMode::None;
            let (set, was) = (LinkSet::AddrGenMode(none), LinkSet::AddrGenMode(mode));
            plan.set(mode != none, &reference, set, was);
        }
        if link.mtu != mtu.bytes() {
            plan.set(true, &reference, LinkSet::Mtu(mtu), LinkSet::Mtu(Mtu::new(link.mtu)?));
        }
        let master = LinkSet::Master(Some(bridge.clone()));
        plan.set(link.master.is_none(), &reference, master, LinkSet::Master(None));
        let now = link.master.and(self.seen.ports.get(&link.index));
        flags(plan, reference.clone(), wanted, now.map_or(NEW, |port| port.flags));
        plan.set(!link.up, &reference, LinkSet::Up(true), LinkSet::Up(false));
        Ok(())
    }

    fn make(&self, plan: &mut Plan, bridge: &LinkRef, mtu: Mtu, wanted: PortFlags) {
        plan.push(Change::LinkAdd {
            name: self.name.clone(),
            kind: LinkKind::Vxlan(self.spec.clone()),
            mac: None,
            mtu: Some(mtu),
        });
        let link = LinkRef { index: None, name: self.name.clone() };
        // The host says nothing on it: its addresses are on the bridge.
        let mode = |mode| LinkSet::AddrGenMode(mode);
        plan.set(true, &link, mode(AddrGenMode::None), mode(AddrGenMode::Eui64));
        plan.set(true, &link, LinkSet::Master(Some(bridge.clone())), LinkSet::Master(None));
        flags(plan, link.clone(), wanted, NEW);
        plan.set(true, &link, LinkSet::Up(true), LinkSet::Up(false));
        if self.underlay.is_none() && self.has_local {
            let (bridge, local) = (self.bridge.clone(), self.spec.local);
            plan.warn(HostWarning::UnderlayUnknown { bridge, local, mtu });
        }
    }

    /// With EVPN, the forwarding table is its work, and the bridge answers for those behind other hosts. Without it, the
    /// port learns as any other.
    fn flags(&self) -> PortFlags {
        if self.spec.learning { PortFlags::LEARNING } else { PortFlags::NEIGH_SUPPRESS }
    }

    /// An error when the port that is there is not what is asked for: it is not ours to change, or cannot be changed.
    fn agrees(&self, link: &Link, bridge: &LinkRef) -> Result<(), PlanError> {
        let differs =
            |setting| Err(VxlanError::Differs { name: self.name.clone(), setting }.into());
        let Some(now) = &link.vxlan else {
            return differs(format!("another kind, {}", crate::plan::vif::describe(link)));
        };
        if let Some(setting) = self.spec.difference(now) {
            return differs(setting);
        }
        if link.master.is_some_and(|master| Some(master) != bridge.index) {
            let master = self.seen.links.iter().find(|other| link.master == Some(other.index));
            let master = master.map_or("another", |master| master.name.as_str());
            return differs(format!("master {master}"));
        }
        let port = self.seen.ports.get(&link.index).filter(|_| !self.made && link.master.is_some());
        match port.map(|port| (port.flags ^ self.flags()) & MEANT) {
            Some(wrong) if !wrong.is_empty() => {
                let is = port.map_or(NEW, |port| port.flags);
                differs(PortSet::default().on(wrong & is).off(wrong - is).to_string())
            }
            _ => Ok(()),
        }
    }

    /// An error when the frames of a bridge with that MTU are too long.
    fn fits(&self, mtu: Mtu) -> Result<(), PlanError> {
        match (self.room(), self.underlay) {
            (Some(room), Some((underlay, of_underlay))) if mtu.bytes() > room => {
                Err(VxlanError::TooLong {
                    bridge: self.bridge.clone(),
                    mtu,
                    underlay: underlay.clone(),
                    of_underlay,
                    room,
                    needed: mtu.bytes() + self.spec.overhead(),
                }
                .into())
            }
            _ => Ok(()),
        }
    }
}

/// What a port that joins a bridge begins with.
const NEW: PortFlags = PortFlags::LEARNING;
/// The switches about which something is said.
const MEANT: PortFlags =
    PortFlags::LEARNING.union(PortFlags::NEIGH_SUPPRESS).union(PortFlags::ISOLATED);

fn flags(plan: &mut Plan, link: LinkRef, wanted: PortFlags, is: PortFlags) {
    let wrong = (is ^ wanted) & MEANT;
    if !wrong.is_empty() {
        let set = PortSet::default().on(wanted & wrong).off(wrong - wanted);
        let was = PortSet::default().on(is & wrong).off(wrong - is);
        plan.push(Change::PortSet { link, set, was });
    }
}

/// The interface that has the address that the packets come from, or gets it.
fn home<'a>(
    vxlan: &VxlanPolicy,
    config: &'a NetworkConfig,
    seen: &'a NetworkSnapshot,
) -> Option<&'a IfName> {
    let is_given = |policy: &&BridgePolicy| match &policy.addresses {
        Some(HostAddresses::Static(all)) => all.iter().any(|net| net.addr() == vxlan.local),
        _ => false,
    };
    let given = || config.bridges.iter().find(is_given).map(|policy| &policy.name);
    seen.homes.get(&vxlan.local).or_else(given)
}

/// The interface that the packets leave by, and the MTU that it has or gets.
fn underlay<'a>(
    vxlan: &'a VxlanPolicy,
    config: &'a NetworkConfig,
    seen: &'a NetworkSnapshot,
) -> Option<(&'a IfName, u32)> {
    let name = vxlan.dev.as_ref().or_else(|| home(vxlan, config, seen))?;
    let of_bridge =
        |policy: &&BridgePolicy| policy.name == *name || policy.uplink.as_ref() == Some(name);
    // One of those that the same plan makes or changes.
    let policy = config.bridges.iter().find(of_bridge);
    let link = || seen.link(name).or_else(|| seen.link(policy?.uplink.as_ref()?));
    let mtu = policy.and_then(|policy| policy.mtu);
    let mtu = mtu.or_else(|| Mtu::new(link()?.mtu).ok())?;
    Some((name, mtu.bytes()))
}
