//! Which of two interfaces in the same network the host sends by: that whose route the kernel made first.

use super::NetworkSnapshot;
use crate::plan::{HostRoute, HostWarning, Plan, Warning};
use crate::types::{Address, LinkRef, Route, Scope};

/// Warns of networks that are reached by `from` now, and by a third interface when the addresses have moved: the kernel puts
/// the new interface's route behind those that are alike.
pub(super) fn warn<'a>(
    plan: &mut Plan,
    seen: &NetworkSnapshot,
    (from, to): (&LinkRef, &LinkRef),
    moving: impl Iterator<Item = &'a Address>,
) {
    // Every link has the link-local network.
    for address in moving.filter(|address| address.scope != Scope::LINK) {
        let network = address.address.trunc();
        let connected = |route: &&HostRoute| {
            let Route { destination, protocol, .. } = &route.route;
            *protocol == KERNEL && *destination == network
        };
        let mut routes = seen.routes.iter().filter(connected);
        let Some(own) = routes.find(|route| route.leaves_by(from)) else { continue };
        let next = routes.find(|route| route.key() == own.key() && !route.leaves_by(to));
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
