//! A start that is taken back unless it is confirmed, whoever dies meanwhile.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::fs::{self, File};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use serde_json::Value;
use xennet_tests::hotplug::Outcome;
use xennet_tests::lan::{Lan, assert_same, until};
use xennet_tests::strace::Purpose::{Rename, Send, Write};
use xennet_tests::strace::{self, for_each_call};
use xennet_tests::talk::Talk;

const INHERIT: &str = "[[bridge]]\nname = \"xenbr0\"\nuplink = \"eth0\"\naddresses = \"inherit\"\n";
/// Long enough for whatever a test does.
const ON_TRIAL: &str = "network start --confirm-timeout 3600 --probe-timeout 60";

fn lan() -> Lan {
    let lan = Lan::with_addresses();
    // Nobody has our addresses: waiting to be sure of it would be most of these tests' time.
    for link in ["eth0", "default"] {
        fs::write(format!("/proc/sys/net/ipv6/conf/{link}/dad_transmits"), "0").unwrap();
    }
    lan.netns.ip("neighbour add 192.0.2.77 lladdr 02:00:00:00:00:77 dev eth0 nud permanent");
    lan.netns.ip("route add 10.0.0.0/8 via 192.0.2.1 dev eth0");
    lan.configure(INHERIT);
    lan
}

#[test]
fn confirmed_and_kept() {
    let lan = lan();
    let before = lan.state();
    let start = lan.xennet(ON_TRIAL);
    start.succeeded();
    assert!(start.stderr.contains("`xennet network confirm` within 3600 s"), "{}", start.stderr);
    let started = lan.state();
    let status = lan.xennet("network status");
    status.succeeded();
    assert!(
        status.stdout.contains("the last start is unconfirmed, and is rolled back in "),
        "{status:?}"
    );
    lan.xennet("network check").succeeded();
    let json: Value = serde_json::from_str(&lan.xennet("network status --json").stdout).unwrap();
    assert_eq!(json["unconfirmed"]["watched"], true);
    assert_eq!(json["unconfirmed"]["watchdog"], lan.watchdog().as_raw());

    let confirm = lan.xennet("network confirm");
    confirm.succeeded();
    assert_eq!(confirm.stderr, "");
    assert_eq!(files(&lan), ["network.json"], "the watchdog is gone");
    assert_same(&started, &lan.state(), "after the confirmation");
    says(&lan.xennet("network confirm"), "no start waits to be confirmed");

    let again = lan.xennet(ON_TRIAL);
    again.succeeded();
    assert_eq!(again.stderr, "", "there is nothing to do, and nothing to confirm");
    lan.watchdog_ended();
    assert_eq!(files(&lan), ["network.json"]);
    lan.xennet("network stop").succeeded();
    assert_same(&before, &lan.state(), "after the stop");
}

#[test]
fn not_confirmed_and_taken_back_under_a_connection() {
    let lan = lan();
    let before = lan.state();
    let talks: Vec<Talk> = ["192.0.2.1:0", "[2001:db8::1]:0"]
        .map(|address| Talk::begin(&lan, address.parse().unwrap()))
        .into();
    lan.xennet("network start --confirm-timeout 1").succeeded();
    talks.iter().for_each(Talk::go_on);
    lan.watchdog_ended();
    talks.iter().for_each(Talk::go_on);
    for talk in talks {
        talk.end();
    }
    assert_same(&before, &lan.state(), "taken back");
    assert!(!lan.recorded());
    says(&lan.xennet("network confirm"), "rolled back");
    let status = lan.xennet("network status");
    assert_eq!(status.code, Some(1), "it is not as the configuration says");
    assert!(status.stdout.contains("s ago: nobody confirmed it in time"), "{}", status.stdout);
    lan.xennet("network start").succeeded();
    assert!(!lan.xennet("network status").stdout.contains("rolled back"));
}

#[test]
fn start_killed_at_any_call_is_rolled_back() {
    let lan = lan();
    let before = lan.state();
    let prepare = || {
        lan.watchdog_ended();
        lan.command("network start --confirm-timeout 1")
    };
    // Requests to the kernel and to the watchdog, the kernel's settings and records, records in place. After the request
    // that tells the watchdog that all is done, a killed start is the same as one that nobody confirms.
    for purpose in [Send, Write, Rename] {
        for_each_call(purpose, prepare, strace::killed_alone_before, |point, _| {
            lan.watchdog_ended();
            assert_same(&before, &lan.state(), &point.to_string());
            assert!(!lan.recorded(), "{point}");
        });
    }
    lan.watchdog_ended();
}

