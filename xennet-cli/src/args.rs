//! The command line: parsed here, carried out by the library, printed by the module of each noun.

use std::ffi::OsString;
use std::io::{Write, stderr, stdout};

use clap::{Args, Parser, Subcommand};
use serde_json::{Value, json};
use xennet_core::hotplug::Call;
use xennet_core::{Dom0Network, Error, Plan};

use crate::log::complain;
use crate::{bridge, demo, guard, hotplug, network, ovs, vif};

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

/// What every command understands.
#[derive(Args, Debug, Clone, Default)]
pub(crate) struct Options {
    /// Print the plan and change nothing
    #[arg(long, global = true)]
    pub(crate) dry_run: bool,
    /// Print JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say on standard error what is done
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
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

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It was asked wrongly.
    Usage(String),
    /// It could not be done.
    Failed(String),
    /// Whoever read the output has seen enough, as `head` does.
    Unread,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Usage(text) => Self::Usage(text),
            error if [libc::EPERM, libc::EACCES].contains(&error.errno()) => {
                Self::Failed(format!("{error}; it takes root, or CAP_NET_ADMIN and XENNET_RUN_DIR"))
            }
            error => Self::Failed(error.to_string()),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Self::Unread,
            _ => Self::Failed(format!("write the output: {error}")),
        }
    }
}

/// Parses the command line and carries it out.
// Else what it needs of the stack is taken for a plug as well.
#[inline(never)]
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

/// Tells standard error what failed, and gives the exit status.
pub(crate) fn finish(name: &str, done: Result<(), Failure>) -> u8 {
    let (code, text) = match done {
        Ok(()) | Err(Failure::Unread) => return 0,
        Err(Failure::Failed(text)) => (1, text),
        Err(Failure::Usage(text)) => (2, text),
    };
    complain(name, &text);
    code
}

fn called(args: Vec<OsString>, options: &Options) -> Result<(), Failure> {
    let Some(call) = Call::parse(args, |key| std::env::var_os(key)).map_err(usage)? else {
        return Ok(());
    };
    options.planned(&hotplug::carry_out(&call, options.dry_run)?)
}

/// What was wrong with the words of the command line.
pub(crate) fn usage(error: impl std::fmt::Display) -> Failure {
    Failure::Usage(error.to_string())
}

impl Options {
    /// The kernel, and XenStore unless the caller does without.
    pub(crate) fn network(no_store: bool) -> Result<Dom0Network, Error> {
        let net = if no_store { Dom0Network::without_store() } else { Dom0Network::open() };
        Ok(hotplug::place(net?))
    }

    /// Prints a plan, where it is wanted: what would be done, or what was.
    pub(crate) fn planned(&self, plan: &Plan) -> Result<(), Failure> {
        if self.json {
            let changes: Vec<Value> = plan.lines().map(Value::from).collect();
            let warnings: Vec<Value> =
                plan.warnings().iter().map(|warning| json!(warning.to_string())).collect();
            return Self::print_json(
                &json!({ "dry_run": self.dry_run, "changes": changes, "warnings": warnings }),
            );
        }
        for warning in plan.warnings() {
            complain("xennet", format_args!("warning: {warning}"));
        }
        if self.dry_run {
            write!(stdout(), "{plan}")?;
        } else if self.verbose {
            // Whoever does not read it has it done all the same.
            let _ = write!(stderr(), "{plan}");
        }
        Ok(())
    }

    /// Prints one JSON value.
    pub(crate) fn print_json(value: &Value) -> Result<(), Failure> {
        writeln!(stdout(), "{value:#}")?;
        Ok(())
    }
}
