use std::collections::BTreeMap;
use std::fmt;

use super::{IfName, Mtu, ParseError, VlanId, VlanRange};

/// A bridge of Open vSwitch.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OvsBridge {
    /// The name that it was asked for by.
    pub name: IfName,
    /// For a fake bridge (`ovs-vsctl add-br NAME PARENT VLAN`) the bridge that has its ports, and the one VLAN that they are
    /// in, untagged.
    pub fake: Option<(IfName, VlanId)>,
}

/// A port of an Open vSwitch bridge and its one interface, as the database shall have them.
/// `ovs-vsctl add-port BRIDGE NAME ... -- set Interface NAME ...`
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "whoever plans a change makes one")]
pub struct OvsPort {
    /// The bridge.
    pub bridge: IfName,
    /// The port, and the interface of the same name.
    pub name: IfName,
    /// The VLANs that it is in.
    pub vlans: OvsVlans,
    /// Whether it exchanges no frames with other protected ports: `protected`.
    pub protected: bool,
    /// The MTU that Open vSwitch keeps the interface at: `mtu_request`; none leaves it alone.
    pub mtu: Option<Mtu>,
    /// What the guest may send at most.
    pub policing: Policing,
    /// What the interface is, for those who control the switch. Keys of others are left alone.
    pub external_ids: BTreeMap<String, String>,
}

/// The VLANs of an Open vSwitch port. The default is a trunk of all VLANs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_structs, reason = "these are the three columns")]
pub struct OvsVlans {
    /// The VLAN of frames without a tag: `tag`.
    pub tag: Option<VlanId>,
    /// The VLANs of tagged frames, in ascending order: `trunks`.
    pub trunks: Vec<VlanId>,
    /// What `tag` and `trunks` mean together: `vlan_mode`; none goes by which of them there is.
    pub mode: Option<OvsVlanMode>,
}

/// `vlan_mode` of an Open vSwitch port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OvsVlanMode {
    /// `access`: in `tag` alone, untagged.
    Access,
    /// `trunk`: in `trunks`, tagged.
    Trunk,
    /// `native-tagged`: in `trunks`, and frames without a tag are in `tag`, which they leave with.
    NativeTagged,
    /// `native-untagged`: in `trunks` tagged, and in `tag` untagged.
    NativeUntagged,
    /// `dot1q-tunnel`: whatever the guest sends is in `tag`, tags and all.
    Dot1qTunnel,
}

/// What a guest may send through an Open vSwitch port. The default is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[expect(clippy::exhaustive_structs, reason = "these are the two columns")]
pub struct Policing {
    /// Kilobits per second: `ingress_policing_rate`; 0 is no limit.
    pub rate: u32,
    /// Kilobits on top of that in one burst: `ingress_policing_burst`; 0 is what Open vSwitch finds right.
    pub burst: u32,
}

/// A port as the database has it, and what Open vSwitch made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OvsPortNow {
    /// What the database says; in `external_ids` everybody's keys.
    pub port: OvsPort,
    /// The kind of its interface; empty for a network device of the host's.
    pub kind: String,
    /// The number that the switch knows it by; none while it has none, and -1 when it could not be opened.
    pub ofport: Option<i64>,
    /// Why it could not be opened.
    pub error: Option<String>,
}

impl OvsBridge {
    /// A bridge of its own, which is no fake one.
    pub fn new(name: IfName) -> Self {
        Self { name, fake: None }
    }
}

impl OvsVlans {
    /// The columns for these VLANs; an error where more than one is untagged, which Open vSwitch does not know.
    pub fn of(ranges: &[VlanRange]) -> Result<Self, ParseError> {
        let mut vlans = Self::default();
        for range in ranges {
            if range.pvid {
                vlans.tag = Some(range.first);
            } else if range.untagged {
                let expected =
                    "no untagged VLAN but the PVID: an Open vSwitch port cannot have more";
                return Err(ParseError::new("vlan", range.to_string(), expected));
            } else {
                vlans.trunks.extend(range.ids());
            }
        }
        // Without it the trunks would be ignored in silence.
        let hybrid = vlans.tag.is_some() && !vlans.trunks.is_empty();
        vlans.mode = hybrid.then_some(OvsVlanMode::NativeUntagged);
        Ok(vlans)
    }
}

impl OvsVlanMode {
    const ALL: [Self; 5] =
        [Self::Access, Self::Trunk, Self::NativeTagged, Self::NativeUntagged, Self::Dot1qTunnel];

    /// The database's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Trunk => "trunk",
            Self::NativeTagged => "native-tagged",
            Self::NativeUntagged => "native-untagged",
            Self::Dot1qTunnel => "dot1q-tunnel",
        }
    }

    /// The mode that a word of the database's stands for.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == word)
    }
}

impl OvsPort {
    /// The part of `ovs-vsctl` that sets the columns.
    pub(crate) fn columns(&self) -> String {
        let mut words = Vec::new();
        let OvsVlans { tag, trunks, mode } = &self.vlans;
        words.extend(tag.map(|tag| format!("tag={tag}")));
        if !trunks.is_empty() {
            let ids: Vec<String> = trunks.iter().map(ToString::to_string).collect();
            words.push(format!("trunks={}", ids.join(",")));
        }
        words.extend(mode.map(|mode| format!("vlan_mode={}", mode.as_str())));
        words.extend(self.protected.then(|| "protected=true".to_owned()));
        words.push(format!("-- set Interface {}", self.name));
        words.extend(self.mtu.map(|mtu| format!("mtu_request={mtu}")));
        if self.policing != Policing::default() {
            words.push(format!("ingress_policing_rate={}", self.policing.rate));
            words.push(format!("ingress_policing_burst={}", self.policing.burst));
        }
        words.extend(
            self.external_ids.iter().map(|(key, value)| format!("external_ids:{key}={value:?}")),
        );
        words.join(" ")
    }
}

impl OvsPortNow {
    /// A port that the database has.
    #[cfg(any(test, feature = "internals"))]
    pub fn new(port: OvsPort) -> Self {
        Self { port, kind: String::new(), ofport: None, error: None }
    }

    /// Whether it is for a network device of the host's.
    pub fn is_device(&self) -> bool {
        ["", "system"].contains(&self.kind.as_str())
    }

    /// Whether the switch passes frames through it.
    pub fn works(&self) -> bool {
        self.error.is_none() && self.ofport.is_some_and(|number| number > 0)
    }
}

impl fmt::Display for OvsPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "add-port {} {} {}", self.bridge, self.name, self.columns())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::VlanSpec;

    #[test]
    fn an_access_port_a_trunk_and_a_hybrid() {
        let of = |text: &str| OvsVlans::of(text.parse::<VlanSpec>().unwrap().ranges());
        let id = |number| VlanId::new(number).unwrap();
        assert_eq!(of("10"), Ok(OvsVlans { tag: Some(id(10)), ..OvsVlans::default() }));
        let hybrid = OvsVlans {
            tag: Some(id(10)),
            trunks: vec![id(20), id(21)],
            mode: Some(OvsVlanMode::NativeUntagged),
        };
        assert_eq!(of("10p/20-21"), Ok(hybrid));
        let error = of("10p/20u").unwrap_err().to_string();
        assert!(
            error.starts_with("vlan \"20u\": expected no untagged VLAN but the PVID"),
            "{error}"
        );
        let trunk = OvsVlans::of(&[VlanRange::new(id(20), false, false)]).unwrap();
        assert_eq!((trunk.tag, trunk.trunks, trunk.mode), (None, vec![id(20)], None));
    }
}
