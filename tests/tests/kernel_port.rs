//! Ports of a bridge and its forwarding table.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use xennet_core::kernel::{ErrorKind, Kernel};
use xennet_core::types::{LinkRef, PortFlags, PortSet, PortState};
use xennet_tests::netns::Netns;

fn by_name(text: &str) -> LinkRef {
    LinkRef { index: None, name: text.parse().unwrap() }
}

fn index(kernel: &mut Kernel, text: &str) -> u32 {
    kernel.link(&text.parse().unwrap()).unwrap().unwrap().index
}

fn bridge_with_port() -> Netns {
    let netns = Netns::new();
    netns.make_bridge("xenbr0");
    netns.veth("vif1.0", "guest");
    netns.ip("link set vif1.0 master xenbr0");
    netns.ip("link set vif1.0 up");
    netns.ip("link set guest up");
    netns
}

/// What `ip` calls each switch where it differs from `ip`'s own command line.
const JSON: [(PortFlags, &str); 14] = [
    (PortFlags::HAIRPIN, "hairpin"),
    (PortFlags::GUARD, "guard"),
    (PortFlags::ROOT_BLOCK, "root_block"),
    (PortFlags::FASTLEAVE, "fastleave"),
    (PortFlags::LEARNING, "learning"),
    (PortFlags::FLOOD, "flood"),
    (PortFlags::MCAST_FLOOD, "mcast_flood"),
    (PortFlags::MCAST_TO_UNICAST, "mcast_to_unicast"),
    (PortFlags::VLAN_TUNNEL, "vlan_tunnel"),
    (PortFlags::BCAST_FLOOD, "bcast_flood"),
    (PortFlags::NEIGH_SUPPRESS, "neigh_suppress"),
    (PortFlags::ISOLATED, "isolated"),
    (PortFlags::LOCKED, "locked"),
    (PortFlags::PROXY_ARP, "proxy_arp"),
];

#[test]
fn each_switch_takes_effect_alone() {
    let netns = bridge_with_port();
    let mut kernel = Kernel::open().unwrap();
    let port = index(&mut kernel, "vif1.0");
    for (flag, word) in JSON {
        for on in [true, false, true] {
            let set = PortSet::default();
            let set = if on { set.on(flag) } else { set.off(flag) };
            let before = kernel.port(port).unwrap().unwrap();
            kernel.port_set(&by_name("vif1.0"), &set).unwrap();
            let told = &netns.link("vif1.0")["linkinfo"]["info_slave_data"];
            assert_eq!(told[word], on, "{word}: {told}");
            let after = kernel.port(port).unwrap().unwrap();
            assert_eq!(after.flags - flag, before.flags - flag, "{word} changes nothing else");
            assert_eq!(after.flags.contains(flag), on);
        }
    }
}

#[test]
fn those_that_ip_does_not_show_take_effect() {
    let _netns = bridge_with_port();
    let mut kernel = Kernel::open().unwrap();
    let port = index(&mut kernel, "vif1.0");
    let set = PortSet::default().on(PortFlags::MAB | PortFlags::LOCKED | PortFlags::LEARNING);
    kernel.port_set(&by_name("vif1.0"), &set).unwrap();
    let set = PortSet::default().on(PortFlags::PROXY_ARP_WIFI | PortFlags::NEIGH_VLAN_SUPPRESS);
    kernel.port_set(&by_name("vif1.0"), &set).unwrap();
    let all = kernel.port(port).unwrap().unwrap();
    assert!(
        all.flags
            .contains(PortFlags::MAB | PortFlags::PROXY_ARP_WIFI | PortFlags::NEIGH_VLAN_SUPPRESS)
    );
    assert_eq!(all.known, PortFlags::all(), "this kernel has them all");
}

#[test]
fn every_other_setting_takes_effect_in_one_request() {
    let netns = bridge_with_port();
    netns.veth("vif2.0", "guest2");
    netns.ip("link set vif2.0 master xenbr0");
    let mut kernel = Kernel::open().unwrap();
    let other = index(&mut kernel, "vif2.0");
    let mut set = PortSet::default().on(PortFlags::ISOLATED).off(PortFlags::LEARNING);
    set.state = Some(PortState::Learning);
    set.cost = Some(77);
    set.priority = Some(5);
    set.mcast_router = Some(2);
    set.group_fwd_mask = Some(0x4000);
    set.backup_port = Some(other);
    kernel.port_set(&by_name("vif1.0"), &set).unwrap();
    let told = &netns.link("vif1.0")["linkinfo"]["info_slave_data"];
    assert_eq!((&told["state"], &told["cost"]), (&"learning".into(), &77.into()));
    assert_eq!((&told["priority"], &told["multicast_router"]), (&5.into(), &2.into()));
    assert_eq!(told["group_fwd_mask"], "0x4000");
    assert_eq!(told["backup_port"], "vif2.0");
    assert_eq!((&told["isolated"], &told["learning"]), (&true.into(), &false.into()));

    let port = index(&mut kernel, "vif1.0");
    let read = kernel.port(port).unwrap().unwrap();
    assert_eq!(read.bridge, index(&mut kernel, "xenbr0"));
    assert_eq!(read.backup_port, Some(other));
    assert!(set.missing(&read).is_empty());
    set.backup_port = Some(0);
    kernel.port_set(&by_name("vif1.0"), &set).unwrap();
    assert_eq!(kernel.port(port).unwrap().unwrap().backup_port, None);
}

#[test]
fn failures_say_what_and_why() {
    let netns = bridge_with_port();
    netns.veth("lone", "peer");
    let mut kernel = Kernel::open().unwrap();
    let isolated = PortSet::default().on(PortFlags::ISOLATED);
    let error = kernel.port_set(&by_name("lone"), &isolated).unwrap_err();
    assert_eq!(error.errno(), libc::EOPNOTSUPP);
    assert!(
        error.to_string().starts_with("link set lone type bridge_slave isolated on: "),
        "{error}"
    );
    assert!(error.detail().is_some(), "{error}");
    kernel.port_set(&by_name("vif1.0"), &PortSet::default()).unwrap();
    let mut nothing = PortSet::default();
    nothing.cost = Some(0);
    assert_eq!(kernel.port_set(&by_name("vif1.0"), &nothing).unwrap_err().errno(), libc::ERANGE);
    let mab = PortSet::default().on(PortFlags::MAB);
    let error = kernel.port_set(&by_name("vif1.0"), &mab).unwrap_err();
    assert!(error.detail().is_some(), "the kernel says what mab needs: {error}");

    let unheard_of = PortSet::default().on(PortFlags::from_bits_retain(1 << 31));
    let error = kernel.port_set(&by_name("vif1.0"), &unheard_of).unwrap_err();
    assert_eq!((error.kind(), error.errno()), (ErrorKind::Ignored, libc::EOPNOTSUPP));

    let lone = index(&mut kernel, "lone");
    assert_eq!(kernel.port(lone).unwrap(), None, "not a port");
    assert_eq!(kernel.port(9999).unwrap(), None, "not a link");
    let gone = LinkRef { index: Some(9999), ..by_name("vif9.0") };
    assert_eq!(kernel.port_set(&gone, &isolated).unwrap_err().errno(), libc::ENODEV);
}
