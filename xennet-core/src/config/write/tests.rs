use std::num::NonZeroU16;

use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::config::{
    Forwarding, GuardLevel, GuestPolicy, PortForward, Transport, VifConfig, VxlanPolicy,
};

fn flag() -> impl Strategy<Value = Option<bool>> {
    option::of(any::<bool>())
}

prop_compose! {
    fn port_policy()(
        guard in option::of(prop_oneof![
            Just(GuardLevel::Off), Just(GuardLevel::Mac), Just(GuardLevel::Ip), Just(GuardLevel::Strict),
        ]),
        (isolated, reserve, announce) in (flag(), flag(), flag()),
        (dhcp_server, router, iptables) in (flag(), flag(), flag()),
    ) -> PortPolicy {
        PortPolicy { guard, isolated, reserve, dhcp_server, router, announce, iptables }
    }
}

prop_compose! {
    /// The `n`th bridge: names and addresses are its own.
    fn bridge(n: usize)(
        name in "[a-z\"\\\\é$#'&!]{0,4}",
        uplink in any::<bool>(),
        inherit in any::<bool>(),
        addressed in any::<bool>(),
        gateways in any::<bool>(),
        (vlan_filtering, multicast_snooping, manage) in (flag(), flag(), any::<bool>()),
        delay in option::of(2u32..=30),
        stp in flag(),
        ageing in option::of(0u32..=1_000_000),
        mask in option::of(any::<u16>()),
        mtu in option::of(1280u32..=9000),
        mac in option::of(any::<[u8; 3]>()),
        vxlan in option::of((any::<NonZeroU16>(), any::<bool>(), 0..3)),
        port in port_policy(),
    ) -> BridgePolicy {
        let mut policy = BridgePolicy::new(format!("{n}{name}").parse().unwrap());
        policy.uplink = uplink.then(|| format!("up{n}").parse().unwrap());
        policy.addresses = match (addressed, inherit && uplink) {
            (false, _) => None,
            (true, true) => Some(HostAddresses::Inherit),
            (true, false) => Some(HostAddresses::Static(
                [format!("192.0.{n}.2/24"), format!("2001:db8:{n}::2/64")].map(|net| net.parse().unwrap()).to_vec(),
            )),
        };
        if gateways && matches!(policy.addresses, Some(HostAddresses::Static(_))) {
            policy.gateways = vec![
                GatewayPolicy::new(format!("192.0.{n}.1").parse().unwrap()),
                GatewayPolicy { metric: Some(7), onlink: true, ..GatewayPolicy::new("fe80::1".parse().unwrap()) },
            ];
        }
        (policy.vlan_filtering, policy.stp) = (vlan_filtering, stp);
        (policy.multicast_snooping, policy.manage_uplink_vlans) = (multicast_snooping, manage && uplink);
        (policy.forward_delay, policy.ageing) = (delay, ageing);
        policy.group_fwd_mask = mask.map(|mask| mask & !7);
        policy.mtu = mtu.map(|mtu| mtu.to_string().parse().unwrap());
        policy.mac = mac.map(|[a, b, c]| format!("00:16:3e:{a:02x}:{b:02x}:{c:02x}").parse().unwrap());
        policy.ipv6 = policy.addresses.is_none().then_some(false);
        policy.port = port;
        policy.vxlan = vxlan.map(|(port, v6, kind)| tunnel(n, port, v6, kind));
        policy
    }
}

fn tunnel(n: usize, port: NonZeroU16, v6: bool, kind: i32) -> VxlanPolicy {
    let (local, host, group) = if v6 {
        ("2001:db8::11", "2001:db8::12", "ff05::1")
    } else {
        ("192.0.2.11", "192.0.2.12", "239.0.0.1")
    };
    let vni = (n + 1).to_string().parse().unwrap();
    let mut policy = VxlanPolicy::new(vni, local.parse().unwrap());
    policy.port = port;
    match kind {
        0 => {}
        1 => policy.remote = host.parse().ok(),
        _ => {
            policy.remote = group.parse().ok();
            policy.dev = "wan".parse().ok();
        }
    }
    policy
}

prop_compose! {
    fn switch(n: usize)(
        wait_ovn in option::of(1u32..=20),
        policing in option::of(any::<(u32, u32)>()),
        port in port_policy(),
    ) -> SwitchPolicy {
        let mut policy = SwitchPolicy::new(format!("sw{n}").parse().unwrap());
        policy.wait_ovn = wait_ovn;
        policy.policing = policing.map(|(rate, burst)| Policing { rate, burst });
        policy.port = port;
        policy
    }
}

