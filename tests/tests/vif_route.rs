//! `vif-route`: a guest that the host has routes to, on the real kernel, with guests and the world in namespaces of
//! their own.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::fs;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::process::Command;

use serde_json::Value;
use xennet_core::types::VifId;
use xennet_tests::hotplug::{Dom0, Script, VIF};
use xennet_tests::netns::{another, within};
use xennet_tests::tap::Tap;

const OTHER: VifId = VifId { domid: 2, devid: 0 };

/// A dom0 with `eth0`, a host behind it, and forwarding.
struct Host {
    dom0: Dom0,
    world: File,
}

impl Host {
    fn new() -> Self {
        let dom0 = Dom0::without_bridge();
        let world = another();
        let netns = &dom0.netns;
        netns.ip("link add eth0 type veth peer name wan0");
        give(&dom0, "wan0", &world);
        for words in [
            "link set eth0 addrgenmode none up",
            "address add 192.0.2.2/24 dev eth0",
            "address add 2001:db8::2/64 dev eth0 nodad",
            // Without one the host asks for no neighbour.
            "address add fe80::2/64 dev eth0 nodad",
        ] {
            netns.ip(words);
        }
        for words in [
            "link set lo up",
            "link set wan0 up",
            "address add 192.0.2.1/24 dev wan0",
            "address add 2001:db8::1/64 dev wan0 nodad",
        ] {
            ip(&world, words);
        }
        netns.ip("route add default via 192.0.2.1");
        netns.ip("-6 route add default via 2001:db8::1");
        sysctl("ipv4/ip_forward", "1");
        sysctl("ipv6/conf/all/forwarding", "1");
        Self { dom0, world }
    }

    /// A guest with these addresses, plugged in.
    fn guest(&self, id: VifId, addresses: &str) -> File {
        self.dom0.boot(id, &[("ip", addresses)]);
        self.dom0.online(Script::OursRoute, id).succeeded();
        self.move_in(id, addresses)
    }

    /// The guest's own side, in a namespace of its own.
    fn move_in(&self, id: VifId, addresses: &str) -> File {
        let guest = another();
        let name = format!("guest{id}");
        give(&self.dom0, &name, &guest);
        ip(&guest, "link set lo up");
        ip(&guest, &format!("link set {name} addrgenmode none up"));
        for address in addresses.split_whitespace() {
            let nodad = if address.contains(':') { "nodad" } else { "" };
            ip(&guest, &format!("address add {address} dev {name} {nodad}"));
        }
        // Its own link-local address, as any guest has one.
        ip(&guest, &format!("address add fe80::216:3eff:fe01:203/64 dev {name} nodad"));
        ip(&guest, &format!("route add default dev {name}"));
        ip(&guest, &format!("-6 route add default via fe80::1 dev {name}"));
        guest
    }

    fn state(&self) -> String {
        let netns = &self.dom0.netns;
        let mut all = String::new();
        for words in ["address show", "-4 route show table all", "-6 route show table all"] {
            all.push_str(&text(&netns.ip_json(words)));
        }
        all + &text(&netns.ip_json("neighbour show proxy"))
    }
}

fn give(dom0: &Dom0, name: &str, netns: &File) {
    let file = format!("/proc/{}/fd/{}", std::process::id(), netns.as_raw_fd());
    dom0.netns.ip(&format!("link set {name} netns {file}"));
}

fn ip(netns: &File, words: &str) {
    within(netns, || {
        let output = Command::new("ip").args(words.split_whitespace()).output().unwrap();
        assert!(output.status.success(), "ip {words}: {output:?}");
    });
}

fn sysctl(key: &str, value: &str) {
    fs::write(format!("/proc/sys/net/{key}"), value).unwrap_or_else(|e| panic!("{key}: {e}"));
}

fn setting(key: &str) -> String {
    fs::read_to_string(format!("/proc/sys/net/{key}")).unwrap().trim().to_owned()
}

