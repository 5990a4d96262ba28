use std::thread::sleep;
use std::time::{Duration, Instant};

use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::LinkMessage;

use super::error::Error;
use super::link_encode::{filter_message, link_message, name_attribute, new_message, set_message};
use super::link_filter::LinkFilter;
use super::request::encode;
use super::{Kernel, address, link_decode};
use crate::types::{
    Address, BondSet, BridgeSet, IfName, Link, LinkKind, LinkRef, LinkSet, MacAddr, Mtu, NftCounter,
};

/// The outcomes of settings; and interfaces, with the addresses of one, after them, unless they cannot be read.
pub(crate) type SetAndRead = (Vec<Result<(), Error>>, Option<(Vec<Option<Link>>, Vec<Address>)>);

impl Kernel {
    /// The interface of this name, or none. `ip -d link show dev NAME`
    ///
    /// An alternative name (`ip link property add altname`) finds its interface as well, under its own name.
    pub fn link(&mut self, name: &IfName) -> Result<Option<Link>, Error> {
        self.link_answer(link_message(0, vec![name_attribute(name)]))
            .map_err(|error| error.doing(format!("link show {name}")))
    }

    /// What an interface has received; none if there is none of this name. `ip -s link show dev NAME`
    pub(crate) fn received(&mut self, name: &IfName) -> Result<Option<NftCounter>, Error> {
        let message = RouteNetlinkMessage::GetLink(link_message(0, vec![name_attribute(name)]));
        match self.ask(message, link_decode::received) {
            Err(error) if error.errno() == libc::ENODEV => Ok(None),
            outcome => outcome.map(Some),
        }
        .map_err(|error| error.doing(format!("link show {name}")))
    }

    /// The interface with this index, or none. `ip -d link show`
    pub fn link_at(&mut self, index: u32) -> Result<Option<Link>, Error> {
        self.link_answer(link_message(index, vec![]))
            .map_err(|error| error.doing(format!("link show index {index}")))
    }

    /// Interfaces, one answer for each, and the addresses of one of them, as by [`link`](Self::link) and
    /// [`addresses`](Self::addresses): one `sendmsg`.
    pub(crate) fn links_and_addresses(
        &mut self,
        names: &[&IfName],
        owner: Option<&LinkRef>,
    ) -> Result<(Vec<Option<Link>>, Vec<Address>), Error> {
        if let Ok((_, Some(answers))) = self.set_and_read(&[], names, owner) {
            return Ok(answers);
        }
        // Each question by itself has an error that names what it asks for.
        let links = names.iter().map(|name| self.link(name)).collect::<Result<_, _>>()?;
        Ok((links, owner.map_or(Ok(Vec::new()), |link| self.addresses(link))?))
    }

