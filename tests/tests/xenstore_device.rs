//! The client on a character device, which the kernel gives domains that have no socket of xenstored.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by a panic")]

use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use nix::pty::openpty;
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
use nix::unistd::ttyname;
use xennet_core::xenstore::memory::Store;
use xennet_core::xenstore::wire::{Decoder, PAYLOAD_MAX, Packet};
use xennet_core::xenstore::{ErrorKind, XenStore};

/// Long enough for any machine: what is waited for comes, or the test has failed.
const SOON: Duration = Duration::from_mins(1);

/// XenStore behind a terminal: like `/dev/xen/xenbus` a character device, read and written.
///
/// `serve` gets what each single `read()` of the other side found, and says what to answer.
fn device(mut serve: impl FnMut(&[u8]) -> Vec<u8> + Send + 'static) -> PathBuf {
    let pty = openpty(None, None).unwrap();
    let mut settings = tcgetattr(&pty.slave).unwrap();
    cfmakeraw(&mut settings);
    tcsetattr(&pty.slave, SetArg::TCSANOW, &settings).unwrap();
    let path = ttyname(&pty.slave).unwrap();
    let mut master = File::from(pty.master);
    let slave = pty.slave;
    // It ends with the process: nothing can make a terminal's other side end while somebody may open it.
    thread::spawn(move || {
        let _open = slave;
        let mut buffer = [0; 8192];
        while let Ok(length @ 1..) = master.read(&mut buffer) {
            if master.write_all(&serve(&buffer[..length])).is_err() {
                return;
            }
        }
    });
    path
}

#[test]
fn a_device_is_asked_one_thing_at_a_time() {
    let mut store = Store::new();
    let id = store.connect(0);
    let path = device(move |read| {
        let mut decoder = Decoder::new(PAYLOAD_MAX);
        decoder.push(read);
        let request = decoder.packet().unwrap().expect("a whole packet in one write()");
        assert!(
            decoder.is_empty(),
            "one packet in one write(), and none before the last is answered"
        );
        store.ask(id, &request);
        store.take(id).iter().flat_map(Packet::to_bytes).collect()
    });
    let mut store = XenStore::connect(&path).unwrap();
    store.set_timeout(SOON).unwrap();
    store.write_many(&[("/a", "1"), ("/b", "2"), ("/c", "3")]).unwrap();
    assert_eq!(
        store.read_many(&["/a", "/b", "/d"]).unwrap(),
        [Some(b"1".to_vec()), Some(b"2".to_vec()), None]
    );
    store.watch("/a", "token").unwrap();
    assert_eq!(store.next_event(SOON).unwrap().unwrap().path, "/a");
    assert_eq!(store.next_event(Duration::ZERO).unwrap(), None);
    store.transaction(|t| t.write("/a", "4")).unwrap();
    // The kernel's buffer holds the header, too: with a longer one, write() fails.
    let value = vec![b'x'; 4096 - 16 - "/a\0".len() + 1];
    assert_eq!(store.write("/a", value).unwrap_err().errno(), libc::E2BIG);
    store.write("/a", "the connection is as good as before").unwrap();
}

#[test]
fn a_silent_device_ends_with_the_timeout() {
    let mut store = XenStore::connect(&device(|_| Vec::new())).unwrap();
    let timeout = Duration::from_millis(30);
    store.set_timeout(timeout).unwrap();
    let error = store.read("/a").unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::TimedOut { after: timeout });
    let later = store.read("/a").unwrap_err();
    assert_eq!(*later.kind(), ErrorKind::Broken { first: error.to_string() });
}
