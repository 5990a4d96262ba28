//! The rules of the legacy iptables, which are no part of nftables: only their FORWARD chains' policies.

use std::fs::File;

use socket2::{Domain, Protocol, Socket, Type};

use super::error::{Error, ErrorKind};
use super::syscall::socket_option;
use super::sysctl::read_whole;
use crate::types::Family;

/// The lists of the legacy iptables' tables, of IPv4 and of IPv6. They stay open for whoever asks again.
#[derive(Debug, Default)]
pub struct LegacyTables {
    v4: Option<File>,
    v6: Option<File>,
}

impl LegacyTables {
    /// Whether the legacy iptables drops what no FORWARD rule accepts: `iptables-legacy -S FORWARD` says `-P FORWARD DROP`.
    ///
    /// False where no program uses it: the question creates no table. It is about the calling thread's network namespace.
    pub fn forward_drops(&mut self, family: Family) -> Result<bool, Error> {
        let doing = match family {
            Family::V4 => "iptables-legacy -S FORWARD",
            Family::V6 => "ip6tables-legacy -S FORWARD",
        };
        // Asking the kernel for a table that nobody has used yet would make it: here or, where the thread has been elsewhere
        // since it opened the list, there.
        let kept = match family {
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        };
        if !has_filter(kept, family) || !has_filter(&mut None, family) {
            return Ok(false);
        }
        forward_drops(family).map_err(|error| error.doing(doing))
    }
}

/// Whether a list names the table `filter`; it is opened where that has not been done.
fn has_filter(list: &mut Option<File>, family: Family) -> bool {
    let path = match family {
        Family::V4 => "/proc/thread-self/net/ip_tables_names",
        Family::V6 => "/proc/thread-self/net/ip6_tables_names",
    };
    // One whose module is gone, and may have come back, cannot be read any more.
    let kept = list.as_ref().and_then(|list| read_whole(list).ok());
    let read_anew = || read_whole(list.insert(File::open(path).ok()?)).ok();
    kept.or_else(read_anew).is_some_and(|names| names.lines().any(|table| table == "filter"))
}

fn forward_drops(family: Family) -> Result<bool, Error> {
    let layout = Layout::of(family);
    let socket = Socket::new(layout.domain, Type::RAW, Some(Protocol::from(libc::IPPROTO_RAW)))?;
    let mut info = vec![0; INFO];
    put(&mut info, 0, b"filter");
    socket_option(&socket, layout.level, SO_GET_INFO, &mut info)?;
    let field = |at: usize| usize::try_from(word(&info, at)?).ok();
    let (size, policy) = (field(INFO_SIZE), field(INFO_UNDERFLOW + 4 * FORWARD));
    let (Some(size), Some(policy)) = (size, policy) else { return Err(short()) };

    let mut entries = vec![0; ENTRIES + size];
    put(&mut entries, 0, b"filter");
    put(&mut entries, NAME, &u32::try_from(size).unwrap_or(u32::MAX).to_ne_bytes());
    socket_option(&socket, layout.level, SO_GET_ENTRIES, &mut entries)?;
    policy_drops(entries.get(ENTRIES..).unwrap_or_default(), policy, &layout).ok_or_else(short)
}

/// The rule at this offset is a chain's policy: its target is a plain verdict, -1 to drop.
fn policy_drops(entries: &[u8], at: usize, layout: &Layout) -> Option<bool> {
    let entry = entries.get(at..)?;
    let target = u16::from_ne_bytes(*entry.get(layout.target_offset..)?.first_chunk()?);
    let verdict = word(entry, usize::from(target).checked_add(TARGET_HEADER)?)?;
    Some(verdict.cast_signed() == -1)
}

/// How IPv4's and IPv6's structures differ.
struct Layout {
    domain: Domain,
    level: libc::c_int,
    /// Of `target_offset` in `struct ipt_entry` and `struct ip6t_entry`.
    target_offset: usize,
}

impl Layout {
    fn of(family: Family) -> Self {
        match family {
            Family::V4 => Self { domain: Domain::IPV4, level: libc::IPPROTO_IP, target_offset: 88 },
            Family::V6 => {
                Self { domain: Domain::IPV6, level: libc::IPPROTO_IPV6, target_offset: 140 }
            }
        }
    }
}

// include/uapi/linux/netfilter_ipv4/ip_tables.h: the numbers are the same for IPv6.
const SO_GET_INFO: libc::c_int = 64;
const SO_GET_ENTRIES: libc::c_int = 65;
/// A table's name comes first in either structure.
const NAME: usize = 32;
/// `struct ipt_getinfo { name, valid_hooks, hook_entry[5], underflow[5], num_entries, size }`
const INFO: usize = 84;
const INFO_UNDERFLOW: usize = NAME + 4 + 20;
const INFO_SIZE: usize = INFO - 4;
/// `NF_INET_FORWARD`
const FORWARD: usize = 2;
/// `struct ipt_get_entries`: name and size, and the entries at the next multiple of eight.
const ENTRIES: usize = 40;
/// `struct xt_entry_target`, behind which a verdict stands.
const TARGET_HEADER: usize = 32;

fn put(buffer: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = buffer.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn short() -> Error {
    Error::of(ErrorKind::Malformed, "an answer that says too little")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_policy_is_the_verdict_of_its_rule() {
        for family in [Family::V4, Family::V6] {
            let layout = Layout::of(family);
            let mut entry = vec![0; 16 + 200 + 40];
            put(&mut entry, 16 + layout.target_offset, &160u16.to_ne_bytes());
            for (verdict, drops) in [(-1, true), (-2, false)] {
                put(&mut entry, 16 + 160 + TARGET_HEADER, &i32::to_ne_bytes(verdict));
                assert_eq!(policy_drops(&entry, 16, &layout), Some(drops));
            }
            assert_eq!(policy_drops(&entry, 10_000, &layout), None);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(entries: Vec<u8>, at: usize) {
            let _ = policy_drops(&entries, at, &Layout::of(Family::V4));
        }
    }
}
