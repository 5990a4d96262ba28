//! Addresses of guests that share the host's.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use crate::config::{NatPolicy, NetworkConfig, VifConfig};
use crate::types::{IfName, IpList, VifId};

/// The section of the configuration that is meant: the one whose subnets hold the guest's first address, else the first
/// with the guest's way out, else the first.
pub(crate) fn policy<'c>(config: &VifConfig, network: &'c NetworkConfig) -> Option<&'c NatPolicy> {
    let holds = |nat: &&NatPolicy| {
        let first = config.ip.iter().next();
        first.is_some_and(|ip| nat.subnets.iter().any(|net| net.contains(&ip.addr())))
    };
    let leads = |nat: &&NatPolicy| {
        let way: Option<&IfName> = config.gatewaydev.as_ref();
        way.is_some() && nat.uplink.as_ref() == way
    };
    let all = || network.nat.iter();
    all().find(holds).or_else(|| all().find(leads)).or_else(|| all().next())
}

/// The address of a guest about which nobody says anything: `10.DOMID/256.DOMID%256.DEVID+1`, as Xen's `vif-nat` has it.
///
/// The last number is from 1 to 127, so that it is never a router's; devices 127 apart would have the same one.
pub(crate) fn unsaid(id: VifId) -> IpList {
    let [high, low] = id.domid.to_be_bytes();
    let last = u8::try_from(id.devid % 127).unwrap_or_default() + 1;
    [IpNet::from(IpAddr::from([10, high, low, last]))].into_iter().collect()
}

/// The host's own address on the link of the guest with this one.
///
/// Where the configuration has a subnet of the guest's, the host's address in it. Else, for IPv4, the guest's with 127
/// more at its end, or from 128 on with 127 less: always another one, never 0 nor 255.
pub(crate) fn router(guest: IpAddr, nat: Option<&NatPolicy>) -> Option<IpAddr> {
    if let Some(nat) = nat {
        return nat.subnets.iter().find(|net| net.contains(&guest)).map(IpNet::addr);
    }
    match guest {
        IpAddr::V4(guest) => {
            let [a, b, c, last] = guest.octets();
            let last = if last < 128 { last + 127 } else { last - 127 };
            Some(Ipv4Addr::new(a, b, c, last).into())
        }
        IpAddr::V6(_) => None,
    }
}

/// The addresses that a guest may get in a subnet, its favourite first: neighbouring guests have neighbouring ones, and
/// none is asked for twice.
pub(crate) fn candidates(host: IpNet, id: VifId) -> impl Iterator<Item = IpAddr> {
    let bits = u32::from(host.max_prefix_len() - host.prefix_len());
    let room = 2_u128.checked_pow(bits).unwrap_or(u128::MAX).saturating_sub(2).min(0xfffe);
    let first = u128::from(id.domid).saturating_sub(1) + u128::from(id.devid) * 97;
    let address = move |n: u128| match host.network() {
        IpAddr::V4(net) => u32::try_from(n)
            .ok()
            .and_then(|n| u32::from(net).checked_add(n))
            .map(|ip| IpAddr::from(Ipv4Addr::from(ip))),
        IpAddr::V6(net) => {
            u128::from(net).checked_add(n).map(|ip| IpAddr::from(std::net::Ipv6Addr::from(ip)))
        }
    };
    (0..room.min(MOST_TRIED))
        .filter_map(move |n| address((first + n) % room + 1))
        .filter(move |ip| *ip != host.addr())
}

/// A subnet that is as full as this is full.
const MOST_TRIED: u128 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_router_is_another_address_that_a_host_can_have() {
        for (guest, host) in [
            ("10.0.1.1", "10.0.1.128"),
            ("10.0.1.127", "10.0.1.254"),
            ("10.0.1.128", "10.0.1.1"),
            ("10.0.0.200", "10.0.0.73"),
            ("10.0.0.255", "10.0.0.128"),
            ("10.0.0.0", "10.0.0.127"),
        ] {
            assert_eq!(router(guest.parse().unwrap(), None), Some(host.parse().unwrap()));
        }
    }

    #[test]
    fn the_address_of_whoever_has_none() {
        let of = |domid, devid| unsaid(VifId { domid, devid }).to_string();
        assert_eq!(of(1, 0), "10.0.1.1");
        assert_eq!(of(1, 10), "10.0.1.11");
        assert_eq!(of(32751, 126), "10.127.239.127");
        assert_eq!(of(300, 127), "10.1.44.1");
    }

    #[test]
    fn candidates_are_all_the_others_of_a_subnet() {
        let all = |net: &str, domid| {
            let found = candidates(net.parse().unwrap(), VifId { domid, devid: 0 });
            found.map(|ip| ip.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(
            all("10.0.0.1/29", 1),
            ["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"]
        );
        assert_eq!(all("10.0.0.1/29", 4)[0], "10.0.0.4");
        assert_eq!(all("10.0.0.1/29", 4).len(), 5);
        assert_eq!(all("10.0.0.1/31", 1), [""; 0]);
        assert_eq!(all("10.0.0.1/32", 1), [""; 0]);
        assert_eq!(all("fd00:1::1/64", 7)[0], "fd00:1::7");
        assert_eq!(all("fd00:1::1/0", 7).len() as u128, MOST_TRIED);
    }
}
