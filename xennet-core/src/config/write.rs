//! The configuration as the text of `xennet.toml`.

use std::fmt::{Display, Write as _};

use super::{
    BondPolicy, BridgePolicy, GatewayPolicy, GuestName, HostAddresses, NatPolicy, NetworkConfig,
    PortPolicy, RoutePolicy, RoutedPolicy, SwitchPolicy, VlanPolicy,
};
use crate::types::{Policing, VlanProtocol, VxlanSpec};

impl NetworkConfig {
    /// The text of `xennet.toml` that says this, and nothing that need not be said: what
    /// [`from_toml`](Self::from_toml) reads back.
    ///
    /// Of [`vif`](Self::vif), only what more than one vif can have.
    pub fn to_toml(&self) -> String {
        let mut out = Writer::default();
        self.bonds.iter().for_each(|bond| out.bond(bond));
        self.vlans.iter().for_each(|vlan| out.vlan(vlan));
        self.bridges.iter().for_each(|bridge| out.bridge(bridge));
        self.switches.iter().for_each(|switch| out.switch_policy(switch));
        self.routed.iter().for_each(|routed| out.routed(routed));
        self.nat.iter().for_each(|nat| out.nat(nat));
        for guest in &self.guests {
            out.table("[[guest]]");
            match &guest.guest {
                GuestName::Name(name) => out.text("name", name),
                GuestName::Uuid(uuid) => out.text("uuid", uuid),
            }
            out.port(&guest.port);
            out.optional_text("iface_id", guest.iface_id.as_ref());
            out.policing(guest.policing);
        }
        if (self.forwarding.ipv4, self.forwarding.ipv6) != (None, None) {
            out.table("[forwarding]");
            out.optional("ipv4", self.forwarding.ipv4);
            out.optional("ipv6", self.forwarding.ipv6);
        }
        if let Some(socket) = self.ovs_socket.as_ref().and_then(|socket| socket.to_str()) {
            out.table("[ovs]");
            out.text("socket", socket);
        }
        let vif = &self.vif;
        let mut defaults = Writer::default();
        defaults.optional_text("bridge", vif.bridge.as_ref());
        defaults.optional("mtu", vif.mtu);
        defaults.optional_text("rate", vif.rate.as_ref());
        defaults.optional_text("vlan", vif.vlan.as_ref());
        defaults.optional_text("gatewaydev", vif.gatewaydev.as_ref());
        if !defaults.0.is_empty() {
            out.table("[vif]");
            out.0.push_str(&defaults.0);
        }
        out.0
    }
}

#[derive(Debug, Default)]
struct Writer(String);

impl Writer {
    fn bond(&mut self, policy: &BondPolicy) {
        self.table("[[bond]]");
        self.text("name", &policy.name);
        self.texts("ports", &policy.ports);
        self.text("mode", policy.mode);
        self.optional("miimon", policy.miimon);
        self.optional_text("lacp_rate", policy.lacp_rate);
        self.optional_text("xmit_hash_policy", policy.xmit_hash_policy);
        self.optional_text("primary", policy.primary.as_ref());
        self.optional("mtu", policy.mtu);
    }

    fn vlan(&mut self, policy: &VlanPolicy) {
        self.table("[[vlan]]");
        self.text("name", &policy.name);
        self.text("link", &policy.link);
        self.line(format_args!("id = {}", policy.id));
        let usual = VlanProtocol::default();
        self.optional_text("protocol", Some(policy.protocol).filter(|one| *one != usual));
        self.optional("mtu", policy.mtu);
    }

    fn bridge(&mut self, policy: &BridgePolicy) {
        self.table("[[bridge]]");
        self.text("name", &policy.name);
        self.optional_text("uplink", policy.uplink.as_ref());
        self.optional_text("uplink", policy.uplink_id.as_ref());
        if let Some(vxlan) = &policy.vxlan {
            let mut words = format!("vni = {}, local = {}", vxlan.vni, quoted(vxlan.local));
            let mut add = |key: &str, value: Option<String>| {
                words.extend(value.map(|value| format!(", {key} = {value}")));
            };
            add("dev", vxlan.dev.as_ref().map(quoted));
            add("remote", vxlan.remote.map(quoted));
            let usual = vxlan.port.get() == VxlanSpec::PORT;
            add("port", (!usual).then(|| vxlan.port.to_string()));
            self.line(format_args!("vxlan = {{ {words} }}"));
        }
        match &policy.addresses {
            None => {}
            Some(HostAddresses::None) => self.text("addresses", "none"),
            Some(HostAddresses::Inherit) => self.text("addresses", "inherit"),
            Some(HostAddresses::Static(addresses)) => self.texts("addresses", addresses),
        }
        if !policy.gateways.is_empty() {
            let gateways: Vec<String> = policy.gateways.iter().map(gateway).collect();
            self.line(format_args!("gateways = [{}]", gateways.join(", ")));
        }
        if !policy.routes.is_empty() {
            self.0.push_str("routes = [\n");
            policy.routes.iter().for_each(|one| self.line(format_args!("    {},", route(one))));
            self.0.push_str("]\n");
        }
        self.optional("vlan_filtering", policy.vlan_filtering);
        self.optional("stp", policy.stp);
        self.optional("forward_delay", policy.forward_delay);
        self.optional("ageing", policy.ageing);
        self.optional("multicast_snooping", policy.multicast_snooping);
        self.optional("group_fwd_mask", policy.group_fwd_mask);
        self.optional("mtu", policy.mtu);
        self.optional_text("mac", policy.mac.as_ref());
        self.optional("ipv6", policy.ipv6);
        self.switch("manage_uplink_vlans", policy.manage_uplink_vlans);
        self.port(&policy.port);
    }

