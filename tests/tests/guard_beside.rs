//! The guard beside other people's filters: it leaves them as they are, and says when they drop what it lets through.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::fs;
use std::process::Command;

use xennet_core::types::VifId;
use xennet_tests::frames::*;
use xennet_tests::guests::{Guests, as_planned, bridge_netfilter};
use xennet_tests::hotplug::Script;

/// As firewalld lays it out, in short.
const FIREWALLD: &str = "table inet firewalld {
    chain filter_PREROUTING { type filter hook prerouting priority 10; policy accept;
        icmpv6 type { nd-router-advert, nd-neighbor-solicit } accept
        meta nfproto ipv6 fib saddr . mark . iif oif missing drop
    }
    chain filter_FORWARD { type filter hook forward priority 10; policy accept;
        ct state { established, related } accept
        ct status dnat accept
        iifname \"lo\" accept
        reject with icmpx type admin-prohibited
    }
    chain nat_POSTROUTING { type nat hook postrouting priority 110; policy accept;
        oifname \"eth9\" masquerade
    }
}";

/// Maps, intervals, timeouts, limits, a bridge table: whatever a host may have.
const ASSORTED: &str = "table bridge filter {
    set seen { type ether_addr; flags dynamic,timeout; timeout 1h; }
    map ports { type ifname : verdict; elements = { \"veth0\" : drop }; }
    chain prerouting { type filter hook prerouting priority -200; policy accept;
        iifname vmap @ports
        ether type arp limit rate 1000/second burst 50 packets accept
        add @seen { ether saddr }
    }
}
table netdev early {
    chain lo { type filter hook ingress device lo priority 0; policy accept; ip saddr 192.0.2.0/24 counter; }
}
table arp other { chain in { type filter hook input priority 0; arp operation request counter; }; }
table ip nat {
    chain PREROUTING { type nat hook prerouting priority -100; tcp dport 8080 dnat to 172.17.0.2:80; }
}";

/// What Docker does with iptables.
const DOCKER: [&str; 7] = [
    "-P FORWARD DROP",
    "-N DOCKER-USER",
    "-A DOCKER-USER -j RETURN",
    "-A FORWARD -j DOCKER-USER",
    "-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    "-A FORWARD -i docker0 ! -o docker0 -j ACCEPT",
    "-t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE",
];

fn run(program: &str, words: &str) -> String {
    let output = Command::new(program)
        .args(words.split_whitespace())
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}: run tests/setup"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {words}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// The listing of all tables but the guard's.
fn foreign(guests: &Guests) -> String {
    let tables = guests.dom0.netns.nft_text("list tables");
    let foreign = tables.lines().filter(|table| *table != "table bridge xennet");
    foreign.map(|table| guests.dom0.netns.nft_text(&format!("-a list {table}"))).collect()
}

/// Without the comment lines, which tell the time.
fn legacy(program: &str) -> String {
    let saved = run(program, "-c");
    saved.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n")
}

#[test]
fn other_peoples_rulesets_stay_as_they_are() {
    let mut guests = Guests::new("");
    guests.dom0.netns.nft(FIREWALLD);
    guests.dom0.netns.nft(ASSORTED);
    for program in ["iptables-nft", "ip6tables-nft", "iptables-legacy", "ip6tables-legacy"] {
        for rule in
            DOCKER.iter().filter(|rule| !program.starts_with("ip6") || !rule.contains("172."))
        {
            run(program, rule);
        }
    }
    let all = |guests: &Guests| {
        [foreign(guests), legacy("iptables-legacy-save"), legacy("ip6tables-legacy-save")]
    };
    let before = all(&guests);
    let id = guests.guest(1, &[("ip", "10.0.0.5 10.0.1.0/24 fd00::5")]);
    assert_eq!(all(&guests), before);
    // A second time, another prefix length, a repair.
    guests.guest(2, &[("ip", "10.0.2.0/25 fd00:1::/64")]);
    guests.dom0.netns.nft("flush table bridge xennet");
    guests.dom0.online(Script::Ours, id).succeeded();
    guests.dom0.xennet("guard restore").succeeded();
    assert_eq!(all(&guests), before);
    for id in [id, VifId { domid: 2, devid: 0 }] {
        guests.dom0.offline(Script::Ours, id).succeeded();
    }
    guests.dom0.xennet("guard remove").succeeded();
    assert_eq!(all(&guests), before);
    assert!(!guests.dom0.netns.nft_text("list tables").contains("xennet"));
}

#[test]
fn a_filter_that_would_drop_a_guests_frames_is_named_with_what_to_do() {
    let mut guests = Guests::new("");
    run("iptables-nft", "-P FORWARD DROP");
    run("ip6tables-nft", "-P FORWARD DROP");
    run("iptables-legacy", "-P FORWARD DROP");
    guests.dom0.netns.nft(
        "table inet strict { chain forwards { type filter hook forward priority 0; counter; reject; }; }",
    );
    let id = guests.boot(1, &[("ip", "10.0.0.5")]);

    // Bridged frames do not come by there.
    let outcome = guests.dom0.online(Script::Ours, id);
    outcome.succeeded();
    assert_eq!(outcome.stderr, "");
    guests.guest(2, &[("ip", "10.0.0.6")]);
    let frame = to(xennet_tests::guests::mac(2), mine(&ip4("10.0.0.5", udp(1, 2))));
    assert!(guests.passes(&frame));

    bridge_netfilter(true);
    assert!(!guests.passes(&frame), "it is as it says");
    let outcome = guests.dom0.online(Script::Ours, id);
    outcome.succeeded();
    let lines: Vec<&str> = outcome.stderr.lines().collect();
    for (words, advice) in [
        (
            "table ip filter, chain FORWARD",
            "nft insert rule ip filter FORWARD iifname xenbr0 oifname xenbr0 accept",
        ),
        (
            "table ip6 filter, chain FORWARD",
            "nft insert rule ip6 filter FORWARD iifname xenbr0 oifname xenbr0 accept",
        ),
        (
            "table inet strict, chain forwards",
            "nft insert rule inet strict forwards iifname xenbr0 oifname xenbr0 accept",
        ),
        (
            "chain FORWARD of iptables-legacy",
            "iptables-legacy -I FORWARD -i xenbr0 -o xenbr0 -j ACCEPT",
        ),
    ] {
        let line = lines.iter().find(|line| line.contains(words));
        let line = line.unwrap_or_else(|| panic!("no {words:?} in {}", outcome.stderr));
        assert!(line.contains(advice), "no {advice:?} in {line}");
        assert!(line.contains("sysctl -w net.bridge.bridge-nf-call-ip"), "{line}");
        let command: Vec<&str> = advice.split(' ').collect();
        run(command[0], &command[1..].join(" "));
    }
    assert_eq!(lines.len(), 4, "{}", outcome.stderr);
    assert!(guests.passes(&frame), "what is advised helps");
    bridge_netfilter(false);
}

const FIREWALL: &str = "[[bridge]]\nname = \"xenbr0\"\nfirewall = \"iptables\"\n";

fn forward(program: &str) -> Vec<String> {
    let rules = run(program, "-S FORWARD");
    rules.lines().filter(|line| line.starts_with("-A")).map(str::to_owned).collect()
}

#[test]
fn rules_for_iptables_are_those_of_the_stock_script_and_made_once() {
    let mut guests = Guests::new("");
    enable_stock_firewall(&guests);
    for ip in ["", "10.0.0.5", "10.0.0.5 10.0.1.0/24"] {
        let id = guests.boot(1, &[("ip", ip)]);
        guests.dom0.online(Script::Stock, id).succeeded();
        let mut stock = forward("iptables");
        stock.sort_unstable();
        // It makes the rule for the other direction once for each address.
        stock.dedup();
        assert!(!stock.is_empty());
        guests.dom0.offline(Script::Stock, id).succeeded();
        guests.dom0.store.tool("xenstore-rm", &[&guests.dom0.backend(id)]);
        assert_eq!(forward("iptables"), [""; 0]);

        guests.tell(id, &[("ip", ip)]);
        guests.dom0.online(Script::Ours, id).succeeded();
        assert_eq!(forward("iptables"), [""; 0], "they are off by default");
        fs::write(guests.dom0.dir().join("xennet.toml"), FIREWALL).unwrap();
        for _ in 0..3 {
            guests.dom0.online(Script::Ours, id).succeeded();
            let mut ours = forward("iptables");
            ours.sort_unstable();
            assert_eq!(ours, stock, "{ip:?}");
        }
        guests.dom0.offline(Script::Ours, id).succeeded();
        guests.dom0.offline(Script::Ours, id).succeeded();
        assert_eq!(forward("iptables"), [""; 0]);
        assert_eq!(forward("ip6tables"), [""; 0]);
        fs::write(guests.dom0.dir().join("xennet.toml"), "").unwrap();
        guests.unplug("vif1.0");
        guests.dom0.store.tool("xenstore-rm", &[&guests.dom0.backend(id)]);
    }
}

/// Debian switches it off by a `return 0`.
fn enable_stock_firewall(guests: &Guests) {
    let path = guests.dom0.dir().join("stock/vif-common.sh");
    let text = fs::read_to_string(&path).unwrap();
    let off = "\n  return 0\n";
    assert!(text.contains(off), "Debian's script is another one");
    fs::write(&path, text.replacen(off, "\n", 1)).unwrap();
}

#[test]
fn rules_for_iptables_let_through_what_a_policy_would_drop() {
    let mut guests = Guests::new(FIREWALL);
    for program in ["iptables", "ip6tables"] {
        run(program, "-P FORWARD DROP");
    }
    bridge_netfilter(true);
    let id = guests.boot(1, &[("ip", "10.0.0.5 fd00::5")]);
    let outcome = guests.dom0.online(Script::Ours, id);
    outcome.succeeded();
    assert_eq!(outcome.stderr, "", "there is nothing to warn of");
    assert_eq!(forward("ip6tables").len(), 4);
    assert!(guests.passes(&to([2; 6], mine(&ip4("10.0.0.5", udp(1, 2))))));
    assert!(guests.passes(&to([2; 6], mine(&ip6("fd00::5", udp(1, 2))))));
    guests.dom0.offline(Script::Ours, id).succeeded();
    assert_eq!([forward("iptables"), forward("ip6tables")].concat(), [""; 0]);
    bridge_netfilter(false);
}

/// What `nft list ruleset` prints is a file that `nft -f` reads, and that makes the same table again; but for rules that
/// look an address of neighbour discovery or DHCP up. nft 1.0.6 knows no word for that: it lists it as a plain number, and takes
/// none where a set holds addresses.
#[test]
fn the_table_can_be_saved_and_restored_by_nft() {
    let mut guests = Guests::new("");
    guests.guest(1, &[("ip", "10.0.0.5 10.0.1.0/24 10.2.0.0/15 fd00::5 fd00:1::/64 fd00:2::/52")]);
    guests.guest(2, &[("ip", "10.0.0.6 fd00::6")]);
    let list =
        |guests: &Guests| as_planned(&guests.dom0.netns.nft_text("-s list table bridge xennet"));
    let listed = list(&guests);
    let numbers = |line: &&str| {
        let words: Vec<&str> = line.split(' ').collect();
        words.iter().any(|word| word.starts_with("@th,"))
            && ["@macs", "@own6", "@ip6_", "@owned6_"].iter().any(|set| line.contains(set))
    };
    let unread: Vec<&str> = listed.lines().filter(numbers).collect();
    let known = |line: &&str| {
        ["ND target", "an option", "DHCP for its own"].iter().any(|words| line.contains(words))
    };
    assert!(unread.iter().all(known), "{unread:?}");
    assert!(!guests.dom0.netns.try_nft(&listed), "this nft can: nothing need be left out any more");
    let saved: Vec<&str> = listed.lines().filter(|line| !numbers(line)).collect();
    let saved = saved.join("\n") + "\n";
    guests.dom0.netns.nft("delete table bridge xennet");
    guests.dom0.netns.nft(&saved);
    assert_eq!(list(&guests), saved);
    // xennet finds what is missing, and puts it back.
    assert_eq!(guests.dom0.xennet("guard check").code, Some(1));
    guests.dom0.xennet("guard restore").succeeded();
    assert_eq!(list(&guests), listed);
    assert_eq!(guests.verdict(&mine(&ip4("10.2.77.1", tcp()))), "passes");
    assert_eq!(guests.verdict(&mine(&ip4("10.0.0.6", tcp()))), "source is another vif's (/32)");
}
