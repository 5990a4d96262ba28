//! A dom0 of one's own, and hotplug scripts called in it as libxl calls them.
#![expect(
    clippy::missing_panics_doc,
    clippy::indexing_slicing,
    reason = "what tests share fails as tests do: by a panic"
)]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use xennet_core::types::VifId;

use crate::netns::Netns;
use crate::ovs;
use crate::xenstored::{Xenstored, unpacked};

/// The vif that most tests are about.
pub const VIF: VifId = VifId { domid: 1, devid: 0 };

/// Whose script is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Script {
    /// [`xennet_hotplug`] by the name `vif-bridge`.
    Ours,
    /// [`xennet_hotplug`] by the name `vif-xennet`.
    OursByItsOwnName,
    /// [`xennet_hotplug`] by the name `vif-route`.
    OursRoute,
    /// [`xennet_hotplug`] by the name `vif-nat`.
    OursNat,
    /// [`xennet_hotplug`] by the name `vif-openvswitch`.
    OursOpenVswitch,
    /// Debian's vif-openvswitch of Xen 4.17, as [`Stock`](Self::Stock).
    StockOpenVswitch,
    /// Debian's vif-route of Xen 4.17, as [`Stock`](Self::Stock).
    StockRoute,
    /// Debian's vif-bridge of Xen 4.17, with its paths below the test's own directory.
    Stock,
}

/// What became of one call.
#[derive(Debug)]
pub struct Outcome {
    /// The exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// What was said on standard error. The stock scripts write theirs into a file: then what stands there.
    pub stderr: String,
    /// What was said on standard output. xl sends a script's to standard error.
    pub stdout: String,
    /// From before the process was made until after its end.
    pub took: Duration,
}

/// Everything that one can see of a dom0, a line per fact: `link vif1.0 mtu` is `1500`.
pub type State = BTreeMap<String, String>;

/// A network namespace with the bridge `xenbr0`, a real xenstored, and a directory with the scripts.
///
/// `xenbr0` has a port `uplink` of the address 02:00:00:00:00:01, as a bridge to the world has.
#[derive(Debug)]
pub struct Dom0 {
    /// Its network.
    pub netns: Netns,
    /// Its XenStore.
    pub store: Xenstored,
    dir: TempDir,
    compares_dry_run: Cell<bool>,
}

/// What a dry run printed.
#[derive(Debug)]
struct DryRun {
    changes: Vec<String>,
    warnings: Vec<String>,
    error: Option<String>,
}

