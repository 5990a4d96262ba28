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

#[cfg(test)]
mod tests {
    use super::*;

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
