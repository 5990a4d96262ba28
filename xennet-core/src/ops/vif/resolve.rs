//! From what is wanted of a vif to what that means on this host: its mode, its bridge and its addresses.

use super::VifRequest;
use super::address;
use crate::Error;
use crate::config::{NatPolicy, VifConfig};
use crate::observe::{Backend, CONFIG_KEYS, Facts, VifLinks};
use crate::plan::vif::nat;
use crate::plan::{VifStore, VifTarget};
use crate::types::{BridgeSpec, IfName, Link, Mode, OvsBridge, ParseError};

/// What is to become of a vif on this host.
#[derive(Debug)]
pub(super) struct Resolved {
    /// With the mode that it has in the end.
    pub(super) target: VifTarget,
    pub(super) config: VifConfig,
    /// The keys that have an invalid value; empty unless the caller tolerates them.
    pub(super) invalid: Vec<ParseError>,
    /// The state that XenStore has of the vif; none without XenStore or without a backend.
    pub(super) store: Option<VifStore>,
    /// The value that the backend has for each key.
    pub(super) backend: Option<Backend>,
    /// The `[[nat]]` that the guest belongs to.
    pub(super) nat: Option<NatPolicy>,
    /// Whether xennet chooses the guest's address.
    pub(super) chooses_address: bool,
    pub(super) links: VifLinks,
    /// The interfaces that `bridge` can mean; for Open vSwitch, the bridge's own interface.
    pub(super) bridges: Vec<Link>,
    /// If none of them is a bridge, the bridges that `xennet.toml` describes.
    pub(super) described: Vec<IfName>,
    /// The bridge of Open vSwitch.
    pub(super) switch_bridge: Option<OvsBridge>,
    /// Why its bridge or its addresses are not known, where the caller tolerates that.
    pub(super) misplaced: Option<Error>,
    /// Why its interface is not known, where the caller tolerates that.
    pub(super) unobserved: Option<Error>,
}

/// What an invalid value or a failing XenStore means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tolerance {
    /// An error.
    Nothing,
    /// An invalid value is noted, and its key counts as not set.
    InvalidValues,
    /// Like invalid values; without XenStore's answer its keys count as not set.
    Everything,
}

impl Resolved {
    /// Asks for what the resolution depends on, and resolves.
    pub(super) fn new(
        request: &VifRequest,
        facts: &mut Facts<'_>,
        tolerance: Tolerance,
    ) -> Result<Self, Error> {
        // A vif that is detached needs none of what is read ahead for one that is attached.
        let mode = request.mode.filter(|_| tolerance == Tolerance::Nothing);
        let backend = match facts.backend(&request.target, mode) {
            Err(_) if tolerance == Tolerance::Everything => None,
            backend => backend?,
        };
        let (config, invalid) = wanted(request, backend.as_ref(), tolerance)?;
        let store = backend.as_ref().map(|backend| VifStore {
            hotplug_status: backend.value("hotplug-status").cloned(),
            hotplug_error: backend.value("hotplug-error").cloned(),
            frontend_mtu: backend.frontend_mtu.clone().filter(|_| config.frontend.is_some()),
        });
        let script = backend.as_ref().and_then(|backend| backend.value("script"));
        let mut target = request.target.clone();
        target.mode = mode_of(request, script);
        let bridge = match target.mode {
            Mode::Bridge => {
                target.bridge_names(&config).ok().and_then(|names| names.into_iter().next())
            }
            _ => None,
        };
        let links = facts.vif_links(&target, &config, bridge.as_ref());
        let (links, unobserved) = match links {
            Err(error) if tolerance == Tolerance::Everything => (VifLinks::default(), Some(error)),
            links => (links?, None),
        };
        let mut resolved = Self {
            target,
            config,
            invalid,
            store,
            backend,
            nat: None,
            chooses_address: false,
            links,
            bridges: Vec::new(),
            described: Vec::new(),
            switch_bridge: None,
            misplaced: None,
            unobserved,
        };
        match resolved.place(facts) {
            Err(error) if tolerance != Tolerance::Nothing => resolved.misplaced = Some(error),
            placed => placed?,
        }
        Ok(resolved)
    }

    /// An error when another interface has the name that the vif is to have.
    pub(super) fn check_name(&self) -> Result<(), Error> {
        let VifLinks { own, named } = &self.links;
        Ok(self.target.check_name(own.as_ref(), named.as_ref())?)
    }

    /// Finds the bridge and the addresses.
    fn place(&mut self, facts: &mut Facts<'_>) -> Result<(), Error> {
        let mode = self.target.mode;
        if mode == Mode::Bridge {
            self.find_bridges(facts)?;
        }
        self.nat = match mode {
            Mode::Nat => nat::policy(&self.config, facts.config).cloned(),
            Mode::Bridge => self.nat_of_bridge(facts)?,
            Mode::Route | Mode::OpenVswitch => None,
        };
        if let (Mode::Nat, Some(bridge)) =
            (mode, self.nat.as_ref().and_then(|nat| nat.bridge.clone()))
        {
            self.target.mode = Mode::Bridge;
            self.config.bridge = Some(bridge.as_str().parse::<BridgeSpec>()?);
            self.find_bridges(facts)?;
        }
        self.find_switch(facts)?;
        let chooses = match &self.nat {
            Some(nat) => nat.bridge.is_none() || nat.dhcp && self.config.mac.is_some(),
            None => mode == Mode::Nat,
        };
        self.chooses_address = chooses && self.config.ip.is_empty();
        if self.chooses_address {
            self.config.ip = match &self.nat {
                None => nat::unsaid(self.target.id),
                Some(nat) => {
                    let addresses = address::choose(facts, &self.target, &self.config, nat)?;
                    addresses.into_iter().collect()
                }
            };
        }
        Ok(())
    }

