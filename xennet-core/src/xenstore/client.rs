use std::env;
use std::ffi::OsString;
use std::iter;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::slice;
use std::time::{Duration, Instant};

use super::answer::{one_text, split_generation, texts, transaction_id};
use super::channel::{Answer, Channel, Event, Request};
use super::connection::Connection;
use super::error::{Error, ErrorKind};
use super::permission::Permission;
use super::wire::{self, Op};

pub(super) type Result<T, E = Error> = std::result::Result<T, E>;
/// What there is at several paths.
pub(crate) type Values = Vec<Option<Vec<u8>>>;

/// A connection to XenStore. Blocking, one per thread, not to be shared across fork.
///
/// A path is absolute, or relative to the directory of the domain that this runs in: `backend/vif/3/0` is
/// `/local/domain/SELF/backend/vif/3/0`. A value is bytes. Nothing waits longer than the timeout (5 seconds unless
/// [set](Self::set_timeout)); after that, or when the other side breaks the protocol, the connection is given up
/// and every later call fails with [`ErrorKind::Broken`].
///
/// Every function that asks XenStore fails with an [`Error`] that names the path and has XenStore's own errno: `EACCES`
/// for a node that this domain may not see or change, `EINVAL` for a path that cannot be, `EIO` and more for what
/// became of the connection ([`ErrorKind`]). What changes nothing or finds nothing is no error unless it says so.
#[derive(Debug)]
pub struct XenStore {
    channel: Channel,
    /// The transaction that operations belong to, 0 for none.
    pub(super) tx_id: u32,
    /// A transaction that was started along with an earlier question, and that nothing belongs to yet.
    pub(super) spare: Option<u32>,
}

impl XenStore {
    /// Connects to this system's XenStore, found as libxenstore does: `$XENSTORED_PATH`, or else
    /// `$XENSTORED_RUNDIR/socket` (`/var/run/xenstored/socket`), `/dev/xen/xenbus`, `/proc/xen/xenbus`.
    ///
    /// The error names each place and what was wrong with it.
    pub fn open() -> Result<Self> {
        let mut tried = Vec::new();
        for path in places(env::var_os("XENSTORED_PATH"), env::var_os("XENSTORED_RUNDIR")) {
            match Connection::open(&path, TIMEOUT) {
                Ok(connection) => return Ok(Self::over(connection)),
                Err(errno) => tried.push((path, errno)),
            }
        }
        Err(Error::new("xenstore connect", ErrorKind::Absent { tried }))
    }

    /// Connects to the XenStore at this path: a socket, or a device such as `/dev/xen/xenbus`.
    pub fn connect(path: &Path) -> Result<Self> {
        Connection::open(path, TIMEOUT).map(Self::over).map_err(|errno| {
            Error::new(
                "xenstore connect",
                ErrorKind::Absent { tried: vec![(path.to_owned(), errno)] },
            )
        })
    }

    /// A second connection to where this one leads: for another thread or for watches of its own, or because this one
    /// is given up.
    pub fn reopen(&self) -> Result<Self> {
        Self::connect(self.channel.path())
    }

    /// Whether the connection was given up: then every call fails.
    pub fn is_broken(&self) -> bool {
        self.channel.is_broken()
    }

    /// Sets how long an answer may take; at least a millisecond.
    pub fn set_timeout(&mut self, timeout: Duration) -> Result<()> {
        self.channel.set_timeout(timeout)
    }

    /// Sets when the operation that asks must have ended: an answer that comes later is late.
    pub(crate) fn set_limit(&mut self, limit: Option<Instant>) {
        self.channel.set_limit(limit);
    }

    /// The value at a path; none when there is no such node. `xenstore-read PATH`
    pub fn read(&mut self, path: &str) -> Result<Option<Vec<u8>>> {
        present(self.call(&Request::new(Op::READ, path)))
    }

    /// The values at several paths in their order, asked for in one write; none where there is no such node.
    ///
    /// They may change in between: read in a [transaction](Self::transaction) what must fit together.
    pub fn read_many(&mut self, paths: &[impl AsRef<str>]) -> Result<Vec<Option<Vec<u8>>>> {
        let requests: Vec<_> = paths.iter().map(reading).collect();
        let answers = self.channel.exchange(self.tx_id, &requests)?;
        answers.into_iter().zip(&requests).map(value).collect()
    }

