//! Programs of dom0's that listen for an Ethernet protocol: LLDP's, 802.1X's, ...
#![expect(clippy::missing_panics_doc, reason = "what tests share fails as tests do: by a panic")]

use std::io::{ErrorKind, Read};

use socket2::{Domain, Protocol, Socket, Type};

/// Hears what all interfaces of the namespace hand up of one protocol, which is nothing that a bridge took first.
#[derive(Debug)]
pub struct Listener(Socket);

impl Listener {
    /// Listens from now on.
    pub fn new(ethertype: u16) -> Self {
        let protocol = Protocol::from(i32::from(ethertype.to_be()));
        let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(protocol));
        let socket = socket.expect("root may listen");
        socket.set_nonblocking(true).expect("any socket can be asked without waiting");
        Self(socket)
    }

    /// How many frames it has heard since it was asked last.
    pub fn heard(&self) -> u64 {
        let mut buffer = [0; 2048];
        let mut heard = 0;
        loop {
            match (&self.0).read(&mut buffer) {
                Ok(_) => heard += 1,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return heard,
                Err(error) => panic!("read from a packet socket: {error}"),
            }
        }
    }
}
