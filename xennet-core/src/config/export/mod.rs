mod ifupdown;
mod networkd;
mod nft;
mod now;
mod words;

use ipnet::IpNet;
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

pub use now::HostNow;
pub(crate) use now::Setting;

use super::{BridgePolicy, GatewayPolicy, HostAddresses, NatPolicy, NetworkConfig, PortPolicy};
use crate::types::{IfName, MacAddr, ParseError, Route};

/// Who configures the host's interfaces instead of xennet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExportTarget {
    /// ifupdown: `/etc/network/interfaces`.
    ///
    /// Bridges are made by `ip link` in `pre-up` lines: `bridge_ports` and its like are of bridge-utils, which Debian 12 does
    /// not install, and without which ifupdown passes over them in silence.
    Ifupdown,
    /// systemd-networkd: `/etc/systemd/network`, as of systemd 252.
    Networkd,
}

/// The host's side of a configuration, as another program's files.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Export {
    /// The files.
    pub files: Vec<ExportFile>,
    /// What has no equivalent in them, and what to do about it, each a line. The first file says so too.
    pub remarks: Vec<String>,
}

/// One file of another program.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExportFile {
    /// Where it belongs, below the root directory: `etc/network/interfaces.d/xennet`.
    pub path: String,
    /// What is in it.
    pub text: String,
}

impl NetworkConfig {
    /// The host's side as another program's files: bridges, the host's addresses, forwarding and NAT.
    ///
    /// `now` says for a bridge what the host has on it, for what the configuration leaves to the uplink. An error when a name
    /// cannot be written there.
    pub fn export(
        &self,
        to: ExportTarget,
        now: &BTreeMap<IfName, HostNow>,
    ) -> Result<Export, ParseError> {
        let guests: Vec<IpNet> = self.nat.iter().flat_map(|nat| nat.subnets.clone()).collect();
        let (bridges, mut remarks) = (self.described(now, &guests)?, Vec::new());
        self.remark(to, &bridges, &mut remarks);
        let mut files = match to {
            ExportTarget::Ifupdown => vec![ifupdown::file(&bridges, &mut remarks)],
            ExportTarget::Networkd => networkd::files(&bridges, &mut remarks),
        };
        files.extend(self.sysctls(to, &bridges));
        files.retain(|file| !file.text.is_empty());
        for (n, file) in files.iter_mut().enumerate() {
            let mut head = format!("{HEAD}\n");
            for remark in remarks.iter().filter(|_| n == 0) {
                head.line(format_args!("# {remark}"));
            }
            file.text.insert_str(0, &head);
        }
        Ok(Export { files, remarks })
    }

