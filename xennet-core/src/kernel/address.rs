use std::net::IpAddr;

use ipnet::IpNet;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags as WireFlags, AddressMessage, CacheInfo,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::Kernel;
use super::attributes::{attributes, ip, text, u8, u32};
use super::error::Error;
use crate::types::{Address, AddressFlags, LinkRef, Scope};

impl Kernel {
    /// The addresses of an interface, IPv4 and IPv6. `ip address show dev NAME`
    ///
    /// An error (`ENODEV`) when there is no such interface. IPv6 ones come newest first, as the kernel keeps them: added
    /// elsewhere in this order, they end up in the opposite one.
    pub fn addresses(&mut self, link: &LinkRef) -> Result<Vec<Address>, Error> {
        self.link_index(link)
            .and_then(|index| {
                let mut message = AddressMessage::default();
                message.header.index = index;
                self.dump(RouteNetlinkMessage::GetAddress(message), |body| {
                    decode(body, link, index)
                })
            })
            .map_err(|error| error.doing(format!("address show dev {}", link.name)))
    }

    /// Gives an interface an address. `ip address add ADDRESS/LENGTH dev NAME`
    ///
    /// An error (`EEXIST`) when it has it already.
    pub fn address_add(&mut self, link: &LinkRef, address: &Address) -> Result<(), Error> {
        self.link_index(link)
            .and_then(|index| {
                let message = RouteNetlinkMessage::NewAddress(new_message(index, address));
                self.change(message, NLM_F_CREATE | NLM_F_EXCL)
            })
            .map_err(|error| error.doing(format!("address add {address} dev {}", link.name)))
    }

    /// Takes an address from an interface. `ip address del ADDRESS/LENGTH dev NAME`
    ///
    /// An error (`EADDRNOTAVAIL`) when it does not have it. Where `promote_secondaries` is off, the other addresses of
    /// an IPv4 network go with its first.
    pub fn address_delete(&mut self, link: &LinkRef, address: &Address) -> Result<(), Error> {
        self.link_index(link)
            .and_then(|index| {
                let message = RouteNetlinkMessage::DelAddress(message(index, address));
                self.change(message, 0)
            })
            .map_err(|error| error.doing(format!("address del {address} dev {}", link.name)))
    }

    /// Takes all addresses from an interface, IPv4 and IPv6. `ip address flush dev NAME`
    ///
    /// One request, and one more for each address that there is.
    pub fn addresses_flush(&mut self, link: &LinkRef) -> Result<(), Error> {
        for address in self.addresses(link)? {
            match self.address_delete(link, &address) {
                // It went with the first of its network.
                Err(error) if error.errno() == libc::EADDRNOTAVAIL => {}
                outcome => outcome?,
            }
        }
        Ok(())
    }
}

/// What identifies an address.
fn message(index: u32, address: &Address) -> AddressMessage {
    let mut message = AddressMessage::default();
    let local = address.address.addr();
    message.header.family = family(local);
    message.header.prefix_len = address.address.prefix_len();
    message.header.index = index;
    message.attributes = vec![
        AddressAttribute::Local(local),
        AddressAttribute::Address(address.peer.unwrap_or(local)),
    ];
    message
}

fn new_message(index: u32, address: &Address) -> AddressMessage {
    let mut message = message(index, address);
    message.header.scope = address.scope.0.into();
    let attributes = &mut message.attributes;
    attributes.extend(address.broadcast.map(AddressAttribute::Broadcast));
    attributes.extend(address.label.clone().map(AddressAttribute::Label));
    let flags = address.flags & AddressFlags::SETTABLE;
    if !flags.is_empty() {
        attributes.push(AddressAttribute::Flags(WireFlags::from_bits_retain(flags.bits())));
    }
    if address.valid.is_some() || address.preferred.is_some() {
        let mut lifetimes = CacheInfo::default();
        lifetimes.ifa_valid = address.valid.unwrap_or(FOREVER);
        lifetimes.ifa_preferred = address.preferred.unwrap_or(FOREVER);
        attributes.push(AddressAttribute::CacheInfo(lifetimes));
    }
    attributes.extend(address.metric.map(AddressAttribute::RoutePriority));
    attributes.extend(address.protocol.map(|who| AddressAttribute::Protocol(who.into())));
    message
}

pub(super) fn family(address: IpAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

const FOREVER: u32 = u32::MAX;

fn decode(body: &[u8], link: &LinkRef, wanted: u32) -> Option<Address> {
    let (header, rest) = body.split_first_chunk::<8>()?;
    let [_, prefix_len, flags, scope, index @ ..] = *header;
    if u32::from_ne_bytes(index) != wanted {
        return None;
    }
    // IPv4 always says both, IPv6 both only where there is a peer.
    let find = |wanted| attributes(rest).find(|(kind, _)| *kind == wanted);
    let far = ip(find(libc::IFA_ADDRESS)?.1)?;
    let local = find(libc::IFA_LOCAL).and_then(|(_, value)| ip(value)).unwrap_or(far);
    let mut address = Address::new(IpNet::new(local, prefix_len).ok()?);
    address.peer = Some(far).filter(|far| *far != local);
    address.scope = Scope(scope);
    address.flags = AddressFlags::from_bits_retain(flags.into());
    for (kind, value) in attributes(rest) {
        match kind {
            libc::IFA_LOCAL | libc::IFA_ADDRESS => {}
            libc::IFA_LABEL => {
                address.label = Some(text(value)).filter(|label| label != link.name.as_str());
            }
            libc::IFA_BROADCAST => {
                address.broadcast = value.try_into().ok().map(|octets: [u8; 4]| octets.into());
            }
            libc::IFA_CACHEINFO => {
                address.preferred = u32(value).filter(|seconds| *seconds != FOREVER);
                let valid = value.get(4..).and_then(u32);
                address.valid = valid.filter(|seconds| *seconds != FOREVER);
            }
            libc::IFA_FLAGS => address.flags = AddressFlags::from_bits_retain(u32(value)?),
            IFA_RT_PRIORITY => address.metric = u32(value).filter(|metric| *metric != 0),
            IFA_PROTO => address.protocol = u8(value).filter(|who| *who != 0),
            other => address.unknown.push(other),
        }
    }
    Some(address)
}

const IFA_RT_PRIORITY: u16 = 9;
const IFA_PROTO: u16 = 11;
