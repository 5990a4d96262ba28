use std::net::IpAddr;

use ipnet::IpNet;

use crate::types::IfName;

/// Why a guest cannot have an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// A guest's address is in none of the networks that guests may have addresses in.
    #[error("ip {ip}: is in none of {}; correct ip=, or {place} in xennet.toml", nets(.networks))]
    NotAllowed {
        /// The address.
        ip: IpNet,
        /// The networks.
        networks: Vec<IpNet>,
        /// What says so.
        place: String,
    },

    /// There is no address left for a guest.
    #[error("{vif}: no address is free in {subnet}; set ip=, or a larger subnet in xennet.toml")]
    SubnetFull {
        /// The subnet.
        subnet: IpNet,
        /// The vif.
        vif: IfName,
    },

    /// A `[[nat]]`'s network is one that the host reaches otherwise.
    #[error(
        "nat {nat}: {subnet} overlaps {network}, which the host reaches by {link}; choose other subnets in xennet.toml"
    )]
    SubnetTaken {
        /// The `[[nat]]`.
        nat: String,
        /// Its subnet.
        subnet: IpNet,
        /// What the host reaches: a route's destination, or its gateway.
        network: IpNet,
        /// By which interface.
        link: IfName,
    },

    /// A guest's address has another owner: another guest, or the host itself.
    #[error("ip {ip}: {owner} has it already (route {route}); give {vif} another ip=")]
    Taken {
        /// The address.
        ip: IpNet,
        /// The vif.
        vif: IfName,
        /// Who has it.
        owner: String,
        /// The route that says so.
        route: String,
    },

    /// An address assigned to a guest of a `[[nat]]` belongs to another guest.
    #[error(
        "ip {ip}: {owner} has it already; give {vif} another ip=, or unplug the other one first"
    )]
    Assigned {
        /// The address.
        ip: IpAddr,
        /// Who has it.
        owner: String,
        /// The vif.
        vif: IfName,
    },

    /// The address that a guest gets where nobody says anything is of a network that the host has a route to.
    #[error(
        "{vif}: nobody says its address, and {ip}, which its number leads to, is not free: the host has the route \
         {route}; set ip=, or describe a network of the guests' own as [[nat]] in xennet.toml"
    )]
    NetworkTaken {
        /// The address.
        ip: IpAddr,
        /// The vif.
        vif: IfName,
        /// The host's route to there.
        route: String,
    },
}

impl AddressError {
    /// The errno that comes nearest.
    pub(super) fn errno(&self) -> i32 {
        match self {
            Self::NotAllowed { .. } => libc::EPERM,
            Self::SubnetFull { .. } => libc::ENOSPC,
            Self::Taken { .. }
            | Self::Assigned { .. }
            | Self::NetworkTaken { .. }
            | Self::SubnetTaken { .. } => libc::EADDRINUSE,
        }
    }
}

fn nets(networks: &[IpNet]) -> String {
    networks.iter().map(IpNet::to_string).collect::<Vec<_>>().join(", ")
}
