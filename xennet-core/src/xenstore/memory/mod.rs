//! A XenStore in memory: xenstored's tree, permissions, transactions and watches, fed packet by packet.
//!
//! It has no socket: [`Server`](super::Server) gives it one. It does as Xen's xenstored (4.17), except that it has no
//! quotas, does not remove a domain's nodes when the domain goes, tells of domains only to domain 0, and refuses
//! `CONTROL`, `RESUME` and `SET_TARGET` with `ENOSYS`.

mod client;
mod payload;
mod transaction;
mod tree;
mod view;

use std::collections::{BTreeMap, BTreeSet};

use client::Client;
use payload::{OK, Result, absolute, directory_of, number, one, split, text, two};
use tree::{Change, Tree};
use view::{View, access};

use super::permission::Permission;
use super::wire::{self, Op, PAYLOAD_MAX, Packet};

/// The tree, and its clients' watches, transactions and mail.
#[derive(Debug)]
pub struct Store {
    tree: Tree,
    clients: BTreeMap<ClientId, Client>,
    next_client: u64,
    introduced: BTreeSet<u16>,
}

/// One client of a [`Store`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(u64);

impl Default for Store {
    fn default() -> Self {
        Self::new()
    }
}

impl Store {
    /// A store such as a xenstored that has just started.
    pub fn new() -> Self {
        Self {
            tree: Tree::new(),
            clients: BTreeMap::new(),
            next_client: 0,
            introduced: BTreeSet::from([0]),
        }
    }

    /// A new client, which acts as this domain: 0 may do everything.
    pub fn connect(&mut self, domid: u16) -> ClientId {
        let id = ClientId(self.next_client);
        self.next_client += 1;
        self.clients.insert(id, Client::new(domid));
        id
    }

    /// Forgets a client, its watches and its transactions.
    pub fn disconnect(&mut self, id: ClientId) {
        self.clients.remove(&id);
    }

    /// Takes in a client's request. Its answer, and the events that it causes for any client, are then to be
    /// [taken](Self::take).
    pub fn ask(&mut self, id: ClientId, request: &Packet) {
        let answer = match self.answer(id, request) {
            Ok(payload) if payload.len() > PAYLOAD_MAX => Err(libc::E2BIG),
            answer => answer,
        };
        let (op, payload) = match answer {
            Ok(payload) => (request.op, payload),
            Err(errno) => (Op::ERROR, format!("{}\0", wire::word(errno)).into_bytes()),
        };
        let Some(client) = self.clients.get_mut(&id) else { return };
        client.mail.push_back(Packet { op, req_id: request.req_id, tx_id: request.tx_id, payload });
        // Every other event comes before the answer.
        if op == Op::WATCH {
            client.tell_of_newest_watch();
        }
    }

    /// The packets for a client that have come together since the last time.
    pub fn take(&mut self, id: ClientId) -> Vec<Packet> {
        self.clients.get_mut(&id).map(|client| client.mail.drain(..).collect()).unwrap_or_default()
    }

    /// The payload of the answer, or an errno.
    fn answer(&mut self, id: ClientId, request: &Packet) -> Result<Vec<u8>> {
        let client = self.clients.get_mut(&id).ok_or(libc::EINVAL)?;
        let payload = request.payload.as_slice();
        match request.op {
            Op::WATCH => return client.watch(payload),
            Op::UNWATCH => return client.unwatch(payload),
            op if !SERVED.contains(&op) => return Err(libc::ENOSYS),
            _ => {}
        }
        if request.tx_id != 0 && !client.transactions.contains_key(&request.tx_id) {
            return Err(libc::ENOENT);
        }
        match request.op {
            Op::TRANSACTION_START => return client.start_transaction(request.tx_id),
            Op::TRANSACTION_END => return self.end_transaction(id, request),
            Op::GET_DOMAIN_PATH => {
                return Ok(format!("{}\0", directory_of(number(one(payload)?)?)).into_bytes());
            }
            Op::RESET_WATCHES => {
                client.reset();
                return Ok(OK.into());
            }
            Op::INTRODUCE | Op::RELEASE | Op::IS_DOMAIN_INTRODUCED if client.domid != 0 => {
                return Err(libc::EACCES);
            }
            Op::INTRODUCE => return self.introduce(payload),
            Op::RELEASE => return self.release(payload),
            Op::IS_DOMAIN_INTRODUCED => {
                let here = self.introduced.contains(&number(one(payload)?)?);
                return Ok(if here { b"T\0" } else { b"F\0" }.into());
            }
            _ => {}
        }
        let domid = client.domid;
        let transaction = client.transactions.get_mut(&request.tx_id);
        let mut view = View { tree: &mut self.tree, transaction, domid, changes: Vec::new() };
        let answer = answer_about_node(&mut view, request.op, payload);
        let changes = view.changes;
        self.tell(&changes);
        answer
    }