#[test]
fn the_watchdog_is_killed() {
    let lan = lan();
    let before = lan.state();
    for words in ["network confirm", "network stop"] {
        lan.xennet(ON_TRIAL).succeeded();
        kill(lan.watchdog(), Signal::SIGKILL).unwrap();
        until("its lock is free", || lan.xennet("network check").code == Some(1));
        for asks in ["network check", "network status", ON_TRIAL] {
            says(
                &lan.xennet(asks),
                "is gone: it is not rolled back; `xennet network confirm` keeps it",
            );
        }
        lan.xennet(words).succeeded();
        assert!(!files(&lan).iter().any(|name| name.contains("watchdog")), "{:?}", files(&lan));
        lan.xennet("network stop").succeeded();
        assert_same(&before, &lan.state(), words);
    }
}

#[test]
fn the_watchdog_is_killed_midway() {
    let lan = lan();
    let before = lan.state();
    // Right after the host's own record, before the first change.
    let start = strace::stopped_after(&lan.command(ON_TRIAL), "rename", 2, || {
        let lock = lan.run_dir().join(format!("network-watchdog-{}.lock", lan.watchdog()));
        kill(lan.watchdog(), Signal::SIGKILL).unwrap();
        until("it is dead", || File::open(&lock).unwrap().try_lock_shared().is_ok());
    });
    assert!(start.struck);
    says(&start.outcome, "is gone: nobody would take the start back");
    assert_same(&before, &lan.state(), "taken back");
    assert!(!lan.recorded());
}

#[test]
fn what_was_not_done_cannot_be_confirmed() {
    let lan = lan();
    let before = lan.state();
    lan.xennet(ON_TRIAL).succeeded();
    kill(lan.watchdog(), Signal::SIGKILL).unwrap();
    // As if both had died before the end.
    let file = lan.run_dir().join("network.pending");
    let mut pending: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    pending["deadline"] = Value::Null;
    fs::write(&file, pending.to_string()).unwrap();
    says(&lan.xennet("network confirm"), "the start ended before it was done");
    lan.xennet("network stop").succeeded();
    assert_same(&before, &lan.state(), "after the stop");
}

#[test]
fn a_gateway_that_does_not_answer_any_more() {
    let lan = lan();
    let before = lan.state();
    // Such a port forwards nothing for half a minute.
    lan.configure(&format!("{INHERIT}stp = true\nforward_delay = 15\n"));
    let start = lan.xennet("network start --confirm-timeout 3600 --probe-timeout 1");
    says(&start, "did not answer within 1 s after the start, but had before");
    lan.watchdog_ended();
    assert_same(&before, &lan.state(), "taken back");
    assert!(!lan.recorded());
    assert!(lan.xennet("network status").stdout.contains(" s ago: gateway"));
}

#[test]
fn a_gateway_that_never_answered_is_not_held_against_it() {
    let lan = lan();
    lan.router_ip("link set lan0 arp off");
    for address in ["192.0.2.1/24", "fe80::1/64"] {
        lan.router_ip(&format!("address del {address} dev lan0"));
    }
    let before = lan.state();
    lan.xennet("network start --confirm-timeout 3600 --probe-timeout 1").succeeded();
    // Stopped while it is on trial.
    lan.xennet("network stop").succeeded();
    assert_eq!(files(&lan), [""; 0], "the watchdog is gone");
    assert_same(&before, &lan.state(), "after the stop");
}

#[test]
fn the_terminal_hangs_up() {
    let lan = lan();
    let before = lan.state();
    // A shell as sshd has it: its group hears of the end.
    let command = lan.command(ON_TRIAL);
    let mut shell = Command::new("sh");
    shell.args(["-c", "\"$0\" \"$@\"; exec sleep 3600"]).arg(command.get_program());
    shell.args(command.get_args()).process_group(0).stdin(Stdio::null()).stderr(Stdio::null());
    for (name, value) in command.get_envs() {
        shell.env(name, value.unwrap_or_default());
    }
    let mut shell = shell.spawn().unwrap();
    until("the start is done", || {
        lan.xennet("network status").stdout.contains("the last start is unconfirmed")
    });
    let watchdog = lan.watchdog();
    let group = Pid::from_raw(shell.id().try_into().unwrap());
    killpg(group, Signal::SIGHUP).unwrap();
    assert_eq!(shell.wait().unwrap().signal(), Some(Signal::SIGHUP as i32));
    for signal in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGPIPE, Signal::SIGTSTP] {
        kill(watchdog, signal).unwrap();
    }
    let status = lan.xennet("network status");
    status.succeeded();
    assert!(status.stdout.contains("the last start is unconfirmed"), "{}", status.stdout);

    // Whoever ends the watchdog himself has it taken back at once.
    kill(watchdog, Signal::SIGTERM).unwrap();
    lan.watchdog_ended();
    assert_same(&before, &lan.state(), "taken back");
}

