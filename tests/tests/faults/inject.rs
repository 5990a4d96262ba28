//! Where faults are injected, and what is counted.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::time::Duration;

use xennet_tests::random::Random;
use xennet_tests::strace::{self, Traced};

/// The first seed of a sample, as of the random sequences of damages.
const SEED: &str = "XENNET_SEED";
/// How many times the sample is drawn.
const SEEDS: &str = "XENNET_SEEDS";
/// Set by `make test-faults`: every error at every call.
const ALL: &str = "XENNET_FAULTS";

/// A command in a state that can be restored, and the judgement of what a fault in it left.
pub(crate) trait Scenario {
    /// Restores the state that a run begins with.
    fn prepare(&self) -> Command;

    /// Judges a disturbed run, and then whether plain calls converge; an error is the violation.
    fn judge(&self, run: &Run) -> Result<(), String>;
}

/// A run that was disturbed.
#[derive(Debug)]
pub(crate) struct Run {
    /// What strace injected: `recvmmsg 3 ENOMEM`.
    pub(crate) fault: String,
    pub(crate) class: Class,
    pub(crate) traced: Traced,
}

impl Run {
    /// Whether standard error cannot be written.
    pub(crate) fn is_mute(&self) -> bool {
        self.class == Class::Several && self.fault.contains(": write:")
    }

    /// None for a process that was killed, or that the C library aborted for want of memory.
    pub(crate) fn code(&self) -> Option<i32> {
        // 127 is the dynamic loader's, and 126 is strace's.
        self.traced.outcome.code.filter(|code| ![127, 126, 134].contains(code))
    }

    pub(crate) fn stderr(&self) -> &str {
        &self.traced.outcome.stderr
    }

    pub(crate) fn violation(&self, what: impl AsRef<str>) -> String {
        let Traced { outcome, .. } = &self.traced;
        format!(
            "{}: exit {:?}, {}: {}",
            self.fault,
            outcome.code,
            self.stderr().trim(),
            what.as_ref()
        )
    }
}

/// A kind of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// One call fails.
    Errors,
    /// A call and all later ones of the name fail; or two calls fail.
    Several,
    /// SIGKILL before a call.
    Kills,
    /// SIGTERM before a call.
    Signals,
}

/// What was counted.
#[derive(Debug, Default)]
pub(crate) struct Report {
    counts: BTreeMap<(String, Class), (u64, u64)>,
    wrong: Vec<String>,
}

impl Report {
    pub(crate) fn add(&mut self, other: Self) {
        for (key, (runs, wrong)) in other.counts {
            let count = self.counts.entry(key).or_default();
            *count = (count.0 + runs, count.1 + wrong);
        }
        self.wrong.extend(other.wrong);
    }

    /// Prints the table; panics with the violations.
    pub(crate) fn finish(self) {
        for ((name, class), (runs, wrong)) in &self.counts {
            println!("| {name}, {class:?} | {runs} | {wrong} |");
        }
        assert!(
            self.wrong.is_empty(),
            "{} violations:\n{}",
            self.wrong.len(),
            self.wrong.join("\n")
        );
    }
}

/// Calls whose failure says nothing of xennet: the start and the end of a process.
const NOT_OURS: [&str; 9] = [
    "execve",
    "exit",
    "exit_group",
    "arch_prctl",
    "set_tid_address",
    "set_robust_list",
    "rseq",
    "wait4",
    "restart_syscall",
];

/// The errors that a call of this name may meet with.
fn errors(call: &str) -> &'static [&'static str] {
    match call {
        "recvmmsg" | "recvmsg" | "recvfrom" | "recv" => &["EINTR", "ENOBUFS", "ENOMEM", "EIO"],
        "sendto" | "sendmsg" | "sendmmsg" | "send" => &["EINTR", "EPERM", "ENOBUFS", "ENOMEM"],
        "socket" | "open" | "openat" | "fcntl" | "dup" => &["EINTR", "EMFILE", "ENOMEM", "EACCES"],
        "connect" => &["EINTR", "EACCES", "ECONNREFUSED", "EAGAIN"],
        // Before `main`, Rust repeats an interrupted `poll` without end.
        "mmap" | "munmap" | "brk" | "mremap" | "mprotect" | "madvise" | "poll" => &["ENOMEM"],
        "flock" => &["EINTR", "ENOLCK"],
        "write" | "writev" | "pwrite64" => &["EINTR", "EPERM", "ENOSPC", "EIO"],
        "rename" | "renameat" | "unlink" | "unlinkat" | "mkdir" => &["EINTR", "EROFS", "EIO"],
        "ppoll" | "nanosleep" | "clock_nanosleep" => &["EINTR", "ENOMEM"],
        "close" | "getpid" | "getrandom" | "clock_gettime" => &["EINTR"],
        _ => &["EINTR", "ENOMEM", "EIO"],
    }
}

