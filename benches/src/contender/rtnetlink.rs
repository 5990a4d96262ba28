//! The rtnetlink crate: what most Rust programs would use.

use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use rtnetlink::packet_route::link::{AfSpecInet6, AfSpecUnspec, In6AddrGenMode, LinkAttribute};
use rtnetlink::{Handle, LinkUnspec};
use tokio::runtime::{Builder, Runtime};

use super::{Action, Contender, name};
use crate::Result;
use crate::scene::{BRIDGE, Filter, Port};

/// A runtime and a connection for all plugs.
#[derive(Debug)]
pub struct LongLived {
    runtime: Runtime,
    handle: Handle,
}

impl LongLived {
    /// Makes a runtime of one thread and connects to the calling thread's namespace.
    pub fn open() -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_io().build()?;
        let handle = runtime.block_on(async {
            let (connection, handle, _) = rtnetlink::new_connection()?;
            tokio::spawn(connection);
            std::io::Result::Ok(handle)
        })?;
        Ok(Self { runtime, handle })
    }

    /// Does it: a request for each message, as the crate has them.
    pub fn plug(&self, action: Action, name: &str) -> Result<()> {
        let link = LinkUnspec::new_with_name(name);
        let links = self.handle.link();
        self.runtime.block_on(async {
            if action == Action::Offline {
                links.set(link.nocontroller().down().build()).execute().await?;
                return Ok(());
            }
            let found = links.get().match_name(BRIDGE).execute().try_next().await?;
            let bridge = found.ok_or("the kernel answered nothing")?.header.index;
            let mode = AfSpecInet6::AddrGenMode(In6AddrGenMode::None);
            let none = LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet6(vec![mode])]);
            let quiet = LinkUnspec::new_with_name(name).down().append_extra_attribute(none);
            links.set(quiet.build()).execute().await?;
            let mac = vec![0xfe, 0xff, 0xff, 0xff, 0xff, 0xff];
            let port = link.address(mac).mtu(1500).controller(bridge).up();
            links.set(port.build()).execute().await?;
            Ok(())
        })
    }
}

impl Contender for LongLived {
    fn name(&self) -> &'static str {
        name::RTNETLINK
    }

    fn run(&mut self, action: Action, port: &Port) -> Result<Duration> {
        let began = Instant::now();
        self.plug(action, &port.name)?;
        Ok(began.elapsed())
    }

    fn filter(&self) -> Filter {
        Filter::None
    }
}
