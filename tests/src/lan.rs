//! A host on a network with a router, each in a namespace of its own.
#![expect(clippy::missing_panics_doc, reason = "what tests share fails as tests do: by a panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::net::{Ipv6Addr, SocketAddrV6};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::unistd::Pid;
use serde_json::Value;
use socket2::{Domain, Protocol, Socket, Type};
use tempfile::TempDir;

use crate::hotplug::{Outcome, xennet};
use crate::netns::{Netns, another, within};

/// A host whose `eth0` leads to the router's `lan0`, which has `192.0.2.1/24`, `2001:db8::1/64` and
/// `fe80::1/64`.
#[derive(Debug)]
pub struct Lan {
    /// The host's network.
    pub netns: Netns,
    /// The router's.
    pub router: File,
    dir: TempDir,
}

impl Default for Lan {
    fn default() -> Self {
        Self::new()
    }
}

impl Lan {
    /// Makes it, in a namespace that the calling thread enters; `eth0` is up and has its link-local address only.
    pub fn new() -> Self {
        let netns = Netns::new();
        let router = another();
        netns.ip("link add eth0 address 02:00:00:00:00:02 type veth peer name lan0");
        let file = format!("/proc/{}/fd/{}", std::process::id(), fd(&router));
        netns.ip(&format!("link set lan0 netns {file}"));
        netns.ip("link set eth0 up");
        let lan = Self { netns, router, dir: TempDir::new().expect("a temporary directory") };
        lan.router_ip("link set lo up");
        lan.router_ip("link set lan0 address 02:00:00:00:00:01");
        lan.router_ip("link set lan0 addrgenmode none");
        lan.router_ip("link set lan0 up");
        for address in ["192.0.2.1/24", "2001:db8::1/64", "fe80::1/64"] {
            let nodad = if address.contains(':') { " nodad" } else { "" };
            lan.router_ip(&format!("address add {address} dev lan0{nodad}"));
        }
        // The kernel gets to a new carrier in its own time, and makes that address only then.
        let began = Instant::now();
        while !lan.netns.ip_json("-6 address show dev eth0").to_string().contains("fe80::") {
            assert!(began.elapsed() < Duration::from_mins(1), "eth0 has no link-local address");
            sleep(Duration::from_millis(20));
        }
        lan.settled();
        lan
    }

    /// The usual addresses and routes of a host: two networks, IPv4 and IPv6, a default route each.
    pub fn with_addresses() -> Self {
        let lan = Self::new();
        for words in [
            "address add 192.0.2.2/24 brd + dev eth0",
            "address add 192.0.2.3/24 dev eth0",
            "address add 2001:db8::2/64 dev eth0",
            "address add 2001:db8::3/64 dev eth0 nodad",
            "route add default via 192.0.2.1 dev eth0",
            "-6 route add default via fe80::1 dev eth0",
        ] {
            lan.netns.ip(words);
        }
        lan.settled();
        lan
    }

    /// Runs `ip` on the router.
    pub fn router_ip(&self, words: &str) {
        within(&self.router, || {
            let output = Command::new("ip").args(words.split_whitespace()).output();
            let output = output.unwrap_or_else(|error| panic!("ip (iproute2): {error}"));
            assert!(output.status.success(), "router: ip {words}: {output:?}");
        });
    }

    /// Sends a router advertisement (RFC 4861) from `fe80::1`: a default route, and a prefix of 64 bits to make addresses in,
    /// each for so many seconds.
    pub fn advertise(&self, seconds: u16, prefix: &str) {
        self.advertise_by("lan0", seconds, prefix);
    }

