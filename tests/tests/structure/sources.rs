//! The sources of a crate: its modules, and the paths that each file names.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::tokens::{Token, is_name, path_at, tokens};

/// A module's path from the crate's root on: `["plan", "vif"]`.
pub(crate) type Module = Vec<String>;

/// A crate's sources.
#[derive(Debug, Default)]
pub(crate) struct Crate {
    pub(crate) files: BTreeMap<Module, File>,
    scopes: BTreeMap<Module, Scope>,
    /// The modules that only tests have.
    tests: BTreeSet<Module>,
    pub(crate) mentions: Vec<Mention>,
}

#[derive(Debug)]
pub(crate) struct File {
    /// Relative to `src`.
    pub(crate) name: String,
    pub(crate) lines: usize,
    pub(crate) tokens: Vec<Token>,
}

/// The names that `use` brings into a module.
#[derive(Debug, Default)]
struct Scope {
    aliases: BTreeMap<String, Vec<String>>,
    reexports: BTreeSet<String>,
    /// The types and traits that the module defines.
    types: BTreeSet<String>,
    globs: Vec<Vec<String>>,
}

/// A path in a file.
#[derive(Debug)]
pub(crate) struct Mention {
    pub(crate) module: Module,
    pub(crate) line: usize,
    pub(crate) path: Vec<String>,
    pub(crate) kind: Kind,
    test: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Use,
    /// `pub use`: gives a name to others, and needs nothing itself.
    Reexport,
    Path,
    /// One name that a `pub use` of the same module has brought.
    ReexportedName,
}

/// The thing that a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Module(Module),
    /// An item, and the module whose text has it.
    Item(Module, String),
    /// A path of another crate.
    Foreign(String),
}

impl Crate {
    pub(crate) fn read(sources: &Path) -> Self {
        let mut paths = Vec::new();
        rust_files(sources, &mut paths);
        let files: Vec<(String, String)> = paths
            .iter()
            .map(|path| {
                let name = path.strip_prefix(sources).unwrap().to_str().unwrap();
                (name.to_owned(), fs::read_to_string(path).unwrap())
            })
            .collect();
        Self::new(files.iter().map(|(name, text)| (name.as_str(), text.as_str())))
    }

