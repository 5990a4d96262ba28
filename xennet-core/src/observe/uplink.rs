//! The uplink of a bridge whose VLANs xennet manages, because `xennet.toml` says so.

use super::Facts;
use crate::Error;
use crate::config::BridgePolicy;
use crate::kernel::LinkFilter;
use crate::plan::{PlanError, UplinkSnapshot};
use crate::types::Link;

impl Facts<'_> {
    /// What the configuration says of a bridge, where it asks for the VLANs of the uplink to be managed.
    pub(crate) fn managed_uplink(&self, bridge: &Link) -> Option<BridgePolicy> {
        let policy = self.config.bridge(&bridge.name);
        policy.filter(|policy| policy.manage_uplink_vlans).cloned()
    }

    /// The VLANs of the uplink, of `vif`, and of the bridge and its other ports.
    pub(crate) fn uplink_vlans(
        &mut self,
        bridge: &Link,
        policy: &BridgePolicy,
        vif: Option<u32>,
    ) -> Result<UplinkSnapshot, Error> {
        let ports = self.links(LinkFilter::Master(bridge.index))?;
        let uplink = policy.uplink_of(&ports).ok_or_else(|| PlanError::NoUplink {
            bridge: bridge.name.clone(),
            uplink: policy.uplink_text().unwrap_or_default(),
        })?;
        let belongs = |index| index == bridge.index || ports.iter().any(|port| port.index == index);
        let mut facts = UplinkSnapshot {
            link: uplink.reference(),
            vlans: Vec::new(),
            others: Vec::new(),
            vif: Vec::new(),
        };
        let all = self.connections.kernel()?.all_vlans()?;
        for (index, ranges) in all.into_iter().filter(|(index, _)| belongs(*index)) {
            let vlans = if index == uplink.index {
                &mut facts.vlans
            } else if Some(index) == vif {
                &mut facts.vif
            } else {
                &mut facts.others
            };
            vlans.extend(ranges);
        }
        Ok(facts)
    }
}
