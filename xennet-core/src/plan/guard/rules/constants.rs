//! Names of chains and numbers of protocols that several rules use.

/// The chain that ends in a drop, and counts it for the port.
pub(super) const REFUSED: &str = "refused";
pub(super) const OTHERS: &str = "others";

pub(super) const ICMP: u8 = 1;
pub(super) const IGMP: u8 = 2;
pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;
pub(super) const ICMP6: u8 = 58;
pub(super) const PIM: u8 = 103;

/// The chain that checks the source address of IPv6.
pub(super) const IP6_SOURCE: &str = "ip6_source";
pub(super) const IP6_UNSPECIFIED: &[u8] = &[0; 16];

/// The mark of a packet that is refused for this reason (its FNV-1a hash): the same in each version of the rules.
pub(in crate::plan::guard) fn reason_mark(reason: &str) -> u32 {
    reason
        .bytes()
        .fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
