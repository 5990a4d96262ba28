use super::ConfigError;
use super::table::Table;
use crate::types::{BondMode, IfName, LacpRate, Mtu, XmitHashPolicy};

/// What an administrator decides for one bond: `[[bond]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BondPolicy {
    /// The bond.
    pub name: IfName,
    /// Its ports, one at least.
    pub ports: Vec<IfName>,
    /// How it uses them.
    pub mode: BondMode,
    /// Milliseconds between two looks at the carrier of each port; none keeps that of an existing bond.
    pub miimon: Option<u32>,
    /// How often the other end of LACP sends.
    pub lacp_rate: Option<LacpRate>,
    /// What of a packet selects its port.
    pub xmit_hash_policy: Option<XmitHashPolicy>,
    /// The port that is used while it has a carrier.
    pub primary: Option<IfName>,
    /// Its MTU, and that of its ports.
    pub mtu: Option<Mtu>,
}

impl BondPolicy {
    pub(super) fn read(table: &mut Table<'_>) -> Result<Self, ConfigError> {
        let policy = Self {
            name: table.required("name")?,
            ports: table.required("ports")?,
            mode: table.optional("mode")?.unwrap_or(BondMode::ActiveBackup),
            miimon: table.optional("miimon")?,
            lacp_rate: table.optional("lacp_rate")?,
            xmit_hash_policy: table.optional("xmit_hash_policy")?,
            primary: table.optional("primary")?,
            mtu: table.optional("mtu")?,
        };
        table.finish()?;
        match policy.contradiction() {
            Some((key, words)) => Err(table.wrong(key, format!("bond {}: {words}", policy.name))),
            None => Ok(policy),
        }
    }

    /// A key that contradicts the others, and why.
    fn contradiction(&self) -> Option<(&'static str, String)> {
        let Self { ports, mode, .. } = self;
        if ports.is_empty() {
            return Some(("ports", "expected one interface at least".to_owned()));
        }
        for (n, port) in ports.iter().enumerate() {
            if *port == self.name {
                return Some(("ports", "a bond is not its own port".to_owned()));
            }
            if ports.iter().take(n).any(|other| other == port) {
                return Some(("ports", format!("{port} is listed twice")));
            }
        }
        if self.miimon.is_some_and(|milliseconds| !(1..=60_000).contains(&milliseconds)) {
            let words = "expected 1 to 60000 milliseconds: without it a bond does not notice that a port has failed";
            return Some(("miimon", words.to_owned()));
        }
        let only = |key, needs: &str| {
            Some((key, format!("{key} has an effect with {needs} only, not with mode {mode}")))
        };
        if self.lacp_rate.is_some() && *mode != BondMode::Lacp {
            return only("lacp_rate", "mode 802.3ad");
        }
        if self.xmit_hash_policy.is_some() && !mode.hashes() {
            return only("xmit_hash_policy", "modes balance-xor, 802.3ad and balance-tlb");
        }
        match &self.primary {
            Some(_) if !mode.has_primary() => {
                only("primary", "modes active-backup, balance-tlb and balance-alb")
            }
            Some(primary) if !ports.contains(primary) => {
                Some(("primary", format!("{primary} is none of the ports")))
            }
            _ => None,
        }
    }
}
