//! Guests behind the host's address, with real packets: what the table `inet xennet-nat` does for them.

use std::fs::File;

use xennet_core::types::VifId;
use xennet_tests::hotplug::Script;
use xennet_tests::world::{Server, World, ip, never_reaches, ports_lead_in, reaches, send};

const ONE: VifId = VifId { domid: 1, devid: 0 };
const OTHER: VifId = VifId { domid: 2, devid: 0 };

const BRIDGE: &str = r#"
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

/// What somebody else has, and what must be there in the end.
const FOREIGN: &str = r"table inet mine {
    chain forward {
        type filter hook forward priority 0; policy accept;
        tcp dport 4444 counter drop
    }
    chain out {
        type nat hook postrouting priority 100; policy accept;
        ip saddr 10.99.0.0/16 masquerade
    }
}";

#[test]
fn what_the_host_reaches_already_is_no_network_for_guests() {
    let world = World::new();
    let before = world.state();
    for (subnet, network) in [
        ("192.0.2.1/32", "192.0.2.0/24"),
        ("192.0.0.1/16", "192.0.2.0/24"),
        ("2001:db8::1/48", "2001:db8::/64"),
    ] {
        world.configure(&format!(
            "[[nat]]\nname = \"n\"\nbridge = \"xennat0\"\nsubnets = [\"{subnet}\"]\n"
        ));
        let refused = world.start();
        assert_eq!(refused.code, Some(1), "{refused:?}");
        let words = format!(
            "xennet: nat n: {subnet} overlaps {network}, which the host reaches by eth0; choose other subnets in xennet.toml\n"
        );
        assert_eq!(refused.stderr, words);
    }
    // A gateway that no other route leads to.
    let netns = &world.dom0.netns;
    netns.ip("route replace default via 10.9.9.9 dev eth0 onlink");
    world.configure("[[nat]]\nname = \"n\"\nsubnets = [\"10.9.0.1/16\"]\n");
    let refused = world.start();
    assert!(refused.stderr.contains("10.9.0.1/16 overlaps 10.9.9.9/32"), "{refused:?}");
    netns.ip("route replace default via 192.0.2.1 dev eth0");
    assert_eq!(world.state(), before);
}

#[test]
fn a_port_that_somebody_listens_on_is_warned_of() {
    let world = World::new();
    world.configure(BRIDGE);
    let planned = world.dom0.xennet("network plan");
    assert!(!planned.stderr.contains("listens"), "{planned:?}");
    let _listener = std::net::TcpListener::bind("0.0.0.0:8080").unwrap();
    let planned = world.dom0.xennet("network plan");
    planned.succeeded();
    assert!(
        planned.stderr.contains("a program of this host listens on port 8080 (tcp)"),
        "{planned:?}"
    );
}

#[test]
fn what_start_took_is_given_back_without_a_configuration() {
    let world = World::new();
    let before = world.state();
    world.configure(BRIDGE);
    world.start().succeeded();
    world.configure("[[nat]]\nname =\n");
    let stopped = world.dom0.xennet("network stop");
    stopped.succeeded();
    assert!(stopped.stderr.ends_with("; going by what start recorded\n"), "{stopped:?}");
    assert_eq!(world.state(), before);
    // Nothing is recorded any more.
    assert_eq!(world.dom0.xennet("network stop").code, Some(1));
}

/// All that a guest can do behind the host's address, and all given back in the end.
fn behind_the_hosts_address(config: &str, gateway6: &str, links: &[&str]) {
    let world = World::new();
    let netns = &world.dom0.netns;
    netns.nft(FOREIGN);
    world.configure(config);
    let before = world.state();
    world.start().succeeded();
    let again = world.start();
    assert_eq!(
        (again.code, again.stderr.as_str()),
        (Some(0), ""),
        "the second start did something"
    );

    let routers = ["10.7.0.1", gateway6];
    let one = world.guest(ONE, "10.7.0.5 fd00:7::5", routers);
    let other = world.guest(OTHER, "10.7.0.6 fd00:7::6", routers);
    goes_out(&world, &one);
    ports_lead_in(&world, &one, &other);
    is_held_to_its_address(&other);

    // Somebody empties the ruleset.
    netns.nft("flush ruleset");
    netns.nft(FOREIGN);
    let drift = world.dom0.xennet("network check");
    assert_eq!(drift.code, Some(1), "{drift:?}");
    assert!(drift.stdout.starts_with("nft add table inet xennet-nat;"), "{drift:?}");
    world.start().succeeded();
    world.dom0.xennet("network check").succeeded();
    world.dom0.xennet("guard restore").succeeded();
    let far = Server::listen(&world.far, "198.51.100.2:7003");
    send(&one, "198.51.100.2:7003", 10);
    assert_eq!(far.heard(10), "192.0.2.2");
    // Somebody adds a rule to our table.
    netns.nft("add rule inet xennet-nat postrouting counter log");
    assert_eq!(world.dom0.xennet("network check").code, Some(1));
    world.start().succeeded();
    world.dom0.xennet("network check").succeeded();

    for id in [ONE, OTHER] {
        world.dom0.offline(Script::OursNat, id).succeeded();
        netns.ip(&format!("link delete vif{id}"));
    }
    for link in links {
        assert!(netns.try_ip(&format!("link show dev {link}")));
    }
    world.dom0.xennet("guard remove").succeeded();
    world.dom0.xennet("network stop").succeeded();
    assert_eq!(world.state(), before);
}

