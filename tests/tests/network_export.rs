//! What `xennet network export` writes, applied by ifupdown and systemd-networkd, compared with `xennet network start`.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use xennet_core::types::VifId;
use xennet_tests::facts::{at_once, by_xennet, differs, network};
use xennet_tests::hotplug::Outcome;
use xennet_tests::lan::Lan;
use xennet_tests::world::{Server, World, ports_lead_in, send};

const STATIC: &str = "[[bridge]]\nname = \"xenbr0\"\nuplink = \"eth0\"\n\
    addresses = [\"192.0.2.2/24\", \"198.51.100.9/24\", \"2001:db8::9/64\"]\n\
    gateways = [\"192.0.2.1\", \"fe80::1\"]\nmulticast_snooping = false\nmtu = 1600\nageing = 20\n\
    [[bridge]]\nname = \"guests\"\nipv6 = false\n";

const INHERIT: &str = "[[bridge]]\nname = \"xenbr0\"\nuplink = \"eth0\"\naddresses = \"inherit\"\n";

const OFF_LINK: &str = "[[bridge]]\nname = \"xenbr0\"\nuplink = \"eth0\"\n\
    addresses = [\"203.0.113.7/32\", \"2001:db8:7::7/128\"]\n\
    gateways = [{ via = \"10.255.0.1\", onlink = true }, { via = \"192.0.2.8\", onlink = true, metric = 500 }, \
    { via = \"2001:db8::1\", onlink = true, metric = 7 }]\n\
    routes = [{ destination = \"10.9.0.0/16\" }, { destination = \"10.13.0.0/16\", via = \"10.9.0.1\", table = 100, onlink = true }, \
    { destination = \"10.10.0.0/16\", via = \"fe80::1\" }]\n";

type Host = fn() -> Lan;

const CASES: [(&str, Host); 5] = [
    (STATIC, Lan::new),
    (OFF_LINK, Lan::new),
    (INHERIT, Lan::with_addresses),
    (INHERIT, with_off_link_gateway),
    (INHERIT, with_everything),
];

/// A rented server: its gateway is in none of its networks.
fn with_off_link_gateway() -> Lan {
    let lan = Lan::new();
    lan.router_ip("address add 10.255.0.1/32 dev lan0");
    for words in [
        "address add 203.0.113.7/32 dev eth0",
        "address add 2001:db8:7::7/128 dev eth0 nodad",
        "route add default via 10.255.0.1 dev eth0 onlink",
        "-6 route add default via 2001:db8::1 dev eth0 onlink",
    ] {
        lan.netns.ip(words);
    }
    lan
}

/// What both programs can express.
fn with_everything() -> Lan {
    let lan = Lan::with_addresses();
    set("ipv6/conf/eth0/accept_ra", "0");
    set("ipv4/conf/eth0/arp_ignore", "1");
    for words in [
        "address add 192.0.2.7/24 dev eth0 preferred_lft 0",
        "address add 198.51.100.9 peer 198.51.100.10/32 dev eth0",
        "address add 203.0.113.5/28 dev eth0 label eth0:web",
        "address add 10.1.0.2/16 dev eth0 metric 77",
        "address add 10.2.0.2/16 dev eth0 noprefixroute",
        "address add 2001:db8::7/64 dev eth0 preferred_lft 0",
        "route add 10.2.0.0/16 dev eth0 proto kernel scope link src 10.2.0.2 metric 100",
        "route add default via 192.0.2.8 dev eth0 metric 500",
        "route add 10.8.0.0/16 via 192.0.2.9 dev eth0 src 192.0.2.3 metric 5 mtu 1400",
        "route add 10.9.0.0/16 dev eth0",
        "route add 10.10.0.0/16 via inet6 fe80::1 dev eth0",
        "route add 10.11.0.0/16 nexthop via 192.0.2.8 dev eth0 weight 2 nexthop via 192.0.2.9 dev eth0",
        "route add 10.13.0.0/16 via 10.9.0.1 dev eth0",
        "route add default via 192.0.2.9 dev eth0 table 100",
        "-6 route add default via 2001:db8::1 dev eth0 metric 2048",
        "-6 route add 2001:db8:a::/48 via fe80::1 dev eth0 pref high",
        "-6 route add 2001:db8:b::/48 dev eth0 table 100",
        "neighbour add 192.0.2.50 lladdr 02:00:00:00:00:50 nud permanent dev eth0",
        "neighbour add 2001:db8::50 lladdr 02:00:00:00:00:50 nud permanent dev eth0",
        "neighbour add proxy 2001:db8::77 dev eth0",
    ] {
        lan.netns.ip(words);
    }
    lan.settled();
    lan
}

