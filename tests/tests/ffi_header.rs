//! What libxennet promises to whoever is linked with it: its header, its symbols, its name.
//!
//! BLESS=1 writes the header and the list of symbols anew.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use xennet_tests::c::{library, root, succeeded};
use xennet_tests::c_header::functions;
use xennet_tests::xenstored::unpacked;

#[test]
fn the_header_is_made_from_the_sources() {
    let dir = TempDir::new().expect("a temporary directory");
    let made = dir.path().join("libxennet.h");
    tool(
        Command::new(unpacked("tools/bin/cbindgen"))
            .args(["--quiet", "--config", "xennet-ffi/cbindgen.toml", "--output"])
            .arg(&made)
            .arg("xennet-ffi"),
    );
    same(&root().join("include/libxennet.h"), &read(&made), "run `make header`");
}

#[test]
fn the_header_compiles_by_itself_wherever_c_does() {
    let header = root().join("include/libxennet.h");
    for compiler in ["gcc", "clang"] {
        for standard in ["-ansi", "-std=c99", "-std=c11", "-std=gnu17"] {
            tool(strict(compiler).args([standard, "-x", "c"]).arg(&header));
        }
    }
    for compiler in ["g++", "clang++"] {
        for standard in ["-std=c++98", "-std=c++11", "-std=c++20"] {
            tool(strict(compiler).args([standard, "-x", "c++"]).arg(&header));
        }
    }
}

#[test]
fn it_exports_what_the_list_says_and_nothing_else() {
    let all = tool(Command::new("nm").args(["--dynamic", "--defined-only"]).arg(shared()));
    let names: BTreeSet<_> = all.lines().filter_map(|line| line.split(' ').nth(2)).collect();
    let list = names.iter().flat_map(|name| [*name, "\n"]).collect::<String>();
    same(
        &root().join("xennet-ffi/symbols.txt"),
        &list,
        "a name that is gone breaks programs: that takes a new soname; a new one belongs into the list",
    );
    let declared = functions(&read(&root().join("include/libxennet.h")));
    assert_eq!(
        declared.iter().map(|function| function.name.as_str()).collect::<BTreeSet<_>>(),
        names
    );
}

#[test]
fn it_bears_the_name_of_its_abi() {
    let dynamic = tool(Command::new("readelf").arg("--dynamic").arg(shared()));
    assert!(dynamic.contains("soname: [libxennet.so.0]"), "{dynamic}");
    for line in dynamic.lines().filter(|line| line.contains("(NEEDED)")) {
        let known = ["libc.so.6", "libgcc_s.so.1", "ld-linux-"];
        assert!(known.iter().any(|name| line.contains(name)), "{line}");
    }
}

#[test]
fn a_panic_can_be_caught_at_the_boundary() {
    // Built to abort instead, it has no use for this.
    let wanted = tool(Command::new("nm").args(["--dynamic", "--undefined-only"]).arg(shared()));
    assert!(wanted.contains("_Unwind_RaiseException"), "not built with --profile ffi: {wanted}");
}

fn strict(compiler: &str) -> Command {
    let mut command = Command::new(compiler);
    command.args(["-fsyntax-only", "-pedantic", "-Wall", "-Wextra", "-Werror"]);
    command
}

fn same(committed: &Path, made: &str, advice: &str) {
    if std::env::var_os("BLESS").is_some() {
        fs::write(committed, made).unwrap_or_else(|e| panic!("{}: {e}", committed.display()));
    }
    assert!(read(committed) == made, "{} is not up to date: {advice}", committed.display());
}

fn shared() -> PathBuf {
    library().join("libxennet.so")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn tool(command: &mut Command) -> String {
    let output = command.current_dir(root()).output();
    let output = output.unwrap_or_else(|e| panic!("{command:?}: {e}: run tests/setup"));
    succeeded(&format!("{command:?}"), &output)
}
