use std::fmt;

/// What a port of a bridge is set to. `ip -d link show dev NAME` behind `bridge_slave`
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Port {
    /// The bridge's index.
    pub bridge: u32,
    /// What it does with frames: `state`.
    pub state: PortState,
    /// How dear the spanning tree takes the path through it to be, 1 to 65535: `cost`.
    pub cost: u32,
    /// Its priority in the spanning tree, 0 to 63: `priority`.
    pub priority: u16,
    /// The switches that are on.
    pub flags: PortFlags,
    /// The switches that this kernel has at all.
    pub known: PortFlags,
    /// Whether a multicast router is behind it, 0 to 3: `mcast_router`; none when the kernel cannot snoop.
    pub mcast_router: Option<u8>,
    /// Which link-local group addresses are forwarded: `group_fwd_mask`.
    pub group_fwd_mask: u16,
    /// The index of the port that takes over when this one has no carrier: `backup_port`.
    pub backup_port: Option<u32>,
}

/// What a port does with frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PortState {
    /// Nothing: it is down.
    Disabled,
    /// It takes part in the spanning tree only.
    Listening,
    /// It learns addresses, and does not forward yet.
    Learning,
    /// All.
    Forwarding,
    /// Nothing: the spanning tree closed it.
    Blocking,
}

bitflags::bitflags! {
    /// The switches of a port, by the names that `ip link set dev NAME type bridge_slave` has for them.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct PortFlags: u32 {
        /// Frames may leave by the port that they came in by.
        const HAIRPIN = 1 << 0;
        /// Spanning tree messages of its own are dropped here.
        const GUARD = 1 << 1;
        /// It may not become the root port of the spanning tree.
        const ROOT_BLOCK = 1 << 2;
        /// A multicast group ends here with the first that leaves it.
        const FASTLEAVE = 1 << 3;
        /// Source addresses are learnt.
        const LEARNING = 1 << 4;
        /// Frames to unknown addresses leave here.
        const FLOOD = 1 << 5;
        /// The bridge answers ARP requests for its neighbours.
        const PROXY_ARP = 1 << 6;
        /// The same, as IEEE 802.11 wants it.
        const PROXY_ARP_WIFI = 1 << 7;
        /// Multicast to groups that nobody joined leaves here.
        const MCAST_FLOOD = 1 << 8;
        /// Multicast is sent to each of its receivers alone.
        const MCAST_TO_UNICAST = 1 << 9;
        /// VLANs are mapped to tunnels.
        const VLAN_TUNNEL = 1 << 10;
        /// Broadcasts leave here.
        const BCAST_FLOOD = 1 << 11;
        /// ARP and neighbour discovery stay off this port where the bridge knows the answer.
        const NEIGH_SUPPRESS = 1 << 12;
        /// It exchanges no frames with other isolated ports.
        const ISOLATED = 1 << 13;
        /// Frames from addresses that the forwarding table does not have here are dropped.
        const LOCKED = 1 << 14;
        /// A locked port notes the addresses that it turns away; needs `locked` and `learning`.
        const MAB = 1 << 15;
        /// `neigh_suppress` by VLAN.
        const NEIGH_VLAN_SUPPRESS = 1 << 16;
    }
}

/// A change to a port's settings, in one request; what it does not mention stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PortSet {
    mask: PortFlags,
    values: PortFlags,
    /// What it does with frames; only where the kernel runs no spanning tree.
    pub state: Option<PortState>,
    /// How dear the path through it is, 1 to 65535.
    pub cost: Option<u32>,
    /// Its priority in the spanning tree, 0 to 63.
    pub priority: Option<u16>,
    /// Whether a multicast router is behind it, 0 to 3.
    pub mcast_router: Option<u8>,
    /// Which link-local group addresses are forwarded.
    pub group_fwd_mask: Option<u16>,
    /// The index of the port that takes over when this one has no carrier; 0 for none.
    pub backup_port: Option<u32>,
}

