//! What the table says, as plain data.
//!
//! There is no chain at the forward hook: that a packet is let through in one table does not help it in another, and
//! ours drops nothing. What belongs to a connection (an ICMP error that a router on the way sends, too) the kernel
//! translates along with it, and no rule is asked.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::config::{NatPolicy, PortForward, Transport};
use crate::types::{
    IfName, NftBase, NftChain, NftCmp, NftCt, NftExpr, NftFamily, NftHook, NftHookPoint, NftMeta,
    NftNat, NftPolicy, NftRegister, NftRule, NftVerdict,
};

/// The chains that these rules stand in.
pub(super) fn chains(rules: &[NftRule]) -> Vec<NftChain> {
    let base = |name: &str, point, priority| NftChain {
        name: name.to_owned(),
        hook: Some(NftHook {
            kind: "nat".to_owned(),
            point,
            device: None,
            priority,
            policy: NftPolicy::Accept,
        }),
    };
    let all = [
        NftChain { name: PORTS.to_owned(), hook: None },
        base("prerouting", NftHookPoint::Prerouting, DSTNAT),
        base("output", NftHookPoint::Output, DSTNAT),
        base("postrouting", NftHookPoint::Postrouting, SRCNAT),
    ];
    all.into_iter().filter(|chain| rules.iter().any(|rule| rule.chain == chain.name)).collect()
}

/// All rules, chain by chain in their order.
pub(super) fn rules(nats: &[NatPolicy]) -> Vec<NftRule> {
    let mut rules = Vec::new();
    if nats.iter().any(|nat| !nat.forward.is_empty()) {
        rules.push(Rule::new("prerouting").destined(LOCAL).jump(PORTS, "to the host itself"));
        // Whoever asks by the loopback address is answered there; a guest could not answer it.
        for loopback in ["127.0.0.0/8", "::1/128"] {
            let net = loopback.parse().expect("it is one");
            rules.push(Rule::new("output").to(&net).accept("the host, to itself"));
        }
        rules.push(Rule::new("output").destined(LOCAL).jump(PORTS, "the host, to its own ports"));
        rules.extend(nats.iter().flat_map(|nat| nat.forward.iter().map(port)));
        rules.extend(nats.iter().flat_map(hairpin));
    }
    let (by, anyhow): (Vec<_>, Vec<_>) = nats.iter().partition(|nat| nat.uplink.is_some());
    for nat in by {
        let out = |rule: Rule| nat.uplink.iter().fold(rule, Rule::out_by);
        rules.extend(nat.subnets.iter().map(|net| out(from(net)).masquerade(&nat.name)));
    }
    for nat in &anyhow {
        for net in &nat.subnets {
            let guests = nats.iter().flat_map(|nat| &nat.subnets);
            let guests = guests.filter(|other| other.addr().is_ipv4() == net.addr().is_ipv4());
            rules.extend(guests.map(|to| from(net).to(&to.trunc()).accept("among guests")));
            rules.push(from(net).destined(UNICAST).masquerade(&nat.name));
        }
    }
    rules
}

/// A port of the host that leads to a guest.
fn port(forward: &PortForward) -> NftRule {
    let PortForward { protocol, port, to, to_port } = *forward;
    let number = match protocol {
        Transport::Tcp => 6,
        Transport::Udp => 17,
    };
    Rule::new(PORTS)
        .of_family(to)
        .meta(NftMeta::L4Proto, &[number])
        .field(NftBase::Transport, 2, &port.get().to_be_bytes())
        .destination(to, to_port.get(), &format!("{protocol} {port}"))
}

/// A guest that asks for a port of the host's, and is led to itself or to its neighbour: that one would answer it
/// directly, by an address that it had not asked.
fn hairpin(nat: &NatPolicy) -> Vec<NftRule> {
    let mut guests: Vec<IpAddr> = nat.forward.iter().map(|forward| forward.to).collect();
    guests.sort_unstable();
    guests.dedup();
    let net = |guest: &IpAddr| nat.subnets.iter().find(|net| net.contains(guest));
    let guests = guests.into_iter().filter_map(|guest| Some((net(&guest)?, IpNet::from(guest))));
    guests
        .map(|(net, guest)| from(net).to(&guest).translated().masquerade("by a port of the host"))
        .collect()
}

/// A rule for what comes from guests of a network.
fn from(net: &IpNet) -> Rule {
    let net = net.trunc();
    let (v4, v6) = (12, 8);
    Rule::new("postrouting").net(&net, if net.addr().is_ipv4() { v4 } else { v6 })
}

/// A rule that is being written: what it looks at, in the order in which nft has it.
struct Rule {
    chain: &'static str,
    expressions: Vec<NftExpr>,
}

impl Rule {
    fn new(chain: &'static str) -> Self {
        Self { chain, expressions: Vec::new() }
    }

