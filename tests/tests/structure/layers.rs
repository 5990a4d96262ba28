//! The layers of each crate: an arrow points down only.
//!
//! Test modules are read too: they do without what their layer may not name.

use crate::sources::{Crate, Kind, Mention, Target, is_in};

/// Modules of one height. They may name each other, and all modules of earlier rows that are not `hidden`.
#[derive(Debug)]
pub(crate) struct Layer {
    modules: &'static [&'static str],
    hidden: &'static [&'static str],
    foreign: Foreign,
}

/// The paths of other crates that a layer may name.
#[derive(Debug, Clone, Copy)]
enum Foreign {
    /// No effects, and nothing that depends on when and where the program runs.
    Pure,
    Effects,
    /// Effects, and the crates of netlink.
    Netlink,
}

use Foreign::{Effects, Netlink, Pure};

/// xennet-core, from low to high.
pub(crate) const CORE: &[Layer] = &[
    layer(&["types"], &[], Pure),
    layer(&["config"], &[], Pure),
    // With the types of the facts that it plans from.
    layer(&["plan"], &[], Pure),
    // The words of the C library for an errno.
    layer(&["errno"], &["config", "plan"], Effects),
    layer(&["kernel"], &["config", "plan"], Netlink),
    layer(&["xenstore"], &["config", "plan", "kernel"], Effects),
    layer(&["ovsdb"], &["config", "plan", "kernel", "xenstore"], Effects),
    layer(&["trial"], &[], Effects),
    layer(&["error"], &[], Effects),
    layer(&["command", "connections", "paths"], &[], Effects),
    layer(&["observe"], &[], Effects),
    layer(&["engine"], &[], Effects),
    layer(&["ops"], &[], Effects),
    layer(&["context"], &[], Effects),
    layer(&["bridge", "guard", "host", "ovs", "vif"], &[], Effects),
    layer(&["network"], &[], Effects),
    layer(&["demo", "hotplug", "monitor"], &[], Effects),
];

/// The crates that pure layers may name beside `std`, tests included.
const PURE: &[&str] = &[
    "bitflags",
    "ipnet",
    "prop",
    "proptest",
    "serde",
    "serde_json",
    "strsim",
    "thiserror",
    "toml",
];

/// The part of `std` that pure layers may not name.
const EFFECTS: &[&str] = &[
    "std::env",
    "std::fs",
    "std::io::std*",
    "std::net::Tcp*",
    "std::net::ToSocketAddrs",
    "std::net::Udp*",
    "std::os",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
];

/// Paths that the crates above xennet-core name in these files only.
pub(crate) const ABOVE_CORE: &[(&str, &[&str])] = &[
    ("netlink_*", &[]),
    ("socket2", &["demo/", "log.rs"]),
    ("std::net::Tcp*", &["demo/"]),
    ("std::net::ToSocketAddrs", &["demo/"]),
    ("std::net::Udp*", &["demo/"]),
    // The second one looks up the bridge of a port; that belongs into xennet-core.
    ("xennet_core::kernel", &["demo/", "guard/explain.rs"]),
    ("xennet_core::ovsdb", &[]),
];

const fn layer(
    modules: &'static [&'static str],
    hidden: &'static [&'static str],
    foreign: Foreign,
) -> Layer {
    Layer { modules, hidden, foreign }
}

