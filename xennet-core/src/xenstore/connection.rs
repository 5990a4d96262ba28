use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use super::error::ErrorKind;
use super::wire::{Decoder, HEADER, PAYLOAD_MAX, Packet};
use crate::errno::uninterrupted;

/// How much is read at once.
const ROOM: usize = 1024;

/// Packets to and from whatever serves XenStore here.
#[derive(Debug)]
pub(super) struct Connection {
    path: PathBuf,
    stream: Stream,
    timeout: Duration,
    /// When the operation that asks must have ended.
    pub(super) limit: Option<Instant>,
    decoder: Decoder,
}

#[derive(Debug)]
enum Stream {
    /// xenstored's own socket.
    Socket(UnixStream),
    /// The kernel's way to a xenstored in another domain.
    Device(File),
}

/// The most that is taken in as one answer, in bytes. The protocol says 4096, but oxenstored 4.17 answers on its socket
/// with a list of children in one packet however long it is: 23 KB for 500 of them.
const ANSWER_MAX: usize = 1024 * 1024;

impl Connection {
    /// Connects to a socket or opens a device, by what the file is; the errno when that fails.
    pub(super) fn open(path: &Path, timeout: Duration) -> Result<Self, i32> {
        let stream = dial(path, timeout).map(Stream::Socket).or_else(|e| {
            if fs::metadata(path)?.file_type().is_socket() {
                return Err(e);
            }
            File::options().read(true).write(true).open(path).map(Stream::Device)
        });
        let stream = stream.map_err(|e| number(&e))?;
        let decoder = Decoder::new(ANSWER_MAX);
        Ok(Self { path: path.to_owned(), stream, timeout, limit: None, decoder })
    }

    /// Where it leads.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// How long an answer may take; the errno when the system does not take it.
    pub(super) fn set_timeout(&mut self, timeout: Duration) -> Result<(), i32> {
        // To a socket, zero means for ever.
        let timeout = timeout.max(Duration::from_millis(1));
        if let Stream::Socket(socket) = &self.stream {
            limit(&SockRef::from(socket), timeout).map_err(|e| number(&e))?;
        }
        self.timeout = timeout;
        Ok(())
    }

    /// Whether many requests may be on their way at once.
    ///
    /// Not on the device: the kernel sends a request, later, from the very buffer that the next `write()` fills
    /// (`xenbus_dev_request_and_reply`).
    pub(super) fn pipelines(&self) -> bool {
        matches!(self.stream, Stream::Socket(_))
    }

    /// The most payload that a request may have, in bytes.
    pub(super) fn payload_max(&self) -> usize {
        match self.stream {
            Stream::Socket(_) => PAYLOAD_MAX,
            // The kernel's buffer holds the header as well.
            Stream::Device(_) => PAYLOAD_MAX - HEADER,
        }
    }

    /// Sends whole packets; a single one on the device, which takes one packet per `write()`.
    pub(super) fn send(&mut self, packets: &[u8]) -> Result<(), ErrorKind> {
        let sent = match &mut self.stream {
            Stream::Socket(socket) => socket.write_all(packets),
            Stream::Device(device) => device.write_all(packets),
        };
        sent.map_err(|e| match e.kind() {
            io::ErrorKind::WouldBlock => ErrorKind::TimedOut { after: self.timeout },
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => ErrorKind::Closed,
            _ => ErrorKind::System { errno: number(&e) },
        })
    }

    /// The next packet, which must have come by the time that the timeout after `asked` has passed.
    pub(super) fn receive(&mut self, asked: Instant) -> Result<Packet, ErrorKind> {
        let late = ErrorKind::TimedOut { after: self.timeout };
        loop {
            if let Some(packet) = self.received()? {
                return Ok(packet);
            }
            // The socket's own timeout starts anew with each byte; this one does not.
            let until_limit =
                self.limit.map(|limit| limit.saturating_duration_since(Instant::now()));
            let left = self.timeout.saturating_sub(asked.elapsed());
            let left = left.min(until_limit.unwrap_or(left));
            if left.is_zero() {
                return Err(late);
            }
            if !self.pipelines() && !self.wait(left)? {
                return Err(late);
            }
            if !self.fill()? {
                return Err(late);
            }
        }
    }

    /// The next packet of what has been read already.
    pub(super) fn received(&mut self) -> Result<Option<Packet>, ErrorKind> {
        self.decoder.packet().map_err(|oversize| ErrorKind::Protocol {
            what: format!("XenStore announced {oversize}"),
        })
    }

    /// Waits until there is something to read; false when nothing came in time.
    pub(super) fn wait(&self, timeout: Duration) -> Result<bool, ErrorKind> {
        let started = Instant::now();
        loop {
            let left = timeout.saturating_sub(started.elapsed());
            // Rounded up, so that the last fraction of a millisecond is not spent spinning.
            let millis = left.saturating_add(Duration::from_nanos(999_999)).as_millis();
            let millis = PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX);
            match poll(&mut [PollFd::new(self.as_fd(), PollFlags::POLLIN)], millis) {
                Ok(0) if started.elapsed() >= timeout => return Ok(false),
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => return Ok(true),
                Err(errno) => return Err(ErrorKind::System { errno: errno as i32 }),
            }
        }
    }

    /// Reads once what there is; false when the socket's timeout passed with nothing.
    pub(super) fn fill(&mut self) -> Result<bool, ErrorKind> {
        // A vif's keys are a few hundred bytes, and to clear more room than that costs more than to read them.
        let mut buffer = [0; ROOM];
        let read = match &mut self.stream {
            Stream::Socket(socket) => socket.read(&mut buffer),
            Stream::Device(device) => device.read(&mut buffer),
        };
        match read {
            Ok(0) => Err(ErrorKind::Closed),
            Ok(length) => {
                self.decoder.push(buffer.get(..length).unwrap_or_default());
                Ok(true)
            }
            Err(e) => match e.kind() {
                io::ErrorKind::Interrupted => Ok(true),
                io::ErrorKind::WouldBlock => Ok(false),
                io::ErrorKind::ConnectionReset => Err(ErrorKind::Closed),
                _ => Err(ErrorKind::System { errno: number(&e) }),
            },
        }
    }

    /// Hangs up, so that XenStore forgets our transactions and watches at once, and whoever polls wakes.
    pub(super) fn hang_up(&mut self) {
        if let Stream::Socket(socket) = &self.stream {
            // It fails only when the other side was first.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.stream {
            Stream::Socket(socket) => socket.as_fd(),
            Stream::Device(device) => device.as_fd(),
        }
    }
}

/// Connects to a socket. xenstored lets a single client wait, so that one that hangs makes the next ones hang as well.
fn dial(path: &Path, timeout: Duration) -> io::Result<UnixStream> {
    let socket = uninterrupted(|| Socket::new(Domain::UNIX, Type::STREAM, None))?;
    limit(&socket, timeout)?;
    let address = SockAddr::unix(path)?;
    // A process that was stopped and goes on is interrupted, where a socket has a timeout.
    match uninterrupted(|| socket.connect(&address)) {
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => Err(Errno::ETIMEDOUT.into()),
        connected => connected.map(|()| OwnedFd::from(socket).into()),
    }
}

fn limit(socket: &Socket, timeout: Duration) -> io::Result<()> {
    uninterrupted(|| socket.set_read_timeout(Some(timeout)))?;
    uninterrupted(|| socket.set_write_timeout(Some(timeout)))
}

fn number(error: &io::Error) -> i32 {
    // The one error that is not the system's own: the path does not fit into a socket's address.
    error.raw_os_error().unwrap_or(libc::ENAMETOOLONG)
}
