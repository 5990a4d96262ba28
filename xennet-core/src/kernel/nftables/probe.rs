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
}
