use std::time::Instant;

use netlink_sys::protocols::NETLINK_ROUTE;

use super::Kernel;
use super::answer::notifications;
use super::error::{Error, ErrorKind};
use super::link_decode;
use super::socket::Socket;
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
#[derive(Debug)]
struct LinkMonitor {
    socket: Socket,
}

impl LinkMonitor {
    fn open() -> Result<Self, Error> {
        Ok(Self { socket: Socket::open(NETLINK_ROUTE, libc::RTMGRP_LINK.cast_unsigned())? })
    }

    /// Waits until something may have happened to a link of this name; false when the deadline passes first.
    fn wait(&mut self, name: &IfName, deadline: Instant) -> Result<bool, Error> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            self.socket.set_timeout(left)?;
            let heard = match self.socket.receive(deadline) {
                Ok(datagram) => notifications(datagram, libc::RTM_NEWLINK)
                    .any(|body| link_decode::name(body) == Some(name.as_str().as_bytes())),
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
