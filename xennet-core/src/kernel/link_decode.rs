use super::attributes::{attributes, be16, c_str, find, ip, mac, text, u8, u16, u32, u64};
use super::bond::bond_info;
use super::vlan_link::vlan_link_info;
use crate::types::{
    AddrGenMode, BridgeInfo, IfName, Link, MacAddr, NftCounter, PortState, VlanId, VxlanInfo,
};

/// A link from the body of `RTM_NEWLINK`; none when its name is no [`IfName`].
pub(super) fn link(body: &[u8]) -> Option<Link> {
    let (header, rest) = Header::split(body)?;
    let all = attributes(rest);
    let name = all.clone().find(|(kind, _)| *kind == libc::IFLA_IFNAME)?.1;
    let mut link = Link {
        index: header.index,
        name: IfName::from_bytes(c_str(name)).ok()?,
        mac: None,
        permanent_mac: None,
        altnames: Vec::new(),
        mtu: 0,
        up: header.flags & libc::IFF_UP.cast_unsigned() != 0,
        carrier: header.flags & libc::IFF_LOWER_UP.cast_unsigned() != 0,
        master: None,
        port_state: None,
        kind: None,
        lower: None,
        bond: None,
        vlan: None,
        bridge: None,
        vxlan: None,
        alias: None,
        parent: None,
        addr_gen_mode: None,
        token: None,
    };
    for (kind, value) in all {
        match kind {
            libc::IFLA_ADDRESS => link.mac = unicast(value),
            libc::IFLA_PERM_ADDRESS => link.permanent_mac = unicast(value),
            libc::IFLA_PROP_LIST => link.altnames = altnames(value),
            libc::IFLA_LINK => link.lower = u32(value),
            libc::IFLA_MTU => link.mtu = u32(value)?,
            libc::IFLA_MASTER => link.master = u32(value),
            libc::IFLA_LINKINFO => link_info(value, &mut link),
            libc::IFLA_IFALIAS => link.alias = Some(text(value)),
            libc::IFLA_PARENT_DEV_NAME => link.parent = Some(text(value)),
            libc::IFLA_AF_SPEC => {
                let inet6 = find(value, AF_INET6).unwrap_or_default();
                link.addr_gen_mode = find(inet6, IFLA_INET6_ADDR_GEN_MODE).and_then(addr_gen_mode);
                let token = find(inet6, IFLA_INET6_TOKEN).and_then(|token| token.try_into().ok());
                link.token = token.map(|octets: [u8; 16]| octets.into());
            }
            _ => {}
        }
    }
    // The kernel disables the port of an interface that is not running; only a running one says more.
    if header.flags & libc::IFF_RUNNING.cast_unsigned() == 0 {
        link.port_state = None;
    }
    Some(link)
}

/// What a link has received, from the body of `RTM_NEWLINK`: the first and the third number of `rtnl_link_stats64`.
pub(super) fn received(body: &[u8]) -> Option<NftCounter> {
    let (_, rest) = Header::split(body)?;
    let numbers = find(rest, libc::IFLA_STATS64)?;
    let number = |at: usize| u64(numbers.get(at..)?);
    Some(NftCounter { packets: number(0)?, bytes: number(16)? })
}

/// Whether an interface takes frames that are not for it (`IFF_PROMISC`), because a program asked for it.
pub(super) fn is_promiscuous(body: &[u8]) -> Option<bool> {
    let (header, _) = Header::split(body)?;
    Some(header.flags & libc::IFF_PROMISC.cast_unsigned() != 0)
}

/// The name alone, for the many notifications that concern some other interface.
pub(super) fn name(body: &[u8]) -> Option<&[u8]> {
    let (_, rest) = Header::split(body)?;
    attributes(rest).find(|(kind, _)| *kind == libc::IFLA_IFNAME).map(|(_, value)| c_str(value))
}

fn unicast(value: &[u8]) -> Option<MacAddr> {
    mac(value).and_then(|octets| MacAddr::from_octets(octets).ok())
}

fn altnames(bytes: &[u8]) -> Vec<String> {
    let names = attributes(bytes).filter(|(kind, _)| *kind == libc::IFLA_ALT_IFNAME);
    names.map(|(_, value)| text(value)).collect()
}

/// `struct ifinfomsg`
pub(super) struct Header {
    pub(super) index: u32,
    flags: u32,
}

impl Header {
    pub(super) fn split(body: &[u8]) -> Option<(Self, &[u8])> {
        let (header, rest) = body.split_first_chunk::<16>()?;
        let [_, _, _, _, i0, i1, i2, i3, f0, f1, f2, f3, ..] = *header;
        let index = u32::from_ne_bytes([i0, i1, i2, i3]);
        let flags = u32::from_ne_bytes([f0, f1, f2, f3]);
        Some((Self { index, flags }, rest))
    }
}

