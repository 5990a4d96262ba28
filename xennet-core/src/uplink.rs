//! The uplink of a bridge whose VLANs xennet keeps, because `xennet.toml` says so.

use std::path::Path;
use std::time::Instant;

use crate::Error;
use crate::config::NetworkConfig;
use crate::kernel::{Kernel, LinkFilter};
use crate::lock::Lock;
use crate::plan::{PlanError, UplinkSnapshot};
use crate::types::{IfName, Link};

/// A bridge, and the port whose VLANs follow those of all others.
#[derive(Debug, Clone)]
pub(crate) struct Uplink {
    bridge: Link,
    name: IfName,
}

impl Uplink {
    /// The uplink of a bridge, where the configuration asks for its VLANs to be managed.
    pub(crate) fn of(bridge: &Link, config: &NetworkConfig) -> Option<Self> {
        let policy = config.bridge(&bridge.name).filter(|policy| policy.manage_uplink_vlans)?;
        Some(Self { bridge: bridge.clone(), name: policy.uplink.clone()? })
    }

    /// One at a time per bridge: who reckons up the users of a VLAN must not miss one that is just coming.
    pub(crate) fn lock(&self, run_dir: &Path, deadline: Instant) -> Result<Lock, Error> {
        Lock::take(run_dir, &format!("{}.uplink", self.bridge.name), deadline)
    }

    /// The VLANs of the uplink, and of everybody else in the bridge but `vif`.
    pub(crate) fn look(
        &self,
        kernel: &mut Kernel,
        vif: Option<u32>,
    ) -> Result<UplinkSnapshot, Error> {
        let bridge = self.bridge.index;
        let ports = kernel.links(LinkFilter::Master(bridge))?;
        let uplink = ports.iter().find(|port| port.name == self.name).ok_or_else(|| {
            PlanError::NoUplink { bridge: self.bridge.name.clone(), uplink: self.name.clone() }
        })?;
        let (link, of_bridge) = (uplink.reference(), |index| {
            index == bridge || ports.iter().any(|port| port.index == index)
        });
        let mut seen =
            UplinkSnapshot { link, vlans: Vec::new(), others: Vec::new(), vif: Vec::new() };
        for (index, ranges) in
            kernel.all_vlans()?.into_iter().filter(|(index, _)| of_bridge(*index))
        {
            let whose = if index == uplink.index {
                &mut seen.vlans
            } else if Some(index) == vif {
                &mut seen.vif
            } else {
                &mut seen.others
            };
            whose.extend(ranges);
        }
        Ok(seen)
    }
}
