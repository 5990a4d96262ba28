//! A dom0 whose bridge has only ports that the test itself plays: guests, and an uplink.
#![expect(
    clippy::missing_panics_doc,
    clippy::indexing_slicing,
    reason = "what tests share fails as tests do: by a panic"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use xennet_core::config::{GuardLevel, GuardPolicy};
use xennet_core::kernel::Nftables;
use xennet_core::plan::Change;
use xennet_core::plan::guard::{
    Explanation, Frame, GuardEntry, GuardLayout, GuardSnapshot, belongs_to, explain,
};
use xennet_core::types::{
    IfName, MacAddr, NftChain, NftElement, NftFamily, NftRule, NftSet, VifId,
};

use crate::hotplug::{Dom0, Script};
use crate::tap::Tap;

/// The bridge `xenbr0`, its port `eth0` with nobody's guard, and the guests that are added.
///
/// dom0 itself says nothing on the bridge, so whatever is received was sent by the test.
#[derive(Debug)]
pub struct Guests {
    /// All but the ports.
    pub dom0: Dom0,
    /// The family whose table guards them.
    pub family: NftFamily,
    taps: BTreeMap<IfName, Tap>,
}

/// The domains of guests of each kind, and their addresses.
const OF_EACH_KIND: [(u16, &str); 6] = [
    // The third and the last have host bits: they are single addresses.
    (1, "10.0.0.5 10.0.1.0/24 10.0.2.9/24 2001:db8::5 2001:db8:1::/64 2001:db8:9::9/64"),
    (2, "10.0.0.6 10.0.1.6 2001:db8::6 2001:db8:1::6 2001:db8:2::/64"),
    (3, "10.0.0.30 2001:db8::30"),
    (4, "10.0.0.40 2001:db8::40"),
    (5, "10.0.0.50 2001:db8::50"),
    (6, ""),
];

/// The guard's table as the kernel has it.
#[derive(Debug)]
pub struct Table {
    /// Its chains.
    pub chains: Vec<NftChain>,
    /// Its rules.
    pub rules: Vec<NftRule>,
    /// All elements of its sets.
    pub elements: Vec<(NftSet, NftElement)>,
}

/// What `nft` says was counted: by each rule that has a comment and a counter, and for each port.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counted {
    /// Packets by chain and comment.
    pub rules: BTreeMap<(String, String), u64>,
    /// Packets dropped by port.
    pub dropped: BTreeMap<String, u64>,
}

impl Guests {
    /// Makes it, with this text in `xennet.toml`.
    pub fn new(config: &str) -> Self {
        let dom0 = Dom0::without_bridge();
        dom0.netns.ip("link add xenbr0 type bridge mcast_snooping 0");
        silence("xenbr0");
        // What it would do to bridged packets is not the guard's doing.
        bridge_netfilter(false);
        dom0.netns.ip("link set xenbr0 up");
        fs::write(dom0.dir().join("xennet.toml"), config).expect("our own directory");
        let mut guests = Self { dom0, family: NftFamily::Bridge, taps: BTreeMap::new() };
        guests.port("eth0");
        guests.dom0.netns.ip("link set eth0 master xenbr0 up");
        guests
    }

    /// Makes it with a guest of each kind.
    ///
    /// `vif1.0` is strict, with addresses and prefixes; so is `vif2.0`, some of whose addresses are within those
    /// prefixes. `vif3.0` is held to `ip`, `vif4.0` to `mac`, `vif6.0` to nothing, and `vif5.0` may be server and router.
    pub fn of_each_kind() -> Self {
        const UUID: &str = "6a5b8e1c-0f3d-4c55-9d3e-2b1f0a9c8d7e";
        let mut guests = Self::new(&format!(
            "[[bridge]]\nname = \"xenbr0\"\n\
             [[guest]]\nname = \"ip\"\nguard = \"ip\"\n\
             [[guest]]\nname = \"mac\"\nguard = \"mac\"\n\
             [[guest]]\nuuid = \"{UUID}\"\ndhcp_server = \"allow\"\nrouter = \"allow\"\n"
        ));
        let path = format!("/vm/{UUID}");
        for (domid, key, value) in [(3, "name", "ip"), (4, "name", "mac"), (5, "vm", &path)] {
            let key = format!("/local/domain/{domid}/{key}");
            guests.dom0.store.tool("xenstore-write", &[&key, value]);
        }
        for (domid, ip) in OF_EACH_KIND {
            guests.guest(domid, &[("ip", ip)]);
        }
        guests
    }

