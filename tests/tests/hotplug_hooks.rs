//! The administrator's hooks: when they run, what they are told, and what becomes of a plug when one fails.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use xennet_tests::hotplug::{Dom0, Script, VIF};

#[test]
fn a_hook_gets_the_variables_that_the_stock_scripts_gave_it() {
    let dom0 = Dom0::new();
    dom0.hook("say.hook", "echo $command $dev \"<$main_ip>\" \"<$ip>\" $XENBUS_PATH >>said");
    dom0.boot(VIF, &[("ip", "10.1.0.9 fd00::9"), ("vifname", "web"), ("type", "vif_ioemu")]);
    dom0.make_tap(VIF);
    dom0.online(Script::Ours, VIF).succeeded();
    dom0.add(Script::Ours, VIF).succeeded();
    dom0.offline(Script::Ours, VIF).succeeded();
    dom0.remove(Script::Ours, VIF).succeeded();
    assert_eq!(
        dom0.written("said").as_deref(),
        Some(
            "online web <> <10.1.0.9 fd00::9> backend/vif/1/0\n\
             add web-emu <> <10.1.0.9 fd00::9> backend/vif/1/0\n\
             offline web <> <10.1.0.9 fd00::9> backend/vif/1/0\n\
             remove web-emu <> <10.1.0.9 fd00::9> backend/vif/1/0\n"
        )
    );
}

#[test]
fn a_hook_runs_when_the_port_is_ready_and_nobody_has_heard_of_it() {
    let dom0 = Dom0::new();
    let look = "ip -o link show dev $dev >link; xenstore-read $XENBUS_PATH/hotplug-status >status";
    dom0.hook("look.hook", look);
    dom0.boot(VIF, &[("mtu", "1400")]);
    dom0.online(Script::Ours, VIF).succeeded();
    let link = dom0.written("link").unwrap();
    assert!(link.contains(",UP,") && link.contains("mtu 1400") && link.contains("master xenbr0"));
    assert_eq!(dom0.written("status").as_deref(), Some("\n"));
    assert_eq!(dom0.key(VIF, "hotplug-status").as_deref(), Some("connected"));
}

#[test]
fn hooks_run_by_name_and_only_executables_named_hook() {
    let dom0 = Dom0::new();
    for name in ["20-b.hook", "10-a.hook", "30-off.hook", "40-c.hook.dpkg-old", "README"] {
        dom0.hook(name, &format!("echo {name} >>ran"));
    }
    fs::set_permissions(dom0.hook_dir().join("30-off.hook"), Permissions::from_mode(0o644))
        .unwrap();
    fs::create_dir(dom0.hook_dir().join("50-dir.hook")).unwrap();
    dom0.boot(VIF, &[]);
    dom0.online(Script::Ours, VIF).succeeded();
    assert_eq!(dom0.written("ran").as_deref(), Some("10-a.hook\n20-b.hook\n"));
}

#[test]
fn a_hook_cannot_change_the_script_that_runs_it() {
    let dom0 = Dom0::new();
    // Sourced, each of these would do harm: a variable, a function, the working directory, the end.
    dom0.hook("10-harm.hook", "dev=lo; XENBUS_PATH=/; success() { false; }; cd /; exit 0");
    dom0.hook("20-see.hook", "echo $dev $XENBUS_PATH >>seen");
    dom0.boot(VIF, &[]);
    dom0.online(Script::Ours, VIF).succeeded();
    assert_eq!(dom0.written("seen").as_deref(), Some("vif1.0 backend/vif/1/0\n"));
    assert_eq!(dom0.key(VIF, "hotplug-status").as_deref(), Some("connected"));
}

#[test]
fn what_a_hook_says_goes_to_standard_error() {
    let dom0 = Dom0::new();
    dom0.hook("say.hook", "echo out; echo err >&2");
    dom0.boot(VIF, &[]);
    let outcome = dom0.online(Script::Ours, VIF);
    outcome.succeeded();
    assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("", "out\nerr\n"));
}

#[test]
fn a_failing_hook_is_named_and_the_plug_undone() {
    let dom0 = Dom0::new();
    dom0.hook("10-first.hook", "true");
    dom0.hook("20-fail.hook", "exit 3");
    dom0.hook("30-last.hook", "touch ran");
    dom0.boot(VIF, &[("vifname", "web"), ("mtu", "1400")]);
    let netns = &dom0.netns;
    netns.ip("link add xenbr1 address 02:00:00:00:00:09 type bridge");
    netns.ip("link set xenbr1 up");
    netns.ip("link set vif1.0 address 02:00:00:00:00:05 mtu 1450 master xenbr1 up");
    netns.ip("address add 10.0.0.1/24 dev vif1.0");
    netns.ip("address add 2001:db8::1/64 dev vif1.0 nodad");
    let before = dom0.state();

    let outcome = dom0.online(Script::Ours, VIF);
    let hook = dom0.hook_dir().join("20-fail.hook");
    let why = format!("hook {}: failed with exit status: 3; correct or remove it", hook.display());
    assert_eq!(outcome.code, Some(1));
    assert_eq!(outcome.stderr, format!("vif-bridge: {why}\n"));
    assert_eq!(dom0.written("ran"), None);

    let mut after = dom0.state();
    let told = |key| format!("store /local/domain/0/backend/vif/1/0/{key}");
    assert_eq!(after.remove(&told("hotplug-error")), Some(why));
    assert_eq!(after.insert(told("hotplug-status"), String::new()).as_deref(), Some("error"));
    assert_eq!(before, after);
}

#[test]
fn a_hook_that_cannot_be_run_is_an_error() {
    let dom0 = Dom0::new();
    dom0.hook_file("bad.hook", "#!/no/such/interpreter\n");
    dom0.boot(VIF, &[]);
    let outcome = dom0.online(Script::Ours, VIF);
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.stderr.contains("bad.hook: cannot be run: No such file"), "{}", outcome.stderr);
}

#[test]
fn a_failing_hook_does_not_keep_a_vif_in_its_bridge() {
    let dom0 = Dom0::new();
    dom0.boot(VIF, &[]);
    dom0.online(Script::Ours, VIF).succeeded();
    dom0.hook("fail.hook", "exit 1");
    let outcome = dom0.offline(Script::Ours, VIF);
    let links = dom0.links();
    assert_eq!(links.get("link vif1.0 master"), None);
    assert_eq!(links["link vif1.0 up"], "false");
    // Its failure is told all the same.
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.stderr.contains("fail.hook: failed with"), "{}", outcome.stderr);
}
