//! `xennet network`

mod trial;
mod watchdog;

use std::io::{Write, stdout};
use std::time::Duration;

use clap::Subcommand;
use serde_json::json;
use xennet_cli::log::complain;
use xennet_core::types::Interface;
use xennet_core::{Dom0Network, Error, HostStatus, Plan};

use crate::config_file::ConfigFile;
use crate::convert;
use crate::failure::Failure;
use crate::options::Options;
use crate::signals;

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Say what start would do
    Plan(ConfigFile),
    /// Make the host's network as the configuration says
    Start {
        #[command(flatten)]
        file: ConfigFile,
        /// Take all back unless `xennet network confirm` is called within so many seconds; 0: keep it at once. Default: 60,
        /// but 0 on a console of the machine itself
        #[arg(long, value_name = "SECONDS")]
        confirm_timeout: Option<u64>,
        /// Take all back when a gateway that answered before is silent for so many seconds
        #[arg(long, value_name = "SECONDS", default_value_t = 10)]
        probe_timeout: u64,
        /// Do not attach guests again that lost their bridge
        #[arg(long)]
        no_guests: bool,
    },
    /// Keep what start has made
    Confirm,
    /// Take a start back unless it is confirmed: start itself calls it
    #[command(hide = true)]
    Watchdog {
        #[arg(long)]
        probe_timeout: u64,
    },
    /// Give back what start took
    Stop {
        #[command(flatten)]
        file: ConfigFile,
        /// Even if guests are on a bridge that goes, or nothing says what there was before
        #[arg(long)]
        force: bool,
    },
    /// Show each bridge, and what start would change; exit status 1 if it would change anything
    Status(ConfigFile),
    /// Say nothing, and exit with status 0, if the network is as the configuration says
    Check(ConfigFile),
    /// Print a configuration of dnsmasq for guests that are told their addresses: `dhcp = true`
    Dnsmasq(ConfigFile),
    /// Print a xennet.toml made of the files of xend and xl
    Import(convert::Inward),
    /// Print the configuration as files of ifupdown or systemd-networkd
    Export(convert::Outward),
}

pub(crate) fn run(command: Command, options: &Options) -> Result<(), Failure> {
    match command {
        Command::Plan(file) => {
            let options = Options { dry_run: true, ..options.clone() };
            let mut plan = file.open()?.host().plan_start()?;
            attach_guests(&file, &options, &mut plan);
            told(&plan, &options)
        }
        Command::Start { file, confirm_timeout, probe_timeout, no_guests } => {
            let mut net = file.open()?;
            let mut host = net.host();
            let confirm = confirm_timeout.map_or_else(trial::usual_timeout, Duration::from_secs);
            let mut plan = if options.dry_run {
                host.plan_start()?
            } else if confirm.is_zero() {
                signals::after(|| host.start())?
            } else {
                trial::start(&mut host, confirm, Duration::from_secs(probe_timeout))?
            };
            if !no_guests {
                attach_guests(&file, options, &mut plan);
            }
            told(&plan, options)
        }
        Command::Confirm => {
            let confirmed = Options::network(true)?.host().confirm()?;
            if !confirmed.watched {
                complain("xennet: warning", &confirmed);
            }
            Ok(())
        }
        Command::Watchdog { probe_timeout } => watchdog::run(Duration::from_secs(probe_timeout)),
        Command::Stop { file, force } => {
            let mut net = file.open_or_recorded()?;
            let mut host = net.host();
            let plan = if options.dry_run {
                host.plan_stop(force)?
            } else {
                signals::after(|| host.stop(force))?
            };
            told(&plan, options)?;
            if plan.is_partial() {
                let text =
                    "not everything was restored; another `xennet network stop` tries the rest";
                return Err(Failure::Partial(text.to_owned()));
            }
            Ok(())
        }
        Command::Status(file) => tell_status(&mut file.open()?, options),
        Command::Check(file) => {
            let status = file.open()?.host().status()?;
            if options.json {
                Options::print_json(&json!(status))?;
            } else if let Ok(plan) = &status.drift {
                write!(stdout(), "{plan}")?;
                for warning in plan.warnings() {
                    complain("xennet: warning", warning);
                }
            }
            drift(&status)
        }
        Command::Dnsmasq(file) => {
            let net = file.open()?;
            let text = net.config().dnsmasq(net.run_dir()).map_err(Error::from)?;
            let none = || Failure::Failed("no [[nat]] has dhcp = true".to_owned());
            Ok(write!(stdout(), "{}", text.ok_or_else(none)?)?)
        }
        Command::Import(from) => convert::import(&from),
        Command::Export(to) => convert::export(&to, options),
    }
}

