//! `vif-nat`: a link of the guest's own, with addresses that nobody had to give.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::fs;

use xennet_core::types::VifId;
use xennet_tests::hotplug::{Dom0, Script, VIF};

fn nat(dom0: &Dom0, toml: &str) {
    fs::write(dom0.dir().join("xennet.toml"), toml).unwrap();
}

fn shown(dom0: &Dom0, words: &str) -> String {
    dom0.netns.ip_json(words).to_string()
}

#[test]
fn the_address_that_follows_from_the_domain() {
    let dom0 = Dom0::without_bridge();
    // One whose name begins another's, and an address that Xen's own script makes a .327 of.
    for (id, ip, guest, host) in [
        (VifId { domid: 1, devid: 10 }, "", "10.0.1.11", "10.0.1.138"),
        (VIF, "", "10.0.1.1", "10.0.1.128"),
        (VifId { domid: 300, devid: 0 }, "", "10.1.44.1", "10.1.44.128"),
        (VifId { domid: 2, devid: 0 }, "10.9.0.200", "10.9.0.200", "10.9.0.73"),
    ] {
        dom0.boot(id, &[("ip", ip)]);
        dom0.online(Script::OursNat, id).succeeded();
        dom0.online(Script::OursNat, id).succeeded();
        assert_eq!(dom0.key(id, "hotplug-status").as_deref(), Some("connected"));
        let route = &dom0.netns.ip_json(&format!("-4 route show dev vif{id}"))[0];
        assert_eq!((route["dst"].as_str(), route["prefsrc"].as_str()), (Some(guest), Some(host)));
        let link = &dom0.netns.ip_json(&format!("-4 address show dev vif{id}"))[0];
        let address = &link["addr_info"][0];
        assert_eq!(
            (address["local"].as_str(), address["prefixlen"].as_u64()),
            (Some(host), Some(32))
        );
    }
    dom0.offline(Script::OursNat, VIF).succeeded();
    assert!(!shown(&dom0, "-4 route show table all").contains("10.0.1.1\""));
    let guard = dom0.netns.nft_text("list table inet xennet");
    assert!(guard.contains("10.0.1.11") && !guard.contains("\"vif1.0\""), "{guard}");
}

#[test]
fn an_address_of_the_subnet_that_nobody_has() {
    let dom0 = Dom0::without_bridge();
    nat(&dom0, "[[nat]]\nname = \"n\"\nsubnets = [\"10.7.0.1/29\", \"fd00:7::1/64\"]\n");
    let of = |id: VifId| {
        dom0.boot(id, &[]);
        dom0.online(Script::OursNat, id).succeeded();
        let find = |words: &str| {
            let routes = dom0.netns.ip_json(&format!("{words} route show dev vif{id} metric 2"));
            routes[0]["dst"].as_str().unwrap_or_default().to_owned()
        };
        (find("-4"), find("-6"))
    };
    let first = VifId { domid: 2, devid: 0 };
    assert_eq!(of(first), ("10.7.0.2".to_owned(), "fd00:7::2".to_owned()));
    // The sixth from there, in a network of six, one of which is the host's.
    let same = VifId { domid: 8, devid: 0 };
    assert_eq!(of(same), ("10.7.0.3".to_owned(), "fd00:7::8".to_owned()));
    // Its first choice gets free, and it keeps what it has.
    dom0.offline(Script::OursNat, first).succeeded();
    let plan = dom0.xennet("vif online 8.0 --mode nat --dry-run");
    assert_eq!((plan.code, plan.stdout.as_str()), (Some(0), ""), "{}", plan.stderr);

    // The tap of the same guest has the same address.
    dom0.make_tap(same);
    dom0.add(Script::OursNat, same).succeeded();
    let tap = shown(&dom0, "-4 route show dev vif8.0-emu");
    assert!(tap.contains("\"10.7.0.3\"") && tap.contains("\"metric\":1"), "{tap}");

    for domid in 20..24 {
        of(VifId { domid, devid: 0 });
    }
    let last = VifId { domid: 30, devid: 0 };
    dom0.boot(last, &[]);
    assert_eq!(dom0.online(Script::OursNat, last).code, Some(1));
    assert_eq!(
        dom0.key(last, "hotplug-error").unwrap(),
        "vif30.0: no address is free in 10.7.0.1/29; set ip=, or a larger subnet in xennet.toml"
    );
    dom0.boot(VIF, &[("ip", "10.8.0.1")]);
    assert_eq!(dom0.online(Script::OursNat, VIF).code, Some(1));
    let error = dom0.key(VIF, "hotplug-error").unwrap();
    assert!(error.starts_with("ip 10.8.0.1/32: is in none of 10.7.0.0/29, fd00:7::/64"), "{error}");
}

