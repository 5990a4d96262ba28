use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::{IfName, ParseError, VlanId, VlanRange};

/// The bridge that a vif is for, and its VLANs there: `NAME[.TAG][:VID[:VID...]]`, on a Linux bridge as on one of Open
/// vSwitch.
///
/// What `br0.10` means does not show in the text: a bridge of that name, or VLAN 10 of the bridge `br0`. The name that
/// exists wins, the longer one first: [`whole_name`](Self::whole_name), or else [`short_name`](Self::short_name).
///
/// What follows the last dot can be a tag when it is a VLAN (1 to 4094, without leading zeros) and a name is left before
/// it; else it belongs to the name, as in `br.lan`. (Xen's own script has no dots in a name.)
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BridgeSpec {
    switch: IfName,
    tag: Option<VlanId>,
    trunks: Vec<VlanId>,
}

impl BridgeSpec {
    /// The name of a bridge that has the tag in it; none when there is a tag and that is no name.
    pub fn whole_name(&self) -> Option<IfName> {
        match self.tag {
            Some(tag) => format!("{}.{tag}", self.switch).parse().ok(),
            None => Some(self.switch.clone()),
        }
    }

    /// The name of the bridge without the tag.
    pub fn short_name(&self) -> &IfName {
        &self.switch
    }

    /// The names that it can mean, the one to look for first in front.
    pub fn names(&self) -> impl Iterator<Item = IfName> {
        let short = self.tag.map(|_| self.switch.clone());
        self.whole_name().into_iter().chain(short)
    }

    /// The VLANs that a port of the bridge of this name is in, as ranges: untagged the one after the dot, unless it
    /// belongs to the name, and tagged those after the colons. None when the bridge's own default is meant.
    pub(crate) fn vlans_on(&self, bridge: &IfName) -> Vec<VlanRange> {
        let tag = self.tag.filter(|_| self.whole_name().as_ref() != Some(bridge));
        let trunks = self.trunks.iter().filter(|id| tag != Some(**id));
        let all: BTreeMap<VlanId, bool> =
            trunks.map(|id| (*id, false)).chain(tag.map(|id| (id, true))).collect();
        let mut ranges: Vec<VlanRange> = Vec::new();
        for (id, pvid) in all {
            let next = VlanRange::new(id, pvid, pvid);
            match ranges.last_mut() {
                Some(range) if range.continues_with(next) => range.last = id,
                _ => ranges.push(next),
            }
        }
        ranges
    }

    /// The VLAN of frames without a tag, unless it belongs to the name.
    pub fn tag(&self) -> Option<VlanId> {
        self.tag
    }

    /// The VLANs that the guest tags its frames with. Ascending, each once; empty when none are given.
    pub fn trunks(&self) -> &[VlanId] {
        &self.trunks
    }
}

const KEY: &str = "bridge";

impl FromStr for BridgeSpec {
    type Err = ParseError;

    fn from_str(s: &str) -> Result<Self, ParseError> {
        let (bridge, vids) = match s.split_once(':') {
            Some((bridge, vids)) => (bridge, Some(vids)),
            None => (s, None),
        };
        let mut trunks = match vids {
            Some(vids) => vids.split(':').map(str::parse).collect::<Result<_, _>>().map_err(
                |_: ParseError| {
                    let expected = "NAME[.TAG][:VID[:VID...]] with VLANs from 1 to 4094, without leading zeros";
                    ParseError::new(KEY, s, expected)
                },
            )?,
            None => Vec::new(),
        };
        trunks.sort_unstable();
        trunks.dedup();

        let tagged = bridge.rsplit_once('.');
        let tagged = tagged.and_then(|(name, tag)| Some((name.parse().ok()?, tag.parse().ok()?)));
        let (switch, tag) = match tagged {
            Some((switch, tag)) => (switch, Some(tag)),
            None => (bridge.parse().map_err(|error: ParseError| error.under(KEY))?, None),
        };
        Ok(Self { switch, tag, trunks })
    }
}

