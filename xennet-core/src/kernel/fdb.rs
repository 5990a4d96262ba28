use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::neighbour::{
    NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::Kernel;
use super::error::Error;
use crate::types::{LinkRef, MacAddr};

impl Kernel {
    /// Has a bridge know behind which port an address is, as if a frame had come in there: it may move on, and is forgotten
    /// in time. `bridge fdb replace MAC dev NAME master use dynamic`
    ///
    /// Nothing happens while the port passes no frames. Only `use` takes an entry over that a control plane made: what is
    /// merely replaced remains the control plane's, which then takes the address for another host's still.
    pub fn fdb_learn(&mut self, port: &LinkRef, mac: MacAddr) -> Result<(), Error> {
        self.link_index(port)
            .and_then(|index| {
                let message = RouteNetlinkMessage::NewNeighbour(learn_message(index, mac));
                self.change(message, NLM_F_CREATE | NLM_F_REPLACE)
            })
            .map_err(|error| {
                error.doing(format!("fdb replace {mac} dev {} master use dynamic", port.name))
            })
    }
}

fn learn_message(port: u32, mac: MacAddr) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Bridge;
    message.header.ifindex = port;
    message.header.state = NeighbourState::Reachable;
    message.header.flags = NeighbourFlags::Controller | NeighbourFlags::Use;
    message.attributes = vec![NeighbourAttribute::LinkLayerAddress(mac.octets().into())];
    message
}

#[cfg(test)]
#[cfg(target_endian = "little")]
mod tests {
    use super::*;
    use crate::kernel::request::sent;

    #[test]
    fn learn_replaces_a_dynamic_entry_in_use() {
        let mac: MacAddr = "00:16:3e:00:00:01".parse().unwrap();
        assert_eq!(
            sent(
                RouteNetlinkMessage::NewNeighbour(learn_message(9, mac)),
                NLM_F_CREATE | NLM_F_REPLACE
            ),
            "28000000 1c000105 00000000 00000000 \
             07000000 09000000 02000500 0a000200 00163e00 00010000"
        );
    }
}
