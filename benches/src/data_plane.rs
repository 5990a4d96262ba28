//! What a filter costs a frame: two guests on one bridge, and others beside them, each host with its own filter.

use std::fs::{self, File};
use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sched::{CloneFlags, setns};
use serde_json::{Value, json};
use xennet_core::Dom0Network;
use xennet_core::plan::IptablesRule;
use xennet_core::plan::guard::{Ethernet, Frame, Packet, Payload};
use xennet_core::types::MacAddr;
use xennet_tests::netns::{self, Netns};

use crate::Result;
use crate::blaster::Blaster;
use crate::figures::median;
use crate::scene::{BRIDGE, MAC, Port};

/// What a frame took on one host.
#[derive(Debug)]
pub struct Passage {
    /// What filters.
    pub filter: Filter,
    /// How many vifs there are beside the two that talk.
    pub others: usize,
    /// Nanoseconds of a processor for each frame, a round each: by [`Kind`], then by [`SIZES`].
    pub nanoseconds: [[Vec<f64>; 2]; 4],
}

/// What a frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// UDP over IPv4.
    Udp4,
    /// TCP over IPv4.
    Tcp4,
    /// UDP over IPv6.
    Udp6,
    /// TCP over IPv6.
    Tcp6,
}

/// What stands between two guests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// Nothing.
    None,
    /// xennet's guard of the sender.
    Guard,
    /// xennet's guard of all ports but the sender's.
    Beside,
    /// The stock scripts' rules, where the sender was plugged last: its rules stand first in the chain.
    Newest,
    /// The same, where the sender was plugged first.
    Oldest,
}

/// Bytes of a frame, without its checksum: about the least, and the most with an MTU of 1500.
pub const SIZES: [usize; 2] = [60, 1514];
const FRAMES: u16 = 4_000;

/// Has each host carry frames in each round; who begins changes from round to round.
pub fn measure(rounds: usize, crowd: usize) -> Result<Vec<Passage>> {
    let mut hosts = Vec::new();
    for others in [0, 10, crowd] {
        for filter in Filter::ALL {
            // The first and the last of two are both quick to find.
            if others > 0 || filter != Filter::Oldest {
                let passage = Passage { filter, others, nanoseconds: Default::default() };
                hosts.push((Host::new(filter, others)?, passage));
            }
        }
    }
    let count = hosts.len();
    for round in 0..=rounds {
        for turn in 0..count {
            let (host, passage) = hosts.get_mut((round + turn) % count).ok_or("a host each")?;
            for (kind, of_kind) in Kind::ALL.into_iter().zip(&mut passage.nanoseconds) {
                for (size, series) in SIZES.into_iter().zip(of_kind) {
                    let took = host.blast(kind, size, FRAMES)?;
                    // The first round only fetches everything into memory.
                    if round > 0 {
                        series.push(took.as_secs_f64() * 1e9 / f64::from(FRAMES));
                    }
                }
            }
        }
    }
    Ok(hosts.into_iter().map(|(_, passage)| passage).collect())
}

impl Passage {
    /// The median time of a frame of this kind and size (an index of [`SIZES`]), in nanoseconds.
    pub fn median(&self, kind: Kind, size: usize) -> f64 {
        let series = self.nanoseconds.get(kind as usize).and_then(|of_kind| of_kind.get(size));
        series.map_or(0.0, |series| median(series.clone()))
    }

    /// As it stands in the raw numbers.
    pub fn json(&self) -> Value {
        let kinds = Kind::ALL.into_iter().zip(&self.nanoseconds).map(
            |(kind, [small, full])| json!({"kind": kind.title(), "ns_60": small, "ns_1514": full}),
        );
        json!({"filter": self.filter.title(), "others": self.others, "kinds": kinds.collect::<Vec<_>>()})
    }
}

impl Kind {
    /// All, in their order.
    pub const ALL: [Self; 4] = [Self::Udp4, Self::Tcp4, Self::Udp6, Self::Tcp6];

    /// As it stands in the results.
    pub fn title(self) -> &'static str {
        match self {
            Self::Udp4 => "UDP, IPv4",
            Self::Tcp4 => "TCP, IPv4",
            Self::Udp6 => "UDP, IPv6",
            Self::Tcp6 => "TCP, IPv6",
        }
    }

    /// Whether it is IPv6.
    pub fn is_ipv6(self) -> bool {
        matches!(self, Self::Udp6 | Self::Tcp6)
    }
}

impl Filter {
    /// All, in their order.
    pub const ALL: [Self; 5] = [Self::None, Self::Guard, Self::Beside, Self::Newest, Self::Oldest];

    /// As it stands in the results.
    pub fn title(self) -> &'static str {
        match self {
            Self::None => "no filter",
            Self::Guard => "xennet's guard",
            Self::Beside => "xennet's guard, from a port without one",
            Self::Newest => "stock rules, for the vif plugged last",
            Self::Oldest => "stock rules, for the vif plugged first",
        }
    }
}

/// A bridge in a namespace, with two guests in another one.
struct Host {
    /// For IPv4, and for IPv6.
    blasters: [Blaster; 2],
    from: Port,
    to: Port,
    /// The bridge lives as long as this.
    _dom0: File,
}

impl Host {
    fn blast(&self, kind: Kind, size: usize, count: u16) -> Result<Duration> {
        let [ip4, ip6] = &self.blasters;
        let blaster = if kind.is_ipv6() { ip6 } else { ip4 };
        blaster.blast(&frame(&self.from, &self.to, kind, size), count.into())
    }

