//! The examples, and Python: what a newcomer tries first.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use xennet_core::types::VifId;
use xennet_tests::c::{WAYS, Way, compile, root, run, succeeded};
use xennet_tests::hotplug::{Dom0, Script, VIF};

#[test]
fn plug_plugs() {
    for way in WAYS {
        let dom0 = Dom0::new();
        dom0.netns.make_bridge("xenbr1");
        dom0.boot(VIF, &[]);
        let plug = compile(&root().join("examples/plug.c"), way, dom0.dir());
        plugs(&dom0, &mut apart(&run(way, &plug, &dom0)), &["1", "0", "xenbr1"]);
        let output = apart(&run(way, &plug, &dom0)).args(["1", "0", "nobridge"]).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(
            String::from_utf8_lossy(&output.stderr)
                .starts_with("plug: bridge nobridge: no such interface")
        );
    }
    let dom0 = Dom0::new();
    dom0.netns.make_bridge("xenbr1");
    dom0.boot(VIF, &[]);
    plugs(&dom0, &mut of_rust("plug", &dom0), &["1.0", "xenbr1"]);
}

fn plugs(dom0: &Dom0, plug: &mut Command, args: &[&str]) {
    let output = plug.args(args).output().unwrap();
    let said = succeeded("plug", &output);
    assert!(said.contains("link set dev vif1.0 master xenbr1\n"), "{said}");
    assert_eq!(dom0.links().get("link vif1.0 master").map(String::as_str), Some("xenbr1"));
    assert_eq!(dom0.key(VIF, "hotplug-status").as_deref(), Some("connected"));
}

#[test]
fn watch_watches() {
    for way in WAYS {
        let dom0 = Dom0::new();
        dom0.boot(VIF, &[]);
        let watch = compile(&root().join("examples/watch.c"), way, dom0.dir());
        watches(
            &dom0,
            &mut apart(&run(way, &watch, &dom0)),
            ", mtu 1500, hotplug-status connected",
        );
    }
    let dom0 = Dom0::new();
    dom0.boot(VIF, &[]);
    watches(&dom0, &mut of_rust("watch", &dom0), "");
}

fn watches(dom0: &Dom0, watch: &mut Command, more: &str) {
    let mut watch =
        watch.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines().map(Result::unwrap);
    let first = lines.next().unwrap();
    assert!(first.starts_with("vif 1.0: down, bridge none"), "{first}");
    dom0.online(Script::Ours, VIF).succeeded();
    let wanted = format!("vif 1.0: up, bridge xenbr0{more}");
    assert!(lines.any(|line| line == wanted), "it never said: {wanted}");
    // Its standard input ends, and so does it; what it still says is read.
    drop(watch.stdin.take());
    let _ = lines.count();
    succeeded("watch", &watch.wait_with_output().unwrap());
}

#[test]
fn what_libxl_could_call_does_what_the_script_does() {
    for way in WAYS {
        let dom0 = Dom0::new();
        dom0.boot(VIF, &[("type", "vif_ioemu"), ("mtu", "1400")]);
        let program = compile(&root().join("examples/libxl_hotplug.c"), way, dom0.dir());
        let call = |command: &str| {
            apart(&run(way, &program, &dom0)).args([command, "1", "0"]).output().unwrap()
        };
        let master = |link: &str| dom0.links().get(&format!("link {link} master")).cloned();
        // An HVM guest's vif, and then its tap, each as far as libxl goes.
        succeeded("online", &call("online"));
        assert_eq!(master("vif1.0").as_deref(), Some("xenbr0"));
        assert_eq!(dom0.key(VIF, "hotplug-status").as_deref(), Some("connected"));
        assert_eq!(dom0.read("/local/domain/1/device/vif/0/mtu").as_deref(), Some("1400"));
        dom0.make_tap(VIF);
        succeeded("add", &call("add"));
        assert_eq!(master("vif1.0-emu").as_deref(), Some("xenbr0"));
        // netback has taken the interface away before the script is called, and the guest's directories are closed.
        dom0.shut_down(VIF, "vif1.0");
        succeeded("offline", &call("offline"));
        succeeded("remove", &call("remove"));
        assert_eq!(master("vif1.0-emu"), None);
        // What cannot be done is told to who prints it, as `xl create` does.
        let stranger = VifId { domid: 2, devid: 0 };
        dom0.boot(stranger, &[("bridge", "nobridge")]);
        let output = apart(&run(way, &program, &dom0)).args(["online", "2", "0"]).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let told = dom0.key(stranger, "hotplug-error").unwrap();
        assert!(told.starts_with("bridge nobridge: no such interface"), "{told}");
        assert_eq!(dom0.key(stranger, "hotplug-status").as_deref(), Some("error"));
        let output = call("explode");
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains("command \"explode\": expected"));
    }
}

#[test]
fn what_the_readme_shows_compiles_and_runs() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let code = readme.split("```c\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    for way in WAYS {
        let dom0 = Dom0::new();
        let source = dom0.dir().join("readme.c");
        fs::write(&source, code).unwrap();
        let program = compile(&source, way, dom0.dir());
        // Its vif is 3.0, and there is none yet.
        let output = apart(&run(way, &program, &dom0)).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains("XenStore has no such backend"));
        let vif = VifId { domid: 3, devid: 0 };
        dom0.boot(vif, &[]);
        succeeded("README.md", &apart(&run(way, &program, &dom0)).output().unwrap());
        assert_eq!(dom0.key(vif, "hotplug-status").as_deref(), Some("connected"));
    }
}

#[test]
fn python_needs_no_bindings() {
    let dom0 = Dom0::new();
    dom0.boot(VIF, &[]);
    // Only for the link to the library.
    let _ = run(Way::Clang, &PathBuf::new(), &dom0);
    let output = Command::new("python3")
        .arg(root().join("tests/python/ctypes_test.py"))
        .args([dom0.run_dir(), dom0.hook_dir()])
        .env("LD_LIBRARY_PATH", dom0.dir().join("lib"))
        .env("XENSTORED_PATH", dom0.store.socket())
        .output()
        .unwrap();
    succeeded("python3", &output);
    assert_eq!(dom0.links().get("link vif1.0 master"), None);
}

/// An example in Rust, which cargo builds beside the tests.
fn of_rust(name: &str, dom0: &Dom0) -> Command {
    let tests = std::env::current_exe().unwrap();
    let built = tests.parent().and_then(|deps| deps.parent()).unwrap();
    let program = built.join("examples").join(name);
    assert!(
        program.exists(),
        "{}: run cargo build --package xennet-tests --examples",
        program.display()
    );
    let mut command = Command::new(program);
    command.env("XENSTORED_PATH", dom0.store.socket());
    apart(&command)
}

/// The same program where /run and /etc/xen are empty: an example uses them, and this machine's are not ours.
fn apart(command: &Command) -> Command {
    let script = "mount -t tmpfs none /run && { [ ! -d /etc/xen ] || mount -t tmpfs none /etc/xen; } && exec \"$0\" \"$@\"";
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "--propagation", "private", "--", "sh", "-c", script]);
    unshare.arg(command.get_program()).args(command.get_args());
    unshare.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    unshare
}
