//! A XenStore that misbehaves: our own, with a fault between it and the socket.
#![expect(clippy::missing_panics_doc, reason = "what tests share fails as tests do: by a panic")]

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use tempfile::TempDir;
use xennet_core::xenstore::memory::Store;
use xennet_core::xenstore::wire::{Decoder, PAYLOAD_MAX, Packet};

/// A running faulty XenStore, for one client after the other. Dropping it ends it.
#[derive(Debug)]
pub struct FaultyStore {
    dir: TempDir,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What the client gets to see of the packets for it.
#[derive(Debug)]
pub enum Reaction {
    /// These bytes.
    Send(Vec<u8>),
    /// These bytes, each in a write of its own.
    Torn(Vec<u8>),
    /// These bytes, and then the end of the connection.
    Last(Vec<u8>),
    /// Nothing.
    Silence,
}

impl FaultyStore {
    /// Starts it. For each request, `fault` gets the store, the request, and the packets that a sane XenStore
    /// would now send.
    pub fn start(
        mut fault: impl FnMut(&mut Store, &Packet, Vec<Packet>) -> Reaction + Send + 'static,
    ) -> Self {
        let dir = TempDir::new().expect("a temporary directory");
        let listener = UnixListener::bind(dir.path().join("socket")).expect("a socket of our own");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                // It ends when the client has had enough, which is what the fault is for.
                let _ = serve(client, &mut fault);
            }
        });
        Self { dir, stop, thread: Some(thread) }
    }

    /// Where its clients connect.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("socket")
    }
}

impl Drop for FaultyStore {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        wake(&self.socket());
        let result = self.thread.take().map(JoinHandle::join);
        if !thread::panicking() {
            result.expect("it runs until here").expect("the fault did not panic");
        }
    }
}

/// The bytes of these packets.
pub fn bytes(packets: &[Packet]) -> Vec<u8> {
    packets.iter().flat_map(Packet::to_bytes).collect()
}

fn serve(
    mut client: UnixStream,
    fault: &mut impl FnMut(&mut Store, &Packet, Vec<Packet>) -> Reaction,
) -> std::io::Result<()> {
    let mut store = Store::new();
    let id = store.connect(0);
    let mut decoder = Decoder::new(PAYLOAD_MAX);
    let mut buffer = [0; 16 * 1024];
    loop {
        let length = client.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        decoder.push(buffer.get(..length).unwrap_or_default());
        while let Ok(Some(request)) = decoder.packet() {
            store.ask(id, &request);
            let answer = store.take(id);
            match fault(&mut store, &request, answer) {
                Reaction::Send(bytes) => client.write_all(&bytes)?,
                Reaction::Torn(bytes) => {
                    for byte in bytes {
                        client.write_all(&[byte])?;
                    }
                }
                Reaction::Last(bytes) => return client.write_all(&bytes),
                Reaction::Silence => {}
            }
        }
    }
}

fn wake(socket: &Path) {
    // It fails only when nobody listens any more.
    let _ = UnixStream::connect(socket);
}
