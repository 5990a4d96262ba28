mod arrival;
mod look;
mod policy;
mod routed;
mod switch;

use std::mem::take;
use std::time::{Duration, Instant};

use look::{Early, Found};

use crate::apply::{Apply, again_while_overtaken};
use crate::config::{NatPolicy, VifConfig};
use crate::lock::Lock;
use crate::plan::{Change, Plan, VifSnapshot, VifStore, VifTarget, Warning};
use crate::types::{Device, IfName, Interface, LinkSet, Mode, ParseError, VifId};
use crate::uplink::Uplink;
use crate::{Dom0Network, Error, dhcp};

/// How long locks, the interface and hooks may take together. libxl kills a hotplug script after 40 seconds; the rest is
/// for taking everything back, and for telling why.
const PATIENCE: Duration = Duration::from_secs(30);

/// One vif of a guest, or the tap of its emulated NIC.
#[derive(Debug)]
pub struct Vif<'n> {
    net: &'n mut Dom0Network,
    target: VifTarget,
    /// What the caller says that it is plugged into.
    mode: Option<Mode>,
    defaults: VifConfig,
    overrides: Vec<(String, Vec<u8>)>,
    /// What the configuration says of it, when it is behind the host's address.
    nat: Option<NatPolicy>,
    /// Whether it got an address that nobody gave it.
    chosen: bool,
    /// Until when it may wait for another vif to make the guard's table, where it is to make it otherwise.
    makes_until: Option<Instant>,
    /// Held while it makes it.
    making: Option<Lock>,
}

/// What a vif is, and how far it is from what it shall be.
#[derive(Debug)]
#[non_exhaustive]
pub struct VifStatus {
    /// Which vif.
    pub id: VifId,
    /// Whether it is the vif or its tap.
    pub device: Device,
    /// What it is attached to.
    pub mode: Mode,
    /// The backend's directory in XenStore.
    pub backend: String,
    /// The name that netback or the device model gives its interface.
    pub name: IfName,
    /// Its configuration; an error when XenStore has no backend for it, or holds a bad value.
    pub config: Result<VifConfig, Error>,
    /// Its interface, if there is one.
    pub link: Option<Interface>,
    /// The bridge, Open vSwitch bridge or other master that the interface is a port of.
    pub master: Option<IfName>,
    /// Its port number in Open vSwitch.
    pub ofport: Option<i64>,
    /// The backend's `hotplug-status`.
    pub hotplug_status: Option<Vec<u8>>,
    /// The backend's `hotplug-error`.
    pub hotplug_error: Option<Vec<u8>>,
    /// What [`Vif::online`] would change now: nothing when the vif is as wanted. None when nothing can be planned.
    pub drift: Option<Result<Plan, Error>>,
}

impl<'n> Vif<'n> {
    pub(crate) fn new(
        net: &'n mut Dom0Network,
        id: VifId,
        device: Device,
    ) -> Result<Self, ParseError> {
        let target = VifTarget::new(id, device)?;
        let defaults = net.config.vif.clone();
        let overrides = Vec::new();
        Ok(Self {
            net,
            target,
            mode: None,
            defaults,
            overrides,
            nat: None,
            chosen: false,
            makes_until: None,
            making: None,
        })
    }

    /// The backend's directory when it is not `backend/vif/DOMID/DEVID` of this domain.
    pub fn set_backend(&mut self, path: impl Into<String>) {
        self.target.backend = path.into();
    }

    /// What the vif is plugged into, whatever the `script` of XenStore says: a bridge, where neither says anything.
    pub fn set_mode(&mut self, mode: Mode) {
        self.mode = Some(mode);
    }

    /// Sets a key that XenStore overrides, as a hotplug script's environment and arguments.
    ///
    /// An error that names the key when there is none such, or its value is not what it wants; then nothing is changed.
    pub fn set_default(&mut self, key: &str, value: &[u8]) -> Result<(), ParseError> {
        self.defaults.set(key, value)
    }

    /// Sets a key that overrides XenStore, as a person who says so.
    ///
    /// An error as [`set_default`](Self::set_default)'s.
    pub fn set(&mut self, key: &str, value: &[u8]) -> Result<(), ParseError> {
        VifConfig::default().set(key, value)?;
        self.overrides.push((key.to_owned(), value.to_owned()));
        Ok(())
    }

    /// What the vif shall become: the defaults, what XenStore says, and the overrides, each over the one before.
    ///
    /// An error (`ENOENT`) when XenStore has no such backend, (`EINVAL`) when it holds a value that its key does not
    /// want, or its own when it does not answer.
    pub fn load(&mut self) -> Result<VifConfig, Error> {
        Ok(self.load_all()?.0)
    }

