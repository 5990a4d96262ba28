use std::collections::BTreeMap;

use super::super::permission::{Access, Permission};

/// All nodes by their absolute path.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: BTreeMap<String, Node>,
    /// Counts changes. A node carries the count of its last one: that tells a transaction whether it was changed.
    generation: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) value: Vec<u8>,
    /// Their names, each with its NUL, in the order in which they were made: as they are listed.
    pub(super) children: Vec<u8>,
    pub(super) permissions: Vec<Permission>,
    pub(super) generation: u64,
}

/// What watches are to be told.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) path: String,
    /// Only watches on the very node are told, as for what goes along with its parent.
    pub(super) exact: bool,
    /// Whoever one of these lets read is told.
    pub(super) permissions: Vec<Vec<Permission>>,
}

impl Tree {
    /// What a xenstored that has just started has.
    pub(super) fn new() -> Self {
        let permissions = vec![Permission { domid: 0, access: Access::None }];
        let node = |child: Option<&str>| Node {
            value: Vec::new(),
            children: child.map(entry).unwrap_or_default(),
            permissions: permissions.clone(),
            generation: 0,
        };
        let nodes = [("/", Some("tool")), ("/tool", Some("xenstored")), ("/tool/xenstored", None)]
            .map(|(path, child)| (path.to_owned(), node(child)));
        Self { nodes: nodes.into(), generation: 0 }
    }

    pub(super) fn get(&self, path: &str) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// Puts a node, or removes it.
    pub(super) fn set(&mut self, path: String, node: Option<Node>) {
        self.generation += 1;
        match node {
            Some(node) => self.nodes.insert(path, Node { generation: self.generation, ..node }),
            None => self.nodes.remove(&path),
        };
    }
}

/// A name as a list of children has it.
pub(super) fn entry(name: &str) -> Vec<u8> {
    format!("{name}\0").into_bytes()
}
