use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

use netlink_packet_core::DefaultNla;
use netlink_packet_route::link::{
    AfSpecInet6, AfSpecUnspec, BridgeStpState, In6AddrGenMode, InfoBridge, InfoData, InfoKind,
    InfoVeth, InfoVxlan, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};

use super::bond::{bond_set, bond_spec};
use super::link_filter::LinkFilter;
use super::vlan_link::vlan_link_spec;
use crate::types::{
    AddrGenMode, BridgeInfo, BridgeSet, IfName, LinkKind, LinkSet, MacAddr, Mtu, VxlanSpec,
};

pub(super) fn link_message(index: u32, attributes: Vec<LinkAttribute>) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.attributes = attributes;
    message
}

// Asking to leave out the counters (RTEXT_FILTER_SKIP_STATS) would save a kilobyte for each interface, but until 2025 the
// kernel then left out IPv6's mode of address generation and token too.
pub(super) fn filter_message(filter: LinkFilter<'_>) -> LinkMessage {
    let attribute = match filter {
        LinkFilter::All => None,
        LinkFilter::Kind(kind) => {
            let kind = InfoKind::Other(kind.to_owned());
            Some(LinkAttribute::LinkInfo(vec![LinkInfo::Kind(kind)]))
        }
        LinkFilter::Master(index) => Some(LinkAttribute::Controller(index)),
    };
    link_message(0, attribute.into_iter().collect())
}

/// `dev` is the index of the interface that a VXLAN port is bound to, if it is, or that is below a VLAN interface.
pub(super) fn new_message(
    name: &IfName,
    kind: &LinkKind,
    dev: Option<u32>,
    mac: Option<MacAddr>,
    mtu: Option<Mtu>,
) -> LinkMessage {
    let info = match kind {
        LinkKind::Bridge(info) => bridge_info(info),
        LinkKind::Veth { peer } => veth_info(peer, None),
        LinkKind::Vxlan(spec) => vxlan_info(spec, dev),
        LinkKind::Bond(spec) => bond_spec(*spec),
        LinkKind::Vlan(spec) => vlan_link_spec(spec),
    };
    let mut attributes = vec![name_attribute(name)];
    attributes.extend(mac.map(mac_attribute));
    attributes.extend(mtu.map(|mtu| LinkAttribute::Mtu(mtu.bytes())));
    attributes.extend(dev.filter(|_| matches!(kind, LinkKind::Vlan(_))).map(LinkAttribute::Link));
    attributes.push(LinkAttribute::LinkInfo(info));
    link_message(0, attributes)
}

#[cfg(any(test, feature = "demo"))]
pub(super) fn veth_message(name: &IfName, peer: &IfName, netns: BorrowedFd<'_>) -> LinkMessage {
    let info = LinkAttribute::LinkInfo(veth_info(peer, Some(netns)));
    link_message(0, vec![name_attribute(name), info])
}

/// `other` is the index of the interface that `set` names, if it does.
pub(super) fn set_message(index: u32, set: &LinkSet, other: u32) -> LinkMessage {
    let mut message = link_message(index, vec![]);
    message.attributes = match set {
        LinkSet::Up(up) => {
            message.header.flags = if *up { LinkFlags::Up } else { LinkFlags::empty() };
            message.header.change_mask = LinkFlags::Up;
            vec![]
        }
        LinkSet::Address(mac) => vec![mac_attribute(*mac)],
        LinkSet::Mtu(mtu) => vec![LinkAttribute::Mtu(mtu.bytes())],
        LinkSet::Name { name, alias } => vec![name_attribute(name), alias_attribute(alias)],
        LinkSet::Alias(alias) => vec![alias_attribute(alias)],
        LinkSet::Master(_) => vec![LinkAttribute::Controller(other)],
        LinkSet::AddrGenMode(mode) => {
            let mode = AfSpecInet6::AddrGenMode(match mode {
                AddrGenMode::Eui64 => In6AddrGenMode::Eui64,
                AddrGenMode::None => In6AddrGenMode::None,
                AddrGenMode::StableSecret => In6AddrGenMode::StablePrivacy,
                AddrGenMode::Random => In6AddrGenMode::Random,
            });
            vec![LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet6(vec![mode])])]
        }
        LinkSet::Token(token) => {
            let token = AfSpecUnspec::Inet6(vec![AfSpecInet6::Token(*token)]);
            vec![LinkAttribute::AfSpecUnspec(vec![token])]
        }
        LinkSet::Bridge(set) => {
            let set = InfoData::Bridge(vec![bridge_setting(*set)]);
            let kind = LinkInfo::Kind(InfoKind::Bridge);
            vec![LinkAttribute::LinkInfo(vec![kind, LinkInfo::Data(set)])]
        }
        LinkSet::Bond(set) => vec![LinkAttribute::LinkInfo(bond_set(set, other))],
    };
    message
}