    /// The same by another interface of the router.
    pub fn advertise_by(&self, link: &str, seconds: u16, prefix: &str) {
        let seconds_long = u32::from(seconds).to_be_bytes();
        let mut message = vec![134, 0, 0, 0, 64, 0];
        message.extend(seconds.to_be_bytes());
        message.extend([0; 8]);
        // The prefix: on the link, and for addresses; valid and preferred.
        message.extend([3, 4, 64, 0xc0]);
        message.extend([seconds_long, seconds_long].concat());
        message.extend([0; 4]);
        message.extend(prefix.parse::<Ipv6Addr>().expect("an address").octets());
        within(&self.router, || {
            let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6));
            let socket = socket.expect("the tests run as root");
            let index = index(link);
            socket.set_multicast_hops_v6(255).expect("a value of its type");
            socket.set_multicast_if_v6(index).expect("an interface");
            let address = |last: u16, first: u16| {
                let ip = Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, last);
                SocketAddrV6::new(ip, 0, 0, index).into()
            };
            socket.bind(&address(1, 0xfe80)).expect("the router's own address");
            socket.send_to(&message, &address(1, 0xff02)).expect("the link is up");
        });
    }

    /// The process that rolls back a start on trial.
    pub fn watchdog(&self) -> Pid {
        self.pending().expect("a start is on trial")
    }

    /// The same; none if no start is on trial.
    pub fn pending(&self) -> Option<Pid> {
        let pending = fs::read(self.run_dir().join("network.pending")).ok()?;
        let pending: Value = serde_json::from_slice(&pending).expect("a file of xennet's own");
        let pid =
            pending.get("watchdog").and_then(Value::as_i64).and_then(|pid| pid.try_into().ok());
        Some(Pid::from_raw(pid.expect("the watchdog's process id")))
    }

    /// Waits until no watchdog is left.
    pub fn watchdog_ended(&self) {
        // A starter that is killed early may leave the lock file of a watchdog, so that only the processes say it.
        let variable = format!("XENNET_RUN_DIR={}", self.run_dir().display()).into_bytes();
        let is_ours = |process: fs::DirEntry| {
            let environ = fs::read(process.path().join("environ")).unwrap_or_default();
            environ.split(|byte| *byte == 0).any(|entry| entry == variable)
        };
        until("the watchdog ends", || {
            !fs::read_dir("/proc").expect("/proc is mounted").flatten().any(is_ours)
        });
    }

    /// Writes `xennet.toml`.
    pub fn configure(&self, text: &str) {
        fs::write(self.config(), text).expect("our own directory");
    }

    /// Runs the command.
    pub fn xennet(&self, words: &str) -> Outcome {
        let began = Instant::now();
        let output = self.command(words).output().unwrap_or_else(|e| panic!("xennet {words}: {e}"));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Outcome {
            code: output.status.code(),
            stderr: text(&output.stderr),
            stdout: text(&output.stdout),
            took: began.elapsed(),
        }
    }

    /// The command, not yet run.
    pub fn command(&self, words: &str) -> Command {
        let mut command = Command::new(xennet());
        command.args(words.split_whitespace());
        // Most tests are about the start itself, and nobody is there to confirm it.
        if words.starts_with("network start") && !words.contains("--confirm-timeout") {
            command.args(["--confirm-timeout", "0"]);
        }
        command
            .env("XENNET_RUN_DIR", self.run_dir())
            .env("XENNET_ROOT_DIR", self.dir.path())
            .env("XENNET_CONFIG", self.config())
            .stdin(Stdio::null());
        command
    }

    /// Where other programs' files are looked for, and ours are.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Where locks and the record are.
    pub fn run_dir(&self) -> PathBuf {
        self.dir.path().join("run")
    }

    /// Whether there is a record of what was before.
    pub fn recorded(&self) -> bool {
        self.run_dir().join("network.json").exists()
    }

    fn config(&self) -> PathBuf {
        self.dir.path().join("xennet.toml")
    }

    /// Waits until no IPv6 address is being probed for duplicates any more.
    pub fn settled(&self) {
        let began = Instant::now();
        while !self.netns.ip_json("-6 address show tentative").as_array().is_none_or(|all| {
            all.iter().all(|link| link.as_object().is_none_or(serde_json::Map::is_empty))
        }) {
            assert!(began.elapsed() < Duration::from_mins(1), "an address is tentative for ever");
            sleep(Duration::from_millis(20));
        }
    }

    /// All that one can see of the host's network, a line per fact, once it has come to rest.
    ///
    /// How long something is still valid is not a part of it, only whether it has an end.
    pub fn state(&self) -> BTreeMap<String, Value> {
        self.settled();
        let mut state = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for (words, key) in [
            ("address show", "ifname"),
            ("-4 route show table all", "dst"),
            ("-6 route show table all", "dst"),
            ("-4 neighbour show nud permanent", "dst"),
            ("-6 neighbour show nud permanent", "dst"),
            ("neighbour show proxy", "dst"),
            ("-4 rule show", "priority"),
            ("-6 rule show", "priority"),
        ] {
            for entry in self.netns.ip_json(words).as_array_mut().into_iter().flatten() {
                timeless(entry);
                // Multicast entries of the neighbour table come and go by themselves.
                if entry["dst"].as_str().is_some_and(|dst| dst.starts_with("ff02")) {
                    continue;
                }
                // The kernel lists routes alike in the order in which their interfaces came up.
                let mut name = format!("{words} {} {}", entry[key], entry["dev"]);
                while !seen.insert(name.clone()) {
                    name.push('+');
                }
                facts(&name, entry, &mut state);
            }
        }
        for family in ["ipv4", "ipv6"] {
            for link in ["all", "default", "eth0"] {
                let dir = format!("/proc/sys/net/{family}/conf/{link}");
                for file in fs::read_dir(&dir).into_iter().flatten().flatten() {
                    if let Ok(text) = fs::read_to_string(file.path()) {
                        state.insert(file.path().display().to_string(), text.trim().into());
                    }
                }
            }
        }
        state
    }
}

