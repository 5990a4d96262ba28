//! `xennet ovs`

use clap::Subcommand;

use xennet_cli::hotplug;

use crate::failure::Failure;
use crate::options::Options;

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Delete the ports of vifs that are gone; those that xennet did not make are left alone
    Gc,
}

pub(crate) fn run(command: &Command, options: &Options) -> Result<(), Failure> {
    let mut net = Options::network(false)?;
    hotplug::load_config(&mut net)?;
    let mut ovs = net.ovs();
    match command {
        Command::Gc => options.planned(&if options.dry_run { ovs.plan_gc()? } else { ovs.gc()? }),
    }
}