pub(super) fn name_attribute(name: &IfName) -> LinkAttribute {
    LinkAttribute::IfName(name.to_string())
}

/// Not the typed attribute, which adds a NUL: the kernel removes an alias only by one of no bytes.
fn alias_attribute(alias: &str) -> LinkAttribute {
    LinkAttribute::Other(DefaultNla::new(libc::IFLA_IFALIAS, alias.into()))
}

fn mac_attribute(mac: MacAddr) -> LinkAttribute {
    LinkAttribute::Address(mac.octets().into())
}

fn bridge_setting(set: BridgeSet) -> InfoBridge {
    match set {
        BridgeSet::Stp(true) => InfoBridge::StpState(BridgeStpState::KernelStp),
        BridgeSet::Stp(false) => InfoBridge::StpState(BridgeStpState::Disabled),
        BridgeSet::ForwardDelay(time) => InfoBridge::ForwardDelay(time),
        BridgeSet::AgeingTime(time) => InfoBridge::AgeingTime(time),
        BridgeSet::VlanFiltering(on) => InfoBridge::VlanFiltering(on),
        BridgeSet::McastSnooping(on) => InfoBridge::MulticastSnooping(on),
        BridgeSet::GroupFwdMask(mask) => InfoBridge::GroupFwdMask(mask),
    }
}

fn bridge_info(info: &BridgeInfo) -> Vec<LinkInfo> {
    let mut data: Vec<InfoBridge> = [
        BridgeSet::Stp(info.stp),
        BridgeSet::ForwardDelay(info.forward_delay),
        BridgeSet::AgeingTime(info.ageing_time),
        BridgeSet::GroupFwdMask(info.group_fwd_mask),
    ]
    .map(bridge_setting)
    .into();
    data.extend(info.mcast_snooping.map(InfoBridge::MulticastSnooping));
    if info.vlan_filtering {
        data.push(InfoBridge::VlanFiltering(true));
        data.extend(info.vlan_default_pvid.map(|id| InfoBridge::VlanDefaultPvid(id.number())));
    }
    vec![LinkInfo::Kind(InfoKind::Bridge), LinkInfo::Data(InfoData::Bridge(data))]
}

fn veth_info(peer: &IfName, netns: Option<BorrowedFd<'_>>) -> Vec<LinkInfo> {
    let mut attributes = vec![name_attribute(peer)];
    attributes.extend(netns.map(|netns| LinkAttribute::NetNsFd(netns.as_raw_fd())));
    let peer = InfoVeth::Peer(link_message(0, attributes));
    vec![LinkInfo::Kind(InfoKind::Veth), LinkInfo::Data(InfoData::Veth(peer))]
}

fn vxlan_info(spec: &VxlanSpec, dev: Option<u32>) -> Vec<LinkInfo> {
    let mut data = vec![InfoVxlan::Id(spec.vni.number())];
    data.extend(dev.map(InfoVxlan::Link));
    data.push(match spec.local {
        IpAddr::V4(local) => InfoVxlan::Local(local),
        IpAddr::V6(local) => InfoVxlan::Local6(local),
    });
    data.extend(spec.remote.map(|remote| match remote {
        IpAddr::V4(remote) => InfoVxlan::Group(remote),
        IpAddr::V6(remote) => InfoVxlan::Group6(remote),
    }));
    data.extend([InfoVxlan::Port(spec.port), InfoVxlan::Learning(spec.learning)]);
    vec![LinkInfo::Kind(InfoKind::Vxlan), LinkInfo::Data(InfoData::Vxlan(data))]
}

#[cfg(test)]
#[cfg(target_endian = "little")]
mod tests {
    use std::os::fd::AsFd;

    use netlink_packet_core::{NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL};
    use netlink_packet_route::RouteNetlinkMessage::{DelLink, GetLink, NewLink, SetLink};

