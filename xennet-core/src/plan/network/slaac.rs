//! The addresses that the kernel made from a router's advertisements: on the bridge it must make the same ones again, or
//! they expire.

use std::net::{IpAddr, Ipv6Addr};

use super::NetworkSnapshot;
use super::handover::Handover;
use super::routes::listens;
use super::sysctls::SOLICITATIONS;
use crate::config::{BridgePolicy, HostAddresses};
use crate::plan::{HostWarning, Plan};
use crate::types::{AddrGenMode, Address, AddressFlags, Family, Link, LinkSet, Scope};

/// Whether the kernel made an address from a router's advertisement, and renews it at the next one.
pub(super) fn advertised(address: &Address) -> bool {
    address.flags.contains(AddressFlags::MANAGETEMPADDR)
        || address.protocol == Some(KERNEL_RA)
        || temporary(address)
}

/// `IFAPROT_KERNEL_RA`
const KERNEL_RA: u8 = 2;

/// The kernel makes it from another one, and replaces it with a different one (RFC 8981).
fn temporary(address: &Address) -> bool {
    address.address.addr().is_ipv6() && address.flags.contains(AddressFlags::SECONDARY)
}

/// Gives a bridge the interface identifier of the addresses that come from its uplink, where the bridge would make other
/// ones: as a token, which the kernel accepts only where it listens to routers. So this comes after the settings.
pub(super) fn keep(
    plan: &mut Plan,
    policy: &BridgePolicy,
    seen: &NetworkSnapshot,
    uplink: Option<&Link>,
    hosts: Option<&Handover>,
) {
    let inherits = policy.addresses == Some(HostAddresses::Inherit) && policy.ipv6 != Some(false);
    let listening = uplink.filter(|uplink| inherits && listens(seen, uplink));
    let (Some(uplink), Some(hosts)) = (listening, hosts) else { return };
    let link = seen.link(&policy.name);
    let token = link.and_then(token);
    let mac = policy.mac.or_else(|| link.map_or(uplink.mac, |link| link.mac));
    let own = token.or_else(|| {
        let eui64 = link.is_none_or(|link| !has_secret(link));
        mac.filter(|_| eui64).map(|mac| identifier(mac.link_local()))
    });
    let made: Vec<(&Address, Ipv6Addr)> =
        hosts.gone.iter().chain(&hosts.recorded).filter_map(made).collect();
    // The first advertisement may be yet to come.
    let mut wanted: Vec<Ipv6Addr> =
        made.iter().map(|(_, id)| *id).chain(self::token(uplink)).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let accepts = seen.setting(Family::V6, &uplink.name, SOLICITATIONS) != Some("0");
    match wanted.as_slice() {
        [] => {}
        [id] if Some(*id) == own => {}
        [id] if token.is_none() && accepts => {
            plan.set(true, &hosts.to, LinkSet::Token(*id), LinkSet::Token(Ipv6Addr::UNSPECIFIED));
        }
        _ => {
            let others = made.iter().filter(|(_, id)| Some(*id) != own);
            for (address, _) in others {
                let (address, bridge) = (address.to_string(), policy.name.clone());
                plan.warn(HostWarning::NotRenewed { address, bridge });
            }
        }
    }
}

fn token(link: &Link) -> Option<Ipv6Addr> {
    link.token.filter(|token| !token.is_unspecified()).map(identifier)
}

/// Whether an interface makes its addresses from a secret, with another identifier in each network.
fn has_secret(link: &Link) -> bool {
    matches!(link.addr_gen_mode, Some(AddrGenMode::StableSecret | AddrGenMode::Random))
}

/// An address that the kernel made from a prefix, and its interface identifier.
fn made(address: &Address) -> Option<(&Address, Ipv6Addr)> {
    let IpAddr::V6(ip) = address.address.addr() else { return None };
    let whole = address.scope != Scope::LINK && address.address.prefix_len() == 64;
    (whole && advertised(address) && !temporary(address)).then(|| (address, identifier(ip)))
}

/// The half of an address that tells the interfaces of a network apart.
fn identifier(address: Ipv6Addr) -> Ipv6Addr {
    Ipv6Addr::from_bits(address.to_bits() & u128::from(u64::MAX))
}
