use std::fmt;
use std::str::FromStr;

use super::{IfName, ParseError, VlanId};

/// The bridge that a vif is for: a name for a Linux bridge, `NAME[.TAG][:VID[:VID...]]` for Open vSwitch.
///
/// Which of the two it is does not show in the text: `br0.10` is a Linux bridge of that name, or VLAN 10 of the
/// switch `br0`. So both readings are offered, and who plugs the vif knows which one is right:
/// [`link_name`](Self::link_name), or [`switch_name`](Self::switch_name), [`tag`](Self::tag) and
/// [`trunks`](Self::trunks).
///
/// What follows the last dot is the tag when it is a VLAN (1 to 4094, without leading zeros) and a name is left before
/// it; else it belongs to the name, as in `br.lan`. (Xen's own script has no dots in the name of a switch.)
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BridgeSpec {
    switch: IfName,
    tag: Option<VlanId>,
    trunks: Vec<VlanId>,
}

impl BridgeSpec {
    /// The whole text as the name of a Linux bridge; an error when it cannot be one.
    pub fn link_name(&self) -> Result<IfName, ParseError> {
        let text = self.to_string();
        if self.trunks.is_empty() {
            text.parse().map_err(|error: ParseError| error.under(KEY))
        } else {
            let expected = "the name of a Linux bridge: VLANs after \":\" are for Open vSwitch, \
                            on a Linux bridge vlan= gives them";
            Err(ParseError::new(KEY, text, expected))
        }
    }

    /// The name of the Open vSwitch bridge.
    pub fn switch_name(&self) -> &IfName {
        &self.switch
    }

    /// The VLAN of frames without a tag: `tag` of the Open vSwitch port.
    pub fn tag(&self) -> Option<VlanId> {
        self.tag
    }

    /// The VLANs that the guest may tag its frames with: `trunks` of the Open vSwitch port. Ascending, each once;
    /// empty when none are given.
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
            ("br0:10", None, "br0", None, &[10]),
            ("br0.10:20:30", None, "br0", Some(10), &[20, 30]),
            ("br.lan", Some("br.lan"), "br.lan", None, &[]),
            ("br.lan.10:20", None, "br.lan", Some(10), &[20]),
            ("br.lan:20", None, "br.lan", None, &[20]),
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
            assert_eq!(
                spec.link_name().ok().map(|name| name.to_string()).as_deref(),
                link,
                "{text}"
            );
            assert_eq!(spec.switch_name().as_str(), switch);
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
    fn vlans_on_a_linux_bridge_are_told_where_to_go() {
        let error = "xenbr0:10:20".parse::<BridgeSpec>().unwrap().link_name().unwrap_err();
        assert_eq!(
            error.to_string(),
            "bridge \"xenbr0:10:20\": expected the name of a Linux bridge: VLANs after \":\" are for \
             Open vSwitch, on a Linux bridge vlan= gives them"
        );
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
                prop_assert_eq!(s.parse::<BridgeSpec>().unwrap().link_name(), Ok(name));
            }
        }

        #[test]
        fn text_never_panics(s in ".*") {
            let _ = s.parse::<BridgeSpec>();
        }
    }
}
