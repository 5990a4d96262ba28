//! A peer over a socket pair that answers as no kernel does: each request ends, with an error or not, within its limit.

use std::io::Read;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use netlink_packet_core::{NLM_F_DUMP_INTR, NLM_F_MULTIPART, NLMSG_DONE, NLMSG_ERROR};

use socket2::{Domain, SockAddr, Socket, Type};

use super::request::Connection;
use super::{Error, ErrorKind, Kernel, LinkFilter, Nftables};
use crate::types::{LinkRef, LinkSet, NftBatch, NftCommand, NftFamily};

/// A connection whose other end answers each request with these datagrams; the thread ends with the connection.
fn connect(
    mut answer: impl FnMut(u32, &Socket) -> Vec<Vec<u8>> + Send + 'static,
) -> (Connection, JoinHandle<()>) {
    let (ours, theirs) = Socket::pair(Domain::UNIX, Type::SEQPACKET, None).unwrap();
    let mut connection = Connection::over(ours.into());
    connection.set_limit(Some(Instant::now() + Duration::from_millis(40)));
    let peer = thread::spawn(move || {
        let mut request = vec![0; 65536];
        while let Ok(16..) = (&theirs).read(&mut request) {
            let sequence = u32::from_ne_bytes(request[8..12].try_into().unwrap());
            for datagram in answer(sequence, &theirs) {
                // Its buffer is full, or it is gone.
                theirs.set_nonblocking(true).unwrap();
                let _ = theirs.send(&datagram);
                theirs.set_nonblocking(false).unwrap();
            }
        }
    });
    (connection, peer)
}

fn message(kind: u16, flags: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(16 + body.len()).unwrap();
    let words = [length, u32::from(kind) | u32::from(flags) << 16, sequence, 0];
    #[cfg(target_endian = "big")]
    let words = [length, u32::from(kind) << 16 | u32::from(flags), sequence, 0];
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    bytes.extend(body);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// The generator `SplitMix64`.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }

    fn bytes(&mut self, most: u64) -> Vec<u8> {
        (0..self.below(most)).map(|_| self.below(256).to_le_bytes()[0]).collect()
    }

    /// One of the answers that no kernel gives, or a piece of a good one.
    fn datagram(&mut self, sequence: u32) -> Vec<u8> {
        let link = [vec![0; 16], vec![7, 0, 3, 0, b'x', 0, 0, 0]].concat();
        let flags = [0, NLM_F_MULTIPART, NLM_F_MULTIPART | NLM_F_DUMP_INTR, 0xffff];
        let flags = flags[usize::try_from(self.below(4)).unwrap()];
        let number = match self.below(4) {
            0 => sequence.wrapping_add(1),
            1 => u32::MAX,
            _ => sequence,
        };
        let mut bytes = match self.below(8) {
            0 => message(NLMSG_ERROR, flags, number, &[0; 20]),
            1 => message(NLMSG_ERROR, flags, number, &self.bytes(40)),
            2 => message(NLMSG_DONE, flags, number, &[0; 4]),
            3 => message(libc::RTM_NEWLINK, flags, number, &link),
            4 => message(u16::MAX, flags, number, &self.bytes(100)),
            5 => self.bytes(2000),
            6 => Vec::new(),
            _ => message(libc::RTM_NEWLINK, flags, number, &self.bytes(3000)),
        };
        match self.below(6) {
            // An absurd length.
            0 if bytes.len() >= 4 => {
                let length =
                    [0, 1, 15, 17, 0x7fff_ffff, u32::MAX][usize::try_from(self.below(6)).unwrap()];
                bytes[..4].copy_from_slice(&length.to_ne_bytes());
            }
            1 => bytes.truncate(usize::try_from(self.below(20)).unwrap()),
            2 => bytes = [bytes.clone(), bytes].concat(),
            _ => {}
        }
        bytes
    }
}

#[test]
fn request_to_a_peer_that_lies_ends() {
    for seed in 0..400 {
        let mut random = Random(seed);
        let operation = random.below(6);
        let (connection, peer) = connect(move |sequence, _| {
            (0..random.below(12)).map(|_| random.datagram(sequence)).collect()
        });
        let link = LinkRef { index: Some(7), name: "x".parse().unwrap() };
        let mut kernel = Kernel { connection };
        match operation {
            0 => drop(kernel.links(LinkFilter::All)),
            1 => drop(kernel.link_at(7)),
            2 => drop(kernel.link_set(&link, &LinkSet::Up(true))),
            3 => drop(kernel.addresses(&link)),
            4 => drop(kernel.set_and_read(
                &[(&link, &LinkSet::Up(true))],
                &[&link.name],
                Some(&link),
            )),
            _ => {
                let mut nft = Nftables::over(kernel.connection);
                drop(nft.generation());
                let (family, table) = (NftFamily::Bridge, "xennet".to_owned());
                let commands = vec![NftCommand::TableDelete];
                drop(nft.apply(&NftBatch { family, table, generation: None, commands }));
                continue;
            }
        }
        drop(kernel);
        peer.join().unwrap();
    }
}

fn fails(answer: impl FnMut(u32, &Socket) -> Vec<Vec<u8>> + Send + 'static) -> Error {
    let (connection, _) = connect(answer);
    Kernel { connection }.links(LinkFilter::All).unwrap_err()
}

#[test]
fn answer_that_never_comes_is_late() {
    assert_eq!(fails(|_, _| Vec::new()).kind(), ErrorKind::TimedOut);
}

#[test]
fn answer_of_another_process_is_not_heard() {
    let mut named = false;
    let foreign = move |sequence, peer: &Socket| {
        if !named {
            // The bytes of the name stand where a netlink address has the sender's port.
            let name = format!("\0xennet-{}", std::process::id());
            let address = SockAddr::unix(name).unwrap();
            peer.bind(&address).unwrap();
            named = true;
        }
        vec![message(NLMSG_DONE, 0, sequence, &[0; 4])]
    };
    assert_eq!(fails(foreign).kind(), ErrorKind::TimedOut);
}

#[test]
fn list_that_changes_for_ever_is_given_up() {
    let changing =
        |sequence, _: &Socket| vec![message(NLMSG_DONE, NLM_F_DUMP_INTR, sequence, &[0; 4])];
    assert_eq!(fails(changing).kind(), ErrorKind::Changing);
}

#[test]
fn request_after_the_limit_is_not_sent() {
    let (mut connection, _) = connect(|_, _| unreachable!("nothing was asked"));
    connection.set_limit(Some(Instant::now()));
    let error = Kernel { connection }.link_at(1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}