fn set(setting: &str, value: &str) {
    fs::write(format!("/proc/sys/net/{setting}"), value).unwrap();
}

fn setting(setting: &str) -> String {
    fs::read_to_string(format!("/proc/sys/net/{setting}")).unwrap().trim().to_owned()
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

/// Writes the configuration as another program's files, and returns where.
fn exported(dir: &Path, xennet: impl FnOnce(&str) -> Outcome, to: &str) -> String {
    let dir = dir.join("exported");
    let done = xennet(&format!("network export --to {to} --dir {}", dir.display()));
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    for file in done.stdout.lines() {
        assert!(Path::new(file).is_file(), "{file}");
    }
    dir.display().to_string()
}

/// Removes the uplink's addresses and settings, as after a boot. Returns the settings.
fn as_after_a_boot(lan: &Lan) -> [String; 2] {
    let settings = ["ipv6/conf/eth0/accept_ra", "ipv4/conf/eth0/arp_ignore"].map(setting);
    for words in [
        "-4 address flush dev eth0",
        "-6 address flush dev eth0 scope global",
        // Those that lead to a link-local address stay when the others go. Not every host has each of them.
        "-6 route flush default",
        "-6 route del 2001:db8:a::/48",
        "-6 route flush table 100",
        "neighbour flush dev eth0 nud permanent",
        "-6 neighbour flush dev eth0 nud permanent",
        "neighbour delete proxy 2001:db8::77 dev eth0",
    ] {
        lan.netns.try_ip(words);
    }
    set("ipv6/conf/eth0/accept_ra", "1");
    set("ipv4/conf/eth0/arp_ignore", "0");
    settings
}

/// The settings of an export, as udev sets them when an interface appears.
fn apply_sysctls(dir: &str) {
    let text = fs::read_to_string(format!("{dir}/etc/sysctl.d/90-xennet.conf")).unwrap_or_default();
    for (key, value) in text.lines().filter_map(|line| line.split_once(" = ")) {
        set(key.strip_prefix("net/").unwrap(), value);
    }
}

/// ifupdown with an exported file.
struct Ifupdown {
    options: String,
    names: String,
}

impl Ifupdown {
    fn new(dir: &Path, files: &str) -> Self {
        let state = dir.join("ifstate");
        fs::create_dir(&state).unwrap();
        let file = format!("{files}/etc/network/interfaces.d/xennet");
        let listed = ran(Command::new("ifquery").args(["--interfaces", &file, "-l"]));
        let listed = String::from_utf8(listed.stdout).unwrap();
        Self {
            options: format!(
                "--no-scripts --force --state-dir={} --interfaces={file}",
                state.display()
            ),
            names: listed.replace("lo\n", "").replace('\n', " "),
        }
    }

    fn run(&self, command: &str) {
        ran(&mut with_own_sys(&format!("{command} {} {}", self.options, self.names)));
    }
}

#[test]
fn ifupdown_makes_the_same_network() {
    at_once(CASES, |(config, host)| {
        let expected = by_xennet(config, host);
        let lan = host();
        lan.configure(config);
        let files = exported(lan.dir(), |words| lan.xennet(words), "ifupdown");
        let settings = as_after_a_boot(&lan);
        let ifupdown = Ifupdown::new(lan.dir(), &files);
        assert!(ifupdown.names.starts_with("eth0 xenbr0 "), "{}", ifupdown.names);
        let before = network(&lan);
        ifupdown.run("ifup --no-act");
        assert_eq!(network(&lan), before, "--no-act did something");
        ifupdown.run("ifup");
        let (expected, found) = (expected.join().unwrap(), network(&lan));
        assert!(found == expected, "{config}{}", differs(&expected, &found));
        let follow = ["ipv6/conf/xenbr0/accept_ra", "ipv4/conf/xenbr0/arp_ignore"];
        assert_eq!(follow.map(setting), settings);
        ifupdown.run("ifdown");
        let made = |fact: &String| fact.contains("xenbr0") || fact.contains("guests");
        let rest: Vec<_> = network(&lan).into_iter().filter(made).collect();
        assert_eq!(rest, [""; 0], "after ifdown");
    });
}

/// A systemd-networkd of the namespace's own, which finds no other files and no D-Bus.
struct Networkd(Child);

impl Networkd {
    fn start(dir: &Path, files: &str) -> Self {
        let command = format!(
            "mount -o remount,ro,bind /sys; mkdir -p /etc/systemd/network; \
             mount --bind {files}/etc/systemd/network /etc/systemd/network; \
             mount -t tmpfs none /run; mkdir -p /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp; \
             chown -R systemd-network:systemd-network /run/systemd/netif; exec /lib/systemd/systemd-networkd"
        );
        let log = fs::File::create(dir.join("networkd.log")).unwrap();
        Self(with_own_sys(&command).stdout(Stdio::null()).stderr(log).spawn().unwrap())
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
    at_once(CASES, |(config, host)| {
        let expected = by_xennet(config, host);
        let lan = host();
        lan.configure(config);
        let files = exported(lan.dir(), |words| lan.xennet(words), "networkd");
        let [accept_ra, arp_ignore] = as_after_a_boot(&lan);
        let expected = expected.join().unwrap();
        let _networkd = Networkd::start(lan.dir(), &files);
        let log = || fs::read_to_string(lan.dir().join("networkd.log")).unwrap();
        let mut found = BTreeSet::new();
        wait_for(
            || {
                found = network(&lan);
                found == expected
            },
            || format!("{config}{}\n{}", differs(&expected, &network(&lan)), log()),
        );
        assert!(!log().contains("Unknown"), "{}", log());
        apply_sysctls(&files);
        assert_eq!(setting("ipv4/conf/xenbr0/arp_ignore"), arp_ignore);
        // networkd itself reads advertisements, and switches the kernel's setting off.
        let network = format!("{files}/etc/systemd/network/10-xennet-xenbr0.network");
        let listens = if accept_ra == "0" { "no" } else { "yes" };
        let text = fs::read_to_string(network).unwrap();
        assert!(text.contains(&format!("IPv6AcceptRA={listens}\n")), "{text}");
    });
}

fn wait_for(mut condition: impl FnMut() -> bool, why: impl Fn() -> String) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < Duration::from_mins(1), "{}", why());
        sleep(Duration::from_millis(50));
    }
}