    /// `meta nfproto ipv4`, `meta nfproto ipv6`
    fn of_family(self, ip: IpAddr) -> Self {
        self.meta(NftMeta::NfProto, &[if ip.is_ipv4() { 2 } else { 10 }])
    }

    /// `ip daddr NET`, `ip6 daddr NET`
    fn to(self, net: &IpNet) -> Self {
        let (v4, v6) = (16, 24);
        self.net(net, if net.addr().is_ipv4() { v4 } else { v6 })
    }

    /// An address of the header at that offset is in the network.
    fn net(self, net: &IpNet, offset: u32) -> Self {
        let (bytes, mask) = (octets(net.network()), octets(net.netmask()));
        let mut rule = self.of_family(net.addr());
        rule.load(NftBase::Network, offset, &bytes);
        if net.prefix_len() < net.max_prefix_len() {
            let xor = vec![0; mask.len()];
            rule.expressions.push(NftExpr::Bitwise { register: FIRST, mask, xor });
        }
        rule.compare(NftCmp::Eq, &bytes)
    }

    /// `oifname NAME`
    fn out_by(self, name: &IfName) -> Self {
        let mut bytes = [0; 16];
        for (to, byte) in bytes.iter_mut().zip(name.as_str().bytes()) {
            *to = byte;
        }
        self.meta(NftMeta::OifName, &bytes)
    }

    /// `fib daddr type TYPE`
    fn destined(mut self, kind: u32) -> Self {
        self.expressions.push(NftExpr::DestinationType { register: FIRST });
        self.compare(NftCmp::Eq, &kind.to_ne_bytes())
    }

    /// `ct status dnat`
    fn translated(mut self) -> Self {
        let mask = IPS_DST_NAT.to_ne_bytes().to_vec();
        self.expressions.push(NftExpr::Ct { key: NftCt::Status, register: FIRST });
        self.expressions.push(NftExpr::Bitwise { register: FIRST, mask, xor: vec![0; 4] });
        self.compare(NftCmp::Neq, &[0; 4])
    }

    fn field(mut self, base: NftBase, offset: u32, bytes: &[u8]) -> Self {
        self.load(base, offset, bytes);
        self.compare(NftCmp::Eq, bytes)
    }

    fn meta(mut self, key: NftMeta, bytes: &[u8]) -> Self {
        self.expressions.push(NftExpr::Meta { key, register: FIRST });
        self.compare(NftCmp::Eq, bytes)
    }

    fn load(&mut self, base: NftBase, offset: u32, bytes: &[u8]) {
        let length = u32::try_from(bytes.len()).unwrap_or_default();
        self.expressions.push(NftExpr::Payload { base, offset, length, register: FIRST });
    }

    fn compare(mut self, op: NftCmp, data: &[u8]) -> Self {
        self.expressions.push(NftExpr::Cmp { register: FIRST, op, data: data.to_vec() });
        self
    }

    fn accept(self, comment: &str) -> NftRule {
        self.end(NftExpr::Verdict(NftVerdict::Accept), comment)
    }

    fn jump(self, chain: &str, comment: &str) -> NftRule {
        self.end(NftExpr::Verdict(NftVerdict::Jump(chain.to_owned())), comment)
    }

    fn masquerade(self, comment: &str) -> NftRule {
        self.end(NftExpr::Masquerade, comment)
    }

    /// `dnat to ADDRESS:PORT`
    fn destination(mut self, to: IpAddr, port: u16, comment: &str) -> NftRule {
        let (address, behind) = (FIRST, NftRegister(4));
        self.expressions.push(NftExpr::Immediate { register: address, data: octets(to) });
        let data = port.to_be_bytes().to_vec();
        self.expressions.push(NftExpr::Immediate { register: behind, data });
        let nat = NftExpr::Nat {
            kind: NftNat::Destination,
            family: if to.is_ipv4() { NftFamily::Ip } else { NftFamily::Ip6 },
            address,
            port: Some(behind),
        };
        self.end(nat, comment)
    }

    fn end(mut self, decision: NftExpr, comment: &str) -> NftRule {
        self.expressions.push(decision);
        NftRule {
            chain: self.chain.to_owned(),
            expressions: self.expressions,
            comment: Some(printable(comment)),
        }
    }
}

/// Fit for a comment, whatever somebody called it: nft shows no more than 127 bytes, and none that is quoted.
fn printable(name: &str) -> String {
    let plain = |c: &char| !c.is_control() && *c != '"';
    name.chars().filter(plain).take(30).collect()
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

const PORTS: &str = "host_ports";

/// Where nft's own words `dstnat` and `srcnat` are.
const DSTNAT: i32 = -100;
const SRCNAT: i32 = 100;

/// `RTN_UNICAST`, `RTN_LOCAL`
const UNICAST: u32 = 1;
const LOCAL: u32 = 2;

const IPS_DST_NAT: u32 = 32;

/// Every value is looked at as soon as it is loaded.
const FIRST: NftRegister = NftRegister(0);
