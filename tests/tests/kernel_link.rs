//! Links: what the library does, `ip` confirms, and the other way round.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::time::{Duration, Instant};

use xennet_core::kernel::{ErrorKind, Kernel, LinkFilter};
use xennet_core::types::{AddrGenMode, IfName, Link, LinkKind, LinkRef, LinkSet, MacAddr, Mtu};
use xennet_tests::netns::{self, Netns};

fn name(text: &str) -> IfName {
    text.parse().unwrap()
}

fn by_name(text: &str) -> LinkRef {
    LinkRef { index: None, name: name(text) }
}

fn get(kernel: &mut Kernel, text: &str) -> Link {
    kernel.link(&name(text)).unwrap().unwrap_or_else(|| panic!("no {text}"))
}

#[test]
fn tells_what_ip_tells() {
    let netns = Netns::new();
    netns.ip("link add name xenbr0 address 02:00:00:00:00:01 type bridge forward_delay 300 mcast_snooping 0 group_fwd_mask 8");
    netns.ip("link add name vif3.0 address fe:ff:ff:ff:ff:ff mtu 1400 type veth peer name guest");
    netns.ip("link set vif3.0 alias was:vif9 addrgenmode none master xenbr0 up");
    netns.ip("link set guest up");
    let mut kernel = Kernel::open().unwrap();

    let bridge = get(&mut kernel, "xenbr0");
    let vif = get(&mut kernel, "vif3.0");
    let told = netns.link("vif3.0");
    assert_eq!(told["ifindex"], vif.index);
    assert_eq!(vif.mac, Some(MacAddr::VIF));
    assert_eq!((vif.mtu, vif.up, vif.carrier), (1400, true, true));
    assert_eq!(vif.master, Some(bridge.index));
    assert_eq!(vif.kind.as_deref(), Some("veth"));
    assert_eq!(vif.alias.as_deref(), Some("was:vif9"));
    assert_eq!(vif.addr_gen_mode, Some(AddrGenMode::None));
    assert_eq!(vif.bridge, None);

    let told = netns.link("xenbr0");
    let info = bridge.bridge.unwrap();
    let data = &told["linkinfo"]["info_data"];
    assert_eq!(data["forward_delay"], info.forward_delay);
    assert_eq!(data["ageing_time"], info.ageing_time);
    assert_eq!((info.forward_delay, info.stp, info.vlan_filtering), (300, false, false));
    assert_eq!((info.mcast_snooping, info.group_fwd_mask), (Some(false), 8));
    assert!(!bridge.up && !bridge.carrier);

    assert_eq!(kernel.link_at(vif.index).unwrap().as_ref(), Some(&vif));
    assert_eq!(kernel.link(&name("nothere")).unwrap(), None);
    assert_eq!(kernel.link_at(9999).unwrap(), None);
    let lo = get(&mut kernel, "lo");
    assert_eq!((lo.mac, lo.mtu, lo.kind), (None, 65536, None));
}

#[test]
fn lists_only_what_the_filter_lets_through() {
    let netns = Netns::new();
    netns.make_bridge("xenbr0");
    netns.make_bridge("xenbr1");
    for devid in 0..40 {
        netns.veth(&format!("vif1.{devid}"), &format!("guest{devid}"));
        netns.ip(&format!("link set vif1.{devid} master xenbr{}", devid % 2));
    }
    let mut kernel = Kernel::open().unwrap();
    assert_eq!(kernel.links(LinkFilter::All).unwrap().len(), 1 + 2 + 80);
    let bridges = kernel.links(LinkFilter::Kind("bridge")).unwrap();
    let names: Vec<_> = bridges.iter().map(|link| link.name.as_str()).collect();
    assert_eq!(names, ["xenbr0", "xenbr1"]);
    let ports = kernel.links(LinkFilter::Master(bridges[1].index)).unwrap();
    assert_eq!(ports.len(), 20);
    assert!(ports.iter().all(|port| port.master == Some(bridges[1].index)));
    assert_eq!(kernel.links(LinkFilter::Kind("nosuchkind")).unwrap(), []);
    assert_eq!(kernel.links(LinkFilter::Master(9999)).unwrap(), []);
}

