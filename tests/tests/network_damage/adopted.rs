//! A bridge of ifupdown's that had the uplink and the host's addresses before the first start: they stay there, and come
//! back there.

use crate::cells::Action;
use crate::host::{Facts, Host, INHERIT, ON_TRIAL, reaches_the_world};

const MADE: [&str; 5] = [
    "ip link add xenbr0 address 02:00:00:00:00:02 type bridge forward_delay 0",
    "ip address flush dev eth0 scope global",
    "ip -6 route flush dev eth0 proto boot",
    "ip link set eth0 master xenbr0",
    "ip link set xenbr0 up",
];
const CONFIGURED: [&str; 11] = [
    "ip address add 192.0.2.2/24 brd + dev xenbr0",
    "ip address add 192.0.2.3/24 dev xenbr0",
    "ip address add 2001:db8::2/64 dev xenbr0",
    "ip address add 2001:db8::3/64 dev xenbr0",
    "ip route add default via 192.0.2.1 dev xenbr0",
    "ip -6 route add default via 2001:db8::1 dev xenbr0",
    "ip route add 10.0.0.0/8 via 192.0.2.1 dev xenbr0 metric 50",
    "ip route add 10.7.0.0/16 via 192.0.2.1 dev xenbr0 table 77",
    "ip route add 2001:db8:a::/48 via 2001:db8::1 dev xenbr0",
    "ip neighbour add 192.0.2.77 lladdr 02:00:00:00:00:77 dev xenbr0 nud permanent",
    "sysctl ipv4/conf/xenbr0/arp_ignore 1",
];

struct Damage {
    lines: &'static [&'static str],
    /// What `check` says of it; none if it says nothing.
    noticed: Option<&'static str>,
    /// Facts with this text may be there too.
    ignored: &'static str,
}

const fn damage(noticed: &'static str, lines: &'static [&'static str]) -> Damage {
    Damage { lines, noticed: Some(noticed), ignored: "nothing" }
}

const DAMAGES: &[Damage] = &[
    Damage { noticed: None, ..damage("", &[]) },
    damage("192.0.2.2/24", &["ip address flush dev xenbr0"]),
    damage("192.0.2.3/24", &["ip -4 address flush dev xenbr0"]),
    damage("2001:db8::2/64", &["ip -6 address flush dev xenbr0"]),
    damage("192.0.2.2/24", &["ip address delete 192.0.2.2/24 dev xenbr0"]),
    damage("default via 192.0.2.1", &["ip route delete default"]),
    damage("::/0 via 2001:db8::1", &["ip -6 route delete default"]),
    damage("10.0.0.0/8", &["ip route delete 10.0.0.0/8"]),
    damage("10.7.0.0/16", &["ip route delete 10.7.0.0/16 table 77"]),
    damage("192.0.2.77", &["ip neighbour delete 192.0.2.77 dev xenbr0"]),
    damage("link add xenbr0", &["ip link delete xenbr0"]),
    damage("link add xenbr0", &["ip link delete xenbr0", "ip link set eth0 down"]),
    damage("master xenbr0", &["ip link set eth0 nomaster"]),
    damage("master xenbr0", &["ip link set eth0 nomaster", "ip address flush dev xenbr0"]),
    damage("eth0 up", &["ip link set eth0 down"]),
    damage("xenbr0 up", &["ip link set xenbr0 down"]),
    damage("disable_ipv6", &["sysctl ipv6/conf/xenbr0/disable_ipv6 1"]),
    damage("master xenbr0", &["reload 02:00:00:00:00:02"]),
    damage(
        "master xenbr0",
        &[
            "ip link set eth0 nomaster",
            "ip address add 192.0.2.2/24 brd + dev eth0",
            "ip route append default via 192.0.2.1 dev eth0",
        ],
    ),
    damage(
        "192.0.2.2/24",
        &[
            "ip link delete xenbr0",
            "ip link add xenbr0 address 02:00:00:00:00:02 type bridge",
            "ip link set xenbr0 up",
        ],
    ),
    Damage {
        noticed: None,
        ignored: "10.44.0",
        ..damage("", &["ip address add 10.44.0.1/24 dev xenbr0"])
    },
];

/// The host, whose bridge is as before the first start.
pub(crate) struct Adopted<'a> {
    host: &'a Host,
    bridge: Facts,
    uplink: Facts,
    ignored: &'a str,
}

impl<'a> Adopted<'a> {
    pub(crate) fn new(host: &'a Host, ignored: &'a str) -> Self {
        host.reset();
        MADE.iter().chain(&CONFIGURED).for_each(|line| host.run(line));
        host.wait_for_link_local_of("xenbr0");
        Self { host, bridge: host.facts("xenbr0"), uplink: host.facts("eth0"), ignored }
    }

    /// What is wrong, unless the host has all that it had on the bridge; after a stop, also on the uplink.
    pub(crate) fn is_whole(&self, when: &str, is_stopped: bool, wrong: &mut Vec<String>) {
        let mut expect = |link: &str, facts: &Facts| {
            let mut is = self.host.facts(link);
            is.retain(|fact| !fact.contains(self.ignored));
            if is != *facts {
                wrong.push(format!("{when}: {link} has {is:#?}, had {facts:#?}"));
            }
        };
        expect("xenbr0", &self.bridge);
        let nothing = Facts::new();
        expect("eth0", if is_stopped { &self.uplink } else { &nothing });
        if self.host.link("eth0")["master"] != "xenbr0" {
            wrong.push(format!("{when}: eth0 is no port of xenbr0"));
        }
        let ignores = std::fs::read_to_string("/proc/sys/net/ipv4/conf/xenbr0/arp_ignore");
        if ignores.unwrap_or_default().trim() != "1" {
            wrong.push(format!("{when}: xenbr0 has lost its settings"));
        }
        if !reaches_the_world(if wrong.is_empty() { 10 } else { 3 }) {
            wrong.push(format!("{when}: the host reaches nobody"));
        }
    }

