use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use netlink_sys::protocols::NETLINK_ROUTE;

use super::Kernel;
use super::answer::notifications;
use super::error::{Error, ErrorKind};
use super::link_decode;
use super::socket::{Room, Socket};
use crate::types::{IfName, Link};

impl Kernel {
    /// Waits until there is an interface of this name; none when the deadline passes first.
    ///
    /// One request when it is there already. Else it listens before it looks again, so that no moment is missed.
    pub fn wait_link(&mut self, name: &IfName, deadline: Instant) -> Result<Option<Link>, Error> {
        if let Some(link) = self.link(name)? {
            return Ok(Some(link));
        }
        let doing = |error: Error| error.doing(format!("monitor link for {name}"));
        let mut monitor = LinkMonitor::open().map_err(doing)?;
        loop {
            if let Some(link) = self.link(name)? {
                return Ok(Some(link));
            }
            if !monitor.wait(name, deadline).map_err(doing)? {
                return Ok(None);
            }
        }
    }
}

/// A socket that hears of every change to a link of its namespace. `ip monitor link`
///
/// What is a port's own is not told here (`bridge link set`, the state of the spanning tree), but that it joins or
/// leaves a bridge is.
#[derive(Debug)]
pub struct LinkMonitor {
    socket: Socket,
}

/// What a [`LinkMonitor`] heard.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkEvent {
    /// The interface is new, or something of it changed: this is what it is since.
    Changed(Link),
    /// The interface is gone: deleted, or moved to another namespace.
    Gone(Link),
    /// More happened than the socket could hold.
    Lost,
}

impl LinkMonitor {
    /// Listens in the calling thread's network namespace, from now on.
    pub fn open() -> Result<Self, Error> {
        Ok(Self { socket: Socket::open(NETLINK_ROUTE, libc::RTMGRP_LINK.cast_unsigned())? })
    }

    /// Hands what one datagram tells to `each`; false when there is none. Never waits.
    pub fn read(&mut self, mut each: impl FnMut(LinkEvent)) -> Result<bool, Error> {
        let heard = self.socket.receive_now(|datagram| {
            // A bridge tells of its ports in messages of its own family, and says "deleted" when a port merely leaves.
            let links = |kind| {
                notifications(datagram, kind)
                    .filter(|body| {
                        body.first().is_some_and(|family| i32::from(*family) == libc::AF_UNSPEC)
                    })
                    .filter_map(link_decode::link)
            };
            links(libc::RTM_NEWLINK).map(LinkEvent::Changed).for_each(&mut each);
            links(libc::RTM_DELLINK).map(LinkEvent::Gone).for_each(&mut each);
            Ok(())
        });
        match heard {
            Err(error) if matches!(error.kind(), ErrorKind::Lost | ErrorKind::Truncated) => {
                each(LinkEvent::Lost);
                Ok(true)
            }
            heard => heard.map_err(|error| error.doing("monitor links")),
        }
    }

    /// Waits until something may have happened to a link of this name; false when the deadline passes first.
    fn wait(&mut self, name: &IfName, deadline: Instant) -> Result<bool, Error> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            let mut named = false;
            let heard = self.socket.receive(Room::One, deadline, |datagram| {
                named |= notifications(datagram, libc::RTM_NEWLINK)
                    .any(|body| link_decode::name(body) == Some(name.as_str().as_bytes()));
                Ok(())
            });
            let heard = match heard {
                Ok(()) => named,
                // More happened than the socket could hold; this may have been among it.
                Err(error) if matches!(error.kind(), ErrorKind::Lost | ErrorKind::Truncated) => {
                    true
                }
                Err(error) if error.kind() == ErrorKind::TimedOut => false,
                Err(error) => return Err(error),
            };
            if heard {
                return Ok(true);
            }
        }
    }
}

impl AsFd for LinkMonitor {
    /// For a poll loop: readable when there is something to [`read`](Self::read).
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
