use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use super::{HostRoute, IptablesRule};
use crate::types::{
    Address, IfName, LinkKind, LinkRef, LinkSet, MacAddr, Mtu, Neighbour, NftBatch, OvsPort,
    PortSet, Sysctl, VlanId, VlanRange,
};

/// One step, with what is needed to take it back. Prints as one line in the words of `ip`, `nft` and `xenstore-write`.
///
/// Each is a single request: a netlink request of several attributes is not atomic (the kernel keeps what came before
/// the one that failed), so a change that could fail halfway would leave nobody knowing where.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// `ip link set dev NAME ...`
    LinkSet {
        /// The interface.
        link: LinkRef,
        /// What it shall be.
        set: LinkSet,
        /// What it was.
        was: LinkSet,
    },
    /// `ip link add NAME type KIND`
    LinkAdd {
        /// The new interface's name.
        name: IfName,
        /// Its kind and settings.
        kind: LinkKind,
        /// Its hardware address, pinned: a bridge with one does not take its ports'.
        mac: Option<MacAddr>,
        /// Its MTU; none leaves it to the kernel.
        mtu: Option<Mtu>,
    },
    /// `ip link delete dev NAME`. Cannot be taken back, so it stands last in its plan.
    LinkDelete {
        /// The interface.
        link: LinkRef,
    },
    /// `ip address delete ADDRESS dev NAME`
    AddressDelete {
        /// The interface.
        link: LinkRef,
        /// The address, with all that is needed to put it back.
        address: Address,
    },
    /// `ip address add ADDRESS dev NAME`
    AddressAdd {
        /// The interface.
        link: LinkRef,
        /// The address.
        address: Address,
    },
    /// `ip address change ADDRESS dev NAME`: other flags, on an address that stays in use.
    AddressChange {
        /// The interface.
        link: LinkRef,
        /// The address as it shall be.
        address: Address,
        /// The address as it was.
        was: Address,
    },
    /// `ip route add ROUTE`
    RouteAdd {
        /// The route.
        route: HostRoute,
    },
    /// `ip route prepend ROUTE` or `ip route append ROUTE`: before or after other routes with the same key.
    RouteInsert {
        /// The route.
        route: HostRoute,
        /// Whether it comes before the others.
        first: bool,
    },
    /// `ip route replace ROUTE`: packets have a route all the time.
    RouteReplace {
        /// The route.
        route: HostRoute,
        /// The one to the same destination, with the same metric, in the same table, that it takes the place of.
        was: HostRoute,
    },
    /// `ip route delete ROUTE`
    RouteDelete {
        /// The route.
        route: HostRoute,
        /// What takes it back: itself, or a stand-in for one that only the kernel can make.
        again: HostRoute,
    },
    /// `ip neighbour replace ADDRESS lladdr MAC dev NAME nud permanent`, or a proxy entry that is not xennet's own
    NeighbourAdd {
        /// The interface.
        link: LinkRef,
        /// The neighbour.
        neighbour: Neighbour,
    },
    /// `ip neighbour delete ADDRESS dev NAME`
    NeighbourDelete {
        /// The interface.
        link: LinkRef,
        /// The neighbour, with all that is needed to put it back.
        neighbour: Neighbour,
    },
    /// `ip neighbour add proxy ADDRESS dev NAME`
    ProxyAdd {
        /// The interface on which to answer.
        link: LinkRef,
        /// The address to answer for.
        address: IpAddr,
    },
    /// `ip neighbour delete proxy ADDRESS dev NAME`
    ProxyDelete {
        /// The interface.
        link: LinkRef,
        /// The address.
        address: IpAddr,
    },
    /// `sysctl -w SETTING=VALUE`
    Sysctl {
        /// The setting.
        sysctl: Sysctl,
        /// What it shall be.
        value: String,
        /// What it was; none when its interface is yet to be made, and goes with all its settings.
        was: Option<String>,
    },
    /// `bridge vlan add dev NAME vid FIRST-LAST [pvid] [untagged]`
    VlanAdd {
        /// The port.
        link: LinkRef,
        /// The VLANs, and how the port shall be in them.
        vlans: VlanRange,
        /// How it was in the same VLANs; none when it was not.
        was: Option<VlanRange>,
    },
    /// `bridge vlan del dev NAME vid FIRST-LAST`
    VlanDelete {
        /// The port.
        link: LinkRef,
        /// The VLANs, and how the port was in them.
        vlans: VlanRange,
    },
    /// `ip link set dev NAME type bridge_slave ...`
    PortSet {
        /// The port.
        link: LinkRef,
        /// What it shall be.
        set: PortSet,
        /// What it was.
        was: PortSet,
    },
    /// `ovs-vsctl add-port BRIDGE NAME ...`
    OvsPortAdd(OvsPort),
    /// `ovs-vsctl set Port NAME ... -- set Interface NAME ...`
    OvsPortSet {
        /// The port as it shall be.
        port: OvsPort,
        /// The port as it was.
        was: OvsPort,
    },
    /// `ovs-vsctl del-port NAME`
    OvsPortDelete {
        /// The port.
        name: IfName,
        /// The port that worked until then; none for one that did not, or that is not wanted back.
        was: Option<OvsPort>,
    },
    /// `ovs-vsctl wait-until Interface NAME external_ids:ovn-installed=true`
    OvnWait {
        /// The port.
        name: IfName,
        /// How long to wait, in seconds.
        seconds: u32,
    },
    /// `iptables -I FORWARD ...`
    IptablesInsert(IptablesRule),
    /// `iptables -D FORWARD ...`
    IptablesDelete(IptablesRule),
    /// `nft -f`: all its commands, or none.
    Nft {
        /// What to do.
        batch: NftBatch,
        /// What takes it back.
        undo: NftBatch,
    },
    /// `echo TEXT >FILE`: what another program is told. Whoever reads it finds the old text or the new one.
    FileWrite {
        /// The file.
        path: PathBuf,
        /// What it shall say.
        text: String,
        /// What it said; none when it was not there.
        was: Option<String>,
    },
    /// `rm FILE`
    FileDelete {
        /// The file.
        path: PathBuf,
        /// What it said.
        was: String,
    },
    /// `bridge fdb replace MAC dev NAME master use dynamic`: as if the guest had spoken, wherever it was before.
    FdbLearn {
        /// The port.
        link: LinkRef,
        /// The guest's address.
        mac: MacAddr,
    },
    /// Says in the guest's name to all behind an interface that it is here now.
    Announce {
        /// The interface.
        link: LinkRef,
        /// The guest's address.
        mac: MacAddr,
        /// The VLAN that it is in there, where its frames leave with a tag.
        vlan: Option<VlanId>,
    },
    /// `ovs-ofctl packet-out BRIDGE in_port=NAME ...`: the same in Open vSwitch, as if it came from the guest.
    OvsAnnounce {
        /// The port.
        name: IfName,
        /// The guest's address.
        mac: MacAddr,
    },
    /// Runs an administrator's hook.
    Hook(Hook),
    /// `xenstore-write PATH VALUE`
    StoreWrite {
        /// Where; relative to this domain unless it begins with `/`.
        path: String,
        /// The new value.
        value: String,
        /// The old one, where there was one.
        was: Option<Vec<u8>>,
    },
    /// `xenstore-rm PATH`
    StoreRemove {
        /// Where; relative to this domain unless it begins with `/`.
        path: String,
        /// The value it had.
        was: Vec<u8>,
    },
}

