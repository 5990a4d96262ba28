//! The calls that no safe crate has: all `unsafe` of this library is here.
#![expect(unsafe_code, reason = "no safe crate has these")]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};

use socket2::{SockAddr, SockAddrStorage, Socket};

use super::error::{Error, ErrorKind};
use crate::errno::uninterrupted;

/// A datagram that was received.
pub(super) struct Datagram<'a> {
    /// As much of it as there was room for.
    pub(super) bytes: &'a [u8],
    /// How much it had.
    pub(super) length: usize,
    /// The port of the netlink socket that sent it.
    pub(super) from: u32,
}

/// The most datagrams that are received at once.
pub(super) const AT_ONCE: usize = 16;

/// Takes the datagrams that are there, each into one of these rooms, as far as they go.
pub(super) fn receive_several<'a>(
    socket: BorrowedFd<'_>,
    rooms: impl Iterator<Item = &'a mut [MaybeUninit<u8>]>,
) -> io::Result<impl Iterator<Item = Datagram<'a>>> {
    // SAFETY: all three are numbers and pointers, for which zeros are valid.
    let (mut messages, mut vectors, mut senders): (
        [libc::mmsghdr; AT_ONCE],
        [libc::iovec; AT_ONCE],
        [libc::sockaddr_nl; AT_ONCE],
    ) = unsafe { std::mem::zeroed() };
    let mut count = 0;
    for (((message, vector), sender), room) in
        messages.iter_mut().zip(&mut vectors).zip(&mut senders).zip(rooms)
    {
        *vector = libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: room.len() };
        message.msg_hdr.msg_iov = vector;
        message.msg_hdr.msg_iovlen = 1;
        message.msg_hdr.msg_name = (&raw mut *sender).cast();
        message.msg_hdr.msg_namelen = size_of::<libc::sockaddr_nl>().try_into().expect("12");
        count += 1;
    }
    #[expect(clippy::useless_conversion, reason = "musl has it without a sign")]
    let flags = (libc::MSG_DONTWAIT | libc::MSG_TRUNC).try_into().expect("small numbers");
    // SAFETY: the first `count` messages point each to one room, which is borrowed for longer than the call, and to one
    // address, none of which moves.
    let received = unsafe {
        libc::recvmmsg(
            socket.as_raw_fd(),
            messages.as_mut_ptr(),
            count,
            flags,
            std::ptr::null_mut(),
        )
    };
    let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
    let all = messages.into_iter().zip(vectors).zip(senders).take(received);
    Ok(all.map(|((message, room), sender)| {
        let length = usize::try_from(message.msg_len).unwrap_or(usize::MAX);
        let start = room.iov_base.cast::<u8>().cast_const();
        // SAFETY: the kernel has written that much into this room, which is borrowed for `'a` and is nobody else's.
        let bytes = unsafe { std::slice::from_raw_parts(start, length.min(room.iov_len)) };
        Datagram { bytes, length, from: sender.nl_pid }
    }))
}

/// A netlink socket that is another one in truth, whose other end the test has.
#[cfg(test)]
pub(super) fn pretended(socket: std::os::fd::OwnedFd) -> netlink_sys::Socket {
    use std::os::fd::{FromRawFd, IntoRawFd};
    // SAFETY: nobody else has the descriptor.
    unsafe { netlink_sys::Socket::from_raw_fd(socket.into_raw_fd()) }
}

/// Reads a socket option into a buffer.
pub(super) fn socket_option(
    socket: &Socket,
    level: libc::c_int,
    option: libc::c_int,
    buffer: &mut [u8],
) -> Result<(), Error> {
    let mut length = libc::socklen_t::try_from(buffer.len())
        .map_err(|_| Error::of(ErrorKind::Malformed, "an answer of more than 4 GiB"))?;
    uninterrupted(|| {
        // SAFETY: the kernel writes at most `length` bytes, which is how long `buffer` is; both outlive the call.
        let status = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                level,
                option,
                buffer.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    })?;
    Ok(())
}

/// Where a packet socket sends to: the interface with this index.
pub(super) fn packet_address(index: u32) -> SockAddr {
    let mut storage = SockAddrStorage::zeroed();
    // SAFETY: a `sockaddr_ll` is one of the addresses that the storage is for.
    let address = unsafe { storage.view_as::<libc::sockaddr_ll>() };
    address.sll_family = libc::AF_PACKET.unsigned_abs().try_into().expect("a small number");
    address.sll_ifindex = index.cast_signed();
    let length = size_of::<libc::sockaddr_ll>().try_into().expect("a small number");
    // SAFETY: the storage holds an address of that family and length, for zeros are valid in all else of it.
    unsafe { SockAddr::new(storage, length) }
}
