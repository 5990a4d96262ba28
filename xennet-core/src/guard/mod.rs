mod look;
mod show;

pub(crate) use look::{Tables, look};

use crate::engine;
use crate::kernel::Nftables;
use crate::ops::guard::{RemoveGuard, RestoreGuard};
use crate::plan::guard::{Explanation, Frame, GuardLayout, explain};
use crate::plan::vif::is_datapath;
use crate::plan::{Plan, Warning};
use crate::types::{
    IfName, NftChain, NftCounter, NftElement, NftFamily, NftRule, NftSet, NftValue,
};
use crate::{Dom0Network, Error};

/// The guard of all vifs: what no guest may do, whatever it is plugged into.
///
/// A vif's own part comes and goes with [`Vif::online`](crate::Vif::online) and [`Vif::offline`](crate::Vif::offline).
/// The table stays when its last vif goes: empty, it costs a packet one look-up, and the next vif finds it ready.
#[derive(Debug)]
pub struct Guard<'n> {
    net: &'n mut Dom0Network,
}

/// The guard's table in one family, as the kernel has it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GuardTable {
    /// Its family: `bridge` for vifs on a bridge, `netdev` if that is Open vSwitch's, `inet` for those that are routed.
    pub family: NftFamily,
    /// What it says of itself, its version among it.
    pub comment: String,
    /// Its chains.
    pub chains: Vec<NftChain>,
    /// Its rules, with what they have counted.
    pub rules: Vec<NftRule>,
    /// All elements, each with its set.
    pub elements: Vec<(NftSet, NftElement)>,
}

/// What the guard holds one port to, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GuardedPort {
    /// The port.
    pub port: IfName,
    /// What was set up for it, in words.
    pub record: String,
    /// What it sent, dropped or not.
    pub sent: NftCounter,
    /// What was dropped of that.
    pub dropped: NftCounter,
    /// Its elements in the other sets: what it may speak from, and what it may do.
    pub allowed: Vec<(NftSet, NftElement)>,
}

/// What the guard of one port lacks, or has left of a vif that is gone.
#[derive(Debug)]
#[non_exhaustive]
pub struct GuardFault {
    /// The interface.
    pub port: IfName,
    /// What would put it right; an error when nothing can be planned.
    pub repair: Result<Plan, Error>,
}

/// What [`Guard::check`] has found.
#[derive(Debug)]
#[non_exhaustive]
pub struct GuardReport {
    /// What is wrong, and what would repair it; empty when the guard is complete.
    pub faults: Vec<GuardFault>,
    /// What xennet does not repair.
    pub warnings: Vec<Warning>,
}

impl<'n> Guard<'n> {
    pub(crate) fn new(net: &'n mut Dom0Network) -> Self {
        Self { net }
    }

    /// The guard's tables as the kernel has them; none when nothing is guarded. `nft list table bridge xennet`
    ///
    /// An error when the kernel does not answer.
    pub fn tables(&mut self) -> Result<Vec<GuardTable>, Error> {
        self.net.facts().guard_tables_in_full()
    }

    /// What is wrong with the guard: what connected vifs lack by XenStore and the host's configuration, and what is left
    /// of vifs that are gone. Changes nothing.
    ///
    /// An element that another program adds for a vif, which allows it more, is not found.
    ///
    /// An error without XenStore, and when it or the kernel does not answer. That one vif's guard cannot be planned is
    /// a [fault](GuardFault::repair).
    pub fn check(&mut self) -> Result<GuardReport, Error> {
        let mut restore = RestoreGuard::default();
        engine::plan(&mut self.net.facts(), &mut restore)?;
        let RestoreGuard { faults, warnings, .. } = restore;
        Ok(GuardReport { faults, warnings })
    }

    /// Repairs what [`check`](Self::check) finds, without changing anything else of a vif, and returns the changes.
    ///
    /// A vif whose guard cannot be planned does not prevent the others; the first error is returned in the end.
    pub fn restore(&mut self) -> Result<Plan, Error> {
        engine::run(&mut self.net.facts(), &mut RestoreGuard::default())
    }