impl PortSet {
    /// Turns these on as well.
    #[must_use]
    pub fn on(mut self, flags: PortFlags) -> Self {
        self.mask |= flags;
        self.values |= flags;
        self
    }

    /// Turns these off as well.
    #[must_use]
    pub fn off(mut self, flags: PortFlags) -> Self {
        self.mask |= flags;
        self.values -= flags;
        self
    }

    /// The switches that it sets, either way.
    pub fn mask(&self) -> PortFlags {
        self.mask
    }

    /// Those of them that it turns on.
    pub fn values(&self) -> PortFlags {
        self.values
    }

    /// What of it does not hold of a port; empty when all of it does.
    #[must_use]
    pub fn missing(&self, port: &Port) -> Self {
        let wrong = (self.mask & (port.flags ^ self.values)) | (self.mask - port.known);
        Self {
            mask: wrong,
            values: self.values & wrong,
            state: self.state.filter(|state| *state != port.state),
            cost: self.cost.filter(|cost| *cost != port.cost),
            priority: self.priority.filter(|priority| *priority != port.priority),
            mcast_router: self.mcast_router.filter(|router| Some(*router) != port.mcast_router),
            group_fwd_mask: self.group_fwd_mask.filter(|mask| *mask != port.group_fwd_mask),
            backup_port: self
                .backup_port
                .filter(|index| *index != port.backup_port.unwrap_or_default()),
        }
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for PortState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Disabled => "disabled",
            Self::Listening => "listening",
            Self::Learning => "learning",
            Self::Forwarding => "forwarding",
            Self::Blocking => "blocking",
        })
    }
}

impl fmt::Display for PortSet {
    /// `isolated on learning off`: what follows `ip link set dev NAME type bridge_slave`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Vec::new();
        for (name, flag) in self.mask.iter_names() {
            let value = if self.values.contains(flag) { "on" } else { "off" };
            words.push(format!("{} {value}", name.to_ascii_lowercase()));
        }
        words.extend(self.state.map(|state| format!("state {state}")));
        words.extend(self.cost.map(|cost| format!("cost {cost}")));
        words.extend(self.priority.map(|priority| format!("priority {priority}")));
        words.extend(self.mcast_router.map(|router| format!("mcast_router {router}")));
        words.extend(self.group_fwd_mask.map(|mask| format!("group_fwd_mask {mask:#x}")));
        words.extend(self.backup_port.map(|index| match index {
            0 => "nobackup_port".to_owned(),
            index => format!("backup_port index {index}"),
        }));
        f.write_str(&words.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_counts() {
        let both = PortFlags::ISOLATED | PortFlags::LEARNING;
        let set = PortSet::default().on(both).off(PortFlags::LEARNING);
        assert_eq!(set.to_string(), "learning off isolated on");
        let none = PortSet { backup_port: Some(0), cost: Some(4), ..PortSet::default() };
        assert_eq!(none.to_string(), "cost 4 nobackup_port");
        assert!(PortSet::default().is_empty() && !none.is_empty());
    }

    #[test]
    fn knows_what_did_not_take_effect() {
        let port = Port {
            bridge: 1,
            state: PortState::Forwarding,
            cost: 2,
            priority: 32,
            flags: PortFlags::LEARNING,
            known: PortFlags::LEARNING | PortFlags::ISOLATED,
            mcast_router: None,
            group_fwd_mask: 0,
            backup_port: None,
        };
        let held = PortSet { cost: Some(2), backup_port: Some(0), ..PortSet::default() }
            .on(PortFlags::LEARNING)
            .off(PortFlags::ISOLATED);
        assert!(held.missing(&port).is_empty());
        let not = PortSet { cost: Some(3), mcast_router: Some(1), ..PortSet::default() }
            .on(PortFlags::ISOLATED | PortFlags::LEARNING)
            .off(PortFlags::MAB);
        assert_eq!(
            not.missing(&port).to_string(),
            "isolated on mab off cost 3 mcast_router 1",
            "off is not known to hold where the kernel has no such switch"
        );
    }
}