/// One line for each path that its layer may not name, and for each module that no layer has.
pub(crate) fn violations(krate: &Crate, layers: &[Layer]) -> Vec<String> {
    let height = |module: &str| layers.iter().position(|layer| layer.modules.contains(&module));
    let unknown = krate.top_modules().into_iter().filter(|module| height(module).is_none());
    let mut found: Vec<String> =
        unknown.map(|module| format!("{module}: no layer has this module")).collect();
    for mention in krate.mentions.iter().filter(|mention| mention.kind != Kind::ReexportedName) {
        let module = mention.module.first().map(String::as_str);
        let Some(height_here) = module.map_or(Some(layers.len()), height) else { continue };
        let allowed = |name: &str| {
            let lower =
                module == Some(name) || height(name).is_some_and(|height| height <= height_here);
            lower && !layers.get(height_here).is_some_and(|layer| layer.hidden.contains(&name))
        };
        let foreign = layers.get(height_here).map_or(Effects, |layer| layer.foreign);
        let wrong = match krate.target(mention) {
            Some(Target::Foreign(path)) if !is_allowed(foreign, &path) => path,
            // The root is above all layers. A name in it that is no module is defined there.
            Some(Target::Module(at) | Target::Item(at, _))
                if module.is_some() && at.first().is_none_or(|name| !allowed(name)) =>
            {
                mention.path.join("::")
            }
            Some(_) if !by_allowed(krate, mention, allowed) => mention.path.join("::"),
            _ => continue,
        };
        let module = module.unwrap_or("the root");
        found.push(format!("{}: {module} may not name {wrong}", krate.place(mention)));
    }
    found
}

/// Whether the path leads by modules that its layer may name, wherever its item is defined.
fn by_allowed(krate: &Crate, mention: &Mention, allowed: impl Fn(&str) -> bool) -> bool {
    let path = Crate::absolute(&mention.module, &mention.path).unwrap_or_default();
    let by = path.first().filter(|name| krate.top_modules().contains(name.as_str()));
    mention.module.is_empty() || by.is_none_or(|name| allowed(name))
}

fn is_allowed(foreign: Foreign, path: &str) -> bool {
    match foreign {
        Netlink => true,
        Effects => !is_at(path, "netlink_*"),
        Pure => {
            let std = ["alloc", "core", "std"].iter().any(|name| is_at(path, name));
            let error_number = path.strip_prefix("libc::E").is_some_and(|name| {
                name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
            });
            std && !EFFECTS.iter().any(|name| is_at(path, name))
                || error_number
                || PURE.iter().any(|name| is_at(path, name))
        }
    }
}

/// One line for each path of `ABOVE_CORE` in a file that may not name it.
pub(crate) fn above_core(krate: &Crate) -> Vec<String> {
    let violation = |mention: &Mention| {
        let Some(Target::Foreign(path)) = krate.target(mention) else { return None };
        let file = &krate.files[&krate.file_of(&mention.module)].name;
        let (_, files) = ABOVE_CORE.iter().find(|(name, _)| is_at(&path, name))?;
        let allowed = files.iter().any(|name| is_in(file, name));
        (!allowed).then(|| format!("{}: may not name {path}", krate.place(mention)))
    };
    krate.mentions.iter().filter_map(violation).collect()
}

/// Whether `path` is `name` or lies in it; a `*` at the end of `name` stands for the rest of a word.
fn is_at(path: &str, name: &str) -> bool {
    match name.strip_suffix('*') {
        Some(start) => path.starts_with(start),
        None => {
            path.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        }
    }
}

/// The violations of one file in a crate that has one of each layer.
#[cfg(test)]
fn of_file(name: &str, source: &str) -> Vec<String> {
    let root = "pub use engine::Run; pub use error::Error; pub struct Root;";
    let mut files = vec![
        ("lib.rs", root),
        ("types/mod.rs", "pub struct Link;"),
        ("config/mod.rs", "pub struct Wanted; pub use crate::types::Link;"),
        ("plan/mod.rs", ""),
        ("kernel/mod.rs", ""),
        ("xenstore/mod.rs", ""),
        ("ovsdb/mod.rs", ""),
        ("error.rs", ""),
        ("connections.rs", ""),
        ("observe/mod.rs", ""),
        ("engine/mod.rs", ""),
        ("ops/mod.rs", ""),
        ("context.rs", ""),
        ("network.rs", ""),
        ("vif.rs", ""),
        ("hotplug.rs", ""),
    ];
    files.retain(|(file, _)| *file != name);
    files.push((name, source));
    violations(&Crate::new(files), CORE)
}

