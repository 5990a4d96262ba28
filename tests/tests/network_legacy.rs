//! What came before xennet: Xen's own files and network scripts.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::fs;
use std::os::unix::process::CommandExt;

use xennet_tests::facts::{at_once, by_xennet, network};
use xennet_tests::lan::{Lan, assert_same};

const INHERIT: &str = "[[bridge]]\nname = \"xenbr0\"\nuplink = \"eth0\"\naddresses = \"inherit\"\n";

#[test]
fn an_import_is_a_configuration() {
    let expected = by_xennet(INHERIT, Lan::with_addresses);
    let lan = Lan::with_addresses();
    let (xend, xl) = (lan.dir().join("xend-config.sxp"), lan.dir().join("xl.conf"));
    fs::write(&xend, "# xend\n(network-script network-bridge)\n(vif-script vif-bridge)\n").unwrap();
    fs::write(&xl, "vif.default.bridge=\"xenbr0\"\nrun_hotplug_scripts=0\n").unwrap();
    let done = lan.xennet(&format!("network import {} {}", xend.display(), xl.display()));
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    for words in [
        "line 2: network-script network-bridge: it does not say netdev=: eth0",
        "line 2: run_hotplug_scripts=0",
    ] {
        assert!(done.stderr.contains(words), "{}", done.stderr);
        assert!(done.stdout.contains(words), "{}", done.stdout);
    }
    lan.configure(&done.stdout);
    lan.xennet("network start").succeeded();
    assert_eq!(network(&lan), expected.join().unwrap());

    fs::write(&xend, "\n(network-script (\n").unwrap();
    let done = lan.xennet(&format!("network import {}", xend.display()));
    assert_eq!(done.code, Some(1));
    assert_eq!(
        done.stderr,
        format!("xennet: {}: line 2, column 1: \"(\" without a \")\"\n", xend.display())
    );
}

