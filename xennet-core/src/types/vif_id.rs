use std::fmt;
use std::str::FromStr;

use super::decimal::decimal;
use super::{IfName, ParseError};

/// Which vif: the guest's domain id and the number of the device within the guest, written `3.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_structs, reason = "Xen identifies a vif by exactly these two")]
pub struct VifId {
    /// The guest's domain id.
    pub domid: u16,
    /// The number of the device within the guest: its index in the `vif` list, or what `xl network-attach` gave it.
    pub devid: u32,
}

/// The two kinds of interface that one vif has in the backend domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "libxl knows exactly these two")]
pub enum Device {
    /// netback's interface, `vif3.0`.
    Vif,
    /// The tap of an emulated NIC of an HVM guest, `vif3.0-emu`.
    Tap,
}

impl VifId {
    /// The interface that netback or the device model makes: `vif3.0` or `vif3.0-emu`.
    ///
    /// An error when a large `devid` makes it longer than the kernel's 15 bytes.
    pub fn if_name(self, device: Device) -> Result<IfName, ParseError> {
        // Fails only for a devid that makes the name longer than the kernel's 15 bytes.
        match device {
            Device::Vif => format!("vif{self}"),
            Device::Tap => format!("vif{self}-emu"),
        }
        .parse()
    }

    /// From an interface's name, `vif3.0` or `vif3.0-emu`.
    ///
    /// An error for any other name.
    pub fn from_if_name(name: &str) -> Result<(Self, Device), ParseError> {
        let wrong =
            || ParseError::new("vif", name, "vifDOMID.DEVID, as in vif3.0, or vifDOMID.DEVID-emu");
        let rest = name.strip_prefix("vif").ok_or_else(wrong)?;
        let (id, device) = match rest.strip_suffix("-emu") {
            Some(id) => (id, Device::Tap),
            None => (rest, Device::Vif),
        };
        Ok((id.parse().map_err(|_| wrong())?, device))
    }

    /// From the path of the backend in XenStore, relative or absolute: `backend/vif/3/0` or
    /// `/local/domain/0/backend/vif/3/0`.
    ///
    /// An error for any other path.
    pub fn from_xenbus_path(path: &str) -> Result<Self, ParseError> {
        let wrong = || {
            ParseError::new("XENBUS_PATH", path, "backend/vif/DOMID/DEVID, as in backend/vif/3/0")
        };
        let (base, id) = path.split_once("backend/vif/").ok_or_else(wrong)?;
        let domain = base.strip_prefix("/local/domain/").and_then(|rest| rest.strip_suffix('/'));
        if !base.is_empty() && domain.and_then(decimal::<u16>).is_none() {
            return Err(wrong());
        }
        let (domid, devid) = id.split_once('/').ok_or_else(wrong)?;
        Ok(Self {
            domid: decimal(domid).ok_or_else(wrong)?,
            devid: decimal(devid).ok_or_else(wrong)?,
        })
    }

    /// The path of the frontend, where libxl puts it: `/local/domain/3/device/vif/0`.
    pub fn frontend_path(self) -> String {
        format!("/local/domain/{}/device/vif/{}", self.domid, self.devid)
    }

    /// The path of the backend, relative to the backend's own domain: `backend/vif/3/0`.
    pub fn xenbus_path(self) -> String {
        format!("backend/vif/{}/{}", self.domid, self.devid)
    }
}

impl FromStr for VifId {
    type Err = ParseError;

    fn from_str(s: &str) -> Result<Self, ParseError> {
        s.split_once('.')
            .and_then(|(domid, devid)| {
                Some(Self { domid: decimal(domid)?, devid: decimal(devid)? })
            })
            .ok_or_else(|| ParseError::new("vif", s, "DOMID.DEVID, as in 3.0"))
    }
}

impl fmt::Display for VifId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.domid, self.devid)
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Vif => "vif",
            Self::Tap => "tap",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ID: VifId = VifId { domid: 3, devid: 0 };

    #[test]
    fn every_way_to_name_a_vif() {
        assert_eq!("3.0".parse(), Ok(ID));
        assert_eq!(VifId::from_if_name("vif3.0"), Ok((ID, Device::Vif)));
        assert_eq!(VifId::from_if_name("vif3.0-emu"), Ok((ID, Device::Tap)));
        assert_eq!(VifId::from_xenbus_path("backend/vif/3/0"), Ok(ID));
        assert_eq!(VifId::from_xenbus_path("/local/domain/7/backend/vif/3/0"), Ok(ID));
    }

    #[test]
    fn everything_else_is_refused() {
        for bad in [
            "",
            "3",
            "3.",
            ".0",
            "3.0.0",
            "03.0",
            "+3.0",
            "3.-1",
            "65536.0",
            "3.4294967296",
            " 3.0",
        ] {
            assert!(bad.parse::<VifId>().is_err(), "{bad:?}");
        }
        for bad in ["vif", "3.0", "vif3.0-tap", "vif3.0-emu-emu", "tap3.0", "vifvif3.0"] {
            assert!(VifId::from_if_name(bad).is_err(), "{bad:?}");
        }
        for bad in [
            "backend/vif/3",
            "backend/vif/3/0/mac",
            "backend/vbd/3/0",
            "/backend/vif/3/0",
            "../backend/vif/3/0",
            "/local/domain/x/backend/vif/3/0",
            "/local/domain/0/device/backend/vif/3/0",
            "backend/vif/3/0/../../4/0",
        ] {
            assert!(VifId::from_xenbus_path(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn parsing_what_was_printed_gives_it_back(domid: u16, devid: u32) {
            let id = VifId { domid, devid };
            prop_assert_eq!(id.to_string().parse(), Ok(id));
            prop_assert_eq!(VifId::from_xenbus_path(&id.xenbus_path()), Ok(id));
            for device in [Device::Vif, Device::Tap] {
                if let Ok(name) = id.if_name(device) {
                    prop_assert_eq!(VifId::from_if_name(name.as_str()), Ok((id, device)));
                }
            }
        }

        #[test]
        fn text_never_panics(s in ".*") {
            let _ = s.parse::<VifId>();
            let _ = VifId::from_if_name(&s);
            let _ = VifId::from_xenbus_path(&s);
        }
    }
}
