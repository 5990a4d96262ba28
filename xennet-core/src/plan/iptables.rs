use std::fmt;

use crate::types::{IfName, IpList};

/// A rule in FORWARD as Xen's own scripts make them: it accepts what a bridged vif sends, or is sent.
///
/// They forbid nothing: they matter where `br_netfilter` is on and the chain's policy is DROP. For those who rely on
/// them, `firewall = "iptables"` has them made, by the `iptables` command as it is installed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct IptablesRule {
    /// For `ip6tables` rather than `iptables`.
    pub ipv6: bool,
    /// What stands between `FORWARD` and `-j ACCEPT`.
    pub words: Vec<String>,
}

impl IptablesRule {
    /// The rules for one port: from each of its addresses, or from anywhere when it has none, and to it.
    pub fn of(port: &IfName, ip: &IpList) -> Vec<Self> {
        let v4: Vec<String> = ip.v4().map(|ip| ip.to_string()).collect();
        let v6: Vec<String> = ip.v6().map(|ip| ip.to_string()).collect();
        [(false, v4, DHCP, None), (true, v6, DHCPV6, Some("fe80::/10"))]
            .into_iter()
            .flat_map(|(ipv6, sources, dhcp, link_local)| {
                let rule = |words: &[&str]| Self {
                    ipv6,
                    words: words.iter().map(|word| (*word).to_owned()).collect(),
                };
                let from = [PHYSDEV.as_slice(), &["--physdev-in", port.as_str()]].concat();
                let to = rule(&[PHYSDEV.as_slice(), &["--physdev-out", port.as_str()]].concat());
                if ip.is_empty() {
                    return vec![rule(&from), to];
                }
                let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
                if sources.is_empty() {
                    return Vec::new();
                }
                let sources = sources.into_iter().chain(link_local);
                let mut rules: Vec<Self> = sources
                    .map(|source| rule(&[&from, ["-s", source].as_slice()].concat()))
                    .collect();
                rules.extend([rule(&[&from, dhcp.as_slice()].concat()), to]);
                rules
            })
            .collect()
    }

    /// The command: `-I` inserts it, `-D` deletes it, `-C` says whether it is there.
    pub fn command(&self, action: &str) -> Vec<String> {
        let program = if self.ipv6 { "ip6tables" } else { "iptables" };
        // Another program may hold the lock of xtables: seconds to wait.
        let words = [program, "-w", "5", action, "FORWARD"].map(str::to_owned);
        let accept = ["-j", "ACCEPT"].map(str::to_owned);
        words.into_iter().chain(self.words.iter().cloned()).chain(accept).collect()
    }
}

const PHYSDEV: [&str; 3] = ["-m", "physdev", "--physdev-is-bridged"];
const DHCP: [&str; 6] = ["-p", "udp", "--sport", "68", "--dport", "67"];
const DHCPV6: [&str; 6] = ["-p", "udp", "--sport", "546", "--dport", "547"];

impl fmt::Display for IptablesRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(ip: &str) -> Vec<String> {
        let port = "vif1.0".parse().unwrap();
        let rules = IptablesRule::of(&port, &ip.parse().unwrap());
        rules.iter().map(|rule| rule.command("-I").join(" ")).collect()
    }

    const IN: &str = "-w 5 -I FORWARD -m physdev --physdev-is-bridged --physdev-in vif1.0";
    const OUT: &str = "-w 5 -I FORWARD -m physdev --physdev-is-bridged --physdev-out vif1.0";

    #[test]
    fn from_its_addresses_and_to_it() {
        assert_eq!(
            lines("10.0.0.5 10.1.0.0/24"),
            [
                format!("iptables {IN} -s 10.0.0.5/32 -j ACCEPT"),
                format!("iptables {IN} -s 10.1.0.0/24 -j ACCEPT"),
                format!("iptables {IN} -p udp --sport 68 --dport 67 -j ACCEPT"),
                format!("iptables {OUT} -j ACCEPT"),
            ]
        );
        assert_eq!(
            lines("fd00::5"),
            [
                format!("ip6tables {IN} -s fd00::5/128 -j ACCEPT"),
                format!("ip6tables {IN} -s fe80::/10 -j ACCEPT"),
                format!("ip6tables {IN} -p udp --sport 546 --dport 547 -j ACCEPT"),
                format!("ip6tables {OUT} -j ACCEPT"),
            ]
        );
    }

    #[test]
    fn from_anywhere_when_it_has_no_address() {
        let both = |program: &str| {
            [format!("{program} {IN} -j ACCEPT"), format!("{program} {OUT} -j ACCEPT")]
        };
        assert_eq!(lines(""), [both("iptables"), both("ip6tables")].concat());
    }
}
