use super::{VifSnapshot, VifTarget};
use crate::plan::{Change, Plan};
use crate::types::{AddrGenMode, Address, IfName, Link, LinkRef, LinkSet, MacAddr, Mtu};

/// What a vif's interface shall be, whatever it is plugged into.
pub(super) struct LinkShape<'a> {
    pub(super) name: &'a IfName,
    pub(super) mtu: Mtu,
    pub(super) master: Option<&'a Link>,
    /// The addresses that it shall have.
    pub(super) addresses: &'a [Address],
}

impl LinkShape<'_> {
    /// Whether the interface has another master than it shall have.
    pub(super) fn moves(&self, link: &Link) -> bool {
        link.master != self.master.map(|master| master.index)
    }

    /// Whether it is to have this address.
    fn keeps(&self, address: &Address) -> bool {
        self.addresses.iter().any(|wanted| same(wanted, address))
    }

    /// Whether it goes down in between.
    ///
    /// Not for the MTU, the VLANs or a route: they are changed in place, without a moment of silence for the guest.
    pub(super) fn falls(&self, link: &Link, facts: &VifSnapshot) -> bool {
        link.name != *self.name
            || link.mac != Some(MacAddr::VIF)
            || self.addr_gen_mode(link).is_some()
            || self.moves(link)
            || facts.addresses.iter().any(|address| !self.keeps(address))
    }

    /// Makes the interface so; whether it has to be brought up when all the rest is done as well.
    pub(super) fn make(
        &self,
        to: &mut Setter<'_>,
        target: &VifTarget,
        link: &Link,
        facts: &VifSnapshot,
    ) -> bool {
        let rename = link.name != *self.name;
        let address = link.mac != Some(MacAddr::VIF);
        let addr_gen_mode = self.addr_gen_mode(link);
        let master = self.moves(link);
        let down = self.falls(link, facts);

        // While it is up: one that goes down loses its IPv6 addresses, and nobody would know to put them back.
        // In the order that puts them back in theirs: IPv4 lists the oldest first, IPv6 the newest.
        let gone = |address: &&Address| {
            !self.keeps(address) || down && link.up && address.address.addr().is_ipv6()
        };
        let (v4, v6): (Vec<_>, Vec<_>) =
            facts.addresses.iter().filter(gone).partition(|one| one.address.addr().is_ipv4());
        for address in v4.into_iter().rev().chain(v6) {
            to.plan.push(Change::AddressDelete { link: to.link.clone(), address: address.clone() });
        }
        to.set(down && link.up, LinkSet::Up(false), LinkSet::Up(!facts.lossy));
        let named = |name: &IfName, alias: &str| LinkSet::Name {
            name: name.clone(),
            alias: alias.to_owned(),
        };
        to.set(
            rename,
            named(self.name, target.name.as_str()),
            named(&link.name, link.alias.as_deref().unwrap_or_default()),
        );
        // The name is what later lines are read by; the index is what they go by.
        to.link.name = self.name.clone();
        to.set(
            address,
            LinkSet::Address(MacAddr::VIF),
            LinkSet::Address(link.mac.unwrap_or(MacAddr::VIF)),
        );
        // In a request of its own before UP: in the same one it comes too late, and fe80:: appears and stays.
        let stop = |was| (LinkSet::AddrGenMode(AddrGenMode::None), LinkSet::AddrGenMode(was));
        let grows = link.mtu < IPV6_MIN_MTU;
        if let Some((set, was)) = addr_gen_mode.filter(|_| !grows).map(stop) {
            to.set(true, set, was);
        }
        // Before the master, or the bridge would take the smaller MTU for a moment.
        to.set(
            link.mtu != self.mtu.bytes(),
            LinkSet::Mtu(self.mtu),
            LinkSet::Mtu(Mtu::new(link.mtu).unwrap_or(self.mtu)),
        );
        if let Some((set, was)) = addr_gen_mode.filter(|_| grows).map(stop) {
            to.set(true, set, was);
        }
        // The kernel's datapath is nobody's to set: its port was deleted before, and takes its master along when it comes back.
        let was = facts.master.as_ref().filter(|master| !is_datapath(master)).map(Link::reference);
        to.set(master, LinkSet::Master(self.master.map(Link::reference)), LinkSet::Master(was));
        for wanted in self.addresses {
            let there =
                facts.addresses.iter().any(|address| same(address, wanted) && !gone(&address));
            if !there {
                to.plan.push(Change::AddressAdd { link: to.link.clone(), address: wanted.clone() });
            }
        }
        down || !link.up
    }

    /// How the link makes its link-local address, or will make it with its new MTU, when that is to be stopped.
    ///
    /// The kernel has no IPv6 on a link that is too small for it, and begins anew when it grows: then with a
    /// link-local address, whatever was said before.
    fn addr_gen_mode(&self, link: &Link) -> Option<AddrGenMode> {
        match (link.mtu < IPV6_MIN_MTU, self.mtu.bytes() < IPV6_MIN_MTU) {
            (true, true) => None,
            (true, false) => Some(AddrGenMode::Eui64),
            // Even when there is nothing to stop: undoing this is what stops it when the link grows again.
            (false, true) => link.addr_gen_mode,
            (false, false) => link.addr_gen_mode.filter(|mode| *mode != AddrGenMode::None),
        }
    }
}

/// Collects settings of one interface, skipping those that need no change.
pub(super) struct Setter<'p> {
    pub(super) plan: &'p mut Plan,
    pub(super) link: LinkRef,
}

impl Setter<'_> {
    pub(super) fn set(&mut self, needed: bool, set: LinkSet, was: LinkSet) {
        if needed {
            self.plan.push(Change::LinkSet { link: self.link.clone(), set, was });
        }
    }
}

/// The smallest MTU that IPv6 takes (RFC 8200), in bytes.
pub(super) const IPV6_MIN_MTU: u32 = 1280;

/// The same address of the same network, whatever its flags.
fn same(one: &Address, other: &Address) -> bool {
    one.address == other.address && one.peer == other.peer
}

/// Whether a master is the kernel's datapath of Open vSwitch: its ports leave it by Open vSwitch alone.
pub(crate) fn is_datapath(master: &Link) -> bool {
    master.kind.as_deref() == Some("openvswitch")
}
