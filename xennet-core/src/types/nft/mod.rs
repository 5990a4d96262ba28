//! What nftables holds, in the words of the kernel's `nf_tables`.
//!
//! As much of it as xennet's own tables need, and no more: a ruleset of somebody else's is only ever looked at.

mod batch;
mod chain;
mod expr;
mod set;
mod table;

pub use batch::{NftBatch, NftCommand};
pub use chain::{NftChain, NftHook, NftHookPoint, NftPolicy, NftRule};
pub use expr::{
    NftBase, NftCmp, NftCounter, NftCt, NftExpr, NftMeta, NftNat, NftRegister, NftVerdict,
};
pub use set::{NftElement, NftKey, NftSet, NftValue};
pub use table::{NftFamily, NftTable};
