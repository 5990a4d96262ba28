//! One vif: what makes it usable, and what takes it away.

mod announce;
mod arrival;
pub(crate) mod dhcp;
mod link;
pub(crate) mod nat;
mod port;
mod routed;
mod routed_snapshot;
mod switch;
mod target;

pub use dhcp::DhcpSnapshot;
pub(crate) use link::is_datapath;
pub use routed_snapshot::RoutedSnapshot;
pub(crate) use switch::MARK;
pub use switch::SwitchSnapshot;
pub use target::VifTarget;
pub(super) use target::describe;

use std::net::IpAddr;
use std::path::PathBuf;

use super::guard::{self, GuardEntry, GuardSnapshot};
use super::{AddressError, Change, FilterSnapshot, IptablesRule, Plan, PlanError, UplinkSnapshot};
use crate::config::{GuardLevel, PortPolicy, VifConfig};
use crate::types::{
    Address, Device, IfName, Link, LinkRef, LinkSet, Mode, Mtu, NftFamily, Port, VlanRange,
};
use link::Setter;
use port::BridgePort;
use routed::Routed;
use switch::SwitchPort;

/// What there is: everything that a plan for one vif depends on, and nothing that grows with the number of vifs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct VifSnapshot {
    /// The vif's interface, as [`VifTarget::identify`] found it.
    pub link: Option<Link>,
    /// The addresses on it.
    pub addresses: Vec<Address>,
    /// What it is a port of.
    pub master: Option<Link>,
    /// Whether the port that it is now, of another bridge, has VLANs or settings that are lost when it leaves: then a
    /// move that fails ends with the vif back in its old bridge, but down.
    pub lossy: bool,
    /// The VLANs that it is in, where it is a port already; only looked at when `vlan` is set.
    pub vlans: Vec<VlanRange>,
    /// The interfaces that [`VifTarget::bridge_names`] names, as far as they exist; all bridges when it names none.
    pub bridges: Vec<Link>,
    /// The bridge's uplink, where its VLANs are managed; only looked at then.
    pub uplink: Option<UplinkSnapshot>,
    /// What the host's configuration says of the port: for this guest, or for this bridge.
    pub policy: PortPolicy,
    /// What the port is set to; only looked at where the configuration says something of that.
    pub port: Option<Port>,
    /// The ports by which the bridge reaches others than guests; only looked at for an announcement.
    pub outlets: Vec<Outlet>,
    /// What the guard has for it; none where there is no guard.
    pub guard: Option<GuardSnapshot>,
    /// The same of other families of nftables: what is left when it is plugged into something else than it was. Of all of
    /// them for one that is unplugged, else of `netdev` alone, whose chains see a frame wherever it goes.
    pub other_guards: Vec<(NftFamily, GuardSnapshot)>,
    /// What there is for a vif that is routed; only looked at for one.
    pub routed: Option<RoutedSnapshot>,
    /// Proxy entries of xennet's own that are left of vifs whose routes are gone, or go with this one's. Only looked at for
    /// one that is unplugged and may have been routed.
    pub stale_proxies: Vec<(LinkRef, IpAddr)>,
    /// Of the addresses that somebody gave it in a `[[nat]]`, the first that another has there, and who.
    pub taken: Option<(IpAddr, String)>,
    /// What dnsmasq is told of it.
    pub dhcp: Option<DhcpSnapshot>,
    /// What there is of Open vSwitch; only looked at for a vif that is, or may be, a port of it.
    pub switch: Option<SwitchSnapshot>,
    /// Other people's filters.
    pub filters: FilterSnapshot,
    /// Which of its rules for `iptables` are there; only looked at where they are asked for.
    pub iptables: Vec<IptablesRule>,
    /// The administrator's hooks, in the order in which to run them.
    pub hooks: Vec<PathBuf>,
    /// XenStore's side; none without XenStore.
    pub store: Option<VifStore>,
}

/// A port of a bridge that leads to others than guests.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outlet {
    /// The port.
    pub link: LinkRef,
    /// The VLANs that it is in, where the bridge knows them.
    pub vlans: Vec<VlanRange>,
}

impl Outlet {
    /// A port and its VLANs.
    pub fn new(link: LinkRef, vlans: Vec<VlanRange>) -> Self {
        Self { link, vlans }
    }
}