    /// The names of a node's children as by [`directory`](Self::directory), or why they cannot be had, and the values at
    /// several paths as by [`read_many`](Self::read_many), asked for in one write; while XenStore looks them up, `meanwhile`
    /// runs. Where a transaction is `planned`, it is started in the same write.
    pub(crate) fn list_and_read_while(
        &mut self,
        directory: &str,
        paths: &[impl AsRef<str>],
        planned: bool,
        meanwhile: impl FnOnce(),
    ) -> Result<(Result<Option<Vec<String>>>, Values)> {
        let list = Request::new(Op::DIRECTORY, directory);
        let mut requests: Vec<_> = iter::once(list).chain(paths.iter().map(reading)).collect();
        let start = Request::new(Op::TRANSACTION_START, "");
        let starts = planned && self.tx_id == 0 && self.spare.is_none();
        requests.extend(starts.then_some(start));
        let mut answers = self.channel.exchange_while(self.tx_id, &requests, meanwhile)?;
        if starts && let Some(Ok(started)) = answers.pop() {
            self.spare = transaction_id(&started);
        }
        let mut answers = answers.into_iter().zip(&requests);
        let (names, list) = answers.next().expect("an answer to each request");
        let values = answers.map(value).collect::<Result<_>>()?;
        Ok((self.names(list, names.map_err(|kind| list.failed(kind))), values))
    }

    /// Whether nodes exist, as far as this domain may know, and then the outcome of changes: a value to write, or a node to
    /// remove. All are sent in one write, so make them in a [transaction](Self::transaction) that is committed or not.
    pub(crate) fn check_and_change(
        &mut self,
        paths: &[&str],
        changes: &[(&str, Option<&[u8]>)],
    ) -> Result<(Vec<bool>, Result<()>)> {
        let mut requests: Vec<Request<'_>> = paths.iter().map(reading).collect();
        requests.extend(changes.iter().map(|(path, value)| match value {
            Some(value) => Request::new(Op::WRITE, path).with(*value),
            None => Request::new(Op::RM, path),
        }));
        let answers = self.channel.exchange(self.tx_id, &requests)?;
        let mut answers = answers.into_iter().zip(&requests);
        let exists = |answer| match value(answer) {
            // A driver domain may not see a node that it may write to.
            Err(error) if error.errno() == libc::EACCES => Ok(true),
            value => value.map(|value| value.is_some()),
        };
        let exist = answers.by_ref().take(paths.len()).map(exists).collect::<Result<_>>()?;
        let outcome = answers.try_for_each(|(answer, request)| {
            present(answer.map(drop).map_err(|kind| request.failed(kind))).map(drop)
        });
        Ok((exist, outcome))
    }

    /// Sets the value at a path, and makes the node and its parents where they are missing. `xenstore-write PATH VALUE`
    ///
    /// Path and value together have at most 4095 bytes, 4079 where XenStore is reached through the kernel; oxenstored
    /// takes values of at most 2048.
    pub fn write(&mut self, path: &str, value: impl AsRef<[u8]>) -> Result<()> {
        self.call(&Request::new(Op::WRITE, path).with(value.as_ref())).map(drop)
    }

    /// Sets several values in this order, sent in one write.
    ///
    /// An error is that of the first write that failed; those after it were sent as well. Write in a
    /// [transaction](Self::transaction) what must not be seen in part.
    pub fn write_many(&mut self, values: &[(impl AsRef<str>, impl AsRef<[u8]>)]) -> Result<()> {
        let requests: Vec<_> = values
            .iter()
            .map(|(path, value)| Request::new(Op::WRITE, path.as_ref()).with(value.as_ref()))
            .collect();
        let answers = self.channel.exchange(self.tx_id, &requests)?;
        answers
            .into_iter()
            .zip(&requests)
            .try_for_each(|(answer, request)| answer.map(drop).map_err(|kind| request.failed(kind)))
    }

    /// Makes an empty node, and its parents where they are missing; nothing when it is there.
    pub fn mkdir(&mut self, path: &str) -> Result<()> {
        self.call(&Request::new(Op::MKDIR, path)).map(drop)
    }

