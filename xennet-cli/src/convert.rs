//! `xennet network import` and `export`

use std::fs;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use xennet_cli::log::complain;
use xennet_core::config::{Export, ExportTarget, Import};

use crate::config_file::ConfigFile;
use crate::failure::Failure;
use crate::options::Options;

#[derive(Args, Debug)]
pub(crate) struct Inward {
    /// /etc/xen/xend-config.sxp, /etc/xen/xl.conf: those that there are
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct Outward {
    #[command(flatten)]
    config: ConfigFile,
    /// For which program
    #[arg(long = "to", value_enum)]
    target: Target,
    /// Write the files below this directory, as below /, instead of to standard output
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

#[derive(ValueEnum, Debug, Clone, Copy)]
enum Target {
    Ifupdown,
    Networkd,
}

pub(crate) fn import(from: &Inward) -> Result<(), Failure> {
    // Whoever may not look at this host's routes, or imports another's files, gets a remark for it.
    let gateway = Options::network(true).and_then(|mut net| net.host().gateway());
    let mut import = Import::new(gateway.ok().flatten());
    for file in &from.files {
        let failed =
            |error: &dyn std::fmt::Display| Failure::Failed(format!("{}: {error}", file.display()));
        let text = fs::read(file).map_err(|error| failed(&error))?;
        // What is not UTF-8 can be in a comment; elsewhere it is no name, and an error.
        let text = String::from_utf8_lossy(&text);
        import.read(&file.display().to_string(), &text).map_err(|error| failed(&error))?;
    }
    import.remarks().iter().for_each(|remark| complain("xennet", remark));
    write!(stdout(), "{}", import.to_toml())?;
    Ok(())
}

pub(crate) fn export(to: &Outward, options: &Options) -> Result<(), Failure> {
    let mut net = to.config.open()?;
    let now = net.host().hosts_now()?;
    let target = match to.target {
        Target::Ifupdown => ExportTarget::Ifupdown,
        Target::Networkd => ExportTarget::Networkd,
    };
    let export = net.config().export(target, &now).map_err(xennet_core::Error::from)?;
    export.remarks.iter().for_each(|remark| complain("xennet", remark));
    match &to.dir {
        Some(dir) => install(dir, &export, options),
        None => print(&export),
    }
}

fn print(export: &Export) -> Result<(), Failure> {
    let mut out = stdout().lock();
    for (n, file) in export.files.iter().enumerate() {
        let gap = if n == 0 { "" } else { "\n" };
        writeln!(out, "{gap}# ==> /{} <==", file.path)?;
        write!(out, "{}", file.text)?;
    }
    Ok(())
}

/// Each file below the directory: says which, and with `--dry-run` only that.
fn install(dir: &Path, export: &Export, options: &Options) -> Result<(), Failure> {
    for file in &export.files {
        let path = dir.join(&file.path);
        if !options.dry_run {
            let failed = |error| Failure::Failed(format!("write {}: {error}", path.display()));
            fs::create_dir_all(path.parent().unwrap_or(dir)).map_err(failed)?;
            fs::write(&path, &file.text).map_err(failed)?;
        }
        writeln!(stdout(), "{}", path.display())?;
    }
    Ok(())
}
