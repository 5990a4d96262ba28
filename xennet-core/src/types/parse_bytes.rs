use std::str::FromStr;

use super::ParseError;

/// Parses the value of `key` from bytes as XenStore gives them; what is wrong with it is told under that key.
///
/// A value that is not UTF-8 is refused: every type here is text that a person can type.
pub fn parse_bytes<T>(key: &'static str, bytes: &[u8]) -> Result<T, ParseError>
where
    T: FromStr<Err = ParseError>,
{
    let text = str::from_utf8(bytes).map_err(|_| ParseError::new(key, bytes, "UTF-8"))?;
    text.parse().map_err(|error: ParseError| error.under(key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{BridgeSpec, IfName, IpList, MacAddr, Mtu, Rate, VifId, VlanId, VlanSpec};
    use proptest::prelude::*;

    #[test]
    fn the_key_is_the_one_asked_for() {
        assert_eq!(parse_bytes("vifname", b"dmz0"), "dmz0".parse::<IfName>());
        let error = parse_bytes::<IfName>("vifname", b"a/b").unwrap_err();
        assert_eq!(error.key(), "vifname");
        let error = parse_bytes::<IfName>("vifname", b"dmz\xff").unwrap_err();
        assert_eq!(error.to_string(), r#"vifname "dmz\xff": expected UTF-8"#);
    }

    #[test]
    fn what_no_key_may_hold() {
        for value in
            [&vec![b'1'; 1 << 20], b"\0".as_slice(), b"1\0", b"10.0.0.1\0", b"\xff", b"\xc3"]
        {
            for error in errors(value) {
                let text = error.expect("refused").to_string();
                assert!(text.starts_with("key \"") && text.len() < 400, "{text}");
                assert!(text.chars().all(|c| !c.is_control()), "{text:?}");
            }
        }
    }

    #[test]
    fn a_long_list_of_good_items_is_bounded_or_merged() {
        let many = |item: &str| item.repeat((1 << 20) / item.len());
        for error in errors(many("1/").as_bytes()) {
            assert!(error.is_some());
        }
        let list = parse_bytes::<IpList>("ip", many("10.0.0.1 ").as_bytes()).unwrap();
        assert_eq!(list.to_string(), "10.0.0.1");
        let bridge = format!("br0{}", many(":7"));
        let bridge = parse_bytes::<BridgeSpec>("bridge", bridge.as_bytes()).unwrap();
        assert_eq!(bridge.to_string(), "br0:7");
    }

    proptest! {
        #[test]
        fn bytes_never_panic(bytes: Vec<u8>) {
            let _ = errors(&bytes);
        }
    }

    /// What each type says to the same bytes; nothing where it takes them.
    fn errors(bytes: &[u8]) -> [Option<ParseError>; 9] {
        [
            parse_bytes::<IfName>("key", bytes).err(),
            parse_bytes::<Mtu>("key", bytes).err(),
            parse_bytes::<MacAddr>("key", bytes).err(),
            parse_bytes::<VifId>("key", bytes).err(),
            parse_bytes::<IpList>("key", bytes).err(),
            parse_bytes::<Rate>("key", bytes).err(),
            parse_bytes::<VlanId>("key", bytes).err(),
            parse_bytes::<VlanSpec>("key", bytes).err(),
            parse_bytes::<BridgeSpec>("key", bytes).err(),
        ]
    }
}
