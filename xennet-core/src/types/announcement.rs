use std::net::{IpAddr, Ipv6Addr};

use super::{MacAddr, VlanId};

/// The frame that says where a station is: a broadcast from its address, so that every switch on the way learns anew.
///
/// It is RARP's question for the station's own IP address (RFC 903), as QEMU asks it after a migration: it speaks of the
/// Ethernet address alone, and nobody answers. As long as Ethernet wants it, without its checksum.
pub(crate) fn announcement(mac: MacAddr, vlan: Option<VlanId>) -> Vec<u8> {
    let mac = mac.octets();
    let mut frame = [[0xff; 6], mac].concat();
    if let Some(vlan) = vlan {
        frame.extend([0x81, 0x00]);
        frame.extend(vlan.number().to_be_bytes());
    }
    frame.extend([0x80, 0x35]);
    // Ethernet and IPv4, addresses of 6 and 4 bytes, "request reverse".
    frame.extend([0, 1, 8, 0, 6, 4, 0, 3]);
    // The same station on both sides, and no IP address of either.
    for _ in 0..2 {
        frame.extend(mac);
        frame.extend([0; 4]);
    }
    frame.resize(frame.len().max(MINIMUM), 0);
    frame
}

const MINIMUM: usize = 60;

/// The frame that says which hardware address an IP address has: ARP's announcement (RFC 5227), or an unsolicited
/// neighbour advertisement (RFC 4861), which also says whether the station is a `router`.
pub(crate) fn address_announcement(mac: MacAddr, address: IpAddr, router: bool) -> Vec<u8> {
    let source = mac.octets();
    let mut frame = match address {
        IpAddr::V4(address) => {
            let address = address.octets();
            // Ethernet and IPv4, addresses of 6 and 4 bytes, "request"; the target is the station itself.
            let header: &[u8] = &[0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1];
            [&[0xff; 6], &source, header, &source, &address, &[0; 6], &address].concat()
        }
        IpAddr::V6(address) => {
            let message = advertisement(source, address, router);
            // IPv6, a message of 32 bytes, and the hop limit that shows that no router forwarded it.
            let header: &[u8] = &[0x86, 0xdd, 0x60, 0, 0, 0, 0, 32, ICMPV6, 255];
            let [from, to] = [address, ALL_NODES].map(|address| address.octets());
            [&[0x33, 0x33, 0, 0, 0, 1], &source, header, &from, &to, &message].concat()
        }
    };
    frame.resize(frame.len().max(MINIMUM), 0);
    frame
}

/// All stations of a network.
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ICMPV6: u8 = 58;

/// A neighbour advertisement that overrides what others know, with its checksum.
fn advertisement(mac: [u8; 6], address: Ipv6Addr, router: bool) -> Vec<u8> {
    let flags = if router { 0xa0 } else { 0x20 };
    let message = |checksum: [u8; 2]| {
        let header = [&[136, 0], &checksum[..], &[flags, 0, 0, 0]].concat();
        [&header[..], &address.octets(), &[2, 1], &mac].concat()
    };
    let plain = message([0; 2]);
    let length = u32::try_from(plain.len()).unwrap_or_default().to_be_bytes();
    let addresses = [address, ALL_NODES].map(|address| address.octets()).concat();
    let pseudo = [&addresses[..], &length, &[0, 0, 0, ICMPV6], &plain].concat();
    let (words, _) = pseudo.as_chunks::<2>();
    let sum: u32 = words.iter().map(|word| u32::from(u16::from_be_bytes(*word))).sum();
    // Some 40 words carry less than 16 bits, and once more.
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    let [_, _, high, low] = (!folded).to_be_bytes();
    message([high, low])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn announces_addresses_of_both_families() {
        let mac: MacAddr = "00:16:3e:00:00:01".parse().unwrap();
        let station = [0, 0x16, 0x3e, 0, 0, 1];
        let arp = address_announcement(mac, [192, 0, 2, 9].into(), false);
        let header = [0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1];
        let body = [&station[..], &[192, 0, 2, 9, 0, 0, 0, 0, 0, 0, 192, 0, 2, 9]].concat();
        assert_eq!(arp, [&[0xff; 6], &station[..], &header, &body, &[0; 18]].concat());
        for (router, flags) in [(false, 0x20), (true, 0xa0)] {
            let address = "2001:db8::9".parse().unwrap();
            let frame = address_announcement(mac, address, router);
            assert_eq!(frame.len(), 86);
            assert_eq!(
                frame[..22],
                [&[0x33, 0x33, 0, 0, 0, 1], &station[..], &frame[12..22]].concat()
            );
            assert_eq!(frame[12..22], [0x86, 0xdd, 0x60, 0, 0, 0, 0, 32, 58, 255]);
            assert_eq!((frame[54], frame[58]), (136, flags));
            assert_eq!(frame[78..], [&[2, 1], &station[..]].concat());
            // The sum of all words of the pseudo header and the message, with the checksum, is all ones.
            let pseudo = [&frame[22..], &[0, 32, 0, 58]].concat();
            let sum: u32 =
                pseudo.chunks(2).map(|two| u32::from(two[0]) << 8 | u32::from(two[1])).sum();
            assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff);
        }
    }

    #[test]
    fn is_the_frame_that_qemu_sends() {
        let mac: MacAddr = "00:16:3e:00:00:01".parse().unwrap();
        let station = [0, 0x16, 0x3e, 0, 0, 1];
        let body = [&[0, 1, 8, 0, 6, 4, 0, 3], &station[..], &[0; 4], &station, &[0; 4]].concat();
        let plain = [&[0xff; 6], &station[..], &[0x80, 0x35], &body, &[0; 18]].concat();
        assert_eq!(announcement(mac, None), plain);
        let tagged = announcement(mac, VlanId::new(10).ok());
        assert_eq!(tagged.get(12..18), Some([0x81, 0, 0, 10, 0x80, 0x35].as_slice()));
        assert_eq!(tagged.get(18..46), Some(body.as_slice()));
        assert_eq!((plain.len(), tagged.len()), (60, 60));
    }
}
