//! What came before xennet, and what may come after: Xen's own files and network scripts, ifupdown, systemd-networkd.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by a panic")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

use serde_json::Value;
use xennet_tests::lan::{Lan, assert_same};

const STATIC: &str = "[[bridge]]\nname = \"xenbr0\"\nuplink = \"eth0\"\n\
    addresses = [\"192.0.2.2/24\", \"198.51.100.9/24\", \"2001:db8::9/64\"]\n\
    gateways = [\"192.0.2.1\", \"fe80::1\"]\nmulticast_snooping = false\nmtu = 1600\nageing = 20\n\
    [[bridge]]\nname = \"guests\"\nipv6 = false\n";

const INHERIT: &str = "[[bridge]]\nname = \"xenbr0\"\nuplink = \"eth0\"\naddresses = \"inherit\"\n";

/// What the host's network is, in words that do not depend on who made it so.
fn network(lan: &Lan) -> BTreeSet<String> {
    lan.settled();
    let mut facts = BTreeSet::new();
    for link in lan.netns.ip_json("address show").as_array().unwrap() {
        let name = link["ifname"].as_str().unwrap();
        let bridge = &link["linkinfo"]["info_data"];
        for (of, keys) in [
            (link, &["mtu", "address", "master"][..]),
            (
                bridge,
                &["stp_state", "forward_delay", "ageing_time", "mcast_snooping", "group_fwd_mask"],
            ),
        ] {
            facts.extend(keys.iter().map(|key| format!("{name} {key} {}", of[*key])));
        }
        let up = link["flags"].as_array().unwrap().contains(&Value::from("UP"));
        facts.insert(format!("{name} up {up}"));
        for address in link["addr_info"].as_array().unwrap() {
            // Not the broadcast address: others give one to an address that had none.
            let words = ["local", "prefixlen", "scope"].map(|key| address[key].to_string());
            facts.insert(format!("{name} has {}", words.join(" ")));
        }
    }
    for family in ["-4", "-6"] {
        for route in lan.netns.ip_json(&format!("{family} route show")).as_array().unwrap() {
            let words = ["dst", "gateway", "dev", "metric"].map(|key| route[key].to_string());
            facts.insert(format!("route {}", words.join(" ")));
        }
    }
    facts
}

/// What the configuration comes to by xennet itself, on a host of its own.
fn by_xennet(config: &'static str, host: fn() -> Lan) -> JoinHandle<BTreeSet<String>> {
    thread::spawn(move || {
        let lan = host();
        lan.configure(config);
        lan.xennet("network start").succeeded();
        network(&lan)
    })
}

/// Each case on a host of its own, all at once: most of the time they wait for the kernel to probe addresses.
fn at_once<T: Send + 'static>(cases: impl IntoIterator<Item = T>, test: fn(T)) {
    let cases = cases.into_iter().map(|case| thread::spawn(move || test(case)));
    for case in cases.collect::<Vec<_>>() {
        case.join().unwrap();
    }
}

fn differs(expected: &BTreeSet<String>, found: &BTreeSet<String>) -> String {
    let only = |one: &BTreeSet<String>, other| one.difference(other).cloned().collect::<Vec<_>>();
    format!("missing {:#?}\nunexpected {:#?}", only(expected, found), only(found, expected))
}

/// `/sys` shows the interfaces of the namespace that it was mounted in.
fn with_own_sys(command: &str) -> Command {
    let mut shell = Command::new("unshare");
    shell.args(["--mount", "sh", "-ec", &format!("mount -t sysfs none /sys; {command}")]);
    shell.stdin(Stdio::null());
    shell
}

