//! The library's own XenStore, served by a thread.
#![expect(clippy::missing_panics_doc, reason = "what tests share fails as tests do: by a panic")]

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::thread::{self, JoinHandle};

use tempfile::TempDir;
use xennet_core::xenstore::Server;

/// A running embedded XenStore in a directory of its own. Dropping it ends it.
#[derive(Debug)]
pub struct EmbeddedStore {
    dir: TempDir,
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl EmbeddedStore {
    /// Starts it.
    pub fn start() -> Self {
        let dir = TempDir::new().expect("a temporary directory");
        let mut server = Server::bind(&dir.path().join("socket")).expect("a socket of our own");
        let (stop, stopped) = UnixStream::pair().expect("a pair of sockets");
        let thread =
            thread::spawn(move || server.run(&stopped).expect("the embedded store serves"));
        Self { dir, stop: Some(stop), thread: Some(thread) }
    }

    /// Where its clients connect.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("socket")
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        self.stop = None;
        let result = self.thread.take().map(JoinHandle::join);
        if !thread::panicking() {
            result.expect("it runs until here").expect("the embedded store did not panic");
        }
    }
}
