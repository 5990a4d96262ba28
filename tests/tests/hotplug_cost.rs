//! What one plug takes: counted, because a clock would measure the machine. `make bench` has the times.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;
use xennet_core::types::VifId;
use xennet_tests::hotplug::{Dom0, Script, VIF, xennet};
use xennet_tests::strace::{self, Traced};
use xennet_tests::{callgrind, peak, plug_ld};

/// What a call may take at most. More than that is a regression, or has a reason: then the figure changes with it.
struct Limit {
    guard: bool,
    action: &'static str,
    /// System calls from the first instruction to the exit; with glibc, 14 of them are its own, before `main`.
    calls: usize,
    /// Bytes that the kernel and XenStore send.
    received: u64,
    /// Instructions in user space, of which a tenth more is let pass. Verification observes and plans once more.
    instructions: u64,
}

const LIMITS: [Limit; 4] = [
    Limit { guard: false, action: "online", calls: 53, received: 8_100, instructions: 245_000 },
    Limit { guard: false, action: "offline", calls: 48, received: 8_100, instructions: 210_000 },
    Limit { guard: true, action: "online", calls: 57, received: 12_400, instructions: 565_000 },
    Limit { guard: true, action: "offline", calls: 55, received: 9_400, instructions: 415_000 },
];

/// The most memory of a call, in bytes: most of it is the pages of the program's own file that were touched, and those
/// that the kernel maps with them.
const MEMORY: u64 = 2_500_000;
/// The program's file, in bytes, without symbols.
const SIZE: u64 = 3_700_000;
/// The same when it is linked with musl; whoever built Rust's std for it may have built it a little otherwise.
const SIZE_WITH_MUSL: u64 = 3_100_000;

const NEIGHBOUR: VifId = VifId { domid: 2, devid: 0 };

/// What a call took.
#[derive(Debug)]
struct Cost {
    calls: usize,
    received: u64,
    instructions: u64,
    memory: u64,
}

#[test]
fn a_plug_stays_within_its_limits_and_costs_the_same_on_a_full_bridge() {
    assert_static();
    for guard in [false, true] {
        let dom0 = Dom0::new();
        // Most hosts have no hooks; the directory of the locks is there from the second plug on.
        fs::remove_dir(dom0.hook_dir()).unwrap();
        fs::create_dir(dom0.run_dir()).unwrap();
        let ip = if guard { "10.0.0.5" } else { "" };
        // And so is the guard's table.
        dom0.boot(NEIGHBOUR, &[("ip", if guard { "10.0.0.6" } else { "" })]);
        dom0.online(Script::Ours, NEIGHBOUR).succeeded();
        let alone = costs(&dom0, ip);
        dom0.netns.fill_bridge("xenbr0", 900);
        let crowded = costs(&dom0, ip);
        let limits = LIMITS.iter().filter(|limit| limit.guard == guard);
        for ((alone, crowded), limit) in alone.iter().zip(&crowded).zip(limits) {
            assert_within(alone, limit);
            assert_same(alone, crowded, limit.action);
        }
    }
}

#[test]
fn what_a_plug_runs_through_lies_together() {
    let dom0 = Dom0::new();
    let mut records = Vec::new();
    for ip in ["10.0.0.6", ""] {
        dom0.boot(NEIGHBOUR, &[("ip", ip)]);
        dom0.online(Script::Ours, NEIGHBOUR).succeeded();
        dom0.boot(VIF, &[("ip", ip)]);
        for action in ["online", "offline"] {
            let command = dom0.command(Script::Ours, VIF, &[action, "type_if=vif"], &[]);
            records.push(callgrind::counted(&command).record);
        }
        dom0.forget(VIF);
        dom0.forget(NEIGHBOUR);
    }
    let mut lines = plug_ld::lines(&records);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../xennet-cli/plug.ld");
    let text = fs::read_to_string(&path).unwrap();
    let known: BTreeSet<&str> = text.lines().map(str::trim).collect();
    match std::env::var("BLESS").as_deref() {
        Err(_) => {}
        Ok(how) => {
            // What a program needs that is linked with another C library.
            if how == "more" {
                lines.extend(plug_ld::lines_of(&text));
            }
            return fs::write(&path, plug_ld::script(&lines)).unwrap();
        }
    }
    let new: Vec<_> = lines.iter().filter(|line| !known.contains(line.as_str())).collect();
    println!("{} of {} are new: {new:#?}", new.len(), lines.len());
    // It makes no difference what a few of them are called by now.
    assert!(
        new.len() <= lines.len() / 4,
        "too many are elsewhere: write plug.ld anew by `make plug.ld`"
    );
}

