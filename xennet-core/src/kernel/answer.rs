use netlink_packet_core::{
    NLM_F_ACK_TLVS, NLM_F_CAPPED, NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR, NLMSG_NOOP,
    NLMSG_OVERRUN,
};

use super::attributes::{attributes, find, text, u16, u32};
use super::error::{Error, ErrorKind};

/// What is known so far of the answer to one request: datagrams go in, and in the end the outcome comes out.
///
/// It does no input or output itself.
#[derive(Debug)]
pub(super) struct Answer<'a> {
    request: &'a [u8],
    expect: Expect,
    /// What the answer must bear: the request's number.
    sequence: u32,
    interrupted: bool,
}

/// How a good answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expect {
    /// An acknowledgement.
    Ack,
    /// One message of this type.
    One(u16),
    /// Any number of messages of this type, then `NLMSG_DONE`.
    Many(u16),
}

impl<'a> Answer<'a> {
    pub(super) fn new(request: &'a [u8], expect: Expect, sequence: u32) -> Self {
        Self { request, expect, sequence, interrupted: false }
    }

    /// Takes a datagram, and hands the body of each message that was asked for to `each`.
    ///
    /// None while more is to come.
    pub(super) fn take(
        &mut self,
        datagram: &[u8],
        each: &mut dyn FnMut(&[u8]),
    ) -> Option<Result<(), Error>> {
        for message in messages(datagram) {
            let Some(message) = message else {
                return Some(Err(Error::of(
                    ErrorKind::Malformed,
                    "a message that does not fit its datagram",
                )));
            };
            // The rest of an answer that was given up, and notifications.
            if message.sequence != self.sequence {
                continue;
            }
            self.interrupted |= message.flags & NLM_F_DUMP_INTR != 0;
            match message.kind {
                NLMSG_NOOP => {}
                NLMSG_OVERRUN => {
                    return Some(Err(Error::of(ErrorKind::Lost, "the kernel's answer was lost")));
                }
                NLMSG_ERROR | NLMSG_DONE => return Some(self.end(&message)),
                kind => match self.expect {
                    Expect::Many(wanted) if wanted == kind => each(message.body),
                    Expect::One(wanted) if wanted == kind => {
                        each(message.body);
                        return Some(Ok(()));
                    }
                    _ => {}
                },
            }
        }
        None
    }

    fn end(&self, message: &Message<'_>) -> Result<(), Error> {
        // A kernel may end a dump without saying how it went, which is well.
        let status = u32(message.body).map_or(0, u32::cast_signed);
        if status != 0 {
            let detail = extended_ack(message).and_then(|tlvs| words(tlvs, self.request));
            return Err(Error::refused(status.wrapping_neg(), detail));
        }
        if self.interrupted {
            return Err(changing());
        }
        Ok(())
    }
}

/// The bodies of a datagram's messages of this type, whoever caused them.
pub(super) fn notifications(datagram: &[u8], wanted: u16) -> impl Iterator<Item = &[u8]> {
    messages(datagram).flatten().filter(move |message| message.kind == wanted).map(|m| m.body)
}

#[derive(Debug)]
pub(super) struct Message<'a> {
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) sequence: u32,
    pub(super) body: &'a [u8],
}

const HEADER: usize = 16;

/// The messages of a datagram; a last None says that what remains is none.
pub(super) fn messages(datagram: &[u8]) -> impl Iterator<Item = Option<Message<'_>>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let message = message(rest);
        rest = match &message {
            Some((_, after)) => after,
            None => &[],
        };
        Some(message.map(|(message, _)| message))
    })
}

fn message(bytes: &[u8]) -> Option<(Message<'_>, &[u8])> {
    let length = usize::try_from(u32(bytes)?).ok()?;
    let message = Message {
        kind: u16(bytes.get(4..)?)?,
        flags: u16(bytes.get(6..)?)?,
        sequence: u32(bytes.get(8..)?)?,
        body: bytes.get(HEADER..length)?,
    };
    Some((message, bytes.get(length.next_multiple_of(4)..).unwrap_or_default()))
}

/// The attributes that follow the status of an `NLMSG_ERROR` or `NLMSG_DONE`.
pub(super) fn extended_ack<'a>(message: &Message<'a>) -> Option<&'a [u8]> {
    if message.flags & NLM_F_ACK_TLVS == 0 {
        return None;
    }
    let after_status = message.body.get(4..)?;
    if message.kind == NLMSG_DONE {
        return Some(after_status);
    }
    // The request follows: whole, or its header alone.
    let request = if message.flags & NLM_F_CAPPED == 0 {
        usize::try_from(u32(after_status)?).ok()?.next_multiple_of(4)
    } else {
        HEADER
    };
    after_status.get(request..)
}

/// The kernel's words; failing these, the attribute of the request that it points at.
fn words(tlvs: &[u8], request: &[u8]) -> Option<String> {
    if let Some(words) = kernel_words(tlvs) {
        return Some(words);
    }
    if let Some(missing) = find(tlvs, NLMSGERR_ATTR_MISS_TYPE).and_then(u32) {
        return Some(format!("attribute {missing} is missing"));
    }
    let offset = bad_attribute(tlvs)?;
    let (kind, _) = attributes(request.get(offset..)?).next()?;
    Some(format!("attribute {kind} at byte {offset} of the request"))
}

/// The kernel's words in an extended acknowledgement.
pub(super) fn kernel_words(tlvs: &[u8]) -> Option<String> {
    find(tlvs, NLMSGERR_ATTR_MSG).map(text)
}