    fn switch_policy(&mut self, policy: &SwitchPolicy) {
        self.table("[[bridge]]");
        self.text("name", &policy.name);
        self.text("mode", "openvswitch");
        self.optional("wait_ovn", policy.wait_ovn);
        self.policing(policy.policing);
        self.port(&policy.port);
    }

    fn policing(&mut self, policing: Option<Policing>) {
        self.optional("policing_rate", policing.map(|policing| policing.rate));
        let burst = policing.map(|policing| policing.burst).filter(|burst| *burst > 0);
        self.optional("policing_burst", burst);
    }

    fn routed(&mut self, policy: &RoutedPolicy) {
        self.table("[[routed]]");
        self.text("uplink", &policy.uplink);
        self.switch("proxy_arp", policy.proxy_arp);
        self.switch("proxy_ndp", policy.proxy_ndp);
        if !policy.prefixes.is_empty() {
            self.texts("prefixes", &policy.prefixes);
        }
    }

    fn nat(&mut self, policy: &NatPolicy) {
        self.table("[[nat]]");
        self.text("name", &policy.name);
        self.optional_text("bridge", policy.bridge.as_ref());
        self.texts("subnets", &policy.subnets);
        self.optional_text("uplink", policy.uplink.as_ref());
        self.switch("dhcp", policy.dhcp);
        if policy.forward.is_empty() {
            return;
        }
        self.0.push_str("forward = [\n");
        for forward in &policy.forward {
            let protocol = quoted(forward.protocol);
            let to = quoted(forward.to);
            self.line(format_args!(
                "    {{ protocol = {protocol}, port = {}, to = {to}, to_port = {} }},",
                forward.port, forward.to_port
            ));
        }
        self.0.push_str("]\n");
    }

    fn port(&mut self, policy: &PortPolicy) {
        self.optional_text("guard", policy.guard.as_ref());
        self.optional("isolated", policy.isolated);
        self.optional("reserve", policy.reserve);
        let permission = |allowed| if allowed { "allow" } else { "deny" };
        self.optional_text("dhcp_server", policy.dhcp_server.map(permission));
        self.optional_text("router", policy.router.map(permission));
        self.optional("announce", policy.announce);
        let firewall = |iptables| if iptables { "iptables" } else { "none" };
        self.optional_text("firewall", policy.iptables.map(firewall));
    }

    fn table(&mut self, title: &str) {
        if !self.0.is_empty() {
            self.0.push('\n');
        }
        self.line(title);
    }

    fn optional(&mut self, key: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.line(format_args!("{key} = {value}"));
        }
    }

    fn optional_text(&mut self, key: &str, value: Option<impl Display>) {
        self.optional(key, value.map(quoted));
    }

    fn text(&mut self, key: &str, value: impl Display) {
        self.optional_text(key, Some(value));
    }

    fn texts<T: Display>(&mut self, key: &str, values: &[T]) {
        let values: Vec<String> = values.iter().map(quoted).collect();
        self.line(format_args!("{key} = [{}]", values.join(", ")));
    }

    /// One that is off unless it is said.
    fn switch(&mut self, key: &str, on: bool) {
        self.optional(key, on.then_some(true));
    }

    fn line(&mut self, line: impl Display) {
        writeln!(self.0, "{line}").expect("a String takes every text");
    }
}

fn gateway(policy: &GatewayPolicy) -> String {
    match policy {
        GatewayPolicy { via, onlink: false, metric: None } => quoted(via),
        GatewayPolicy { via, onlink, metric } => inline(&[
            ("via", Some(quoted(via))),
            ("onlink", onlink.then(|| "true".to_owned())),
            ("metric", metric.map(|metric| metric.to_string())),
        ]),
    }
}

fn route(policy: &RoutePolicy) -> String {
    let RoutePolicy { destination, via, onlink, metric, table } = policy;
    inline(&[
        ("destination", Some(quoted(destination))),
        ("via", via.map(quoted)),
        ("onlink", onlink.then(|| "true".to_owned())),
        ("metric", metric.map(|metric| metric.to_string())),
        ("table", table.map(|table| table.to_string())),
    ])
}

/// An inline table of the keys that have a value.
fn inline(keys: &[(&str, Option<String>)]) -> String {
    let pairs = keys.iter().filter_map(|(key, value)| Some(format!("{key} = {}", value.as_ref()?)));
    format!("{{ {} }}", pairs.collect::<Vec<_>>().join(", "))
}

/// A basic string of TOML.
fn quoted(value: impl Display) -> String {
    let mut text = String::from('"');
    for c in value.to_string().chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            c if c.is_control() => {
                write!(text, "\\U{:08X}", u32::from(c)).expect("a String takes every text");
            }
            c => text.push(c),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests;
