use serde::{Serialize, Serializer};
use serde_json::json;

use super::HostStatus;
use crate::types::IfName;

impl Serialize for HostStatus {
    /// What `xennet network status --json` prints.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let before = self.seen.known_bridges();
        let drift = self.drift.as_ref();
        let status = json!({
            "started": self.is_started(),
            "bridges": before.map(|bridge| json!({
                "name": bridge.name.as_str(), "made": bridge.made,
                "uplink": bridge.uplink.as_ref().map(IfName::as_str),
                "vxlan": bridge.vxlan.as_ref().map(|vxlan| vxlan.name.as_str()),
            })).collect::<Vec<_>>(),
            "bonds": self.seen.record.iter().flat_map(|record| &record.bonds).map(|bond| json!({
                "name": bond.name.as_str(), "made": bond.made,
                "ports": bond.ports.iter().map(IfName::as_str).collect::<Vec<_>>(),
            })).collect::<Vec<_>>(),
            "vlans": self.seen.record.iter().flat_map(|record| &record.vlans).map(|vlan| json!({
                "name": vlan.name.as_str(), "made": vlan.made, "link": vlan.link.as_str(),
            })).collect::<Vec<_>>(),
            "unconfirmed": self.unconfirmed.as_ref().map(|one| json!({
                "watchdog": one.watchdog, "watched": one.watched,
                "seconds_left": one.left.map(|left| left.as_secs()),
            })),
            "rolled_back": self.rolled_back.as_ref().map(|last| last.why.as_str()),
            "error": drift.err().map(ToString::to_string),
            "drift": drift.ok()
                .map(|plan| plan.lines().collect::<Vec<_>>()),
            "warnings": drift.ok()
                .map(|plan| plan.warnings().iter().map(ToString::to_string).collect::<Vec<_>>()),
        });
        status.serialize(serializer)
    }
}
