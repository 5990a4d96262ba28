use std::collections::{BTreeMap, VecDeque};

use super::super::wire::{self, Op, PAYLOAD_MAX, Packet};
use super::payload::{OK, Result, absolute, directory_of, text, two};
use super::transaction::Transaction;

/// What the store keeps for a client.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) domid: u16,
    watches: Vec<Watch>,
    pub(super) transactions: BTreeMap<u32, Transaction>,
    next_transaction: u32,
    pub(super) mail: VecDeque<Packet>,
}

#[derive(Debug)]
struct Watch {
    /// Absolute, or special as `@releaseDomain`.
    path: String,
    token: Vec<u8>,
    /// Whether the client named it, and is told of it, relative to its own directory.
    relative: bool,
}

impl Client {
    pub(super) fn new(domid: u16) -> Self {
        Self {
            domid,
            watches: Vec::new(),
            transactions: BTreeMap::new(),
            next_transaction: 1,
            mail: VecDeque::new(),
        }
    }

    /// Forgets its watches and transactions.
    pub(super) fn reset(&mut self) {
        self.watches.clear();
        self.transactions.clear();
    }

    pub(super) fn watch(&mut self, payload: &[u8]) -> Result<Vec<u8>> {
        let (path, token) = two(payload)?;
        let special = path.starts_with(b"@") && path.len() <= wire::RELATIVE_PATH_MAX;
        let absolute = if special { text(path)?.to_owned() } else { absolute(path, self.domid)? };
        if self.watches.iter().any(|watch| watch.path == absolute && watch.token == token) {
            return Err(libc::EEXIST);
        }
        let relative = !special && !path.starts_with(b"/");
        self.watches.push(Watch { path: absolute, token: token.to_vec(), relative });
        Ok(OK.into())
    }

    pub(super) fn unwatch(&mut self, payload: &[u8]) -> Result<Vec<u8>> {
        let (path, token) = two(payload)?;
        let path = match path.first() {
            Some(b'@' | b'/') => text(path)?.to_owned(),
            _ => format!("{}/{}", directory_of(self.domid), text(path)?),
        };
        let same = |watch: &Watch| watch.path == path && watch.token == token;
        let index = self.watches.iter().position(same).ok_or(libc::ENOENT)?;
        self.watches.remove(index);
        Ok(OK.into())
    }

    pub(super) fn start_transaction(&mut self, within: u32) -> Result<Vec<u8>> {
        if within != 0 {
            return Err(libc::EBUSY);
        }
        while self.next_transaction == 0 || self.transactions.contains_key(&self.next_transaction) {
            self.next_transaction = self.next_transaction.wrapping_add(1);
        }
        let id = self.next_transaction;
        self.next_transaction = id.wrapping_add(1);
        self.transactions.insert(id, Transaction::default());
        Ok(format!("{id}\0").into_bytes())
    }

    /// A watch is told of once as soon as it is set.
    pub(super) fn tell_of_newest_watch(&mut self) {
        if let Some(watch) = self.watches.last() {
            self.mail.extend(watch.event(self.domid, &watch.path));
        }
    }

    pub(super) fn tell(&mut self, path: &str, exact: bool) {
        for watch in &self.watches {
            let below = |rest: &str| rest.is_empty() || (!exact && rest.starts_with('/'));
            let wanted = (watch.path == "/" && !exact && path.starts_with('/'))
                || path.strip_prefix(watch.path.as_str()).is_some_and(below);
            // What the client has not taken yet it need not be told twice; special events count.
            if wanted
                && let Some(event) = watch.event(self.domid, path)
                && (path.starts_with('@') || !self.mail.contains(&event))
            {
                self.mail.push_back(event);
            }
        }
    }
}

impl Watch {
    /// What the client is sent; nothing when it is too long to be sent.
    fn event(&self, domid: u16, path: &str) -> Option<Packet> {
        let path = match path.strip_prefix(&directory_of(domid)) {
            Some(rest) if self.relative => rest.strip_prefix('/').unwrap_or(rest),
            _ => path,
        };
        let payload = [path.as_bytes(), b"\0", &self.token, b"\0"].concat();
        let fits = payload.len() <= PAYLOAD_MAX;
        fits.then_some(Packet { op: Op::WATCH_EVENT, req_id: 0, tx_id: 0, payload })
    }
}