/// It speaks with the host's address, IPv4 and IPv6, and hears of a smaller MTU on the way.
fn goes_out(world: &World, guest: &File) {
    const MUCH: usize = 300_000;
    for (to, host, probe) in [
        ("198.51.100.2:7001", "192.0.2.2", "-4 route get 198.51.100.2"),
        ("[2001:db8:f::2]:7001", "2001:db8::2", "-6 route get 2001:db8:f::2"),
    ] {
        let far = Server::listen(&world.far, to);
        send(guest, to, MUCH);
        assert_eq!(far.heard(MUCH), host);
        let route = ip(guest, probe);
        assert!(route.contains("mtu 1300"), "{to}: nobody told it: {route}");
    }
}

fn is_held_to_its_address(guest: &File) {
    assert!(reaches(guest, "-4 192.0.2.1") && reaches(guest, "-6 2001:db8::1"));
    ip(guest, "address add 10.7.0.9/24 dev guest2.0");
    ip(guest, "address add fd00:7::9/64 dev guest2.0 nodad");
    assert!(never_reaches(guest, "-4 -I 10.7.0.9 192.0.2.1"));
    assert!(never_reaches(guest, "-6 -I fd00:7::9 2001:db8::1"));
    ip(guest, "address delete 10.7.0.9/24 dev guest2.0");
    ip(guest, "address delete fd00:7::9/64 dev guest2.0");
}

#[test]
fn on_a_bridge() {
    behind_the_hosts_address(BRIDGE, "fd00:7::1", &["xennat0"]);
}

#[test]
fn on_links_of_their_own_by_any_way_out() {
    let config = BRIDGE.replace("bridge = \"xennat0\"\n", "").replace("uplink = \"eth0\"\n", "");
    behind_the_hosts_address(&config, "fe80::1", &[]);
}

#[test]
fn guests_of_any_way_out_reach_each_other_as_themselves() {
    let world = World::new();
    world.configure(
        "[[nat]]\nname = \"a\"\nsubnets = [\"10.7.0.1/24\", \"fd00:7::1/64\"]\n\
         [[nat]]\nname = \"b\"\nsubnets = [\"10.8.0.1/24\", \"fd00:8::1/64\"]\nuplink = \"eth0\"\n",
    );
    world.start().succeeded();
    let one = world.guest(ONE, "10.7.0.5 fd00:7::5", ["10.7.0.1", "fe80::1"]);
    let other = world.guest(OTHER, "10.8.0.6 fd00:8::6", ["10.8.0.1", "fe80::1"]);
    for (from, to, source) in [
        (&one, (&other, "10.8.0.6:80"), "10.7.0.5"),
        (&one, (&other, "[fd00:8::6]:80"), "fd00:7::5"),
        (&other, (&one, "10.7.0.5:80"), "10.8.0.6"),
    ] {
        let server = Server::listen(to.0, to.1);
        send(from, to.1, 10);
        assert_eq!(server.heard(10), source);
    }
    let far = Server::listen(&world.far, "198.51.100.2:7001");
    send(&one, "198.51.100.2:7001", 10);
    assert_eq!(far.heard(10), "192.0.2.2");
}

