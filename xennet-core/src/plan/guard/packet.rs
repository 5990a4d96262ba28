use crate::types::NftBase;

/// What the kernel knows of a frame when it comes to the hooks of a bridge.
#[derive(Debug)]
pub(super) struct Packet<'a> {
    /// All of it, with its VLAN tag: so it is shown to who asks for the Ethernet header.
    frame: &'a [u8],
    /// What is behind the Ethernet header and the tag.
    data: &'a [u8],
    /// Its Ethertype, within the tag; of a frame with a length in its place, the kernel's own number.
    pub(super) protocol: u16,
    /// None when it is not IP, or not in order.
    pub(super) transport: Option<Transport>,
}

/// What is behind the headers of IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Transport {
    /// The protocol's number.
    pub(super) protocol: u8,
    /// Where it begins, from the IP header on.
    offset: usize,
    /// Whether that is the middle of something: then there is no header.
    later_fragment: bool,
}

const ETHERNET: usize = 14;
const TAG: usize = 4;
const IP4: u16 = 0x0800;
const IP6: u16 = 0x86dd;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const NONE: u8 = 59;

impl<'a> Packet<'a> {
    /// None for a frame that the kernel drops before any rule sees it.
    pub(super) fn new(frame: &'a [u8]) -> Option<Self> {
        let (source, first) = (frame.get(6..12)?, u16_at(frame, 12)?);
        // is_valid_ether_addr: else no bridge takes it.
        if source.first()? & 1 == 1 || source.iter().all(|byte| *byte == 0) {
            return None;
        }
        let tagged = first == 0x8100 || first == 0x88a8;
        let header = if tagged { ETHERNET + TAG } else { ETHERNET };
        let ethertype = if tagged { u16_at(frame, header - 2)? } else { first };
        let data = frame.get(header..)?;
        if tagged && data.len() < 2 {
            return None;
        }
        let protocol = match ethertype {
            0x0600.. => ethertype,
            // ETH_P_802_3 and ETH_P_802_2.
            _ if data.starts_with(&[0xff, 0xff]) => 1,
            _ => 4,
        };
        let transport = match protocol {
            IP4 => transport4(data),
            IP6 => transport6(data),
            _ => None,
        };
        Some(Self { frame, data, protocol, transport })
    }

    /// Bytes of it; none unless they are all there.
    pub(super) fn bytes(&self, base: NftBase, offset: u32, length: u32) -> Option<&'a [u8]> {
        let from = match base {
            NftBase::Link => self.frame,
            NftBase::Network => self.data,
            NftBase::Transport => match self.transport? {
                Transport { later_fragment: true, .. } => return None,
                Transport { offset, .. } => self.data.get(offset..)?,
            },
        };
        let offset = usize::try_from(offset).ok()?;
        from.get(offset..offset.checked_add(usize::try_from(length).ok()?)?)
    }

    /// Where an IPv6 packet has that extension header, as bytes from there on.
    pub(super) fn extension(&self, header: u8) -> Option<&'a [u8]> {
        if self.protocol != IP6 {
            return None;
        }
        let (mut next, mut at) = (*self.data.get(6)?, IP6_HEADER);
        while next != header {
            if !is_extension(next) || next == NONE {
                return None;
            }
            if next == FRAGMENT && u16_at(self.data, at + 2)? & FRAGMENT_OFFSET != 0 {
                return None;
            }
            (next, at) = behind(self.data, next, at)?;
        }
        // No more of the header than the kernel reads on its way.
        let least = if header == FRAGMENT { 4 } else { 2 };
        self.data.get(at..).filter(|bytes| bytes.len() >= least)
    }
}

const IP6_HEADER: usize = 40;
const FRAGMENT_OFFSET: u16 = 0xfff8;

/// `nft_set_pktinfo_ipv4_validate`
fn transport4(data: &[u8]) -> Option<Transport> {
    let header = data.get(..20)?;
    let first = *header.first()?;
    let (version, offset) = (first >> 4, usize::from(first & 0xf) * 4);
    let total = usize::from(u16_at(header, 2)?);
    if version != 4 || offset < 20 || data.len() < total || total < offset {
        return None;
    }
    let later_fragment = u16_at(header, 6)? & 0x1fff != 0;
    Some(Transport { protocol: *header.get(9)?, offset, later_fragment })
}

/// `nft_set_pktinfo_ipv6_validate` and `ipv6_find_hdr`: the first header that is no extension. An authentication header
/// is one at which the kernel stops.
fn transport6(data: &[u8]) -> Option<Transport> {
    let header = data.get(..IP6_HEADER)?;
    if header.first()? >> 4 != 6 || data.len() < IP6_HEADER + usize::from(u16_at(header, 4)?) {
        return None;
    }
    let (mut next, mut at) = (*header.get(6)?, IP6_HEADER);
    loop {
        if !is_extension(next) || next == NONE {
            return Some(Transport { protocol: next, offset: at, later_fragment: false });
        }
        let own = data.get(at..at + 2)?;
        if next == AUTHENTICATION {
            return Some(Transport { protocol: next, offset: at, later_fragment: false });
        }
        if next == FRAGMENT && u16_at(data, at + 2)? & FRAGMENT_OFFSET != 0 {
            let protocol = *own.first()?;
            return (!is_extension(protocol) || protocol == NONE).then_some(Transport {
                protocol,
                offset: 0,
                later_fragment: true,
            });
        }
        (next, at) = behind(data, next, at)?;
    }
}

/// `ipv6_ext_hdr`
fn is_extension(protocol: u8) -> bool {
    [0, 43, FRAGMENT, AUTHENTICATION, NONE, 60].contains(&protocol)
}

/// The header behind an extension header, and where it begins: which may be behind the packet's end, for the kernel reads
/// no more of an extension than its first bytes.
fn behind(data: &[u8], header: u8, at: usize) -> Option<(u8, usize)> {
    let own = data.get(at..)?;
    let (next, units) = (*own.first()?, usize::from(*own.get(1)?));
    let length = match header {
        FRAGMENT => 8,
        AUTHENTICATION => (units + 2) * 4,
        // Of a routing header four.
        43 if own.len() < 4 => return None,
        _ => (units + 1) * 8,
    };
    Some((next, at + length))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}