/// What XenStore says about one vif.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct VifStore {
    /// The backend's `hotplug-status`.
    pub hotplug_status: Option<Vec<u8>>,
    /// The backend's `hotplug-error`.
    pub hotplug_error: Option<Vec<u8>>,
    /// The frontend's `mtu`: the guest can write around it, so it is only ever compared.
    pub frontend_mtu: Option<Vec<u8>>,
}

impl VifTarget {
    /// What makes the vif a port of its bridge and tells XenStore so.
    ///
    /// The order is fail-closed: everything is set before the link goes up, and `connected` comes last.
    pub fn online(&self, config: &VifConfig, seen: &VifSnapshot) -> Result<Plan, PlanError> {
        let link = seen.link.as_ref().ok_or_else(|| self.no_link())?;
        let wanted = self.wanted(config, seen)?;
        if let Some((ip, owner)) = seen.taken.clone() {
            return Err(AddressError::Assigned { ip, owner, vif: self.name.clone() }.into());
        }

        let mut plan = Plan::default();
        if self.mode != Mode::OpenVswitch {
            self.leave_switch(&mut plan, seen)?;
        }
        match &wanted.way {
            Way::Bridge(port) => port.plan(&mut plan, self, &wanted, link, seen)?,
            Way::Routed(routed) => routed.plan(&mut plan, self, &wanted, link, seen)?,
            Way::Switch(port) => port.plan(&mut plan, self, &wanted, link, seen)?,
        }
        if let Some(dhcp) = &seen.dhcp {
            dhcp.online(&mut plan, self, config);
        }
        self.announce(&mut plan, config, &wanted, seen)?;
        Ok(plan)
    }

    /// Whether something is wanted of the port's own settings.
    pub(crate) fn sets_port(&self, config: &VifConfig, seen: &VifSnapshot) -> bool {
        self.wanted(config, seen).is_ok_and(|wanted| match &wanted.way {
            Way::Bridge(port) => !port.flags(seen, &wanted).0.is_empty(),
            Way::Routed(_) | Way::Switch(_) => false,
        })
    }

    /// What the guard shall hold the port to; none when it shall not be guarded, or when what is wanted is no plan.
    pub fn guard(&self, config: &VifConfig, seen: &VifSnapshot) -> Option<GuardEntry> {
        self.wanted(config, seen).ok()?.guard
    }

    /// What takes the vif out of its bridge, and the host's routes to it away: everything that is left of it, however little.
    ///
    /// XenStore is left as it is: the backend's directory belongs to the toolstack, which is about to remove it.
    pub fn offline(&self, config: &VifConfig, seen: &VifSnapshot) -> Plan {
        let mut plan = Plan::default();
        if let Some(link) = &seen.link {
            let mut to = Setter { plan: &mut plan, link: link.reference() };
            if let Some(routed) = &seen.routed {
                self.unroute(&mut to, seen, routed);
            }
            to.set(link.up, LinkSet::Up(false), LinkSet::Up(true));
            let datapath = seen.master.as_ref().is_some_and(is_datapath);
            let master = seen.master.as_ref().map(Link::reference);
            to.set(
                link.master.is_some() && !datapath,
                LinkSet::Master(None),
                LinkSet::Master(master),
            );
        }
        self.unswitch(&mut plan, seen);
        if let Some(RoutedSnapshot { uplink: Some(uplink), proxies, .. }) = &seen.routed {
            for address in proxies {
                plan.push(Change::ProxyDelete { link: uplink.reference(), address: *address });
            }
        }
        for (link, address) in &seen.stale_proxies {
            plan.push(Change::ProxyDelete { link: link.clone(), address: *address });
        }
        if let Some(dhcp) = &seen.dhcp {
            dhcp.offline(&mut plan, self);
        }
        let reserve = seen.policy.reserve.unwrap_or(false);
        let own = seen.guard.iter().map(|guard| (self.family(), guard));
        let others = seen.other_guards.iter().map(|(family, guard)| (*family, guard));
        let remove = |(family, guard)| guard::remove(family, self.id, reserve, guard);
        plan.changes.extend(guard::in_turn(own.chain(others).filter_map(remove)));
        plan.changes.extend(seen.iptables.iter().cloned().map(Change::IptablesDelete));
        // The last user of a VLAN takes it along, even when its interface is long gone.
        plan.changes.extend(seen.uplink.iter().flat_map(|uplink| uplink.reconcile(&[])));
        let name = self.final_name(config).unwrap_or_else(|_| self.name.clone());
        let main_ip = seen.routed.as_ref().and_then(|routed| routed.source);
        let main_ip = main_ip.map(|ip| ip.to_string()).unwrap_or_default();
        self.hooks(&mut plan, ("offline", "remove"), config, (&name, main_ip), seen);
        plan
    }

