use std::slice;
use std::time::Instant;

use netlink_packet_core::NLMSG_ERROR;

use super::explain::NO_RIGHTS;
use super::message::{Messages, malformed, nf_tables};
use super::{Nftables, element, table};
use crate::kernel::answer::{extended_ack, kernel_words, messages};
use crate::kernel::attributes;
use crate::kernel::error::Error;
use crate::kernel::request::{READ_ATTEMPTS, passes};
use crate::kernel::socket::ANSWER_TIMEOUT;
use crate::types::{NftElement, NftFamily, NftSet};

impl Nftables {
    /// Looks elements up: one answer per question, in their order; none where there is no such element, set or table.
    /// `nft get element FAMILY TABLE SET { KEY }`
    ///
    /// Only the questions' keys matter. The cost does not grow with the sets: 64 questions are one `sendmsg`. These 64
    /// see one ruleset only if nobody changes it meanwhile; see [`generation`](Self::generation).
    pub fn find(
        &mut self,
        family: NftFamily,
        table: &str,
        questions: &[(&NftSet, &NftElement)],
    ) -> Result<Vec<Option<NftElement>>, Error> {
        Ok(self.find_and_date(family, table, questions)?.0)
    }

    /// The same, and the low half of the generation that the ruleset had when the last of those was found that are there.
    pub(crate) fn find_and_date(
        &mut self,
        family: NftFamily,
        table: &str,
        questions: &[(&NftSet, &NftElement)],
    ) -> Result<(Vec<Option<NftElement>>, Option<u16>), Error> {
        let mut found = Vec::with_capacity(questions.len());
        let mut generation = None;
        for some in questions.chunks(AT_ONCE) {
            let mut request = Messages::default();
            for (set, question) in some {
                let (kind, one) = ((element::NFT_MSG_GETSETELEM, 0), slice::from_ref(*question));
                element::list(&mut request, kind, family, table, set, one);
            }
            let mut later = None;
            let decode = |nth: usize, kind: u16, body: &[u8]| {
                let (set, _) = some.get(nth).filter(|_| kind == element::NFT_MSG_NEWSETELEM)?;
                later = table::generation(body);
                element::decode(body, set)?.into_iter().next()
            };
            let elements = self.ask_several(&mut request, decode).map_err(|error| {
                let set = some.first().map(|(set, _)| set.name.as_str()).unwrap_or_default();
                error.doing(format!("nft get element {family} {table} {set}"))
            })?;
            found.extend(elements);
            generation = later.or(generation);
        }
        Ok((found, generation))
    }

    /// Asks for several things at once: one answer per question, in their order; none where there is no such thing.
    ///
    /// `decode` is told which question it is, and the `NFT_MSG_*` and the body of the answer; none when that is no answer.
    pub(super) fn ask_several<T>(
        &mut self,
        request: &mut Messages,
        mut decode: impl FnMut(usize, u16, &[u8]) -> Option<T>,
    ) -> Result<Vec<Option<T>>, Error> {
        for _ in 1..READ_ATTEMPTS {
            match self.exchange_several(request, &mut decode) {
                Err(error) if passes(&error) => {}
                outcome => return outcome.map_err(|error| error.explain(libc::EPERM, NO_RIGHTS)),
            }
        }
        self.exchange_several(request, &mut decode)
    }

    fn exchange_several<T>(
        &mut self,
        request: &mut Messages,
        decode: &mut Decode<'_, T>,
    ) -> Result<Vec<Option<T>>, Error> {
        let count = request.count();
        let first = self.connection.numbers(u32::try_from(count).unwrap_or(u32::MAX));
        request.sequence(first);
        let socket = &mut self.connection.socket;
        socket.send(request.bytes()?)?;
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        let mut found = Vec::new();
        found.resize_with(count, || None);
        let mut answers = Answers { first, found, answered: vec![false; count], missing: count };
        while answers.missing > 0 {
            // None of them is long: the longest is an element, with a key of 64 bytes and 256 of words.
            let taken = socket.receive_several(deadline, |datagram| answers.take(datagram, decode));
            if let Err(error) = taken {
                socket.drain(deadline);
                return Err(error);
            }
        }
        Ok(answers.found)
    }
}

/// Which question it answers, its `NFT_MSG_*`, and its body.
type Decode<'a, T> = dyn FnMut(usize, u16, &[u8]) -> Option<T> + 'a;

/// More answers than this may not find room in the socket.
const AT_ONCE: usize = 64;

/// What is known so far of the answers to some questions.
struct Answers<T> {
    first: u32,
    found: Vec<Option<T>>,
    answered: Vec<bool>,
    missing: usize,
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
                    libc::ENOENT => None,
                    // Who may not ask is told so once, and the other questions have no answer.
                    errno => {
                        let words = extended_ack(&message).and_then(kernel_words);
                        return Err(Error::refused(errno, words));
                    }
                }
            } else {
                let found = decode(position, message.kind ^ nf_tables(0), message.body);
                Some(found.ok_or_else(malformed)?)
            };
            *answered = true;
            self.missing -= 1;
        }
        Ok(())
    }
}
