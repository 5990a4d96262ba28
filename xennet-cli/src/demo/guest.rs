use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use ipnet::IpNet;
use nix::sched::{CloneFlags, unshare};
use xennet_core::kernel::Kernel;
use xennet_core::types::{Address, AddressFlags, IfName, LinkRef, LinkSet, VifId};

use super::ping::ping;

/// A guest: a thread in a network namespace of its own, which does what it is asked.
pub(super) struct Guest {
    pub(super) id: VifId,
    pub(super) v4: IpAddr,
    pub(super) v6: IpAddr,
    network: File,
    requests: Sender<Request>,
}

struct Request {
    job: Box<dyn FnOnce() -> io::Result<Duration> + Send>,
    answer: Sender<io::Result<Duration>>,
}

impl Guest {
    /// Starts the guest of `id`, with nothing but a loopback.
    pub(super) fn start(id: VifId) -> io::Result<Self> {
        let (requests, inbox) = channel();
        let (ready, network) = channel();
        std::thread::spawn(move || {
            let entered = unshare(CloneFlags::CLONE_NEWNET).map_err(io::Error::from);
            let opened = entered.and_then(|()| File::open("/proc/thread-self/ns/net"));
            if ready.send(opened).is_ok() {
                serve(&inbox);
            }
        });
        let network = network.recv().map_err(io::Error::other)??;
        let v4 = Ipv4Addr::new(192, 0, 2, host(id)).into();
        let v6 = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, host(id).into()).into();
        Ok(Self { id, v4, v6, network, requests })
    }

    /// The guest's network namespace.
    pub(super) fn network(&self) -> BorrowedFd<'_> {
        self.network.as_fd()
    }

    /// What the guest's own start-up does: addresses on `eth0`, and up.
    pub(super) fn configure(&self) -> io::Result<()> {
        let addresses = [(self.v4, 24), (self.v6, 64)];
        self.ask(move || {
            let mut kernel = Kernel::open().map_err(io::Error::other)?;
            let eth0: IfName = "eth0".parse().map_err(io::Error::other)?;
            let link = LinkRef { index: None, name: eth0 };
            kernel.link_set(&link, &LinkSet::Up(true)).map_err(io::Error::other)?;
            for (address, prefix) in addresses {
                let mut address =
                    Address::new(IpNet::new(address, prefix).map_err(io::Error::other)?);
                // Nobody else is here, and a guest that waits for that to be proven cannot answer yet.
                address.flags = AddressFlags::NODAD;
                kernel.address_add(&link, &address).map_err(io::Error::other)?;
            }
            Ok(Duration::ZERO)
        })
        .map(drop)
    }

    /// How long the guest waits for the answer to a ping.
    pub(super) fn ping(&self, target: IpAddr) -> io::Result<Duration> {
        self.ask(move || ping(target, Duration::from_secs(10)))
    }

    fn ask(
        &self,
        job: impl FnOnce() -> io::Result<Duration> + Send + 'static,
    ) -> io::Result<Duration> {
        let (answer, answered) = channel();
        self.requests
            .send(Request { job: Box::new(job), answer })
            .map_err(|_| io::Error::other("the guest died"))?;
        answered.recv().map_err(io::Error::other)?
    }
}

fn serve(inbox: &Receiver<Request>) {
    for Request { job, answer } in inbox {
        let _ = answer.send(job());
    }
}

fn host(id: VifId) -> u8 {
    u8::try_from(id.domid).unwrap_or(u8::MAX)
}
