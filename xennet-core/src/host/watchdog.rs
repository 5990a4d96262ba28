//! The process that takes a start back, as the one who starts sees it. Its own side is `xennet network watchdog`.

use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{Host, Trial, Watch};
use crate::Error;
use crate::engine::TIME_LIMIT;
use crate::plan::Plan;

impl Watch {
    /// Said by the watchdog on its standard input, a socket, once it is up.
    pub const READY: &'static [u8] = b"ready\n";
    /// Said to it once all is changed, and the time begins.
    pub const DONE: &'static [u8] = b"done\n";
}

impl Host<'_> {
    /// [Starts on trial](Self::start_on_trial) with a watchdog that is there before the first change: `xennet`, the
    /// command of that name, in the calling thread's network namespace.
    ///
    /// It is a child of this process, and given back to be waited for: it ends when the start is confirmed, stopped or
    /// taken back. When there is nothing to do, or the start fails, it has ended already.
    ///
    /// Should this call not come to an end within two minutes, the watchdog kills its process, which holds the lock, and
    /// takes back what was done.
    pub fn start_watched(
        &mut self,
        xennet: &Path,
        confirm: Duration,
        probe: Duration,
    ) -> Result<(Plan, Option<Child>), Error> {
        let (mut child, mut socket) = self.watchdog(xennet, probe)?;
        let watchdog = child.id();
        let trial = Trial { watchdog, confirm, probe };
        let gone = Error::Unwatched { watchdog };
        let started =
            self.start_on_trial(trial, || socket.write_all(Watch::DONE).map_err(|_| gone));
        // Unless it was told that all is done, this is the end of it.
        drop(socket);
        match started {
            Ok(plan) if !plan.is_empty() => Ok((plan, Some(child))),
            started => {
                // Where children are not waited for, there is nothing to wait for.
                let _ = child.wait();
                started.map(|plan| (plan, None))
            }
        }
    }

    fn watchdog(&self, xennet: &Path, probe: Duration) -> Result<(Child, UnixStream), Error> {
        let failed = |doing| move |source| Error::NoWatchdog { doing, source };
        let (socket, theirs) = UnixStream::pair().map_err(failed("make a socket"))?;
        let begin = || {
            Command::new(std::path::absolute(xennet)?)
                .arg0("xennet")
                .args(["network", "watchdog", "--probe-timeout", &probe.as_secs().to_string()])
                // It is elsewhere, so a relative one would be another.
                .env("XENNET_RUN_DIR", std::path::absolute(&self.context.paths.run)?)
                .current_dir("/")
                .stdin(OwnedFd::from(theirs))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
        };
        let mut child = begin().map_err(failed("start the watchdog"))?;
        if let Err(error) = ready(&socket) {
            let _ = child.kill();
            let _ = child.wait();
            return Err(failed("start the watchdog")(error));
        }
        Ok((child, socket))
    }
}

/// Waits until the watchdog is up; an error is what it says instead.
fn ready(socket: &UnixStream) -> io::Result<()> {
    socket.set_read_timeout(Some(TIME_LIMIT))?;
    let mut said = String::new();
    BufReader::new(socket).read_line(&mut said)?;
    match said.trim() {
        _ if said.as_bytes() == Watch::READY => Ok(()),
        "" => Err(io::Error::other("it ended without a word; is this the xennet command?")),
        said => Err(io::Error::other(said.to_owned())),
    }
}
