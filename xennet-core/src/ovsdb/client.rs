use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use socket2::{Domain, SockAddr, Socket, Type};

use super::error::{Error, ErrorKind};
use super::framing::{Broken, Framing};
use crate::errno::uninterrupted;

/// A connection to the database of Open vSwitch.
///
/// It is given up when an answer is late or is no answer: then everything fails until a new one is made.
#[derive(Debug)]
pub struct Ovsdb {
    stream: UnixStream,
    framing: Framing,
    next_id: u64,
    broken: bool,
}

/// How long the database itself may take to answer. It does so at once, or not at all.
const PATIENCE: Duration = Duration::from_secs(5);

impl Ovsdb {
    /// Where Open vSwitch's own tools look for it.
    pub const SOCKET: &'static str = "/run/openvswitch/db.sock";

    /// Connects to the database at this socket.
    pub fn connect(socket: &Path) -> Result<Self, Error> {
        open(socket).map(Self::over).map_err(|error| {
            let errno = error.raw_os_error().unwrap_or(libc::EIO);
            let kind = ErrorKind::Absent { socket: PathBuf::from(socket), errno };
            Error::new("ovs-vsctl", kind)
        })
    }

    fn over(stream: UnixStream) -> Self {
        Self { stream, framing: Framing::default(), next_id: 0, broken: false }
    }

    /// Whether a new connection is needed.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// Carries out the operations, all or none. The results, one for each.
    pub(super) fn transact(
        &mut self,
        doing: &str,
        operations: &[Value],
    ) -> Result<Vec<Value>, Error> {
        let mut params = vec![json!("Open_vSwitch")];
        params.extend_from_slice(operations);
        let result = self.call(doing, "transact", &json!(params))?;
        let Value::Array(results) = result else {
            return Err(self.strange(doing, &result));
        };
        // An operation's error stands in its place, and those behind it are null; what only the commit finds, such as a
        // violated constraint, comes on top.
        match results.iter().position(|result| result.get("error").is_some_and(|e| !e.is_null())) {
            Some(at) => Err(refused(doing, &results, at)),
            None if results.len() == operations.len() => Ok(results),
            None => Err(self.strange(doing, &Value::Array(results))),
        }
    }

    /// Waits until the columns of the rows of a table are as they shall be, and gives those that are: `found` sees each
    /// row that there is, and each that changes. None when the time is over.
    pub(super) fn watch<T>(
        &mut self,
        doing: &str,
        (table, columns): (&str, &[&str]),
        deadline: Instant,
        mut found: impl FnMut(&Value) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let params = json!(["Open_vSwitch", "watch", { table: { "columns": columns } }]);
        let mut update = self.call(doing, "monitor", &params)?;
        let outcome = loop {
            let rows = update.get(table).and_then(Value::as_object);
            let news = rows.into_iter().flat_map(|rows| rows.values());
            if let Some(found) = news.filter_map(|row| row.get("new")).find_map(&mut found) {
                break Some(found);
            }
            let Some(message) = self.receive(doing, deadline)? else { break None };
            update = match message.get("method").and_then(Value::as_str) {
                Some("update") => message.pointer("/params/1").cloned().unwrap_or_default(),
                _ => Value::Null,
            };
        };
        self.call(doing, "monitor_cancel", &json!(["watch"]))?;
        Ok(outcome)
    }

    /// Asks, and waits for the answer. Updates that come before it are nobody's.
    fn call(&mut self, doing: &str, method: &str, params: &Value) -> Result<Value, Error> {
        if self.broken {
            return Err(Error::new(doing, ErrorKind::Closed));
        }
        let id = self.next_id;
        self.next_id += 1;
        let deadline = Instant::now() + PATIENCE;
        self.send(doing, &json!({ "method": method, "params": params, "id": id }), deadline)?;
        loop {
            let Some(mut message) = self.receive(doing, deadline)? else {
                return Err(self.give_up(doing, ErrorKind::TimedOut { after: PATIENCE }));
            };
            if message.get("id") != Some(&json!(id)) {
                continue;
            }
            match message.get("error").filter(|error| !error.is_null()) {
                None => return Ok(message.get_mut("result").map(Value::take).unwrap_or_default()),
                Some(error) => {
                    let (error, details) = words(error);
                    return Err(Error::new(doing, ErrorKind::Refused { error, details }));
                }
            }
        }
    }

