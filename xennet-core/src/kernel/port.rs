use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    BridgePortState, InfoBridgePort, InfoPortData, InfoPortKind, LinkAttribute, LinkInfo,
    LinkMessage,
};

use super::Kernel;
use super::attributes::{attributes, c_str, u8, u16, u32};
use super::error::{Error, ErrorKind};
use super::link_decode::{Header, IFLA_BRPORT_STATE, port_state};
use super::link_encode::link_message;
use crate::types::{LinkRef, Port, PortFlags, PortSet, PortState};

impl Kernel {
    /// What the port with this index is set to; none when there is no such interface, or it is in no bridge.
    /// `ip -d link show dev NAME`
    pub fn port(&mut self, index: u32) -> Result<Option<Port>, Error> {
        let wanted = RouteNetlinkMessage::GetLink(link_message(index, vec![]));
        match self.ask(wanted, |body| Some(decode(body))) {
            Err(error) if error.errno() == libc::ENODEV => Ok(None),
            outcome => outcome.map_err(|error| error.doing(format!("link show index {index}"))),
        }
    }

    /// Changes settings of a port of a bridge, and sees that they hold. `ip link set dev NAME type bridge_slave ...`
    ///
    /// One request to change and one to look. Older kernels take a setting that they do not have and do nothing: that
    /// is an error ([`ErrorKind::Ignored`]) here, and names it. So is setting `off` what the kernel does not have.
    pub fn port_set(&mut self, link: &LinkRef, set: &PortSet) -> Result<(), Error> {
        self.link_index(link)
            .and_then(|index| {
                self.port_change(index, settings(set))?;
                let port = self.port(index)?;
                let missing = port.map_or_else(|| set.clone(), |port| set.missing(&port));
                if missing.is_empty() {
                    return Ok(());
                }
                let words = format!("the kernel took it and ignored: {missing}");
                Err(Error::of(ErrorKind::Ignored, words))
            })
            .map_err(|error| error.doing(format!("link set {} type bridge_slave {set}", link.name)))
    }

    // RTM_SETLINK would take this and do nothing.
    fn port_change(&mut self, index: u32, settings: Vec<InfoBridgePort>) -> Result<(), Error> {
        self.change(RouteNetlinkMessage::NewLink(message(index, settings)), 0)
            .map_err(|error| error.explain(libc::EOPNOTSUPP, "it is no port of a bridge"))
    }
}

fn message(index: u32, settings: Vec<InfoBridgePort>) -> LinkMessage {
    let info = vec![
        LinkInfo::PortKind(InfoPortKind::Bridge),
        LinkInfo::PortData(InfoPortData::BridgePort(settings)),
    ];
    link_message(index, vec![LinkAttribute::LinkInfo(info)])
}

fn settings(set: &PortSet) -> Vec<InfoBridgePort> {
    let mut settings: Vec<_> = FLAGS
        .into_iter()
        .filter(|(flag, ..)| set.mask().contains(*flag))
        .map(|(flag, _, setting)| setting(set.values().contains(flag)))
        .collect();
    settings.extend(set.state.map(|state| InfoBridgePort::State(wire_state(state))));
    settings.extend(set.cost.map(InfoBridgePort::Cost));
    settings.extend(set.priority.map(InfoBridgePort::Priority));
    settings.extend(set.mcast_router.map(|who| InfoBridgePort::MulticastRouter(who.into())));
    settings.extend(set.group_fwd_mask.map(InfoBridgePort::GroupFwdMask));
    settings.extend(set.backup_port.map(InfoBridgePort::BackupPort));
    settings
}

pub(super) fn decode(body: &[u8]) -> Option<Port> {
    let (_, rest) = Header::split(body)?;
    let find = |bytes, wanted| attributes(bytes).find(|(kind, _)| *kind == wanted);
    let (_, master) = find(rest, libc::IFLA_MASTER)?;
    let (_, info) = find(rest, libc::IFLA_LINKINFO)?;
    let (_, kind) = find(info, libc::IFLA_INFO_SLAVE_KIND)?;
    let (_, data) = find(info, libc::IFLA_INFO_SLAVE_DATA)?;
    if c_str(kind) != b"bridge" {
        return None;
    }
    let mut port = Port {
        bridge: u32(master)?,
        state: PortState::Disabled,
        cost: 0,
        priority: 0,
        flags: PortFlags::empty(),
        known: PortFlags::empty(),
        mcast_router: None,
        group_fwd_mask: 0,
        backup_port: None,
    };
    for (kind, value) in attributes(data) {
        match kind {
            IFLA_BRPORT_STATE => port.state = port_state(u8(value)?),
            IFLA_BRPORT_PRIORITY => port.priority = u16(value)?,
            IFLA_BRPORT_COST => port.cost = u32(value)?,
            IFLA_BRPORT_MULTICAST_ROUTER => port.mcast_router = u8(value),
            IFLA_BRPORT_GROUP_FWD_MASK => port.group_fwd_mask = u16(value)?,
            IFLA_BRPORT_BACKUP_PORT => port.backup_port = u32(value).filter(|index| *index != 0),
            _ => {
                if let Some((flag, ..)) = FLAGS.into_iter().find(|(_, number, _)| *number == kind) {
                    port.known |= flag;
                    port.flags.set(flag, u8(value)? != 0);
                }
            }
        }
    }
    Some(port)
}

