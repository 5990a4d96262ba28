//! Makes the changes of a plan, and undoes them when one fails.

use std::net::IpAddr;
use std::time::Instant;

use ipnet::IpNet;

use super::make::Maker;
use crate::connections::Connections;
use crate::kernel::{self, RouteFilter};
use crate::observe::LinksAhead;
use crate::plan::{Change, pipeline};
use crate::types::{Address, Link, LinkRef, LinkSet};
use crate::{Error, ovsdb};

/// Whether an operation is undone when a change fails, or goes on with the other changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strictness {
    /// All changes, or none. A deleted interface and the changes before it stay.
    AllOrNothing,
    /// As many changes as possible: for what must go, whatever is wrong with it.
    BestEffort,
}

/// The changes of one operation, remembered until they are kept or undone.
#[derive(Debug)]
pub(crate) struct Apply {
    strictness: Strictness,
    maker: Maker,
    /// The changes that were made, in order.
    pub(crate) made: Vec<Change>,
    /// What is to be undone: what was made or may have been made, in order, since an interface was last deleted.
    done: Vec<Change>,
    /// The changes of a best-effort operation that failed in its last attempt.
    pub(crate) failures: Vec<(Change, Error)>,
    /// The change that failed last.
    pub(crate) refused: Option<Change>,
    /// Whether the guard's elements stay while the port may pass frames.
    guards: bool,
    /// The answers that were read along with the last change of an interface in this run; none where another change than
    /// an nftables batch follows it.
    pub(crate) answers: Option<(Vec<Option<Link>>, Vec<Address>)>,
}

impl Apply {
    /// With `guards`, a best-effort run that cannot set a port down does not remove the port's guard.
    pub(crate) fn new(strictness: Strictness, deadline: Instant, guards: bool) -> Self {
        let maker = Maker::new(deadline);
        Self {
            strictness,
            maker,
            guards,
            made: Vec::new(),
            done: Vec::new(),
            failures: Vec::new(),
            refused: None,
            answers: None,
        }
    }

    /// Makes changes in order. A failure ends it, or is noted where the operation is best effort; what calls for a
    /// [retry](is_transient) always ends it.
    ///
    /// With `ahead`, the last change of an interface also reads what verification asks about interfaces.
    pub(crate) fn run(
        &mut self,
        connections: &mut Connections,
        changes: &[Change],
        ahead: Option<&LinksAhead>,
    ) -> Result<(), Error> {
        self.answers = None;
        let mut rest = changes;
        let (mut homeless, mut passes) = (Homeless::default(), false);
        while !rest.is_empty() {
            let (group, later) = rest.split_at(pipeline(rest));
            if let [one] = group
                && (self.guards && passes && matches!(one, Change::Nft { .. })
                    || homeless.keeps(connections, one))
            {
                let kept = Error::Kept(one.to_string());
                self.failures.push((one.clone(), kept));
                rest = later;
                continue;
            }
            // nftables batches do not change interfaces.
            let last = later.iter().all(|change| matches!(change, Change::Nft { .. }));
            let outcomes = match (group, ahead.filter(|_| last)) {
                ([one], None) => vec![self.maker.make(connections, one)],
                ([one], _) if !matches!(one, Change::LinkSet { .. }) => {
                    vec![self.maker.make(connections, one)]
                }
                (sets, ahead) => {
                    let (outcomes, answers) = self.maker.make_pipelined(connections, sets, ahead);
                    self.answers = answers;
                    outcomes
                }
            };
            let mut failure = None;
            for (change, outcome) in group.iter().zip(outcomes) {
                if outcome.as_ref().map_or_else(|error| leaves_traces(change, error), |()| true) {
                    self.done.push(change.clone());
                }
                if outcome.is_ok() {
                    self.made.push(change.clone());
                    // A deleted interface cannot be restored, so what moved its addresses elsewhere is not undone.
                    if matches!(change, Change::LinkDelete { .. }) {
                        self.done.clear();
                    }
                }
                if let Err(error) = outcome {
                    homeless.add(change);
                    passes |= is_down(change) && !is_gone(&error);
                    if failure.is_none() {
                        self.refused = Some(change.clone());
                        failure = Some(error);
                    }
                }
            }
            match failure {
                None => {}
                Some(error)
                    if self.strictness == Strictness::AllOrNothing || is_transient(&error) =>
                {
                    return Err(error);
                }
                // It is gone, or will be when Open vSwitch carries out the change.
                Some(error) if is_gone(&error) => self.made.extend(self.refused.take()),
                Some(error) => {
                    self.failures.extend(self.refused.take().map(|change| (change, error)));
                }
            }
            rest = later;
        }
        Ok(())
    }

    /// What [`undo`](Self::undo) would undo, if it is asked for.
    pub(crate) fn done(&self, wanted: bool) -> Vec<Change> {
        if wanted { self.done.clone() } else { Vec::new() }
    }

