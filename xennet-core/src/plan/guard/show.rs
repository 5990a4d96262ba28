//! What the guard's table is for people, and for programs.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::{GuardEntry, GuardTable, GuardedPort};
use crate::types::{NftCounter, NftElement, NftExpr, NftRule, NftSet, NftValue, VifId};

impl GuardTable {
    /// The same table with the ports of one vif only. What the rules have counted is still that of all.
    #[must_use]
    pub fn of(mut self, vif: VifId) -> Self {
        let ports = self.ports().into_iter().filter(|port| {
            GuardEntry::owner_of(&port.record).is_some_and(|(owner, _)| owner == vif)
        });
        let ports: Vec<_> = ports.map(|port| NftValue::IfName(port.port)).collect();
        self.elements
            .retain(|(_, element)| element.key.first().is_some_and(|port| ports.contains(port)));
        self
    }

    /// What its rules have dropped of all ports, by the reason.
    pub fn dropped(&self) -> BTreeMap<&str, NftCounter> {
        let mut drops: BTreeMap<&str, NftCounter> = BTreeMap::new();
        for (reason, counter) in self.rules.iter().filter_map(dropped) {
            drops.entry(reason).or_default().add(counter);
        }
        drops
    }
}

impl fmt::Display for GuardTable {
    /// What `xennet guard show` prints.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "table {} xennet: {}", self.family, self.comment)?;
        for port in self.ports() {
            writeln!(
                f,
                "  {:<15} {}; sent {} packets, {} of them dropped",
                port.port, port.record, port.sent.packets, port.dropped.packets
            )?;
            for (set, element) in &port.allowed {
                let values = values(element);
                let value = if values.is_empty() { "yes".to_owned() } else { values.join(" . ") };
                writeln!(f, "    {:<14} {value}", set.name)?;
            }
            for (reason, counter) in &port.drops {
                writeln!(f, "    dropped {:>6} {reason}", counter.packets)?;
            }
        }
        let dropping = self.dropped().into_iter().filter(|(_, n)| n.packets > 0);
        for (n, (reason, counter)) in dropping.enumerate() {
            if n == 0 {
                writeln!(f, "  dropped, of all ports:")?;
            }
            writeln!(f, "    {:>10} {reason}", counter.packets)?;
        }
        Ok(())
    }
}

impl Serialize for GuardTable {
    /// What `xennet guard show --json` prints of each table.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let rules = self.rules.iter().filter_map(|rule| {
            let (reason, counter) = dropped(rule)?;
            Some(json!({ "chain": rule.chain, "drops": reason, "counter": count(counter) }))
        });
        let table = json!({
            "family": self.family.to_string(), "comment": self.comment,
            "ports": self.ports().iter().map(port).collect::<Vec<_>>(),
            "rules": rules.collect::<Vec<_>>(),
        });
        table.serialize(serializer)
    }
}

fn port(port: &GuardedPort) -> Value {
    let element = |(set, element): &(NftSet, NftElement)| json!({ "set": set.name, "value": values(element) });
    let drops = port
        .drops
        .iter()
        .map(|(reason, counter)| json!({ "reason": reason, "counter": count(*counter) }));
    json!({
        "port": port.port.as_str(), "record": port.record,
        "sent": count(port.sent), "dropped": count(port.dropped), "drops": drops.collect::<Vec<_>>(),
        "allowed": port.allowed.iter().map(element).collect::<Vec<_>>(),
    })
}

fn count(counter: NftCounter) -> Value {
    json!({ "packets": counter.packets, "bytes": counter.bytes })
}

/// An element without its port, which stands above it.
fn values(element: &NftElement) -> Vec<String> {
    element.key.iter().skip(1).map(ToString::to_string).collect()
}

/// What a rule drops, and how often it did; none for a rule that drops nothing.
fn dropped(rule: &NftRule) -> Option<(&str, NftCounter)> {
    let counter = rule.expressions.iter().find_map(|expression| match expression {
        NftExpr::Counter(counter) => Some(*counter),
        _ => None,
    })?;
    Some((rule.comment.as_deref()?, counter))
}
