//! `make install` and its way back, in a directory of the test's own.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use xennet_tests::c::{library, root, succeeded};
use xennet_tests::hotplug::xennet;

#[test]
fn what_is_installed_is_used_and_goes_again() {
    let dest = TempDir::new().unwrap();
    let here = |path: &str| dest.path().join(path);
    make(dest.path(), &["install"]);
    let installed = [
        "etc/xen/scripts/vif-bridge.xennet",
        "etc/xen/scripts/vif-xennet",
        "usr/include/libxennet.h",
        "usr/lib/libxennet.a",
        "usr/lib/libxennet.so",
        "usr/lib/libxennet.so.0",
        "usr/lib/libxennet.so.0.1.0",
        "usr/lib/pkgconfig/xennet.pc",
        "usr/sbin/xennet",
    ];
    assert_eq!(files(dest.path()), installed.map(PathBuf::from).into());
    for script in ["vif-bridge.xennet", "vif-xennet"] {
        let link = fs::read_link(here("etc/xen/scripts").join(script)).unwrap();
        assert_eq!(link, Path::new("/usr/sbin/xennet"));
    }

    // As README says, with the shared and with the static library.
    for (how, extra) in [("shared", &[][..]), ("static", &["--static"])] {
        let flags = Command::new("pkg-config")
            .args(extra)
            .args(["--cflags", "--libs", "xennet"])
            .env("PKG_CONFIG_LIBDIR", here("usr/lib/pkgconfig"))
            .env("PKG_CONFIG_SYSROOT_DIR", dest.path())
            .output()
            .unwrap();
        let flags = succeeded("pkg-config", &flags);
        let program = here(how);
        let compiled = Command::new("cc")
            .args(["-ansi", "-pedantic", "-Wall", "-Wextra", "-Werror"])
            .arg(root().join("tests/c/version.c"))
            .args(if how == "static" { &["-static"][..] } else { &[] })
            .args(flags.split_whitespace())
            .arg("-o")
            .arg(&program)
            .output()
            .unwrap();
        succeeded(&flags, &compiled);
        let ran = Command::new(&program).env("LD_LIBRARY_PATH", here("usr/lib")).output().unwrap();
        succeeded(how, &ran);
        fs::remove_file(&program).unwrap();
    }

    make(dest.path(), &["uninstall"]);
    assert_eq!(files(dest.path()), BTreeSet::new());
    // Once more, when there is nothing left.
    make(dest.path(), &["uninstall"]);
}

#[test]
fn the_script_of_xen_is_kept_and_comes_back() {
    let dest = TempDir::new().unwrap();
    let scripts = dest.path().join("etc/xen/scripts");
    let bridge = scripts.join("vif-bridge");
    fs::create_dir_all(&scripts).unwrap();
    fs::write(&bridge, "Xen's own").unwrap();
    make(dest.path(), &["install"]);
    assert_eq!(fs::read_to_string(&bridge).unwrap(), "Xen's own");

    // Twice: what is ours must not take the place of what is kept.
    for _ in 0..2 {
        make(dest.path(), &["install-scripts"]);
        assert_eq!(fs::read_link(&bridge).unwrap(), Path::new("vif-bridge.xennet"));
        assert_eq!(fs::read_to_string(scripts.join("vif-bridge.xen")).unwrap(), "Xen's own");
    }
    for _ in 0..2 {
        make(dest.path(), &["uninstall-scripts"]);
        assert_eq!(fs::read_to_string(&bridge).unwrap(), "Xen's own");
        assert!(!scripts.join("vif-bridge.xen").exists());
    }

    // Whoever uninstalls xennet has Xen's back, too.
    make(dest.path(), &["install-scripts"]);
    make(dest.path(), &["uninstall"]);
    assert_eq!(fs::read_to_string(&bridge).unwrap(), "Xen's own");
    assert_eq!(files(dest.path()), [PathBuf::from("etc/xen/scripts/vif-bridge")].into());

    // Where Xen has none, none comes back.
    fs::remove_file(&bridge).unwrap();
    make(dest.path(), &["install", "install-scripts"]);
    make(dest.path(), &["uninstall"]);
    assert_eq!(files(dest.path()), BTreeSet::new());
}

fn make(dest: &Path, targets: &[&str]) {
    let output = Command::new("make")
        .args(["--silent", "--directory"])
        .arg(root())
        .args(targets)
        .arg(format!("DESTDIR={}", dest.display()))
        .arg("PREFIX=/usr")
        .arg(format!("XENNET={}", xennet().display()))
        .arg(format!("LIBXENNET={}", library().display()))
        .env_remove("MAKEFLAGS")
        .output()
        .unwrap();
    succeeded(&format!("make {targets:?}"), &output);
}

/// Everything below a directory that is no directory, relative to it.
fn files(root: &Path) -> BTreeSet<PathBuf> {
    let (mut files, mut directories) = (BTreeSet::new(), vec![root.to_owned()]);
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.is_symlink() {
                directories.push(path);
            } else {
                files.insert(path.strip_prefix(root).unwrap().to_owned());
            }
        }
    }
    files
}
