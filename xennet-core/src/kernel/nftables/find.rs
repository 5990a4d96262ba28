use std::time::Instant;

use netlink_packet_core::NLMSG_ERROR;

use super::explain::NO_RIGHTS;
use super::message::{Messages, malformed, nf_tables};
use super::table::generation;
use super::{Nftables, element};
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
            let (some, later) = self.find_some(family, table, some).map_err(|error| {
                let set = some.first().map(|(set, _)| set.name.as_str()).unwrap_or_default();
                error
                    .explain(libc::EPERM, NO_RIGHTS)
                    .doing(format!("nft get element {family} {table} {set}"))
            })?;
            found.extend(some);
            generation = later.or(generation);
        }
        Ok((found, generation))
    }

    fn find_some(
        &mut self,
        family: NftFamily,
        table: &str,
        questions: &[(&NftSet, &NftElement)],
    ) -> Result<(Vec<Option<NftElement>>, Option<u16>), Error> {
        let mut request = Messages::default();
        for (set, question) in questions {
            let kind = (element::NFT_MSG_GETSETELEM, 0);
            element::list(&mut request, kind, family, table, set, std::slice::from_ref(question));
        }
        for _ in 1..READ_ATTEMPTS {
            match self.exchange(&mut request, questions) {
                Err(error) if passes(&error) => {}
                outcome => return outcome,
            }
        }
        self.exchange(&mut request, questions)
    }

    /// Sends all questions at once, and reads one answer to each.
    fn exchange(
        &mut self,
        request: &mut Messages,
        questions: &[(&NftSet, &NftElement)],
    ) -> Result<(Vec<Option<NftElement>>, Option<u16>), Error> {
        let first = self.connection.numbers(u32::try_from(questions.len()).unwrap_or(u32::MAX));
        request.sequence(first);
        let socket = &mut self.connection.socket;
        socket.send(request.bytes()?)?;
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        let mut answers = Answers::new(questions, first);
        let outcome = loop {
            if answers.missing == 0 {
                let generation = answers.generation;
                return Ok((answers.found()?, generation));
            }
            let taken = socket.receive(deadline).and_then(|datagram| answers.take(datagram));
            if let Err(error) = taken {
                break error;
            }
        };
        socket.drain(deadline);
        Err(outcome)
    }
}

/// More answers than this may not find room in the socket.
const AT_ONCE: usize = 64;

/// What is known so far of the answers to some questions.
struct Answers<'a> {
    questions: &'a [(&'a NftSet, &'a NftElement)],
    first: u32,
    found: Vec<Option<Result<Option<NftElement>, Error>>>,
    missing: usize,
    /// The kernel puts it into whatever it says of its ruleset, and not into an error.
    generation: Option<u16>,
}

impl<'a> Answers<'a> {
    fn new(questions: &'a [(&'a NftSet, &'a NftElement)], first: u32) -> Self {
        let (missing, found) = (questions.len(), vec![None; questions.len()]);
        Self { questions, first, found, missing, generation: None }
    }

    fn take(&mut self, datagram: &[u8]) -> Result<(), Error> {
        for message in messages(datagram) {
            let message = message.ok_or_else(malformed)?;
            let position = message.sequence.checked_sub(self.first);
            let position = position.and_then(|position| usize::try_from(position).ok());
            let Some(position) = position else { continue };
            let (Some((set, _)), Some(place @ None)) =
                (self.questions.get(position), self.found.get_mut(position))
            else {
                continue;
            };
            *place = Some(if message.kind == nf_tables(element::NFT_MSG_NEWSETELEM) {
                let elements = element::decode(message.body, set).ok_or_else(malformed)?;
                self.generation = generation(message.body);
                elements.into_iter().next().map(Some).ok_or_else(malformed)
            } else if message.kind == NLMSG_ERROR {
                let errno = attributes::u32(message.body)
                    .ok_or_else(malformed)?
                    .cast_signed()
                    .wrapping_neg();
                if errno == libc::ENOENT {
                    Ok(None)
                } else {
                    let words = extended_ack(&message).and_then(kernel_words);
                    Err(Error::refused(errno, words))
                }
            } else {
                continue;
            });
            self.missing -= 1;
        }
        Ok(())
    }

    fn found(self) -> Result<Vec<Option<NftElement>>, Error> {
        self.found.into_iter().map(|answer| answer.unwrap_or(Ok(None))).collect()
    }
}
