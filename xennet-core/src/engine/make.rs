//! Makes one change: the only step with effects.

use std::path::Path;
use std::time::{Duration, Instant};

use super::command::{iptables, run_hook};
use super::dhcp;
use crate::Error;
use crate::connections::Connections;
use crate::kernel::{self, Kernel};
use crate::observe::LinksAhead;
use crate::plan::{Change, HostRoute};
use crate::types::{Address, IfName, Link, LinkRef, LinkSet, Route};

/// How long all hooks together may take. libxl kills a hotplug script after 40 seconds, and then no reason is reported.
const HOOK_TIME: Duration = Duration::from_secs(20);

/// How long Open vSwitch may take to release the device of a port that is deleted. It takes milliseconds.
const RELEASE_TIME: Duration = Duration::from_secs(2);

/// Interfaces, and the addresses of one.
type LinkAnswers = (Vec<Option<Link>>, Vec<Address>);

/// Makes changes until a deadline.
#[derive(Debug)]
pub(crate) struct Maker {
    deadline: Instant,
    /// When the first hook was started.
    hooks_began: Option<Instant>,
}

impl Maker {
    pub(crate) fn new(deadline: Instant) -> Self {
        Self { deadline, hooks_began: None }
    }

    /// Makes one change. The error is in the words of the plan, which knows the names.
    pub(crate) fn make(
        &mut self,
        connections: &mut Connections,
        change: &Change,
    ) -> Result<(), Error> {
        match change {
            Change::OvsAnnounce { name, mac } => {
                let dir = connections.ovs_socket().parent().map(Path::to_owned).unwrap_or_default();
                Ok(connections.ovs()?.announce(name, *mac, &dir)?)
            }
            Change::OvsPortAdd(port) => Ok(connections.ovs()?.port_add(port, self.deadline)?),
            Change::OvsPortSet { port, .. } => {
                Ok(connections.ovs()?.port_set(port, self.deadline)?)
            }
            Change::OvsPortDelete { name, .. } => {
                connections.ovs()?.port_delete(name, self.deadline)?;
                let deadline = self.deadline.min(Instant::now() + RELEASE_TIME);
                Ok(connections.kernel()?.wait_released(name, deadline)?)
            }
            Change::OvnWait { name, seconds } => {
                let wait = Duration::from_secs((*seconds).into());
                let deadline = self.deadline.min(Instant::now() + wait);
                Ok(connections.ovs()?.wait_installed(name, deadline)?)
            }
            Change::IptablesInsert(rule) => iptables(&rule.command("-I")),
            Change::IptablesDelete(rule) => iptables(&rule.command("-D")),
            Change::Nft { batch, .. } => match connections.nft()?.apply(batch) {
                // The ruleset changed since observe: an element or a table was added or deleted.
                Err(error)
                    if error.errno() == libc::EAGAIN
                        || batch.generation.is_none()
                            && [libc::ENOENT, libc::EEXIST].contains(&error.errno()) =>
                {
                    Err(Error::Overtaken(error))
                }
                outcome => Ok(outcome?),
            },
            Change::FileWrite { path, text, was } => dhcp::write(path, text, was.is_none()),
            Change::FileDelete { path, .. } => dhcp::delete(path),
            Change::Hook(hook) => {
                let began = self.hooks_began.get_or_insert_with(Instant::now);
                run_hook(hook, self.deadline.min(*began + HOOK_TIME))
            }
            change => {
                let done = connections.kernel().and_then(|kernel| rtnetlink(kernel, change));
                done.map_err(|error| error.doing(change.to_string()).into())
            }
        }
    }

    /// Makes settings of links in one `sendmsg`, and reads what is asked for `ahead` after them: the kernel goes on after an
    /// error in the middle.
    pub(crate) fn make_pipelined(
        &mut self,
        connections: &mut Connections,
        changes: &[Change],
        ahead: Option<&LinksAhead>,
    ) -> (Vec<Result<(), Error>>, Option<LinkAnswers>) {
        let sets = changes.iter().filter_map(|change| match change {
            Change::LinkSet { link, set, .. } => Some((link, set)),
            _ => None,
        });
        let sets: Vec<(&LinkRef, &LinkSet)> = sets.collect();
        let names: Vec<&IfName> = ahead.iter().flat_map(|ahead| &ahead.names).collect();
        let owner = ahead.map(|ahead| &ahead.owner);
        let made =
            connections.kernel().and_then(|kernel| kernel.set_and_read(&sets, &names, owner));
        let Ok((outcomes, answers)) = made else {
            // The group as a whole failed: one by one each has its own outcome.
            return (changes.iter().map(|change| self.make(connections, change)).collect(), None);
        };
        let one = |(outcome, change): (Result<(), kernel::Error>, &Change)| {
            accept(change, outcome).map_err(|error| error.doing(change.to_string()).into())
        };
        let outcomes = outcomes.into_iter().zip(changes).map(one).collect();
        (outcomes, answers.filter(|_| ahead.is_some()))
    }

