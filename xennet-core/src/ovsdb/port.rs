//! Ports of bridges: looked up by name, added, changed and deleted, each in one transaction.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::client::Ovsdb;
use super::error::{Error, ErrorKind};
use super::value::{elements, map, optional, set, texts};
use crate::types::{
    IfName, Mtu, OvsBridge, OvsPort, OvsPortNow, OvsVlanMode, OvsVlans, Policing, VlanId,
};

/// How long `ovs-vswitchd` may take to carry out what the database has. It takes milliseconds, or it hangs.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long is waited for what can come later: the end of a port that does nobody harm, or its return.
const SHORT_PATIENCE: Duration = Duration::from_secs(3);

const PORT: [&str; 6] = ["_uuid", "name", "tag", "trunks", "vlan_mode", "protected"];

const INTERFACE: [&str; 8] = [
    "name",
    "type",
    "ofport",
    "error",
    "external_ids",
    "mtu_request",
    "ingress_policing_rate",
    "ingress_policing_burst",
];

impl Ovsdb {
    /// Which of these bridges there is, the first of them. `ovs-vsctl br-exists NAME -- br-to-parent NAME -- br-to-vlan NAME`
    pub fn bridge(&mut self, names: &[IfName]) -> Result<Option<OvsBridge>, Error> {
        const DOING: &str = "ovs-vsctl br-exists";
        let both = |name: &IfName| {
            let fake = json!([["name", "==", name.as_str()], ["fake_bridge", "==", true]]);
            let columns = ["_uuid", "tag"];
            let fake =
                json!({ "op": "select", "table": "Port", "where": fake, "columns": columns });
            [select("Bridge", name, &["name"]), fake]
        };
        let operations: Vec<Value> = names.iter().flat_map(both).collect();
        let results = self.transact(DOING, &operations)?;
        for (name, results) in names.iter().zip(results.chunks(2)) {
            let [bridge, fake] = results else { continue };
            if row(bridge).is_some() {
                return Ok(Some(OvsBridge::new(name.clone())));
            }
            // One without a tag is no bridge to anybody.
            let found = row(fake).and_then(|row| Some((row.get("_uuid")?, tag(row)?)));
            let Some((uuid, vlan)) = found else { continue };
            if let Some(parent) = self.bridge_of(DOING, uuid)? {
                return Ok(Some(OvsBridge { name: name.clone(), fake: Some((parent, vlan)) }));
            }
        }
        Ok(None)
    }

    /// The bridge that has this port; none for one that is about to go.
    fn bridge_of(&mut self, doing: &str, port: &Value) -> Result<Option<IfName>, Error> {
        let holds = json!([["ports", "includes", port]]);
        let select =
            json!({ "op": "select", "table": "Bridge", "where": holds, "columns": ["name"] });
        let bridges = self.transact(doing, &[select])?;
        let bridge = bridges.first().and_then(row);
        Ok(bridge.and_then(|row| row.get("name")?.as_str()?.parse().ok()))
    }

    /// The ports of these names. `ovs-vsctl list Port NAME -- list Interface NAME`
    pub fn ports(&mut self, names: &[IfName]) -> Result<Vec<OvsPortNow>, Error> {
        const DOING: &str = "ovs-vsctl list Port";
        let both = |name| [select("Port", name, &PORT), select("Interface", name, &INTERFACE)];
        let operations: Vec<Value> = names.iter().flat_map(both).collect();
        let results = self.transact(DOING, &operations)?;
        let mut ports = Vec::new();
        for (name, results) in names.iter().zip(results.chunks(2)) {
            let [port, interface] = results else { continue };
            let Some(port) = row(port) else { continue };
            let uuid = port.get("_uuid").cloned().unwrap_or_default();
            let Some(bridge) = self.bridge_of(DOING, &uuid)? else { continue };
            ports.push(read(name, bridge, port, row(interface)));
        }
        Ok(ports)
    }

