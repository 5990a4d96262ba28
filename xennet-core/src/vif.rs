use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::apply::Apply;
use crate::config::VifConfig;
use crate::kernel::{Kernel, LinkFilter};
use crate::lock::Lock;
use crate::plan::{Plan, PlanError, VifSnapshot, VifStore, VifTarget};
use crate::types::{Device, Link, ParseError, VifId, VlanRange};
use crate::{Dom0Network, Error};

/// One vif of a guest, or the tap of its emulated NIC.
#[derive(Debug)]
pub struct Vif<'n> {
    net: &'n mut Dom0Network,
    target: VifTarget,
    defaults: VifConfig,
    overrides: Vec<(String, Vec<u8>)>,
}

/// What a vif is, and how far it is from what it shall be.
#[derive(Debug)]
#[non_exhaustive]
pub struct VifStatus {
    /// Which vif, and where its backend is.
    pub target: VifTarget,
    /// What it shall become; an error when XenStore has no backend for it, or holds a bad value.
    pub config: Result<VifConfig, Error>,
    /// Its interface, if there is one.
    pub link: Option<Link>,
    /// What the interface is a port of.
    pub master: Option<Link>,
    /// What XenStore says of it; none without XenStore or without a backend.
    pub store: Option<VifStore>,
    /// What an `online` would now do: nothing when all is well. None when nothing can be planned.
    pub drift: Option<Result<Plan, PlanError>>,
}

impl<'n> Vif<'n> {
    pub(crate) fn new(
        net: &'n mut Dom0Network,
        id: VifId,
        device: Device,
    ) -> Result<Self, ParseError> {
        let target = VifTarget::new(id, device)?;
        Ok(Self { net, target, defaults: VifConfig::default(), overrides: Vec::new() })
    }

    /// The backend's directory when it is not `backend/vif/DOMID/DEVID` of this domain.
    pub fn set_backend(&mut self, path: impl Into<String>) {
        self.target.backend = path.into();
    }

    /// Sets a key that XenStore overrides, as a hotplug script's environment and arguments.
    pub fn set_default(&mut self, key: &str, value: &[u8]) -> Result<(), ParseError> {
        self.defaults.set(key, value)
    }

    /// Sets a key that overrides XenStore, as a person who says so.
    pub fn set(&mut self, key: &str, value: &[u8]) -> Result<(), ParseError> {
        VifConfig::default().set(key, value)?;
        self.overrides.push((key.to_owned(), value.to_owned()));
        Ok(())
    }

    /// What the vif shall become: the defaults, what XenStore says, and the overrides, each over the one before.
    pub fn load(&mut self) -> Result<VifConfig, Error> {
        Ok(self.load_all()?.0)
    }

    /// What [`online`](Self::online) would do now. Touches nothing and waits for nothing.
    pub fn plan_online(&mut self) -> Result<Plan, Error> {
        let (config, store) = self.load_all()?;
        let link = self.find(&config)?;
        let seen = self.look(&config, link, store)?;
        Ok(self.target.online(&config, &seen)?)
    }

    /// What [`offline`](Self::offline) would do now. Touches nothing.
    pub fn plan_offline(&mut self) -> Result<Plan, Error> {
        let (config, seen) = self.look_leniently()?;
        Ok(self.target.offline(&config, &seen))
    }

    /// Plugs the vif in: waits for its interface, makes it a port of its bridge, reads that back from the kernel, and
    /// tells XenStore `connected`. What is already so is left alone.
    ///
    /// When anything fails, all that was done is taken back, and the error is told to XenStore as well
    /// (`hotplug-error`, and `hotplug-status` = `error`).
    pub fn online(&mut self) -> Result<Plan, Error> {
        let plugged = match self.lock() {
            Ok(lock) => {
                let plugged = self.plug();
                if plugged.is_err() {
                    lock.remove();
                }
                plugged
            }
            Err(error) => Err(error),
        };
        plugged.inspect_err(|error| self.report(error))
    }

