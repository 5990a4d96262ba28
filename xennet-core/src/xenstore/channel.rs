use std::borrow::Cow;
use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use super::connection::Connection;
use super::error::{Error, ErrorKind};
use super::wire::{self, Op, Packet};

/// Requests and their answers over a connection, and the events that come between them.
#[derive(Debug)]
pub(super) struct Channel {
    connection: Connection,
    /// What broke the connection.
    broken: Option<String>,
    events: VecDeque<Event>,
    /// The same, to find one among many.
    queued: BTreeSet<Event>,
    next_req_id: u32,
}

/// Something changed at or below a watched path, or may have: an event says "look again", not what is there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Event {
    /// What changed, relative if the watched path was; or the watched path itself when the watch was just set.
    pub path: String,
    /// The token that the watch was set with.
    pub token: String,
}

/// A question: all that the protocol has are a text, a NUL, and more.
#[derive(Debug)]
pub(super) struct Request<'a> {
    op: Op,
    text: &'a str,
    more: Cow<'a, [u8]>,
}

/// The payload of the answer to one request, or why there is none. Most that there is none is that there is no such node,
/// and nobody wants the words for that.
pub(super) type Answer = Result<Vec<u8>, ErrorKind>;

impl Channel {
    pub(super) fn new(connection: Connection) -> Self {
        Self {
            connection,
            broken: None,
            events: VecDeque::new(),
            queued: BTreeSet::new(),
            next_req_id: 1,
        }
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// Where the connection leads.
    pub(super) fn path(&self) -> &Path {
        self.connection.path()
    }

    pub(super) fn set_timeout(&mut self, timeout: Duration) -> Result<(), Error> {
        self.connection
            .set_timeout(timeout)
            .map_err(|errno| Error::new("xenstore set timeout", ErrorKind::System { errno }))
    }

    pub(super) fn set_limit(&mut self, limit: Option<Instant>) {
        self.connection.limit = limit;
    }

    /// The answers to these requests, in their order. Nothing is sent unless each of them is valid.
    pub(super) fn exchange(
        &mut self,
        tx_id: u32,
        requests: &[Request<'_>],
    ) -> Result<Vec<Answer>, Error> {
        self.exchange_while(tx_id, requests, || ())
    }

    /// The same; once the first of them are on their way, `meanwhile` runs.
    pub(super) fn exchange_while(
        &mut self,
        tx_id: u32,
        requests: &[Request<'_>],
        meanwhile: impl FnOnce(),
    ) -> Result<Vec<Answer>, Error> {
        let mut meanwhile = Some(meanwhile);
        for request in requests {
            self.usable(request)?;
            request.check(self.connection.payload_max()).map_err(|kind| request.failed(kind))?;
        }
        let mut answers = Vec::with_capacity(requests.len());
        let mut rest = requests;
        while !rest.is_empty() {
            let (chunk, later) = rest.split_at(self.chunk(rest));
            self.exchange_chunk(tx_id, chunk, &mut answers, || {
                if let Some(meanwhile) = meanwhile.take() {
                    meanwhile();
                }
            })?;
            rest = later;
        }
        Ok(answers)
    }

    /// The next event, waiting for it at most so long.
    pub(super) fn next_event(&mut self, timeout: Duration) -> Result<Option<Event>, Error> {
        const DOING: &str = "xenstore wait for an event";
        self.usable(&DOING)?;
        let started = Instant::now();
        loop {
            if let Some(event) = self.events.pop_front() {
                self.queued.remove(&event);
                return Ok(Some(event));
            }
            let left = timeout.saturating_sub(started.elapsed());
            match self.read_events(left) {
                Ok(true) => {}
                Ok(false) => return Ok(None),
                Err(kind) => return Err(self.give_up(&DOING, kind)),
            }
        }
    }

    /// The error for an answer that makes no sense. What it answers is over, so the connection stays.
    pub(super) fn senseless(request: &Request<'_>, answer: &[u8]) -> Error {
        let what = format!("XenStore answered \"{}\"", shown(answer));
        request.failed(ErrorKind::Protocol { what })
    }

    /// How many of these may be on their way at once.
    fn chunk(&self, requests: &[Request<'_>]) -> usize {
        if !self.connection.pipelines() {
            return 1;
        }
        let sizes = requests.iter().scan(0, |sum, request| {
            *sum += request.size();
            Some(*sum)
        });
        sizes.take_while(|sum| *sum <= OUTSTANDING).count().max(1)
    }

    fn exchange_chunk(
        &mut self,
        tx_id: u32,
        requests: &[Request<'_>],
        answers: &mut Vec<Answer>,
        meanwhile: impl FnOnce(),
    ) -> Result<(), Error> {
        let first_id = self.next_req_id;
        let mut packets = Vec::with_capacity(requests.iter().map(Request::size).sum());
        for request in requests {
            request.encode(self.next_req_id, tx_id, &mut packets);
            self.next_req_id = self.next_req_id.wrapping_add(1);
        }
        let mut slots: Vec<Option<Answer>> = requests.iter().map(|_| None).collect();
        let mut outcome = self.connection.send(&packets);
        meanwhile();
        let asked = Instant::now();
        if let (Err(ErrorKind::System { errno }), [_], false) =
            (&outcome, requests, self.connection.pipelines())
        {
            // The kernel asks for a watch itself, and what XenStore said is what `write()` says; nothing is on its way.
            let refused = ErrorKind::Refused { errno: *errno };
            answers.push(Err(refused));
            return Ok(());
        }
        while outcome.is_ok() && slots.contains(&None) {
            outcome = self.answer(asked, first_id, requests, &mut slots);
        }
        if let Err(kind) = outcome {
            // Blame the first that has no answer.
            let unanswered = requests.iter().zip(&slots).find(|(_, slot)| slot.is_none());
            let doing = unanswered.map_or("xenstore".into(), |(request, _)| request.to_string());
            return Err(self.give_up(&doing, kind));
        }
        answers.extend(slots.into_iter().flatten());
        Ok(())
    }

    /// Receives one packet and puts it where it belongs.
    fn answer(
        &mut self,
        asked: Instant,
        first_id: u32,
        requests: &[Request<'_>],
        slots: &mut [Option<Answer>],
    ) -> Result<(), ErrorKind> {
        let packet = self.connection.receive(asked)?;
        if packet.op == Op::WATCH_EVENT {
            return self.keep_event(&packet);
        }
        let index = usize::try_from(packet.req_id.wrapping_sub(first_id)).unwrap_or(usize::MAX);
        let (Some(request), Some(slot @ None)) = (requests.get(index), slots.get_mut(index)) else {
            return Err(ErrorKind::Protocol {
                what: format!("XenStore answered request {}, which is not open", packet.req_id),
            });
        };
        if packet.op != request.op && packet.op != Op::ERROR {
            let what = format!("XenStore answered {} with {}", request.op, packet.op);
            return Err(ErrorKind::Protocol { what });
        }
        *slot = Some(match packet.op {
            Op::ERROR => Err(refusal(&packet.payload)),
            _ => Ok(packet.payload),
        });
        Ok(())
    }

    /// Takes in what has come while no request is open; false when nothing came in time.
    fn read_events(&mut self, timeout: Duration) -> Result<bool, ErrorKind> {
        let Some(packet) = self.connection.received()? else {
            return Ok(self.connection.wait(timeout)? && self.connection.fill()?);
        };
        if packet.op == Op::WATCH_EVENT {
            self.keep_event(&packet)?;
            return Ok(true);
        }
        Err(ErrorKind::Protocol {
            what: format!("XenStore answered request {}, which is not open", packet.req_id),
        })
    }

    fn keep_event(&mut self, packet: &Packet) -> Result<(), ErrorKind> {
        let mut texts = wire::strings(&packet.payload).map(str::from_utf8);
        let (Some(Ok(path)), Some(Ok(token))) = (texts.next(), texts.next()) else {
            let what = format!("XenStore sent the event \"{}\"", shown(&packet.payload));
            return Err(ErrorKind::Protocol { what });
        };
        let event = Event { path: path.into(), token: token.into() };
        // "Look again" says nothing more the second time, and a flood of it must not fill our memory.
        if self.queued.contains(&event) {
            return Ok(());
        }
        if self.events.len() == EVENTS {
            let what =
                format!("XenStore sent more than {EVENTS} different events that are not read yet");
            return Err(ErrorKind::Protocol { what });
        }
        self.queued.insert(event.clone());
        self.events.push_back(event);
        Ok(())
    }

    fn usable(&self, doing: &impl ToString) -> Result<(), Error> {
        match &self.broken {
            None => Ok(()),
            Some(first) => {
                Err(Error::new(doing.to_string(), ErrorKind::Broken { first: first.clone() }))
            }
        }
    }

    fn give_up(&mut self, doing: &impl ToString, kind: ErrorKind) -> Error {
        let error = Error::new(doing.to_string(), kind);
        self.broken = Some(error.to_string());
        self.connection.hang_up();
        error
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.connection.as_fd()
    }
}

/// How many events are kept until they are read. A host has some thousand vifs, each with a few watched keys.
const EVENTS: usize = 16 * 1024;

/// What may be on its way unanswered, in bytes. It fits into the socket's buffer (208 KiB unless shrunk to almost
/// nothing), so that sending never waits for a xenstored that waits for us to read.
const OUTSTANDING: usize = 16 * 1024;

impl<'a> Request<'a> {
    pub(super) fn new(op: Op, text: &'a str) -> Self {
        Self { op, text, more: Cow::Borrowed(&[]) }
    }

    /// The path that it is about, or whatever else comes first.
    pub(super) fn text(&self) -> &'a str {
        self.text
    }

    pub(super) fn with(mut self, more: impl Into<Cow<'a, [u8]>>) -> Self {
        self.more = more.into();
        self
    }

    /// Refuses here what xenstored would refuse, or would hang up for.
    fn check(&self, payload_max: usize) -> Result<(), ErrorKind> {
        let wrong = |why| Err(ErrorKind::Invalid { errno: libc::EINVAL, why });
        let names_node = match self.op {
            Op::TRANSACTION_START
            | Op::TRANSACTION_END
            | Op::GET_DOMAIN_PATH
            | Op::IS_DOMAIN_INTRODUCED => false,
            Op::WATCH | Op::UNWATCH => !self.text.starts_with('@'),
            _ => true,
        };
        if names_node && let Err(why) = wire::check_path(self.text.as_bytes()) {
            return wrong(why);
        }
        if self.text.contains('\0')
            || (self.watches()
                && self.more.strip_suffix(b"\0").is_some_and(|token| token.contains(&0)))
        {
            return wrong("neither a path nor a token has a NUL");
        }
        if self.op == Op::SET_PERMS && self.more.is_empty() {
            return wrong("the first permission names the owner");
        }
        if self.text.len() + 1 + self.more.len() > payload_max {
            let why = "path and value, or path and token, have at most 4095 bytes together (4079 through the kernel)";
            return Err(ErrorKind::Invalid { errno: libc::E2BIG, why });
        }
        Ok(())
    }

    /// The error that it met with.
    pub(super) fn failed(&self, kind: ErrorKind) -> Error {
        Error::new(self.to_string(), kind)
    }

    fn encode(&self, req_id: u32, tx_id: u32, out: &mut Vec<u8>) {
        // A watch belongs to the connection.
        let tx_id = if self.watches() { 0 } else { tx_id };
        wire::encode(out, self.op, req_id, tx_id, &[self.text.as_bytes(), b"\0", &self.more]);
    }

    fn watches(&self) -> bool {
        matches!(self.op, Op::WATCH | Op::UNWATCH)
    }

    fn size(&self) -> usize {
        wire::HEADER + self.text.len() + 1 + self.more.len()
    }
}

impl fmt::Display for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "xenstore {}", self.op)?;
        match self.op {
            Op::TRANSACTION_START | Op::TRANSACTION_END => Ok(()),
            // A text that was refused may hold anything, and a message is one line.
            _ => write!(f, " {}", self.text.escape_debug()),
        }
    }
}

fn refusal(payload: &[u8]) -> ErrorKind {
    let word = wire::strings(payload).next().unwrap_or(payload);
    match wire::errno(word) {
        Some(errno) => ErrorKind::Refused { errno },
        None => ErrorKind::Unknown { word: String::from_utf8_lossy(start(word)).into_owned() },
    }
}

/// Bytes from XenStore for a message: one short line.
fn shown(bytes: &[u8]) -> String {
    let start = start(bytes);
    let rest = if start.len() < bytes.len() {
        format!("... ({} bytes)", bytes.len())
    } else {
        String::new()
    };
    format!("{}{rest}", start.escape_ascii())
}

/// What a message shows of something that may be long.
fn start(bytes: &[u8]) -> &[u8] {
    bytes.get(..64).unwrap_or(bytes)
}
