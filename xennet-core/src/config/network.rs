use serde::Deserialize;

use crate::types::IfName;

/// What an administrator decides for the whole host: `/etc/xen/xennet.toml`.
///
/// ```toml
/// [[bridge]]
/// name = "xenbr0"
/// uplink = "eth0"
/// manage_uplink_vlans = true
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct NetworkConfig {
    /// What holds for each bridge; nothing for one that is not named.
    #[serde(default, rename = "bridge")]
    pub bridges: Vec<BridgePolicy>,
}

/// What an administrator decides for one bridge: `[[bridge]]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct BridgePolicy {
    /// The bridge.
    pub name: IfName,
    /// The port through which it reaches the world.
    pub uplink: Option<IfName>,
    /// Whether the uplink carries exactly the VLANs that the bridge's other ports are in: a VLAN comes with its first
    /// user and goes with its last. The uplink's untagged VLANs stay the administrator's.
    #[serde(default)]
    pub manage_uplink_vlans: bool,
}

impl NetworkConfig {
    /// Reads the text of `xennet.toml`. An unknown key or a bad value is an error that names its line and column.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            ConfigError::at(text, at, error.message().replace('\n', ", "))
        })?;
        for (n, bridge) in config.bridges.iter().enumerate() {
            let quoted = format!("\"{}\"", bridge.name);
            if config.bridges.iter().take(n).any(|other| other.name == bridge.name) {
                let at = text.rfind(&quoted).unwrap_or(0);
                return Err(ConfigError::at(
                    text,
                    at,
                    format!("bridge {}: described twice", bridge.name),
                ));
            }
            if bridge.manage_uplink_vlans && bridge.uplink.is_none() {
                let name = &bridge.name;
                let at = text.find(&quoted).unwrap_or(0);
                let message = format!("bridge {name}: manage_uplink_vlans needs an uplink as well");
                return Err(ConfigError::at(text, at, message));
            }
        }
        Ok(config)
    }

    /// What holds for a bridge.
    pub fn bridge(&self, name: &IfName) -> Option<&BridgePolicy> {
        self.bridges.iter().find(|bridge| bridge.name == *name)
    }
}

/// Where the text of a configuration is wrong, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
#[non_exhaustive]
pub struct ConfigError {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl ConfigError {
    fn at(text: &str, offset: usize, message: String) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        Self { line: before.matches('\n').count() + 1, column, message }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_a_bridge_and_nothing() {
        let text = "[[bridge]]\nname = \"xenbr0\"\nuplink = \"eth0\"\nmanage_uplink_vlans = true\n";
        let config = NetworkConfig::from_toml(text).unwrap();
        let policy = config.bridge(&"xenbr0".parse().unwrap()).unwrap();
        assert!(policy.manage_uplink_vlans);
        assert_eq!(policy.uplink.as_ref().unwrap().as_str(), "eth0");
        assert_eq!(config.bridge(&"xenbr1".parse().unwrap()), None);
        assert_eq!(NetworkConfig::from_toml("# nothing yet\n"), Ok(NetworkConfig::default()));
    }

    #[test]
    fn an_error_names_its_line_and_column() {
        for (text, words) in [
            (
                "[[bridge]]\nnam = \"xenbr0\"\n",
                "line 2, column 1: unknown field `nam`, expected one of `name`",
            ),
            (
                "[[bridge]]\nname = \"a/b\"\n",
                "line 2, column 8: interface name \"a/b\": expected no \"/\"",
            ),
            ("[[bridge]]\nname = 7\n", "line 2, column 8: invalid type"),
            ("\n\n[[bridge]\n", "line 3, column"),
            (
                "[[bridge]]\nname = \"b\"\nmanage_uplink_vlans = true\n",
                "line 2, column 8: bridge b: manage_uplink_vlans needs an uplink",
            ),
        ] {
            let error = NetworkConfig::from_toml(text).unwrap_err().to_string();
            assert!(error.contains(words), "{text:?}: {error}");
            assert!(!error.contains('\n'), "{error:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC*|(\\[\\[bridge\\]\\]\n(name = \"[a-z/]{0,9}\"\n|[a-z_]+ = .*\n)*)") {
            let _ = NetworkConfig::from_toml(&text);
        }
    }
}
