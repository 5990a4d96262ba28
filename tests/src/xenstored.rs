//! A real xenstored of one's own, without a hypervisor.
#![expect(clippy::missing_panics_doc, reason = "what tests share fails as tests do: by a panic")]

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A running daemon, with its own socket in its own directory. Dropping it kills it.
///
/// Everything here panics with what is missing when it cannot be had: a test that cannot run has failed.
#[derive(Debug)]
pub struct Xenstored {
    daemon: Child,
    dir: TempDir,
}

impl Xenstored {
    /// Starts Xen's xenstored, the one written in C.
    pub fn start() -> Self {
        Self::launch(|dir| {
            let mut command =
                Command::new(unpacked("xen-utils-4.17/usr/lib/xen-4.17/bin/xenstored"));
            command.args(["--no-fork", "--pid-file"]).arg(dir.join("pid"));
            command
        })
    }

    /// Starts oxenstored, the one written in OCaml.
    pub fn start_oxenstored() -> Self {
        Self::launch(|dir| {
            let here = dir.display();
            let config = format!(
                "pid-file = {here}/pid\nxenstored-log-file = {here}/log\naccess-log-file = {here}/access\n\
                 xenstored-port = {here}/xsd_port\nxenstored-kva = {here}/xsd_kva\n\
                 persistent = false\nmerge-activate = true\nperms-activate = true\n\
                 quota-activate = true\nquota-maxsize = 2048\n"
            );
            write(&dir.join("conf"), config.as_bytes());
            let mut command =
                Command::new(unpacked("xen-utils-4.17/usr/lib/xen-4.17/bin/oxenstored"));
            command.args(["--no-fork", "--config-file"]).arg(dir.join("conf"));
            command
        })
    }

    /// Where its clients connect.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("socket")
    }

    /// What one of Xen's own tools prints when it asks this daemon: `xenstore-ls`, `xenstore-read`, ...
    pub fn tool(&self, tool: &str, args: &[&str]) -> String {
        ask(tool, args, &self.socket())
    }

    /// The daemon's process.
    pub fn pid(&self) -> u32 {
        self.daemon.id()
    }

    fn launch(command: impl FnOnce(&Path) -> Command) -> Self {
        let dir = TempDir::new().expect("a temporary directory");
        let here = dir.path();
        let shim = shim(here);
        // The port and the page of domain 0's ring, which nobody uses.
        write(&here.join("xsd_port"), b"7");
        write(&here.join("xsd_kva"), &[0; 4096]);
        let daemon = command(here)
            .env("XENSTORED_RUNDIR", here)
            .env("LD_PRELOAD", shim)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(here.join("stderr")).expect("a file of our own"))
            .spawn()
            .unwrap_or_else(|e| panic!("start xenstored: {e}"));
        let mut this = Self { daemon, dir };
        this.wait_until_it_listens();
        this
    }

    fn wait_until_it_listens(&mut self) {
        let started = Instant::now();
        while UnixStream::connect(self.socket()).is_err() {
            if let Some(status) = self.daemon.try_wait().expect("the state of our own child") {
                let said = fs::read(self.dir.path().join("stderr")).unwrap_or_default();
                panic!("xenstored ended at once: {status}: {}", String::from_utf8_lossy(&said));
            }
            assert!(started.elapsed() < Duration::from_mins(1), "xenstored does not listen");
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Xenstored {
    fn drop(&mut self) {
        // It fails only when it is dead already.
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

/// What one of Xen's own tools prints when it asks the XenStore at this socket.
pub fn ask(tool: &str, args: &[&str], socket: &Path) -> String {
    let output =
        Command::new(tool).args(args).env("XENSTORED_PATH", socket).output().unwrap_or_else(|e| {
            panic!("{tool} of the package xenstore-utils: {e}: run tests/setup")
        });
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{tool} {args:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// A file or directory that tests/setup has unpacked.
pub fn unpacked(path: &str) -> PathBuf {
    let cache = std::env::var_os("XENNET_TEST_CACHE")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../.cache"), PathBuf::from);
    let file = cache.join(path);
    assert!(file.exists(), "{} is missing: run tests/setup", file.display());
    file
}

fn shim(dir: &Path) -> PathBuf {
    let shim = dir.join("xsshim.so");
    let output = Command::new("gcc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(&shim)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/xenstored/xsshim.c"))
        .output()
        .unwrap_or_else(|e| panic!("gcc: {e}: run tests/setup"));
    assert!(output.status.success(), "gcc xsshim.c: {}", String::from_utf8_lossy(&output.stderr));
    shim
}

fn write(path: &Path, content: &[u8]) {
    fs::write(path, content).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}
