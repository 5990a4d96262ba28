//! What the keys of `/etc/xen/xl.conf` mean.

use super::File;
use super::xl_conf::Setting;
use crate::config::error::shown;
use crate::config::{ConfigError, NetworkConfig, NetworkScript, RoutedPolicy, ScriptKind};

impl File<'_> {
    pub(super) fn xl(&mut self, settings: &[Setting]) -> Result<(), ConfigError> {
        for Setting { at, key, value } in settings {
            let value = value.as_deref().unwrap_or_default();
            // What xl had the keys called before, and still takes.
            match key.as_str() {
                "vif.default.bridge" | "defaultbridge" => self.default(*at, "bridge", value)?,
                "vif.default.gatewaydev" | "defaultgatewaydev" => self.default(*at, "gatewaydev", value)?,
                "vif.default.script" | "vifscript" => self.script(*at, key, value),
                "vif.default.backend" | "vifbackend" if !value.is_empty() => self.remark(
                    *at,
                    format!("{key}={}: xl goes on reading it here; xennet runs in that domain as well", shown(value)),
                ),
                "run_hotplug_scripts" if value == "0" => self.remark(
                    *at,
                    "run_hotplug_scripts=0: xl is to call the scripts itself, so that they know of errors: set it to 1",
                ),
                "remus.default.netbufscript" | "colo.default.proxyscript" if !value.is_empty() => {
                    self.remark(*at, format!("{key}={}: has no equivalent", shown(value)));
                }
                _ => {}
            }
        }
        // Only now is it known where such guests leave by.
        let script = settings
            .iter()
            .rev()
            .find(|setting| ["vif.default.script", "vifscript"].contains(&setting.key.as_str()));
        if let Some(Setting { at, value: Some(path), .. }) = script {
            match path.rsplit('/').next() {
                Some("vif-route") => self.routed(*at),
                Some("vif-nat") => self.nat(*at)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn script(&mut self, at: usize, key: &str, value: &str) {
        if !value.is_empty() {
            self.script_of_vifs(at, key, value);
        }
    }

    /// Guests of `vif-nat` need what `network-nat` does.
    fn nat(&mut self, at: usize) -> Result<(), ConfigError> {
        if !self.import.config.nat.is_empty() {
            return Ok(());
        }
        let way_out = self.import.config.vif.gatewaydev.clone();
        let Some(uplink) = way_out.or_else(|| self.import.gateway.clone()) else {
            self.remark(at, "vif-nat: no vif.default.gatewaydev and no default route here say where guests leave by");
            return Ok(());
        };
        let script = NetworkScript::parse(ScriptKind::Nat, std::iter::empty());
        let asked = script.and_then(|script| script.config(Some(&uplink)));
        let (config, remarks) =
            asked.map_err(|error| ConfigError::at(self.text, at, error.to_string()))?;
        for text in remarks {
            self.remark(at, text);
        }
        self.add(at, config);
        Ok(())
    }

    /// Guests of `vif-route` need a host that forwards.
    fn routed(&mut self, at: usize) {
        let config = &self.import.config;
        if !config.routed.is_empty() {
            return;
        }
        let Some(uplink) = config.vif.gatewaydev.clone().or_else(|| self.import.gateway.clone())
        else {
            self.remark(at, "vif-route: no vif.default.gatewaydev and no default route here say where guests leave by");
            return;
        };
        self.remark(
            at,
            format!(
                "vif-route: the host forwards for its guests by {uplink}; if their addresses are of {uplink}'s own network, \
                 it also needs proxy_arp = true"
            ),
        );
        let mut new = NetworkConfig::default();
        new.routed.push(RoutedPolicy::new(uplink));
        self.add(at, new);
    }
}
