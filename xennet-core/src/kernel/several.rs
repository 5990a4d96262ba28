//! Several requests in one `sendmsg`, and the answer of each.

use netlink_packet_core::{NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_MULTIPART, NLMSG_DONE, NLMSG_ERROR};

use super::answer::{changing, extended_ack, kernel_words, malformed, messages};
use super::attributes;
use super::error::Error;
use super::request::Connection;
use super::socket::Room;

/// Which request it answers, the type of the message, and its body.
pub(super) type Decode<'a, T> = dyn FnMut(usize, u16, &[u8]) -> Option<T> + 'a;

/// The answers to some requests, in their order, and what the last one lists, if it asks for a list: among the answers it
/// has none then.
pub(super) type Found<T> = (Vec<Option<T>>, Vec<T>);

/// The requests that were refused, by their positions.
pub(super) type Refusals = Vec<(usize, Error)>;

impl Connection {
    /// Sends requests that stand one behind the other: one answer per request, in their order; none for one that is
    /// acknowledged, and where the kernel answers with the error number `missing`. Any other error ends it all. The last
    /// one may ask for a list (`NLM_F_DUMP`).
    ///
    /// `decode` gives none for what is no answer, and is left out of a list. There is room in a socket for the answers of
    /// about 64.
    pub(super) fn exchange_several<T>(
        &mut self,
        requests: &mut [u8],
        missing: i32,
        decode: &mut Decode<'_, T>,
    ) -> Result<Found<T>, Error> {
        Ok(self.exchange_all(requests, missing, None, decode)?.0)
    }

    /// The same, but a refusal is no error: the kernel goes on with the next request.
    pub(super) fn exchange_each<T>(
        &mut self,
        requests: &mut [u8],
        decode: &mut Decode<'_, T>,
    ) -> Result<(Found<T>, Refusals), Error> {
        let (found, refusals) = self.exchange_all(requests, 0, Some(Vec::new()), decode)?;
        Ok((found, refusals.unwrap_or_default()))
    }

    fn exchange_all<T>(
        &mut self,
        requests: &mut [u8],
        missing: i32,
        refusals: Option<Refusals>,
        decode: &mut Decode<'_, T>,
    ) -> Result<(Found<T>, Option<Refusals>), Error> {
        let flags = messages(requests).flatten().map(|request| request.flags);
        let count = messages(requests).count();
        let lists = flags.last().is_some_and(|flags| flags & NLM_F_DUMP == NLM_F_DUMP);
        let first = self.numbers(u32::try_from(count).unwrap_or(u32::MAX));
        number(requests, first);
        let deadline = self.answer_deadline()?;
        self.socket.send(requests)?;
        let mut found = Vec::new();
        found.resize_with(count, || None);
        let answered = vec![false; count];
        let mut answers = Answers {
            first,
            missing,
            found: (found, Vec::new()),
            answered,
            left: count,
            interrupted: false,
            refusals,
        };
        while answers.left > 0 {
            let room = match answers.left {
                1 if lists => Room::List,
                left if lists => Room::Before(left - 1),
                // Two may be of any length, more are short.
                _ if count <= 2 => Room::List,
                _ => Room::Several,
            };
            let taken =
                self.socket.receive(room, deadline, |datagram| answers.take(datagram, decode));
            if let Err(error) = taken {
                self.socket.drain(deadline);
                return Err(error);
            }
        }
        if answers.interrupted {
            return Err(changing());
        }
        Ok((answers.found, answers.refusals))
    }
}

/// Numbers requests that stand one behind the other, from here.
pub(super) fn number(requests: &mut [u8], first: u32) {
    let (mut rest, mut number) = (requests, first);
    while let Some((length, after)) = rest.split_first_chunk_mut::<4>() {
        if let Some(field) = after.get_mut(4..8) {
            field.copy_from_slice(&number.to_ne_bytes());
        }
        let length = usize::try_from(u32::from_ne_bytes(*length)).unwrap_or(usize::MAX);
        // Even one of no length has come four bytes further.
        let next = length.max(4).next_multiple_of(4) - 4;
        rest = after.get_mut(next..).unwrap_or_default();
        number = number.wrapping_add(1);
    }
}

/// What is known so far of the answers to some requests.
struct Answers<T> {
    first: u32,
    missing: i32,
    found: Found<T>,
    answered: Vec<bool>,
    left: usize,
    /// Whether what is listed changed while it was.
    interrupted: bool,
    /// None ends the exchange with the first refusal.
    refusals: Option<Refusals>,
}

impl<T> Answers<T> {
    fn take(&mut self, datagram: &[u8], decode: &mut Decode<'_, T>) -> Result<(), Error> {
        for message in messages(datagram) {
            let message = message.ok_or_else(malformed)?;
            let position = message.sequence.checked_sub(self.first);
            let position = position.and_then(|position| usize::try_from(position).ok());
            let Some(position) = position else { continue };
            let (Some(place), Some(answered @ false)) =
                (self.found.0.get_mut(position), self.answered.get_mut(position))
            else {
                continue;
            };
            self.interrupted |= message.flags & NLM_F_DUMP_INTR != 0;
            match message.kind {
                NLMSG_ERROR | NLMSG_DONE => {
                    // A kernel may end a list without saying how it went, which is well.
                    let errno = match (attributes::u32(message.body), message.kind) {
                        (Some(errno), _) => errno.cast_signed().wrapping_neg(),
                        (None, NLMSG_DONE) => 0,
                        (None, _) => return Err(malformed()),
                    };
                    let is_missing = message.kind == NLMSG_ERROR && errno == self.missing;
                    if errno != 0 && !is_missing {
                        let words = extended_ack(&message).and_then(kernel_words);
                        let refusal = Error::refused(errno, words);
                        // Who may not ask is told so once, and the other requests have no answer.
                        let Some(refusals) = &mut self.refusals else { return Err(refusal) };
                        refusals.push((position, refusal));
                    }
                }
                kind if message.flags & NLM_F_MULTIPART != 0 => {
                    self.found.1.extend(decode(position, kind, message.body));
                    continue;
                }
                kind => {
                    *place = Some(decode(position, kind, message.body).ok_or_else(malformed)?);
                }
            }
            *answered = true;
            self.left -= 1;
        }
        Ok(())
    }
}
