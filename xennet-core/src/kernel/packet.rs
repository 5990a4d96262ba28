use std::net::IpAddr;

use socket2::{Domain, Socket, Type};

use super::Kernel;
use super::error::Error;
use super::syscall::packet_address;
use super::sysctl::sysctl;
use crate::errno::uninterrupted;
use crate::types::{
    AddressFlags, Family, IfName, LinkRef, MacAddr, Sysctl, VlanId, address_announcement,
    announcement,
};

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
        self.send_frame(link, &announcement(mac, vlan))
            .map_err(|error| error.doing(format!("announce {mac} on {}", link.name)))
    }

    /// Says to all behind an interface which of these addresses it has, and its hardware address: so that they send there
    /// what they send to another one.
    ///
    /// Those that the interface does not have, or that have one of the flags, are left out.
    pub fn announce_addresses(
        &mut self,
        name: &IfName,
        all: &[IpAddr],
        unused: AddressFlags,
    ) -> Result<(), Error> {
        let Some(link) = self.link(name)? else { return Ok(()) };
        let (Some(mac), true) = (link.mac, link.up) else { return Ok(()) };
        let reference = link.reference();
        let forwards = Sysctl::link(Family::V6, name, "forwarding").ok();
        let forwards = forwards.map(|key| sysctl(&key)).transpose()?.flatten();
        let router = forwards.is_some_and(|forwards| forwards != "0");
        for address in self.addresses(&reference)? {
            let (flags, address) = (address.flags, address.address.addr());
            if all.contains(&address) && !flags.intersects(unused) {
                self.send_frame(&reference, &address_announcement(mac, address, router))
                    .map_err(|error| error.doing(format!("announce {address} on {name}")))?;
            }
        }
        Ok(())
    }

    fn send_frame(&mut self, link: &LinkRef, frame: &[u8]) -> Result<(), Error> {
        let index = self.link_index(link)?;
        // Of no protocol: it sends, and hears nothing.
        let socket = uninterrupted(|| Socket::new(Domain::PACKET, Type::RAW.cloexec(), None))?;
        uninterrupted(|| socket.send_to(frame, &packet_address(index)))?;
        Ok(())
    }
}
