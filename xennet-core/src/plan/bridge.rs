use super::{Change, Plan, PlanError};
use crate::types::{
    BridgeInfo, IfName, Link, LinkKind, LinkRef, LinkSet, MacAddr, Mtu, ParseError, parse_bytes,
};

/// A bridge to make.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BridgeConfig {
    /// Its name.
    pub name: IfName,
    /// Its settings; by default no spanning tree and no forward delay, so that a guest speaks at once.
    pub settings: BridgeInfo,
    /// Its hardware address, pinned so that it does not change with its ports; none lets the kernel follow them.
    pub mac: Option<MacAddr>,
    /// Its MTU; none means the kernel's default, the smallest of its ports'.
    pub mtu: Option<Mtu>,
}

/// What there is of a bridge.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct BridgeSnapshot {
    /// The interface of that name.
    pub link: Option<Link>,
    /// Its ports.
    pub ports: Vec<Link>,
}

impl BridgeConfig {
    /// A bridge with the defaults that suit guests.
    pub fn new(name: IfName) -> Self {
        let settings =
            BridgeInfo { mcast_snooping: Some(true), ageing_time: 30_000, ..BridgeInfo::default() };
        Self { name, settings, mac: None, mtu: None }
    }

    /// Every key that [`set`](Self::set) takes.
    pub const KEYS: [&str; 4] = ["mac", "mtu", "stp", "vlan_filtering"];

    /// Sets one key from text: `mac` and `mtu` to a value, or with an empty one to none; `stp` and `vlan_filtering` to
    /// `0` or `1`. An unknown key or a bad value is an error, and changes nothing.
    pub fn set(&mut self, key: &str, value: &[u8]) -> Result<(), ParseError> {
        match key {
            "mac" if value.is_empty() => self.mac = None,
            "mac" => self.mac = Some(parse_bytes("mac", value)?),
            "mtu" if value.is_empty() => self.mtu = None,
            "mtu" => self.mtu = Some(parse_bytes("mtu", value)?),
            "stp" => self.settings.stp = switch("stp", value)?,
            "vlan_filtering" => self.settings.vlan_filtering = switch("vlan_filtering", value)?,
            _ => {
                let expected = format!("one of {}", Self::KEYS.join(", "));
                return Err(ParseError::new("key", key, expected));
            }
        }
        Ok(())
    }

    /// What makes the bridge, or takes up the one that is there: an administrator's bridge keeps its settings, and it is
    /// an error when they contradict what is asked for here.
    pub fn create(&self, seen: &BridgeSnapshot) -> Result<Plan, PlanError> {
        let up =
            |link, was| Change::LinkSet { link, set: LinkSet::Up(true), was: LinkSet::Up(was) };
        let Some(link) = &seen.link else {
            return Ok(self.make().chain([up(self.reference(), false)]).collect());
        };
        let settings = link.bridge.as_ref().ok_or_else(|| not_a_bridge(link))?;
        let pin = self.pin(link.reference()).filter(|_| self.is_unfinished(link, &seen.ports));
        if pin.is_none() {
            self.agrees(link, settings)?;
        }
        let up = (!link.up).then(|| up(link.reference(), false));
        Ok(pin.into_iter().chain(up).collect())
    }

    /// Whether a process was killed between making the bridge and pinning its MTU: only such a bridge is one byte off, down
    /// and without ports.
    fn is_unfinished(&self, link: &Link, ports: &[Link]) -> bool {
        let started = self.mtu.is_some_and(|mtu| link.mtu == unpinned(mtu).bytes());
        started && !link.up && ports.is_empty()
    }

    /// What makes a bridge keep its MTU: by itself it follows its smallest port's, until its MTU is changed.
    fn pin(&self, link: LinkRef) -> Option<Change> {
        let mtu = self.mtu?;
        let (set, was) = (LinkSet::Mtu(mtu), LinkSet::Mtu(unpinned(mtu)));
        Some(Change::LinkSet { link, set, was })
    }