#[test]
fn a_starter_that_hangs_is_ended() {
    let lan = lan();
    let before = lan.state();
    fs::create_dir_all(lan.run_dir()).unwrap();
    let lock = File::create(lan.run_dir().join("network.lock")).unwrap();
    lock.lock().unwrap();
    let mut start = lan.command(ON_TRIAL).spawn().unwrap();
    let watchdog = || {
        files(&lan).iter().find_map(|name| {
            let number = name.strip_prefix("network-watchdog-")?.strip_suffix(".lock")?;
            Some(Pid::from_raw(number.parse().ok()?))
        })
    };
    until("there is a watchdog", || watchdog().is_some());
    kill(watchdog().unwrap(), Signal::SIGTERM).unwrap();
    assert_eq!(start.wait().unwrap().signal(), Some(Signal::SIGKILL as i32));
    drop(lock);
    lan.watchdog_ended();
    assert_same(&before, &lan.state(), "nothing was done");
}

#[test]
fn one_start_at_a_time_is_on_trial() {
    let lan = lan();
    lan.xennet(ON_TRIAL).succeeded();
    let started = lan.state();
    for again in [ON_TRIAL, "network start"] {
        let refused = lan.xennet(again);
        says(&refused, "the last start is unconfirmed, and is rolled back in ");
        says(&refused, "`xennet network confirm` keeps it, `xennet network stop` gives it back");
    }
    assert_same(&started, &lan.state(), "nothing was done");
    lan.xennet("network confirm").succeeded();
}

#[test]
fn a_change_of_a_confirmed_network_alone_is_taken_back() {
    let lan = lan();
    let before = lan.state();
    let given = |address: &str, gateway: &str| {
        format!(
            "[[bridge]]\nname = \"xenbr0\"\nuplink = \"eth0\"\n\
             addresses = [\"192.0.2.2/24\", \"{address}\"]\ngateways = [\"{gateway}\"]\n"
        )
    };
    lan.configure(&given("2001:db8::9/64", "192.0.2.1"));
    lan.xennet(ON_TRIAL).succeeded();
    lan.xennet("network confirm").succeeded();
    let kept = lan.state();
    let record = fs::read(lan.run_dir().join("network.json")).unwrap();
    let mut changed = given("2001:db8::a/64", "192.0.2.99");
    changed.push_str("ageing = 77\n[forwarding]\nipv4 = true\n");
    lan.configure(&changed);
    lan.xennet(ON_TRIAL).succeeded();
    assert!(kept != lan.state());
    kill(lan.watchdog(), Signal::SIGTERM).unwrap();
    lan.watchdog_ended();
    assert_same(&kept, &lan.state(), "taken back");
    assert_eq!(fs::read(lan.run_dir().join("network.json")).unwrap(), record);
    lan.xennet("network stop").succeeded();
    assert_same(&before, &lan.state(), "after the stop");
}

#[test]
fn whoever_is_not_at_the_machine_has_a_minute() {
    let lan = lan();
    // Standard input is no console here.
    let start = lan.command("network").arg("start").output().unwrap();
    assert!(start.status.success());
    let said = String::from_utf8(start.stderr).unwrap();
    assert!(said.contains("within 60 s, or xennet rolls it back"), "{said}");
    lan.xennet("network stop").succeeded();
}

/// Every file of ours, in order.
fn files(lan: &Lan) -> Vec<String> {
    let dir = fs::read_dir(lan.run_dir()).into_iter().flatten();
    let names = dir.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| !name.contains(".new")).collect();
    names.sort_unstable();
    names
}

fn says(outcome: &Outcome, text: &str) {
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.stderr.contains(text), "{}", outcome.stderr);
}
