//! The protocol's packets as bytes: pure, and shared by the client and the embedded server.

use std::fmt;

/// The most payload that one packet carries, in bytes.
pub const PAYLOAD_MAX: usize = 4096;
/// The longest absolute path, in bytes.
pub const ABSOLUTE_PATH_MAX: usize = 3072;
/// The longest path relative to a domain's own directory, in bytes.
pub const RELATIVE_PATH_MAX: usize = 2048;

/// Four words come before a payload.
pub(super) const HEADER: usize = 16;

/// What a packet asks or answers: the first word of its header.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "the protocol has one 32-bit word for it")]
pub struct Op(pub u32);

/// Their numbers are Xen's `enum xsd_sockmsg_type`.
#[cfg_attr(feature = "internals", expect(missing_docs, reason = "the names are the protocol's"))]
impl Op {
    pub const CONTROL: Self = Self(0);
    pub const DIRECTORY: Self = Self(1);
    pub const READ: Self = Self(2);
    pub const GET_PERMS: Self = Self(3);
    pub const WATCH: Self = Self(4);
    pub const UNWATCH: Self = Self(5);
    pub const TRANSACTION_START: Self = Self(6);
    pub const TRANSACTION_END: Self = Self(7);
    pub const INTRODUCE: Self = Self(8);
    pub const RELEASE: Self = Self(9);
    pub const GET_DOMAIN_PATH: Self = Self(10);
    pub const WRITE: Self = Self(11);
    pub const MKDIR: Self = Self(12);
    pub const RM: Self = Self(13);
    pub const SET_PERMS: Self = Self(14);
    pub const WATCH_EVENT: Self = Self(15);
    pub const ERROR: Self = Self(16);
    pub const IS_DOMAIN_INTRODUCED: Self = Self(17);
    pub const RESUME: Self = Self(18);
    pub const SET_TARGET: Self = Self(19);
    pub const RESET_WATCHES: Self = Self(21);
    pub const DIRECTORY_PART: Self = Self(22);

    /// The word for people: what `xenstore-*` calls it, or the number.
    fn word(self) -> Option<&'static str> {
        Some(match self {
            Self::CONTROL => "control",
            Self::DIRECTORY | Self::DIRECTORY_PART => "list",
            Self::READ => "read",
            Self::GET_PERMS => "permissions of",
            Self::WATCH => "watch",
            Self::UNWATCH => "unwatch",
            Self::TRANSACTION_START => "transaction start",
            Self::TRANSACTION_END => "transaction end",
            Self::INTRODUCE => "introduce",
            Self::RELEASE => "release",
            Self::GET_DOMAIN_PATH => "path of domain",
            Self::WRITE => "write",
            Self::MKDIR => "mkdir",
            Self::RM => "rm",
            Self::SET_PERMS => "chmod",
            Self::WATCH_EVENT => "watch event",
            Self::ERROR => "error",
            Self::IS_DOMAIN_INTRODUCED => "presence of domain",
            Self::RESUME => "resume",
            Self::SET_TARGET => "set target",
            Self::RESET_WATCHES => "reset watches",
            _ => return None,
        })
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.word() {
            Some(word) => f.pad(word),
            None => write!(f, "operation {}", self.0),
        }
    }
}

impl fmt::Debug for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Op({}: {self})", self.0)
    }
}

/// One message, in either direction.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the header has exactly these words")]
pub struct Packet {
    /// What it asks or answers.
    pub op: Op,
    /// The asker's number for it: the answer carries the same. Meaningless in a watch event.
    pub req_id: u32,
    /// The transaction that it belongs to, 0 for none.
    pub tx_id: u32,
    /// What follows the header: at most [`PAYLOAD_MAX`] bytes.
    pub payload: Vec<u8>,
}

#[cfg(any(test, feature = "embedded-xenstore"))]
impl Packet {
    /// Appends the packet's bytes, in this machine's byte order as XenStore wants them.
    ///
    /// It writes what it is told, a payload over [`PAYLOAD_MAX`] too: the one who made the packet answers for it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        encode(out, self.op, self.req_id, self.tx_id, &[&self.payload]);
    }

    /// The packet's bytes alone.
    #[cfg(any(test, feature = "internals"))]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER + self.payload.len());
        self.encode(&mut out);
        out
    }
}

