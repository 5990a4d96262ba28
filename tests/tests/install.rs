//! `make install` and its way back, in a directory of the test's own.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use xennet_tests::c::{library, root, succeeded};
use xennet_tests::hotplug::xennet;
use xennet_tests::lan::{Lan, assert_same};

/// The program that the hotplug scripts link to.
const HOTPLUG: &str = "/usr/libexec/xennet/xennet-hotplug";

#[test]
fn what_is_installed_is_used_and_goes_again() {
    let dest = TempDir::new().unwrap();
    let here = |path: &str| dest.path().join(path);
    make(dest.path(), &["install"]);
    let mut installed: BTreeSet<PathBuf> = [
        "etc/xen/scripts/vif-bridge.xennet",
        "etc/xen/scripts/vif-nat.xennet",
        "etc/xen/scripts/vif-openvswitch.xennet",
        "etc/xen/scripts/vif-route.xennet",
        "etc/xen/scripts/vif-xennet",
        "usr/include/libxennet.h",
        "usr/lib/libxennet.a",
        "usr/lib/libxennet.so",
        "usr/lib/libxennet.so.0",
        "usr/lib/libxennet.so.0.1.0",
        "usr/lib/pkgconfig/xennet.pc",
        "usr/lib/systemd/system/xennet-network.service",
        "usr/lib/tmpfiles.d/xennet.conf",
        "usr/libexec/xennet/xennet-hotplug",
        "usr/sbin/xennet",
        "usr/sbin/xennet-install-scripts",
        "usr/share/bash-completion/completions/xennet",
        "usr/share/doc/xennet/examples/xennet.toml",
        "usr/share/fish/vendor_completions.d/xennet.fish",
        "usr/share/man/man3/libxennet.3",
        "usr/share/man/man5/xennet.toml.5",
        "usr/share/man/man8/xennet-install-scripts.8",
        "usr/share/man/man8/xennet.8",
        "usr/share/zsh/site-functions/_xennet",
    ]
    .map(PathBuf::from)
    .into();
    let symbols = fs::read_to_string(root().join("xennet-ffi/symbols.txt")).unwrap();
    let page = |name: &str| PathBuf::from(format!("usr/share/man/man3/{name}.3"));
    installed.extend(symbols.lines().map(page));
    assert_eq!(files(dest.path()), installed);
    for script in ["vif-bridge.xennet", "vif-nat.xennet", "vif-route.xennet", "vif-xennet"] {
        let link = fs::read_link(here("etc/xen/scripts").join(script)).unwrap();
        assert_eq!(link, Path::new(HOTPLUG));
    }
    pages_are_found(dest.path());
    systemd_takes_it(dest.path());

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
fn the_scripts_of_xen_are_kept_and_come_back() {
    let dest = TempDir::new().unwrap();
    let scripts = dest.path().join("etc/xen/scripts");
    let read = |name: &str| fs::read_to_string(scripts.join(name)).unwrap();
    fs::create_dir_all(&scripts).unwrap();
    let all: Vec<_> = ["vif-bridge", "vif-route", "vif-nat"].map(|name| scripts.join(name)).into();
    for script in &all {
        fs::write(script, "Xen's own").unwrap();
    }
    make(dest.path(), &["install"]);
    assert_eq!(read("vif-bridge"), "Xen's own");

    // Twice: what is ours must not take the place of what is kept.
    for _ in 0..2 {
        make(dest.path(), &["install-scripts"]);
        for name in ["vif-bridge", "vif-route", "vif-nat", "network-bridge", "network-dummy"] {
            let link = fs::read_link(scripts.join(name)).unwrap();
            let program = if name.starts_with("vif-") { HOTPLUG } else { "/usr/sbin/xennet" };
            assert_eq!(link, Path::new(program), "{name}");
        }
        assert_eq!(read("vif-nat.xen"), "Xen's own");
        // As earlier versions linked it.
        let earlier = scripts.join("vif-route");
        fs::remove_file(&earlier).unwrap();
        symlink("/usr/sbin/xennet", &earlier).unwrap();
        assert!(!scripts.join("network-bridge.xen").exists());
    }
    for _ in 0..2 {
        make(dest.path(), &["uninstall-scripts"]);
        assert_eq!(read("vif-route"), "Xen's own");
        assert_eq!(read("vif-bridge"), "Xen's own");
        assert!(!scripts.join("vif-bridge.xen").exists());
        assert!(!scripts.join("network-bridge").is_symlink());
    }

    // Whoever uninstalls xennet has Xen's back, too.
    make(dest.path(), &["install-scripts"]);
    make(dest.path(), &["uninstall"]);
    assert_eq!(read("vif-route"), "Xen's own");
    let left = ["vif-bridge", "vif-nat", "vif-route"];
    let left = left.map(|name| PathBuf::from("etc/xen/scripts").join(name));
    assert_eq!(files(dest.path()), left.into());

    // Where Xen has none, none comes back.
    for script in &all {
        fs::remove_file(script).unwrap();
    }
    make(dest.path(), &["install", "install-scripts"]);
    make(dest.path(), &["uninstall"]);
    assert_eq!(files(dest.path()), BTreeSet::new());
}

#[test]
fn the_shells_complete_a_command() {
    let completions = root().join("dist/completions");
    for (shell, file) in [("bash", "xennet.bash"), ("zsh", "_xennet"), ("fish", "xennet.fish")] {
        let output = Command::new(shell).arg("-n").arg(completions.join(file)).output();
        succeeded(file, &output.unwrap_or_else(|e| panic!("{shell}: {e}: run tests/setup")));
    }
    // As readline does at <TAB>, and fish.
    let bash = r#"
        . /usr/share/bash-completion/bash_completion && . "$0"
        COMP_WORDS=(xennet net) COMP_CWORD=1 COMP_LINE='xennet net' COMP_POINT=10
        _xennet xennet net xennet && echo "${COMPREPLY[@]}"
    "#;
    let bash =
        Command::new("bash").args(["-c", bash]).arg(completions.join("xennet.bash")).output();
    assert_eq!(succeeded("bash", &bash.unwrap()), "network\n");
    let fish = format!(
        "source {}; complete -C 'xennet network sta'",
        completions.join("xennet.fish").display()
    );
    let fish = Command::new("fish").args(["--no-config", "-c", &fish]).output().unwrap();
    let fish = succeeded("fish", &fish);
    let words: Vec<_> = fish.lines().filter_map(|line| line.split('\t').next()).collect();
    assert_eq!(words, ["start", "status"]);
}

#[test]
fn the_unit_leaves_the_command_what_it_needs() {
    let unit = fs::read_to_string(root().join("dist/xennet-network.service.in")).unwrap();
    let value = |key: &str| unit.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    let capabilities = value("CapabilityBoundingSet=").to_lowercase().replace("cap_", "+");
    let capabilities = format!("-all,{}", capabilities.replace(' ', ","));
    let lan = Lan::with_addresses();
    lan.configure("[[bridge]]\nname = \"xenbr0\"\nuplink = \"eth0\"\naddresses = \"inherit\"\n[forwarding]\nipv4 = true\n");
    let before = lan.state();
    for command in ["ExecStart=", "ExecStop="] {
        let words = value(command).split_once("/xennet ").unwrap().1;
        let plain = lan.command(words);
        let mut confined = Command::new("setpriv");
        confined.args(["--bounding-set", &capabilities, "--no-new-privs"]);
        confined.arg(plain.get_program()).args(plain.get_args());
        confined.envs(plain.get_envs().filter_map(|(key, value)| Some((key, value?))));
        let output = confined.output().unwrap_or_else(|e| panic!("setpriv: {e}"));
        succeeded(command, &output);
        assert_eq!(lan.netns.try_ip("link show xenbr0"), command == "ExecStart=");
    }
    assert_same(&before, &lan.state(), "after the stop");
}

/// That every page is where man looks for it.
fn pages_are_found(dest: &Path) {
    for (section, page) in
        [("8", "xennet-install-scripts"), ("5", "xennet.toml"), ("3", "xennet_vif_online")]
    {
        let path = dest.join("usr/share/man");
        let found =
            Command::new("man").args(["--path", section, page]).env("MANPATH", path).output();
        let found = succeeded(page, &found.unwrap_or_else(|e| panic!("man: {e}: run tests/setup")));
        assert!(Path::new(found.trim()).starts_with(dest), "{page}: {found}");
    }
}

/// The unit and the directory of /run, as systemd reads them.
fn systemd_takes_it(dest: &Path) {
    let installed = dest.join("usr/lib/systemd/system/xennet-network.service");
    let unit = fs::read_to_string(installed).unwrap();
    assert!(!unit.contains('@'), "{unit}");
    // It looks for the command, which is not installed on this machine.
    let elsewhere = TempDir::new().unwrap();
    let file = elsewhere.path().join("xennet-network.service");
    fs::write(&file, unit.replace("/usr/sbin", &dest.join("usr/sbin").display().to_string()))
        .unwrap();
    let verified =
        Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&file).output().unwrap();
    succeeded("systemd-analyze verify", &verified);
    let made = Command::new("systemd-tmpfiles")
        .arg(format!("--root={}", dest.display()))
        .args(["--create", "xennet.conf"])
        .output()
        .unwrap();
    succeeded("systemd-tmpfiles", &made);
    assert!(dest.join("run/xennet").is_dir());
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
