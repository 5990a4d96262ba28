use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::neighbour::{
    NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::Kernel;
use super::attributes::{attributes, mac, u16, u32};
use super::error::Error;
use super::neighbour::Header;
use crate::types::{FdbEntry, FdbFlags, FdbKind, LinkRef, MacAddr};

impl Kernel {
    /// The addresses behind one port. `bridge fdb show brport NAME`
    ///
    /// The kernel sends no more, but walks the bridge's whole table.
    pub fn fdb(&mut self, port: &LinkRef) -> Result<Vec<FdbEntry>, Error> {
        self.link_index(port)
            .and_then(|index| self.fdb_dump(index, vec![]))
            .map_err(|error| error.doing(format!("fdb show brport {}", port.name)))
    }

    /// The addresses behind all ports of a bridge. `bridge fdb show br NAME`
    pub fn fdb_of_bridge(&mut self, bridge: &LinkRef) -> Result<Vec<FdbEntry>, Error> {
        self.link_index(bridge)
            .and_then(|index| self.fdb_dump(0, vec![NeighbourAttribute::Controller(index)]))
            .map_err(|error| error.doing(format!("fdb show br {}", bridge.name)))
    }

    /// Enters an address behind a port of a bridge. `bridge fdb add MAC dev NAME master static sticky`
    ///
    /// An error (`EEXIST`) when the bridge has it already, wherever, even if it only learnt it.
    pub fn fdb_add(
        &mut self,
        port: &LinkRef,
        mac: MacAddr,
        kind: FdbKind,
        sticky: bool,
    ) -> Result<(), Error> {
        self.link_index(port)
            .and_then(|index| {
                let mut message = message(index, mac);
                message.header.state = match kind {
                    FdbKind::Dynamic => NeighbourState::Reachable,
                    FdbKind::Static => NeighbourState::Noarp,
                    FdbKind::Permanent => NeighbourState::Permanent,
                };
                if sticky {
                    message.header.flags |= NeighbourFlags::Sticky;
                }
                let message = RouteNetlinkMessage::NewNeighbour(message);
                self.change(message, NLM_F_CREATE | NLM_F_EXCL)
            })
            .map_err(|error| {
                let sticky = if sticky { " sticky" } else { "" };
                error.doing(format!("fdb add {mac} dev {} master {kind}{sticky}", port.name))
            })
    }

    /// Takes an address from a port of a bridge. `bridge fdb del MAC dev NAME master`
    ///
    /// An error (`ENOENT`) when it is not there.
    pub fn fdb_delete(&mut self, port: &LinkRef, mac: MacAddr) -> Result<(), Error> {
        self.link_index(port)
            .and_then(|index| {
                self.change(RouteNetlinkMessage::DelNeighbour(message(index, mac)), 0)
            })
            .map_err(|error| error.doing(format!("fdb del {mac} dev {} master", port.name)))
    }

    fn fdb_dump(
        &mut self,
        port: u32,
        filter: Vec<NeighbourAttribute>,
    ) -> Result<Vec<FdbEntry>, Error> {
        let mut message = NeighbourMessage::default();
        message.header.family = AddressFamily::Bridge;
        message.header.ifindex = port;
        message.attributes = filter;
        self.dump(RouteNetlinkMessage::GetNeighbour(message), decode)
    }
}

fn message(port: u32, mac: MacAddr) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Bridge;
    message.header.ifindex = port;
    message.header.flags = NeighbourFlags::Controller;
    message.attributes = vec![NeighbourAttribute::LinkLayerAddress(mac.octets().into())];
    message
}

fn decode(body: &[u8]) -> Option<FdbEntry> {
    let (header, rest) = Header::split(body)?;
    let find = |wanted| attributes(rest).find(|(kind, _)| *kind == wanted).map(|(_, value)| value);
    let extended = find(NDA_FLAGS_EXT).and_then(u32).unwrap_or_default();
    let mut flags = FdbFlags::empty();
    flags.set(FdbFlags::STICKY, header.flags & NTF_STICKY != 0);
    flags.set(FdbFlags::LOCKED, extended & NTF_EXT_LOCKED != 0);
    flags.set(FdbFlags::EXTERN_LEARN, header.flags & libc::NTF_EXT_LEARNED != 0);
    flags.set(FdbFlags::SELF, header.flags & libc::NTF_SELF != 0);
    Some(FdbEntry {
        port: header.index,
        mac: mac(find(libc::NDA_LLADDR)?)?,
        vlan: find(libc::NDA_VLAN).and_then(u16),
        kind: match header.state {
            state if state & libc::NUD_PERMANENT != 0 => FdbKind::Permanent,
            state if state & libc::NUD_NOARP != 0 => FdbKind::Static,
            _ => FdbKind::Dynamic,
        },
        flags,
    })
}

const NDA_FLAGS_EXT: u16 = 15;
const NTF_STICKY: u8 = 1 << 6;
const NTF_EXT_LOCKED: u32 = 1 << 1;
