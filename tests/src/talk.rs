//! A connection that is alive while the network under it changes.
#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "what tests share fails as tests do: by a panic"
)]

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

use crate::lan::Lan;
use crate::netns::within;

/// A connection from the host to the router on which one byte goes to and fro.
#[derive(Debug)]
pub struct Talk {
    rounds: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    host: JoinHandle<Duration>,
    router: JoinHandle<()>,
}

impl Talk {
    /// Connects to the router.
    pub fn begin(lan: &Lan, mut address: SocketAddr) -> Self {
        let listener = within(&lan.router, || TcpListener::bind(address).unwrap());
        address.set_port(listener.local_addr().unwrap().port());
        let router = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut byte = [0];
            while stream.read_exact(&mut byte).is_ok() {
                stream.write_all(&byte).unwrap();
            }
        });
        let (rounds, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (counter, end) = (Arc::clone(&rounds), Arc::clone(&over));
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let host = thread::spawn(move || {
            let mut longest = Duration::ZERO;
            while !end.load(Ordering::SeqCst) {
                let began = Instant::now();
                stream.write_all(&[7]).unwrap();
                let mut byte = [0];
                match stream.read_exact(&mut byte) {
                    Ok(()) => {}
                    Err(e) if e.kind() == ErrorKind::WouldBlock => panic!("{address}: silence"),
                    Err(e) => panic!("{address}: {e}"),
                }
                longest = longest.max(began.elapsed());
                counter.fetch_add(1, Ordering::SeqCst);
                sleep(Duration::from_micros(200));
            }
            longest
        });
        let talk = Self { rounds, over, host, router };
        talk.go_on();
        talk
    }

    /// Waits until a hundred more bytes have come back.
    pub fn go_on(&self) {
        let until = self.rounds.load(Ordering::SeqCst) + 100;
        let began = Instant::now();
        while self.rounds.load(Ordering::SeqCst) < until {
            assert!(
                !self.host.is_finished() && began.elapsed() < PATIENCE,
                "the connection is dead"
            );
            sleep(Duration::from_millis(1));
        }
    }

    /// The longest time that a byte took.
    pub fn end(self) -> Duration {
        self.over.store(true, Ordering::SeqCst);
        let longest = self.host.join().unwrap();
        self.router.join().unwrap();
        longest
    }
}

const PATIENCE: Duration = Duration::from_mins(1);
