//! VLAN interfaces: `IFLA_INFO_DATA` of kind `vlan`.

use netlink_packet_core::DefaultNla;
use netlink_packet_route::link::{InfoData, InfoKind, InfoVlan, LinkInfo};

use super::attributes::{be16, find, u16};
use crate::types::{VlanLinkInfo, VlanLinkSpec, VlanProtocol};

/// None for a protocol that no kernel has.
pub(super) fn vlan_link_info(bytes: &[u8]) -> Option<VlanLinkInfo> {
    let id = find(bytes, ID).and_then(u16)?;
    let ether_type = find(bytes, PROTOCOL).and_then(be16)?;
    let mut all = [VlanProtocol::Dot1q, VlanProtocol::Dot1ad].into_iter();
    let protocol = all.find(|one| one.ether_type() == ether_type)?;
    Some(VlanLinkInfo { id, protocol })
}

/// What creates a VLAN interface.
pub(super) fn vlan_link_spec(spec: &VlanLinkSpec) -> Vec<LinkInfo> {
    let protocol = spec.protocol.ether_type().to_be_bytes().into();
    let data =
        vec![InfoVlan::Id(spec.id.number()), InfoVlan::Other(DefaultNla::new(PROTOCOL, protocol))];
    vec![LinkInfo::Kind(InfoKind::Vlan), LinkInfo::Data(InfoData::Vlan(data))]
}

const ID: u16 = 1;
const PROTOCOL: u16 = 5;

#[cfg(test)]
#[cfg(target_endian = "little")]
mod tests {
    use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
    use netlink_packet_route::RouteNetlinkMessage::NewLink;

    use super::*;
    use crate::kernel::link_encode::new_message;
    use crate::kernel::request::sent;
    use crate::types::{LinkKind, LinkRef};

    #[test]
    fn makes_a_vlan_interface() {
        let spec = VlanLinkSpec {
            link: LinkRef { index: Some(2), name: "eth0".parse().unwrap() },
            id: "100".parse().unwrap(),
            protocol: VlanProtocol::Dot1ad,
        };
        let name = "eth0.100".parse().unwrap();
        let message = new_message(&name, &LinkKind::Vlan(spec), Some(2), None, None);
        assert_eq!(
            sent(NewLink(message), NLM_F_CREATE | NLM_F_EXCL),
            "5c000000 10000106 00000000 00000000 \
             00000000 00000000 00000000 00000000 0d000300 65746830 2e313030 00000000 \
             08000500 02000000 24001200 09000100 766c616e 00000000 14000200 06000100 \
             64000000 06000500 88a80000"
        );
    }

    #[test]
    fn settings_are_decoded() {
        let bytes = [6, 0, 1, 0, 100, 0, 0, 0, 6, 0, 5, 0, 0x81, 0, 0, 0];
        let expected = VlanLinkInfo { id: 100, protocol: VlanProtocol::Dot1q };
        assert_eq!(vlan_link_info(&bytes), Some(expected));
        assert_eq!(vlan_link_info(&bytes[..8]), None);
    }
}
