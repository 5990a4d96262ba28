mod sxp;
mod xl;
mod xl_conf;

use std::fmt;

use super::error::shown;
use super::{ConfigError, NetworkConfig, NetworkScript, ScriptKind};
use crate::types::IfName;
use sxp::Form;

/// What `/etc/xen/xend-config.sxp` and `/etc/xen/xl.conf` say of the network, in xennet's words.
///
/// ```
/// use xennet_core::config::Import;
///
/// let mut import = Import::new(None);
/// import.read("xend-config.sxp", "(network-script 'network-bridge netdev=eth0 bridge=xenbr0')")?;
/// assert_eq!(import.config().bridges.len(), 1);
/// # Ok::<(), xennet_core::config::ConfigError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Import {
    gateway: Option<IfName>,
    config: NetworkConfig,
    remarks: Vec<Remark>,
}

/// Something that has no equivalent, or not quite the same. Prints as one line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Remark {
    /// The file, as whoever read it calls it.
    pub source: String,
    /// The line, from 1.
    pub line: usize,
    /// What was found there, what becomes of it, and what to do.
    pub text: String,
}

impl Import {
    /// Nothing yet. `gateway` is the interface of the host's default route, for scripts that would have looked for it.
    pub fn new(gateway: Option<IfName>) -> Self {
        Self { gateway, ..Self::default() }
    }

    /// Adds what a file says: one that begins with a parenthesis is of xend, any other of xl.
    ///
    /// An error that says where the file is not what it should be; what is well written but has no equivalent is told
    /// otherwise.
    pub fn read(&mut self, source: &str, text: &str) -> Result<(), ConfigError> {
        let mut file = File { source, text, import: self, counted: (0, 1) };
        if sxp::is_sxp(text) {
            file.xend(&sxp::forms(text)?)
        } else {
            file.xl(&xl_conf::settings(text)?)
        }
    }

    /// What they say together.
    pub fn config(&self) -> &NetworkConfig {
        &self.config
    }

    /// What the administrator should look at.
    pub fn remarks(&self) -> &[Remark] {
        &self.remarks
    }

    /// The text of `xennet.toml`, the remarks before it as comments.
    pub fn to_toml(&self) -> String {
        let mut text =
            self.remarks.iter().fold(String::new(), |text, remark| text + &format!("# {remark}\n"));
        if !text.is_empty() {
            text.push('\n');
        }
        text + &self.config.to_toml()
    }
}

/// One of the files, while it is read.
struct File<'a> {
    source: &'a str,
    text: &'a str,
    import: &'a mut Import,
    /// A place in the text, and its line: remarks come in the order of the text as a rule.
    counted: (usize, usize),
}

