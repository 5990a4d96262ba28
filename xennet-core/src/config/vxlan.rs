use std::net::IpAddr;
use std::num::NonZeroU16;

use super::ConfigError;
use super::table::Table;
use crate::types::{IfName, LinkRef, Vni, VxlanSpec};

/// The network of a bridge that goes on behind other hosts: `vxlan = { vni = 100, local = "192.0.2.11" }`.
///
/// Without `remote`, who is where comes from BGP EVPN (FRR's, say), and nothing is learnt from frames.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VxlanPolicy {
    /// Which network.
    pub vni: Vni,
    /// This host's address between the hosts, IPv4 or IPv6.
    pub local: IpAddr,
    /// The interface by which packets leave and come in; none leaves that to the routes.
    pub dev: Option<IfName>,
    /// Without EVPN: the other host, where there are two, or a multicast group of all hosts. Who is where is then learnt
    /// from frames.
    pub remote: Option<IpAddr>,
    /// The UDP port.
    pub port: NonZeroU16,
}

impl VxlanPolicy {
    /// A network between hosts that EVPN tells about each other.
    pub fn new(vni: Vni, local: IpAddr) -> Self {
        Self { vni, local, dev: None, remote: None, port: PORT }
    }

    /// The port to make; `dev` with its index, where that is known.
    pub(crate) fn spec(&self, dev: Option<LinkRef>) -> VxlanSpec {
        VxlanSpec {
            vni: self.vni,
            local: self.local,
            dev,
            remote: self.remote,
            port: self.port.get(),
            learning: self.remote.is_some(),
        }
    }

    /// Reads the table `vxlan` of that bridge.
    pub(super) fn read(table: &mut Table<'_>, bridge: &IfName) -> Result<Self, ConfigError> {
        let policy = Self {
            vni: table.required("vni")?,
            local: table.required("local")?,
            dev: table.optional("dev")?,
            remote: table.optional("remote")?,
            port: table.optional("port")?.unwrap_or(PORT),
        };
        table.finish()?;
        match policy.contradiction(bridge) {
            Some((key, words)) => Err(table.wrong(key, format!("bridge {bridge}: {words}"))),
            None => Ok(policy),
        }
    }

    fn contradiction(&self, bridge: &IfName) -> Option<(&'static str, String)> {
        let Self { local, remote, .. } = self;
        if local.is_unspecified() || local.is_multicast() || local.is_loopback() {
            return Some(("local", format!("{local} is no address that other hosts can send to")));
        }
        if self.dev.as_ref() == Some(bridge) {
            return Some(("dev", "a bridge is not the way out of its own VXLAN".to_owned()));
        }
        let near = matches!(local, IpAddr::V6(local) if local.is_unicast_link_local());
        if self.dev.is_none() && near {
            return Some(("local", format!("{local} is on every interface: give dev as well")));
        }
        let remote = (*remote)?;
        if remote.is_ipv4() != local.is_ipv4() {
            let words = format!("{remote} and {local} are not of the same protocol");
            return Some(("remote", words));
        }
        if remote.is_unspecified() || remote.is_loopback() || remote == *local {
            return Some(("remote", format!("{remote} is no other host")));
        }
        if remote.is_multicast() && self.dev.is_none() {
            return Some((
                "remote",
                format!("the group {remote} is joined on an interface: give dev"),
            ));
        }
        None
    }
}

const PORT: NonZeroU16 = NonZeroU16::new(VxlanSpec::PORT).expect("not 0");
