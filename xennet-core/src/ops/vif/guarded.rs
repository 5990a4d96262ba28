//! What the guard is to hold a connected port to: by its addresses and by where the port is, and nothing else.

use super::VifRequest;
use super::resolve::{Resolved, Tolerance};
use super::snapshot::{Observed, observe};
use crate::Error;
use crate::engine::Held;
use crate::observe::Facts;
use crate::plan::VifTarget;
use crate::plan::guard::GuardEntry;
use crate::plan::vif::is_datapath;
use crate::types::{Device, IfName, Link, Mode, ParseError, VifId};

/// A connected port.
#[derive(Debug)]
pub(crate) struct GuardedVif {
    pub(crate) name: IfName,
    /// What it is to be held to; none when it is not to be guarded, an error when nothing says to what.
    pub(crate) entry: Result<Option<GuardEntry>, Error>,
    /// Keys with an invalid value, without which the guard is complete.
    pub(crate) invalid: Vec<ParseError>,
}

/// The port of a connected vif or of its tap; none when there is none. Keys that the guard does not depend on may be
/// invalid, and the bridge that `bridge` names need not exist.
pub(crate) fn guarded(
    facts: &mut Facts<'_>,
    id: VifId,
    device: Device,
) -> Result<Option<GuardedVif>, Error> {
    let request = VifRequest {
        target: VifTarget::new(id, device)?,
        mode: None,
        defaults: facts.config.vif.clone(),
        overrides: Vec::new(),
        once: false,
    };
    let mut resolved = match Resolved::new(&request, facts, Tolerance::InvalidValues) {
        Err(Error::NoBackend { .. }) => return Ok(None),
        resolved => resolved?,
    };
    let status = resolved.store.as_ref().and_then(|store| store.hotplug_status.as_deref());
    let connected = status == Some(b"connected");
    let routed = resolved.target.mode.is_routed();
    // A port that is up passes frames, whatever XenStore says.
    let passes = |link: &Link| match link.master {
        Some(_) => link.up || connected,
        None => link.up && connected && routed,
    };
    let Some(link) = resolved.links.own.clone().filter(passes) else {
        return Ok(None);
    };
    let decides = |error: &ParseError| ["ip", "mac"].contains(&error.key());
    let invalid = std::mem::take(&mut resolved.invalid);
    let (deciding, invalid): (Vec<_>, Vec<_>) = invalid.into_iter().partition(decides);
    let entry = match deciding.into_iter().next() {
        Some(error) => Err(error.into()),
        None => entry(&resolved, facts, &link),
    };
    Ok(Some(GuardedVif { name: link.name, entry, invalid }))
}

fn entry(
    resolved: &Resolved,
    facts: &mut Facts<'_>,
    link: &Link,
) -> Result<Option<GuardEntry>, Error> {
    let config = &resolved.config;
    let mut target = resolved.target.clone();
    let master = link.master.map_or(Ok(None), |index| facts.link_at(index))?;
    match master {
        Some(bridge) if !is_datapath(&bridge) => {
            target.mode = Mode::Bridge;
            let policy = facts.bridge_port_policy(target.id, &bridge.name)?;
            let vlans = bridge.bridge.as_ref().is_some_and(|bridge| bridge.vlan_filtering);
            let at = Some((&bridge.name, vlans));
            Ok(target.guard_entry(config, at, &link.name, &policy)?)
        }
        None if target.mode.is_routed() => {
            let policy = facts.guest_policy(target.id)?;
            Ok(target.guard_entry(config, None, &link.name, &policy)?)
        }
        // Open vSwitch knows which bridge the port is in.
        _ => match observe(resolved, facts, Held::dry_run())? {
            Observed::Facts(vif) => Ok(target.guard(config, &vif)),
            Observed::First(_) => Ok(None),
        },
    }
}
