use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST};
use netlink_packet_route::link::{
    AfSpecBridge, BridgeVlanInfo, BridgeVlanInfoFlags, LinkAttribute, LinkMessage,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::Kernel;
use super::attributes::{attributes, u16, u32};
use super::error::Error;
use super::link_encode::link_message;
use crate::types::{LinkRef, VlanId, VlanRange};

impl Kernel {
    /// The VLANs of one port of a bridge, or of a bridge itself, in ascending order. `bridge vlan show dev NAME`
    ///
    /// None on a kernel without VLAN filtering. An error for an interface that is neither.
    pub fn vlans(&mut self, link: &LinkRef) -> Result<Vec<VlanRange>, Error> {
        let vlans = self.link_index(link).and_then(|index| self.vlan_dump(index));
        match vlans {
            Ok(vlans) => Ok(vlans.into_iter().flat_map(|(_, ranges)| ranges).collect()),
            Err(error) => Err(error.doing(format!("vlan show dev {}", link.name))),
        }
    }

    /// The VLANs of every port and every bridge, by index; one may come in several parts. `bridge vlan show`
    pub fn all_vlans(&mut self) -> Result<Vec<(u32, Vec<VlanRange>)>, Error> {
        self.vlan_dump(0).map_err(|error| error.doing("vlan show"))
    }

    /// `RTM_GETVLAN` (Linux 5.6) can ask for one interface; a dump of `AF_BRIDGE` links lists every port there is.
    fn vlan_dump(&mut self, index: u32) -> Result<Vec<(u32, Vec<VlanRange>)>, Error> {
        match self.dump_encoded(get_vlan(index), RTM_NEWVLAN, decode) {
            Err(error) if error.errno() == libc::EOPNOTSUPP => Ok(Vec::new()),
            outcome => outcome,
        }
    }

    /// Puts a port into VLANs; one that it is in already gets these flags.
    /// `bridge vlan add dev NAME vid FIRST-LAST [pvid] [untagged]`
    pub fn vlan_add(&mut self, link: &LinkRef, vlans: VlanRange) -> Result<(), Error> {
        self.link_index(link)
            .and_then(|index| {
                self.change(RouteNetlinkMessage::SetLink(vlan_message(index, vlans)), 0)
            })
            .map_err(|error| explain(error).doing(format!("vlan add dev {} {vlans}", link.name)))
    }

    /// Takes a port out of VLANs; that it is in none of them is no error. `bridge vlan del dev NAME vid FIRST-LAST`
    pub fn vlan_delete(&mut self, link: &LinkRef, vlans: VlanRange) -> Result<(), Error> {
        self.link_index(link)
            .and_then(|index| {
                self.change(RouteNetlinkMessage::DelLink(vlan_message(index, vlans)), 0)
            })
            .map_err(|error| explain(error).doing(format!("vlan del dev {} {vlans}", link.name)))
    }
}

const RTM_NEWVLAN: u16 = 112;
const RTM_GETVLAN: u16 = 114;
/// A nested attribute: one VLAN or one range.
const BRIDGE_VLANDB_ENTRY: u16 = 1;
const BRIDGE_VLANDB_ENTRY_INFO: u16 = 1;
const BRIDGE_VLANDB_ENTRY_RANGE: u16 = 2;

/// A request for the VLANs of one interface: a netlink header and `struct br_vlan_msg`.
fn get_vlan(index: u32) -> Vec<u8> {
    let mut request = Vec::with_capacity(24);
    request.extend(24u32.to_ne_bytes());
    request.extend(RTM_GETVLAN.to_ne_bytes());
    request.extend((NLM_F_REQUEST | NLM_F_DUMP).to_ne_bytes());
    // The sequence is set when it is sent; the port is the kernel's to know.
    request.extend([0; 8]);
    request.extend([u8::from(AddressFamily::Bridge), 0, 0, 0]);
    request.extend(index.to_ne_bytes());
    request
}

fn vlan_message(index: u32, vlans: VlanRange) -> LinkMessage {
    let info = |id: VlanId, range: BridgeVlanInfoFlags| {
        let mut flags = range;
        flags.set(BridgeVlanInfoFlags::Pvid, vlans.pvid);
        flags.set(BridgeVlanInfoFlags::Untagged, vlans.untagged);
        AfSpecBridge::VlanInfo(BridgeVlanInfo { flags, vid: id.number() })
    };
    let infos = if vlans.first == vlans.last {
        vec![info(vlans.first, BridgeVlanInfoFlags::empty())]
    } else {
        vec![
            info(vlans.first, BridgeVlanInfoFlags::RangeBegin),
            info(vlans.last, BridgeVlanInfoFlags::RangeEnd),
        ]
    };
    let mut message = link_message(index, vec![LinkAttribute::AfSpecBridge(infos)]);
    message.header.interface_family = AddressFamily::Bridge;
    message
}

/// `struct br_vlan_msg`, whose second half is the index, and the entries behind it.
pub(super) fn decode(body: &[u8]) -> Option<(u32, Vec<VlanRange>)> {
    let index = u32(body.get(4..)?)?;
    let entries = attributes(body.get(8..)?).filter(|(kind, _)| *kind == BRIDGE_VLANDB_ENTRY);
    Some((index, entries.filter_map(|(_, value)| entry(value)).collect()))
}

fn entry(bytes: &[u8]) -> Option<VlanRange> {
    let find = |wanted| attributes(bytes).find(|(kind, _)| *kind == wanted).map(|(_, value)| value);
    // struct bridge_vlan_info: flags, then the first VLAN.
    let info = find(BRIDGE_VLANDB_ENTRY_INFO)?;
    let flags = BridgeVlanInfoFlags::from_bits_retain(u16(info)?);
    let first = VlanId::new(u16(info.get(2..)?)?).ok()?;
    let last = match find(BRIDGE_VLANDB_ENTRY_RANGE) {
        Some(last) => VlanId::new(u16(last)?).ok()?,
        None => first,
    };
    let range = VlanRange::new(
        first,
        flags.contains(BridgeVlanInfoFlags::Pvid),
        flags.contains(BridgeVlanInfoFlags::Untagged),
    );
    Some(VlanRange { last, ..range })
}

fn explain(error: Error) -> Error {
    error.explain(
        libc::EOPNOTSUPP,
        "this kernel is built without CONFIG_BRIDGE_VLAN_FILTERING, or it is no port",
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::request::encode;
    use super::*;

    fn range(text: &str) -> VlanRange {
        *text.parse::<crate::types::VlanSpec>().unwrap().ranges().first().unwrap()
    }

    #[test]
    fn asks_for_one_interface() {
        assert_eq!(
            get_vlan(7),
            [24, 0, 0, 0, 114, 0, 1, 3, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 7, 0, 0, 0]
        );
    }

    #[test]
    fn the_bytes_of_bridge_vlan_add() {
        let bytes = |vlans: VlanRange| {
            let all = encode(RouteNetlinkMessage::SetLink(vlan_message(7, vlans)), 0);
            all.get(16..).unwrap().to_vec()
        };
        let header = [7, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        // bridge vlan add dev NAME vid 10 pvid untagged
        assert_eq!(
            bytes(range("10")),
            [header.as_slice(), &[12, 0, 26, 0, 8, 0, 2, 0, 6, 0, 10, 0]].concat()
        );
        // bridge vlan add dev NAME vid 20-30
        let trunk = [20, 0, 26, 0, 8, 0, 2, 0, 8, 0, 20, 0, 8, 0, 2, 0, 16, 0, 30, 0];
        assert_eq!(bytes(range("20-30/40p")), [header.as_slice(), &trunk].concat());
    }

    #[test]
    fn reads_single_vlans_and_ranges() {
        let body = [
            7, 0, 0, 0, 7, 0, 0, 0, // struct br_vlan_msg
            12, 0, 1, 128, 8, 0, 1, 0, 6, 0, 10, 0, // 10 pvid untagged
            20, 0, 1, 128, 8, 0, 1, 0, 0, 0, 20, 0, 6, 0, 2, 0, 30, 0, 0, 0, // 20-30
        ];
        let spec: crate::types::VlanSpec = "10p/20-30".parse().unwrap();
        assert_eq!(decode(&body), Some((7, spec.ranges().to_vec())));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(body: Vec<u8>) {
            let _ = decode(&body);
        }
    }
}
