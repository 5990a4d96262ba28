use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, BorrowedFd};
use std::thread::{JoinHandle, spawn};
use std::time::Duration;

use ipnet::IpNet;
use nix::sched::{CloneFlags, setns, unshare};
use xennet_core::demo::{add_address, configure_link};
use xennet_core::types::{IfName, MacAddr, VifId};

use super::ping::ping;

/// A guest: a network namespace.
pub(super) struct Guest {
    pub(super) id: VifId,
    pub(super) v4: IpAddr,
    pub(super) v6: IpAddr,
    network: File,
}

impl Guest {
    /// The guest of `id`, with nothing but a loopback.
    pub(super) fn start(id: VifId) -> io::Result<Self> {
        let network = end(spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET)?;
            File::open("/proc/thread-self/ns/net")
        }))?;
        let v4 = Ipv4Addr::new(192, 0, 2, host(id)).into();
        let v6 = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, host(id).into()).into();
        Ok(Self { id, v4, v6, network })
    }

    /// The guest's network namespace.
    pub(super) fn network(&self) -> BorrowedFd<'_> {
        self.network.as_fd()
    }

    /// Configures `eth0`, as the guest's own start-up does.
    pub(super) fn configure(&self) -> io::Result<()> {
        let (mac, addresses) = (self.mac(), [(self.v4, 24), (self.v6, 64)]);
        self.ask(move || {
            let nets = addresses.map(|(address, prefix)| IpNet::new(address, prefix));
            let nets: Vec<IpNet> =
                nets.into_iter().collect::<Result<_, _>>().map_err(io::Error::other)?;
            configure_link(eth0()?, mac, &nets).map_err(io::Error::other)
        })
    }

    /// The hardware address of `eth0`.
    pub(super) fn mac(&self) -> MacAddr {
        let text = format!("00:16:3e:00:00:{:02x}", host(self.id));
        text.parse().expect("a valid unicast address")
    }

    /// The time that the reply to a ping takes.
    pub(super) fn ping(&self, target: IpAddr) -> io::Result<Duration> {
        self.ask(move || ping(None, target, Duration::from_secs(10)))
    }

    /// Whether `target` answers pings from `source`, an address that the guest takes without being allowed to.
    pub(super) fn spoof(&self, source: IpAddr, target: IpAddr) -> io::Result<bool> {
        self.ask(move || {
            let net = IpNet::new(source, 24).map_err(io::Error::other)?;
            add_address(eth0()?, net).map_err(io::Error::other)?;
            match ping(Some(source), target, Duration::from_millis(500)) {
                Ok(_) => Ok(true),
                Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok(false),
                Err(error) => Err(error),
            }
        })
    }

    /// Has a thread of the guest do it.
    fn ask<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let network = self.network.try_clone()?;
        end(spawn(move || {
            setns(network, CloneFlags::CLONE_NEWNET)?;
            job()
        }))
    }
}

fn end<T>(thread: JoinHandle<io::Result<T>>) -> io::Result<T> {
    thread.join().map_err(|_| io::Error::other("the guest died"))?
}

fn eth0() -> io::Result<IfName> {
    "eth0".parse().map_err(io::Error::other)
}

fn host(id: VifId) -> u8 {
    u8::try_from(id.domid).unwrap_or(u8::MAX)
}
