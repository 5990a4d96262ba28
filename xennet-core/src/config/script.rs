use super::error::shown;
use super::{BridgePolicy, GuardLevel, HostAddresses, NatPolicy, NetworkConfig, RoutedPolicy};
use crate::types::{IfName, ParseError};

/// One of Xen's network scripts of old with its arguments: what they ask for, and how they would be asked today.
///
/// Xen had them until 2014. `xend` called them when it started; some hosts still call them at boot.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NetworkScript {
    /// Which of them.
    pub kind: ScriptKind,
    /// The interface that leads to the world; none for that of the default route.
    pub netdev: Option<IfName>,
    /// The bridge to make.
    pub bridge: Option<ScriptBridge>,
    /// The number of a pair `ethN` and `xenbrN`: what the scripts before Xen 3.2 had.
    pub vifnum: Option<u8>,
    /// Whether guests are to be held to their addresses.
    pub antispoof: bool,
    /// Whether guests are told their addresses.
    pub dhcp: bool,
    /// The arguments that Xen's script did not use either.
    pub ignored: Vec<String>,
}

/// The scripts that there were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there will be no more of them")]
pub enum ScriptKind {
    /// `network-bridge`: the guests and the host on a bridge, with the host's addresses.
    Bridge,
    /// `network-route`: the host forwards, and answers ARP for its guests.
    Route,
    /// `network-nat`: the host forwards, and lends its guests its address.
    Nat,
    /// `network-dummy`: nothing.
    Dummy,
}

/// `bridge=` of `network-bridge`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there will be no more of them")]
pub enum ScriptBridge {
    /// `null`: none, and nothing is done.
    None,
    /// This one.
    Named(IfName),
}

impl ScriptKind {
    const ALL: [Self; 4] = [Self::Bridge, Self::Route, Self::Nat, Self::Dummy];

    /// The script of this name, without its directory.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The script's name: `network-bridge`, ...
    pub fn name(self) -> &'static str {
        match self {
            Self::Bridge => "network-bridge",
            Self::Route => "network-route",
            Self::Nat => "network-nat",
            Self::Dummy => "network-dummy",
        }
    }
}

impl NetworkScript {
    /// Parses the script's `key=value` arguments, which Xen's script evaluated in a shell.
    ///
    /// Other arguments are [`ignored`](Self::ignored), as by Xen's script. A known key with an invalid value is an error.
    pub fn parse<'a>(
        kind: ScriptKind,
        args: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, ParseError> {
        let mut script = Self {
            kind,
            netdev: None,
            bridge: None,
            vifnum: None,
            antispoof: false,
            dhcp: false,
            ignored: Vec::new(),
        };
        for arg in args {
            let known = match arg.split_once('=') {
                Some((key, value)) => script.set(key, value)?,
                None => false,
            };
            if !known {
                script.ignored.push(arg.to_owned());
            }
        }
        Ok(script)
    }

