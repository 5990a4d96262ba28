//! Which of two interfaces in the same network the host sends by: that whose route the kernel made first.

use super::NetworkSnapshot;
use super::routes::connected;
use crate::plan::{HostRoute, HostWarning, Plan, Warning};
use crate::types::{Address, LinkRef, Route, Scope};

/// Warns of networks that are reached by a third interface when the addresses have moved: the kernel puts the new
/// interface's route behind those that are alike.
///
/// That it was so before a start needs no warning. A stop warns in any case: it does not restore the first order.
pub(super) fn warn<'a>(
    plan: &mut Plan,
    seen: &NetworkSnapshot,
    (from, to): (&LinkRef, &LinkRef),
    moving: impl Iterator<Item = &'a Address>,
) {
    let is_returned = seen.known_bridges().any(|bridge| bridge.name == from.name);
    // Every link has the link-local network.
    for address in moving.filter(|address| address.scope != Scope::LINK) {
        let Some(new) = connected(address, to) else { continue };
        let network = new.route.destination;
        let alike = |route: &&HostRoute| {
            let Route { destination, protocol, .. } = &route.route;
            *protocol == KERNEL && *destination == network && route.key() == new.key()
        };
        let mut routes = seen.routes.iter().filter(alike).filter(|route| !route.leaves_by(to));
        let first = routes.next();
        let next = match first {
            Some(first) if first.leaves_by(from) => routes.next(),
            _ if is_returned
                || !seen.routes.iter().any(|one| alike(&one) && one.leaves_by(from)) =>
            {
                first
            }
            _ => None,
        };
        let Some(other) = next.and_then(|route| route.links.first()) else { continue };
        let (link, other) = (to.name.clone(), other.name.clone());
        let warning = Warning::from(HostWarning::SameNetwork { network, link, other });
        if !plan.warnings.contains(&warning) {
            plan.warn(warning);
        }
    }
}

/// `RTPROT_KERNEL`
const KERNEL: u8 = 2;
