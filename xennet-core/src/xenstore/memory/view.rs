use super::super::permission::{Access, Permission};
use super::super::wire;
use super::payload::Result;
use super::transaction::Transaction;
use super::tree::{Change, Node, Tree, entry};

/// The tree as one request of one domain sees and changes it: directly, or within a transaction.
#[derive(Debug)]
pub(super) struct View<'a> {
    pub(super) tree: &'a mut Tree,
    pub(super) transaction: Option<&'a mut Transaction>,
    pub(super) domid: u16,
    /// What the request changed, in order; a transaction keeps it until its end.
    pub(super) changes: Vec<Change>,
}

impl View<'_> {
    /// The node, if it is there and this domain may read it.
    pub(super) fn read(&mut self, path: &str) -> Result<Node> {
        self.find(path, Access::reads)
    }

    pub(super) fn write(&mut self, path: &str, value: &[u8]) -> Result<()> {
        let node = match self.find(path, Access::writes) {
            Ok(node) => node,
            Err(libc::ENOENT) => self.make(path),
            Err(errno) => return Err(errno),
        };
        let parent = self.permissions_above(path);
        self.changed(path, false, vec![node.permissions.clone(), parent]);
        self.set(path, Some(Node { value: value.to_vec(), ..node }));
        Ok(())
    }

    pub(super) fn mkdir(&mut self, path: &str) -> Result<()> {
        match self.find(path, Access::writes) {
            Ok(_) => Ok(()),
            Err(libc::ENOENT) => {
                let node = self.make(path);
                let parent = self.permissions_above(path);
                self.changed(path, false, vec![node.permissions, parent]);
                Ok(())
            }
            Err(errno) => Err(errno),
        }
    }

    /// Removes a node and all below it. What is not there is removed already, if its parent is there.
    pub(super) fn remove(&mut self, path: &str) -> Result<()> {
        let node = match self.find(path, Access::writes) {
            Ok(node) => node,
            Err(libc::ENOENT) if self.get(above(path)).is_some() => return Ok(()),
            Err(errno) => return Err(errno),
        };
        if path == "/" {
            return Err(libc::EINVAL);
        }
        let (parent, name) = (above(path), name(path));
        let mut above = self.get(parent).ok_or(libc::EINVAL)?;
        let permissions = above.permissions.clone();
        self.remove_all(path, node, &permissions, false);
        let others = wire::strings(&above.children).filter(|child| *child != name.as_bytes());
        above.children = others.flat_map(|child| [child, b"\0"]).flatten().copied().collect();
        self.set(parent, Some(above));
        Ok(())
    }

    pub(super) fn set_permissions(
        &mut self,
        path: &str,
        permissions: Vec<Permission>,
    ) -> Result<()> {
        let node = self.find(path, Access::writes)?;
        let owner = node.permissions.first().map(|owner| owner.domid);
        if self.domid != 0 && owner != Some(self.domid) {
            return Err(libc::EACCES);
        }
        if self.domid != 0 && owner != permissions.first().map(|owner| owner.domid) {
            return Err(libc::EPERM);
        }
        let parent = self.permissions_above(path);
        self.changed(path, false, vec![node.permissions.clone(), permissions.clone(), parent]);
        self.set(path, Some(Node { permissions, ..node }));
        Ok(())
    }

    /// The node, if this domain may do that with it. Who may not see the parent is not told what is missing.
    fn find(&mut self, path: &str, may: impl Fn(Access) -> bool) -> Result<Node> {
        let missing = match self.get(path) {
            Some(node) if may(access(&node.permissions, self.domid)) => return Ok(node),
            Some(_) => libc::EACCES,
            None => libc::ENOENT,
        };
        let mut path = path;
        loop {
            path = above(path);
            if let Some(node) = self.get(path) {
                return Err(if may(access(&node.permissions, self.domid)) {
                    missing
                } else {
                    libc::EACCES
                });
            }
        }
    }

    /// Makes a node and the parents that it lacks. Each inherits its parent's permissions, and belongs to its maker
    /// unless that is domain 0.
    fn make(&mut self, path: &str) -> Node {
        let parent = above(path);
        let mut above = match self.get(parent) {
            Some(above) => above,
            None => self.make(parent),
        };
        let mut permissions = above.permissions.clone();
        if let (1.., Some(owner)) = (self.domid, permissions.first_mut()) {
            owner.domid = self.domid;
        }
        let node = Node { value: Vec::new(), children: Vec::new(), permissions, generation: 0 };
        self.set(path, Some(node.clone()));
        above.children.extend(entry(name(path)));
        self.set(parent, Some(above));
        node
    }

    /// Removes a node, its children before it, without telling its parent.
    fn remove_all(&mut self, path: &str, node: Node, parent: &[Permission], exact: bool) {
        for child in wire::strings(&node.children) {
            let child = format!("{path}/{}", String::from_utf8_lossy(child));
            if let Some(below) = self.get(&child) {
                self.remove_all(&child, below, &node.permissions, true);
            }
        }
        self.changed(path, exact, vec![node.permissions, parent.to_vec()]);
        self.set(path, None);
    }

    /// The parent's permissions, of interest to watches only: a transaction does not depend on what they were.
    fn permissions_above(&self, path: &str) -> Vec<Permission> {
        let node = match &self.transaction {
            Some(transaction) => transaction.peek(self.tree, above(path)),
            None => self.tree.get(above(path)),
        };
        node.map(|node| node.permissions.clone()).unwrap_or_default()
    }

    fn get(&mut self, path: &str) -> Option<Node> {
        match &mut self.transaction {
            Some(transaction) => transaction.get(self.tree, path),
            None => self.tree.get(path).cloned(),
        }
    }

    fn set(&mut self, path: &str, node: Option<Node>) {
        match &mut self.transaction {
            Some(transaction) => transaction.set(path, node),
            None => self.tree.set(path.to_owned(), node),
        }
    }

    fn changed(&mut self, path: &str, exact: bool, permissions: Vec<Vec<Permission>>) {
        let change = Change { path: path.to_owned(), exact, permissions };
        match &mut self.transaction {
            Some(transaction) => transaction.changed(change),
            None => self.changes.push(change),
        }
    }
}

/// What a domain may do with a node that has these permissions.
pub(super) fn access(permissions: &[Permission], domid: u16) -> Access {
    let Some((owner, others)) = permissions.split_first() else { return Access::None };
    if domid == 0 || owner.domid == domid {
        return Access::Both;
    }
    others.iter().find(|permission| permission.domid == domid).unwrap_or(owner).access
}

/// The parent's path; the root's is its own.
fn above(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some(("", _)) | None => "/",
        Some((parent, _)) => parent,
    }
}

fn name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}
