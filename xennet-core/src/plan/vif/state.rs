//! The short reason why a vif does not work, for a row of a list.

use std::fmt;

use super::ForwardingStop;
use crate::plan::{Plan, Warning};
use crate::types::{Link, Mode};

/// Why a vif that XenStore calls `connected` does not work as wanted. Prints as a few words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum VifFault {
    /// It has no interface.
    NoInterface,
    /// Its interface is no port of a bridge.
    NotInBridge,
    /// Its interface is down.
    Down,
    /// An `online` would fail.
    NoPlan,
    /// Its bridge is down.
    BridgeDown,
    /// Its port does not forward frames.
    NotForwarding,
    /// An `online` would make this many changes.
    Pending(usize),
}

impl VifFault {
    /// The first fault, most severe first; none for a vif that is as wanted.
    ///
    /// `switch_port` says that it has a port in Open vSwitch, and `plan` is what an `online` would do, where that is known.
    pub(crate) fn find<E>(
        mode: Mode,
        link: Option<&Link>,
        switch_port: bool,
        plan: Option<&Result<Plan, E>>,
    ) -> Option<Self> {
        let Some(link) = link else { return Some(Self::NoInterface) };
        let attached = match mode {
            Mode::Bridge => link.master.is_some(),
            Mode::OpenVswitch => switch_port,
            _ => true,
        };
        match plan {
            // Why nothing can be planned is also why it is not attached.
            Some(Err(_)) => Some(Self::NoPlan),
            _ if !attached => Some(Self::NotInBridge),
            _ if !link.up => Some(Self::Down),
            Some(Ok(plan)) => {
                let changes = plan.changes().len();
                let stop = plan.warnings().iter().find_map(|warning| match warning {
                    Warning::NotForwarding(warning) => Self::stop(warning.cause),
                    _ => None,
                });
                stop.or((changes > 0).then_some(Self::Pending(changes)))
            }
            None => None,
        }
    }

    fn stop(cause: ForwardingStop) -> Option<Self> {
        match cause {
            ForwardingStop::BridgeDown => Some(Self::BridgeDown),
            // It forwards in a while.
            ForwardingStop::Delay { .. } => None,
            ForwardingStop::Stp(_) | ForwardingStop::State(_) => Some(Self::NotForwarding),
        }
    }
}

impl fmt::Display for VifFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NoInterface => "no interface",
            Self::NotInBridge => "not in a bridge",
            Self::Down => "down",
            Self::NoPlan => "cannot be repaired",
            Self::BridgeDown => "bridge is down",
            Self::NotForwarding => "not forwarding",
            Self::Pending(1) => "1 change pending",
            Self::Pending(changes) => return f.pad(&format!("{changes} changes pending")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::NotForwarding;
    use super::super::tests::link;
    use super::*;
    use crate::plan::{Change, PlanError};
    use crate::types::{LinkSet, PortState};

    fn shown(
        mode: Mode,
        link: Option<&Link>,
        switch_port: bool,
        plan: Option<&Result<Plan, PlanError>>,
    ) -> String {
        let fault = VifFault::find(mode, link, switch_port, plan);
        fault.map(|fault| fault.to_string()).unwrap_or_default()
    }

    #[test]
    fn link_that_is_missing_detached_or_down_comes_first() {
        let port = Link { up: true, master: Some(2), ..link(7, "vif3.0") };
        let detached = Link { master: None, ..port.clone() };
        let down = Link { up: false, ..port.clone() };
        let ready = Ok(Plan::default());
        let ready = || Some(&ready);
        assert_eq!(shown(Mode::Bridge, None, false, ready()), "no interface");
        assert_eq!(shown(Mode::Bridge, Some(&detached), false, ready()), "not in a bridge");
        assert_eq!(shown(Mode::Bridge, Some(&down), false, ready()), "down");
        assert_eq!(shown(Mode::Bridge, Some(&port), false, ready()), "");
        assert_eq!(shown(Mode::Bridge, Some(&port), false, None), "");
        // A datapath in user space is the master of no port; a routed vif has no bridge.
        assert_eq!(shown(Mode::OpenVswitch, Some(&detached), true, ready()), "");
        assert_eq!(shown(Mode::OpenVswitch, Some(&port), false, ready()), "not in a bridge");
        assert_eq!(shown(Mode::Route, Some(&detached), false, ready()), "");
    }

    #[test]
    fn plan_says_what_is_wrong_with_an_attached_vif() {
        let port = Link { up: true, master: Some(2), ..link(7, "vif3.0") };
        let shown = |plan| shown(Mode::Bridge, Some(&port), false, Some(&plan));
        let change = Change::LinkSet {
            link: port.reference(),
            set: LinkSet::Up(true),
            was: LinkSet::Up(false),
        };
        assert_eq!(shown(Ok([change.clone()].into_iter().collect())), "1 change pending");
        let mut plan: Plan = [change.clone(), change].into_iter().collect();
        assert_eq!(shown(Ok(plan.clone())), "2 changes pending");
        for (cause, words) in [
            (ForwardingStop::Delay { forward_delay: 1500 }, "2 changes pending"),
            (ForwardingStop::State(PortState::Disabled), "not forwarding"),
            (ForwardingStop::Stp(PortState::Blocking), "not forwarding"),
            (ForwardingStop::BridgeDown, "bridge is down"),
        ] {
            let (link, bridge) = (port.name.clone(), "xenbr0".parse().unwrap());
            plan.warnings = vec![Warning::NotForwarding(NotForwarding { link, bridge, cause })];
            assert_eq!(shown(Ok(plan.clone())), words);
        }
        assert_eq!(shown(Err(PlanError::NoBridges)), "cannot be repaired");
    }
}