    /// What each interface with this key in its `external_ids` has there. `ovs-vsctl find Interface`
    pub fn interfaces_with(&mut self, key: &str) -> Result<Vec<(IfName, String)>, Error> {
        let select = json!({
            "op": "select", "table": "Interface", "where": [], "columns": ["name", "external_ids"]
        });
        let results = self.transact("ovs-vsctl list Interface", &[select])?;
        let found = |row: &Value| {
            let value = texts(row.get("external_ids")?).remove(key)?;
            Some((row.get("name")?.as_str()?.parse().ok()?, value))
        };
        Ok(results.first().map(rows).unwrap_or_default().iter().filter_map(found).collect())
    }

    /// Makes a port, and waits until the switch has it; one that the switch cannot have is deleted again.
    /// `ovs-vsctl add-port BRIDGE NAME ...`
    pub fn port_add(&mut self, port: &OvsPort, deadline: Instant) -> Result<(), Error> {
        let patience = deadline.min(Instant::now() + PATIENCE);
        self.port_insert(port, patience).inspect_err(|error| {
            if error.follows_commit() {
                // A switch that hangs is not waited for again: the database is told, and it will see.
                let hangs = matches!(error.kind(), ErrorKind::NotApplied { .. });
                let until = if hangs { Instant::now() } else { deadline };
                let _ = self.port_delete(&port.name, until);
            }
        })
    }

    /// Makes a port again that was there before, and is to be there whatever comes: what the switch cannot carry out now,
    /// the database has for later. `ovs-vsctl add-port BRIDGE NAME ...`
    pub fn port_restore(&mut self, port: &OvsPort, deadline: Instant) -> Result<(), Error> {
        self.port_insert(port, deadline.min(Instant::now() + SHORT_PATIENCE))
    }

    fn port_insert(&mut self, port: &OvsPort, deadline: Instant) -> Result<(), Error> {
        let OvsPort { bridge, name, .. } = port;
        let doing = format!("ovs-vsctl add-port {bridge} {name}");
        let (mut columns, mut interface) = (port_columns(port), interface_columns(port));
        columns.insert("name".into(), json!(name.as_str()));
        columns.insert("interfaces".into(), json!(["named-uuid", "interface"]));
        interface.insert("name".into(), json!(name.as_str()));
        interface.insert("external_ids".into(), map(&port.external_ids));
        let add = json!([["ports", "insert", ["named-uuid", "port"]]]);
        let done = self.change(
            &doing,
            &[
                there("Port", name, false),
                there("Bridge", bridge, true),
                json!({ "op": "insert", "table": "Interface", "uuid-name": "interface", "row": interface }),
                json!({ "op": "insert", "table": "Port", "uuid-name": "port", "row": columns }),
                json!({ "op": "mutate", "table": "Bridge", "where": named(bridge), "mutations": add }),
            ],
            deadline,
        );
        match done {
            // That is how an operation `wait` says that it waits for something.
            Err(error) if timed_out(&error) => {
                let kind = match self.bridge(std::slice::from_ref(bridge))? {
                    None => ErrorKind::NoBridge { bridge: bridge.clone() },
                    Some(_) => ErrorKind::Exists,
                };
                Err(Error::new(doing, kind))
            }
            done => done.and_then(|()| self.check(&doing, port)),
        }
    }

    /// Changes a port in place: its VLANs and all else but its bridge. Of `external_ids` only the keys that are given.
    /// `ovs-vsctl set Port NAME ... -- set Interface NAME ...`
    pub fn port_set(&mut self, port: &OvsPort, deadline: Instant) -> Result<(), Error> {
        let name = &port.name;
        let doing = format!("ovs-vsctl set Port {name}");
        let keys = set(port.external_ids.keys().cloned());
        let ids = json!([
            ["external_ids", "delete", keys],
            ["external_ids", "insert", map(&port.external_ids)]
        ]);
        self.change(
            &doing,
            &[
                json!({ "op": "update", "table": "Port", "where": named(name), "row": port_columns(port) }),
                json!({ "op": "update", "table": "Interface", "where": named(name), "row": interface_columns(port) }),
                json!({ "op": "mutate", "table": "Interface", "where": named(name), "mutations": ids }),
            ],
            deadline.min(Instant::now() + PATIENCE),
        )?;
        self.check(&doing, port)
    }

