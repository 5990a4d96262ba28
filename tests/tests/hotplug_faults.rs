//! What can go wrong between the vif, its bridge and the kernel: the command says what, and leaves nothing behind.

use std::fs;
use std::process::Command;
use std::time::Duration;

use xennet_tests::hotplug::{Dom0, Outcome, Script, VIF};
use xennet_tests::strace::Purpose::Send;
use xennet_tests::strace::{self, for_each_call};

const ONLINE: [&str; 2] = ["online", "type_if=vif"];

/// What every failed plug has in common.
fn assert_failed(dom0: &Dom0, outcome: &Outcome, words: &[&str]) {
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
    for word in words {
        assert!(outcome.stderr.contains(word), "no {word:?} in {}", outcome.stderr);
    }
    let told = dom0.key(VIF, "hotplug-error").expect("a hotplug-error");
    assert_eq!(format!("vif-bridge: {told}\n"), outcome.stderr);
    assert_eq!(dom0.key(VIF, "hotplug-status").as_deref(), Some("error"));
    assert_no_lock(dom0);
}

fn assert_no_lock(dom0: &Dom0) {
    let left: Vec<_> = fs::read_dir(dom0.run_dir()).into_iter().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_missing_bridge() {
    let dom0 = Dom0::without_bridge();
    dom0.boot(VIF, &[]);
    let before = dom0.links();
    let outcome = dom0.online(Script::Ours, VIF);
    assert_failed(&dom0, &outcome, &["bridge xenbr0: no such interface", "xennet bridge create"]);
    assert_eq!(dom0.links(), before);
}

#[test]
fn a_full_bridge() {
    let dom0 = Dom0::new();
    dom0.netns.fill_bridge("xenbr0", 1022);
    // It is port of another bridge, has another name, address and MTU: all of that comes back.
    dom0.boot(VIF, &[("mtu", "1400"), ("vifname", "web")]);
    dom0.netns.make_bridge("xenbr1");
    dom0.netns.ip("link set vif1.0 master xenbr1 mtu 1450 address 02:00:00:00:00:09 up");
    let before = dom0.links();
    let outcome = dom0.online(Script::Ours, VIF);
    assert_failed(
        &dom0,
        &outcome,
        &["link set dev web master xenbr0: Exchange full (errno 54): ", "1023 ports"],
    );
    assert_eq!(dom0.links(), before);
}

#[test]
fn a_vif_that_never_appears() {
    let dom0 = Dom0::new();
    dom0.fill_store(VIF, &[]);
    let outcome = dom0.online(Script::Ours, VIF);
    assert_failed(&dom0, &outcome, &["vif1.0: no such interface", "xen-netback"]);
    assert!(outcome.took >= Duration::from_secs(10), "it did not wait: {:?}", outcome.took);
    assert!(outcome.took < Duration::from_secs(40), "libxl would have killed it");
}

#[test]
fn a_vif_that_appears_late_or_by_a_rename() {
    let dom0 = Dom0::new();
    for rename in [false, true] {
        dom0.fill_store(VIF, &[]);
        let child = dom0.command(Script::Ours, VIF, &ONLINE, &[]).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(300));
        if rename {
            dom0.netns.ip("link add early type veth peer name guest1.0");
            dom0.netns.ip("link set early name vif1.0");
        } else {
            dom0.make_vif(VIF);
        }
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        assert_eq!(dom0.state()["link vif1.0 master"], "xenbr0");
        assert_eq!(dom0.key(VIF, "hotplug-status").as_deref(), Some("connected"));
        dom0.netns.ip("link delete vif1.0");
    }
}

#[test]
fn hooks_that_are_slow_one_by_one_are_stopped_before_libxl_loses_patience() {
    let dom0 = Dom0::new();
    dom0.boot(VIF, &[]);
    let before = dom0.links();
    for name in ["10-slow.hook", "20-slow.hook", "30-slow.hook"] {
        dom0.hook(name, "exec sleep 15");
    }
    let outcome = dom0.online(Script::Ours, VIF);
    assert_failed(
        &dom0,
        &outcome,
        &["20-slow.hook: was still running", "killed; correct or remove it"],
    );
    assert!(outcome.took < Duration::from_secs(35), "{:?}", outcome.took);
    assert_eq!(dom0.links(), before);
}

#[test]
fn a_vif_that_is_up_with_an_ipv6_address_already() {
    let dom0 = Dom0::new();
    dom0.boot(VIF, &[]);
    dom0.netns.ip("link set vif1.0 up");
    dom0.netns.ip("address add 2001:db8::7/64 dev vif1.0");
    assert!(dom0.links()["link vif1.0 addresses"].contains("fe80::"));
    dom0.online(Script::Ours, VIF).succeeded();
    assert_eq!(dom0.links()["link vif1.0 addresses"], "");
}