/// An executable of the administrator's and what it is told in its environment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hook {
    /// The executable.
    pub path: PathBuf,
    /// Names and values: `command`, `dev`, `main_ip`, `ip`, `XENBUS_PATH`.
    pub variables: Vec<(&'static str, String)>,
}

impl Change {
    /// Whether the kernel (a file is the kernel's, too) or Open vSwitch carries it out, so that it can be read back.
    pub fn is_kernel(&self) -> bool {
        !matches!(
            self,
            Self::Hook(_)
                | Self::StoreWrite { .. }
                | Self::StoreRemove { .. }
                | Self::FdbLearn { .. }
                | Self::Announce { .. }
                | Self::OvsAnnounce { .. }
        )
    }

    /// Whether it only tells the network where a guest is.
    pub(crate) fn is_announcement(&self) -> bool {
        matches!(self, Self::FdbLearn { .. } | Self::Announce { .. } | Self::OvsAnnounce { .. })
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LinkSet { link, set: LinkSet::Token(token), .. } => {
                write!(f, "token set {token} dev {}", link.name)
            }
            Self::LinkSet { link, set, .. } => write!(f, "link set dev {} {set}", link.name),
            Self::LinkAdd { name, kind, mac, mtu } => {
                write!(f, "link add {name}")?;
                if let LinkKind::Vlan(vlan) = kind {
                    write!(f, " link {}", vlan.link.name)?;
                }
                if let Some(mac) = mac {
                    write!(f, " address {mac}")?;
                }
                if let Some(mtu) = mtu {
                    write!(f, " mtu {mtu}")?;
                }
                write!(f, " type {kind}")
            }
            Self::LinkDelete { link } => write!(f, "link delete dev {}", link.name),
            Self::AddressDelete { link, address } => {
                write!(f, "address delete {address} dev {}", link.name)
            }
            Self::AddressAdd { link, address } => {
                write!(f, "address add {address} dev {}", link.name)
            }
            Self::AddressChange { link, address, .. } => {
                write!(f, "address change {address} dev {}", link.name)
            }
            Self::RouteAdd { route } => write!(f, "route add {route}"),
            Self::RouteInsert { route, first: true } => write!(f, "route prepend {route}"),
            Self::RouteInsert { route, first: false } => write!(f, "route append {route}"),
            Self::RouteReplace { route, .. } => write!(f, "route replace {route}"),
            Self::RouteDelete { route, .. } => write!(f, "route delete {route}"),
            Self::NeighbourAdd { link, neighbour } => {
                write!(f, "neighbour replace {neighbour} dev {} nud permanent", link.name)
            }
            Self::NeighbourDelete { link, neighbour } => {
                let proxy = if neighbour.proxy { "proxy " } else { "" };
                write!(f, "neighbour delete {proxy}{} dev {}", neighbour.address, link.name)
            }
            Self::ProxyAdd { link, address } => {
                write!(f, "neighbour add proxy {address} dev {}", link.name)
            }
            Self::ProxyDelete { link, address } => {
                write!(f, "neighbour delete proxy {address} dev {}", link.name)
            }
            Self::Sysctl { sysctl, value, .. } => write!(f, "sysctl -w {sysctl}={value}"),
            Self::VlanAdd { link, vlans, .. } => {
                write!(f, "vlan add dev {} vid {}", link.name, ids(*vlans))?;
                f.write_str(if vlans.pvid { " pvid" } else { "" })?;
                f.write_str(if vlans.untagged { " untagged" } else { "" })
            }
            Self::VlanDelete { link, vlans } => {
                write!(f, "vlan del dev {} vid {}", link.name, ids(*vlans))
            }
            Self::PortSet { link, set, .. } => {
                write!(f, "link set dev {} type bridge_slave {set}", link.name)
            }
            Self::OvsPortAdd(port) => write!(f, "ovs-vsctl {port}"),
            Self::OvsPortSet { port, .. } => {
                write!(f, "ovs-vsctl set Port {} {}", port.name, port.columns())
            }
            Self::OvsPortDelete { name, .. } => write!(f, "ovs-vsctl del-port {name}"),
            Self::OvnWait { name, .. } => {
                write!(f, "ovs-vsctl wait-until Interface {name} external_ids:ovn-installed=true")
            }
            Self::IptablesInsert(rule) => f.write_str(&rule.command("-I").join(" ")),
            Self::IptablesDelete(rule) => f.write_str(&rule.command("-D").join(" ")),
            Self::Nft { batch, .. } => write!(f, "nft {batch}"),
            Self::FileWrite { path, text, .. } => {
                write!(f, "echo {} >{}", text.trim_end(), path.display())
            }
            Self::FileDelete { path, .. } => write!(f, "rm {}", path.display()),
            Self::FdbLearn { link, mac } => {
                write!(f, "fdb replace {mac} dev {} master use dynamic", link.name)
            }
            Self::Announce { link, mac, vlan } => {
                write!(f, "announce {mac} on {}", link.name)?;
                vlan.map_or(Ok(()), |vlan| write!(f, " vlan {vlan}"))
            }
            Self::OvsAnnounce { name, mac } => write!(f, "announce {mac} as from {name}"),
            Self::Hook(hook) => write!(f, "run {}", hook.path.display()),
            Self::StoreWrite { path, value, .. } => write!(f, "xenstore-write {path} {value}"),
            Self::StoreRemove { path, .. } => write!(f, "xenstore-rm {path}"),
        }
    }
}

fn ids(vlans: VlanRange) -> String {
    if vlans.first == vlans.last {
        vlans.first.to_string()
    } else {
        format!("{}-{}", vlans.first, vlans.last)
    }
}