    /// From the files' names relative to `src`, and their texts.
    pub(crate) fn new<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut krate = Self::default();
        for (name, text) in files {
            let tokens = tokens(text);
            let module = module_of(name);
            krate.scan(&module, &tokens);
            if is_test_file(name) {
                krate.tests.insert(module.clone());
            }
            let file = File { name: name.to_owned(), lines: text.lines().count(), tokens };
            krate.files.insert(module, file);
        }
        krate
    }

    /// The module whose file has the text of `module`.
    pub(crate) fn file_of(&self, module: &[String]) -> Module {
        (0..=module.len())
            .rev()
            .map(|length| &module[..length])
            .find(|module| self.files.contains_key(*module))
            .unwrap_or_default()
            .to_vec()
    }

    pub(crate) fn is_type(&self, module: &[String], item: &str) -> bool {
        self.scopes[module].types.contains(item)
    }

    /// The names of the modules that lie at the root of the crate.
    pub(crate) fn top_modules(&self) -> BTreeSet<&str> {
        self.files.keys().filter_map(|module| module.first().map(String::as_str)).collect()
    }

    pub(crate) fn place(&self, mention: &Mention) -> String {
        format!("{}:{}", self.files[&self.file_of(&mention.module)].name, mention.line)
    }

    pub(crate) fn is_test(&self, mention: &Mention) -> bool {
        mention.test
            || (0..=mention.module.len())
                .any(|length| self.tests.contains(&mention.module[..length]))
    }

    fn scan(&mut self, file: &[String], tokens: &[Token]) {
        let mut module = file.to_vec();
        self.scopes.entry(module.clone()).or_default();
        // The depths of braces at which the modules within the file end.
        let (mut depth, mut ends) = (0, Vec::new());
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            let next = |n: usize| tokens.get(at + n).map_or("", |token| token.text.as_str());
            match token.text.as_str() {
                "{" => depth += 1,
                "}" => {
                    depth -= 1;
                    if ends.last() == Some(&depth) {
                        ends.pop();
                        module.pop();
                    }
                }
                "mod" if is_name(next(1)) => {
                    let inner = [module.as_slice(), &[next(1).to_owned()]].concat();
                    if token.test {
                        self.tests.insert(inner.clone());
                    }
                    if next(2) == "{" {
                        self.scopes.entry(inner.clone()).or_default();
                        module = inner;
                        ends.push(depth);
                        depth += 1;
                    }
                    at += 2;
                }
                // Not the `use<'a>` of a type.
                "use" if next(1) != "<" => {
                    let public = at > 0 && ["pub", ")"].contains(&tokens[at - 1].text.as_str());
                    at = self.add_use(&module, tokens, at + 1, public);
                }
                "enum" | "struct" | "trait" | "type" | "union" if is_name(next(1)) => {
                    let scope = self.scopes.get_mut(&module).unwrap();
                    scope.types.insert(next(1).to_owned());
                }
                name if is_name(name) => {
                    let path = path_at(tokens, at);
                    let before = at.checked_sub(1).map_or("", |at| tokens[at].text.as_str());
                    at += 2 * path.len() - 2;
                    if path.len() > 1 || ![".", "::", "'"].contains(&before) {
                        self.add(&module, token.line, token.test, path, Kind::Path);
                    }
                }
                _ => {}
            }
            at += 1;
        }
    }

    /// Adds the names of a `use`, and returns the place of its `;`.
    fn add_use(&mut self, module: &[String], tokens: &[Token], at: usize, public: bool) -> usize {
        let mut leaves = Vec::new();
        let end = use_tree(tokens, at, &[], &mut leaves);
        for Leaf { path, name, line } in leaves {
            let scope = self.scopes.get_mut(module).unwrap();
            match name {
                Some(name) => {
                    if public {
                        scope.reexports.insert(name.clone());
                    }
                    scope.aliases.insert(name, path.clone());
                }
                None => scope.globs.push(path.clone()),
            }
            let kind = if public { Kind::Reexport } else { Kind::Use };
            self.add(module, line, tokens[at].test, path, kind);
        }
        end
    }

    fn add(&mut self, module: &[String], line: usize, test: bool, path: Vec<String>, kind: Kind) {
        let kind = if kind == Kind::Path && path.len() == 1 { Kind::ReexportedName } else { kind };
        self.mentions.push(Mention { module: module.to_vec(), line, path, kind, test });
    }

    /// The path from the crate's root, when `crate`, `self` or `super` leads it.
    pub(crate) fn absolute(module: &[String], path: &[String]) -> Option<Module> {
        let ups =
            path.iter().take_while(|name| ["crate", "self", "super"].contains(&name.as_str()));
        let (ups, mut home) = (ups.count(), module.to_vec());
        for up in &path[..ups] {
            match up.as_str() {
                "crate" => home.clear(),
                "super" => drop(home.pop()),
                _ => {}
            }
        }
        home.extend_from_slice(&path[ups..]);
        (ups > 0).then_some(home)
    }

    pub(crate) fn target(&self, mention: &Mention) -> Option<Target> {
        if mention.kind == Kind::ReexportedName
            && !self.scopes[&mention.module].reexports.contains(&mention.path[0])
        {
            return None;
        }
        self.resolve(&mention.module, &mention.path, 0)
    }

    /// What `path`, written in `module`, names.
    fn resolve(&self, module: &[String], path: &[String], depth: usize) -> Option<Target> {
        assert!(depth < 20, "{}: {}", module.join("::"), path.join("::"));
        if let Some(path) = Self::absolute(module, path) {
            return Some(self.descend(Vec::new(), &path, depth));
        }
        if let Some(target) = self.lookup(module, &path[0], depth) {
            return Some(match target {
                Target::Module(module) => self.descend(module, &path[1..], depth),
                Target::Foreign(prefix) => {
                    Target::Foreign([&[prefix], &path[1..]].concat().join("::"))
                }
                item @ Target::Item(..) => item,
            });
        }
        let foreign = path[0].starts_with(|first: char| first.is_ascii_lowercase())
            && !PRIMITIVES.contains(&path[0].as_str());
        foreign.then(|| Target::Foreign(path.join("::")))
    }

    /// A name that a module has from elsewhere, or that is a module in it.
    fn lookup(&self, module: &[String], name: &str, depth: usize) -> Option<Target> {
        let child = [module, &[name.to_owned()]].concat();
        if self.scopes.contains_key(&child) {
            return Some(Target::Module(child));
        }
        let scope = self.scopes.get(module)?;
        match scope.aliases.get(name) {
            // `use libc;`
            Some(path) if path[0] == name => Some(Target::Foreign(path.join("::"))),
            Some(path) => self.resolve(module, path, depth + 1),
            None => scope.globs.iter().filter(|glob| glob[0] != name).find_map(|glob| {
                match self.resolve(module, glob, depth + 1)? {
                    Target::Module(from) if from != module => self.lookup(&from, name, depth + 1),
                    _ => None,
                }
            }),
        }
    }

    /// What `path` names in `module`.
    fn descend(&self, module: Module, path: &[String], depth: usize) -> Target {
        let Some(name) = path.first() else { return Target::Module(module) };
        match self.lookup(&module, name, depth + 1) {
            Some(Target::Module(module)) => self.descend(module, &path[1..], depth),
            Some(target) => target,
            None => Target::Item(module, name.clone()),
        }
    }
}