fn ran(command: &mut Command) -> Output {
    let output =
        command.output().unwrap_or_else(|error| panic!("{command:?}: {error}: run tests/setup"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    output
}

/// Writes the configuration as another program's files.
fn exported(lan: &Lan, to: &str) -> String {
    let dir = lan.dir().join("exported");
    let done = lan.xennet(&format!("network export --to {to} --dir {}", dir.display()));
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    for file in done.stdout.lines() {
        assert!(Path::new(file).is_file(), "{file}");
    }
    dir.display().to_string()
}

/// Nobody gave the uplink an address yet: what did so before is not there any more.
fn as_after_a_boot(lan: &Lan) {
    for words in ["-4 address flush dev eth0", "-6 address flush dev eth0 scope global"] {
        lan.netns.ip(words);
    }
    // This one leads to a link-local address, and stays when the others go.
    lan.netns.try_ip("-6 route del default");
}

#[test]
fn ifupdown_makes_the_same_network() {
    at_once(
        [(STATIC, Lan::new as fn() -> Lan), (INHERIT, Lan::with_addresses)],
        |(config, host)| {
            let expected = by_xennet(config, host);
            let lan = host();
            lan.configure(config);
            let file = format!("{}/etc/network/interfaces.d/xennet", exported(&lan, "ifupdown"));
            as_after_a_boot(&lan);
            let listed = ran(Command::new("ifquery").args(["--interfaces", &file, "-l"]));
            let listed = String::from_utf8(listed.stdout).unwrap();
            assert!(listed.starts_with("lo\neth0\nxenbr0\n"), "{listed}");
            let before = network(&lan);
            let state = lan.dir().join("ifstate");
            fs::create_dir(&state).unwrap();
            let options =
                format!("--no-scripts --force --state-dir={} --interfaces={file}", state.display());
            let names = listed.replace("lo\n", "").replace('\n', " ");
            ran(&mut with_own_sys(&format!("ifup --no-act {options} {names}")));
            assert_eq!(network(&lan), before, "--no-act did something");
            ran(&mut with_own_sys(&format!("ifup {options} {names}")));
            let (expected, found) = (expected.join().unwrap(), network(&lan));
            assert!(found == expected, "{config}{}", differs(&expected, &found));
            ran(&mut with_own_sys(&format!("ifdown {options} {names}")));
            let made = |fact: &String| fact.contains("xenbr0") || fact.contains("guests");
            let rest: Vec<_> = network(&lan).into_iter().filter(made).collect();
            assert_eq!(rest, [""; 0], "after ifdown");
        },
    );
}

/// A systemd-networkd of the namespace's own, which finds no other files and no D-Bus.
struct Networkd(Child);

impl Networkd {
    fn start(lan: &Lan, files: &str) -> Self {
        let command = format!(
            "mount -o remount,ro,bind /sys; mkdir -p /etc/systemd/network; \
             mount --bind {files}/etc/systemd/network /etc/systemd/network; \
             mount -t tmpfs none /run; mkdir -p /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp; \
             chown -R systemd-network:systemd-network /run/systemd/netif; exec /lib/systemd/systemd-networkd"
        );
        let log = fs::File::create(lan.dir().join("networkd.log")).unwrap();
        Self(with_own_sys(&command).stderr(log).spawn().unwrap())
    }
}

impl Drop for Networkd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn networkd_makes_the_same_network() {
    at_once(
        [(STATIC, Lan::new as fn() -> Lan), (INHERIT, Lan::with_addresses)],
        |(config, host)| {
            let expected = by_xennet(config, host);
            let lan = host();
            lan.configure(config);
            let files = exported(&lan, "networkd");
            as_after_a_boot(&lan);
            let expected = expected.join().unwrap();
            let _networkd = Networkd::start(&lan, &files);
            let began = Instant::now();
            loop {
                let found = network(&lan);
                if found == expected {
                    break;
                }
                let log = || fs::read_to_string(lan.dir().join("networkd.log")).unwrap();
                assert!(
                    began.elapsed() < Duration::from_mins(1),
                    "{config}{}\n{}",
                    differs(&expected, &found),
                    log()
                );
                sleep(Duration::from_millis(50));
            }
        },
    );
}

#[test]
fn an_export_is_one_text_with_its_remarks() {
    let lan = Lan::with_addresses();
    lan.configure(
        "[[bridge]]\nname = \"xenbr0\"\nuplink = \"eth0\"\naddresses = \"inherit\"\nguard = \"strict\"\n\
         [[nat]]\nname = \"n\"\nbridge = \"guests\"\nsubnets = [\"10.0.0.1/24\"]\ndhcp = true\n",
    );
    for (to, path) in [
        ("ifupdown", "/etc/network/interfaces.d/xennet"),
        ("networkd", "/etc/systemd/network/10-xennet-eth0.network"),
    ] {
        let done = lan.xennet(&format!("network export --to {to}"));
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        assert!(done.stdout.contains(&format!("# ==> {path} <==\n")), "{}", done.stdout);
        assert!(
            done.stdout.contains("# ==> /etc/sysctl.d/90-xennet.conf <==\n"),
            "{}",
            done.stdout
        );
        assert!(done.stderr.contains("stays in xennet.toml"), "{}", done.stderr);
        for remark in done.stderr.lines() {
            let remark = remark.strip_prefix("xennet: ").unwrap();
            assert!(done.stdout.contains(&format!("# {remark}\n")), "{remark}");
        }
    }
}

#[test]
fn the_rules_of_an_export_are_nftables_own() {
    let lan = Lan::with_addresses();
    lan.configure(
        "[[nat]]\nname = \"n\"\nbridge = \"guests\"\nsubnets = [\"10.0.0.1/24\", \"fd00:1::1/64\"]\nuplink = \"eth0\"\n\
         forward = [{ protocol = \"tcp\", port = 8080, to = \"10.0.0.5\", to_port = 80 }, \
         { protocol = \"udp\", port = 53, to = \"fd00:1::5\" }]\n",
    );
    let file = format!("{}/etc/network/interfaces.d/xennet", exported(&lan, "ifupdown"));
    let options = format!("--no-scripts --state-dir={} --interfaces={file}", lan.dir().display());
    ran(&mut with_own_sys(&format!("ifup {options} guests")));
    let rules = lan.netns.nft_text("list table inet xennet_nat0");
    for rule in [
        "ip saddr 10.0.0.0/24 oifname \"eth0\" masquerade",
        "ip6 saddr fd00:1::/64 oifname \"eth0\" masquerade",
        "tcp dport 8080 dnat ip to 10.0.0.5:80",
        "udp dport 53 dnat ip6 to [fd00:1::5]:53",
    ] {
        assert!(rules.contains(rule), "{rule}\n{rules}");
    }
    ran(&mut with_own_sys(&format!("ifdown {options} guests")));
    assert_eq!(lan.netns.nft_text("list tables"), "");
}

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
    at_once(["netdev=eth0 bridge=xenbr0", "", "vifnum=0"], |args| {
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
        ("start netdev=$(reboot)", 1, "bridge xenbr0: "),
        ("start PATH=/tmp", 2, "argument \"PATH\": expected one of netdev"),
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
