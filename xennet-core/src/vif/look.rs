//! What there is of a vif: XenStore's keys, and no more of the kernel than concerns it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::routed::look_at_going;
use super::{Vif, arrival};
use crate::config::{PortPolicy, VifConfig};
use crate::filters::filters;
use crate::kernel::{Kernel, LegacyTables, LinkFilter, Nftables};
use crate::lock::Lock;
use crate::plan::guard::{GuardEntry, GuardLayout, GuardSnapshot};
use crate::plan::vif::is_datapath;
use crate::plan::{FilterSnapshot, IptablesRule, VifSnapshot, VifStore, VifTarget};
use crate::types::{IfName, Link, Mode, NftFamily, Port, PortFlags, VlanRange};
use crate::uplink::Uplink;
use crate::xenstore::{self, Values, XenStore};
use crate::{Dom0Network, Error, apply, guard};

/// What the vif shall become, and what XenStore says of it.
pub(super) type Loaded = (VifConfig, Option<VifStore>);

/// What was looked at while XenStore looked up the vif. An interface or a table that could not be seen is asked for again where
/// it is needed, and the error told.
#[derive(Debug, Default)]
pub(super) struct Early {
    /// The interface that has the vif's own name.
    pub(super) link: Option<Link>,
    /// Other people's filters.
    pub(super) filters: Option<FilterSnapshot>,
    /// The guard's tables.
    tables: Option<guard::Tables>,
}

/// What was asked for by name in one go.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The vif's interface.
    pub(super) link: Option<Link>,
    /// Whether the name that it shall have is another's.
    pub(super) taken: bool,
}

/// What of the host can be looked at while XenStore is asked.
struct Part<'a> {
    kernel: &'a mut Kernel,
    nft: &'a mut Option<Nftables>,
    legacy: &'a mut LegacyTables,
}

