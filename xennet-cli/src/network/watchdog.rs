//! The process that takes an unconfirmed start back: nobody's child, on nobody's terminal.

use std::io::{Read, Write, stdin};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::thread::sleep;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use nix::unistd::{Pid, getppid, setsid};
use xennet_cli::log::{Severity, syslog};
use xennet_core::{Dom0Network, Error, Watch};

use crate::failure::Failure;
use crate::options::Options;

/// How long a start may take at most, apart from the gateways' answers: it waits 30 seconds for its turn.
const LIMIT: Duration = Duration::from_mins(2);
/// How often a rollback that fails is tried, and how long after each other.
const ATTEMPTS: u32 = 10;
const PAUSE: Duration = Duration::from_secs(1);

/// Waits until the start is confirmed, or must be taken back; takes it back.
pub(super) fn run(probe: Duration) -> Result<(), Failure> {
    let starter = Starter {
        process: getppid(),
        socket: UnixStream::from(stdin().as_fd().try_clone_to_owned()?),
    };
    match Watching::begin(LIMIT + probe.saturating_mul(2)) {
        Ok(watching) => watching.run(starter),
        // He tells it to whoever asked him.
        Err(failure) => {
            if let Failure::Usage(text) | Failure::Failed(text) = &failure {
                (&starter.socket).write_all(format!("{text}\n").as_bytes())?;
            }
            Err(failure)
        }
    }
}

/// Whoever starts, as long as he is at it.
struct Starter {
    process: Pid,
    socket: UnixStream,
}

/// All that the watchdog waits for.
struct Watching {
    net: Dom0Network,
    watch: Watch,
    files: Inotify,
    signals: SignalFd,
    timer: TimerFd,
}

/// What happened.
enum Event {
    Starter,
    Files,
    Signal,
    Deadline,
}

impl Watching {
    fn begin(limit: Duration) -> Result<Self, Failure> {
        // No hangup of the starter's terminal, and no Ctrl-C on it, reaches a session of its own.
        setsid().map_err(failed("begin a session"))?;
        // Those meant for all are blocked for ever; the one that asks to end is read.
        SigSet::all().thread_block().map_err(failed("block signals"))?;
        let mut end = SigSet::empty();
        end.add(Signal::SIGTERM);
        let signals =
            SignalFd::with_flags(&end, SfdFlags::SFD_CLOEXEC).map_err(failed("read signals"))?;
        let mut net = Options::network(true)?;
        let watch = net.host().watch()?;
        let files = Inotify::init(InitFlags::IN_CLOEXEC).map_err(failed("watch files"))?;
        files
            .add_watch(net.run_dir(), AddWatchFlags::IN_DELETE | AddWatchFlags::IN_MOVED_TO)
            .map_err(failed("watch files"))?;
        let timer = TimerFd::new(ClockId::CLOCK_BOOTTIME, TimerFlags::TFD_CLOEXEC)
            .map_err(failed("make a timer"))?;
        let watching = Self { net, watch, files, signals, timer };
        watching.set(limit)?;
        Ok(watching)
    }

    fn run(mut self, starter: Starter) -> Result<(), Failure> {
        (&starter.socket).write_all(Watch::READY)?;
        if let Some(why) = self.wait(starter)? {
            self.roll_back(&why);
        }
        self.watch.end();
        Ok(())
    }

