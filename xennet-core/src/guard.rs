use crate::Error;
use crate::context::Context;
use crate::engine;
use crate::ops::guard::{GuardReport, RemoveGuard, RestoreGuard};
use crate::plan::Plan;
use crate::plan::guard::{Explanation, Frame, GuardTable, explain};
use crate::plan::vif::is_datapath;
use crate::types::{IfName, NftFamily};

/// The guard of all vifs: what no guest may do, whatever it is plugged into.
///
/// A vif's own part comes and goes with [`Vif::online`](crate::Vif::online) and [`Vif::offline`](crate::Vif::offline).
/// The table stays when its last vif goes: empty, it costs a packet one look-up, and the next vif finds it ready.
#[derive(Debug)]
pub struct Guard<'n> {
    context: &'n mut Context,
}

impl<'n> Guard<'n> {
    pub(crate) fn new(context: &'n mut Context) -> Self {
        Self { context }
    }

    /// The guard's tables as the kernel has them; none when nothing is guarded. `nft list table bridge xennet`
    ///
    /// An error when the kernel does not answer.
    pub fn tables(&mut self) -> Result<Vec<GuardTable>, Error> {
        self.context.facts().all_guard_tables()
    }

    /// What is wrong with the guard: what connected vifs lack by XenStore and the host's configuration, and what is left
    /// of vifs that are gone. Changes nothing.
    ///
    /// Elements that another program added for a guarded vif are faults as well.
    ///
    /// An error without XenStore, and when it or the kernel does not answer. That one vif's guard cannot be planned is
    /// a [fault](crate::GuardFault::repair).
    pub fn check(&mut self) -> Result<GuardReport, Error> {
        let mut restore = RestoreGuard::default();
        engine::plan(&mut self.context.facts(), &mut restore)?;
        Ok(restore.report)
    }

    /// Repairs what [`check`](Self::check) finds, without changing anything else of a vif, and returns the changes.
    ///
    /// A vif whose guard cannot be planned does not prevent the others; the first error is returned in the end.
    pub fn restore(&mut self) -> Result<Plan, Error> {
        engine::run(&mut self.context.facts(), &mut RestoreGuard::default())
    }

    /// What [`remove`](Self::remove) would do. Changes nothing.
    ///
    /// An error as [`remove`](Self::remove)'s.
    pub fn plan_remove(&mut self, force: bool) -> Result<Plan, Error> {
        engine::plan(&mut self.context.facts(), &mut RemoveGuard { force })
    }

    /// Removes the guard, tables and all: guests are then held to nothing. With vifs that it guards, only by `force`.
    /// `nft delete table bridge xennet`
    ///
    /// An error (`EBUSY`) when it guards vifs and not `force`, or the kernel's.
    pub fn remove(&mut self, force: bool) -> Result<Plan, Error> {
        engine::run(&mut self.context.facts(), &mut RemoveGuard { force })
    }

    /// The verdict of the kernel's rules on a frame that arrives on the interface `port`: whether it passes, and which rule
    /// decides. `bytes` is the frame from the Ethernet header on, without its checksum.
    ///
    /// An error (`ENODEV`) when there is no such interface, or the kernel's.
    pub fn explain(&mut self, port: IfName, bytes: Vec<u8>) -> Result<Explanation, Error> {
        let Some(link) = self.context.facts().link(&port)? else {
            return Err(Error::NoInterface { name: port });
        };
        let master = link.master.map_or(Ok(None), |index| self.context.facts().link_at(index))?;
        let family = match &master {
            None => NftFamily::Inet,
            Some(master) if is_datapath(master) => NftFamily::Netdev,
            Some(_) => NftFamily::Bridge,
        };
        let frame = Frame { port, bridge: master.map(|master| master.name), bytes };
        let tables = self.tables()?;
        let table = tables.iter().find(|table| table.family == family);
        Ok(match table {
            Some(table) => explain(&table.chains, &table.rules, &table.elements, &frame),
            None => explain(&[], &[], &[], &frame),
        })
    }
}