fn wire_state(state: PortState) -> BridgePortState {
    match state {
        PortState::Disabled => BridgePortState::Disabled,
        PortState::Listening => BridgePortState::Listening,
        PortState::Learning => BridgePortState::Learning,
        PortState::Forwarding => BridgePortState::Forwarding,
        PortState::Blocking => BridgePortState::Blocking,
    }
}

const IFLA_BRPORT_PRIORITY: u16 = 2;
const IFLA_BRPORT_COST: u16 = 3;
const IFLA_BRPORT_MULTICAST_ROUTER: u16 = 25;
const IFLA_BRPORT_GROUP_FWD_MASK: u16 = 31;
const IFLA_BRPORT_BACKUP_PORT: u16 = 34;

type Setting = fn(bool) -> InfoBridgePort;

/// Each switch, its number in what the kernel sends (`IFLA_BRPORT_*`), and how it is sent.
const FLAGS: [(PortFlags, u16, Setting); 17] = [
    (PortFlags::HAIRPIN, 4, InfoBridgePort::HairpinMode),
    (PortFlags::GUARD, 5, InfoBridgePort::Guard),
    (PortFlags::ROOT_BLOCK, 6, InfoBridgePort::Protect),
    (PortFlags::FASTLEAVE, 7, InfoBridgePort::FastLeave),
    (PortFlags::LEARNING, 8, InfoBridgePort::Learning),
    (PortFlags::FLOOD, 9, InfoBridgePort::UnicastFlood),
    (PortFlags::PROXY_ARP, 10, InfoBridgePort::ProxyARP),
    (PortFlags::PROXY_ARP_WIFI, 12, InfoBridgePort::ProxyARPWifi),
    (PortFlags::MCAST_FLOOD, 27, InfoBridgePort::MulticastFlood),
    (PortFlags::MCAST_TO_UNICAST, 28, InfoBridgePort::MulticastToUnicast),
    (PortFlags::VLAN_TUNNEL, 29, InfoBridgePort::VlanTunnel),
    (PortFlags::BCAST_FLOOD, 30, InfoBridgePort::BroadcastFlood),
    (PortFlags::NEIGH_SUPPRESS, 32, InfoBridgePort::NeighSupress),
    (PortFlags::ISOLATED, 33, InfoBridgePort::Isolated),
    (PortFlags::LOCKED, 39, InfoBridgePort::Locked),
    (PortFlags::MAB, 40, InfoBridgePort::Mab),
    (PortFlags::NEIGH_VLAN_SUPPRESS, 43, InfoBridgePort::NeighVlanSuppress),
];

#[cfg(test)]
#[cfg(target_endian = "little")]
mod tests {
    use super::*;
    use crate::kernel::attributes::strange;
    use crate::kernel::request::sent;
    use proptest::prelude::*;

    #[test]
    fn sets_what_is_asked_for_in_one_request() {
        let mut set = PortSet::default().on(PortFlags::ISOLATED).off(PortFlags::LEARNING);
        set.cost = Some(4);
        set.state = Some(PortState::Blocking);
        let message = message(9, settings(&set));
        assert_eq!(
            sent(RouteNetlinkMessage::NewLink(message), 0),
            "54000000 10000100 00000000 00000000 \
             00000000 09000000 00000000 00000000 34001200 0b000400 62726964 67650000 \
             24000500 05000800 00000000 05002100 01000000 05000100 04000000 08000300 \
             04000000"
        );
    }

    proptest! {
        #[test]
        fn any_body_is_a_port_or_none(body in strange::body(16)) {
            let _ = decode(&body);
        }
    }
}