    /// What [`remove`](Self::remove) would do. Changes nothing.
    ///
    /// An error as [`remove`](Self::remove)'s.
    pub fn plan_remove(&mut self, force: bool) -> Result<Plan, Error> {
        engine::plan(&mut self.net.facts(), &mut RemoveGuard { force })
    }

    /// Removes the guard, tables and all: guests are then held to nothing. With vifs that it guards, only by `force`.
    /// `nft delete table bridge xennet`
    ///
    /// An error (`EBUSY`) when it guards vifs and not `force`, or the kernel's.
    pub fn remove(&mut self, force: bool) -> Result<Plan, Error> {
        engine::run(&mut self.net.facts(), &mut RemoveGuard { force })
    }

    /// What the kernel's own rules make of a frame: whether it passes, and by which rule.
    ///
    /// An error when the kernel does not answer.
    pub fn explain(&mut self, frame: &Frame) -> Result<Explanation, Error> {
        let family = match &frame.bridge {
            None => NftFamily::Inet,
            Some(name) if self.net.facts().link(name)?.as_ref().is_some_and(is_datapath) => {
                NftFamily::Netdev
            }
            Some(_) => NftFamily::Bridge,
        };
        let tables = self.tables()?;
        let table = tables.iter().find(|table| table.family == family);
        Ok(match table {
            Some(table) => explain(&table.chains, &table.rules, &table.elements, frame),
            None => explain(&[], &[], &[], frame),
        })
    }

    /// The same of a frame as it is on the wire, from the Ethernet header on and without a checksum, that comes in by
    /// `port`, whatever that is plugged into. An error (`ENODEV`) when there is no such interface.
    pub fn explain_bytes(&mut self, port: IfName, bytes: Vec<u8>) -> Result<Explanation, Error> {
        let Some(link) = self.net.facts().link(&port)? else {
            return Err(Error::NoInterface { name: port });
        };
        let master = link.master.map_or(Ok(None), |index| self.net.facts().link_at(index))?;
        self.explain(&Frame { port, bridge: master.map(|master| master.name), bytes })
    }
}

impl GuardTable {
    /// Every port that it guards.
    pub fn ports(&self) -> Vec<GuardedPort> {
        let name = |element: &NftElement| match element.key.first() {
            Some(NftValue::IfName(name)) => Some(name.clone()),
            _ => None,
        };
        let count = |set: &str, port: &IfName| {
            let (_, found) = self.elements.iter().find(|(other, element)| {
                other.name == set && name(element).as_ref() == Some(port)
            })?;
            found.counter
        };
        let guarded = |element: &NftElement| {
            let port = name(element)?;
            let (ports, _) = GuardLayout::port(&port);
            let allowed = self.elements.iter().filter(|(set, element)| {
                let counts = [ports.name.as_str(), "dropped"].contains(&set.name.as_str());
                !counts && !set.name.starts_with("owned") && name(element).as_ref() == Some(&port)
            });
            Some(GuardedPort {
                record: element.comment.clone().unwrap_or_default(),
                sent: element.counter.unwrap_or_default(),
                dropped: count("dropped", &port).unwrap_or_default(),
                allowed: allowed.cloned().collect(),
                port,
            })
        };
        let ports = self.elements.iter().filter(|(set, _)| set.name == "ports");
        let mut ports: Vec<_> = ports.filter_map(|(_, element)| guarded(element)).collect();
        ports.sort_by(|one, other| one.port.cmp(&other.port));
        ports
    }
}

pub(crate) fn elements(
    nft: &mut Nftables,
    family: NftFamily,
) -> Result<Vec<(NftSet, NftElement)>, Error> {
    let mut all = Vec::new();
    for set in nft.sets(family, GuardLayout::TABLE)? {
        let elements = nft.elements(family, GuardLayout::TABLE, &set)?;
        let elements = elements.into_iter().filter(|element| look::ending(element).is_none());
        all.extend(elements.map(|element| (set.clone(), element)));
    }
    Ok(all)
}
