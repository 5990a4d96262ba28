use super::*;

fn export(toml: &str, to: ExportTarget, now: &[(&str, HostNow)]) -> Export {
    let now = now.iter().map(|(name, now)| (name.parse().unwrap(), now.clone())).collect();
    let config = NetworkConfig::from_toml(toml).unwrap();
    config.export(to, &now).unwrap_or_else(|error| panic!("{error}: {toml}"))
}

fn file<'e>(export: &'e Export, path: &str) -> &'e str {
    let found = export.files.iter().find(|file| file.path == path);
    &found.unwrap_or_else(|| panic!("no {path}: {export:#?}")).text
}

const FULL: &str = r#"
[[bridge]]
name = "xenbr0"
uplink = "eth0"
addresses = ["192.0.2.2/24", "198.51.100.2/24", "2001:db8::2/64"]
gateways = ["192.0.2.1", "fe80::1"]
mtu = 9000
guard = "strict"
[[bridge]]
name = "xenbr1"
ipv6 = false
stp = true
vlan_filtering = true
ageing = 20
multicast_snooping = false
group_fwd_mask = 8
[[nat]]
name = "na#t"
bridge = "xennat0"
subnets = ["10.0.0.1/24", "fd00::1/64"]
uplink = "xenbr0"
dhcp = true
forward = [{ protocol = "tcp", port = 8080, to = "10.0.0.5", to_port = 80 }]
[[routed]]
uplink = "eth2"
proxy_arp = true
"#;

const VXLAN: &str = r#"
[[bridge]]
name = "xenbr0"
mtu = 1450
vxlan = { vni = 100, local = "192.0.2.11" }
[[bridge]]
name = "xenbr1"
vxlan = { vni = 101, local = "2001:db8::11", dev = "eth1", remote = "ff05::1", port = 8472 }
"#;

