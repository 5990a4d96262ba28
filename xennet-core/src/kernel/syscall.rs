//! The calls that no safe crate has: all `unsafe` of this library is here.
#![expect(unsafe_code, reason = "no safe crate has these")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use socket2::{SockAddr, SockAddrStorage, Socket};

use super::error::{Error, ErrorKind};

/// Takes the datagrams that are there, one into each of `pieces` as far as they go: the length of each, which may be more
/// than there was room for, and the port of the netlink socket that sent it.
pub(super) fn receive_several(
    socket: BorrowedFd<'_>,
    pieces: &mut [&mut [u8]],
) -> io::Result<impl Iterator<Item = (usize, u32)> + use<>> {
    const AT_ONCE: usize = 8;
    // SAFETY: all three are numbers and pointers, for which zeros are valid.
    let (mut messages, mut rooms, mut senders): (
        [libc::mmsghdr; AT_ONCE],
        [libc::iovec; AT_ONCE],
        [libc::sockaddr_nl; AT_ONCE],
    ) = unsafe { std::mem::zeroed() };
    let mut count = 0;
    for (((message, room), sender), piece) in
        messages.iter_mut().zip(&mut rooms).zip(&mut senders).zip(pieces)
    {
        *room = libc::iovec { iov_base: piece.as_mut_ptr().cast(), iov_len: piece.len() };
        message.msg_hdr.msg_iov = room;
        message.msg_hdr.msg_iovlen = 1;
        message.msg_hdr.msg_name = (&raw mut *sender).cast();
        message.msg_hdr.msg_namelen = size_of::<libc::sockaddr_nl>().try_into().expect("12");
        count += 1;
    }
    #[expect(clippy::useless_conversion, reason = "musl has it without a sign")]
    let flags = (libc::MSG_DONTWAIT | libc::MSG_TRUNC).try_into().expect("small numbers");
    // SAFETY: the first `count` messages point each to one room, which is a piece that is borrowed until the end of the
    // call, and to one address, none of which moves.
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
    let lengths = messages.map(|message| usize::try_from(message.msg_len).unwrap_or(usize::MAX));
    let ports = senders.map(|sender| sender.nl_pid);
    Ok(lengths.into_iter().zip(ports).take(received))
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
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error().into()) }
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
