//! Neighbours, the addresses that the host answers for, and the settings under /proc/sys/net.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::net::IpAddr;

use xennet_core::kernel::{Kernel, sysctl, sysctl_set};
use xennet_core::types::{Family, LinkRef, MacAddr, Neighbour, Sysctl};
use xennet_tests::netns::Netns;

fn by_name(text: &str) -> LinkRef {
    LinkRef { index: None, name: text.parse().unwrap() }
}

fn dsts(told: &serde_json::Value) -> Vec<String> {
    let mut all: Vec<_> = told
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["dst"].as_str().unwrap().to_owned())
        .collect();
    all.sort();
    all
}

#[test]
fn permanent_neighbours() {
    let netns = Netns::new();
    netns.veth("vif1.0", "guest");
    netns.veth("vif2.0", "guest2");
    netns.ip("link set vif1.0 up");
    netns.ip("link set vif2.0 up");
    let mut kernel = Kernel::open().unwrap();
    let mac: MacAddr = "00:16:3e:00:00:01".parse().unwrap();
    let (v4, v6): (IpAddr, IpAddr) = ("192.0.2.9".parse().unwrap(), "2001:db8::9".parse().unwrap());
    for address in [v4, v6] {
        for mac in ["00:16:3e:00:00:07".parse().unwrap(), mac] {
            let neighbour = Neighbour::permanent(address, mac);
            kernel.neighbour_replace(&by_name("vif1.0"), &neighbour).unwrap();
        }
    }
    netns.ip("neighbour add 192.0.2.10 lladdr 00:16:3e:00:00:02 dev vif2.0 nud permanent");
    let told = netns.ip_json("neighbour show dev vif1.0 nud permanent");
    assert_eq!(dsts(&told), ["192.0.2.9", "2001:db8::9"]);
    assert!(told.as_array().unwrap().iter().all(|entry| entry["lladdr"] == mac.to_string()));
    let ours = kernel.neighbours(&by_name("vif1.0")).unwrap();
    let ours: Vec<_> = ours.iter().filter(|neighbour| neighbour.permanent).collect();
    assert_eq!(ours.len(), 2);
    assert!(ours.iter().all(|neighbour| neighbour.mac == Some(mac) && !neighbour.router));
    kernel.neighbour_delete(&by_name("vif1.0"), v4).unwrap();
    kernel.neighbour_delete(&by_name("vif1.0"), v6).unwrap();
    assert_eq!(dsts(&netns.ip_json("neighbour show dev vif1.0 nud permanent")), [""; 0]);
    let error = kernel.neighbour_delete(&by_name("vif1.0"), v4).unwrap_err();
    assert!(error.to_string().starts_with("neighbour del 192.0.2.9 dev vif1.0: "), "{error}");
}

#[test]
fn proxies_of_both_families() {
    let netns = Netns::new();
    netns.veth("vif1.0", "guest");
    netns.veth("vif2.0", "guest2");
    let mut kernel = Kernel::open().unwrap();
    let all: [IpAddr; 2] = ["192.0.2.9".parse().unwrap(), "2001:db8::9".parse().unwrap()];
    for address in all {
        kernel.proxy_add(&by_name("vif1.0"), address).unwrap();
        kernel.proxy_add(&by_name("vif1.0"), address).unwrap();
    }
    netns.ip("neighbour add proxy 2001:db8::10 dev vif2.0");
    assert_eq!(
        dsts(&netns.ip_json("neighbour show proxy dev vif1.0")),
        ["192.0.2.9", "2001:db8::9"]
    );
    for address in all {
        assert!(kernel.proxy(&by_name("vif1.0"), address).unwrap());
        assert!(!kernel.proxy(&by_name("vif2.0"), address).unwrap());
    }
    for address in all {
        kernel.proxy_delete(&by_name("vif1.0"), address).unwrap();
        let error = kernel.proxy_delete(&by_name("vif1.0"), address).unwrap_err();
        assert_eq!(error.errno(), libc::ENOENT);
    }
    assert_eq!(dsts(&netns.ip_json("neighbour show proxy dev vif1.0")), [""; 0]);
    assert_eq!(dsts(&netns.ip_json("neighbour show proxy dev vif2.0")), ["2001:db8::10"]);
}

#[test]
fn settings_of_an_interface_with_a_dot_in_its_name() {
    let netns = Netns::new();
    netns.veth("vif1.0", "guest");
    let of = |family, name: &str, key| Sysctl::link(family, &name.parse().unwrap(), key).unwrap();
    let read = |family, key| sysctl(&of(family, "vif1.0", key)).unwrap();
    assert_eq!(read(Family::V4, "proxy_arp").as_deref(), Some("0"));
    sysctl_set(&of(Family::V4, "vif1.0", "proxy_arp"), "1").unwrap();
    assert_eq!(read(Family::V4, "proxy_arp").as_deref(), Some("1"));
    let guest = of(Family::V4, "guest", "proxy_arp");
    assert_eq!(sysctl(&guest).unwrap().as_deref(), Some("0"));
    sysctl_set(&of(Family::V6, "vif1.0", "disable_ipv6"), "1").unwrap();
    assert_eq!(read(Family::V6, "disable_ipv6").as_deref(), Some("1"));

    assert_eq!(read(Family::V4, "nosuchkey"), None);
    let nobody = of(Family::V4, "vif9.0", "proxy_arp");
    assert_eq!(sysctl(&nobody).unwrap(), None);
    let error = sysctl_set(&nobody, "1").unwrap_err();
    assert_eq!(
        error.to_string(),
        "sysctl -w net/ipv4/conf/vif9.0/proxy_arp=1: No such file or directory (errno 2)"
    );
    let error = sysctl_set(&of(Family::V4, "vif1.0", "proxy_arp"), "many").unwrap_err();
    assert_eq!(error.errno(), libc::EINVAL);
}
