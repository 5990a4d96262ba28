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
    /// cannot succeed.
    pub fn bridge_names(&mut self) -> Result<bool, Error> {
        const CHAIN: &str = "probe";
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
        match self.apply(&batch) {
            Ok(()) => Ok(true),
            Err(error) if error.errno() == libc::ENOENT => Ok(true),
            Err(error) if error.errno() == libc::EOPNOTSUPP => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether an element that is there already can be given an end (Linux 6.12): an older kernel takes the request, and does
    /// nothing. So the kernel is asked for its version.
    pub fn ends() -> bool {
        uname().is_ok_and(|system| ends_elements(system.release().to_str().unwrap_or_default()))
    }
}

/// Whether Linux of this release ends elements that are there already.
fn ends_elements(release: &str) -> bool {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map_while(|n| n.parse().ok());
    let version: (Option<u32>, Option<u32>) = (numbers.next(), numbers.next());
    version >= (Some(6), Some(12))
}

#[cfg(test)]
mod tests {
    #[test]
    fn elements_end_from_linux_6_12_on() {
        for release in ["6.12.0", "6.12-rc1", "6.18.44-fc-v669", "7.0.0", "10.1"] {
            assert!(super::ends_elements(release), "{release}");
        }
        for release in ["6.11.9-amd64", "6.1.0-49-amd64", "5.15.0", "6", "", "linux 6.12"] {
            assert!(!super::ends_elements(release), "{release}");
        }
    }
}