    fn new(filter: Filter, others: usize) -> Result<Self> {
        let netns = Netns::new();
        let rules = matches!(filter, Filter::Newest | Filter::Oldest);
        for key in ["iptables", "ip6tables", "arptables"] {
            let value = if rules { "1" } else { "0" };
            fs::write(format!("/proc/sys/net/bridge/bridge-nf-call-{key}"), value)?;
        }
        netns.make_bridge(BRIDGE);
        let guests = netns::another();
        let inside = format!("/proc/{}/fd/{}", std::process::id(), guests.as_raw_fd());
        let ports: Vec<_> =
            (1..=others + 2).map(|n| Port::new(n, filter != Filter::None)).map(with_ipv6).collect();
        let mut lines = Vec::new();
        for Port { id, name, mac, .. } in &ports {
            lines.push(format!(
                "link add name {name} address {MAC} type veth peer name guest{id} address {mac} netns {inside}"
            ));
        }
        netns.ip_batch(&lines);
        let mut net = Dom0Network::without_store()?;
        let run_dir = tempfile::tempdir()?;
        net.set_run_dir(run_dir.path());
        for (n, port) in ports.iter().enumerate() {
            let mut vif = net.vif(port.id)?;
            vif.set("bridge", BRIDGE.as_bytes())?;
            if filter == Filter::Guard || filter == Filter::Beside && n > 0 {
                vif.set("mac", port.mac.as_bytes())?;
                vif.set("ip", port.ip.as_bytes())?;
            }
            vif.online()?;
        }
        if rules {
            iptables(filter, &ports)?;
        }
        let mut ports = ports.into_iter();
        let (Some(from), Some(to)) = (ports.next(), ports.next()) else {
            return Err("two guests".into());
        };
        let dom0 = File::open("/proc/thread-self/ns/net")?;
        setns(&guests, CloneFlags::CLONE_NEWNET)?;
        let blasters = talk(&netns, &from, &to);
        setns(&dom0, CloneFlags::CLONE_NEWNET)?;
        Ok(Self { blasters: blasters?, from, to, _dom0: dom0 })
    }
}

/// The same with an IPv6 address more, where it has an address.
fn with_ipv6(port: Port) -> Port {
    let ip =
        if port.ip.is_empty() { String::new() } else { format!("{} {}", port.ip, ipv6(&port)) };
    Port { ip, ..port }
}

fn ipv6(port: &Port) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, port.id.domid, 1)
}

/// Brings both guests up, and has the receiver say something, so that the bridge knows where it is.
fn talk(netns: &Netns, from: &Port, to: &Port) -> Result<[Blaster; 2]> {
    for port in [from, to] {
        netns.ip(&format!("link set guest{} addrgenmode none up", port.id));
    }
    let (from_end, to_end) = (format!("guest{}", from.id), format!("guest{}", to.id));
    Blaster::open(&to_end, &from_end, IP4)?.blast(&frame(to, from, Kind::Udp4, 60), 1)?;
    Ok([Blaster::open(&from_end, &to_end, IP4)?, Blaster::open(&from_end, &to_end, IP6)?])
}

const IP4: u16 = 0x0800;
const IP6: u16 = 0x86dd;

fn frame(from: &Port, to: &Port, kind: Kind, size: usize) -> Vec<u8> {
    let mac = |port: &Port| port.mac.parse::<MacAddr>().expect("its own").octets();
    let ip4 = |port: &Port| {
        let first = port.ip.split(' ').next().unwrap_or_default();
        first.parse().unwrap_or(Ipv4Addr::new(10, 1, 0, 1))
    };
    let header = Ethernet { source: mac(from), destination: mac(to), tags: Vec::new() };
    let payload = match kind {
        Kind::Udp4 | Kind::Udp6 => Payload::Udp { source: 1000, destination: 1000 },
        Kind::Tcp4 | Kind::Tcp6 => Payload::Tcp { source: 1000, destination: 1000 },
    };
    let packet = if kind.is_ipv6() {
        Packet::Ipv6 { source: ipv6(from), destination: ipv6(to), payload }
    } else {
        Packet::Ipv4 { source: ip4(from), destination: ip4(to), payload }
    };
    let name = from.name.parse().expect("a name");
    let mut bytes = Frame::new(name, None, &header, &packet).bytes;
    // Padding: no filter looks there.
    bytes.resize(size.max(bytes.len()), 0);
    bytes
}

fn iptables(filter: Filter, ports: &[Port]) -> Result<()> {
    // The scripts insert at the head: the chain is in the reverse order of plugging. Both who talk are `ports`' first.
    let in_order: Vec<&Port> = match filter {
        Filter::Oldest => ports.iter().rev().collect(),
        _ => ports.iter().collect(),
    };
    for (program, ipv6) in [("iptables-restore", false), ("ip6tables-restore", true)] {
        let mut text = String::from("*filter\n:FORWARD DROP [0:0]\n");
        for port in &in_order {
            let rules = IptablesRule::of(&port.name.parse()?, &port.ip.parse()?);
            for rule in rules.into_iter().filter(|rule| rule.ipv6 == ipv6) {
                text.extend(["-A FORWARD ", &rule.to_string(), " -j ACCEPT\n"]);
            }
        }
        let mut child = Command::new(program).stdin(Stdio::piped()).spawn()?;
        child.stdin.take().ok_or("a pipe")?.write_all(format!("{text}COMMIT\n").as_bytes())?;
        if !child.wait()?.success() {
            return Err(format!("{program} failed").into());
        }
    }
    Ok(())
}
