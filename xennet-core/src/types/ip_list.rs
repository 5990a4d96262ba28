use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::ParseError;
use super::decimal::decimal;

/// The addresses of a guest: IPv4 and IPv6 addresses and prefixes, separated by white space. Empty when there is none.
///
/// An address without a prefix is a /32 or a /128, and prints as it was. One with a prefix keeps its host bits:
/// `10.0.0.5/24` says both which address it is and in which network, and each reader takes what it needs.
/// Order is kept, repetitions are dropped.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct IpList(Vec<IpNet>);

impl IpList {
    /// The most addresses that one vif can have.
    pub const MAX: usize = 256;

    /// Whether there is no address at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each address with its prefix, as written.
    pub fn iter(&self) -> std::slice::Iter<'_, IpNet> {
        self.0.iter()
    }

    /// The IPv4 addresses among them.
    pub fn v4(&self) -> impl Iterator<Item = Ipv4Net> {
        self.iter().filter_map(|ip| match ip {
            IpNet::V4(ip) => Some(*ip),
            IpNet::V6(_) => None,
        })
    }

    /// The IPv6 addresses among them.
    pub fn v6(&self) -> impl Iterator<Item = Ipv6Net> {
        self.iter().filter_map(|ip| match ip {
            IpNet::V4(_) => None,
            IpNet::V6(ip) => Some(*ip),
        })
    }

    /// What a guest with this list may use, each once: an address with host bits (`10.0.0.5/24`) is itself alone, one
    /// without (`10.0.0.0/24`) is the whole prefix.
    pub fn prefixes(&self) -> Vec<IpNet> {
        self.iter().fold(Vec::new(), |mut prefixes, ip| {
            let prefix = if ip.trunc() == *ip { *ip } else { IpNet::from(ip.addr()) };
            if !prefixes.contains(&prefix) {
                prefixes.push(prefix);
            }
            prefixes
        })
    }

    /// The networks that they name: host bits cleared (`10.0.0.5/24` is in `10.0.0.0/24`), each once.
    ///
    /// One may still contain another.
    pub fn networks(&self) -> Vec<IpNet> {
        self.iter().fold(Vec::new(), |mut networks, ip| {
            let network = ip.trunc();
            if !networks.contains(&network) {
                networks.push(network);
            }
            networks
        })
    }
}

const KEY: &str = "ip";

impl FromIterator<IpNet> for IpList {
    /// The first [`MAX`](Self::MAX) of them, repetitions dropped.
    fn from_iter<I: IntoIterator<Item = IpNet>>(ips: I) -> Self {
        let mut list = Vec::new();
        for ip in ips {
            if !list.contains(&ip) && list.len() < Self::MAX {
                list.push(ip);
            }
        }
        Self(list)
    }
}

impl FromStr for IpList {
    type Err = ParseError;

    fn from_str(s: &str) -> Result<Self, ParseError> {
        let mut list = Vec::new();
        for text in s.split_ascii_whitespace() {
            let ip = parse(text)?;
            if list.contains(&ip) {
                continue;
            }
            if list.len() == Self::MAX {
                return Err(ParseError::new(KEY, s, format!("at most {} addresses", Self::MAX)));
            }
            list.push(ip);
        }
        Ok(Self(list))
    }
}

/// One address, with or without a prefix.
fn parse(text: &str) -> Result<IpNet, ParseError> {
    let (addr, prefix) = match text.split_once('/') {
        Some((addr, prefix)) => (addr, Some(prefix)),
        None => (text, None),
    };
    let addr: IpAddr = addr.parse().map_err(|_| {
        ParseError::new(KEY, text, "an IPv4 or IPv6 address, or one with a prefix as 10.0.0.0/24")
    })?;
    let max = IpNet::from(addr).max_prefix_len();
    let net = match prefix {
        None => Some(addr.into()),
        Some(prefix) => decimal(prefix).and_then(|prefix| IpNet::new(addr, prefix).ok()),
    };
    let net =
        net.ok_or_else(|| ParseError::new(KEY, text, format!("a prefix length from 0 to {max}")))?;
    if is_no_guests(&net) {
        return Err(ParseError::new(KEY, text, "an address that a guest can have"));
    }
    Ok(net)
}

/// Whether no interface of a guest can have it: loopback, multicast, the unspecified address and IPv4's broadcast.
fn is_no_guests(net: &IpNet) -> bool {
    let ip = net.addr();
    let stands_for_others = ip.is_unspecified() || ip == IpAddr::from(Ipv4Addr::BROADCAST);
    let is_single = net.prefix_len() == net.max_prefix_len();
    ip.is_loopback() || ip.is_multicast() || is_single && stands_for_others
}

impl fmt::Display for IpList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, ip) in self.iter().enumerate() {
            let separator = if i == 0 { "" } else { " " };
            if ip.prefix_len() == ip.max_prefix_len() {
                write!(f, "{separator}{}", ip.addr())?;
            } else {
                write!(f, "{separator}{ip}")?;
            }
        }
        Ok(())
    }
}