    fn end_transaction(&mut self, id: ClientId, request: &Packet) -> Result<Vec<u8>> {
        let commit = match one(&request.payload)? {
            b"T" => true,
            b"F" => false,
            _ => return Err(libc::EINVAL),
        };
        let client = self.clients.get_mut(&id).ok_or(libc::EINVAL)?;
        let transaction = client.transactions.remove(&request.tx_id).ok_or(libc::ENOENT)?;
        if commit {
            let changes = transaction.commit(&mut self.tree).ok_or(libc::EAGAIN)?;
            self.tell(&changes);
        }
        Ok(OK.into())
    }

    fn introduce(&mut self, payload: &[u8]) -> Result<Vec<u8>> {
        // The page and the port of the domain's ring follow: here nothing has a ring.
        let domid = wire::strings(payload).next().ok_or(libc::EINVAL).and_then(number)?;
        if wire::strings(payload).count() < 3 {
            return Err(libc::EINVAL);
        }
        if self.introduced.insert(domid) {
            self.tell_special("@introduceDomain");
        }
        Ok(OK.into())
    }

    fn release(&mut self, payload: &[u8]) -> Result<Vec<u8>> {
        let domid = number(one(payload)?)?;
        if domid == 0 {
            return Err(libc::EINVAL);
        }
        if !self.introduced.remove(&domid) {
            return Err(libc::ENOENT);
        }
        self.tell_special("@releaseDomain");
        Ok(OK.into())
    }

    fn tell(&mut self, changes: &[Change]) {
        for change in changes {
            for client in self.clients.values_mut() {
                let mut permissions = change.permissions.iter();
                if permissions.any(|permissions| access(permissions, client.domid).reads()) {
                    client.tell(&change.path, change.exact);
                }
            }
        }
    }

    fn tell_special(&mut self, path: &str) {
        for client in self.clients.values_mut().filter(|client| client.domid == 0) {
            client.tell(path, true);
        }
    }
}

/// What belongs to a transaction, or may.
const SERVED: [Op; 15] = [
    Op::DIRECTORY,
    Op::READ,
    Op::GET_PERMS,
    Op::TRANSACTION_START,
    Op::TRANSACTION_END,
    Op::INTRODUCE,
    Op::RELEASE,
    Op::GET_DOMAIN_PATH,
    Op::WRITE,
    Op::MKDIR,
    Op::RM,
    Op::SET_PERMS,
    Op::IS_DOMAIN_INTRODUCED,
    Op::RESET_WATCHES,
    Op::DIRECTORY_PART,
];

fn answer_about_node(view: &mut View<'_>, op: Op, payload: &[u8]) -> Result<Vec<u8>> {
    let domid = view.domid;
    let whole = |payload| absolute(one(payload)?, domid);
    let first = |payload| {
        let (path, rest) = split(payload)?;
        Ok::<_, i32>((absolute(path, domid)?, rest))
    };
    match op {
        Op::READ => Ok(view.read(&whole(payload)?)?.value),
        Op::DIRECTORY => Ok(view.read(&whole(payload)?)?.children),
        Op::DIRECTORY_PART => {
            let (path, offset) = two(payload)?;
            let node = view.read(&absolute(path, domid)?)?;
            Ok(part(node.generation, &node.children, text(offset)?.parse().unwrap_or(0)))
        }
        Op::GET_PERMS => {
            let permissions = view.read(&whole(payload)?)?.permissions;
            Ok(permissions
                .iter()
                .flat_map(|permission| format!("{permission}\0").into_bytes())
                .collect())
        }
        Op::WRITE => {
            let (path, value) = first(payload)?;
            view.write(&path, value).map(|()| OK.into())
        }
        Op::MKDIR => view.mkdir(&whole(payload)?).map(|()| OK.into()),
        Op::RM => view.remove(&whole(payload)?).map(|()| OK.into()),
        Op::SET_PERMS => {
            let (path, list) = first(payload)?;
            let permissions: Option<Vec<_>> = wire::strings(list).map(Permission::parse).collect();
            let permissions = permissions.filter(|list| !list.is_empty()).ok_or(libc::EINVAL)?;
            view.set_permissions(&path, permissions).map(|()| OK.into())
        }
        _ => Err(libc::ENOSYS),
    }
}

