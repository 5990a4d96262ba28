use socket2::{Domain, Socket, Type};

use super::Kernel;
use super::error::Error;
use super::syscall::packet_address;
use crate::types::{LinkRef, MacAddr, VlanId, announcement};

impl Kernel {
    /// Says to all behind an interface that a station is here: a broadcast from its address, so that every switch on the
    /// way learns anew where it is.
    ///
    /// `vlan` is its tag. An error (`ENETDOWN`) when the interface is down.
    pub fn announce(
        &mut self,
        link: &LinkRef,
        mac: MacAddr,
        vlan: Option<VlanId>,
    ) -> Result<(), Error> {
        self.link_index(link)
            .and_then(|index| {
                // Of no protocol: it sends, and hears nothing.
                let socket = Socket::new(Domain::PACKET, Type::RAW.cloexec(), None)?;
                socket.send_to(&announcement(mac, vlan), &packet_address(index))?;
                Ok(())
            })
            .map_err(|error| error.doing(format!("announce {mac} on {}", link.name)))
    }
}
