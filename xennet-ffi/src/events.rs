use std::ffi::{CString, c_char, c_int, c_uint, c_void};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd};

use xennet_core::Monitor;
use xennet_core::types::{LinkRef, VifId};

use crate::boundary::{call, given};
use crate::c_text::{c_text, pointer};
use crate::error::Error;
use crate::net::Net;

/// Anything may be different: look at everything that you keep track of. It is the first event
/// of all, and comes again whenever more happened than could be told.
pub const XENNET_EVENT_EVERYTHING: c_int = 0;
/// A vif is different: something below its backend in XenStore (state, hotplug-status, ...), or
/// its interface, or its tap. xennet_event_domid() and xennet_event_devid() say which. Without
/// XenStore, only interfaces are heard of.
pub const XENNET_EVENT_VIF: c_int = 1;
/// An interface is new, or something of it is different: its name, MTU, address, bridge,
/// whether it is up, its carrier; what `ip monitor link` shows, but nothing of what is a port's
/// own within its bridge. xennet_event_ifname() and xennet_event_ifindex() say which. For an
/// interface of a vif, XENNET_EVENT_VIF comes as well.
pub const XENNET_EVENT_LINK: c_int = 2;
/// An interface is gone: deleted, or moved to another namespace. Otherwise as
/// XENNET_EVENT_LINK.
pub const XENNET_EVENT_LINK_GONE: c_int = 3;

/// A source of events for a poll loop, with connections of its own.
#[derive(Debug)]
pub struct Events {
    monitor: Monitor,
}

/// Something that happened. It says where to look again, not what is there: several changes may
/// be told as one.
#[derive(Debug)]
pub struct Event {
    kind: c_int,
    vif: Option<VifId>,
    link: Option<LinkRef>,
    ifname: Option<CString>,
}

/// Is told of one event, which lives until it returns. `user` is what xennet_events_dispatch()
/// was given.
pub type EventCallback = Option<extern "C" fn(event: &Event, user: *mut c_void)>;

impl Event {
    fn of_vif(kind: c_int, vif: VifId) -> Self {
        Self { kind, vif: Some(vif), link: None, ifname: None }
    }

    fn of_link(kind: c_int, link: LinkRef) -> Self {
        Self { kind, vif: None, ifname: Some(c_text(link.name.as_str())), link: Some(link) }
    }
}

impl From<xennet_core::Event> for Event {
    fn from(event: xennet_core::Event) -> Self {
        match event {
            xennet_core::Event::Vif(id) => Self::of_vif(XENNET_EVENT_VIF, id),
            xennet_core::Event::Link(link) => Self::of_link(XENNET_EVENT_LINK, link),
            xennet_core::Event::LinkGone(link) => Self::of_link(XENNET_EVENT_LINK_GONE, link),
            // What is new in the library and unknown here is covered by it, too.
            _ => Self { kind: XENNET_EVENT_EVERYTHING, vif: None, link: None, ifname: None },
        }
    }
}

/// Listens from now on: to all interfaces of the calling thread's network namespace and, when
/// `net` has one, to the backends of vifs in the same XenStore. `net` itself is not needed any
/// longer.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_events_open(
    net: Option<&Net>,
    events_r: Option<&mut MaybeUninit<Box<Events>>>,
    err_r: Option<&mut MaybeUninit<Box<Error>>>,
) -> c_int {
    call(err_r, || {
        let monitor = given(net, "net")?.network.monitor()?;
        given(events_r, "events_r")?.write(Box::new(Events { monitor }));
        Ok(())
    })
}

/// The descriptor to poll for POLLIN, the same for as long as `events` lives; -EINVAL for NULL.
/// Only poll it: with poll(2), select(2), epoll(7), GLib or libxl's event hooks,
/// level-triggered. Do not read or close it.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_events_fd(events: Option<&Events>) -> c_int {
    events.map_or(-libc::EINVAL, |events| events.monitor.as_fd().as_raw_fd())
}

/// Tells `callback` what has happened since the last call, each thing once; nothing when
/// nothing has. Never waits. Call it when the descriptor is readable, or at any other time.
///
/// The callback may use any function of this library, even xennet_events_free() on these
/// events: what was still to be told is told all the same. It must return: no longjmp(), no C++
/// exception.
///
/// After an error no more is heard: free `events` and open others. Their first event covers
/// what was missed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xennet_events_dispatch(
    events: *mut Events,
    callback: EventCallback,
    user: *mut c_void,
    err_r: Option<&mut MaybeUninit<Box<Error>>>,
) -> c_int {
    call(err_r, || {
        let callback = given(callback, "callback")?;
        // SAFETY: C passes NULL or events that live. No reference to them is left when the callback is called.
        let happened = given(unsafe { events.as_mut() }, "events")?.monitor.events()?;
        for event in happened {
            callback(&event.into(), user);
        }
        Ok(())
    })
}

/// Stops listening and frees it. NULL is fine.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_events_free(events: Option<Box<Events>>) {
    drop(events);
}

/// Which of XENNET_EVENT_ it is; -EINVAL for NULL. Take one that you do not know for
/// XENNET_EVENT_EVERYTHING: later versions may have more.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_event_kind(event: Option<&Event>) -> c_int {
    event.map_or(-libc::EINVAL, |event| event.kind)
}

/// The domain id of the vif that it is about; UINT32_MAX when it is about none.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_event_domid(event: Option<&Event>) -> u32 {
    event.and_then(|event| event.vif).map_or(u32::MAX, |id| id.domid.into())
}

/// The number within its guest of the vif that it is about; UINT32_MAX when it is about none.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_event_devid(event: Option<&Event>) -> u32 {
    event.and_then(|event| event.vif).map_or(u32::MAX, |id| id.devid)
}

/// The name of the interface that it is about, as it was then; NULL when it is about none. It
/// lives as long as the event.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_event_ifname(event: Option<&Event>) -> *const c_char {
    pointer(event.and_then(|event| event.ifname.as_ref()))
}

/// The index of the interface that it is about; 0 when it is about none.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_event_ifindex(event: Option<&Event>) -> c_uint {
    event.and_then(|event| event.link.as_ref()?.index).unwrap_or(0)
}
