use std::os::fd::{AsRawFd, BorrowedFd};

use netlink_packet_core::{DefaultNla, NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    AfSpecInet6, AfSpecUnspec, BridgeStpState, In6AddrGenMode, InfoBridge, InfoData, InfoKind,
    InfoVeth, LinkAttribute, LinkExtentMask, LinkFlags, LinkInfo, LinkMessage,
};

use super::Kernel;
use super::error::Error;
use super::link_decode;
use crate::types::{
    AddrGenMode, BridgeInfo, IfName, Link, LinkKind, LinkRef, LinkSet, MacAddr, Mtu,
};

/// Which interfaces to list: the kernel filters, and sends no more than is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkFilter<'a> {
    /// All of them. `ip link show`
    All,
    /// Those of a kind, such as `bridge`. `ip link show type KIND`
    Kind(&'a str),
    /// The ports of the bridge (or other master) with this index. `ip link show master BRIDGE`
    Master(u32),
}

impl Kernel {
    /// The interface of this name, or none. `ip -d link show dev NAME`
    ///
    /// An alternative name (`ip link property add altname`) finds its interface as well, under its own name.
    pub fn link(&mut self, name: &IfName) -> Result<Option<Link>, Error> {
        let wanted = link_message(0, vec![name_attribute(name)]);
        self.link_answer(wanted).map_err(|error| error.doing(format!("link show {name}")))
    }

    /// The interface with this index, or none. `ip -d link show`
    pub fn link_at(&mut self, index: u32) -> Result<Option<Link>, Error> {
        self.link_answer(link_message(index, vec![]))
            .map_err(|error| error.doing(format!("link show index {index}")))
    }

    /// All interfaces that the filter lets through. `ip -d link show type KIND`, `ip -d link show master BRIDGE`
    ///
    /// One whose name is not an [`IfName`] is left out.
    pub fn links(&mut self, filter: LinkFilter<'_>) -> Result<Vec<Link>, Error> {
        let attribute = match filter {
            LinkFilter::All => None,
            LinkFilter::Kind(kind) => {
                let kind = InfoKind::Other(kind.to_owned());
                Some(LinkAttribute::LinkInfo(vec![LinkInfo::Kind(kind)]))
            }
            LinkFilter::Master(index) => Some(LinkAttribute::Controller(index)),
        };
        let wanted = link_message(0, attribute.into_iter().collect());
        // The kernel lists everything for a kind whose module is not loaded.
        let matches = |link: &Link| match filter {
            LinkFilter::All => true,
            LinkFilter::Kind(kind) => link.kind.as_deref() == Some(kind),
            LinkFilter::Master(index) => link.master == Some(index),
        };
        self.dump(RouteNetlinkMessage::GetLink(sparing(wanted)), |body| {
            link_decode::link(body).filter(matches)
        })
        .map_err(|error| {
            error.doing(match filter {
                LinkFilter::All => "link show".to_owned(),
                LinkFilter::Kind(kind) => format!("link show type {kind}"),
                LinkFilter::Master(index) => format!("link show master index {index}"),
            })
        })
    }

    /// Makes an interface. `ip link add name NAME address MAC mtu BYTES type KIND ...`
    ///
    /// An error (`EEXIST`) when the name is taken. A bridge keeps a `mac` that it is given here, whatever its ports;
    /// an `mtu` given here it does not keep: [`LinkSet::Mtu`] afterwards pins it.
    pub fn link_add(
        &mut self,
        name: &IfName,
        kind: &LinkKind,
        mac: Option<MacAddr>,
        mtu: Option<Mtu>,
    ) -> Result<(), Error> {
        let (word, info) = match kind {
            LinkKind::Bridge(info) => ("bridge", bridge_info(info)),
            LinkKind::Veth { peer } => ("veth", veth_info(peer, None)),
        };
        let mut attributes = vec![name_attribute(name)];
        attributes.extend(mac.map(mac_attribute));
        attributes.extend(mtu.map(|mtu| LinkAttribute::Mtu(mtu.bytes())));
        attributes.push(LinkAttribute::LinkInfo(info));
        self.link_new(attributes)
            .map_err(|error| error.doing(format!("link add {name} type {word}")))
    }

    /// Makes a pair of Ethernet interfaces, the other end of which lies in another network namespace.
    /// `ip link add name NAME type veth peer name PEER netns NETNS`
    pub fn veth_add(
        &mut self,
        name: &IfName,
        peer: &IfName,
        peer_netns: BorrowedFd<'_>,
    ) -> Result<(), Error> {
        let info = veth_info(peer, Some(peer_netns));
        self.link_new(vec![name_attribute(name), LinkAttribute::LinkInfo(info)])
            .map_err(|error| error.doing(format!("link add {name} type veth peer name {peer}")))
    }

    /// Removes an interface. `ip link delete dev NAME`
    pub fn link_delete(&mut self, link: &LinkRef) -> Result<(), Error> {
        self.link_index(link)
            .and_then(|index| {
                self.change(RouteNetlinkMessage::DelLink(link_message(index, vec![])), 0)
            })
            .map_err(|error| error.doing(format!("link delete {}", link.name)))
    }

    /// Changes one setting of an interface. `ip link set dev NAME ...`
    ///
    /// One request; one more where an index is not known yet.
    pub fn link_set(&mut self, link: &LinkRef, set: &LinkSet) -> Result<(), Error> {
        self.link_index(link)
            .and_then(|index| self.set_message(index, set))
            .and_then(|message| self.change(RouteNetlinkMessage::SetLink(message), 0))
            .map_err(|error| explain(error, set).doing(format!("link set {} {set}", link.name)))
    }

