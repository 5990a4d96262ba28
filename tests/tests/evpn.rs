//! A network of two hosts by VXLAN, with FRR's BGP EVPN as who knows where everybody is.

use std::fs;
use xennet_tests::frr::Frr;
use xennet_tests::hosts::{Hosts, eventually};
use xennet_tests::hotplug::{Dom0, Script};
use xennet_tests::netns::Netns;

use serde_json::Value;
use xennet_core::types::VifId;

const MAC1: &str = "00:16:3e:00:00:01";
const MAC2: &str = "00:16:3e:00:00:02";
const MAC3: &str = "00:16:3e:00:00:03";

/// Behind which port of `xenbr0` an address is, and whether EVPN says so.
fn behind(netns: &Netns, mac: &str) -> Option<(String, bool)> {
    let entries = netns.bridge_json("fdb show br xenbr0");
    let entry = entries
        .as_array()?
        .iter()
        .find(|entry| entry["mac"] == mac && entry["master"] == "xenbr0")?;
    let flags = entry["flags"].as_array();
    let told = flags.is_some_and(|flags| flags.contains(&Value::from("extern_learn")));
    Some((entry["ifname"].as_str()?.to_owned(), told))
}

fn is_behind(dom0: &Dom0, mac: &str, port: &str, told: bool) {
    let expected = Some((port.to_owned(), told));
    eventually(&format!("{mac} behind {port}"), || behind(&dom0.netns, mac) == expected);
}

fn vif(domid: u16) -> VifId {
    VifId { domid, devid: 0 }
}

#[test]
fn guests_of_two_hosts_reach_each_other_and_move() {
    let hosts = Hosts::new();
    for (n, local) in [(0, "192.0.2.11"), (1, "192.0.2.12")] {
        let dom0 = hosts.at(n);
        dom0.netns.ip(&format!("address add {local}/24 dev under"));
        let mut config = format!(
            "[[bridge]]\nname = \"xenbr0\"\nipv6 = false\nannounce = true\n\
             vxlan = {{ vni = 100, local = \"{local}\" }}\n"
        );
        if n == 0 {
            config +=
                "[[bridge]]\nname = \"xenbr1\"\nvxlan = { vni = 200, local = \"192.0.2.11\" }\n";
        }
        fs::write(dom0.dir().join("xennet.toml"), config).expect("our own directory");
        dom0.xennet("network start --confirm-timeout 0").succeeded();
    }
    let frr = [
        Frr::start(&hosts, 0, "192.0.2.11", "192.0.2.12"),
        Frr::start(&hosts, 1, "192.0.2.12", "192.0.2.11"),
    ];

    let ip1 = [("ip", "10.0.0.1 2001:db8:1::1")];
    let one = hosts.boot(0, vif(1), MAC1, &ip1);
    hosts.at(0).online(Script::Ours, vif(1)).succeeded();
    one.address(&["10.0.0.1/24", "2001:db8:1::1/64"]);
    let two = hosts.boot(1, vif(1), MAC2, &[("ip", "10.0.0.2 2001:db8:1::2")]);
    hosts.at(1).online(Script::Ours, vif(1)).succeeded();
    two.address(&["10.0.0.2/24", "2001:db8:1::2/64"]);
    for whom in ["10.0.0.2", "2001:db8:1::2"] {
        one.reaches(whom);
    }
    is_behind(hosts.at(0), MAC2, "vx100", true);
    is_behind(hosts.at(1), MAC1, "vx100", true);

    // A third one, which says nothing at all, is known on the other host because its plug was announced.
    let three = hosts.boot(0, vif(3), MAC3, &[]);
    hosts.at(0).online(Script::Ours, vif(3)).succeeded();
    is_behind(hosts.at(1), MAC3, "vx100", true);
    three.address(&["10.0.0.3/24", "2001:db8:1::3/64"]);

    // As libxl migrates: plugged on the target while it is still plugged on the source, which is destroyed last.
    one.ip("link set eth0 down");
    let moved = hosts.boot(1, vif(5), MAC1, &ip1);
    hosts.at(1).online(Script::Ours, vif(5)).succeeded();
    is_behind(hosts.at(1), MAC1, "vif5.0", false);
    is_behind(hosts.at(0), MAC1, "vx100", true);
    moved.address(&["10.0.0.1/24", "2001:db8:1::1/64"]);
    hosts.at(0).offline(Script::Ours, vif(1)).succeeded();
    for whom in ["10.0.0.1", "2001:db8:1::1"] {
        three.reaches(whom);
        two.reaches(whom);
    }
    assert!(frr[0].show("show evpn mac vni 100").contains(MAC1));
    // BGP tells a host of networks as well that it has no bridge in.
    let routes = || frr[1].show("show bgp l2vpn evpn route");
    eventually("all routes", || routes().contains("RT:65000:200"));
    assert!(!frr[1].show("show evpn vni").contains("vx200"));
    // And of no IP address: the hosts, which have none on the bridge, have no neighbours there.
    assert!(!routes().contains("[10.0.0."), "{}", routes());
}
