//! The layers of the library: an arrow may only point down.
//!
//! Reads the paths that the sources write (`use` and all others), as the compiler would take them apart. Comments are
//! not read. Test modules are: they too must do without what their layer may not know.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot read the sources must fail"
)]

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn no_layer_knows_one_above_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&root, &mut files);
    assert!(files.iter().any(|file| file.ends_with("types/if_name.rs")), "{files:?}");

    let wrong: Vec<String> = files
        .iter()
        .flat_map(|file| {
            let relative = file.strip_prefix(&root).unwrap().to_str().unwrap();
            violations(relative, &fs::read_to_string(file).unwrap())
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// What the pure layers may not know: what has effects, or depends on where and when it runs.
const EFFECTS: &[&str] = &[
    "crate::kernel",
    "crate::ovsdb",
    "crate::xenstore",
    "libc",
    "nix",
    "socket2",
    "std::env",
    "std::fs",
    "std::net::Tcp*",
    "std::net::ToSocketAddrs",
    "std::net::Udp*",
    "std::os",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
];

/// What the layers with effects may not know: who uses them.
const USERS: &[&str] = &["crate::config", "crate::network", "crate::plan", "crate::vif"];

/// What only `kernel` may know.
const NETLINK: &[&str] = &["netlink_*"];

fn allowed(layer: &str, path: &str) -> bool {
    let names = |list: &[&str]| list.iter().any(|name| is_in(path, name));
    let error_number = path
        .strip_prefix("libc::E")
        .is_some_and(|name| name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()));
    match layer {
        "types" | "config" | "plan" => error_number || !names(EFFECTS) && !names(NETLINK),
        "kernel" => !names(USERS),
        "ovsdb" | "xenstore" => !names(USERS) && !names(NETLINK),
        _ => !names(NETLINK),
    }
}

/// Whether `path` is `name` or lies in it; a `*` at the end of `name` stands for the rest of a word.
fn is_in(path: &str, name: &str) -> bool {
    match name.strip_suffix('*') {
        Some(begin) => path.starts_with(begin),
        None => {
            path.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        }
    }
}

/// One line for each path in `source` that the layer of `file` (relative to `src`) may not know.
fn violations(file: &str, source: &str) -> Vec<String> {
    let module: Vec<&str> =
        file.trim_end_matches(".rs").trim_end_matches("/mod").split('/').collect();
    let layer = module[0];
    let mut found = Vec::new();
    let tokens = tokens(source);
    let mut rest = tokens.as_slice();
    while let Some((line, token)) = rest.first() {
        if is_name(token) {
            let mut paths = Vec::new();
            rest = path_tree(rest, &[], &mut paths);
            found.extend(
                paths
                    .iter()
                    .map(|path| resolved(&module, path))
                    .filter(|path| !allowed(layer, path))
                    .map(|path| format!("{file}:{line}: {layer} may not know {path}")),
            );
        } else {
            rest = &rest[1..];
        }
    }
    found
}

/// Reads one path with all that is in its braces (`a::{b, c::d}` is two paths), and returns the tokens after it.
fn path_tree<'a, 't>(
    mut rest: &'a [(usize, &'t str)],
    prefix: &[&'t str],
    paths: &mut Vec<Vec<&'t str>>,
) -> &'a [(usize, &'t str)] {
    let mut path = prefix.to_vec();
    while let [(_, name), tail @ ..] = rest {
        if !is_name(name) {
            break;
        }
        path.push(name);
        rest = tail;
        match rest {
            [(_, "::"), (_, "{"), tail @ ..] => {
                rest = tail;
                while let Some((_, token)) = rest.first() {
                    match *token {
                        "}" => return &rest[1..],
                        name if is_name(name) => rest = path_tree(rest, &path, paths),
                        _ => rest = &rest[1..],
                    }
                    // The new name of `a as b` is no path.
                    if let [(_, "as"), _, tail @ ..] = rest {
                        rest = tail;
                    }
                }
                return rest;
            }
            [(_, "::"), tail @ ..] => rest = tail,
            _ => break,
        }
    }
    paths.push(path);
    rest
}

/// The path from the crate's root, when `crate`, `self` or `super` leads it.
fn resolved(module: &[&str], path: &[&str]) -> String {
    let ups = path.iter().take_while(|name| ["self", "super"].contains(name)).count();
    if ups == 0 {
        return path.join("::");
    }
    let supers = path[..ups].iter().filter(|name| **name == "super").count();
    // A module within the file is taken for the file's own: too many `super` end at the root all the same.
    let home = &module[..module.len().saturating_sub(supers)];
    [&["crate"], home, &path[ups..]].concat().join("::")
}