    /// The same guests, guarded at the ingress hooks of their interfaces, as on a bridge of Open vSwitch. That comes
    /// before a bridge of Linux as well, so they stay on that one.
    pub fn of_each_kind_at_ingress() -> Self {
        let mut guests = Self { family: NftFamily::Netdev, ..Self::new("") };
        for (domid, _) in OF_EACH_KIND {
            guests.guest(domid, &[]);
        }
        for (domid, ip) in OF_EACH_KIND {
            let level = match domid {
                3 => GuardLevel::Ip,
                4 => GuardLevel::Mac,
                6 => continue,
                _ => GuardLevel::Strict,
            };
            let mut entry = guarded_at_ingress(domid, ip);
            let (dhcp_server, router) = (domid == 5, domid == 5);
            entry.policy = GuardPolicy { level, dhcp_server, router, ..entry.policy };
            install(&entry);
        }
        guests
    }

    /// Makes an interface that the test plays the other end of.
    pub fn port(&mut self, name: &str) {
        let tap = Tap::new(&self.dom0.netns, name);
        self.taps.insert(name.parse().expect("a name"), tap);
        silence(name);
    }

    /// Boots a guest and plugs its vif in: `mac` ends in its domain's id, and `keys` say the rest.
    pub fn guest(&mut self, domid: u16, keys: &[(&str, &str)]) -> VifId {
        let id = self.boot(domid, keys);
        self.dom0.online(Script::Ours, id).succeeded();
        id
    }

    /// The same, not plugged in yet.
    pub fn boot(&mut self, domid: u16, keys: &[(&str, &str)]) -> VifId {
        let id = VifId { domid, devid: 0 };
        self.port(&format!("vif{id}"));
        self.tell(id, keys);
        id
    }

    /// What libxl writes about that guest.
    pub fn tell(&self, id: VifId, keys: &[(&str, &str)]) {
        let mac = text(mac(id.domid));
        let keys: Vec<_> =
            [("mac", mac.as_str())].into_iter().chain(keys.iter().copied()).collect();
        self.dom0.fill_store(id, &keys);
    }

    /// An interface got another name, by which the test shall know it now.
    pub fn renamed(&mut self, old: &str, new: &str) {
        let tap = self.taps.remove(&old.parse().expect("a name")).expect("a port of that name");
        self.taps.insert(new.parse().expect("a name"), tap);
    }

    /// Takes an interface away, as netback does.
    pub fn unplug(&mut self, name: &str) {
        self.taps.remove(&name.parse().expect("a name"));
        self.dom0.netns.ip(&format!("link delete {name}"));
    }

    /// Has the port of the frame send it, whoever gets it.
    pub fn send(&self, frame: &Frame) {
        self.taps[&frame.port].send(&frame.bytes);
    }

    /// The frames that an interface has been sent since this was asked for last.
    pub fn received(&self, name: &str) -> Vec<Vec<u8>> {
        let name: IfName = name.parse().expect("a name");
        self.taps[&name].received()
    }

    /// Has the port of the frame send it; whether every other port got it, as it was.
    pub fn passes(&self, frame: &Frame) -> bool {
        for tap in self.taps.values() {
            tap.received();
        }
        self.taps[&frame.port].send(&frame.bytes);
        let mut got: Vec<(&IfName, bool)> = Vec::new();
        for (name, tap) in &self.taps {
            let received = tap.received();
            if *name == frame.port {
                assert!(received.is_empty(), "{name} got back {received:02x?}");
                continue;
            }
            assert!(received.len() <= 1, "{name}: {received:02x?}");
            assert!(received.iter().all(|bytes| *bytes == frame.bytes), "{name}: {received:02x?}");
            got.push((name, !received.is_empty()));
        }
        let passes = got.iter().any(|(_, got)| *got);
        for (name, got) in got {
            assert!(got == passes || !self.is_port(name), "{name} is the only one without it");
        }
        passes
    }

    /// The same in words: `passes`, or what the rule says that dropped it, by its counter. A drop must also be counted
    /// for the port, if it is guarded, and for nobody else; what passes counts nowhere.
    pub fn verdict(&self, frame: &Frame) -> String {
        self.verdicts([frame]).remove(0)
    }