fn link_info(bytes: &[u8], link: &mut Link) {
    let (mut data, mut port_kind, mut port_data) = (None, None, None);
    for (attribute, value) in attributes(bytes) {
        match attribute {
            libc::IFLA_INFO_KIND => link.kind = Some(text(value)),
            libc::IFLA_INFO_DATA => data = Some(value),
            libc::IFLA_INFO_SLAVE_KIND => port_kind = Some(c_str(value)),
            libc::IFLA_INFO_SLAVE_DATA => port_data = Some(value),
            _ => {}
        }
    }
    match (link.kind.as_deref(), data) {
        (Some("bridge"), Some(data)) => link.bridge = Some(bridge_info(data)),
        (Some("vxlan"), Some(data)) => link.vxlan = Some(vxlan_info(data)),
        (Some("bond"), Some(data)) => link.bond = Some(bond_info(data)),
        (Some("vlan"), Some(data)) => link.vlan = vlan_link_info(data),
        _ => {}
    }
    if let (Some(b"bridge"), Some(data)) = (port_kind, port_data) {
        link.port_state = find(data, IFLA_BRPORT_STATE).and_then(u8).map(port_state);
    }
}

/// What a port of a bridge does with frames, by the number in `IFLA_BRPORT_STATE`.
pub(super) fn port_state(number: u8) -> PortState {
    match number {
        1 => PortState::Listening,
        2 => PortState::Learning,
        3 => PortState::Forwarding,
        4 => PortState::Blocking,
        _ => PortState::Disabled,
    }
}

pub(super) const IFLA_BRPORT_STATE: u16 = 1;

fn bridge_info(bytes: &[u8]) -> BridgeInfo {
    let mut info = BridgeInfo::default();
    for (kind, value) in attributes(bytes) {
        match kind {
            IFLA_BR_FORWARD_DELAY => info.forward_delay = u32(value).unwrap_or_default(),
            IFLA_BR_AGEING_TIME => info.ageing_time = u32(value).unwrap_or_default(),
            IFLA_BR_STP_STATE => info.stp = u32(value).is_some_and(|state| state != 0),
            IFLA_BR_VLAN_FILTERING => info.vlan_filtering = u8(value).is_some_and(|on| on != 0),
            IFLA_BR_GROUP_FWD_MASK => info.group_fwd_mask = u16(value).unwrap_or_default(),
            IFLA_BR_VLAN_DEFAULT_PVID => {
                info.vlan_default_pvid = u16(value).and_then(|id| VlanId::new(id).ok());
            }
            IFLA_BR_MCAST_SNOOPING => info.mcast_snooping = u8(value).map(|on| on != 0),
            _ => {}
        }
    }
    info
}

const IFLA_BR_FORWARD_DELAY: u16 = 1;
const IFLA_BR_AGEING_TIME: u16 = 4;
const IFLA_BR_STP_STATE: u16 = 5;
const IFLA_BR_VLAN_FILTERING: u16 = 7;
const IFLA_BR_GROUP_FWD_MASK: u16 = 9;
const IFLA_BR_MCAST_SNOOPING: u16 = 23;
const IFLA_BR_VLAN_DEFAULT_PVID: u16 = 39;

fn vxlan_info(bytes: &[u8]) -> VxlanInfo {
    let mut info = VxlanInfo::default();
    for (kind, value) in attributes(bytes) {
        match kind {
            IFLA_VXLAN_ID => info.vni = u32(value).unwrap_or_default(),
            IFLA_VXLAN_GROUP | IFLA_VXLAN_GROUP6 => info.remote = ip(value),
            IFLA_VXLAN_LINK => info.dev = u32(value).filter(|index| *index != 0),
            IFLA_VXLAN_LOCAL | IFLA_VXLAN_LOCAL6 => info.local = ip(value),
            IFLA_VXLAN_LEARNING => info.learning = u8(value).is_some_and(|on| on != 0),
            IFLA_VXLAN_PORT => info.port = be16(value).unwrap_or_default(),
            _ => {}
        }
    }
    info
}

const IFLA_VXLAN_ID: u16 = 1;
const IFLA_VXLAN_GROUP: u16 = 2;
const IFLA_VXLAN_LINK: u16 = 3;
const IFLA_VXLAN_LOCAL: u16 = 4;
const IFLA_VXLAN_LEARNING: u16 = 7;
const IFLA_VXLAN_PORT: u16 = 15;
const IFLA_VXLAN_GROUP6: u16 = 16;
const IFLA_VXLAN_LOCAL6: u16 = 17;

fn addr_gen_mode(bytes: &[u8]) -> Option<AddrGenMode> {
    match u8(bytes)? {
        0 => Some(AddrGenMode::Eui64),
        1 => Some(AddrGenMode::None),
        2 => Some(AddrGenMode::StableSecret),
        3 => Some(AddrGenMode::Random),
        _ => None,
    }
}

const AF_INET6: u16 = 10;
const IFLA_INET6_TOKEN: u16 = 7;
const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::attributes::strange;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_body_is_a_link_or_none(body in strange::body(16)) {
            let _ = name(&body);
            if let Some(link) = link(&body) {
                prop_assert!(name(&body) == Some(link.name.as_str().as_bytes()));
            }
        }
    }
}