    /// Every bridge, also those of guests behind the host's address.
    fn described<'c>(
        &'c self,
        now: &BTreeMap<IfName, HostNow>,
        guests: &'c [IpNet],
    ) -> Result<Vec<Described<'c>>, ParseError> {
        let needed = self.forwards().1.then_some(true);
        let forwards6 = |now: &HostNow| self.forwarding.ipv6.or(needed).unwrap_or(now.forwards6);
        let mut all = Vec::new();
        for policy in &self.bridges {
            let now = now.get(&policy.name).cloned().unwrap_or_default();
            let forwards6 = forwards6(&now);
            let (mac, uplink) = (policy.mac.or(now.mac), now.uplink.clone());
            let now = match &policy.addresses {
                Some(HostAddresses::Static(addresses)) => {
                    let gateways = policy.gateways.iter().map(GatewayPolicy::route);
                    let routes = gateways.chain(policy.routes.iter().copied());
                    now.with(addresses, routes.map(now::route).collect())
                }
                _ => now,
            };
            let (mut policy, hosts, nat) = (policy.clone(), policy.moves_addresses(), None);
            policy.uplink = uplink.or(policy.uplink);
            all.push(Described { policy, mac, now, hosts, forwards6, guests, nat });
        }
        for (n, nat) in self.nat.iter().enumerate() {
            if let Some(bridge) = &nat.bridge {
                let policy = BridgePolicy::new(bridge.clone());
                let now = now.get(bridge).cloned().unwrap_or_default();
                let (mac, forwards6) = (now.mac, forwards6(&now));
                let (now, nat) = (now.with(&nat.subnets, Vec::new()), Some((n, nat)));
                all.push(Described { policy, mac, now, hosts: true, forwards6, guests, nat });
            }
        }
        let nat = self.nat.iter().filter_map(|nat| nat.uplink.as_ref());
        let uplinks = self.routed.iter().map(|routed| &routed.uplink).chain(nat);
        let bridges = all.iter().map(|one| &one.policy);
        let bridges = bridges.flat_map(|policy| {
            let dev = policy.vxlan.as_ref().and_then(|vxlan| vxlan.dev.as_ref());
            [Some(&policy.name), policy.uplink.as_ref(), dev]
        });
        bridges.flatten().chain(uplinks).try_for_each(writable)?;
        Ok(all)
    }

    /// Forwarding, proxies, and for networkd the settings that follow the host's addresses.
    fn sysctls(&self, to: ExportTarget, bridges: &[Described<'_>]) -> Option<ExportFile> {
        let (mut text, needed) = (String::new(), self.forwards());
        let switches = [
            ("ipv4/ip_forward", self.forwarding.ipv4.or(needed.0.then_some(true))),
            ("ipv6/conf/all/forwarding", self.forwarding.ipv6.or(needed.1.then_some(true))),
        ];
        for (key, on) in switches {
            if let Some(on) = on {
                text.line(format_args!("net/{key} = {}", u8::from(on)));
            }
        }
        for routed in &self.routed {
            for (key, on) in [("ipv4", routed.proxy_arp), ("ipv6", routed.proxy_ndp)] {
                let proxy = if key == "ipv4" { "proxy_arp" } else { "proxy_ndp" };
                if on {
                    text.line(format_args!("net/{key}/conf/{}/{proxy} = 1", routed.uplink));
                }
            }
        }
        // udev sets them when the bridge is made. networkd itself reads advertisements, and has keys for the rest.
        let of_networkd = |key: &str| {
            let own = ["accept_ra", "autoconf", "disable_ipv6", "ra_", "use_tempaddr"];
            own.iter().any(|start| key.starts_with(start))
        };
        for bridge in bridges.iter().filter(|_| to == ExportTarget::Networkd) {
            for Setting { family, key, value, .. } in
                bridge.now.settings.iter().filter(|one| one.unusual && !of_networkd(one.key))
            {
                let name = &bridge.policy.name;
                text.line(format_args!("net/{family}/conf/{name}/{key} = {value}"));
            }
        }
        let path = "etc/sysctl.d/90-xennet.conf".to_owned();
        (!text.is_empty()).then_some(ExportFile { path, text })
    }

    /// What the files do not say.
    fn remark(&self, to: ExportTarget, bridges: &[Described<'_>], remarks: &mut Vec<String>) {
        let mut say = |text: String| remarks.push(text);
        say("with these in force, let nothing run `xennet network start`".to_owned());
        for Described { policy, now, .. } in bridges {
            let name = &policy.name;
            let inherits = policy.addresses == Some(HostAddresses::Inherit);
            if let (true, Some(uplink)) = (inherits, &policy.uplink) {
                say(if now.is_nothing() {
                    format!(
                        "{name}: inherits, and {uplink} has no address here: give {name} what {uplink} has"
                    )
                } else {
                    format!(
                        "{name}: inherits: what is said of its addresses is what the host has at this moment"
                    )
                });
            }
            if let (None, Some(id)) = (&policy.uplink, &policy.uplink_id) {
                let id = id.to_string();
                let id = id.escape_debug();
                say(format!("{name}: its uplink {id} is no single interface here: left out"));
            }
            if inherits {
                now.left_out.iter().for_each(|line| say(format!("{name}: {line}")));
                for address in now.addresses.iter().filter(|one| words::label(one, name).is_none())
                {
                    if let Some(label) = &address.label {
                        let label = label.escape_debug();
                        say(format!(
                            "{name}: address {address}: is written without its label {label}"
                        ));
                    }
                }
                if now.routes.iter().any(|route| route.table != Route::MAIN) {
                    say(format!(
                        "{name}: the rules that lead to the tables of its routes (`ip rule`) are not written"
                    ));
                }
            }
            if let Some(vxlan) = &policy.vxlan {
                let port = vxlan.vni.port_name();
                if let (ExportTarget::Networkd, Some(dev)) = (to, &vxlan.dev) {
                    say(format!(
                        "{port}: comes with {dev}: say `VXLAN={port}` in [Network] of {dev}'s file"
                    ));
                }
                if policy.mtu.is_none() {
                    say(format!(
                        "{port}: has no mtu said: give {name} one in xennet.toml, {} less than what is underneath",
                        vxlan.spec(None).overhead()
                    ));
                }
            }
            if let Some(uplink) = &policy.uplink {
                say(match to {
                    ExportTarget::Ifupdown => format!(
                        "{uplink}: is a port of {name}: remove what else is said of {uplink}'s addresses in \
                         /etc/network/interfaces"
                    ),
                    ExportTarget::Networkd => format!(
                        "{uplink}: is a port of {name}, and its file here comes before others that match {uplink}: see \
                         that none is named before 10-xennet"
                    ),
                });
            }
        }
        let vlans = self.all_vlans();
        for made in
            self.bonds.iter().map(|bond| &bond.name).chain(vlans.iter().map(|vlan| &vlan.name))
        {
            say(format!("{made}: is not written: make it yourself before its bridge"));
        }
        for nat in &self.nat {
            let name = nat.name.escape_debug();
            if nat.bridge.is_none() {
                say(format!(
                    "nat {name}: only xennet gives each guest a link of its own: left out"
                ));
            } else if to == ExportTarget::Networkd {
                say(format!(
                    "nat {name}: its rules are in xennet-nat.service: enable it with `systemctl enable --now xennet-nat`"
                ));
                if nat.dhcp && nat.subnets.iter().any(|net| net.addr().is_ipv6()) {
                    say(format!("nat {name}: networkd's DHCP server is for IPv4 only"));
                }
            } else if nat.dhcp {
                say(format!(
                    "nat {name}: no DHCP: run a server, such as dnsmasq, on the guests' bridge"
                ));
            }
        }
        if self.forwards().1 || self.forwarding.ipv6 == Some(true) {
            say("a host that forwards IPv6 takes no default route from routers any more, unless accept_ra is 2".to_owned());
        }
        let ports = self
            .bridges
            .iter()
            .any(|bridge| bridge.manage_uplink_vlans || bridge.port != PortPolicy::default());
        if ports || !self.guests.is_empty() || self.vif != super::VifConfig::default() {
            say("what holds for guests (guard, isolated, [[guest]], [vif], ...) stays in xennet.toml: keep it for the plug of vifs".to_owned());
        }
    }
}

const HEAD: &str = "# Made by `xennet network export`.";

/// One bridge, with what the host has on it.
#[derive(Debug)]
struct Described<'c> {
    policy: BridgePolicy,
    mac: Option<MacAddr>,
    now: HostNow,
    /// Whether the host has addresses there.
    hosts: bool,
    forwards6: bool,
    /// The networks of all guests behind the host's address.
    guests: &'c [IpNet],
    /// The guests behind the host's address that it is for, and their place among those.
    nat: Option<(usize, &'c NatPolicy)>,
}

impl Described<'_> {
    /// Seconds that a port waits: a bridge for guests does not, unless it speaks spanning tree.
    fn forward_delay(&self) -> u32 {
        let unsaid = if self.policy.stp == Some(true) { 15 } else { 0 };
        self.policy.forward_delay.unwrap_or(unsaid)
    }

    /// The uplink whose hardware address it has.
    fn takes_mac_of(&self) -> Option<&IfName> {
        self.policy.uplink.as_ref().filter(|_| self.hosts && self.policy.mac.is_none())
    }
}

/// Whether a name means itself and nothing else in a shell, as a pattern of networkd's or dnsmasq's, and as a name of
/// ifupdown's.
pub(super) fn writable(name: &IfName) -> Result<(), ParseError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
    if name.as_str().bytes().all(plain) && !name.as_str().starts_with('-') {
        return Ok(());
    }
    let expected =
        "letters, digits, \"_\", \".\" and \"-\" only: others mean more than themselves there";
    Err(ParseError::new("interface name", name.as_str(), expected))
}

/// Text that grows by lines.
trait Lines {
    fn line(&mut self, line: impl fmt::Display);
}

impl Lines for String {
    fn line(&mut self, line: impl fmt::Display) {
        writeln!(self, "{line}").expect("a String takes every text");
    }
}

#[cfg(test)]
mod tests;