#[test]
fn a_bridge_of_such_guests_takes_the_vif() {
    let dom0 = Dom0::without_bridge();
    dom0.netns.make_bridge("xennat0");
    nat(&dom0, "[[nat]]\nname = \"n\"\nbridge = \"xennat0\"\nsubnets = [\"10.7.0.1/24\"]\n");
    // xl writes bridge=xenbr0 for everybody.
    dom0.boot(VIF, &[("ip", "10.7.0.5")]);
    dom0.online(Script::OursNat, VIF).succeeded();
    assert_eq!(dom0.netns.link("vif1.0")["master"], "xennat0");
}

#[test]
fn what_the_host_reaches_itself_is_no_guests() {
    let dom0 = Dom0::without_bridge();
    dom0.netns.veth("eth0", "wan0");
    for words in [
        "link set eth0 up",
        "link set wan0 up",
        "address add 10.0.1.9/26 dev eth0",
        "address add 10.0.2.200/25 dev eth0",
        "route add default via 10.0.1.1 dev eth0",
    ] {
        dom0.netns.ip(words);
    }
    let refused = |domid, ip: &str| {
        let id = VifId { domid, devid: 0 };
        dom0.boot(id, &[("ip", ip)]);
        let before = shown(&dom0, "-4 route show table all");
        assert_eq!(dom0.online(Script::OursNat, id).code, Some(1), "{ip}");
        assert_eq!(shown(&dom0, "-4 route show table all"), before);
        let error = dom0.key(id, "hotplug-error").unwrap();
        dom0.netns.ip(&format!("link delete vif{id}"));
        dom0.forget(id);
        error
    };
    // The router's address, and another of a network of the host's: here it would be the host's end of the link.
    for (domid, ip, route) in [(1, "10.0.1.1", "10.0.1.0/26"), (2, "10.0.2.128", "10.0.2.128/25")] {
        let error = refused(domid, "");
        assert!(error.starts_with(&format!("vif{domid}.0: nobody says its address, and {ip},")));
        assert!(error.contains(&format!("the route {route} dev eth0")), "{error}");
        assert!(error.ends_with(
            "set ip=, or describe a network of the guests' own as [[nat]] in xennet.toml"
        ));
    }
    for (ip, owner) in [
        ("10.0.1.1", "ip 10.0.1.1/32: the host's router 10.0.1.1 has it already"),
        // 127 more at its end.
        ("10.0.1.128", "ip 10.0.1.1/32: the host's router 10.0.1.1 has it already"),
        ("10.0.1.0/29", "ip 10.0.1.0/29: the host's router 10.0.1.1 has it already"),
        ("10.0.1.8/30", "ip 10.0.1.8/30: the host itself has it already (route local 10.0.1.9"),
        ("10.0.1.9", "ip 10.0.1.9/32: the host itself has it already (route local 10.0.1.9"),
    ] {
        let error = refused(3, ip);
        assert!(error.starts_with(owner), "{error}");
    }
    // Said by somebody it is as good as any, and so is one that only the default route leads to. Twice: what it has by
    // then is its own.
    for (domid, ip) in [(3, "10.0.1.5"), (4, ""), (5, "10.9.0.0/24")] {
        let id = VifId { domid, devid: 0 };
        dom0.boot(id, &[("ip", ip)]);
        dom0.online(Script::OursNat, id).succeeded();
        dom0.online(Script::OursNat, id).succeeded();
    }
    // A guest may be the host's router.
    dom0.netns.ip("route replace default via 10.0.1.5 dev vif3.0 onlink");
    dom0.online(Script::OursNat, VifId { domid: 3, devid: 0 }).succeeded();
}