    /// Unplugs the vif. That its interface, its bridge, its backend or XenStore itself is gone is no error.
    pub fn offline(&mut self) -> Result<Plan, Error> {
        let lock = self.lock()?;
        let (config, seen) = self.look_leniently()?;
        let plan = self.target.offline(&config, &seen);
        let done =
            Apply::new(&mut self.net.kernel, self.net.store.as_mut()).run_all(plan.changes());
        lock.remove();
        done.map(|()| plan)
    }

    /// What the vif is now, and what it lacks.
    pub fn status(&mut self) -> Result<VifStatus, Error> {
        let (config, store) = match self.load_all() {
            Ok((config, store)) => (Ok(config), store),
            Err(error @ (Error::NoBackend { .. } | Error::Value(_))) => (Err(error), None),
            Err(error) => return Err(error),
        };
        let names = config.as_ref().unwrap_or(&self.defaults).clone();
        let link = self.find_own(&names)?;
        let seen = self.look(&names, link, store)?;
        let drift = config.as_ref().ok().map(|config| self.target.online(config, &seen));
        let VifSnapshot { link, master, store, .. } = seen;
        Ok(VifStatus { target: self.target.clone(), config, link, master, store, drift })
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
            // Whoever waits for the status finds the reason already there.
            let _ = store.write_many(&[(&message, cut(&text).as_bytes()), (&status, b"error")]);
        }
    }

    fn plug(&mut self) -> Result<Plan, Error> {
        let (config, store) = self.load_all()?;
        let link = self.await_link(&config)?;
        let index = link.index;
        let seen = self.look(&config, Some(link), store)?;
        let plan = self.target.online(&config, &seen)?;

        let mut apply = Apply::new(&mut self.net.kernel, self.net.store.as_mut());
        let done = apply.run(plan.kernel()).and_then(|()| {
            read_back(&mut apply, &self.target, &config, seen, index)?;
            apply.run(plan.announcements())
        });
        let Err(error) = done else { return Ok(plan) };
        let gone = matches!(apply.kernel().link_at(index), Ok(None));
        let error = apply.undo(error);
        Err(if gone { Error::Vanished { link: self.target.name.clone() } } else { error })
    }

    fn lock(&self) -> Result<Lock, Error> {
        Lock::take(&self.net.run_dir, self.target.name.as_str())
    }

    /// The configuration, and XenStore's own state in the same round trip.
    fn load_all(&mut self) -> Result<(VifConfig, Option<VifStore>), Error> {
        let mut config = self.defaults.clone();
        let mut state = None;
        if let Some(store) = &mut self.net.store {
            let backend = &self.target.backend;
            let keys = VifConfig::KEYS.into_iter().chain(["hotplug-status", "hotplug-error"]);
            let paths: Vec<String> = keys.map(|key| format!("{backend}/{key}")).collect();
            let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
            let mut values = store.read_many(&paths)?;
            if values.iter().all(Option::is_none) && store.directory(backend)?.is_none() {
                return Err(Error::NoBackend { path: backend.clone() });
            }
            let hotplug_error = values.pop().flatten();
            let hotplug_status = values.pop().flatten();
            for (key, value) in VifConfig::KEYS.into_iter().zip(values) {
                if let Some(value) = value {
                    config.set(key, &value)?;
                }
            }
            let frontend_mtu = match &config.frontend {
                Some(frontend) if self.target.device == Device::Vif => {
                    store.read(&format!("{frontend}/mtu"))?
                }
                _ => None,
            };
            state = Some(VifStore { hotplug_status, hotplug_error, frontend_mtu });
        }
        for (key, value) in &self.overrides {
            config.set(key, value)?;
        }
        Ok((config, state))
    }

    /// The vif's interface, once there is one.
    fn await_link(&mut self, config: &VifConfig) -> Result<Link, Error> {
        if let Some(link) = self.find(config)? {
            return Ok(link);
        }
        self.net.kernel.wait_link(&self.target.name, Instant::now() + self.net.link_wait)?;
        Ok(self.find(config)?.ok_or_else(|| self.target.no_link())?)
    }

    /// The vif's interface, and an error when the name that it shall have belongs to another.
    fn find(&mut self, config: &VifConfig) -> Result<Option<Link>, Error> {
        let original = self.net.kernel.link(&self.target.name)?;
        let named = self.named(config)?;
        let link = self.target.identify(original, named.clone());
        self.target.check_name(link.as_ref(), named.as_ref())?;
        Ok(link)
    }

    /// The vif's interface, whatever else there is.
    fn find_own(&mut self, config: &VifConfig) -> Result<Option<Link>, Error> {
        let original = self.net.kernel.link(&self.target.name)?;
        let named = self.named(config)?;
        Ok(self.target.identify(original, named))
    }

    fn named(&mut self, config: &VifConfig) -> Result<Option<Link>, Error> {
        let name = self.target.final_name(config)?;
        Ok(if name == self.target.name { None } else { self.net.kernel.link(&name)? })
    }

    fn look(
        &mut self,
        config: &VifConfig,
        link: Option<Link>,
        store: Option<VifStore>,
    ) -> Result<VifSnapshot, Error> {
        let kernel = &mut self.net.kernel;
        let mut bridges = Vec::new();
        let names = self.target.bridge_names(config)?;
        for name in &names {
            // The first that exists: whether it is a bridge is for the plan to say.
            bridges.extend(kernel.link(name)?);
            if !bridges.is_empty() {
                break;
            }
        }
        if names.is_empty() {
            bridges = kernel.links(LinkFilter::Kind("bridge"))?;
        }
        let addresses =
            link.as_ref().map_or(Ok(Vec::new()), |link| kernel.addresses(&link.reference()))?;
        let master = match link.as_ref().and_then(|link| link.master) {
            None => None,
            Some(index) => match bridges.iter().find(|bridge| bridge.index == index) {
                Some(bridge) => Some(bridge.clone()),
                None => kernel.link_at(index)?,
            },
        };
        let vlans = vlans(kernel, config, link.as_ref(), &bridges)?;
        let hooks = hooks(&self.net.hook_dir)?;
        Ok(VifSnapshot { link, addresses, master, vlans, bridges, hooks, store })
    }

    /// As much as can be known of a vif that is being torn down.
    fn look_leniently(&mut self) -> Result<(VifConfig, VifSnapshot), Error> {
        let mut config = self.load().unwrap_or_else(|_| self.defaults.clone());
        if self.target.final_name(&config).is_err() {
            config.vifname = None;
        }
        // Wherever the vif is a port, it is taken out: which bridge was meant does not matter.
        config.bridge = None;
        let link = self.find_own(&config)?;
        let hooks = hooks(&self.net.hook_dir).unwrap_or_default();
        let master = match link.as_ref().and_then(|link| link.master) {
            Some(index) => self.net.kernel.link_at(index)?,
            None => None,
        };
        Ok((config, VifSnapshot { link, master, hooks, ..VifSnapshot::default() }))
    }
}

