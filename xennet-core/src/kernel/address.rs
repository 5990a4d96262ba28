use std::net::IpAddr;

use ipnet::IpNet;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST};
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags as WireFlags, AddressMessage, CacheInfo,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::Kernel;
use super::attributes::{attributes, ip, text, u8, u32};
use super::error::Error;
use super::request::encode;
use crate::types::{Address, AddressFlags, LinkRef, Scope};

impl Kernel {
    /// The addresses of an interface, IPv4 and IPv6. `ip address show dev NAME`
    ///
    /// An error (`ENODEV`) when there is no such interface. IPv6 ones come newest first, as the kernel keeps them: added
    /// elsewhere in this order, they end up in the opposite one.
    pub fn addresses(&mut self, link: &LinkRef) -> Result<Vec<Address>, Error> {
        self.link_index(link)
            .and_then(|index| {
                self.dump_encoded(list(index), libc::RTM_NEWADDR, |body| decode(body, link, index))
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

    /// Changes the flags and lifetimes of an address that an interface has. `ip address change ADDRESS/LENGTH dev NAME`
    ///
    /// An IPv6 one stays in use all the time, and is not probed for duplicates again.
    pub fn address_change(&mut self, link: &LinkRef, address: &Address) -> Result<(), Error> {
        self.link_index(link)
            .and_then(|index| {
                let message = RouteNetlinkMessage::NewAddress(new_message(index, address));
                self.change(message, NLM_F_REPLACE)
            })
            .map_err(|error| error.doing(format!("address change {address} dev {}", link.name)))
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
}

/// The question for the addresses of an interface.
pub(super) fn list(index: u32) -> Vec<u8> {
    let message = RouteNetlinkMessage::GetAddress(filter_message(index));
    encode(message, NLM_F_REQUEST | NLM_F_DUMP)
}

fn filter_message(index: u32) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.index = index;
    message
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
        // The kernel refuses to prefer an address for longer than there is one.
        lifetimes.ifa_preferred = address.preferred.unwrap_or(FOREVER).min(lifetimes.ifa_valid);
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

pub(super) fn decode(body: &[u8], link: &LinkRef, wanted: u32) -> Option<Address> {
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

#[cfg(test)]
#[cfg(target_endian = "little")]
mod tests {
    use RouteNetlinkMessage::{DelAddress, GetAddress, NewAddress};
    use netlink_packet_core::NLM_F_DUMP;
    use proptest::prelude::*;

    use super::*;
    use crate::kernel::attributes::strange;
    use crate::kernel::request::sent;

    #[test]
    fn lists_adds_and_deletes() {
        assert_eq!(
            sent(GetAddress(filter_message(9)), NLM_F_DUMP),
            "18000000 16000103 00000000 00000000 00000000 09000000"
        );
        let mut full = Address::new("192.0.2.1/24".parse().unwrap());
        full.broadcast = Some([192, 0, 2, 255].into());
        full.label = Some("eth7:web".to_owned());
        full.scope = Scope::LINK;
        full.flags = AddressFlags::NOPREFIXROUTE | AddressFlags::PERMANENT;
        full.valid = Some(5000);
        full.metric = Some(77);
        let flags = NLM_F_CREATE | NLM_F_EXCL;
        assert_eq!(
            sent(NewAddress(new_message(9, &full)), flags),
            "64000000 14000106 00000000 00000000 \
             021800fd 09000000 08000200 c0000201 08000100 c0000201 08000400 c00002ff \
             0d000300 65746837 3a776562 00000000 08000800 00020000 14000600 88130000 \
             88130000 00000000 00000000 08000900 4d000000"
        );
        assert_eq!(
            sent(DelAddress(message(9, &full)), 0),
            "28000000 15000100 00000000 00000000 \
             02180000 09000000 08000200 c0000201 08000100 c0000201"
        );
        let mut peer = Address::new("2001:db8::1/128".parse().unwrap());
        peer.peer = Some("2001:db8::2".parse().unwrap());
        assert_eq!(
            sent(NewAddress(new_message(9, &peer)), flags),
            "40000000 14000106 00000000 00000000 \
             0a800000 09000000 14000200 20010db8 00000000 00000000 00000001 14000100 \
             20010db8 00000000 00000000 00000002"
        );
    }

    proptest! {
        #[test]
        fn any_body_is_an_address_or_none(body in strange::body(8)) {
            let link = LinkRef { index: None, name: "vif1.0".parse().unwrap() };
            let [.., i0, i1, i2, i3] = *body.first_chunk::<8>().unwrap();
            let _ = decode(&body, &link, u32::from_ne_bytes([i0, i1, i2, i3]));
        }
    }
}
