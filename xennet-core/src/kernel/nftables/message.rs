use netlink_packet_core::NLM_F_REQUEST;

use crate::kernel::error::Error;
use crate::kernel::several::number;
use crate::types::NftFamily;

/// Messages to `nf_tables` in the making, one behind the other as they are sent.
///
/// What does not fit the format is remembered and reported at the end: encoding goes on regardless, for nothing is sent.
#[derive(Debug, Default)]
pub(super) struct Messages {
    bytes: Vec<u8>,
    /// Where each begins.
    starts: Vec<usize>,
    flaw: Option<&'static str>,
}

/// The type of an `nf_tables` message: the number of its kind, and that of its subsystem.
pub(super) const fn nf_tables(kind: u16) -> u16 {
    NFNL_SUBSYS_NFTABLES << 8 | kind
}

impl Messages {
    /// Begins a message about something of a family's tables; `kind` is an `NFT_MSG_*`.
    pub(super) fn begin(&mut self, kind: u16, flags: u16, family: NftFamily) {
        self.header(nf_tables(kind), flags, family.number(), 0);
    }

    /// Begins a message about the tables of all families.
    pub(super) fn begin_any(&mut self, kind: u16, flags: u16) {
        self.header(nf_tables(kind), flags, NFPROTO_UNSPEC, 0);
    }

    /// Begins or ends a batch, which says whose it is.
    pub(super) fn frame(&mut self, kind: u16) {
        self.header(kind, 0, NFPROTO_UNSPEC, NFNL_SUBSYS_NFTABLES);
    }

    /// A netlink header, and a `struct nfgenmsg`.
    fn header(&mut self, kind: u16, flags: u16, family: u8, resource: u16) {
        self.starts.push(self.bytes.len());
        let [l0, l1, l2, l3] = HEADER.to_ne_bytes();
        let [k0, k1] = kind.to_ne_bytes();
        let [f0, f1] = (NLM_F_REQUEST | flags).to_ne_bytes();
        let [r0, r1] = resource.to_be_bytes();
        // The number is set when it is sent; the port is the kernel's to know.
        self.bytes.extend_from_slice(&[
            l0,
            l1,
            l2,
            l3,
            k0,
            k1,
            f0,
            f1,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            family,
            NFNETLINK_V0,
            r0,
            r1,
        ]);
    }

    /// Adds an attribute to the last message.
    pub(super) fn put(&mut self, kind: u16, value: &[u8]) {
        self.attribute(kind, |message| message.bytes.extend_from_slice(value));
    }

    /// A text, with the NUL that ends it.
    pub(super) fn text(&mut self, kind: u16, value: &str) {
        if value.contains('\0') {
            self.flaw("a text with a NUL in it");
        }
        self.attribute(kind, |message| {
            message.bytes.extend_from_slice(value.as_bytes());
            message.bytes.push(0);
        });
    }

    /// A number, in network order as all of netfilter's.
    pub(super) fn number(&mut self, kind: u16, value: u32) {
        self.put(kind, &value.to_be_bytes());
    }

    /// An attribute of attributes.
    pub(super) fn nest(&mut self, kind: u16, inner: impl FnOnce(&mut Self)) {
        self.attribute(kind | NLA_F_NESTED, inner);
    }

    /// Why all this cannot be sent; the first reason counts.
    pub(super) fn flaw(&mut self, why: &'static str) {
        self.flaw.get_or_insert(why);
    }

    /// How many bytes there are so far.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// How many messages there are so far.
    pub(super) fn count(&self) -> usize {
        self.starts.len()
    }

    /// One of the messages, from its header to its end.
    pub(super) fn nth(&self, n: usize) -> Option<&[u8]> {
        let end = self.starts.get(n + 1).copied().unwrap_or(self.bytes.len());
        self.bytes.get(*self.starts.get(n)?..end)
    }

    /// Adds flags to the last message.
    pub(super) fn flag_last(&mut self, flags: u16) {
        let message = self.starts.last().copied().unwrap_or_default();
        if let Some(field) = self.field(message + 6) {
            *field = (u16::from_ne_bytes(*field) | flags).to_ne_bytes();
        }
    }

    /// Numbers the messages from here, one by one.
    pub(super) fn sequence(&mut self, first: u32) {
        number(&mut self.bytes, first);
    }

    /// What is sent; an error (`EINVAL`) when it does not fit the format.
    pub(super) fn bytes(&self) -> Result<&[u8], Error> {
        match self.flaw {
            Some(why) => Err(Error::refused(libc::EINVAL, Some(why.to_owned()))),
            None => Ok(&self.bytes),
        }
    }

    /// The same, for whoever numbers them.
    pub(super) fn into_bytes(self) -> Result<Vec<u8>, Error> {
        self.bytes()?;
        Ok(self.bytes)
    }

    fn attribute(&mut self, kind: u16, value: impl FnOnce(&mut Self)) {
        let start = self.bytes.len();
        let [k0, k1] = kind.to_ne_bytes();
        self.bytes.extend_from_slice(&[0, 0, k0, k1]);
        value(self);
        match u16::try_from(self.bytes.len() - start) {
            Ok(length) => {
                if let Some(field) = self.field(start) {
                    *field = length.to_ne_bytes();
                }
            }
            Err(_) => self.flaw("more than 65535 bytes in one attribute"),
        }
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        // The message ends where its last attribute does.
        let message = self.starts.last().copied().unwrap_or_default();
        let length = u32::try_from(self.bytes.len() - message).unwrap_or(u32::MAX);
        if let Some(field) = self.field(message) {
            *field = length.to_ne_bytes();
        }
    }

    fn field<const N: usize>(&mut self, at: usize) -> Option<&mut [u8; N]> {
        self.bytes.get_mut(at..)?.first_chunk_mut()
    }
}

const NFNL_SUBSYS_NFTABLES: u16 = 10;
const NFNETLINK_V0: u8 = 0;
const NFPROTO_UNSPEC: u8 = 0;
const NLA_F_NESTED: u16 = 0x8000;
/// Of netlink and of netfilter.
const HEADER: u32 = 20;
