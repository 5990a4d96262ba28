//! Sends frames at one interface and receives them at another, by one thread: nothing is lost, and what it takes is all
//! that it takes, for the kernel carries a frame all the way within the call that sends it.
#![expect(unsafe_code, reason = "sendmmsg and recvmmsg of packet sockets have no safe form")]

use std::ffi::CString;
use std::fs;
use std::io::Error;
use std::mem::zeroed;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use crate::Result;

/// A packet socket at either end.
#[derive(Debug)]
pub struct Blaster {
    from: OwnedFd,
    to: OwnedFd,
}

/// As many as a socket's buffer holds, of any size.
const BATCH: usize = 32;

impl Blaster {
    /// Binds to two interfaces of the calling thread's namespace, for frames of this Ethertype.
    pub fn open(from: &str, to: &str, ethertype: u16) -> Result<Self> {
        Ok(Self { from: bound(from, ethertype)?, to: bound(to, ethertype)? })
    }

    /// Sends a frame so many times and receives it as often; how long a processor was busy with that.
    pub fn blast(&self, frame: &[u8], count: usize) -> Result<Duration> {
        let began = (Instant::now(), waited()?);
        let mut left = count;
        while left > 0 {
            let batch = left.min(BATCH);
            self.send(frame, batch)?;
            self.receive(batch)?;
            left -= batch;
        }
        let elapsed = began.0.elapsed();
        Ok(elapsed.saturating_sub(waited()?.saturating_sub(began.1)))
    }

    fn send(&self, frame: &[u8], count: usize) -> Result<()> {
        let mut vector =
            libc::iovec { iov_base: frame.as_ptr().cast_mut().cast(), iov_len: frame.len() };
        // SAFETY: a message header of zeros is one without address, data and control.
        let mut messages: [libc::mmsghdr; BATCH] = unsafe { zeroed() };
        for message in &mut messages {
            message.msg_hdr.msg_iov = &raw mut vector;
            message.msg_hdr.msg_iovlen = 1;
        }
        let mut sent = 0;
        while sent < count {
            let rest = messages.get_mut(sent..count).unwrap_or_default();
            // SAFETY: the headers, the vector and the frame outlive the call, which only reads the frame.
            let done = unsafe {
                libc::sendmmsg(
                    self.from.as_raw_fd(),
                    rest.as_mut_ptr(),
                    u32::try_from(rest.len())?,
                    0,
                )
            };
            sent += usize::try_from(done)
                .map_err(|_| format!("sendmmsg: {}", Error::last_os_error()))?;
        }
        Ok(())
    }

    fn receive(&self, count: usize) -> Result<()> {
        let began = Instant::now();
        let mut buffer = [0u8; 2048];
        let mut vector =
            libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        // SAFETY: as above. All messages go to the same buffer: nobody reads it.
        let mut messages: [libc::mmsghdr; BATCH] = unsafe { zeroed() };
        for message in &mut messages {
            message.msg_hdr.msg_iov = &raw mut vector;
            message.msg_hdr.msg_iovlen = 1;
        }
        let mut received = 0;
        while received < count {
            let rest = messages.get_mut(..count - received).unwrap_or_default();
            // SAFETY: the headers, the vector and the buffer outlive the call.
            let done = unsafe {
                let flags = libc::MSG_DONTWAIT;
                let length = u32::try_from(rest.len())?;
                libc::recvmmsg(
                    self.to.as_raw_fd(),
                    rest.as_mut_ptr(),
                    length,
                    flags,
                    std::ptr::null_mut(),
                )
            };
            match usize::try_from(done) {
                Ok(done) => received += done,
                // The kernel may have put the rest off to its own thread.
                Err(_) if began.elapsed() < Duration::from_secs(5) => std::thread::yield_now(),
                Err(_) => return Err(format!("{received} of {count} frames arrived").into()),
            }
        }
        Ok(())
    }
}

/// How long this thread has waited for a processor: /proc/thread-self/schedstat has it second, in nanoseconds.
fn waited() -> Result<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds = text.split_whitespace().nth(1).ok_or("schedstat has three numbers")?;
    Ok(Duration::from_nanos(nanoseconds.parse()?))
}

fn bound(name: &str, ethertype: u16) -> Result<OwnedFd> {
    let name = CString::new(name)?;
    // SAFETY: the name ends with a NUL.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    let protocol = ethertype.to_be();
    // SAFETY: no memory is involved; the descriptor, if there is one, is nobody else's. An address of zeros is a valid
    // one, and outlives the call that it is filled in for.
    unsafe {
        let fd =
            libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, i32::from(protocol));
        if fd < 0 {
            return Err(format!("packet socket: {}", Error::last_os_error()).into());
        }
        let fd = OwnedFd::from_raw_fd(fd);
        let mut address: libc::sockaddr_ll = zeroed();
        address.sll_family = u16::try_from(libc::AF_PACKET)?;
        address.sll_protocol = protocol;
        address.sll_ifindex = i32::try_from(index)?;
        let size = u32::try_from(size_of_val(&address))?;
        if libc::bind(fd.as_raw_fd(), (&raw const address).cast(), size) != 0 {
            return Err(format!("bind to {name:?}: {}", Error::last_os_error()).into());
        }
        Ok(fd)
    }
}
