//! The settings of bonds: `IFLA_INFO_DATA` of kind `bond`.

use netlink_packet_core::DefaultNla;
use netlink_packet_route::link::{InfoBond, InfoData, InfoKind, LinkInfo};

use super::attributes::{attributes, u8, u32};
use crate::types::{BondInfo, BondMode, BondSet, BondSpec, LacpRate, XmitHashPolicy};

pub(super) fn bond_info(bytes: &[u8]) -> BondInfo {
    let mut info = BondInfo::default();
    for (kind, value) in attributes(bytes) {
        match kind {
            MODE => info.mode = numbered(&BondMode::ALL, value),
            MIIMON => info.miimon = u32(value).unwrap_or_default(),
            PRIMARY => info.primary = u32(value),
            XMIT_HASH_POLICY => info.xmit_hash_policy = numbered(&XmitHashPolicy::ALL, value),
            LACP_RATE => info.lacp_rate = numbered(&LacpRate::ALL, value),
            _ => {}
        }
    }
    info
}

/// What creates a bond.
pub(super) fn bond_spec(spec: BondSpec) -> Vec<LinkInfo> {
    // The mode first: it decides which other settings the kernel accepts.
    let mut data = vec![
        attribute(MODE, vec![number(&BondMode::ALL, &spec.mode)]),
        attribute(MIIMON, spec.miimon.to_ne_bytes().into()),
    ];
    data.extend(spec.xmit_hash_policy.map(hash_policy));
    data.extend(
        spec.lacp_rate.map(|rate| attribute(LACP_RATE, vec![number(&LacpRate::ALL, &rate)])),
    );
    link_info(data)
}

/// What changes one setting; `primary` is the index of the port that `set` names, if it does.
pub(super) fn bond_set(set: &BondSet, primary: u32) -> Vec<LinkInfo> {
    link_info(vec![match set {
        BondSet::Miimon(milliseconds) => attribute(MIIMON, milliseconds.to_ne_bytes().into()),
        BondSet::XmitHashPolicy(policy) => hash_policy(*policy),
        // The kernel clears it at an index that no interface has.
        BondSet::Primary(_) => attribute(PRIMARY, primary.to_ne_bytes().into()),
    }])
}

fn hash_policy(policy: XmitHashPolicy) -> InfoBond {
    attribute(XMIT_HASH_POLICY, vec![number(&XmitHashPolicy::ALL, &policy)])
}

fn link_info(data: Vec<InfoBond>) -> Vec<LinkInfo> {
    vec![LinkInfo::Kind(InfoKind::Bond), LinkInfo::Data(InfoData::Bond(data))]
}

fn attribute(kind: u16, value: Vec<u8>) -> InfoBond {
    InfoBond::Other(DefaultNla::new(kind, value))
}

fn numbered<T: Copy>(all: &[T], value: &[u8]) -> Option<T> {
    all.get(usize::from(u8(value)?)).copied()
}

fn number<T: PartialEq>(all: &[T], one: &T) -> u8 {
    let at = all.iter().position(|other| other == one);
    at.and_then(|at| at.try_into().ok()).unwrap_or_default()
}

const MODE: u16 = 1;
const MIIMON: u16 = 3;
const PRIMARY: u16 = 11;
const XMIT_HASH_POLICY: u16 = 14;
const LACP_RATE: u16 = 21;

#[cfg(test)]
#[cfg(target_endian = "little")]
mod tests {
    use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
    use netlink_packet_route::RouteNetlinkMessage::NewLink;

    use super::*;
    use crate::kernel::link_encode::{new_message, set_message};
    use crate::kernel::request::sent;
    use crate::types::{LinkKind, LinkRef, LinkSet, Mtu};

    #[test]
    fn makes_a_bond() {
        let spec = BondSpec {
            mode: BondMode::Lacp,
            miimon: 100,
            lacp_rate: Some(LacpRate::Fast),
            xmit_hash_policy: Some(XmitHashPolicy::Layer34),
        };
        let (mac, mtu) = ("02:00:00:00:00:02".parse().ok(), Mtu::new(9000).ok());
        let name = "bond0".parse().unwrap();
        let message = new_message(&name, &LinkKind::Bond(spec), None, mac, mtu);
        assert_eq!(
            sent(NewLink(message), NLM_F_CREATE | NLM_F_EXCL),
            "74000000 10000106 00000000 00000000 \
             00000000 00000000 00000000 00000000 0a000300 626f6e64 30000000 0a000100 \
             02000000 00020000 08000400 28230000 34001200 09000100 626f6e64 00000000 \
             24000200 05000100 04000000 08000300 64000000 05000e00 01000000 05001500 \
             01000000"
        );
    }

    #[test]
    fn sets_one_thing_at_a_time() {
        let eth1 = LinkRef { index: Some(3), name: "eth1".parse().unwrap() };
        for (set, primary, data) in [
            (BondSet::Miimon(50), 0, "0c000200 08000300 32000000"),
            (BondSet::XmitHashPolicy(XmitHashPolicy::VlanSrcMac), 0, "0c000200 05000e00 05000000"),
            (BondSet::Primary(Some(eth1)), 3, "0c000200 08000b00 03000000"),
            (BondSet::Primary(None), 0, "0c000200 08000b00 00000000"),
        ] {
            let expected = format!(
                "3c000000 10000100 00000000 00000000 00000000 09000000 00000000 00000000 \
                 1c001200 09000100 626f6e64 00000000 {data}"
            );
            let message = set_message(9, &LinkSet::Bond(set.clone()), primary);
            assert_eq!(sent(NewLink(message), 0), expected, "{set}");
        }
    }

    #[test]
    fn settings_are_decoded_by_their_numbers() {
        let bytes = |spec: &[(u16, &[u8])]| {
            let mut all = Vec::new();
            for (kind, value) in spec {
                all.extend(u16::try_from(4 + value.len()).unwrap().to_ne_bytes());
                all.extend(kind.to_ne_bytes());
                all.extend(*value);
                all.resize(all.len().next_multiple_of(4), 0);
            }
            all
        };
        let info = bond_info(&bytes(&[
            (MODE, &[1]),
            (MIIMON, &[100, 0, 0, 0]),
            (PRIMARY, &[3, 0, 0, 0]),
            (XMIT_HASH_POLICY, &[2]),
            (LACP_RATE, &[0]),
        ]));
        let expected = BondInfo {
            mode: Some(BondMode::ActiveBackup),
            miimon: 100,
            lacp_rate: Some(LacpRate::Slow),
            xmit_hash_policy: Some(XmitHashPolicy::Layer23),
            primary: Some(3),
        };
        assert_eq!(info, expected);
        assert_eq!(bond_info(&bytes(&[(MODE, &[7])])).mode, None, "a mode of a newer kernel");
    }
}
