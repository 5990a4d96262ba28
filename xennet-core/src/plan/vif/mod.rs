//! One vif: what makes it usable, and what takes it away.

mod announce;
mod arrival;
pub(crate) mod dhcp;
mod forwarding;
mod link;
mod mtu;
pub(crate) mod nat;
mod port;
mod routed;
mod routed_snapshot;
mod state;
mod switch;
mod target;

pub use dhcp::DhcpSnapshot;
pub use forwarding::{ForwardingStop, NotForwarding};
pub(crate) use link::is_datapath;
pub(crate) use mtu::recorded as recorded_mtu;
pub use mtu::{BridgeMtu, PortMtus};
pub use routed_snapshot::RoutedSnapshot;
pub use state::VifFault;
pub(crate) use switch::MARK;
pub use switch::SwitchSnapshot;
pub use target::VifTarget;
pub(super) use target::describe;

use std::net::IpAddr;
use std::path::PathBuf;

use super::guard::{self, GuardEntry, GuardSnapshot};
use super::{
    AddressError, Change, FilterSnapshot, IptablesRule, Plan, PlanError, UplinkSnapshot, Warning,
};
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
    /// The VLANs that it is in, where it is a port of a VLAN-filtering bridge already.
    pub vlans: Vec<VlanRange>,
    /// The interfaces that [`VifTarget::bridge_names`] names, as far as they exist; all bridges when it names none.
    pub bridges: Vec<Link>,
    /// What decides the MTU of the bridge; only for a vif that is for a Linux bridge.
    pub bridge_mtu: BridgeMtu,
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
    /// What could not be observed of a vif that is detached, and why.
    pub unobserved: Vec<(String, String)>,
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
    pub fn online(&self, config: &VifConfig, facts: &VifSnapshot) -> Result<Plan, PlanError> {
        let link = facts.link.as_ref().ok_or_else(|| self.no_link())?;
        let desired = self.resolve(config, facts)?;
        if let Some((ip, owner)) = facts.taken.clone() {
            return Err(AddressError::Assigned { ip, owner, vif: self.name.clone() }.into());
        }

        let mut plan = Plan::default();
        if self.mode != Mode::OpenVswitch {
            self.leave_switch(&mut plan, facts)?;
        }
        match &desired.attachment {
            Attachment::Bridge(port) => port.plan(&mut plan, self, &desired, link, facts)?,
            Attachment::Routed(routed) => routed.plan(&mut plan, self, &desired, link, facts)?,
            Attachment::Switch(port) => port.plan(&mut plan, self, &desired, link, facts)?,
        }
        if let Some(dhcp) = &facts.dhcp {
            dhcp.online(&mut plan, self, config);
        }
        self.announce(&mut plan, config, &desired, facts)?;
        Ok(plan)
    }

    /// Whether something is wanted of the port's own settings.
    pub(crate) fn sets_port(&self, config: &VifConfig, facts: &VifSnapshot) -> bool {
        self.resolve(config, facts).is_ok_and(|desired| match &desired.attachment {
            Attachment::Bridge(port) => !port.flags(facts, &desired).0.is_empty(),
            Attachment::Routed(_) | Attachment::Switch(_) => false,
        })
    }

    /// What the guard shall hold the port to; none when it shall not be guarded, or when what is wanted is no plan.
    pub fn guard(&self, config: &VifConfig, facts: &VifSnapshot) -> Option<GuardEntry> {
        self.resolve(config, facts).ok()?.guard
    }

    /// What takes the vif out of its bridge, and the host's routes to it away: everything that is left of it, however little.
    ///
    /// XenStore is left as it is: the backend's directory belongs to the toolstack, which is about to remove it.
    pub fn offline(&self, config: &VifConfig, facts: &VifSnapshot) -> Plan {
        let mut plan = Plan::default();
        let mut switch = Plan::default();
        self.unswitch(&mut switch, facts);
        // Open vSwitch may bring a device up that it releases.
        let released =
            switch.changes.iter().any(|change| matches!(change, Change::OvsPortDelete { .. }));
        if let Some(link) = &facts.link {
            let mut to = Setter { plan: &mut plan, link: link.reference() };
            if let Some(routed) = &facts.routed {
                self.unroute(&mut to, facts, routed);
            }
            to.set(link.up && !released, LinkSet::Up(false), LinkSet::Up(true));
            let datapath = facts.master.as_ref().is_some_and(is_datapath);
            let master = facts.master.as_ref().map(Link::reference);
            to.set(
                link.master.is_some() && !datapath,
                LinkSet::Master(None),
                LinkSet::Master(master),
            );
        }
        plan.changes.extend(switch.changes);
        if let (Some(link), true) = (&facts.link, released) {
            let mut to = Setter { plan: &mut plan, link: link.reference() };
            to.set(link.up, LinkSet::Up(false), LinkSet::Up(true));
        }
        if let Some(RoutedSnapshot { uplink: Some(uplink), proxies, .. }) = &facts.routed {
            for address in proxies {
                plan.push(Change::ProxyDelete { link: uplink.reference(), address: *address });
            }
        }
        for (link, address) in &facts.stale_proxies {
            plan.push(Change::ProxyDelete { link: link.clone(), address: *address });
        }
        if let Some(dhcp) = &facts.dhcp {
            dhcp.offline(&mut plan, self);
        }
        let reserve = facts.policy.reserve.unwrap_or(false);
        let own = facts.guard.iter().map(|guard| (self.family(), guard));
        let others = facts.other_guards.iter().map(|(family, guard)| (*family, guard));
        let remove = |(family, guard)| guard::remove(family, self.id, reserve, guard);
        plan.changes.extend(guard::in_turn(own.chain(others).filter_map(remove)));
        plan.changes.extend(facts.iptables.iter().cloned().map(Change::IptablesDelete));
        // The last user of a VLAN takes it along, even when its interface is long gone.
        plan.changes.extend(facts.uplink.iter().flat_map(|uplink| uplink.reconcile(&[])));
        let name = self.final_name(config).unwrap_or_else(|_| self.name.clone());
        let main_ip = facts.routed.as_ref().and_then(|routed| routed.source);
        let main_ip = main_ip.map(|ip| ip.to_string()).unwrap_or_default();
        self.hooks(&mut plan, ("offline", "remove"), config, (&name, main_ip), facts);
        for (what, why) in &facts.unobserved {
            let tap = if self.device == Device::Tap { " --tap" } else { "" };
            let command = format!("xennet vif offline {}{tap} --mode {}", self.id, self.mode);
            let text = format!("{}: {what} may be left: {why}; `{command}` removes it", self.name);
            plan.warnings.push(Warning::NotRemoved(text));
        }
        plan
    }

    /// What the configuration comes to on this host; an error where it cannot.
    fn resolve<'a>(
        &self,
        config: &'a VifConfig,
        facts: &'a VifSnapshot,
    ) -> Result<Desired<'a>, PlanError> {
        let name = self.final_name(config)?;
        let (attachment, mtu, bridge) = if self.mode == Mode::Bridge {
            let port = self.port(config, facts)?;
            let bridge = port.bridge;
            let mtu = config.mtu.map_or_else(|| facts.bridge_mtu.wanted(bridge), Ok)?;
            (Attachment::Bridge(port), mtu, Some((&bridge.name, port::filters_vlans(bridge))))
        } else if self.mode == Mode::OpenVswitch {
            let switch = facts.switch.as_ref().ok_or(PlanError::NoSwitches)?;
            let port = self.switch_port(config, facts, switch, &name)?;
            // The bridge's own interface has what its other ports can carry.
            let unsaid = facts.bridges.first().map_or(ETHERNET, |link| link.mtu);
            let mtu = config.mtu.map_or_else(|| Mtu::new(unsaid), Ok)?;
            let at = Some((&port.port.bridge, port.separates()));
            let guard = if switch.passes_ingress {
                self.guard_entry(config, at, &name, &facts.policy)?
            } else {
                None
            };
            return Ok(Desired { name, mtu, guard, attachment: Attachment::Switch(port) });
        } else {
            // netback's own. What is too long for a link on the way is known to its sender: that is a router's work.
            let mtu = config.mtu.map_or_else(|| Mtu::new(ETHERNET), Ok)?;
            (Attachment::Routed(self.routed(config, facts, &name, mtu)?), mtu, None)
        };
        let guard = self.guard_entry(config, bridge, &name, &facts.policy)?;
        Ok(Desired { name, mtu, guard, attachment })
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
struct Desired<'a> {
    name: IfName,
    mtu: Mtu,
    /// None for a port that is held to nothing.
    guard: Option<GuardEntry>,
    attachment: Attachment<'a>,
}

