use std::path::PathBuf;

use super::guard::{self, GuardEntry, GuardSnapshot};
use super::{Change, FilterSnapshot, Hook, IptablesRule, Plan, PlanError, UplinkSnapshot, vlan};
use crate::config::{GuardLevel, PortPolicy, VifConfig};
use crate::types::{
    AddrGenMode, Address, Device, IfName, IpList, Link, LinkRef, LinkSet, MacAddr, Mtu, NftFamily,
    ParseError, Port, PortFlags, PortSet, VifId, VlanRange, VlanSpec,
};

/// Which interface is meant, and where its backend lives in XenStore.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VifTarget {
    /// Which vif.
    pub id: VifId,
    /// netback's own interface, or the tap of an emulated NIC.
    pub device: Device,
    /// The backend's directory in XenStore, relative to this domain or absolute.
    pub backend: String,
    /// netback's name for it, `vif3.0` or `vif3.0-emu`.
    pub name: IfName,
}

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
    /// What the guard has for it; none where there is no guard.
    pub guard: Option<GuardSnapshot>,
    /// Other people's filters.
    pub filters: FilterSnapshot,
    /// Which of its rules for `iptables` are there; only looked at where they are asked for.
    pub iptables: Vec<IptablesRule>,
    /// The administrator's hooks, in the order in which to run them.
    pub hooks: Vec<PathBuf>,
    /// XenStore's side; none without XenStore.
    pub store: Option<VifStore>,
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
    /// The vif or tap of that id; the backend is this domain's own.
    pub fn new(id: VifId, device: Device) -> Result<Self, ParseError> {
        Ok(Self { id, device, backend: id.xenbus_path(), name: id.if_name(device)? })
    }

    /// The name that it shall have in the end: `vifname`, with `-emu` for a tap, or else the one that it came with.
    pub fn final_name(&self, config: &VifConfig) -> Result<IfName, ParseError> {
        match (&config.vifname, self.device) {
            (None, _) => Ok(self.name.clone()),
            (Some(name), _) if *name == self.name => Ok(name.clone()),
            (Some(name), _) if VifId::from_if_name(name.as_str()).is_ok() => Err(ParseError::new(
                "vifname",
                name.as_str(),
                "a name that is not another vif's own",
            )),
            (Some(name), Device::Vif) => Ok(name.clone()),
            (Some(name), Device::Tap) => format!("{name}-emu").parse().map_err(|_| {
                ParseError::new(
                    "vifname",
                    name.as_str(),
                    "at most 11 bytes, because the tap adds -emu",
                )
            }),
        }
    }

    /// Which vif an interface is, by its name or, once renamed, by its alias.
    pub fn of(link: &Link) -> Option<(VifId, Device)> {
        let names = [Some(link.name.as_str()), link.alias.as_deref()];
        names.into_iter().flatten().find_map(|name| VifId::from_if_name(name).ok())
    }

    /// Which of two interfaces is this vif: the one that bears its original name, or the one called `vifname`.
    ///
    /// A renamed vif is known by its alias, or by the Xen device behind it; any other interface is somebody else's.
    pub fn identify(&self, original: Option<Link>, renamed: Option<Link>) -> Option<Link> {
        original.or_else(|| renamed.filter(|link| self.owns(link)))
    }

    /// An error when `vifname` is already the name of somebody else's interface, so that nobody's network is taken
    /// down by a clash of names.
    pub fn check_name(&self, link: Option<&Link>, named: Option<&Link>) -> Result<(), PlanError> {
        match named {
            Some(other) if link.is_none_or(|link| link.index != other.index) => {
                Err(PlanError::NameTaken {
                    name: other.name.clone(),
                    vif: self.name.clone(),
                    kind: describe(other),
                })
            }
            _ => Ok(()),
        }
    }

    /// That the vif has no interface.
    pub fn no_link(&self) -> PlanError {
        let maker = match self.device {
            Device::Vif => "backend driver (xen-netback)",
            Device::Tap => "device model (QEMU)",
        };
        PlanError::NoLink { link: self.name.clone(), maker }
    }

    /// The interfaces that `bridge` can mean, best first; none when it is not set.
    ///
    /// Configurations of long ago ask for `xenbrN` where the bridge is called `ethN`.
    pub fn bridge_names(&self, config: &VifConfig) -> Result<Vec<IfName>, ParseError> {
        let Some(bridge) = &config.bridge else { return Ok(Vec::new()) };
        let name = bridge.link_name()?;
        let legacy =
            name.as_str().strip_prefix("xenbr").and_then(|n| format!("eth{n}").parse().ok());
        Ok([name].into_iter().chain(legacy).collect())
    }

    /// What makes the vif a port of its bridge and tells XenStore so.
    ///
    /// The order is fail-closed: everything is set before the link goes up, and `connected` comes last.
    pub fn online(&self, config: &VifConfig, seen: &VifSnapshot) -> Result<Plan, PlanError> {
        let link = seen.link.as_ref().ok_or_else(|| self.no_link())?;
        let wanted = self.wanted(config, seen)?;

        let mut plan = Plan::default();
        wanted.port(&mut plan, self, link, seen)?;
        self.announce(&mut plan, config, &wanted, seen)?;
        if !wanted.iptables {
            plan.warnings = seen.filters.warnings(&wanted.name, &wanted.bridge.name);
        }
        Ok(plan)
    }

    /// The vif whose addresses come and go with the port; none for a tap, which only shares them.
    pub(crate) fn owner(&self) -> Option<VifId> {
        Some(self.id).filter(|_| self.device == Device::Vif)
    }

    /// Whether something is wanted of the port's own settings.
    pub(crate) fn sets_port(&self, config: &VifConfig, seen: &VifSnapshot) -> bool {
        self.wanted(config, seen).is_ok_and(|wanted| !wanted.port_flags(seen).0.is_empty())
    }

    /// What the guard shall hold the port to; none when it shall not be guarded, or when what is wanted is no plan.
    pub fn guard(&self, config: &VifConfig, seen: &VifSnapshot) -> Option<GuardEntry> {
        self.wanted(config, seen).ok()?.guard
    }

    /// What takes the vif out of its bridge: everything that is left of it, however little.
    ///
    /// XenStore is left as it is: the backend's directory belongs to the toolstack, which is about to remove it.
    pub fn offline(&self, config: &VifConfig, seen: &VifSnapshot) -> Plan {
        let mut plan = Plan::default();
        if let Some(link) = &seen.link {
            let mut to = Setter { plan: &mut plan, link: link.reference() };
            to.set(link.up, LinkSet::Up(false), LinkSet::Up(true));
            let master = seen.master.as_ref().map(Link::reference);
            to.set(link.master.is_some(), LinkSet::Master(None), LinkSet::Master(master));
        }
        let reserve = seen.policy.reserve.unwrap_or(false);
        let guard = seen.guard.as_ref();
        let remove = |seen| guard::remove(NftFamily::Bridge, self.id, reserve, seen);
        plan.changes.extend(guard.and_then(remove));
        plan.changes.extend(seen.iptables.iter().cloned().map(Change::IptablesDelete));
        // The last user of a VLAN takes it along, even when its interface is long gone.
        plan.changes.extend(seen.uplink.iter().flat_map(|uplink| uplink.reconcile(&[])));
        let name = self.final_name(config).unwrap_or_else(|_| self.name.clone());
        self.hooks(&mut plan, "offline", "remove", config, &name, seen);
        plan
    }

    fn wanted<'a>(
        &self,
        config: &'a VifConfig,
        seen: &'a VifSnapshot,
    ) -> Result<Wanted<'a>, PlanError> {
        let bridge = self.choose_bridge(config, seen)?;
        let aware = bridge.bridge.as_ref().is_some_and(|bridge| bridge.vlan_filtering);
        if let (Some(vlan), false) = (&config.vlan, aware) {
            return Err(PlanError::NotVlanAware {
                vlan: vlan.to_string(),
                bridge: bridge.name.clone(),
                vif: self.name.clone(),
            });
        }
        let name = self.final_name(config)?;
        let mtu = config.mtu.map_or_else(|| Mtu::new(bridge.mtu), Ok)?;
        let guard = self.guard_entry(config, bridge, &name, &seen.policy)?;
        let iptables = seen.policy.iptables.unwrap_or(false);
        let vlans = config.vlan.as_ref().map(VlanSpec::ranges);
        Ok(Wanted { bridge, name, mtu, vlans, guard, iptables, ip: &config.ip })
    }

    fn guard_entry(
        &self,
        config: &VifConfig,
        bridge: &Link,
        name: &IfName,
        policy: &PortPolicy,
    ) -> Result<Option<GuardEntry>, PlanError> {
        let policy = policy.guard(!config.ip.is_empty());
        if policy.level == GuardLevel::Off {
            return Ok(None);
        }
        let vlans = bridge.bridge.as_ref().is_some_and(|bridge| bridge.vlan_filtering);
        Ok(Some(GuardEntry {
            port: name.clone(),
            owner: self.id,
            // In another VLAN of the bridge the same address may be somebody else's, and rightly so.
            claims: self.device == Device::Vif && !vlans,
            bridge: Some(bridge.name.clone()),
            mac: config.mac.ok_or_else(|| PlanError::NoMac { vif: self.name.clone() })?,
            ip: config.ip.clone(),
            policy,
        }))
    }

    fn announce(
        &self,
        plan: &mut Plan,
        config: &VifConfig,
        wanted: &Wanted<'_>,
        seen: &VifSnapshot,
    ) -> Result<(), PlanError> {
        let mut writes = Plan::default();
        // A tap is the other half of a vif that says all this itself.
        if let (Some(store), Device::Vif) = (&seen.store, self.device) {
            if let Some(frontend) = self.frontend(config)? {
                write(
                    &mut writes,
                    format!("{frontend}/mtu"),
                    &wanted.mtu.to_string(),
                    store.frontend_mtu.as_ref(),
                );
            }
            if let Some(was) = &store.hotplug_error {
                writes.push(Change::StoreRemove {
                    path: format!("{}/hotplug-error", self.backend),
                    was: was.clone(),
                });
            }
            let path = format!("{}/hotplug-status", self.backend);
            write(&mut writes, path, "connected", store.hotplug_status.as_ref());
        }
        // Hooks run when something happens, after the port is ready and before anybody hears of it.
        if !plan.is_empty() || !writes.is_empty() {
            self.hooks(plan, "online", "add", config, &wanted.name, seen);
        }
        plan.changes.extend(writes.changes);
        Ok(())
    }

    fn hooks(
        &self,
        plan: &mut Plan,
        vif: &str,
        tap: &str,
        config: &VifConfig,
        name: &IfName,
        seen: &VifSnapshot,
    ) {
        let command = if self.device == Device::Vif { vif } else { tap };
        for path in &seen.hooks {
            let variables = vec![
                ("command", command.to_owned()),
                ("dev", name.to_string()),
                // What a routed vif's own address would be; a port of a bridge has none.
                ("main_ip", String::new()),
                ("ip", config.ip.to_string()),
                ("XENBUS_PATH", self.backend.clone()),
            ];
            plan.push(Change::Hook(Hook { path: path.clone(), variables }));
        }
    }

    /// The frontend's directory, when it is this guest's: the only place outside the backend that is written to.
    fn frontend<'a>(&self, config: &'a VifConfig) -> Result<Option<&'a str>, PlanError> {
        let Some(path) = config.frontend.as_deref() else { return Ok(None) };
        let home = format!("/local/domain/{}/", self.id.domid);
        if !path.starts_with(&home) {
            return Err(ParseError::new("frontend", path, format!("a path below {home}")).into());
        }
        Ok(Some(path))
    }

    /// The bridge that is meant; an error that says what to do when there is none, or more than one.
    pub(crate) fn choose_bridge<'a>(
        &self,
        config: &VifConfig,
        seen: &'a VifSnapshot,
    ) -> Result<&'a Link, PlanError> {
        let mut bridges = seen.bridges.iter().filter(|link| link.bridge.is_some());
        let Some(wanted) = self.bridge_names(config)?.into_iter().next() else {
            return match (bridges.next(), bridges.next()) {
                (Some(only), None) => Ok(only),
                (None, _) => Err(PlanError::NoBridges),
                _ => Err(PlanError::ManyBridges {
                    names: seen.bridges.iter().map(|link| link.name.clone()).collect(),
                }),
            };
        };
        match seen.bridges.iter().find(|link| link.name == wanted) {
            Some(link) if link.bridge.is_some() => Ok(link),
            Some(other) => Err(PlanError::NotABridge { name: wanted, kind: describe(other) }),
            // The name is taken by no interface: the legacy one, if it is a bridge.
            None => bridges.next().ok_or(PlanError::NoBridge { name: wanted }),
        }
    }

    fn owns(&self, link: &Link) -> bool {
        let VifId { domid, devid } = self.id;
        let behind =
            self.device == Device::Vif && link.parent == Some(format!("vif-{domid}-{devid}"));
        behind || link.alias.as_deref() == Some(self.name.as_str())
    }
}