#[test]
fn path_across_layers_is_found() {
    for (file, source, path) in [
        ("types/mtu.rs", "use crate::config;", "crate::config"),
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
        ("types/mtu.rs", "use super::super::xenstore::Client;", "super::super::xenstore::Client"),
        (
            "types/mtu.rs",
            "mod tests { use super::super::super::xenstore::Client; }",
            "super::super::super::xenstore::Client",
        ),
        ("types/mod.rs", "pub use super::xenstore::Client;", "super::xenstore::Client"),
        ("types/mtu.rs", "use crate::Error;", "crate::Error"),
        ("types/mtu.rs", "use crate::Root;", "crate::Root"),
        ("types/mtu.rs", "macro_rules! m { () => { $crate::Error } }", "crate::Error"),
        ("config/vif.rs", "fn f() { crate::plan::f(); }", "crate::plan::f"),
        ("plan/bridge.rs", "let s = crate :: kernel :: S::open();", "crate::kernel::S::open"),
        ("plan/mod.rs", "fn f(net: &mut crate::kernel::Socket) {}", "crate::kernel::Socket"),
        ("plan/mod.rs", "fn f() { assert!(crate::observe::f()); }", "crate::observe::f"),
        ("kernel/link.rs", "use crate::config::Wanted;", "crate::config::Wanted"),
        // By a layer that it may not name, to one that it may.
        ("kernel/link.rs", "use crate::config::Link;", "crate::config::Link"),
        ("kernel/link.rs", "use crate::xenstore::Client;", "crate::xenstore::Client"),
        ("kernel/nft/set.rs", "use super::super::super::plan::C;", "super::super::super::plan::C"),
        ("xenstore/wire.rs", "use crate::kernel::Socket;", "crate::kernel::Socket"),
        ("xenstore/wire.rs", "use crate::ovsdb::Client;", "crate::ovsdb::Client"),
        ("ovsdb/mod.rs", "use crate::plan::Change;", "crate::plan::Change"),
        ("ovsdb/mod.rs", "use crate::Error;", "crate::Error"),
        ("error.rs", "use crate::connections::C;", "crate::connections::C"),
        ("connections.rs", "use crate::network::Dom0Network;", "crate::network::Dom0Network"),
        ("observe/link.rs", "use crate::engine::Run;", "crate::engine::Run"),
        ("observe/link.rs", "use crate::Run;", "crate::Run"),
        ("observe/link.rs", "use crate::vif::Vif;", "crate::vif::Vif"),
        ("engine/mod.rs", "use crate::ops;", "crate::ops"),
        ("ops/mod.rs", "use crate::network::Dom0Network;", "crate::network::Dom0Network"),
        ("vif.rs", "use crate::hotplug::Call;", "crate::hotplug::Call"),
        ("plan/mod.rs", "let now = std::time::Instant::now();", "std::time::Instant::now"),
        ("plan/mod.rs", "use std::time::Instant; fn f() {}", "std::time::Instant"),
        ("plan/mod.rs", "use std::{fmt, fs};", "std::fs"),
        ("plan/mod.rs", "use std::{fmt, net::{IpAddr, TcpStream}};", "std::net::TcpStream"),
        ("config/vif.rs", "use std::net::UdpSocket;", "std::net::UdpSocket"),
        (
            "config/vif.rs",
            "fn f() { let text = std::fs::read(path)?; /* fine? */ }",
            "std::fs::read",
        ),
        ("config/vif.rs", "fn f() { std::env::var(\"vif\") }", "std::env::var"),
        ("config/vif.rs", "use std::os::fd::OwnedFd;", "std::os::fd::OwnedFd"),
        ("config/vif.rs", "fn f() { libc::socket(0, 0, 0) }", "libc::socket"),
        ("config/vif.rs", "use libc::{EINVAL, socket};", "libc::socket"),
        ("config/vif.rs", "use libc::Elf32_Sym;", "libc::Elf32_Sym"),
        ("types/mtu.rs", "use netlink_packet_route::link::L;", "netlink_packet_route::link::L"),
        ("types/mtu.rs", "use nix::errno::Errno;", "nix::errno::Errno"),
        ("network.rs", "use netlink_sys::Socket;", "netlink_sys::Socket"),
        ("lib.rs", "pub use netlink_sys;", "netlink_sys"),
        ("xenstore/wire.rs", "use netlink_sys::Socket;", "netlink_sys::Socket"),
    ] {
        let found = of_file(file, source);
        assert_eq!(found.len(), 1, "{file}: {source}: {found:?}");
        assert!(found[0].ends_with(&format!(" may not name {path}")), "{found:?}");
    }
    let found = of_file("plan/a.rs", "//! Plans.\n\nuse std::{\n    env,\n};\nuse std::fs;\n");
    assert_eq!(
        found,
        ["plan/a.rs:4: plan may not name std::env", "plan/a.rs:6: plan may not name std::fs"]
    );
}