    fn wanted<'a>(
        &self,
        config: &'a VifConfig,
        seen: &'a VifSnapshot,
    ) -> Result<Wanted<'a>, PlanError> {
        let name = self.final_name(config)?;
        let (way, mtu, bridge) = if self.mode == Mode::Bridge {
            let port = self.port(config, seen)?;
            let (bridge, mtu) = (port.bridge, Mtu::new(port.bridge.mtu));
            let vlans = bridge.bridge.as_ref().is_some_and(|bridge| bridge.vlan_filtering);
            (Way::Bridge(port), config.mtu.map_or(mtu, Ok)?, Some((&bridge.name, vlans)))
        } else if self.mode == Mode::OpenVswitch {
            let switch = seen.switch.as_ref().ok_or(PlanError::NoSwitches)?;
            let port = self.switch_port(config, seen, switch, &name)?;
            // The bridge's own interface has what its other ports can carry.
            let unsaid = seen.bridges.first().map_or(ETHERNET, |link| link.mtu);
            let mtu = config.mtu.map_or_else(|| Mtu::new(unsaid), Ok)?;
            let at = Some((&port.port.bridge, port.separates()));
            let guard = if switch.passes_ingress {
                self.guard_entry(config, at, &name, &seen.policy)?
            } else {
                None
            };
            return Ok(Wanted { name, mtu, guard, way: Way::Switch(port) });
        } else {
            // netback's own. What is too long for a link on the way is known to its sender: that is a router's work.
            let mtu = config.mtu.map_or_else(|| Mtu::new(ETHERNET), Ok)?;
            (Way::Routed(self.routed(config, seen, &name, mtu)?), mtu, None)
        };
        let guard = self.guard_entry(config, bridge, &name, &seen.policy)?;
        Ok(Wanted { name, mtu, guard, way })
    }

    /// `bridge` is its name, and whether it separates VLANs.
    pub(crate) fn guard_entry(
        &self,
        config: &VifConfig,
        bridge: Option<(&IfName, bool)>,
        name: &IfName,
        policy: &PortPolicy,
    ) -> Result<Option<GuardEntry>, PlanError> {
        let policy = policy.guard(!config.ip.is_empty());
        if policy.level == GuardLevel::Off {
            return Ok(None);
        }
        let vlans = bridge.is_some_and(|(_, vlans)| vlans);
        Ok(Some(GuardEntry {
            port: name.clone(),
            owner: self.id,
            // In another VLAN of the bridge the same address may be somebody else's, and rightly so.
            claims: self.device == Device::Vif && !vlans,
            bridge: bridge.map(|(name, _)| name.clone()),
            switch: self.mode == Mode::OpenVswitch,
            mac: config.mac.ok_or_else(|| PlanError::NoMac { vif: self.name.clone() })?,
            ip: config.ip.clone(),
            policy,
        }))
    }
}

/// What the configuration comes to on this host.
struct Wanted<'a> {
    name: IfName,
    mtu: Mtu,
    /// None for a port that is held to nothing.
    guard: Option<GuardEntry>,
    way: Way<'a>,
}

/// What the vif is plugged into.
enum Way<'a> {
    Bridge(BridgePort<'a>),
    Routed(Routed<'a>),
    Switch(SwitchPort<'a>),
}

/// Bytes.
const ETHERNET: u32 = 1500;

impl Wanted<'_> {
    /// The host's own address towards the guest, which only a routed one has.
    fn main_ip(&self) -> String {
        match &self.way {
            Way::Bridge(_) | Way::Switch(_) => String::new(),
            Way::Routed(routed) => routed.main_ip(),
        }
    }

    /// What makes the guard hold the port to what it shall, and to no more.
    fn guarded(&self, target: &VifTarget, seen: &VifSnapshot) -> Result<Vec<Change>, PlanError> {
        let own = match (&self.guard, &seen.guard) {
            (Some(entry), Some(seen)) => entry.install(seen)?,
            (Some(entry), None) => entry.install(&GuardSnapshot::default())?,
            (None, Some(seen)) => guard::remove(target.family(), target.id, false, seen),
            (None, None) => None,
        };
        let others = seen.other_guards.iter();
        let others = others.map(|(family, seen)| guard::remove(*family, target.id, false, seen));
        Ok(guard::in_turn([own].into_iter().chain(others).flatten()).collect())
    }
}

#[cfg(test)]
mod tests;