#[test]
fn a_vif_with_two_addresses_of_one_network() {
    let dom0 = Dom0::new();
    dom0.boot(VIF, &[]);
    for address in ["192.0.2.7/24", "192.0.2.8/24"] {
        dom0.netns.ip(&format!("address add {address} dev vif1.0"));
    }
    dom0.online(Script::Ours, VIF).succeeded();
    assert_eq!(dom0.links()["link vif1.0 addresses"], "");
}

/// More than the kernel says in one piece, beside what else is asked.
#[test]
fn a_vif_with_a_thousand_addresses_beside_a_thousand_chains() {
    let dom0 = Dom0::new();
    dom0.boot(VIF, &[]);
    let addresses: Vec<_> = (0..1000)
        .map(|n| format!("address add 10.{}.{}.1/32 dev vif1.0", n / 250, n % 250))
        .collect();
    dom0.netns.ip_batch(&addresses);
    let chains: Vec<_> = (0..1000).map(|n| format!("chain c{n} {{ }}; ")).collect();
    dom0.netns.nft(&format!("table ip many {{ {} }}", chains.concat()));
    dom0.netns
        .nft("table ip zz { chain f { type filter hook forward priority 0; policy drop; }; }");
    let outcome = dom0.online(Script::Ours, VIF);
    outcome.succeeded();
    assert!(outcome.stderr.contains("table ip zz"), "{}", outcome.stderr);
    assert_eq!(dom0.links()["link vif1.0 addresses"], "");
}

#[test]
fn vif_removed_after_any_request_fails_the_plug() {
    let dom0 = Dom0::new();
    for keys in [&[][..], &[("vifname", "web"), ("mtu", "1400")]] {
        let name = if keys.is_empty() { "vif1.0" } else { "web" };
        let mut plugged = 0;
        dom0.forget(VIF);
        let bare = dom0.links();
        let prepare = || {
            dom0.forget(VIF);
            dom0.boot(VIF, keys);
            // So that there is as much to do, and to undo, as there can be.
            dom0.netns.ip("address add 192.0.2.7/24 dev vif1.0");
            dom0.command(Script::Ours, VIF, &ONLINE, &[])
        };
        let remove = |command: &Command, call: &str, n| {
            strace::stopped_after(command, call, n, || {
                // By the name that it has by now.
                if !dom0.netns.try_ip("link delete vif1.0") {
                    dom0.netns.ip(&format!("link delete {name}"));
                }
            })
        };
        for_each_call(Send, prepare, remove, |point, traced| {
            let (mut left, mut expected) = (dom0.links(), bare.clone());
            // The first plug that succeeds records the MTU of the bridge.
            for state in [&mut left, &mut expected] {
                state.remove("link xenbr0 ifalias");
            }
            assert_eq!(left, expected, "{point}");
            assert!(traced.outcome.took < Duration::from_secs(30), "{:?}", traced.outcome.took);
            // Nobody can tell once the last change is made and read back.
            if traced.outcome.code == Some(0) {
                plugged += 1;
                return;
            }
            assert_eq!(plugged, 0, "{point} fails, an earlier one did not");
            // XenStore is asked first.
            let words: &[&str] = if point.n < 2 {
                &["vif1.0: no such interface"]
            } else {
                &["vif1.0: the interface went away"]
            };
            assert_failed(&dom0, &traced.outcome, words);
        });
        assert!(plugged <= 6, "{plugged} requests after the last look at the interface");
    }
}

#[test]
fn bridge_removed_after_any_request_fails_the_plug_or_is_not_noticed() {
    let dom0 = Dom0::new();
    let prepare = || {
        dom0.forget(VIF);
        dom0.boot(VIF, &[("mtu", "1400")]);
        dom0.netns.try_ip("link delete xenbr0");
        dom0.netns.make_bridge("xenbr0");
        dom0.command(Script::Ours, VIF, &ONLINE, &[])
    };
    prepare();
    let before = dom0.links();
    let remove = |command: &Command, call: &str, n| {
        strace::stopped_after(command, call, n, || dom0.netns.ip("link delete xenbr0"))
    };
    for_each_call(Send, prepare, remove, |point, traced| {
        let after = dom0.links();
        if traced.outcome.code != Some(0) {
            assert_failed(&dom0, &traced.outcome, &["xenbr0"]);
            for (fact, value) in before.iter().filter(|(fact, _)| fact.starts_with("link vif1.0 "))
            {
                assert_eq!(after.get(fact), Some(value), "{fact} after {point}");
            }
        }
    });
}