/// Whether an answer comes; asked again for some seconds, for the kernel proxies ARP only after a moment.
fn reaches(from: &File, words: &str) -> bool {
    within(from, || {
        let words = format!("-n -q -c 1 -W 1 {words}");
        let ping = || Command::new("ping").args(words.split_whitespace()).output().unwrap();
        (0..5).any(|_| ping().status.success())
    })
}

fn never_reaches(from: &File, words: &str) -> bool {
    within(from, || {
        let words = format!("-n -q -c 2 -i 0.2 -W 1 {words}");
        !Command::new("ping").args(words.split_whitespace()).output().unwrap().status.success()
    })
}

fn text(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap()
}

fn routes(dom0: &Dom0, words: &str) -> Vec<String> {
    let all = dom0.netns.ip_json(words);
    let of = |route: &Value| {
        let of = |key: &str| route[key].as_str().unwrap_or("-").to_owned();
        format!("{} dev {} src {} metric {}", of("dst"), of("dev"), of("prefsrc"), route["metric"])
    };
    all.as_array().unwrap().iter().map(of).collect()
}

#[test]
fn two_guests_and_the_world_reach_each_other() {
    let host = Host::new();
    let dom0 = &host.dom0;
    fs::write(
        dom0.dir().join("xennet.toml"),
        "[[routed]]\nuplink = \"eth0\"\nproxy_arp = true\nproxy_ndp = true\n\
         prefixes = [\"192.0.2.0/24\", \"2001:db8::/64\"]\n",
    )
    .unwrap();
    sysctl("ipv6/conf/eth0/proxy_ndp", "1");
    dom0.hook("main.hook", "echo \"$main_ip $ip\" > main");
    let before = host.state();
    let one = host.guest(VIF, "192.0.2.5 2001:db8::5");
    let other = host.guest(OTHER, "192.0.2.6 2001:db8::6");
    assert_eq!(dom0.key(VIF, "hotplug-status").as_deref(), Some("connected"));
    assert_eq!(dom0.written("main").as_deref(), Some("192.0.2.2 192.0.2.6 2001:db8::6\n"));
    for guest in [&one, &other] {
        // By the host's answers for it on the uplink: nobody in the world has a route to a guest.
        assert!(reaches(guest, "-4 192.0.2.1"), "{}", host.state());
        assert!(reaches(guest, "-6 2001:db8::1"), "{}", host.state());
    }
    assert!(reaches(&host.world, "-4 192.0.2.5") && reaches(&host.world, "-6 2001:db8::6"));
    assert!(reaches(&one, "-4 192.0.2.6") && reaches(&other, "-6 2001:db8::5"));
    assert!(reaches(&one, "-4 192.0.2.2") && reaches(&one, "-6 fe80::1%guest1.0"));

    // Again: nothing to do, and nothing that is interrupted.
    let running = host.state();
    dom0.online(Script::OursRoute, VIF).succeeded();
    let plan = dom0.xennet("vif online 1.0 --mode route --dry-run");
    assert_eq!((plan.code, plan.stdout.as_str()), (Some(0), ""), "{}", plan.stderr);
    assert_eq!(host.state(), running);

    // Somebody else's address, by real frames: the guard drops it, and what the first one does is not affected.
    ip(&other, "address add 192.0.2.5/32 dev guest2.0");
    ip(&other, "address add 2001:db8::5/128 dev guest2.0 nodad");
    assert!(never_reaches(&other, "-4 -I 192.0.2.5 192.0.2.1"));
    assert!(never_reaches(&other, "-6 -I 2001:db8::5 2001:db8::1"));
    assert!(reaches(&one, "-4 192.0.2.1"));
    let guard = dom0.xennet("guard show");
    assert!(guard.stdout.contains("vif2.0"), "{}", guard.stdout);

    for id in [VIF, OTHER] {
        dom0.offline(Script::OursRoute, id).succeeded();
        dom0.offline(Script::OursRoute, id).succeeded();
        dom0.netns.ip(&format!("link delete vif{id}"));
    }
    assert_eq!(host.state(), before);
    let guard = dom0.netns.nft_text("list table inet xennet");
    assert!(!guard.contains("\"vif"), "{guard}");
}