/// Runs a scenario with each fault of a class, or with the sample of each seed.
pub(crate) fn run(class: Class, name: &str, scenario: &dyn Scenario) -> Report {
    let calls = calls(scenario);
    let faults = if std::env::var_os(ALL).is_some() {
        every(class, &calls)
    } else {
        let given =
            |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
        let (first, count) = (given(SEED).unwrap_or(1), given(SEEDS).unwrap_or(1));
        println!("{name}, {class:?}: {SEED}={first} {SEEDS}={count}");
        (first..first + count).flat_map(|seed| sample(class, &calls, seed, name)).collect()
    };
    let mut report = Report::default();
    let count = report.counts.entry((name.to_owned(), class)).or_default();
    for (call, fault) in faults {
        let command = scenario.prepare();
        let traced = strace::disturbed(&command, &call, &fault);
        // A stream may be read less often than before. A signal that is blocked leaves no mark.
        if !traced.struck && class != Class::Signals {
            continue;
        }
        let run = Run { fault: format!("{name}: {call}:{fault}"), class, traced };
        let judged = catch_unwind(AssertUnwindSafe(|| scenario.judge(&run)));
        let judged = judged.unwrap_or_else(|_| Err(run.violation("panicked, as said above")));
        count.0 += 1;
        if let Err(text) = judged.and_then(|()| prompt(&run)) {
            println!("{text}");
            count.1 += 1;
            report.wrong.push(text);
        }
    }
    report
}

/// An operation has 30 s, undoing and XenStore 5 s each; libxl kills a script after 40 s.
fn prompt(run: &Run) -> Result<(), String> {
    let took = run.traced.outcome.took;
    if took > Duration::from_secs(41) {
        Err(run.violation(format!("it took {took:?}")))
    } else {
        Ok(())
    }
}

/// How often the program makes each call, as far as two runs agree.
fn calls(scenario: &dyn Scenario) -> Vec<(String, usize)> {
    let runs = [(); 2].map(|()| strace::traced(&scenario.prepare()));
    for run in &runs {
        run.outcome.succeeded();
    }
    let names = runs[0].names().into_iter().filter(|name| !NOT_OURS.contains(name));
    let count = |name: &str| runs.iter().map(|run| run.count_by_first_process(name)).min();
    names.map(|name| (name.to_owned(), count(name).unwrap_or(0))).collect()
}

fn every(class: Class, calls: &[(String, usize)]) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (call, count) in calls {
        for n in 1..=*count {
            match class {
                Class::Kills => all.push((call.clone(), format!("signal=SIGKILL:when={n}"))),
                Class::Signals => all.push((call.clone(), format!("signal=SIGTERM:when={n}"))),
                Class::Errors => all.extend(
                    errors(call).iter().map(|e| (call.clone(), format!("error={e}:when={n}"))),
                ),
                Class::Several => {
                    for error in errors(call) {
                        // For ever, each second one, each fifth one. What is interrupted is repeated as a whole, for
                        // ever if it must be: no kernel interrupts each second call.
                        let steps: &[_] = match *error {
                            "EINTR" => &["+5"],
                            _ => &["+", "+2", "+5"],
                        };
                        for step in steps {
                            all.push((call.clone(), format!("error={error}:when={n}{step}")));
                        }
                    }
                }
            }
        }
    }
    all
}

/// A few faults at each call of a name, however often it is made.
fn sample(class: Class, calls: &[(String, usize)], seed: u64, name: &str) -> Vec<(String, String)> {
    let name = name.bytes().fold(0_u64, |sum, byte| sum.wrapping_mul(31) + u64::from(byte));
    let mut random = Random(seed.wrapping_mul(1_000_003).wrapping_add(name));
    let mut chosen = Vec::new();
    for one in calls {
        let all = every(class, std::slice::from_ref(one));
        let wanted = if class == Class::Errors { 2 } else { 1 };
        chosen.extend((0..wanted).map(|_| all[random.below(all.len())].clone()));
    }
    chosen
}