    use super::*;
    use crate::kernel::request::sent;
    use crate::types::LinkRef;

    fn name(text: &str) -> IfName {
        text.parse().unwrap()
    }

    #[test]
    fn asks_by_name_and_by_filter() {
        let by_name = link_message(0, vec![name_attribute(&name("vif3.0"))]);
        assert_eq!(
            sent(GetLink(by_name), 0),
            "2c000000 12000100 00000000 00000000 \
             00000000 00000000 00000000 00000000 0b000300 76696633 2e300000"
        );
        assert_eq!(
            sent(GetLink(filter_message(LinkFilter::All)), NLM_F_DUMP),
            "20000000 12000103 00000000 00000000 \
             00000000 00000000 00000000 00000000"
        );
        let bridges = filter_message(LinkFilter::Kind("bridge"));
        assert_eq!(
            sent(GetLink(bridges), NLM_F_DUMP),
            "30000000 12000103 00000000 00000000 \
             00000000 00000000 00000000 00000000 10001200 0b000100 62726964 67650000"
        );
        assert_eq!(
            sent(GetLink(filter_message(LinkFilter::Master(7))), NLM_F_DUMP),
            "28000000 12000103 00000000 00000000 \
             00000000 00000000 00000000 00000000 08000a00 07000000"
        );
    }

    #[test]
    fn makes_a_pair_of_which_one_lies_elsewhere() {
        let elsewhere = std::io::stdin();
        let message = veth_message(&name("vif1.0"), &name("eth0"), elsewhere.as_fd());
        assert_eq!(
            sent(NewLink(message), NLM_F_CREATE | NLM_F_EXCL),
            "68000000 10000106 00000000 00000000 \
             00000000 00000000 00000000 00000000 0b000300 76696631 2e300000 3c001200 \
             09000100 76657468 00000000 2c000200 28000100 00000000 00000000 00000000 \
             00000000 09000300 65746830 00000000 08001c00 00000000"
        );
    }

    #[test]
    fn removes_by_index() {
        assert_eq!(
            sent(DelLink(link_message(7, vec![])), 0),
            "20000000 11000100 00000000 00000000 00000000 07000000 00000000 00000000"
        );
    }

    #[test]
    fn makes_a_bridge() {
        let info = BridgeInfo {
            stp: false,
            forward_delay: 0,
            ageing_time: 30_000,
            vlan_filtering: true,
            mcast_snooping: Some(false),
            group_fwd_mask: 8,
            vlan_default_pvid: None,
        };
        let mac = "02:00:00:00:00:01".parse().unwrap();
        let mtu = Mtu::new(1400).unwrap();
        let message =
            new_message(&name("xenbr0"), &LinkKind::Bridge(info), None, Some(mac), Some(mtu));
        assert_eq!(
            sent(NewLink(message), NLM_F_CREATE | NLM_F_EXCL),
            "84000000 10000106 00000000 00000000 \
             00000000 00000000 00000000 00000000 0b000300 78656e62 72300000 0a000100 \
             02000000 00010000 08000400 78050000 44001200 0b000100 62726964 67650000 \
             34000200 08000500 00000000 08000100 00000000 08000400 30750000 06000900 \
             08000000 05001700 00000000 05000700 01000000"
        );
        let plain =
            new_message(&name("b"), &LinkKind::Bridge(BridgeInfo::default()), None, None, None);
        assert_eq!(
            sent(NewLink(plain), NLM_F_CREATE | NLM_F_EXCL),
            "5c000000 10000106 00000000 00000000 \
             00000000 00000000 00000000 00000000 06000300 62000000 34001200 0b000100 \
             62726964 67650000 24000200 08000500 00000000 08000100 00000000 08000400 \
             00000000 06000900 00000000"
        );
    }

    #[test]
    fn makes_a_veth_pair() {
        let kind = LinkKind::Veth { peer: name("guest") };
        let message = new_message(&name("vif1.0"), &kind, None, None, None);
        assert_eq!(
            sent(NewLink(message), NLM_F_CREATE | NLM_F_EXCL),
            "60000000 10000106 00000000 00000000 \
             00000000 00000000 00000000 00000000 0b000300 76696631 2e300000 34001200 \
             09000100 76657468 00000000 24000200 20000100 00000000 00000000 00000000 \
             00000000 0a000300 67756573 74000000"
        );
    }

