use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use netlink_sys::SocketAddr;
use nix::sys::socket::{setsockopt, sockopt};
use socket2::SockRef;

use super::error::{Error, ErrorKind};

/// A netlink socket that hears nobody but the kernel, and that never waits for ever.
pub(super) struct Socket {
    inner: netlink_sys::Socket,
    buffer: Vec<u8>,
}

/// What the kernel fills at most in one piece of a dump, and more than any one message here.
const BUFFER: usize = 32 * 1024;

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
        let socket = Self { inner, buffer: Vec::with_capacity(BUFFER) };
        socket.set_timeout(ANSWER_TIMEOUT)?;
        Ok(socket)
    }

    /// How long one [`receive`](Self::receive) waits for something.
    pub(super) fn set_timeout(&self, timeout: Duration) -> Result<(), Error> {
        // The kernel takes zero for "for ever".
        let timeout = timeout.max(Duration::from_millis(1));
        Ok(SockRef::from(&self.inner).set_read_timeout(Some(timeout))?)
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
        self.receive_with(libc::MSG_TRUNC, Some(deadline))?;
        Ok(&self.buffer)
    }

    fn receive_with(&mut self, flags: i32, deadline: Option<Instant>) -> Result<(), Error> {
        loop {
            self.buffer.clear();
            match self.inner.recv_from(&mut self.buffer, flags) {
                // Any privileged process can send to us; only the kernel is port 0.
                Ok((_, from)) if from.port_number() != 0 => {}
                Ok((length, _)) if length > self.buffer.len() => {
                    return Err(Error::of(
                        ErrorKind::Truncated,
                        format!("an answer of {length} bytes, room for {}", self.buffer.len()),
                    ));
                }
                Ok(_) => return Ok(()),
                Err(error) => match error.raw_os_error() {
                    Some(libc::EINTR) => {}
                    Some(libc::EAGAIN) => {
                        return Err(Error::of(ErrorKind::TimedOut, "the kernel gave no answer"));
                    }
                    Some(libc::ENOBUFS) => {
                        return Err(Error::of(ErrorKind::Lost, "the kernel's answer was lost"));
                    }
                    _ => return Err(error.into()),
                },
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Err(Error::of(ErrorKind::TimedOut, "the kernel gave no answer"));
            }
        }
    }

    /// The next datagram from the kernel, if one is there already.
    pub(super) fn receive_now(&mut self) -> Result<Option<&[u8]>, Error> {
        match self.receive_with(libc::MSG_TRUNC | libc::MSG_DONTWAIT, None) {
            Ok(()) => Ok(Some(&self.buffer)),
            Err(error) if error.kind() == ErrorKind::TimedOut => Ok(None),
            Err(error) => Err(error),
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
