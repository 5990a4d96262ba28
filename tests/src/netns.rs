//! A network namespace per test, with `ip`, `bridge` and `nft` as the judges of what happened in it.
#![expect(
    clippy::missing_panics_doc,
    clippy::indexing_slicing,
    reason = "what tests share fails as tests do: by a panic"
)]

use std::fs::File;
use std::io::Write;
use std::marker::PhantomData;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns, unshare};
use serde_json::Value;

/// The calling thread is in an empty network namespace of its own for as long as this lives.
///
/// All that was made in it disappears with it. It cannot be sent to another thread.
#[derive(Debug)]
pub struct Netns {
    before: File,
    not_send: PhantomData<*const ()>,
}

impl Netns {
    /// Moves the calling thread into a new namespace, whose `lo` is up. Panics without root's rights.
    pub fn new() -> Self {
        let before = own_netns();
        unshare_net();
        let netns = Self { before, not_send: PhantomData };
        netns.ip("link set lo up");
        netns
    }

    /// Runs `ip` with these words; panics with what it said when it fails.
    pub fn ip(&self, words: &str) {
        run("ip", words.split_whitespace());
    }

    /// Runs `ip` once for many lines of words; panics with what it said when one fails.
    pub fn ip_batch(&self, lines: &[String]) {
        let mut file = tempfile::NamedTempFile::new().expect("there is room for a temporary file");
        file.write_all(lines.join("\n").as_bytes()).expect("there is room for a temporary file");
        run("ip", ["-batch", &file.path().to_string_lossy()].into_iter());
    }

    /// Runs `bridge` with these words; panics with what it said when it fails.
    pub fn bridge(&self, words: &str) {
        run("bridge", words.split_whitespace());
    }

    /// What `ip -details -json` says.
    pub fn ip_json(&self, words: &str) -> Value {
        json("ip", words)
    }

    /// What `bridge -details -json` says.
    pub fn bridge_json(&self, words: &str) -> Value {
        json("bridge", words)
    }

    /// Has `nft` carry out a ruleset's text; panics with what it said when it fails.
    pub fn nft(&self, text: &str) {
        let output = nft_file(text);
        assert!(output.status.success(), "nft: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Has `nft` carry out a ruleset's text; whether it succeeded.
    pub fn try_nft(&self, text: &str) -> bool {
        nft_file(text).status.success()
    }

    /// What `nft` says, once the elements have ended that were told to end in some milliseconds.
    pub fn nft_text(&self, words: &str) -> String {
        let began = Instant::now();
        loop {
            let text = run("nft", words.split_whitespace());
            let ends = |after: &str| {
                after.split([' ', ',']).next().is_some_and(|timeout| timeout.ends_with("ms"))
            };
            if !text.split(" timeout ").skip(1).any(ends) {
                return text;
            }
            assert!(began.elapsed() < Duration::from_secs(5), "it does not end: {text}");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// What `nft -json` says, without the line on its version.
    pub fn nft_json(&self, words: &str) -> Vec<Value> {
        let text = run("nft", ["-j"].into_iter().chain(words.split_whitespace()));
        let mut told: Value = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("nft -j {words}: {error}: {text}"));
        let Value::Array(mut objects) = told["nftables"].take() else { panic!("{told}") };
        objects.retain(|object| object.get("metainfo").is_none());
        objects
    }

    /// What `ip` says of one interface.
    pub fn link(&self, name: &str) -> Value {
        self.ip_json(&format!("link show dev {name}"))[0].take()
    }

    /// Makes a pair of Ethernet interfaces: the first plays the vif, the other the guest's end.
    pub fn veth(&self, name: &str, peer: &str) {
        self.ip(&format!("link add name {name} type veth peer name {peer}"));
    }

    /// Runs `ip` with these words; whether it succeeded.
    pub fn try_ip(&self, words: &str) -> bool {
        let output = Command::new("ip").args(words.split_whitespace()).output();
        output.unwrap_or_else(|error| panic!("ip (iproute2): {error}")).status.success()
    }

    /// Gives a bridge so many ports, which are down; an even number.
    pub fn fill_bridge(&self, bridge: &str, ports: u32) {
        let pair = |i| {
            [
                format!("link add name a{i} type veth peer name b{i}"),
                format!("link set a{i} master {bridge}"),
                format!("link set b{i} master {bridge}"),
            ]
        };
        self.ip_batch(&(0..ports / 2).flat_map(pair).collect::<Vec<_>>());
    }

    /// Makes a bridge that is up.
    pub fn make_bridge(&self, name: &str) {
        self.ip(&format!("link add name {name} type bridge"));
        self.ip(&format!("link set {name} up"));
    }
}

impl Default for Netns {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        setns(&self.before, CloneFlags::CLONE_NEWNET).expect("the way back exists");
    }
}

/// A second namespace: it lives as long as the file that names it.
pub fn another() -> File {
    thread::spawn(|| {
        unshare_net();
        own_netns()
    })
    .join()
    .expect("the thread only makes a namespace")
}

/// Runs something in a namespace that [`another`] made.
pub fn within<T: Send>(netns: &File, work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            setns(netns, CloneFlags::CLONE_NEWNET).expect("root may enter it");
            work()
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn own_netns() -> File {
    File::open("/proc/thread-self/ns/net").expect("/proc is mounted")
}

fn unshare_net() {
    assert!(nix::unistd::geteuid().is_root(), "this test makes network namespaces: run it as root");
    unshare(CloneFlags::CLONE_NEWNET).expect("root may make a network namespace");
}

fn json(program: &str, words: &str) -> Value {
    let text = run(program, ["-details", "-json"].into_iter().chain(words.split_whitespace()));
    if text.trim().is_empty() {
        return Value::Array(Vec::new());
    }
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{program} {words}: {error}: {text}"))
}

fn nft_file(text: &str) -> Output {
    let mut nft = Command::new("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("nft (nftables): {error}: run tests/setup"));
    let mut stdin = nft.stdin.take().expect("it was asked for");
    stdin.write_all(text.as_bytes()).expect("nft reads all before it does anything");
    drop(stdin);
    nft.wait_with_output().expect("our own child ends")
}

fn run<'a>(program: &str, words: impl Iterator<Item = &'a str>) -> String {
    let words: Vec<_> = words.collect();
    let output = Command::new(program)
        .args(&words)
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}: run tests/setup"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {}: {stderr}", words.join(" "));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
