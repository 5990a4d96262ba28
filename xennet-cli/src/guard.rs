//! `xennet guard`

mod explain;

use std::io::{Write, stdout};

use clap::Subcommand;
use serde_json::{Value, json};
use xennet_cli::hotplug;
use xennet_cli::log::complain;
use xennet_core::GuardFault;
use xennet_core::types::VifId;

use crate::failure::Failure;
use crate::options::Options;

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Show what guests may do, and what was dropped of what they sent
    Show {
        /// Only this vif, as in 3.0
        #[arg(value_name = "DOMID.DEVID")]
        id: Option<VifId>,
    },
    /// Say which rule decides on a frame, by the rules that are in force
    Explain(explain::Question),
    /// Check that every plugged vif is guarded as it should be; exit status 1 when not
    Check,
    /// Put right what check finds
    Restore,
    /// Take the guard away, as before an uninstallation
    Remove {
        /// Even if it still guards vifs
        #[arg(long)]
        force: bool,
    },
}

pub(crate) fn run(command: Command, options: &Options) -> Result<(), Failure> {
    match command {
        Command::Show { id } => show(id, options),
        Command::Explain(question) => explain::run(&question, options),
        Command::Check => check(options),
        Command::Restore => {
            let mut net = Options::network(false)?;
            hotplug::load_config(&mut net)?;
            if options.dry_run {
                return check(options);
            }
            options.planned(&net.guard().restore()?)
        }
        Command::Remove { force } => {
            let mut net = Options::network(true)?;
            let mut guard = net.guard();
            options.planned(&if options.dry_run {
                guard.plan_remove(force)?
            } else {
                guard.remove(force)?
            })
        }
    }
}

fn show(id: Option<VifId>, options: &Options) -> Result<(), Failure> {
    let mut net = Options::network(true)?;
    let mut tables = net.guard().tables()?;
    if let Some(id) = id {
        tables = tables.into_iter().map(|table| table.of(id)).collect();
    }
    if options.json {
        return Options::print_json(&json!(tables));
    }
    let mut out = stdout().lock();
    tables.iter().try_for_each(|table| write!(out, "{table}"))?;
    Ok(())
}

fn check(options: &Options) -> Result<(), Failure> {
    let mut net = Options::network(false)?;
    hotplug::load_config(&mut net)?;
    let report = net.guard().check()?;
    let faults = &report.faults;
    for warning in &report.warnings {
        complain("xennet: warning", warning);
    }
    if options.json {
        Options::print_json(&faults.iter().map(fault).collect())?;
    } else {
        let mut out = stdout().lock();
        for fault in faults {
            match &fault.repair {
                Err(error) => writeln!(out, "{}: {error}", fault.port)?,
                Ok(plan) => {
                    plan.lines().try_for_each(|line| writeln!(out, "{}: {line}", fault.port))?;
                }
            }
        }
    }
    match faults.len() {
        0 => Ok(()),
        n => Err(Failure::Failed(format!(
            "guard: {n} ports are not guarded as they should be; `xennet guard restore`"
        ))),
    }
}

fn fault(fault: &GuardFault) -> Value {
    let plan = fault.repair.as_ref();
    json!({
        "port": fault.port.as_str(),
        "changes": plan.ok().map(|plan| plan.lines().collect::<Vec<_>>()),
        "error": plan.err().map(ToString::to_string),
    })
}
