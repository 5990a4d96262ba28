//! Which changes may be sent to the kernel in one `sendmsg`.

use super::Change;
use crate::types::LinkSet;

/// How many of the first changes may be sent together; at least one where there is one.
///
/// The kernel goes on after a request that it refuses, so each change must be harmless without those before it.
pub(crate) fn pipeline(changes: &[Change]) -> usize {
    let pairs = changes.iter().zip(changes.iter().skip(1));
    let more = pairs.take_while(|(one, next)| may_follow(one, next)).count();
    changes.len().min(more + 1)
}

fn may_follow(one: &Change, next: &Change) -> bool {
    let (Change::LinkSet { link, set: one, .. }, Change::LinkSet { link: same, set: next, .. }) =
        (one, next)
    else {
        return false;
    };
    link == same
        && link.index.is_some()
        && matches!(
            (one, next),
            // The mode only says which address the link makes itself when it is brought up.
            (LinkSet::AddrGenMode(_), LinkSet::Master(Some(_)))
                // A link that could not join the bridge reaches nobody when it is up.
                | (LinkSet::Master(Some(_)), LinkSet::Up(true))
                | (LinkSet::Up(false), LinkSet::Master(None))
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{AddrGenMode, LinkRef};

    fn set(index: u32, set: LinkSet) -> Change {
        let link = LinkRef { index: Some(index), name: "vif1.0".parse().unwrap() };
        Change::LinkSet { link, was: set.clone(), set }
    }

    #[test]
    fn only_harmless_changes_of_one_link_follow_each_other() {
        let bridge = LinkRef { index: Some(9), name: "xenbr0".parse().unwrap() };
        let mode = || set(1, LinkSet::AddrGenMode(AddrGenMode::None));
        let join = || set(1, LinkSet::Master(Some(bridge.clone())));
        let (up, down) = (|| set(1, LinkSet::Up(true)), || set(1, LinkSet::Up(false)));
        assert_eq!(pipeline(&[]), 0);
        assert_eq!(pipeline(&[mode(), join(), up()]), 3);
        assert_eq!(pipeline(&[down(), set(1, LinkSet::Master(None)), up()]), 2);
        assert_eq!(pipeline(&[down(), mode()]), 1);
        assert_eq!(pipeline(&[join(), set(2, LinkSet::Up(true))]), 1);
    }
}