#[test]
fn what_would_keep_guests_from_the_world_is_told() {
    let world = World::new();
    world.dom0.netns.nft(
        "table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop; }; }",
    );
    world.configure(&BRIDGE.replace("eth0", "ppp0"));
    let told = world.start();
    told.succeeded();
    for words in [
        "nat guests: its uplink ppp0 is no interface here",
        "xennat0: a guest does not reach itself by a port of the host's, because net.bridge.bridge-nf-call-iptables is 1",
        "xennat0: table ip filter, chain FORWARD of nftables may drop its frames (its policy is drop); make an \
         exception with `nft insert rule ip filter FORWARD iifname xennat0 accept`",
    ] {
        assert!(told.stderr.contains(words), "{words}\n{}", told.stderr);
    }
}

#[test]
fn a_table_of_that_name_that_is_not_ours_is_left_alone() {
    let world = World::new();
    world.dom0.netns.nft("table inet xennet-nat { chain mine { }; }");
    let before = world.state();
    world.configure(BRIDGE);
    let told = world.start();
    assert_eq!(told.code, Some(1));
    assert!(told.stderr.contains("so it is not this xennet's; it was left alone"), "{told:?}");
    world.dom0.xennet("network stop").succeeded();
    assert_eq!(world.state(), before);
}

#[test]
fn a_configuration_without_nat_has_no_table() {
    let world = World::new();
    world.configure(BRIDGE);
    world.start().succeeded();
    assert!(world.dom0.netns.nft_text("list tables").contains("xennet-nat"));
    world.configure("[forwarding]\nipv4 = true\n");
    world.start().succeeded();
    assert_eq!(world.dom0.netns.nft_text("list tables"), "");
}

#[test]
fn what_is_left_of_a_vif_goes_whoever_unplugs_it() {
    let world = World::new();
    world.configure("[[routed]]\nuplink = \"eth0\"\nproxy_arp = true\nproxy_ndp = true\n");
    let before = world.state();
    world.start().succeeded();
    let netns = &world.dom0.netns;
    netns.ip("neighbour add proxy 192.0.2.77 dev eth0");
    for id in [ONE, OTHER] {
        let ip = format!("192.0.2.1{} 2001:db8::1{}", id.domid, id.domid);
        world.dom0.boot(id, &[("ip", &ip)]);
        world.dom0.online(Script::OursRoute, id).succeeded();
    }
    let proxies = || netns.ip_json("neighbour show proxy").as_array().unwrap().len();
    assert_eq!(proxies(), 5);
    // Its interface is gone, and all that XenStore knew of it; and nobody says how it was plugged in.
    netns.ip("link delete vif1.0");
    world.dom0.forget(ONE);
    world.dom0.offline(Script::Ours, ONE).succeeded();
    assert_eq!(proxies(), 3, "those of the other one, and the administrator's");
    let guard = netns.nft_text("list table inet xennet");
    assert!(!guard.contains("192.0.2.11") && guard.contains("192.0.2.12"), "{guard}");
    // Its interface is there.
    world.dom0.offline(Script::Ours, OTHER).succeeded();
    let guard = netns.nft_text("list table inet xennet");
    assert!(!guard.contains("192.0.2.12"), "{guard}");
    assert!(!netns.ip_json("-4 address show dev vif2.0").to_string().contains("192.0.2"));
    netns.ip("link delete vif2.0");
    world.dom0.forget(OTHER);
    world.dom0.offline(Script::Ours, OTHER).succeeded();
    assert_eq!(proxies(), 1);
    netns.ip("neighbour delete proxy 192.0.2.77 dev eth0");
    world.dom0.xennet("guard remove").succeeded();
    world.dom0.xennet("network stop").succeeded();
    assert_eq!(world.state(), before);
}

#[test]
fn a_routed_guest_outside_of_the_prefixes_is_refused() {
    let world = World::new();
    world.configure(
        "[[routed]]\nuplink = \"eth0\"\nproxy_arp = true\nprefixes = [\"192.0.2.0/28\", \"2001:db8:1::/64\"]\n",
    );
    world.start().succeeded();
    world.dom0.xennet("network check").succeeded();
    for ip in ["192.0.2.77", "2001:db8::5", "192.0.2.5 10.0.0.1"] {
        world.dom0.boot(ONE, &[("ip", ip)]);
        assert_eq!(world.dom0.online(Script::OursRoute, ONE).code, Some(1), "{ip}");
        let error = world.dom0.key(ONE, "hotplug-error").unwrap();
        assert!(error.contains("prefixes of routed eth0 in xennet.toml"), "{error}");
        world.dom0.netns.ip("link delete vif1.0");
        world.dom0.forget(ONE);
    }
    world.dom0.boot(ONE, &[("ip", "192.0.2.5 2001:db8:1::5")]);
    world.dom0.online(Script::OursRoute, ONE).succeeded();
}