    /// What [`online`](Self::online) would do now. Touches nothing and waits for nothing.
    ///
    /// An error that says why [`online`](Self::online) would fail at once: no interface or no bridge (`ENODEV`), a bad
    /// value (`EINVAL`), no backend (`ENOENT`), a name that another interface has (`EEXIST`).
    pub fn plan_online(&mut self) -> Result<Plan, Error> {
        let (config, store) = self.load_all()?;
        let found = self.find(&config, None)?;
        let mut seen = self.look(&config, found, store, Early::default())?;
        self.look_at_uplink(&config, &mut seen)?;
        self.look_at_filters(&mut seen);
        Ok(self.target.online(&config, &seen)?)
    }

    /// What [`offline`](Self::offline) would do now. Touches nothing.
    ///
    /// An error only when the kernel does not answer.
    pub fn plan_offline(&mut self) -> Result<Plan, Error> {
        let (config, mut seen) = self.look_leniently()?;
        let _ = self.look_at_uplink(&config, &mut seen);
        Ok(self.target.offline(&config, &seen))
    }

    /// Plugs the vif in: waits for its interface, makes it a port of its bridge, reads that back from the kernel, and
    /// tells XenStore `connected`. What is already so is left alone.
    ///
    /// When anything fails, all that was done is taken back, and the error is told to XenStore as well
    /// (`hotplug-error`, and `hotplug-status` = `error` unless the vif was, and still is, `connected`).
    pub fn online(&mut self) -> Result<Plan, Error> {
        let deadline = Instant::now() + PATIENCE;
        let lock = self.lock(deadline).inspect_err(|error| self.report(error))?;
        // Reported before the lock is given back, or it could come after another's `connected`.
        let plugged = self.plug(deadline).inspect_err(|error| self.report(error));
        if plugged.is_err() {
            lock.remove();
        }
        plugged
    }

    /// Unplugs the vif. That its interface, its bridge, its backend or XenStore itself is gone is no error.
    pub fn offline(&mut self) -> Result<Plan, Error> {
        let deadline = Instant::now() + PATIENCE;
        let lock = match self.lock(deadline) {
            // Where no lock can be made, nobody else has one either.
            Err(Error::File { .. }) => None,
            lock => Some(lock?),
        };
        let done = again_while_overtaken(|| self.take_out(deadline));
        if let Some(lock) = lock {
            lock.remove();
        }
        done
    }

    /// What the vif is now, and what it lacks.
    ///
    /// A bad value, or no backend, is told in [`VifStatus::config`]; an error when the kernel or XenStore does not
    /// answer.
    pub fn status(&mut self) -> Result<VifStatus, Error> {
        let (config, store) = match self.load_all() {
            Ok((config, store)) => (Ok(config), store),
            Err(error @ (Error::NoBackend { .. } | Error::Value(_))) => (Err(error), None),
            Err(error) => return Err(error),
        };
        let names = config.as_ref().unwrap_or(&self.defaults).clone();
        let found = self.find_own(&names, None)?;
        let seen = self.look(&names, found, store, Early::default())?;
        let drift = config.as_ref().ok().map(|config| self.target.online(config, &seen));
        let VifSnapshot { link, master, switch, store, .. } = *seen;
        let name = link.as_ref().map_or(&self.target.name, |link| &link.name);
        let switch =
            switch.and_then(|switch| switch.ports.into_iter().find(|now| now.port.name == *name));
        let port = switch.as_ref().map(|now| now.port.bridge.clone());
        let VifStore { hotplug_status, hotplug_error, .. } = store.unwrap_or_default();
        let VifTarget { id, device, mode, backend, name } = self.target.clone();
        Ok(VifStatus {
            id,
            device,
            mode,
            backend,
            name,
            config,
            link: link.as_ref().map(Interface::from),
            master: port.or_else(|| Some(master?.name)),
            ofport: switch.and_then(|now| now.ofport),
            hotplug_status,
            hotplug_error,
            drift: drift.map(|drift| drift.map_err(Error::from)),
        })
    }

    /// Tells XenStore that the vif could not be plugged, and why. xl prints `hotplug-error`.
    ///
    /// Does nothing without XenStore, or without a backend to tell it to.
    pub fn report(&mut self, error: &Error) {
        let Some(store) = &mut self.net.store else { return };
        let backend = &self.target.backend;
        // Writing would make the directory of a device that is gone.
        if !matches!(error, Error::NoBackend { .. })
            && matches!(store.directory(backend), Ok(Some(_)))
        {
            let (message, status) =
                (format!("{backend}/hotplug-error"), format!("{backend}/hotplug-status"));
            let text = error.to_string();
            let mut values = vec![(message, cut(&text).as_bytes())];
            // A vif that works, and that was left as it is, goes on working: netback would not connect it again.
            let undone = !matches!(error, Error::HalfUndone { .. } | Error::Vanished { .. });
            if !(undone
                && store.read(&status).is_ok_and(|status| status.as_deref() == Some(b"connected")))
            {
                // Whoever waits for the status finds the reason already there.
                values.push((status, b"error"));
            }
            let _ = store.write_many(&values);
        }
    }

