//! Addresses: listed, moved without loss, flushed.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by a panic")]

use xennet_core::kernel::Kernel;
use xennet_core::types::{Address, AddressFlags, LinkRef, Scope};
use xennet_tests::netns::Netns;

fn by_name(text: &str) -> LinkRef {
    LinkRef { index: None, name: text.parse().unwrap() }
}

/// What `ip` says of the addresses, without what differs by interface or by moment.
fn told(netns: &Netns, name: &str) -> Vec<serde_json::Value> {
    let mut all = netns.ip_json(&format!("address show dev {name}"))[0]["addr_info"].take();
    for address in all.as_array_mut().unwrap() {
        let fields = address.as_object_mut().unwrap();
        if fields.get("label").is_some_and(|label| label == name) {
            fields.remove("label");
        }
        fields.remove("tentative");
    }
    // IPv6 lists the newest first.
    let mut all = all.as_array().unwrap().clone();
    all.sort_by_key(|address| address["local"].to_string());
    all
}

#[test]
fn an_address_moves_without_loss() {
    let netns = Netns::new();
    netns.veth("eth7", "guest");
    netns.ip("link add name xenbr0 type bridge");
    for name in ["eth7", "xenbr0"] {
        // In one request with "up" it would come too late.
        netns.ip(&format!("link set {name} addrgenmode none"));
        netns.ip(&format!("link set {name} up"));
    }
    for words in [
        "192.0.2.1/24 brd 192.0.2.255 dev eth7 metric 77",
        "192.0.2.2/24 dev eth7 label eth7:web",
        "198.51.100.1 peer 198.51.100.2/32 dev eth7 scope link",
        "203.0.113.1/25 dev eth7 noprefixroute",
        "10.0.0.1/8 dev eth7 valid_lft 5000 preferred_lft 4000",
        "2001:db8::1/64 dev eth7 nodad",
        "2001:db8:1::1/128 dev eth7 nodad noprefixroute metric 9",
        "2001:db8:2::1 peer 2001:db8:2::2/128 dev eth7 nodad",
        "2001:db8:3::1/64 dev eth7 nodad valid_lft 5000 preferred_lft 0",
    ] {
        netns.ip(&format!("address add {words}"));
    }
    let mut kernel = Kernel::open().unwrap();
    let before = told(&netns, "eth7");
    let addresses = kernel.addresses(&by_name("eth7")).unwrap();
    assert_eq!(addresses.len(), 9);
    for address in &addresses {
        assert!(address.unknown.is_empty(), "{address:?}");
        kernel.address_delete(&by_name("eth7"), address).ok();
        kernel.address_add(&by_name("xenbr0"), address).unwrap();
    }
    let mut after = told(&netns, "xenbr0");
    for address in &mut after {
        // Some seconds may have passed.
        for (lifetime, full) in [("valid_life_time", 5000), ("preferred_life_time", 4000)] {
            if (1..full).contains(&address[lifetime].as_u64().unwrap()) {
                address[lifetime] = full.into();
            }
        }
    }
    assert_eq!(before, after);
}

#[test]
fn tells_every_fact() {
    let netns = Netns::new();
    netns.veth("eth7", "guest");
    netns.ip("link set eth7 addrgenmode none up");
    netns.ip("address add 192.0.2.1/24 brd + dev eth7 metric 77 label eth7:web");
    netns.ip("address add 2001:db8::1 peer 2001:db8::2/96 dev eth7 nodad");
    let mut kernel = Kernel::open().unwrap();
    let all = kernel.addresses(&by_name("eth7")).unwrap();
    let mut v4 = Address::new("192.0.2.1/24".parse().unwrap());
    v4.broadcast = Some("192.0.2.255".parse().unwrap());
    v4.metric = Some(77);
    v4.label = Some("eth7:web".to_owned());
    v4.flags = AddressFlags::PERMANENT;
    let mut v6 = Address::new("2001:db8::1/96".parse().unwrap());
    v6.peer = Some("2001:db8::2".parse().unwrap());
    v6.flags = AddressFlags::PERMANENT | AddressFlags::NODAD;
    assert_eq!(all, [v4, v6]);
    let lo = kernel.addresses(&by_name("lo")).unwrap();
    assert_eq!(lo.iter().map(|address| address.scope).collect::<Vec<_>>(), [Scope::HOST; 2]);
}

#[test]
fn failures_say_what() {
    let netns = Netns::new();
    netns.veth("vif1.0", "guest");
    netns.ip("address add 192.0.2.1/24 dev vif1.0");
    let mut kernel = Kernel::open().unwrap();
    let address = Address::new("192.0.2.1/24".parse().unwrap());
    let error = kernel.address_add(&by_name("vif1.0"), &address).unwrap_err();
    assert_eq!(error.errno(), libc::EEXIST);
    assert!(error.to_string().starts_with("address add 192.0.2.1/24 dev vif1.0: "), "{error}");
    let other = Address::new("192.0.2.9/24".parse().unwrap());
    let error = kernel.address_delete(&by_name("vif1.0"), &other).unwrap_err();
    assert_eq!(error.errno(), libc::EADDRNOTAVAIL);
    let gone = LinkRef { index: Some(9999), ..by_name("vif9.0") };
    assert_eq!(kernel.addresses(&gone).unwrap_err().errno(), libc::ENODEV);
    assert_eq!(kernel.address_add(&gone, &address).unwrap_err().errno(), libc::ENODEV);
}
