//! The uplink of a bridge whose VLANs xennet keeps, because `xennet.toml` says so.

use std::path::Path;

use crate::Error;
use crate::config::NetworkConfig;
use crate::kernel::{Kernel, LinkFilter};
use crate::lock::Lock;
use crate::plan::{PlanError, UplinkSnapshot};
use crate::types::{IfName, Link, VlanRange};

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
    pub(crate) fn lock(&self, run_dir: &Path) -> Result<Lock, Error> {
        Lock::take(run_dir, &format!("{}.uplink", self.bridge.name))
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
        let (mut vlans, mut others): (Vec<VlanRange>, Vec<VlanRange>) = Default::default();
        for (index, ranges) in kernel.all_vlans()? {
            if index == uplink.index {
                vlans.extend(ranges);
            } else if Some(index) != vif
                && (index == bridge || ports.iter().any(|port| port.index == index))
            {
                others.extend(ranges);
            }
        }
        Ok(UplinkSnapshot { link: uplink.reference(), vlans, others })
    }
}