    /// Moves an interface into another network namespace. `ip link set dev NAME netns NETNS`
    ///
    /// It arrives there down, without addresses and without master, and may have another index.
    pub fn link_set_netns(&mut self, link: &LinkRef, netns: BorrowedFd<'_>) -> Result<(), Error> {
        let netns = LinkAttribute::NetNsFd(netns.as_raw_fd());
        self.link_index(link)
            .and_then(|index| {
                self.change(RouteNetlinkMessage::SetLink(link_message(index, vec![netns])), 0)
            })
            .map_err(|error| error.doing(format!("link set {} netns", link.name)))
    }

    /// The index of an interface; one request where it is not known yet.
    pub(super) fn link_index(&mut self, link: &LinkRef) -> Result<u32, Error> {
        match link.index {
            Some(index) => Ok(index),
            None => match self.link(&link.name)? {
                Some(link) => Ok(link.index),
                None => {
                    Err(Error::refused(libc::ENODEV, Some(format!("there is no {}", link.name))))
                }
            },
        }
    }

    fn set_message(&mut self, index: u32, set: &LinkSet) -> Result<LinkMessage, Error> {
        let mut message = link_message(index, vec![]);
        message.attributes = match set {
            LinkSet::Up(up) => {
                message.header.flags = if *up { LinkFlags::Up } else { LinkFlags::empty() };
                message.header.change_mask = LinkFlags::Up;
                vec![]
            }
            LinkSet::Address(mac) => vec![mac_attribute(*mac)],
            LinkSet::Mtu(mtu) => vec![LinkAttribute::Mtu(mtu.bytes())],
            LinkSet::Name { name, alias } => vec![
                name_attribute(name),
                // Not the typed one, which adds a NUL: only an alias of no bytes at all removes the old one.
                LinkAttribute::Other(DefaultNla::new(libc::IFLA_IFALIAS, alias.clone().into())),
            ],
            LinkSet::Master(master) => {
                let index = master.as_ref().map_or(Ok(0), |master| self.link_index(master))?;
                vec![LinkAttribute::Controller(index)]
            }
            LinkSet::AddrGenMode(mode) => {
                let mode = AfSpecInet6::AddrGenMode(match mode {
                    AddrGenMode::Eui64 => In6AddrGenMode::Eui64,
                    AddrGenMode::None => In6AddrGenMode::None,
                    AddrGenMode::StableSecret => In6AddrGenMode::StablePrivacy,
                    AddrGenMode::Random => In6AddrGenMode::Random,
                });
                vec![LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet6(vec![mode])])]
            }
        };
        Ok(message)
    }

    fn link_answer(&mut self, wanted: LinkMessage) -> Result<Option<Link>, Error> {
        match self.ask(RouteNetlinkMessage::GetLink(sparing(wanted)), link_decode::link) {
            Err(error) if error.errno() == libc::ENODEV => Ok(None),
            outcome => outcome.map(Some),
        }
    }

    fn link_new(&mut self, attributes: Vec<LinkAttribute>) -> Result<(), Error> {
        let message = RouteNetlinkMessage::NewLink(link_message(0, attributes));
        self.change(message, NLM_F_CREATE | NLM_F_EXCL)
            .map_err(|error| error.explain(libc::EEXIST, "an interface of that name exists"))
    }
}

pub(super) fn link_message(index: u32, attributes: Vec<LinkAttribute>) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.attributes = attributes;
    message
}

/// Asks the kernel to leave the counters out of its answer: they are most of its cost.
pub(super) fn sparing(mut message: LinkMessage) -> LinkMessage {
    message.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
    message
}

fn name_attribute(name: &IfName) -> LinkAttribute {
    LinkAttribute::IfName(name.to_string())
}

fn mac_attribute(mac: MacAddr) -> LinkAttribute {
    LinkAttribute::Address(mac.octets().into())
}

fn bridge_info(info: &BridgeInfo) -> Vec<LinkInfo> {
    let stp = if info.stp { BridgeStpState::KernelStp } else { BridgeStpState::Disabled };
    let mut data = vec![
        InfoBridge::StpState(stp),
        InfoBridge::ForwardDelay(info.forward_delay),
        InfoBridge::AgeingTime(info.ageing_time),
        InfoBridge::GroupFwdMask(info.group_fwd_mask),
    ];
    data.extend(info.mcast_snooping.map(InfoBridge::MulticastSnooping));
    if info.vlan_filtering {
        data.push(InfoBridge::VlanFiltering(true));
    }
    vec![LinkInfo::Kind(InfoKind::Bridge), LinkInfo::Data(InfoData::Bridge(data))]
}

fn veth_info(peer: &IfName, netns: Option<BorrowedFd<'_>>) -> Vec<LinkInfo> {
    let mut attributes = vec![name_attribute(peer)];
    attributes.extend(netns.map(|netns| LinkAttribute::NetNsFd(netns.as_raw_fd())));
    let peer = InfoVeth::Peer(link_message(0, attributes));
    vec![LinkInfo::Kind(InfoKind::Veth), LinkInfo::Data(InfoData::Veth(peer))]
}

/// What the kernel means by error numbers that it sends without words.
fn explain(error: Error, set: &LinkSet) -> Error {
    match set {
        LinkSet::Master(Some(_)) => error
            .explain(libc::EXFULL, "a bridge has room for 1023 ports")
            .explain(libc::EINVAL, "the master is gone, or is none, or cannot take this interface")
            .explain(libc::EBUSY, "it is in use by something else that takes all its frames"),
        LinkSet::Name { .. } => error
            .explain(libc::EEXIST, "an interface of that name exists")
            .explain(libc::EBUSY, "this kernel renames no interface that is up"),
        LinkSet::Address(_) => {
            error.explain(libc::EBUSY, "its address cannot change while it is up")
        }
        _ => error,
    }
}
