//! The tables of the legacy iptables, which are no part of nftables, and their FORWARD chains' policies.

use std::fs::File;
use std::path::Path;

use nix::fcntl::OFlag;
use socket2::{Domain, Protocol, Socket, Type};

use super::error::{Error, ErrorKind};
use super::file::open;
use super::syscall::socket_option;
use super::sysctl::read_whole;
use crate::errno::uninterrupted;
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
        if !self.names(family).lines().any(|table| table == "filter") {
            return Ok(false);
        }
        forward_drops(family)
            .map_err(|error| error.doing(format!("{} -S FORWARD", program(family))))
    }

    /// The tables in use, one a line. Asking the kernel for a table that nobody has used yet would make it: here or, where
    /// the thread has been elsewhere since it opened the list, there.
    pub(super) fn names(&mut self, family: Family) -> String {
        let list = match family {
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        };
        let kept = names(list, family);
        if kept.is_empty() { kept } else { names(&mut None, family) }
    }
}

pub(super) fn program(family: Family) -> &'static str {
    match family {
        Family::V4 => "iptables-legacy",
        Family::V6 => "ip6tables-legacy",
    }
}

/// What a list says; it is opened where that has not been done.
fn names(list: &mut Option<File>, family: Family) -> String {
    let path = Path::new(match family {
        Family::V4 => "/proc/thread-self/net/ip_tables_names",
        Family::V6 => "/proc/thread-self/net/ip6_tables_names",
    });
    // One whose module is gone, and may have come back, cannot be read any more.
    let kept = list.as_ref().and_then(|list| read_whole(list).ok());
    let read_anew = || read_whole(list.insert(open(path, OFlag::O_RDONLY).ok()?)).ok();
    kept.or_else(read_anew).unwrap_or_default()
}

fn forward_drops(family: Family) -> Result<bool, Error> {
    let table = Table::read(family, "filter")?;
    let policy = table.info(INFO_UNDERFLOW + 4 * FORWARD).ok_or_else(short)?;
    policy_drops(&table.entries, policy, &Layout::of(family)).ok_or_else(short)
}

/// A table, as the kernel has it.
#[derive(Debug)]
pub(super) struct Table {
    info: Vec<u8>,
    /// Its rules, one behind the other.
    pub(super) entries: Vec<u8>,
}

impl Table {
    pub(super) fn read(family: Family, name: &str) -> Result<Self, Error> {
        let layout = Layout::of(family);
        let raw = Some(Protocol::from(libc::IPPROTO_RAW));
        let socket = uninterrupted(|| Socket::new(layout.domain, Type::RAW, raw))?;
        let mut table = Self { info: vec![0; INFO], entries: Vec::new() };
        put(&mut table.info, 0, name.as_bytes());
        socket_option(&socket, layout.level, SO_GET_INFO, &mut table.info)?;
        let size = table.info(INFO_SIZE).ok_or_else(short)?;

        let mut entries = vec![0; ENTRIES + size];
        put(&mut entries, 0, name.as_bytes());
        put(&mut entries, NAME, &u32::try_from(size).unwrap_or(u32::MAX).to_ne_bytes());
        socket_option(&socket, layout.level, SO_GET_ENTRIES, &mut entries)?;
        table.entries = entries.split_off(ENTRIES);
        Ok(table)
    }

    /// A number of the table's description.
    fn info(&self, at: usize) -> Option<usize> {
        usize::try_from(word(&self.info, at)?).ok()
    }

    /// Where the chain at a hook (`NF_INET_*`) begins, if the table has one there.
    pub(super) fn hook(&self, number: usize) -> Option<usize> {
        let valid = self.info(NAME)?;
        if valid >> number & 1 == 0 {
            return None;
        }
        self.info(INFO_HOOKS + 4 * number)
    }
}

/// The rule at this offset is a chain's policy: its target is a plain verdict, -1 to drop.
fn policy_drops(entries: &[u8], at: usize, layout: &Layout) -> Option<bool> {
    let entry = entries.get(at..)?;
    let target = u16::from_ne_bytes(*entry.get(layout.target_offset..)?.first_chunk()?);
    let verdict = word(entry, usize::from(target).checked_add(TARGET_HEADER)?)?;
    Some(verdict.cast_signed() == -1)
}

/// How IPv4's and IPv6's structures differ.
pub(super) struct Layout {
    domain: Domain,
    level: libc::c_int,
    /// Of `iniface` in `struct ipt_entry` and `struct ip6t_entry`.
    pub(super) interfaces: usize,
    /// Of `invflags`.
    pub(super) inverted: usize,
    /// Of `target_offset`; `next_offset` is behind it.
    pub(super) target_offset: usize,
    /// Of the matches and the target.
    pub(super) elements: usize,
}

impl Layout {
    pub(super) fn of(family: Family) -> Self {
        match family {
            Family::V4 => Self {
                domain: Domain::IPV4,
                level: libc::IPPROTO_IP,
                interfaces: 16,
                inverted: 83,
                target_offset: 88,
                elements: 112,
            },
            Family::V6 => Self {
                domain: Domain::IPV6,
                level: libc::IPPROTO_IPV6,
                interfaces: 64,
                inverted: 132,
                target_offset: 140,
                elements: 168,
            },
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
const INFO_HOOKS: usize = NAME + 4;
const INFO_UNDERFLOW: usize = INFO_HOOKS + 20;
const INFO_SIZE: usize = INFO - 4;
/// `NF_INET_FORWARD`
const FORWARD: usize = 2;
/// `struct ipt_get_entries`: name and size, and the entries at the next multiple of eight.
const ENTRIES: usize = 40;
/// `struct xt_entry_target`, behind which a verdict stands.
pub(super) const TARGET_HEADER: usize = 32;

fn put(buffer: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = buffer.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

pub(super) fn word(bytes: &[u8], at: usize) -> Option<u32> {
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