#[test]
fn advertisements_are_heeded_as_before() {
    at_once([("ifupdown", "0"), ("ifupdown", "1"), ("networkd", "0"), ("networkd", "1")], |case| {
        let (to, accept_ra) = case;
        let lan = if accept_ra == "0" { Lan::with_addresses() } else { Lan::new() };
        set("ipv6/conf/eth0/accept_ra", accept_ra);
        let advertised = |link: &str| {
            lan.advertise(1800, "2001:db8:9::");
            lan.netns
                .ip_json(&format!("-6 address show dev {link}"))
                .to_string()
                .contains("2001:db8:9::7")
        };
        if accept_ra == "1" {
            lan.netns.ip("token set ::7 dev eth0");
            wait_for(|| advertised("eth0"), || "eth0 has no address".to_owned());
        }
        lan.configure(INHERIT);
        let files = exported(lan.dir(), |words| lan.xennet(words), to);
        as_after_a_boot(&lan);
        let _networkd = match to {
            "ifupdown" => {
                Ifupdown::new(lan.dir(), &files).run("ifup");
                None
            }
            _ => Some(Networkd::start(lan.dir(), &files)),
        };
        let up = || {
            lan.netns.try_ip("link show dev xenbr0") && lan.netns.link("eth0")["master"] == "xenbr0"
        };
        wait_for(up, || format!("{to}: xenbr0 has no port"));
        if accept_ra == "1" {
            wait_for(|| advertised("xenbr0"), || format!("{to}: no address"));
        } else {
            let reaches = || ping("fe80::1%xenbr0") && ping("2001:db8::1");
            wait_for(reaches, || format!("{to}: the router does not answer"));
            for _ in 0..3 {
                assert!(!advertised("xenbr0"), "{to}: an advertised address");
                // Its answer comes after the advertisement.
                assert!(ping("2001:db8::1"));
            }
        }
    });
}

fn ping(address: &str) -> bool {
    let output = Command::new("ping").args(["-c", "1", "-W", "1", "-n", "-q", address]).output();
    output.unwrap().status.success()
}

