//! That a guest is here now: what to look at for it, and a word of its own.

use std::time::Instant;

use super::look::Early;
use super::{PATIENCE, Vif};
use crate::Error;
use crate::apply::Apply;
use crate::kernel::{Kernel, LinkFilter};
use crate::plan::{Outlet, Plan, VifSnapshot, VifTarget};
use crate::types::Mode;

impl Vif<'_> {
    /// What [`announce`](Self::announce) would do now. Touches nothing.
    pub fn plan_announce(&mut self) -> Result<Plan, Error> {
        let (config, store) = self.load_all()?;
        let found = self.find(&config, None)?;
        if found.link.is_none() {
            return Err(self.target.no_link().into());
        }
        let mut seen = self.look(&config, found, store, Early::default())?;
        if seen.switch.as_ref().is_some_and(|switch| switch.bridge.is_some()) {
            return Ok(self.target.arrival(&config, &seen).into_iter().collect());
        }
        if let (Ok(bridge), Mode::Bridge) =
            (self.target.choose_bridge(&config, &seen), self.target.mode)
        {
            let index = bridge.index;
            if seen.link.as_ref().and_then(|link| link.master) == Some(index) {
                seen.outlets = outlets(&mut self.net.kernel, &seen, index)?;
                return Ok(self.target.arrival(&config, &seen).into_iter().collect());
            }
        }
        Ok(Plan::default())
    }

    /// Tells the bridge and the switches behind it that the guest is here now: for when it came from another host and has
    /// begun to run, and does not say so itself as Linux does.
    ///
    /// Nothing for a tap, and for a vif that is in no bridge.
    pub fn announce(&mut self) -> Result<Plan, Error> {
        let deadline = Instant::now() + PATIENCE;
        let _lock = self.lock(deadline)?;
        let plan = self.plan_announce()?;
        Apply::new(self.net, deadline).run(plan.changes())?;
        Ok(plan)
    }
}

/// The ports of a bridge that are up and no guest's, with their VLANs where it knows them.
pub(super) fn outlets(
    kernel: &mut Kernel,
    seen: &VifSnapshot,
    bridge: u32,
) -> Result<Vec<Outlet>, Error> {
    let known = seen.bridges.iter().find(|one| one.index == bridge);
    let known = known.and_then(|bridge| bridge.bridge.as_ref());
    let aware = known.is_some_and(|bridge| bridge.vlan_filtering);
    let mut outlets = Vec::new();
    for link in kernel.links(LinkFilter::Master(bridge))? {
        let own = seen.link.as_ref().is_some_and(|own| own.index == link.index);
        if !own && link.up && VifTarget::of(&link).is_none() {
            let link = link.reference();
            let vlans = if aware { kernel.vlans(&link)? } else { Vec::new() };
            outlets.push(Outlet::new(link, vlans));
        }
    }
    Ok(outlets)
}