impl fmt::Display for BridgeSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.switch.fmt(f)?;
        if let Some(tag) = self.tag {
            write!(f, ".{tag}")?;
        }
        self.trunks.iter().try_for_each(|vid| write!(f, ":{vid}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_readings() {
        for (text, link, switch, tag, trunks) in [
            ("xenbr0", Some("xenbr0"), "xenbr0", None, &[] as &[u16]),
            ("br0.10", Some("br0.10"), "br0", Some(10), &[]),
            ("br0:10", Some("br0"), "br0", None, &[10]),
            ("br0.10:20:30", Some("br0.10"), "br0", Some(10), &[20, 30]),
            ("br.lan", Some("br.lan"), "br.lan", None, &[]),
            ("br.lan.10:20", Some("br.lan.10"), "br.lan", Some(10), &[20]),
            ("br.lan:20", Some("br.lan"), "br.lan", None, &[20]),
            ("br0.0", Some("br0.0"), "br0.0", None, &[]),
            ("br0.4095", Some("br0.4095"), "br0.4095", None, &[]),
            ("br0.010", Some("br0.010"), "br0.010", None, &[]),
            ("br0.", Some("br0."), "br0.", None, &[]),
            (".10", Some(".10"), ".10", None, &[]),
            ("..10", Some("..10"), "..10", None, &[]),
            // Longer than a link's name as a whole, yet a switch and its tag.
            ("fifteen-bytes-x.10", None, "fifteen-bytes-x", Some(10), &[]),
        ] {
            let spec: BridgeSpec = text.parse().unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(spec.to_string(), text);
            assert_eq!(spec.whole_name().map(|name| name.to_string()).as_deref(), link, "{text}");
            assert_eq!(spec.short_name().as_str(), switch);
            assert_eq!(spec.tag().map(VlanId::number), tag);
            assert_eq!(spec.trunks().iter().map(|id| id.number()).collect::<Vec<_>>(), trunks);
        }
        let spec: BridgeSpec = "br0:30:20:30".parse().unwrap();
        assert_eq!(spec.to_string(), "br0:20:30");
    }

    #[test]
    fn what_is_no_bridge() {
        for bad in [
            "",
            ".",
            "..",
            ":10",
            "br0:",
            "br0::10",
            "br0:10:",
            "br0:0",
            "br0:4095",
            "br0:010",
            "br0:10-20",
            "br0: 10",
            "br0:x",
            "br 0",
            "a/b",
            "sixteen-bytes-xx",
            "sixteen-bytes-xx.10",
        ] {
            let error = bad.parse::<BridgeSpec>().unwrap_err();
            assert_eq!(error.key(), "bridge", "{bad:?}");
        }
    }

    #[test]
    fn the_vlans_depend_on_which_name_exists() {
        let on = |text: &str, bridge: &str| {
            let spec: BridgeSpec = text.parse().unwrap();
            let vlans = spec.vlans_on(&bridge.parse().unwrap());
            vlans.iter().map(ToString::to_string).collect::<Vec<_>>().join("/")
        };
        for (text, bridge, vlans) in [
            ("br0", "br0", ""),
            ("br0.10", "br0", "10p"),
            ("br0.10", "br0.10", ""),
            ("br0.10:20:21:30", "br0", "10p/20-21/30"),
            ("br0.10:20", "br0.10", "20"),
            ("br0:20:30", "br0", "20/30"),
            // Untagged where it is both: a guest that tags it has no other use for it.
            ("br0.10:10:20", "br0", "10p/20"),
        ] {
            assert_eq!(on(text, bridge), vlans, "{text} on {bridge}");
        }
        let names: Vec<IfName> = "br0.10:20".parse::<BridgeSpec>().unwrap().names().collect();
        assert_eq!(names, ["br0.10".parse().unwrap(), "br0".parse().unwrap()]);
    }

    proptest! {
        #[test]
        fn parsing_a_printed_bridge_gives_it_back(
            s in "[a-z.0-9]{1,16}(\\.[0-9]{1,4})?(:[0-9]{1,4}){0,3}|[a-z]{1,12}\\.[1-9][0-9]{0,2}(:[1-9][0-9]{0,2}){0,3}|\\PC{0,20}",
        ) {
            if let Ok(spec) = s.parse::<BridgeSpec>() {
                prop_assert_eq!(spec.to_string().parse::<BridgeSpec>(), Ok(spec));
            }
        }

        #[test]
        fn every_name_of_a_link_is_one_of_a_bridge(s in "[a-z0-9.]{0,16}|\\PC{0,16}") {
            if let Ok(name) = s.parse::<IfName>() {
                prop_assert_eq!(s.parse::<BridgeSpec>().unwrap().whole_name(), Some(name));
            }
        }

        #[test]
        fn text_never_panics(s in ".*") {
            let _ = s.parse::<BridgeSpec>();
        }
    }
}
