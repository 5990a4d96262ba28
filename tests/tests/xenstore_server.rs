//! The embedded store's socket against clients that mean no good, or are slow.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use tempfile::TempDir;
use xennet_core::xenstore::wire::{Decoder, Op, PAYLOAD_MAX, Packet};
use xennet_core::xenstore::{Server, XenStore};
use xennet_tests::embedded_store::EmbeddedStore;

fn packet(op: Op, payload: &[u8]) -> Vec<u8> {
    Packet { op, req_id: 1, tx_id: 0, payload: payload.into() }.to_bytes()
}

fn assert_serves(embedded: &EmbeddedStore) {
    let mut store = XenStore::connect(&embedded.socket()).unwrap();
    store.write("/alive", "yes").unwrap();
    assert_eq!(store.read("/alive").unwrap().unwrap(), b"yes");
}

#[test]
fn who_loses_the_step_is_hung_up_on() {
    let embedded = EmbeddedStore::start();
    let mut client = UnixStream::connect(embedded.socket()).unwrap();
    client.write_all(&[0xff; 64]).unwrap();
    let mut rest = Vec::new();
    // Reset instead of an end where some of ours was left unread.
    if let Err(e) = client.read_to_end(&mut rest) {
        assert_eq!(e.kind(), ErrorKind::ConnectionReset);
    }
    assert!(rest.is_empty());
    assert_serves(&embedded);
}

#[test]
fn half_a_packet_holds_up_nobody() {
    let embedded = EmbeddedStore::start();
    let mut client = UnixStream::connect(embedded.socket()).unwrap();
    client.write_all(&packet(Op::WRITE, b"/a\0value")[..10]).unwrap();
    assert_serves(&embedded);
}

#[test]
fn a_slow_reader_holds_up_nobody_and_misses_nothing() {
    const REQUESTS: usize = 2000;
    let embedded = EmbeddedStore::start();
    let mut client = UnixStream::connect(embedded.socket()).unwrap();
    let value = vec![b'v'; 4000];
    client.write_all(&packet(Op::WRITE, &[b"/a\0", value.as_slice()].concat())).unwrap();
    // Far more answers than any buffer between us holds; the requests themselves fit.
    let read = packet(Op::READ, b"/a\0");
    client.write_all(&read.repeat(REQUESTS)).unwrap();
    assert_serves(&embedded);

    let mut decoder = Decoder::new(PAYLOAD_MAX);
    let mut buffer = [0; 16 * 1024];
    let mut answers = 0;
    while answers < REQUESTS + 1 {
        let length = client.read(&mut buffer).unwrap();
        assert!(length > 0, "hung up after {answers} answers");
        decoder.push(&buffer[..length]);
        while let Some(packet) = decoder.packet().unwrap() {
            assert_ne!(packet.op, Op::ERROR);
            answers += 1;
        }
    }
}

#[test]
fn a_deaf_watcher_is_hung_up_on() {
    let embedded = EmbeddedStore::start();
    let mut deaf = UnixStream::connect(embedded.socket()).unwrap();
    deaf.write_all(&packet(Op::WATCH, &[b"/w\0", vec![b't'; 2000].as_slice(), b"\0"].concat()))
        .unwrap();
    let mut other = XenStore::connect(&embedded.socket()).unwrap();
    other.set_timeout(Duration::from_mins(1)).unwrap();
    // 2 KB of events each, for a client that reads none: more than it is worth.
    let paths: Vec<_> = (0..4000).map(|n| (format!("/w/n{n}"), "")).collect();
    other.write_many(&paths).unwrap();
    let mut received = Vec::new();
    if let Err(e) = deaf.read_to_end(&mut received) {
        assert_eq!(e.kind(), ErrorKind::ConnectionReset);
    }
    assert!(received.len() < 4000 * 2000);
    assert_serves(&embedded);
}

#[test]
fn clients_come_and_go() {
    let embedded = EmbeddedStore::start();
    let clients: Vec<_> =
        (0..100).map(|_| XenStore::connect(&embedded.socket()).unwrap()).collect();
    drop(clients);
    assert_serves(&embedded);
}

#[test]
fn a_socket_left_behind_is_replaced_and_a_served_one_is_not() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("socket");
    drop(UnixListener::bind(&path).unwrap());
    let mut server = Server::bind(&path).unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(Server::bind(&path).unwrap_err().kind(), ErrorKind::AddrInUse);
    // Served step by step, too.
    let mut client = UnixStream::connect(&path).unwrap();
    client.write_all(&packet(Op::GET_DOMAIN_PATH, b"3\0")).unwrap();
    client.set_nonblocking(true).unwrap();
    let mut buffer = [0; 64];
    let length = loop {
        server.poll(Duration::from_mins(1)).unwrap();
        match client.read(&mut buffer) {
            Ok(length) => break length,
            Err(e) => assert_eq!(e.kind(), ErrorKind::WouldBlock),
        }
    };
    assert_eq!(&buffer[16..length], b"/local/domain/3\0");
    drop(server);
    assert!(!path.exists(), "it takes its socket along");
}

#[test]
fn a_file_that_is_no_socket_stays() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("file");
    std::fs::write(&path, "precious").unwrap();
    assert_eq!(Server::bind(&path).unwrap_err().kind(), ErrorKind::AddrInUse);
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
}
