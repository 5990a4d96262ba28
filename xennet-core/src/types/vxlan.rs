use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::de::Error;

use super::decimal::decimal;
use super::{IfName, LinkRef, ParseError};

/// The number of a VXLAN network (VNI), 1 to 16777215: EVPN has no 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vni(u32);

/// A VXLAN port to make: Ethernet between hosts, in UDP. `ip link add NAME type vxlan ...`
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VxlanSpec {
    /// Which network: `id`.
    pub vni: Vni,
    /// This host's address, IPv4 or IPv6, that the packets come from and are sent to: `local`.
    pub local: IpAddr,
    /// The interface by which they leave and come in; none leaves that to the routes: `dev`.
    pub dev: Option<LinkRef>,
    /// Where frames go whose destination is not known: the other host, or a group. None without one: then somebody
    /// enters every destination: `remote`, `group`.
    pub remote: Option<IpAddr>,
    /// The UDP port: `dstport`.
    pub port: u16,
    /// Whether it learns behind which host an address is: `learning`.
    pub learning: bool,
}

/// What a VXLAN port is set to. `ip -d link show type vxlan`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct VxlanInfo {
    /// The network: 0 for a port of several.
    pub vni: u32,
    /// This host's address.
    pub local: Option<IpAddr>,
    /// The index of the interface that it is bound to.
    pub dev: Option<u32>,
    /// Where frames go whose destination is not known.
    pub remote: Option<IpAddr>,
    /// The UDP port.
    pub port: u16,
    /// Whether it learns behind which host an address is.
    pub learning: bool,
}

impl Vni {
    /// The network of that number; an error at 0, or above 16777215.
    pub fn new(number: u32) -> Result<Self, ParseError> {
        Self::checked(number).ok_or_else(|| ParseError::new(KEY, number.to_string(), EXPECTED))
    }

    /// Its number.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The name of its port on every host: `vx100`.
    #[expect(clippy::missing_panics_doc, reason = "every such name is one")]
    pub fn port_name(self) -> IfName {
        format!("vx{self}").parse().expect("ten bytes at most")
    }

    fn checked(number: u32) -> Option<Self> {
        (1..1 << 24).contains(&number).then_some(Self(number))
    }
}

const KEY: &str = "vni";
const EXPECTED: &str = "a VXLAN network from 1 to 16777215";

impl VxlanSpec {
    /// The UDP port that IANA gave it.
    pub const PORT: u16 = 4789;

    /// Bytes that a frame in an IP packet has on top of its own payload: IP (20 or 40), UDP (8), VXLAN (8), and the
    /// frame's own header (14).
    pub fn overhead(&self) -> u32 {
        if self.local.is_ipv4() { 50 } else { 70 }
    }

    /// What of it does not hold of a port, in the words of `ip link`; none when all of it does.
    pub fn difference(&self, now: &VxlanInfo) -> Option<String> {
        let ip = |key: &str, ip: Option<IpAddr>| {
            ip.map_or_else(|| format!("no {key}"), |ip| format!("{key} {ip}"))
        };
        let dev = |index| format!("dev of index {index}");
        [
            (now.vni != self.vni.0, format!("id {}", now.vni)),
            (now.local != Some(self.local), ip("local", now.local)),
            (
                now.dev != self.dev.as_ref().and_then(|dev| dev.index),
                now.dev.map_or("no dev".to_owned(), dev),
            ),
            (now.remote != self.remote, ip("remote", now.remote)),
            (now.port != self.port, format!("dstport {}", now.port)),
            (now.learning != self.learning, format!("{}learning", no(now.learning))),
        ]
        .into_iter()
        .find_map(|(differs, words)| differs.then_some(words))
    }
}

fn no(on: bool) -> &'static str {
    if on { "" } else { "no" }
}

impl FromStr for Vni {
    type Err = ParseError;

    fn from_str(s: &str) -> Result<Self, ParseError> {
        decimal(s).and_then(Self::checked).ok_or_else(|| ParseError::new(KEY, s, EXPECTED))
    }
}

impl<'de> serde::Deserialize<'de> for Vni {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(u32::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl fmt::Display for Vni {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for VxlanSpec {
    /// What follows `ip link add NAME type`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "vxlan id {} local {}", self.vni, self.local)?;
        if let Some(dev) = &self.dev {
            write!(f, " dev {}", dev.name)?;
        }
        if let Some(remote) = self.remote {
            let word = if remote.is_multicast() { "group" } else { "remote" };
            write!(f, " {word} {remote}")?;
        }
        write!(f, " dstport {} {}learning", self.port, no(self.learning))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds() {
        for good in ["1", "100", "16777215"] {
            let vni: Vni = good.parse().unwrap();
            assert_eq!(vni.to_string(), good);
            assert_eq!(vni.port_name().as_str(), format!("vx{good}"));
        }
        for bad in ["", "0", "16777216", "0100", "-1", "x"] {
            assert!(bad.parse::<Vni>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_differs_is_named() {
        let mut spec = VxlanSpec {
            vni: Vni(100),
            local: "192.0.2.11".parse().unwrap(),
            dev: None,
            remote: None,
            port: VxlanSpec::PORT,
            learning: false,
        };
        let mut info = VxlanInfo {
            vni: 100,
            local: Some(spec.local),
            port: VxlanSpec::PORT,
            ..VxlanInfo::default()
        };
        assert_eq!(spec.difference(&info), None);
        assert_eq!(
            (spec.to_string().as_str(), spec.overhead()),
            ("vxlan id 100 local 192.0.2.11 dstport 4789 nolearning", 50)
        );
        (info.dev, info.learning) = (Some(3), true);
        assert_eq!(spec.difference(&info).as_deref(), Some("dev of index 3"));
        spec.dev = Some(LinkRef { index: Some(3), name: "eth1".parse().unwrap() });
        assert_eq!(spec.difference(&info).as_deref(), Some("learning"));
        spec.local = "2001:db8::11".parse().unwrap();
        assert_eq!(spec.difference(&info).as_deref(), Some("local 192.0.2.11"));
        assert_eq!(spec.overhead(), 70);
    }
}
