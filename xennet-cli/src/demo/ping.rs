use std::io::{self, ErrorKind, Read};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

/// How long to wait for one answer before asking again.
const PATIENCE: Duration = Duration::from_millis(200);

/// Sends ICMP echo requests from this thread's namespace to `target` until one is answered or `deadline` has passed.
///
/// They come from `source` if it is given. Returns the time between the request and its reply.
pub(super) fn ping(
    source: Option<IpAddr>,
    target: IpAddr,
    deadline: Duration,
) -> io::Result<Duration> {
    let (domain, protocol) = match target {
        IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
        IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
    };
    let mut socket = Socket::new(domain, Type::RAW, Some(protocol))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    if let Some(source) = source {
        socket.bind(&SocketAddr::new(source, 0).into())?;
    }
    let began = Instant::now();
    let mut sequence = 0;
    while began.elapsed() < deadline {
        sequence += 1;
        let asked = Instant::now();
        socket.send_to(&echo_request(target, sequence), &SocketAddr::new(target, 0).into())?;
        while asked.elapsed() < PATIENCE {
            let mut packet = [0; 2048];
            match socket.read(&mut packet) {
                Ok(length)
                    if is_answer(target, sequence, packet.get(..length).unwrap_or_default()) =>
                {
                    return Ok(asked.elapsed());
                }
                Ok(_) => {}
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Err(io::Error::new(
        ErrorKind::TimedOut,
        format!("{target} did not answer in {} s", deadline.as_secs()),
    ))
}

fn echo_request(target: IpAddr, sequence: u16) -> Vec<u8> {
    let kind = if target.is_ipv4() { 8 } else { 128 };
    let mut packet = vec![kind, 0, 0, 0, 0x58, 0x4e];
    packet.extend(sequence.to_be_bytes());
    packet.extend(b"xennet demo, 24 bytes...");
    if target.is_ipv4() {
        // The kernel fills in ICMPv6's, which covers addresses, but not ICMPv4's.
        let sum = checksum(&packet).to_be_bytes();
        packet.splice(2..4, sum);
    }
    packet
}

/// A raw IPv4 socket sees the IP header, a raw IPv6 socket does not.
fn is_answer(target: IpAddr, sequence: u16, packet: &[u8]) -> bool {
    let icmp = match (target, packet.first()) {
        (IpAddr::V4(_), Some(version_and_length)) => {
            packet.get(usize::from(version_and_length & 15) * 4..)
        }
        _ => Some(packet),
    };
    let kind = if target.is_ipv4() { 0 } else { 129 };
    let [high, low] = sequence.to_be_bytes();
    matches!(icmp, Some([k, 0, _, _, 0x58, 0x4e, h, l, ..]) if *k == kind && (*h, *l) == (high, low))
}

/// The ones' complement sum of RFC 1071, of an even number of bytes.
fn checksum(bytes: &[u8]) -> u16 {
    let (pairs, _) = bytes.as_chunks::<2>();
    let sum: u32 = pairs.iter().map(|pair| u32::from(u16::from_be_bytes(*pair))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_of_rfc_1071() {
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
        let packet = echo_request("192.0.2.1".parse().unwrap(), 1);
        assert_eq!(checksum(&packet), 0, "a packet with its checksum sums to zero");
    }
}