    pub(super) fn make(&self) -> impl Iterator<Item = Change> {
        let add = Change::LinkAdd {
            name: self.name.clone(),
            kind: LinkKind::Bridge(self.settings.clone()),
            mac: self.mac,
            mtu: self.mtu.map(unpinned),
        };
        [add].into_iter().chain(self.pin(self.reference()))
    }

    /// An error when a bridge that exists is not what is asked for: it is not ours to change.
    fn agrees(&self, link: &Link, settings: &BridgeInfo) -> Result<(), PlanError> {
        let differs = |setting: String, command: String| {
            Err(PlanError::BridgeDiffers { name: self.name.clone(), setting, command })
        };
        let of_bridge = |words: &str| format!("ip link set dev {} type bridge {words}", self.name);
        let of_link = |words: &str| format!("ip link set dev {} {words}", self.name);
        match (self.mac, self.mtu) {
            _ if self.settings.vlan_filtering && !settings.vlan_filtering => {
                differs("vlan_filtering 0".into(), of_bridge("vlan_filtering 1"))
            }
            _ if self.settings.stp && !settings.stp => {
                differs("stp_state 0".into(), of_bridge("stp_state 1"))
            }
            (Some(mac), _) if link.mac != Some(mac) => {
                differs("another address".into(), of_link(&format!("address {mac}")))
            }
            (_, Some(mtu)) if link.mtu != mtu.bytes() => {
                differs(format!("mtu {}", link.mtu), of_link(&format!("mtu {mtu}")))
            }
            _ => Ok(()),
        }
    }

    fn reference(&self) -> LinkRef {
        LinkRef { index: None, name: self.name.clone() }
    }
}

impl BridgeSnapshot {
    /// What removes the bridge; nothing when it is not there. `force` removes it from under its ports.
    ///
    /// An error when it has ports and not `force`, and when it is no bridge.
    pub fn delete(&self, force: bool) -> Result<Plan, PlanError> {
        let Some(link) = &self.link else { return Ok(Plan::default()) };
        if link.bridge.is_none() {
            return Err(not_a_bridge(link));
        }
        if !force && !self.ports.is_empty() {
            let ports = self.ports.iter().map(|port| port.name.clone()).collect();
            return Err(PlanError::HasPorts { name: link.name.clone(), ports });
        }
        Ok([Change::LinkDelete { link: link.reference() }].into_iter().collect())
    }
}

/// An MTU next to the wanted one, so that setting that is a change.
fn unpinned(mtu: Mtu) -> Mtu {
    Mtu::new(mtu.bytes() ^ 1).unwrap_or(mtu)
}

pub(super) fn not_a_bridge(link: &Link) -> PlanError {
    PlanError::NotABridge { name: link.name.clone(), kind: super::vif::describe(link) }
}

fn switch(key: &'static str, value: &[u8]) -> Result<bool, ParseError> {
    match value {
        b"0" => Ok(false),
        b"1" => Ok(true),
        _ => Err(ParseError::new(key, value, "0 or 1")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_each_key_and_refuses_what_it_does_not_know() {
        let fresh = BridgeConfig::new("xenbr0".parse().unwrap());
        let mut config = fresh.clone();
        for (key, value) in
            [("mac", "02:00:00:00:00:09"), ("mtu", "9000"), ("stp", "1"), ("vlan_filtering", "1")]
        {
            config.set(key, value.as_bytes()).unwrap();
        }
        assert_eq!(config.mac.unwrap().to_string(), "02:00:00:00:00:09");
        assert_eq!(config.mtu.unwrap().bytes(), 9000);
        assert!(config.settings.stp && config.settings.vlan_filtering);
        for (key, value) in [("mac", ""), ("mtu", ""), ("stp", "0"), ("vlan_filtering", "0")] {
            config.set(key, value.as_bytes()).unwrap();
        }
        assert_eq!(config, fresh);
        for (key, value, words) in [
            ("stp", "yes", "stp \"yes\": expected 0 or 1"),
            ("mtu", "x", "mtu \"x\": expected"),
            ("ageing", "1", "key \"ageing\": expected one of mac, mtu"),
        ] {
            let error = config.set(key, value.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with(words), "{error}");
        }
        assert_eq!(config, fresh);
    }
}
