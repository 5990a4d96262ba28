use nix::sys::utsname::uname;

use super::Nftables;
use crate::kernel::error::Error;
use crate::types::{
    NftBatch, NftChain, NftCommand, NftExpr, NftFamily, NftMeta, NftRegister, NftRule,
};

impl Nftables {
    /// Whether a rule of the bridge family may ask for the bridge: `meta ibrname` (`CONFIG_NFT_BRIDGE_META`).
    ///
    /// An error where the kernel has no bridge family at all. Nothing is left behind: the rule is tried in a batch that
    /// cannot succeed. That takes the kernel some 10 ms, so it is tried once.
    pub fn bridge_names(&mut self) -> Result<bool, Error> {
        const CHAIN: &str = "probe";
        if let Some(known) = self.bridge_names {
            return Ok(known);
        }
        let ask = NftExpr::Meta { key: NftMeta::BridgeName, register: NftRegister(0) };
        let rule = NftRule { chain: CHAIN.to_owned(), expressions: vec![ask], comment: None };
        let batch = NftBatch {
            family: NftFamily::Bridge,
            table: "xennet-probe".to_owned(),
            generation: None,
            commands: vec![
                NftCommand::TableAdd { comment: None },
                NftCommand::ChainAdd(NftChain { name: CHAIN.to_owned(), hook: None }),
                NftCommand::RuleAdd(rule),
                // Last, what always fails, and with another errno than what the kernel does not know.
                NftCommand::ChainDelete { chain: "absent".to_owned() },
            ],
        };
        let known = match self.apply(&batch) {
            Ok(()) => true,
            Err(error) if error.errno() == libc::ENOENT => true,
            Err(error) if error.errno() == libc::EOPNOTSUPP => false,
            Err(error) => return Err(error),
        };
        self.bridge_names = Some(known);
        Ok(known)
    }

    /// Whether an existing element can be given a timeout (Linux 6.12). An older kernel accepts the request and ignores it, so
    /// the kernel's version decides.
    pub fn supports_element_expiry() -> bool {
        uname().is_ok_and(|system| {
            release_supports_element_expiry(system.release().to_str().unwrap_or_default())
        })
    }
}

/// Whether Linux of this release gives existing elements a timeout.
fn release_supports_element_expiry(release: &str) -> bool {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map_while(|n| n.parse().ok());
    let version: (Option<u32>, Option<u32>) = (numbers.next(), numbers.next());
    version >= (Some(6), Some(12))
}

#[cfg(test)]
mod tests {
    #[test]
    fn elements_end_from_linux_6_12_on() {
        for release in ["6.12.0", "6.12-rc1", "6.18.44-fc-v669", "7.0.0", "10.1"] {
            assert!(super::release_supports_element_expiry(release), "{release}");
        }
        for release in ["6.11.9-amd64", "6.1.0-49-amd64", "5.15.0", "6", "", "linux 6.12"] {
            assert!(!super::release_supports_element_expiry(release), "{release}");
        }
    }
}
