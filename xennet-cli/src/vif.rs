//! `xennet vif`

use std::io::{Write, stdout};

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use xennet_cli::hotplug;
use xennet_cli::log::complain;
use xennet_core::config::VifConfig;
use xennet_core::types::{Device, IfName, Interface, Mode, VifId};
use xennet_core::{Dom0Network, Error, Vif, VifFault, VifStatus};

use crate::failure::{Failure, usage};
use crate::options::Options;

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Plug a vif in, or repair one; does nothing to one that is as it should be
    Online(Which),
    /// Unplug a vif
    Offline(Which),
    /// Tell the network where a guest is now that came from another host
    Announce(Which),
    /// Show what a vif is, and what an online would change
    Show(Which),
    /// List every vif
    List {
        /// Do without XenStore: list netback's interfaces
        #[arg(long)]
        no_store: bool,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Which {
    /// The guest's domain id and the number of its device, as in 3.0
    #[arg(value_name = "DOMID.DEVID")]
    id: VifId,
    /// What to use instead of XenStore's values: bridge, vifname, mtu, mac, ip, rate, vlan, gatewaydev
    #[arg(value_name = "KEY=VALUE", value_parser = key_value)]
    values: Vec<(String, String)>,
    /// The tap of an emulated NIC instead of the vif
    #[arg(long)]
    tap: bool,
    /// What to plug it into: bridge, openvswitch, route or nat; by default what the script that XenStore names does
    #[arg(long)]
    mode: Option<Mode>,
    /// Use the values of the command line for this call only: do not write them to XenStore
    #[arg(long, conflicts_with = "no_store")]
    once: bool,
    /// Do without XenStore: take the values from the command line, and tell nobody
    #[arg(long)]
    no_store: bool,
}

fn key_value(arg: &str) -> Result<(String, String), String> {
    let (key, value) = arg.split_once('=').ok_or("expected key=value")?;
    Ok((key.to_owned(), value.to_owned()))
}

impl Which {
    fn open<'n>(&self, net: &'n mut Dom0Network) -> Result<Vif<'n>, Failure> {
        let mut vif = if self.tap { net.tap(self.id) } else { net.vif(self.id) }.map_err(usage)?;
        for (key, value) in &self.values {
            vif.set(key, value.as_bytes()).map_err(usage)?;
        }
        if let Some(mode) = self.mode {
            vif.set_mode(mode);
        }
        vif.set_once(self.once);
        Ok(vif)
    }
}

pub(crate) fn run(command: Command, options: &Options) -> Result<(), Failure> {
    match command {
        Command::Online(which) => {
            let mut net = Options::network(which.no_store)?;
            hotplug::load_config(&mut net)?;
            let mut vif = which.open(&mut net)?;
            options.planned(&if options.dry_run { vif.plan_online()? } else { vif.online()? })
        }
        Command::Offline(which) => {
            let mut net = Options::network(which.no_store)?;
            // Whatever is wrong with it, a device that goes must go.
            let _ = hotplug::load_config(&mut net);
            let mut vif = which.open(&mut net)?;
            options.planned(&if options.dry_run { vif.plan_offline()? } else { vif.offline()? })
        }
        Command::Announce(which) => {
            let mut net = Options::network(which.no_store)?;
            hotplug::load_config(&mut net)?;
            let mut vif = which.open(&mut net)?;
            options.planned(&if options.dry_run { vif.plan_announce()? } else { vif.announce()? })
        }
        Command::Show(which) => {
            let mut net = Options::network(which.no_store)?;
            hotplug::load_config(&mut net)?;
            let status = which.open(&mut net)?.status()?;
            if options.json {
                Options::print_json(&as_json(&status))
            } else {
                show(&status, which.no_store)
            }
        }
        Command::List { no_store } => {
            let mut net = Options::network(no_store)?;
            hotplug::load_config(&mut net)?;
            list(&mut net, no_store, options)
        }
    }
}

fn list(net: &mut Dom0Network, no_store: bool, options: &Options) -> Result<(), Failure> {
    let mut all = Vec::new();
    for id in net.vifs()? {
        // One vif that cannot be looked at, or that goes meanwhile, hides no other.
        let status = net.vif(id).map_err(Error::from).and_then(|mut vif| vif.status());
        all.push((id, status));
    }
    if options.json {
        let value = |(id, status): &(VifId, Result<VifStatus, Error>)| match status {
            Ok(status) => as_json(status),
            Err(error) => json!({ "vif": id.to_string(), "error": error.to_string() }),
        };
        return Options::print_json(&all.iter().map(value).collect());
    }
    let mut out = stdout().lock();
    writeln!(
        out,
        "{:<12} {:<15} {:<15} {:>5}  {:<11} STATE",
        "VIF", "INTERFACE", "MASTER", "MTU", "STATUS"
    )?;
    for (id, status) in &all {
        let id = id.to_string();
        let Ok(status) = status.as_ref().inspect_err(|error| complain("xennet", error)) else {
            writeln!(out, "{id:<12} {:<15} {:<15} {:>5}  {:<11} unknown", "-", "-", "-", "-")?;
            continue;
        };
        let (name, mtu) = status
            .link
            .as_ref()
            .map_or(("-", "-".to_owned()), |link| (link.name.as_str(), link.mtu.to_string()));
        let master = master(status, "-");
        let (hotplug, state) = (hotplug_status(status, no_store), state(status));
        writeln!(out, "{id:<12} {name:<15} {master:<15} {mtu:>5}  {hotplug:<11} {state}")?;
    }
    Ok(())
}

