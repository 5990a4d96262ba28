//! `xennet guard`

mod explain;

use std::io::{Write, stdout};

use clap::Subcommand;
use serde_json::{Value, json};
use xennet_core::types::{NftCounter, NftElement, NftExpr, NftRule, NftSet, VifId};
use xennet_core::{GuardFault, GuardTable, GuardedPort};

use crate::args::{Failure, Options};
use crate::hotplug;

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
    let tables = net.guard().tables()?;
    let wanted = |port: &GuardedPort| {
        id.is_none_or(|id| VifId::from_if_name(owner(&port.record)).is_ok_and(|(of, _)| of == id))
    };
    if options.json {
        return Options::print_json(&tables.iter().map(|table| as_json(table, wanted)).collect());
    }
    let mut out = stdout().lock();
    for table in &tables {
        writeln!(out, "table {} xennet: {}", table.family, table.comment)?;
        for port in table.ports().iter().filter(|port| wanted(port)) {
            writeln!(
                out,
                "  {:<15} {}; sent {} packets, {} of them dropped",
                port.port, port.record, port.sent.packets, port.dropped.packets
            )?;
            for (set, element) in &port.allowed {
                writeln!(out, "    {:<14} {}", set.name, value(element))?;
            }
        }
        let dropping = table.rules.iter().filter_map(dropped).filter(|(_, n)| n.packets > 0);
        for (n, (reason, counter)) in dropping.enumerate() {
            if n == 0 {
                writeln!(out, "  dropped, of all ports:")?;
            }
            writeln!(out, "    {:>10} {reason}", counter.packets)?;
        }
    }
    Ok(())
}

/// Whose vif a record is about: its second word.
fn owner(record: &str) -> &str {
    record.split(' ').nth(1).unwrap_or_default()
}

/// An element without its port, which stands above it.
fn value(element: &NftElement) -> String {
    let values: Vec<String> = element.key.iter().skip(1).map(ToString::to_string).collect();
    if values.is_empty() { "yes".to_owned() } else { values.join(" . ") }
}

/// What a rule drops, and how often it did; none for a rule that drops nothing.
fn dropped(rule: &NftRule) -> Option<(&str, NftCounter)> {
    let counter = rule.expressions.iter().find_map(|expression| match expression {
        NftExpr::Counter(counter) => Some(*counter),
        _ => None,
    })?;
    Some((rule.comment.as_deref()?, counter))
}

fn check(options: &Options) -> Result<(), Failure> {
    let mut net = Options::network(false)?;
    hotplug::load_config(&mut net)?;
    let faults = net.guard().check()?;
    if options.json {
        Options::print_json(&faults.iter().map(fault).collect())?;
    } else {
        let mut out = stdout().lock();
        for fault in &faults {
            match &fault.repair {
                Err(error) => writeln!(out, "{}: {error}", fault.port)?,
                Ok(plan) => plan
                    .changes()
                    .iter()
                    .try_for_each(|change| writeln!(out, "{}: {change}", fault.port))?,
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
        "changes": plan.ok().map(|plan| plan.changes().iter().map(ToString::to_string).collect::<Vec<_>>()),
        "error": plan.err().map(ToString::to_string),
    })
}

fn as_json(table: &GuardTable, wanted: impl Fn(&GuardedPort) -> bool) -> Value {
    let count = |counter: NftCounter| json!({ "packets": counter.packets, "bytes": counter.bytes });
    let element = |(set, element): &(NftSet, NftElement)| {
        let values: Vec<String> = element.key.iter().skip(1).map(ToString::to_string).collect();
        json!({ "set": set.name, "value": values })
    };
    let port = |port: &GuardedPort| {
        json!({
            "port": port.port.as_str(), "record": port.record,
            "sent": count(port.sent), "dropped": count(port.dropped),
            "allowed": port.allowed.iter().map(element).collect::<Vec<_>>(),
        })
    };
    let rules = table.rules.iter().filter_map(|rule| {
        let (reason, counter) = dropped(rule)?;
        Some(json!({ "chain": rule.chain, "drops": reason, "counter": count(counter) }))
    });
    json!({
        "family": table.family.to_string(), "comment": table.comment,
        "ports": table.ports().iter().filter(|port| wanted(port)).map(port).collect::<Vec<_>>(),
        "rules": rules.collect::<Vec<_>>(),
    })
}
