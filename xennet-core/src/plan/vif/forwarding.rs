//! Whether a bridge forwards the frames of a port. A plan does not change that: it warns.

use crate::plan::Warning;
use crate::types::{IfName, Link, PortState};

/// Why a port does not forward, if it does not. `restarts` says that the plan takes the port down, or that it is not up.
///
/// The state of a port that starts is predicted, so that a dry run warns as the real run does.
pub(super) fn warning(
    name: &IfName,
    bridge: &Link,
    port: &Link,
    restarts: bool,
) -> Option<Warning> {
    let (link, bridge_name) = (name.clone(), bridge.name.clone());
    if !bridge.up {
        return Some(Warning::BridgeDown { link, bridge: bridge_name });
    }
    let settings = bridge.bridge.as_ref()?;
    let delay = settings.forward_delay;
    let waits = settings.stp && delay > 0;
    match port.port_state.filter(|_| !restarts) {
        Some(PortState::Forwarding) => None,
        None | Some(PortState::Listening | PortState::Learning) if waits => {
            Some(Warning::ForwardDelay { link, bridge: bridge_name, delay })
        }
        None => None,
        Some(state) => {
            Some(Warning::NotForwarding { link, bridge: bridge_name, state, stp: settings.stp })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bridge, link};
    use super::*;

    #[test]
    fn port_that_forwards_or_has_no_carrier_is_no_warning() {
        use PortState::{Blocking, Disabled, Forwarding, Learning, Listening};
        let name: IfName = "vif3.0".parse().unwrap();
        for (up, stp, state, restarts, expected) in [
            (true, false, Some(Forwarding), false, ""),
            (true, true, Some(Forwarding), false, ""),
            (true, false, None, false, ""),
            (true, false, None, true, ""),
            (false, true, None, true, "xenbr0: is down"),
            (false, false, Some(Disabled), false, "xenbr0: is down"),
            // The guest is not connected yet, or the plan takes the port down and up again.
            (true, true, None, false, "vif3.0: forwards frames only 30 s after"),
            (true, true, Some(Forwarding), true, "vif3.0: forwards frames only 30 s after"),
            (true, true, Some(Listening), false, "vif3.0: forwards frames only 30 s after"),
            (true, true, Some(Learning), false, "vif3.0: forwards frames only 30 s after"),
            (true, true, Some(Blocking), false, "vif3.0: its port of xenbr0 is blocking"),
            (true, false, Some(Blocking), false, "vif3.0: its port of xenbr0 is blocking"),
            (true, false, Some(Disabled), false, "vif3.0: its port of xenbr0 is disabled"),
            (true, false, Some(Learning), false, "vif3.0: its port of xenbr0 is learning"),
        ] {
            let mut bridge = Link { up, ..bridge(2, "xenbr0") };
            let settings = bridge.bridge.as_mut().unwrap();
            (settings.stp, settings.forward_delay) = (stp, 1500);
            let port = Link { port_state: state, up: true, master: Some(2), ..link(7, "vif3.0") };
            let text = warning(&name, &bridge, &port, restarts).map(|warning| warning.to_string());
            let text = text.unwrap_or_default();
            let case = format!("{up} {stp} {state:?} {restarts}: {text}");
            assert!(text.starts_with(expected) && text.is_empty() == expected.is_empty(), "{case}");
        }
    }
}
