use std::fmt;

use crate::types::IfName;

/// Rules of another program that name an uplink, while the host's addresses are on its bridge.
#[derive(Debug)]
pub(super) struct StaleRules {
    /// The uplink.
    pub(super) uplink: IfName,
    /// Its bridge.
    pub(super) bridge: IfName,
    /// The rules: `rules 4 and 7 of table inet filter, chain input of nftables`.
    pub(super) rules: String,
    /// The command that shows them.
    pub(super) show: String,
}

impl fmt::Display for StaleRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { uplink, bridge, rules, show } = self;
        write!(
            f,
            "{uplink}: it is named by {rules}; with the host's addresses on {bridge}, packets come and go by {bridge}: \
             name {bridge} there as well (`{show}`)"
        )
    }
}