fn show(status: &VifStatus, no_store: bool) -> Result<(), Failure> {
    let mut out = stdout().lock();
    match &status.link {
        None => writeln!(out, "{}: no such interface", status.name)?,
        Some(link) => {
            let state = [
                if link.up { "up" } else { "down" },
                if link.carrier { ", carrier" } else { ", no carrier" },
            ];
            writeln!(
                out,
                "{}: {}, mtu {}, master {}",
                link.name,
                state.concat(),
                link.mtu,
                master(status, "none")
            )?;
        }
    }
    writeln!(out, "  backend  {} ({})", status.backend, hotplug_status(status, no_store))?;
    match &status.config {
        Err(error) => writeln!(out, "  wanted   unknown: {error}")?,
        Ok(config) => writeln!(out, "  wanted   {}", wanted(config).join(", "))?,
    }
    writeln!(out, "  drift    {}", drift(status))?;
    if let Some(Ok(plan)) = &status.drift {
        plan.lines().try_for_each(|line| writeln!(out, "           {line}"))?;
        for warning in plan.warnings() {
            writeln!(out, "  warning  {warning}")?;
        }
    }
    Ok(())
}

fn wanted(config: &VifConfig) -> Vec<String> {
    // Where the frontend is says nothing of the network.
    let shown = VifConfig::KEYS.iter().filter(|key| **key != "frontend");
    shown.filter_map(|key| Some(format!("{key}={}", config.get(key)?))).collect()
}

/// What it is a port of.
fn master<'s>(status: &'s VifStatus, none: &'s str) -> &'s str {
    status.master.as_ref().map_or(none, IfName::as_str)
}

fn hotplug_status(status: &VifStatus, no_store: bool) -> String {
    let no_backend = no_store || matches!(status.config, Err(Error::NoBackend { .. }));
    match status.hotplug_status.as_deref() {
        None if no_backend => "-".to_owned(),
        None | Some(b"") => "no status".to_owned(),
        Some(text) => text.escape_ascii().to_string(),
    }
}

/// `ok`, or the reason in a few words.
fn state(status: &VifStatus) -> String {
    match (&status.config, status.fault()) {
        (Err(Error::Value(error)), _) => format!("invalid {}", error.key()),
        (Err(_), _) => "no backend".to_owned(),
        (Ok(_), None) => "ok".to_owned(),
        (Ok(_), Some(VifFault::NoPlan)) => drift(status),
        (Ok(_), Some(fault)) => fault.to_string(),
    }
}

fn drift(status: &VifStatus) -> String {
    match &status.drift {
        None => "-".to_owned(),
        Some(Err(error)) => error.to_string(),
        Some(Ok(plan)) if plan.is_empty() => "none".to_owned(),
        Some(Ok(plan)) => format!("{} changes", plan.len()),
    }
}

fn as_json(status: &VifStatus) -> Value {
    let link = |link: &Interface| {
        json!({
            "name": link.name.as_str(), "index": link.index, "up": link.up, "carrier": link.carrier,
            "mtu": link.mtu, "mac": link.mac.map(|mac| mac.to_string()),
        })
    };
    let bytes = |bytes: &Option<Vec<u8>>| {
        bytes.as_ref().map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    };
    let plan = status.drift.as_ref().and_then(|drift| drift.as_ref().ok());
    json!({
        "vif": status.id.to_string(),
        "device": match status.device { Device::Vif => "vif", Device::Tap => "tap" },
        "backend": status.backend,
        "link": status.link.as_ref().map(link),
        "master": status.master.as_ref().map(IfName::as_str),
        "ofport": status.ofport,
        "hotplug_status": bytes(&status.hotplug_status),
        "hotplug_error": bytes(&status.hotplug_error),
        "error": status.config.as_ref().err().map(ToString::to_string)
            .or_else(|| status.drift.as_ref()?.as_ref().err().map(ToString::to_string)),
        "drift": plan.map(|plan| plan.lines().collect::<Vec<_>>()),
        "warnings": plan
            .map(|plan| plan.warnings().iter().map(ToString::to_string).collect::<Vec<_>>()),
    })
}
