//! `xennet.toml` was changed between two commands.

use crate::cells::{Before, ROW};
use crate::host::{Host, INHERIT, ON_TRIAL, reaches_the_world};

const NONE: &str = "[[bridge]]\nname = \"xenbr0\"\nuplink = \"eth0\"\naddresses = \"none\"\n";
const UNSET: &str = "[[bridge]]\nname = \"xenbr0\"\nuplink = \"eth0\"\n";
const OTHER: &str = "[[bridge]]\nname = \"xenbr1\"\nuplink = \"eth0\"\naddresses = \"inherit\"\n";
const STATIC: &str = "[[bridge]]\nname = \"xenbr0\"\nuplink = \"eth0\"\naddresses = [\"192.0.2.9/24\"]\n\
                      gateways = [\"192.0.2.1\"]\n";
const NO_UPLINK: &str = "[[bridge]]\nname = \"xenbr0\"\naddresses = [\"10.55.0.1/24\"]\n";

/// What the file no longer says cannot be repaired by `start`, but given back.
#[test]
fn start_after_damage_refuses_a_bridge_that_is_configured_no_longer() {
    let host = Host::new();
    let deleted = "ip link delete xenbr0";
    for (config, damage) in [
        ("", deleted),
        ("", "ip address flush dev xenbr0"),
        (NONE, deleted),
        (UNSET, deleted),
        (OTHER, deleted),
    ] {
        host.reset();
        let before = Before::of(&host, &ROW);
        host.xennet("network start").succeeded();
        host.run(damage);
        host.lan.configure(config);
        for words in ["network check", "network start", ON_TRIAL] {
            let outcome = host.xennet(words);
            assert_eq!(outcome.code, Some(1), "{config}{damage}, {words}: {outcome:?}");
            let said = "`xennet network stop` restores them on eth0";
            assert!(outcome.stderr.contains(said), "{config}{damage}, {words}: {outcome:?}");
        }
        host.xennet("network stop").succeeded();
        before.assert_on_uplink(&format!("{config}{damage}, stop"));
    }
}

#[test]
fn addresses_that_move_with_a_later_start_are_restored() {
    let host = Host::new();
    for config in [NONE, STATIC, NO_UPLINK] {
        for damage in ["ip link delete xenbr0", "ip link set dev xenbr0 up"] {
            host.reset();
            let before = Before::of(&host, &ROW);
            let has_all = |link: &str, when: &str| {
                before
                    .has_all(link)
                    .unwrap_or_else(|text| panic!("{config}{damage}, {when}: {text}"));
            };
            host.lan.configure(config);
            host.xennet("network start").succeeded();
            host.lan.configure(INHERIT);
            host.xennet(ON_TRIAL).succeeded();
            assert!(host.roll_back());
            host.xennet("network start").succeeded();
            // The default route of the configuration is as good.
            assert!(reaches_the_world(10), "{config}{damage}");
            host.run(damage);
            host.xennet("network start").succeeded();
            assert!(reaches_the_world(10), "{config}{damage}, start");
            host.xennet("network check").succeeded();
            if config != STATIC {
                has_all("xenbr0", "start");
            }
            host.xennet("network stop").succeeded();
            has_all("eth0", "stop");
        }
    }
}

#[test]
fn roll_back_keeps_a_bridge_of_an_earlier_start_that_has_no_uplink() {
    const GUESTS: &str = "[[bridge]]\nname = \"xenbr0\"\n";
    let host = Host::new();
    host.lan.configure(GUESTS);
    host.xennet("network start").succeeded();
    let index = host.link("xenbr0")["ifindex"].clone();
    host.lan.configure(&format!("{GUESTS}ageing = 100\n"));
    host.xennet(ON_TRIAL).succeeded();
    assert!(host.roll_back());
    assert_eq!(host.link("xenbr0")["ifindex"], index);
    assert_eq!(host.xennet("network check").code, Some(1), "the change was rolled back");
}

#[test]
fn another_nic_takes_the_place_of_one_that_is_gone() {
    let host = Host::new();
    for words in ["network start", "network stop", ON_TRIAL] {
        host.reset();
        let before = Before::of(&host, &ROW);
        host.xennet("network start").succeeded();
        host.run("reload 02:00:00:00:00:42");
        host.run("ip link set eth0 name eth7");
        host.lan.configure(&INHERIT.replace("eth0", "eth7"));
        assert_eq!(host.xennet("network check").code, Some(1));
        host.xennet(words).succeeded();
        if words != "network stop" {
            before.has_all("xenbr0").unwrap_or_else(|text| panic!("{words}: {text}"));
        }
        if !host.roll_back() {
            host.xennet("network stop").succeeded();
        }
        before.has_all("eth7").unwrap_or_else(|text| panic!("{words}, stop: {text}"));
        host.xennet("network stop").succeeded();
        assert!(host.link("xenbr0").is_null() && !host.lan.recorded(), "{words}");
    }
}