/// Appends a packet whose payload is these parts one after the other.
pub(super) fn encode(out: &mut Vec<u8>, op: Op, req_id: u32, tx_id: u32, payload: &[&[u8]]) {
    let length: usize = payload.iter().map(|part| part.len()).sum();
    // Only a payload that no one can hold in memory would be cut here.
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    for word in [op.0, req_id, tx_id, length] {
        out.extend_from_slice(&word.to_ne_bytes());
    }
    for part in payload {
        out.extend_from_slice(part);
    }
}

/// Makes packets of a stream of bytes, however it was cut.
#[derive(Debug)]
pub struct Decoder {
    bytes: Vec<u8>,
    taken: usize,
    limit: usize,
}

/// A header announced more payload than a packet may have: the stream is not XenStore's, or has lost its step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Oversize {
    /// The bytes that were announced.
    pub length: u32,
    /// The bytes that would have been right, at most.
    pub limit: usize,
}

impl Decoder {
    /// For packets of at most so much payload, in bytes.
    pub fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), taken: 0, limit }
    }

    /// Adds what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole packet; none until more bytes are pushed.
    ///
    /// An error when its header says that it is longer than the limit: nothing after that can be told apart.
    pub fn packet(&mut self) -> Result<Option<Packet>, Oversize> {
        let rest = self.bytes.get(self.taken..).unwrap_or_default();
        let Some((header, rest)) = rest.split_first_chunk::<HEADER>() else { return Ok(None) };
        let [op, req_id, tx_id, length] = header.as_chunks().0 else { return Ok(None) };
        let [op, req_id, tx_id, length] =
            [op, req_id, tx_id, length].map(|word| u32::from_ne_bytes(*word));
        let size = usize::try_from(length).unwrap_or(usize::MAX);
        if size > self.limit {
            return Err(Oversize { length, limit: self.limit });
        }
        let Some(payload) = rest.get(..size) else { return Ok(None) };
        self.taken += HEADER + size;
        Ok(Some(Packet { op: Op(op), req_id, tx_id, payload: payload.to_vec() }))
    }

    /// Whether every pushed byte was consumed: false when a stream ended within a packet.
    #[cfg(any(test, feature = "internals"))]
    pub fn is_empty(&self) -> bool {
        self.taken == self.bytes.len()
    }
}

impl fmt::Display for Oversize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a packet of {} bytes, where at most {} are allowed", self.length, self.limit)
    }
}

impl std::error::Error for Oversize {}

/// Whether xenstored would take this as a node's path, absolute or relative; the complaint when it would not.
///
/// A relative path is looked up below the asker's own directory, `/local/domain/DOMID`.
pub fn check_path(path: &[u8]) -> Result<(), &'static str> {
    let valid = |b: &u8| b.is_ascii_alphanumeric() || b"-/_@".contains(b);
    let max = if path.starts_with(b"/") { ABSOLUTE_PATH_MAX } else { RELATIVE_PATH_MAX };
    if path.is_empty() {
        Err("a path is not empty")
    } else if path.starts_with(b"@") {
        Err("a path that starts with \"@\" names no node")
    } else if !path.iter().all(valid) {
        Err("a path has only letters, digits and -/_@")
    } else if path.windows(2).any(|pair| pair == b"//") || (path.len() > 1 && path.ends_with(b"/"))
    {
        Err("each part of a path has a name")
    } else if path.len() > max {
        Err("an absolute path has at most 3072 bytes, a relative one 2048")
    } else {
        Ok(())
    }
}

/// The strings of a payload, each of which ends with a NUL; bytes after the last NUL are left out.
pub fn strings(payload: &[u8]) -> impl Iterator<Item = &[u8]> {
    payload.split_inclusive(|b| *b == 0).filter_map(|string| string.strip_suffix(b"\0"))
}

/// What an error packet says, as this system's errno.
pub(super) fn errno(word: &[u8]) -> Option<i32> {
    // oxenstored says EQUOTA where xenstored says ENOSPC.
    if word == b"EQUOTA" {
        return Some(libc::ENOSPC);
    }
    ERRORS.iter().find(|(name, _)| name.as_bytes() == word).map(|(_, errno)| *errno)
}

/// The word of an error packet for this errno. As xenstored does, it answers EINVAL for an errno without a word.
#[cfg(any(test, feature = "embedded-xenstore"))]
pub(super) fn word(errno: i32) -> &'static str {
    ERRORS.iter().find(|(_, number)| *number == errno).map_or("EINVAL", |(word, _)| word)
}