    /// Removes a node and all below it; nothing when it is not there. `xenstore-rm PATH`
    pub fn remove(&mut self, path: &str) -> Result<()> {
        present(self.call(&Request::new(Op::RM, path))).map(drop)
    }

    /// The names of a node's children; none when there is no such node. `xenstore-list PATH`
    pub fn directory(&mut self, path: &str) -> Result<Option<Vec<String>>> {
        let request = Request::new(Op::DIRECTORY, path);
        let answer = self.call(&request);
        self.names(&request, answer)
    }

    /// Who may do what with a node, the owner first; none when there is no such node.
    pub fn permissions(&mut self, path: &str) -> Result<Option<Vec<Permission>>> {
        let request = Request::new(Op::GET_PERMS, path);
        let Some(list) = present(self.call(&request))? else { return Ok(None) };
        let permissions = wire::strings(&list).map(Permission::parse).collect();
        match permissions {
            Some(permissions) => Ok(Some(permissions)),
            None => Err(Channel::senseless(&request, &list)),
        }
    }

    /// Sets who may do what with a node: the first is the owner, with what all others may do. `xenstore-chmod PATH ...`
    pub fn set_permissions(&mut self, path: &str, permissions: &[Permission]) -> Result<()> {
        let list: Vec<u8> =
            permissions.iter().flat_map(|p| format!("{p}\0").into_bytes()).collect();
        self.call(&Request::new(Op::SET_PERMS, path).with(list)).map(drop)
    }

    /// The directory of a domain, whether there is such a domain or not: `/local/domain/3`.
    pub fn domain_path(&mut self, domid: u16) -> Result<String> {
        let domid = domid.to_string();
        let request = Request::new(Op::GET_DOMAIN_PATH, &domid);
        let answer = self.call(&request)?;
        one_text(&answer).ok_or_else(|| Channel::senseless(&request, &answer))
    }

    /// Whether XenStore serves this domain: true from its creation until it is gone.
    pub fn is_domain_introduced(&mut self, domid: u16) -> Result<bool> {
        let domid = domid.to_string();
        let request = Request::new(Op::IS_DOMAIN_INTRODUCED, &domid);
        let answer = self.call(&request)?;
        match answer.as_slice() {
            b"T\0" => Ok(true),
            b"F\0" => Ok(false),
            _ => Err(Channel::senseless(&request, &answer)),
        }
    }

    /// Asks for an [`Event`] now, and after each change at or below this path from here on. `xenstore-watch PATH`
    ///
    /// `@introduceDomain` and `@releaseDomain` tell of domains that come and go. Never watch what a guest may write:
    /// it decides then how often we wake.
    pub fn watch(&mut self, path: &str, token: &str) -> Result<()> {
        self.call(&Request::new(Op::WATCH, path).with(format!("{token}\0").into_bytes())).map(drop)
    }

    /// Ends a watch. Events of it that were on their way may still come.
    pub fn unwatch(&mut self, path: &str, token: &str) -> Result<()> {
        self.call(&Request::new(Op::UNWATCH, path).with(format!("{token}\0").into_bytes()))
            .map(drop)
    }

    /// The next event, waiting for it at most so long ([`Duration::MAX`]: for ever); none when none came.
    ///
    /// In a poll loop, call it with [`Duration::ZERO`] until it gives none, before each poll on [`as_fd`](AsFd::as_fd):
    /// events also arrive along with the answers to requests, and then the descriptor has nothing more to say.
    pub fn next_event(&mut self, timeout: Duration) -> Result<Option<Event>> {
        self.channel.next_event(timeout)
    }

    fn over(connection: Connection) -> Self {
        Self { channel: Channel::new(connection), tx_id: 0, spare: None }
    }

    pub(super) fn call(&mut self, request: &Request<'_>) -> Result<Vec<u8>> {
        let mut answers = self.channel.exchange(self.tx_id, slice::from_ref(request))?;
        let answer = answers.pop().expect("one answer to one request");
        answer.map_err(|kind| request.failed(kind))
    }

