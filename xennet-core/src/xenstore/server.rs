use std::fs::{self, Permissions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::memory::{ClientId, Store};
use super::wire::{Decoder, PAYLOAD_MAX};

/// A [`Store`] on a Unix socket: a XenStore for where there is none. One thread, one poll loop.
///
/// Whoever may open the socket acts as domain 0, as with xenstored: it belongs to its maker alone (mode 0600).
#[derive(Debug)]
pub struct Server {
    listener: UnixListener,
    path: PathBuf,
    store: Store,
    peers: Vec<Peer>,
    /// Cleared while the process has no descriptor left for another client.
    accepting: bool,
}

/// A connected client.
#[derive(Debug)]
struct Peer {
    stream: UnixStream,
    client: ClientId,
    decoder: Decoder,
    output: Vec<u8>,
    /// Requests have been read and wait until it reads their answers.
    behind: bool,
    gone: bool,
}

impl Server {
    /// Listens at this path. A socket that nobody serves any more is replaced; a served one is `AddrInUse`.
    pub fn bind(path: &Path) -> io::Result<Self> {
        let listener = match UnixListener::bind(path) {
            Err(e) if e.kind() == io::ErrorKind::AddrInUse && abandoned(path) => {
                fs::remove_file(path)?;
                UnixListener::bind(path)?
            }
            other => other?,
        };
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        Ok(Self {
            listener,
            path: path.to_owned(),
            store: Store::new(),
            peers: Vec::new(),
            accepting: true,
        })
    }

    /// Serves until `stop` becomes readable.
    pub fn run(&mut self, stop: impl AsFd) -> io::Result<()> {
        while !self.serve(None, Some(stop.as_fd()))? {}
        Ok(())
    }

    /// Serves what is there to be served; waits for it at most so long.
    pub fn poll(&mut self, timeout: Duration) -> io::Result<()> {
        self.serve(Some(timeout), None).map(drop)
    }

    /// True when `stop` is readable.
    fn serve(
        &mut self,
        timeout: Option<Duration>,
        stop: Option<BorrowedFd<'_>>,
    ) -> io::Result<bool> {
        let timeout = match timeout {
            // Its requests are with us: no descriptor will tell of them.
            _ if self.peers.iter().any(Peer::can_go_on) => PollTimeout::ZERO,
            Some(timeout) => timeout.as_millis().try_into().unwrap_or(PollTimeout::MAX),
            None => PollTimeout::NONE,
        };
        let listen = if self.accepting { PollFlags::POLLIN } else { PollFlags::empty() };
        let mut fds = vec![PollFd::new(self.listener.as_fd(), listen)];
        fds.extend(self.peers.iter().map(|peer| PollFd::new(peer.stream.as_fd(), peer.interest())));
        fds.extend(stop.map(|stop| PollFd::new(stop, PollFlags::POLLIN)));
        match poll(&mut fds, timeout) {
            Ok(_) => {}
            Err(Errno::EINTR) => return Ok(false),
            Err(errno) => return Err(errno.into()),
        }
        let ready: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(true)).collect();
        let mut ready = ready.into_iter();
        let knocked = ready.next() == Some(true);
        for (peer, ready) in self.peers.iter_mut().zip(ready.by_ref()) {
            if ready && peer.interest().contains(PollFlags::POLLIN) {
                peer.read();
            }
            peer.answer(&mut self.store);
        }
        let stopped = stop.is_some() && ready.next() == Some(true);
        if knocked {
            self.accept()?;
        }
        // What one asked for is an event for another, so each may have mail.
        for peer in &mut self.peers {
            peer.deliver(&mut self.store);
        }
        self.dismiss();
        Ok(stopped)
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(true)?;
                    self.peers.push(Peer::new(stream, self.store.connect(0)));
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e)
                    if matches!(
                        e.kind(),
                        io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted
                    ) => {}
                Err(e)
                    if matches!(e.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
                        && !self.peers.is_empty() =>
                {
                    self.accepting = false;
                    return Ok(());
                }
                Err(e) => return Err(e),
            }
        }
    }

    fn dismiss(&mut self) {
        for peer in self.peers.extract_if(.., |peer| peer.gone) {
            self.store.disconnect(peer.client);
            self.accepting = true;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Somebody may have removed it before us.
        let _ = fs::remove_file(&self.path);
    }
}

/// While a client leaves this much unread, in bytes, its requests wait.
const SLOW: usize = 64 * 1024;
/// A client that leaves this much unread, in bytes, is hung up on: others' changes, too, fill its mail.
const DEAF: usize = 4 * 1024 * 1024;

impl Peer {
    fn new(stream: UnixStream, client: ClientId) -> Self {
        let (decoder, output) = (Decoder::new(PAYLOAD_MAX), Vec::new());
        Self { stream, client, decoder, output, behind: false, gone: false }
    }

    fn interest(&self) -> PollFlags {
        let mut interest = PollFlags::empty();
        interest.set(PollFlags::POLLIN, self.output.len() < SLOW);
        interest.set(PollFlags::POLLOUT, !self.output.is_empty());
        interest
    }

    fn can_go_on(&self) -> bool {
        self.behind && self.output.len() < SLOW
    }

    fn read(&mut self) {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) => self.gone = true,
            Ok(length) => self.decoder.push(buffer.get(..length).unwrap_or_default()),
            Err(e) => {
                self.gone =
                    !matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted);
            }
        }
    }

    /// Answers what has been read, as far as the client takes the answers.
    fn answer(&mut self, store: &mut Store) {
        self.behind = true;
        while self.output.len() < SLOW && !self.gone {
            match self.decoder.packet() {
                Ok(Some(request)) => store.ask(self.client, &request),
                Ok(None) => {
                    self.behind = false;
                    return;
                }
                // Where the next packet starts is unknown from here on.
                Err(_) => self.gone = true,
            }
            self.collect(store);
            if self.output.len() >= SLOW {
                self.write();
            }
        }
    }

    fn deliver(&mut self, store: &mut Store) {
        self.collect(store);
        self.write();
        self.gone |= self.output.len() > DEAF;
    }

    fn collect(&mut self, store: &mut Store) {
        for packet in store.take(self.client) {
            packet.encode(&mut self.output);
        }
    }

    fn write(&mut self) {
        while !self.output.is_empty() && !self.gone {
            match self.stream.write(&self.output) {
                Ok(length) => drop(self.output.drain(..length)),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => self.gone = true,
            }
        }
    }
}

/// Whether this is a socket that nobody serves. A file refuses a connection in the same way.
fn abandoned(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket())
        && UnixStream::connect(path).is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused)
}
