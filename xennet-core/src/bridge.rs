use std::fs;
use std::time::Instant;

use crate::apply::Apply;
use crate::kernel::LinkFilter;
use crate::plan::{BridgeConfig, BridgeSnapshot, BridgeStatus, Plan};
use crate::types::{IfName, Interface, MacAddr};
use crate::{Dom0Network, Error};

/// One Linux bridge.
#[derive(Debug)]
pub struct Bridge<'n> {
    net: &'n mut Dom0Network,
    name: IfName,
}

impl<'n> Bridge<'n> {
    pub(crate) fn new(net: &'n mut Dom0Network, name: IfName) -> Self {
        Self { net, name }
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
        let link = self.net.kernel.link(&self.name)?;
        let ports = link
            .as_ref()
            .map_or(Ok(Vec::new()), |link| self.net.kernel.links(LinkFilter::Master(link.index)))?;
        Ok(BridgeSnapshot { link, ports })
    }

    /// What [`create`](Self::create) would do now. Touches nothing.
    ///
    /// An error as [`create`](Self::create)'s.
    pub fn plan_create(&mut self, config: &BridgeConfig) -> Result<Plan, Error> {
        let seen = self.snapshot()?;
        let mut config = config.clone();
        if seen.link.is_none() {
            config.mac = config.mac.or_else(|| own_mac(&self.name));
        }
        Ok(config.create(&seen)?)
    }

    /// Makes the bridge and brings it up; one that exists is brought up and otherwise left as it is.
    ///
    /// Without a `mac` it gets one that is this machine's and this name's, at every boot the same: of itself a bridge
    /// takes its lowest port's, and so `fe:ff:ff:ff:ff:ff`, on every host, as soon as its first vif comes.
    ///
    /// An error (`EEXIST`) when one that exists contradicts what is asked for, (`EINVAL`) when an interface of that
    /// name is no bridge; else the kernel's, and what was done is taken back.
    pub fn create(&mut self, config: &BridgeConfig) -> Result<Plan, Error> {
        let plan = self.plan_create(config)?;
        let mut apply = Apply::new(self.net, Instant::now());
        match apply.run(plan.changes()) {
            Ok(()) => Ok(plan),
            // Somebody else made it in the same moment: then it is there, which is what was wanted.
            Err(error) if error.errno() == libc::EEXIST => {
                let rest = self.plan_create(config)?;
                Apply::new(self.net, Instant::now()).run(rest.changes())?;
                Ok(rest)
            }
            Err(error) => Err(apply.undo(error)),
        }
    }

    /// What [`delete`](Self::delete) would do now. Touches nothing.
    ///
    /// An error as [`delete`](Self::delete)'s.
    pub fn plan_delete(&mut self, force: bool) -> Result<Plan, Error> {
        Ok(self.snapshot()?.delete(force)?)
    }

    /// Deletes the bridge; one that is not there is no error. One that has ports is left alone unless `force`.
    ///
    /// An error (`EBUSY`) when it has ports and not `force`, (`EINVAL`) when an interface of that name is no bridge, or
    /// the kernel's.
    pub fn delete(&mut self, force: bool) -> Result<Plan, Error> {
        let plan = self.plan_delete(force)?;
        Apply::new(self.net, Instant::now()).run_all(plan.changes())?;
        Ok(plan)
    }
}

/// A locally administered address from the machine's id and the bridge's name; none where the machine has no id.
pub(crate) fn own_mac(name: &IfName) -> Option<MacAddr> {
    let machine = fs::read("/etc/machine-id").ok().filter(|id| !id.is_empty())?;
    // FNV-1a: spread, not secrecy, is what a hardware address needs.
    let hash = machine
        .iter()
        .chain(name.as_str().as_bytes())
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
    let [first, second, third, fourth, fifth, sixth, ..] = hash.to_be_bytes();
    MacAddr::from_octets([first & 0xfc | 2, second, third, fourth, fifth, sixth]).ok()
}
