//! `xennet demo`: for root and for anybody, and nothing is left of it, however it ends.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use xennet_tests::hotplug::{install, xennet};
use xennet_tests::netns::Netns;

const NOBODY: u32 = 65534;

/// This test's own copy of the program: its processes are known by it.
const PROGRAM: &str = "/run/xennet";

#[test]
fn runs_as_root() {
    let host = Host::new();
    let output = demo(&mut command());
    assert!(output.contains("IPv4 ping to bar, 192.0.2.2: answered"), "{output}");
    assert!(output.contains("IPv6 ping to bar, 2001:db8::2: answered"), "{output}");
    assert!(output.contains("backend/vif/1/0/hotplug-status is connected"), "{output}");
    assert!(output.contains("dropped it at vif1.0: source is not its own"), "{output}");
    host.is_as_before();
}

#[test]
fn runs_as_anybody() {
    let host = Host::new();
    let output = demo(command().uid(NOBODY).gid(NOBODY));
    assert!(output.contains("IPv6 ping to bar, 2001:db8::2: answered"), "{output}");
    host.is_as_before();
}

#[test]
fn heeds_nothing_of_the_callers_environment() {
    let host = Host::new();
    let mut command = command();
    for (name, value) in [
        ("XENSTORED_PATH", "/nowhere"),
        ("XENSTORED_RUNDIR", "/nowhere"),
        ("XENNET_RUN_DIR", "/nowhere"),
        ("ip", "nonsense"),
        ("bridge", "nonsense"),
        ("type_if", "tap"),
        ("INTERFACE", "vif9.9"),
    ] {
        command.env(name, value);
    }
    demo(&mut command);
    host.is_as_before();
}

#[test]
fn leaves_nothing_when_it_is_interrupted() {
    ended_everywhere_by(Signal::SIGINT);
}

#[test]
fn leaves_nothing_when_it_is_killed() {
    ended_everywhere_by(Signal::SIGKILL);
}

fn ended_everywhere_by(signal: Signal) {
    for user in [0, NOBODY] {
        for midway in ["bridge xenbr0 made", "domain 2 started", "online", "IPv4 ping"] {
            // Each on a thread of its own, because a thread has one view of the machine.
            thread::spawn(move || ended_by(signal, midway, user)).join().unwrap();
        }
    }
}

fn ended_by(signal: Signal, midway: &str, user: u32) {
    let host = Host::new();
    let mut child = command().uid(user).gid(user).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let seen = lines.map_while(Result::ok).any(|line| line.contains(midway));
    assert!(seen, "it never said {midway:?}: {}", complaint(&mut child));
    // A terminal sends it to the whole group as well.
    killpg(group(&child), signal).unwrap();
    let status = child.wait().unwrap();
    // It may have been faster.
    assert!(status.signal() == Some(signal as i32) || status.success(), "{status}");
    host.is_as_before();
}

/// The thread's own view of this machine: an empty network namespace, and an empty `/run` and `/tmp`.
struct Host {
    _netns: Netns,
    mounts: String,
}

impl Host {
    fn new() -> Self {
        let netns = Netns::new();
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
        let empty = |dir| mount(Some("tmpfs"), dir, Some("tmpfs"), MsFlags::empty(), none).unwrap();
        empty("/run");
        install(&xennet(), Path::new(PROGRAM));
        empty("/tmp");
        Self { _netns: netns, mounts: mounts() }
    }

    /// No interface, file, mount, named namespace or process. A namespace that none of them holds does not exist.
    fn is_as_before(&self) {
        let began = Instant::now();
        // One that lost its parent may take a moment to end.
        while !strays().is_empty() {
            assert!(began.elapsed() < Duration::from_mins(1), "still there: {:?}", strays());
            thread::sleep(Duration::from_millis(5));
        }
        let devices = fs::read_to_string("/proc/thread-self/net/dev").unwrap();
        let devices: Vec<&str> = devices.lines().skip(2).collect();
        assert!(devices.iter().all(|device| device.contains("lo:")), "{devices:?}");
        assert_eq!(files("/run"), [PROGRAM]);
        assert_eq!(files("/tmp"), [""; 0]);
        assert_eq!(mounts(), self.mounts);
    }
}

/// The demo, in a process group of its own, as a shell starts it.
fn command() -> Command {
    let mut command = Command::new(PROGRAM);
    command.arg("demo").env_clear().process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What the demo says when it has run to its end.
fn demo(command: &mut Command) -> String {
    let mut child = command.spawn().unwrap();
    let mut output = String::new();
    child.stdout.take().unwrap().read_to_string(&mut output).unwrap();
    let complaint = complaint(&mut child);
    let status = child.wait().unwrap();
    assert!(status.success(), "{status}: {complaint}{output}");
    assert_eq!(complaint, "", "it has nothing to complain about");
    output
}

fn complaint(child: &mut Child) -> String {
    let mut text = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        stderr.read_to_string(&mut text).unwrap();
    }
    text
}

fn group(child: &Child) -> Pid {
    Pid::from_raw(child.id().try_into().unwrap())
}

/// The processes that run this test's copy of the program.
fn strays() -> Vec<PathBuf> {
    let here = fs::metadata(PROGRAM).unwrap();
    let all = fs::read_dir("/proc").unwrap().filter_map(|entry| Some(entry.ok()?.path()));
    let ours = |path: &PathBuf| {
        fs::metadata(path.join("exe"))
            .is_ok_and(|exe| (exe.dev(), exe.ino()) == (here.dev(), here.ino()))
    };
    all.filter(ours).collect()
}

fn files(dir: impl AsRef<Path>) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| path.display().to_string()).collect()
}

fn mounts() -> String {
    fs::read_to_string("/proc/thread-self/mounts").unwrap()
}
