use std::time::Instant;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;

use super::Kernel;
use super::answer::{Answer, Expect};
use super::error::{Error, ErrorKind};
use super::socket::ANSWER_TIMEOUT;

/// A list that changes while it is read is read again so often: only a storm changes it each time.
const DUMP_ATTEMPTS: u32 = 16;
/// `EAGAIN` asks to say it again; the kernel means that for a moment only.
const CHANGE_ATTEMPTS: u32 = 3;

impl Kernel {
    /// Makes one change: one request, one acknowledgement.
    ///
    /// `EBUSY` is not tried again: here it speaks of a state (another master, an address in use), not of a moment.
    pub(super) fn change(&mut self, message: RouteNetlinkMessage, flags: u16) -> Result<(), Error> {
        let mut request = encode(message, NLM_F_REQUEST | NLM_F_ACK | flags);
        for _ in 1..CHANGE_ATTEMPTS {
            match self.exchange(&mut request, Expect::Ack, &mut |_| {}) {
                Err(error) if error.errno() == libc::EAGAIN => {}
                outcome => return outcome,
            }
        }
        self.exchange(&mut request, Expect::Ack, &mut |_| {})
    }

    /// Asks for one thing.
    pub(super) fn ask<T>(
        &mut self,
        message: RouteNetlinkMessage,
        decode: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<T, Error> {
        let expect = Expect::One(answer_to(&message));
        let mut found = None;
        let mut request = encode(message, NLM_F_REQUEST);
        self.exchange(&mut request, expect, &mut |body| found = decode(body))?;
        found.ok_or_else(|| Error::of(ErrorKind::Malformed, "an answer that says too little"))
    }

    /// Asks for all that there is of something; what `decode` cannot use is left out.
    pub(super) fn dump<T>(
        &mut self,
        message: RouteNetlinkMessage,
        decode: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        let answer = answer_to(&message);
        self.dump_encoded(encode(message, NLM_F_REQUEST | NLM_F_DUMP), answer, decode)
    }

    /// The same for a request that is already encoded; `answer` is the type of the messages that answer it.
    pub(super) fn dump_encoded<T>(
        &mut self,
        mut request: Vec<u8>,
        answer: u16,
        decode: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        let expect = Expect::Many(answer);
        let mut found = Vec::new();
        let mut attempts = 1;
        loop {
            let outcome =
                self.exchange(&mut request, expect, &mut |body| found.extend(decode(body)));
            match outcome {
                Ok(()) => return Ok(found),
                Err(error) if attempts < DUMP_ATTEMPTS && passes(&error) => {
                    found.clear();
                    attempts += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends a request, under a number of its own, and reads its answer to the end.
    ///
    /// What an earlier request left behind bears another number and is passed over: that alone brings a socket whose
    /// receive buffer overflowed back into step.
    fn exchange(
        &mut self,
        request: &mut [u8],
        expect: Expect,
        each: &mut dyn FnMut(&[u8]),
    ) -> Result<(), Error> {
        self.sequence = self.sequence.checked_add(1).unwrap_or(1);
        if let Some(field) = request.get_mut(8..12) {
            field.copy_from_slice(&self.sequence.to_ne_bytes());
        }
        self.socket.send(request)?;
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        let mut answer = Answer::new(request, expect, self.sequence, self.socket.port());
        let mut failure = None;
        loop {
            let outcome = match self.socket.receive(deadline) {
                Ok(datagram) => answer.take(datagram, each),
                Err(error) => Some(Err(error)),
            };
            match outcome {
                None => {}
                // Left in the middle, a dump would answer the next one with EBUSY: read on to its end.
                Some(Err(error)) if matches!(expect, Expect::Many(_)) && cut_short(&error) => {
                    failure.get_or_insert(error);
                }
                Some(outcome) => return failure.map_or(outcome, Err),
            }
        }
    }
}

/// The kernel answers `RTM_GETx` with `RTM_NEWx`, which is two less.
fn answer_to(message: &RouteNetlinkMessage) -> u16 {
    message.message_type() - 2
}

pub(super) fn encode(message: RouteNetlinkMessage, flags: u16) -> Vec<u8> {
    let mut header = NetlinkHeader::default();
    header.flags = flags;
    let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message));
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

/// Whether the same dump may well succeed the next time.
fn passes(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Changing | ErrorKind::Lost)
        || matches!(error.errno(), libc::EAGAIN | libc::EBUSY | libc::EINTR)
}

/// Whether more of the same answer is still to come.
fn cut_short(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Lost | ErrorKind::Truncated | ErrorKind::Malformed)
}
