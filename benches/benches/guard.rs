//! What the guard costs: to add a vif to it, and for each frame; beside no filter, and beside the rules that Xen's own
//! scripts make with iptables. Needs root, for namespaces of its own.

use std::error::Error;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Instant;

use xennet_benches::compare;
use xennet_core::config::{GuardLevel, GuardPolicy};
use xennet_core::kernel::Nftables;
use xennet_core::plan::guard::{
    Ethernet, Frame, GuardEntry, GuardLayout, GuardSnapshot, Packet, Payload,
};
use xennet_core::plan::{Change, IptablesRule};
use xennet_core::types::{IfName, IpList, NftBatch, NftFamily, VifId};
use xennet_tests::netns::Netns;
use xennet_tests::tap::Tap;

fn main() -> Result<(), Box<dyn Error>> {
    adding_a_vif()?;
    frames()
}

/// One batch for a vif's elements, and one to take them away, in sets that hold so many others.
fn adding_a_vif() -> Result<(), Box<dyn Error>> {
    for others in [0, 10, 100, 1000] {
        let _netns = Netns::new();
        let mut nft = Nftables::open()?;
        fill(&mut nft, others)?;
        let (add, delete) = batches(&entry(5000, false)?)?;
        let mut both = || assert!(nft.apply(&add).is_ok() && nft.apply(&delete).is_ok());
        let name = format!("add and delete one vif beside {others} others");
        compare(&name, 500, &mut [("two addresses and a prefix", &mut both)]);
    }
    Ok(())
}

/// What a frame costs from tap to tap, by the filter that it passes.
fn frames() -> Result<(), Box<dyn Error>> {
    const FRAMES: u32 = 20_000;
    const ROUNDS: usize = 15;
    let mut hosts = Vec::new();
    for filter in [
        Filter::None,
        Filter::Guard(1),
        Filter::Guard(1000),
        Filter::Iptables(1, Place::First),
        Filter::Iptables(1000, Place::First),
        Filter::Iptables(1000, Place::Last),
    ] {
        hosts.push((filter, Host::new(filter)?, Vec::new()));
    }
    for round in 0..ROUNDS {
        for n in 0..hosts.len() {
            let length = hosts.len();
            let Some((_, host, times)) = hosts.get_mut((n + round) % length) else { continue };
            let began = Instant::now();
            for _ in 0..FRAMES {
                host.from.send(&host.frame);
            }
            times.push(began.elapsed().as_secs_f64() * 1e9 / f64::from(FRAMES));
            let arrived = host.to.received().len();
            assert!(arrived > 0, "nothing arrived");
        }
    }
    println!(
        "\none frame of UDP over IPv4 from tap to tap, ns: median (least to most) of {ROUNDS} rounds of {FRAMES}"
    );
    let mut base = None;
    for (filter, _, times) in &mut hosts {
        times.sort_by(f64::total_cmp);
        let (least, most) = (times.first().copied(), times.last().copied());
        let median = times.get(times.len() / 2).copied().unwrap_or_default();
        let base = *base.get_or_insert(median);
        println!(
            "{:<44} {median:>8.0} ({:.0} to {:.0})  {:.2}x",
            filter.to_string(),
            least.unwrap_or_default(),
            most.unwrap_or_default(),
            median / base
        );
    }
    Ok(())
}

/// What stands between the two taps.
#[derive(Debug, Clone, Copy)]
enum Filter {
    None,
    /// xennet's guard, with so many vifs.
    Guard(u16),
    /// Rules as Xen's own scripts make them, for so many vifs, with `br_netfilter`.
    Iptables(u16, Place),
}

/// Where the vif's rules stand among the others': the last vif to come is the first in the chain.
#[derive(Debug, Clone, Copy)]
enum Place {
    First,
    Last,
}

/// Two taps on a bridge. Their open files keep their namespace.
struct Host {
    from: Tap,
    to: Tap,
    frame: Vec<u8>,
}

impl Host {
    fn new(filter: Filter) -> Result<Self, Box<dyn Error>> {
        let netns = Netns::new();
        let sysctl = if matches!(filter, Filter::Iptables(..)) { "1" } else { "0" };
        for key in ["iptables", "ip6tables", "arptables"] {
            std::fs::write(format!("/proc/sys/net/bridge/bridge-nf-call-{key}"), sysctl)?;
        }
        netns.make_bridge("xenbr0");
        let (from, to) = (Tap::new(&netns, "vif0.0"), Tap::new(&netns, "other"));
        for name in ["vif0.0", "other"] {
            netns.ip(&format!(
                "link set {name} addrgenmode none master xenbr0 txqueuelen 100000 up"
            ));
        }
        let entry = entry(0, true)?;
        match filter {
            Filter::None => {}
            Filter::Guard(vifs) => {
                let mut nft = Nftables::open()?;
                fill(&mut nft, vifs - 1)?;
                let (add, _) = batches(&entry)?;
                nft.apply(&add)?;
            }
            Filter::Iptables(vifs, place) => iptables(vifs, place, &entry)?,
        }
        let header = Ethernet {
            source: entry.mac.octets(),
            destination: [2, 0, 0, 0, 0, 9],
            tags: Vec::new(),
        };
        let packet = Packet::Ipv4 {
            source: "10.0.0.5".parse()?,
            destination: "10.0.0.6".parse()?,
            payload: Payload::Udp { source: 1000, destination: 1000 },
        };
        let frame = Frame::new(entry.port.clone(), entry.bridge.clone(), &header, &packet).bytes;
        // From now on the bridge knows where the receiver is.
        let answer = Ethernet { source: header.destination, ..header };
        to.send(&Frame::new(entry.port, entry.bridge, &answer, &packet).bytes);
        Ok(Self { from, to, frame })
    }
}

