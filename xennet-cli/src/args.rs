//! The command line: parsed here, carried out by the library, printed by the module of each noun.

use std::ffi::OsString;

use clap::{Parser, Subcommand};
use xennet_cli::hotplug;
use xennet_core::hotplug::Call;
use xennet_core::types::Mode;

use crate::failure::{Failure, finish, usage};
use crate::options::Options;
use crate::{bridge, demo, guard, network, ovs, vif};

/// The network of a Xen dom0: puts guests' vifs on bridges over netlink, as a command and as xl's hotplug script.
#[derive(Parser, Debug)]
#[command(name = "xennet", version, after_help = "Exit status: 0 done, 1 failed, 2 wrong usage.")]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Command,
}

/// The command line's definition: what the manual and the shells' completions are made from.
#[cfg(test)]
pub(crate) fn definition() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Do what a hotplug script does, from the same arguments and environment
    Hotplug {
        /// online, offline, add or remove; then key=value
        #[arg(required = true, value_name = "COMMAND [KEY=VALUE]")]
        args: Vec<OsString>,
    },
    /// Plug, unplug and show guests' vifs
    #[command(subcommand)]
    Vif(vif::Command),
    /// Make, remove and show bridges
    #[command(subcommand)]
    Bridge(bridge::Command),
    /// Show, check and restore what keeps guests to their own addresses
    #[command(subcommand)]
    Guard(guard::Command),
    /// Make, check and give back the host's own network: bridges, addresses, forwarding
    #[command(subcommand)]
    Network(network::Command),
    /// Tidy up what Open vSwitch has of guests
    #[command(subcommand)]
    Ovs(ovs::Command),
    /// Show it at work: two guests on a bridge, in namespaces of their own, without Xen
    Demo,
}

/// Parses the command line and carries it out.
pub(crate) fn run(name: OsString, args: impl Iterator<Item = OsString>) -> u8 {
    let Cli { options, command } = Cli::parse_from(std::iter::once(name).chain(args));
    let done = match command {
        Command::Hotplug { args } => called(args, &options),
        Command::Vif(command) => vif::run(command, &options),
        Command::Bridge(command) => bridge::run(command, &options),
        Command::Guard(command) => guard::run(command, &options),
        Command::Network(command) => network::run(command, &options),
        Command::Ovs(command) => ovs::run(&command, &options),
        Command::Demo => demo::run(),
    };
    finish("xennet", done)
}

fn called(args: Vec<OsString>, options: &Options) -> Result<(), Failure> {
    let Some(mut call) = Call::parse(args, |key| std::env::var_os(key)).map_err(usage)? else {
        return Ok(());
    };
    // libxl names the script. Under a script's name, this program goes by the name.
    call.mode = std::env::var("script").ok().and_then(|script| Mode::of_script(&script));
    options.planned(&hotplug::carry_out(&call, options.dry_run)?)
}
