//! `--config` of `xennet network`: the configuration file.

use std::path::PathBuf;

use clap::Args;
use xennet_cli::hotplug;
use xennet_cli::log::complain;
use xennet_core::Dom0Network;

use crate::failure::Failure;
use crate::options::Options;

/// The configuration file that a command reads.
#[derive(Args, Debug)]
pub(crate) struct ConfigFile {
    /// The configuration, instead of /etc/xen/xennet.toml
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigFile {
    /// Opens the kernel and loads the file.
    pub(crate) fn open(&self) -> Result<Dom0Network, Failure> {
        self.load(Options::network(true)?)
    }

    /// The same with XenStore; none where it cannot be reached, as on a host without Xen.
    pub(crate) fn open_with_store(&self) -> Option<Dom0Network> {
        self.load(Options::network(false).ok()?).ok()
    }

    fn load(&self, mut net: Dom0Network) -> Result<Dom0Network, Failure> {
        let path = self.config.clone().unwrap_or_else(hotplug::config_path);
        if !path.exists() {
            return Err(Failure::Failed(format!(
                "{}: there is no such file, so nothing says what the network shall be; \
                 the example that comes with xennet explains every key",
                path.display()
            )));
        }
        net.load_config(&path)?;
        Ok(net)
    }

    /// `stop` needs only the record of `start`: an invalid configuration must not prevent it.
    pub(crate) fn open_or_recorded(&self) -> Result<Dom0Network, Failure> {
        let failed = match self.open() {
            Err(Failure::Failed(text)) => text,
            opened => return opened,
        };
        let mut net = Options::network(true)?;
        if !net.host().is_started()? {
            return Err(Failure::Failed(failed));
        }
        complain("xennet: warning", format!("{failed}; going by what start recorded"));
        Ok(net)
    }
}
