//! A plug that is killed or refused at any of its steps: nothing is left half done, and calling it again ends where one
//! undisturbed call would have.

use std::fs;
use std::process::Command;

use xennet_tests::hotplug::{Dom0, Script, State, VIF};
use xennet_tests::strace;

/// A vif with little to do and one with much, and by which name to find it when it is plugged.
const VIFS: [(&str, &[(&str, &str)]); 2] =
    [("vif1.0", &[]), ("web", &[("vifname", "web"), ("mtu", "1400")])];

/// As netback, libxl and a meddler leave it: it is a port of another bridge, up, and has addresses.
fn boot(dom0: &Dom0, keys: &[(&str, &str)]) {
    dom0.forget(VIF);
    dom0.boot(VIF, keys);
    if !keys.is_empty() {
        dom0.netns.ip("link set vif1.0 master xenbr1 mtu 1450 up");
        for address in ["192.0.2.7/24", "192.0.2.8/24", "2001:db8::7/64", "2001:db8::8/64"] {
            let dad = if address.contains("::") { " nodad" } else { "" };
            dom0.netns.ip(&format!("address add {address} dev vif1.0{dad}"));
        }
    }
}

fn dom0() -> Dom0 {
    let dom0 = Dom0::new();
    dom0.netns.make_bridge("xenbr1");
    dom0
}

fn command(dom0: &Dom0, action: &str) -> Command {
    dom0.command(Script::Ours, VIF, &[action, "type_if=vif"], &[])
}

fn locks(dom0: &Dom0) -> usize {
    fs::read_dir(dom0.run_dir()).into_iter().flatten().count()
}

/// Ends in the same state whichever call of this kind it was killed at, once it is called again.
fn assert_converges(dom0: &Dom0, prepare: impl Fn(), action: &str, call: &str) {
    prepare();
    assert_eq!(strace::traced(&command(dom0, action)).outcome.code, Some(0));
    let undisturbed: State = dom0.state();
    for n in 1.. {
        prepare();
        let killed = strace::killed_before(&command(dom0, action), call, n);
        if !killed.struck {
            assert!(n > 1, "no {call} at all");
            break;
        }
        assert_eq!(killed.outcome.code, None);
        strace::traced(&command(dom0, action)).outcome.succeeded();
        assert_eq!(dom0.state(), undisturbed, "killed before {call} {n}");
    }
}

#[test]
fn killed_at_any_step_of_a_plug() {
    let dom0 = dom0();
    for (_, keys) in VIFS {
        for call in ["sendto", "flock"] {
            assert_converges(&dom0, || boot(&dom0, keys), "online", call);
        }
    }
}

#[test]
fn killed_at_any_step_of_an_unplug() {
    let dom0 = dom0();
    for (_, keys) in VIFS {
        let prepare = || {
            boot(&dom0, keys);
            dom0.online(Script::Ours, VIF).succeeded();
        };
        for call in ["sendto", "unlink"] {
            assert_converges(&dom0, prepare, "offline", call);
            assert_eq!(locks(&dom0), 0);
        }
    }
}

#[test]
fn killed_at_any_step_of_a_plug_and_then_unplugged_as_libxl_does() {
    let dom0 = dom0();
    for (name, keys) in VIFS {
        for n in 1.. {
            boot(&dom0, keys);
            if !strace::killed_before(&command(&dom0, "online"), "sendto", n).struck {
                break;
            }
            dom0.offline(Script::Ours, VIF).succeeded();
            let links = dom0.links();
            for name in ["vif1.0", name] {
                assert_eq!(links.get(&format!("link {name} master")), None, "killed before {n}");
                assert_ne!(links.get(&format!("link {name} up")).map(String::as_str), Some("true"));
            }
            assert_eq!(locks(&dom0), 0);
        }
    }
}

