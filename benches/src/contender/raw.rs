//! The floor of a library: bytes made by hand, one message to the kernel, one to XenStore.
//!
//! It looks at nothing, checks nothing but that it was done, and knows the bridge's index already. Another one looks before
//! and after, as little as can be, and otherwise does the same: what anything costs that does not plug blindly.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::net::if_::if_nametoindex;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send,
    socket,
};
use std::os::fd::{AsRawFd, OwnedFd};

use super::{Action, Contender, name};
use crate::Result;
use crate::scene::{BRIDGE, Filter, Port, Scene};

/// A netlink socket, and a connection to XenStore where there is one.
#[derive(Debug)]
pub struct Raw {
    netlink: OwnedFd,
    store: Option<UnixStream>,
    bridge: u32,
    looks: bool,
}

const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_SETLINK: u16 = 19;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLMSG_ERROR: u16 = 2;
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_MASTER: u16 = 10;
const IFLA_AF_SPEC: u16 = 26;
const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;
const ADDR_GEN_MODE_NONE: u8 = 1;
const AF_INET6: u16 = 10;
const IFF_UP: u32 = 1;
const XS_WRITE: u32 = 11;

impl Raw {
    /// Opens them.
    pub fn open(scene: &Scene) -> Result<Self> {
        let netlink = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkRoute,
        )?;
        bind(netlink.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
        let path = scene.dom0.store.socket();
        let store = scene.setting.store.then(|| UnixStream::connect(path)).transpose()?;
        Ok(Self { netlink, store, bridge: if_nametoindex(BRIDGE)?, looks: false })
    }

    /// Opens them for the one that looks.
    pub fn open_to_look(scene: &Scene) -> Result<Self> {
        Ok(Self { looks: true, ..Self::open(scene)? })
    }

    /// Looks at the vif and its bridge in one go: the bridge's index.
    fn look(&self, name: &[u8]) -> Result<u32> {
        let mut bytes = Vec::with_capacity(256);
        get_link(&mut bytes, name);
        get_link(&mut bytes, &[BRIDGE.as_bytes(), &[0]].concat());
        send(self.netlink.as_raw_fd(), &bytes, MsgFlags::empty())?;
        self.link()?;
        Ok(self.link()?.0)
    }

    /// The index and the flags of the link that is answered next.
    fn link(&self) -> Result<(u32, u32)> {
        let mut answer = [0; 4096];
        let length = recv(self.netlink.as_raw_fd(), &mut answer, MsgFlags::empty())?;
        let word = |at| answer.get(at..at + 4)?.first_chunk().copied().map(u32::from_ne_bytes);
        let is_link = length > 32 && answer.get(4..6) == Some(&RTM_NEWLINK.to_ne_bytes());
        // struct ifinfomsg: family and type, index, flags.
        match (word(20), word(24)) {
            (Some(index), Some(flags)) if is_link => Ok((index, flags)),
            _ => Err(format!("the kernel answered {:?}", answer.get(..length)).into()),
        }
    }

