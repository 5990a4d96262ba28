//! A dom0 whose `eth0` leads to a router that knows nothing of its guests, and behind that router a far host.
#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "what tests share fails as tests do: by a panic"
)]

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::process::Command;
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

use serde_json::Value;
use xennet_core::types::VifId;

use crate::guests::bridge_netfilter;
use crate::hotplug::{Dom0, Outcome, Script};
use crate::netns::{another, within};

/// The host is `192.0.2.2` and `2001:db8::2`, the router `192.0.2.1` and `2001:db8::1`, the far host `198.51.100.2` and
/// `2001:db8:f::2`; packets of more than 1300 bytes do not come through to that one.
#[derive(Debug)]
pub struct World {
    /// The host, whose network the calling thread is in.
    pub dom0: Dom0,
    /// The network behind `eth0`.
    pub router: File,
    /// The far host's.
    pub far: File,
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// Makes it, in a namespace that the calling thread enters.
    pub fn new() -> Self {
        let world = Self { dom0: Dom0::without_bridge(), router: another(), far: another() };
        let netns = &world.dom0.netns;
        netns.ip("link add eth0 type veth peer name wan0");
        world.give("wan0", &world.router);
        netns.ip("link add near type veth peer name wan1");
        world.give("near", &world.router);
        world.give("wan1", &world.far);
        for words in ["link set eth0 addrgenmode none up", "address add 192.0.2.2/24 dev eth0"] {
            netns.ip(words);
        }
        netns.ip("address add 2001:db8::2/64 dev eth0 nodad");
        // Without one the host asks for no neighbour.
        netns.ip("address add fe80::2/64 dev eth0 nodad");
        netns.ip("route add default via 192.0.2.1");
        netns.ip("-6 route add default via 2001:db8::1");
        // The kernel makes the local routes of IPv6 addresses in its own time.
        let is_local = |ip: &str| {
            let routes = netns.ip_json("-6 route show table local");
            routes.as_array().into_iter().flatten().any(|route| route["dst"] == *ip)
        };
        while !["2001:db8::2", "fe80::2"].into_iter().all(is_local) {
            sleep(Duration::from_millis(10));
        }
        for words in [
            "link set lo up",
            "link set wan0 up",
            "link set near mtu 1300 up",
            "address add 192.0.2.1/24 dev wan0",
            "address add 2001:db8::1/64 dev wan0 nodad",
            "address add 198.51.100.1/24 dev near",
            "address add 2001:db8:f::1/64 dev near nodad",
        ] {
            ip(&world.router, words);
        }
        within(&world.router, || {
            sysctl("ipv4/ip_forward", "1");
            sysctl("ipv6/conf/all/forwarding", "1");
        });
        for words in [
            "link set lo up",
            "link set wan1 up",
            "address add 198.51.100.2/24 dev wan1",
            "address add 2001:db8:f::2/64 dev wan1 nodad",
            "route add default via 198.51.100.1",
            "-6 route add default via 2001:db8:f::1",
        ] {
            ip(&world.far, words);
        }
        world
    }

    /// Writes `xennet.toml`.
    pub fn configure(&self, text: &str) {
        fs::write(self.dom0.dir().join("xennet.toml"), text).unwrap();
    }

    /// `xennet network start`, which nobody has to confirm.
    pub fn start(&self) -> Outcome {
        self.dom0.xennet("network start --confirm-timeout 0 -v")
    }

    /// A guest with these addresses, plugged in by `vif-nat`, with what it needs to reach others.
    pub fn guest(&self, id: VifId, addresses: &str, gateways: [&str; 2]) -> File {
        let mac = format!("00:16:3e:00:00:{:02x}", id.domid);
        let script = ("script", "/etc/xen/scripts/vif-nat");
        self.dom0.boot(id, &[("ip", addresses), ("mac", &mac), script]);
        self.dom0.online(Script::OursNat, id).succeeded();
        let guest = self.move_in(id);
        let name = format!("guest{id}");
        for address in addresses.split_whitespace() {
            let (length, nodad) = if address.contains(':') { (64, "nodad") } else { (24, "") };
            ip(&guest, &format!("address add {address}/{length} dev {name} {nodad}"));
        }
        // Its own link-local address, as any guest has one.
        let own = format!("fe80::216:3eff:fe00:{:x}/64", id.domid);
        ip(&guest, &format!("address add {own} dev {name} nodad"));
        let [v4, v6] = gateways;
        ip(&guest, &format!("route add default via {v4} dev {name}"));
        ip(&guest, &format!("-6 route add default via {v6} dev {name}"));
        guest
    }

    /// A guest's own side, with its Ethernet address and no other.
    pub fn move_in(&self, id: VifId) -> File {
        let (guest, name) = (another(), format!("guest{id}"));
        self.give(&name, &guest);
        ip(&guest, "link set lo up");
        let mac = format!("00:16:3e:00:00:{:02x}", id.domid);
        ip(&guest, &format!("link set {name} address {mac} addrgenmode none up"));
        guest
    }

