//! `/etc/network/interfaces`, without bridge-utils.

use std::net::IpAddr;

use super::words::{
    BOOT, LOCK, METRICS, STATIC, congestion_control, has_metric, is_plain, kept_flags, label,
    plain_gateway, preference, usual_scope,
};
use super::{Described, ExportFile, Lines, nft};
use crate::types::{Address, Family, IfName, LinkRef, NextHop, Route, RouteKind, Scope};

pub(super) fn file(bridges: &[Described<'_>], remarks: &mut Vec<String>) -> ExportFile {
    let mut text = String::new();
    for bridge in bridges {
        if let Some(uplink) = &bridge.policy.uplink {
            port(&mut text, bridge, uplink);
        }
        stanzas(&mut text, bridge, remarks);
    }
    ExportFile { path: "etc/network/interfaces.d/xennet".to_owned(), text }
}

/// `manual` brings an interface up, and nothing else.
fn port(text: &mut String, bridge: &Described<'_>, uplink: &IfName) {
    text.line(format_args!("\nauto {uplink}\niface {uplink} inet manual"));
    if bridge.hosts {
        let setting = set(text, Family::V6, uplink, "disable_ipv6", "1");
        text.line(format_args!("    post-down test ! -e {setting} || echo 0 >{setting}"));
    }
    if let Some(mtu) = bridge.policy.mtu {
        text.line(format_args!(
            "    pre-up test $(cat /sys/class/net/{uplink}/mtu) -ge {mtu} || ip link set dev {uplink} mtu {mtu}"
        ));
    }
}

/// Writes a setting of the kernel, if this kernel has it. Returns its path.
fn set(text: &mut String, family: Family, name: &IfName, key: &str, value: &str) -> String {
    let path = format!("/proc/sys/net/{family}/conf/{name}/{key}");
    text.line(format_args!("    pre-up test ! -e {path} || echo {value} >{path}"));
    path
}

fn stanzas(text: &mut String, bridge: &Described<'_>, remarks: &mut Vec<String>) {
    let policy = &bridge.policy;
    let name = &policy.name;
    text.line(format_args!("\nauto {name}\niface {name} inet manual"));
    text.line(format_args!("    pre-up test -e /sys/class/net/{name} || {}", make(bridge)));
    let ipv6 = policy.ipv6.map(|on| if on { "0" } else { "1" });
    for one in bridge.now.settings.iter().filter(|one| one.unusual) {
        if ipv6.is_none() || one.key != "disable_ipv6" {
            set(text, one.family, name, one.key, &one.value);
        }
    }
    if let Some(value) = ipv6 {
        set(text, Family::V6, name, "disable_ipv6", value);
    }
    if bridge.hosts && bridge.now.no_link_local {
        text.line(format_args!("    pre-up ip link set dev {name} addrgenmode none"));
    }
    if let Some(token) = bridge.now.token.filter(|_| bridge.hosts) {
        text.line(format_args!("    pre-up ip token set {token} dev {name}"));
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
        text.line(format_args!("    up nft '{}'", nft::table(n, nat, bridge.guests)));
        text.line(format_args!("    down nft delete table inet {}", nft::name(n)));
    }
    if bridge.hosts {
        addresses(text, bridge, remarks);
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
fn addresses(text: &mut String, bridge: &Described<'_>, remarks: &mut Vec<String>) {
    let (name, now) = (&bridge.policy.name, &bridge.now);
    let is_v4 = |address: &Address| address.address.addr().is_ipv4();
    let (v4, v6): (Vec<_>, Vec<_>) = now.addresses.iter().partition(|one| is_v4(one));
    let receives = format!(
        "    accept_ra {}\n    autoconf {}",
        now.accept_ra(bridge.forwards6),
        now.setting6("autoconf").unwrap_or("1")
    );
    let mut routes: Vec<&Route> = now.routes.iter().collect();
    for (n, address) in v4.iter().chain(&v6).enumerate() {
        let family = if is_v4(address) { "inet" } else { "inet6" };
        if !is_plain(address) {
            text.line(format_args!("iface {name} {family} manual"));
            text.line(format_args!("    up ip address add {} dev {name}", words(address, name)));
            continue;
        }
        text.line(format_args!("iface {name} {family} static\n    address {}", address.address));
        // With the last address of its family: with one before, its network may not be there yet.
        let last = n + 1 == v4.len() || n + 1 == v4.len() + v6.len();
        let gateway =
            |route: &&Route| plain_gateway(route).filter(|ip| ip.is_ipv4() == is_v4(address));
        if let Some(at) = routes.iter().position(|route| gateway(route).is_some()).filter(|_| last)
        {
            text.extend(gateway(&routes.remove(at)).map(|ip| format!("    gateway {ip}\n")));
        }
        if family == "inet6" {
            // ifupdown switches off what is not said.
            text.line(&receives);
            if bridge.policy.uplink.is_none() {
                // Without a port there is no carrier, and ifupdown would wait for the probe in vain, and give up.
                text.line("    dad-attempts 0");
            }
        }
    }
    if now.dhcp {
        text.line(format_args!("iface {name} inet dhcp"));
    }
    if now.dhcp6 {
        text.line(format_args!("iface {name} inet6 dhcp\n{receives}"));
    } else if now.advertised && v6.iter().all(|address| !is_plain(address)) {
        text.line(format_args!("iface {name} inet6 auto\n{receives}"));
    }
    // Last: a router may be in a leased network.
    for route in routes {
        let (words, lost) = route_words(route, name);
        text.line(format_args!("    up ip {words}"));
        remarks
            .extend(lost.map(|lost| format!("{name}: route {route}: is written without {lost}")));
    }
    for neighbour in &now.neighbours {
        text.line(format_args!("    up ip neighbour replace {neighbour} dev {name}"));
    }
}

/// What follows `ip address add`.
fn words(address: &Address, bridge: &IfName) -> String {
    let mut words = vec![address.to_string()];
    words.extend(address.broadcast.map(|broadcast| format!("broadcast {broadcast}")));
    words.extend(label(address, bridge).map(|label| format!("label {label}")));
    if address.scope != Scope::GLOBAL {
        words.push(format!("scope {}", address.scope.0));
    }
    words.extend(address.metric.map(|metric| format!("metric {metric}")));
    words.extend(address.preferred.map(|_| "preferred_lft 0".to_owned()));
    words.extend(kept_flags(address).into_iter().map(|(word, _)| word.to_owned()));
    words.join(" ")
}

/// What follows `ip`, and what it cannot say.
fn route_words(route: &Route, bridge: &IfName) -> (String, Option<String>) {
    let is_v6 = route.destination.addr().is_ipv6();
    let mut words = vec![if is_v6 { "-6 route add" } else { "route add" }.to_owned()];
    if route.kind != RouteKind::Unicast {
        words.push(route.kind.to_string());
    }
    words.push(match route.destination.prefix_len() {
        0 => "default".to_owned(),
        _ => route.destination.to_string(),
    });
    words.extend(route.source.map(|source| format!("from {source}")));
    if route.tos != 0 {
        words.push(format!("tos {:#x}", route.tos));
    }
    if route.table != Route::MAIN {
        words.push(format!("table {}", route.table));
    }
    words.extend(route.src.map(|src| format!("src {src}")));
    if let Some(metric) = route.metric.filter(|_| has_metric(route)) {
        words.push(format!("metric {metric}"));
    }
    if route.scope != usual_scope(route) {
        words.push(format!("scope {}", route.scope.0));
    }
    if ![BOOT, STATIC].contains(&route.protocol) {
        words.push(format!("proto {}", route.protocol));
    }
    let locked =
        route.metrics.iter().find(|(number, _)| *number == LOCK).map_or(0, |(_, bits)| *bits);
    let mut lost = Vec::new();
    for (number, value) in route.metrics.iter().filter(|(number, _)| *number != LOCK) {
        match METRICS.iter().find(|known| known.0 == *number) {
            Some((_, word, _)) => {
                let lock = if locked >> number & 1 == 1 { "lock " } else { "" };
                words.push(format!("{word} {lock}{value}"));
            }
            None => lost.push(format!("metric {number} of its path")),
        }
    }
    words.extend(congestion_control(route).map(|name| format!("congctl {name}")));
    words.extend(preference(route).map(|preference| format!("pref {preference}")));
    match route.hops.as_slice() {
        [hop] => words.push(hop_words(route, hop, bridge)),
        hops => {
            for hop in hops {
                let to = hop_words(route, hop, bridge);
                words.push(format!("nexthop {to} weight {}", hop.weight));
            }
        }
    }
    (words.join(" "), (!lost.is_empty()).then(|| lost.join(", ")))
}

fn hop_words(route: &Route, hop: &NextHop, bridge: &IfName) -> String {
    let is_v4 = route.destination.addr().is_ipv4();
    let via = match hop.via {
        Some(IpAddr::V6(router)) if is_v4 => format!("via inet6 {router} "),
        Some(router) => format!("via {router} "),
        None => String::new(),
    };
    format!("{via}dev {bridge}{}", if hop.onlink { " onlink" } else { "" })
}
