mod look;
mod show;

pub(crate) use look::{Tables, look};

use std::time::Instant;

use crate::apply::{self, Apply, again_while_overtaken};
use crate::kernel::Nftables;
use crate::plan::guard::{Explanation, Frame, GuardEntry, GuardLayout, explain, remove};
use crate::plan::vif::is_datapath;
use crate::plan::{Change, Plan, PlanError};
use crate::types::{
    Device, IfName, NftBatch, NftChain, NftCommand, NftCounter, NftElement, NftFamily, NftRule,
    NftSet, NftValue, VifId,
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
    pub(crate) family: NftFamily,
    /// What it says of itself, its version among it.
    pub(crate) comment: String,
    /// Its chains.
    pub(crate) chains: Vec<NftChain>,
    /// Its rules, with what they have counted.
    pub(crate) rules: Vec<NftRule>,
    /// All elements, each with its set.
    pub(crate) elements: Vec<(NftSet, NftElement)>,
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
    pub(crate) allowed: Vec<(NftSet, NftElement)>,
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

impl<'n> Guard<'n> {
    pub(crate) fn new(net: &'n mut Dom0Network) -> Self {
        Self { net }
    }

    /// The guard's tables as the kernel has them; none when nothing is guarded. `nft list table bridge xennet`
    ///
    /// An error when the kernel does not answer.
    pub fn tables(&mut self) -> Result<Vec<GuardTable>, Error> {
        let nft = apply::nft(&mut self.net.nft)?;
        let mut tables = Vec::new();
        for family in GuardLayout::FAMILIES {
            if let Some(table) = nft.table(family, GuardLayout::TABLE)? {
                tables.push(GuardTable {
                    family,
                    comment: table.comment.unwrap_or_default(),
                    chains: nft.chains(family, GuardLayout::TABLE)?,
                    rules: nft.rules(family, GuardLayout::TABLE)?,
                    elements: elements(nft, family)?,
                });
            }
        }
        Ok(tables)
    }

    /// What is wrong with the guard: what connected vifs lack by XenStore and the host's configuration, and what is
    /// left of vifs that are gone. Empty when none of that is found.
    ///
    /// An element that somebody else adds for a vif, which allows it more, is not seen: a port is looked up by its record.
    ///
    /// An error without XenStore, and when it or the kernel does not answer. That one vif's guard cannot be planned is
    /// a [fault](GuardFault::repair).
    pub fn check(&mut self) -> Result<Vec<GuardFault>, Error> {
        let mut faults = Vec::new();
        for (id, device) in self.plugged()? {
            let mut vif = self.net.port(id, device)?;
            let repair = vif.plan_guard();
            if !repair.as_ref().is_ok_and(Plan::is_empty) {
                faults.push(GuardFault { port: id.if_name(device)?, repair });
            }
        }
        for (port, plan) in self.leftovers()? {
            faults.push(GuardFault { port, repair: Ok(plan) });
        }
        Ok(faults)
    }

    /// Puts right what [`check`](Self::check) finds, without touching anything else of a vif, and says what was done.
    ///
    /// Goes on when one vif fails; the first error is returned in the end.
    pub fn restore(&mut self) -> Result<Plan, Error> {
        let mut done = Vec::new();
        let mut failed = Ok(());
        for (id, device) in self.plugged()? {
            match self.net.port(id, device)?.restore_guard() {
                Ok(plan) => done.extend(plan.changes().iter().cloned()),
                Err(error) => failed = failed.and(Err(error)),
            }
        }
        let tidied = again_while_overtaken(|| {
            self.leftovers()?.into_iter().try_for_each(|(_, plan)| {
                Apply::new(self.net, Instant::now()).run(plan.changes())?;
                done.extend(plan.changes().iter().cloned());
                Ok(())
            })
        });
        failed.and(tidied).map(|()| done.into_iter().collect())
    }

    /// What [`remove`](Self::remove) would do. Touches nothing.
    ///
    /// An error as [`remove`](Self::remove)'s.
    pub fn plan_remove(&mut self, force: bool) -> Result<Plan, Error> {
        let tables = self.tables()?;
        let ports: Vec<IfName> =
            tables.iter().flat_map(GuardTable::ports).map(|port| port.port).collect();
        if !ports.is_empty() && !force {
            return Err(PlanError::StillGuarded { ports }.into());
        }
        let delete = |table: &GuardTable| {
            let batch = |commands| NftBatch {
                family: table.family,
                table: GuardLayout::TABLE.to_owned(),
                generation: None,
                commands,
            };
            Change::Nft { batch: batch(vec![NftCommand::TableDelete]), undo: batch(Vec::new()) }
        };
        Ok(tables.iter().map(delete).collect())
    }

    /// Takes the guard away, tables and all: guests are then held to nothing. With vifs that it guards, only by `force`.
    /// `nft delete table bridge xennet`
    ///
    /// An error (`EBUSY`) when it guards vifs and not `force`, or the kernel's.
    pub fn remove(&mut self, force: bool) -> Result<Plan, Error> {
        let plan = self.plan_remove(force)?;
        Apply::new(self.net, Instant::now()).run_all(plan.changes())?;
        Ok(plan)
    }

    /// The verdict of the kernel's rules on a frame that arrives on the interface `port`: whether it passes, and which rule
    /// decides. `bytes` is the frame from the Ethernet header on, without its checksum.
    ///
    /// An error (`ENODEV`) when there is no such interface, or the kernel's.
    pub fn explain(&mut self, port: IfName, bytes: Vec<u8>) -> Result<Explanation, Error> {
        let Some(link) = self.net.kernel.link(&port)? else {
            return Err(Error::NoInterface { name: port });
        };
        let master = link.master.map_or(Ok(None), |index| self.net.kernel.link_at(index))?;
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

    /// The vifs and taps that should be guarded if anything is.
    fn plugged(&mut self) -> Result<Vec<(VifId, Device)>, Error> {
        if self.net.store.is_none() {
            let words =
                "guard: only XenStore says which addresses a guest has; do without --no-store";
            return Err(Error::Usage(words.to_owned()));
        }
        let mut plugged = Vec::new();
        for id in self.net.vifs()? {
            for device in [Device::Vif, Device::Tap] {
                if self.net.port(id, device)?.is_plugged()? {
                    plugged.push((id, device));
                }
            }
        }
        Ok(plugged)
    }

    /// What is left of ports whose vif XenStore no longer knows.
    fn leftovers(&mut self) -> Result<Vec<(IfName, Plan)>, Error> {
        // First what there is, and then whose it may be: a vif that is plugged in between is known by then.
        let tables = self.tables()?;
        let vifs = self.net.vifs()?;
        let mut plans = Vec::new();
        for table in tables {
            for port in table.ports() {
                // A record that is not ours says nothing, and then nothing is known to be left over.
                let Some((owner, reserve)) = GuardEntry::owner_of(&port.record) else { continue };
                if vifs.contains(&owner) {
                    continue;
                }
                let ports = std::slice::from_ref(&port.port);
                let nft = apply::nft(&mut self.net.nft)?;
                let mut begun = Tables::read(nft, &[table.family])?;
                let seen = look(nft, &mut begun, table.family, None, ports, Some(owner))?;
                let change = remove(table.family, owner, reserve, &seen);
                plans.push((port.port, change.into_iter().collect()));
            }
        }
        Ok(plans)
    }
}

impl GuardedPort {
    /// The Ethernet address that the port may use; none when the guard does not restrict it.
    pub fn mac(&self) -> Option<[u8; 6]> {
        self.allowed.iter().flat_map(|(_, element)| &element.key).find_map(|value| match value {
            NftValue::EtherAddr(mac) => Some(*mac),
            _ => None,
        })
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

fn elements(nft: &mut Nftables, family: NftFamily) -> Result<Vec<(NftSet, NftElement)>, Error> {
    let mut all = Vec::new();
    for set in nft.sets(family, GuardLayout::TABLE)? {
        let elements = nft.elements(family, GuardLayout::TABLE, &set)?;
        let elements = elements.into_iter().filter(|element| look::ending(element).is_none());
        all.extend(elements.map(|element| (set.clone(), element)));
    }
    Ok(all)
}