#[test]
fn refused_at_any_step_of_a_plug() {
    let dom0 = dom0();
    let (_, keys) = VIFS[1];
    boot(&dom0, keys);
    dom0.online(Script::Ours, VIF).succeeded();
    let plugged = dom0.state();
    for errno in ["EPERM", "ENOBUFS", "ENOMEM"] {
        for call in ["sendto", "recvfrom"] {
            for n in 1.. {
                boot(&dom0, keys);
                let before = dom0.links();
                let refused = strace::failing(&command(&dom0, "online"), call, n, errno);
                if !refused.struck {
                    break;
                }
                let what = format!("{call} {n} {errno}: {}", refused.outcome.stderr);
                match refused.outcome.code {
                    // It asked once more, or only the log did not hear of it.
                    Some(0) => assert_eq!(dom0.state(), plugged, "{what}"),
                    Some(1) => {
                        assert_eq!(refused.outcome.stderr.lines().count(), 1, "{what}");
                        assert_eq!(dom0.links(), before, "{what}");
                        assert_eq!(locks(&dom0), 0, "{what}");
                    }
                    other => panic!("{what}: {other:?}"),
                }
                dom0.online(Script::Ours, VIF).succeeded();
                assert_eq!(dom0.state(), plugged, "{what}");
            }
        }
    }
}

#[test]
fn refused_at_any_step_of_an_unplug() {
    let dom0 = dom0();
    let (_, keys) = VIFS[1];
    for call in ["sendto", "recvfrom"] {
        for n in 1.. {
            boot(&dom0, keys);
            dom0.online(Script::Ours, VIF).succeeded();
            let refused = strace::failing(&command(&dom0, "offline"), call, n, "EPERM");
            if !refused.struck {
                break;
            }
            let what = format!("{call} {n}: {}", refused.outcome.stderr);
            let port = dom0.links().get("link web master").cloned();
            match refused.outcome.code {
                Some(0) => assert_eq!(port, None, "{what}"),
                Some(1) => assert_eq!(refused.outcome.stderr.lines().count(), 1, "{what}"),
                other => panic!("{what}: {other:?}"),
            }
            dom0.offline(Script::Ours, VIF).succeeded();
            assert_eq!(dom0.links().get("link web master"), None, "{what}");
            assert_eq!(locks(&dom0), 0, "{what}");
        }
    }
}

#[test]
fn interrupted_at_any_step_nobody_notices() {
    let dom0 = dom0();
    let (_, keys) = VIFS[1];
    for action in ["online", "offline"] {
        let mut undisturbed = None;
        for call in ["sendto", "recvfrom", "connect"] {
            for n in 1.. {
                boot(&dom0, keys);
                if action == "offline" {
                    dom0.online(Script::Ours, VIF).succeeded();
                }
                let traced = strace::failing(&command(&dom0, action), call, n, "EINTR");
                assert_eq!(
                    traced.outcome.code,
                    Some(0),
                    "{action} {call} {n}: {}",
                    traced.outcome.stderr
                );
                let state = dom0.state();
                assert_eq!(
                    undisturbed.get_or_insert_with(|| state.clone()),
                    &state,
                    "{action} {call} {n}"
                );
                if !traced.struck {
                    break;
                }
            }
        }
    }
}

#[test]
fn refused_all_the_way_the_undoing_too() {
    let dom0 = dom0();
    let (_, keys) = VIFS[1];
    boot(&dom0, keys);
    dom0.online(Script::Ours, VIF).succeeded();
    let plugged = dom0.state();
    for n in 1.. {
        boot(&dom0, keys);
        let refused = strace::failing_from(&command(&dom0, "online"), "recvfrom", n, "ENOMEM");
        if !refused.struck {
            break;
        }
        assert_eq!(refused.outcome.code, Some(1), "{n}: {}", refused.outcome.stderr);
        assert_eq!(refused.outcome.stderr.lines().count(), 1, "{n}: {}", refused.outcome.stderr);
        dom0.online(Script::Ours, VIF).succeeded();
        assert_eq!(dom0.state(), plugged, "{n}");
    }
}
