//! Rules of other programs that the host's network depends on: routing policy, and packet filters that name an uplink.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::process::Command;

use xennet_core::kernel::{Kernel, LegacyTables, Nftables};
use xennet_core::types::{Family, NftFamily};
use xennet_tests::hotplug::Outcome;
use xennet_tests::lan::Lan;
use xennet_tests::netns::Netns;
use xennet_tests::world::World;

const NAT: &str =
    "[[nat]]\nname = \"n\"\nbridge = \"xennat0\"\nsubnets = [\"10.7.0.1/24\", \"fd00:7::1/64\"]\n";
const INHERIT: &str = "[[bridge]]\nname = \"xenbr0\"\nuplink = \"eth0\"\naddresses = \"inherit\"\n";

/// A private network by `tun0`, with these routes in a table.
fn private_network(world: &World, table: &str, routes: &[&str]) {
    let netns = &world.dom0.netns;
    netns.ip("link add tun0 type veth peer name tun1");
    netns.ip("link set tun1 addrgenmode none up");
    netns.ip("link set tun0 addrgenmode none up");
    netns.ip("address add 10.99.0.2/32 dev tun0");
    netns.ip("address add fd00:99::2/128 dev tun0 nodad");
    for route in routes {
        let family = if route.contains(':') { "-6 " } else { "" };
        netns.ip(&format!("{family}route add {route} dev tun0 table {table}"));
    }
}

fn said(outcome: &Outcome) -> Vec<&str> {
    outcome.succeeded();
    outcome.stderr.lines().filter_map(|line| line.strip_prefix("xennet: warning: ")).collect()
}

#[test]
fn subnet_beside_a_split_default_is_accepted() {
    let world = World::new();
    private_network(&world, "main", &["0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1"]);
    let before = world.state();
    world.configure(NAT);
    let started = world.start();
    assert_eq!(said(&started), [""; 0], "each interface translates");
    world.dom0.xennet("network stop").succeeded();
    assert_eq!(world.state(), before);
    // Guests leave by tun0, and only eth0 translates.
    world.configure(&format!("{NAT}uplink = \"eth0\"\n"));
    let started = world.start();
    let warnings = said(&started);
    assert_eq!(warnings.len(), 2, "{started:?}");
    assert!(
        warnings[0].starts_with(
            "nat n: packets from its guests (10.7.0.0/24) leave by tun0, not by its uplink eth0"
        ),
        "{started:?}"
    );
    // A part of it that is more specific than a split default is a network.
    world.dom0.netns.ip("route add 10.0.0.0/8 dev tun0");
    let refused = world.start();
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("10.7.0.1/24 overlaps 10.0.0.0/8"), "{refused:?}");
}

#[test]
fn policy_rule_that_catches_a_subnet_is_named_until_it_does_not() {
    let world = World::new();
    private_network(&world, "100", &["default", "::/0"]);
    let netns = &world.dom0.netns;
    netns.ip("rule add from 10.7.0.0/16 lookup 100 priority 1000");
    netns.ip("-6 rule add to fd00::/8 lookup 100 priority 1001");
    world.configure(NAT);
    let of = |family: &str| {
        let (subnet, rule, command) = match family {
            "4" => (
                "10.7.0.0/24",
                "1000: from 10.7.0.0/16 lookup 100",
                "rule add to 10.7.0.0/24 lookup main priority 999",
            ),
            _ => (
                "fd00:7::/64",
                "1001: from all to fd00::/8 lookup 100",
                "-6 rule add to fd00:7::/64 lookup main priority 1000",
            ),
        };
        let words = format!(
            "nat n: packets to its guests ({subnet}) leave by tun0, because of policy rule {rule}: add a rule before it, \
             `ip {command}`"
        );
        (words, command)
    };
    let ((v4, add4), (v6, add6)) = (of("4"), of("6"));
    for words in
        ["network plan", "network start --confirm-timeout 0", "network start --confirm-timeout 0"]
    {
        assert_eq!(said(&world.dom0.xennet(words)), [&v4, &v6], "{words}");
    }
    let status = world.dom0.xennet("network status");
    status.succeeded();
    assert!(status.stdout.ends_with(&format!("warning: {v4}\nwarning: {v6}\n")), "{status:?}");
    assert_eq!(said(&world.dom0.xennet("network check")), [&v4, &v6]);
    // The command of the warning is the remedy.
    netns.ip(add4);
    netns.ip(add6);
    assert_eq!(said(&world.dom0.xennet("network check")), [""; 0]);
}

