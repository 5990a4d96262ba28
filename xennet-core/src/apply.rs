//! The only step with effects: makes the changes of a plan, and takes them back when one fails.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::kernel::{self, Kernel, Nftables};
use crate::ovsdb::{self, Ovsdb};
use crate::plan::{Change, Hook, HostRoute, IptablesRule};
use crate::types::{Link, LinkRef, LinkSet, Route};
use crate::xenstore::XenStore;
use crate::{Dom0Network, Error, dhcp};

/// How long all hooks together may take. libxl kills a hotplug script after 40 seconds, and then nobody learns why.
const HOOK_TIME: Duration = Duration::from_secs(20);

/// Makes changes and remembers them until they are kept.
#[derive(Debug)]
pub(crate) struct Apply<'a> {
    kernel: &'a mut Kernel,
    nft: &'a mut Option<Nftables>,
    ovs: &'a mut Option<Ovsdb>,
    ovs_socket: PathBuf,
    store: Option<&'a mut XenStore>,
    done: Vec<Cow<'a, Change>>,
    /// What the last change of all has made of its interface, where the kernel has told that.
    shown: Option<Link>,
    /// When the first hook was started.
    hooks_began: Option<Instant>,
    deadline: Instant,
}

impl<'a> Apply<'a> {
    pub(crate) fn new(net: &'a mut Dom0Network, deadline: Instant) -> Self {
        let ovs_socket = net.ovs_socket().to_owned();
        Self {
            kernel: &mut net.kernel,
            nft: &mut net.nft,
            ovs: &mut net.ovs,
            ovs_socket,
            store: net.store.as_mut(),
            done: Vec::new(),
            shown: None,
            hooks_began: None,
            deadline,
        }
    }

    /// Makes the changes in order, up to the first that fails.
    pub(crate) fn run(
        &mut self,
        changes: impl IntoIterator<Item = &'a Change>,
    ) -> Result<(), Error> {
        let mut changes = changes.into_iter().peekable();
        while let Some(change) = changes.next() {
            let next = changes.peek().copied().filter(|next| together(change, next).is_some());
            if let Some(next) = next.filter(|next| self.make_both(change, next)) {
                self.done.extend([change, next].map(Cow::Borrowed));
                changes.next();
                continue;
            }
            // One by one, and then it shows which of them is refused.
            if let Err(error) = self.make(change) {
                // Of two that were tried together, the other may have been made.
                next.into_iter().chain([change]).for_each(|change| self.restore(change));
                return Err(error);
            }
            self.done.push(Cow::Borrowed(change));
        }
        Ok(())
    }