/// Each thing that is said, by its place.
fn facts(place: &str, value: &Value, state: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                // The kernel gets to the one later, in its own time, and the others run.
                if name == "operstate" || name.ends_with("_timer") {
                    continue;
                }
                if let ("flags", Some(flags)) = (name.as_str(), field.as_array()) {
                    let flags =
                        flags.iter().filter(|flag| *flag != "NO-CARRIER" && *flag != "linkdown");
                    state.insert(format!("{place} flags"), flags.cloned().collect());
                } else {
                    facts(&format!("{place} {name}"), field, state);
                }
            }
        }
        Value::Array(values) => {
            for (n, value) in values.iter().enumerate() {
                facts(&format!("{place} {n}"), value, state);
            }
        }
        fact => {
            state.insert(place.to_owned(), fact.clone());
        }
    }
}

/// Says of what has an end only that it has one.
pub fn timeless(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                let time =
                    matches!(name.as_str(), "valid_life_time" | "preferred_life_time" | "expires");
                match field.as_u64() {
                    Some(seconds) if time && seconds != u64::from(u32::MAX) => {
                        *field = "some time".into();
                    }
                    _ => timeless(field),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(timeless),
        _ => {}
    }
}

/// The index of an interface of the calling thread's namespace.
fn index(name: &str) -> u32 {
    let output = Command::new("ip").args(["-o", "link", "show", "dev", name]).output();
    let text = String::from_utf8(output.expect("ip (iproute2)").stdout).expect("UTF-8");
    let index = text.split(':').next().and_then(|index| index.trim().parse().ok());
    index.expect("the interface exists")
}

/// Waits until a condition holds.
pub fn until(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_mins(1), "never: {what}");
        sleep(Duration::from_millis(10));
    }
}

fn fd(file: &File) -> i32 {
    use std::os::fd::AsRawFd;
    file.as_raw_fd()
}

/// Fails with what differs, a fact per line.
pub fn assert_same(before: &BTreeMap<String, Value>, after: &BTreeMap<String, Value>, what: &str) {
    let text = |value: Option<&Value>| value.map_or("nothing".to_owned(), Value::to_string);
    let wrong: BTreeSet<String> = before
        .keys()
        .chain(after.keys())
        .filter(|name| before.get(*name) != after.get(*name))
        .map(|name| format!("{name}: {} became {}", text(before.get(name)), text(after.get(name))))
        .collect();
    assert!(wrong.is_empty(), "{what}: {wrong:#?}");
}
