use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
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
                let message = new_message(index, mac, kind, sticky);
                let message = RouteNetlinkMessage::NewNeighbour(message);
                self.change(message, NLM_F_CREATE | NLM_F_EXCL)
            })
            .map_err(|error| {
                let sticky = if sticky { " sticky" } else { "" };
                error.doing(format!("fdb add {mac} dev {} master {kind}{sticky}", port.name))
            })
    }

    /// Has a bridge know behind which port an address is, as if a frame had come in there: it may move on, and is forgotten
    /// in time. `bridge fdb replace MAC dev NAME master use dynamic`
    ///
    /// Nothing happens while the port passes no frames. Only `use` takes an entry over that a control plane made: what is
    /// merely replaced remains the control plane's, which then takes the address for another host's still.
    pub fn fdb_learn(&mut self, port: &LinkRef, mac: MacAddr) -> Result<(), Error> {
        self.link_index(port)
            .and_then(|index| {
                let message = RouteNetlinkMessage::NewNeighbour(used_message(index, mac));
                self.change(message, NLM_F_CREATE | NLM_F_REPLACE)
            })
            .map_err(|error| {
                error.doing(format!("fdb replace {mac} dev {} master use dynamic", port.name))
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
        self.dump(RouteNetlinkMessage::GetNeighbour(filter_message(port, filter)), decode)
    }
}

fn filter_message(port: u32, filter: Vec<NeighbourAttribute>) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Bridge;
    message.header.ifindex = port;
    message.attributes = filter;
    message
}

fn new_message(port: u32, mac: MacAddr, kind: FdbKind, sticky: bool) -> NeighbourMessage {
    let mut message = message(port, mac);
    message.header.state = match kind {
        FdbKind::Dynamic => NeighbourState::Reachable,
        FdbKind::Static => NeighbourState::Noarp,
        FdbKind::Permanent => NeighbourState::Permanent,
    };
    message.header.flags.set(NeighbourFlags::Sticky, sticky);
    message
}

fn used_message(port: u32, mac: MacAddr) -> NeighbourMessage {
    let mut message = new_message(port, mac, FdbKind::Dynamic, false);
    message.header.flags |= NeighbourFlags::Use;
    message
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
    flags.set(FdbFlags::EXTERN_LEARN, header.flags & NTF_EXT_LEARNED != 0);
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
const NTF_EXT_LEARNED: u8 = 1 << 4;
const NTF_STICKY: u8 = 1 << 6;
const NTF_EXT_LOCKED: u32 = 1 << 1;

#[cfg(test)]
#[cfg(target_endian = "little")]
mod tests {
    use RouteNetlinkMessage::{DelNeighbour, GetNeighbour, NewNeighbour};
    use netlink_packet_core::NLM_F_DUMP;
    use proptest::prelude::*;

    use super::*;
    use crate::kernel::attributes::strange;
    use crate::kernel::request::sent;

    #[test]
    fn lists_adds_and_deletes() {
        assert_eq!(
            sent(GetNeighbour(filter_message(9, vec![])), NLM_F_DUMP),
            "1c000000 1e000103 00000000 00000000 07000000 09000000 00000000"
        );
        let bridge = filter_message(0, vec![NeighbourAttribute::Controller(7)]);
        assert_eq!(
            sent(GetNeighbour(bridge), NLM_F_DUMP),
            "24000000 1e000103 00000000 00000000 \
             07000000 00000000 00000000 08000900 07000000"
        );
        let mac: MacAddr = "00:16:3e:00:00:01".parse().unwrap();
        let sticky = new_message(9, mac, FdbKind::Static, true);
        assert_eq!(
            sent(NewNeighbour(sticky), NLM_F_CREATE | NLM_F_EXCL),
            "28000000 1c000106 00000000 00000000 \
             07000000 09000000 40004400 0a000200 00163e00 00010000"
        );
        assert_eq!(
            sent(NewNeighbour(used_message(9, mac)), NLM_F_CREATE | NLM_F_REPLACE),
            "28000000 1c000105 00000000 00000000 \
             07000000 09000000 02000500 0a000200 00163e00 00010000"
        );
        assert_eq!(
            sent(DelNeighbour(message(9, mac)), 0),
            "28000000 1d000100 00000000 00000000 \
             07000000 09000000 00000400 0a000200 00163e00 00010000"
        );
    }

    proptest! {
        #[test]
        fn any_body_is_an_entry_or_none(body in strange::body(12)) {
            let _ = decode(&body);
        }
    }
}
