use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The attributes in `bytes`: each one's type, without its flags, and its value.
///
/// Like the kernel's own `nla_for_each_attr`, the walk ends at the first one that does not fit.
pub(super) fn attributes(bytes: &[u8]) -> Attributes<'_> {
    Attributes { rest: bytes }
}

/// The value of the first attribute of this type.
pub(super) fn find(bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(kind, _)| *kind == wanted).map(|(_, value)| value)
}

#[derive(Debug, Clone)]
pub(super) struct Attributes<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let [l0, l1, k0, k1, ..] = *self.rest else { return None };
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        let value = self.rest.get(HEADER..length)?;
        // The last one's padding may be missing.
        self.rest = self.rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_ne_bytes([k0, k1]) & TYPE, value))
    }
}

const HEADER: usize = 4;
/// `NLA_TYPE_MASK`: all but `NLA_F_NESTED` and `NLA_F_NET_BYTEORDER`.
const TYPE: u16 = 0x3fff;

// A longer value than expected is read by its beginning: that is how the kernel's structures grow.

pub(super) fn u8(value: &[u8]) -> Option<u8> {
    value.first().copied()
}

pub(super) fn u16(value: &[u8]) -> Option<u16> {
    value.first_chunk().copied().map(u16::from_ne_bytes)
}

pub(super) fn u32(value: &[u8]) -> Option<u32> {
    value.first_chunk().copied().map(u32::from_ne_bytes)
}

pub(super) fn u64(value: &[u8]) -> Option<u64> {
    value.first_chunk().copied().map(u64::from_ne_bytes)
}

/// The number of a UDP port is in network order, wherever it stands.
pub(super) fn be16(value: &[u8]) -> Option<u16> {
    value.first_chunk().copied().map(u16::from_be_bytes)
}

/// Netfilter's numbers are in network order, and so are all of its attributes' values.
pub(super) fn be32(value: &[u8]) -> Option<u32> {
    value.first_chunk().copied().map(u32::from_be_bytes)
}

pub(super) fn be64(value: &[u8]) -> Option<u64> {
    value.first_chunk().copied().map(u64::from_be_bytes)
}

pub(super) fn mac(value: &[u8]) -> Option<[u8; 6]> {
    value.try_into().ok()
}

/// An address of 4 or 16 bytes: its length is its family.
pub(super) fn ip(value: &[u8]) -> Option<IpAddr> {
    if let Ok(octets) = <[u8; 4]>::try_from(value) {
        return Some(Ipv4Addr::from(octets).into());
    }
    <[u8; 16]>::try_from(value).ok().map(|octets| Ipv6Addr::from(octets).into())
}

/// A C string's bytes, up to its NUL.
pub(super) fn c_str(value: &[u8]) -> &[u8] {
    value.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// A C string as text; what is not UTF-8 is shown as U+FFFD.
pub(super) fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(c_str(value)).into_owned()
}

/// Bodies of messages as no kernel sends them, for the tests of all decoders.
#[cfg(test)]
pub(super) mod strange {
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// A header of any bytes, then attributes of any kind, some of them nested, then anything.
    pub(in crate::kernel) fn body(header: usize) -> impl Strategy<Value = Vec<u8>> {
        (vec(any::<u8>(), header), attributes(), vec(any::<u8>(), 0..6))
            .prop_map(|(header, attributes, rest)| [header, attributes, rest].concat())
    }

    fn attributes() -> impl Strategy<Value = Vec<u8>> {
        let value = prop_oneof![
            vec(any::<u8>(), 0..20),
            // What the decoders look for: addresses, names and kinds.
            Just(vec![192, 0, 2, 1]),
            Just(b"bridge\0".to_vec()),
            Just(b"vxlan\0".to_vec()),
            Just(b"bond\0".to_vec()),
            Just(b"vlan\0".to_vec()),
            Just(b"vif1.0\0".to_vec()),
        ];
        value.prop_recursive(4, 64, 8, |inner| {
            vec((0u16..64, inner), 0..8).prop_map(|all| {
                let mut bytes = Vec::new();
                for (kind, value) in all {
                    let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
                    bytes.extend(length.to_ne_bytes());
                    bytes.extend(kind.to_ne_bytes());
                    bytes.extend(value);
                    bytes.resize(bytes.len().next_multiple_of(4), 0);
                }
                bytes
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn walks_as_the_kernel_lays_out() {
        let bytes = [5, 0, 3, 0, 7, 0, 0, 0, 6, 0, 1, 0x80, 1, 2];
        let all: Vec<_> = attributes(&bytes).collect();
        assert_eq!(all, [(3, [7].as_slice()), (1, [1, 2].as_slice())]);
        assert_eq!(attributes(&[3, 0, 1, 0]).next(), None, "shorter than its own header");
        assert_eq!(attributes(&[9, 0, 1, 0, 0, 0, 0, 0]).next(), None, "longer than what is there");
        assert_eq!(attributes(&[0, 0, 1, 0]).next(), None, "no length at all would never end");
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes: Vec<u8>) {
            prop_assert!(attributes(&bytes).count() <= bytes.len() / 4);
        }
    }
}
