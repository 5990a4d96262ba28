use super::answer::transaction_id;
use super::channel::{Channel, Request};
use super::client::{Result, XenStore};
use super::error::{Error, ErrorKind};
use super::wire::Op;

impl XenStore {
    /// Runs `body` with every operation on its argument in one transaction: all is done, or nothing, and what was
    /// read was true together. Watches and domains are outside of it.
    ///
    /// When others changed the same nodes meanwhile, `body` runs again, so it must not keep what an earlier run left;
    /// after 100 clashes the error is [`ErrorKind::Conflict`]. An error from `body` undoes everything and is returned.
    pub fn transaction<T, E: From<Error>>(
        &mut self,
        mut body: impl FnMut(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        const TRIES: u32 = 100;
        for _ in 0..TRIES {
            let scope = Scope::start(self)?;
            let value = match body(scope.store) {
                Ok(value) => value,
                Err(error) => {
                    // That everything is undone is what matters; the first error is the one to report.
                    let _ = scope.end("F");
                    return Err(error);
                }
            };
            match scope.end("T") {
                Ok(()) => return Ok(value),
                Err(error) if *error.kind() == (ErrorKind::Refused { errno: libc::EAGAIN }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::new("xenstore transaction", ErrorKind::Conflict { tries: TRIES }).into())
    }
}

/// A transaction that is open at the daemon, and the mark on the client that its operations belong to it.
struct Scope<'a> {
    store: &'a mut XenStore,
}

impl<'a> Scope<'a> {
    fn start(store: &'a mut XenStore) -> Result<Self> {
        let request = Request::new(Op::TRANSACTION_START, "");
        if store.tx_id != 0 {
            let why = "a transaction does not contain another";
            return Err(Error::new(
                request.to_string(),
                ErrorKind::Invalid { errno: libc::EBUSY, why },
            ));
        }
        if let Some(id) = store.spare.take() {
            store.tx_id = id;
            return Ok(Self { store });
        }
        let answer = store.call(&request)?;
        let id = transaction_id(&answer);
        store.tx_id = id.ok_or_else(|| Channel::senseless(&request, &answer))?;
        Ok(Self { store })
    }

    fn end(self, verdict: &str) -> Result<()> {
        self.store.call(&Request::new(Op::TRANSACTION_END, verdict)).map(drop)
    }
}

impl Drop for Scope<'_> {
    /// Also when the body panics: what is done later must not land in a transaction that nobody will end.
    fn drop(&mut self) {
        self.store.tx_id = 0;
    }
}
