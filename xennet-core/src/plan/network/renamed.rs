//! Interfaces on record that have another name now.

use std::collections::BTreeMap;

use super::record::LinkIdentity;
use super::{HostRecord, NetworkRecord, NetworkSnapshot};
use crate::config::NetworkConfig;
use crate::plan::{PlanError, UplinkError};
use crate::types::{BondSet, IfName, Link, LinkSet, Sysctl};

/// The names on record that changed, each with the new one.
pub(crate) type Renamed = BTreeMap<IfName, IfName>;

impl LinkIdentity {
    fn is(&self, link: &Link) -> bool {
        // A bridge's hardware address may follow its ports.
        let has_mac = self.mac == link.mac || self.mac == link.permanent_mac;
        self.index == link.index && (has_mac || link.bridge.is_some())
    }
}

impl NetworkRecord {
    /// Notes which interfaces its names mean; whether that is new.
    pub(crate) fn identify(&mut self, links: &[Link]) -> bool {
        let mut known = std::mem::take(&mut self.identities);
        let before = known.clone();
        self.each_name(&mut |name| {
            if let Some(link) = links.iter().find(|link| link.name == *name) {
                known.insert(name.clone(), LinkIdentity { index: link.index, mac: link.mac });
            }
        });
        self.identities = known;
        self.identities != before
    }

    /// Takes over the names that its interfaces have now; the names that changed, each with the new one.
    pub(crate) fn follow(&mut self, links: &[Link]) -> Renamed {
        let now = |identity: &LinkIdentity| links.iter().find(|link| identity.is(link));
        let mut renamed: Renamed = self
            .identities
            .iter()
            .filter_map(|(name, identity)| Some((name.clone(), now(identity)?.name.clone())))
            .filter(|(name, now)| name != now)
            .collect();
        // An interface that does not exist any more gives its name to the one that has it now, and gets that one's.
        let followed = renamed.clone();
        let is_gone =
            |name: &&IfName| self.identities.contains_key(*name) && !followed.contains_key(*name);
        for name in followed.values().filter(is_gone) {
            let mut free = name;
            while let Some((was, _)) = followed.iter().find(|(_, now)| *now == free) {
                free = was;
            }
            if !links.iter().any(|link| link.name == *free) {
                renamed.insert(name.clone(), free.clone());
            }
        }
        if !renamed.is_empty() {
            self.rename(&renamed);
            let identities = std::mem::take(&mut self.identities).into_iter();
            self.identities = identities
                .map(|(name, identity)| (renamed.get(&name).cloned().unwrap_or(name), identity))
                .collect();
        }
        followed
    }

    /// Gives the part of an uplink that does not exist any more to the one that the configuration names now.
    pub(crate) fn replace_uplinks(&mut self, config: &NetworkConfig, links: &[Link]) {
        let exists = |name: &IfName| links.iter().any(|link| link.name == *name);
        for policy in config.all_bridges() {
            let known = self.bridges.iter().find(|known| known.name == policy.name);
            let was = known.and_then(|known| known.uplink.clone());
            let was = was.filter(|was| !exists(was) && !self.has_made(was));
            let (Some(was), Some(now)) = (was, policy.uplink.filter(exists)) else { continue };
            let mut is_taken = false;
            self.each_name(&mut |name| is_taken |= *name == now);
            if !is_taken {
                self.identities.remove(&was);
                self.links.retain(|(name, set)| *name != was || matches!(set, LinkSet::Master(_)));
                self.sysctls.retain(|sysctl, _| sysctl.interface() != Some(was.as_str()));
                self.rename(&Renamed::from([(was, now)]));
            }
        }
    }

    fn rename(&mut self, renamed: &Renamed) {
        self.each_name(&mut |name| rename(name, renamed));
        for (name, was) in &mut self.links {
            rename(name, renamed);
            if let LinkSet::Master(Some(other)) | LinkSet::Bond(BondSet::Primary(Some(other))) = was
            {
                rename(&mut other.name, renamed);
            }
        }
        self.sysctls = sysctls(&self.sysctls, renamed);
        let of_bridges = self.bridges.iter_mut();
        let of_bridges = of_bridges.flat_map(|one| [&mut one.of_bridge, &mut one.of_uplink]);
        let of_bonds = self.bonds.iter_mut().flat_map(|one| [&mut one.of_bond, &mut one.of_home]);
        of_bridges.chain(of_bonds).for_each(|host| host.rename(renamed));
    }

    /// The names of bridges, bonds and VLAN interfaces, and of what they stand on.
    fn each_name(&mut self, visit: &mut impl FnMut(&mut IfName)) {
        for bridge in &mut self.bridges {
            visit(&mut bridge.name);
            bridge.uplink.iter_mut().for_each(&mut *visit);
            bridge.vxlan.iter_mut().for_each(|vxlan| visit(&mut vxlan.name));
        }
        for bond in &mut self.bonds {
            visit(&mut bond.name);
            bond.ports.iter_mut().chain(&mut bond.home).for_each(&mut *visit);
        }
        for vlan in &mut self.vlans {
            visit(&mut vlan.name);
            visit(&mut vlan.link);
        }
    }
}

impl HostRecord {
    fn rename(&mut self, renamed: &Renamed) {
        let links = self.routes.iter_mut().flat_map(|route| &mut route.links);
        links.for_each(|link| rename(&mut link.name, renamed));
        self.sysctls = sysctls(&self.sysctls, renamed);
    }
}

impl NetworkSnapshot {
    /// An error for an interface that the configuration names, and that has another name since an earlier start.
    pub(super) fn check_names(&self, config: &NetworkConfig) -> Result<(), PlanError> {
        let concerned = Self::concerned(config, None);
        match self.renamed.iter().find(|(was, _)| concerned.contains(was)) {
            None => Ok(()),
            Some((was, now)) => {
                Err(UplinkError::Renamed { was: was.clone(), now: now.clone() }.into())
            }
        }
    }
}

fn rename(name: &mut IfName, renamed: &Renamed) {
    if let Some(now) = renamed.get(name) {
        *name = now.clone();
    }
}

fn sysctls(all: &BTreeMap<Sysctl, String>, renamed: &Renamed) -> BTreeMap<Sysctl, String> {
    let now = |sysctl: &Sysctl| {
        let (was, now) =
            renamed.iter().find(|(was, _)| sysctl.interface() == Some(was.as_str()))?;
        sysctl.as_str().replacen(&format!("/{was}/"), &format!("/{now}/"), 1).parse().ok()
    };
    all.iter()
        .map(|(sysctl, was)| (now(sysctl).unwrap_or_else(|| sysctl.clone()), was.clone()))
        .collect()
}
