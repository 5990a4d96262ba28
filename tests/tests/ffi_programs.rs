//! What libxennet does for programs in C: a small one per capability, each compiled and run in every way.

use std::fs;
use std::process::Command;

use xennet_core::types::VifId;
use xennet_tests::c::each_way;
use xennet_tests::hotplug::{Dom0, VIF, xennet};

#[test]
fn the_header_and_the_library_are_of_one_version() {
    each_way("tests/c/version.c", |_| Vec::new(), |_, _| {});
}

#[test]
fn a_vif_lives_its_life() {
    each_way("tests/c/vif.c", booted, |dom0, _| {
        let links = dom0.links();
        assert_eq!(links.get("link vif1.0 master"), None);
        assert_eq!(links["link vif1.0 mtu"], "1400");
        assert_eq!(links["link vif1.0 up"], "false");
        assert_eq!(dom0.read("/local/domain/1/device/vif/0/mtu").as_deref(), Some("1400"));
    });
}

#[test]
fn a_tap_is_plugged_and_the_kernels_own_words_are_heard() {
    let before = |dom0: &Dom0| {
        dom0.make_tap(VIF);
        booted(dom0)
    };
    each_way("tests/c/tap.c", before, |dom0, _| {
        let links = dom0.links();
        assert_eq!(links["link vif1.0-emu master"], "xenbr0");
        assert_eq!(links["link vif1.0-emu mtu"], "1500");
    });
}

#[test]
fn a_warning_is_told_apart_from_what_was_done() {
    let before = |dom0: &Dom0| {
        let rules = dom0.dir().join("rules");
        let text = "table ip firewall { chain forward { type filter hook forward priority 0; policy drop; }; }";
        fs::write(&rules, text).expect("our own directory");
        let status =
            Command::new("nft").arg("-f").arg(rules).status().expect("nft: run tests/setup");
        assert!(status.success());
        booted(dom0)
    };
    each_way("tests/c/warning.c", before, |_, said| {
        assert!(said.contains("firewall") && said.lines().count() == 1, "{said}");
    });
}

#[test]
fn it_does_without_xenstore() {
    let before = |dom0: &Dom0| {
        dom0.make_vif(VIF);
        Vec::new()
    };
    each_way("tests/c/no_store.c", before, |dom0, _| {
        assert_eq!(dom0.links()["link vif1.0 master"], "xenbr0");
        assert_eq!(dom0.key(VIF, "hotplug-status"), None);
    });
}

#[test]
fn errors_say_what_and_why_and_what_to_do() {
    each_way("tests/c/errors.c", booted, |_, _| {});
}

#[test]
fn bridges_come_and_go() {
    each_way(
        "tests/c/bridge.c",
        |_| Vec::new(),
        |dom0, _| {
            let links = dom0.links();
            assert!(!links.keys().any(|fact| fact.starts_with("link xenbr")), "{links:?}");
        },
    );
}

#[test]
fn a_guarded_vif_is_shown_asked_about_and_restored() {
    let before = |dom0: &Dom0| {
        dom0.boot(VIF, &[("ip", "10.0.0.5")]);
        Vec::new()
    };
    each_way("tests/c/guard.c", before, |dom0, _| {
        assert_eq!(dom0.netns.nft_text("list ruleset"), "");
    });
}

#[test]
fn a_routed_vif_is_on_no_bridge() {
    let before = |dom0: &Dom0| {
        dom0.netns.ip("address add 192.0.2.2/24 dev xenbr0");
        dom0.netns.ip("route add default via 192.0.2.1");
        dom0.boot(VIF, &[("ip", "10.0.0.5")]);
        Vec::new()
    };
    each_way("tests/c/mode.c", before, |dom0, _| {
        assert_eq!(dom0.links().get("link vif1.0 master"), None);
    });
}

#[test]
fn the_hosts_side_is_started_on_trial_and_given_back() {
    let before = |_: &Dom0| vec![xennet().display().to_string()];
    each_way("tests/c/network.c", before, |dom0, _| {
        let links = dom0.links();
        assert!(!links.keys().any(|fact| fact.starts_with("link xenbr7")), "{links:?}");
    });
}

#[test]
fn a_call_stands_for_the_hotplug_script() {
    each_way("tests/c/hotplug.c", booted, |dom0, _| {
        assert_eq!(dom0.links().get("link vif1.0 master"), None);
        assert_eq!(dom0.links()["link vif1.0 address"], "fe:ff:ff:ff:ff:ff");
    });
}

#[test]
fn a_poll_loop_hears_of_vifs_and_interfaces() {
    each_way("tests/c/events.c", booted, |_, _| {});
}

#[test]
fn descriptors_are_close_on_exec_and_none_is_left_behind() {
    each_way("tests/c/descriptors.c", booted, |_, _| {});
}

#[test]
fn a_xenstored_that_ends_is_an_error_and_no_signal() {
    let before = |dom0: &Dom0| {
        dom0.boot(VIF, &[]);
        vec![dom0.store.pid().to_string()]
    };
    each_way("tests/c/lost_store.c", before, |dom0, _| {
        assert_eq!(dom0.links().get("link vif1.0 master"), None);
    });
}

#[test]
fn threads_work_at_once_with_a_handle_each() {
    let before = |dom0: &Dom0| {
        for domid in [1, 4, 5, 6, 7] {
            dom0.boot(VifId { domid, devid: 0 }, &[]);
        }
        Vec::new()
    };
    each_way("tests/c/threads.c", before, |dom0, _| {
        let links = dom0.links();
        for domid in [1, 4, 5, 6, 7] {
            assert_eq!(links[&format!("link vif{domid}.0 master")], "xenbr0");
        }
    });
}

#[test]
fn a_child_does_not_disturb_its_parent() {
    each_way("tests/c/fork.c", booted, |_, _| {});
}

#[test]
fn a_hook_inherits_no_descriptor_and_leaves_no_zombie() {
    let before = |dom0: &Dom0| {
        dom0.hook("fds.hook", "for fd in /proc/$$/fd/*; do readlink $fd; done >fds; true");
        booted(dom0)
    };
    each_way("tests/c/hooks.c", before, |dom0, _| {
        let open = dom0.written("fds").unwrap_or_default();
        assert!(!open.contains("socket:") && !open.contains("anon_inode:"), "{open}");
        assert!(!open.contains(".lock"), "{open}");
    });
}

fn booted(dom0: &Dom0) -> Vec<String> {
    dom0.boot(VIF, &[]);
    Vec::new()
}