impl<'a> IntoIterator for &'a IpList {
    type Item = &'a IpNet;
    type IntoIter = std::slice::Iter<'a, IpNet>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_written_and_what_is_printed() {
        for (text, printed) in [
            ("", ""),
            (" \t\n", ""),
            ("10.0.0.5", "10.0.0.5"),
            ("10.0.0.5/32", "10.0.0.5"),
            ("10.0.0.5/24", "10.0.0.5/24"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:DB8:0:0::5", "2001:db8::5"),
            ("2001:db8::5/128", "2001:db8::5"),
            ("2001:db8::/64", "2001:db8::/64"),
            ("  10.0.0.6\t2001:db8::1 \n 10.0.0.5  ", "10.0.0.6 2001:db8::1 10.0.0.5"),
            ("10.0.0.5 10.0.0.5/32 10.0.0.5/24 10.0.0.5", "10.0.0.5 10.0.0.5/24"),
        ] {
            assert_eq!(text.parse::<IpList>().unwrap().to_string(), printed, "{text:?}");
        }
    }

    #[test]
    fn the_wrong_address_is_named() {
        for bad in [
            "10.0.0",
            "10.0.0.256",
            "10.0.0.05",
            "10.0.0.5/33",
            "10.0.0.5/",
            "10.0.0.5/+1",
            "10.0.0.5/08",
            "10.0.0.5/24/24",
            "10.0.0.5/255.255.255.0",
            "/24",
            "2001:db8::/129",
            "2001:db8::1::2",
            "fe80::1%eth0",
            "10.0.0.5,10.0.0.6",
            "10.0.0.5\u{a0}10.0.0.6",
            "10.0.0.5\0",
            "guest.example",
        ] {
            let error = format!("10.0.0.1 {bad} 10.0.0.2").parse::<IpList>().unwrap_err();
            assert_eq!(error, parse(bad).unwrap_err());
        }
        let error = "10.0.0.1 2001:db8::/129".parse::<IpList>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "ip \"2001:db8::/129\": expected a prefix length from 0 to 128"
        );
    }

    #[test]
    fn addresses_that_no_guest_has_are_refused() {
        for bad in [
            "0.0.0.0",
            "255.255.255.255",
            "127.0.0.1",
            "127.0.0.0/8",
            "224.0.0.5",
            "::",
            "::1",
            "ff02::1",
        ] {
            let error = format!("10.0.0.1 {bad}").parse::<IpList>().unwrap_err();
            let text = format!("ip \"{bad}\": expected an address that a guest can have");
            assert_eq!(error.to_string(), text);
        }
        for good in ["0.0.0.0/0", "::/0", "0.0.0.0/1", "10.0.0.255/32"] {
            good.parse::<IpList>().unwrap();
        }
    }

    #[test]
    fn at_most_256() {
        let text = |n: u16| join((0..n).map(|i| format!("10.0.{}.{}", i >> 8, i & 255)));
        assert_eq!(text(256).parse::<IpList>().unwrap().iter().count(), 256);
        assert!(format!("{0} {0}", text(256)).parse::<IpList>().is_ok());
        let error = text(257).parse::<IpList>().unwrap_err();
        assert!(error.to_string().ends_with("expected at most 256 addresses"), "{error}");
    }

    #[test]
    fn networks_and_families() {
        let list: IpList = "10.0.0.5/24 2001:db8::5/64 10.0.0.6/24 10.0.0.5".parse().unwrap();
        assert_eq!(join(list.networks()), "10.0.0.0/24 2001:db8::/64 10.0.0.5/32");
        assert_eq!(join(list.v4()), "10.0.0.5/24 10.0.0.6/24 10.0.0.5/32");
        assert_eq!(join(list.v6()), "2001:db8::5/64");
        assert_eq!(
            join("10.0.0.5/24 10.0.1.0/24 10.0.0.5 ::/64".parse::<IpList>().unwrap().prefixes()),
            "10.0.0.5/32 10.0.1.0/24 ::/64"
        );
        assert!(!list.is_empty() && IpList::default().is_empty());
    }

    proptest! {
        #[test]
        fn parsing_a_printed_list_gives_it_back(ips: Vec<(IpAddr, u8)>) {
            let nets = ips.iter().filter_map(|(ip, prefix)| IpNet::new(*ip, prefix % 129).ok()).filter(|net| !is_no_guests(net));
            let list: IpList = join(nets).parse().unwrap();
            prop_assert_eq!(list.to_string().parse::<IpList>(), Ok(list.clone()));
            for (ip, network) in list.iter().zip(list.iter().map(IpNet::trunc)) {
                prop_assert!(network.contains(ip) && list.networks().contains(&network));
            }
        }

        #[test]
        fn text_never_panics(s in ".*|[0-9a-f.:/ ]{0,80}") {
            let _ = s.parse::<IpList>();
        }
    }

    fn join<T: ToString>(ips: impl IntoIterator<Item = T>) -> String {
        ips.into_iter().map(|ip| ip.to_string()).collect::<Vec<_>>().join(" ")
    }
}
