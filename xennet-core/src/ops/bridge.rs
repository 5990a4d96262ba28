//! Creates and deletes a bridge.

use crate::Error;
use crate::engine::{Held, LockName, Operation, Step};
use crate::observe::{Facts, own_mac};
use crate::plan::BridgeConfig;
use crate::types::IfName;

/// Makes a bridge and brings it up, or adopts the one that exists.
#[derive(Debug)]
pub(crate) struct CreateBridge<'c> {
    pub(crate) config: &'c BridgeConfig,
}

/// Deletes a bridge.
#[derive(Debug)]
pub(crate) struct DeleteBridge {
    pub(crate) name: IfName,
    /// Whether to delete it from under its ports.
    pub(crate) force: bool,
}

impl Operation for CreateBridge<'_> {
    fn locks(&self) -> Vec<LockName> {
        vec![LockName::Bridge(self.config.name.clone())]
    }

    fn plan(&mut self, facts: &mut Facts<'_>, _: Held<'_>) -> Result<Step, Error> {
        let mut config = self.config.clone();
        let bridge = facts.bridge(&config.name)?;
        if bridge.link.is_none() {
            config.mac = config.mac.or_else(|| own_mac(&config.name));
        }
        Ok(Step::Plan(config.create(&bridge)?))
    }
}

impl Operation for DeleteBridge {
    fn locks(&self) -> Vec<LockName> {
        vec![LockName::Bridge(self.name.clone())]
    }

    fn plan(&mut self, facts: &mut Facts<'_>, _: Held<'_>) -> Result<Step, Error> {
        Ok(Step::Plan(facts.bridge(&self.name)?.delete(self.force)?))
    }
}