    /// Changes settings of interfaces, the outcome of each in their order, and reads what they are then: one `sendmsg`.
    ///
    /// An error as a whole when it was not sent, or when nothing is known of the outcomes.
    pub(crate) fn set_and_read(
        &mut self,
        sets: &[(&LinkRef, &LinkSet)],
        names: &[&IfName],
        owner: Option<&LinkRef>,
    ) -> Result<SetAndRead, Error> {
        enum Fact {
            Link(Link),
            Address(Address),
        }
        let mut requests = Vec::new();
        for (link, set) in sets {
            requests.extend(encode(self.set_request(link, set)?, NLM_F_REQUEST | NLM_F_ACK));
        }
        for name in names {
            let wanted = link_message(0, vec![name_attribute(name)]);
            requests.extend(encode(RouteNetlinkMessage::GetLink(wanted), NLM_F_REQUEST));
        }
        let owner = match owner {
            Some(link) => Some((link, self.link_index(link)?)),
            None => None,
        };
        if let Some((_, index)) = owner {
            requests.extend(address::list(index));
        }
        let mut decode = |_, kind, body: &[u8]| match (kind, owner) {
            (libc::RTM_NEWLINK, _) => link_decode::link(body).map(Fact::Link),
            (libc::RTM_NEWADDR, Some((link, index))) => {
                address::decode(body, link, index).map(Fact::Address)
            }
            _ => None,
        };
        let ((links, addresses), refusals) =
            self.connection.exchange_each(&mut requests, &mut decode)?;
        let outcome = |(position, (_, set)): (usize, &(&LinkRef, &LinkSet))| {
            let refusal = refusals.iter().find(|(refused, _)| *refused == position);
            refusal.map_or(Ok(()), |(_, error)| Err(explain(error.clone(), set)))
        };
        let outcomes = sets.iter().enumerate().map(outcome).collect();
        let unread = |(position, error): &&(usize, Error)| {
            *position >= sets.len() && error.errno() != libc::ENODEV
        };
        if refusals.iter().any(|refusal| unread(&refusal)) {
            return Ok((outcomes, None));
        }
        let link = |fact: Option<Fact>| match fact {
            Some(Fact::Link(link)) => Some(link),
            _ => None,
        };
        let address = |fact| match fact {
            Fact::Address(address) => Some(address),
            Fact::Link(_) => None,
        };
        let links = links.into_iter().skip(sets.len()).take(names.len()).map(link).collect();
        Ok((outcomes, Some((links, addresses.into_iter().filter_map(address).collect()))))
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
            LinkKind::Bond(_) => "bond",
            LinkKind::Vlan(_) => "vlan",
        };
        let vlans = matches!(kind, LinkKind::Bridge(info) if info.vlan_filtering);
        let dev = match kind {
            LinkKind::Vxlan(spec) => spec.dev.as_ref(),
            LinkKind::Vlan(spec) => Some(&spec.link),
            _ => None,
        };
        let dev = dev.map(|dev| self.link_index(dev)).transpose();
        dev.and_then(|dev| self.link_new(new_message(name, kind, dev, mac, mtu))).map_err(|error| {
            let error = match kind {
                LinkKind::Bridge(_) if vlans => error.explain(libc::EOPNOTSUPP, NO_VLANS),
                LinkKind::Bond(_) => error.explain(libc::EOPNOTSUPP, NO_BONDS),
                LinkKind::Vlan(_) => error.explain(libc::EOPNOTSUPP, NO_VLAN_LINKS),
                _ => error,
            };
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
        self.set_request(link, set)
            .and_then(|message| self.change(message, 0))
            .map_err(|error| explain(error, set).doing(format!("link set {} {set}", link.name)))
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

    /// Waits until an interface is not promiscuous any more, or is gone: Open vSwitch's datapath in user space makes its
    /// ports promiscuous, and writes all flags of a port once more when it releases it, shortly after it says so.
    pub(crate) fn wait_released(&mut self, name: &IfName, deadline: Instant) -> Result<(), Error> {
        let wanted = || link_message(0, vec![name_attribute(name)]);
        loop {
            let asked = RouteNetlinkMessage::GetLink(wanted());
            match self.ask(asked, link_decode::is_promiscuous) {
                Ok(true) if Instant::now() < deadline => sleep(Duration::from_millis(1)),
                Err(error) if error.errno() != libc::ENODEV => {
                    return Err(error.doing(format!("link show {name}")));
                }
                _ => return Ok(()),
            }
        }
    }

    fn link_answer(&mut self, wanted: LinkMessage) -> Result<Option<Link>, Error> {
        match self.ask(RouteNetlinkMessage::GetLink(wanted), link_decode::link) {
            Err(error) if error.errno() == libc::ENODEV => Ok(None),
            outcome => outcome.map(Some),
        }
    }

    fn set_request(&mut self, link: &LinkRef, set: &LinkSet) -> Result<RouteNetlinkMessage, Error> {
        let index = self.link_index(link)?;
        let other = match set {
            LinkSet::Master(Some(other)) | LinkSet::Bond(BondSet::Primary(Some(other))) => {
                self.link_index(other)?
            }
            _ => 0,
        };
        let message = set_message(index, set, other);
        Ok(match set {
            // SETLINK accepts and ignores the settings of one kind of interface.
            LinkSet::Bridge(_) | LinkSet::Bond(_) => RouteNetlinkMessage::NewLink(message),
            _ => RouteNetlinkMessage::SetLink(message),
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

const NO_BONDS: &str = "this kernel has no bonds (CONFIG_BONDING)";
const NO_VLAN_LINKS: &str = "this kernel has no VLAN interfaces (CONFIG_VLAN_8021Q)";
const NO_VLANS: &str = "this kernel's bridges know no VLANs (CONFIG_BRIDGE_VLAN_FILTERING)";
