use super::batch_request::{Answer, Refusal, Request};
use super::{Nftables, explain};
use crate::kernel::error::{Error, ErrorKind};
use crate::kernel::socket::{LOSSES, Room};
use crate::types::NftBatch;

impl Nftables {
    /// Carries out a batch, all of it or nothing; one without commands is nothing. `nft -f`
    ///
    /// The error is the first one, and names the command (of elements, the very one) that failed. `EAGAIN` says that the
    /// ruleset has another generation than the batch was planned for. After `ETIMEDOUT` and `ENOBUFS` it is not known
    /// whether the batch was carried out.
    pub fn apply(&mut self, batch: &NftBatch) -> Result<(), Error> {
        let mut request = Request::new(batch);
        if request.is_empty() {
            return Ok(());
        }
        match self.transact(&mut request) {
            Ok(None) => Ok(()),
            Ok(Some(refusal)) => Err(explain::error(batch, &request, refusal)),
            Err(error) => Err(error.doing(explain::all(batch))),
        }
    }

    /// Sends a batch; the answer is how the kernel refused it, if it did.
    fn transact(&mut self, request: &mut Request) -> Result<Option<Refusal>, Error> {
        let count = u32::try_from(request.messages.count()).unwrap_or(u32::MAX);
        let first = self.connection.numbers(count);
        request.messages.sequence(first);
        let bytes = request.messages.bytes()?;
        let deadline = self.connection.answer_deadline()?;
        let socket = &mut self.connection.socket;
        socket.make_room(bytes.len())?;
        socket.send(bytes).map_err(|error| {
            let size = format!("{} bytes are more than it may send at once", bytes.len());
            error.explain(libc::EMSGSIZE, &size)
        })?;
        let mut losses = 0;
        let outcome = loop {
            let mut answer = None;
            let received = socket.receive(Room::One, deadline, |datagram| {
                answer = request.answer(datagram, first)?;
                Ok(())
            });
            match (received, answer) {
                (Ok(()), None) => {}
                (Ok(()), Some(Answer::Done)) => return Ok(None),
                (Ok(()), Some(Answer::Refused(refusal))) => break Ok(Some(refusal)),
                // Each command may have an error, and there is room for a few hundred: the first one is in it.
                (Err(error), _) if error.kind() == ErrorKind::Lost && losses < LOSSES => {
                    losses += 1;
                }
                (Err(error), _) => break Err(error),
            }
        };
        socket.drain(deadline);
        outcome
    }
}
