//! Faults at an exact system call of a command, and a count of its calls: strace decides when, so that no clock does.

use std::fs;
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
}

impl Traced {
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
    assert!(text.contains("execve("), "strace could not start it: {}", outcome.stderr);
    let struck = ["(INJECTED)", "stopped by SIGSTOP", "killed by SIGKILL"];
    Traced {
        outcome,
        calls: text.lines().filter_map(call).collect(),
        struck: struck.iter().any(|mark| text.contains(mark)),
    }
}

/// Nothing that a command does takes so long, however busy the machine is.
const PATIENCE: Duration = Duration::from_mins(2);

/// `4711 close(3) = 0`; other lines tell of signals and of the end.
fn call(line: &str) -> Option<String> {
    let (_, call) = line.split_once(' ')?;
    let call = call.trim_start();
    (!call.starts_with(['-', '+', '<'])).then(|| call.to_owned())
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
