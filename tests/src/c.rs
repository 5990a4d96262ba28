//! Programs in C, compiled against the built libxennet and run in a dom0 of their own.
#![expect(clippy::missing_panics_doc, reason = "what tests share fails as tests do: by a panic")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::hotplug::Dom0;

/// How a program is compiled and run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By clang as ANSI C, with the shared library.
    Clang,
    /// By g++ as C++, with the static library.
    Gxx,
    /// By gcc as ANSI C, with the address, leak and undefined-behaviour sanitizers.
    Sanitized,
    /// By gcc as ANSI C, under valgrind.
    Valgrind,
}

/// Every way.
pub const WAYS: [Way; 4] = [Way::Clang, Way::Gxx, Way::Sanitized, Way::Valgrind];

/// Compiles a program in each way, and runs it in each in a fresh dom0 with the directories of locks and hooks as its arguments.
///
/// `before` prepares the dom0 and adds arguments; `after` is given what the program wrote.
pub fn each_way(source: &str, before: impl Fn(&Dom0) -> Vec<String>, after: impl Fn(&Dom0, &str)) {
    for way in WAYS {
        let dom0 = Dom0::new();
        let more = before(&dom0);
        let program = compile(&root().join(source), way, dom0.dir());
        let output = run(way, &program, &dom0)
            .args([dom0.run_dir(), dom0.hook_dir()])
            .args(more)
            .output()
            .unwrap_or_else(|e| panic!("{source}, {way:?}: {e}: run tests/setup"));
        after(&dom0, &succeeded(&format!("{source}, {way:?}"), &output));
    }
}

/// What a program wrote; panics with what it complained of unless it ended well and silently.
pub fn succeeded(what: &str, output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && stderr.is_empty(), "{what}: {}: {stderr}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Compiles one source, with every warning an error, to `dir`.
pub fn compile(source: &Path, way: Way, dir: &Path) -> PathBuf {
    let program = dir.join("program");
    let mut command = Command::new(match way {
        Way::Clang => "clang",
        Way::Gxx => "g++",
        Way::Sanitized | Way::Valgrind => "gcc",
    });
    command.args(["-g", "-O1", "-Wall", "-Wextra", "-Werror", "-pedantic", "-pthread"]);
    match way {
        Way::Clang | Way::Valgrind => command.arg("-ansi"),
        Way::Gxx => command.args(["-x", "c++"]),
        Way::Sanitized => command.args([
            "-ansi",
            "-fsanitize=address,undefined",
            "-fno-sanitize-recover=all",
            "-fno-omit-frame-pointer",
        ]),
    };
    command.arg("-I").arg(root().join("include")).arg("-I").arg(root().join("tests/c"));
    command.arg(source).arg("-o").arg(&program);
    match way {
        Way::Gxx => command.args(["-x", "none"]).arg(library().join("libxennet.a")),
        _ => command.arg("-L").arg(library()).arg("-lxennet"),
    };
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}: run tests/setup"));
    succeeded(&format!("{command:?}"), &output);
    program
}

/// A program as it is run in one way, in a dom0.
pub fn run(way: Way, program: &Path, dom0: &Dom0) -> Command {
    // What the program is linked with is called libxennet.so.0, and cargo knows nothing of that.
    let lib = dom0.dir().join("lib");
    fs::create_dir_all(&lib).expect("our own directory");
    let link = lib.join("libxennet.so.0");
    if !link.exists() {
        std::os::unix::fs::symlink(library().join("libxennet.so"), link)
            .expect("our own directory");
    }
    let mut command = match way {
        Way::Valgrind => {
            let mut valgrind = Command::new("valgrind");
            valgrind.args([
                "--quiet",
                "--error-exitcode=99",
                "--leak-check=full",
                "--track-fds=no",
            ]);
            valgrind.args(["--show-leak-kinds=definite,indirect,possible"]);
            valgrind.arg("--errors-for-leak-kinds=definite,indirect,possible").arg(program);
            valgrind
        }
        _ => Command::new(program),
    };
    command.env("LD_LIBRARY_PATH", lib).env("XENSTORED_PATH", dom0.store.socket());
    command
}

/// Where the built library is.
pub fn library() -> PathBuf {
    let path = std::env::var_os("XENNET_LIB")
        .map(PathBuf::from)
        .expect("run make test, or set XENNET_LIB to where libxennet.so and libxennet.a are");
    fs::canonicalize(&path).unwrap_or_else(|e| panic!("XENNET_LIB={}: {e}", path.display()))
}

/// The top of the sources.
pub fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    fs::canonicalize(root).expect("the tests lie in the sources")
}
