//! The interfaces that the configuration does not give by their names.

use std::borrow::Cow;

use super::NetworkSnapshot;
use crate::config::{BridgePolicy, NetworkConfig, UplinkId};
use crate::plan::{PlanError, UplinkError};
use crate::types::{IfName, Link};

impl NetworkSnapshot {
    /// The configuration with the names of the interfaces that it gives by hardware addresses and alternative names, as
    /// far as exactly one has it.
    pub(crate) fn resolve<'c>(&self, config: &'c NetworkConfig) -> Cow<'c, NetworkConfig> {
        let names: Vec<_> = config.bridges.iter().map(|bridge| self.uplink_name(bridge)).collect();
        let given = config.bridges.iter().map(|bridge| bridge.uplink.as_ref());
        if names.iter().map(Option::as_ref).eq(given) {
            return Cow::Borrowed(config);
        }
        let mut config = config.clone();
        for (bridge, name) in config.bridges.iter_mut().zip(names) {
            bridge.uplink = name;
        }
        Cow::Owned(config)
    }

    fn uplink_name(&self, policy: &BridgePolicy) -> Option<IfName> {
        let single = |links: Vec<&Link>| match links.as_slice() {
            [link] => Some(link.name.clone()),
            _ => None,
        };
        match (&policy.uplink, &policy.uplink_id) {
            (None, Some(id)) => {
                // An interface without a permanent address may have another one now.
                let known = || self.known(&policy.name).and_then(|known| known.uplink.clone());
                single(self.links_of(id)).or_else(known)
            }
            (Some(name), _) if self.link(name).is_none() => {
                let id = UplinkId::AltName(name.to_string());
                single(self.links_of(&id)).or_else(|| Some(name.clone()))
            }
            (name, _) => name.clone(),
        }
    }

    fn links_of(&self, id: &UplinkId) -> Vec<&Link> {
        self.links.iter().filter(|link| id.is(link)).collect()
    }

    /// An error for an uplink that no interface has, or several have.
    pub(super) fn check_uplinks(&self, config: &NetworkConfig) -> Result<(), PlanError> {
        for bridge in config.bridges.iter().filter(|bridge| bridge.uplink.is_none()) {
            let Some(id) = &bridge.uplink_id else { continue };
            return Err(UplinkError::Unclear {
                bridge: bridge.name.clone(),
                uplink: id.to_string(),
                links: self.links_of(id).iter().map(|link| link.name.clone()).collect(),
            }
            .into());
        }
        Ok(())
    }
}
