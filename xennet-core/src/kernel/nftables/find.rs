use std::slice;

use super::explain::NO_RIGHTS;
use super::message::{Messages, nf_tables};
use super::{Nftables, element, table};
use crate::kernel::error::{Error, ErrorKind};
use crate::kernel::request::{READ_ATTEMPTS, passes};
use crate::kernel::several::Found;
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
            let mut questions = Messages::default();
            for (set, question) in some {
                let (kind, one) = ((element::NFT_MSG_GETSETELEM, 0), slice::from_ref(*question));
                element::list(&mut questions, kind, family, table, set, one);
            }
            let mut later = None;
            let decode = |nth: usize, kind: u16, body: &[u8]| {
                let (set, _) = some.get(nth).filter(|_| kind == element::NFT_MSG_NEWSETELEM)?;
                later = table::generation(body);
                element::decode(body, set)?.into_iter().next()
            };
            let outcome = self.ask_several(questions, decode);
            match outcome {
                Ok((elements, _)) => {
                    found.extend(elements);
                    generation = later.or(generation);
                }
                // Somebody's own, with more words than ours have: for two at a time there is room.
                Err(error) if error.kind() == ErrorKind::Truncated && some.len() > 2 => {
                    for two in some.chunks(2) {
                        let (elements, later) = self.find_and_date(family, table, two)?;
                        found.extend(elements);
                        generation = later.or(generation);
                    }
                }
                Err(error) => {
                    let set = some.first().map(|(set, _)| set.name.as_str()).unwrap_or_default();
                    return Err(error.doing(format!("nft get element {family} {table} {set}")));
                }
            }
        }
        Ok((found, generation))
    }

    /// Asks for several things at once: one answer per question, in their order; none where there is no such thing. The
    /// last one may be for a list.
    ///
    /// `decode` is told which question it is, and the `NFT_MSG_*` and the body of the answer; none when that is no answer.
    pub(super) fn ask_several<T>(
        &mut self,
        questions: Messages,
        mut decode: impl FnMut(usize, u16, &[u8]) -> Option<T>,
    ) -> Result<Found<T>, Error> {
        let mut questions = questions.into_bytes()?;
        let mut attempt = || {
            let mut decode = |nth, kind, body: &[u8]| decode(nth, kind ^ nf_tables(0), body);
            self.connection.exchange_several(&mut questions, libc::ENOENT, &mut decode)
        };
        let mut outcome = attempt();
        for _ in 1..READ_ATTEMPTS {
            match outcome {
                Err(error) if passes(&error) => outcome = attempt(),
                _ => break,
            }
        }
        outcome.map_err(|error| error.explain(libc::EPERM, NO_RIGHTS))
    }
}

/// More answers than this may not find room in the socket.
const AT_ONCE: usize = 64;