    /// The names in the answer to a question for a node's children.
    fn names(
        &mut self,
        request: &Request<'_>,
        answer: Result<Vec<u8>>,
    ) -> Result<Option<Vec<String>>> {
        let list = match answer {
            Err(error) if error.errno() == libc::E2BIG => {
                self.directory_in_parts(request.text()).map_err(|part| match part.errno() {
                    // oxenstored has no such operation: what it said of the whole list is the reason.
                    libc::ENOSYS => error,
                    _ => part,
                })
            }
            answer => answer,
        };
        present(list)?
            .map(|list| texts(&list).ok_or_else(|| Channel::senseless(request, &list)))
            .transpose()
    }

    /// A list of children that does not fit into one packet, as it was at one moment.
    fn directory_in_parts(&mut self, path: &str) -> Result<Vec<u8>> {
        const TRIES: u32 = 100;
        let (mut list, mut at) = (Vec::new(), None);
        let mut changes = 0;
        loop {
            let offset = format!("{}\0", list.len()).into_bytes();
            let request = Request::new(Op::DIRECTORY_PART, path).with(offset);
            let part = self.call(&request)?;
            let Some((generation, names)) = split_generation(&part) else {
                return Err(Channel::senseless(&request, &part));
            };
            if at.get_or_insert_with(|| generation.to_owned()) != generation {
                // The node changed meanwhile: what has come so far is of no use.
                changes += 1;
                if changes == TRIES {
                    return Err(Error::new(
                        request.to_string(),
                        ErrorKind::Conflict { tries: TRIES },
                    ));
                }
                (list, at) = (Vec::new(), None);
                continue;
            }
            // An empty name says that this was the last part.
            if let Some(last) =
                names.strip_suffix(b"\0").filter(|names| names.is_empty() || names.ends_with(b"\0"))
            {
                list.extend_from_slice(last);
                return Ok(list);
            }
            if names.is_empty() {
                return Err(Channel::senseless(&request, &part));
            }
            list.extend_from_slice(names);
        }
    }
}

impl AsFd for XenStore {
    /// For a poll loop: readable when events may have arrived, or when the connection is lost.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.channel.as_fd()
    }
}

/// How long an answer may take. xenstored answers in microseconds, or it hangs.
const TIMEOUT: Duration = Duration::from_secs(5);

fn places(socket: Option<OsString>, run_dir: Option<OsString>) -> Vec<PathBuf> {
    // libxenstore takes this one for the socket's path and for the device's.
    if let Some(path) = socket {
        return vec![path.into()];
    }
    let sockets = match run_dir {
        Some(dir) => vec![Path::new(&dir).join("socket")],
        None => vec!["/var/run/xenstored/socket".into(), "/run/xenstored/socket".into()],
    };
    sockets.into_iter().chain(["/dev/xen/xenbus".into(), "/proc/xen/xenbus".into()]).collect()
}

/// The question for a value.
fn reading(path: &impl AsRef<str>) -> Request<'_> {
    Request::new(Op::READ, path.as_ref())
}

/// What the answer to such a question says; none when there is no such node.
fn value((answer, request): (Answer, &Request<'_>)) -> Result<Option<Vec<u8>>> {
    match answer {
        // As a rule it is missing, and nobody wants the words for that.
        Err(kind) if kind == NO_NODE => Ok(None),
        answer => answer.map(Some).map_err(|kind| request.failed(kind)),
    }
}

/// None for a node that is not there.
fn present<T>(answer: Result<T>) -> Result<Option<T>> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(error) if *error.kind() == NO_NODE => Ok(None),
        Err(error) => Err(error),
    }
}

const NO_NODE: ErrorKind = ErrorKind::Refused { errno: libc::ENOENT };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looked_for_where_libxenstore_looks() {
        let at = |socket: Option<&str>, run_dir: Option<&str>| {
            places(socket.map(Into::into), run_dir.map(Into::into))
                .into_iter()
                .map(|path| path.to_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        let devices = ["/dev/xen/xenbus", "/proc/xen/xenbus"];
        let sockets = ["/var/run/xenstored/socket", "/run/xenstored/socket"];
        assert_eq!(at(None, None), [sockets, devices].concat());
        assert_eq!(at(None, Some("/x")), ["/x/socket", devices[0], devices[1]]);
        assert_eq!(at(Some("/y"), Some("/x")), ["/y"]);
    }
}
