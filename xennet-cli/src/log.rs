//! One line to syslog, where the stock scripts log too, and to standard error for whoever is watching.

use std::fmt::Display;
use std::io::{Write, stderr};
use std::sync::OnceLock;

use socket2::{Domain, SockAddr, Socket, Type};

/// The facility `daemon`, as a syslog priority.
const DAEMON: u8 = 3 << 3;

/// One for all lines; the end of the process closes it.
static SOCKET: OnceLock<Option<Socket>> = OnceLock::new();

/// How much a line matters, as a syslog severity.
#[derive(Debug, Clone, Copy)]
pub enum Severity {
    /// The call failed.
    Error = 3,
    /// The call succeeded, and something is wrong.
    Warning = 4,
    /// The call succeeded.
    Info = 6,
}

/// Tells syslog. A system without a syslog is none of our business, and no reason to fail.
pub fn syslog(severity: Severity, name: &str, text: impl Display) {
    // No number of a process that is gone when anybody reads this; a journal adds it all the same.
    let line = format!("<{}>{name}: {text}", DAEMON | severity as u8);
    // Never wait for a log daemon that does not read.
    let socket =
        SOCKET.get_or_init(|| Socket::new(Domain::UNIX, Type::DGRAM.nonblocking(), None).ok());
    if let (Some(socket), Ok(address)) = (socket, SockAddr::unix("/dev/log")) {
        let _ = socket.send_to(line.as_bytes(), &address);
    }
}

/// Tells standard error, as one line in one write: xl's own output is on the same terminal.
pub fn complain(name: &str, text: impl Display) {
    let _ = stderr().write_all(format!("{name}: {text}\n").as_bytes());
}