fn iptables(vifs: u16, place: Place, ours: &GuardEntry) -> Result<(), Box<dyn Error>> {
    let rules = |entry: &GuardEntry| {
        let rules = IptablesRule::of(&entry.port, &entry.ip);
        let v4 = rules.into_iter().filter(|rule| !rule.ipv6);
        v4.map(|rule| format!("-A FORWARD {rule} -j ACCEPT\n")).collect::<Vec<_>>().concat()
    };
    let mut others = String::new();
    for n in 1..vifs {
        others += &rules(&entry(n, false)?);
    }
    let text = match place {
        Place::First => rules(ours) + &others,
        Place::Last => others + &rules(ours),
    };
    let mut child = Command::new("iptables-legacy-restore").stdin(Stdio::piped()).spawn()?;
    let stdin = child.stdin.as_mut().ok_or("a pipe")?;
    stdin.write_all(format!("*filter\n:FORWARD DROP [0:0]\n{text}COMMIT\n").as_bytes())?;
    if child.wait()?.success() { Ok(()) } else { Err("iptables-legacy-restore failed".into()) }
}

/// The guard's table, with so many vifs in it.
fn fill(nft: &mut Nftables, vifs: u16) -> Result<(), Box<dyn Error>> {
    let prefix = entry(5000, false)?;
    let snapshot = GuardSnapshot { generation: nft.generation()?, ..GuardSnapshot::default() };
    if let Some(Change::Nft { batch, undo }) = prefix.install(&snapshot)? {
        nft.apply(&batch)?;
        nft.apply(&undo)?;
    }
    for n in 1..=vifs {
        let (add, _) = batches(&entry(n, false)?)?;
        nft.apply(&add)?;
    }
    Ok(())
}

/// What adds a vif to a table that is there, and what takes it away.
fn batches(entry: &GuardEntry) -> Result<(NftBatch, NftBatch), Box<dyn Error>> {
    let prefix = self::entry(5000, false)?;
    let layout = prefix.layout(GuardLayout::new(NftFamily::Bridge, false));
    let mut snapshot = GuardSnapshot {
        sets: layout.sets(),
        chains: layout.chains(),
        rules: layout.rules(),
        ..GuardSnapshot::default()
    };
    snapshot.table = Some(xennet_core::types::NftTable {
        family: NftFamily::Bridge,
        name: GuardLayout::TABLE.to_owned(),
        comment: Some(layout.comment()),
        dormant: false,
    });
    match entry.install(&snapshot)? {
        Some(Change::Nft { batch, undo }) => Ok((batch, undo)),
        other => Err(format!("not a batch: {other:?}").into()),
    }
}

/// The vif of guest `n`: two addresses and a prefix, or one address for the one that is measured.
fn entry(n: u16, measured: bool) -> Result<GuardEntry, Box<dyn Error>> {
    let [high, low] = n.to_be_bytes();
    let port: IfName = format!("vif{n}.0").parse()?;
    let ip: IpList = if measured {
        "10.0.0.5".parse()?
    } else {
        format!("10.1.{high}.{low} fd00::{n:x} fd00:{n:x}::/64").parse()?
    };
    Ok(GuardEntry {
        port,
        owner: VifId { domid: n, devid: 0 },
        claims: true,
        bridge: Some("xenbr0".parse()?),
        mac: format!("00:16:3e:00:{high:02x}:{low:02x}").parse()?,
        ip,
        policy: GuardPolicy { level: GuardLevel::Strict, ..GuardPolicy::default() },
    })
}

impl std::fmt::Display for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = match self {
            Self::None => "no filter".to_owned(),
            Self::Guard(vifs) => format!("guard, {vifs} vifs"),
            Self::Iptables(1, _) => "iptables and br_netfilter, 1 vif".to_owned(),
            Self::Iptables(vifs, Place::First) => {
                format!("iptables and br_netfilter, {vifs} vifs, newest")
            }
            Self::Iptables(vifs, Place::Last) => {
                format!("iptables and br_netfilter, {vifs} vifs, oldest")
            }
        };
        f.pad(&text)
    }
}