/// Calls the command under a script's name.
fn script(lan: &Lan, name: &str, args: &str) -> (Option<i32>, String) {
    let mut command = lan.command("");
    let output = command
        .arg0(format!("/etc/xen/scripts/{name}"))
        .args(args.split_whitespace())
        .output()
        .unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn network_bridge_does_what_it_promised() {
    at_once(["netdev=eth0 bridge=xenbr0", "", "vifnum=0", "vifnum=0 start"], |args| {
        let expected = by_xennet(INHERIT, Lan::with_addresses);
        let lan = Lan::with_addresses();
        let call = |command: &str| script(&lan, "network-bridge", &format!("{command} {args}"));
        let before = lan.state();
        assert_eq!(call("status").0, Some(1));
        assert_same(&before, &lan.state(), "after status");
        assert_eq!(call("start").0, Some(0));
        assert_eq!(network(&lan), expected.join().unwrap(), "{args}");
        let moved = lan.state();
        assert_eq!(script(&lan, "network-bridge", &format!("{args} start")).0, Some(0));
        assert_same(&moved, &lan.state(), "after the second start");
        assert_eq!(call("status").0, Some(0));
        assert_eq!(call("stop"), (Some(0), String::new()));
        assert_same(&before, &lan.state(), "after stop");
        assert_eq!(call("stop"), (Some(0), String::new()));
    });
}

#[test]
fn network_bridge_leaves_alone_what_it_should() {
    let lan = Lan::with_addresses();
    let before = lan.state();
    for (args, code, words) in [
        ("start bridge=null", 0, ""),
        ("", 2, "expected `network-bridge start|stop|status"),
        ("restart", 2, "expected `network-bridge start|stop|status"),
        ("start netdev=$(reboot)", 1, "its uplink $(reboot) is no interface here"),
        ("start PATH=/tmp netdev=eth9", 1, "eth9"),
        ("start netdev=eth9", 1, "eth9"),
    ] {
        let (status, stderr) = script(&lan, "network-bridge", args);
        assert!(status == Some(code) && stderr.contains(words), "{args}: {status:?} {stderr}");
    }
    lan.configure("[[bridge]]\nname = \"br\"\n");
    let (status, stderr) = script(&lan, "network-bridge", "start");
    assert!(status == Some(1) && stderr.contains("use `xennet network start`"), "{stderr}");
    assert_same(&before, &lan.state(), "after all that");

    // A bridge that somebody made already.
    let lan = Lan::with_addresses();
    lan.configure(INHERIT);
    lan.xennet("network start").succeeded();
    fs::remove_dir_all(lan.run_dir()).unwrap();
    lan.configure("");
    let before = lan.state();
    for command in ["start", "stop"] {
        let (status, stderr) = script(&lan, "network-bridge", command);
        assert!(status == Some(0) && stderr.contains("a bridge already"), "{status:?} {stderr}");
    }
    assert_same(&before, &lan.state(), "after start and stop");
}

#[test]
fn network_bridge_warns_of_arguments_that_it_ignores() {
    let lan = Lan::with_addresses();
    let (status, stderr) = script(&lan, "network-bridge", "start stop pdev=p0 netdev=eth0");
    assert_eq!(status, Some(0), "{stderr}");
    for arg in ["stop", "pdev=p0"] {
        let warning = format!("network-bridge: {arg}: ignored, as by Xen's script\n");
        assert!(stderr.contains(&warning), "{stderr}");
    }
    assert!(lan.netns.try_ip("link show dev xenbr0"));
}

#[test]
fn network_bridge_for_two_interfaces_makes_two_bridges() {
    let lan = Lan::with_addresses();
    for name in ["p4p1", "p5p1"] {
        lan.netns.veth(name, &format!("{name}-peer"));
        lan.netns.ip(&format!("link set {name} addrgenmode none up"));
    }
    let before = lan.state();
    for netdev in ["p4p1", "p5p1"] {
        let (status, stderr) = script(&lan, "network-bridge", &format!("start netdev={netdev}"));
        assert_eq!(status, Some(0), "{stderr}");
    }
    for (netdev, bridge) in [("p4p1", "br-p4p1"), ("p5p1", "br-p5p1")] {
        assert_eq!(lan.netns.link(netdev)["master"], bridge);
    }
    assert_eq!(script(&lan, "network-bridge", "stop netdev=p5p1").0, Some(0));
    assert_same(&before, &lan.state(), "after stop");
}

#[test]
fn antispoof_is_said_to_be_for_the_vifs() {
    let lan = Lan::with_addresses();
    let (status, stderr) = script(&lan, "network-bridge", "start antispoof=yes");
    assert_eq!(status, Some(0), "{stderr}");
    assert!(stderr.contains("network-bridge: antispoof=yes: what vifs are held to"), "{stderr}");
}

#[test]
fn network_route_does_what_it_promised() {
    let lan = Lan::with_addresses();
    let setting = |name: &str| fs::read_to_string(format!("/proc/sys/net/{name}")).unwrap();
    let before = lan.state();
    for args in ["", "netdev=eth0"] {
        assert_eq!(
            script(&lan, "network-route", &format!("start {args}")),
            (Some(0), String::new())
        );
        for name in ["ipv4/ip_forward", "ipv4/conf/eth0/proxy_arp"] {
            assert_eq!(setting(name), "1\n", "{name}");
        }
        assert_eq!(
            script(&lan, "network-route", &format!("stop {args}")),
            (Some(0), String::new())
        );
        assert_eq!(setting("ipv4/ip_forward"), "0\n");
        assert_same(&before, &lan.state(), "after stop");
    }
}

#[test]
fn network_nat_does_what_it_promised() {
    let lan = Lan::with_addresses();
    let ruleset = || lan.netns.nft_text("list ruleset");
    let before = lan.state();
    for args in ["netdev=eth0", ""] {
        let call = |command: &str| script(&lan, "network-nat", &format!("{command} {args}"));
        assert_eq!(call("status").0, Some(1));
        let (status, stderr) = call("start");
        assert!(status == Some(0) && stderr.contains("by their domains"), "{status:?} {stderr}");
        let rules = ruleset();
        assert!(rules.contains("ip saddr 10.0.0.0/9 oifname \"eth0\" masquerade"), "{rules}");
        let started = lan.state();
        assert_eq!(call("start").0, Some(0));
        assert_same(&started, &lan.state(), "after the second start");
        assert_eq!(ruleset(), rules, "no rule twice");
        assert_eq!(call("status").0, Some(0));
        assert_eq!(call("stop"), (Some(0), String::new()));
        assert_same(&before, &lan.state(), "after stop");
        assert_eq!(ruleset(), "");
    }
    let (status, stderr) = script(&lan, "network-nat", "start dhcp=yes");
    assert!(status == Some(0) && stderr.contains("`xennet network dnsmasq`"), "{stderr}");
    assert_eq!(script(&lan, "network-nat", "stop"), (Some(0), String::new()));
}