#[test]
fn uplink_that_is_given_by_its_hardware_address_is_named_by_its_name() {
    let lan = Lan::with_addresses();
    lan.netns.nft("add table ip t; add chain ip t c; add rule ip t c iifname eth0 accept");
    lan.configure(&INHERIT.replace("\"eth0\"", "\"02:00:00:00:00:02\""));
    for command in ["network plan", "network start", "network check"] {
        let outcome = lan.xennet(command);
        let warnings = said(&outcome);
        let words = "eth0: it is named by rule 2 of table ip t, chain c of nftables";
        assert!(matches!(warnings[..], [one] if one.starts_with(words)), "{command}: {outcome:?}");
    }
}

/// Filters as people write them, in the families where they name an uplink.
const FILTERS: &str = r#"table inet filter {
    set outside { type ifname; elements = { "eth0", "eth9" } }
    set both { type ifname; elements = { "eth0", "xenbr0" } }
    chain input {
        type filter hook input priority 0; policy accept;
        iifname "eth0" tcp dport 22 counter accept
        iif "eth0" tcp dport 23 accept
        iifname "eth9" accept
        iifname @outside udp dport 53 accept
        iifname @both accept
        iifname "eth*" udp dport 1 drop
        iifname vmap { "eth0" : accept, "lo" : accept }
        iifname . tcp dport { "eth0" . 80, "lo" . 81 } accept
        iifname { "eth1", "eth2" } ip saddr { 10.0.0.1, 10.0.0.2 } accept
        iifname "eth0" tcp dport 24 accept
        iifname "xenbr0" tcp dport 24 accept
        iifname "eth1" tcp dport { 2, 3 } meta mark { 2, 3 } accept
    }
    chain forward {
        type filter hook forward priority 0; policy accept;
        iifname != "eth0" oifname "eth9" drop
    }
}
table bridge filter {
    chain bridged {
        type filter hook forward priority 0; policy accept;
        iifname "eth0" accept
    }
}
table ip nat {
    chain out {
        type nat hook postrouting priority 100; policy accept;
        oifname "eth0" masquerade
    }
}"#;

/// The handles of the rules in which a text stands.
fn handles(netns: &Netns, text: &str) -> Vec<String> {
    let listed = netns.nft_text("-a list ruleset");
    let lines = listed.lines().filter(|line| line.contains(text));
    lines.map(|line| line.rsplit(' ').next().unwrap().to_owned()).collect()
}

#[test]
fn filters_and_policy_rules_that_name_the_uplink_are_named() {
    let lan = Lan::with_addresses();
    let netns = &lan.netns;
    lan.configure(INHERIT);
    let plan = lan.xennet("network plan");
    assert_eq!(said(&plan), [""; 0]);
    netns.nft(FILTERS);
    netns.ip("rule add iif eth0 lookup 100 priority 500");
    netns.ip("rule add oif eth9 lookup 100 priority 501");
    let listed = [
        handles(netns, "dport 22"),
        handles(netns, "dport 23"),
        handles(netns, "@outside"),
        handles(netns, "eth*"),
        handles(netns, "vmap"),
        handles(netns, "\"eth0\" . 80"),
    ]
    .concat()
    .join(", ");
    let forward = handles(netns, "!=").concat();
    let out = handles(netns, "oifname \"eth0\" masquerade").concat();
    let words = |rules: &str, show: &str| {
        format!(
            "eth0: it is named by {rules}; with the host's addresses on xenbr0, packets come and go by xenbr0: name xenbr0 \
             there as well (`{show}`)"
        )
    };
    let input_rules = format!("rules {listed} of table inet filter, chain input of nftables");
    let expected = [
        words(&input_rules, "nft -a list chain inet filter input"),
        words(
            &format!("rule {forward} of table inet filter, chain forward of nftables"),
            "nft -a list chain inet filter forward",
        ),
        words(
            &format!("rule {out} of table ip nat, chain out of nftables"),
            "nft -a list chain ip nat out",
        ),
        words("policy rule 500: from all iif eth0 lookup 100", "ip rule show"),
    ];
    for command in ["network plan", "network start", "network start", "network check"] {
        assert_eq!(said(&lan.xennet(command)), expected, "{command}");
    }
    let status = lan.xennet("network status");
    status.succeeded();
    for line in &expected {
        assert!(status.stdout.contains(&format!("warning: {line}\n")), "{status:?}");
    }
    // The administrator loads rules for the bridge.
    netns.nft("flush ruleset");
    netns.nft(&FILTERS.replace("eth0", "xenbr0").replace("eth*", "xen*"));
    netns.ip("rule add iif xenbr0 lookup 100 priority 502");
    assert_eq!(said(&lan.xennet("network check")), [""; 0]);
}

