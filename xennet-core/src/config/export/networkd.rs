//! `.netdev`, `.link` and `.network` files, as systemd 252 reads them.

use super::{Described, ExportFile, Lines};
use crate::config::VxlanPolicy;
use crate::types::{IfName, Mtu};

pub(super) fn files(bridges: &[Described<'_>]) -> Vec<ExportFile> {
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
        add(name, "network", network(bridge));
        if let Some(uplink) = &bridge.policy.uplink {
            add(uplink, "network", port(bridge, uplink));
        }
        if let Some(vxlan) = &bridge.policy.vxlan {
            let port = vxlan.vni.port_name();
            add(&port, "netdev", tunnel(&port, vxlan, bridge.policy.mtu));
            add(&port, "network", tunnel_port(&port, vxlan, name));
        }
    }
    files
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

fn network(bridge: &Described<'_>) -> String {
    let policy = &bridge.policy;
    let mut text = format!("[Match]\nName={}\n\n[Network]\n", policy.name);
    // Guests need it before it has a port, and whatever becomes of the uplink.
    text.line("ConfigureWithoutCarrier=yes");
    if policy.ipv6 == Some(false) {
        text.line("LinkLocalAddressing=no\nIPv6AcceptRA=no");
    }
    if let Some(hosts) = &bridge.hosts {
        if hosts.dhcp {
            text.line("DHCP=ipv4");
        }
        for net in &hosts.addresses {
            text.line(format_args!("Address={net}"));
        }
        for router in &hosts.gateways {
            text.line(format_args!("Gateway={router}"));
        }
    }
    if let Some((_, nat)) = bridge.nat {
        let has = |v4: bool| nat.subnets.iter().any(|net| net.addr().is_ipv4() == v4);
        let families = match (has(true), has(false)) {
            (true, true) => "both",
            (true, false) => "ipv4",
            (false, _) => "ipv6",
        };
        text.line(format_args!("IPMasquerade={families}"));
        if nat.dhcp && has(true) {
            text.line("DHCPServer=yes");
        }
    }
    text
}

fn port(bridge: &Described<'_>, uplink: &IfName) -> String {
    let mut text = format!("[Match]\nName={uplink}\n");
    if let Some(mtu) = bridge.policy.mtu {
        text.line(format_args!("\n[Link]\nMTUBytes={mtu}"));
    }
    text.line(format_args!("\n[Network]\nBridge={}", bridge.policy.name));
    if bridge.hosts.is_some() {
        text.line("LinkLocalAddressing=no\nIPv6AcceptRA=no");
    }
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