    /// Deletes a port, and waits until the switch has let it go; one that is not there is no error.
    /// `ovs-vsctl --if-exists del-port NAME`
    pub fn port_delete(&mut self, name: &IfName, deadline: Instant) -> Result<(), Error> {
        let doing = format!("ovs-vsctl del-port {name}");
        let found = self.transact(&doing, &[select("Port", name, &["_uuid"])])?;
        let Some(row) = found.first().and_then(row) else { return Ok(()) };
        let uuid = row.get("_uuid").cloned().unwrap_or_default();
        let delete = json!([["ports", "delete", ["set", [uuid]]]]);
        let holds = json!([["ports", "includes", uuid]]);
        self.change(
            &doing,
            &[json!({ "op": "mutate", "table": "Bridge", "where": holds, "mutations": delete })],
            deadline.min(Instant::now() + SHORT_PATIENCE),
        )
    }

    /// Waits until OVN has installed the flows of a port. `ovs-vsctl wait-until Interface NAME
    /// external_ids:ovn-installed=true`
    pub fn wait_installed(&mut self, name: &IfName, deadline: Instant) -> Result<(), Error> {
        let doing =
            format!("ovs-vsctl wait-until Interface {name} external_ids:ovn-installed=true");
        let began = Instant::now();
        let mut iface_id = None;
        let watched = ("Interface", ["name", "external_ids"].as_slice());
        let installed = self.watch(&doing, watched, deadline, |row| {
            let mut ids = texts(row.get("external_ids")?);
            let ours = row.get("name")? == name.as_str();
            let installed = ids.get("ovn-installed").is_some_and(|value| value == "true");
            iface_id = ids.remove("iface-id").filter(|_| ours).or(iface_id.take());
            (ours && installed).then_some(())
        })?;
        installed.ok_or_else(|| {
            Error::new(doing, ErrorKind::NotInstalled { iface_id, after: began.elapsed() })
        })
    }

    /// Carries out operations, and waits until `ovs-vswitchd` has done so as well.
    fn change(
        &mut self,
        doing: &str,
        operations: &[Value],
        deadline: Instant,
    ) -> Result<(), Error> {
        let mut all = operations.to_vec();
        let root = "Open_vSwitch";
        let bump = json!([["next_cfg", "+=", 1]]);
        all.push(json!({ "op": "mutate", "table": root, "where": [], "mutations": bump }));
        all.push(json!({ "op": "select", "table": root, "where": [], "columns": ["next_cfg"] }));
        all.push(json!({ "op": "comment", "comment": format!("xennet: {doing}") }));
        let results = self.transact(doing, &all)?;
        let configured = results.get(operations.len() + 1).and_then(row);
        let Some(next) = configured.and_then(|row| row.get("next_cfg")?.as_i64()) else {
            return Err(self.strange(doing, &Value::Array(results)));
        };
        let began = Instant::now();
        let current = |row: &Value| row.get("cur_cfg")?.as_i64().filter(|done| *done >= next);
        match self.watch(doing, (root, &["cur_cfg"]), deadline, current)? {
            Some(_) => Ok(()),
            None => Err(Error::new(doing, ErrorKind::NotApplied { after: began.elapsed() })),
        }
    }

    /// What the switch made of a port that it has carried out.
    fn check(&mut self, doing: &str, port: &OvsPort) -> Result<(), Error> {
        let found =
            self.transact(doing, &[select("Interface", &port.name, &["ofport", "error"])])?;
        let Some(row) = found.first().and_then(row) else {
            let reason = "it was deleted again at once; is another program managing the bridge?";
            return Err(Error::new(doing, ErrorKind::NoDevice { reason: reason.to_owned() }));
        };
        let error = column(row, "error").and_then(Value::as_str);
        match (column(row, "ofport").and_then(Value::as_i64), error) {
            (Some(number), None) if number > 0 => Ok(()),
            (None, None) => {
                Err(Error::new(doing, ErrorKind::NoDatapath { bridge: port.bridge.clone() }))
            }
            (_, reason) => {
                let reason =
                    reason.unwrap_or("Open vSwitch could not open it; see ovs-vswitchd.log");
                Err(Error::new(doing, ErrorKind::NoDevice { reason: reason.to_owned() }))
            }
        }
    }
}

