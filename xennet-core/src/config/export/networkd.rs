//! `.netdev`, `.link` and `.network` files, as systemd 252 reads them.

use super::words::{
    BOOT, LOCK, METRICS, STATIC, congestion_control, has_metric, is_plain, kept_flags, label,
    plain_gateway, preference, usual_scope,
};
use super::{Described, ExportFile, Lines, nft};
use crate::config::VxlanPolicy;
use crate::types::{Address, IfName, Mtu, Neighbour, Route, RouteKind, Scope};

pub(super) fn files(bridges: &[Described<'_>], remarks: &mut Vec<String>) -> Vec<ExportFile> {
    let mut files = Vec::new();
    for bridge in bridges {
        let name = &bridge.policy.name;
        let mut add = |of: &IfName, kind: &str, text: String| {
            files.push(ExportFile {
                path: format!("etc/systemd/network/10-xennet-{of}.{kind}"),
                text,
            });
        };
        add(name, "netdev", netdev(bridge));
        // Else udev would make up an address for it before it has a port.
        if bridge.mac.is_none() && bridge.takes_mac_of().is_some() {
            let text = format!("[Match]\nOriginalName={name}\n\n[Link]\nMACAddressPolicy=none\n");
            add(name, "link", text);
        }
        add(name, "network", network(bridge, remarks));
        if let Some(uplink) = &bridge.policy.uplink {
            add(uplink, "network", port(bridge, uplink));
        }
        if let Some(vxlan) = &bridge.policy.vxlan {
            let port = vxlan.vni.port_name();
            add(&port, "netdev", tunnel(&port, vxlan, bridge.policy.mtu));
            add(&port, "network", tunnel_port(&port, vxlan, name));
        }
    }
    files.extend(nat(bridges));
    files
}

/// A unit with the rules of nftables, which networkd does not have.
fn nat(bridges: &[Described<'_>]) -> Option<ExportFile> {
    let nats = || bridges.iter().filter_map(|bridge| Some((bridge.nat?, bridge.guests)));
    let mut text = String::from(
        "[Unit]\nDescription=Masquerading and port forwarding for Xen guests\nAfter=nftables.service\n\n\
         [Service]\nType=oneshot\nRemainAfterExit=yes\n",
    );
    for ((n, nat), guests) in nats() {
        text.line(format_args!("ExecStart=/usr/sbin/nft '{}'", nft::table(n, nat, guests)));
        text.line(format_args!("ExecStop=/usr/sbin/nft delete table inet {}", nft::name(n)));
    }
    text.line("\n[Install]\nWantedBy=multi-user.target");
    let path = "etc/systemd/system/xennet-nat.service".to_owned();
    nats().next().map(|_| ExportFile { path, text })
}

fn netdev(bridge: &Described<'_>) -> String {
    let policy = &bridge.policy;
    let mut text = format!("[NetDev]\nName={}\nKind=bridge\n", policy.name);
    match (bridge.mac, bridge.takes_mac_of()) {
        (Some(mac), _) => text.line(format_args!("MACAddress={mac}")),
        // A bridge without one of its own takes that of its port.
        (None, Some(_)) => text.line("MACAddress=none"),
        (None, None) => {}
    }
    if let Some(mtu) = policy.mtu {
        text.line(format_args!("MTUBytes={mtu}"));
    }
    text.line(format_args!("\n[Bridge]\nSTP={}", yes(policy.stp == Some(true))));
    text.line(format_args!("ForwardDelaySec={}", bridge.forward_delay()));
    if let Some(seconds) = policy.ageing {
        text.line(format_args!("AgeingTimeSec={seconds}"));
    }
    if policy.vlan_filtering == Some(true) {
        text.line("VLANFiltering=yes");
    }
    if let Some(on) = policy.multicast_snooping {
        text.line(format_args!("MulticastSnooping={}", yes(on)));
    }
    if let Some(mask) = policy.group_fwd_mask {
        text.line(format_args!("GroupForwardMask={mask}"));
    }
    text
}

fn network(bridge: &Described<'_>, remarks: &mut Vec<String>) -> String {
    let (policy, now) = (&bridge.policy, &bridge.now);
    let name = &policy.name;
    let mut text = format!("[Match]\nName={name}\n\n[Network]\n");
    // Guests need it before it has a port, and whatever becomes of the uplink.
    text.line("ConfigureWithoutCarrier=yes");
    let off = now.setting6("disable_ipv6") == Some("1") && policy.ipv6.is_none();
    let off = off || policy.ipv6 == Some(false);
    if off || bridge.hosts && now.no_link_local {
        text.line("LinkLocalAddressing=no");
    }
    // Guests advertise no routers to the host.
    let listens =
        !off && now.listens(bridge.forwards6) && (policy.uplink.is_some() || now.advertised);
    text.line(format_args!("IPv6AcceptRA={}", yes(listens)));
    if let Some(which) = privacy(now.setting6("use_tempaddr")) {
        text.line(format_args!("IPv6PrivacyExtensions={which}"));
    }
    if let Some((_, nat)) = bridge.nat
        && nat.dhcp
        && nat.subnets.iter().any(|net| net.addr().is_ipv4())
    {
        text.line("DHCPServer=yes");
    }
    if bridge.hosts {
        hosts(&mut text, bridge, remarks);
    }
    if listens {
        advertisements(&mut text, bridge);
    }
    text
}

fn hosts(text: &mut String, bridge: &Described<'_>, remarks: &mut Vec<String>) {
    let (name, now) = (&bridge.policy.name, &bridge.now);
    if now.dhcp {
        text.line("DHCP=ipv4");
    }
    // In one place, in their order: the first IPv4 address of a network is the primary one.
    let plain = now.addresses.iter().all(is_plain);
    for address in now.addresses.iter().filter(|_| plain) {
        text.line(format_args!("Address={}", address.address));
    }
    for gateway in now.routes.iter().filter_map(plain_gateway) {
        text.line(format_args!("Gateway={gateway}"));
    }
    for proxy in now.neighbours.iter().filter(|one| one.proxy && one.address.is_ipv6()) {
        text.line(format_args!("IPv6ProxyNDPAddress={}", proxy.address));
    }
    for address in now.addresses.iter().filter(|_| !plain) {
        section(text, "Address", &address_keys(address, name));
    }
    for route in now.routes.iter().filter(|route| plain_gateway(route).is_none()) {
        let (keys, lost) = route_keys(route, name);
        if keys.is_empty() {
            remarks.push(format!("{name}: route {route}: is left out: networkd has no {lost}"));
            continue;
        }
        section(text, "Route", &keys);
        if !lost.is_empty() {
            remarks.push(format!("{name}: route {route}: is written without {lost}"));
        }
    }
    for Neighbour { address, mac, proxy, .. } in &now.neighbours {
        match mac {
            Some(mac) if !proxy => section(
                text,
                "Neighbor",
                &[format!("Address={address}"), format!("LinkLayerAddress={mac}")],
            ),
            _ if address.is_ipv4() => remarks.push(format!(
                "{name}: neighbour {address}: is left out: networkd has no proxy entries of IPv4"
            )),
            _ => {}
        }
    }
}

fn section(text: &mut String, name: &str, keys: &[String]) {
    text.line(format_args!("\n[{name}]\n{}", keys.join("\n")));
}

fn address_keys(address: &Address, bridge: &IfName) -> Vec<String> {
    let mut keys = vec![format!("Address={}", address.address)];
    if let Some(peer) = address.peer {
        keys.push(format!("Peer={peer}/{}", address.address.prefix_len()));
    }
    keys.extend(address.broadcast.map(|broadcast| format!("Broadcast={broadcast}")));
    keys.extend(label(address, bridge).map(|label| format!("Label={label}")));
    if address.scope != Scope::GLOBAL {
        keys.push(format!("Scope={}", address.scope));
    }
    keys.extend(address.metric.map(|metric| format!("RouteMetric={metric}")));
    keys.extend(address.preferred.map(|_| "PreferredLifetime=0".to_owned()));
    keys.extend(kept_flags(address).into_iter().map(|(_, key)| key.to_owned()));
    keys
}

/// A route, and what networkd cannot say of it; no keys if the route would not be the same.
fn route_keys(route: &Route, bridge: &IfName) -> (Vec<String>, String) {
    let mut keys = vec![format!("Destination={}", route.destination)];
    let reachable = route.hops.len() == 1 || route.hops.iter().all(|hop| hop.via.is_some());
    if route.tos != 0 || !reachable {
        let lost = if reachable { "type of service" } else { "next hop without a router" };
        return (Vec::new(), lost.to_owned());
    }
    match route.hops.as_slice() {
        [hop] => keys.extend(hop.via.map(|router| format!("Gateway={router}"))),
        hops => keys.extend(hops.iter().filter_map(|hop| {
            Some(format!("MultiPathRoute={}@{bridge} {}", hop.via?, hop.weight))
        })),
    }
    if route.hops.iter().any(|hop| hop.onlink) {
        keys.push("GatewayOnLink=yes".to_owned());
    }
    keys.extend(route.source.map(|source| format!("Source={source}")));
    keys.extend(route.src.map(|src| format!("PreferredSource={src}")));
    if let Some(metric) = route.metric.filter(|_| has_metric(route)) {
        keys.push(format!("Metric={metric}"));
    }
    if route.table != Route::MAIN {
        keys.push(format!("Table={}", route.table));
    }
    if route.scope != usual_scope(route) {
        keys.push(format!("Scope={}", route.scope));
    }
    if route.kind != RouteKind::Unicast {
        keys.push(format!("Type={}", route.kind));
    }
    if ![BOOT, STATIC].contains(&route.protocol) {
        keys.push(format!("Protocol={}", route.protocol));
    }
    keys.extend(preference(route).map(|preference| format!("IPv6Preference={preference}")));
    let control = congestion_control(route);
    keys.extend(control.map(|name| format!("TCPCongestionControlAlgorithm={name}")));
    let mut lost = Vec::new();
    for (number, value) in &route.metrics {
        match METRICS.iter().find(|known| known.0 == *number) {
            Some((.., Some(key))) => keys.push(format!("{key}={value}")),
            Some((_, word, None)) => lost.push((*word).to_owned()),
            None if *number == LOCK => lost.push("the lock of its metrics".to_owned()),
            None => lost.push(format!("metric {number} of its path")),
        }
    }
    (keys, lost.join(", "))
}

/// What of a router's advertisement is used.
fn advertisements(text: &mut String, bridge: &Described<'_>) {
    let set = |key: &str, value: &str| bridge.now.setting6(key) == Some(value);
    let mut keys = Vec::new();
    let token = bridge.now.token.filter(|_| bridge.hosts);
    keys.extend(token.map(|token| format!("Token=static:{token}")));
    if set("autoconf", "0") || set("accept_ra_pinfo", "0") {
        keys.push("UseAutonomousPrefix=no".to_owned());
    }
    if set("accept_ra_defrtr", "0") {
        keys.push("UseGateway=no".to_owned());
    }
    if let Some(metric) = bridge.now.setting6("ra_defrtr_metric").filter(|metric| *metric != "1024")
    {
        keys.push(format!("RouteMetric={metric}"));
    }
    if !keys.is_empty() {
        section(text, "IPv6AcceptRA", &keys);
    }
}

/// Whether the host makes itself temporary addresses; networkd switches them off if it says nothing.
fn privacy(use_tempaddr: Option<&str>) -> Option<&'static str> {
    match use_tempaddr {
        Some("1") => Some("prefer-public"),
        Some("2") => Some("yes"),
        _ => None,
    }
}

fn port(bridge: &Described<'_>, uplink: &IfName) -> String {
    let mut text = format!("[Match]\nName={uplink}\n");
    if let Some(mtu) = bridge.policy.mtu {
        text.line(format_args!("\n[Link]\nMTUBytes={mtu}"));
    }
    text.line(format_args!("\n[Network]\nBridge={}", bridge.policy.name));
    text.line("LinkLocalAddressing=no\nIPv6AcceptRA=no");
    text
}

fn tunnel(name: &IfName, vxlan: &VxlanPolicy, mtu: Option<Mtu>) -> String {
    let mut text = format!("[NetDev]\nName={name}\nKind=vxlan\n");
    if let Some(mtu) = mtu {
        text.line(format_args!("MTUBytes={mtu}"));
    }
    text.line(format_args!("\n[VXLAN]\nVNI={}\nLocal={}", vxlan.vni, vxlan.local));
    if let Some(remote) = vxlan.remote {
        let key = if remote.is_multicast() { "Group" } else { "Remote" };
        text.line(format_args!("{key}={remote}"));
    }
    text.line(format_args!("MacLearning={}", yes(vxlan.remote.is_some())));
    text.line(format_args!("DestinationPort={}", vxlan.port));
    // Else it waits for an interface whose file names it.
    if vxlan.dev.is_none() {
        text.line("Independent=yes");
    }
    text
}

fn tunnel_port(name: &IfName, vxlan: &VxlanPolicy, bridge: &IfName) -> String {
    let mut text = format!("[Match]\nName={name}\n\n[Network]\nBridge={bridge}\n");
    text.line("LinkLocalAddressing=no\nIPv6AcceptRA=no");
    if vxlan.remote.is_none() {
        text.line("\n[Bridge]\nLearning=no\nNeighborSuppression=yes");
    }
    text
}

fn yes(on: bool) -> &'static str {
    if on { "yes" } else { "no" }
}
