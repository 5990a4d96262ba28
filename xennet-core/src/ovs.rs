use crate::Error;
use crate::context::Context;
use crate::engine;
use crate::ops::ovs_gc::OvsGc;
use crate::plan::Plan;

/// What Open vSwitch has of guests: ports that outlive their vifs, as after a crash of the host, whose database stays.
#[derive(Debug)]
pub struct Ovs<'n> {
    context: &'n mut Context,
}

impl<'n> Ovs<'n> {
    pub(crate) fn new(context: &'n mut Context) -> Self {
        Self { context }
    }

    /// What [`gc`](Self::gc) would do. Changes nothing.
    pub fn plan_gc(&mut self) -> Result<Plan, Error> {
        engine::plan(&mut self.context.facts(), &mut OvsGc)
    }

    /// Deletes the ports of vifs that neither the kernel nor XenStore knows any more, and returns which. Ports that
    /// xennet did not make are left alone. `ovs-vsctl del-port NAME`
    pub fn gc(&mut self) -> Result<Plan, Error> {
        engine::run(&mut self.context.facts(), &mut OvsGc)
    }
}
