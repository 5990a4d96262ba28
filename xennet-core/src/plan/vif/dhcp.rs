//! What dnsmasq is told of a guest: a line of its `dhcp-host=` for each.

use std::net::IpAddr;
use std::path::PathBuf;

use ipnet::IpNet;

use super::VifTarget;
use crate::config::{NatPolicy, VifConfig};
use crate::plan::{Change, Plan};
use crate::types::Device;

/// What there is of a guest in the directory that dnsmasq watches.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct DhcpSnapshot {
    /// The guest's file.
    pub path: PathBuf,
    /// What is in it; none when there is none.
    pub text: Option<String>,
    /// The `[[nat]]` that the guest is of, if that has DHCP.
    pub nat: Option<NatPolicy>,
}

impl DhcpSnapshot {
    /// Makes the file say what the guest has, and no more.
    pub(super) fn online(&self, plan: &mut Plan, target: &VifTarget, config: &VifConfig) {
        // A tap is the other half of a vif that says all this itself.
        if target.device == Device::Vif {
            self.change(plan, self.nat.as_ref().and_then(|nat| line(config, nat)));
        }
    }

    pub(super) fn offline(&self, plan: &mut Plan, target: &VifTarget) {
        if target.device == Device::Vif {
            self.change(plan, None);
        }
    }

    fn change(&self, plan: &mut Plan, wanted: Option<String>) {
        let path = || self.path.clone();
        match (&self.text, wanted) {
            (Some(was), Some(text)) if *was == text => {}
            (was, Some(text)) => {
                plan.push(Change::FileWrite { path: path(), text, was: was.clone() });
            }
            (Some(was), None) => plan.push(Change::FileDelete { path: path(), was: was.clone() }),
            (None, None) => {}
        }
    }
}

/// By which Ethernet address it asks, and which addresses it gets: the first of each protocol. None for a guest that has
/// neither.
///
/// It is made of parsed values alone, so that nothing that a guest's configuration says can end the line.
fn line(config: &VifConfig, nat: &NatPolicy) -> Option<String> {
    let mac = config.mac?;
    let inside = |ip: &IpAddr| nat.subnets.iter().any(|net| net.contains(ip));
    let single = |net: &&IpNet| net.prefix_len() == net.max_prefix_len() || net.trunc() != **net;
    let all: Vec<IpAddr> =
        config.ip.iter().filter(single).map(IpNet::addr).filter(inside).collect();
    let v4 = all.iter().find(|ip| ip.is_ipv4()).map(|ip| format!(",{ip}"));
    let v6 = all.iter().find(|ip| ip.is_ipv6()).map(|ip| format!(",[{ip}]"));
    (v4.is_some() || v6.is_some())
        .then(|| format!("{mac}{}{}\n", v4.unwrap_or_default(), v6.unwrap_or_default()))
}

/// The addresses in such a line, which others may not get.
pub(crate) fn addresses(line: &str) -> impl Iterator<Item = IpAddr> {
    line.trim().split(',').filter_map(|word| word.trim_matches(['[', ']']).parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line_of(ip: &str, mac: &str) -> Option<String> {
        let mut nat = NatPolicy::new("n");
        nat.subnets = ["10.7.0.1/24", "fd00:7::1/64"].map(|net| net.parse().unwrap()).to_vec();
        let mut config = VifConfig::default();
        config.set("ip", ip.as_bytes()).unwrap();
        config.set("mac", mac.as_bytes()).unwrap();
        line(&config, &nat)
    }

    #[test]
    fn one_address_of_each_protocol() {
        let mac = "00:16:3e:00:00:01";
        let text = |ip| line_of(ip, mac);
        assert_eq!(text("10.7.0.5").as_deref(), Some("00:16:3e:00:00:01,10.7.0.5\n"));
        assert_eq!(
            text("192.0.2.1 10.7.0.5/24 10.7.0.6 fd00:7::5 fe80::1").as_deref(),
            Some("00:16:3e:00:00:01,10.7.0.5,[fd00:7::5]\n")
        );
        for none in ["", "192.0.2.1", "10.7.0.0/28"] {
            assert_eq!(text(none), None, "{none}");
        }
        assert_eq!(line_of("10.7.0.5", ""), None);
        let read: Vec<IpAddr> = addresses(&text("10.7.0.5 fd00:7::5").unwrap()).collect();
        assert_eq!(read, ["10.7.0.5", "fd00:7::5"].map(|ip| ip.parse::<IpAddr>().unwrap()));
        assert_eq!(addresses("").count(), 0);
    }
}
