//! Two hosts with a network between them, each a dom0 of its own, and guests that move from one to the other.
#![expect(
    clippy::missing_panics_doc,
    clippy::indexing_slicing,
    reason = "what tests share fails as tests do: by a panic"
)]

use std::fs::{self, File};
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};
use xennet_core::types::VifId;

use crate::hotplug::Dom0;
use crate::netns::{another, within};

/// How long anything may take that others do in their own time.
const PATIENCE: Duration = Duration::from_mins(1);

/// Two hosts whose interfaces `under` lead to each other.
#[derive(Debug)]
pub struct Hosts {
    // The way back out of the second leads to the first.
    second: Dom0,
    first: Dom0,
    netns: [File; 2],
}

/// A guest of one of them, in a network of its own: its `eth0` is the other end of its vif.
#[derive(Debug)]
pub struct Guest {
    netns: File,
}

/// A daemon that ends with the test.
#[derive(Debug)]
pub struct Daemon(Child);

impl Default for Hosts {
    fn default() -> Self {
        Self::new()
    }
}

impl Hosts {
    /// Makes them, with nothing but `lo` and `under`, which is up and has no address.
    pub fn new() -> Self {
        let netns = || File::open("/proc/thread-self/ns/net").expect("/proc is mounted");
        let first = Dom0::without_bridge();
        let one = netns();
        let second = Dom0::without_bridge();
        let hosts = Self { second, first, netns: [one, netns()] };
        let there = format!("/proc/{}/fd/{}", std::process::id(), hosts.netns[0].as_raw_fd());
        hosts.second.netns.ip(&format!("link add under type veth peer name under netns {there}"));
        for n in 0..2 {
            hosts.at(n).netns.ip("link set under up");
        }
        hosts
    }

    /// Goes to the first (0) or the second (1): until the next word on where to be, all that runs, runs there.
    pub fn at(&self, n: usize) -> &Dom0 {
        setns(&self.netns[n], CloneFlags::CLONE_NEWNET).expect("root may enter it");
        if n == 0 { &self.first } else { &self.second }
    }

    /// The host's network, for a daemon of its own.
    pub fn netns(&self, n: usize) -> &File {
        &self.netns[n]
    }

    /// Boots a guest on a host, as far as libxl and netback do before they call a script. It says nothing of itself until
    /// it has an address.
    pub fn boot(&self, n: usize, id: VifId, mac: &str, keys: &[(&str, &str)]) -> Guest {
        let keys = [&[("mac", mac)], keys].concat();
        let dom0 = self.at(n);
        dom0.boot(id, &keys);
        let guest = Guest { netns: another() };
        let file = format!("/proc/{}/fd/{}", std::process::id(), guest.netns.as_raw_fd());
        dom0.netns.ip(&format!("link set guest{id} netns {file} name eth0"));
        guest.ip(&format!("link set eth0 address {mac} addrgenmode none up"));
        guest
    }
}

impl Guest {
    /// Runs `ip` in the guest; panics with what it said when it fails.
    pub fn ip(&self, words: &str) {
        let output = self.run("ip", words);
        assert!(output.status.success(), "guest: ip {words}: {output:?}");
    }

    /// Gives it addresses, such as `10.0.0.5/24`: it uses them at once.
    pub fn address(&self, nets: &[&str]) {
        for net in nets {
            let nodad = if net.contains(':') { " nodad" } else { "" };
            self.ip(&format!("address add {net} dev eth0{nodad}"));
        }
    }

    /// Waits until another answers: the first packets of a new way may be lost.
    pub fn reaches(&self, whom: &str) {
        eventually(&format!("an answer of {whom}"), || self.pings(whom, "-c1 -W1"));
    }

    /// Whether any of some pings, with these words, is answered.
    pub fn pings(&self, whom: &str, words: &str) -> bool {
        let _: IpAddr = whom.parse().expect("an address");
        self.run("ping", &format!("{words} {whom}")).status.success()
    }

    fn run(&self, program: &str, words: &str) -> Output {
        within(&self.netns, || {
            let output = Command::new(program).args(words.split_whitespace()).output();
            output.unwrap_or_else(|error| panic!("{program}: {error}: run tests/setup"))
        })
    }
}

impl Daemon {
    /// Starts it in a network, in the foreground; what it says is the log file's.
    pub fn start(netns: &File, log: &std::path::Path, command: &mut Command) -> Self {
        let log = File::create(log).expect("our own directory");
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a file")).stderr(log);
        let command = std::sync::Mutex::new(command);
        within(netns, || {
            let mut command = command.lock().expect("it is only here");
            let child = command.spawn();
            Self(child.unwrap_or_else(|error| panic!("{command:?}: {error}: run tests/setup")))
        })
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until something is so.
pub fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < PATIENCE, "never came: {what}");
        sleep(Duration::from_millis(50));
    }
}

/// Runs a tool, and panics with what it said when it fails.
pub fn tool(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}: run tests/setup"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A directory that daemons of another user's may use.
pub fn open_directory() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::TempDir::new().expect("a temporary directory");
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(dir.path(), mode).expect("our own directory");
    dir
}
