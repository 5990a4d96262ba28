//! Faults at an exact system call of a command, and a count of its calls: strace decides when, so that no clock does.
//!
//! [`for_each_call`] owns the loop over all calls of a kind. It takes the calls and their number from an undisturbed run of
//! the same command, and asserts that each of them got its fault.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::hotplug::Outcome;

/// A command's end, and what it asked of the system until then.
#[derive(Debug)]
pub struct Traced {
    /// As for a command that runs by itself.
    pub outcome: Outcome,
    /// Each system call as strace prints it, without its process id.
    pub calls: Vec<String>,
    /// Whether the fault was reached: a command that ends before it has no such call.
    pub struck: bool,
    /// Which process made each of `calls`; empty where strace does not say so.
    pids: Vec<String>,
}

/// The purpose of a system call. C libraries, and releases of xennet, use different calls for one purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Connect to a server such as xenstored.
    Connect,
    /// Send a request by a socket.
    Send,
    /// Receive an answer by a socket.
    Receive,
    /// Open or create a file.
    Open,
    /// Write a file, such as a setting of the kernel.
    Write,
    /// Put a file in its place.
    Rename,
    /// Take a lock.
    Lock,
    /// Remove a file.
    Unlink,
}

/// Where a fault was injected; printed as `recvmmsg 3`.
#[derive(Debug)]
pub struct Point {
    /// The system call.
    pub call: &'static str,
    /// Its number among the calls of this name, counted from 1.
    pub n: usize,
}

impl Purpose {
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Connect => &["connect"],
            Self::Send => &["send", "sendto", "sendmsg", "sendmmsg"],
            Self::Receive => &["recv", "recvfrom", "recvmsg", "recvmmsg"],
            Self::Open => &["open", "openat", "openat2", "creat"],
            Self::Write => &["write", "writev", "pwrite64", "pwritev"],
            Self::Rename => &["rename", "renameat", "renameat2"],
            Self::Lock => &["flock"],
            Self::Unlink => &["unlink", "unlinkat"],
        }
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.call, self.n)
    }
}

