use std::time::Instant;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;

use super::Kernel;
use super::answer::{Answer, Expect, malformed};
use super::error::{Error, ErrorKind};
use super::socket::{ANSWER_TIMEOUT, Room, Socket};

/// What changes while it is read is read again so often: only a storm changes it each time.
pub(super) const READ_ATTEMPTS: u32 = 16;
/// `EAGAIN` asks to say it again; the kernel means that for a moment only.
const CHANGE_ATTEMPTS: u32 = 3;

impl Kernel {
    /// Makes one change: one request, one acknowledgement.
    ///
    /// `EBUSY` is not tried again: here it speaks of a state (another master, an address in use), not of a moment.
    pub(super) fn change(&mut self, message: RouteNetlinkMessage, flags: u16) -> Result<(), Error> {
        let mut request = encode(message, NLM_F_REQUEST | NLM_F_ACK | flags);
        for _ in 1..CHANGE_ATTEMPTS {
            match self.connection.exchange(&mut request, Expect::Ack, &mut |_| {}) {
                Err(error) if error.errno() == libc::EAGAIN => {}
                outcome => return outcome,
            }
        }
        self.connection.exchange(&mut request, Expect::Ack, &mut |_| {})
    }

    /// Asks for one thing.
    pub(super) fn ask<T>(
        &mut self,
        message: RouteNetlinkMessage,
        decode: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<T, Error> {
        let answer = answer_to(&message);
        self.connection.ask(encode(message, NLM_F_REQUEST), answer, decode)
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
        request: Vec<u8>,
        answer: u16,
        decode: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        self.connection.dump(request, answer, decode)
    }
}

/// A socket, and the number of the last request on it; notifications bear 0, so no request does.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) socket: Socket,
    sequence: u32,
    /// When the operation that asks must have ended.
    limit: Option<Instant>,
}

impl Connection {
    /// Connects to the kernel by this protocol (`NETLINK_*`).
    pub(super) fn open(protocol: isize) -> Result<Self, Error> {
        Ok(Self { socket: Socket::open(protocol, 0)?, sequence: 0, limit: None })
    }

    #[cfg(test)]
    pub(super) fn over(socket: std::os::fd::OwnedFd) -> Self {
        Self { socket: Socket::over(socket), sequence: 0, limit: None }
    }

    /// Sets when the operation that asks must have ended: from then on each request fails.
    pub(super) fn set_limit(&mut self, limit: Option<Instant>) {
        self.limit = limit;
    }

    /// When the answer to a request that is sent now must have come.
    ///
    /// An error when the time of the operation is over.
    pub(super) fn answer_deadline(&self) -> Result<Instant, Error> {
        let now = Instant::now();
        match self.limit {
            Some(limit) if limit <= now => Err(Error::of(
                ErrorKind::TimedOut,
                "not asked, because the time of the operation is over",
            )),
            limit => Ok(limit.unwrap_or(now + ANSWER_TIMEOUT).min(now + ANSWER_TIMEOUT)),
        }
    }

    /// The first of so many numbers in a row, for that many requests.
    pub(super) fn numbers(&mut self, count: u32) -> u32 {
        let before = if self.sequence.checked_add(count).is_some() { self.sequence } else { 0 };
        self.sequence = before.saturating_add(count);
        before.saturating_add(1)
    }

