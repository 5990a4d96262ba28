//! The options of every command, and the output that they control.

use std::io::{Write, stderr, stdout};

use clap::Args;
use serde_json::{Value, json};
use xennet_cli::hotplug;
use xennet_cli::log::complain;
use xennet_core::{Dom0Network, Error, Plan};

use crate::failure::Failure;

/// The options of every command.
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

impl Options {
    /// Opens the kernel, and XenStore unless `no_store`.
    pub(crate) fn network(no_store: bool) -> Result<Dom0Network, Error> {
        let net = if no_store { Dom0Network::without_store() } else { Dom0Network::open() };
        Ok(hotplug::place(net?))
    }

    /// Prints a plan as the options ask: always with `--json` or `--dry-run`, on standard error with `--verbose`.
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
            // A closed output does not make the operation fail.
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
