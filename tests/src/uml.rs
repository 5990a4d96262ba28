//! Another kernel for a test: user-mode Linux, where this machine's kernel lacks a kind of interface.
#![expect(clippy::missing_panics_doc, reason = "what tests share fails as tests do: by a panic")]

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::netns::Netns;
use crate::xenstored::unpacked;

/// Runs a test on a kernel that has these kinds of interfaces (`bond`, `vlan`, `vrf`): this machine's, else user-mode
/// Linux, in which this program runs the same test.
pub fn with_kinds<F: FnOnce()>(kinds: &[&str], test: F) {
    if kinds.iter().all(|kind| has(kind)) {
        return test();
    }
    assert!(env::var_os(INSIDE).is_none(), "user-mode Linux has not all of {kinds:?}");
    // "network_bond::name_of_the_test::{{closure}}"
    let path = std::any::type_name::<F>().trim_end_matches("::{{closure}}");
    let (_, name) = path.split_once("::").expect("a test is in a crate");
    let (passed, console) = run(name);
    print!("{console}");
    assert!(passed, "{name} failed in user-mode Linux; its output is above");
}

const INSIDE: &str = "XENNET_TEST_INSIDE_UML";
const END: &str = "@@EXIT=";

/// Whether this kernel has a kind of interface.
fn has(kind: &str) -> bool {
    let netns = Netns::new();
    netns.ip("link add base type veth peer name peer");
    netns.try_ip(&match kind {
        "vlan" => "link add link base name probe type vlan id 5".to_owned(),
        "vrf" => "link add probe type vrf table 10".to_owned(),
        kind => format!("link add probe type {kind}"),
    })
}

/// Boots user-mode Linux on this machine's files, which it cannot change, and runs one test of this program.
fn run(name: &str) -> (bool, String) {
    let uml = fs::canonicalize(unpacked("user-mode-linux")).expect("it exists");
    let dir = TempDir::new().expect("a temporary directory");
    let init = dir.path().join("init");
    fs::write(&init, script(&uml, name)).expect("our own directory");
    fs::set_permissions(&init, fs::Permissions::from_mode(0o755)).expect("our own file");
    let output = Command::new("timeout")
        .args(["-k", "5", "300"])
        .arg(uml.join("usr/bin/linux.uml"))
        .args(["mem=512M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", "quiet"])
        .args(["con=null", "con0=null,fd:1", "con1=null", "panic=-1"])
        .arg(format!("uml_dir={}", dir.path().display()))
        .arg(format!("init={}", init.display()))
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("user-mode Linux: {error}: run tests/setup"));
    let console = String::from_utf8_lossy(&output.stdout).replace('\r', "");
    (console.contains(&format!("{END}0\n")), console)
}

/// What runs in it first.
fn script(uml: &Path, name: &str) -> String {
    let exe = env::current_exe().expect("this program has a file");
    let here = env::current_dir().expect("a directory");
    let modules = uml.join("usr/lib/uml/modules");
    let variables = ["PATH", "XENNET_BIN", "XENNET_TEST_CACHE"];
    let exports = variables.iter().filter_map(|variable| {
        let value = env::var(variable).ok()?;
        Some(format!("export {variable}='{value}'\n"))
    });
    // The kernel loads modules by itself, but not IPv6, without which a namespace has none.
    format!(
        "#!/bin/sh\n{}export {INSIDE}=1 TMPDIR=/run RUST_BACKTRACE=0\n\
         mount -t proc proc /proc\nmount -t sysfs sysfs /sys\nmount -t tmpfs tmpfs /run\n\
         mkdir -p /run/modules/lib/modules\n\
         ln -s {}/$(uname -r) /run/modules/lib/modules/\n\
         printf '#!/bin/sh\\nexec modprobe -d /run/modules \"$@\"\\n' >/run/modprobe\n\
         chmod 755 /run/modprobe\necho /run/modprobe >/proc/sys/kernel/modprobe\n\
         modprobe -d /run/modules ipv6\nip link set lo up\ncd '{}'\n\
         '{}' --exact '{name}' --nocapture --test-threads 1 2>&1\necho {END}$?\n\
         echo o >/proc/sysrq-trigger\nsleep 60\n",
        exports.collect::<String>(),
        modules.display(),
        here.display(),
        exe.display(),
    )
}