    /// Makes as many of the changes as possible; the first error is returned when all have been tried.
    pub(crate) fn run_all<'c>(
        &mut self,
        changes: impl IntoIterator<Item = &'c Change>,
    ) -> Result<(), Error> {
        self.all(changes, Self::make)
    }

    fn all<'c>(
        &mut self,
        changes: impl IntoIterator<Item = &'c Change>,
        mut make: impl FnMut(&mut Self, &Change) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut first = Ok(());
        for change in changes {
            match make(self, change) {
                // What is gone needs no taking down.
                Err(error) if !is_gone(&error) => {
                    first = first.and(Err(error));
                }
                _ => {}
            }
        }
        first
    }

    /// Takes everything back, last change first. The first error stays the one that is reported.
    pub(crate) fn undo(mut self, first: Error) -> Error {
        let undone: Vec<Change> = std::mem::take(&mut self.done)
            .iter()
            .rev()
            .filter_map(|change| change.undo())
            .collect();
        let mut unguarded = false;
        let mut all = self.all(&undone, |this, change| {
            // What could not be held again to what it was held to does not come up again either.
            if unguarded && matches!(change, Change::LinkSet { set: LinkSet::Up(true), .. }) {
                return Ok(());
            }
            let done = this.take_back(change);
            unguarded |= done.is_err() && matches!(change, Change::Nft { .. });
            done
        });
        // Open vSwitch gives a device that it lets go of the flags that it last knew of it, and UP may be one of them.
        if undone.iter().any(|change| matches!(change, Change::OvsPortDelete { .. })) {
            let up =
                |change: &&Change| matches!(change, Change::LinkSet { set: LinkSet::Up(_), .. });
            let last = undone.iter().rfind(up);
            let down = |change: &&Change| {
                matches!(change, Change::LinkSet { set: LinkSet::Up(false), .. })
            };
            all = all.and(self.run_all(last.filter(down)));
        }
        match all {
            Ok(()) => first,
            Err(undo) => Error::HalfUndone { first: Box::new(first), undo: Box::new(undo) },
        }
    }

    /// The changes that were made, for whoever decides later whether they stay.
    pub(crate) fn into_done(self) -> Vec<Change> {
        self.done.into_iter().map(Cow::into_owned).collect()
    }

    /// Takes up changes that were made before.
    pub(crate) fn resume(net: &'a mut Dom0Network, done: Vec<Change>, deadline: Instant) -> Self {
        Self { done: done.into_iter().map(Cow::Owned).collect(), ..Self::new(net, deadline) }
    }

    pub(crate) fn kernel(&mut self) -> &mut Kernel {
        self.kernel
    }

    /// The interface with this index as it is now, or none.
    pub(crate) fn link_at(&mut self, index: u32) -> Result<Option<Link>, kernel::Error> {
        match self.shown.take().filter(|link| link.index == index) {
            Some(link) => Ok(Some(link)),
            None => self.kernel.link_at(index),
        }
    }

    pub(crate) fn ovs(&mut self) -> Result<&mut Ovsdb, ovsdb::Error> {
        ovs(self.ovs, &self.ovs_socket)
    }

    /// A refused setting may still have had an effect: a port that cannot join a bridge has left its old one, and of a
    /// request without an answer nobody knows.
    fn restore(&mut self, refused: &Change) {
        // Nothing else: undoing a refused `link add` would delete what was in its way.
        let setting = matches!(
            refused,
            Change::LinkSet { .. }
                | Change::AddressChange { .. }
                | Change::AddressDelete { .. }
                | Change::NeighbourDelete { .. }
                | Change::RouteDelete { .. }
                | Change::RouteReplace { .. }
                | Change::Sysctl { .. }
                | Change::VlanAdd { .. }
                | Change::VlanDelete { .. }
                | Change::PortSet { .. }
                | Change::OvsPortSet { .. }
                | Change::OvsPortDelete { .. }
        );
        if let Some(undo) = refused.undo().filter(|_| setting) {
            let _ = self.take_back(&undo);
        }
    }

    /// Makes a change that takes another one back.
    fn take_back(&mut self, undo: &Change) -> Result<(), Error> {
        match undo {
            Change::OvsPortAdd(port) => {
                let deadline = self.deadline;
                Ok(self.ovs()?.port_restore(port, deadline)?)
            }
            undo => self.make(undo),
        }
    }

    /// Makes two changes in one request; false where they do not go [`together`], or when that is refused.
    fn make_both(&mut self, one: &Change, other: &Change) -> bool {
        self.shown = None;
        together(one, other)
            .is_some_and(|(link, sets)| self.kernel.link_set_all(link, &sets).is_ok())
    }

    fn make(&mut self, change: &Change) -> Result<(), Error> {
        self.shown = None;
        let done = match change {
            Change::LinkSet { link, set, .. } => self.link_set(link, set),
            Change::LinkAdd { name, kind, mac, mtu } => {
                self.kernel.link_add(name, kind, *mac, *mtu)
            }
            Change::LinkDelete { link } => self.kernel.link_delete(link),
            Change::AddressDelete { link, address } => {
                match self.kernel.address_delete(link, address) {
                    // An IPv4 one may have gone with another of its network.
                    Err(error) if error.errno() == libc::EADDRNOTAVAIL => Ok(()),
                    outcome => outcome,
                }
            }
            Change::AddressAdd { link, address } => match self.kernel.address_add(link, address) {
                // A link that comes up makes its link-local one itself.
                Err(error) if error.errno() == libc::EEXIST => Ok(()),
                outcome => outcome,
            },
            Change::AddressChange { link, address, .. } => {
                self.kernel.address_change(link, address)
            }
            Change::RouteAdd { route } => {
                self.resolve(route).and_then(|route| self.kernel.route_add(&route))
            }
            Change::RouteReplace { route, .. } => {
                self.resolve(route).and_then(|route| self.kernel.route_replace(&route))
            }
            Change::RouteDelete { route, .. } => {
                match self.resolve(route).and_then(|route| self.kernel.route_delete(&route)) {
                    // It expired, or went with its interface.
                    Err(error) if error.errno() == libc::ESRCH => Ok(()),
                    outcome => outcome,
                }
            }
            Change::NeighbourAdd { link, address, mac } => {
                self.kernel.neighbour_replace(link, *address, *mac)
            }
            Change::NeighbourDelete { link, address, .. } => {
                self.kernel.neighbour_delete(link, *address)
            }
            Change::ProxyAdd { link, address } => self.kernel.proxy_add(link, *address),
            Change::ProxyDelete { link, address } => self.kernel.proxy_delete(link, *address),
            Change::Sysctl { sysctl, value, .. } => kernel::sysctl_set(sysctl, value),
            Change::VlanAdd { link, vlans, .. } => self.kernel.vlan_add(link, *vlans),
            Change::VlanDelete { link, vlans } => self.kernel.vlan_delete(link, *vlans),
            Change::PortSet { link, set, .. } => self.kernel.port_set(link, set),
            Change::FdbLearn { link, mac } => self.kernel.fdb_learn(link, *mac),
            Change::Announce { link, mac, vlan } => {
                match self.kernel.announce(link, *mac, *vlan) {
                    // It went down meanwhile, and nobody is behind it.
                    Err(error) if error.errno() == libc::ENETDOWN => Ok(()),
                    outcome => outcome,
                }
            }
            Change::OvsAnnounce { name, mac } => {
                let dir = self.ovs_socket.parent().map(Path::to_owned).unwrap_or_default();
                return Ok(self.ovs()?.announce(name, *mac, &dir)?);
            }
            Change::OvsPortAdd(port) => {
                let deadline = self.deadline;
                return Ok(self.ovs()?.port_add(port, deadline)?);
            }
            Change::OvsPortSet { port, .. } => {
                let deadline = self.deadline;
                return Ok(self.ovs()?.port_set(port, deadline)?);
            }
            Change::OvsPortDelete { name, .. } => {
                let deadline = self.deadline;
                return Ok(self.ovs()?.port_delete(name, deadline)?);
            }
            Change::OvnWait { name, seconds } => {
                let wait = Duration::from_secs((*seconds).into());
                let deadline = self.deadline.min(Instant::now() + wait);
                return Ok(self.ovs()?.wait_installed(name, deadline)?);
            }
            Change::IptablesInsert(rule) => return iptables(&rule.command("-I")),
            Change::IptablesDelete(rule) => return iptables(&rule.command("-D")),
            Change::Nft { batch, .. } => match nft(self.nft)?.apply(batch) {
                // Planned for a ruleset that is another one by now: an element, or a table, has come or gone. Where the
                // kernel knew which one it was planned for, it has said so first.
                Err(error)
                    if error.errno() == libc::EAGAIN
                        || batch.generation.is_none()
                            && [libc::ENOENT, libc::EEXIST].contains(&error.errno()) =>
                {
                    return Err(Error::Overtaken(error));
                }
                outcome => return Ok(outcome?),
            },
            Change::FileWrite { path, text, was } => return dhcp::write(path, text, was.is_none()),
            Change::FileDelete { path, .. } => return dhcp::delete(path),
            Change::Hook(hook) => {
                let began = self.hooks_began.get_or_insert_with(Instant::now);
                return run_hook(hook, self.deadline.min(*began + HOOK_TIME));
            }
            Change::StoreWrite { path, value, .. } => {
                return self.with_store(|store| store.write(path, value.as_bytes()));
            }
            Change::StoreRemove { path, .. } => return self.with_store(|store| store.remove(path)),
        };
        // In the words of the plan, which knows the names: the kernel module has only the index.
        done.map_err(|error| error.doing(change.to_string()).into())
    }

    fn link_set(&mut self, link: &LinkRef, set: &LinkSet) -> Result<(), kernel::Error> {
        match set {
            LinkSet::Up(true) => {
                self.shown = self.kernel.link_set_and_show(link, set)?;
                Ok(())
            }
            LinkSet::AddrGenMode(_) => match self.kernel.link_set(link, set) {
                // A kernel without IPv6 makes no link-local address.
                Err(error) if error.errno() == libc::EAFNOSUPPORT => Ok(()),
                outcome => outcome,
            },
            _ => self.kernel.link_set(link, set),
        }
    }

    /// A route with the indices of its interfaces.
    fn resolve(&mut self, route: &HostRoute) -> Result<Route, kernel::Error> {
        route.resolve(|link| self.kernel.link_index(link))
    }

    fn with_store(
        &mut self,
        write: impl FnOnce(&mut XenStore) -> Result<(), crate::xenstore::Error>,
    ) -> Result<(), Error> {
        // Without XenStore there is nobody to tell, and plans then hold no such change.
        self.store.as_deref_mut().map_or(Ok(()), write).map_err(Error::from)
    }
}