impl DryRun {
    /// Runs `xennet --dry-run hotplug` with a script's arguments and environment.
    fn of(script: &Command) -> Self {
        let mut command = Command::new(xennet());
        command.args(["--dry-run", "hotplug", "--"]).args(script.get_args()).env_clear();
        command.envs(script.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let output = command.stdin(Stdio::null()).output().expect("xennet");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        let said = |prefix: &str| {
            let lines = stderr.lines().filter_map(|line| line.strip_prefix(prefix));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        Self {
            changes: stdout.lines().map(str::to_owned).collect(),
            warnings: said("xennet: warning: "),
            error: (!output.status.success()).then(|| said("xennet: ").concat()),
        }
    }
}

impl Script {
    fn is_stock(self) -> bool {
        matches!(self, Self::Stock | Self::StockRoute | Self::StockOpenVswitch)
    }
}

impl Outcome {
    /// Panics with what was said unless the exit code is 0.
    pub fn succeeded(&self) {
        assert_eq!(self.code, Some(0), "it failed: {}", self.stderr);
    }
}

impl Default for Dom0 {
    fn default() -> Self {
        Self::new()
    }
}

impl Dom0 {
    /// Makes it, in a namespace that the calling thread enters.
    pub fn new() -> Self {
        let this = Self::without_bridge();
        this.netns.ip("link add uplink address 02:00:00:00:00:01 type veth peer name world");
        this.netns.ip("link set world address 02:00:00:00:00:02 up");
        this.netns.ip("link add xenbr0 type bridge");
        // Before the bridge is up, so that it never had another address than this port's.
        this.netns.ip("link set uplink master xenbr0 up");
        this.netns.ip("link set xenbr0 up");
        this
    }

    /// The same, with no interface but `lo`.
    pub fn without_bridge() -> Self {
        let dir = TempDir::new().expect("a temporary directory");
        for name in ["ours", "hooks"] {
            fs::create_dir(dir.path().join(name)).expect("a directory of our own");
        }
        for name in ["vif-bridge", "vif-xennet", "vif-openvswitch", "vif-route", "vif-nat"] {
            symlink(xennet_hotplug(), dir.path().join("ours").join(name))
                .expect("a directory of our own");
        }
        stock(dir.path());
        Self {
            netns: Netns::new(),
            store: Xenstored::start(),
            dir,
            compares_dry_run: Cell::new(true),
        }
    }

    /// What libxl and netback do before they call a script: the interface `vifX.Y` and both ends' keys in XenStore.
    ///
    /// The vif is down, its MAC fe:ff:ff:ff:ff:ff; the guest's end is `guestX.Y`, and up. `keys` are backend keys that
    /// come on top, or instead: `bridge=xenbr0` and an empty `ip` are there already.
    pub fn boot(&self, id: VifId, keys: &[(&str, &str)]) {
        self.make_vif(id);
        self.fill_store(id, keys);
    }

    /// netback's part of [`boot`](Self::boot).
    pub fn make_vif(&self, id: VifId) {
        let netns = &self.netns;
        netns.ip(&format!(
            "link add vif{id} address fe:ff:ff:ff:ff:ff type veth peer name guest{id}"
        ));
        netns.ip(&format!("link set guest{id} address 00:16:3e:01:02:03 addrgenmode none up"));
    }

    /// QEMU's: the tap of an emulated NIC.
    pub fn make_tap(&self, id: VifId) {
        self.netns.ip(&format!("tuntap add vif{id}-emu mode tap"));
    }

    /// libxl's part of [`boot`](Self::boot), as captured from a real one.
    pub fn fill_store(&self, id: VifId, keys: &[(&str, &str)]) {
        let VifId { domid, devid } = id;
        let (backend, frontend) = (self.backend(id), self.frontend(id));
        let (guest, handle) = (domid.to_string(), devid.to_string());
        let all = [
            ("frontend", frontend.as_str()),
            ("frontend-id", &guest),
            ("online", "1"),
            ("state", "2"),
            ("script", "/etc/xen/scripts/vif-bridge"),
            ("mac", "00:16:3e:01:02:03"),
            ("ip", ""),
            ("bridge", "xenbr0"),
            ("handle", &handle),
            ("type", "vif"),
            ("hotplug-status", ""),
            ("feature-sg", "1"),
        ];
        let mut words = Vec::new();
        for (key, value) in all.iter().chain(keys) {
            words.extend([format!("{backend}/{key}"), (*value).to_owned()]);
        }
        for (key, value) in [
            ("backend", backend.as_str()),
            ("backend-id", "0"),
            ("state", "1"),
            ("handle", &handle),
            ("mac", "00:16:3e:01:02:03"),
            ("trusted", "1"),
            ("mtu", "1500"),
        ] {
            words.extend([format!("{frontend}/{key}"), value.to_owned()]);
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.store.tool("xenstore-write", &words);
    }

    /// What is left when a guest is gone and its script is called: both directories closed, `hotplug-status` deleted, and
    /// no interface.
    pub fn shut_down(&self, id: VifId, name: &str) {
        let backend = self.backend(id);
        self.store.tool("xenstore-rm", &[&format!("{backend}/hotplug-status")]);
        self.store.tool("xenstore-write", &[&format!("{backend}/online"), "0"]);
        self.store.tool("xenstore-write", &[&format!("{backend}/state"), "6"]);
        self.netns.ip(&format!("link delete dev {name}"));
    }

    /// Takes away whatever is left of a vif, so that it can be booted again.
    pub fn forget(&self, id: VifId) {
        self.netns.try_ip(&format!("link delete guest{id}"));
        for path in [self.backend(id), self.frontend(id)] {
            // An error when it is not there, unless it is made first.
            self.store.tool("xenstore-write", &[&path, ""]);
            self.store.tool("xenstore-rm", &[&path]);
        }
    }

    /// The backend's directory, as an absolute path.
    pub fn backend(&self, id: VifId) -> String {
        format!("/local/domain/0/{}", id.xenbus_path())
    }

    /// The frontend's directory.
    pub fn frontend(&self, VifId { domid, devid }: VifId) -> String {
        format!("/local/domain/{domid}/device/vif/{devid}")
    }

    /// A key of the backend's.
    pub fn key(&self, id: VifId, key: &str) -> Option<String> {
        self.read(&format!("{}/{key}", self.backend(id)))
    }

    /// A value of XenStore's.
    pub fn read(&self, path: &str) -> Option<String> {
        let listed = format!("{path} = ");
        let tree = self.store.tool("xenstore-ls", &["-f"]);
        tree.lines().find_map(|line| line.strip_prefix(&listed)).map(unquoted)
    }

    /// `online type_if=vif`
    pub fn online(&self, script: Script, id: VifId) -> Outcome {
        self.call(script, id, &["online", "type_if=vif"], &[])
    }

    /// `offline type_if=vif`
    pub fn offline(&self, script: Script, id: VifId) -> Outcome {
        self.call(script, id, &["offline", "type_if=vif"], &[])
    }

    /// `add type_if=tap`
    pub fn add(&self, script: Script, id: VifId) -> Outcome {
        self.call(script, id, &["add", "type_if=tap"], &[])
    }

    /// `remove type_if=tap`
    pub fn remove(&self, script: Script, id: VifId) -> Outcome {
        self.call(script, id, &["remove", "type_if=tap"], &[])
    }

    /// Calls a script as libxl does, with these arguments, and these variables besides libxl's or instead of them.
    ///
    /// Before a call of ours, `xennet --dry-run hotplug` is called alike. When the call succeeds, it has made the changes
    /// of the dry run, and no others, and has printed its warnings; when the dry run fails, so does the call, by the same
    /// error. [`without_dry_run`](Self::without_dry_run) is for a test whose dry run and call cannot be alike.
    pub fn call(&self, script: Script, id: VifId, args: &[&str], env: &[(&str, &str)]) -> Outcome {
        let command = self.command(script, id, args, env);
        if script.is_stock() || !self.compares_dry_run.get() {
            return self.run(script, command);
        }
        let dry = DryRun::of(&command);
        self.run_and_compare(script, command, &dry)
    }

    /// Calls scripts of ours without a dry run before each call, from here on.
    pub fn without_dry_run(&self) {
        self.compares_dry_run.set(false);
    }

    fn run(&self, script: Script, mut command: Command) -> Outcome {
        let log = self.dir.path().join("log");
        let _ = fs::remove_file(&log);
        let began = Instant::now();
        let output = command.output().unwrap_or_else(|e| panic!("{script:?}: {e}"));
        let took = began.elapsed();
        let mut stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        if script.is_stock() {
            stderr += &fs::read_to_string(&log).unwrap_or_default();
        }
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        Outcome { code: output.status.code(), stderr, stdout, took }
    }

    fn run_and_compare(&self, script: Script, mut command: Command, dry: &DryRun) -> Outcome {
        command.env("XENNET_VERBOSE", "1");
        let mut outcome = self.run(script, command);
        let name = self.script(script);
        let name = name.file_name().expect("a script").to_string_lossy();
        let (of_changes, of_script) = (format!("{name}: done: "), format!("{name}: "));
        let (changes, said): (Vec<_>, Vec<_>) =
            outcome.stderr.split_inclusive('\n').partition(|line| line.starts_with(&of_changes));
        let changes: Vec<_> =
            changes.iter().filter_map(|line| line.trim_end().strip_prefix(&of_changes)).collect();
        // Without what hooks said.
        let warnings: Vec<_> =
            said.iter().filter_map(|line| line.trim_end().strip_prefix(&of_script)).collect();
        if let Some(error) = &dry.error {
            assert_eq!(outcome.code, Some(1), "the dry run failed: {error}");
            // To an error without permission the command adds what it takes.
            let same = matches!(warnings[..], [said] if error.starts_with(said));
            assert!(same, "the call: {warnings:?}; the dry run: {error}");
        } else if outcome.code == Some(0) {
            assert_eq!(changes, dry.changes, "left: the call; right: the dry run");
            assert_eq!(warnings, dry.warnings, "left: the call; right: the dry run");
        }
        outcome.stderr = said.concat();
        outcome
    }

    /// The same, not yet started. Its standard error is the caller's to direct.
    pub fn command(
        &self,
        script: Script,
        id: VifId,
        args: &[&str],
        env: &[(&str, &str)],
    ) -> Command {
        let path = self.script(script);
        let mut command = if script.is_stock() {
            // It looks for bridges and ports in /sys, which shows the namespace of whoever mounted it.
            let mut unshare = Command::new("unshare");
            unshare.args(["--mount", "--propagation", "private", "--", "sh", "-c"]);
            unshare.arg("mount -t sysfs sysfs /sys && exec \"$0\" \"$@\"").arg(&path);
            unshare
        } else {
            Command::new(&path)
        };
        command.args(args).env_clear().stdin(Stdio::null());
        command.env("script", &path);
        for (name, value) in
            [("XENBUS_TYPE", "vif"), ("XENBUS_BASE_PATH", "backend"), ("netdev", "")]
        {
            command.env(name, value);
        }
        command
            .env("PATH", format!("/usr/sbin:/usr/bin:/sbin:/bin:{}", ovs::tools().display()))
            .env("OVS_RUNDIR", self.ovs_dir())
            .env("XENBUS_PATH", id.xenbus_path())
            .env("vif", format!("vif{id}"))
            .env("XENSTORED_PATH", self.store.socket())
            .env("XENNET_RUN_DIR", self.run_dir())
            .env("XENNET_HOOK_DIR", self.hook_dir())
            // This machine's own decides nothing here.
            .env("XENNET_CONFIG", self.dir().join("xennet.toml"));
        if args.contains(&"type_if=tap") {
            command.env("INTERFACE", format!("vif{id}-emu"));
        }
        command.envs(env.iter().copied());
        command
    }

    /// `xennet` with these words of a person's, in this dom0.
    pub fn xennet(&self, words: &str) -> Outcome {
        self.xennet_with(words, &[])
    }

    /// The same with these variables in its environment.
    pub fn xennet_with(&self, words: &str, env: &[(&str, &str)]) -> Outcome {
        let mut command = self.xennet_command(words);
        command.envs(env.iter().copied());
        let began = Instant::now();
        let output = command.output().unwrap_or_else(|e| panic!("xennet {words}: {e}"));
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        Outcome { code: output.status.code(), stderr, stdout, took: began.elapsed() }
    }

    /// The same, not yet started.
    pub fn xennet_command(&self, words: &str) -> Command {
        let mut command = Command::new(xennet());
        command
            .args(words.split_whitespace())
            .env("OVS_RUNDIR", self.ovs_dir())
            .env("XENSTORED_PATH", self.store.socket())
            .env("XENNET_RUN_DIR", self.run_dir())
            .env("XENNET_HOOK_DIR", self.hook_dir())
            .env("XENNET_CONFIG", self.dir().join("xennet.toml"))
            .stdin(Stdio::null());
        command
    }

    /// The directory of scripts, hooks and what they write.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Where locks are.
    pub fn run_dir(&self) -> PathBuf {
        self.dir.path().join("run")
    }

    /// Where Open vSwitch is, if the test starts one.
    pub fn ovs_dir(&self) -> PathBuf {
        self.dir.path().join("ovs")
    }

    /// Where hooks are, of every script.
    pub fn hook_dir(&self) -> PathBuf {
        self.dir.path().join("hooks")
    }

    /// Adds a hook, a shell script of this body; `./` is a directory of the test's own.
    pub fn hook(&self, name: &str, body: &str) {
        self.hook_file(name, &format!("#!/bin/sh\ncd {}\n{body}\n", self.dir().display()));
    }

    /// Adds an executable file to the hooks.
    pub fn hook_file(&self, name: &str, text: &str) {
        let draft = self.dir().join("draft");
        fs::write(&draft, text).expect("our own directory");
        install(&draft, &self.hook_dir().join(name));
    }

    /// What a hook wrote into `./NAME`.
    pub fn written(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.dir.path().join(name)).ok()
    }

    /// Forgets what a hook wrote.
    pub fn clear(&self, name: &str) {
        let _ = fs::remove_file(self.dir.path().join(name));
    }

    /// Everything that one can see: each interface but `lo` and its addresses, and all of XenStore.
    pub fn state(&self) -> State {
        let mut state = self.links();
        for line in self.store.tool("xenstore-ls", &["-f"]).lines() {
            let (path, value) = line.split_once(" = ").expect("PATH = \"VALUE\"");
            state.insert(format!("store {path}"), unquoted(value));
        }
        state
    }

    /// The interfaces' part of [`state`](Self::state), once the kernel has come to rest.
    pub fn links(&self) -> State {
        self.come_to_rest();
        let mut state = State::new();
        for (details, addresses) in entries(self.netns.ip_json("link show"))
            .zip(entries(self.netns.ip_json("address show")))
        {
            let name = details["ifname"].as_str().expect("a name");
            let mut fact = |key: &str, value: &Value| {
                if name != "lo" && !value.is_null() {
                    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    state.insert(format!("link {name} {key}"), text);
                }
            };
            fact("up", &has(&details, "UP").into());
            for key in ["master", "address", "mtu", "ifalias", "inet6_addr_gen_mode"] {
                fact(key, &details[key]);
            }
            let port = &details["linkinfo"]["info_slave_data"];
            for key in ["learning", "flood", "hairpin", "isolated", "locked", "priority"] {
                fact(key, &port[key]);
            }
            assert_eq!(addresses["ifname"], name, "an interface came or went meanwhile");
            let addresses = addresses["addr_info"].as_array().into_iter().flatten();
            let addresses: Vec<_> =
                addresses.map(|a| a["local"].as_str().unwrap_or_default()).collect();
            fact("addresses", &addresses.join(" ").into());
        }
        state
    }

    /// Waits until no interface that is up and has a carrier is still on its way: an IPv6 link-local address comes then.
    fn come_to_rest(&self) {
        let began = Instant::now();
        let moving = |link: &Value| {
            let state = link["operstate"].as_str().unwrap_or_default();
            link["ifname"] != "lo"
                && has(link, "UP")
                && has(link, "LOWER_UP")
                && !["UP", "UNKNOWN"].contains(&state)
        };
        while let Some(link) = entries(self.netns.ip_json("link show")).find(moving) {
            assert!(began.elapsed() < Duration::from_mins(1), "never at rest: {link}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn script(&self, script: Script) -> PathBuf {
        let name = match script {
            Script::Ours => "ours/vif-bridge",
            Script::OursByItsOwnName => "ours/vif-xennet",
            Script::OursOpenVswitch => "ours/vif-openvswitch",
            Script::StockOpenVswitch => "stock/vif-openvswitch",
            Script::OursRoute => "ours/vif-route",
            Script::OursNat => "ours/vif-nat",
            Script::StockRoute => "stock/vif-route",
            Script::Stock => "stock/vif-bridge",
        };
        self.dir.path().join(name)
    }
}

/// The command under test.
pub fn xennet() -> PathBuf {
    let path = std::env::var_os("XENNET_BIN")
        .map(PathBuf::from)
        .expect("run make test, or set XENNET_BIN to the built xennet");
    fs::canonicalize(&path).unwrap_or_else(|e| panic!("XENNET_BIN={}: {e}", path.display()))
}

/// The hotplug script under test: what the build puts beside the command.
pub fn xennet_hotplug() -> PathBuf {
    let path = xennet().with_file_name("xennet-hotplug");
    assert!(path.exists(), "{}: missing; build it with all of xennet-cli", path.display());
    path
}

/// Copies a file and makes it executable.
///
/// In a process of its own: were it written here, another thread's child could still have it open for writing, and then
/// it cannot be executed (`ETXTBSY`).
pub fn install(from: &Path, to: &Path) {
    let status = Command::new("install").args(["-m", "755"]).arg(from).arg(to).status();
    assert!(status.is_ok_and(|status| status.success()), "install {}", to.display());
}

fn entries(list: Value) -> impl Iterator<Item = Value> {
    match list {
        Value::Array(entries) => entries.into_iter(),
        other => panic!("ip lists interfaces, not {other}"),
    }
}

fn has(link: &Value, flag: &str) -> bool {
    link["flags"].as_array().is_some_and(|flags| flags.contains(&flag.into()))
}

/// Copies the stock scripts to `dir`/stock, and what they name elsewhere on a dom0 to below `dir`.
fn stock(dir: &Path) {
    let from = unpacked("xen-utils-common/etc/xen/scripts");
    let to = dir.join("stock");
    fs::create_dir(&to).expect("a directory of our own");
    for name in [
        "vif-bridge",
        "vif-openvswitch",
        "vif-route",
        "vif-common.sh",
        "hotplugpath.sh",
        "locking.sh",
        "logging.sh",
        "xen-hotplug-common.sh",
        "xen-network-common.sh",
        "xen-script-common.sh",
    ] {
        let text = fs::read_to_string(from.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        let here = dir.display();
        let text = text
            .replace("/var/log/xen/xen-hotplug.log", &format!("{here}/log"))
            .replace("/var/run/xen-hotplug", &format!("{here}/run"))
            .replace("/etc/xen/scripts/${1}-${2}.d", &format!("{here}/hooks"));
        let draft = dir.join("draft");
        fs::write(&draft, text).expect("our own directory");
        install(&draft, &to.join(name));
    }
}

/// What stands between the quotes of xenstore-ls.
fn unquoted(value: &str) -> String {
    // Permissions would follow, were they asked for.
    value.trim_matches('"').to_owned()
}
