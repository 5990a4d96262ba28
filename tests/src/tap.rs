//! Interfaces whose other end is the test itself: what it writes is what a guest sends.
#![expect(
    clippy::missing_panics_doc,
    clippy::indexing_slicing,
    reason = "what tests share fails as tests do: by a panic"
)]

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

use nix::libc;

use crate::netns::Netns;

/// An Ethernet interface of the calling thread's namespace.
///
/// A frame that is sent has passed the bridge and stands in its receivers' queues when [`send`](Self::send) returns: the
/// kernel carries it all the way before it answers. So nothing has to be waited for.
#[derive(Debug)]
pub struct Tap {
    file: File,
}

impl Tap {
    /// Makes an interface of that name, as netback's are: down, with the address fe:ff:ff:ff:ff:ff.
    pub fn new(netns: &Netns, name: &str) -> Self {
        netns.ip(&format!("tuntap add {name} mode tap"));
        netns.ip(&format!("link set {name} address fe:ff:ff:ff:ff:ff"));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open("/dev/net/tun")
            .expect("this kernel has taps");
        attach(&file, name);
        Self { file }
    }

    /// Sends a frame into dom0, as its guest would.
    pub fn send(&self, frame: &[u8]) {
        let written = (&self.file).write(frame).expect("the interface is up and takes a frame");
        assert_eq!(written, frame.len());
    }

    /// The frames that dom0 has sent out here since this was asked for last.
    pub fn received(&self) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        let mut buffer = vec![0; 65536];
        loop {
            match (&self.file).read(&mut buffer) {
                Ok(length) => frames.push(buffer[..length].to_vec()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return frames,
                Err(error) => panic!("read from a tap: {error}"),
            }
        }
    }
}

/// `TUNSETIFF`: makes an open `/dev/net/tun` the other end of an interface, without a header before each frame.
#[expect(unsafe_code, reason = "an ioctl has no safe form")]
fn attach(file: &File, name: &str) {
    const IFF_TAP: u16 = 0x0002;
    const IFF_NO_PI: u16 = 0x1000;
    const TUNSETIFF: libc::c_ulong = 0x4004_54ca;
    // struct ifreq: the name, then flags, then room for the union's other members.
    let mut request = [0u8; 40];
    assert!(name.len() < 16, "{name} is no interface's name");
    request[..name.len()].copy_from_slice(name.as_bytes());
    request[16..18].copy_from_slice(&(IFF_TAP | IFF_NO_PI).to_ne_bytes());
    // SAFETY: the request is as long as struct ifreq and outlives the call, which only reads and writes it.
    let status = unsafe { libc::ioctl(file.as_raw_fd(), TUNSETIFF, request.as_mut_ptr()) };
    assert_eq!(status, 0, "TUNSETIFF {name}: {}", std::io::Error::last_os_error());
}
