//! `xennet guard explain`: a frame made of words, and what the kernel's own rules make of it.

use std::io::{Write, stdout};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use clap::{Args, ValueEnum};
use serde_json::json;
use xennet_core::types::{IfName, MacAddr};
use xennet_core::{Dom0Network, Ethernet, Packet, Payload};

use crate::failure::{Failure, usage};
use crate::options::Options;

#[derive(Args, Debug)]
pub(crate) struct Question {
    /// The interface by which the frame comes in, as vif3.0
    port: IfName,
    /// The Ethernet address that it comes from; by default the guest's own
    #[arg(long, value_parser = mac)]
    src_mac: Option<[u8; 6]>,
    /// The Ethernet address that it goes to; by default everybody's
    #[arg(long, value_parser = mac, default_value = "ff:ff:ff:ff:ff:ff")]
    dst_mac: [u8; 6],
    /// A VLAN tag; given twice, the outer one first
    #[arg(long, value_name = "VID")]
    vlan: Vec<u16>,
    /// The address that it comes from; the sender's, of ARP
    #[arg(long, value_name = "ADDRESS")]
    src_ip: Option<IpAddr>,
    /// The address that it goes to; whom it asks for, of ARP
    #[arg(long, value_name = "ADDRESS")]
    dst_ip: Option<IpAddr>,
    /// UDP between these ports
    #[arg(long, value_name = "FROM:TO", value_parser = ports, group = "payload")]
    udp: Option<(u16, u16)>,
    /// TCP between these ports
    #[arg(long, value_name = "FROM:TO", value_parser = ports, group = "payload")]
    tcp: Option<(u16, u16)>,
    /// An ICMP or `ICMPv6` message of this type; this is what it is when nothing else is said
    #[arg(long, value_name = "TYPE", group = "payload")]
    icmp: Option<u8>,
    /// An IGMP message of this type
    #[arg(long, value_name = "TYPE", group = "payload")]
    igmp: Option<u8>,
    /// ARP
    #[arg(long, group = "payload")]
    arp: Option<Arp>,
    /// A neighbour solicitation of this address
    #[arg(long, value_name = "ADDRESS", group = "payload")]
    ns: Option<Ipv6Addr>,
    /// A neighbour advertisement of this address
    #[arg(long, value_name = "ADDRESS", group = "payload")]
    na: Option<Ipv6Addr>,
    /// A frame of another protocol, by its Ethertype (decimal, or 0x88cc)
    #[arg(long, value_name = "NUMBER", value_parser = number, group = "payload")]
    ethertype: Option<u16>,
}

#[derive(ValueEnum, Debug, Clone, Copy)]
enum Arp {
    Request,
    Reply,
}

pub(super) fn run(question: &Question, options: &Options) -> Result<(), Failure> {
    let mut net = Options::network(true)?;
    let frame = question.frame(&mut net)?;
    let answer = net.guard().explain(question.port.clone(), frame)?;
    let verdict = if answer.passes { "passes" } else { "is dropped" };
    if options.json {
        return Options::print_json(&json!({
            "passes": answer.passes, "rule": answer.deciding, "path": answer.path,
        }));
    }
    let mut out = stdout().lock();
    match &answer.deciding {
        Some(rule) => writeln!(out, "{verdict}: {rule}")?,
        None => writeln!(out, "{verdict}: no rule objects")?,
    }
    answer.path.iter().try_for_each(|step| writeln!(out, "  {step}"))?;
    Ok(())
}

impl Question {
    fn frame(&self, net: &mut Dom0Network) -> Result<Vec<u8>, Failure> {
        let source = match self.src_mac {
            Some(mac) => mac,
            None => self.own_mac(net)?,
        };
        let header = Ethernet { source, destination: self.dst_mac, tags: self.vlan.clone() };
        Ok(header.frame(&self.packet(source)?))
    }

    /// The Ethernet address that the guard lets the port use.
    fn own_mac(&self, net: &mut Dom0Network) -> Result<[u8; 6], Failure> {
        let tables = net.guard().tables()?;
        let ports = tables.iter().flat_map(xennet_core::GuardTable::ports);
        let own = ports.filter(|port| port.port == self.port).find_map(|port| port.mac());
        own.ok_or_else(|| {
            usage(format!(
                "{}: it is not guarded, so its address is not known: give --src-mac",
                self.port
            ))
        })
    }