#[test]
fn a_port_between_hosts_for_each() {
    let networkd = export(VXLAN, ExportTarget::Networkd, &[]);
    assert_eq!(
        file(&networkd, "etc/systemd/network/10-xennet-vx100.netdev")
            .trim_start_matches("# Made by `xennet network export`.\n"),
        "[NetDev]\nName=vx100\nKind=vxlan\nMTUBytes=1450\n\n[VXLAN]\nVNI=100\nLocal=192.0.2.11\nMacLearning=no\n\
         DestinationPort=4789\nIndependent=yes\n"
    );
    let port = file(&networkd, "etc/systemd/network/10-xennet-vx100.network");
    assert!(
        port.contains("Bridge=xenbr0\n") && port.contains("Learning=no\nNeighborSuppression=yes\n"),
        "{port}"
    );
    let group = file(&networkd, "etc/systemd/network/10-xennet-vx101.netdev");
    assert!(group.contains("Group=ff05::1\nMacLearning=yes\nDestinationPort=8472\n"), "{group}");
    let said = networkd.remarks.join("\n");
    assert!(said.contains("say `VXLAN=vx101` in [Network] of eth1's file"), "{said}");
    assert!(
        said.contains("vx101: has no mtu said: give xenbr1 one in xennet.toml, 70 less than"),
        "{said}"
    );
    let ifupdown = export(VXLAN, ExportTarget::Ifupdown, &[]);
    let text = file(&ifupdown, "etc/network/interfaces.d/xennet");
    for line in [
        "|| ip link add name vx100 mtu 1450 type vxlan id 100 local 192.0.2.11 dstport 4789 nolearning\n",
        "    pre-up ip link set dev vx100 addrgenmode none master xenbr0\n",
        "    pre-up ip link set dev vx100 type bridge_slave neigh_suppress on learning off\n",
        "type vxlan id 101 local 2001:db8::11 dev eth1 group ff05::1 dstport 8472 learning\n",
        "    down ip link delete dev vx101\n",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn for_ifupdown() {
    let export = export(FULL, ExportTarget::Ifupdown, &[]);
    let text = file(&export, "etc/network/interfaces.d/xennet");
    for lines in [
        "\nauto eth0\niface eth0 inet manual\n    pre-up test ! -e /proc/sys/net/ipv6/conf/eth0/disable_ipv6 || echo 1",
        "    pre-up test -e /sys/class/net/xenbr0 || ip link add name xenbr0 address $(cat /sys/class/net/eth0/address) \
         mtu 9000 type bridge stp_state 0 forward_delay 0\n    pre-up ip link set dev eth0 master xenbr0\n",
        "iface xenbr0 inet static\n    address 192.0.2.2/24\niface xenbr0 inet static\n    address 198.51.100.2/24\n    \
         gateway 192.0.2.1\n",
        "iface xenbr0 inet6 static\n    address 2001:db8::2/64\n    gateway fe80::1\n    accept_ra 1\n    autoconf 1\n    \
         post-down ip link delete dev xenbr0\n",
        "type bridge stp_state 1 forward_delay 1500 ageing_time 2000 vlan_filtering 1 mcast_snooping 0 group_fwd_mask 8\n",
        "    up nft 'add table inet xennet_nat0; delete table inet xennet_nat0; table inet xennet_nat0 { \
         chain host_ports { meta nfproto ipv4 tcp dport 8080 dnat ip to 10.0.0.5:80; }; \
         chain prerouting { type nat hook prerouting priority -100; fib daddr type local jump host_ports; }; \
         chain output { type nat hook output priority -100; ip daddr 127.0.0.0/8 accept; ip6 daddr ::1 accept; \
         fib daddr type local jump host_ports; }; \
         chain postrouting { type nat hook postrouting priority 100; \
         ip saddr 10.0.0.0/24 ip daddr 10.0.0.5 ct status dnat masquerade; \
         ip saddr 10.0.0.0/24 oifname \"xenbr0\" masquerade; ip6 saddr fd00::/64 oifname \"xenbr0\" masquerade; }; }'\n",
    ] {
        assert!(text.contains(lines), "{lines}\n---\n{text}");
    }
    for remark in &export.remarks {
        assert!(text.contains(&format!("\n# {remark}\n")), "{remark}");
    }
    assert!(export.remarks.iter().any(|remark| remark.contains("no DHCP: run a server")));
    assert_eq!(
        file(&export, "etc/sysctl.d/90-xennet.conf"),
        format!(
            "{HEAD}\nnet/ipv4/ip_forward = 1\nnet/ipv6/conf/all/forwarding = 1\nnet/ipv4/conf/eth2/proxy_arp = 1\n"
        )
    );
}

#[test]
fn for_networkd() {
    let mac = "02:00:00:00:00:02".parse().ok();
    let export =
        export(FULL, ExportTarget::Networkd, &[("xenbr0", HostNow { mac, ..HostNow::default() })]);
    let of = |name: &str| {
        let text = file(&export, &format!("etc/systemd/network/10-xennet-{name}"));
        text.split_once("\n[").unwrap().1
    };
    assert_eq!(
        of("xenbr0.netdev"),
        "NetDev]\nName=xenbr0\nKind=bridge\nMACAddress=02:00:00:00:00:02\nMTUBytes=9000\n\n[Bridge]\nSTP=no\nForwardDelaySec=0\n"
    );
    assert_eq!(
        of("xenbr0.network"),
        "Match]\nName=xenbr0\n\n[Network]\nConfigureWithoutCarrier=yes\nIPv6AcceptRA=no\nAddress=192.0.2.2/24\nAddress=198.51.100.2/24\n\
         Address=2001:db8::2/64\nGateway=192.0.2.1\nGateway=fe80::1\n"
    );
    assert_eq!(
        of("eth0.network"),
        "Match]\nName=eth0\n\n[Link]\nMTUBytes=9000\n\n[Network]\nBridge=xenbr0\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n"
    );
    assert!(of("xenbr1.network").contains("LinkLocalAddressing=no"));
    assert!(
        of("xennat0.network").contains("IPv6AcceptRA=no\nDHCPServer=yes\nAddress=10.0.0.1/24\n")
    );
    let unit = file(&export, "etc/systemd/system/xennet-nat.service");
    assert!(unit.contains("ExecStart=/usr/sbin/nft 'add table inet xennet_nat0;"), "{unit}");
    let remarks = export.remarks.join("\n");
    for words in ["nat na#t: its rules are in xennet-nat.service", "DHCP server is for IPv4 only"] {
        assert!(remarks.contains(words), "{remarks}");
    }
}

#[test]
fn what_the_host_has_now_is_what_is_inherited() {
    let toml = "[[bridge]]\nname = \"xenbr0\"\nuplink = \"eth0\"\naddresses = \"inherit\"\n";
    let leased = HostNow { dhcp: true, advertised: true, ..HostNow::default() };
    let ifupdown = export(toml, ExportTarget::Ifupdown, &[("xenbr0", leased.clone())]);
    let text = file(&ifupdown, "etc/network/interfaces.d/xennet");
    assert!(
        text.contains("iface xenbr0 inet dhcp\niface xenbr0 inet6 auto\n    accept_ra 1\n"),
        "{text}"
    );
    let networkd = export(toml, ExportTarget::Networkd, &[("xenbr0", leased)]);
    assert!(
        file(&networkd, "etc/systemd/network/10-xennet-xenbr0.network").contains("DHCP=ipv4\n")
    );
    assert!(
        file(&networkd, "etc/systemd/network/10-xennet-xenbr0.link")
            .contains("MACAddressPolicy=none")
    );
    let unknown = export(toml, ExportTarget::Ifupdown, &[]);
    assert!(unknown.remarks.iter().any(|remark| remark.contains("give xenbr0 what eth0 has")));
}

#[test]
fn bonds_and_vlan_interfaces_are_said_to_be_missing() {
    let toml = "[[bond]]\nname = \"bond0\"\nports = [\"eth0\", \"eth1\"]\n\
                [[bridge]]\nname = \"xenbr0\"\nuplink = \"bond0.7\"\n\
                [[bridge]]\nname = \"xenbr1\"\nuplink = \"00:16:3e:00:00:02\"\n";
    for to in [ExportTarget::Ifupdown, ExportTarget::Networkd] {
        let unknown = export(toml, to, &[]).remarks.join("\n");
        for words in [
            "bond0: is not written",
            "bond0.7: is not written",
            "xenbr1: its uplink 00:16:3e:00:00:02 is no single interface here",
        ] {
            assert!(unknown.contains(words), "{words}\n{unknown}");
        }
        let now = HostNow { uplink: "eth2".parse().ok(), ..HostNow::default() };
        let known = export(toml, to, &[("xenbr1", now)]);
        assert!(known.remarks.iter().any(|one| one.starts_with("eth2: is a port of xenbr1")));
    }
}

#[test]
fn nothing_that_a_shell_would_take_for_more_than_a_name() {
    for name in ["$(reboot)", "a;b", "a*", "a=b", "é", "-a", "a'"] {
        for toml in [
            format!("[[bridge]]\nname = \"{name}\"\n"),
            format!("[[bridge]]\nname = \"b\"\nuplink = \"{name}\"\n"),
            format!("[[routed]]\nuplink = \"{name}\"\n"),
            format!(
                "[[nat]]\nname = \"n\"\nbridge = \"b\"\nsubnets = [\"10.0.0.1/24\"]\nuplink = \"{name}\"\n"
            ),
        ] {
            let config = NetworkConfig::from_toml(&toml).unwrap();
            for to in [ExportTarget::Ifupdown, ExportTarget::Networkd] {
                let error = config.export(to, &BTreeMap::new()).unwrap_err().to_string();
                assert!(error.contains("letters, digits"), "{error}");
            }
        }
    }
    let nat = "[[nat]]\nname = \"a\\nup reboot\"\nsubnets = [\"10.0.0.1/24\"]\n[[bridge]]\nname = \"b\"\n";
    let export = export(nat, ExportTarget::Ifupdown, &[]);
    assert!(export.files.iter().all(|file| !file.text.contains("\nup")), "{export:?}");
}
