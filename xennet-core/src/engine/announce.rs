//! Tells the network where the host's addresses are after they moved.

use crate::Error;
use crate::connections::Connections;
use crate::plan::Change;
use crate::types::AddressFlags;

/// Announces the addresses that changes moved, by the interfaces that have them now: these changes moved them there, or
/// were undone.
///
/// An address that is still probed for duplicates is announced only if the host had it before.
pub(super) fn announce(
    connections: &mut Connections,
    changes: &[Change],
    undone: bool,
) -> Result<(), Error> {
    let probed = if undone { AddressFlags::empty() } else { AddressFlags::TENTATIVE };
    let (mut addresses, mut links) = (Vec::new(), Vec::new());
    for change in changes {
        match change {
            Change::AddressAdd { link, address } | Change::AddressDelete { link, address } => {
                addresses.push(address.address.addr());
                links.push(&link.name);
            }
            Change::LinkSet { link, .. } => links.push(&link.name),
            _ => {}
        }
    }
    links.sort_unstable();
    links.dedup();
    if !addresses.is_empty() {
        let unused = probed | AddressFlags::DADFAILED;
        let kernel = connections.kernel()?;
        links.iter().try_for_each(|link| kernel.announce_addresses(link, &addresses, unused))?;
    }
    Ok(())
}