/// The smallest MTU that IPv6 takes (RFC 8200), in bytes.
const IPV6_MIN_MTU: u32 = 1280;

/// What the configuration comes to on this host.
struct Wanted<'a> {
    bridge: &'a Link,
    name: IfName,
    mtu: Mtu,
    /// None leaves the port in the VLANs that it is in, or that the bridge puts it into.
    vlans: Option<&'a [VlanRange]>,
    /// None for a port that is held to nothing.
    guard: Option<GuardEntry>,
    /// Whether to have rules as Xen's own scripts make them.
    iptables: bool,
    ip: &'a IpList,
}

impl Wanted<'_> {
    /// The kernel's part of a plug, in the order that fails closed.
    fn port(
        &self,
        plan: &mut Plan,
        target: &VifTarget,
        link: &Link,
        seen: &VifSnapshot,
    ) -> Result<(), PlanError> {
        let rename = link.name != self.name;
        let address = link.mac != Some(MacAddr::VIF);
        let addr_gen_mode = self.addr_gen_mode(link);
        let master = link.master != Some(self.bridge.index);
        // Not for the MTU or the VLANs: they are changed in place, without a moment of silence for the guest.
        let down =
            rename || address || addr_gen_mode.is_some() || master || !seen.addresses.is_empty();

        let mut to = Setter { plan, link: link.reference() };
        // While it is up: one that goes down loses its IPv6 addresses, and nobody would know to put them back.
        // In the order that puts them back in theirs: IPv4 lists the oldest first, IPv6 the newest.
        let (v4, v6): (Vec<_>, Vec<_>) =
            seen.addresses.iter().partition(|address| address.address.addr().is_ipv4());
        for address in v4.into_iter().rev().chain(v6) {
            to.plan.push(Change::AddressDelete { link: to.link.clone(), address: address.clone() });
        }
        to.set(down && link.up, LinkSet::Up(false), LinkSet::Up(!seen.lossy));
        let named = |name: &IfName, alias: &str| LinkSet::Name {
            name: name.clone(),
            alias: alias.to_owned(),
        };
        to.set(
            rename,
            named(&self.name, target.name.as_str()),
            named(&link.name, link.alias.as_deref().unwrap_or_default()),
        );
        // The name is what later lines are read by; the index is what they go by.
        to.link.name = self.name.clone();
        to.set(
            address,
            LinkSet::Address(MacAddr::VIF),
            LinkSet::Address(link.mac.unwrap_or(MacAddr::VIF)),
        );
        // In a request of its own before UP: in the same one it comes too late, and fe80:: appears and stays.
        let stop = |was| (LinkSet::AddrGenMode(AddrGenMode::None), LinkSet::AddrGenMode(was));
        let grows = link.mtu < IPV6_MIN_MTU;
        if let Some((set, was)) = addr_gen_mode.filter(|_| !grows).map(stop) {
            to.set(true, set, was);
        }
        // Before the master, or the bridge would take the smaller MTU for a moment.
        to.set(
            link.mtu != self.mtu.bytes(),
            LinkSet::Mtu(self.mtu),
            LinkSet::Mtu(Mtu::new(link.mtu).unwrap_or(self.mtu)),
        );
        if let Some((set, was)) = addr_gen_mode.filter(|_| grows).map(stop) {
            to.set(true, set, was);
        }
        let was = seen.master.as_ref().map(Link::reference);
        to.set(master, LinkSet::Master(Some(self.bridge.reference())), LinkSet::Master(was));
        if let Some(vlans) = self.vlans {
            let joined: Vec<VlanRange> = self.default_vlan().into_iter().collect();
            let now = if master { &joined } else { &seen.vlans };
            to.plan.changes.extend(vlan::difference(&to.link, now, vlans));
        }
        if let Some(uplink) = &seen.uplink {
            let joined: Vec<VlanRange> = self.default_vlan().into_iter().collect();
            let stays = if master { &joined } else { &uplink.vif };
            to.plan.changes.extend(uplink.reconcile(self.vlans.unwrap_or(stays)));
        }
        let (known, wanted) = self.port_flags(seen);
        // A port that joins begins with none of these.
        let is = seen.port.as_ref().filter(|_| !master).map_or(PortFlags::empty(), |p| p.flags);
        let wrong = (is ^ wanted) & known;
        if !wrong.is_empty() {
            let set = PortSet::default().on(wanted & wrong).off(wrong - wanted);
            let was = PortSet::default().on(is & wrong).off(wrong - is);
            to.plan.push(Change::PortSet { link: to.link.clone(), set, was });
        }
        to.plan.changes.extend(self.guarded(target, seen)?);
        if self.iptables {
            let missing = IptablesRule::of(&self.name, self.ip)
                .into_iter()
                .filter(|rule| !seen.iptables.contains(rule));
            to.plan.changes.extend(missing.map(Change::IptablesInsert));
        }
        to.set(down || !link.up, LinkSet::Up(true), LinkSet::Up(false));
        Ok(())
    }

    /// The switches of the port about which somebody says something, and those of them that shall be on.
    fn port_flags(&self, seen: &VifSnapshot) -> (PortFlags, PortFlags) {
        let (mut known, mut wanted) = (PortFlags::empty(), PortFlags::empty());
        if let Some(isolated) = seen.policy.isolated {
            known |= PortFlags::ISOLATED;
            wanted.set(PortFlags::ISOLATED, isolated);
        }
        // A bridge that speaks the spanning tree protocol hears it before any table of nftables does.
        let stp = self.bridge.bridge.as_ref().is_some_and(|bridge| bridge.stp);
        if stp && self.guard.is_some() {
            known |= PortFlags::GUARD;
            wanted |= PortFlags::GUARD;
        }
        (known, wanted)
    }

    /// What makes the guard hold the port to what it shall, and to no more.
    fn guarded(&self, target: &VifTarget, seen: &VifSnapshot) -> Result<Option<Change>, PlanError> {
        match (&self.guard, &seen.guard) {
            (Some(entry), Some(seen)) => entry.install(seen),
            (Some(entry), None) => entry.install(&GuardSnapshot::default()),
            (None, Some(seen)) => Ok(guard::remove(NftFamily::Bridge, target.id, false, seen)),
            (None, None) => Ok(None),
        }
    }

    /// How the link makes its link-local address, or will make it with its new MTU, when that is to be stopped.
    ///
    /// The kernel has no IPv6 on a link that is too small for it, and begins anew when it grows: then with a
    /// link-local address, whatever was said before.
    fn addr_gen_mode(&self, link: &Link) -> Option<AddrGenMode> {
        match (link.mtu < IPV6_MIN_MTU, self.mtu.bytes() < IPV6_MIN_MTU) {
            (true, true) => None,
            (true, false) => Some(AddrGenMode::Eui64),
            // Even when there is nothing to stop: undoing this is what stops it when the link grows again.
            (false, true) => link.addr_gen_mode,
            (false, false) => link.addr_gen_mode.filter(|mode| *mode != AddrGenMode::None),
        }
    }

    /// The VLAN that the bridge puts a port into when it joins.
    fn default_vlan(&self) -> Option<VlanRange> {
        let pvid = self.bridge.bridge.as_ref()?.vlan_default_pvid?;
        Some(VlanRange::new(pvid, true, true))
    }
}

/// Collects settings of one interface, skipping those that need no change.
struct Setter<'p> {
    plan: &'p mut Plan,
    link: LinkRef,
}

impl Setter<'_> {
    fn set(&mut self, needed: bool, set: LinkSet, was: LinkSet) {
        if needed {
            self.plan.push(Change::LinkSet { link: self.link.clone(), set, was });
        }
    }
}

fn write(plan: &mut Plan, path: String, value: &str, was: Option<&Vec<u8>>) {
    if was.map(Vec::as_slice) != Some(value.as_bytes()) {
        plan.push(Change::StoreWrite { path, value: value.to_owned(), was: was.cloned() });
    }
}

pub(super) fn describe(link: &Link) -> String {
    match (&link.kind, &link.parent) {
        (Some(kind), _) if kind.starts_with(['a', 'e', 'i', 'o', 'u']) => {
            format!("an {kind} interface")
        }
        (Some(kind), _) => format!("a {kind} interface"),
        (None, Some(parent)) => format!("the interface of device {parent}"),
        (None, None) => "an interface".to_owned(),
    }
}

#[cfg(test)]
mod tests;