#[test]
fn a_name_that_is_not_utf8_is_left_out() {
    let netns = Netns::new();
    netns.veth("vif1.0", "guest");
    let odd = std::os::unix::ffi::OsStrExt::from_bytes(b"\xff\xfe");
    let odd: &std::ffi::OsStr = odd;
    let status = std::process::Command::new("ip")
        .args(["link", "set", "guest", "name"])
        .arg(odd)
        .status()
        .unwrap();
    assert!(status.success());
    let mut kernel = Kernel::open().unwrap();
    let all = kernel.links(LinkFilter::All).unwrap();
    let names: Vec<_> = all.iter().map(|link| link.name.as_str()).collect();
    assert_eq!(names, ["lo", "vif1.0"]);
}

#[test]
fn makes_a_bridge_with_its_settings_and_keeps_its_mac() {
    let netns = Netns::new();
    let mut kernel = Kernel::open().unwrap();
    netns.make_bridge("other");
    let mut info = get(&mut kernel, "other").bridge.unwrap();
    info.forward_delay = 0;
    info.ageing_time = 12_300;
    info.mcast_snooping = Some(false);
    info.group_fwd_mask = 0x4000;
    let mac: MacAddr = "02:00:00:00:00:77".parse().unwrap();
    let mtu = Mtu::new(1400).unwrap();
    kernel
        .link_add(&name("xenbr0"), &LinkKind::Bridge(info.clone()), Some(mac), Some(mtu))
        .unwrap();
    let told = netns.link("xenbr0");
    assert_eq!(told["address"], "02:00:00:00:00:77");
    assert_eq!(told["mtu"], 1400);
    let data = &told["linkinfo"]["info_data"];
    assert_eq!(data["forward_delay"], 0);
    assert_eq!(data["ageing_time"], 12_300);
    assert_eq!(data["mcast_snooping"], 0);
    assert_eq!(data["group_fwd_mask"], "0x4000");
    assert_eq!(get(&mut kernel, "xenbr0").bridge, Some(info));

    netns.ip("link add name low address 00:00:00:00:00:01 mtu 1300 type veth peer name guest");
    netns.ip("link set low master xenbr0");
    let told = netns.link("xenbr0");
    assert_eq!(told["address"], "02:00:00:00:00:77", "a MAC given at creation is pinned");
    assert_eq!(told["mtu"], 1300, "an MTU given at creation is not");
    kernel.link_set(&by_name("xenbr0"), &LinkSet::Mtu(mtu)).unwrap();
    netns.ip("link set low mtu 1200");
    assert_eq!(netns.link("xenbr0")["mtu"], 1400, "an MTU that was set is");

    let kind = LinkKind::Bridge(get(&mut kernel, "other").bridge.unwrap());
    let taken = kernel.link_add(&name("xenbr0"), &kind, None, None);
    let error = taken.unwrap_err();
    assert_eq!(error.errno(), libc::EEXIST);
    assert_eq!(
        error.to_string(),
        "link add xenbr0 type bridge: File exists (errno 17): an interface of that name exists"
    );
}

#[test]
fn makes_a_veth_pair_here_or_across_namespaces() {
    let netns = Netns::new();
    let mut kernel = Kernel::open().unwrap();
    kernel
        .link_add(
            &name("vif1.0"),
            &LinkKind::Veth { peer: name("guest") },
            Some(MacAddr::VIF),
            None,
        )
        .unwrap();
    assert_eq!(netns.link("vif1.0")["address"], "fe:ff:ff:ff:ff:ff");
    assert_eq!(netns.link("guest")["linkinfo"]["info_kind"], "veth");

    let guest = netns::another();
    kernel.veth_add(&name("vif2.0"), &name("eth0"), std::os::fd::AsFd::as_fd(&guest)).unwrap();
    assert_eq!(netns.link("vif2.0")["link_netnsid"], 0);
    let there = netns::within(&guest, || Kernel::open().unwrap().link(&name("eth0")).unwrap());
    assert_eq!(there.unwrap().kind.as_deref(), Some("veth"));
}

