use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::neighbour::{
    NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};

use super::Kernel;
use super::address::family;
use super::attributes::{attributes, ip, mac, u8};
use super::error::Error;
use crate::types::{LinkRef, MacAddr, Neighbour, Reachability};

impl Kernel {
    /// The neighbours on a link, IPv4 and IPv6. `ip neighbour show dev NAME nud all`
    pub fn neighbours(&mut self, link: &LinkRef) -> Result<Vec<Neighbour>, Error> {
        self.link_index(link)
            .and_then(|index| {
                let message = filter_message(index, NeighbourFlags::empty());
                self.dump(RouteNetlinkMessage::GetNeighbour(message), |body| decode(body, index))
            })
            .map_err(|error| error.doing(format!("neighbour show dev {}", link.name)))
    }

    /// Enters a neighbour that stays, in place of what is known of it. `ip neighbour replace ADDRESS lladdr MAC dev NAME`
    pub fn neighbour_replace(
        &mut self,
        link: &LinkRef,
        neighbour: &Neighbour,
    ) -> Result<(), Error> {
        self.link_index(link)
            .and_then(|index| {
                let message = RouteNetlinkMessage::NewNeighbour(new_message(index, neighbour));
                self.change(message, NLM_F_CREATE | NLM_F_REPLACE)
            })
            .map_err(|error| {
                error.doing(format!("neighbour replace {neighbour} dev {}", link.name))
            })
    }

    /// Forgets a neighbour. `ip neighbour del ADDRESS dev NAME`
    ///
    /// An error (`ENOENT`) when it is not known.
    pub fn neighbour_delete(&mut self, link: &LinkRef, address: IpAddr) -> Result<(), Error> {
        self.neighbour_remove(link, address, NeighbourFlags::empty())
            .map_err(|error| error.doing(format!("neighbour del {address} dev {}", link.name)))
    }

    /// Has the kernel ask now whether a neighbour is there, by ARP or neighbour discovery.
    ///
    /// [`reachability`](Self::reachability) says what came of it. What an administrator entered would be overwritten:
    /// do not ask for a [`Reachability::Entered`].
    pub fn neighbour_ask(&mut self, link: &LinkRef, address: IpAddr) -> Result<(), Error> {
        let doing = |error: Error| error.doing(format!("ask for {address} dev {}", link.name));
        let index = self.link_index(link).map_err(doing)?;
        let mut known = message(index, address, NeighbourFlags::empty());
        known.header.state = NeighbourState::Probe;
        let asked = match self.change(RouteNetlinkMessage::NewNeighbour(known), 0) {
            // It is not known, or not its Ethernet address.
            Err(error) if [libc::ENOENT, libc::EINVAL].contains(&error.errno()) => {
                let unknown = message(index, address, NeighbourFlags::Use);
                self.change(RouteNetlinkMessage::NewNeighbour(unknown), NLM_F_CREATE)
            }
            asked => asked,
        };
        asked.map_err(doing)
    }

    /// What the kernel knows of whether a neighbour is there. `ip neighbour show to ADDRESS dev NAME`
    pub fn reachability(&mut self, link: &LinkRef, address: IpAddr) -> Result<Reachability, Error> {
        let states = self.link_index(link).and_then(|index| {
            let message = filter_message(index, NeighbourFlags::empty());
            self.dump(RouteNetlinkMessage::GetNeighbour(message), |body| {
                let (header, _) = Header::split(body)?;
                let found = decode(body, index)?;
                (found.address == address).then_some(header.state)
            })
        });
        let states =
            states.map_err(|error| error.doing(format!("neighbour show dev {}", link.name)))?;
        Ok(states.first().map_or(Reachability::Unknown, |state| reachability(*state)))
    }

    /// Every address that the host answers for because of [`proxy_add`](Self::proxy_add), with the index of its link.
    pub fn own_proxies(&mut self) -> Result<Vec<(u32, IpAddr)>, Error> {
        let mut all = self.proxies()?;
        all.retain(|(_, proxy)| proxy.protocol == Some(PROXY_PROTOCOL));
        Ok(all.into_iter().map(|(index, proxy)| (index, proxy.address)).collect())
    }