#[test]
fn rules_of_both_kinds_of_iptables_are_named() {
    let lan = Lan::with_addresses();
    lan.configure(INHERIT);
    lan.xennet("network start").succeeded();
    for program in ["iptables-legacy", "ip6tables-legacy", "iptables-nft"] {
        for words in [
            "-A INPUT -i lo -j ACCEPT",
            "-A INPUT -i eth0 -p tcp --dport 22 -j ACCEPT",
            "-A INPUT -i eth+ -p udp -j ACCEPT",
            "-A INPUT -i eth0 -p tcp --dport 23 -j ACCEPT",
            "-A INPUT -i xenbr0 -p tcp --dport 23 -j ACCEPT",
            "-N OUTSIDE",
            "-A OUTSIDE ! -o eth0 -j DROP",
            "-t mangle -A POSTROUTING -o eth0 -j ACCEPT",
        ] {
            let output = Command::new(program).args(words.split(' ')).output().unwrap();
            assert!(output.status.success(), "{program} {words}: {output:?}");
        }
    }
    let check = lan.xennet("network check");
    let warnings = said(&check);
    for program in ["iptables-legacy", "ip6tables-legacy"] {
        for rules in [
            "rules 2, 3 of table filter, chain INPUT",
            "rule 1 of table filter, chain OUTSIDE",
            "rule 1 of table mangle, chain POSTROUTING",
        ] {
            let words = format!("eth0: it is named by {rules} of {program}; ");
            assert!(warnings.iter().any(|said| said.starts_with(&words)), "{words}: {check:?}");
        }
    }
    for chain in ["filter, chain INPUT", "filter, chain OUTSIDE", "mangle, chain POSTROUTING"] {
        let words = format!("of table ip {chain} of nftables; ");
        assert_eq!(warnings.iter().filter(|said| said.contains(&words)).count(), 1, "{check:?}");
    }
    assert_eq!(warnings.len(), 9, "{check:?}");
}

#[test]
fn kernel_lists_policy_rules_as_ip_does() {
    let netns = Netns::new();
    for words in [
        "rule add from 10.0.0.0/8 to 192.0.2.0/24 iif lo fwmark 0x7 lookup 1000 priority 10",
        "rule add not from all fwmark 0xca6c lookup 51820 priority 20",
        "rule add lookup main suppress_prefixlength 0 priority 30",
        "rule add oif lo goto 32766 priority 40",
        "rule add to 198.51.100.0/24 blackhole priority 50",
        "rule add ipproto tcp dport 22 lookup 100 priority 60",
        "-6 rule add from 2001:db8::/32 unreachable priority 10",
    ] {
        netns.ip(words);
    }
    let mut kernel = Kernel::open().unwrap();
    let mut listed = |family| -> Vec<String> {
        let rules = kernel.policy_rules(family).unwrap();
        let partial = |partial| if partial { " partial" } else { "" };
        rules.iter().map(|rule| format!("{rule}{}", partial(rule.is_partial))).collect()
    };
    assert_eq!(
        listed(Family::V4),
        [
            "0: from all lookup 255",
            "10: from 10.0.0.0/8 to 192.0.2.0/24 fwmark 0x7 iif lo lookup 1000",
            "20: not from all fwmark 0xca6c lookup 51820",
            "30: from all lookup main suppress_prefixlength 0",
            "40: from all oif lo goto 32766",
            "50: from all to 198.51.100.0/24 blackhole",
            "60: from all lookup 100 partial",
            "32766: from all lookup main",
            "32767: from all lookup 253",
        ]
    );
    assert_eq!(
        listed(Family::V6),
        [
            "0: from all lookup 255",
            "10: from 2001:db8::/32 blackhole",
            "32766: from all lookup main"
        ]
    );
}

#[test]
fn kernel_lists_link_rules_of_the_families_asked_for() {
    let netns = Netns::new();
    netns.ip("link add eth0 type veth peer name eth1");
    netns.nft(FILTERS);
    let mut nft = Nftables::open().unwrap();
    assert_eq!(nft.link_rules(&[NftFamily::Inet]).unwrap().len(), 13);
    assert_eq!(nft.link_rules(&[NftFamily::Bridge, NftFamily::Ip]).unwrap().len(), 2);
    assert!(LegacyTables::default().link_rules(Family::V4).unwrap().is_empty());
}
