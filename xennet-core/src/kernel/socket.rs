use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use netlink_sys::SocketAddr;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{setsockopt, sockopt};
#[cfg(test)]
use socket2::SockRef;

use super::error::{Error, ErrorKind};
use super::syscall::receive_several;

/// A netlink socket that hears nobody but the kernel, and that never waits for ever.
pub(super) struct Socket {
    inner: netlink_sys::Socket,
    buffer: Vec<u8>,
}

/// What the kernel fills at most in one piece of a dump, and more than any one message here.
const BUFFER: usize = 32 * 1024;

/// The most that one of several datagrams may have that are received at once.
const SMALL: usize = 1024;

/// What any socket may send at once.
const USUAL: usize = 64 * 1024;

/// The kernel answers before `send` returns; this is for the answer that is lost.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

impl Socket {
    /// Opens a socket of this protocol (`NETLINK_*`) in the thread's network namespace that hears the multicast groups
    /// whose bits (`RTMGRP_*`) are set.
    pub(super) fn open(protocol: isize, groups: u32) -> Result<Self, Error> {
        let mut inner = netlink_sys::Socket::new(protocol)?;
        inner.set_ext_ack(true)?;
        if protocol == libc::NETLINK_ROUTE as isize {
            // Only rtnetlink filters its lists by what is asked for.
            inner.set_netlink_get_strict_chk(true)?;
        } else {
            // A refused batch would come back whole, once for each of its messages.
            inner.set_cap_ack(true)?;
        }
        // Who only asks is given an address with his first question.
        if groups != 0 {
            inner.bind(&SocketAddr::new(0, groups))?;
        }
        Ok(Self { inner, buffer: Vec::with_capacity(BUFFER) })
    }

    /// Makes room for a request of so many bytes: more than the socket may send at once is refused (`EMSGSIZE`).
    pub(super) fn make_room(&self, request: usize) -> Result<(), Error> {
        if request <= USUAL {
            return Ok(());
        }
        // An administrator of the network may have any room; others have as much as net.core.wmem_max says.
        setsockopt(&self.inner, sockopt::SndBufForce, &request)
            .or_else(|_| setsockopt(&self.inner, sockopt::SndBuf, &request))
            .map_err(|errno| Error::from(io::Error::from(errno)))
    }

    pub(super) fn send(&self, request: &[u8]) -> Result<(), Error> {
        loop {
            match self.inner.send_to(request, &SocketAddr::new(0, 0), 0) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
                // A datagram goes whole or not at all.
                Ok(_) => return Ok(()),
            }
        }
    }

    /// The next datagram from the kernel.
    pub(super) fn receive(&mut self, deadline: Instant) -> Result<&[u8], Error> {
        // The kernel answers before `send` returns, so there mostly is no need to wait.
        while !self.take(libc::MSG_TRUNC | libc::MSG_DONTWAIT)? {
            self.wait(deadline)?;
        }
        Ok(&self.buffer)
    }

    /// The next datagram from the kernel, if one is there already.
    pub(super) fn receive_now(&mut self) -> Result<Option<&[u8]>, Error> {
        Ok(self.take(libc::MSG_TRUNC | libc::MSG_DONTWAIT)?.then_some(self.buffer.as_slice()))
    }

    /// The next datagrams, at least one and as many as one call brings, each handed to `each`. None may have more than
    /// 1 KiB.
    pub(super) fn receive_several(
        &mut self,
        deadline: Instant,
        mut each: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.buffer.resize(8 * SMALL, 0);
        loop {
            let mut pieces: Vec<&mut [u8]> = self.buffer.chunks_exact_mut(SMALL).collect();
            match receive_several(self.inner.as_fd(), &mut pieces) {
                Ok(received) => {
                    return received.zip(pieces).try_for_each(|((length, from), piece)| {
                        match piece.get(..length) {
                            // Any privileged process can send to us; only the kernel is port 0.
                            _ if from != 0 => Ok(()),
                            Some(datagram) => each(datagram),
                            None => Err(truncated(length, SMALL)),
                        }
                    });
                }
                Err(error) if is_nothing(&error)? => self.wait(deadline)?,
                Err(_) => {}
            }
        }
    }

    /// Takes a datagram into the buffer; false when there is none.
    fn take(&mut self, flags: i32) -> Result<bool, Error> {
        loop {
            self.buffer.clear();
            match self.inner.recv_from(&mut self.buffer, flags) {
                Ok((_, from)) if from.port_number() != 0 => {}
                Ok((length, _)) if length > self.buffer.len() => {
                    return Err(truncated(length, self.buffer.len()));
                }
                Ok(_) => return Ok(true),
                Err(error) if is_nothing(&error)? => return Ok(false),
                Err(_) => {}
            }
        }
    }

    /// Waits until there is something; an error when the deadline comes first.
    fn wait(&self, deadline: Instant) -> Result<(), Error> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Error::of(ErrorKind::TimedOut, "the kernel gave no answer"));
        }
        // Rounded up, or the last part of a millisecond would be spent in asking again and again.
        let left = PollTimeout::try_from(left.as_millis().saturating_add(1));
        let mut this = [PollFd::new(self.inner.as_fd(), PollFlags::POLLIN)];
        match poll(&mut this, left.unwrap_or(PollTimeout::MAX)) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(io::Error::from(errno).into()),
        }
    }

    /// Reads what is there and forgets it, until there is nothing.
    pub(super) fn drain(&mut self, deadline: Instant) {
        while Instant::now() < deadline {
            self.buffer.clear();
            match self.inner.recv_from(&mut self.buffer, libc::MSG_DONTWAIT) {
                Ok(_) => {}
                // ENOBUFS is said once for each loss, and stands for nothing in the queue.
                Err(error) if matches!(error.raw_os_error(), Some(libc::EINTR | libc::ENOBUFS)) => {
                }
                Err(_) => return,
            }
        }
    }

    #[cfg(test)]
    pub(super) fn shrink(&self) {
        SockRef::from(&self.inner).set_recv_buffer_size(0).unwrap();
    }
}

/// Whether an error says that nothing is there; false for one that is none.
fn is_nothing(error: &io::Error) -> Result<bool, Error> {
    match error.raw_os_error() {
        Some(libc::EAGAIN) => Ok(true),
        Some(libc::EINTR) => Ok(false),
        Some(libc::ENOBUFS) => Err(Error::of(ErrorKind::Lost, "the kernel's answer was lost")),
        errno => Err(io::Error::from_raw_os_error(errno.unwrap_or(libc::EIO)).into()),
    }
}

fn truncated(length: usize, room: usize) -> Error {
    Error::of(ErrorKind::Truncated, format!("an answer of {length} bytes, room for {room}"))
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket").finish_non_exhaustive()
    }
}
