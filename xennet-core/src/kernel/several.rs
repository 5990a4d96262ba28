//! Several requests in one `sendmsg`, and the answer of each.

use std::time::Instant;

use netlink_packet_core::NLMSG_ERROR;

use super::answer::{extended_ack, kernel_words, malformed, messages};
use super::attributes;
use super::error::Error;
use super::request::Connection;
use super::socket::{ANSWER_TIMEOUT, Room};

/// Which request it answers, the type of the message, and its body.
pub(super) type Decode<'a, T> = dyn FnMut(usize, u16, &[u8]) -> Option<T> + 'a;

impl Connection {
    /// Sends requests that stand one behind the other: one answer per request, in their order; none for one that is
    /// acknowledged, and where the kernel answers with the error number `missing`. Any other error ends it all.
    ///
    /// `decode` gives none for what is no answer. There is room in a socket for the answers of about 64.
    pub(super) fn exchange_several<T>(
        &mut self,
        requests: &mut [u8],
        missing: i32,
        decode: &mut Decode<'_, T>,
    ) -> Result<Vec<Option<T>>, Error> {
        let count = messages(requests).count();
        let first = self.numbers(u32::try_from(count).unwrap_or(u32::MAX));
        number(requests, first);
        self.socket.send(requests)?;
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        // Two may be of any length, more are short.
        let room = if count <= 2 { Room::List } else { Room::Several };
        let mut found = Vec::new();
        found.resize_with(count, || None);
        let answered = vec![false; count];
        let mut answers = Answers { first, missing, found, answered, left: count };
        while answers.left > 0 {
            let taken =
                self.socket.receive(room, deadline, |datagram| answers.take(datagram, decode));
            if let Err(error) = taken {
                self.socket.drain(deadline);
                return Err(error);
            }
        }
        Ok(answers.found)
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
    found: Vec<Option<T>>,
    answered: Vec<bool>,
    left: usize,
}

impl<T> Answers<T> {
    fn take(&mut self, datagram: &[u8], decode: &mut Decode<'_, T>) -> Result<(), Error> {
        for message in messages(datagram) {
            let message = message.ok_or_else(malformed)?;
            let position = message.sequence.checked_sub(self.first);
            let position = position.and_then(|position| usize::try_from(position).ok());
            let Some(position) = position else { continue };
            let (Some(place), Some(answered @ false)) =
                (self.found.get_mut(position), self.answered.get_mut(position))
            else {
                continue;
            };
            *place = if message.kind == NLMSG_ERROR {
                let errno = attributes::u32(message.body).ok_or_else(malformed)?;
                match errno.cast_signed().wrapping_neg() {
                    0 => None,
                    errno if errno == self.missing => None,
                    // Who may not ask is told so once, and the other requests have no answer.
                    errno => {
                        let words = extended_ack(&message).and_then(kernel_words);
                        return Err(Error::refused(errno, words));
                    }
                }
            } else {
                Some(decode(position, message.kind, message.body).ok_or_else(malformed)?)
            };
            *answered = true;
            self.left -= 1;
        }
        Ok(())
    }
}