    fn take_out(&mut self, deadline: Instant) -> Result<Plan, Error> {
        let (config, mut seen) = self.look_leniently()?;
        let uplink = self.uplink(&config, &seen);
        let _uplink_lock =
            uplink.as_ref().map(|uplink| uplink.lock(&self.net.run_dir, deadline)).transpose()?;
        // What cannot be seen cannot be tidied up.
        let _ = self.look_at_uplink(&config, &mut seen);
        let plan = self.target.offline(&config, &seen);
        let mut apply = Apply::new(self.net, deadline);
        let (hooks, rest): (Vec<_>, Vec<_>) =
            plan.changes().iter().partition(|change| matches!(change, Change::Hook(_)));
        match apply.run_all(rest) {
            // All but the hooks can be done twice.
            Err(error @ Error::Overtaken(_)) => return Err(error),
            done => done.and(apply.run_all(hooks))?,
        }
        Ok(plan)
    }

    /// Whether it is in use: a vif that XenStore calls connected, or a tap that is there.
    pub(crate) fn is_plugged(&mut self) -> Result<bool, Error> {
        let status = match self.status() {
            Err(Error::NoBackend { .. }) => return Ok(false),
            status => status?,
        };
        let connected = status.hotplug_status.as_deref() == Some(b"connected");
        let routed = self.target.mode.is_routed();
        Ok(connected
            && (status.master.is_some() || routed && status.link.is_some_and(|link| link.up)))
    }

    /// What an [`online`](Self::online) would now change of the guard. Touches nothing.
    pub(crate) fn plan_guard(&mut self) -> Result<Plan, Error> {
        let plan = self.plan_online()?;
        let of_guard = |change: &&Change| matches!(change, Change::Nft { .. });
        Ok(plan.changes().iter().filter(of_guard).cloned().collect())
    }

    /// Does what [`plan_guard`](Self::plan_guard) says, and nothing else.
    pub(crate) fn restore_guard(&mut self) -> Result<Plan, Error> {
        let deadline = Instant::now() + PATIENCE;
        let _lock = self.lock(deadline)?;
        again_while_overtaken(|| {
            let plan = self.plan_guard()?;
            Apply::new(self.net, deadline).run(plan.changes())?;
            Ok(plan)
        })
    }

    fn plug(&mut self, deadline: Instant) -> Result<Plan, Error> {
        let ((mut config, mut store), mut early) = self.load_and_look()?;
        let known = early.link.take();
        if known.is_none() {
            // Who waits for it looks at all else again.
            early = Early::default();
        }
        let found = self.await_link(&config, known, deadline)?;
        let index = found.link.as_ref().ok_or_else(|| self.target.no_link())?.index;
        // Until its address shows, nobody else may choose one, nor be given the same. While the interface was awaited, the
        // bridge may have come.
        let given = self.nat.as_ref().is_some_and(|nat| nat.dhcp);
        let unsaid =
            config.bridge.is_none() && self.net.config.nat.iter().any(|nat| nat.bridge.is_some());
        let addresses = if self.chosen || given || unsaid {
            let lock = Lock::take(&self.net.run_dir, "addresses", deadline)?;
            (config, store) = self.load_all()?;
            early = Early::default();
            Some(lock)
        } else {
            None
        };
        // Under the lock of the addresses the configuration may name another bridge.
        let mut found = Some(found).filter(|_| addresses.is_none());
        let joined = again_while_overtaken(|| {
            let found = if let Some(found) = found.take() {
                found
            } else {
                let link = self.net.kernel.link_at(index)?.ok_or_else(|| self.vanished())?;
                Found { link: Some(link), ..Found::default() }
            };
            self.makes_until = Some(deadline);
            let joined = self.join(&config, found, store.clone(), take(&mut early), deadline);
            self.makes_until = None;
            if let Some(lock) = self.making.take() {
                lock.remove();
            }
            joined
        });
        joined.map_err(|error| {
            match self.net.kernel.link_at(index) {
                // Whatever was refused, this is why.
                Ok(None) => self.vanished(),
                _ => error,
            }
        })
    }