    fn command(&self, words: &str, wrong: &mut Vec<String>) {
        let outcome = self.host.xennet(words);
        if outcome.code != Some(0) {
            wrong.push(format!("{words}: {outcome:?}"));
        }
    }
}

fn run(host: &Host, damage: &Damage, action: Action) -> Vec<String> {
    let (mut wrong, adopted) = (Vec::new(), Adopted::new(host, damage.ignored));
    let on_trial = action == Action::DamagedTrial;
    adopted.command(if on_trial { ON_TRIAL } else { "network start" }, &mut wrong);
    adopted.is_whole("after the first start", false, &mut wrong);
    damage.lines.iter().for_each(|line| host.run(line));
    if !on_trial {
        let check = host.xennet("network check");
        let said = format!("{}{}", check.stdout, check.stderr);
        if check.code != Some(damage.noticed.is_some().into())
            || !said.contains(damage.noticed.unwrap_or_default())
        {
            wrong.push(format!("check: {check:?}"));
        }
    }
    match action {
        Action::Start => {
            adopted.command("network start", &mut wrong);
            adopted.is_whole("after start", false, &mut wrong);
            adopted.command("network check", &mut wrong);
        }
        Action::Trial => {
            adopted.command(ON_TRIAL, &mut wrong);
            adopted.is_whole("on trial", false, &mut wrong);
            if host.roll_back() {
                adopted.is_whole("after the roll back", damage.noticed.is_some(), &mut wrong);
            }
        }
        Action::DamagedTrial => {
            if !host.roll_back() {
                wrong.push("nothing is on trial".to_owned());
            }
            adopted.is_whole("after the roll back", true, &mut wrong);
        }
        Action::Stop | Action::ForcedStop => {}
    }
    let force = if action == Action::ForcedStop { " --force" } else { "" };
    adopted.command(&format!("network stop{force}"), &mut wrong);
    adopted.is_whole("after stop", true, &mut wrong);
    if host.lan.recorded() {
        wrong.push("the record stays".to_owned());
    }
    // Nothing is started any more.
    adopted.command("network stop", &mut wrong);
    adopted.is_whole("after the second stop", true, &mut wrong);
    wrong
}

fn each_damage(action: Action) {
    let host = Host::new();
    let mut all = Vec::new();
    for damage in DAMAGES {
        let wrong = run(&host, damage, action);
        if !wrong.is_empty() {
            all.push(format!("{:?}, {action:?}:\n  {}", damage.lines, wrong.join("\n  ")));
        }
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[test]
fn start_repairs_an_adopted_bridge() {
    each_damage(Action::Start);
}

#[test]
fn stop_restores_an_adopted_bridge() {
    each_damage(Action::Stop);
}

#[test]
fn forced_stop_restores_an_adopted_bridge() {
    each_damage(Action::ForcedStop);
}

#[test]
fn trial_of_a_damaged_adopted_bridge_is_rolled_back_to_it() {
    each_damage(Action::Trial);
}

#[test]
fn damage_of_an_adopted_bridge_during_a_trial_is_rolled_back() {
    each_damage(Action::DamagedTrial);
}

/// A bridge that does not inherit has its own addresses again if it was deleted.
#[test]
fn deleted_bridge_that_does_not_inherit_is_restored() {
    const NONE: &str = "addresses = \"none\"";
    const STATIC: &str = "addresses = [\"192.0.2.9/24\"]\ngateways = [\"192.0.2.1\"]";
    let host = Host::new();
    let mut wrong = Vec::new();
    for (addresses, words) in [
        ("", "network start"),
        (NONE, "network start"),
        (NONE, "network stop"),
        (NONE, ON_TRIAL),
        (STATIC, "network start"),
    ] {
        let adopted = Adopted::new(&host, "192.0.2.9");
        host.lan.configure(&INHERIT.replace("addresses = \"inherit\"", addresses));
        adopted.command("network start", &mut wrong);
        host.run("ip link delete xenbr0");
        let check = host.xennet("network check");
        if check.code != Some(1) || !check.stdout.contains("address add 192.0.2.2/24") {
            wrong.push(format!("{addresses}: {check:?}"));
        }
        adopted.command(words, &mut wrong);
        let when = format!("{addresses}, {words}");
        if addresses == STATIC {
            let facts = host.facts("xenbr0");
            let missing = adopted.bridge.iter().filter(|fact| !facts.contains(fact));
            // The default route is that of the configuration.
            let missing: Vec<_> = missing.filter(|fact| !fact.contains("default")).collect();
            if !missing.is_empty() {
                wrong.push(format!("{when}: {missing:#?}"));
            }
        } else {
            // The uplink is not silenced.
            adopted.is_whole(&when, true, &mut wrong);
        }
        if host.roll_back() {
            adopted.is_whole(&format!("{when}, roll back"), true, &mut wrong);
        }
        adopted.command("network stop", &mut wrong);
        if addresses != STATIC {
            adopted.is_whole(&format!("{when}, stop"), true, &mut wrong);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