/// Lower-case names that are types and no crates.
const PRIMITIVES: &[&str] = &[
    "bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize", "str", "u8", "u16",
    "u32", "u64", "u128", "usize",
];

/// One name of a `use`.
struct Leaf {
    path: Vec<String>,
    /// None for a `*`.
    name: Option<String>,
    line: usize,
}

/// Reads `a::{b, c as d, e::*}` up to the token after it.
fn use_tree(tokens: &[Token], mut at: usize, prefix: &[String], leaves: &mut Vec<Leaf>) -> usize {
    let mut path = prefix.to_vec();
    let line = loop {
        match tokens[at].text.as_str() {
            "::" => at += 1,
            "*" => {
                leaves.push(Leaf { path, name: None, line: tokens[at].line });
                return at + 1;
            }
            "{" => {
                at += 1;
                while tokens[at].text != "}" {
                    at = use_tree(tokens, at, &path, leaves);
                    if tokens[at].text == "," {
                        at += 1;
                    }
                }
                return at + 1;
            }
            name => {
                assert!(is_name(name), "line {}: `use` before {name}", tokens[at].line);
                // `{self}` is the module itself.
                if name != "self" || path.is_empty() {
                    path.push(name.to_owned());
                }
                at += 1;
                if tokens[at].text != "::" {
                    break tokens[at - 1].line;
                }
            }
        }
    };
    let mut name = path.last().cloned();
    if tokens[at].text == "as" {
        name = Some(tokens[at + 1].text.clone());
        at += 2;
    }
    leaves.push(Leaf { path, name, line });
    at
}

fn module_of(file: &str) -> Module {
    let path = file.trim_end_matches(".rs");
    let path = path.strip_suffix("/mod").unwrap_or(path);
    if ["lib", "main"].contains(&path) {
        return Vec::new();
    }
    path.split('/').map(str::to_owned).collect()
}

pub(crate) fn is_test_file(file: &str) -> bool {
    file.trim_end_matches(".rs").split('/').any(|part| part == "tests")
}

/// Whether `file` is `name`, or lies in the directory `name` when that ends in `/`.
pub(crate) fn is_in(file: &str, name: &str) -> bool {
    file == name || name.ends_with('/') && file.starts_with(name)
}

pub(crate) fn rust_files(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

#[test]
fn a_path_leads_to_the_file_that_defines_its_item() {
    let krate = Crate::new([
        ("lib.rs", "mod a; mod b; pub use a::Deep;"),
        (
            "a/mod.rs",
            "mod inner; pub mod other; pub use inner::{Deep, Low as High}; pub struct Own;",
        ),
        ("a/inner.rs", "pub struct Deep; pub struct Low; mod inline { use super::super::Own; }"),
        ("a/other.rs", "#[cfg(test)] mod tests { use super::*; }"),
        ("b.rs", "use crate::{Deep, a::{self, High, other as o}}; use std::net::IpAddr as Ip;"),
    ]);
    let resolve = |module: &str, path: &str| {
        let split = |text: &str| text.split("::").map(str::to_owned).collect::<Vec<_>>();
        match krate.resolve(&split(module), &split(path), 0) {
            Some(Target::Item(module, name)) => format!("{} in {}", name, module.join("/")),
            Some(Target::Module(module)) => format!("module {}", module.join("/")),
            Some(Target::Foreign(path)) => format!("foreign {path}"),
            None => String::new(),
        }
    };
    for (module, path, target) in [
        ("b", "crate::Deep", "Deep in a/inner"),
        ("b", "Deep::new", "Deep in a/inner"),
        ("b", "High::new", "Low in a/inner"),
        ("b", "a::High", "Low in a/inner"),
        ("b", "a::Own", "Own in a"),
        ("b", "a::other", "module a/other"),
        ("b", "o::f", "f in a/other"),
        ("b", "Ip::new", "foreign std::net::IpAddr::new"),
        ("b", "libc::EINVAL", "foreign libc::EINVAL"),
        ("b", "Vec::new", ""),
        ("b", "u8::MAX", ""),
        ("a::inner", "super::Own", "Own in a"),
        ("a::inner::inline", "Own", "Own in a"),
    ] {
        assert_eq!(resolve(module, path), target, "{path} in {module}");
    }
}
