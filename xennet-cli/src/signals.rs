//! Signals that ask to end, which must not end a change of the host's network in the middle.

use nix::sys::signal::{SigSet, SigmaskHow, Signal};

/// Runs `change`. A hangup, Ctrl-C or a request to end takes effect after it.
///
/// Programs that it starts are not concerned: std starts them without blocked signals.
pub(crate) fn after<T>(change: impl FnOnce() -> T) -> T {
    let mut ends = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        ends.add(signal);
    }
    let before = ends.thread_swap_mask(SigmaskHow::SIG_BLOCK);
    let done = change();
    if let Ok(before) = before {
        let _ = before.thread_set_mask();
    }
    done
}