/// Decodes bytes from the database as its messages are decoded, and each value in them as rows.
#[cfg(feature = "internals")]
#[expect(clippy::missing_panics_doc, reason = "a panic is what the test looks for")]
pub fn fuzz(bytes: &[u8]) {
    let mut framing = super::framing::Framing::default();
    framing.feed(bytes);
    while let Ok(Some(message)) = framing.next() {
        let Ok(value) = serde_json::from_slice::<Value>(&message) else { continue };
        let mut values = vec![&value];
        while let Some(value) = values.pop() {
            let name: IfName = "vif1.0".parse().expect("a valid name");
            let _ = (read(&name, name.clone(), value, Some(value)), row(value), texts(value));
            match value {
                Value::Array(all) => values.extend(all),
                Value::Object(all) => values.extend(all.values()),
                _ => {}
            }
        }
    }
}

fn named(name: &IfName) -> Value {
    json!([["name", "==", name.as_str()]])
}

pub(super) fn select(table: &str, name: &IfName, columns: &[&str]) -> Value {
    json!({ "op": "select", "table": table, "where": named(name), "columns": columns })
}

/// Refuses the transaction unless a row of that name is there, or is not.
fn there(table: &str, name: &IfName, there: bool) -> Value {
    let rows = if there { json!([{ "name": name.as_str() }]) } else { json!([]) };
    json!({
        "op": "wait", "timeout": 0, "table": table, "where": named(name), "columns": ["name"],
        "until": "==", "rows": rows
    })
}

fn timed_out(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Refused { error, .. } if error == "timed out")
}

fn port_columns(port: &OvsPort) -> Map<String, Value> {
    let OvsVlans { tag, trunks, mode } = &port.vlans;
    let columns = [
        ("tag", set(tag.map(VlanId::number))),
        ("trunks", set(trunks.iter().map(|id| id.number()))),
        ("vlan_mode", set(mode.map(OvsVlanMode::as_str))),
        ("protected", json!(port.protected)),
    ];
    columns.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn interface_columns(port: &OvsPort) -> Map<String, Value> {
    let columns = [
        ("mtu_request", set(port.mtu.map(Mtu::bytes))),
        ("ingress_policing_rate", json!(port.policing.rate)),
        ("ingress_policing_burst", json!(port.policing.burst)),
    ];
    columns.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn rows(result: &Value) -> &[Value] {
    result.get("rows").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

pub(super) fn row(result: &Value) -> Option<&Value> {
    rows(result).first()
}

fn column<'a>(row: &'a Value, name: &str) -> Option<&'a Value> {
    optional(row.get(name)?)
}

fn id(value: &Value) -> Option<VlanId> {
    VlanId::new(u16::try_from(value.as_u64()?).ok()?).ok()
}

fn tag(port: &Value) -> Option<VlanId> {
    column(port, "tag").and_then(id)
}

fn read(name: &IfName, bridge: IfName, port: &Value, interface: Option<&Value>) -> OvsPortNow {
    let empty = Value::Null;
    let interface = interface.unwrap_or(&empty);
    let number = |name| {
        let value = column(interface, name).and_then(Value::as_u64);
        value.and_then(|value| u32::try_from(value).ok())
    };
    let text = |name| column(interface, name).and_then(Value::as_str).map(str::to_owned);
    let mut trunks: Vec<VlanId> =
        port.get("trunks").map(elements).unwrap_or_default().iter().filter_map(id).collect();
    trunks.sort_unstable();
    let mode = column(port, "vlan_mode").and_then(Value::as_str);
    OvsPortNow {
        kind: text("type").unwrap_or_default(),
        ofport: column(interface, "ofport").and_then(Value::as_i64),
        error: text("error"),
        port: OvsPort {
            bridge,
            name: name.clone(),
            vlans: OvsVlans { tag: tag(port), trunks, mode: mode.and_then(OvsVlanMode::of) },
            protected: column(port, "protected").and_then(Value::as_bool).unwrap_or(false),
            mtu: number("mtu_request").and_then(|mtu| Mtu::new(mtu).ok()),
            policing: Policing {
                rate: number("ingress_policing_rate").unwrap_or(0),
                burst: number("ingress_policing_burst").unwrap_or(0),
            },
            external_ids: interface.get("external_ids").map_or_else(BTreeMap::new, texts),
        },
    }
}