    /// The same of one frame after the other.
    pub fn verdicts<'f>(&self, frames: impl IntoIterator<Item = &'f Frame>) -> Vec<String> {
        let mut before = self.counted();
        let mut verdicts = Vec::new();
        for frame in frames {
            let passes = self.passes(frame);
            let after = self.counted();
            let dropped = after.since(&before);
            let guarded = after.dropped.contains_key(frame.port.as_str());
            let of_port = |port: &IfName| BTreeMap::from([(port.to_string(), 1)]);
            let dropping: Vec<_> = dropped
                .rules
                .iter()
                .map(|((_, words), packets)| (words.as_str(), *packets))
                .collect();
            let (verdict, counted) = match dropping[..] {
                [] => ("passes", BTreeMap::new()),
                [(words, 1)] if guarded => (words, of_port(&frame.port)),
                [(words, 1)] => (words, BTreeMap::new()),
                _ => panic!("counted more than once: {dropping:?} {frame:02x?}"),
            };
            assert_eq!(passes, verdict == "passes", "{verdict}, says the counter: {frame:02x?}");
            assert_eq!(dropped.dropped, counted, "{verdict}: {frame:02x?}");
            verdicts.push(verdict.to_owned());
            before = after;
        }
        verdicts
    }

    /// Whether an interface is a port of the bridge now.
    fn is_port(&self, name: &IfName) -> bool {
        let link = self.dom0.netns.link(name.as_str());
        let up = link["flags"].as_array().is_some_and(|flags| flags.contains(&"UP".into()));
        up && link["master"] == "xenbr0"
    }

    /// What was counted until now.
    pub fn counted(&self) -> Counted {
        let mut counted = Counted::default();
        for object in self.dom0.netns.nft_json(&format!("list table {} xennet", self.family)) {
            let rule = &object["rule"];
            if let (Some(comment), Some(packets)) = (rule["comment"].as_str(), packets(rule)) {
                let chain = rule["chain"].as_str().expect("a rule is in a chain").to_owned();
                *counted.rules.entry((chain, comment.to_owned())).or_default() += packets;
            }
            for element in object["set"]["elem"].as_array().into_iter().flatten() {
                let element = &element["elem"];
                if object["set"]["name"] == "ports" {
                    let port = element["val"].as_str().expect("a name");
                    counted.dropped.entry(port.to_owned()).or_default();
                }
                // Tables of older versions count in `dropped`.
                let port = match object["set"]["name"].as_str() {
                    Some("drops") => &element["val"]["concat"][0],
                    Some("dropped") => &element["val"],
                    _ => continue,
                };
                let port = port.as_str().expect("a name").to_owned();
                let packets = element["counter"]["packets"].as_u64().expect("it counts");
                *counted.dropped.entry(port).or_default() += packets;
            }
        }
        counted
    }

    /// The guard's table as the kernel has it.
    pub fn table(&self) -> Table {
        Table::of(self.family)
    }
}

impl Counted {
    /// What came on top of an earlier count.
    fn since(&self, before: &Self) -> Self {
        Self {
            rules: grown(&before.rules, &self.rules),
            dropped: grown(&before.dropped, &self.dropped),
        }
    }
}

/// Where there are more than before, and how many.
fn grown<K: Ord + Clone>(before: &BTreeMap<K, u64>, after: &BTreeMap<K, u64>) -> BTreeMap<K, u64> {
    let grown = after.iter().map(|(key, count)| {
        let before = before.get(key).copied().unwrap_or(0);
        (key.clone(), count.checked_sub(before).expect("counters only grow"))
    });
    grown.filter(|(_, more)| *more > 0).collect()
}

impl Table {
    /// That of the calling thread's namespace, of family bridge. Panics when there is none.
    pub fn read() -> Self {
        Self::of(NftFamily::Bridge)
    }

