//! The chains and rules of a layout.

use super::{GuardLayout, rules};
use crate::types::{IfName, NftChain, NftFamily, NftHook, NftHookPoint, NftPolicy, NftRule};

impl GuardLayout {
    /// All its chains, but for those that are a port's own.
    #[cfg(any(test, feature = "internals"))]
    pub fn chains(&self) -> Vec<NftChain> {
        self.chains_of(&self.rules())
    }

    /// The same, for who has its rules already: to write them down takes longer than all else here.
    pub(super) fn chains_of(&self, rules: &[NftRule]) -> Vec<NftChain> {
        let base = |name: &str, point| base(name.to_owned(), point, None);
        let mut chains = match self.family {
            NftFamily::Netdev => Vec::new(),
            _ => vec![base("prerouting", NftHookPoint::Prerouting)],
        };
        if self.family == NftFamily::Bridge {
            chains.push(base("input", NftHookPoint::Input));
        }
        for rule in rules {
            if !chains.iter().any(|chain| chain.name == rule.chain) {
                chains.push(NftChain { name: rule.chain.clone(), hook: None });
            }
        }
        chains
    }

    /// All its rules, chain by chain, in their order.
    pub fn rules(&self) -> Vec<NftRule> {
        rules::rules(self)
    }

    /// A port's own chain, by which its frames enter the table, and that chain's rule; none in a family that sees the
    /// frames of all ports.
    ///
    /// One chain of all ports would do as well, but not all kernels can add a device to a chain (Linux 6.1 cannot).
    pub fn entrance(&self, port: &IfName) -> Option<(NftChain, NftRule)> {
        let name = Self::entrance_name(port);
        let rule = rules::entrance(&name);
        (self.family == NftFamily::Netdev)
            .then(|| (base(name, NftHookPoint::Ingress, Some(port.clone())), rule))
    }
}

fn base(name: String, point: NftHookPoint, device: Option<IfName>) -> NftChain {
    let (kind, policy) = ("filter".to_owned(), NftPolicy::Accept);
    let hook = NftHook { kind, point, device, priority: PRIORITY, policy };
    NftChain { name, hook: Some(hook) }
}

/// Before all others: what the guard drops shall reach nobody, and `br_netfilter` (0) may have rewritten it by then. At
/// ingress, a flowtable (0, as a rule) would take a packet of a known connection past every chain behind it.
const PRIORITY: i32 = -300;