#[test]
fn path_within_its_layer_is_allowed() {
    for (file, source) in [
        ("types/mtu.rs", "use super::{Link, ParseError};\nuse std::net::{IpAddr, Ipv4Addr};"),
        ("types/mtu.rs", "/// See [`crate::kernel`].\nconst X: u8 = 1; // std::fs::read"),
        ("types/mtu.rs", "fn f() { let kernel = 1; kernel.fs(std::time::Duration::ZERO); }"),
        ("types/mtu.rs", "use libc::{E2BIG, EINVAL}; const E: i32 = libc::ENOENT;"),
        ("types/mtu.rs", "#[cfg(test)]\nmod tests { use super::*; use proptest::prelude::*; }"),
        ("types/mtu.rs", "#[expect(clippy::unwrap_used, reason = \"\")] fn f() { u8::from(x) }"),
        ("plan/bridge.rs", "use crate::{config::Wanted, types::Link}; use super::change::Change;"),
        ("plan/bridge.rs", "use super::kernel_words;"),
        ("plan/bridge.rs", "use super::kernel::Words;"),
        ("kernel/link.rs", "use netlink_sys::Socket; use std::os::fd::OwnedFd;"),
        ("kernel/link.rs", "use crate::types::Link; use super::config::Sysctl; use libc::socket;"),
        ("xenstore/client.rs", "use std::os::unix::net::UnixStream; use crate::types::Link;"),
        ("error.rs", "use crate::{kernel, ovsdb, plan, xenstore};"),
        ("observe/link.rs", "use crate::{Error, plan::Facts, connections, config, kernel};"),
        ("ops/attach.rs", "use crate::engine::Run; use crate::{Run, observe};"),
        ("vif.rs", "use crate::{config, kernel, context::Context, ops, plan};"),
        ("hotplug.rs", "use crate::vif::Vif;"),
        ("lib.rs", "pub mod kernel;\npub mod plan; pub use vif::Vif;"),
    ] {
        assert_eq!(of_file(file, source), [""; 0], "{file}: {source}");
    }
}

#[test]
fn module_without_a_layer_is_found() {
    assert_eq!(of_file("util/mod.rs", ""), ["util: no layer has this module"]);
}

#[test]
fn network_knowledge_above_core_is_found() {
    let found =
        |file: &str, source: &str| above_core(&Crate::new([("main.rs", ""), (file, source)])).len();
    assert_eq!(found("vif.rs", "use netlink_sys::Socket;"), 1);
    assert_eq!(found("vif.rs", "fn f() { std::net::TcpStream::connect(place) }"), 1);
    assert_eq!(found("vif.rs", "use xennet_core::kernel::Kernel;"), 1);
    assert_eq!(found("vif.rs", "use xennet_core::{Vif, ovsdb};"), 1);
    assert_eq!(found("vif.rs", "use xennet_core::Vif; use std::net::IpAddr;"), 0);
    assert_eq!(found("demo/guest.rs", "use xennet_core::kernel::Kernel;"), 0);
    assert_eq!(found("demo/guest.rs", "use netlink_sys::Socket;"), 1);
}