    /// Whether the key is known.
    fn set(&mut self, key: &str, value: &str) -> Result<bool, ParseError> {
        let given = !value.is_empty();
        let yes = |key: &'static str| match value {
            "yes" => Ok(true),
            "no" | "" => Ok(false),
            _ => Err(ParseError::new(key, value, "yes or no")),
        };
        match key {
            "netdev" => self.netdev = given.then(|| name("netdev", value)).transpose()?,
            "bridge" if value == "null" => self.bridge = Some(ScriptBridge::None),
            "bridge" => {
                let bridge = given.then(|| name("bridge", value)).transpose()?;
                self.bridge = bridge.map(ScriptBridge::Named);
            }
            "vifnum" => {
                let number = || {
                    let wrong = |_| ParseError::new("vifnum", value, "a number from 0 to 255");
                    value.parse().map_err(wrong)
                };
                self.vifnum = given.then(number).transpose()?;
            }
            "antispoof" => self.antispoof = yes("antispoof")?,
            "dhcp" => self.dhcp = yes("dhcp")?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Whether it depends on where the host's default route leads.
    pub fn asks_for_gateway(&self) -> bool {
        let nothing = self.kind == ScriptKind::Dummy || self.bridge == Some(ScriptBridge::None);
        !nothing && self.netdev.is_none() && self.vifnum.is_none()
    }

    /// What the script asks for, in xennet's words, and what the administrator should know about that.
    ///
    /// `gateway` is the interface of the default route, for a script that is not told its interface. An error when there is
    /// none either.
    pub fn config(
        &self,
        gateway: Option<&IfName>,
    ) -> Result<(NetworkConfig, Vec<String>), ParseError> {
        let mut config = NetworkConfig::default();
        let ignored = |arg: &String| format!("{}: ignored, as by Xen's script", shown(arg));
        let mut remarks: Vec<String> = self.ignored.iter().map(ignored).collect();
        match self.kind {
            ScriptKind::Dummy => {}
            _ if self.bridge == Some(ScriptBridge::None) => {}
            ScriptKind::Bridge => {
                let policy = self.bridge(self.netdev(gateway)?, &mut remarks)?;
                config.bridges.push(policy);
            }
            ScriptKind::Route => {
                let mut policy = RoutedPolicy::new(self.netdev(gateway)?);
                policy.proxy_arp = true;
                config.routed.push(policy);
            }
            ScriptKind::Nat => {
                let mut policy = NatPolicy::new("nat0");
                policy.uplink = Some(self.netdev(gateway)?);
                policy.subnets.extend(GUESTS.parse::<ipnet::IpNet>());
                policy.dhcp = self.dhcp;
                config.nat.push(policy);
                remarks.push(format!(
                    "the guests of network-nat have addresses of {GUESTS}, by their domains: correct subnets if some \
                     of that is in use already"
                ));
            }
        }
        if self.antispoof && matches!(self.kind, ScriptKind::Route | ScriptKind::Nat) {
            remarks.push(format!(
                "antispoof=yes did nothing in {}; with xennet a guest whose ip= is set is held to it in any case",
                self.kind.name()
            ));
        }
        Ok((config, remarks))
    }

    fn bridge(
        &self,
        netdev: IfName,
        remarks: &mut Vec<String>,
    ) -> Result<BridgePolicy, ParseError> {
        let usual = self.usual_bridge(&netdev)?;
        let mut policy = match &self.bridge {
            Some(ScriptBridge::Named(bridge)) if *bridge != netdev => {
                BridgePolicy::new(bridge.clone())
            }
            // From 3.2 on the bridge had the name of its uplink, which was renamed. Nothing is renamed now.
            _ => {
                remarks.push(format!(
                    "the bridge of {netdev} is {usual}, and {netdev} keeps its name: guests that ask for \
                     bridge={netdev} are to ask for bridge={usual}"
                ));
                BridgePolicy::new(usual)
            }
        };
        policy.uplink = Some(netdev);
        policy.addresses = Some(HostAddresses::Inherit);
        if self.antispoof {
            policy.port.guard = Some(GuardLevel::Strict);
            remarks.push(format!(
                "antispoof=yes let a guest without ip= send what it liked; guard = \"strict\" holds it to its mac= and to \
                 no address at all: set ip= for the guests of {}, or leave guard out, which holds those with ip=",
                policy.name
            ));
        }
        Ok(policy)
    }

    /// `xenbrN` for `ethN`, as in Xen's scripts before 3.2. Other interfaces have a name that no two of them share, except for
    /// names of 13 bytes and more: `br-p4p1` for `p4p1`.
    fn usual_bridge(&self, netdev: &IfName) -> Result<IfName, ParseError> {
        let number = netdev.as_str().strip_prefix("eth").and_then(|number| number.parse().ok());
        if let Some(number) = self.vifnum.map(u32::from).or(number) {
            return name("bridge", &format!("xenbr{number}"));
        }
        // The end of a long name differs more often than its start.
        let mut end = netdev.as_str().chars();
        while end.as_str().len() + "br-".len() > IfName::MAX {
            end.next();
        }
        name("bridge", &format!("br-{}", end.as_str()))
    }

    fn netdev(&self, gateway: Option<&IfName>) -> Result<IfName, ParseError> {
        match (&self.netdev, self.vifnum, gateway) {
            (Some(netdev), ..) => Ok(netdev.clone()),
            (None, Some(number), _) => name("netdev", &format!("eth{number}")),
            (None, None, Some(gateway)) => Ok(gateway.clone()),
            (None, None, None) => {
                Err(ParseError::new("netdev", "", "an interface: no default route says which"))
            }
        }
    }
}

/// The host's address in the network of `network-nat`'s guests: `vif-nat` gives domain 1 10.0.1.1, and domain 32751, the
/// last there can be, 10.127.239.1.
const GUESTS: &str = "10.0.0.1/9";

fn name(key: &'static str, value: &str) -> Result<IfName, ParseError> {
    value.parse().map_err(|error: ParseError| error.under(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toml(kind: &str, args: &str, gateway: Option<&str>) -> Result<String, String> {
        let kind = ScriptKind::of(kind).unwrap();
        let gateway: Option<IfName> = gateway.map(|name| name.parse().unwrap());
        let script = NetworkScript::parse(kind, args.split_whitespace());
        let (config, _) = script
            .and_then(|script| script.config(gateway.as_ref()))
            .map_err(|error| error.to_string())?;
        let text = config.to_toml();
        assert_eq!(NetworkConfig::from_toml(&text), Ok(config));
        Ok(text)
    }

    #[test]
    fn what_the_scripts_did() {
        let bridge = |name: &str, uplink: &str, more: &str| {
            Ok(format!(
                "[[bridge]]\nname = \"{name}\"\nuplink = \"{uplink}\"\naddresses = \"inherit\"\n{more}"
            ))
        };
        for (args, gateway, expected) in [
            ("netdev=eth0 bridge=xenbr0", None, bridge("xenbr0", "eth0", "")),
            (
                "netdev=eth0 bridge=xenbr0 antispoof=yes",
                None,
                bridge("xenbr0", "eth0", "guard = \"strict\"\n"),
            ),
            ("", Some("eth1"), bridge("xenbr1", "eth1", "")),
            ("bridge=br", Some("enp3s0"), bridge("br", "enp3s0", "")),
            ("", Some("wlan"), bridge("br-wlan", "wlan", "")),
            ("netdev=p4p1", None, bridge("br-p4p1", "p4p1", "")),
            ("netdev=p5p1 bridge=p5p1", None, bridge("br-p5p1", "p5p1", "")),
            ("netdev=eno1", None, bridge("br-eno1", "eno1", "")),
            ("netdev=ens1", None, bridge("br-ens1", "ens1", "")),
            ("netdev=enx001122334455", None, bridge("br-001122334455", "enx001122334455", "")),
            ("netdev=eth0.100", None, bridge("br-eth0.100", "eth0.100", "")),
            ("vifnum=2", Some("eth0"), bridge("xenbr2", "eth2", "")),
            ("vifnum=2 netdev=eth5", None, bridge("xenbr2", "eth5", "")),
            // What Xen 4 did by itself: the bridge is called as its uplink was.
            ("netdev=eth0 bridge=eth0", None, bridge("xenbr0", "eth0", "")),
            ("bridge=null", None, Ok(String::new())),
            ("netdev= bridge= antispoof= vifnum=", Some("eth3"), bridge("xenbr3", "eth3", "")),
        ] {
            assert_eq!(toml("network-bridge", args, gateway), expected, "{args}");
        }
        assert_eq!(
            toml("network-route", "", Some("eth0")).unwrap(),
            "[[routed]]\nuplink = \"eth0\"\nproxy_arp = true\n"
        );
        assert_eq!(
            toml("network-nat", "netdev=eth1 dhcp=yes", None).unwrap(),
            "[[nat]]\nname = \"nat0\"\nsubnets = [\"10.0.0.1/9\"]\nuplink = \"eth1\"\ndhcp = true\n"
        );
        assert_eq!(toml("network-dummy", "netdev=eth0", None).unwrap(), "");
    }

    #[test]
    fn what_a_shell_would_have_run_is_an_error() {
        for (args, words) in [
            ("netdev=eth0;reboot/", "netdev \"eth0;reboot/\": expected no"),
            ("antispoof=on", "antispoof \"on\": expected yes or no"),
            ("vifnum=-1", "vifnum \"-1\": expected a number from 0"),
            ("bridge=a/b", "bridge \"a/b\": expected no"),
            ("", "netdev \"\": expected an interface: no default route says which"),
        ] {
            let error = toml("network-bridge", args, None).unwrap_err();
            assert!(error.contains(words), "{args}: {error}");
        }
        assert_eq!(ScriptKind::of("network-bridge-bonding"), None);
    }

    #[test]
    fn unknown_arguments_are_ignored_with_a_remark() {
        let args = ["start", "netdev=eth0", "PATH=/tmp", "\u{7}$(reboot)"];
        let script = NetworkScript::parse(ScriptKind::Route, args).unwrap();
        assert_eq!(script.ignored, ["start", "PATH=/tmp", "\u{7}$(reboot)"]);
        let (config, remarks) = script.config(None).unwrap();
        assert_eq!(config.routed.len(), 1);
        let remark = |arg: &str| format!("{arg}: ignored, as by Xen's script");
        assert_eq!(remarks, ["start", "PATH=/tmp", "\\u{7}$(reboot)"].map(remark));
    }
}
