//! The program's entry: what Rust's own would do, as far as it is of use here.
//!
//! Rust's own reads `/proc/self/maps` to find its stack's end, and makes another stack to say there that the first one
//! ran over: 18 of the system calls of a plug, and a tenth of its instructions. Here nothing recurses by what it is fed.

use std::ffi::{CStr, OsStr, OsString, c_char, c_int};
use std::os::fd::{BorrowedFd, IntoRawFd};
use std::os::unix::ffi::OsStrExt;

use nix::fcntl::{OFlag, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::sys::stat::Mode;

/// What the C library calls.
#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "there is no other function of this name")]
extern "C" fn main(count: c_int, arguments: *const *const c_char) -> c_int {
    crate::memory::begin();
    ignore_broken_pipes();
    open_standard_files();
    let code = crate::run(strings(count, arguments));
    // Nothing waits for the end of the process but what the kernel does then.
    // SAFETY: it ends at once, and runs nothing more.
    unsafe { libc::_exit(code.into()) }
}

/// The program's arguments: `std::env` knows them with glibc only, where this `main` stands for Rust's own.
#[expect(unsafe_code, reason = "C has them as an array of pointers")]
fn strings(count: c_int, array: *const *const c_char) -> impl Iterator<Item = OsString> {
    (0..usize::try_from(count).unwrap_or_default()).map(move |n| {
        // SAFETY: the C library has put that many strings there, and they stay.
        let string = unsafe { CStr::from_ptr(*array.add(n)) };
        OsStr::from_bytes(string.to_bytes()).to_owned()
    })
}

/// Whoever does not read what we print to the end must not end us in the midst of a change.
#[expect(unsafe_code, reason = "to ignore a signal runs no handler, and nothing else runs yet")]
fn ignore_broken_pipes() {
    let _ = unsafe { signal(Signal::SIGPIPE, SigHandler::SigIgn) };
}

/// A socket must not become what is later taken for standard error.
#[expect(
    unsafe_code,
    reason = "std's own are more than a number: to name them makes their buffers"
)]
fn open_standard_files() {
    // SAFETY: they are asked about, and nothing else; and that they may not be open is what is asked.
    let standard = |fd| unsafe { BorrowedFd::borrow_raw(fd) };
    let mut files = [0, 1, 2].map(|fd| PollFd::new(standard(fd), PollFlags::empty()));
    let _ = poll(&mut files, PollTimeout::ZERO);
    let closed =
        |file: &&PollFd<'_>| file.revents().is_some_and(|is| is.contains(PollFlags::POLLNVAL));
    for _ in files.iter().filter(closed) {
        // The lowest number that is free: theirs, and those of hooks. Without it nothing may be opened at all.
        match open("/dev/null", OFlag::O_RDWR, Mode::empty()) {
            Ok(null) => _ = null.into_raw_fd(),
            Err(_) => std::process::abort(),
        }
    }
}