/// What the vif is plugged into.
enum Attachment<'a> {
    Bridge(BridgePort<'a>),
    Routed(Routed<'a>),
    Switch(SwitchPort<'a>),
}

/// Bytes.
const ETHERNET: u32 = 1500;

impl Desired<'_> {
    /// The host's own address towards the guest, which only a routed one has.
    fn main_ip(&self) -> String {
        match &self.attachment {
            Attachment::Bridge(_) | Attachment::Switch(_) => String::new(),
            Attachment::Routed(routed) => routed.main_ip(),
        }
    }

    /// What makes the guard hold the port to what it shall, and to no more.
    fn guarded(&self, target: &VifTarget, facts: &VifSnapshot) -> Result<Vec<Change>, PlanError> {
        let own = match (&self.guard, &facts.guard) {
            (Some(entry), Some(facts)) => entry.install(facts)?,
            (Some(entry), None) => entry.install(&GuardSnapshot::default())?,
            (None, Some(facts)) => guard::remove(target.family(), target.id, false, facts),
            (None, None) => None,
        };
        let others = facts.other_guards.iter();
        let others = others.map(|(family, facts)| guard::remove(*family, target.id, false, facts));
        Ok(guard::in_turn([own].into_iter().chain(others).flatten()).collect())
    }
}

#[cfg(test)]
mod tests;
