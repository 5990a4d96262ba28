use serde::Deserialize;

use super::policing::policing;
use super::table::Table;
use super::{ConfigError, PortPolicy};
use crate::types::{IfName, Policing};

/// What an administrator decides for one bridge of Open vSwitch: `[[bridge]]` with `mode = "openvswitch"`.
///
/// The bridge itself is made, and given its uplink, by whoever runs Open vSwitch.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SwitchPolicy {
    /// The bridge.
    pub name: IfName,
    /// Seconds that a plug waits for OVN to install the port; none does not wait.
    pub wait_ovn: Option<u32>,
    /// What its guests may send, unless a guest's own section says otherwise.
    pub policing: Option<Policing>,
    /// What holds for its guests.
    pub port: PortPolicy,
}

impl SwitchPolicy {
    /// A bridge about which nothing is decided.
    pub fn new(name: IfName) -> Self {
        Self { name, wait_ovn: None, policing: None, port: PortPolicy::default() }
    }

    /// None when the table describes a Linux bridge.
    pub(super) fn read(table: &mut Table<'_>) -> Result<Option<Self>, ConfigError> {
        if table.optional("mode")?.unwrap_or(BridgeMode::Bridge) == BridgeMode::Bridge {
            return Ok(None);
        }
        let policy = Self {
            name: table.required("name")?,
            wait_ovn: table.optional("wait_ovn")?,
            policing: policing(table)?,
            port: PortPolicy::read(table)?,
        };
        table.finish()?;
        if policy.wait_ovn.is_some_and(|seconds| !(1..=20).contains(&seconds)) {
            // libxl kills the script after 40 seconds, and all is to be taken back before.
            let words = format!("bridge {}: expected 1 to 20 seconds", policy.name);
            return Err(table.wrong("wait_ovn", words));
        }
        Ok(Some(policy))
    }
}

/// `mode` of a `[[bridge]]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum BridgeMode {
    Bridge,
    OpenVswitch,
}
