//! The calls that no safe crate has: all `unsafe` of this library is here.
#![expect(unsafe_code, reason = "no safe crate has these")]

use std::os::fd::AsRawFd;

use socket2::{SockAddr, SockAddrStorage, Socket};

use super::error::{Error, ErrorKind};

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
    if status == 0 { Ok(()) } else { Err(std::io::Error::last_os_error().into()) }
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