/// Adds what attaches guests again that lost their bridge. A failure is a warning: the host has its network.
fn attach_guests(file: &ConfigFile, options: &Options, plan: &mut Plan) {
    let Some(mut net) = file.open_with_store() else { return };
    let mut host = net.host();
    match if options.dry_run { host.plan_attach_guests() } else { host.attach_guests() } {
        Ok(guests) => plan.append(guests),
        Err(error) => complain("xennet: warning", format_args!("guests: {error}")),
    }
}

/// What there is, and what differs.
pub(crate) fn tell_status(net: &mut Dom0Network, options: &Options) -> Result<(), Failure> {
    let status = net.host().status()?;
    if options.json {
        Options::print_json(&json!(status))?;
    } else {
        show(net, &status)?;
    }
    drift(&status)
}

/// What would be done or was, and what to look after.
pub(crate) fn told(plan: &Plan, options: &Options) -> Result<(), Failure> {
    options.planned(plan)
}

/// A network that is not as it shall be is a failure.
fn drift(status: &HostStatus) -> Result<(), Failure> {
    match &status.drift {
        Ok(plan)
            if plan.is_empty() && status.unconfirmed.as_ref().is_some_and(|one| !one.watched) =>
        {
            let error = status.unconfirmed.clone().map(Error::Unconfirmed);
            error.map_or(Ok(()), |error| Err(Failure::from(error)))
        }
        Ok(plan) if plan.is_empty() => Ok(()),
        Ok(plan) => Err(Failure::Failed(format!(
            "the network differs in {} places; `xennet network start` makes it as the configuration says",
            plan.len()
        ))),
        Err(error) => Err(Failure::Failed(error.to_string())),
    }
}

fn state(link: &Interface) -> String {
    let carrier = if link.carrier { "carrier" } else { "no carrier" };
    format!("{}, {carrier}", if link.up { "up" } else { "down" })
}

fn show(net: &Dom0Network, status: &HostStatus) -> Result<(), Failure> {
    let mut out = stdout().lock();
    for policy in &net.config().bridges {
        let Some(link) = status.link(&policy.name) else {
            writeln!(out, "{}: no such interface", policy.name)?;
            continue;
        };
        let uplink = status.uplink(policy).unwrap_or_else(|| "none".to_owned());
        write!(out, "{}: {}, mtu {}, uplink {uplink}", link.name, state(&link), link.mtu)?;
        if let Some(vxlan) = &policy.vxlan {
            write!(out, ", VXLAN port {} from {}", vxlan.vni.port_name(), vxlan.local)?;
        }
        writeln!(out)?;
        for address in status.addresses(&link.name) {
            writeln!(out, "  {address}")?;
        }
    }
    for (name, stands_on) in status.below() {
        match status.link(&name) {
            Some(link) => writeln!(out, "{name}: {}, mtu {}, {stands_on}", state(&link), link.mtu)?,
            None => writeln!(out, "{name}: no such interface")?,
        }
    }
    for nat in &net.config().nat {
        let uplink = nat.uplink.as_ref().map_or("any way out", |uplink| uplink.as_str());
        let subnets: Vec<_> = nat.subnets.iter().map(ToString::to_string).collect();
        let ports = nat.forward.len();
        writeln!(out, "nat {}: {}, by {uplink}, {ports} ports", nat.name, subnets.join(" "))?;
    }
    if let Some(unconfirmed) = status.unconfirmed.as_ref().filter(|one| one.watched) {
        writeln!(out, "{unconfirmed}; `xennet network confirm` keeps it")?;
    }
    if let Some(last) = &status.rolled_back {
        writeln!(out, "{last}")?;
    }
    if let Ok(plan) = &status.drift {
        for line in plan.lines() {
            writeln!(out, "drift: {line}")?;
        }
        for warning in plan.warnings() {
            writeln!(out, "warning: {warning}")?;
        }
    }
    Ok(())
}
