use crate::config::VifConfig;
use crate::plan::PlanError;
use crate::types::{Device, IfName, Link, Mode, NftFamily, ParseError, VifId};

/// Which interface is meant, and where its backend lives in XenStore.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VifTarget {
    /// Which vif.
    pub id: VifId,
    /// netback's own interface, or the tap of an emulated NIC.
    pub device: Device,
    /// What it is plugged into.
    pub mode: Mode,
    /// The backend's directory in XenStore, relative to this domain or absolute.
    pub backend: String,
    /// netback's name for it, `vif3.0` or `vif3.0-emu`.
    pub name: IfName,
}

impl VifTarget {
    /// The vif or tap of that id; the backend is this domain's own.
    ///
    /// An error as [`VifId::if_name`]'s.
    pub fn new(id: VifId, device: Device) -> Result<Self, ParseError> {
        let (backend, name) = (id.xenbus_path(), id.if_name(device)?);
        Ok(Self { id, device, mode: Mode::Bridge, backend, name })
    }

    /// The family of nftables that sees its packets.
    pub fn family(&self) -> NftFamily {
        match self.mode {
            Mode::Bridge => NftFamily::Bridge,
            Mode::OpenVswitch => NftFamily::Netdev,
            _ => NftFamily::Inet,
        }
    }

    /// The name that it shall have in the end: `vifname`, with `-emu` for a tap, or else the one that it came with.
    ///
    /// An error when `vifname` is another vif's own name, or too long for a tap.
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

    /// The vif whose addresses come and go with the port; none for a tap, which only shares them.
    pub(crate) fn owner(&self) -> Option<VifId> {
        Some(self.id).filter(|_| self.device == Device::Vif)
    }

    fn owns(&self, link: &Link) -> bool {
        let VifId { domid, devid } = self.id;
        let behind =
            self.device == Device::Vif && link.parent == Some(format!("vif-{domid}-{devid}"));
        behind || link.alias.as_deref() == Some(self.name.as_str())
    }
}

pub(in crate::plan) fn describe(link: &Link) -> String {
    match (&link.kind, &link.parent) {
        (Some(kind), _) if kind.starts_with(['a', 'e', 'i', 'o', 'u']) => {
            format!("an {kind} interface")
        }
        (Some(kind), _) => format!("a {kind} interface"),
        (None, Some(parent)) => format!("the interface of device {parent}"),
        (None, None) => "an interface".to_owned(),
    }
}