    /// All that the host's network is, as text.
    pub fn state(&self) -> Vec<String> {
        let netns = &self.dom0.netns;
        let dumps = [
            "address show",
            "-4 route show table all",
            "-6 route show table all",
            "neighbour show proxy",
            "-4 rule show",
            "-6 rule show",
        ];
        let mut all: Vec<String> = Vec::new();
        for words in dumps {
            for entry in netns.ip_json(words).as_array_mut().into_iter().flatten() {
                // The kernel gets to a carrier in its own time.
                if let Some(fields) = entry.as_object_mut() {
                    fields.remove("operstate");
                }
                if let Some(flags) = entry.get_mut("flags").and_then(Value::as_array_mut) {
                    flags.retain(|flag| *flag != "NO-CARRIER" && *flag != "linkdown");
                }
                all.push(format!("{words}: {entry}"));
            }
        }
        all.sort();
        for setting in [
            "ipv4/ip_forward",
            "ipv4/conf/all/accept_redirects",
            "ipv4/conf/eth0/forwarding",
            "ipv6/conf/all/forwarding",
            "ipv6/conf/eth0/forwarding",
            "ipv6/conf/eth0/accept_ra",
            "ipv6/conf/default/forwarding",
        ] {
            let value = fs::read_to_string(format!("/proc/sys/net/{setting}")).unwrap();
            all.push(format!("{setting} {value}"));
        }
        all.push(netns.nft_text("list ruleset"));
        all
    }

    fn give(&self, name: &str, netns: &File) {
        let file = format!("/proc/{}/fd/{}", std::process::id(), netns.as_raw_fd());
        self.dom0.netns.ip(&format!("link set {name} netns {file}"));
    }
}

/// Runs `ip` in a namespace, and says what it said.
pub fn ip(netns: &File, words: &str) -> String {
    within(netns, || {
        let output = Command::new("ip").args(words.split_whitespace()).output().unwrap();
        assert!(output.status.success(), "ip {words}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    })
}

/// Whether one answer comes; asked again for a while, for the first question may be lost.
pub fn reaches(from: &File, words: &str) -> bool {
    within(from, || (0..10).any(|_| ping(&format!("-c 1 -W 1 {words}"))))
}

/// Whether no answer comes.
pub fn never_reaches(from: &File, words: &str) -> bool {
    within(from, || !ping(&format!("-c 2 -i 0.2 -W 1 {words}")))
}

fn ping(words: &str) -> bool {
    let words = format!("-n -q {words}");
    Command::new("ping").args(words.split_whitespace()).output().unwrap().status.success()
}

/// A server that reads all that its first guest sends, and answers who that is to it.
#[derive(Debug)]
pub struct Server(JoinHandle<(IpAddr, usize)>);

impl Server {
    /// Listens in a namespace.
    pub fn listen(netns: &File, address: &str) -> Self {
        let began = Instant::now();
        let listener = within(netns, || {
            loop {
                match TcpListener::bind(address) {
                    Ok(listener) => break listener,
                    // A process that another test is starting has the last listener until it executes its program.
                    Err(error)
                        if error.kind() == ErrorKind::AddrInUse && began.elapsed() < PATIENCE =>
                    {
                        sleep(Duration::from_millis(10));
                    }
                    Err(error) => panic!("{address}: {error}"),
                }
            }
        });
        Self(thread::spawn(move || {
            let (mut stream, peer) = listener.accept().unwrap();
            let mut all = Vec::new();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.read_to_end(&mut all).unwrap();
            (peer.ip(), all.len())
        }))
    }

    /// Whom it has heard, after so many bytes.
    pub fn heard(self, bytes: usize) -> String {
        let (peer, count) = self.0.join().unwrap();
        assert_eq!(count, bytes);
        peer.to_string()
    }
}

/// Sends so many bytes from a namespace to a server; tried again until somebody listens there.
pub fn send(from: &File, to: &str, bytes: usize) {
    let to: SocketAddr = to.parse().unwrap();
    within(from, || {
        let began = Instant::now();
        let mut stream = loop {
            match TcpStream::connect_timeout(&to, Duration::from_secs(2)) {
                Ok(stream) => break stream,
                // An IPv6 address of the host's may still be looked for.
                Err(error) if began.elapsed() < PATIENCE => {
                    assert_ne!(error.kind(), ErrorKind::PermissionDenied);
                    sleep(Duration::from_millis(100));
                }
                Err(error) => panic!("{to}: {error}"),
            }
        };
        stream.write_all(&vec![7; bytes]).unwrap();
    });
}

/// Port 8080 of the host leads to port 80 of the guest `10.7.0.5` and `fd00:7::5`: from outside, from the host, from its
/// neighbour and from the guest itself.
pub fn ports_lead_in(world: &World, guest: &File, other: &File) {
    let host = File::open("/proc/thread-self/ns/net").unwrap();
    for (listen, port, outside) in [
        ("10.7.0.5:80", "192.0.2.2:8080", "192.0.2.1"),
        ("[fd00:7::5]:80", "[2001:db8::2]:8080", "2001:db8::1"),
    ] {
        let server = || Server::listen(guest, listen);
        let heard = server();
        send(&world.router, port, 100);
        assert_eq!(heard.heard(100), outside, "it sees who asks");
        for from in [other, &host] {
            let heard = server();
            send(from, port, 100);
            heard.heard(100);
        }
        // A bridge does not send a frame back to where it came from, and `br_netfilter` would keep it one.
        bridge_netfilter(false);
        let heard = server();
        send(guest, port, 100);
        heard.heard(100);
        bridge_netfilter(true);
    }
    // A port of somebody else's is that one's.
    let far = Server::listen(&world.far, "198.51.100.2:8080");
    send(guest, "198.51.100.2:8080", 5);
    assert_eq!(far.heard(5), "192.0.2.2");
}

/// Writes a setting of the calling thread's namespace.
pub fn sysctl(key: &str, value: &str) {
    fs::write(format!("/proc/sys/net/{key}"), value).unwrap_or_else(|e| panic!("{key}: {e}"));
}

const PATIENCE: Duration = Duration::from_secs(30);
