use crate::Error;
use crate::context::Context;
use crate::engine;
use crate::ops::bridge::{CreateBridge, DeleteBridge};
use crate::plan::{BridgeConfig, BridgeSnapshot, BridgeStatus, Plan};
use crate::types::{IfName, Interface};

/// One Linux bridge.
#[derive(Debug)]
pub struct Bridge<'n> {
    context: &'n mut Context,
    name: IfName,
}

impl<'n> Bridge<'n> {
    pub(crate) fn new(context: &'n mut Context, name: IfName) -> Self {
        Self { context, name }
    }

    /// The bridge and its ports; none when there is no bridge of that name.
    /// `ip -d link show NAME`, `ip link show master NAME`
    ///
    /// An error when the kernel does not answer.
    pub fn show(&mut self) -> Result<Option<BridgeStatus>, Error> {
        Ok(self.snapshot()?.status())
    }

    /// Its ports; none when it does not exist. `ip link show master NAME`
    ///
    /// An error when the kernel does not answer.
    pub fn ports(&mut self) -> Result<Vec<Interface>, Error> {
        Ok(self.snapshot()?.ports.iter().map(Interface::from).collect())
    }

    fn snapshot(&mut self) -> Result<BridgeSnapshot, Error> {
        self.context.facts().bridge(&self.name)
    }

    /// What [`create`](Self::create) would do now. Changes nothing.
    ///
    /// An error as [`create`](Self::create)'s.
    pub fn plan_create(&mut self, config: &BridgeConfig) -> Result<Plan, Error> {
        engine::plan(&mut self.context.facts(), &mut CreateBridge { config })
    }

    /// Makes the bridge and brings it up; one that exists is brought up and otherwise left as it is.
    ///
    /// Without a `mac` it gets an address made from this machine's id and its name, the same at every boot: by itself a
    /// bridge takes the lowest address of its ports, and so `fe:ff:ff:ff:ff:ff`, on every host, with its first vif.
    ///
    /// An error (`EEXIST`) when one that exists contradicts the configuration, (`EINVAL`) when an interface of that name
    /// is no bridge; else the kernel's, and everything is undone.
    pub fn create(&mut self, config: &BridgeConfig) -> Result<Plan, Error> {
        engine::run(&mut self.context.facts(), &mut CreateBridge { config })
    }

    /// What [`delete`](Self::delete) would do now. Changes nothing.
    ///
    /// An error as [`delete`](Self::delete)'s.
    pub fn plan_delete(&mut self, force: bool) -> Result<Plan, Error> {
        let name = self.name.clone();
        engine::plan(&mut self.context.facts(), &mut DeleteBridge { name, force })
    }

    /// Deletes the bridge; one that does not exist is no error. One that has ports is left alone unless `force`.
    ///
    /// An error (`EBUSY`) when it has ports and not `force`, (`EINVAL`) when an interface of that name is no bridge, or
    /// the kernel's.
    pub fn delete(&mut self, force: bool) -> Result<Plan, Error> {
        let name = self.name.clone();
        engine::run(&mut self.context.facts(), &mut DeleteBridge { name, force })
    }
}