prop_compose! {
    fn nat(n: usize)(
        name in "\\PC{0,9}",
        bridged in any::<bool>(),
        uplink in any::<bool>(),
        dhcp in any::<bool>(),
        ports in prop::collection::vec(any::<(bool, bool, NonZeroU16)>(), 0..3),
    ) -> NatPolicy {
        let mut policy = NatPolicy::new(format!("{n}{name}\t\u{7f}"));
        policy.bridge = bridged.then(|| format!("nat{n}").parse().unwrap());
        policy.uplink = uplink.then(|| "wan".parse().unwrap());
        policy.subnets = [format!("10.{n}.0.1/24"), format!("fd00:{n}::1/64")].map(|net| net.parse().unwrap()).to_vec();
        policy.dhcp = dhcp;
        // A port of its own for each: two that are alike are an error.
        for (i, (tcp, v6, to_port)) in ports.into_iter().enumerate() {
            let to = if v6 { format!("fd00:{n}::5") } else { format!("10.{n}.0.5") };
            let port = NonZeroU16::new(u16::try_from(1 + n * 10 + i).unwrap()).unwrap();
            let protocol = if tcp { Transport::Tcp } else { Transport::Udp };
            let mut forward = PortForward::new(protocol, port, to.parse().unwrap());
            forward.to_port = to_port;
            policy.forward.push(forward);
        }
        policy
    }
}

prop_compose! {
    fn config()(
        bridges in (bridge(0).boxed(), bridge(1).boxed(), bridge(2).boxed()),
        nat in (nat(0).boxed(), nat(1).boxed()),
        many in (0usize..=3, 0usize..=2, any::<bool>(), any::<bool>()),
        (proxy_arp, proxy_ndp) in any::<(bool, bool)>(),
        guests in prop::collection::btree_map("\\PC{0,9}", port_policy(), 0..3),
        uuid in option::of(port_policy()),
        (ipv4, ipv6) in (option::of(Just(true)), option::of(Just(true))),
        vif in prop::collection::vec(0usize..5, 0..5),
        (switches, one, two) in (0usize..=2, switch(0).boxed(), switch(1).boxed()),
        (iface_id, socket) in (option::of("\\PC{1,9}"), option::of("/[a-z/\"\\\\]{1,9}")),
    ) -> NetworkConfig {
        let mut config = NetworkConfig {
            bridges: [bridges.0, bridges.1, bridges.2].into_iter().take(many.0).collect(),
            nat: [nat.0, nat.1].into_iter().take(many.1).collect(),
            forwarding: Forwarding { ipv4, ipv6 },
            switches: [one, two].into_iter().take(switches).collect(),
            ovs_socket: socket.map(Into::into),
            ..NetworkConfig::default()
        };
        if many.2 {
            let mut routed = RoutedPolicy::new("wan".parse().unwrap());
            (routed.proxy_arp, routed.proxy_ndp) = (proxy_arp, proxy_ndp);
            if many.3 {
                routed.prefixes = vec!["198.51.100.0/28".parse().unwrap(), "2001:db8:77::/64".parse().unwrap()];
            }
            config.routed.push(routed);
        }
        for (guest, port) in guests.into_iter().map(|(name, port)| (GuestName::Name(name), port)).chain(
            uuid.map(|port| (GuestName::Uuid("6a5b8e1c-0f3d-4c55-9d3e-2b1f0a9c8d7e".to_owned()), port)),
        ) {
            let mut policy = GuestPolicy::new(guest);
            policy.port = port;
            policy.iface_id.clone_from(&iface_id);
            config.guests.push(policy);
        }
        let values = [
            ("bridge", "0x:10:20"), ("mtu", "1400"), ("rate", "25000,20000"), ("vlan", "10p/20-30/40u"), ("gatewaydev", "wan"),
        ];
        for n in vif {
            config.vif.set(values[n].0, values[n].1.as_bytes()).unwrap();
        }
        config
    }
}

proptest! {
    #[test]
    fn what_is_written_is_what_is_read(config in config()) {
        let text = config.to_toml();
        let read = NetworkConfig::from_toml(&text);
        prop_assert_eq!(read.map_err(|error| format!("{error}\n{text}")), Ok(config));
    }
}

#[test]
fn what_is_written_reads_well() {
    let text = r#"[[bridge]]
name = "xenbr0"
uplink = "eth0"
addresses = ["192.0.2.2/24", "2001:db8::2/64"]
gateways = ["192.0.2.1"]
stp = false
mtu = 9000
guard = "strict"
router = "deny"
firewall = "none"

[[routed]]
uplink = "eth2"
proxy_arp = true

[[nat]]
name = "nat0"
subnets = ["10.0.0.1/16"]
dhcp = true
forward = [
    { protocol = "tcp", port = 8080, to = "10.0.0.5", to_port = 80 },
]

[[guest]]
name = "a \"b\" \\ c"
guard = "off"

[forwarding]
ipv6 = true

[vif]
bridge = "xenbr0"
mtu = 1500
"#;
    assert_eq!(NetworkConfig::from_toml(text).unwrap().to_toml(), text);
    assert_eq!(NetworkConfig::default().to_toml(), "");
    let mut own = NetworkConfig::default();
    own.vif.set("mac", b"00:16:3e:00:00:01").unwrap();
    assert_eq!(own.to_toml(), "", "a single vif's is no default");
    assert!(VifConfig::KEYS.len() == 9, "a new key is to be written as well");
}