    /// The bridges that are meant. Without `bridge`, a vif stays in the bridge that it is in.
    fn find_bridges(&mut self, facts: &mut Facts<'_>) -> Result<(), Error> {
        let names = self.target.bridge_names(&self.config)?;
        let master = self.links.own.as_ref().and_then(|own| own.master);
        if let (true, Some(master)) = (names.is_empty(), master)
            && let Some(master) = facts.link_at(master)?
            && master.bridge.is_some()
        {
            self.bridges = vec![master];
            return Ok(());
        }
        self.bridges = facts.bridges(&names)?;
        if !self.bridges.iter().any(|link| link.bridge.is_some()) {
            let described = facts.config.all_bridges().into_iter();
            self.described = described.map(|policy| policy.name).collect();
        }
        Ok(())
    }

    /// The `[[nat]]` whose guests share the bridge that is meant: the only one there is of its names, or the only bridge
    /// of all. From then on `bridge` names it.
    fn nat_of_bridge(&mut self, facts: &Facts<'_>) -> Result<Option<NatPolicy>, Error> {
        let policies = &facts.config.nat;
        if policies.iter().all(|nat| nat.bridge.is_none()) {
            return Ok(None);
        }
        let of =
            |name: &IfName| policies.iter().find(|nat| nat.bridge.as_ref() == Some(name)).cloned();
        let nat = match self.bridges.as_slice() {
            [existing] => of(&existing.name),
            // The bridge may exist by the time that the vif does.
            _ => self.target.bridge_names(&self.config)?.iter().find_map(of),
        };
        if let (None, Some(bridge)) =
            (&self.config.bridge, nat.as_ref().and_then(|nat| nat.bridge.as_ref()))
        {
            self.config.bridge = Some(bridge.as_str().parse::<BridgeSpec>()?);
        }
        Ok(nat)
    }

    /// The bridge of Open vSwitch, for a vif that is for it: by its mode, by `[[bridge]] mode = "openvswitch"`, or because
    /// Open vSwitch has a bridge of that name and the kernel has not.
    fn find_switch(&mut self, facts: &mut Facts<'_>) -> Result<(), Error> {
        let names: Vec<IfName> = self.config.bridge.iter().flat_map(BridgeSpec::names).collect();
        let configured = names.iter().any(|name| facts.config.switch(name).is_some());
        if self.target.mode == Mode::Bridge && configured {
            self.target.mode = Mode::OpenVswitch;
        }
        let in_linux = self.bridges.iter().any(|link| link.bridge.is_some());
        let bridge = match self.target.mode {
            Mode::OpenVswitch => facts.switch_bridge(&names, true)?,
            Mode::Bridge if !in_linux && !names.is_empty() => {
                match facts.switch_bridge(&names, false)? {
                    Some(bridge) => Some(bridge),
                    None => return Ok(()),
                }
            }
            _ => return Ok(()),
        };
        self.target.mode = Mode::OpenVswitch;
        self.bridges = match &bridge {
            Some(bridge) => facts.link(&bridge.name)?.into_iter().collect(),
            None => Vec::new(),
        };
        self.switch_bridge = bridge;
        Ok(())
    }
}

/// The defaults, XenStore's values over them, and the overrides over those.
fn wanted(
    request: &VifRequest,
    backend: Option<&Backend>,
    tolerance: Tolerance,
) -> Result<(VifConfig, Vec<ParseError>), Error> {
    let mut config = request.defaults.clone();
    let mut invalid = Vec::new();
    let mut values: Vec<(&str, &Vec<u8>)> = backend.into_iter().flat_map(Backend::values).collect();
    values.retain(|(key, _)| CONFIG_KEYS.contains(key) && *key != "script");
    values.extend(request.overrides.iter().map(|(key, value)| (key.as_str(), value)));
    for (key, value) in values {
        match config.set(key, value) {
            Err(error) if tolerance == Tolerance::Nothing => return Err(error.into()),
            Err(error) => invalid.push(error),
            Ok(()) => {}
        }
    }
    if tolerance != Tolerance::Nothing
        && let Err(error) = request.target.final_name(&config)
    {
        config.vifname = None;
        invalid.push(error);
    }
    Ok((config, invalid))
}

fn mode_of(request: &VifRequest, script: Option<&Vec<u8>>) -> Mode {
    let script = script.and_then(|script| std::str::from_utf8(script).ok());
    request.mode.or_else(|| Mode::of_script(script?)).unwrap_or_default()
}