    /// Every address that the host answers for, with the index of its link. `ip neighbour show proxy`
    pub fn proxies(&mut self) -> Result<Vec<(u32, Neighbour)>, Error> {
        let mut message = NeighbourMessage::default();
        message.header.flags = NeighbourFlags::Proxy;
        self.dump(RouteNetlinkMessage::GetNeighbour(message), |body| {
            let index = Header::split(body)?.0.index;
            Some((index, decode(body, index)?))
        })
        .map_err(|error| error.doing("neighbour show proxy"))
    }

    /// Whether the host answers for an address on a link. `ip neighbour get proxy ADDRESS dev NAME`
    ///
    /// One look-up, however many of them there are.
    pub fn proxy(&mut self, link: &LinkRef, address: IpAddr) -> Result<bool, Error> {
        let index = self.link_index(link)?;
        let message = message(index, address, NeighbourFlags::Proxy);
        match self.ask(RouteNetlinkMessage::GetNeighbour(message), |_| Some(())) {
            Ok(()) => Ok(true),
            Err(error) if error.errno() == libc::ENOENT => Ok(false),
            Err(error) => {
                Err(error.doing(format!("neighbour get proxy {address} dev {}", link.name)))
            }
        }
    }

    /// Answers for an address on a link, by ARP or neighbour discovery. `ip neighbour add proxy ADDRESS dev NAME`
    ///
    /// IPv6 also needs the sysctl `proxy_ndp`. Doing it twice is no error. The entry says that it is xennet's
    /// ([`own_proxies`](Self::own_proxies)).
    pub fn proxy_add(&mut self, link: &LinkRef, address: IpAddr) -> Result<(), Error> {
        self.link_index(link)
            .and_then(|index| {
                let mut proxy = Neighbour::proxy(address);
                proxy.protocol = Some(PROXY_PROTOCOL);
                let message = RouteNetlinkMessage::NewNeighbour(new_message(index, &proxy));
                self.change(message, NLM_F_CREATE)
            })
            .map_err(|error| {
                error.doing(format!("neighbour add proxy {address} dev {}", link.name))
            })
    }

    /// Answers no more for an address on a link. `ip neighbour del proxy ADDRESS dev NAME`
    ///
    /// An error (`ENOENT`) when it did not.
    pub fn proxy_delete(&mut self, link: &LinkRef, address: IpAddr) -> Result<(), Error> {
        self.neighbour_remove(link, address, NeighbourFlags::Proxy).map_err(|error| {
            error.doing(format!("neighbour del proxy {address} dev {}", link.name))
        })
    }

    fn neighbour_remove(
        &mut self,
        link: &LinkRef,
        address: IpAddr,
        flags: NeighbourFlags,
    ) -> Result<(), Error> {
        let message = message(self.link_index(link)?, address, flags);
        self.change(RouteNetlinkMessage::DelNeighbour(message), 0)
    }
}

/// Whose a proxy entry is: a number that `/etc/iproute2/rt_protos` gives nobody.
const PROXY_PROTOCOL: u8 = 88;

const NDA_PROTOCOL: u16 = 12;

fn filter_message(index: u32, flags: NeighbourFlags) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.flags = flags;
    message.attributes.push(NeighbourAttribute::IfIndex(index));
    message
}

/// It is permanent: Linux 6.17 and later keeps such a proxy entry while its link has no carrier.
fn new_message(index: u32, neighbour: &Neighbour) -> NeighbourMessage {
    let Neighbour { address, mac, router, proxy, protocol, .. } = *neighbour;
    let flag = |set, flag| if set { flag } else { NeighbourFlags::empty() };
    let flags = flag(proxy, NeighbourFlags::Proxy) | flag(router, NeighbourFlags::Router);
    let mut message = message(index, address, flags);
    message.header.state = NeighbourState::Permanent;
    let mac = mac.map(|mac| NeighbourAttribute::LinkLayerAddress(mac.octets().into()));
    let protocol = protocol.map(|protocol| NeighbourAttribute::Protocol(protocol.into()));
    message.attributes.extend(mac.into_iter().chain(protocol));
    message
}

