//! The settings of an uplink that its bridge has as well, when it has the host's addresses.

use super::NetworkSnapshot;
use super::forwarding;
use super::sysctls::FORWARDING;
use crate::config::NetworkConfig;
use crate::types::{Family, IfName};

/// What the bridge of an uplink with this `value` is set to; none leaves it as it is.
pub(super) fn value<'a>(
    config: &NetworkConfig,
    seen: &NetworkSnapshot,
    (uplink, bridge): (&IfName, &IfName),
    (family, key): (Family, &str),
    value: &'a str,
) -> Option<&'a str> {
    let forwards = forwarding::wanted(config, family) == Some(true);
    match (family, key) {
        (Family::V6, "accept_ra") if forwards && forwarding::learns(seen, uplink) => Some("2"),
        // Guests need it.
        (_, FORWARDING) if forwards => None,
        (Family::V6, FORWARDING) if value != "0" && would_forget(seen) => None,
        _ if forwarding::PROXY.contains(&(family, key))
            && config.routed.iter().any(|routed| routed.uplink == *bridge) =>
        {
            None
        }
        _ => Some(value),
    }
}

/// Whether an interface has routes that the kernel drops as soon as any interface begins to forward.
fn would_forget(seen: &NetworkSnapshot) -> bool {
    seen.links.iter().any(|link| forwarding::learns(seen, &link.name))
}
