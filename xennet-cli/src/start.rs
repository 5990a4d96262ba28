//! The program's entry: what Rust's own would do, as far as it is of use here.
//!
//! Rust's own reads `/proc/self/maps` to find its stack's end, and makes another stack to say there that the first one
//! ran over: 18 of the system calls of a plug, and a tenth of its instructions. Here nothing recurses by what it is fed.

use std::ffi::{c_char, c_int};
use std::os::fd::{BorrowedFd, IntoRawFd};

use nix::fcntl::{OFlag, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::sys::stat::Mode;

/// What the C library calls. With the GNU one, `std::env` knows the arguments without this.
#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "there is no other function of this name")]
extern "C" fn main(_count: c_int, _arguments: *const *const c_char) -> c_int {
    crate::memory::begin();
    ignore_broken_pipes();
    open_standard_files();
    crate::run().into()
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
