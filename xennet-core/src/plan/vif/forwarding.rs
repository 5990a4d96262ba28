//! Whether a bridge forwards the frames of a port. A plan does not change that: it warns.

use std::fmt;

use crate::types::{IfName, Link, PortState};

/// A bridge does not forward a guest's frames, or not at once. Prints as one line that says what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotForwarding {
    /// The guest's interface.
    pub link: IfName,
    /// The bridge.
    pub bridge: IfName,
    /// Why the bridge does not forward.
    pub cause: ForwardingStop,
}

/// Why a bridge does not forward the frames of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForwardingStop {
    /// The bridge is down.
    BridgeDown,
    /// The spanning tree protocol delays a port that starts.
    Delay {
        /// The bridge's `forward_delay`, in hundredths of a second.
        forward_delay: u32,
    },
    /// The spanning tree protocol closed the port.
    Stp(PortState),
    /// The port has this state without the spanning tree protocol.
    State(PortState),
}

/// Why a port does not forward, if it does not. `restarts` says that the plan takes the port down, or that it is not up.
///
/// The state of a port that starts is predicted, so that a dry run warns as the real run does.
pub(super) fn warning(
    name: &IfName,
    bridge: &Link,
    port: &Link,
    restarts: bool,
) -> Option<NotForwarding> {
    let cause = stop(bridge, port.port_state.filter(|_| !restarts))?;
    let (link, bridge) = (name.clone(), bridge.name.clone());
    Some(NotForwarding { link, bridge, cause })
}

/// `state` is none for a port that is not running yet.
fn stop(bridge: &Link, state: Option<PortState>) -> Option<ForwardingStop> {
    if !bridge.up {
        return Some(ForwardingStop::BridgeDown);
    }
    let settings = bridge.bridge.as_ref()?;
    let forward_delay = settings.forward_delay;
    let delays = settings.stp && forward_delay > 0;
    match state {
        None | Some(PortState::Listening | PortState::Learning) if delays => {
            Some(ForwardingStop::Delay { forward_delay })
        }
        None | Some(PortState::Forwarding) => None,
        Some(state) if settings.stp => Some(ForwardingStop::Stp(state)),
        Some(state) => Some(ForwardingStop::State(state)),
    }
}

impl fmt::Display for NotForwarding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { link, bridge, cause } = self;
        match cause {
            ForwardingStop::BridgeDown => write!(
                f,
                "{bridge}: is down and forwards no frames of {link}: `ip link set dev {bridge} up`"
            ),
            ForwardingStop::Delay { forward_delay } => write!(
                f,
                "{link}: forwards frames only {} s after its guest connects, because {bridge} runs the spanning tree \
                 protocol: lower its forward_delay, or, in a network without loops, \
                 `ip link set dev {bridge} type bridge stp_state 0`",
                forward_delay.saturating_mul(2).div_ceil(100)
            ),
            ForwardingStop::Stp(state) => write!(
                f,
                "{link}: its port of {bridge} is {state} by the spanning tree protocol and forwards no frames: find the \
                 loop with `bridge link show`"
            ),
            ForwardingStop::State(state) => write!(
                f,
                "{link}: its port of {bridge} is {state} and forwards no frames: `bridge link set dev {link} state 3`"
            ),
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
