//! The one thing that Open vSwitch's database cannot have it do: take a frame as if it had come in by a port.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::Ovsdb;
use super::error::{Error, ErrorKind};
use crate::types::{IfName, MacAddr, OvsPortNow, announcement};

impl Ovsdb {
    /// Says to all behind a port's bridge that a station is behind that port, in its own name: the bridge takes the
    /// announcement as if the guest had sent it. `ovs-ofctl packet-out BRIDGE in_port=PORT packet=HEX actions=table`
    ///
    /// So it passes what the bridge's flows hold the guest to, and OVN takes it for the guest's word that it runs here now.
    /// `dir` is where the sockets of Open vSwitch's bridges are.
    pub fn announce(&mut self, name: &IfName, mac: MacAddr, dir: &Path) -> Result<(), Error> {
        let ports = self.ports(std::slice::from_ref(name))?;
        let number = |now: &OvsPortNow| now.ofport.and_then(|number| u32::try_from(number).ok());
        let port = ports.first().and_then(|now| Some((&now.port.bridge, number(now)?)));
        let Some((bridge, ofport)) = port else {
            let reason = "it is no port that works".to_owned();
            return Err(Error::new(
                format!("announce {mac}: {name}"),
                ErrorKind::NoDevice { reason },
            ));
        };
        packet_in(dir, bridge, ofport, &announcement(mac, None))
    }
}

fn packet_in(dir: &Path, bridge: &IfName, ofport: u32, frame: &[u8]) -> Result<(), Error> {
    let doing = format!("ovs-ofctl packet-out {bridge}");
    let socket = dir.join(format!("{bridge}.mgmt"));
    let failed = |what: String, errno| Error::new(&*doing, ErrorKind::OpenFlow { what, errno });
    let lost = |error: io::Error| {
        // A socket that has a timeout says "try again" when it is over.
        let late = error.kind() == io::ErrorKind::WouldBlock;
        let errno = if late { None } else { error.raw_os_error() };
        let words = format!("ovs-vswitchd does not answer at {}", socket.display());
        match errno {
            Some(errno) => failed(format!("{words}: {error}").replace("os error", "errno"), errno),
            None if late => failed(words, libc::ETIMEDOUT),
            None => failed(format!("{words}: {error}"), libc::ECONNRESET),
        }
    };
    match UnixStream::connect(&socket).and_then(|stream| talk(stream, ofport, frame)) {
        Ok(None) => Ok(()),
        Ok(Some(what)) => Err(failed(what, libc::EPROTO)),
        Err(error) => Err(lost(error)),
    }
}

/// Hands the frame over; what the switch says against it, if anything.
fn talk(mut stream: UnixStream, ofport: u32, frame: &[u8]) -> io::Result<Option<String>> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(&message(NEWEST, HELLO, &[]))?;
    let mut version = NEWEST;
    loop {
        let Message { version: theirs, kind, body } = receive(&mut stream)?;
        match kind {
            // Each says the newest that it speaks, and the older of the two is spoken. Who says it without a list speaks all
            // before it as well, as we do.
            HELLO => {
                version = theirs.min(NEWEST);
                // The barrier's answer says that all before it is done.
                for (kind, body) in [
                    (PACKET_OUT, packet_out(version, ofport, frame)),
                    (barrier(version), Vec::new()),
                ] {
                    stream.write_all(&message(version, kind, &body))?;
                }
            }
            kind if kind == barrier(version) + 1 => return Ok(None),
            ERROR => return Ok(Some(words(&body))),
            _ => {}
        }
    }
}

const PATIENCE: Duration = Duration::from_secs(5);

/// OpenFlow 1.0 and 1.5: the oldest and the newest that Open vSwitch speaks.
const OLDEST: u8 = 1;
const NEWEST: u8 = 6;
const HELLO: u8 = 0;
const ERROR: u8 = 1;
const PACKET_OUT: u8 = 13;
const HEADER: usize = 8;

