//! `/etc/network/interfaces`, without bridge-utils.

use std::net::SocketAddr;

use ipnet::IpNet;

use super::{Described, ExportFile, HostNow, Lines};
use crate::config::{NatPolicy, PortForward};
use crate::types::{IfName, LinkRef};

pub(super) fn file(bridges: &[Described<'_>]) -> ExportFile {
    let mut text = String::new();
    for bridge in bridges {
        if let Some(uplink) = &bridge.policy.uplink {
            port(&mut text, bridge, uplink);
        }
        stanzas(&mut text, bridge);
    }
    ExportFile { path: "etc/network/interfaces.d/xennet".to_owned(), text }
}

/// `manual` brings an interface up, and nothing else.
fn port(text: &mut String, bridge: &Described<'_>, uplink: &IfName) {
    text.line(format_args!("\nauto {uplink}\niface {uplink} inet manual"));
    if bridge.hosts.is_some() {
        let setting = format!("/proc/sys/net/ipv6/conf/{uplink}/disable_ipv6");
        text.line(format_args!("    pre-up test ! -e {setting} || echo 1 >{setting}"));
        text.line(format_args!("    post-down test ! -e {setting} || echo 0 >{setting}"));
    }
    if let Some(mtu) = bridge.policy.mtu {
        text.line(format_args!(
            "    pre-up test $(cat /sys/class/net/{uplink}/mtu) -ge {mtu} || ip link set dev {uplink} mtu {mtu}"
        ));
    }
}

fn stanzas(text: &mut String, bridge: &Described<'_>) {
    let policy = &bridge.policy;
    let name = &policy.name;
    text.line(format_args!("\nauto {name}\niface {name} inet manual"));
    text.line(format_args!("    pre-up test -e /sys/class/net/{name} || {}", make(bridge)));
    if let Some(on) = policy.ipv6 {
        let setting = format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6");
        text.line(format_args!(
            "    pre-up test ! -e {setting} || echo {} >{setting}",
            u8::from(!on)
        ));
    }
    if let Some(uplink) = &policy.uplink {
        text.line(format_args!("    pre-up ip link set dev {uplink} master {name}"));
    }
    if let Some(vxlan) = &policy.vxlan {
        let port = vxlan.vni.port_name();
        let dev = vxlan.dev.clone().map(|name| LinkRef { index: None, name });
        let mtu = policy.mtu.map(|mtu| format!(" mtu {mtu}")).unwrap_or_default();
        text.line(format_args!(
            "    pre-up test -e /sys/class/net/{port} || ip link add name {port}{mtu} type {}",
            vxlan.spec(dev)
        ));
        text.line(format_args!("    pre-up ip link set dev {port} addrgenmode none master {name}"));
        if vxlan.remote.is_none() {
            text.line(format_args!(
                "    pre-up ip link set dev {port} type bridge_slave neigh_suppress on learning off"
            ));
        }
        text.line(format_args!("    pre-up ip link set dev {port} up"));
        text.line(format_args!("    down ip link delete dev {port}"));
    }
    if let Some((n, nat)) = bridge.nat {
        text.line(format_args!("    up nft '{}'", rules(n, nat, name)));
        text.line(format_args!("    down nft delete table inet xennet_nat{n}"));
    }
    if let Some(hosts) = &bridge.hosts {
        addresses(text, name, hosts, policy.uplink.is_some());
    }
    // In the last stanza of it: those before need it when they go.
    text.line(format_args!("    post-down ip link delete dev {name}"));
}

/// The command that makes a bridge.
fn make(bridge: &Described<'_>) -> String {
    let (policy, mut command) =
        (&bridge.policy, format!("ip link add name {}", bridge.policy.name));
    let mut word = |word: String| command.extend([" ", &word]);
    // That of a new network card as well.
    match (bridge.takes_mac_of(), bridge.mac) {
        (Some(uplink), _) => word(format!("address $(cat /sys/class/net/{uplink}/address)")),
        (None, Some(mac)) => word(format!("address {mac}")),
        (None, None) => {}
    }
    match (policy.mtu, &policy.uplink) {
        (Some(mtu), _) => word(format!("mtu {mtu}")),
        (None, Some(uplink)) => word(format!("mtu $(cat /sys/class/net/{uplink}/mtu)")),
        (None, None) => {}
    }
    word(format!("type bridge stp_state {}", u8::from(policy.stp == Some(true))));
    // `ip` has hundredths of seconds.
    word(format!("forward_delay {}", bridge.forward_delay() * 100));
    if let Some(seconds) = policy.ageing {
        word(format!("ageing_time {}", seconds * 100));
    }
    // A kernel without VLAN filtering refuses even to be told that there shall be none.
    if policy.vlan_filtering == Some(true) {
        word("vlan_filtering 1".to_owned());
    }
    if let Some(on) = policy.multicast_snooping {
        word(format!("mcast_snooping {}", u8::from(on)));
    }
    if let Some(mask) = policy.group_fwd_mask {
        word(format!("group_fwd_mask {mask}"));
    }
    command
}

/// A stanza for each address: ifupdown carries out all that have the same name.
fn addresses(text: &mut String, name: &IfName, hosts: &HostNow, has_uplink: bool) {
    let mut gateways = hosts.gateways.clone();
    let v4 = |net: &IpNet| net.addr().is_ipv4();
    let (v4, v6): (Vec<IpNet>, Vec<IpNet>) = hosts.addresses.iter().partition(|net| v4(net));
    for (n, net) in v4.iter().chain(&v6).enumerate() {
        let family = if net.addr().is_ipv4() { "inet" } else { "inet6" };
        text.line(format_args!("iface {name} {family} static\n    address {net}"));
        // With the last address of its family: with one before, its network may not be there yet.
        let last = n + 1 == v4.len() || n + 1 == v4.len() + v6.len();
        let of_family = gateways.iter().position(|router| router.is_ipv4() == net.addr().is_ipv4());
        if let Some(at) = of_family.filter(|_| last) {
            text.line(format_args!("    gateway {}", gateways.remove(at)));
        }
        if family == "inet6" {
            // What ifupdown would switch off, and xennet leaves as it is.
            text.line("    accept_ra 1\n    autoconf 1");
            if !has_uplink {
                // Without a port there is no carrier, and ifupdown would wait for the probe in vain, and give up.
                text.line("    dad-attempts 0");
            }
        }
    }
    if hosts.dhcp {
        text.line(format_args!("iface {name} inet dhcp"));
    }
    if hosts.advertised && v6.is_empty() {
        text.line(format_args!("iface {name} inet6 auto"));
    }
}

/// What lends guests the host's address, and leads its ports to them: a table in one line.
fn rules(n: usize, nat: &NatPolicy, bridge: &IfName) -> String {
    let family = |v4: bool| if v4 { "ip" } else { "ip6" };
    let out = match &nat.uplink {
        Some(uplink) => format!("oifname \"{uplink}\""),
        None => format!("oifname != \"{bridge}\""),
    };
    let masquerade = nat.subnets.iter().map(|net| {
        let ip = family(net.addr().is_ipv4());
        format!("{ip} saddr {} {out} masquerade; ", net.trunc())
    });
    let forward = nat.forward.iter().map(|one| {
        let PortForward { protocol, port, to, to_port } = *one;
        let ip = family(to.is_ipv4());
        let version = if to.is_ipv4() { "ipv4" } else { "ipv6" };
        let to = SocketAddr::new(to, to_port.get());
        format!(
            "meta nfproto {version} fib daddr type local {protocol} dport {port} dnat {ip} to {to}; "
        )
    });
    let chain = |name: &str, hook: &str, rules: Vec<String>| match rules.concat() {
        rules if rules.is_empty() => rules,
        rules => format!("chain {name} {{ type nat hook {hook}; {rules}}}; "),
    };
    format!(
        "table inet xennet_nat{n} {{ {}{}}}",
        chain("out", "postrouting priority srcnat", masquerade.collect()),
        chain("in", "prerouting priority dstnat", forward.collect())
    )
}
