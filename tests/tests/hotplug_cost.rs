//! What one plug takes: counted, because a clock would measure the machine. `make bench` has the times.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::fs;
use std::process::Command;

use tempfile::TempDir;
use xennet_core::types::VifId;
use xennet_tests::hotplug::{Dom0, Script, VIF, xennet, xennet_hotplug};
use xennet_tests::strace::{self, Traced};
use xennet_tests::{callgrind, peak};

/// What a call may take at most. More than that is a regression, or has a reason: then the figure changes with it.
struct Limit {
    guard: bool,
    action: &'static str,
    /// Bytes that the kernel and XenStore send.
    received: u64,
    /// Instructions in user space, of which a tenth more is let pass. Verification observes and plans once more.
    instructions: u64,
}

const LIMITS: [Limit; 4] = [
    Limit { guard: false, action: "online", received: 8_100, instructions: 365_000 },
    Limit { guard: false, action: "offline", received: 8_100, instructions: 316_000 },
    Limit { guard: true, action: "online", received: 12_800, instructions: 1_030_000 },
    Limit { guard: true, action: "offline", received: 9_800, instructions: 720_000 },
];

/// System calls from the first instruction to the exit.
const CALLS: usize = 60;
/// The additional ones with glibc: its own before `main`, and those by which Rust's std asks it for the stack's end.
const CALLS_OF_GLIBC: usize = 22;

/// The most memory of a call, in bytes: most of it is the pages of the program's own file that were touched, and those
/// that the kernel maps with them.
const MEMORY: u64 = 2_500_000;

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
        let neighbours =
            [("ip", if guard { "10.0.0.6" } else { "" }), ("mac", "00:16:3e:00:00:99")];
        dom0.boot(NEIGHBOUR, &neighbours);
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
fn the_programs_are_small() {
    for (program, with_glibc, with_musl) in
        [(xennet(), 4_200_000, 3_700_000), (xennet_hotplug(), 2_800_000, 2_200_000)]
    {
        let dir = TempDir::new().unwrap();
        let copy = dir.path().join("copy");
        let status = Command::new("strip").arg("-o").arg(&copy).arg(&program).status().unwrap();
        assert!(status.success(), "strip: {status}");
        let size = fs::metadata(&copy).unwrap().len();
        let most = if is_musl() { with_musl } else { with_glibc };
        println!("{}: {size} bytes", program.display());
        assert!(size <= most, "{}: {size} bytes; the limit is {most}", program.display());
    }
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
        instructions: callgrind::counted(command),
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
    let Limit { guard, action, received, instructions } = limit;
    let calls = if is_musl() { CALLS } else { CALLS + CALLS_OF_GLIBC };
    let what = format!("{action} {} guard", if *guard { "with" } else { "without" });
    println!("{what}: {cost:?}");
    assert!(cost.calls <= calls, "{what}: {} system calls, {calls} were enough", cost.calls);
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

fn is_musl() -> bool {
    xennet().to_string_lossy().contains("-musl/")
}

/// An ELF file without the program header that names a dynamic linker (`PT_INTERP`).
fn assert_static() {
    let program = xennet_hotplug();
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