impl Vif<'_> {
    /// The configuration, and XenStore's own state with it.
    pub(super) fn load_all(&mut self) -> Result<Loaded, Error> {
        self.load_while(|_| ())
    }

    /// The same, and what does not depend on it while XenStore looks it up; nothing where that tells what to look at.
    pub(super) fn load_and_look(&mut self) -> Result<(Loaded, Early), Error> {
        let mode = self.mode.filter(|mode| *mode != Mode::OpenVswitch);
        self.target.mode = mode.unwrap_or(self.target.mode);
        let families = [self.target.family(), NftFamily::Netdev];
        let name = self.target.name.clone();
        let mut early = Early::default();
        let loaded = self.load_while(|net| {
            let Some(mode) = mode else { return };
            early.link = net.kernel.link(&name).ok().flatten();
            let nft = apply::nft(net.nft).ok();
            let seen =
                nft.and_then(|nft| guard::Tables::read_with_base_chains(nft, &families).ok());
            let (tables, chains) = seen.unzip();
            early.tables = tables;
            early.filters = Some(filters(net.nft, net.legacy, chains, mode.is_routed()));
        })?;
        Ok((loaded, early))
    }

    fn load_while(&mut self, meanwhile: impl FnOnce(Part<'_>)) -> Result<Loaded, Error> {
        let mut config = self.defaults.clone();
        let (mut state, mut script) = (None, None);
        let keys = self.keys(&["hotplug-status", "hotplug-error"]);
        // Where libxl puts every frontend: asked for on trust, and believed only if the backend says the same.
        let frontend = self.target.id.frontend_path();
        let Dom0Network { store, kernel, nft, legacy, .. } = &mut *self.net;
        let meanwhile = || meanwhile(Part { kernel, nft, legacy });
        if let Some(store) = store {
            let backend = &self.target.backend;
            let mtu = format!("{frontend}/mtu");
            let (told, mtu) = ask(store, backend, &keys, &[mtu], meanwhile)?;
            let told = told.ok_or_else(|| Error::NoBackend { path: backend.clone() })?;
            let mut seen = VifStore::default();
            for (key, value) in told {
                match key {
                    "script" => script = Some(value),
                    "hotplug-status" => seen.hotplug_status = Some(value),
                    "hotplug-error" => seen.hotplug_error = Some(value),
                    key => config.set(key, &value)?,
                }
            }
            seen.frontend_mtu = match &config.frontend {
                Some(path) if *path != frontend => store.read(&format!("{path}/mtu"))?,
                Some(_) => mtu.into_iter().next().flatten(),
                None => None,
            };
            state = Some(seen);
        } else {
            meanwhile();
        }
        for (key, value) in &self.overrides {
            config.set(key, value)?;
        }
        self.settle(&mut config, script.as_deref())?;
        Ok((config, state))
    }

    /// The vif's interface, once there is one.
    pub(super) fn await_link(
        &mut self,
        config: &VifConfig,
        known: Option<Link>,
        deadline: Instant,
    ) -> Result<Found, Error> {
        let found = self.find(config, known)?;
        if found.link.is_some() {
            return Ok(found);
        }
        let until =
            Instant::now().checked_add(self.net.link_wait).unwrap_or(deadline).min(deadline);
        self.net.kernel.wait_link(&self.target.name, until)?;
        self.find(config, None)
    }

    /// The vif's interface, and an error when the name that it shall have belongs to another. What has its own name may be
    /// known already.
    pub(super) fn find(&mut self, config: &VifConfig, known: Option<Link>) -> Result<Found, Error> {
        let (found, named) = self.find_named(config, known)?;
        self.target.check_name(found.link.as_ref(), named.as_ref())?;
        Ok(found)
    }

    /// The vif's interface, whatever else there is.
    pub(super) fn find_own(
        &mut self,
        config: &VifConfig,
        known: Option<Link>,
    ) -> Result<Found, Error> {
        Ok(self.find_named(config, known)?.0)
    }

    /// And what has the name that it shall have, if that is another one than it came with.
    fn find_named(
        &mut self,
        config: &VifConfig,
        known: Option<Link>,
    ) -> Result<(Found, Option<Link>), Error> {
        let target = &self.target;
        let name = Some(target.final_name(config)?).filter(|name| *name != target.name);
        let own = known.is_none().then_some(&target.name);
        let asked = [own, name.as_ref()];
        let asked: Vec<&IfName> = asked.into_iter().flatten().collect();
        let mut links = self.net.kernel.links_named(&asked)?.into_iter();
        let mut next = |asked: bool| asked.then(|| links.next()).flatten().flatten();
        let original = known.or_else(|| next(true));
        let named = next(name.is_some());
        let link = self.target.identify(original, named.clone());
        let index = |link: &Option<Link>| link.as_ref().map(|link| link.index);
        let taken = named.is_some() && index(&named) != index(&link);
        Ok((Found { link, taken }, named))
    }

    pub(super) fn look(
        &mut self,
        config: &VifConfig,
        found: Found,
        store: Option<VifStore>,
        early: Early,
    ) -> Result<Box<VifSnapshot>, Error> {
        let kernel = &mut self.net.kernel;
        let routed = self.target.mode.is_routed();
        let link = found.link;
        let names = self.target.bridge_names(config)?;
        let meant = names.first().filter(|_| self.target.mode == Mode::Bridge);
        let (bridge, addresses) = match (&link, meant) {
            (Some(link), Some(name)) => kernel.link_and_addresses(name, &link.reference())?,
            (Some(link), None) => (None, kernel.addresses(&link.reference())?),
            (None, _) => (None, Vec::new()),
        };
        let bridges = match bridge {
            _ if self.target.mode != Mode::Bridge => Vec::new(),
            Some(bridge) => vec![bridge],
            None => bridges(kernel, &names)?,
        };
        let (switch, bridges) = self.look_at_switch(config, link.as_ref(), bridges)?;
        let kernel = &mut self.net.kernel;
        let master = match link.as_ref().and_then(|link| link.master) {
            None => None,
            Some(index) => match bridges.iter().find(|bridge| bridge.index == index) {
                Some(bridge) => Some(bridge.clone()),
                None => kernel.link_at(index)?,
            },
        };
        let vlans = vlans(kernel, config, link.as_ref(), &bridges)?;
        let lossy = match (&link, &master) {
            (Some(link), Some(master))
                if bridges.iter().all(|bridge| bridge.index != master.index) =>
            {
                lossy(kernel, link, master)?
            }
            _ => false,
        };
        let hooks = hooks(&self.net.hook_dir)?;
        // It is large, and moved about.
        let mut seen = Box::<VifSnapshot>::default();
        seen.link = link;
        seen.addresses = addresses;
        seen.master = master;
        seen.lossy = lossy;
        seen.vlans = vlans;
        seen.bridges = bridges;
        seen.switch = switch;
        seen.hooks = hooks;
        seen.store = store;
        let own = self.target.family();
        let mut families = Vec::new();
        if routed {
            seen.policy = self.guest()?.unwrap_or_default();
            seen.routed = Some(self.look_at_routes(config, seen.link.as_ref())?);
            families.push(own);
        } else if let (Some(switch), Mode::OpenVswitch) = (&seen.switch, self.target.mode) {
            seen.policy = self.switch_policy(switch)?;
            families.push(own);
        } else if let Ok(bridge) = self.target.choose_bridge(config, &seen) {
            let (index, name) = (bridge.index, bridge.name.clone());
            seen.policy = self.policy(&name)?;
            seen.port = port(&mut self.net.kernel, &self.target, config, &seen, index)?;
            seen.iptables = iptables(&self.target, config, &seen.policy)?;
            families.push(own);
            if seen.policy.announce == Some(true) {
                seen.outlets = arrival::outlets(&mut self.net.kernel, &seen, index)?;
            }
        }
        let entry = if families.is_empty() { None } else { self.target.guard(config, &seen) };
        if own != NftFamily::Netdev {
            families.push(NftFamily::Netdev);
        }
        self.look_at_guards(&families, config, &mut seen, entry.as_ref(), early.tables)?;
        seen.taken = self.taken(config)?;
        seen.dhcp = self.look_at_dhcp(false)?;
        Ok(seen)
    }

    /// What the guard has for the port in these families: in its own by what is wanted, in others what is left of what it
    /// was plugged into otherwise. Where nothing is to be guarded, a kernel without nftables will do.
    fn look_at_guards(
        &mut self,
        families: &[NftFamily],
        config: &VifConfig,
        seen: &mut VifSnapshot,
        entry: Option<&GuardEntry>,
        tables: Option<guard::Tables>,
    ) -> Result<(), Error> {
        let ports = port_names(&self.target, config, seen.link.as_ref());
        let (owner, own) = (self.target.owner(), self.target.family());
        let look = || {
            let nft = apply::nft(&mut self.net.nft)?;
            let mut tables = match tables.filter(|tables| tables.are_of(families)) {
                Some(tables) => tables,
                None => guard::Tables::read(nft, families)?,
            };
            // To find out what it can be made of takes the kernel some 10 ms in which nobody else gets anything done: one vif
            // does that, and those that are plugged at the same time wait, and find it made.
            if let (Some(_), false, Some(deadline)) = (entry, tables.have(own), self.makes_until) {
                let lock = Lock::take(&self.net.run_dir, "guard", deadline)?;
                tables.read_again(nft)?;
                if tables.have(own) {
                    lock.remove();
                } else {
                    self.making = Some(lock);
                }
            }
            for family in families {
                let entry = entry.filter(|_| *family == own);
                let looked = loop {
                    match guard::look(nft, &mut tables, *family, entry, &ports, owner) {
                        Ok(GuardSnapshot { ending: Some(left), .. }) => {
                            std::thread::sleep(left);
                            tables.read_again(nft)?;
                        }
                        looked => break looked,
                    }
                };
                match looked {
                    Ok(guard) if *family == own => seen.guard = Some(guard),
                    Ok(guard) => seen.other_guards.push((*family, guard)),
                    Err(error) if entry.is_some() => return Err(error),
                    Err(_) => {}
                }
            }
            Ok(())
        };
        match look() {
            Err(_) if entry.is_none() => Ok(()),
            looked => looked,
        }
    }

    /// Other people's filters that the vif's frames pass: none of what Open vSwitch forwards.
    pub(super) fn look_at_filters(&mut self, seen: &mut VifSnapshot) {
        if self.target.mode != Mode::OpenVswitch {
            seen.filters = self.filters();
        }
    }

    /// Other people's filters that the guest's packets pass.
    fn filters(&mut self) -> FilterSnapshot {
        let Dom0Network { nft, legacy, .. } = &mut *self.net;
        filters(nft, legacy, None, self.target.mode.is_routed())
    }

    /// The managed uplink of the bridge that is meant.
    pub(super) fn uplink(&self, config: &VifConfig, seen: &VifSnapshot) -> Option<Uplink> {
        let bridged = self.target.mode == Mode::Bridge;
        let bridge = self.target.choose_bridge(config, seen).ok().filter(|_| bridged)?;
        Uplink::of(bridge, &self.net.config)
    }

    /// As much as can be known of a vif that is being torn down: nothing that is missing or wrong is an error.
    pub(super) fn look_leniently(&mut self) -> Result<(VifConfig, Box<VifSnapshot>), Error> {
        let (config, told, known) = self.load_leniently();
        let Found { mut link, taken } = self.find_own(&config, known)?;
        let kernel = &mut self.net.kernel;
        if link.is_none() && !told {
            // Nobody says what it was renamed to, but it says itself which vif it is.
            let this = Some((self.target.id, self.target.device));
            let all = kernel.links(LinkFilter::All)?;
            link = all.into_iter().find(|link| VifTarget::of(link) == this);
        }
        let master = match link.as_ref().and_then(|link| link.master) {
            Some(index) => kernel.link_at(index)?,
            None => None,
        };
        let routed = self.target.mode.is_routed();
        // Wherever the vif is a port it is taken out; which bridge was meant matters to a managed uplink only.
        let bridges = match &master {
            Some(master) => vec![master.clone()],
            None if self.target.mode != Mode::Bridge || self.net.config.bridges.is_empty() => {
                Vec::new()
            }
            None => bridges(kernel, &self.target.bridge_names(&config).unwrap_or_default())?,
        };
        let hooks = hooks(&self.net.hook_dir).unwrap_or_default();
        let mut seen = Box::<VifSnapshot>::default();
        seen.link = link;
        seen.master = master;
        seen.bridges = bridges;
        seen.hooks = hooks;
        let bridge = seen.master.as_ref().map(|master| master.name.clone());
        let meant = || self.target.bridge_names(&config).ok()?.into_iter().next();
        // One that is no port may have been plugged in otherwise than it is unplugged.
        if routed || seen.link.is_some() && seen.master.is_none() {
            seen.policy = self.guest().ok().flatten().unwrap_or_default();
            let link = seen.link.clone();
            let reference = link.as_ref().map(Link::reference);
            let addresses = reference.and_then(|link| self.net.kernel.addresses(&link).ok());
            seen.addresses = addresses.unwrap_or_default();
            seen.routed = self.look_at_routes(&config, link.as_ref()).ok();
        } else if let Some(bridge) = bridge.or_else(meant) {
            seen.policy = self.policy(&bridge).unwrap_or_default();
        }
        if !taken {
            seen.iptables = iptables(&self.target, &config, &seen.policy).unwrap_or_default();
        }
        seen.switch = self.look_for_ports(&config, &seen);
        self.look_at_guards(&GuardLayout::FAMILIES, &config, &mut seen, None, None)?;
        // The kernel's version need be known only where something is to go.
        let guards =
            seen.guard.iter_mut().chain(seen.other_guards.iter_mut().map(|(_, guard)| guard));
        for guard in guards.filter(|guard| !guard.present.is_empty()) {
            guard.supports_element_expiry = Nftables::supports_element_expiry();
        }
        seen.dhcp = self.look_at_dhcp(true).ok().flatten();
        if seen.link.is_none() || seen.routed.is_some() {
            let _ = look_at_going(&mut self.net.kernel, &mut seen);
        }
        Ok((config, seen))
    }

    /// What can be had of the configuration, whether XenStore told anything of it, and the interface that has the vif's own
    /// name, if it was seen meanwhile.
    fn load_leniently(&mut self) -> (VifConfig, bool, Option<Link>) {
        let mut config = self.defaults.clone();
        let (keys, mut script) = (self.keys(&[]), None);
        let Dom0Network { store, kernel, .. } = &mut *self.net;
        let mut known = None;
        let told = store.as_mut().and_then(|store| {
            let VifTarget { backend, name, .. } = &self.target;
            // Not at the guard's tables: where many vifs go at once, what is seen of them is soon out of date.
            let meanwhile = || known = kernel.link(name).ok().flatten();
            ask(store, backend, &keys, &[], meanwhile).ok()?.0
        });
        let told = told.unwrap_or_default();
        let is_told = !told.is_empty();
        for (key, value) in told {
            match key {
                "script" => script = Some(value),
                // A value that could not be set when the vif was plugged has had no effect.
                key => _ = config.set(key, &value),
            }
        }
        for (key, value) in &self.overrides {
            let _ = config.set(key, value);
        }
        if self.target.final_name(&config).is_err() {
            config.vifname = None;
        }
        let _ = self.settle(&mut config, script.as_deref());
        (config, is_told, known)
    }

    /// The backend's keys that matter, and these. Which script it was called as says what the vif is, where that is open.
    fn keys(&self, more: &[&'static str]) -> Vec<&'static str> {
        let script = self.mode.is_none().then_some("script");
        VifConfig::KEYS.into_iter().chain(script).chain(more.iter().copied()).collect()
    }
}

/// Values by their keys.
type Told = Vec<(&'static str, Vec<u8>)>;

/// What XenStore has at these keys of a backend, none when there is no backend, and what it has at paths elsewhere.
///
/// Keys that most vifs have are asked for at once, with a list of all that there are, and others once they are in that list:
/// xenstored takes as long for one that is not there.
fn ask(
    store: &mut XenStore,
    backend: &str,
    keys: &[&'static str],
    elsewhere: &[String],
    meanwhile: impl FnOnce(),
) -> Result<(Option<Told>, Values), xenstore::Error> {
    const USUAL: [&str; 6] = ["bridge", "mac", "ip", "script", "frontend", "hotplug-status"];
    let path = |key: &&str| format!("{backend}/{key}");
    let (usual, mut rare): (Vec<_>, Vec<_>) =
        keys.iter().copied().partition(|key| USUAL.contains(key));
    let paths: Vec<String> = elsewhere.iter().cloned().chain(usual.iter().map(path)).collect();
    let (names, mut values) = store.list_and_read_while(backend, &paths, meanwhile)?;
    let first = values.split_off(elsewhere.len());
    match names {
        Ok(None) => return Ok((None, values)),
        Ok(Some(names)) => rare.retain(|key| names.iter().any(|name| name == key)),
        // A list that cannot be had, as one that is too long for oxenstored, says nothing of the keys.
        Err(_) => {}
    }
    let paths: Vec<String> = rare.iter().map(path).collect();
    let later = store.read_many(&paths)?;
    let told = usual.into_iter().chain(rare).zip(first.into_iter().chain(later));
    Ok((Some(told.filter_map(|(key, value)| Some((key, value?))).collect()), values))
}

/// Every name that the port has, shall have, or came with.
pub(super) fn port_names(
    target: &VifTarget,
    config: &VifConfig,
    link: Option<&Link>,
) -> Vec<IfName> {
    let mut names = vec![target.name.clone()];
    let others = [target.final_name(config).ok(), link.map(|link| link.name.clone())];
    for name in others.into_iter().flatten() {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The interfaces that `bridge` can mean: the first that exists, for whether it is a bridge is for the plan to say.
/// All bridges when it names none.
pub(super) fn bridges(kernel: &mut Kernel, names: &[IfName]) -> Result<Vec<Link>, Error> {
    for name in names {
        if let Some(link) = kernel.link(name)? {
            return Ok(vec![link]);
        }
    }
    Ok(if names.is_empty() { kernel.links(LinkFilter::Kind("bridge"))? } else { Vec::new() })
}

/// The VLANs of a port of one of these bridges, where they matter: a vif that asks for none costs no request.
pub(super) fn vlans(
    kernel: &mut Kernel,
    config: &VifConfig,
    link: Option<&Link>,
    bridges: &[Link],
) -> Result<Vec<VlanRange>, Error> {
    let joined = |link: &&Link| bridges.iter().find(|bridge| link.master == Some(bridge.index));
    // What contradicts itself is for the plan to say.
    let wanted =
        |bridge: &Link| config.vlans_on(&bridge.name).map_or(true, |vlans| vlans.is_some());
    match link.filter(|link| joined(link).is_some_and(wanted)) {
        Some(port) => Ok(kernel.vlans(&port.reference())?),
        None => Ok(Vec::new()),
    }
}

/// What the port is set to, where something of that is wanted and it is in this bridge already.
pub(super) fn port(
    kernel: &mut Kernel,
    target: &VifTarget,
    config: &VifConfig,
    seen: &VifSnapshot,
    bridge: u32,
) -> Result<Option<Port>, Error> {
    let joined = seen.link.as_ref().filter(|link| link.master == Some(bridge));
    match joined.filter(|_| target.sets_port(config, seen)) {
        Some(link) => Ok(kernel.port(link.index)?),
        None => Ok(None),
    }
}

/// Which of the rules for `iptables` there are, where they are asked for.
pub(super) fn iptables(
    target: &VifTarget,
    config: &VifConfig,
    policy: &PortPolicy,
) -> Result<Vec<IptablesRule>, Error> {
    let mut there = Vec::new();
    if policy.iptables == Some(true) {
        for rule in IptablesRule::of(&target.final_name(config)?, &config.ip) {
            if apply::iptables_has(&rule)? {
                there.push(rule);
            }
        }
    }
    Ok(there)
}

/// Whether a port, when it leaves this bridge and comes back, is no longer what it was.
fn lossy(kernel: &mut Kernel, link: &Link, master: &Link) -> Result<bool, Error> {
    let as_joined =
        PortFlags::LEARNING | PortFlags::FLOOD | PortFlags::MCAST_FLOOD | PortFlags::BCAST_FLOOD;
    // Open vSwitch's database has what its ports are set to, and a port that comes back has it again.
    if is_datapath(master) {
        return Ok(false);
    }
    let plain = master.bridge.as_ref().is_some_and(|bridge| !bridge.vlan_filtering);
    Ok(!plain || kernel.port(link.index)?.is_some_and(|port| port.flags != as_joined))
}

/// The executables `*.hook` of a directory, by name.
fn hooks(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |source| Error::File { doing: "read the hooks in", path: dir.to_owned(), source };
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut hooks = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let executable = || {
            fs::metadata(&path)
                .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
        };
        if path.extension().is_some_and(|extension| extension == "hook") && executable() {
            hooks.push(path);
        }
    }
    hooks.sort_unstable();
    Ok(hooks)
}
