//! Called as one of Xen's network scripts of old: `network-bridge start netdev=eth0 bridge=xenbr0`.

use std::ffi::OsString;

use xennet_cli::hotplug;
use xennet_cli::log::complain;
use xennet_core::Dom0Network;
use xennet_core::config::{NetworkConfig, NetworkScript, ScriptBridge, ScriptKind};

use crate::failure::{Failure, finish, usage};
use crate::network;
use crate::options::Options;
use crate::signals;

/// The script of this name, if this program stands in for it.
pub(crate) fn script(name: &str) -> Option<ScriptKind> {
    ScriptKind::of(name)
}

/// The whole life of a network script.
pub(crate) fn run(kind: ScriptKind, args: impl Iterator<Item = OsString>) -> u8 {
    finish(kind.name(), called(kind, args))
}

fn called(kind: ScriptKind, args: impl Iterator<Item = OsString>) -> Result<(), Failure> {
    let args: Vec<String> = args
        .map(OsString::into_string)
        .collect::<Result<_, _>>()
        .map_err(|arg| Failure::Usage(format!("argument {}: expected UTF-8", arg.display())))?;
    // Xen's scripts took the first argument without `=` as the command. Wrappers pass their own `$*` on, which repeats it.
    let command = args.iter().find(|arg| !arg.contains('=')).map(String::as_str);
    let Some(command @ ("start" | "stop" | "status")) = command else {
        let name = kind.name();
        return Err(Failure::Usage(format!(
            "expected `{name} start|stop|status [netdev=NAME] [bridge=NAME] [vifnum=N] [antispoof=yes] [dhcp=yes]`"
        )));
    };
    let args = args.iter().map(String::as_str).filter(|arg| *arg != command);
    let script = NetworkScript::parse(kind, args).map_err(usage)?;
    let mut net = Options::network(true)?;
    hotplug::load_config(&mut net)?;
    if net.config().describes_host() {
        return Err(Failure::Failed(format!(
            "{} says what the host's network shall be: use `xennet network {command}`",
            hotplug::config_path().display()
        )));
    }
    net.set_config(NetworkConfig::default());
    let Some(config) = asked_for(&script, &mut net, command)? else { return Ok(()) };
    net.set_config(config);
    let options = Options::default();
    let mut host = net.host();
    match command {
        "start" => network::told(&signals::after(|| host.start())?, &options),
        "stop" => network::told(&signals::after(|| host.stop(false))?, &options),
        _ => network::tell_status(&mut net, &options),
    }
}

/// What the script asks for; nothing when there is nothing to do.
fn asked_for(
    script: &NetworkScript,
    net: &mut Dom0Network,
    command: &str,
) -> Result<Option<NetworkConfig>, Failure> {
    let gateway = net.host().gateway()?.filter(|_| script.asks_for_gateway());
    if script.kind == ScriptKind::Dummy || script.bridge == Some(ScriptBridge::None) {
        return Ok(None);
    }
    let (config, remarks) = match script.config(gateway.as_ref()) {
        // What was taken is given back, wherever the default route leads by now.
        Err(_) if command == "stop" => (NetworkConfig::default(), Vec::new()),
        asked => asked.map_err(usage)?,
    };
    if script.kind == ScriptKind::Bridge
        && let Some(name) = gateway
        && net.bridge(name.clone()).show()?.is_some()
    {
        complain(
            script.kind.name(),
            format_args!(
                "the default route leaves by {name}, which is a bridge already, and not one of ours: nothing to do; \
                 guests want bridge={name}"
            ),
        );
        return Ok(None);
    }
    if command == "start" {
        if script.dhcp {
            complain(
                script.kind.name(),
                "dhcp=yes: what guests are told follows from xennet.toml: `xennet network import` makes one, and \
                 `xennet network dnsmasq` what dnsmasq needs",
            );
        }
        for remark in &remarks {
            complain(script.kind.name(), remark);
        }
        if script.antispoof && script.kind == ScriptKind::Bridge {
            let file = hotplug::config_path();
            complain(
                script.kind.name(),
                format_args!(
                    "antispoof=yes: what vifs are held to when they are plugged is for {} to say; if it says nothing, those \
                     with ip= are held to it",
                    file.display()
                ),
            );
        }
    }
    Ok(Some(config))
}
