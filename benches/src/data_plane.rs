//! What a filter costs a frame: two guests on one bridge, and others beside them, each host with its own filter.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};

use nix::sched::{CloneFlags, setns};
use serde_json::{Value, json};
use xennet_core::Dom0Network;
use xennet_core::plan::IptablesRule;
use xennet_core::plan::guard::{Ethernet, Frame, Packet, Payload};
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
    /// Nanoseconds of a processor for each frame, a round each: small ones, then full ones.
    pub nanoseconds: [Vec<f64>; 2],
}

/// What stands between two guests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// Nothing.
    None,
    /// xennet's guard.
    Guard,
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
        for filter in [Filter::None, Filter::Guard, Filter::Newest, Filter::Oldest] {
            // The first and the last of two are both quick to find.
            if others > 0 || filter != Filter::Oldest {
                let passage = Passage { filter, others, nanoseconds: [Vec::new(), Vec::new()] };
                hosts.push((Host::new(filter, others)?, passage));
            }
        }
    }
    let count = hosts.len();
    for round in 0..=rounds {
        for turn in 0..count {
            let (host, passage) = hosts.get_mut((round + turn) % count).ok_or("a host each")?;
            for (frame, series) in host.frames.iter().zip(&mut passage.nanoseconds) {
                let took = host.blaster.blast(frame, FRAMES.into())?;
                // The first round only fetches everything into memory.
                if round > 0 {
                    series.push(took.as_secs_f64() * 1e9 / f64::from(FRAMES));
                }
            }
        }
    }
    Ok(hosts.into_iter().map(|(_, passage)| passage).collect())
}

impl Passage {
    /// The median time of a frame of this size (an index of [`SIZES`]), in nanoseconds.
    pub fn median(&self, size: usize) -> f64 {
        self.nanoseconds.get(size).map_or(0.0, |series| median(series.clone()))
    }

    /// As it stands in the raw numbers.
    pub fn json(&self) -> Value {
        let [small, full] = &self.nanoseconds;
        json!({"filter": self.filter.title(), "others": self.others, "ns_60": small, "ns_1514": full})
    }
}

impl Filter {
    /// As it stands in the results.
    pub fn title(self) -> &'static str {
        match self {
            Self::None => "no filter",
            Self::Guard => "xennet's guard",
            Self::Newest => "stock rules, for the vif plugged last",
            Self::Oldest => "stock rules, for the vif plugged first",
        }
    }
}

/// A bridge in a namespace, with two guests in another one.
struct Host {
    blaster: Blaster,
    frames: [Vec<u8>; 2],
    /// The bridge lives as long as this.
    _dom0: File,
}

impl Host {
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
            (1..=others + 2).map(|n| Port::new(n, filter != Filter::None)).collect();
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
        for port in &ports {
            let mut vif = net.vif(port.id)?;
            vif.set("bridge", BRIDGE.as_bytes())?;
            if filter == Filter::Guard {
                vif.set("mac", port.mac.as_bytes())?;
                vif.set("ip", port.ip.as_bytes())?;
            }
            vif.online()?;
        }
        if rules {
            iptables(filter, &ports)?;
        }
        let [from, to, ..] = ports.as_slice() else { return Err("two guests".into()) };
        let dom0 = File::open("/proc/thread-self/ns/net")?;
        setns(&guests, CloneFlags::CLONE_NEWNET)?;
        let blaster = talk(&netns, from, to);
        setns(&dom0, CloneFlags::CLONE_NEWNET)?;
        Ok(Self { blaster: blaster?, frames: SIZES.map(|size| frame(from, to, size)), _dom0: dom0 })
    }
}

/// Brings both guests up, and has the receiver say something, so that the bridge knows where it is.
fn talk(netns: &Netns, from: &Port, to: &Port) -> Result<Blaster> {
    for port in [from, to] {
        netns.ip(&format!("link set guest{} addrgenmode none up", port.id));
    }
    let (from_end, to_end) = (format!("guest{}", from.id), format!("guest{}", to.id));
    Blaster::open(&to_end, &from_end)?.blast(&frame(to, from, SIZES[0]), 1)?;
    Blaster::open(&from_end, &to_end)
}

fn frame(from: &Port, to: &Port, size: usize) -> Vec<u8> {
    let parse = |port: &Port| -> Result<_> {
        let mac: xennet_core::types::MacAddr = port.mac.parse()?;
        Ok((mac.octets(), if port.ip.is_empty() { "10.1.0.1" } else { &port.ip }.parse()?))
    };
    let ((source, source_ip), (destination, destination_ip)) =
        (parse(from).expect("its own"), parse(to).expect("its own"));
    let header = Ethernet { source, destination, tags: Vec::new() };
    let packet = Packet::Ipv4 {
        source: source_ip,
        destination: destination_ip,
        payload: Payload::Udp { source: 1000, destination: 1000 },
    };
    let name = from.name.parse().expect("a name");
    let mut bytes = Frame::new(name, None, &header, &packet).bytes;
    // Padding: no filter looks there.
    bytes.resize(size, 0);
    bytes
}

fn iptables(filter: Filter, ports: &[Port]) -> Result<()> {
    let mut text = String::from("*filter\n:FORWARD DROP [0:0]\n");
    let rules = |port: &Port| -> Result<String> {
        let rules = IptablesRule::of(&port.name.parse()?, &port.ip.parse()?);
        let v4 = rules.into_iter().filter(|rule| !rule.ipv6);
        Ok(v4.map(|rule| format!("-A FORWARD {rule} -j ACCEPT\n")).collect::<Vec<_>>().concat())
    };
    // The scripts insert at the head: the chain is in the reverse order of plugging. Both who talk are `ports`' first.
    let in_order: Vec<&Port> = match filter {
        Filter::Oldest => ports.iter().rev().collect(),
        _ => ports.iter().collect(),
    };
    for port in in_order {
        text += &rules(port)?;
    }
    let mut child = Command::new("iptables-restore").stdin(Stdio::piped()).spawn()?;
    child.stdin.take().ok_or("a pipe")?.write_all(format!("{text}COMMIT\n").as_bytes())?;
    if child.wait()?.success() { Ok(()) } else { Err("iptables-restore failed".into()) }
}