/// Names, `::` and single other characters, each with its line.
fn tokens(source: &str) -> Vec<(usize, &str)> {
    let mut tokens = Vec::new();
    for (n, line) in source.lines().enumerate() {
        let mut rest = line.split("//").next().unwrap_or_default().trim_start();
        while let Some(first) = rest.chars().next() {
            let length = if is_name_char(first) {
                rest.find(|c| !is_name_char(c)).unwrap_or(rest.len())
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            let (token, tail) = rest.split_at(length);
            tokens.push((n + 1, token));
            rest = tail.trim_start();
        }
    }
    tokens
}

fn is_name(token: &str) -> bool {
    token.starts_with(is_name_char)
}

fn is_name_char(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

fn rust_files(directory: &Path, files: &mut Vec<PathBuf>) {
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
fn what_crosses_a_layer_is_found() {
    for (file, source, path) in [
        ("types/mtu.rs", "use crate::kernel;", "crate::kernel"),
        ("types/mtu.rs", "use crate::kernel::Socket;", "crate::kernel::Socket"),
        (
            "types/mtu.rs",
            "use crate::{types::{Link, Mtu}, kernel::{link::Get}};",
            "crate::kernel::link::Get",
        ),
        (
            "types/mtu.rs",
            "use crate::{\n    types::Mtu as M,\n    kernel as k,\n};",
            "crate::kernel",
        ),
        ("types/mtu.rs", "use super::super::xenstore::Client;", "crate::xenstore::Client"),
        (
            "types/mtu.rs",
            "mod tests { use super::super::super::xenstore::Client; }",
            "crate::xenstore::Client",
        ),
        ("types/mod.rs", "pub use super::xenstore::Client;", "crate::xenstore::Client"),
        ("types.rs", "use crate::ovsdb;", "crate::ovsdb"),
        (
            "plan/bridge.rs",
            "let s = crate :: kernel :: Socket::open();",
            "crate::kernel::Socket::open",
        ),
        ("plan/mod.rs", "fn f(net: &mut crate::kernel::Socket) {}", "crate::kernel::Socket"),
        ("plan/mod.rs", "let now = std::time::Instant::now();", "std::time::Instant::now"),
        ("plan/mod.rs", "use std::{fmt, fs};", "std::fs"),
        ("plan/mod.rs", "use std::{fmt, net::{IpAddr, TcpStream}};", "std::net::TcpStream"),
        ("config/vif.rs", "use std::net::UdpSocket;", "std::net::UdpSocket"),
        ("config/vif.rs", "let text = std::fs::read(path)?; // fine?", "std::fs::read"),
        ("config/vif.rs", "std::env::var(\"vif\")", "std::env::var"),
        ("config/vif.rs", "use std::os::fd::OwnedFd;", "std::os::fd::OwnedFd"),
        ("config/vif.rs", "libc::socket(0, 0, 0)", "libc::socket"),
        ("config/vif.rs", "use libc;", "libc"),
        ("config/vif.rs", "use libc::{EINVAL, socket};", "libc::socket"),
        ("config/vif.rs", "use libc::Elf32_Sym;", "libc::Elf32_Sym"),
        (
            "types/mtu.rs",
            "use netlink_packet_route::link::LinkMessage;",
            "netlink_packet_route::link::LinkMessage",
        ),
        ("network/mod.rs", "use netlink_sys::Socket;", "netlink_sys::Socket"),
        ("lib.rs", "pub use netlink_sys;", "netlink_sys"),
        ("xenstore/wire.rs", "use netlink_sys::Socket;", "netlink_sys::Socket"),
        ("xenstore/wire.rs", "use crate::vif::Vif;", "crate::vif::Vif"),
        (
            "kernel/link.rs",
            "use crate::{network::Dom0Network, types::Link};",
            "crate::network::Dom0Network",
        ),
        (
            "kernel/link.rs",
            "crate::config::VifConfig::default()",
            "crate::config::VifConfig::default",
        ),
        ("kernel/nftables/set.rs", "use super::super::super::plan::Change;", "crate::plan::Change"),
    ] {
        let found = violations(file, source);
        assert_eq!(found.len(), 1, "{file}: {source}: {found:?}");
        assert!(found[0].ends_with(&format!(" may not know {path}")), "{found:?}");
    }
    let found = violations("plan/mod.rs", "//! Plans.\n\nuse std::{\n    env,\n};\nuse std::fs;\n");
    assert_eq!(
        found,
        ["plan/mod.rs:3: plan may not know std::env", "plan/mod.rs:6: plan may not know std::fs"]
    );
}

#[test]
fn what_stays_in_its_layer_is_let_through() {
    for (file, source) in [
        ("types/mtu.rs", "use super::{IfName, ParseError};\nuse std::net::{IpAddr, Ipv4Addr};"),
        ("types/mtu.rs", "/// See [`crate::kernel`].\nlet x = 1; // std::fs::read"),
        ("types/mtu.rs", "let kernel = 1; kernel.fs(std::time::Duration::ZERO);"),
        ("types/mtu.rs", "libc::EINVAL"),
        ("types/mtu.rs", "use libc::{E2BIG, EINVAL};"),
        ("types/mtu.rs", "#[cfg(test)]\nmod tests { use super::*; use proptest::prelude::*; }"),
        (
            "plan/bridge.rs",
            "use crate::{config::VifConfig, types::Link}; use super::change::Change;",
        ),
        ("plan/bridge.rs", "use super::kernel_words;"),
        ("plan/bridge.rs", "use super::kernel::Words;"),
        (
            "kernel/link.rs",
            "use netlink_packet_route::link::LinkMessage; use std::os::fd::OwnedFd;",
        ),
        ("kernel/link.rs", "use crate::types::Link; use super::config::Sysctl; libc::socket()"),
        ("xenstore/client.rs", "use std::os::unix::net::UnixStream; use crate::types::VifId;"),
        ("vif/mod.rs", "use crate::{config, kernel, plan, xenstore};"),
        ("lib.rs", "pub mod kernel;\npub mod plan;"),
    ] {
        assert_eq!(violations(file, source), [""; 0], "{file}: {source}");
    }
}
