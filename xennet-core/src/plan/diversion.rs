use std::fmt;

use ipnet::IpNet;

use crate::types::IfName;

/// Packets of guests behind the host's address that do not go where their `[[nat]]` has them.
#[derive(Debug)]
pub(super) struct Diversion {
    /// The name of the `[[nat]]`.
    pub(super) nat: String,
    /// The subnet of the guests.
    pub(super) subnet: IpNet,
    /// Whether packets to the guests go elsewhere; else packets from them.
    pub(super) to_guests: bool,
    /// The rule of the routing policy and its priority, unless it is the rule for the main table.
    pub(super) rule: Option<(u32, String)>,
    /// The interfaces that the packets leave by; none where they are dropped.
    pub(super) links: Vec<IfName>,
    /// The uplink of the `[[nat]]`.
    pub(super) uplink: Option<IfName>,
}

impl fmt::Display for Diversion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { nat, subnet, to_guests, rule, links, uplink } = self;
        let (nat, subnet, v6) = (nat.escape_debug(), subnet.trunc(), subnet.addr().is_ipv6());
        let ends = if *to_guests { "to" } else { "from" };
        write!(f, "nat {nat}: packets {ends} its guests ({subnet}) ")?;
        let names: Vec<_> = links.iter().map(ToString::to_string).collect();
        match names.as_slice() {
            [] => f.write_str("are dropped")?,
            names => write!(f, "leave by {}", names.join(" and "))?,
        }
        if let Some((_, rule)) = rule {
            write!(f, ", because of policy rule {rule}")?;
        }
        let family = if v6 { "-6 " } else { "" };
        match (to_guests, rule, uplink) {
            (true, Some((priority, _)), _) => write!(
                f,
                ": add a rule before it, `ip {family}rule add to {subnet} lookup main priority {}`",
                priority.saturating_sub(1)
            ),
            (false, _, Some(uplink)) if !links.is_empty() => write!(
                f,
                ", not by its uplink {uplink}, so that they keep their addresses and get no answer: correct uplink in \
                 xennet.toml, or leave it out"
            ),
            (false, Some((priority, _)), _) => write!(
                f,
                ": add a rule before it, `ip {family}rule add from {subnet} lookup main priority {}`",
                priority.saturating_sub(1)
            ),
            _ => Ok(()),
        }
    }
}
