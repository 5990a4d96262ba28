use std::collections::BTreeMap;

use super::tree::{Change, Node, Tree};

/// What a client did and saw since it started a transaction; nobody else sees any of it until the end.
///
/// As in xenstored, a node is copied when it is first touched, not when the transaction starts.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    touched: BTreeMap<String, Touched>,
}

#[derive(Debug)]
struct Touched {
    /// Its place in the order in which nodes were touched: events come in that order.
    order: usize,
    /// The node as the transaction sees it.
    node: Option<Node>,
    /// The generation that it had when it was first touched; none when it was not there.
    seen: Option<u64>,
    modified: bool,
    change: Option<Change>,
}

impl Transaction {
    /// The node as the transaction sees it.
    pub(super) fn get(&mut self, tree: &Tree, path: &str) -> Option<Node> {
        let order = self.touched.len();
        let touched = self.touched.entry(path.to_owned()).or_insert_with(|| {
            let node = tree.get(path).cloned();
            let seen = node.as_ref().map(|node| node.generation);
            Touched { order, node, seen, modified: false, change: None }
        });
        touched.node.clone()
    }

    /// The same without having looked: the transaction does not come to depend on it.
    pub(super) fn peek<'a>(&'a self, tree: &'a Tree, path: &str) -> Option<&'a Node> {
        match self.touched.get(path) {
            Some(touched) => touched.node.as_ref(),
            None => tree.get(path),
        }
    }

    /// Puts a node, or removes it. It has been looked at before, as all that is changed.
    pub(super) fn set(&mut self, path: &str, node: Option<Node>) {
        if let Some(touched) = self.touched.get_mut(path) {
            touched.node = node;
            touched.modified = true;
        }
    }

    pub(super) fn changed(&mut self, change: Change) {
        let Some(touched) = self.touched.get_mut(&change.path) else { return };
        match &mut touched.change {
            Some(earlier) => {
                // Who is to be told of one of them is told once, and of the wider one.
                earlier.exact &= change.exact;
                earlier.permissions.extend(change.permissions);
            }
            none => *none = Some(change),
        }
    }

    /// Makes it all true and gives what is to be told; nothing when a node that it touched has changed meanwhile.
    pub(super) fn commit(self, tree: &mut Tree) -> Option<Vec<Change>> {
        let generation = |path: &String| tree.get(path).map(|node| node.generation);
        if self.touched.iter().any(|(path, touched)| generation(path) != touched.seen) {
            return None;
        }
        let mut touched: Vec<_> =
            self.touched.into_iter().filter(|(_, touched)| touched.modified).collect();
        touched.sort_by_key(|(_, touched)| touched.order);
        let mut changes = Vec::new();
        for (path, touched) in touched {
            // What came and went in between was never there for anybody else.
            if touched.seen.is_some() || touched.node.is_some() {
                tree.set(path, touched.node);
                changes.extend(touched.change);
            }
        }
        Some(changes)
    }
}
