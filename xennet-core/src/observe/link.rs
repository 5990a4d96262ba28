//! Interfaces and their addresses.

use super::Facts;
use crate::Error;
use crate::config::VifConfig;
use crate::kernel::LinkFilter;
use crate::plan::{BridgeSnapshot, VifTarget};
use crate::types::{Address, IfName, Link, LinkRef};

/// The interfaces that a vif may be.
#[derive(Debug, Default)]
pub(crate) struct VifLinks {
    /// The vif's interface.
    pub(crate) own: Option<Link>,
    /// What has the name that the vif shall have, if that is not the one that it came with.
    pub(crate) named: Option<Link>,
}

/// The interfaces that verification reads, and the one whose addresses it reads.
#[derive(Debug, Clone)]
pub(crate) struct LinksAhead {
    pub(crate) names: Vec<IfName>,
    pub(crate) owner: LinkRef,
}

impl VifLinks {
    /// Whether another interface has the name that the vif shall have.
    pub(crate) fn name_is_taken(&self) -> bool {
        let index = |link: &Option<Link>| link.as_ref().map(|link| link.index);
        self.named.is_some() && index(&self.named) != index(&self.own)
    }
}

impl Facts<'_> {
    /// The interface of this name. `ip link show dev NAME`
    pub(crate) fn link(&mut self, name: &IfName) -> Result<Option<Link>, Error> {
        match self.known(name) {
            Some(link) => Ok(link.clone()),
            None => Ok(self.connections.kernel()?.link(name)?),
        }
    }

    /// The interface with this index.
    pub(crate) fn link_at(&mut self, index: u32) -> Result<Option<Link>, Error> {
        let mut known = self.state.links.iter().filter_map(|(_, link)| link.as_ref());
        match known.find(|link| link.index == index) {
            Some(link) => Ok(Some(link.clone())),
            None => Ok(self.connections.kernel()?.link_at(index)?),
        }
    }

    /// Every interface that the filter lets through.
    pub(crate) fn links(&mut self, filter: LinkFilter<'_>) -> Result<Vec<Link>, Error> {
        Ok(self.connections.kernel()?.links(filter)?)
    }

    /// The addresses of an interface.
    pub(crate) fn addresses(&mut self, link: &Link) -> Result<Vec<Address>, Error> {
        match self.addresses_of(Some(link.index)) {
            Some(addresses) => Ok(addresses.clone()),
            None => Ok(self.connections.kernel()?.addresses(&link.reference())?),
        }
    }

    /// Reads interfaces ahead, and the addresses of one that they belong to, in one request.
    fn read_ahead(&mut self, names: &[&IfName], owner: Option<LinkRef>) -> Result<(), Error> {
        let mut unknown: Vec<&IfName> = names.to_vec();
        unknown.retain(|name| self.known(name).is_none());
        let owner = owner.filter(|link| self.addresses_of(link.index).is_none());
        if unknown.is_empty() && owner.is_none() {
            return Ok(());
        }
        let kernel = self.connections.kernel()?;
        let (links, addresses) = kernel.links_and_addresses(&unknown, owner.as_ref())?;
        self.state.links.extend(unknown.into_iter().cloned().zip(links));
        let index = owner.and_then(|owner| owner.index);
        self.state.addresses.extend(index.map(|index| (index, addresses)));
        Ok(())
    }

    /// The interfaces that this vif may be, by its own name and by the one that it is to have. The bridge that it is to
    /// join is read ahead.
    pub(crate) fn vif_links(
        &mut self,
        target: &VifTarget,
        config: &VifConfig,
        bridge: Option<&IfName>,
    ) -> Result<VifLinks, Error> {
        let renamed = Some(target.final_name(config)?).filter(|name| *name != target.name);
        let wanted = [Some(&target.name), renamed.as_ref(), bridge];
        let wanted: Vec<&IfName> = wanted.into_iter().flatten().collect();
        let known = self.known(&target.name).filter(|_| renamed.is_none()).and_then(Option::as_ref);
        let owner = known.map(Link::reference).or_else(|| self.last_vif(target).cloned());
        if let Some(link) = &owner {
            self.vif = Some((target.name.clone(), link.clone()));
        }
        // Once its interface is known, all is read in one request.
        self.read_ahead(&wanted, owner)?;
        let original = self.link(&target.name)?;
        let named = renamed.as_ref().map_or(Ok(None), |name| self.link(name))?;
        let own = match target.identify(original, named.clone()) {
            // `vifname` has changed since the vif was renamed.
            None => self.vif_link_by_alias(target)?,
            own => own,
        };
        if let Some(link) = &own {
            self.vif = Some((target.name.clone(), link.reference()));
            self.links_ahead = Some(LinksAhead {
                names: wanted.into_iter().cloned().collect(),
                owner: link.reference(),
            });
        }
        Ok(VifLinks { own, named })
    }

    /// What verification reads of the vif, its bridge and its addresses: it can be read along with the last change.
    pub(crate) fn links_ahead(&self) -> Option<LinksAhead> {
        self.links_ahead.clone()
    }

    /// Keeps answers that were read along with a change.
    pub(crate) fn keep_links(&mut self, (links, addresses): (Vec<Option<Link>>, Vec<Address>)) {
        let Some(LinksAhead { names, owner }) = &self.links_ahead else { return };
        self.state.links.extend(names.iter().cloned().zip(links));
        self.state.addresses.extend(owner.index.map(|index| (index, addresses)));
    }

    /// A vif's interface when it was observed last, whether it still exists or not: an interface with another index is
    /// another one.
    pub(crate) fn last_vif(&self, target: &VifTarget) -> Option<&LinkRef> {
        self.vif.as_ref().filter(|(name, _)| *name == target.name).map(|(_, link)| link)
    }

    /// The vif's interface by its alias or its Xen device, where no name is known.
    pub(crate) fn vif_link_by_alias(&mut self, target: &VifTarget) -> Result<Option<Link>, Error> {
        let this = Some((target.id, target.device));
        let all = self.links(LinkFilter::All)?;
        Ok(all.into_iter().find(|link| VifTarget::of(link) == this))
    }

    /// A bridge and its ports.
    pub(crate) fn bridge(&mut self, name: &IfName) -> Result<BridgeSnapshot, Error> {
        let link = self.link(name)?;
        let ports = match &link {
            Some(link) => self.links(LinkFilter::Master(link.index))?,
            None => Vec::new(),
        };
        Ok(BridgeSnapshot { link, ports })
    }

    /// The interfaces that a bridge's names can mean: the first that exists, whether it is a bridge or not. All bridges
    /// where there are no names.
    pub(crate) fn bridges(&mut self, names: &[IfName]) -> Result<Vec<Link>, Error> {
        for name in names {
            if let Some(link) = self.link(name)? {
                return Ok(vec![link]);
            }
        }
        if names.is_empty() { self.links(LinkFilter::Kind("bridge")) } else { Ok(Vec::new()) }
    }

    fn addresses_of(&self, index: Option<u32>) -> Option<&Vec<Address>> {
        let mut known = self.state.addresses.iter();
        known.find(|(of, _)| Some(*of) == index).map(|(_, addresses)| addresses)
    }

    /// The answer that was read ahead; none when the question was not asked yet.
    fn known(&self, name: &IfName) -> Option<&Option<Link>> {
        self.state.links.iter().find(|(of, _)| of == name).map(|(_, link)| link)
    }
}

/// Every name that the port has, shall have, or came with.
pub(crate) fn port_names(
    target: &VifTarget,
    config: &VifConfig,
    link: Option<&Link>,
) -> Vec<IfName> {
    let mut names = vec![target.name.clone()];
    let others = [target.final_name(config).ok(), link.map(|link| link.name.clone())];
    for name in others.into_iter().flatten() {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}
