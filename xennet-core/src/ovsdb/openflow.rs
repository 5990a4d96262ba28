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
    let mut stream = UnixStream::connect(&socket).map_err(|error| {
        let errno = error.raw_os_error().unwrap_or(libc::EIO);
        Error::new(&*doing, ErrorKind::Absent { socket: socket.clone(), errno })
    })?;
    let talk = |stream: &mut UnixStream| -> io::Result<Option<String>> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        for (kind, body) in [
            (HELLO, Vec::new()),
            (PACKET_OUT, packet_out(ofport, frame)),
            // Its answer says that all before it is done.
            (BARRIER, Vec::new()),
        ] {
            stream.write_all(&message(kind, &body))?;
        }
        loop {
            let (kind, body) = receive(stream)?;
            match kind {
                BARRIER_REPLY => return Ok(None),
                ERROR => return Ok(Some(format!("error {:02x?}", body.get(..4).unwrap_or(&body)))),
                _ => {}
            }
        }
    };
    match talk(&mut stream) {
        Ok(None) => Ok(()),
        Ok(Some(what)) => Err(Error::new(doing, ErrorKind::Protocol { what })),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(Error::new(doing, ErrorKind::TimedOut { after: PATIENCE }))
        }
        Err(error) => match error.raw_os_error() {
            Some(errno) => Err(Error::new(doing, ErrorKind::System { errno })),
            None => Err(Error::new(doing, ErrorKind::Closed)),
        },
    }
}

const PATIENCE: Duration = Duration::from_secs(5);

/// OpenFlow 1.5, which every bridge of OVN's speaks: its controller speaks no other.
const VERSION: u8 = 6;
const HELLO: u8 = 0;
const ERROR: u8 = 1;
const PACKET_OUT: u8 = 13;
const BARRIER: u8 = 20;
const BARRIER_REPLY: u8 = 21;
const HEADER: usize = 8;

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(HEADER + body.len()).expect("a frame and a few words");
    let mut bytes = vec![VERSION, kind];
    bytes.extend(length.to_be_bytes());
    bytes.extend(1_u32.to_be_bytes());
    bytes.extend(body);
    bytes
}

/// `struct ofp_packet_out`: no buffer, a match of the port alone, and one action.
fn packet_out(ofport: u32, frame: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xff, 0xff, 0xff, 0xff, 0, 16, 0, 0];
    // OFPMT_OXM, 12 bytes long, OXM_OF_IN_PORT.
    bytes.extend([0, 1, 0, 12, 0x80, 0, 0, 4]);
    bytes.extend(ofport.to_be_bytes());
    bytes.extend([0; 4]);
    // OFPAT_OUTPUT, 16 bytes long, to OFPP_TABLE: through the bridge's own tables.
    bytes.extend([0, 0, 0, 16, 0xff, 0xff, 0xff, 0xf9]);
    bytes.extend([0; 8]);
    bytes.extend(frame);
    bytes
}

fn receive(stream: &mut UnixStream) -> io::Result<(u8, Vec<u8>)> {
    let mut header = [0; HEADER];
    stream.read_exact(&mut header)?;
    let [_, kind, high, low, ..] = header;
    let length = usize::from(u16::from_be_bytes([high, low]));
    let mut body = vec![0; length.saturating_sub(HEADER)];
    stream.read_exact(&mut body)?;
    Ok((kind, body))
}