/// Runs a command undisturbed, and then once with a fault at each of its calls of this purpose.
///
/// `prepare` restores the state that a run begins with, and returns the command. `inject` runs the command with a fault
/// at the `n`th call of a name: [`killed_before`] does, and so do closures of [`failing`] or [`stopped_after`]. `judge`
/// gets each run that was disturbed; when it panics, the others are judged all the same.
///
/// The last run of each name is undisturbed.
///
/// # Panics
///
/// When an undisturbed run fails or has no such call, when one of its calls gets no fault, and when `judge` did. Of calls
/// that read a stream at least the first gets one.
pub fn for_each_call(
    purpose: Purpose,
    mut prepare: impl FnMut() -> Command,
    mut inject: impl FnMut(&Command, &'static str, usize) -> Traced,
    mut judge: impl FnMut(&Point, &Traced),
) {
    // The first run may have more to do than later ones. How often a stream is read depends on the other side, too.
    let undisturbed = [(); 2].map(|()| traced(&prepare()));
    for run in &undisturbed {
        run.outcome.succeeded();
    }
    let count =
        |call| undisturbed.iter().map(|run| run.count_by_first_process(call)).min().unwrap_or(0);
    let calls: Vec<_> = purpose.names().iter().copied().filter(|call| count(call) > 0).collect();
    assert!(!calls.is_empty(), "no {purpose:?} in an undisturbed run: {:#?}", undisturbed[0].calls);
    let mut wrong = Vec::new();
    for call in calls {
        for n in 1.. {
            let mut traced = inject(&prepare(), call, n);
            for _ in 0..ATTEMPTS {
                if traced.struck || n > count(call) {
                    break;
                }
                traced = inject(&prepare(), call, n);
            }
            if !traced.struck {
                let least =
                    if undisturbed.iter().any(|run| run.is_stream(call)) { 1 } else { count(call) };
                assert!(n > least, "an undisturbed run has {least} of {call}, but no fault at {n}");
                break;
            }
            let point = Point { call, n };
            // The dynamic loader ends like this, before the program begins.
            if traced.outcome.code != Some(127)
                && catch_unwind(AssertUnwindSafe(|| judge(&point, &traced))).is_err()
            {
                wrong.push(point.to_string());
            }
        }
    }
    assert!(wrong.is_empty(), "wrong, as said above, with a fault at {}", wrong.join(", "));
}

/// How often a fault is tried again that was not reached because a stream was read less often.
const ATTEMPTS: u32 = 5;

impl Traced {
    /// Whether the fault was in a call on a socket of this address family, such as `AF_UNIX`.
    pub fn struck_on(&self, family: &str) -> bool {
        let fd = |call: &str| call.split_once('(')?.1.split([',', ')']).next()?.parse::<u32>().ok();
        let struck = self.calls.iter().position(|call| call.contains("(INJECTED)"));
        let Some((earlier, [struck, ..])) = struck.map(|at| self.calls.split_at(at)) else {
            return false;
        };
        let Some(fd) = fd(struck) else { return false };
        let made = format!(" = {fd}");
        let socket = |call: &&String| call.starts_with("socket(") && call.ends_with(&made);
        let prefix = format!("socket({family},");
        earlier.iter().rfind(socket).is_some_and(|call| call.starts_with(&prefix))
    }

    /// Whether calls of this name read a stream: how often depends on the pieces that the other side sends.
    fn is_stream(&self, call: &str) -> bool {
        call.starts_with("recv")
            && !self.named(call).any(|line| line.contains("sa_family=AF_NETLINK"))
    }

    /// The names of all calls that the process made that was started first, each once.
    pub fn names(&self) -> BTreeSet<&str> {
        let first = self.pids.first();
        let own = self.calls.iter().zip(&self.pids).filter(|(_, pid)| Some(*pid) == first);
        own.filter_map(|(line, _)| Some(line.split_once('(')?.0)).collect()
    }

    /// How many calls of this name the process made that was started first. strace counts for each process by itself.
    pub fn count_by_first_process(&self, call: &str) -> usize {
        let start = format!("{call}(");
        let first = self.pids.first();
        self.calls
            .iter()
            .zip(&self.pids)
            .filter(|(line, pid)| line.starts_with(&start) && Some(*pid) == first)
            .count()
    }

    /// How many system calls there were, whatever the other side of a stream did: it may send one answer in pieces.
    pub fn count(&self) -> usize {
        let piece = |call: &str| call.starts_with("recvfrom(") && !call.contains("nlmsg");
        let asked = self
            .named("sendto")
            .filter(|call| !call.contains("sa_family=AF_UNIX") && !call.contains("nlmsg"));
        self.calls.iter().filter(|call| !piece(call)).count() + asked.count()
    }

    /// How many bytes came in by sockets.
    pub fn received(&self) -> u64 {
        let count = |call: &String| call.rsplit_once("= ")?.1.parse::<u64>().ok();
        let one = ["recvfrom", "recvmsg", "recv"].into_iter().flat_map(|name| self.named(name));
        // `[{msg_hdr={...}, msg_len=52}, ...]`
        let each = self.named("recvmmsg").flat_map(|call| call.split("msg_len=").skip(1));
        let length = |rest: &str| rest.split_once('}')?.0.parse::<u64>().ok();
        one.filter_map(count).chain(each.filter_map(length)).sum()
    }

    /// Those of this name.
    pub fn named(&self, call: &str) -> impl Iterator<Item = &String> {
        let start = format!("{call}(");
        self.calls.iter().filter(move |line| line.starts_with(&start))
    }
}

/// Runs a command and does nothing to it.
pub fn traced(command: &Command) -> Traced {
    run(command, None, || {})
}

/// Runs a command whose `n`th system call of this name, counted from 1, fails with an error such as `EPERM` and does
/// nothing.
pub fn failing(command: &Command, call: &str, n: usize, errno: &str) -> Traced {
    run(command, Some(&format!("{call}:error={errno}:when={n}")), || {})
}

/// Runs a command whose `n`th system call of this name and all later ones fail.
pub fn failing_from(command: &Command, call: &str, n: usize, errno: &str) -> Traced {
    run(command, Some(&format!("{call}:error={errno}:when={n}+")), || {})
}

/// Runs a command that is killed when it is about to make its `n`th system call of this name.
pub fn killed_before(command: &Command, call: &str, n: usize) -> Traced {
    run(command, Some(&format!("{call}:signal=SIGKILL:when={n}")), || {})
}

/// The same, but processes that it has started are neither killed nor waited for.
pub fn killed_alone_before(command: &Command, call: &str, n: usize) -> Traced {
    let fault = format!("{call}:signal=SIGKILL:when={n}");
    trace(command, &["-o"], Some(&fault), || {})
}

/// Runs a command with this fault, in the words of `strace -e inject=`, and records only calls of that name.
///
/// Not with `--seccomp-bpf`, by which strace injects errors and no signals.
pub fn disturbed(command: &Command, call: &str, fault: &str) -> Traced {
    let trace_only = format!("trace={call}");
    let options = ["-f", "-e", &trace_only, "-o"];
    trace(command, &options, Some(&format!("{call}:{fault}")), || {})
}

/// Runs a command that stands still right after its `n`th system call of this name, while `meanwhile` runs.
pub fn stopped_after(command: &Command, call: &str, n: usize, meanwhile: impl FnOnce()) -> Traced {
    run(command, Some(&format!("{call}:signal=SIGSTOP:when={n}")), meanwhile)
}

fn run(command: &Command, fault: Option<&str>, meanwhile: impl FnOnce()) -> Traced {
    trace(command, &["-f", "-o"], fault, meanwhile)
}

fn trace(
    command: &Command,
    options: &[&str],
    fault: Option<&str>,
    meanwhile: impl FnOnce(),
) -> Traced {
    let dir = TempDir::new().expect("a temporary directory");
    let log = dir.path().join("log");
    let mut strace = Command::new("strace");
    strace.args(options).arg(&log);
    if let Some(fault) = fault {
        strace.args(["-e", &format!("inject={fault}")]);
    }
    strace.arg("--").arg(command.get_program()).args(command.get_args()).env_clear();
    for (name, value) in command.get_envs() {
        strace.env(name, value.unwrap_or_default());
    }
    strace.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());

    let began = Instant::now();
    let mut child = strace.spawn().unwrap_or_else(|e| panic!("strace: {e}: run tests/setup"));
    let mut meanwhile = Some(meanwhile);
    // A pipe holds far more than the one line that is said.
    while child.try_wait().expect("the state of our own child").is_none() {
        if meanwhile.is_some()
            && let Some(pid) = stopped(&log)
        {
            meanwhile.take().expect("just seen")();
            kill(pid, Signal::SIGCONT).expect("it is stopped, not gone");
        }
        if began.elapsed() >= PATIENCE {
            let _ = child.kill();
            panic!("still running after {PATIENCE:?}:\n{}", read(&log));
        }
        thread::sleep(Duration::from_millis(1));
    }
    let output = child.wait_with_output().expect("it has ended");
    let text = read(&log);
    let outcome = Outcome {
        code: output.status.code(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        took: began.elapsed(),
    };
    let started = text.contains("execve(") || options.contains(&"-e");
    assert!(started, "strace could not start it: {}", outcome.stderr);
    let struck = ["(INJECTED)", "stopped by SIGSTOP", "killed by SIGKILL"];
    let (pids, calls) = text.lines().filter_map(call).unzip();
    Traced { outcome, calls, struck: struck.iter().any(|mark| text.contains(mark)), pids }
}

/// Nothing that a command does takes so long, however busy the machine is.
const PATIENCE: Duration = Duration::from_mins(2);

/// Splits `4711 close(3) = 0`, or `close(3) = 0` of the only process; other lines tell of signals and of the end.
fn call(line: &str) -> Option<(String, String)> {
    let pid: String = line.chars().take_while(char::is_ascii_digit).collect();
    let call = line.strip_prefix(&pid)?.trim_start();
    (!call.starts_with(['-', '+', '<'])).then(|| (pid, call.to_owned()))
}

fn stopped(log: &Path) -> Option<Pid> {
    let text = read(log);
    let line = text.lines().find(|line| line.contains("--- stopped by SIGSTOP ---"))?;
    Some(Pid::from_raw(line.split_whitespace().next()?.parse().ok()?))
}

fn read(log: &Path) -> String {
    // Not there yet, or a line of it half written.
    String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned()
}