#[test]
fn an_export_of_a_started_host_is_the_same() {
    at_once(CASES, |(config, host)| {
        let lan = host();
        lan.configure(config);
        let exports = || {
            let of = |to: &str| lan.xennet(&format!("network export --to {to}")).stdout;
            [of("ifupdown"), of("networkd")]
        };
        let before = exports();
        lan.xennet("network start").succeeded();
        lan.settled();
        assert_eq!(exports(), before, "{config}");
    });
}

#[test]
fn what_a_format_cannot_express_is_said() {
    let lan = Lan::with_addresses();
    lan.netns.veth("eth1", "peer1");
    lan.netns.ip("link set eth1 up");
    lan.netns.ip("address add 198.51.100.2/24 dev eth1");
    for words in [
        "route add 10.20.0.0/16 via 192.0.2.9 dev eth0 tos 0x10",
        "route add 10.21.0.0/16 via 192.0.2.9 dev eth0 window 5000",
        "route add 10.22.0.0/16 via 192.0.2.9 dev eth0 proto bird",
        "route add 10.23.0.0/16 via 192.0.2.9 dev eth0 realms 7",
        "route add 10.24.0.0/16 nexthop via 192.0.2.9 dev eth0 nexthop via 198.51.100.3 dev eth1",
        "route add 10.25.0.0/16 via 192.0.2.9 dev eth0 table 100",
        "-6 route add 2001:db8:c::/48 via fe80::1 dev eth0 expires 600",
    ] {
        lan.netns.ip(words);
    }
    lan.configure(INHERIT);
    let both = [
        "route 10.22.0.0/16 via 192.0.2.9 dev eth0: is left to the program that makes it (protocol 12)",
        "route 10.24.0.0/16 nexthop via 192.0.2.9 dev eth0 weight 1 nexthop via 198.51.100.3 dev eth1 weight 1: \
         leaves by other interfaces as well",
        "the rules that lead to the tables of its routes",
        ": expires",
    ];
    lan.netns.ip("neighbour add proxy 192.0.2.77 dev eth0");
    let tos = "route 10.20.0.0/16 via 192.0.2.9: is left out: networkd has no type of service";
    let window = "route 10.21.0.0/16 via 192.0.2.9: is written without window";
    let realms =
        "route 10.23.0.0/16 via 192.0.2.9 dev eth0: has attributes that xennet does not know";
    for (to, own) in [("ifupdown", [false; 3]), ("networkd", [true; 3])] {
        let done = lan.xennet(&format!("network export --to {to}"));
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        for words in both.into_iter().chain([realms]) {
            assert!(done.stderr.contains(words), "{words}\n{}", done.stderr);
        }
        let proxy = "neighbour 192.0.2.77: is left out: networkd has no proxy entries of IPv4";
        for (words, said) in [tos, window, proxy].into_iter().zip(own) {
            assert_eq!(done.stderr.contains(words), said, "{words}\n{}", done.stderr);
        }
        for remark in done.stderr.lines() {
            let remark = remark.strip_prefix("xennet: ").unwrap();
            assert!(done.stdout.contains(&format!("# {remark}\n")), "{remark}");
        }
        assert!(!done.stdout.contains("10.22.0.0/16 via 192.0.2.9 dev xenbr0"), "{}", done.stdout);
    }
    let ifupdown = lan.xennet("network export --to ifupdown").stdout;
    for words in [
        "up ip route add 10.20.0.0/16 tos 0x10 via 192.0.2.9 dev xenbr0\n",
        "up ip route add 10.21.0.0/16 window 5000 via 192.0.2.9 dev xenbr0\n",
    ] {
        assert!(ifupdown.contains(words), "{words}\n{ifupdown}");
    }
}

