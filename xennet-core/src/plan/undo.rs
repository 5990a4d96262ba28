//! The change that takes another one back.

use super::Change;
use crate::types::{LinkRef, LinkSet};

impl Change {
    /// What takes it back; none when it cannot or need not be.
    pub fn undo(&self) -> Option<Self> {
        Some(match self {
            Self::LinkSet { link, set, was } => {
                let mut link = link.clone();
                if let LinkSet::Name { name, .. } = set {
                    link.name = name.clone();
                }
                Self::LinkSet { link, set: was.clone(), was: set.clone() }
            }
            Self::LinkAdd { name, .. } => {
                Self::LinkDelete { link: LinkRef { index: None, name: name.clone() } }
            }
            Self::AddressDelete { link, address } => {
                Self::AddressAdd { link: link.clone(), address: address.clone() }
            }
            Self::AddressAdd { link, address } => {
                Self::AddressDelete { link: link.clone(), address: address.clone() }
            }
            Self::AddressChange { link, address, was } => {
                let (link, address, was) = (link.clone(), was.clone(), address.clone());
                Self::AddressChange { link, address, was }
            }
            Self::RouteAdd { route } | Self::RouteInsert { route, .. } => {
                Self::RouteDelete { route: route.clone(), again: route.clone() }
            }
            Self::RouteReplace { route, was } => {
                Self::RouteReplace { route: was.clone(), was: route.clone() }
            }
            // Another route with the same key may have stayed.
            Self::RouteDelete { again, .. } => {
                Self::RouteInsert { route: again.clone(), first: true }
            }
            Self::NeighbourAdd { link, neighbour } => {
                Self::NeighbourDelete { link: link.clone(), neighbour: neighbour.clone() }
            }
            Self::NeighbourDelete { link, neighbour } => {
                Self::NeighbourAdd { link: link.clone(), neighbour: neighbour.clone() }
            }
            Self::ProxyAdd { link, address } => {
                Self::ProxyDelete { link: link.clone(), address: *address }
            }
            Self::ProxyDelete { link, address } => {
                Self::ProxyAdd { link: link.clone(), address: *address }
            }
            Self::Sysctl { sysctl, value, was: Some(was) } => Self::Sysctl {
                sysctl: sysctl.clone(),
                value: was.clone(),
                was: Some(value.clone()),
            },
            Self::VlanAdd { link, vlans, was: Some(was) } => {
                Self::VlanAdd { link: link.clone(), vlans: *was, was: Some(*vlans) }
            }
            Self::VlanAdd { link, vlans, was: None } => {
                Self::VlanDelete { link: link.clone(), vlans: *vlans }
            }
            Self::VlanDelete { link, vlans } => {
                Self::VlanAdd { link: link.clone(), vlans: *vlans, was: None }
            }
            Self::PortSet { link, set, was } => {
                Self::PortSet { link: link.clone(), set: was.clone(), was: set.clone() }
            }
            Self::OvsPortAdd(port) => {
                Self::OvsPortDelete { name: port.name.clone(), was: Some(port.clone()) }
            }
            Self::OvsPortSet { port, was } => {
                Self::OvsPortSet { port: was.clone(), was: port.clone() }
            }
            Self::OvsPortDelete { was: Some(was), .. } => Self::OvsPortAdd(was.clone()),
            Self::IptablesInsert(rule) => Self::IptablesDelete(rule.clone()),
            Self::IptablesDelete(rule) => Self::IptablesInsert(rule.clone()),
            Self::Nft { batch, undo } => Self::Nft { batch: undo.clone(), undo: batch.clone() },
            Self::FileWrite { path, text, was: None } => {
                Self::FileDelete { path: path.clone(), was: text.clone() }
            }
            Self::FileWrite { path, text, was: Some(was) } => {
                Self::FileWrite { path: path.clone(), text: was.clone(), was: Some(text.clone()) }
            }
            Self::FileDelete { path, was } => {
                Self::FileWrite { path: path.clone(), text: was.clone(), was: None }
            }
            Self::StoreWrite { path, value, was: None } => {
                Self::StoreRemove { path: path.clone(), was: value.clone().into() }
            }
            Self::StoreWrite { path, value, was: Some(was) } => Self::StoreWrite {
                path: path.clone(),
                value: String::from_utf8_lossy(was).into_owned(),
                was: Some(value.clone().into()),
            },
            Self::StoreRemove { path, was } => Self::StoreWrite {
                path: path.clone(),
                value: String::from_utf8_lossy(was).into_owned(),
                was: None,
            },
            Self::LinkDelete { .. }
            | Self::Hook(_)
            | Self::FdbLearn { .. }
            | Self::Announce { .. }
            | Self::OvsAnnounce { .. }
            | Self::Sysctl { was: None, .. }
            | Self::OvsPortDelete { was: None, .. }
            | Self::OvnWait { .. } => return None,
        })
    }
}
