use std::fmt;

use ipnet::IpNet;

use super::{Family, Route};

/// A rule of the routing policy. `ip rule show`
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PolicyRule {
    /// The protocol whose packets it sees.
    pub family: Family,
    /// The kernel tries rules with a lower number first.
    pub priority: u32,
    /// What happens to the packets that it matches.
    pub action: PolicyAction,
    /// The source addresses that it matches; none for all.
    pub from: Option<IpNet>,
    /// The destination addresses that it matches; none for all.
    pub to: Option<IpNet>,
    /// The name of the interface that packets come in by; `lo` for the host's own.
    pub iif: Option<String>,
    /// The name of the interface that a socket is bound to.
    pub oif: Option<String>,
    /// The mark of the packets that it matches.
    pub fwmark: Option<u32>,
    /// Whether it has a condition that this type does not hold: a protocol, a port, a user.
    pub is_partial: bool,
    /// Whether it matches the packets that do not meet its conditions. `not`
    pub is_inverted: bool,
    /// Routes with a prefix of at most this length do not count. `suppress_prefixlength`
    pub suppress_prefixlength: Option<u8>,
}

/// What happens to the packets that a rule of the routing policy matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PolicyAction {
    /// The kernel looks for a route in this table, and tries the next rule if it finds none.
    Lookup(u32),
    /// The kernel continues with the first rule that has at least this priority.
    Goto(u32),
    /// Nothing: the kernel tries the next rule.
    Nop,
    /// They are dropped: `blackhole`, `unreachable`, `prohibit`.
    Drop,
}

impl PolicyRule {
    /// A rule for all packets.
    pub fn new(family: Family, priority: u32, action: PolicyAction) -> Self {
        Self {
            family,
            priority,
            action,
            from: None,
            to: None,
            iif: None,
            oif: None,
            fwmark: None,
            is_partial: false,
            is_inverted: false,
            suppress_prefixlength: None,
        }
    }
}

impl fmt::Display for PolicyRule {
    /// `32765: not from all fwmark 0xca6c lookup 51820`, as `ip rule show` prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}from ", self.priority, if self.is_inverted { "not " } else { "" })?;
        match &self.from {
            None => f.write_str("all")?,
            Some(net) => write!(f, "{net}")?,
        }
        if let Some(net) = &self.to {
            write!(f, " to {net}")?;
        }
        if let Some(mark) = self.fwmark {
            write!(f, " fwmark {mark:#x}")?;
        }
        for (key, name) in [("iif", &self.iif), ("oif", &self.oif)] {
            if let Some(name) = name {
                write!(f, " {key} {}", name.escape_debug())?;
            }
        }
        match self.action {
            PolicyAction::Lookup(Route::MAIN) => f.write_str(" lookup main")?,
            PolicyAction::Lookup(table) => write!(f, " lookup {table}")?,
            PolicyAction::Goto(priority) => write!(f, " goto {priority}")?,
            PolicyAction::Nop => f.write_str(" nop")?,
            PolicyAction::Drop => f.write_str(" blackhole")?,
        }
        match self.suppress_prefixlength {
            Some(length) => write!(f, " suppress_prefixlength {length}"),
            None => Ok(()),
        }
    }
}
