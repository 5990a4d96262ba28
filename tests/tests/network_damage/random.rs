//! Random sequences of commands, damages and kills: each ends with a host that reaches the router, or with an error that
//! says what to do, and then `stop --force` brings everything back.

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use nix::sys::signal::{Signal, kill};
use xennet_tests::hotplug::Outcome;
use xennet_tests::random::Random;
use xennet_tests::strace;

use crate::cells::{Before, ROW};
use crate::host::{Host, reaches_the_world};

const SEQUENCES: u64 = 300;
/// The first seed, and how many: with a seed alone, only its sequence runs.
const SEED: &str = "XENNET_SEED";
const COUNT: &str = "XENNET_SEEDS";

const COMMANDS: [&str; 3] = ["network start", "network stop", "network stop --force"];
/// The gateway answers within this time, or never.
const TRIAL: &str = "network start --confirm-timeout 3600 --probe-timeout 3";
/// None of these destroys what the record cannot have.
const DAMAGES: [&str; 26] = [
    "ip link delete xenbr0",
    "ip link set eth0 nomaster",
    "ip link set eth0 down",
    "ip link set eth0 up",
    "ip link set xenbr0 down",
    "ip link set xenbr0 up",
    "ip route delete default",
    "ip -6 route delete default",
    "ip route delete 10.0.0.0/8",
    "ip route delete 10.7.0.0/16 table 77",
    "ip address flush dev xenbr0",
    "ip -4 address flush dev xenbr0",
    "ip -6 address flush dev xenbr0",
    "ip address delete 192.0.2.2/24 dev xenbr0",
    "ip address delete 2001:db8::2/64 dev xenbr0",
    "ip address add 192.0.2.2/24 brd + dev eth0",
    "ip route append default via 192.0.2.1 dev eth0",
    "ip address add 10.44.0.1/24 dev xenbr0",
    "ip route add 10.9.0.0/16 via 192.0.2.1 dev xenbr0 realms 5",
    "ip link add xenbr0 type bridge",
    "sysctl ipv6/conf/eth0/disable_ipv6 0",
    "sysctl ipv6/conf/xenbr0/disable_ipv6 1",
    "sysctl ipv6/conf/all/disable_ipv6 0",
    "reload 02:00:00:00:00:02",
    "reload 02:00:00:00:00:42",
    "advertise 1800",
];

#[derive(Debug, Clone, Copy)]
enum Event {
    Command(&'static str),
    Trial,
    Confirm,
    RollBack,
    /// The watchdog is killed, which nobody expects.
    WatchdogKilled,
    Damage(&'static str),
    /// A command is killed before its `n`th call of this name.
    Killed(&'static str, &'static str, usize),
}

fn event(random: &mut Random) -> Event {
    match random.below(20) {
        0..6 => Event::Command(random.of(&COMMANDS)),
        6 => Event::Trial,
        7 => Event::Confirm,
        8 => Event::RollBack,
        9 => Event::WatchdogKilled,
        10..12 => {
            let words =
                random.of(&["network start", "network stop", "network stop --force", TRIAL]);
            let call = random.of(&["sendto", "sendto", "sendto", "write", "rename", "unlink"]);
            Event::Killed(words, call, 1 + random.below(if call == "sendto" { 25 } else { 4 }))
        }
        _ => Event::Damage(random.of(&DAMAGES)),
    }
}

#[test]
fn every_sequence_ends_reachable_or_with_a_hint() {
    let given = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let first = given(SEED).unwrap_or(1);
    let count = given(COUNT).unwrap_or(if given(SEED).is_some() { 1 } else { SEQUENCES });
    let next = AtomicU64::new(0);
    let wrong = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let host = Host::new();
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= count {
                        break;
                    }
                    let sequence = AssertUnwindSafe(|| sequence(&host, first + n));
                    let panicked = |_| Err("panicked, as said above".to_owned());
                    if let Err(text) = catch_unwind(sequence).unwrap_or_else(panicked) {
                        wrong.lock().unwrap().push(format!("{SEED}={}:\n{text}", first + n));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}

/// Runs one sequence; an error is its story.
fn sequence(host: &Host, seed: u64) -> Result<(), String> {
    let mut random = Random(seed);
    host.reset();
    let before = Before::of(host, &ROW);
    let mut story = String::new();
    for n in 0..3 + random.below(6) {
        let start = Event::Command("network start");
        let first = [start, start, start, Event::Trial];
        let event = if n == 0 { random.of(&first) } else { event(&mut random) };
        let outcome = happen(host, event);
        let said = outcome.map(|one| format!(" -> {:?} {}{}", one.code, one.stdout, one.stderr));
        writeln!(story, "  {event:?}{}", said.unwrap_or_default().trim_end()).unwrap();
    }
    let words = random.of(&COMMANDS);
    let last = host.xennet(words);
    writeln!(story, "  {words} -> {:?} {}", last.code, last.stderr.trim_end()).unwrap();
    let link = if words == "network start" { "xenbr0" } else { "eth0" };
    match last.code {
        Some(0) => before.has_all(link).map_err(|text| format!("{story}  {text}"))?,
        Some(3) if last.stderr.contains("warning") && reaches_the_world(10) => {}
        Some(1) if has_hint(&last.stderr) && !words.contains("--force") => {}
        _ => return Err(story),
    }
    let force = host.xennet("network stop --force");
    writeln!(
        story,
        "  and finally network stop --force -> {:?} {}",
        force.code,
        force.stderr.trim_end()
    )
    .unwrap();
    match force.code {
        Some(0) => before.has_all("eth0").map_err(|text| format!("{story}  {text}")),
        Some(3) if force.stderr.contains("warning") && reaches_the_world(10) => Ok(()),
        _ => Err(story),
    }
}

fn happen(host: &Host, event: Event) -> Option<Outcome> {
    match event {
        Event::Command(words) => Some(host.xennet(words)),
        Event::Trial => Some(host.xennet(TRIAL)),
        Event::Confirm => Some(host.xennet("network confirm")),
        Event::RollBack => {
            host.roll_back();
            None
        }
        Event::WatchdogKilled => {
            if let Some(watchdog) = host.lan.pending() {
                let _ = kill(watchdog, Signal::SIGKILL);
                host.lan.watchdog_ended();
            }
            None
        }
        Event::Damage(line) => {
            // xennet cannot know what a host had that it never started.
            if host.lan.recorded() {
                host.attempt(line);
            }
            None
        }
        Event::Killed(words, call, n) => {
            let killed = strace::killed_alone_before(&host.lan.command(words), call, n);
            if killed.struck && words == TRIAL {
                // Its watchdog rolls back at once, unless the start was killed after all was done.
                host.roll_back();
                host.lan.watchdog_ended();
            }
            Some(killed.outcome)
        }
    }
}

/// An error ends with what to do: after a semicolon, or as a command in backquotes.
fn has_hint(stderr: &str) -> bool {
    let error = stderr.lines().last().unwrap_or_default();
    error.contains("; ") || error.contains('`')
}
