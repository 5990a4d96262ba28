//! What one plug asks of the system: counted, because a clock would measure the machine.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::fs;

use xennet_tests::hotplug::{Dom0, Script, VIF, xennet};
use xennet_tests::strace::{self, Traced};

/// The most system calls that a plug or an unplug of an unguarded vif may take, from its first instruction to its exit.
///
/// 15 of them are the C library's own, before `main`.
const MOST: usize = 68;

#[test]
fn a_plug_forks_nothing_and_costs_the_same_on_a_full_bridge() {
    assert_static();
    let dom0 = Dom0::new();
    // Most hosts have no hooks; the directory of the locks is there from the second plug on.
    fs::remove_dir(dom0.hook_dir()).unwrap();
    fs::create_dir(dom0.run_dir()).unwrap();
    let mut counts = Vec::new();
    for ports in [0, 900] {
        dom0.netns.fill_bridge("xenbr0", ports);
        dom0.forget(VIF);
        dom0.boot(VIF, &[]);
        counts.push(["online", "offline"].map(|action| {
            let args = [action, "type_if=vif"];
            let traced = strace::traced(&dom0.command(Script::Ours, VIF, &args, &[]));
            traced.outcome.succeeded();
            assert_one_process(&traced);
            // Nobody asks for Open vSwitch where the bridge is a Linux bridge.
            assert!(!traced.calls.iter().any(|call| call.contains("db.sock")));
            let count = traced.count();
            println!("{action}, {ports} other ports: {count} system calls");
            assert!(count <= MOST, "{count} system calls:\n{}", traced.calls.join("\n"));
            count
        }));
    }
    assert_eq!(counts.first(), counts.last(), "it costs more on a bridge with many ports");
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
