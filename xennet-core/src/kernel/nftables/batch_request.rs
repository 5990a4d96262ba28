use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLMSG_ERROR};

use super::message::Messages;
use super::{chain, element, rule, set, table};
use crate::kernel::answer::{bad_attribute, extended_ack, kernel_words, malformed, messages};
use crate::kernel::attributes;
use crate::kernel::error::Error;
use crate::types::{NftBatch, NftCommand, NftElement, NftSet};

/// A batch as it is sent: its frame, and between that the commands' messages.
pub(super) struct Request {
    pub(super) messages: Messages,
    origins: Vec<Origin>,
}

/// What a message comes from: a command, and the first of its elements that the message is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin {
    pub(super) command: usize,
    pub(super) element: usize,
}

pub(super) enum Answer {
    Done,
    Refused(Refusal),
}

/// How the kernel refused a batch.
#[derive(Debug)]
pub(super) struct Refusal {
    /// At which of its messages.
    pub(super) message: usize,
    pub(super) errno: i32,
    /// In its own words, which are rare here.
    pub(super) words: Option<String>,
    /// At which byte of the message.
    pub(super) attribute: Option<usize>,
}

impl Request {
    pub(super) fn new(batch: &NftBatch) -> Self {
        let mut request = Self { messages: Messages::default(), origins: Vec::new() };
        request.messages.frame(NFNL_MSG_BATCH_BEGIN);
        if let Some(generation) = batch.generation {
            request.messages.number(NFNL_BATCH_GENID, generation);
        }
        for (command, what) in batch.commands.iter().enumerate() {
            request.command(command, batch, what);
        }
        // Only errors are told of their own accord. The last command is the last that is answered.
        request.messages.flag_last(NLM_F_ACK);
        request.messages.frame(NFNL_MSG_BATCH_END);
        request
    }

    pub(super) fn is_empty(&self) -> bool {
        self.origins.is_empty()
    }

    /// What a message comes from; none for the batch's frame, whose errors are the batch's own.
    pub(super) fn origin(&self, message: usize) -> Option<Origin> {
        self.origins.get(message.checked_sub(1)?).copied()
    }

    fn command(&mut self, index: usize, batch: &NftBatch, command: &NftCommand) {
        let (to, family, at) = (&mut self.messages, batch.family, batch.table.as_str());
        match command {
            NftCommand::TableAdd { comment } => table::add(to, family, at, comment.as_deref()),
            NftCommand::TableDelete => table::delete(to, family, at),
            NftCommand::SetAdd(set) => set::add(to, family, at, set),
            NftCommand::SetDelete { set } => set::delete(to, family, at, set),
            NftCommand::ChainAdd(chain) => chain::add(to, family, at, chain),
            NftCommand::ChainFlush { chain } => chain::flush(to, family, at, chain),
            NftCommand::ChainDelete { chain } => chain::delete(to, family, at, chain),
            NftCommand::RuleAdd(rule) => rule::add(to, family, at, rule),
            NftCommand::ElementsAdd { set, elements } => {
                let kind = (element::NFT_MSG_NEWSETELEM, NLM_F_CREATE);
                return self.elements(index, batch, kind, set, elements);
            }
            NftCommand::ElementsCreate { set, elements } => {
                let kind = (element::NFT_MSG_NEWSETELEM, NLM_F_CREATE | NLM_F_EXCL);
                return self.elements(index, batch, kind, set, elements);
            }
            NftCommand::ElementsDelete { set, elements } => {
                let kind = (element::NFT_MSG_DELSETELEM, 0);
                return self.elements(index, batch, kind, set, elements);
            }
        }
        self.origins.push(Origin { command: index, element: 0 });
    }

    /// As many messages as it takes, for an attribute's length has 16 bits. To delete no element is nothing: without
    /// a list, the kernel would delete them all.
    fn elements(
        &mut self,
        command: usize,
        batch: &NftBatch,
        kind: (u16, u16),
        set: &NftSet,
        elements: &[NftElement],
    ) {
        let mut done = 0;
        while let Some(rest @ [_, ..]) = elements.get(done..) {
            self.origins.push(Origin { command, element: done });
            let to = &mut self.messages;
            done += element::list(to, kind, batch.family, &batch.table, set, rest);
        }
    }

    /// What a datagram says of the batch: the first refusal, or that the last command was carried out.
    pub(super) fn answer(&self, datagram: &[u8], first: u32) -> Result<Option<Answer>, Error> {
        for message in messages(datagram) {
            let message = message.ok_or_else(malformed)?;
            let position = message.sequence.checked_sub(first);
            let position = position.and_then(|position| usize::try_from(position).ok());
            let Some(position) = position.filter(|at| *at < self.messages.count()) else {
                continue;
            };
            if message.kind != NLMSG_ERROR {
                continue;
            }
            let errno = attributes::u32(message.body).ok_or_else(malformed)?;
            let tlvs = extended_ack(&message).unwrap_or_default();
            if errno != 0 {
                return Ok(Some(Answer::Refused(Refusal {
                    message: position,
                    errno: errno.cast_signed().wrapping_neg(),
                    words: kernel_words(tlvs),
                    attribute: bad_attribute(tlvs),
                })));
            }
            if position == self.origins.len() {
                return Ok(Some(Answer::Done));
            }
        }
        Ok(None)
    }
}

const NFNL_MSG_BATCH_BEGIN: u16 = 16;
const NFNL_MSG_BATCH_END: u16 = 17;
const NFNL_BATCH_GENID: u16 = 1;