    /// That of this family, once what was told to end has ended.
    pub fn of(family: NftFamily) -> Self {
        let mut nft = Nftables::open().expect("this kernel has nf_tables");
        let began = Instant::now();
        loop {
            let table = Self::read_once(&mut nft, family);
            if table.elements.iter().all(|(_, element)| element.timeout.is_none()) {
                return table;
            }
            assert!(began.elapsed() < Duration::from_secs(5), "it does not end: {table:?}");
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn read_once(nft: &mut Nftables, family: NftFamily) -> Self {
        let name = GuardLayout::TABLE;
        let sets = nft.sets(family, name).expect("sets");
        assert!(!sets.is_empty(), "there is no table");
        let mut elements = Vec::new();
        // Set `whole` caches verifications of the table, which come and go.
        for set in sets.iter().filter(|set| set.name != "whole") {
            let of_set = nft.elements(family, name, set).expect("elements");
            elements.extend(of_set.into_iter().map(|element| (set.clone(), element)));
        }
        Self {
            chains: nft.chains(family, name).expect("chains"),
            rules: nft.rules(family, name).expect("rules"),
            elements,
        }
    }

    /// All elements as text, each behind its set's name.
    pub fn texts(&self) -> BTreeSet<String> {
        self.elements.iter().map(|(set, element)| format!("{} {element}", set.name)).collect()
    }

    /// Who owns what, by [`key`].
    pub fn owners(&self) -> BTreeMap<String, String> {
        let owned = self.elements.iter().filter(|(set, _)| set.name.starts_with("owned"));
        let whose = |element: &NftElement| element.comment.clone().expect("it says whose it is");
        owned.map(|(set, element)| (key(set, element), whose(element))).collect()
    }

    /// What these rules and elements make of a frame.
    pub fn explain(&self, frame: &Frame) -> Explanation {
        explain(&self.chains, &self.rules, &self.elements, frame)
    }
}

/// What guards `vifDOMID.0` strictly at its ingress hook.
pub fn guarded_at_ingress(domid: u16, ip: &str) -> GuardEntry {
    let owner = VifId { domid, devid: 0 };
    GuardEntry {
        port: format!("vif{owner}").parse().expect("a name"),
        owner,
        claims: true,
        bridge: Some("ovsbr0".parse().expect("a name")),
        switch: true,
        mac: MacAddr::from_octets(mac(domid)).expect("no group's"),
        ip: ip.parse().expect("addresses"),
        policy: GuardPolicy { level: GuardLevel::Strict, ..GuardPolicy::default() },
    }
}

/// Guards a port, and sees that there is nothing left to do.
pub fn install(entry: &GuardEntry) {
    let mut nft = Nftables::open().expect("this kernel has nf_tables");
    if let Some(Change::Nft { batch, .. }) = planned(&mut nft, entry) {
        nft.apply(&batch).expect("the kernel takes it");
    }
    assert_eq!(planned(&mut nft, entry), None);
}

fn planned(nft: &mut Nftables, entry: &GuardEntry) -> Option<Change> {
    let (family, name) = (entry.family(), GuardLayout::TABLE);
    let mut seen = GuardSnapshot {
        generation: nft.generation().expect("a number"),
        table: nft.table(family, name).expect("a table, or none"),
        sets: nft.sets(family, name).expect("sets"),
        chains: nft.chains(family, name).expect("chains"),
        rules: nft.rules(family, name).expect("rules"),
        ..GuardSnapshot::default()
    };
    for set in &seen.sets {
        let mut of_set = nft.elements(family, name, set).expect("elements");
        let ports = std::slice::from_ref(&entry.port);
        of_set.retain(|element| belongs_to(set, element, ports, Some(entry.owner)));
        seen.present.extend(of_set.into_iter().map(|element| (set.clone(), element)));
    }
    entry.install(&seen).expect("a table of the guard's, or none")
}

/// An element as text, behind its set's name and without its comment.
pub fn key(set: &NftSet, element: &NftElement) -> String {
    format!("{} {}", set.name, NftElement::new(element.key.iter().cloned()))
}

/// The Ethernet address of that domain's guest.
pub fn mac(domid: u16) -> [u8; 6] {
    let [high, low] = domid.to_be_bytes();
    [0x00, 0x16, 0x3e, 0, high, low]
}

/// An Ethernet address as XenStore has it.
pub fn text(mac: [u8; 6]) -> String {
    mac.map(|octet| format!("{octet:02x}")).join(":")
}

/// Whether iptables, and nftables' own IP families, see bridged packets in the calling thread's namespace.
pub fn bridge_netfilter(on: bool) {
    for name in ["iptables", "ip6tables", "arptables"] {
        sysctl(&format!("net/bridge/bridge-nf-call-{name}"), if on { "1" } else { "0" });
    }
}

/// Keeps dom0 from speaking IPv6 by that interface.
fn silence(interface: &str) {
    sysctl(&format!("net/ipv6/conf/{interface}/disable_ipv6"), "1");
}

fn sysctl(path: &str, value: &str) {
    let path = format!("/proc/sys/{path}");
    fs::write(&path, value).unwrap_or_else(|error| panic!("{path}: {error}"));
}

/// What a rule's counter says, if it has one.
fn packets(rule: &Value) -> Option<u64> {
    let words = rule["expr"].as_array()?;
    words.iter().find_map(|word| word["counter"]["packets"].as_u64())
}

/// A table as `nft` lists it, without the generations at which it was verified, and without what was dropped.
pub fn as_planned(listed: &str) -> String {
    let mut within = false;
    let kept = listed.lines().filter(|line| {
        within = ["set whole {", "set drops {"].contains(&line.trim()) || within && *line != "\t}";
        !within || !(line.contains("elements = ") || line.contains("0x"))
    });
    kept.flat_map(|line| [line, "\n"]).collect()
}