/// Does something anew for as long as others change the ruleset of nftables under it; not for ever.
pub(crate) fn again_while_overtaken<T>(
    mut attempt: impl FnMut() -> Result<T, Error>,
) -> Result<T, Error> {
    // Of a thousand that are at it at once, one comes through each time.
    const ATTEMPTS: u32 = 1000;
    for _ in 1..ATTEMPTS {
        match attempt() {
            Err(Error::Overtaken(_)) => {}
            outcome => return outcome,
        }
    }
    attempt()
}

/// Two changes that one request may make. One without the other does no harm: a mode only says what address the link makes
/// itself when it is brought up.
fn together<'c>(one: &'c Change, other: &'c Change) -> Option<(&'c LinkRef, [&'c LinkSet; 2])> {
    match (one, other) {
        (
            Change::LinkSet { link, set: mode @ LinkSet::AddrGenMode(_), .. },
            Change::LinkSet { link: same, set: master @ LinkSet::Master(Some(_)), .. },
        ) if link == same => Some((link, [mode, master])),
        _ => None,
    }
}

/// Whether there is nothing more to be taken down: it is not there, or will not be when Open vSwitch comes to it.
fn is_gone(error: &Error) -> bool {
    match error {
        Error::Ovsdb(error) => {
            let kind = error.kind();
            matches!(kind, ovsdb::ErrorKind::NotApplied { .. } | ovsdb::ErrorKind::Absent { .. })
        }
        error => [libc::ENODEV, libc::ENOENT].contains(&error.errno()),
    }
}