/// As many whole names from this offset on as fit, after the generation; an empty one follows the last.
fn part(generation: u64, list: &[u8], offset: usize) -> Vec<u8> {
    let mut part = format!("{generation}\0").into_bytes();
    let mut rest = list.get(offset..).unwrap_or_default();
    while let Some(end) = rest.iter().position(|b| *b == 0) {
        // Room is left for the empty name.
        if part.len() + end + 1 >= PAYLOAD_MAX {
            return part;
        }
        let (name, later) = rest.split_at(end + 1);
        part.extend_from_slice(name);
        rest = later;
    }
    part.push(0);
    part
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    /// The answer, and the events before it.
    fn ask(store: &mut Store, id: ClientId, op: Op, payload: &str) -> (Op, String) {
        store.ask(id, &Packet { op, req_id: 1, tx_id: 0, payload: payload.into() });
        let answer = store.take(id).pop().expect("each request is answered");
        (answer.op, String::from_utf8(answer.payload).unwrap())
    }

    fn refused(errno: &str) -> (Op, String) {
        (Op::ERROR, format!("{errno}\0"))
    }

    #[test]
    fn a_guest_does_only_what_permissions_let_it() {
        let mut store = Store::new();
        let (dom0, guest) = (store.connect(0), store.connect(3));
        assert_eq!(ask(&mut store, guest, Op::READ, "/tool\0"), refused("EACCES"));
        assert_eq!(
            ask(&mut store, guest, Op::READ, "/none\0"),
            refused("EACCES"),
            "not even that it is not there"
        );
        assert_eq!(ask(&mut store, guest, Op::WRITE, "/mine\0v"), refused("EACCES"));
        assert_eq!(ask(&mut store, guest, Op::INTRODUCE, "5\x001\x001\0"), refused("EACCES"));

        ask(&mut store, dom0, Op::WRITE, "/local/domain/3/data\0");
        ask(&mut store, dom0, Op::SET_PERMS, "/local/domain/3/data\0n3\0r4\0");
        assert_eq!(ask(&mut store, guest, Op::WRITE, "data/key\0v").0, Op::WRITE);
        assert_eq!(ask(&mut store, guest, Op::GET_PERMS, "data/key\0").1, "n3\0r4\0");
        assert_eq!(ask(&mut store, guest, Op::SET_PERMS, "data/key\0n4\0"), refused("EPERM"));
        assert_eq!(ask(&mut store, guest, Op::SET_PERMS, "data/key\0b3\0").0, Op::SET_PERMS);

        let other = store.connect(4);
        assert_eq!(ask(&mut store, other, Op::READ, "/local/domain/3/data\0").0, Op::READ);
        assert_eq!(ask(&mut store, other, Op::WRITE, "/local/domain/3/data\0x"), refused("EACCES"));
        assert_eq!(ask(&mut store, other, Op::WRITE, "/local/domain/3/data/key\0x").0, Op::WRITE);
    }

    #[test]
    fn a_guest_is_told_only_of_what_it_may_read() {
        let mut store = Store::new();
        let (dom0, guest) = (store.connect(0), store.connect(3));
        for path in ["/", "@releaseDomain"] {
            ask(&mut store, guest, Op::WATCH, &format!("{path}\0t\0"));
        }
        ask(&mut store, dom0, Op::WRITE, "/secret/a\0");
        ask(&mut store, dom0, Op::INTRODUCE, "5\x001\x001\0");
        ask(&mut store, dom0, Op::RELEASE, "5\0");
        assert_eq!(store.take(guest), []);
        ask(&mut store, dom0, Op::SET_PERMS, "/secret/a\0n0\0r3\0");
        assert_eq!(store.take(guest).len(), 1, "also when it gains access, or loses it");
        ask(&mut store, dom0, Op::SET_PERMS, "/secret/a\0n0\0");
        assert_eq!(store.take(guest).len(), 1);
        ask(&mut store, dom0, Op::WRITE, "/secret/a\0");
        assert_eq!(store.take(guest), []);
    }

    #[test]
    fn the_deepest_tree_that_a_path_can_name() {
        let mut store = Store::new();
        let id = store.connect(0);
        let deep = "/d".repeat(wire::ABSOLUTE_PATH_MAX / 2);
        for tx_id in ["0", "1"] {
            ask(&mut store, id, Op::TRANSACTION_START, "\0");
            let tx_id = tx_id.parse().unwrap();
            for (op, payload) in [(Op::WRITE, format!("{deep}\0v")), (Op::RM, "/d\0".to_owned())] {
                store.ask(id, &Packet { op, req_id: 1, tx_id, payload: payload.into_bytes() });
                assert_eq!(store.take(id)[0].op, op);
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_is_asked_is_answered_once(
            requests in vec((0u32..30, 0u32..3, vec(select(b"/a@T05 -\0\xff".to_vec()), 0..9)), 0..40),
        ) {
            let mut store = Store::new();
            let id = store.connect(0);
            for (req_id, (op, tx_id, payload)) in (1..).zip(requests) {
                store.ask(id, &Packet { op: Op(op), req_id, tx_id, payload });
                let packets = store.take(id);
                prop_assert!(packets.iter().all(|packet| packet.payload.len() <= PAYLOAD_MAX));
                let answers = packets.iter().filter(|packet| packet.op != Op::WATCH_EVENT);
                prop_assert_eq!(answers.map(|packet| packet.req_id).collect::<Vec<_>>(), [req_id]);
            }
        }
    }
}
