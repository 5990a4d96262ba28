//! Where one JSON value ends and the next begins: OVSDB sends them back to back, in pieces of any size.

/// Bytes that were received, up to the end of a value.
#[derive(Debug, Default)]
pub(super) struct Framing {
    bytes: Vec<u8>,
    /// How many of them have been looked at.
    seen: usize,
    /// Braces and brackets that are open.
    depth: u32,
    in_string: bool,
    escaped: bool,
}

/// Why no value can come of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    /// Something stands before a value that begins none.
    NoValue,
    /// A value is longer than [`Framing::LONGEST`].
    TooLong,
}

impl Framing {
    /// No answer that we ask for comes near to it.
    pub(super) const LONGEST: usize = 16 << 20;

    /// Takes bytes as they come.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole value; none until more has come.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, Broken> {
        while let Some(byte) = self.bytes.get(self.seen) {
            self.seen += 1;
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' if self.depth > 0 => self.in_string = !self.in_string,
                _ if self.in_string => {}
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' if self.depth > 0 => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        let rest = self.bytes.split_off(self.seen);
                        self.seen = 0;
                        return Ok(Some(std::mem::replace(&mut self.bytes, rest)));
                    }
                }
                byte if self.depth == 0 && !byte.is_ascii_whitespace() => {
                    return Err(Broken::NoValue);
                }
                _ => {}
            }
        }
        if self.bytes.len() > Self::LONGEST { Err(Broken::TooLong) } else { Ok(None) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(framing: &mut Framing) -> Vec<String> {
        std::iter::from_fn(|| framing.next().unwrap())
            .map(|bytes| String::from_utf8(bytes).unwrap().trim().to_owned())
            .collect()
    }

    #[test]
    fn braces_in_strings_do_not_count() {
        let values = [r#"{"a":"}{\"}\\"}"#, r#"[1,{"b":"]"}]"#, "{}"];
        let mut framing = Framing::default();
        framing.feed(values.join(" \n").as_bytes());
        assert_eq!(all(&mut framing), values);
    }

    #[test]
    fn what_begins_no_value_is_refused() {
        for bad in ["HTTP/1.1 400", "\"text\"", "17", "}", "{}]"] {
            let mut framing = Framing::default();
            framing.feed(bad.as_bytes());
            let last = std::iter::from_fn(|| framing.next().transpose()).last();
            assert_eq!(last, Some(Err(Broken::NoValue)), "{bad}");
        }
        let mut framing = Framing::default();
        framing.feed(b"[\"");
        framing.feed(&vec![b'x'; Framing::LONGEST]);
        assert_eq!(framing.next(), Err(Broken::TooLong));
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            any::<i64>().prop_map(Into::into),
            "\\PC{0,8}|[\\\\\"{}\\[\\]]{0,6}".prop_map(serde_json::Value::from),
        ];
        let tree = leaf.prop_recursive(3, 16, 4, |inner| {
            prop::collection::vec(inner, 0..4).prop_map(Into::into)
        });
        prop::collection::vec(tree, 0..4).prop_map(Into::into)
    }

    proptest! {
        #[test]
        fn in_whatever_pieces_it_comes(
            values in prop::collection::vec(json(), 0..5),
            sizes in prop::collection::vec(1usize..9, 1..20),
        ) {
            let text: String = values.iter().map(ToString::to_string).collect();
            let (mut framing, mut found) = (Framing::default(), Vec::new());
            let (mut rest, mut sizes) = (text.as_bytes(), sizes.into_iter().cycle());
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(sizes.next().unwrap().min(rest.len()));
                framing.feed(piece);
                found.extend(all(&mut framing));
                rest = after;
            }
            let expected: Vec<String> = values.iter().map(ToString::to_string).collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let mut framing = Framing::default();
            framing.feed(&bytes);
            while let Ok(Some(_)) = framing.next() {}
        }
    }
}