impl File<'_> {
    fn xend(&mut self, forms: &[Form]) -> Result<(), ConfigError> {
        if let Some(form) = self.first(forms, "network-script") {
            self.network_script(form)?;
        }
        if let Some(form) = self.first(forms, "vif-script") {
            self.vif_script(form)?;
        }
        Ok(())
    }

    /// The one of several that xend heeds.
    fn first<'f>(&mut self, forms: &'f [Form], key: &str) -> Option<&'f Form> {
        let mut of_key = forms.iter().filter(|form| form.key == key);
        let first = of_key.next();
        for form in of_key {
            self.remark(form.at, format!("{key}: xend heeds only the first one, and so does this"));
        }
        first
    }

    fn network_script(&mut self, form: &Form) -> Result<(), ConfigError> {
        let mut words = form.words();
        let Some(path) = words.next() else { return Ok(()) };
        let name = path.rsplit('/').next().unwrap_or(path);
        let Some(kind) = ScriptKind::of(name) else {
            self.remark(
                form.at,
                format!("network-script {}: it is not one of Xen's own: say what it does in xennet.toml", shown(path)),
            );
            return Ok(());
        };
        let wrong = |error: crate::types::ParseError| {
            ConfigError::at(self.text, form.at, format!("network-script {name}: {error}"))
        };
        let script = NetworkScript::parse(kind, words).map_err(wrong)?;
        if script.asks_for_gateway() {
            let Some(gateway) = self.import.gateway.clone() else {
                let missing = "it does not say netdev=, and there is no default route here: say which interface is meant";
                self.remark(form.at, format!("network-script {name}: {missing}"));
                return Ok(());
            };
            self.remark(
                form.at,
                format!("network-script {name}: it does not say netdev=: {gateway} is where the default route leads here"),
            );
        }
        let (config, remarks) = script.config(self.import.gateway.as_ref()).map_err(wrong)?;
        for text in remarks {
            self.remark(form.at, text);
        }
        self.add(form.at, config);
        Ok(())
    }

    fn vif_script(&mut self, form: &Form) -> Result<(), ConfigError> {
        let mut words = form.words();
        let Some(path) = words.next() else { return Ok(()) };
        self.script_of_vifs(form.at, "vif-script", path);
        for word in words {
            match word.split_once('=') {
                Some((key @ ("bridge" | "netdev" | "vlan" | "rate" | "mtu"), value)) => {
                    self.default(form.at, key, value)?;
                }
                _ => {
                    self.remark(form.at, format!("vif-script: {}: has no equivalent", shown(word)));
                }
            }
        }
        Ok(())
    }

    /// A setting for every vif.
    fn default(&mut self, at: usize, key: &str, value: &str) -> Result<(), ConfigError> {
        let mut vif = self.import.config.vif.clone();
        vif.set(key, value.as_bytes())
            .map_err(|error| ConfigError::at(self.text, at, error.to_string()))?;
        self.import.config.vif = vif;
        self.follow_renamed(at);
        Ok(())
    }

    /// Xen's script renamed the uplink and called the bridge by its name: vifs that ask for that name want the bridge.
    fn follow_renamed(&mut self, at: usize) {
        let config = &mut self.import.config;
        let Some(asked) = config.vif.bridge.as_ref().map(ToString::to_string) else { return };
        let is_uplink = |uplink: &IfName| uplink.as_str() == asked;
        let renamed = config.bridges.iter().find(|one| one.uplink.as_ref().is_some_and(is_uplink));
        let Some(bridge) = renamed.map(|policy| policy.name.clone()) else { return };
        config.vif.bridge = bridge.as_str().parse().ok();
        self.remark(at, format!("bridge={asked}: is {bridge} now, which has the uplink {asked}"));
    }

    /// That every vif is plugged by this script.
    fn script_of_vifs(&mut self, at: usize, key: &str, path: &str) {
        let name = path.rsplit('/').next().unwrap_or(path);
        let text = match name {
            "vif-xennet" => return,
            "vif-bridge" => {
                "set vif.default.script=\"vif-xennet\" in xl.conf, and xennet plugs every vif"
            }
            "vif-openvswitch" => {
                "xennet does this under the same name: have its link take the place of Xen's script"
            }
            "vif-route" | "vif-nat" => {
                "xennet does this under the same name: have its link take the place of Xen's script; what the host does \
                 for such guests is [[routed]] or [[nat]] of xennet.toml"
            }
            _ => "it is not one that xennet can stand in for: guests of that script keep it",
        };
        self.remark(at, format!("{key} {}: {text}", shown(path)));
    }

    /// Takes up what a script asks for, unless it contradicts what is there.
    fn add(&mut self, at: usize, new: NetworkConfig) {
        let config = &mut self.import.config;
        let mut refused = Vec::new();
        for bridge in new.bridges {
            match config.check_bridge(&bridge) {
                Ok(()) => config.bridges.push(bridge),
                Err((_, words)) => refused.push(words),
            }
        }
        for routed in new.routed {
            match config.check_routed(&routed) {
                Ok(()) => config.routed.push(routed),
                Err(words) => refused.push(words),
            }
        }
        for nat in new.nat {
            match config.check_nat(&nat) {
                Ok(()) => config.nat.push(nat),
                Err((_, words)) => refused.push(words),
            }
        }
        for words in refused {
            self.remark(at, format!("left out: {words}"));
        }
        self.follow_renamed(at);
    }

    fn remark(&mut self, at: usize, text: impl Into<String>) {
        let (from, line) = if at < self.counted.0 { (0, 1) } else { self.counted };
        let line = line + self.text.get(from..at).unwrap_or_default().matches('\n').count();
        self.counted = (at, line);
        let source = self.source.escape_debug().to_string();
        self.import.remarks.push(Remark { source, line, text: text.into() });
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, line {}: {}", self.source, self.line, self.text)
    }
}

#[cfg(test)]
mod tests;