/// The request's number. Its reply's is the next.
fn barrier(version: u8) -> u8 {
    if version == OLDEST { 18 } else { 20 }
}

fn message(version: u8, kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(HEADER + body.len()).expect("a frame and a few words");
    let mut bytes = vec![version, kind];
    bytes.extend(length.to_be_bytes());
    bytes.extend(1_u32.to_be_bytes());
    bytes.extend(body);
    bytes
}

/// `struct ofp_packet_out`: no buffer, the port that it came from, and one action.
fn packet_out(version: u8, ofport: u32, frame: &[u8]) -> Vec<u8> {
    // OFPAT_OUTPUT, 16 bytes long, to OFPP_TABLE: through the bridge's own tables.
    const OUTPUT: [u8; 16] = [0, 0, 0, 16, 0xff, 0xff, 0xff, 0xf9, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut bytes = vec![0xff; 4];
    let [.., high, low] = ofport.to_be_bytes();
    match version {
        OLDEST => {
            // Ports are numbers of two bytes, and the action has 8.
            bytes.extend([high, low, 0, 8]);
            bytes.extend([0, 0, 0, 8, 0xff, 0xf9, 0, 0]);
        }
        2..NEWEST => {
            bytes.extend(ofport.to_be_bytes());
            bytes.extend([0, 16, 0, 0, 0, 0, 0, 0]);
            bytes.extend(OUTPUT);
        }
        _ => {
            bytes.extend([0, 16, 0, 0]);
            // OFPMT_OXM, 12 bytes long, OXM_OF_IN_PORT: a match of the port alone.
            bytes.extend([0, 1, 0, 12, 0x80, 0, 0, 4]);
            bytes.extend(ofport.to_be_bytes());
            bytes.extend([0; 4]);
            bytes.extend(OUTPUT);
        }
    }
    bytes.extend(frame);
    bytes
}

/// What an error message says: the numbers of OpenFlow's standard and, where a hello is refused, words.
fn words(body: &[u8]) -> String {
    match body {
        [0, 0, _, _, text @ ..] => {
            format!("it refused our hello: {}", String::from_utf8_lossy(text))
        }
        [a, b, c, d, ..] => {
            let [kind, code] = [[*a, *b], [*c, *d]].map(u16::from_be_bytes);
            format!("it refused the frame: error type {kind}, code {code}")
        }
        _ => "it refused the frame, and does not say why".to_owned(),
    }
}

struct Message {
    version: u8,
    kind: u8,
    body: Vec<u8>,
}

fn receive(stream: &mut UnixStream) -> io::Result<Message> {
    let mut header = [0; HEADER];
    stream.read_exact(&mut header)?;
    let [version, kind, high, low, ..] = header;
    let length = usize::from(u16::from_be_bytes([high, low]));
    let mut body = vec![0; length.saturating_sub(HEADER)];
    stream.read_exact(&mut body)?;
    Ok(Message { version, kind, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_its_words_or_numbers() {
        assert_eq!(words(b"\0\0\0\0OpenFlow 1.0 only"), "it refused our hello: OpenFlow 1.0 only");
        assert_eq!(words(&[0, 1, 0, 9, 7, 7]), "it refused the frame: error type 1, code 9");
        assert_eq!(words(&[0]), "it refused the frame, and does not say why");
    }

    #[test]
    fn every_version_finds_the_frame_behind_its_actions() {
        for version in OLDEST..=NEWEST {
            let body = packet_out(version, 5, b"frame");
            // Where each has the length of its actions, and what comes before them.
            let (at, before) = match version {
                OLDEST => (6, 8),
                NEWEST => (4, 24),
                _ => (8, 16),
            };
            let actions = usize::from(u16::from_be_bytes([body[at], body[at + 1]]));
            assert_eq!(&body[before + actions..], b"frame", "{version}");
        }
    }
}
