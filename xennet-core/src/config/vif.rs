use crate::types::{
    BridgeSpec, IfName, IpList, MacAddr, Mtu, ParseError, Rate, VlanRange, VlanSpec, parse_bytes,
};

/// What one vif shall become, in XenStore's own words.
///
/// XenStore, the command line's `key=value` and C share this one vocabulary: [`set`](Self::set) takes the key's name,
/// so that a new key breaks no interface. Each value is checked when it is set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct VifConfig {
    /// The bridge to join; none means the only one there is.
    pub bridge: Option<BridgeSpec>,
    /// A name of the administrator's choice instead of `vif3.0`.
    pub vifname: Option<IfName>,
    /// The MTU; none means the bridge's.
    pub mtu: Option<Mtu>,
    /// The guest's hardware address.
    pub mac: Option<MacAddr>,
    /// The guest's addresses and prefixes.
    pub ip: IpList,
    /// What the guest may send, enforced by netback itself.
    pub rate: Option<Rate>,
    /// The VLANs that the port carries.
    pub vlan: Option<VlanSpec>,
    /// The interface through which a routed vif reaches the world.
    pub gatewaydev: Option<IfName>,
    /// The frontend's directory in XenStore, absolute; only its `mtu` is ours to write.
    pub frontend: Option<String>,
}

impl VifConfig {
    /// Every key that [`set`](Self::set) takes, in the order of XenStore's documentation.
    pub const KEYS: [&str; 9] =
        ["bridge", "vifname", "mtu", "mac", "ip", "rate", "vlan", "gatewaydev", "frontend"];

    /// Sets one key from the text that XenStore holds, or that somebody typed.
    ///
    /// An empty value means that the key is not set, as xl writes it. An unknown key or a bad value is an error, and
    /// changes nothing.
    pub fn set(&mut self, key: &str, value: &[u8]) -> Result<(), ParseError> {
        match key {
            "bridge" => self.bridge = optional("bridge", value)?,
            "vifname" => self.vifname = optional("vifname", value)?,
            "mtu" => self.mtu = optional("mtu", value)?,
            "mac" => self.mac = optional("mac", value)?,
            "ip" => self.ip = parse_bytes("ip", value)?,
            "rate" => self.rate = optional("rate", value)?,
            "vlan" => self.vlan = optional("vlan", value)?,
            // libxl's own name for it in the environment is `netdev`.
            "gatewaydev" | "netdev" => self.gatewaydev = optional("gatewaydev", value)?,
            "frontend" => {
                self.frontend = optional::<FrontendPath>("frontend", value)?.map(|path| path.0);
            }
            _ => {
                return Err(ParseError::new(
                    "key",
                    key,
                    format!("one of {}", Self::KEYS.join(", ")),
                ));
            }
        }
        Ok(())
    }

    /// The VLANs that the port of a bridge shall be in, by `vlan` or behind the name in `bridge`; none leaves them as the
    /// bridge has them. An error when the two say different things.
    pub(crate) fn vlans_on(&self, bridge: &IfName) -> Result<Option<Vec<VlanRange>>, ParseError> {
        let spec = self.bridge.as_ref().filter(|spec| !spec.vlans_on(bridge).is_empty());
        match (&self.vlan, spec) {
            (None, None) => Ok(None),
            (Some(vlan), None) => Ok(Some(vlan.ranges().to_vec())),
            (None, Some(spec)) => Ok(Some(spec.vlans_on(bridge))),
            (Some(vlan), Some(spec)) if vlan.ranges() == spec.vlans_on(bridge) => {
                Ok(Some(vlan.ranges().to_vec()))
            }
            (Some(vlan), Some(spec)) => {
                let expected =
                    format!("the same VLANs as in bridge={spec}, or only one of the two");
                Err(ParseError::new("vlan", vlan.to_string(), expected))
            }
        }
    }

    /// One key's value as XenStore would hold it; none when it is not set, or there is no such key.
    pub fn get(&self, key: &str) -> Option<String> {
        fn text(value: Option<&impl ToString>) -> Option<String> {
            value.map(ToString::to_string)
        }
        match key {
            "bridge" => text(self.bridge.as_ref()),
            "vifname" => text(self.vifname.as_ref()),
            "mtu" => text(self.mtu.as_ref()),
            "mac" => text(self.mac.as_ref()),
            "ip" => text(Some(&self.ip)).filter(|ip| !ip.is_empty()),
            "rate" => text(self.rate.as_ref()),
            "vlan" => text(self.vlan.as_ref()),
            "gatewaydev" | "netdev" => text(self.gatewaydev.as_ref()),
            "frontend" => self.frontend.clone(),
            _ => None,
        }
    }
}