    fn packet(&self, source_mac: [u8; 6]) -> Result<Packet, Failure> {
        if let Some(protocol) = self.ethertype {
            return Ok(Packet::Other { protocol, bytes: vec![0; 46] });
        }
        let v6 = self.ns.is_some()
            || self.na.is_some()
            || matches!(
                (self.src_ip, self.dst_ip),
                (Some(IpAddr::V6(_)), _) | (_, Some(IpAddr::V6(_)))
            );
        if v6 && self.arp.is_none() {
            let (source, destination) = self.addresses6()?;
            let payload = self.payload6(source_mac)?;
            return Ok(Packet::Ipv6 { source, destination, payload });
        }
        let (source, destination) = self.addresses4()?;
        if let Some(arp) = self.arp {
            let operation = match arp {
                Arp::Request => 1,
                Arp::Reply => 2,
            };
            let (sender, target) = (source, destination);
            return Ok(Packet::Arp { operation, sender_mac: source_mac, sender, target });
        }
        Ok(Packet::Ipv4 { source, destination, payload: self.payload4() })
    }

    fn payload4(&self) -> Payload {
        match (self.udp, self.tcp, self.igmp) {
            (Some((source, destination)), ..) => Payload::Udp { source, destination },
            (_, Some((source, destination)), _) => Payload::Tcp { source, destination },
            (_, _, Some(kind)) => Payload::Igmp(kind),
            _ => Payload::Icmp(self.icmp.unwrap_or(8)),
        }
    }

    fn payload6(&self, source_mac: [u8; 6]) -> Result<Payload, Failure> {
        let mac = Some(source_mac);
        if self.igmp.is_some() {
            return Err(usage("--igmp goes with IPv4 addresses; of IPv6, MLD is --icmp 131"));
        }
        Ok(match (self.udp, self.tcp, self.ns, self.na) {
            (Some((source, destination)), ..) => Payload::Udp { source, destination },
            (_, Some((source, destination)), ..) => Payload::Tcp { source, destination },
            (_, _, Some(target), _) => Payload::NeighbourSolicitation { target, source_mac: mac },
            (.., Some(target)) => Payload::NeighbourAdvertisement { target, target_mac: mac },
            _ => Payload::Icmp6(self.icmp.unwrap_or(128)),
        })
    }

    fn addresses4(&self) -> Result<(Ipv4Addr, Ipv4Addr), Failure> {
        let v4 = |address: Option<IpAddr>, otherwise| match address {
            None => Ok(otherwise),
            Some(IpAddr::V4(address)) => Ok(address),
            Some(IpAddr::V6(address)) => Err(usage(format!("{address}: expected an IPv4 address"))),
        };
        Ok((v4(self.src_ip, Ipv4Addr::UNSPECIFIED)?, v4(self.dst_ip, Ipv4Addr::BROADCAST)?))
    }

    fn addresses6(&self) -> Result<(Ipv6Addr, Ipv6Addr), Failure> {
        const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
        let v6 = |address: Option<IpAddr>, otherwise| match address {
            None => Ok(otherwise),
            Some(IpAddr::V6(address)) => Ok(address),
            Some(IpAddr::V4(address)) => Err(usage(format!("{address}: expected an IPv6 address"))),
        };
        // Who advertises an address does so from it.
        let source = self.na.unwrap_or(Ipv6Addr::UNSPECIFIED);
        Ok((v6(self.src_ip, source)?, v6(self.dst_ip, ALL_NODES)?))
    }
}

fn mac(text: &str) -> Result<[u8; 6], String> {
    // Everybody's is no unicast address, and a good destination; what a guest may not have is a good question, too.
    let octets: Vec<u8> =
        text.split(':').filter_map(|octet| u8::from_str_radix(octet, 16).ok()).collect();
    match text.parse::<MacAddr>() {
        Ok(mac) => Ok(mac.octets()),
        Err(error) => octets.try_into().map_err(|_| error.to_string()),
    }
}

fn ports(text: &str) -> Result<(u16, u16), String> {
    let both =
        text.split_once(':').and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    both.ok_or_else(|| "expected two ports, as in 68:67".to_owned())
}

fn number(text: &str) -> Result<u16, String> {
    let number = match text.strip_prefix("0x") {
        Some(hex) => u16::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    };
    number.ok_or_else(|| "expected a number from 0 to 65535, as in 0x88cc".to_owned())
}