#[test]
fn every_setting_takes_effect() {
    let netns = Netns::new();
    netns.make_bridge("xenbr0");
    netns.veth("vif3.0", "guest");
    let mut kernel = Kernel::open().unwrap();
    let bridge = get(&mut kernel, "xenbr0").reference();
    for vif in [get(&mut kernel, "vif3.0").reference(), by_name("vif3.0")] {
        let mut set = |set: LinkSet| kernel.link_set(&vif, &set).unwrap();
        set(LinkSet::AddrGenMode(AddrGenMode::None));
        set(LinkSet::Address(MacAddr::VIF));
        set(LinkSet::Mtu(Mtu::new(1400).unwrap()));
        set(LinkSet::Master(Some(bridge.clone())));
        set(LinkSet::Up(true));
        let told = netns.link("vif3.0");
        assert_eq!(told["inet6_addr_gen_mode"], "none");
        assert_eq!(told["address"], "fe:ff:ff:ff:ff:ff");
        assert_eq!(told["mtu"], 1400);
        assert_eq!(told["master"], "xenbr0");
        assert!(told["flags"].as_array().unwrap().contains(&"UP".into()));

        set(LinkSet::Up(false));
        set(LinkSet::Master(None));
        set(LinkSet::AddrGenMode(AddrGenMode::Random));
        set(LinkSet::Address("02:00:00:00:00:05".parse().unwrap()));
        let told = netns.link("vif3.0");
        assert!(!told["flags"].as_array().unwrap().contains(&"UP".into()));
        assert!(told.get("master").is_none());
        assert_eq!(told["inet6_addr_gen_mode"], "random");
    }
    kernel.link_set(&by_name("vif3.0"), &LinkSet::Master(Some(by_name("xenbr0")))).unwrap();
    assert_eq!(netns.link("vif3.0")["master"], "xenbr0");
}

#[test]
fn a_new_name_and_its_alias_are_one_change() {
    let netns = Netns::new();
    netns.veth("vif3.0", "guest");
    let mut kernel = Kernel::open().unwrap();
    let vif = get(&mut kernel, "vif3.0").reference();
    let rename = |to: &str, alias: &str| LinkSet::Name { name: name(to), alias: alias.to_owned() };
    kernel.link_set(&vif, &rename("web", "xennet:vif3.0")).unwrap();
    let told = netns.link("web");
    assert_eq!((&told["ifindex"], &told["ifalias"]), (&vif.index.into(), &"xennet:vif3.0".into()));

    let taken = kernel.link_set(&vif, &rename("guest", "x")).unwrap_err();
    assert_eq!(taken.errno(), libc::EEXIST);
    assert!(taken.to_string().starts_with("link set vif3.0 name guest alias \"x\": "), "{taken}");
    assert_eq!(netns.link("web")["ifalias"], "xennet:vif3.0", "nothing was changed");

    kernel.link_set(&vif, &rename("vif3.0", "")).unwrap();
    assert!(netns.link("vif3.0").get("ifalias").is_none());
    assert_eq!(get(&mut kernel, "vif3.0").alias, None);
}

#[test]
fn failures_say_what_and_why() {
    let netns = Netns::new();
    netns.make_bridge("xenbr0");
    netns.make_bridge("xenbr1");
    netns.veth("vif3.0", "guest");
    let mut kernel = Kernel::open().unwrap();
    let mut fails = |link: &LinkRef, set: LinkSet| kernel.link_set(link, &set).unwrap_err();
    let to = |master: LinkRef| LinkSet::Master(Some(master));

    let error = fails(&by_name("xenbr1"), to(by_name("xenbr0")));
    assert_eq!(
        error.to_string(),
        "link set xenbr1 master xenbr0: Too many levels of symbolic links (errno 40): \
         Can not enslave a bridge to a bridge"
    );
    assert_eq!(error.kind(), ErrorKind::Refused);

    let error = fails(&by_name("vif3.0"), to(by_name("nothere")));
    assert_eq!(
        error.to_string(),
        "link set vif3.0 master nothere: No such device (errno 19): there is no nothere"
    );
    let gone = LinkRef { index: Some(9999), name: name("xenbr9") };
    let error = fails(&by_name("vif3.0"), to(gone.clone()));
    assert_eq!(error.errno(), libc::EINVAL);
    assert!(error.detail().is_some(), "{error}");

    let not_a_bridge = get(&mut Kernel::open().unwrap(), "guest").reference();
    let error = fails(&by_name("vif3.0"), to(not_a_bridge));
    assert_eq!((error.errno(), error.detail()), (libc::EOPNOTSUPP, Some("it is no master")));

    let error = fails(&gone, LinkSet::Up(true));
    assert_eq!(error.to_string(), "link set xenbr9 up: No such device (errno 19)");
    let error = fails(&by_name("nothere"), LinkSet::Up(true));
    assert_eq!(error.errno(), libc::ENODEV);
    let error =
        fails(&by_name("vif3.0"), LinkSet::Name { name: name("vif3.1"), alias: "x".repeat(300) });
    assert!(error.detail().is_some(), "{error}");

    let error = kernel.link_delete(&gone).unwrap_err();
    assert_eq!(error.to_string(), "link delete xenbr9: No such device (errno 19)");
    kernel.link_delete(&by_name("vif3.0")).unwrap();
    assert_eq!(kernel.link(&name("guest")).unwrap(), None, "the other end goes with it");
    assert_eq!(kernel.link_delete(&by_name("vif3.0")).unwrap_err().errno(), libc::ENODEV);
}