    /// The next message that is no echo; none when the time is over.
    fn receive(&mut self, doing: &str, deadline: Instant) -> Result<Option<Value>, Error> {
        loop {
            let next = self.framing.next();
            match next {
                Ok(Some(bytes)) => {
                    let Ok(message) = serde_json::from_slice::<Value>(&bytes) else {
                        let text = String::from_utf8_lossy(&bytes).into_owned();
                        return Err(self.strange(doing, &Value::String(text)));
                    };
                    if message.get("method").is_none_or(|method| method != "echo") {
                        return Ok(Some(message));
                    }
                    let (id, params) = (message.get("id"), message.get("params"));
                    let answer = json!({ "id": id, "result": params, "error": null });
                    self.send(doing, &answer, deadline)?;
                    continue;
                }
                Ok(None) => {}
                Err(broken) => {
                    let what = match broken {
                        Broken::NoValue => "neither an object nor an array".to_owned(),
                        Broken::TooLong => format!("more than {} bytes", Framing::LONGEST),
                    };
                    return Err(self.give_up(doing, ErrorKind::Protocol { what }));
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            let mut piece = [0; 4096];
            let read = self.stream.set_read_timeout(Some(left));
            match read.and_then(|()| self.stream.read(&mut piece)) {
                Ok(0) => return Err(self.give_up(doing, ErrorKind::Closed)),
                Ok(n) => self.framing.feed(piece.get(..n).unwrap_or_default()),
                Err(error) if again(&error) => {}
                Err(error) => return Err(self.lost(doing, &error)),
            }
        }
    }

    fn send(&mut self, doing: &str, message: &Value, deadline: Instant) -> Result<(), Error> {
        let text = message.to_string();
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(self.give_up(doing, ErrorKind::TimedOut { after: PATIENCE }));
            }
            let set = self.stream.set_write_timeout(Some(left));
            match set.and_then(|()| self.stream.write(rest)) {
                Ok(n) => rest = rest.get(n..).unwrap_or_default(),
                Err(error) if again(&error) => {}
                Err(error) => return Err(self.lost(doing, &error)),
            }
        }
        Ok(())
    }

    fn lost(&mut self, doing: &str, error: &io::Error) -> Error {
        let kind = match error.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => ErrorKind::Closed,
            _ => ErrorKind::System { errno: error.raw_os_error().unwrap_or(libc::EIO) },
        };
        self.give_up(doing, kind)
    }

    pub(super) fn strange(&mut self, doing: &str, said: &Value) -> Error {
        let mut what = said.to_string();
        what.truncate(what.floor_char_boundary(200));
        self.give_up(doing, ErrorKind::Protocol { what })
    }

    fn give_up(&mut self, doing: &str, kind: ErrorKind) -> Error {
        let error = Error::new(doing, kind);
        self.broken |= !error.spares_connection();
        error
    }
}

/// A Unix socket connects at once, or waits for room in the other side's queue: no longer than we have patience.
fn open(path: &Path) -> io::Result<UnixStream> {
    let socket = uninterrupted(|| Socket::new(Domain::UNIX, Type::STREAM, None))?;
    let address = SockAddr::unix(path)?;
    uninterrupted(|| socket.set_write_timeout(Some(PATIENCE)))?;
    uninterrupted(|| socket.connect(&address))?;
    Ok(socket.into())
}

fn again(error: &io::Error) -> bool {
    // Whether the time is over is for the caller's clock to say.
    matches!(
        error.kind(),
        io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

fn refused(doing: &str, results: &[Value], at: usize) -> Error {
    let (error, details) = results.get(at).map(words).unwrap_or_default();
    Error::new(doing, ErrorKind::Refused { error, details })
}

/// What an error object says: its word, and its explanation. An error that is no object is its own word.
fn words(error: &Value) -> (String, String) {
    let text = |key| error.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    match error.get("error") {
        Some(_) => (text("error"), text("details")),
        None => (error.as_str().map_or_else(|| error.to_string(), str::to_owned), String::new()),
    }
}
