//! The rules of a `[[nat]]` in the words of nft, for a table of its own: those that `start` makes in one for all.

use std::net::SocketAddr;

use ipnet::IpNet;

use crate::config::{NatPolicy, PortForward};

/// The table's name.
pub(super) fn name(n: usize) -> String {
    format!("xennet_nat{n}")
}

/// Commands in one line that make the table, or replace it whole. `guests` are the networks of every `[[nat]]`.
pub(super) fn table(n: usize, nat: &NatPolicy, guests: &[IpNet]) -> String {
    let name = name(n);
    let mut ports = Vec::new();
    let mut sources = Vec::new();
    for PortForward { protocol, port, to, to_port } in &nat.forward {
        let (ip, version) = if to.is_ipv4() { ("ip", "ipv4") } else { ("ip6", "ipv6") };
        let target = SocketAddr::new(*to, to_port.get());
        ports.push(format!(
            "meta nfproto {version} {protocol} dport {port} dnat {ip} to {target}; "
        ));
        if let Some(net) = nat.subnets.iter().find(|net| net.contains(to)) {
            // Else it would answer its neighbour directly, by an address that was not asked.
            let rule = format!("{} {ip} daddr {to} ct status dnat masquerade; ", from(net));
            if !sources.contains(&rule) {
                sources.push(rule);
            }
        }
    }
    for net in &nat.subnets {
        let from = from(net);
        if let Some(uplink) = &nat.uplink {
            sources.push(format!("{from} oifname \"{uplink}\" masquerade; "));
            continue;
        }
        let ip = if net.addr().is_ipv4() { "ip" } else { "ip6" };
        let family = |other: &&IpNet| other.addr().is_ipv4() == net.addr().is_ipv4();
        let others = guests.iter().filter(family);
        sources.extend(others.map(|to| format!("{from} {ip} daddr {} accept; ", to.trunc())));
        sources.push(format!("{from} fib daddr type unicast masquerade; "));
    }
    let chain = |name: &str, hook: &str, rules: &str| format!("chain {name} {{ {hook}{rules}}}; ");
    let mut chains = String::new();
    if !ports.is_empty() {
        chains += &chain("host_ports", "", &ports.concat());
        let to_ports = "fib daddr type local jump host_ports; ";
        chains += &chain("prerouting", "type nat hook prerouting priority -100; ", to_ports);
        // A guest could not answer a loopback address.
        let local = format!("ip daddr 127.0.0.0/8 accept; ip6 daddr ::1 accept; {to_ports}");
        chains += &chain("output", "type nat hook output priority -100; ", &local);
    }
    let hook = "type nat hook postrouting priority 100; ";
    chains += &chain("postrouting", hook, &sources.concat());
    format!("add table inet {name}; delete table inet {name}; table inet {name} {{ {chains}}}")
}

/// What comes from guests of a network.
fn from(net: &IpNet) -> String {
    let ip = if net.addr().is_ipv4() { "ip" } else { "ip6" };
    format!("{ip} saddr {}", net.trunc())
}