fn optional<T>(key: &'static str, value: &[u8]) -> Result<Option<T>, ParseError>
where
    T: std::str::FromStr<Err = ParseError>,
{
    if value.is_empty() { Ok(None) } else { parse_bytes(key, value).map(Some) }
}

/// `/local/domain/DOMID/device/...`: a place in a guest's part of XenStore, spelt so that it can be no other place.
struct FrontendPath(String);

impl std::str::FromStr for FrontendPath {
    type Err = ParseError;

    fn from_str(s: &str) -> Result<Self, ParseError> {
        let ours = |rest: &str| {
            rest.split('/').all(|name| {
                !name.is_empty()
                    && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_@".contains(&b))
            })
        };
        match s.strip_prefix("/local/domain/") {
            Some(rest) if rest.contains('/') && ours(rest) && s.len() <= 512 => {
                Ok(Self(s.to_owned()))
            }
            _ => Err(ParseError::new("frontend", s, "a path as /local/domain/3/device/vif/0")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn takes_what_libxl_writes_and_gives_it_back() {
        let mut config = VifConfig::default();
        for (key, value) in [
            ("bridge", "xenbr0"),
            ("vifname", "web"),
            ("mtu", "9000"),
            ("mac", "00:16:3e:01:02:03"),
            ("ip", "10.1.0.9 10.1.0.10 fd00::9"),
            ("rate", "25000,20000"),
            ("vlan", "10p/20-30"),
            ("gatewaydev", "eth1"),
            ("frontend", "/local/domain/3/device/vif/0"),
        ] {
            assert_eq!(config.get(key), None);
            config.set(key, value.as_bytes()).unwrap();
            assert_eq!(config.get(key).as_deref(), Some(value));
        }
        assert_eq!(config.get("brigde"), None);
        assert_eq!(config.vifname.as_ref().unwrap().as_str(), "web");
        assert_eq!(config.mtu.unwrap().bytes(), 9000);
        assert_eq!(config.frontend.as_deref(), Some("/local/domain/3/device/vif/0"));
    }

    #[test]
    fn the_vlans_of_a_port_are_said_once() {
        let of = |bridge: &str, vlan: &str| {
            let mut config = VifConfig::default();
            config.set("bridge", bridge.as_bytes()).unwrap();
            config.set("vlan", vlan.as_bytes()).unwrap();
            let text = |vlans: Vec<VlanRange>| {
                vlans.iter().map(ToString::to_string).collect::<Vec<_>>().join("/")
            };
            let vlans = config.vlans_on(&"br0".parse().unwrap());
            vlans.map(|vlans| vlans.map(text)).map_err(|error| error.to_string())
        };
        let some = |text: &str| Ok(Some(text.to_owned()));
        assert_eq!(of("br0", ""), Ok(None));
        assert_eq!(of("br0", "10p/20"), some("10p/20"));
        assert_eq!(of("br0.10:20", ""), some("10p/20"));
        assert_eq!(of("br0.10:20", "20/10p"), some("10p/20"));
        assert_eq!(
            of("br0.10:20", "10"),
            Err("vlan \"10\": expected the same VLANs as in bridge=br0.10:20, or only one of the two".into())
        );
    }

    #[test]
    fn an_empty_value_means_that_the_key_is_not_set() {
        for key in VifConfig::KEYS {
            let mut config = VifConfig::default();
            config.set(key, b"").unwrap();
            assert_eq!(config, VifConfig::default(), "{key}");
        }
    }

    #[test]
    fn an_error_names_the_key_and_changes_nothing() {
        for (key, value) in [
            ("mtu", "12"),
            ("vifname", "../../etc"),
            ("mac", "ff:ff:ff:ff:ff:ff"),
            ("ip", "10.0.0.256"),
            ("vlan", "4095"),
            ("frontend", "/local/domain/3/../0/vm"),
            ("frontend", "/vm"),
        ] {
            let mut config = VifConfig::default();
            let error = config.set(key, value.as_bytes()).unwrap_err();
            assert_eq!(error.key(), key);
            assert_eq!(config, VifConfig::default());
        }
        let error = VifConfig::default().set("brigde", b"xenbr0").unwrap_err();
        assert!(error.to_string().contains("bridge, vifname"), "{error}");
    }

    proptest! {
        #[test]
        fn no_value_panics(key in 0..VifConfig::KEYS.len(), value: Vec<u8>) {
            let _ = VifConfig::default().set(VifConfig::KEYS[key], &value);
        }
    }
}