/// The connection to Open vSwitch's database, once somebody needs it.
pub(crate) fn ovs<'a>(
    ovs: &'a mut Option<Ovsdb>,
    socket: &Path,
) -> Result<&'a mut Ovsdb, ovsdb::Error> {
    let open = ovs.take().filter(|open| !open.is_broken());
    Ok(ovs.insert(open.map_or_else(|| Ovsdb::connect(socket), Ok)?))
}

/// The connection to nftables, once somebody needs it.
pub(crate) fn nft(nft: &mut Option<Nftables>) -> Result<&mut Nftables, kernel::Error> {
    match nft {
        Some(open) => Ok(open),
        none => Ok(none.insert(Nftables::open()?)),
    }
}

/// Runs the `iptables` command, which waits for its own lock no longer than it was told.
fn iptables(command: &[String]) -> Result<(), Error> {
    let output = run(command)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', ", ");
    Err(Error::Command {
        command: command.join(" "),
        outcome: format!("{}: {said}", output.status),
    })
}

/// Whether a rule is there. `iptables -C`
pub(crate) fn iptables_has(rule: &IptablesRule) -> Result<bool, Error> {
    Ok(run(&rule.command("-C"))?.status.success())
}

fn run(command: &[String]) -> Result<Output, Error> {
    let (program, words) = command.split_first().expect("a command begins with its program");
    Command::new(program).args(words).stdin(Stdio::null()).output().map_err(|error| {
        let outcome =
            format!("cannot be run: {error}; install it, or drop firewall = \"iptables\"");
        Error::Command { command: command.join(" "), outcome }
    })
}

fn run_hook(hook: &Hook, deadline: Instant) -> Result<(), Error> {
    let failed = |outcome: String| Error::Hook { path: hook.path.clone(), outcome };
    let mut child = Command::new(&hook.path)
        .envs(hook.variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .spawn()
        .map_err(|error| failed(format!("cannot be run: {error}")))?;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(failed(format!("failed with {status}"))),
            Ok(None) if Instant::now() < deadline => sleep(Duration::from_millis(2)),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(failed(format!(
                    "was still running when the time for all hooks ({} s at most) was over, and was killed",
                    HOOK_TIME.as_secs()
                )));
            }
            Err(error) => return Err(failed(format!("cannot be waited for: {error}"))),
        }
    }
}
