use crate::engine;
use crate::ops::ovs_gc::OvsGc;
use crate::plan::Plan;
use crate::{Dom0Network, Error};

/// What Open vSwitch has of guests: ports that outlive their vifs, as after a crash of the host, whose database stays.
#[derive(Debug)]
pub struct Ovs<'n> {
    net: &'n mut Dom0Network,
}

impl<'n> Ovs<'n> {
    pub(crate) fn new(net: &'n mut Dom0Network) -> Self {
        Self { net }
    }

    /// What [`gc`](Self::gc) would do. Changes nothing.
    pub fn plan_gc(&mut self) -> Result<Plan, Error> {
        engine::plan(&mut self.net.facts(), &mut OvsGc)
    }

    /// Deletes the ports of vifs that neither the kernel nor XenStore knows any more, and returns which. Ports that
    /// xennet did not make are left alone. `ovs-vsctl del-port NAME`
    pub fn gc(&mut self) -> Result<Plan, Error> {
        engine::run(&mut self.net.facts(), &mut OvsGc)
    }
}