    /// Undoes the changes since an interface was last deleted, last change first. `first` stays the error that is reported.
    pub(crate) fn undo(mut self, connections: &mut Connections, first: Error) -> Error {
        let undos: Vec<Change> =
            std::mem::take(&mut self.done).iter().rev().filter_map(Change::undo).collect();
        let mut failure = None;
        let mut unguarded = false;
        let mut homeless = Homeless::default();
        for change in &undos {
            if homeless.keeps(connections, change) {
                continue;
            }
            // A port whose guard could not be restored stays down.
            if unguarded && matches!(change, Change::LinkSet { set: LinkSet::Up(true), .. }) {
                continue;
            }
            if let Err(error) = self.maker.restore(connections, change) {
                homeless.add(change);
                if !is_gone(&error) {
                    unguarded |= matches!(change, Change::Nft { .. });
                    failure.get_or_insert(error);
                }
            }
        }
        if let Err(error) = self.keep_down(connections, &undos) {
            failure.get_or_insert(error);
        }
        match failure {
            None => first,
            Some(undo) => Error::HalfUndone { first: Box::new(first), undo: Box::new(undo) },
        }
    }

    /// Open vSwitch restores a device's old flags when it releases it, and UP may be one of them.
    fn keep_down(&mut self, connections: &mut Connections, undos: &[Change]) -> Result<(), Error> {
        if !undos.iter().any(|change| matches!(change, Change::OvsPortDelete { .. })) {
            return Ok(());
        }
        let sets_up =
            |change: &&Change| matches!(change, Change::LinkSet { set: LinkSet::Up(_), .. });
        match undos.iter().rfind(sets_up) {
            Some(down @ Change::LinkSet { set: LinkSet::Up(false), .. }) => {
                match self.maker.make(connections, down) {
                    Err(error) if !is_gone(&error) => Err(error),
                    _ => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }
}

/// Addresses and routes of the host that could not be added where they belong: what removes the only other copy of one is
/// not done.
#[derive(Debug, Default)]
struct Homeless {
    addresses: Vec<IpAddr>,
    routes: Vec<IpNet>,
}

impl Homeless {
    /// Notes a change that failed.
    fn add(&mut self, change: &Change) {
        match change {
            Change::AddressAdd { address, .. } => self.addresses.push(address.address.addr()),
            Change::RouteAdd { route }
            | Change::RouteInsert { route, .. }
            | Change::RouteReplace { route, .. } => self.routes.push(route.route.destination),
            _ => {}
        }
    }

    /// Whether this change would remove such an address or route. An interface that cannot be observed is kept.
    fn keeps(&self, connections: &mut Connections, change: &Change) -> bool {
        if self.addresses.is_empty() && self.routes.is_empty() {
            return false;
        }
        match change {
            Change::AddressDelete { address, .. } => {
                self.addresses.contains(&address.address.addr())
            }
            Change::RouteDelete { route, .. } => self.routes.contains(&route.route.destination),
            Change::LinkDelete { link } => self.are_on(connections, link).unwrap_or(true),
            _ => false,
        }
    }

    fn are_on(&self, connections: &mut Connections, link: &LinkRef) -> Result<bool, kernel::Error> {
        let kernel = connections.kernel()?;
        let Some(link) = kernel.link(&link.name)?.map(|link| link.reference()) else {
            return Ok(false);
        };
        let on = kernel.addresses(&link)?;
        let routes = kernel.routes(RouteFilter { table: None, index: link.index })?;
        Ok(on.iter().any(|one| self.addresses.contains(&one.address.addr()))
            || routes.iter().any(|one| self.routes.contains(&one.destination)))
    }
}

fn is_down(change: &Change) -> bool {
    matches!(change, Change::LinkSet { set: LinkSet::Up(false) | LinkSet::Master(None), .. })
}

/// Whether the operation should observe again and go on from there: another writer came first, or the answer to a
/// request was lost.
pub(crate) fn is_transient(error: &Error) -> bool {
    match error {
        Error::Overtaken(_) => true,
        error => is_uncertain(error),
    }
}

/// Whether the change may have been made: its reply was lost.
pub(crate) fn is_uncertain(error: &Error) -> bool {
    match error {
        Error::Kernel(error) => error.is_uncertain(),
        Error::Ovsdb(error) => error.is_uncertain(),
        _ => false,
    }
}

/// Whether a change that failed may have had an effect that is to be undone.
///
/// A refused setting may: a port that cannot join a bridge has left its old one. Undoing a refused `link add` would
/// delete what was in its way.
fn leaves_traces(change: &Change, error: &Error) -> bool {
    is_uncertain(error)
        || matches!(
            change,
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
        )
}

/// Whether there is nothing left to remove: it does not exist, or will not when Open vSwitch carries out the change.
fn is_gone(error: &Error) -> bool {
    match error {
        Error::Ovsdb(error) => {
            let kind = error.kind();
            matches!(kind, ovsdb::ErrorKind::NotApplied { .. } | ovsdb::ErrorKind::Absent { .. })
        }
        error => [libc::ENODEV, libc::ENOENT].contains(&error.errno()),
    }
}