    /// Makes a change that undoes another one.
    pub(crate) fn restore(
        &mut self,
        connections: &mut Connections,
        undo: &Change,
    ) -> Result<(), Error> {
        match undo {
            Change::OvsPortAdd(port) => Ok(connections.ovs()?.port_restore(port, self.deadline)?),
            Change::Nft { batch, .. } => match connections.nft()?.apply(batch) {
                // Part of it is gone, or was never made: the other parts are restored one by one.
                Err(error) if [libc::ENOENT, libc::EEXIST].contains(&error.errno()) => {
                    batch.singly().try_for_each(|one| match connections.nft()?.apply(&one) {
                        Err(error) if ![libc::ENOENT, libc::EEXIST].contains(&error.errno()) => {
                            Err(error.into())
                        }
                        _ => Ok(()),
                    })
                }
                outcome => Ok(outcome?),
            },
            Change::PortSet { .. } => match self.make(connections, undo) {
                // It is no port any more.
                Err(error) if error.errno() == libc::EOPNOTSUPP => Ok(()),
                outcome => outcome,
            },
            undo => self.make(connections, undo),
        }
    }
}

/// What rtnetlink and `/proc/sys` carry out.
fn rtnetlink(kernel: &mut Kernel, change: &Change) -> Result<(), kernel::Error> {
    let outcome = match change {
        Change::LinkSet { link, set, .. } => kernel.link_set(link, set),
        Change::LinkAdd { name, kind, mac, mtu } => kernel.link_add(name, kind, *mac, *mtu),
        Change::LinkDelete { link } => kernel.link_delete(link),
        Change::AddressDelete { link, address } => kernel.address_delete(link, address),
        Change::AddressAdd { link, address } => kernel.address_add(link, address),
        Change::AddressChange { link, address, .. } => kernel.address_change(link, address),
        Change::RouteAdd { route } => {
            resolve(kernel, route).and_then(|route| kernel.route_add(&route))
        }
        Change::RouteInsert { route, first } => {
            resolve(kernel, route).and_then(|route| kernel.route_insert(&route, *first))
        }
        Change::RouteReplace { route, .. } => {
            resolve(kernel, route).and_then(|route| kernel.route_replace(&route))
        }
        Change::RouteDelete { route, .. } => {
            resolve(kernel, route).and_then(|route| kernel.route_delete(&route))
        }
        Change::NeighbourAdd { link, neighbour } => kernel.neighbour_replace(link, neighbour),
        Change::NeighbourDelete { link, neighbour } if neighbour.proxy => {
            kernel.proxy_delete(link, neighbour.address)
        }
        Change::NeighbourDelete { link, neighbour } => {
            kernel.neighbour_delete(link, neighbour.address)
        }
        Change::ProxyAdd { link, address } => kernel.proxy_add(link, *address),
        Change::ProxyDelete { link, address } => kernel.proxy_delete(link, *address),
        Change::Sysctl { sysctl, value, .. } => kernel::sysctl_set(sysctl, value),
        Change::VlanAdd { link, vlans, .. } => kernel.vlan_add(link, *vlans),
        Change::VlanDelete { link, vlans } => kernel.vlan_delete(link, *vlans),
        Change::PortSet { link, set, .. } => kernel.port_set(link, set),
        Change::FdbLearn { link, mac } => kernel.fdb_learn(link, *mac),
        Change::Announce { link, mac, vlan } => kernel.announce(link, *mac, *vlan),
        _ => Ok(()),
    };
    accept(change, outcome)
}

/// Refusals that mean that the change is already true.
fn accept(change: &Change, outcome: Result<(), kernel::Error>) -> Result<(), kernel::Error> {
    let already = match change {
        // Another process deleted it.
        Change::LinkDelete { .. } => libc::ENODEV,
        // An IPv4 address may have gone with another one of its network.
        Change::AddressDelete { .. } => libc::EADDRNOTAVAIL,
        // A link that comes up makes its link-local address itself.
        Change::AddressAdd { .. } | Change::RouteInsert { .. } => libc::EEXIST,
        // It expired, or went with its interface.
        Change::RouteDelete { .. } => libc::ESRCH,
        // The link went down meanwhile, and no station is behind it.
        Change::Announce { .. } => libc::ENETDOWN,
        // A kernel without IPv6 makes no link-local address.
        Change::LinkSet { set: LinkSet::AddrGenMode(_) | LinkSet::Token(_), .. } => {
            libc::EAFNOSUPPORT
        }
        _ => return outcome,
    };
    match outcome {
        Err(error) if error.errno() == already => Ok(()),
        outcome => outcome,
    }
}

/// A route with the indices of its interfaces.
fn resolve(kernel: &mut Kernel, route: &HostRoute) -> Result<Route, kernel::Error> {
    route.resolve(|link| kernel.link_index(link))
}