#[test]
fn a_link_that_vanishes_midway_is_no_other_link() {
    let netns = Netns::new();
    netns.veth("vif3.0", "guest");
    let mut kernel = Kernel::open().unwrap();
    let vif = get(&mut kernel, "vif3.0").reference();
    kernel.link_set(&vif, &LinkSet::Address(MacAddr::VIF)).unwrap();
    netns.ip("link delete vif3.0");
    netns.veth("vif3.0", "guest");
    let error = kernel.link_set(&vif, &LinkSet::Up(true)).unwrap_err();
    assert_eq!(error.to_string(), "link set vif3.0 up: No such device (errno 19)");
    assert!(!get(&mut kernel, "vif3.0").up, "the next one of that name is another one");
}

#[test]
fn a_list_that_changes_while_it_is_read_is_whole_or_an_error() {
    let netns = Netns::new();
    for i in 0..60 {
        netns.veth(&format!("v{i}"), &format!("g{i}"));
    }
    let here = std::fs::File::open("/proc/thread-self/ns/net").unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            netns::within(&here, || {
                let mut kernel = Kernel::open().unwrap();
                let kind = LinkKind::Veth { peer: name("peer") };
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    kernel.link_add(&name("passing"), &kind, None, None).unwrap();
                    kernel.link_delete(&by_name("passing")).unwrap();
                }
            });
        });
        let mut kernel = Kernel::open().unwrap();
        let lists: Vec<_> = (0..100).map(|_| kernel.links(LinkFilter::All)).collect();
        // Before anything can fail, or the other thread would never end.
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        for list in lists {
            match list {
                Ok(all) => {
                    let lasting = all.iter().filter(|link| link.index <= 121).count();
                    assert_eq!(lasting, 121, "none is missing, and none is there twice");
                }
                Err(error) => {
                    assert_eq!((error.kind(), error.errno()), (ErrorKind::Changing, libc::EBUSY));
                }
            }
        }
    });
}

#[test]
fn the_1024th_port_finds_no_room() {
    let netns = Netns::new();
    netns.make_bridge("xenbr0");
    let pairs = (0..1024).map(|i| format!("link add name v{i} type veth peer name g{i}"));
    let ports = (0..1023).map(|i| format!("link set v{i} master xenbr0"));
    netns.ip_batch(&pairs.chain(ports).collect::<Vec<_>>());
    let mut kernel = Kernel::open().unwrap();
    let set = LinkSet::Master(Some(by_name("xenbr0")));
    let error = kernel.link_set(&by_name("v1023"), &set).unwrap_err();
    assert_eq!(
        error.to_string(),
        "link set v1023 master xenbr0: Exchange full (errno 54): a bridge has room for 1023 ports"
    );
}

#[test]
fn waits_for_a_link_that_is_yet_to_come() {
    let netns = Netns::new();
    let mut kernel = Kernel::open().unwrap();
    let soon = Instant::now() + Duration::from_millis(30);
    assert_eq!(kernel.wait_link(&name("vif3.0"), soon).unwrap(), None);
    assert!(Instant::now() >= soon);

    let here = std::fs::File::open("/proc/thread-self/ns/net").unwrap();
    let late = Instant::now() + Duration::from_secs(30);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            netns::within(&here, || {
                let mut kernel = Kernel::open().unwrap();
                std::thread::sleep(Duration::from_millis(50));
                // Enough notifications to overflow the listener's buffer, should it not keep up.
                for other in 0..50 {
                    kernel
                        .link_add(
                            &name(&format!("o{other}")),
                            &LinkKind::Veth { peer: name(&format!("p{other}")) },
                            None,
                            None,
                        )
                        .unwrap();
                }
                kernel
                    .link_add(&name("vif3.0"), &LinkKind::Veth { peer: name("guest") }, None, None)
                    .unwrap();
            });
        });
        let found = kernel.wait_link(&name("vif3.0"), late).unwrap().unwrap();
        assert_eq!(found.name, name("vif3.0"));
    });
    assert!(kernel.wait_link(&name("vif3.0"), Instant::now()).unwrap().is_some());
    netns.ip("link set vif3.0 name vif9.0");
    assert_eq!(kernel.wait_link(&name("vif3.0"), Instant::now()).unwrap(), None);
}
