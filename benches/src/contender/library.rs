//! xennet-core, in this process.

use std::time::{Duration, Instant};

use xennet_core::Dom0Network;
use xennet_core::xenstore::XenStore;

use super::{Action, Contender, name};
use crate::Result;
use crate::scene::{BRIDGE, Filter, Port, Scene};

/// One [`Dom0Network`] for all plugs.
#[derive(Debug)]
pub struct Library {
    net: Dom0Network,
    store: bool,
}

impl Library {
    /// Opens the scene's kernel and XenStore.
    pub fn open(scene: &Scene) -> Result<Self> {
        let dom0 = &scene.dom0;
        let store = scene.setting.store;
        let connection = store.then(|| XenStore::connect(&dom0.store.socket())).transpose()?;
        let mut net = Dom0Network::with_store(connection)?;
        net.set_run_dir(dom0.run_dir());
        net.set_hook_dir(dom0.hook_dir());
        Ok(Self { net, store })
    }
}

impl Contender for Library {
    fn name(&self) -> &'static str {
        name::LIBRARY
    }

    fn run(&mut self, action: Action, port: &Port) -> Result<Duration> {
        let began = Instant::now();
        let mut vif = self.net.vif(port.id)?;
        if !self.store {
            vif.set("bridge", BRIDGE.as_bytes())?;
            vif.set("mac", port.mac.as_bytes())?;
            vif.set("ip", port.ip.as_bytes())?;
        }
        match action {
            Action::Online => vif.online()?,
            Action::Offline => vif.offline()?,
        };
        Ok(began.elapsed())
    }

    fn filter(&self) -> Filter {
        Filter::Guard
    }
}
