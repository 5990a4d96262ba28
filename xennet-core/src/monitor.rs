use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::kernel::{LinkEvent, LinkMonitor};
use crate::plan::VifTarget;
use crate::types::{LinkRef, VifId};
use crate::xenstore::XenStore;
use crate::{Dom0Network, Error};

/// Hears of every change to a vif or an interface, for a poll loop. It has connections of its own.
///
/// An event says where to look again, not what is there: several changes may be told as one.
#[derive(Debug)]
pub struct Monitor {
    links: LinkMonitor,
    store: Option<XenStore>,
    /// Readable when one of the others is.
    ready: Epoll,
    /// Readable when there is something to tell that lies in our own memory, where no descriptor tells of it.
    more: EventFd,
    begun: bool,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Event {
    /// Anything may be different: the first event of all, and again whenever more happened than could be told.
    Everything,
    /// A vif: something below its backend in XenStore, or its interface, or its tap.
    Vif(VifId),
    /// An interface is new, or something of it changed: `ip monitor link`. One of a vif is told as that, too.
    Link(LinkRef),
    /// An interface is gone, from this namespace at least.
    LinkGone(LinkRef),
}

/// What is told at once, at most about: nobody shall be kept from the rest of his work by a storm.
const BATCH: usize = 256;

/// XenStore sends it along with its answer, or never.
const CONFIRMATION: Duration = Duration::from_secs(1);

/// Where the backends of this domain's vifs are. Guests cannot write there.
const BACKENDS: &str = "backend/vif";

impl Dom0Network {
    /// Listens for changes from now on: to interfaces of the calling thread's network namespace and, unless this is
    /// without XenStore, to the backends of vifs.
    ///
    /// An error when the kernel gives no socket, or XenStore no second connection.
    pub fn monitor(&self) -> Result<Monitor, Error> {
        Monitor::open(self.store())
    }
}

impl Monitor {
    fn open(store: Option<&XenStore>) -> Result<Self, Error> {
        let links = LinkMonitor::open().map_err(|error| error.doing("monitor links"))?;
        let mut store = store.map(XenStore::reopen).transpose()?;
        if let Some(store) = &mut store {
            store.watch(BACKENDS, "xennet")?;
            // XenStore confirms a watch with an event, which would say what our own first one says.
            store.next_event(CONFIRMATION)?;
        }
        let system = |errno: Errno| Error::System { doing: "monitor", errno: errno as i32 };
        let ready = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(system)?;
        // Readable at once: the first event is there to be told.
        let more = EventFd::from_value_and_flags(1, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
            .map_err(system)?;
        let add = |fd: BorrowedFd<'_>| {
            ready.add(fd, EpollEvent::new(EpollFlags::EPOLLIN, 0)).map_err(system)
        };
        add(links.as_fd())?;
        add(more.as_fd())?;
        store.as_ref().map_or(Ok(()), |store| add(store.as_fd()))?;
        Ok(Self { links, store, ready, more, begun: false })
    }

    /// What has happened since the last call, each thing once; nothing when nothing has. Never waits.
    ///
    /// [`Event::Everything`] comes alone. After an error, open another one: its first event covers what was missed.
    pub fn events(&mut self) -> Result<Vec<Event>, Error> {
        // It fails only when it is not readable, which is as good.
        let _ = self.more.read();
        let mut events = Events(Vec::new());
        if !self.begun {
            self.begun = true;
            events.push(Event::Everything);
        }
        for _ in 0..BATCH {
            if !self.links.read(|event| events.push_link(&event))? {
                break;
            }
        }
        if let Some(store) = &mut self.store {
            let mut left = BATCH;
            while let Some(event) = store.next_event(Duration::ZERO)? {
                events.push(backend(&event.path));
                left -= 1;
                if left == 0 {
                    // It fails only when it is readable already.
                    let _ = self.more.write(1);
                    break;
                }
            }
        }
        Ok(events.0)
    }
}

impl AsFd for Monitor {
    /// For a poll loop: readable when [`events`](Monitor::events) has something to tell.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ready.0.as_fd()
    }
}

struct Events(Vec<Event>);

impl Events {
    fn push(&mut self, event: Event) {
        if event == Event::Everything {
            self.0 = vec![event];
        } else if self.0.first() != Some(&Event::Everything) {
            // Of the same thing twice the last counts: an interface may have gone in between.
            self.0.retain(|other| *other != event);
            self.0.push(event);
        }
    }

    fn push_link(&mut self, event: &LinkEvent) {
        match event {
            LinkEvent::Changed(link) => self.push(Event::Link(link.reference())),
            LinkEvent::Gone(link) => self.push(Event::LinkGone(link.reference())),
            LinkEvent::Lost => self.push(Event::Everything),
        }
        if let LinkEvent::Changed(link) | LinkEvent::Gone(link) = event
            && let Some((id, _)) = VifTarget::of(link)
        {
            self.push(Event::Vif(id));
        }
    }
}

/// Which vif a change in XenStore concerns; all of them when a directory came or went that holds several.
fn backend(path: &str) -> Event {
    let mut names = path.strip_prefix(BACKENDS).unwrap_or_default().split('/').skip(1);
    match (names.next(), names.next()) {
        (Some(domid), Some(devid)) => match format!("{domid}.{devid}").parse() {
            Ok(id) => Event::Vif(id),
            Err(_) => Event::Everything,
        },
        _ => Event::Everything,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_vif_a_path_concerns() {
        let vif = Event::Vif(VifId { domid: 3, devid: 0 });
        for (path, event) in [
            ("backend/vif/3/0", &vif),
            ("backend/vif/3/0/hotplug-status", &vif),
            ("backend/vif/3", &Event::Everything),
            ("backend/vif", &Event::Everything),
            ("backend", &Event::Everything),
            ("backend/vif/x/0", &Event::Everything),
            ("", &Event::Everything),
        ] {
            assert_eq!(backend(path), *event, "{path}");
        }
    }

    #[test]
    fn everything_comes_alone_and_everything_else_once() {
        let (vif, link) = (
            Event::Vif(VifId { domid: 3, devid: 0 }),
            Event::Link(LinkRef { index: Some(1), name: "lo".parse().unwrap() }),
        );
        let mut events = Events(Vec::new());
        for event in [&vif, &link, &vif] {
            events.push(event.clone());
        }
        assert_eq!(events.0, [link.clone(), vif.clone()]);
        for event in [Event::Everything, vif, link] {
            events.push(event);
        }
        assert_eq!(events.0, [Event::Everything]);
    }
}