/// Plans once more from what the kernel now shows: whatever is still to be done was accepted and ignored.
fn read_back(
    apply: &mut Apply<'_>,
    target: &VifTarget,
    config: &VifConfig,
    mut seen: VifSnapshot,
    index: u32,
) -> Result<(), Error> {
    let kernel = apply.kernel();
    let link =
        kernel.link_at(index)?.ok_or_else(|| Error::Vanished { link: target.name.clone() })?;
    seen.addresses = kernel.addresses(&link.reference())?;
    seen.vlans = vlans(kernel, config, Some(&link), &seen.bridges)?;
    seen.link = Some(link);
    match target.online(config, &seen)?.kernel().next() {
        None => Ok(()),
        Some(change) => Err(Error::Ignored { change: change.to_string() }),
    }
}

/// The VLANs of a port of one of these bridges, where they matter: a vif that asks for none costs no request.
fn vlans(
    kernel: &mut Kernel,
    config: &VifConfig,
    link: Option<&Link>,
    bridges: &[Link],
) -> Result<Vec<VlanRange>, Error> {
    let port = link.filter(|link| bridges.iter().any(|bridge| link.master == Some(bridge.index)));
    match port.filter(|_| config.vlan.is_some()) {
        Some(port) => Ok(kernel.vlans(&port.reference())?),
        None => Ok(Vec::new()),
    }
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

/// A message short enough for any XenStore: oxenstored refuses values over 2048 bytes.
fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(1024)).unwrap_or(text)
}
