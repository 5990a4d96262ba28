//! A XenStore as a driver domain sees it: its clients are not domain 0.
#![expect(clippy::missing_panics_doc, reason = "what tests share fails as tests do: by a panic")]

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;

use tempfile::TempDir;
use xennet_core::xenstore::memory::Store;
use xennet_core::xenstore::wire::{Decoder, PAYLOAD_MAX};

/// The library's own XenStore on two sockets: whoever connects to one is domain 0, to the other a domain of choice.
///
/// It delivers no events. Its threads end with the test's process.
#[derive(Debug)]
pub struct DomainStore {
    dir: TempDir,
}

impl DomainStore {
    /// Starts it.
    pub fn start(domid: u16) -> Self {
        let dir = TempDir::new().expect("a temporary directory");
        let store = Arc::new(Mutex::new(Store::new()));
        for (name, domid) in [("dom0", 0), ("domain", domid)] {
            let listener = UnixListener::bind(dir.path().join(name)).expect("a socket of our own");
            let store = Arc::clone(&store);
            thread::spawn(move || {
                for stream in listener.incoming().map_while(Result::ok) {
                    let store = Arc::clone(&store);
                    thread::spawn(move || serve(stream, domid, &store));
                }
            });
        }
        Self { dir }
    }

    /// Where a client connects as domain 0.
    pub fn dom0_socket(&self) -> PathBuf {
        self.dir.path().join("dom0")
    }

    /// Where a client connects as the driver domain.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("domain")
    }
}

fn serve(mut stream: UnixStream, domid: u16, store: &Mutex<Store>) {
    let client = store.lock().expect("nobody panicked with it").connect(domid);
    let (mut decoder, mut bytes) = (Decoder::new(PAYLOAD_MAX), [0; 4096]);
    while let Ok(length @ 1..) = stream.read(&mut bytes) {
        decoder.push(bytes.get(..length).unwrap_or_default());
        let mut answers = Vec::new();
        while let Ok(Some(request)) = decoder.packet() {
            let mut store = store.lock().expect("nobody panicked with it");
            store.ask(client, &request);
            store.take(client).iter().for_each(|answer| answer.encode(&mut answers));
        }
        if stream.write_all(&answers).is_err() {
            break;
        }
    }
    store.lock().expect("nobody panicked with it").disconnect(client);
}