    /// Asks for one thing; `answer` is the type of the message that answers it.
    pub(super) fn ask<T>(
        &mut self,
        mut request: Vec<u8>,
        answer: u16,
        decode: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<T, Error> {
        let mut found = None;
        let expect = Expect::One(answer);
        self.read(&mut request, expect, &mut |body| found = body.and_then(&decode))?;
        found.ok_or_else(malformed)
    }

    /// Asks for all that there is of something; what `decode` cannot use is left out.
    pub(super) fn dump<T>(
        &mut self,
        mut request: Vec<u8>,
        answer: u16,
        decode: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        let expect = Expect::Many(answer);
        let mut found = Vec::new();
        self.read(&mut request, expect, &mut |body| match body {
            Some(body) => found.extend(decode(body)),
            None => found.clear(),
        })?;
        Ok(found)
    }

    /// Asks until the answer is whole; `each` hears None when it starts anew.
    fn read(
        &mut self,
        request: &mut [u8],
        expect: Expect,
        each: &mut dyn FnMut(Option<&[u8]>),
    ) -> Result<(), Error> {
        for _ in 1..READ_ATTEMPTS {
            match self.exchange(request, expect, &mut |body| each(Some(body))) {
                Err(error) if passes(&error) => each(None),
                outcome => return outcome,
            }
        }
        self.exchange(request, expect, &mut |body| each(Some(body)))
    }

    /// Sends a request, under a number of its own, and reads its answer to the end.
    fn exchange(
        &mut self,
        request: &mut [u8],
        expect: Expect,
        each: &mut dyn FnMut(&[u8]),
    ) -> Result<(), Error> {
        let sequence = self.numbers(1);
        if let Some(field) = request.get_mut(8..12) {
            field.copy_from_slice(&sequence.to_ne_bytes());
        }
        let deadline = self.answer_deadline()?;
        self.socket.send(request)?;
        let mut answer = Answer::new(request, expect, sequence);
        let room = if matches!(expect, Expect::Many(_)) { Room::List } else { Room::One };
        let outcome = loop {
            let mut ended = None;
            let received = self.socket.receive(room, deadline, |datagram| {
                // What follows the end is none of this answer's.
                ended = ended.take().or_else(|| answer.take(datagram, each));
                Ok(())
            });
            match (received, ended) {
                (Ok(()), None) => {}
                (Ok(()), Some(outcome)) => break outcome,
                (Err(error), _) => break Err(error),
            }
        };
        // What is left of an answer would take the room of the next one, and an unfinished dump would refuse it (EBUSY).
        // What comes later still bears an old number, and is passed over.
        if outcome.as_ref().is_err_and(cut_short) {
            self.socket.drain(deadline);
        }
        outcome
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

/// Whether the same question may well be answered the next time.
pub(super) fn passes(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Changing | ErrorKind::Lost)
        || matches!(error.errno(), libc::EAGAIN | libc::EBUSY | libc::EINTR)
}

/// Whether the answer was not read to its end.
fn cut_short(error: &Error) -> bool {
    !matches!(error.kind(), ErrorKind::Refused | ErrorKind::Changing)
}

/// A request as it is sent, in words of four bytes.
#[cfg(test)]
pub(super) fn sent(message: RouteNetlinkMessage, flags: u16) -> String {
    let bytes = encode(message, NLM_F_REQUEST | flags);
    let words = bytes
        .chunks(4)
        .map(|word| word.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}")));
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use netlink_packet_route::link::LinkMessage;

    use super::*;

    /// Leaves answers unread until the socket has no room for another.
    fn overflow(kernel: &Kernel) {
        kernel.connection.socket.shrink();
        let mut message = LinkMessage::default();
        message.header.index = 1;
        let request = encode(RouteNetlinkMessage::GetLink(message), NLM_F_REQUEST);
        for _ in 0..100 {
            kernel.connection.socket.send(&request).unwrap();
        }
    }

    #[test]
    fn a_question_is_asked_again_when_its_answer_was_lost() {
        let mut kernel = Kernel::open().unwrap();
        overflow(&kernel);
        assert_eq!(kernel.link_at(1).unwrap().unwrap().name.as_str(), "lo");
        overflow(&kernel);
        let all = kernel.links(crate::kernel::LinkFilter::All).unwrap();
        assert_eq!(all.iter().filter(|link| link.index == 1).count(), 1);
    }

    #[test]
    fn a_change_is_not_made_again_when_its_answer_was_lost() {
        let mut kernel = Kernel::open().unwrap();
        overflow(&kernel);
        // Refused in any case, for want of an interface or of rights.
        let mut nobody = LinkMessage::default();
        nobody.header.index = 0x7fff_ffff;
        let change = RouteNetlinkMessage::SetLink(nobody);
        let error = kernel.change(change.clone(), 0).unwrap_err();
        assert_eq!((error.kind(), error.errno()), (ErrorKind::Lost, libc::ENOBUFS));
        let error = kernel.change(change, 0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "the next one is in step again");
    }
}
