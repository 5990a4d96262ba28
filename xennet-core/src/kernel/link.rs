use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::LinkMessage;

use super::error::Error;
use super::link_encode::{
    filter_message, link_message, name_attribute, new_message, set_message, sparing,
};

use super::request::encode;
use super::{Kernel, address, link_decode};
use crate::types::{Address, BridgeSet, IfName, Link, LinkKind, LinkRef, LinkSet, MacAddr, Mtu};

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
        self.link_answer(link_message(0, vec![name_attribute(name)]))
            .map_err(|error| error.doing(format!("link show {name}")))
    }

    /// The interface with this index, or none. `ip -d link show`
    pub fn link_at(&mut self, index: u32) -> Result<Option<Link>, Error> {
        self.link_answer(link_message(index, vec![]))
            .map_err(|error| error.doing(format!("link show index {index}")))
    }

    /// The interfaces of these names, one answer for each, as [`link`](Self::link)'s: two of them are one `sendmsg`.
    pub(crate) fn links_named(&mut self, names: &[&IfName]) -> Result<Vec<Option<Link>>, Error> {
        let mut found = Vec::with_capacity(names.len());
        for two in names.chunks(2) {
            let question = |name: &&IfName| {
                let wanted = sparing(link_message(0, vec![name_attribute(name)]));
                encode(RouteNetlinkMessage::GetLink(wanted), NLM_F_REQUEST)
            };
            let mut questions: Vec<u8> = two.iter().flat_map(question).collect();
            match self.exchange_several(&mut questions, libc::ENODEV) {
                Ok(links) => found.extend(links),
                // Whatever is wrong, one by one it is told of the one that it is wrong with.
                Err(_) => {
                    for name in two {
                        found.push(self.link(name)?);
                    }
                }
            }
        }
        Ok(found)
    }

    /// The interface of a name, and the addresses of another one, as by [`link`](Self::link) and
    /// [`addresses`](Self::addresses): one `sendmsg`.
    pub(crate) fn link_and_addresses(
        &mut self,
        name: &IfName,
        of: &LinkRef,
    ) -> Result<(Option<Link>, Vec<Address>), Error> {
        enum Seen {
            Link(Link),
            Address(Address),
        }
        let index = self.link_index(of)?;
        let wanted = sparing(link_message(0, vec![name_attribute(name)]));
        let mut questions = encode(RouteNetlinkMessage::GetLink(wanted), NLM_F_REQUEST);
        questions.extend(address::list(index));
        let mut decode = |_, kind, body: &[u8]| match kind {
            libc::RTM_NEWLINK => link_decode::link(body).map(Seen::Link),
            libc::RTM_NEWADDR => address::decode(body, of, index).map(Seen::Address),
            _ => None,
        };
        let found = self.connection.exchange_several(&mut questions, libc::ENODEV, &mut decode);
        let Ok((links, addresses)) = found else {
            // Whatever is wrong, one by one it is told of the one that it is wrong with.
            return Ok((self.link(name)?, self.addresses(of)?));
        };
        let link = links.into_iter().flatten().find_map(|seen| match seen {
            Seen::Link(link) => Some(link),
            Seen::Address(_) => None,
        });
        let address = |seen| match seen {
            Seen::Address(address) => Some(address),
            Seen::Link(_) => None,
        };
        Ok((link, addresses.into_iter().filter_map(address).collect()))
    }

    /// All interfaces that the filter lets through. `ip -d link show type KIND`, `ip -d link show master BRIDGE`
    ///
    /// One whose name is not an [`IfName`] is left out.
    pub fn links(&mut self, filter: LinkFilter<'_>) -> Result<Vec<Link>, Error> {
        // The kernel lists everything for a kind whose module is not loaded.
        let matches = |link: &Link| match filter {
            LinkFilter::All => true,
            LinkFilter::Kind(kind) => link.kind.as_deref() == Some(kind),
            LinkFilter::Master(index) => link.master == Some(index),
        };
        self.dump(RouteNetlinkMessage::GetLink(filter_message(filter)), |body| {
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
        let word = match kind {
            LinkKind::Bridge(_) => "bridge",
            LinkKind::Veth { .. } => "veth",
            LinkKind::Vxlan(_) => "vxlan",
        };
        let vlans = matches!(kind, LinkKind::Bridge(info) if info.vlan_filtering);
        let dev = match kind {
            LinkKind::Vxlan(spec) => spec.dev.as_ref(),
            _ => None,
        };
        let dev = dev.map(|dev| self.link_index(dev)).transpose();
        dev.and_then(|dev| self.link_new(new_message(name, kind, dev, mac, mtu))).map_err(|error| {
            let error = if vlans { error.explain(libc::EOPNOTSUPP, NO_VLANS) } else { error };
            error.doing(format!("link add {name} type {word}"))
        })
    }

    /// Creates a pair of Ethernet interfaces. The peer is in another network namespace.
    /// `ip link add name NAME type veth peer name PEER netns NETNS`
    #[cfg(feature = "demo")]
    pub fn veth_add(
        &mut self,
        name: &IfName,
        peer: &IfName,
        peer_netns: std::os::fd::BorrowedFd<'_>,
    ) -> Result<(), Error> {
        self.link_new(super::link_encode::veth_message(name, peer, peer_netns))
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
        self.set_request(link, &[set])
            .and_then(|message| self.change(message, 0))
            .map_err(|error| explain(error, set).doing(format!("link set {} {set}", link.name)))
    }

    /// The same for several settings, in an order of the kernel's: those before the one that it refuses are made.
    pub(crate) fn link_set_all(&mut self, link: &LinkRef, sets: &[&LinkSet]) -> Result<(), Error> {
        self.set_request(link, sets)
            .and_then(|message| self.change(message, 0))
            .map_err(|error| error.doing(format!("link set {}", link.name)))
    }

    /// The same for one setting, and the interface as it is then: one `sendmsg`.
    pub(crate) fn link_set_and_show(
        &mut self,
        link: &LinkRef,
        set: &LinkSet,
    ) -> Result<Option<Link>, Error> {
        let index = self.link_index(link)?;
        let wanted = RouteNetlinkMessage::GetLink(sparing(link_message(index, vec![])));
        let done = self.set_request(link, &[set]).and_then(|message| {
            let mut requests = encode(message, NLM_F_REQUEST | NLM_F_ACK);
            requests.extend(encode(wanted, NLM_F_REQUEST));
            self.exchange_several(&mut requests, 0)
        });
        match done {
            Err(error) if error.errno() == libc::EAGAIN => {
                self.link_set(link, set)?;
                self.link_at(index)
            }
            Err(error) => Err(explain(error, set).doing(format!("link set {} {set}", link.name))),
            Ok(answers) => Ok(answers.into_iter().flatten().next()),
        }
    }

    /// The index of an interface: the one in its reference, or one request where it is not known yet.
    ///
    /// An error (`ENODEV`) when there is no interface of that name.
    pub fn link_index(&mut self, link: &LinkRef) -> Result<u32, Error> {
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

    fn link_answer(&mut self, wanted: LinkMessage) -> Result<Option<Link>, Error> {
        match self.ask(RouteNetlinkMessage::GetLink(sparing(wanted)), link_decode::link) {
            Err(error) if error.errno() == libc::ENODEV => Ok(None),
            outcome => outcome.map(Some),
        }
    }

    fn exchange_several(
        &mut self,
        requests: &mut [u8],
        missing: i32,
    ) -> Result<Vec<Option<Link>>, Error> {
        let mut decode = |_, kind, body: &[u8]| {
            (kind == libc::RTM_NEWLINK).then(|| link_decode::link(body)).flatten()
        };
        Ok(self.connection.exchange_several(requests, missing, &mut decode)?.0)
    }

    /// One request for these settings of one kind.
    fn set_request(
        &mut self,
        link: &LinkRef,
        sets: &[&LinkSet],
    ) -> Result<RouteNetlinkMessage, Error> {
        let index = self.link_index(link)?;
        let mut message = link_message(index, vec![]);
        let mut of_its_kind = false;
        for set in sets {
            let master = match set {
                LinkSet::Master(Some(master)) => self.link_index(master)?,
                _ => 0,
            };
            let one = set_message(index, set, master);
            message.header.flags |= one.header.flags;
            message.header.change_mask |= one.header.change_mask;
            message.attributes.extend(one.attributes);
            of_its_kind |= matches!(set, LinkSet::Bridge(_));
        }
        // SETLINK takes what belongs to one kind of interface, says OK and does nothing.
        Ok(if of_its_kind {
            RouteNetlinkMessage::NewLink(message)
        } else {
            RouteNetlinkMessage::SetLink(message)
        })
    }

    fn link_new(&mut self, message: LinkMessage) -> Result<(), Error> {
        self.change(RouteNetlinkMessage::NewLink(message), NLM_F_CREATE | NLM_F_EXCL)
            .map_err(|error| error.explain(libc::EEXIST, "an interface of that name exists"))
    }
}

/// What the kernel means by error numbers that it sends without words.
fn explain(error: Error, set: &LinkSet) -> Error {
    match set {
        LinkSet::Master(Some(_)) => error
            .explain(libc::EXFULL, "a bridge has room for 1023 ports")
            .explain(libc::EINVAL, "the master is gone, or takes no interface of this kind")
            .explain(libc::EOPNOTSUPP, "it is no master")
            .explain(libc::EBUSY, "it is in use by something else that takes all its frames"),
        LinkSet::Name { .. } => error
            .explain(libc::EEXIST, "an interface of that name exists")
            .explain(libc::EBUSY, "this kernel renames no interface that is up"),
        LinkSet::Address(_) => {
            error.explain(libc::EBUSY, "its address cannot change while it is up")
        }
        LinkSet::Bridge(BridgeSet::VlanFiltering(_)) => error.explain(libc::EOPNOTSUPP, NO_VLANS),
        LinkSet::Bridge(_) => error.explain(libc::EOPNOTSUPP, "it is no bridge"),
        _ => error,
    }
}

const NO_VLANS: &str = "this kernel's bridges know no VLANs (CONFIG_BRIDGE_VLAN_FILTERING)";