#[test]
fn a_lease_and_an_advertisement_are_left_to_their_clients() {
    let lan = Lan::new();
    for words in [
        "address add 192.0.2.2/24 dev eth0 valid_lft 600 preferred_lft 600",
        "address add 2001:db8::2/128 dev eth0 nodad valid_lft 600 preferred_lft 600",
        "route add default via 192.0.2.1 dev eth0",
        "route add default via 192.0.2.8 dev eth0 metric 500",
        "route add 10.0.0.0/8 via 192.0.2.9 dev eth0",
        "-6 route add default via fe80::1 dev eth0 proto ra metric 1024 expires 600",
    ] {
        lan.netns.ip(words);
    }
    lan.configure(INHERIT);
    let ifupdown = lan.xennet("network export --to ifupdown").stdout;
    let lines = "iface xenbr0 inet dhcp\niface xenbr0 inet6 dhcp\n    accept_ra 1\n    autoconf 1\n    \
                 up ip route add default metric 500 via 192.0.2.8 dev xenbr0\n    \
                 up ip route add 10.0.0.0/8 via 192.0.2.9 dev xenbr0\n    post-down";
    assert!(ifupdown.contains(lines), "{ifupdown}");
    let networkd = lan.xennet("network export --to networkd").stdout;
    let lines = "IPv6AcceptRA=yes\nDHCP=ipv4\n\n[Route]\nDestination=0.0.0.0/0\nGateway=192.0.2.8\nMetric=500\n\n\
                 [Route]\nDestination=10.0.0.0/8\nGateway=192.0.2.9\n";
    assert!(networkd.contains(lines), "{networkd}");
    for text in [ifupdown, networkd] {
        assert!(!text.contains("192.0.2.1\n") && !text.contains("fe80::1"), "{text}");
    }
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

const NAT: &str = r#"
[[nat]]
name = "guests"
bridge = "xennat0"
subnets = ["10.7.0.1/24", "fd00:7::1/64"]
uplink = "eth0"
forward = [
    { protocol = "tcp", port = 8080, to = "10.7.0.5", to_port = 80 },
    { protocol = "tcp", port = 8080, to = "fd00:7::5", to_port = 80 },
]
"#;

/// The rules of a table as nft prints them, without what names the table or comments on a rule.
fn rules(world: &World, table: &str) -> Vec<String> {
    let text = world.dom0.netns.nft_text(&format!("list table inet {table}"));
    let lines = text.lines().skip(1).filter(|line| !line.trim().starts_with("comment"));
    lines.map(|line| line.split(" comment ").next().unwrap().trim().to_owned()).collect()
}

#[test]
fn exported_rules_are_those_of_start() {
    for config in [NAT.to_owned(), NAT.replace("uplink = \"eth0\"\n", "")] {
        let world = World::new();
        world.configure(&config);
        world.start().succeeded();
        let expected = rules(&world, "xennet-nat");
        world.dom0.xennet("network stop").succeeded();
        for to in ["ifupdown", "networkd"] {
            apply(&world, to);
            assert_eq!(rules(&world, "xennet_nat0"), expected, "{to}");
            // Again, as after a restart.
            apply(&world, to);
            assert_eq!(rules(&world, "xennet_nat0"), expected, "{to}");
        }
    }
}

/// Only the rules of an export.
fn apply(world: &World, to: &str) -> String {
    let files = exported(world.dom0.dir(), |words| world.dom0.xennet(words), to);
    let (file, start) = match to {
        "ifupdown" => ("network/interfaces.d/xennet", "    up nft "),
        _ => ("systemd/system/xennet-nat.service", "ExecStart=/usr/sbin/nft "),
    };
    let text = fs::read_to_string(format!("{files}/etc/{file}")).unwrap();
    let commands: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix(start)).collect();
    assert_eq!(commands.len(), 1, "{text}");
    for rules in commands {
        ran(Command::new("sh").args(["-ec", &format!("nft {rules}")]));
    }
    files
}

#[test]
fn ports_of_an_export_lead_to_guests() {
    at_once(["ifupdown", "networkd"], |to| {
        let world = World::new();
        world.configure(NAT);
        let dir = world.dom0.dir();
        let files = apply(&world, to);
        let _networkd = match to {
            "ifupdown" => {
                Ifupdown::new(dir, &files).run("ifup");
                None
            }
            _ => Some(Networkd::start(dir, &files)),
        };
        let netns = &world.dom0.netns;
        let ready = || {
            netns.try_ip("link show dev xennat0") && {
                let all = netns.ip_json("address show dev xennat0").to_string();
                all.contains("10.7.0.1") && all.contains("fd00:7::1")
            }
        };
        wait_for(ready, || format!("{to}: xennat0 is not ready"));
        apply_sysctls(&files);
        let ids = [1, 2].map(|domid| VifId { domid, devid: 0 });
        let routers = ["10.7.0.1", "fd00:7::1"];
        let one = world.guest(ids[0], "10.7.0.5 fd00:7::5", routers);
        let other = world.guest(ids[1], "10.7.0.6 fd00:7::6", routers);
        ports_lead_in(&world, &one, &other);
        let far = Server::listen(&world.far, "198.51.100.2:7003");
        send(&other, "198.51.100.2:7003", 10);
        assert_eq!(far.heard(10), "192.0.2.2");
    });
}
