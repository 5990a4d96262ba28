//! No cycles between modules, where a module is a file.
//!
//! An edge leads to the file that defines the item that a path names. `mod x;` and `pub use` are no edges. A method
//! call names no path. Test modules are not read.
//!
//! One edge does not count: a child that uses a type of its parent's file. A parent file that defines a type or a trait,
//! and child files with the methods by subject that the parent calls, are common in Rust.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::sources::{Crate, Kind, Module, Target, is_in};

/// The edges of each file, each with a place in the text that makes it.
type Graph = BTreeMap<Module, BTreeMap<Module, String>>;

/// One line for each cycle: the shortest through the first file of each group of files that reach each other.
///
/// The edges of `exempt` files (names relative to `src`, or directories with their `/`) do not count.
pub(crate) fn cycles(krate: &Crate, exempt: &[&str]) -> Vec<String> {
    let mut graph = graph(krate);
    graph.retain(|file, _| !exempt.iter().any(|name| is_in(&krate.files[file].name, name)));
    let mut done = BTreeSet::new();
    let mut cycles = Vec::new();
    for file in graph.keys() {
        if done.contains(file) {
            continue;
        }
        if let Some(path) = shortest(&graph, file, file) {
            done.extend(
                graph
                    .keys()
                    .filter(|other| {
                        shortest(&graph, file, other).is_some()
                            && shortest(&graph, other, file).is_some()
                    })
                    .cloned(),
            );
            let steps = path.windows(2).map(|step| graph[&step[0]][&step[1]].clone());
            cycles.push(steps.collect::<Vec<_>>().join(", "));
        }
    }
    cycles
}

fn graph(krate: &Crate) -> Graph {
    let mut graph = Graph::new();
    for mention in &krate.mentions {
        if mention.kind == Kind::Reexport || krate.is_test(mention) {
            continue;
        }
        let Some(Target::Item(module, item)) = krate.target(mention) else { continue };
        let (from, to) = (krate.file_of(&mention.module), krate.file_of(&module));
        let parents_type = from.split_last().is_some_and(|(_, parent)| *parent == *to)
            && krate.is_type(&module, &item);
        if from != to && !parents_type {
            let place =
                format!("{} uses {item} of {}", krate.place(mention), krate.files[&to].name);
            graph.entry(from).or_default().entry(to).or_insert(place);
        }
    }
    graph
}

/// The shortest path along edges, at least one, from a file to another or back to itself.
fn shortest(graph: &Graph, from: &Module, to: &Module) -> Option<Vec<Module>> {
    let mut previous = BTreeMap::new();
    let mut queue = VecDeque::from([from]);
    while let Some(file) = queue.pop_front() {
        for next in graph.get(file).into_iter().flat_map(BTreeMap::keys) {
            if !previous.contains_key(next) {
                previous.insert(next, file);
                queue.push_back(next);
            }
        }
    }
    let mut path = vec![to.clone()];
    let mut at = *previous.get(to)?;
    while at != from {
        path.push(at.clone());
        at = previous[at];
    }
    path.push(from.clone());
    path.reverse();
    Some(path)
}

#[test]
fn cycle_between_files_is_found() {
    let cycles_of = |a: &str, b: &str| {
        let root = ("lib.rs", "mod a; mod b; mod c; pub use b::B;");
        let c =
            ("c/mod.rs", "mod deep; pub(crate) use deep::Deep; pub(crate) struct Own; fn f() {}");
        let deep = ("c/deep.rs", "pub(crate) struct Deep;");
        cycles(&Crate::new([root, ("a.rs", a), ("b.rs", b), c, deep]), &[])
    };
    let b_uses_a = "use crate::a::A; pub struct B(A);";
    for a in [
        "use crate::b::B; struct A;",
        "use crate::B; struct A;",
        "struct A; fn f() { crate::b::f(); }",
        "use super::b; struct A; fn f() { assert!(b::f()); }",
        "struct A; mod inline { use super::super::b::B; }",
    ] {
        let found = cycles_of(a, b_uses_a);
        assert_eq!(found.len(), 1, "{a}");
        assert!(found[0].starts_with("a.rs:1 uses "), "{found:?}");
        assert!(found[0].ends_with("b.rs:1 uses A of a.rs"), "{found:?}");
    }
    for (a, b) in [
        ("struct A;", b_uses_a),
        ("struct A; mod tests { } #[cfg(test)] mod more { use crate::b::B; }", b_uses_a),
        ("pub use crate::b::B; struct A;", b_uses_a),
        ("use crate::c::Deep; struct A;", "use crate::a::A; use crate::c; fn f() { c::f(); }"),
        ("// crate::b::B\nstruct A; const TEXT: &str = \"crate::b::B\";", b_uses_a),
    ] {
        assert_eq!(cycles_of(a, b), [""; 0], "{a}");
    }
    assert_eq!(cycles_of("use crate::c::Deep; struct A;", "").len(), 0);
}

#[test]
fn longer_cycle_is_found_once() {
    let krate = Crate::new([
        ("lib.rs", ""),
        ("a.rs", "use crate::b::B; pub struct A;"),
        ("b.rs", "use crate::c::C; use crate::d::D; pub struct B;"),
        ("c.rs", "use crate::a::A; pub struct C;"),
        ("d.rs", "use crate::b::B; pub struct D;"),
    ]);
    assert_eq!(
        cycles(&krate, &[]),
        ["a.rs:1 uses B of b.rs, b.rs:1 uses C of c.rs, c.rs:1 uses A of a.rs"]
    );
    assert_eq!(cycles(&krate, &["c.rs"]), ["b.rs:1 uses D of d.rs, d.rs:1 uses B of b.rs"]);
}

#[test]
fn child_may_use_types_of_its_parent_and_nothing_else() {
    let found = |parent: &str, child: &str| {
        let parent = format!("mod child; use child::f; {parent}");
        let files = [("lib.rs", "mod a;"), ("a/mod.rs", &parent), ("a/child.rs", child)];
        cycles(&Crate::new(files), &[]).len()
    };
    assert_eq!(found("pub struct A;", "use super::A; impl A { fn f() {} }"), 0);
    assert_eq!(found("trait A {}", "fn f(a: impl super::A) {}"), 0);
    assert_eq!(found("const A: u8 = 1;", "use super::A; fn f() {}"), 1);
    assert_eq!(found("fn a() {}", "fn f() { super::a(); }"), 1);
    let uncle = [
        ("lib.rs", "mod a;"),
        ("a/mod.rs", "mod b; use b::c::f; pub struct A;"),
        ("a/b/mod.rs", "pub mod c;"),
        ("a/b/c.rs", "use crate::a::A; pub fn f() {}"),
    ];
    assert_eq!(cycles(&Crate::new(uncle), &[]).len(), 1);
}