/// Xen's `xsd_errors`.
const ERRORS: [(&str, i32); 16] = [
    ("EINVAL", libc::EINVAL),
    ("EACCES", libc::EACCES),
    ("EEXIST", libc::EEXIST),
    ("EISDIR", libc::EISDIR),
    ("ENOENT", libc::ENOENT),
    ("ENOMEM", libc::ENOMEM),
    ("ENOSPC", libc::ENOSPC),
    ("EIO", libc::EIO),
    ("ENOTEMPTY", libc::ENOTEMPTY),
    ("ENOSYS", libc::ENOSYS),
    ("EROFS", libc::EROFS),
    ("EBUSY", libc::EBUSY),
    ("EAGAIN", libc::EAGAIN),
    ("EISCONN", libc::EISCONN),
    ("E2BIG", libc::E2BIG),
    ("EPERM", libc::EPERM),
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn the_bytes_of_a_read() {
        let packet = Packet {
            op: Op::READ,
            req_id: 7,
            tx_id: 0x0102_0304,
            payload: b"backend/vif/3/0/mac\0".to_vec(),
        };
        assert_eq!(
            packet.to_bytes(),
            b"\x02\0\0\0\x07\0\0\0\x04\x03\x02\x01\x14\0\0\0backend/vif/3/0/mac\0"
        );
    }

    #[test]
    fn an_announced_length_over_the_limit_is_refused_before_its_payload_comes() {
        let mut decoder = Decoder::new(PAYLOAD_MAX);
        decoder.push(&[[2u32, 1, 0, 4097].map(u32::to_ne_bytes).as_flattened()].concat());
        assert_eq!(decoder.packet(), Err(Oversize { length: 4097, limit: 4096 }));
    }

    #[test]
    fn paths_as_xenstored_takes_them() {
        let long =
            |length: usize, start: &str| format!("{start}{}", "a".repeat(length - start.len()));
        for good in [
            "/",
            "/a",
            "a",
            "/local/domain/0/backend/vif/3/0",
            "A-Z_0@9",
            &long(3072, "/"),
            &long(2048, ""),
        ] {
            assert_eq!(check_path(good.as_bytes()), Ok(()), "{good}");
        }
        for bad in [
            "",
            "//",
            "/a/",
            "a/",
            "a//b",
            "/a b",
            "a\0b",
            "/ä",
            "@releaseDomain",
            &long(3073, "/"),
            &long(2049, ""),
        ] {
            assert!(check_path(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn errors_as_words() {
        for (name, number) in ERRORS {
            assert_eq!((errno(name.as_bytes()), word(number)), (Some(number), name));
        }
        assert_eq!(errno(b"EQUOTA"), Some(libc::ENOSPC));
        assert_eq!(errno(b"EWHATEVER"), None);
        assert_eq!(word(libc::EXDEV), "EINVAL");
    }

    fn any_packet() -> impl Strategy<Value = Packet> {
        (any::<u32>(), any::<u32>(), any::<u32>(), proptest::collection::vec(any::<u8>(), 0..=64))
            .prop_map(|(op, req_id, tx_id, payload)| Packet { op: Op(op), req_id, tx_id, payload })
    }

    proptest! {
        #[test]
        fn packets_survive_any_cutting(
            packets in proptest::collection::vec(any_packet(), 0..8),
            cut in 1usize..40,
        ) {
            let mut bytes = Vec::new();
            for packet in &packets {
                packet.encode(&mut bytes);
            }
            let mut decoder = Decoder::new(PAYLOAD_MAX);
            let mut seen = Vec::new();
            for piece in bytes.chunks(cut) {
                decoder.push(piece);
                while let Some(packet) = decoder.packet().unwrap() {
                    seen.push(packet);
                }
            }
            prop_assert_eq!(seen, packets);
            prop_assert!(decoder.is_empty());
        }

        #[test]
        fn bytes_never_panic(bytes: Vec<u8>) {
            let _ = check_path(&bytes);
            let _ = strings(&bytes).count();
            let _ = errno(&bytes);
            let mut decoder = Decoder::new(PAYLOAD_MAX);
            decoder.push(&bytes);
            while let Ok(Some(_)) = decoder.packet() {}
        }
    }
}
