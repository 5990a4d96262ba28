use std::fmt;
use std::str::FromStr;

use super::ParseError;

/// What a vif is plugged into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Mode {
    /// `bridge`: it is a port of a bridge, as by Xen's `vif-bridge`.
    #[default]
    Bridge,
    /// `openvswitch`: it is a port of an Open vSwitch bridge, as by `vif-openvswitch`.
    OpenVswitch,
    /// `route`: the host has routes to the guest's addresses, as by `vif-route`.
    Route,
    /// `nat`: the same, and the guest shares the host's address, as by `vif-nat`.
    Nat,
}

impl Mode {
    /// Whether the host itself sends packets to the guest and takes them from it, instead of a bridge.
    pub fn is_routed(self) -> bool {
        matches!(self, Self::Route | Self::Nat)
    }

    /// The mode that a hotplug script's name stands for, whatever its directory; none for any other name.
    pub fn of_script(path: &str) -> Option<Self> {
        let name = path.rsplit('/').next()?;
        // As it is called beside Xen's own.
        match name.strip_suffix(".xennet").unwrap_or(name) {
            "vif-bridge" => Some(Self::Bridge),
            "vif-openvswitch" => Some(Self::OpenVswitch),
            "vif-route" => Some(Self::Route),
            "vif-nat" => Some(Self::Nat),
            _ => None,
        }
    }
}

impl FromStr for Mode {
    type Err = ParseError;

    fn from_str(s: &str) -> Result<Self, ParseError> {
        match s {
            "bridge" => Ok(Self::Bridge),
            "openvswitch" => Ok(Self::OpenVswitch),
            "route" => Ok(Self::Route),
            "nat" => Ok(Self::Nat),
            _ => Err(ParseError::new("mode", s, "bridge, openvswitch, route or nat")),
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Bridge => "bridge",
            Self::OpenVswitch => "openvswitch",
            Self::Route => "route",
            Self::Nat => "nat",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_known_by_its_name() {
        for (path, mode) in [
            ("/etc/xen/scripts/vif-route", Some(Mode::Route)),
            ("vif-nat", Some(Mode::Nat)),
            ("vif-nat.xennet", Some(Mode::Nat)),
            ("vif-openvswitch.xennet", Some(Mode::OpenVswitch)),
            ("/usr/lib/xen/vif-bridge", Some(Mode::Bridge)),
            ("/etc/xen/scripts/vif-xennet", None),
            ("vif-route/", None),
            ("", None),
        ] {
            assert_eq!(Mode::of_script(path), mode, "{path}");
        }
        for mode in [Mode::Bridge, Mode::OpenVswitch, Mode::Route, Mode::Nat] {
            assert_eq!(mode.to_string().parse(), Ok(mode));
        }
        "Route".parse::<Mode>().unwrap_err();
    }
}