#[test]
fn offline_leaves_nothing_when_the_interface_and_the_uplinks_address_are_gone() {
    let host = Host::new();
    let dom0 = &host.dom0;
    fs::write(
        dom0.dir().join("xennet.toml"),
        "[[routed]]\nuplink = \"eth0\"\nproxy_arp = true\nproxy_ndp = true\n",
    )
    .unwrap();
    dom0.boot(VIF, &[("ip", "192.0.2.5 2001:db8::5"), ("vifname", "web")]);
    dom0.online(Script::OursRoute, VIF).succeeded();
    assert_eq!(dom0.netns.ip_json("neighbour show proxy").as_array().unwrap().len(), 2);
    dom0.netns.ip("address flush dev eth0");
    dom0.shut_down(VIF, "web");
    dom0.offline(Script::OursRoute, VIF).succeeded();
    assert_eq!(dom0.netns.ip_json("neighbour show proxy"), Value::Array(vec![]));
    assert!(!host.state().contains("web"));
    assert!(!dom0.netns.nft_text("list table inet xennet").contains("192.0.2.5"));
}

#[test]
fn the_routes_are_those_of_xens_own_script() {
    let host = Host::new();
    let dom0 = &host.dom0;
    let keys = [("ip", "203.0.113.5 198.51.100.0/28")];
    let mut seen = Vec::new();
    for script in [Script::StockRoute, Script::OursRoute] {
        dom0.boot(VIF, &keys);
        dom0.online(script, VIF).succeeded();
        seen.push((
            routes(dom0, "-4 route show dev vif1.0"),
            dom0.netns.ip_json("-4 address show dev vif1.0")[0]["addr_info"][0]["local"].clone(),
            setting("ipv4/conf/vif1.0/proxy_arp"),
            dom0.key(VIF, "hotplug-status"),
            dom0.netns.link("vif1.0")["address"].clone(),
            dom0.netns.link("vif1.0")["mtu"].clone(),
        ));
        dom0.offline(script, VIF).succeeded();
        dom0.netns.ip("link delete vif1.0");
        dom0.forget(VIF);
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(
        seen[0].0,
        [
            "198.51.100.0/28 dev - src 192.0.2.2 metric 2",
            "203.0.113.5 dev - src 192.0.2.2 metric 2"
        ]
    );
}

#[test]
fn a_tap_and_its_vif_have_the_same_addresses() {
    let host = Host::new();
    let dom0 = &host.dom0;
    sysctl("ipv4/conf/all/rp_filter", "1");
    dom0.boot(VIF, &[("ip", "203.0.113.5 2001:db8:5::5")]);
    dom0.make_tap(VIF);
    dom0.online(Script::OursRoute, VIF).succeeded();
    let tap = dom0.add(Script::OursRoute, VIF);
    tap.succeeded();
    assert!(tap.stderr.contains("net/ipv4/conf/vif1.0-emu/rp_filter=2"), "{}", tap.stderr);
    assert_eq!(
        routes(dom0, "-4 route show 203.0.113.5"),
        [
            "203.0.113.5 dev vif1.0-emu src 192.0.2.2 metric 1",
            "203.0.113.5 dev vif1.0 src 192.0.2.2 metric 2"
        ]
    );
    dom0.remove(Script::OursRoute, VIF).succeeded();
    assert_eq!(routes(dom0, "-4 route show 203.0.113.5").len(), 1);
    assert_eq!(routes(dom0, "-6 route show 2001:db8:5::5").len(), 1);
}

#[test]
fn an_address_that_somebody_has_is_refused() {
    let host = Host::new();
    let dom0 = &host.dom0;
    dom0.boot(VIF, &[("ip", "203.0.113.5 2001:db8:5::5")]);
    dom0.online(Script::OursRoute, VIF).succeeded();
    for (ip, owner) in [
        ("203.0.113.5", "vif1.0 has it already"),
        ("203.0.113.6 2001:db8:5::5", "vif1.0 has it already"),
        ("192.0.2.2", "the host itself has it already"),
        ("192.0.2.2/31", "the host itself has it already (route local 192.0.2.2"),
        ("192.0.2.1", "the host's router 192.0.2.1 has it already (route default via 192.0.2.1"),
        ("2001:db8::/120", "has it already"),
    ] {
        dom0.boot(OTHER, &[("ip", ip)]);
        let before = host.state();
        let outcome = dom0.online(Script::OursRoute, OTHER);
        assert_eq!(outcome.code, Some(1));
        let error = dom0.key(OTHER, "hotplug-error").unwrap();
        assert!(error.contains(owner), "{error}");
        assert_eq!(host.state(), before);
        dom0.netns.ip("link delete vif2.0");
        dom0.forget(OTHER);
    }
    fs::write(
        dom0.dir().join("xennet.toml"),
        "[[routed]]\nuplink = \"eth0\"\nprefixes = [\"198.51.100.0/28\"]\n",
    )
    .unwrap();
    dom0.boot(OTHER, &[("ip", "198.51.100.5 198.51.100.20")]);
    assert_eq!(dom0.online(Script::OursRoute, OTHER).code, Some(1));
    assert_eq!(
        dom0.key(OTHER, "hotplug-error").unwrap(),
        "ip 198.51.100.20/32: is in none of 198.51.100.0/28; correct ip=, or prefixes of routed eth0 in xennet.toml"
    );
}

#[test]
fn a_host_without_eth0_or_ipv4_will_do() {
    let dom0 = Dom0::without_bridge();
    dom0.netns.ip("link add wan1 type veth peer name far");
    dom0.netns.ip("link set wan1 up");
    dom0.netns.ip("link set far up");
    dom0.netns.ip("address add 2001:db8::2/64 dev wan1 nodad");
    dom0.netns.ip("-6 route add default via 2001:db8::1 dev wan1");
    dom0.boot(VIF, &[("ip", "2001:db8:5::5 203.0.113.5")]);
    let outcome = dom0.online(Script::OursRoute, VIF);
    outcome.succeeded();
    // It says what is missing, in the words of the command that mends it.
    assert!(outcome.stderr.contains("sysctl -w net/ipv6/conf/all/forwarding=1"), "{outcome:?}");
    assert_eq!(routes(&dom0, "-4 route show"), ["203.0.113.5 dev vif1.0 src - metric 2"]);
    assert_eq!(
        routes(&dom0, "-6 route show 2001:db8:5::5"),
        ["2001:db8:5::5 dev vif1.0 src - metric 2"]
    );

    dom0.boot(OTHER, &[("ip", "203.0.113.6"), ("gatewaydev", "eth7")]);
    assert_eq!(dom0.online(Script::OursRoute, OTHER).code, Some(1));
    let error = dom0.key(OTHER, "hotplug-error").unwrap();
    assert!(error.starts_with("gatewaydev eth7: no such interface"), "{error}");
}

#[test]
fn a_host_without_ipv6_will_do() {
    let host = Host::new();
    sysctl("ipv6/conf/all/disable_ipv6", "1");
    sysctl("ipv6/conf/default/disable_ipv6", "1");
    let dom0 = &host.dom0;
    dom0.boot(VIF, &[("ip", "203.0.113.5 2001:db8:5::5")]);
    let outcome = dom0.online(Script::OursRoute, VIF);
    outcome.succeeded();
    assert!(outcome.stderr.contains("no IPv6 on it, so 2001:db8:5::5/128 is not routed"));
    let guest = host.move_in_v4(VIF, "203.0.113.5");
    ip(&host.world, "route add 203.0.113.5 via 192.0.2.2");
    assert!(reaches(&guest, "-4 192.0.2.1"));
}

impl Host {
    fn move_in_v4(&self, id: VifId, address: &str) -> File {
        let guest = another();
        let name = format!("guest{id}");
        give(&self.dom0, &name, &guest);
        ip(&guest, &format!("link set {name} up"));
        ip(&guest, &format!("address add {address} dev {name}"));
        ip(&guest, &format!("route add default dev {name}"));
        guest
    }
}

#[test]
fn mtu_and_name_and_a_change_in_place() {
    let host = Host::new();
    let dom0 = &host.dom0;
    dom0.boot(VIF, &[("ip", "203.0.113.5"), ("vifname", "web"), ("mtu", "9000")]);
    dom0.online(Script::OursRoute, VIF).succeeded();
    assert_eq!(dom0.netns.link("web")["mtu"], 9000);
    assert_eq!(dom0.read(&format!("{}/mtu", dom0.frontend(VIF))).as_deref(), Some("9000"));
    let index = dom0.netns.link("web")["ifindex"].clone();

    // Another address: the old route goes, the link stays up all the time.
    dom0.fill_store(VIF, &[("ip", "203.0.113.6"), ("vifname", "web"), ("mtu", "9000")]);
    let plan = dom0.xennet("vif online 1.0 --mode route --dry-run").stdout;
    assert!(plan.contains("route add 203.0.113.6") && !plan.contains("down"), "{plan}");
    dom0.online(Script::OursRoute, VIF).succeeded();
    // Too small for IPv6, and back.
    dom0.fill_store(VIF, &[("ip", "203.0.113.6"), ("vifname", "web"), ("mtu", "1200")]);
    dom0.online(Script::OursRoute, VIF).succeeded();
    assert_eq!(routes(dom0, "-4 route show dev web"), ["203.0.113.6 dev - src 192.0.2.2 metric 2"]);
    dom0.fill_store(
        VIF,
        &[("ip", "203.0.113.6 2001:db8:5::5"), ("vifname", "web"), ("mtu", "1500")],
    );
    dom0.online(Script::OursRoute, VIF).succeeded();
    assert_eq!(dom0.netns.link("web")["ifindex"], index);
    assert!(text(&dom0.netns.ip_json("-6 address show dev web")).contains("fe80::1"));
}

#[test]
fn the_guard_sees_routed_frames() {
    let host = Host::new();
    let dom0 = &host.dom0;
    let tap = Tap::new(&dom0.netns, "vif1.0");
    dom0.fill_store(VIF, &[("ip", "203.0.113.5")]);
    dom0.online(Script::OursRoute, VIF).succeeded();
    let dropped = || {
        let set = &dom0.netns.nft_json("list set inet xennet drops")[0]["set"];
        let packets = |it: &Value| it["elem"]["counter"]["packets"].as_u64().unwrap();
        set["elem"].as_array().into_iter().flatten().map(packets).sum::<u64>()
    };
    let frame = |mac: [u8; 6], source: [u8; 4]| {
        let mut frame = vec![0xfe, 0xff, 0xff, 0xff, 0xff, 0xff];
        frame.extend(mac);
        frame.extend([8, 0, 0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0]);
        frame.extend(source);
        frame.extend([192, 0, 2, 1, 0, 9, 0, 9, 0, 8, 0, 0]);
        let sum: u32 =
            frame[14..34].chunks(2).map(|w| u32::from(w[0]) << 8 | u32::from(w[1])).sum();
        let sum = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
        frame[24..26].copy_from_slice(&sum.to_be_bytes());
        frame
    };
    let mac = [0, 0x16, 0x3e, 1, 2, 3];
    assert_eq!(dropped(), 0);
    tap.send(&frame(mac, [203, 0, 113, 5]));
    assert_eq!(dropped(), 0);
    tap.send(&frame(mac, [203, 0, 113, 6]));
    assert_eq!(dropped(), 1);
    tap.send(&frame([0, 0x16, 0x3e, 1, 2, 4], [203, 0, 113, 5]));
    assert_eq!(dropped(), 2);
}

#[test]
fn a_failed_plug_leaves_all_as_it_was() {
    let host = Host::new();
    let dom0 = &host.dom0;
    dom0.boot(VIF, &[("ip", "203.0.113.5 2001:db8:5::5")]);
    dom0.hook("fails.hook", "exit 1");
    dom0.netns.ip("link set vif1.0 up");
    dom0.netns.ip("address add 10.9.9.9/24 dev vif1.0");
    let settle = || dom0.links();
    let before = (settle(), routes(dom0, "-4 route show table all"));
    assert_eq!(dom0.online(Script::OursRoute, VIF).code, Some(1));
    assert_eq!((settle(), routes(dom0, "-4 route show table all")), before);
    assert_eq!(setting("ipv4/conf/vif1.0/proxy_arp"), "0");
}

#[test]
fn the_host_answers_for_no_address_longer_than_a_guest_has_it() {
    let host = Host::new();
    let dom0 = &host.dom0;
    fs::write(
        dom0.dir().join("xennet.toml"),
        "[[routed]]\nuplink = \"eth0\"\nproxy_arp = true\nproxy_ndp = true\n",
    )
    .unwrap();
    let proxies = || {
        let all = dom0.netns.ip_json("neighbour show proxy");
        let of = |entry: &Value| entry["dst"].as_str().unwrap().to_owned();
        let mut all: Vec<String> = all.as_array().unwrap().iter().map(of).collect();
        all.sort();
        all
    };
    // Somebody else's.
    dom0.netns.ip("neighbour add proxy 192.0.2.99 dev eth0");
    dom0.boot(VIF, &[("ip", "192.0.2.77 2001:db8::77")]);
    dom0.make_tap(VIF);
    dom0.online(Script::OursRoute, VIF).succeeded();
    dom0.boot(OTHER, &[("ip", "192.0.2.6")]);
    dom0.online(Script::OursRoute, OTHER).succeeded();
    assert_eq!(proxies(), ["192.0.2.6", "192.0.2.77", "192.0.2.99", "2001:db8::77"]);

    // Its tap goes, and it stays.
    dom0.add(Script::OursRoute, VIF).succeeded();
    dom0.remove(Script::OursRoute, VIF).succeeded();
    dom0.netns.ip("link delete vif1.0-emu");
    assert_eq!(proxies(), ["192.0.2.6", "192.0.2.77", "192.0.2.99", "2001:db8::77"]);

    // Others are its addresses.
    dom0.fill_store(VIF, &[("ip", "192.0.2.78 2001:db8::78")]);
    dom0.online(Script::OursRoute, VIF).succeeded();
    assert_eq!(proxies(), ["192.0.2.6", "192.0.2.78", "192.0.2.99", "2001:db8::78"]);
    let plan = dom0.xennet("vif online 1.0 --mode route --dry-run");
    assert_eq!((plan.code, plan.stdout.as_str()), (Some(0), ""), "{}", plan.stderr);
    // A plug that fails takes nothing from it.
    dom0.hook("fails.hook", "exit 1");
    dom0.fill_store(VIF, &[("ip", "192.0.2.79")]);
    assert_eq!(dom0.online(Script::OursRoute, VIF).code, Some(1));
    assert_eq!(proxies(), ["192.0.2.6", "192.0.2.78", "192.0.2.99", "2001:db8::78"]);
    fs::remove_file(dom0.hook_dir().join("fails.hook")).unwrap();

    // Nobody tells its addresses, and its interface is still there.
    dom0.xennet("vif offline 1.0 --mode route --no-store").succeeded();
    assert_eq!(proxies(), ["192.0.2.6", "192.0.2.99"]);
    // Somebody does, of another one.
    dom0.offline(Script::OursRoute, OTHER).succeeded();
    assert_eq!(proxies(), ["192.0.2.99"]);
}
