//! A bridge or a port that forwards no frames: `connected`, with a warning.

use xennet_tests::hotplug::{Dom0, Script, VIF};

/// The lines of a dry run and of the real run, which succeeds.
fn warnings(dom0: &Dom0) -> (String, String) {
    let dry_run = dom0.xennet("vif online 1.0 --dry-run");
    dry_run.succeeded();
    let done = dom0.online(Script::Ours, VIF);
    done.succeeded();
    assert_eq!(dom0.key(VIF, "hotplug-status").as_deref(), Some("connected"));
    (dry_run.stderr, done.stderr)
}

#[test]
fn bridge_that_is_down_is_a_warning() {
    let dom0 = Dom0::new();
    dom0.netns.ip("link set xenbr0 down");
    dom0.boot(VIF, &[]);
    let (planned, done) = warnings(&dom0);
    for text in [planned, done] {
        assert!(text.contains("xenbr0: is down"), "{text:?}");
        assert!(text.contains("`ip link set dev xenbr0 up`"), "{text:?}");
    }
    // Nothing is pending, and it is still down.
    let pending = dom0.xennet("vif online 1.0 --dry-run");
    assert_eq!(pending.stdout, "");
    assert!(pending.stderr.contains("xenbr0: is down"), "{:?}", pending.stderr);
    dom0.netns.ip("link set xenbr0 up");
    assert_eq!(warnings(&dom0), (String::new(), String::new()));
}

#[test]
fn port_that_waits_for_the_spanning_tree_is_a_warning() {
    let dom0 = Dom0::new();
    dom0.netns.ip("link set xenbr0 type bridge stp_state 1 forward_delay 1500");
    dom0.boot(VIF, &[]);
    let (planned, done) = warnings(&dom0);
    for text in [planned, done] {
        assert!(text.contains("vif1.0: forwards frames only 30 s after"), "{text:?}");
        assert!(text.contains("stp_state 0"), "{text:?}");
    }
    // Still listening.
    assert!(warnings(&dom0).1.contains("vif1.0: forwards frames only"));
}

#[test]
fn port_that_does_not_forward_is_a_warning() {
    for state in ["listening", "disabled"] {
        let dom0 = Dom0::new();
        dom0.boot(VIF, &[]);
        assert_eq!(warnings(&dom0), (String::new(), String::new()));
        // The kernel opens the port when it notices the carrier.
        dom0.links();
        dom0.netns.bridge(&format!("link set dev vif1.0 state {state}"));
        let (planned, done) = warnings(&dom0);
        for text in [planned, done] {
            let expected = format!("vif1.0: its port of xenbr0 is {state}");
            assert!(text.contains(&expected), "{text:?}");
            assert!(text.contains("`bridge link set dev vif1.0 state 3`"), "{text:?}");
        }
    }
}

#[test]
fn port_without_carrier_is_no_warning() {
    let dom0 = Dom0::new();
    dom0.boot(VIF, &[]);
    dom0.netns.ip("link set guest1.0 down");
    assert_eq!(warnings(&dom0), (String::new(), String::new()));
    assert_eq!(warnings(&dom0), (String::new(), String::new()));
}
