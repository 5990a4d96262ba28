use std::collections::BTreeMap;

use super::layout::DROPS;
use super::records;
use super::rules::reason_mark;
use crate::types::{
    IfName, NftChain, NftCounter, NftElement, NftFamily, NftRule, NftSet, NftValue,
};

/// The guard's table in one family, as the kernel has it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GuardTable {
    /// Its family: `bridge` for vifs on a bridge, `netdev` if that is Open vSwitch's, `inet` for those that are routed.
    pub(crate) family: NftFamily,
    /// What it says of itself, its version among it.
    pub(crate) comment: String,
    /// Its chains.
    pub(crate) chains: Vec<NftChain>,
    /// Its rules, with what they have counted.
    pub(crate) rules: Vec<NftRule>,
    /// All elements, each with its set.
    pub(crate) elements: Vec<(NftSet, NftElement)>,
    /// What each port sent, by the statistics of its interface.
    pub(crate) sent: BTreeMap<IfName, NftCounter>,
}

/// What the guard holds one port to, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GuardedPort {
    /// The port.
    pub port: IfName,
    /// What was set up for it, in words.
    pub record: String,
    /// What its interface received from the guest, dropped or not, by the interface's own statistics.
    pub sent: NftCounter,
    /// What was dropped of that.
    pub dropped: NftCounter,
    /// The same by the reason, which is the comment of the rule that refused it.
    pub drops: BTreeMap<String, NftCounter>,
    /// Its elements in the other sets: what it may speak from, and what it may do.
    pub(crate) allowed: Vec<(NftSet, NftElement)>,
}

impl GuardedPort {
    /// The Ethernet address that the port may use; none when the guard does not restrict it.
    pub fn mac(&self) -> Option<[u8; 6]> {
        self.allowed.iter().flat_map(|(_, element)| &element.key).find_map(|value| match value {
            NftValue::EtherAddr(mac) => Some(*mac),
            _ => None,
        })
    }
}

impl GuardedPort {
    fn add_drop(&mut self, reasons: &BTreeMap<u32, &str>, element: &NftElement) {
        let (Some(NftValue::Mark(mark)), Some(counter)) = (element.key.last(), element.counter)
        else {
            return;
        };
        self.dropped.add(counter);
        // A rule of another version, which is gone.
        let reason = reasons.get(mark).copied().unwrap_or("a reason of another version of xennet");
        self.drops.entry(reason.to_owned()).or_default().add(counter);
    }
}

impl GuardTable {
    /// Every port that it guards.
    pub fn ports(&self) -> Vec<GuardedPort> {
        let mut ports: BTreeMap<&IfName, GuardedPort> = BTreeMap::new();
        let records = records(&self.elements);
        let reasons = self.rules.iter().filter_map(|rule| rule.comment.as_deref());
        let reasons: BTreeMap<u32, &str> = reasons.map(|it| (reason_mark(it), it)).collect();
        for (_, element) in self.elements.iter().filter(|(set, _)| set.name == "ports") {
            let Some(NftValue::IfName(port)) = element.key.first() else { continue };
            let guarded = GuardedPort {
                port: port.clone(),
                record: records.get(port).copied().unwrap_or_default().to_owned(),
                sent: self.sent.get(port).copied().unwrap_or_default(),
                dropped: NftCounter::default(),
                drops: BTreeMap::new(),
                allowed: Vec::new(),
            };
            ports.insert(port, guarded);
        }
        for (set, element) in &self.elements {
            let Some(NftValue::IfName(port)) = element.key.first() else { continue };
            let Some(guarded) = ports.get_mut(port) else { continue };
            match set.name.as_str() {
                DROPS => guarded.add_drop(&reasons, element),
                "ports" | "records" => {}
                name if name.starts_with("owned") => {}
                _ => guarded.allowed.push((set.clone(), element.clone())),
            }
        }
        ports.into_values().collect()
    }
}