#[test]
fn the_program_is_small() {
    let dir = TempDir::new().unwrap();
    let copy = dir.path().join("xennet");
    let status = Command::new("strip").arg("-o").arg(&copy).arg(xennet()).status().unwrap();
    assert!(status.success(), "strip: {status}");
    let size = fs::metadata(&copy).unwrap().len();
    println!("{size} bytes");
    let most = if xennet().to_string_lossy().contains("-musl/") { SIZE_WITH_MUSL } else { SIZE };
    assert!(size <= most, "the program has {size} bytes; {most} were enough");
}

/// Of an online and an offline: each is done once for each way of counting.
fn costs(dom0: &Dom0, ip: &str) -> [Cost; 2] {
    let plugged_and_unplugged = |count: &dyn Fn(&Command) -> Cost| {
        dom0.forget(VIF);
        dom0.boot(VIF, &[("ip", ip)]);
        ["online", "offline"]
            .map(|action| count(&dom0.command(Script::Ours, VIF, &[action, "type_if=vif"], &[])))
    };
    let none = || Cost { calls: 0, received: 9_999, instructions: 0, memory: 0 };
    let traced = plugged_and_unplugged(&|command| {
        let traced = strace::traced(command);
        traced.outcome.succeeded();
        assert_one_process(&traced);
        // Nobody asks for Open vSwitch where the bridge is a Linux bridge.
        assert!(!traced.calls.iter().any(|call| call.contains("db.sock")));
        Cost { calls: traced.count(), received: traced.received(), ..none() }
    });
    let counted = plugged_and_unplugged(&|command| Cost {
        instructions: callgrind::counted(command).instructions,
        ..none()
    });
    let mut peaks =
        plugged_and_unplugged(&|command| Cost { memory: peak::measured(command), ..none() });
    for ((cost, traced), counted) in peaks.iter_mut().zip(traced).zip(counted) {
        *cost = Cost { instructions: counted.instructions, memory: cost.memory, ..traced };
    }
    peaks
}

fn assert_within(cost: &Cost, limit: &Limit) {
    let Limit { guard, action, calls, received, instructions } = limit;
    let what = format!("{action} {} guard", if *guard { "with" } else { "without" });
    println!("{what}: {cost:?}");
    assert!(cost.calls <= *calls, "{what}: {} system calls, {calls} were enough", cost.calls);
    assert!(cost.received <= *received, "{what}: {} bytes, {received} were enough", cost.received);
    assert!(
        cost.instructions <= instructions + instructions / 10,
        "{what}: {} instructions, {instructions} were enough",
        cost.instructions
    );
    assert!(cost.memory <= MEMORY, "{what}: {} bytes of memory, {MEMORY} were enough", cost.memory);
}

fn assert_same(alone: &Cost, crowded: &Cost, action: &str) {
    let (calls, received) = ((alone.calls, crowded.calls), (alone.received, crowded.received));
    assert_eq!(calls.0, calls.1, "{action}: system calls beside 900 other ports");
    assert_eq!(received.0, received.1, "{action}: bytes received beside 900 other ports");
    // The allocator does not do exactly the same each time.
    let (few, many) = (alone.instructions, crowded.instructions);
    assert!(
        few.abs_diff(many) <= few / 50,
        "{action}: {few} instructions alone, {many} beside 900 other ports"
    );
}

fn assert_one_process(traced: &Traced) {
    for call in ["fork", "vfork", "clone", "clone3"] {
        assert_eq!(traced.named(call).count(), 0, "{call}");
    }
    assert_eq!(traced.named("execve").count() + traced.named("execveat").count(), 1);
}

/// An ELF file without the program header that names a dynamic linker (`PT_INTERP`).
fn assert_static() {
    let program = xennet();
    let bytes = fs::read(&program).unwrap();
    let field = |at: usize, size: usize| {
        let mut number = [0; 8];
        number.get_mut(..size).unwrap().copy_from_slice(bytes.get(at..at + size).unwrap());
        usize::try_from(u64::from_le_bytes(number)).unwrap()
    };
    let (table, size, count) = (field(32, 8), field(54, 2), field(56, 2));
    let interpreted = (0..count).any(|n| field(table + n * size, 4) == 3);
    assert!(!interpreted, "{}: is not static: build it with `make build`", program.display());
}