    #[test]
    fn makes_a_vxlan_port() {
        let mut spec = VxlanSpec {
            vni: "100".parse().unwrap(),
            local: "192.0.2.11".parse().unwrap(),
            dev: None,
            remote: None,
            port: VxlanSpec::PORT,
            learning: false,
        };
        let make = |spec: &VxlanSpec, dev| {
            let kind = LinkKind::Vxlan(spec.clone());
            let message = new_message(&name("vx100"), &kind, dev, None, Mtu::new(1450).ok());
            sent(NewLink(message), NLM_F_CREATE | NLM_F_EXCL)
        };
        assert_eq!(
            make(&spec, None),
            "68000000 10000106 00000000 00000000 \
             00000000 00000000 00000000 00000000 0a000300 76783130 30000000 08000400 \
             aa050000 34001200 0a000100 76786c61 6e000000 24000200 08000100 64000000 \
             08000400 c000020b 06000f00 12b50000 05000700 00000000"
        );
        spec.local = "2001:db8::11".parse().unwrap();
        (spec.remote, spec.learning) = ("ff05::100".parse().ok(), true);
        assert_eq!(
            make(&spec, Some(3)),
            "90000000 10000106 00000000 00000000 \
             00000000 00000000 00000000 00000000 0a000300 76783130 30000000 08000400 \
             aa050000 5c001200 0a000100 76786c61 6e000000 4c000200 08000100 64000000 \
             08000300 03000000 14001100 20010db8 00000000 00000000 00000011 14001000 \
             ff050000 00000000 00000000 00000100 06000f00 12b50000 05000700 01000000"
        );
    }

    #[test]
    fn sets_one_thing_at_a_time() {
        let master = LinkRef { index: Some(7), name: name("xenbr0") };
        let named = |alias: &str| LinkSet::Name { name: name("web"), alias: alias.to_owned() };
        for (set, expected) in [
            (
                LinkSet::Up(true),
                "20000000 13000100 00000000 00000000 00000000 09000000 01000000 01000000",
            ),
            (
                LinkSet::Up(false),
                "20000000 13000100 00000000 00000000 00000000 09000000 00000000 01000000",
            ),
            (
                LinkSet::Address(MacAddr::VIF),
                "2c000000 13000100 00000000 00000000 \
                 00000000 09000000 00000000 00000000 0a000100 feffffff ffff0000",
            ),
            (
                LinkSet::Mtu(Mtu::new(9000).unwrap()),
                "28000000 13000100 00000000 00000000 \
                 00000000 09000000 00000000 00000000 08000400 28230000",
            ),
            (
                named("was vif3.0"),
                "38000000 13000100 00000000 00000000 \
                 00000000 09000000 00000000 00000000 08000300 77656200 0e001400 77617320 \
                 76696633 2e300000",
            ),
            (
                named(""),
                "2c000000 13000100 00000000 00000000 \
                 00000000 09000000 00000000 00000000 08000300 77656200 04001400",
            ),
            (
                LinkSet::Master(Some(master)),
                "28000000 13000100 00000000 00000000 \
                 00000000 09000000 00000000 00000000 08000a00 07000000",
            ),
            (
                LinkSet::AddrGenMode(AddrGenMode::None),
                "30000000 13000100 00000000 00000000 \
                 00000000 09000000 00000000 00000000 10001a00 0c000a00 05000800 01000000",
            ),
            (
                LinkSet::Token("::77".parse().unwrap()),
                "3c000000 13000100 00000000 00000000 \
                 00000000 09000000 00000000 00000000 1c001a00 18000a00 14000700 00000000 \
                 00000000 00000000 00000077",
            ),
            (
                LinkSet::Bridge(BridgeSet::GroupFwdMask(8)),
                "3c000000 13000100 00000000 00000000 \
                 00000000 09000000 00000000 00000000 1c001200 0b000100 62726964 67650000 \
                 0c000200 06000900 08000000",
            ),
        ] {
            let master = if matches!(set, LinkSet::Master(_)) { 7 } else { 0 };
            assert_eq!(sent(SetLink(set_message(9, &set, master)), 0), expected, "{set}");
        }
        let nomaster = set_message(9, &LinkSet::Master(None), 0);
        assert_eq!(
            sent(SetLink(nomaster), 0),
            "28000000 13000100 00000000 00000000 \
             00000000 09000000 00000000 00000000 08000a00 00000000"
        );
    }
}