fn message(index: u32, address: IpAddr, flags: NeighbourFlags) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = family(address);
    message.header.ifindex = index;
    message.header.flags = flags;
    message.attributes = vec![NeighbourAttribute::Destination(address.into())];
    message
}

pub(super) fn decode(body: &[u8], wanted: u32) -> Option<Neighbour> {
    let (header, rest) = Header::split(body)?;
    if header.index != wanted {
        return None;
    }
    let find = |wanted| attributes(rest).find(|(kind, _)| *kind == wanted).map(|(_, value)| value);
    Some(Neighbour {
        address: ip(find(libc::NDA_DST)?)?,
        mac: find(libc::NDA_LLADDR)
            .and_then(mac)
            .and_then(|octets| MacAddr::from_octets(octets).ok()),
        permanent: header.state & libc::NUD_PERMANENT != 0,
        router: header.flags & libc::NTF_ROUTER != 0,
        proxy: header.flags & libc::NTF_PROXY != 0,
        protocol: find(NDA_PROTOCOL).and_then(u8).filter(|protocol| *protocol != 0),
    })
}

fn reachability(state: u16) -> Reachability {
    match state {
        libc::NUD_REACHABLE => Reachability::Reachable,
        libc::NUD_PERMANENT | libc::NUD_NOARP => Reachability::Entered,
        libc::NUD_FAILED | libc::NUD_NONE => Reachability::Failed,
        _ => Reachability::Unknown,
    }
}

/// `struct ndmsg`
pub(super) struct Header {
    pub(super) index: u32,
    pub(super) state: u16,
    pub(super) flags: u8,
}

impl Header {
    pub(super) fn split(body: &[u8]) -> Option<(Self, &[u8])> {
        let (header, rest) = body.split_first_chunk::<12>()?;
        let [_, _, _, _, i0, i1, i2, i3, s0, s1, flags, _] = *header;
        let index = u32::from_ne_bytes([i0, i1, i2, i3]);
        Some((Self { index, state: u16::from_ne_bytes([s0, s1]), flags }, rest))
    }
}

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
        let all = filter_message(9, NeighbourFlags::empty());
        assert_eq!(
            sent(GetNeighbour(all), NLM_F_DUMP),
            "24000000 1e000103 00000000 00000000 \
             00000000 00000000 00000000 08000800 09000000"
        );
        let proxies = filter_message(9, NeighbourFlags::Proxy);
        assert_eq!(
            sent(GetNeighbour(proxies), NLM_F_DUMP),
            "24000000 1e000103 00000000 00000000 \
             00000000 00000000 00000800 08000800 09000000"
        );
        let (v4, v6) = ([192, 0, 2, 9].into(), "2001:db8::9".parse().unwrap());
        let permanent = Neighbour::permanent(v4, "00:16:3e:00:00:01".parse().unwrap());
        let permanent = new_message(9, &permanent);
        assert_eq!(
            sent(NewNeighbour(permanent), NLM_F_CREATE | NLM_F_REPLACE),
            "30000000 1c000105 00000000 00000000 \
             02000000 09000000 80000000 08000100 c0000209 0a000200 00163e00 00010000"
        );
        let proxy = new_message(9, &Neighbour { router: true, ..Neighbour::proxy(v6) });
        assert_eq!(
            sent(NewNeighbour(proxy), NLM_F_CREATE),
            "30000000 1c000104 00000000 00000000 \
             0a000000 09000000 80008800 14000100 20010db8 00000000 00000000 00000009"
        );
        let proxy = message(9, v6, NeighbourFlags::Proxy);
        assert_eq!(
            sent(DelNeighbour(proxy), 0),
            "30000000 1d000100 00000000 00000000 \
             0a000000 09000000 00000800 14000100 20010db8 00000000 00000000 00000009"
        );
    }

    proptest! {
        #[test]
        fn any_body_is_a_neighbour_or_none(body in strange::body(12)) {
            let _ = decode(&body, Header::split(&body).unwrap().0.index);
        }
    }
}
