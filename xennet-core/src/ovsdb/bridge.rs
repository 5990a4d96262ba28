//! Bridges: how they take frames from their ports.

use serde_json::json;

use super::client::Ovsdb;
use super::error::Error;
use super::port::{row, select};
use super::value::texts;
use crate::types::IfName;

impl Ovsdb {
    /// Whether all frames that a bridge takes from an interface pass the kernel's ingress hook of that interface: not with
    /// the datapath in user space, nor with flows offloaded to `tc`, which comes before that hook.
    /// `ovs-vsctl get bridge NAME datapath_type`, `ovs-vsctl get open_vswitch . other_config:hw-offload`
    pub fn passes_ingress(&mut self, bridge: &IfName) -> Result<bool, Error> {
        let config = json!({
            "op": "select", "table": "Open_vSwitch", "where": [], "columns": ["other_config"]
        });
        let operations = [select("Bridge", bridge, &["datapath_type"]), config];
        let results = self.transact("ovs-vsctl get bridge datapath_type", &operations)?;
        let mut rows = results.iter().map(row);
        let datapath = rows.next().flatten().and_then(|row| row.get("datapath_type")?.as_str());
        let config = rows.next().flatten().and_then(|row| row.get("other_config")).map(texts);
        let offloads = |config: &std::collections::BTreeMap<String, String>| {
            config.get("hw-offload").is_some_and(|value| value.eq_ignore_ascii_case("true"))
        };
        // Of what is not said, nothing is known.
        let in_kernel = datapath.is_some_and(|kind| ["", "system"].contains(&kind));
        Ok(in_kernel && config.is_some_and(|config| !offloads(&config)))
    }
}