    /// Why the start is to be taken back; none when it is not.
    fn wait(&mut self, starter: Starter) -> Result<Option<String>, Failure> {
        let mut starter = Some(starter);
        loop {
            let event = self.next(starter.as_ref())?;
            match (event, starter.take()) {
                (Event::Starter, Some(at_work)) => {
                    if !at_work.is_done() {
                        return Ok(Some(
                            "`xennet network start` ended before it was done".to_owned(),
                        ));
                    }
                    match self.left()? {
                        Some(left) => self.set(left)?,
                        None => return Ok(None),
                    }
                }
                (Event::Files, at_work) => {
                    self.files.read_events().map_err(failed("watch files"))?;
                    if at_work.is_none() && self.left()?.is_none() {
                        return Ok(None);
                    }
                    starter = at_work;
                }
                (Event::Deadline, None) => {
                    return Ok(Some("nobody confirmed it in time".to_owned()));
                }
                (Event::Deadline, Some(hung)) => {
                    hung.end();
                    return Ok(Some("`xennet network start` did not come to an end".to_owned()));
                }
                (Event::Signal, at_work) => {
                    if let Some(at_work) = at_work {
                        at_work.end();
                    }
                    return Ok(Some("its watchdog was told to end (SIGTERM)".to_owned()));
                }
                (Event::Starter, None) => {}
            }
        }
    }

    /// Waits for the next thing to happen.
    fn next(&self, starter: Option<&Starter>) -> Result<Event, Failure> {
        let on = |fd| PollFd::new(fd, PollFlags::POLLIN);
        // What was decided already goes first.
        let mut all =
            vec![on(self.files.as_fd()), on(self.signals.as_fd()), on(self.timer.as_fd())];
        all.extend(starter.map(|starter| on(starter.socket.as_fd())));
        loop {
            match poll(&mut all, PollTimeout::NONE) {
                Ok(_) => {}
                Err(Errno::EINTR) => continue,
                Err(errno) => return Err(failed("wait")(errno)),
            }
            let happened = all.iter().position(|fd| fd.any().unwrap_or(true));
            return Ok(match happened {
                Some(0) => Event::Files,
                Some(1) => Event::Signal,
                Some(2) => Event::Deadline,
                Some(_) => Event::Starter,
                None => continue,
            });
        }
    }

    /// How long the start that we watch may still be confirmed; none when it is decided.
    fn left(&mut self) -> Result<Option<Duration>, Error> {
        let unconfirmed = self.net.host().unconfirmed()?;
        let ours = unconfirmed.filter(|one| one.watchdog == std::process::id());
        Ok(ours.and_then(|ours| ours.left))
    }

    fn set(&self, left: Duration) -> Result<(), Failure> {
        // Zero would stop it.
        let left = left.max(Duration::from_nanos(1));
        self.timer
            .set(Expiration::OneShot(TimeSpec::from(left)), TimerSetTimeFlags::empty())
            .map_err(failed("set a timer"))
    }

    fn roll_back(&mut self, why: &str) {
        let us = std::process::id();
        for attempt in 1..=ATTEMPTS {
            match self.net.host().roll_back(us, why, attempt == ATTEMPTS) {
                Ok(None) => return,
                Ok(Some(plan)) => {
                    let count = plan.len();
                    let text =
                        format!("the network's start was rolled back ({count} changes): {why}");
                    syslog(Severity::Error, "xennet", text);
                    for warning in plan.warnings() {
                        syslog(Severity::Warning, "xennet", warning);
                    }
                    return;
                }
                Err(error) => {
                    let text = format!(
                        "take the network's start back, because {why}, attempt {attempt} of \
                         {ATTEMPTS}: {error}; `xennet network stop --force` tries it again"
                    );
                    syslog(Severity::Error, "xennet", text);
                    sleep(PAUSE);
                }
            }
        }
    }
}

impl Starter {
    /// Whether he said so; his end is the other thing that he can say.
    fn is_done(&self) -> bool {
        let mut said = [0; Watch::DONE.len()];
        (&self.socket).read_exact(&mut said).is_ok() && said == *Watch::DONE
    }

    /// Ends him, wherever he hangs: he holds the lock.
    fn end(&self) {
        // Once he is gone, our parent is another.
        if getppid() == self.process {
            let _ = kill(self.process, Signal::SIGKILL);
        }
        // His end of the socket goes last.
        let _ = (&self.socket).read_to_end(&mut Vec::new());
    }
}

fn failed(doing: &'static str) -> impl Fn(Errno) -> Failure {
    move |errno| Failure::Failed(format!("{doing}: {}", std::io::Error::from(errno)))
}
