//! dnsmasq's configuration, for guests that are told their addresses.

use std::fmt::Write as _;
use std::path::Path;

use super::NetworkConfig;
use super::export::writable;
use crate::types::ParseError;

/// Below `/run/xennet`: the directory with a file for each guest.
pub(crate) const HOSTS: &str = "dhcp-hosts";
/// Where dnsmasq writes its process's number.
pub(crate) const PID: &str = "dnsmasq.pid";

impl NetworkConfig {
    /// A configuration for a dnsmasq that tells the guests of each `[[nat]]` with `dhcp = true` their addresses, their
    /// router and their name server, which is the host; none when there is no such.
    ///
    /// `run_dir` is where xennet keeps what it knows: `/run/xennet`. An error when a bridge's name means more than itself
    /// there.
    pub fn dnsmasq(&self, run_dir: &Path) -> Result<Option<String>, ParseError> {
        let nats: Vec<_> = self.nat.iter().filter(|nat| nat.dhcp).collect();
        if nats.is_empty() {
            return Ok(None);
        }
        let run = run_dir.display();
        let mut text = format!(
            "{HEAD}bind-dynamic\nexcept-interface=lo\npid-file={run}/{PID}\n\
             dhcp-leasefile={run}/dnsmasq.leases\ndhcp-hostsdir={run}/{HOSTS}\ndhcp-authoritative\n"
        );
        let mut line = |line: String| writeln!(text, "{line}").expect("a String takes every text");
        let mtu = self.vif.mtu.map_or(1500, crate::types::Mtu::bytes);
        line(format!("dhcp-option=option:mtu,{mtu}"));
        if nats.iter().any(|nat| nat.subnets.iter().any(|net| net.addr().is_ipv6())) {
            line(
                "# That there is a router, and that addresses are to be asked for.\nenable-ra"
                    .to_owned(),
            );
        }
        for (n, nat) in nats.iter().enumerate() {
            line(format!("\n# nat {}", nat.name.escape_debug()));
            match &nat.bridge {
                Some(bridge) => {
                    writable(bridge)?;
                    line(format!("interface={bridge}"));
                }
                None => line(format!("{OWN_LINKS}interface=vif*")),
            }
            for net in &nat.subnets {
                let first = net.network();
                if net.addr().is_ipv4() {
                    let mask = net.netmask();
                    line(format!("dhcp-range=set:nat{n},{first},static,{mask},{LEASE}"));
                    line(format!("dhcp-option=tag:nat{n},option:router,{}", net.addr()));
                } else {
                    let length = net.prefix_len();
                    line(format!("dhcp-range=set:nat{n},{first},static,{length},{LEASE}"));
                }
            }
        }
        Ok(Some(text))
    }
}

const HEAD: &str = "\
# Made by `xennet network dnsmasq`. After `xennet network start`: dnsmasq --conf-file=THIS FILE
#
# dnsmasq takes up a new guest's file by itself. Of one that is gone it must be told (SIGHUP), and xennet tells the
# process that the pid-file names. A lease it remembers even then; so leases are as short as dnsmasq can have them, or
# another guest could not get the same address for as long.
#
# It is the guests' name server, too. If they shall ask another one: port=0, and dhcp-option=option:dns-server,ADDRESS.
";

const OWN_LINKS: &str = "# A guest with vifname= needs another such line.\n";

const LEASE: &str = "2m";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_network_that_has_dhcp() {
        let config = NetworkConfig::from_toml(
            "[[nat]]\nname = \"a\\nport=53\"\nbridge = \"xennat0\"\nsubnets = [\"10.7.0.1/24\", \"fd00:7::1/64\"]\ndhcp = true\n\
             [[nat]]\nname = \"b\"\nsubnets = [\"10.8.0.1/16\"]\ndhcp = true\n\
             [[nat]]\nname = \"c\"\nsubnets = [\"10.9.0.1/16\"]\n[vif]\nmtu = 1400\n",
        )
        .unwrap();
        let text = config.dnsmasq(Path::new("/run/xennet")).unwrap().unwrap();
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            lines.join("\n"),
            "bind-dynamic\nexcept-interface=lo\npid-file=/run/xennet/dnsmasq.pid\n\
             dhcp-leasefile=/run/xennet/dnsmasq.leases\ndhcp-hostsdir=/run/xennet/dhcp-hosts\ndhcp-authoritative\n\
             dhcp-option=option:mtu,1400\nenable-ra\n\n\
             interface=xennat0\ndhcp-range=set:nat0,10.7.0.0,static,255.255.255.0,2m\n\
             dhcp-option=tag:nat0,option:router,10.7.0.1\ndhcp-range=set:nat0,fd00:7::,static,64,2m\n\n\
             interface=vif*\ndhcp-range=set:nat1,10.8.0.0,static,255.255.0.0,2m\n\
             dhcp-option=tag:nat1,option:router,10.8.0.1"
        );
        assert_eq!(NetworkConfig::default().dnsmasq(Path::new("/run")), Ok(None));
    }

    #[test]
    fn a_name_that_means_more_than_itself_is_refused() {
        for name in ["a*", "a,b", "a#b"] {
            let text = format!(
                "[[nat]]\nname = \"n\"\nbridge = \"{name}\"\nsubnets = [\"10.7.0.1/24\"]\ndhcp = true\n"
            );
            let config = NetworkConfig::from_toml(&text).unwrap();
            config.dnsmasq(Path::new("/run/xennet")).unwrap_err();
        }
    }
}