/// Where in the request the attribute stands that the kernel did not like, in bytes from the message's beginning.
pub(super) fn bad_attribute(tlvs: &[u8]) -> Option<usize> {
    usize::try_from(find(tlvs, NLMSGERR_ATTR_OFFS).and_then(u32)?).ok()
}

pub(super) fn changing() -> Error {
    Error::of(ErrorKind::Changing, "the list changed while it was read")
}

/// An answer is malformed when it lacks what every answer has.
pub(super) fn malformed() -> Error {
    Error::of(ErrorKind::Malformed, "an answer that says too little")
}

const NLMSGERR_ATTR_MSG: u16 = 1;
const NLMSGERR_ATTR_OFFS: u16 = 2;
const NLMSGERR_ATTR_MISS_TYPE: u16 = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const REQUEST: &[u8] =
        &[28, 0, 0, 0, 19, 0, 5, 0, 7, 0, 0, 0, 0, 0, 0, 0, 8, 0, 10, 0, 1, 2, 3, 4, 0, 0, 0, 0];

    fn header(kind: u16, flags: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(HEADER + body.len()).unwrap();
        let mut bytes = [
            length.to_ne_bytes().as_slice(),
            &kind.to_ne_bytes(),
            &flags.to_ne_bytes(),
            &sequence.to_ne_bytes(),
            &99u32.to_ne_bytes(),
            body,
        ]
        .concat();
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn error(errno: i32, flags: u16, tlvs: &[u8]) -> Vec<u8> {
        let body = [(-errno).to_ne_bytes().as_slice(), &REQUEST[..HEADER], tlvs].concat();
        header(NLMSG_ERROR, flags | NLM_F_CAPPED, 7, &body)
    }

    fn take(expect: Expect, datagram: &[u8]) -> (Vec<Vec<u8>>, Option<Result<(), Error>>) {
        let mut bodies = Vec::new();
        let mut answer = Answer::new(REQUEST, expect, 7);
        let outcome = answer.take(datagram, &mut |body| bodies.push(body.to_vec()));
        (bodies, outcome)
    }

    #[test]
    fn an_acknowledgement_ends_a_change() {
        assert_eq!(take(Expect::Ack, &error(0, 0, &[])).1, Some(Ok(())));
        let refused = take(Expect::Ack, &error(libc::ENODEV, 0, &[])).1;
        assert_eq!(refused, Some(Err(Error::refused(libc::ENODEV, None))));
    }

    #[test]
    fn stale_messages_are_skipped() {
        let stale = header(NLMSG_ERROR, 0, 6, &[0; 20]);
        assert_eq!(take(Expect::Ack, &stale).1, None);
        let all = [stale, error(libc::EPERM, 0, &[])].concat();
        assert_eq!(take(Expect::Ack, &all).1, Some(Err(Error::refused(libc::EPERM, None))));
    }

    #[test]
    fn the_kernels_own_words() {
        let message = [b"\x0b\0\x01\0no way\0\0".as_slice(), &[8, 0, 2, 0, 16, 0, 0, 0]].concat();
        let told = take(Expect::Ack, &error(libc::EINVAL, NLM_F_ACK_TLVS, &message)).1;
        assert_eq!(told, Some(Err(Error::refused(libc::EINVAL, Some("no way".to_owned())))));

        let offset = error(libc::EINVAL, NLM_F_ACK_TLVS, &[8, 0, 2, 0, 16, 0, 0, 0]);
        let words = "attribute 10 at byte 16 of the request".to_owned();
        assert_eq!(
            take(Expect::Ack, &offset).1,
            Some(Err(Error::refused(libc::EINVAL, Some(words))))
        );

        let body = [(-libc::ENOENT).to_ne_bytes().as_slice(), b"\x0b\0\x01\0no way\0\0"].concat();
        let done = header(NLMSG_DONE, NLM_F_ACK_TLVS, 7, &body);
        let told = take(Expect::Many(16), &done).1;
        assert_eq!(told, Some(Err(Error::refused(libc::ENOENT, Some("no way".to_owned())))));
    }

    #[test]
    fn the_request_may_be_echoed_whole_before_the_words() {
        let body =
            [(-libc::EINVAL).to_ne_bytes().as_slice(), REQUEST, b"\x0b\0\x01\0no way\0\0"].concat();
        let whole = header(NLMSG_ERROR, NLM_F_ACK_TLVS, 7, &body);
        let told = take(Expect::Ack, &whole).1;
        assert_eq!(told, Some(Err(Error::refused(libc::EINVAL, Some("no way".to_owned())))));
    }

    #[test]
    fn a_dump_ends_with_done_and_knows_when_it_was_interrupted() {
        let one = header(16, 2, 7, b"abcd");
        let other_kind = header(24, 2, 7, b"efgh");
        let done = header(NLMSG_DONE, 2, 7, &[0; 4]);
        let (bodies, outcome) = take(Expect::Many(16), &[one, other_kind, done.clone()].concat());
        assert_eq!((bodies, outcome), (vec![b"abcd".to_vec()], Some(Ok(()))));

        let interrupted = header(16, 2 | NLM_F_DUMP_INTR, 7, b"abcd");
        let outcome = take(Expect::Many(16), &[interrupted, done].concat()).1;
        assert_eq!(outcome.unwrap().unwrap_err().kind(), ErrorKind::Changing);
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes: Vec<u8>) {
            let _ = take(Expect::Many(16), &bytes);
        }

        #[test]
        fn any_error_body_ends(flags: u16, kind in 1u16..5, body: Vec<u8>) {
            let _ = take(Expect::Ack, &header(kind, flags, 7, &body));
        }
    }
}
