use std::time::Duration;

use crate::config::NetworkConfig;
use crate::connections::Connections;
use crate::observe::Facts;
use crate::paths::Paths;

/// What every operation works with.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) connections: Connections,
    pub(crate) config: NetworkConfig,
    pub(crate) paths: Paths,
    /// How long to wait for an interface that does not exist yet.
    pub(crate) link_wait: Duration,
}

impl Context {
    /// For one operation, or one question.
    pub(crate) fn facts(&mut self) -> Facts<'_> {
        Facts::new(&mut self.connections, &self.config, &self.paths)
    }
}