    fn tell_kernel(&self, action: Action, port: &Port) -> Result<()> {
        let mut bytes = Vec::with_capacity(256);
        let name = [port.name.as_bytes(), &[0]].concat();
        let bridge = if self.looks { self.look(&name)? } else { self.bridge };
        match action {
            Action::Online => {
                // addrgenmode in the message that brings it up would come too late.
                let mode = attribute(IFLA_INET6_ADDR_GEN_MODE, &[ADDR_GEN_MODE_NONE]);
                let family = attribute(AF_INET6, &mode);
                set_link(&mut bytes, 0, false, &[(IFLA_IFNAME, &name), (IFLA_AF_SPEC, &family)]);
                let (mtu, bridge) = (1500u32.to_ne_bytes(), bridge.to_ne_bytes());
                let mac = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff];
                let all: [(u16, &[u8]); 4] = [
                    (IFLA_IFNAME, &name),
                    (IFLA_ADDRESS, &mac),
                    (IFLA_MTU, &mtu),
                    (IFLA_MASTER, &bridge),
                ];
                set_link(&mut bytes, NLM_F_ACK, true, &all);
            }
            Action::Offline => {
                let all: [(u16, &[u8]); 2] = [(IFLA_IFNAME, &name), (IFLA_MASTER, &[0; 4])];
                set_link(&mut bytes, NLM_F_ACK, false, &all);
            }
        }
        if self.looks {
            get_link(&mut bytes, &name);
        }
        send(self.netlink.as_raw_fd(), &bytes, MsgFlags::empty())?;
        self.acknowledgement()?;
        if self.looks && (self.link()?.1 & IFF_UP != 0) != (action == Action::Online) {
            return Err("the vif is not what it was made".into());
        }
        Ok(())
    }

    fn acknowledgement(&self) -> Result<()> {
        let mut answer = [0; 4096];
        let length = recv(self.netlink.as_raw_fd(), &mut answer, MsgFlags::empty())?;
        // An acknowledgement is an error whose number is 0; that of the first message comes only if it failed.
        let errno = answer.get(16..20).unwrap_or_default();
        if length >= 20 && answer.get(4..6) == Some(&NLMSG_ERROR.to_ne_bytes()) && errno == [0; 4] {
            Ok(())
        } else {
            Err(format!("the kernel answered {:?}", answer.get(..length)).into())
        }
    }

    fn tell_store(&mut self, port: &Port) -> Result<()> {
        let Some(store) = &mut self.store else { return Ok(()) };
        let mut bytes = Vec::with_capacity(256);
        let id = port.id;
        let mtu = format!("/local/domain/{}/device/vif/{}/mtu\0{}", id.domid, id.devid, 1500);
        let status = format!("backend/vif/{}/{}/hotplug-status\0connected", id.domid, id.devid);
        for payload in [mtu, status] {
            for word in [XS_WRITE, 0, 0, u32::try_from(payload.len())?] {
                bytes.extend(word.to_ne_bytes());
            }
            bytes.extend(payload.as_bytes());
        }
        store.write_all(&bytes)?;
        // Twice a header and `OK` with its NUL.
        let mut answers = [0; 2 * (16 + 3)];
        store.read_exact(&mut answers)?;
        let written = answers.chunks(19).all(|answer| answer.ends_with(b"OK\0"));
        if written { Ok(()) } else { Err("XenStore refused to write".into()) }
    }
}

impl Contender for Raw {
    fn name(&self) -> &'static str {
        if self.looks { name::RAW_LOOKING } else { name::RAW }
    }

    fn run(&mut self, action: Action, port: &Port) -> Result<Duration> {
        let began = Instant::now();
        self.tell_kernel(action, port)?;
        if action == Action::Online {
            self.tell_store(port)?;
        }
        Ok(began.elapsed())
    }

    fn filter(&self) -> Filter {
        Filter::None
    }
}

/// A question for a link by its name.
fn get_link(bytes: &mut Vec<u8>, name: &[u8]) {
    link(bytes, RTM_GETLINK, 0, [0; 2], &[(IFLA_IFNAME, name)]);
}

/// A message that finds its link by name, and brings it up or down.
fn set_link(bytes: &mut Vec<u8>, flags: u16, up: bool, attributes: &[(u16, &[u8])]) {
    link(bytes, RTM_SETLINK, flags, [if up { IFF_UP } else { 0 }, IFF_UP], attributes);
}

/// A message about a link, with its flags and which of them are meant.
fn link(
    bytes: &mut Vec<u8>,
    kind: u16,
    flags: u16,
    of_link: [u32; 2],
    attributes: &[(u16, &[u8])],
) {
    let start = bytes.len();
    let body: Vec<u8> =
        attributes.iter().flat_map(|(kind, payload)| attribute(*kind, payload)).collect();
    let length = u32::try_from(32 + body.len()).expect("a few attributes");
    bytes.extend(length.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend((NLM_F_REQUEST | flags).to_ne_bytes());
    // Sequence and port: nobody else uses this socket.
    bytes.extend([0; 8]);
    // struct ifinfomsg: family, type and index, then these.
    bytes.extend([0; 8]);
    for flags in of_link {
        bytes.extend(flags.to_ne_bytes());
    }
    bytes.extend(body);
    debug_assert!((bytes.len() - start).is_multiple_of(4), "messages are aligned");
}

fn attribute(kind: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + payload.len()).expect("a few bytes");
    let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend(payload);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}