    fn join(
        &mut self,
        config: &VifConfig,
        found: Found,
        store: Option<VifStore>,
        mut early: Early,
        deadline: Instant,
    ) -> Result<Plan, Error> {
        let index = found.link.as_ref().ok_or_else(|| self.vanished())?.index;
        let filters = early.filters.take();
        let mut seen = self.look(config, found, store, early)?;
        match filters {
            Some(filters) => seen.filters = filters,
            None => self.look_at_filters(&mut seen),
        }
        let uplink = self.uplink(config, &seen);
        let _uplink_lock =
            uplink.as_ref().map(|uplink| uplink.lock(&self.net.run_dir, deadline)).transpose()?;
        self.look_at_uplink(config, &mut seen)?;
        let mut plan = self.target.online(config, &seen)?;
        let mut unheard = Vec::new();

        let mut apply = Apply::new(self.net, deadline);
        let done = apply.run(plan.kernel()).and_then(|()| {
            let after = look_again(&mut apply, &self.target, config, seen, uplink.as_ref(), index)?;
            // Whatever is still to be done was accepted and ignored. But `down` only makes way for it.
            let ignored = |change: &&Change| match change {
                Change::LinkSet { set, .. } => *set != LinkSet::Up(false),
                _ => true,
            };
            match self.target.online(config, &after)?.kernel().find(ignored) {
                None => plan.announcements().try_for_each(|change| match apply.run([change]) {
                    // It works without: the network learns it from the guest's first frame.
                    Err(error) if change.is_announcement() => {
                        unheard.push(Warning::NotAnnounced { why: error.to_string() });
                        Ok(())
                    }
                    done => done,
                }),
                Some(change) => Err(Error::Ignored { change: change.to_string() }),
            }
        });
        match done {
            Ok(()) => {
                plan.warnings.extend(unheard);
                Ok(plan)
            }
            Err(error) => Err(apply.undo(error)),
        }
    }

    /// Adds the managed uplink of the vif's bridge to what is seen, if it has one.
    fn look_at_uplink(&mut self, config: &VifConfig, seen: &mut VifSnapshot) -> Result<(), Error> {
        if let Some(uplink) = self.uplink(config, seen) {
            let vif = seen.link.as_ref().map(|link| link.index);
            seen.uplink = Some(uplink.look(&mut self.net.kernel, vif)?);
        }
        Ok(())
    }

    fn vanished(&self) -> Error {
        Error::Vanished { link: self.target.name.clone() }
    }

    fn lock(&self, deadline: Instant) -> Result<Lock, Error> {
        Lock::take(&self.net.run_dir, self.target.name.as_str(), deadline)
    }
}

/// What the kernel shows of a plug that it has accepted.
fn look_again(
    apply: &mut Apply<'_>,
    target: &VifTarget,
    config: &VifConfig,
    mut seen: Box<VifSnapshot>,
    uplink: Option<&Uplink>,
    index: u32,
) -> Result<Box<VifSnapshot>, Error> {
    let link =
        apply.link_at(index)?.ok_or_else(|| Error::Vanished { link: target.name.clone() })?;
    let kernel = apply.kernel();
    // On a bridge, one that had none and makes none of its own has none now.
    if seen.routed.is_some() || !seen.addresses.is_empty() {
        seen.addresses = kernel.addresses(&link.reference())?;
    }
    seen.vlans = look::vlans(kernel, config, Some(&link), &seen.bridges)?;
    seen.uplink = uplink.map(|uplink| uplink.look(kernel, Some(index))).transpose()?;
    let others = seen.other_guards.iter_mut().map(|(_, guard)| guard);
    seen.guard.iter_mut().chain(others).for_each(|guard| guard.settled = true);
    let bridge = link.master;
    seen.routed = match seen.routed.take() {
        Some(before) => Some(routed::look_again(kernel, target, config, Some(&link), before)?),
        None => None,
    };
    if let Some(switch) = &mut seen.switch {
        // The kernel's datapath has made itself the master of its new port.
        seen.master = bridge.map_or(Ok(None), |datapath| kernel.link_at(datapath))?;
        let names = look::port_names(target, config, Some(&link));
        switch.ports = apply.ovs()?.ports(&names)?;
    }
    let kernel = apply.kernel();
    seen.link = Some(link);
    seen.port =
        bridge.map_or(Ok(None), |bridge| look::port(kernel, target, config, &seen, bridge))?;
    seen.iptables = look::iptables(target, config, &seen.policy)?;
    if let Some(file) = &mut seen.dhcp {
        file.text = dhcp::read(&file.path)?;
    }
    Ok(seen)
}

/// A message short enough for any XenStore: oxenstored refuses values over 2048 bytes.
fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(1024)).unwrap_or(text)
}
