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
use super::syscall::{AT_ONCE, receive_several};
use crate::errno::uninterrupted;

/// A netlink socket that hears nobody but the kernel, and that never waits for ever.
pub(super) struct Socket {
    inner: netlink_sys::Socket,
    /// Nothing is in it but what is being received: its capacity is what counts.
    buffer: Vec<u8>,
}

/// How many datagrams are received at once, and how long each may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// One answer or one piece of a list, of 32 KiB: the kernel fills no larger ones. Any other message has less.
    One,
    /// The pieces of a list: two, for the last one often is no more than the end of it.
    List,
    /// Eight, of 1 KiB: several short answers, side by side.
    Several,
    /// So many answers, of 4 KiB and at most six at once, and the pieces of a list after them.
    Before(usize),
}

/// What a piece of a list has at most.
const PIECE: usize = 32 * 1024;
const BUFFER: usize = 2 * PIECE + 6 * ANSWER;
/// What a single answer has at most, where it is one of several.
const ANSWER: usize = 4 * 1024;

/// A request that may well come back.
const SMALL: usize = 4 * 1024;

/// What any socket may send at once.
const USUAL: usize = 64 * 1024;

/// The kernel answers before `send` returns; this is for the answer that is lost.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// How many losses in succession are passed over: the kernel reports each once, and a kernel that reports them without end
/// is not asked again.
pub(super) const LOSSES: u32 = 16;

impl Socket {
    /// Opens a socket of this protocol (`NETLINK_*`) in the thread's network namespace that hears the multicast groups
    /// whose bits (`RTMGRP_*`) are set.
    pub(super) fn open(protocol: isize, groups: u32) -> Result<Self, Error> {
        let mut inner = uninterrupted(|| netlink_sys::Socket::new(protocol))?;
        uninterrupted(|| inner.set_ext_ack(true))?;
        if protocol == libc::NETLINK_ROUTE as isize {
            // Only rtnetlink filters its lists by what is asked for.
            uninterrupted(|| inner.set_netlink_get_strict_chk(true))?;
        }
        // Who only asks is given an address with his first question.
        if groups != 0 {
            uninterrupted(|| inner.bind(&SocketAddr::new(0, groups)))?;
        }
        Ok(Self { inner, buffer: Vec::new() })
    }

    /// Makes room for a request of so many bytes, which may be many messages, and for its answers.
    pub(super) fn make_room(&mut self, request: usize) -> Result<(), Error> {
        // A refused batch would come back whole, one message with each refusal.
        if request > SMALL {
            uninterrupted(|| self.inner.set_cap_ack(true))?;
        }
        // More than the socket may send at once is refused (`EMSGSIZE`).
        if request > USUAL {
            // An administrator of the network may have any room; others have as much as net.core.wmem_max says.
            setsockopt(&self.inner, sockopt::SndBufForce, &request)
                .or_else(|_| setsockopt(&self.inner, sockopt::SndBuf, &request))
                .map_err(|errno| Error::from(io::Error::from(errno)))?;
        }
        Ok(())
    }

    pub(super) fn send(&self, request: &[u8]) -> Result<(), Error> {
        // A datagram goes whole or not at all.
        // Without an address it goes to the kernel.
        uninterrupted(|| self.inner.send(request, 0))?;
        Ok(())
    }

    /// The next datagrams from the kernel, at least one and as many as one call brings, each handed to `each`.
    pub(super) fn receive(
        &mut self,
        room: Room,
        deadline: Instant,
        mut each: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        // The kernel answers before `send` returns, so there mostly is no need to wait.
        while !self.take(room, &mut each)? {
            self.wait(deadline)?;
        }
        Ok(())
    }

    /// The same for one datagram, if it is there already; false when there is none.
    pub(super) fn receive_now(
        &mut self,
        each: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<bool, Error> {
        self.take(Room::One, each)
    }

    /// Takes what is there; false when there is nothing.
    fn take(
        &mut self,
        room: Room,
        mut each: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<bool, Error> {
        // First so many of this size, then so many of that.
        let ((few, small), (count, size)) = match room {
            Room::One => ((0, 1), (1, PIECE)),
            Room::List => ((0, 1), (2, PIECE)),
            Room::Several => ((0, 1), (AT_ONCE, 1024)),
            Room::Before(answers @ ..=6) => ((answers, ANSWER), (2, PIECE)),
            Room::Before(_) => ((6, ANSWER), (0, PIECE)),
        };
        self.buffer.reserve(BUFFER);
        let mut taken = false;
        while !taken {
            let (first, rest) = self.buffer.spare_capacity_mut().split_at_mut(few * small);
            let first = first.chunks_exact_mut(small);
            let rooms = first.chain(rest.chunks_exact_mut(size).take(count));
            let datagrams = match receive_several(self.inner.as_fd(), rooms) {
                Ok(datagrams) => datagrams,
                Err(error) if is_nothing(&error)? => return Ok(false),
                Err(_) => continue,
            };
            // Any privileged process can send to us; only the kernel is port 0.
            for datagram in datagrams.filter(|datagram| datagram.from == 0) {
                if datagram.length > datagram.bytes.len() {
                    return Err(truncated(datagram.length, datagram.bytes.len()));
                }
                taken = true;
                each(datagram.bytes)?;
            }
        }
        Ok(true)
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
        let mut losses = 0;
        while Instant::now() < deadline && losses < LOSSES {
            match self.take(Room::Several, |_| Ok(())) {
                Ok(true) => {}
                // These are said once for each loss, and stand for nothing in the queue.
                Err(error) if matches!(error.kind(), ErrorKind::Lost | ErrorKind::Truncated) => {
                    losses += 1;
                }
                Ok(false) | Err(_) => return,
            }
        }
    }

    #[cfg(test)]
    pub(super) fn over(socket: std::os::fd::OwnedFd) -> Self {
        Self { inner: super::syscall::pretended(socket), buffer: Vec::new() }
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
